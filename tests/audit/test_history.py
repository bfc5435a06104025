from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.audit.filters import Filter, parse_when
from planner.audit.history import HistoryEntry, entries_of, read_history
from planner.console.answers import compare_echo
from planner.definitions.equality import is_same
from planner.definitions.fields import String
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.plan.diff import ABSENT
from planner.render import history as render
from planner.render.style import Style, width_of
from state import journal
from state.errors import Damaged
from state.fold import Fold
from state.records import (
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
from state.snapshot import EMPTY, ResourceState
from state.values import Address

A, B = Address("assignment_source.a"), Address("assignment_source.b")
T = "2026-11-01T10:00:0{}.000Z".format
BEGIN = Begin("digest", "ana", "laptop", "0.1.0", "0123456789abcdef", T(0))
INTENT = Intent(A, "PATCH", "a", {"description": "x", "tags": ["p"]}, {"description": "y", "tags": ["p", "q"]}, T(1))
KNOWN = {"name": "a", "description": "x", "tags": ["p"]}


def history(*records: Record) -> list[HistoryEntry]:
    """Of a journal that begins with the import of `a`, whose entry is left out; hashes are numbers."""
    whole = (Genesis("l", 1, T(0)), Imported(A, KNOWN, T(0)), *records)
    return read_history((str(number), record) for number, record in enumerate(whole))[1:]


def shown(entry: HistoryEntry) -> dict[str, tuple[object, object]]:
    return {change.field.name: (change.before, change.after) for change in entry.changes}


def test_a_change_has_who_when_where_what_and_what_came_of_it():
    data = {"name": "a", "description": "y", "tags": ["q", "p"]}
    (entry,) = history(BEGIN, INTENT, Applied(A, 200, data, {}, 41, T(2)), End("ok", T(3)))
    assert shown(entry) == {"description": ("x", "y"), "tags": (["p"], ["p", "q"])}
    assert (entry.at, entry.who, entry.host, entry.commit) == (T(1), "ana", "laptop", "0123456789abcdef")
    assert (entry.kind, entry.address, entry.name, entry.outcome) == ("update", A, "a", "applied")
    assert (entry.seconds, entry.hash) == (0.041, "4")


def test_the_fields_stand_as_a_plan_has_them_and_what_nobody_knows_comes_last():
    sent = {"added": "x", "idTypeMapping": [], "description": "y", "name": "b", "tags": [], "sql": "SELECT 1"}
    (entry,) = history(BEGIN, Intent(A, "PATCH", "a", KNOWN, sent, T(1)))
    assert [change.field.name for change in entry.changes] == [
        "name", "description", "tags", "sql", "idTypeMapping", "added",
    ]  # fmt: skip
    (entry,) = history(Refreshed(A, {**sent, "name": "a"}, {}, T(1)))
    assert [change.field.name for change in entry.changes][:2] == ["description", "tags"]


def test_what_the_api_kept_otherwise_is_what_it_became():
    (entry,) = history(BEGIN, INTENT, Applied(A, 200, {**KNOWN, "tags": ["p", "q"]}, {}, 1, T(2)))
    assert shown(entry)["description"] == ("x", "x")
    assert entry.refused == {"description": "y"}
    assert render.entry_to_json(entry)["fields"][0] == {"field": "description", "from": "x", "to": "x", "sent": "y"}
    assert '      ! description was sent as "y"\n' in render.render_entry(entry, Style())
    assert (entry.outcome, entry.reason) == ("not accepted", "the API kept another value of description")


def test_every_attempt_is_an_entry():
    rejected = Rejected(A, 429, "slow down", True, 1.0, 2, T(2))
    found = history(BEGIN, INTENT, rejected, INTENT, Applied(A, 200, {**KNOWN, **INTENT.sent}, {}, 1, T(3)))
    assert [(e.outcome, e.reason) for e in found] == [("retried", "429: slow down"), ("applied", None)]


def test_what_is_not_sent_again_in_its_run_was_rejected():
    refused, later = Rejected(A, 422, "no", False, None, 2, T(2)), Rejected(A, 429, "slow down", True, 1.0, 2, T(2))
    assert [e.outcome for e in history(BEGIN, INTENT, refused, INTENT)] == ["rejected", "unknown"]
    assert next(e.outcome for e in history(BEGIN, INTENT, later, End("failed", T(3)), BEGIN, INTENT)) == "rejected"


@pytest.mark.parametrize("width", [44, 80])
def test_a_long_reason_is_broken_between_words(width):
    why = "the API says at length what it does not like about this request, in a sentence for people"
    refused = Rejected(A, 422, why, False, None, 2, T(2))
    (entry,) = history(BEGIN, INTENT, refused)
    shown = render.render_entry(entry, Style(width, is_coloured=True))
    lines = re.sub(r"\x1b\[\d*m", "", shown).splitlines()
    assert max(map(len, lines)) <= width
    assert why in " ".join(" ".join(lines).split())


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


def test_what_an_answer_shows_changed_besides_is_somebody_else_s_change():
    data = {"name": "a", "description": "y", "tags": ["q", "p"], "team": "Theirs", "isVerified": False}
    update, drift = history(BEGIN, INTENT, Applied(A, 200, data, {}, 41, T(2)))
    assert shown(update) == {"description": ("x", "y"), "tags": (["p"], ["p", "q"])}
    assert (drift.kind, shown(drift), drift.at, drift.who) == ("drift", {"team": (ABSENT, "Theirs")}, T(2), None)
    assert (drift.outcome, drift.reason) == ("recorded", "seen in the answer, but not sent")
    assert drift.hash == update.hash


def test_what_superseded_a_request_is_told_field_by_field():
    theirs = {**KNOWN, "description": "theirs"}
    update, drift = history(BEGIN, INTENT, Unknown(A, "timeout", 3, T(2)), Resolved(A, "superseded", theirs, {}, T(5)))
    assert (update.outcome, shown(update)["description"]) == ("superseded", ("x", "y"))
    assert (drift.kind, shown(drift), drift.who) == ("drift", {"description": ("x", "theirs")}, None)
    verified = evolve(INTENT, sent={**INTENT.sent, "isVerified": True})
    unreturned = (verified, Applied(A, 200, {**KNOWN, **INTENT.sent}, {"isVerified": True}, 1, T(2)))
    _, _, drift = history(
        BEGIN, *unreturned, INTENT, Resolved(A, "superseded", {**theirs, "tags": ["q", "p"]}, {}, T(5))
    )
    assert shown(drift) == {"description": ("y", "theirs")}
    (gone,) = history(BEGIN, INTENT, Unknown(A, "timeout", 3, T(2)), Resolved(A, "superseded", None, {}, T(5)))
    assert gone.reason == "somebody else renamed or deleted the source"


def test_a_record_outside_of_a_run_has_no_author():
    (entry,) = history(BEGIN, End("ok", T(1)), Forgotten(A, T(2)))
    assert (entry.who, entry.host, entry.commit, entry.version) == (None, None, None, None)


def test_a_request_without_an_outcome_is_unknown():
    assert [(e.outcome, e.reason) for e in history(BEGIN, INTENT)] == [("unknown", "its outcome is unknown")]


def test_what_moves_of_fields_that_nobody_knows_is_no_drift():
    entries = history(BEGIN, INTENT, Applied(A, 200, {**INTENT.sent, "name": "a", "lastModified": 2}, {}, 41, T(2)))
    assert [one.kind for one in entries] == ["update"]


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
    assert "future = { a = [1] }" in render.render_entry(entry, Style(), is_whole=True)


def whole(*records: Record) -> journal.Chain:
    """A journal of which each line follows from the one before, whatever it says."""
    head, lines = journal.anchor("l"), b""
    for record in (Genesis("l", 1, T(0)), *records):
        line, head = journal.encode(record, head)
        lines += line
    return journal.verify_all(lines, "x.journal.jsonl")[1]


@pytest.mark.parametrize(
    "records",
    [
        (Applied(A, 200, {}, {}, 1, T(1)),),
        (Moved(A, B, T(1)),),
        (Imported(A, KNOWN, T(1)), INTENT, INTENT),
        (INTENT, Rejected(A, 400, "", False, None, 10**400, T(1))),
    ],
)
def test_records_that_can_not_be_are_an_error_that_names_the_journal(records):
    with pytest.raises(Damaged, match=r"^x\.journal\.jsonl: its records contradict each other"):
        entries_of(whole(*records))


def test_what_a_forger_wrote_in_a_time_or_a_field_s_name_does_nothing_to_a_terminal_or_a_comment():
    at, name = "\x1b[2J\u202e @all", "\x1b[31m|<b>"
    found = entries_of(whole(Imported(A, {**KNOWN, name: "x"}, at), Refreshed(A, {**KNOWN, name: "y"}, {}, at)))
    for entry in found:
        shown = render.render_entry(entry, Style(), is_whole=True)
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\\u001b[31m|<b>" in shown
    table = render.history_to_markdown(found, is_whole=True)
    assert "`\\u001b[2J\\u202e @all`" in table
    assert "`\\u001b[31m\\|<b>`" in table
    assert "\x1b" not in table


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "description": st.sampled_from(["", "x", " X ", "y"]),
        "tags": st.sampled_from([[], ["p"], ["q", "p"]]),
        "isVerified": st.booleans(),
        "team": st.sampled_from([None, "t"]),
        "future": st.sampled_from([1, {"a": None}]),
    },
)
ADDRESSES = st.sampled_from([A, B])
STEPS = st.one_of(
    st.just(BEGIN),
    st.just(End("ok", T(9))),
    st.builds(Intent, ADDRESSES, st.just("PATCH"), st.just("n"), FIELDS, FIELDS, st.just(T(1))),
    st.builds(Applied, ADDRESSES, st.just(200), FIELDS, st.just({}), st.just(1), st.just(T(2))),
    st.builds(Rejected, ADDRESSES, st.just(400), st.just(""), st.just(False), st.none(), st.just(1), st.just(T(2))),
    st.builds(Unknown, ADDRESSES, st.just(""), st.just(1), st.just(T(3))),
    st.builds(Resolved, ADDRESSES, st.just("applied"), FIELDS, st.just({}), st.just(T(4))),
    st.builds(Resolved, ADDRESSES, st.just("not applied"), st.none(), st.just({}), st.just(T(4))),
    st.builds(Resolved, ADDRESSES, st.just("superseded"), st.none() | FIELDS, st.just({}), st.just(T(5))),
    st.builds(Imported, ADDRESSES, FIELDS, st.just(T(6))),
    st.builds(Refreshed, ADDRESSES, st.none() | FIELDS, st.just({}), st.just(T(7))),
    st.builds(Moved, ADDRESSES, ADDRESSES, st.just(T(8))),
    st.builds(Forgotten, ADDRESSES, st.just(T(9))),
)


