from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from strategies import json_values

from planner.diff import NAME, FieldChange
from planner.who import Log, LogEntry, parse_entry

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
    assert isinstance(Log.of([entry], "assignment_source").entries, list)


def at(minute: int) -> datetime:
    return datetime(2026, 11, 23, 10, minute, tzinfo=UTC)


def entry(by, minute, changes=None, action="update_assignment_source", name="a"):
    return LogEntry(name, action, None if minute is None else at(minute), by, None, changes or {})


CHANGE = FieldChange(NAME, "x", "z", None)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], None),
        ([entry("made it", 1, {"name": ("x", "z")}), entry("other", 2, {"name": ("z", "q")})], ("made it", True)),
        ([entry("first", 1, {"name": ("x", "z")}), entry("again", 2, {"name": ("y", "z")})], ("again", True)),
        ([entry("touched", 1, {"name": ("x", "y")}), entry("silent", 2)], ("touched", True)),
        ([entry("silent", 1), entry("later", 2, {"team": (None, "t")})], ("silent", False)),
        ([entry("of another source", 1, {"name": ("x", "z")}, name="b")], None),
        ([entry("of another type", 1, {"name": ("x", "z")}, action="update_metric_source")], None),
        ([entry("made the source", 1, action="create_assignment_source")], None),
        ([entry("loaded it", 1, action="load_echidna_assignment_source")], None),
        ([entry("no time", None, {"name": ("x", "z")})], ("no time", True)),
    ],
)
def test_who_changed_a_field(entries, expected):
    found = Log.of(entries, "assignment_source").who_changed("a", CHANGE, SINCE)
    assert (found and (found.by, found.is_sure)) == expected


def test_what_was_before_the_state_is_no_cause():
    old = LogEntry(
        "a",
        "update_assignment_source",
        datetime(2026, 11, 23, 9, 54, tzinfo=UTC),
        "x",
        None,
        {"name": ("x", "z")},
    )
    assert Log.of([old], "assignment_source").who_changed("a", CHANGE, SINCE) is None


def test_who_removed_and_who_made():
    log = Log.of(
        [
            entry("deleted it", 2, action="delete_assignment_source"),
            entry("renamed it", 3, {"name": ("b", "c")}, action="update_echidna_assignment_source_name", name="c"),
            entry("made it", 1, action="create_assignment_source", name="new"),
        ],
        "assignment_source",
    )
    removed, renamed, made = log.who_removed("a", SINCE), log.who_removed("b", SINCE), log.who_made("new")
    assert [one and one.by for one in (removed, renamed, made)] == ["deleted it", "renamed it", "made it"]
    assert log.who_removed("d", SINCE) is log.who_made("d") is None
