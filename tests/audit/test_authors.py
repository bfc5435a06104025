from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values

from planner.audit.authors import Log, first_day
from planner.console.audit_log import FIRST_DAY, LogEntry, action_types, parse_entry
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.plan.diff import ABSENT, FieldChange

UTC = timezone.utc
SINCE = "2026-11-23T10:00:00.000Z"
PUBLISHED = {
    "id": "1",
    "name": "exposures",
    "changeLog": "",
    "actionType": "update_assignment_source",
    "date": "Mon Sep 26 2022",
    "time": "23:46:14 GMT+0000 (Coordinated Universal Time)",
    "updatedBy": "Ana",
    "updatedByUserID": "u",
    "modifierEmail": "ana@example.com",
    "changes": {"description": {"old": "x", "new": "y"}},
    "tags": [],
}


def test_an_entry_as_published():
    at = datetime(2022, 9, 26, 23, 46, 14, tzinfo=UTC)
    changes = {"description": ("x", "y")}
    assert parse_entry(PUBLISHED) == LogEntry(
        "exposures", "update_assignment_source", at, "Ana", "ana@example.com", changes
    )


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("Thu Jan 1 2026", "01:30:00 GMT+0200 (CET)", datetime(2025, 12, 31, 23, 30, tzinfo=UTC)),
        ("Thu Jan 1 2026", "23:30:00 GMT-0130", datetime(2026, 1, 2, 1, 0, tzinfo=UTC)),
        ("Thu Foo 1 2026", "01:30:00 GMT+0200", None),
        ("Thu Jan 32 2026", "01:30:00 GMT+0000", None),
        ("Thu Jan 1 2026", "25:30:00 GMT+0000", None),
        ("Thu Jan 1 0001", "00:30:00 GMT+2359", None),
        ("2026-01-01", "01:30:00 GMT+0000", None),
        (7, None, None),
    ],
)  # fmt: skip
def test_times(date, time, expected):
    assert parse_entry({**PUBLISHED, "date": date, "time": time}).at == expected


@given(json_values, json_values, json_values)
def test_whatever_an_entry_holds_it_is_read(name, changes, action):
    entry = parse_entry({"name": name, "changes": changes, "actionType": action, "date": changes, "time": action})
    assert isinstance(Log.of([entry], ASSIGNMENT_SOURCE).entries, list)


@given(st.sampled_from(ASSIGNMENT_SOURCE.fields), json_values, json_values, json_values)
def test_whatever_a_change_is_told_to_have_made_it_is_compared(field, value, before, after):
    told = entry("x", 1, {field.name: (None, value)})
    Log.of([told], ASSIGNMENT_SOURCE).who_changed("a", FieldChange(field, before, after, None), SINCE)


def at(minute: int) -> datetime:
    return datetime(2026, 11, 23, 10, minute, tzinfo=UTC)


def entry(by, minute, changes=None, action="update_echidna_assignment_source", name="a"):
    return LogEntry(name, action, None if minute is None else at(minute), by, None, changes or {})


def renaming(by, minute, was, now, name=None):
    changes = {"name": (was, now)}
    return entry(by, minute, changes, "update_echidna_assignment_source_name", now if name is None else name)


def made(value, was="x"):
    return {"team": (was, value)}