def echoed(fold: Fold, step: Record) -> Record:
    """An answer as a run records it: with what was accepted and not returned."""
    match step:
        case Applied(data=dict(data)) | Resolved(verdict="applied", data=dict(data)) if step.address in fold.unresolved:
            intent = fold.unresolved[step.address]
            return evolve(step, unreturned=compare_echo(ASSIGNMENT_SOURCE, intent.before, intent.sent, data).unreturned)
        case _:
            return step


def possible(steps: list[Record]) -> tuple[list[Record], list[Mapping[Address, ResourceState]]]:
    """Those of the steps that make sense after the ones before, and what the state knows of each address after each."""
    fold, records, known = Fold(EMPTY), [], []
    for step in (Genesis("l", 1, T(0)), *steps):
        record = echoed(fold, step)
        try:
            fold.add(record)
        except ValueError:
            continue
        records.append(record)
        known.append(fold.snapshot("", 0).resources)
    return records, known


def last_on_each_request(records: list[Record]) -> list[tuple[str, str]]:
    """Of each intent its time, and the number of the last record on it."""
    found: list[list[str]] = []
    latest: dict[Address, int] = {}
    for number, record in enumerate(records):
        match record:
            case Intent(address):
                latest[address] = len(found)
                found.append([record.at, str(number)])
            case Applied(address) | Rejected(address) | Unknown(address) | Resolved(address):
                found[latest[address]][1] = str(number)
    return [(at, number) for at, number in found]


