"""The journal as people ask for it: who changed which field of what, from what to what, when, and what came of it.

Pure: `state.store` reads and verifies the journal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Literal, TypeAlias

from attrs import evolve, frozen

from planner.diff import ABSENT, NAME, FieldChange, Value, compare_echo, element_changes
from planner.fields import Field, String, is_satisfied
from planner.resources import RESOURCE_TYPES
from state.records import (
    JSON,
    Address,
    Applied,
    Begin,
    Forgotten,
    Imported,
    Intent,
    Moved,
    Object,
    Record,
    Refreshed,
    Rejected,
    Resolved,
    Unknown,
)
from state.snapshot import EMPTY, Fold, ResourceState

Kind: TypeAlias = Literal["update", "adopt", "import", "refresh", "move", "forget"]
Outcome: TypeAlias = Literal[
    "applied", "not accepted", "rejected", "unknown", "resolved as applied", "not applied", "superseded", "recorded"
]


@frozen
class Entry:
    """One change, or one attempt at it.

    `at` is when it began, RFC 3339 in UTC; `who`, `host`, `commit` and `version` are those of its run, None where a run
    has none. `changes` lead from what was known before to what was sent or, if the API kept something else, to that.
    `hash` is that of the journal's last record on it; `seconds` how long the API took, None without a request.
    """

    at: str
    who: str | None
    host: str | None
    commit: str | None
    version: str | None
    kind: Kind
    address: Address
    name: str
    changes: tuple[FieldChange, ...]
    outcome: Outcome
    reason: str | None
    seconds: float | None
    hash: str


def read_history(records: Iterable[tuple[str, Record]]) -> list[Entry]:
    """An entry for each change in the records, which come with their hashes, in the order in which they began.

    An unknown outcome that was resolved later, in another run even, is one entry with the request.

    Raises:
        ValueError: the records make no sense.
    """
    reader = _Reader()
    for hash_, record in records:
        reader.add(hash_, record)
    return reader.entries


class _Reader:
    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._fold = Fold(EMPTY)
        self._run: Begin | None = None
        self._open: dict[Address, tuple[int, Intent]] = {}

    def add(self, hash_: str, record: Record) -> None:
        match record:
            case Begin():
                self._run = record
            case Intent():
                self._begin(hash_, record)
            case Applied() | Rejected() | Unknown() | Resolved():
                self._end(hash_, record)
            case Imported() | Refreshed() | Moved() | Forgotten():
                self._arrange(hash_, record)
            case _:
                pass
        self._fold.add(record)

    def _begin(self, hash_: str, intent: Intent) -> None:
        kind: Kind = "adopt" if self._fold.resource(intent.address) is None else "update"
        self._open[intent.address] = (len(self.entries), intent)
        entry = self._entry(hash_, intent, kind, intent.name)
        changes = _changes(intent.address, intent.before, intent.sent)
        self.entries.append(evolve(entry, changes=changes, outcome="unknown", reason="nobody knows what became of it"))

    def _entry(
        self, hash_: str, record: Intent | Imported | Refreshed | Moved | Forgotten, kind: Kind, name: str
    ) -> Entry:
        run = self._run
        return Entry(
            at=record.at,
            who=run.who if run else None,
            host=run.host if run else None,
            commit=run.commit if run else None,
            version=run.version if run else None,
            kind=kind,
            address=record.address,
            name=name,
            changes=(),
            outcome="recorded",
            reason=None,
            seconds=None,
            hash=hash_,
        )

    def _end(self, hash_: str, record: Applied | Rejected | Unknown | Resolved) -> None:
        index, intent = self._open[record.address]
        entry = evolve(self.entries[index], hash=hash_)
        if not isinstance(record, Resolved):
            entry = evolve(entry, seconds=record.duration_ms / 1000)
        match record:
            case Applied():
                entry = _applied(entry, intent, record.data, "applied")
            case Rejected():
                status = "" if record.status is None else f"{record.status}: "
                entry = evolve(entry, outcome="rejected", reason=f"{status}{record.message}")
            case Unknown():
                entry = evolve(entry, outcome="unknown", reason=record.reason)
            case Resolved(verdict="applied"):
                entry = _applied(entry, intent, record.data or {}, "resolved as applied")
            case Resolved(verdict="not applied"):
                entry = evolve(entry, outcome="not applied", reason=None)
            case Resolved():
                entry = evolve(entry, outcome="superseded", reason="somebody else changed the source")
        self.entries[index] = entry

    def _arrange(self, hash_: str, record: Imported | Refreshed | Moved | Forgotten) -> None:
        prior = self._fold.resource(record.address)
        name = prior.name if prior else ""
        match record:
            case Imported():
                entry = self._entry(hash_, record, "import", str(record.data.get("name", name)))
                taken = {field: value for field, value in record.data.items() if field != "name"}
                entry = evolve(entry, changes=_changes(record.address, {}, taken))
            case Refreshed():
                entry = self._entry(hash_, record, "refresh", name)
                changes = () if prior is None else _moved(record.address, prior, record)
                entry = evolve(entry, changes=changes, reason="the source is gone" if record.data is None else None)
            case Moved():
                entry = evolve(self._entry(hash_, record, "move", name), reason=f"to {record.to}")
            case Forgotten():
                entry = self._entry(hash_, record, "forget", name)
        self.entries.append(entry)


def _applied(entry: Entry, intent: Intent, data: Object, outcome: Outcome) -> Entry:
    """What was sent, and where the API kept another value, that."""
    type_ = RESOURCE_TYPES.get(intent.address.partition(".")[0])
    refused = () if type_ is None else compare_echo(type_, intent.before, intent.sent, data).not_accepted
    kept = {name: data[name] if name in refused else value for name, value in intent.sent.items()}
    changes = _changes(intent.address, intent.before, kept)
    if refused:
        reason = f"the API kept another value of {', '.join(refused)}"
        return evolve(entry, changes=changes, outcome="not accepted", reason=reason)
    return evolve(entry, changes=changes, outcome=outcome, reason=None)


def _changes(address: Address, before: Object, after: Object) -> tuple[FieldChange, ...]:
    return tuple(_change(address, name, before.get(name, ABSENT), value) for name, value in after.items())


def _change(address: Address, name: str, before: Value, after: JSON) -> FieldChange:
    field = _field(address, name)
    return FieldChange(field, before, after, element_changes(field.kind, before, after))


def _field(address: Address, name: str) -> Field:
    """The field, also of a type or a name that this statform does not know."""
    type_ = RESOURCE_TYPES.get(address.partition(".")[0])
    known: Mapping[str, Field] = {} if type_ is None else type_.field
    return NAME if name == "name" else known.get(name) or Field(name, String())


def _moved(address: Address, prior: ResourceState, record: Refreshed) -> tuple[FieldChange, ...]:
    if record.data is None:
        return ()
    after = {**record.data, **record.unreturned}
    names = [*after, *(name for name in prior.values if name not in after)]
    return tuple(
        _change(address, name, prior.values.get(name, ABSENT), after.get(name))
        for name in names
        if not _is_same(_field(address, name), prior.values.get(name), after.get(name))
    )


def _is_same(field: Field, before: JSON, after: JSON) -> bool:
    return is_satisfied(field.kind, before, after) and is_satisfied(field.kind, after, before)


@frozen
class Filter:
    """Which entries are asked for; `since` and `until` in RFC 3339, the first included, the second not."""

    addresses: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    who: frozenset[str] = frozenset()
    since: str = ""
    until: str = "~"

    def of(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Those entries that match; with `fields`, with just these of their changes."""
        for entry in entries:
            if not (self.since <= entry.at < self.until):
                continue
            if self.addresses and entry.address not in self.addresses:
                continue
            if self.who and entry.who not in self.who:
                continue
            if not self.fields:
                yield entry
            elif changes := tuple(change for change in entry.changes if change.field.name in self.fields):
                yield evolve(entry, changes=changes)


def parse_when(text: str, now: datetime, *, is_end: bool = False) -> str:
    """A date, a time or an age (`7d`, `12h`, `2w`, `30m`) as RFC 3339 in UTC with milliseconds.

    A date stands for its first moment or, with `is_end`, for the one after its last. A time without a zone is in UTC.

    Raises:
        ValueError: neither of these.
    """
    if age := re.fullmatch(r"(\d{1,5})([mhdw])", text):
        unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[age[2]]
        return _rfc3339(now - timedelta(**{unit: int(age[1])}))
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if is_end and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        moment += timedelta(days=1)
    return _rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc))


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