CHANGE = FieldChange(ASSIGNMENT_SOURCE.field["team"], "x", "z", None)
CREATE, DELETE, LOAD, VERIFY, OWN, HOUR = (
    "create_echidna_assignment_source",
    "delete_echidna_assignment_source",
    "load_echidna_assignment_source",
    "update_echidna_assignment_source_is_verified",
    "update_echidna_source_owner",
    "set_echidna_schedule_hour",
)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], None),
        ([entry("made it", 1, made("z")), entry("other", 2, made("q"))], ("made it", True)),
        ([entry("first", 1, made("z")), entry("again", 2, made("z", "y"))], ("again", True)),
        ([entry("again", 2, made("z", "y")), entry("first", 1, made("z"))], ("again", True)),
        ([entry("touched", 1, made("y"))], ("touched", True)),
        ([entry("touched", 1, made("y")), entry("silent", 2)], ("silent", False)),
        ([entry("silent", 1), entry("touched", 2, made("y"))], ("touched", True)),
        ([entry("made it", 1, made("z")), entry("silent", 2)], ("made it", True)),
        ([entry("silent", 1), entry("later", 2, {"description": ("", "t")})], ("silent", False)),
        ([entry("made the prior", 1, made("x", "w"))], None),
        ([entry("silent", 1), entry("made the prior", 2, made("x", "y"))], ("silent", False)),
        ([entry("of another source", 1, made("z"), name="b")], None),
        ([entry("of another type", 1, made("z"), action="update_echidna_metric_source")], None),
        ([entry("of no type", 1, made("z"), action="gate_update")], None),
        ([entry("as of any type", 1, made("z"), action="update_assignment_source")], ("as of any type", True)),
        ([entry("made it anew", 1, action=CREATE)], ("made it anew", False)),
        ([entry("deleted it", 1, action=DELETE)], None),
        ([entry("loaded it", 1, action=LOAD)], None),
        ([entry("of another field", 1, action=VERIFY)], None),
        ([entry("no time", None, made("z"))], ("no time", True)),
        ([entry("no time", None), entry("silent", 1)], ("silent", False)),
    ],
)  # fmt: skip
def test_who_changed_a_field(entries, expected):
    found = Log.of(entries, ASSIGNMENT_SOURCE).who_changed("a", CHANGE, SINCE)
    assert (found and (found.by, found.is_sure)) == expected


@pytest.mark.parametrize(("action", "field"), [(VERIFY, "isVerified"), (OWN, "owner"), (HOUR, "scheduledReloadHour")])
def test_an_action_on_one_field_alone_names_it(action, field):
    change = FieldChange(ASSIGNMENT_SOURCE.field[field], ABSENT, True, None)
    found = Log.of([entry("x", 1, action=action)], ASSIGNMENT_SOURCE).who_changed("a", change, SINCE)
    assert found is not None
    assert found.is_sure


@pytest.mark.parametrize(
    ("field", "value", "is_it"),
    [
        ("tags", ["b", "a"], True),
        ("tags", ["a"], False),
        ("tags", "ab", False),
        ("isVerified", 1, False),
        ("owner", {"ownerID": "1"}, False),
        ("owner", {"ownerID": "1", "ownerName": "n", "ownerType": "USER"}, False),
        ("owner", {"ownerID": "1", "ownerName": "n"}, True),
    ],
)
def test_who_made_a_value_is_told_from_who_touched_the_field(field, value, is_it):
    after = {"tags": ["a", "b"], "isVerified": True, "owner": {"ownerID": "1", "ownerName": "n"}}[field]
    entries = [entry("maker", 1, {field: (None, value)}), entry("later", 2, {field: (None, "?")})]
    change = FieldChange(ASSIGNMENT_SOURCE.field[field], ABSENT, after, None)
    found = Log.of(entries, ASSIGNMENT_SOURCE).who_changed("a", change, SINCE)
    assert found is not None
    assert found.by == ("maker" if is_it else "later")


@pytest.mark.parametrize(
    ("seconds", "changes", "is_told"),
    [
        (-300, made("z"), True),
        (-301, made("z"), False),
        (1, None, True),
        # So near to the state's own request, what does not tell its fields is most likely that request.
        (0, None, False),
    ],
)
def test_an_entry_from_before_the_state_is_not_the_cause(seconds, changes, is_told):
    told = LogEntry(
        "a", "update_echidna_assignment_source", at(0) + timedelta(seconds=seconds), "x", None, changes or {}
    )
    found = Log.of([told], ASSIGNMENT_SOURCE).who_changed("a", CHANGE, SINCE)
    assert (found is not None) == is_told


@pytest.mark.parametrize("since", ["", "yesterday", "0001-01-01T00:00:00Z", "2026-11-23T10:00:00", "2026-11-23"])
def test_a_time_in_the_state_that_somebody_edited_does_no_harm(since):
    log = Log.of([entry("x", 1, made("z")), entry("y", 2, action=DELETE)], ASSIGNMENT_SOURCE)
    assert log.who_changed("a", CHANGE, since).by == "x"
    assert log.who_removed("a", since).by == "y"
    assert FIRST_DAY <= first_day([since]) <= date(2026, 11, 22)


