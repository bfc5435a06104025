from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.diff import ABSENT
from planner.history import Entry, Filter, parse_when, read_history
from planner.render import Style
from planner.render import history as render
from state.records import (
    Address,
    Applied,
    Begin,
    End,
    Forgotten,
    Genesis,
    Imported,
    Intent,
    Moved,
    Record,
    Refreshed,
    Rejected,
    Resolved,
    Unknown,
)

A, B = Address("assignment_source.a"), Address("assignment_source.b")
T = "2026-11-01T10:00:0{}.000Z".format
BEGIN = Begin("digest", "ana", "laptop", "0.1.0", "0123456789abcdef", T(0))
INTENT = Intent(A, "PATCH", "a", {"description": "x", "tags": ["p"]}, {"description": "y", "tags": ["p", "q"]}, T(1))
KNOWN = {"name": "a", "description": "x", "tags": ["p"]}


def history(*records: Record) -> list[Entry]:
    """Of a journal that begins with the import of `a`, whose entry is left out; hashes are numbers."""
    whole = (Genesis("l", 1, T(0)), Imported(A, KNOWN, T(0)), *records)
    return read_history((str(number), record) for number, record in enumerate(whole))[1:]


def shown(entry: Entry) -> dict[str, tuple[object, object]]:
    return {change.field.name: (change.before, change.after) for change in entry.changes}


def test_a_change_has_who_when_where_what_and_what_came_of_it():
    data = {"name": "a", "description": "y", "tags": ["q", "p"]}
    (entry,) = history(BEGIN, INTENT, Applied(A, 200, data, {}, 41, T(2)), End("ok", T(3)))
    assert shown(entry) == {"description": ("x", "y"), "tags": (["p"], ["p", "q"])}
    assert (entry.at, entry.who, entry.host, entry.commit) == (T(1), "ana", "laptop", "0123456789abcdef")
    assert (entry.kind, entry.address, entry.name, entry.outcome) == ("update", A, "a", "applied")
    assert (entry.seconds, entry.hash) == (0.041, "4")


def test_what_the_api_kept_otherwise_is_what_it_became():
    (entry,) = history(BEGIN, INTENT, Applied(A, 200, {**KNOWN, "tags": ["p", "q"]}, {}, 1, T(2)))
    assert shown(entry)["description"] == ("x", "x")
    assert (entry.outcome, entry.reason) == ("not accepted", "the API kept another value of description")


def test_every_attempt_is_an_entry():
    rejected = Rejected(A, 429, "slow down", True, 1.0, 2, T(2))
    found = history(BEGIN, INTENT, rejected, INTENT, Applied(A, 200, {**KNOWN, **INTENT.sent}, {}, 1, T(3)))
    assert [(e.outcome, e.reason) for e in found] == [("rejected", "429: slow down"), ("applied", None)]


@pytest.mark.parametrize(
    ("resolved", "outcome"),
    [
        (Resolved(A, "applied", {**KNOWN, **INTENT.sent}, {}, T(5)), "resolved as applied"),
        (Resolved(A, "not applied", None, {}, T(5)), "not applied"),
        (Resolved(A, "superseded", KNOWN, {}, T(5)), "superseded"),
    ],
)
def test_what_was_unknown_is_one_entry_with_what_was_found_out_in_a_later_run(resolved, outcome):
    other = Begin(None, "bob", "ci", "0.1.0", None, T(6))
    before = (BEGIN, INTENT, Unknown(A, "timeout", 3, T(2)), End("failed", T(3)))
    assert [(e.outcome, e.reason) for e in history(*before)] == [("unknown", "timeout")]
    entry, forgotten = history(*before, resolved, other, Forgotten(A, T(7)))
    assert (entry.outcome, entry.who, entry.seconds) == (outcome, "ana", 0.003)
    assert (forgotten.kind, forgotten.who, forgotten.commit) == ("forget", "bob", None)


def test_a_request_without_an_outcome_is_unknown():
    assert [(e.outcome, e.reason) for e in history(BEGIN, INTENT)] == [("unknown", "nobody knows what became of it")]


def test_drift_that_was_taken_over_is_shown_from_prior_to_remote():
    data = {"name": "a", "description": "theirs", "team": "Growth"}
    (entry,) = history(BEGIN, Refreshed(A, data, {"tags": ["p"]}, T(1)))
    assert shown(entry) == {"description": ("x", "theirs"), "team": (ABSENT, "Growth")}
    assert (entry.kind, entry.outcome, entry.seconds) == ("refresh", "recorded", None)
    (gone,) = history(BEGIN, Refreshed(A, None, {}, T(1)))
    assert (gone.changes, gone.reason) == ((), "the source is gone")


