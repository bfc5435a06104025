"""Who changed what behind statform's back, as far as the project's own audit log tells.

Pure: `client` reads the log. Its shape is published, its order and its completeness are not; an entry that lacks
something tells that much less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone

from attrs import field, frozen

from planner.diff import FieldChange
from planner.fields import is_satisfied
from state.records import JSON, Object

CLOCKS_DIFFER_BY = timedelta(minutes=5)
"""An entry may be older than the state by this much and still be a change that came after it."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"\w{3} (\w{3}) (\d{1,2}) (\d{4})")
_TIME = re.compile(r"(\d{2}):(\d{2}):(\d{2}) GMT([+-])(\d{2})(\d{2})\b.*")


@frozen
class LogEntry:
    """One line of the project's audit log: `name` is that of the object, `changes` lead from old to new by field."""

    name: str
    action: str
    at: datetime | None
    by: str | None
    email: str | None
    changes: Mapping[str, tuple[JSON, JSON]]


@frozen
class Author:
    """Who did it, and when (RFC 3339 in UTC). `is_sure`: the log names the field, not just the source."""

    by: str | None
    email: str | None
    at: str | None
    is_sure: bool


def parse_entry(value: Object) -> LogEntry:
    """The entry as the API lists it; what is not as published counts as not told."""
    changes = value.get("changes")
    pairs = changes.items() if isinstance(changes, dict) else ()
    return LogEntry(
        _text(value.get("name")) or "",
        _text(value.get("actionType")) or "",
        _parse_time(_text(value.get("date")) or "", _text(value.get("time")) or ""),
        _text(value.get("updatedBy")),
        _text(value.get("modifierEmail")),
        {field: (pair.get("old"), pair.get("new")) for field, pair in pairs if isinstance(pair, dict)},
    )


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) and value else None


def _parse_time(date: str, time: str) -> datetime | None:
    """`Mon Sep 26 2022` and `23:46:14 GMT+0000 (Coordinated Universal Time)`."""
    on, at = _DATE.fullmatch(date), _TIME.fullmatch(time)
    if not on or not at or on[1] not in _MONTHS:
        return None
    offset = timedelta(hours=int(at[5]), minutes=int(at[6])) * (-1 if at[4] == "-" else 1)
    try:
        day = (int(on[3]), _MONTHS.index(on[1]) + 1, int(on[2]))
        local = datetime(*day, int(at[1]), int(at[2]), int(at[3]), tzinfo=timezone(offset))
        return local.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


@frozen
class Authors:
    """Who changed each field that drifted, removed each source that is gone, made each that nobody manages.

    Who is not in there, the log does not tell of. `problem` is why it could not be read at all.
    """

    changed: Mapping[tuple[str, str], Author] = field(factory=dict)
    removed: Mapping[str, Author] = field(factory=dict)
    made: Mapping[str, Author] = field(factory=dict)
    problem: str | None = None


@frozen
class Log:
    """The entries of one resource type, the newest first."""

    entries: Sequence[LogEntry]

    @classmethod
    def of(cls, entries: Iterable[LogEntry], type_name: str) -> Log:
        own = [entry for entry in entries if type_name in entry.action]
        first = datetime.min.replace(tzinfo=timezone.utc)
        return cls(sorted(own, key=lambda entry: entry.at or first, reverse=True))

    def who_changed(self, name: str, change: FieldChange, since: str) -> Author | None:
        """Of the entries on the source since the state knew it: the one that made the value, else that touched the
        field, else, if it does not tell its fields, the newest.
        """
        found = self._since(name, since)
        name_ = change.field.name
        touching = [entry for entry in found if name_ in entry.changes]
        making = [e for e in touching if is_satisfied(change.field.kind, e.changes[name_][1], change.after)]
        silent = [entry for entry in found if not entry.changes and not entry.action.startswith(("create_", "load_"))]
        return _author(making or touching, is_sure=True) or _author(silent, is_sure=False)

    def who_removed(self, name: str, since: str) -> Author | None:
        """Who deleted the source or gave it another name."""
        found = self._since(name, since)
        gone = [e for e in found if e.action.startswith("delete_")]
        renamed = [e for e in self._since(None, since) if e.changes.get("name", (None, None))[0] == name]
        return _author(gone or renamed, is_sure=True)

    def who_made(self, name: str) -> Author | None:
        return _author([e for e in self.entries if e.name == name and e.action.startswith("create_")], is_sure=True)

    def _since(self, name: str | None, since: str) -> list[LogEntry]:
        earliest = datetime.fromisoformat(since.replace("Z", "+00:00")) - CLOCKS_DIFFER_BY
        return [e for e in self.entries if (name is None or e.name == name) and (e.at is None or e.at >= earliest)]


def _author(entries: Sequence[LogEntry], *, is_sure: bool) -> Author | None:
    if not entries:
        return None
    at = entries[0].at
    shown = None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Author(entries[0].by, entries[0].email, shown, is_sure)