@given(st.lists(STEPS, max_size=40))
def test_every_record_of_a_change_is_in_exactly_one_entry(steps):
    records, _ = possible(steps)
    entries = read_history((str(number), record) for number, record in enumerate(records))
    requests = [(entry.at, entry.hash) for entry in entries if entry.kind in {"update", "adopt"}]
    assert requests == last_on_each_request(records)
    arranged = [int(entry.hash) for entry in entries if entry.kind not in {"update", "adopt", "drift"}]
    assert arranged == [n for n, one in enumerate(records) if isinstance(one, Imported | Refreshed | Moved | Forgotten)]
    drifts = [records[int(entry.hash)] for entry in entries if entry.kind == "drift"]
    assert all(isinstance(one, Applied | Resolved) for one in drifts)
    assert len(drifts) == len(set(map(id, drifts)))


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=40))
def test_who_reads_the_history_knows_every_value_in_the_state(steps):
    records, known = possible(steps)
    entries = read_history((str(number), record) for number, record in enumerate(records))
    told: dict[Address, dict[str, object]] = {}
    for entry in sorted(entries, key=lambda one: int(one.hash)):
        number = int(entry.hash)
        retell(told, entry, known[number - 1].get(entry.address), known[number].get(entry.address))
        for address, one in known[number].items() if entry is last_of(entries, entry.hash) else ():
            # Of a field that statform does not know no drift is told: it may move with each answer.
            for name in ASSIGNMENT_SOURCE.field.keys() | {"name"}:
                kind = ASSIGNMENT_SOURCE.field[name].kind if name in ASSIGNMENT_SOURCE.field else String()
                assert is_same(kind, told[address].get(name), one.values.get(name)), (address, name)


