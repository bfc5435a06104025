"""Who changed what without statform, as far as the project's own audit log says.

Pure: `client` reads the log. An entry may have missing parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone

from attrs import field, frozen

from planner.clock import as_timestamp, moment_of
from planner.console.audit_log import ANY_TYPE, FIRST_DAY, LogEntry
from planner.definitions.addresses import RemoteName
from planner.definitions.equality import is_satisfied
from planner.definitions.fields import Kind
from planner.definitions.resources import ResourceType
from planner.plan.diff import ABSENT, FieldChange, Value
from state.values import JSON, Address

CLOCKS_DIFFER_BY = timedelta(minutes=5)
"""An entry may be older than the state by this much and still be a change that came after it."""
_NEVER = datetime.min.replace(tzinfo=timezone.utc)


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


@frozen
class Authors:
    """Who changed each field that drifted, removed each source that is gone, made each that nobody manages.

    `changed` is by address and field, `removed` by address, `made` by type name and remote name. If somebody is missing
    here, the log does not have it. `problem` says why the log could not be read at all.
    """

    changed: Mapping[tuple[Address, str], Author] = field(factory=dict)
    removed: Mapping[Address, Author] = field(factory=dict)
    made: Mapping[RemoteName, Author] = field(factory=dict)
    problem: str | None = None


@frozen
class Log:
    """The entries on one resource type, the newest first."""

    entries: Sequence[LogEntry]
    _by_name: Mapping[str, Sequence[int]]
    """Which entries tell of a name: of the object now, or before or after a rename."""
    _shared_names: Collection[str] = ()
    """Names that sources of other types have as well: what is told of one without its type is never sure."""

    @classmethod
    def of(cls, entries: Iterable[LogEntry], type_: ResourceType, shared_names: Collection[str] = ()) -> Log:
        """The entries that are on the type, or that name no type; they may come in any order."""
        own = [entry for entry in entries if entry.parsed_action[1] in {type_.log_name, ANY_TYPE}]
        # An entry without a time counts as the oldest, so that it hides none that has one.
        own.sort(key=lambda entry: entry.at or _NEVER, reverse=True)
        by_name: dict[str, list[int]] = defaultdict(list)
        for index, entry in enumerate(own):
            for name in {entry.name, *(entry.names or ())}:
                by_name[name].append(index)
        return cls(own, by_name, shared_names)

    def who_changed(self, name: str, change: FieldChange, since: str) -> Author | None:
        """Of the entries on the source since the state knew it: the one that made the value; else the newest that
        touched the field, or that does not tell what it touched.
        """
        of, likely = change.field, None
        for entry in self._history(name, since):
            if of.name in entry.changes:
                value = entry.changes[of.name][1]
                if _is_same(of.kind, value, change.after):
                    return self._author(entry, is_sure=True)
                # The entry that made the prior value is the reason why the state has it: statform's own applies are in
                # the log too.
                is_likely = not _is_same(of.kind, value, change.before)
            else:
                is_likely = _may_touch(entry, of.name) and (entry.at is None or entry.at > _moment(since))
            likely = entry if is_likely and likely is None else likely
        return (
            None
            if likely is None
            else self._author(likely, is_sure=of.name in (*likely.changes, likely.parsed_action[2]))
        )

    def who_removed(self, name: str, since: str) -> Author | None:
        """Who deleted the source or gave it another name, whichever came last."""
        for _, entry in self._since(name, since):
            verb, _, field_name = entry.parsed_action
            if entry.names is not None and entry.names[0] == name:
                return self._author(entry, is_sure=True, now=entry.names[1])
            if entry.name == name and verb == "delete" and not field_name:
                return self._author(entry, is_sure=True)
            # A rename that does not tell the names: it may have given this name, or taken it away.
            if entry.name == name and field_name == "name" and not entry.changes:
                return self._author(entry, is_sure=False)
        return None

    def who_made(self, name: str) -> Author | None:
        """Who created the source or gave it this name, whichever came last."""
        for entry in (self.entries[index] for index in self._by_name.get(name, ())):
            verb, _, field_name = entry.parsed_action
            if entry.names is not None and entry.names[1] == name:
                return self._author(entry, is_sure=True, was=entry.names[0])
            if entry.name == name and verb == "create" and not field_name:
                return self._author(entry, is_sure=True)
        return None

    def _history(self, name: str, since: str) -> Iterator[LogEntry]:
        """The entries on the source that has the name now, whatever it was called then."""
        # From the newest entry back. At a rename to this name it goes on with the name before, from that entry on.
        position: int | None = -1
        while position is not None:
            after, position = position, None
            for index, entry in self._since(name, since):
                was, now = entry.names or (None, None)
                if index <= after:
                    continue
                # What is older is about another source, which had the name and gave it up here.
                if was == name != now:
                    break
                yield entry
                if was is not None and now == name:
                    name, position = was, index
                    break

    def _since(self, name: str, since: str) -> Iterator[tuple[int, LogEntry]]:
        # No time is before `datetime.min`: to go back from there would be an OverflowError.
        earliest = max(_moment(since), _NEVER + CLOCKS_DIFFER_BY) - CLOCKS_DIFFER_BY
        for index in self._by_name.get(name, ()):
            entry = self.entries[index]
            if entry.at is None or entry.at >= earliest:
                yield index, entry

    def _author(self, entry: LogEntry, *, is_sure: bool, was: str | None = None, now: str | None = None) -> Author:
        is_any_type = entry.parsed_action[1] == ANY_TYPE and entry.name in self._shared_names
        at = None if entry.at is None else as_timestamp(entry.at, "seconds")
        return Author(entry.by, entry.email, at, is_sure and not is_any_type, was, now)


def first_day(times: Iterable[str]) -> date:
    """The day from which on the log has to be read to tell what came after the earliest of these times."""
    earliest = min(map(_moment, times))
    # A day more: which time zone the log's days are in is not published.
    return max(earliest.date(), FIRST_DAY + timedelta(days=1)) - timedelta(days=1)


def _moment(text: str) -> datetime:
    """The time in the state; the earliest possible one if it is invalid, as an edited state may have."""
    return moment_of(text) or _NEVER


def _may_touch(entry: LogEntry, field_name: str) -> bool:
    """Whether the entry can be about the field although it does not list what changed."""
    verb, _, only = entry.parsed_action
    return not entry.changes and verb not in {"delete", "load"} and only in {"", field_name}


def _is_same(kind: Kind, value: JSON, other: Value) -> bool:
    # Both ways: a table is satisfied by one that has more members, and here neither of the two is a wish.
    return other is not ABSENT and is_satisfied(kind, value, other) and is_satisfied(kind, other, value)