def test_the_log_is_read_from_the_day_before_the_earliest():
    assert first_day(["2026-11-23T00:01:00.000Z", "2026-11-21T23:59:00.000Z"]) == date(2026, 11, 20)


def test_a_source_is_followed_through_its_names():
    entries = [
        entry("before it was there", 1, made("z"), name="a"),
        renaming("the other one left", 2, "a", "c"),
        entry("under its old name", 3, made("z"), name="b"),
        renaming("it came", 4, "b", "a"),
        entry("the other one, as b", 5, made("z"), name="b"),
    ]
    found = Log.of(entries, ASSIGNMENT_SOURCE).who_changed("a", CHANGE, SINCE)
    assert (found and found.by) == "under its old name"
    entries = [*entries[:2], *entries[3:]]
    found = Log.of(entries, ASSIGNMENT_SOURCE).who_changed("a", CHANGE, SINCE)
    assert found is None
    entries = [entry("then", 1, made("z")), renaming("away", 2, "a", "b"), renaming("and back", 3, "b", "a")]
    assert Log.of(entries, ASSIGNMENT_SOURCE).who_changed("a", CHANGE, SINCE).by == "then"


def test_an_entry_about_another_source_of_the_same_name_is_not_the_cause():
    entries = [entry("to the other", 1, made("z")), renaming("it left", 2, "a", "c"), entry("anew", 3, action=CREATE)]
    assert Log.of(entries, ASSIGNMENT_SOURCE).who_changed("a", CHANGE, SINCE).by == "anew"


def test_many_renames_are_followed():
    entries = [renaming("x", 1, f"n{n + 1}", f"n{n}") for n in range(5000)] + [entry("x", 0, made("z"), name="n5000")]
    assert Log.of(entries, ASSIGNMENT_SOURCE).who_changed("n0", CHANGE, SINCE).is_sure


def told(author):
    return author and (author.by, author.is_sure, author.was, author.now)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], None),
        ([entry("deleted it", 2, action=DELETE)], ("deleted it", True, None, None)),
        ([entry("too early", None, action="x")], None),
        ([renaming("renamed it", 2, "a", "c")], ("renamed it", True, None, "c")),
        ([renaming("told by its old name", 2, "a", "c", "a")], ("told by its old name", True, None, "c")),
        ([entry("silent", 2, action=CREATE.replace("create", "update") + "_name")], ("silent", False, None, None)),
        ([renaming("first", 1, "a", "c"), entry("then", 2, action=DELETE)], ("then", True, None, None)),
        ([entry("first", 1, action=DELETE), renaming("then", 2, "a", "c")], ("then", True, None, "c")),
        ([renaming("to it", 1, "b", "a")], None),
        ([entry("changed it", 1, made("z"))], None),
        ([entry("a review of it", 1, action="delete_echidna_source_review")], None),
    ],
)  # fmt: skip
def test_who_removed_a_source(entries, expected):
    assert told(Log.of(entries, ASSIGNMENT_SOURCE).who_removed("a", SINCE)) == expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], None),
        ([entry("made it", 1, action=CREATE)], ("made it", True, None, None)),
        ([entry("another", 1, action=CREATE, name="b")], None),
        ([entry("a review of it", 1, action="create_echidna_source_review")], None),
        ([entry("changed it", 1, made("z"))], None),
        ([renaming("renamed it", 1, "b", "a")], ("renamed it", True, "b", None)),
        ([entry("first", 1, action=CREATE), renaming("then", 2, "b", "a")], ("then", True, "b", None)),
        ([renaming("first", 1, "b", "a"), entry("then", 2, action=CREATE)], ("then", True, None, None)),
    ],
)
def test_who_made_a_source(entries, expected):
    assert told(Log.of(entries, ASSIGNMENT_SOURCE).who_made("a")) == expected


def test_the_action_types_are_those_that_are_published():
    assert {CREATE, DELETE, VERIFY, OWN} < set(action_types(ASSIGNMENT_SOURCE))
    assert LOAD not in action_types(ASSIGNMENT_SOURCE)
    for action in action_types(ASSIGNMENT_SOURCE):
        assert Log.of([entry("x", 1, action=action)], ASSIGNMENT_SOURCE).entries