def retell(
    told: dict[Address, dict[str, object]],
    entry: HistoryEntry,
    before: ResourceState | None,
    after: ResourceState | None,
) -> None:
    """Change what was told so far of each address as the entry says; `before` and `after` are what the state knows."""
    match entry:
        case HistoryEntry(kind="forget") | HistoryEntry(kind="refresh", reason="the source is gone"):
            told.pop(entry.address, None)
        case HistoryEntry(kind="move", moved_to=to):
            told[to] = told.pop(entry.address)
        case HistoryEntry(kind="import" | "refresh" | "drift"):
            told.setdefault(entry.address, {}).update(values_of(entry))
        case HistoryEntry(outcome="applied" | "resolved as applied" | "not accepted"):
            # Of what was adopted, what was there before and nobody sent is told by no entry.
            told.setdefault(entry.address, dict(after.values)).update(values_of(entry))
        case HistoryEntry(outcome="superseded") if before is None and after is not None:
            told[entry.address] = dict(after.values)
        case HistoryEntry(outcome="superseded") if after is not before:
            # What the API never returned is not known any more.
            for name in before.unreturned.keys() - before.data.keys() - after.values.keys():
                del told[entry.address][name]


def values_of(entry: HistoryEntry) -> dict[str, object]:
    return {change.field.name: change.after for change in entry.changes}


def last_of(entries: list[HistoryEntry], hash_: str) -> HistoryEntry:
    """The last of those that one record made."""
    return [one for one in entries if one.hash == hash_][-1]


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