def test_an_address_that_the_state_did_not_have_is_adopted_and_a_move_goes_along():
    intent = Intent(B, "PATCH", "b", {}, {"name": "b2"}, T(1))
    moved = Moved(B, Address("assignment_source.c"), T(3))
    adopted, move = history(BEGIN, intent, Applied(B, 200, {"name": "b2"}, {}, 1, T(2)), moved)
    assert (adopted.kind, shown(adopted)) == ("adopt", {"name": (ABSENT, "b2")})
    assert (move.kind, move.name, move.reason) == ("move", "b2", "to assignment_source.c")


def test_a_type_and_a_field_of_another_version_are_shown_as_they_are():
    (entry,) = history(Imported(Address("metric.x"), {"name": "m", "future": {"a": [1]}}, T(1)))
    assert shown(entry) == {"future": (ABSENT, {"a": [1]})}
    assert "future = { a = [1] }" in render.text(entry, Style(), is_whole=True)


ENTRIES = history(
    BEGIN,
    INTENT,
    Rejected(A, 400, "no\x1b[2J", False, None, 2, T(2)),
    Begin(None, "bob", "ci", "0.1.0", None, T(3)),
    Refreshed(A, {**KNOWN, "description": "a|b `c`"}, {}, T(4)),
    Forgotten(A, T(5)),
)


@given(
    st.builds(
        Filter,
        st.frozensets(st.sampled_from([A, B])),
        st.frozensets(st.sampled_from(["description", "tags", "team"])),
        st.frozensets(st.sampled_from(["ana", "bob"])),
        st.sampled_from(["", T(2), T(5)]),
        st.sampled_from(["~", T(2), T(5)]),
    )
)
def test_a_filter_gives_a_part_in_the_same_order(asked):
    found = [entry.hash for entry in asked.of(ENTRIES)]
    whole = [entry.hash for entry in ENTRIES]
    assert found == [one for one in whole if one in found]


def test_filters():
    assert [e.kind for e in Filter(who=frozenset(["bob"])).of(ENTRIES)] == ["refresh", "forget"]
    assert [list(shown(e)) for e in Filter(fields=frozenset(["tags"])).of(ENTRIES)] == [["tags"]]
    assert [e.kind for e in Filter(since=T(4), until=T(5)).of(ENTRIES)] == ["refresh"]
    assert not list(Filter(addresses=frozenset([B])).of(ENTRIES))


NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", "2026-11-16T12:00:00.000Z"),
        ("2w", "2026-11-09T12:00:00.000Z"),
        ("12h", "2026-11-23T00:00:00.000Z"),
        ("30m", "2026-11-23T11:30:00.000Z"),
        ("2026-11-01", "2026-11-01T00:00:00.000Z"),
        ("2026-11-01T10:30", "2026-11-01T10:30:00.000Z"),
        ("2026-11-01T10:30:00Z", "2026-11-01T10:30:00.000Z"),
        ("2026-11-01T10:30:00+02:00", "2026-11-01T08:30:00.000Z"),
    ],
)
def test_times(text, expected):
    assert parse_when(text, NOW) == expected


def test_a_date_as_an_end_is_included():
    assert parse_when("2026-11-01", NOW, is_end=True) == "2026-11-02T00:00:00.000Z"


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "2026-13-01", "999999w"])
def test_what_is_no_time(text):
    with pytest.raises((ValueError, OverflowError)):
        parse_when(text, NOW)


def test_as_a_person_reads_it():
    assert "\n".join(render.text(entry, Style()) for entry in ENTRIES) == (
        "2026-11-01 10:00:01Z  ana@laptop  commit 0123456789ab  assignment_source.a  update a  "
        "rejected: 400: no\\u001b[2J  0.00 s\n"
        '      ~ description = "x" -> "y"\n'
        '      ~ tags        = + "q"\n'
        "\n"
        "2026-11-01 10:00:04Z  bob@ci  assignment_source.a  refresh a  recorded\n"
        '      ~ description = "x" -> "a|b `c`"\n'
        "\n"
        "2026-11-01 10:00:05Z  bob@ci  assignment_source.a  forget a  recorded\n"
    )


def test_as_a_comment_has_it():
    assert render.to_markdown(ENTRIES[1:]) == (
        "| when | who | address | action | field | from | to | outcome |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        f"| {T(4)} | `bob@ci` | `assignment_source.a` | refresh | `description` "
        '| `"x"` | ``"a\\|b `c`"`` | recorded |\n'
        f"| {T(5)} | `bob@ci` | `assignment_source.a` | forget |  |  |  | recorded |\n"
    )


def test_as_a_tool_reads_it():
    assert render.to_json(ENTRIES[1]) == {
        "at": T(4),
        "who": "bob",
        "host": "ci",
        "commit": None,
        "version": "0.1.0",
        "action": "refresh",
        "address": A,
        "name": "a",
        "fields": [{"field": "description", "from": "x", "to": "a|b `c`"}],
        "outcome": "recorded",
        "reason": None,
        "seconds": None,
        "hash": "6",
    }
