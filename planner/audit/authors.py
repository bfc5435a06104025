"""Who changed what behind statform's back, as far as the project's own audit log tells.

Pure: `client` reads the log. Its shape is published, its order and its completeness are not; an entry that lacks
something tells that much less.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone

from attrs import field, frozen

from planner.definitions.fields import Kind, is_satisfied
from planner.plan.diff import ABSENT, FieldChange, Value
from state.values import JSON, Object

CLOCKS_DIFFER_BY = timedelta(minutes=5)
"""An entry may be older than the state by this much and still be a change that came after it."""
FIRST_DAY = date(2020, 1, 1)
"""Before any entry: Statsig is younger."""
_NEVER = datetime.min.replace(tzinfo=timezone.utc)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"\w{3} (\w{3}) (\d{1,2}) (\d{4})")
_TIME = re.compile(r"(\d{2}):(\d{2}):(\d{2}) GMT([+-])(\d{2})(\d{2})\b.*")
# As in update_echidna_assignment_source_is_verified; of some changes the log says "source" for any kind of source.
_ACTION = re.compile(r"([a-z]+)_(?:echidna_)?(\w{0,40}?source)(?:_(\w{1,40}))?")


@frozen
class LogEntry:
    """One line of the project's audit log: `name` is that of the object, `changes` lead from old to new by field."""

    name: str
    action: str
    at: datetime | None
    by: str | None
    email: str | None
    changes: Mapping[str, tuple[JSON, JSON]]

    @property
    def deed(self) -> tuple[str, str, str]:
        """What was done, to which type, and to which field of it alone; each "" where the action tells none."""
        found = _ACTION.fullmatch(self.action)
        if found is None:
            return "", "", ""
        first, *rest = (found[3] or "").split("_")
        return found[1], found[2], first + "".join(map(str.capitalize, rest))

    @property
    def names(self) -> tuple[str, str] | None:
        """The names that a rename leads from and to."""
        match self.changes.get("name"):
            case (str(was), str(now)):
                return was, now
            case _:
                return None


@frozen
class Author:
    """Who did it, and when (RFC 3339 in UTC). `is_sure`: the log names the field, not just the source.

    Of a rename, `was` is the name before of what is there now, `now` the name after of what is gone.
    """

    by: str | None
    email: str | None
    at: str | None
    is_sure: bool
    was: str | None = None
    now: str | None = None


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
    """The entries on one resource type, the newest first."""

    entries: Sequence[LogEntry]
    _by_name: Mapping[str, Sequence[int]]
    """Which entries tell of a name: of the object now, or before or after a rename."""

    @classmethod
    def of(cls, entries: Iterable[LogEntry], type_name: str) -> Log:
        own = [entry for entry in entries if entry.deed[1] in {type_name, "source"}]
        own.sort(key=lambda entry: entry.at or _NEVER, reverse=True)
        by_name: dict[str, list[int]] = defaultdict(list)
        for index, entry in enumerate(own):
            for name in {entry.name, *(entry.names or ())}:
                by_name[name].append(index)
        return cls(own, by_name)

    def who_changed(self, name: str, change: FieldChange, since: str) -> Author | None:
        """Of the entries on the source since the state knew it: the one that made the value; else the newest that
        touched the field, or that does not tell what it touched.
        """
        of, likely = change.field, None
        for entry in self._history(name, since):
            if of.name in entry.changes:
                value = entry.changes[of.name][1]
                if _is_same(of.kind, value, change.after):
                    return _author(entry, is_sure=True)
                # What made the prior is why the state has it: an apply is in the log as well.
                is_likely = not _is_same(of.kind, value, change.before)
            else:
                is_likely = _may_touch(entry, of.name) and (entry.at is None or entry.at > _moment(since))
            likely = entry if is_likely and likely is None else likely
        return None if likely is None else _author(likely, is_sure=of.name in (*likely.changes, likely.deed[2]))

    def who_removed(self, name: str, since: str) -> Author | None:
        """Who deleted the source or gave it another name, whichever came last."""
        for _, entry in self._since(name, since):
            verb, _, field_name = entry.deed
            if entry.names is not None and entry.names[0] == name:
                return _author(entry, is_sure=True, now=entry.names[1])
            if entry.name == name and verb == "delete" and not field_name:
                return _author(entry, is_sure=True)
            if entry.name == name and field_name == "name" and not entry.changes:
                return _author(entry, is_sure=False)
        return None

    def who_made(self, name: str) -> Author | None:
        """Who created the source or gave it this name, whichever came last."""
        for entry in (self.entries[index] for index in self._by_name.get(name, ())):
            verb, _, field_name = entry.deed
            if entry.names is not None and entry.names[1] == name:
                return _author(entry, is_sure=True, was=entry.names[0])
            if entry.name == name and verb == "create" and not field_name:
                return _author(entry, is_sure=True)
        return None

    def _history(self, name: str, since: str) -> Iterator[LogEntry]:
        """The entries on the source that has the name now, whatever it was called then."""
        position: int | None = -1
        while position is not None:
            after, position = position, None
            for index, entry in self._since(name, since):
                was, now = entry.names or (None, None)
                if index <= after:
                    continue
                if was == name != now:
                    break
                yield entry
                if was is not None and now == name:
                    name, position = was, index
                    break

    def _since(self, name: str, since: str) -> Iterator[tuple[int, LogEntry]]:
        earliest = max(_moment(since), _NEVER + CLOCKS_DIFFER_BY) - CLOCKS_DIFFER_BY
        for index in self._by_name.get(name, ()):
            entry = self.entries[index]
            if entry.at is None or entry.at >= earliest:
                yield index, entry


def action_types(type_name: str) -> tuple[str, ...]:
    """The published action types that can explain a drift. A whole log, of all that a project does, can be long."""
    own = ("create_{}", "update_{}", "update_{}_name", "update_{}_is_verified", "delete_{}")
    # These are of sources of every type.
    common = ("update_echidna_source_is_verified", "update_echidna_source_owner")
    return (*(action.format(f"echidna_{type_name}") for action in own), *common)


def first_day(times: Iterable[str]) -> date:
    """The day from which on the log has to be read to tell what came after the earliest of these times."""
    earliest = min(map(_moment, times))
    # A day more: which time zone the log's days are in is not published.
    return max(earliest.date(), FIRST_DAY + timedelta(days=1)) - timedelta(days=1)


def _moment(text: str) -> datetime:
    """The time that the state gives; before all others if it is none, which a state that was edited may have."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return _NEVER
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _may_touch(entry: LogEntry, field_name: str) -> bool:
    """Whether the entry can be about the field although it does not list what changed."""
    verb, _, only = entry.deed
    return not entry.changes and verb not in {"delete", "load"} and only in {"", field_name}


def _is_same(kind: Kind, value: JSON, other: Value) -> bool:
    return other is not ABSENT and is_satisfied(kind, value, other) and is_satisfied(kind, other, value)


def _author(entry: LogEntry, *, is_sure: bool, was: str | None = None, now: str | None = None) -> Author:
    at = None if entry.at is None else entry.at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Author(entry.by, entry.email, at, is_sure, was, now)