def test_an_address_includes_what_it_was_moved_from_up_to_the_move():
    entries = history(
        BEGIN, INTENT, Rejected(A, 400, "", False, None, 1, T(2)), Moved(A, B, T(3)), Imported(A, {}, T(4))
    )
    assert [e.kind for e in Filter(frozenset([B])).of(entries)] == ["update", "move"]
    assert [e.kind for e in Filter(frozenset([A])).of(entries)] == ["update", "move", "import"]
    assert [e.kind for e in Filter(frozenset([B]), since=T(3)).of(entries)] == ["move"]


def test_filters():
    assert [e.kind for e in Filter(who=frozenset(["bob"])).of(ENTRIES)] == ["refresh", "forget"]
    assert [list(shown(e)) for e in Filter(fields=frozenset(["tags"])).of(ENTRIES)] == [["tags"]]
    assert [e.kind for e in Filter(since=T(4), until=T(5)).of(ENTRIES)] == ["refresh"]
    assert Filter(addresses=frozenset([B])).of(ENTRIES) == []


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


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7", "7y", "2026-13-01", "999999w", "20261101", "2026-W45", "2026-11-01T10", "9999-12-31"]
)
def test_a_text_that_is_no_time_is_refused(text):
    with pytest.raises((ValueError, OverflowError)):
        parse_when(text, NOW, is_end=True)


def test_a_history_as_a_person_reads_it():
    assert "\n".join(render.render_entry(entry, Style()) for entry in ENTRIES) == (
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


def test_a_history_as_a_comment_has_it():
    assert render.history_to_markdown(ENTRIES[1:]) == (
        "| when | who | address | action | field | from | to | outcome |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| `2026-11-01 10:00:04Z` | `bob@ci` | `assignment_source.a` | refresh | `description` "
        '| `"x"` | ``"a\\|b `c`"`` | recorded |\n'
        "| `2026-11-01 10:00:05Z` | `bob@ci` | `assignment_source.a` | forget |  |  |  | recorded |\n"
    )


def test_a_comment_has_the_latest_entries_of_a_long_history_and_says_how_many_are_left_out():
    latest = evolve(ENTRIES[0], name="latest", reason="latest")
    table = render.history_to_markdown([ENTRIES[0]] * 2000 + [latest])
    assert len(table) <= 65_536
    *rows, rest, note = table.splitlines()[2:]
    assert rest == ""
    assert all("`latest`" in row for row in rows[-2:])
    assert note == f"… and {2 * 2001 - len(rows):,} earlier rows; `statform history` shows all of them."


def test_an_import_is_counted_unless_its_fields_are_asked_for():
    (entry,) = read_history([("0", Genesis("l", 1, T(0))), ("1", Imported(A, KNOWN, T(1)))])
    assert render.render_entry(entry, Style()).splitlines()[1:] == ["      2 fields"]
    assert "| import | 2 fields |  |  | recorded |" in render.history_to_markdown([entry])
    assert render.history_to_markdown([entry], is_whole=True).count("\n| `2026") == 2


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_on_a_narrow_terminal_the_line_is_folded_between_its_facts(width):
    (entry,) = history(BEGIN, INTENT, Applied(A, 200, {**KNOWN, **INTENT.sent}, {}, 41, T(2)))
    lines = render.render_entry(entry, Style(width)).splitlines()
    assert max(map(width_of, lines)) <= width
    assert all(line.startswith("    ") for line in lines[1:])
    facts = [line.strip() for line in lines if not line.startswith("      ")]
    assert "  ".join(facts) == render.render_entry(entry, Style()).splitlines()[0]


def test_a_history_as_a_tool_reads_it():
    assert render.entry_to_json(ENTRIES[1]) == {
        "at": T(4),
        "who": "bob",
        "host": "ci",
        "actor": None,
        "run": {},
        "commit": None,
        "version": "0.1.0",
        "action": "refresh",
        "address": A,
        "name": "a",
        "fields": [{"field": "description", "from": "x", "to": "a|b `c`"}],
        "outcome": "recorded",
        "reason": None,
        "seconds": None,
        "moved_to": None,
        "hash": "6",
    }
