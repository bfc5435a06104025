"""How records change the state: the state is a fold over the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
from state.snapshot import ResourceState, Snapshot
from state.values import JSON, Address, Object

__all__ = ["Fold", "replay"]

_MISSING = object()


class Fold:
    """A snapshot in the making: takes one record after another, each in constant time."""

    def __init__(self, base: Snapshot) -> None:
        self._lineage, self._serial = base.lineage, base.serial
        self._resources, self._unresolved = dict(base.resources), dict(base.unresolved)

    def snapshot(self, head: str, journal_bytes: int) -> Snapshot:
        """A copy: it takes time in proportion to the number of resources."""
        resources, unresolved = dict(self._resources), dict(self._unresolved)
        return Snapshot(self._lineage, self._serial, head, journal_bytes, resources, unresolved)

    @property
    def unresolved(self) -> Mapping[Address, Intent]:
        return dict(self._unresolved)

    def resource(self, address: Address) -> ResourceState | None:
        """What is known of the address so far."""
        return self._resources.get(address)

    def check(self, record: Record) -> None:
        """Changes nothing.

        Raises:
            ValueError: the record makes no sense after those before it.
        """
        if isinstance(record, Genesis):
            if self._lineage:
                raise ValueError("a second genesis")
            return
        self._check_request(record)
        self._check_arrangement(record)
        if not self._lineage:
            raise ValueError(f"a {record.kind} before the genesis")

    def _check_request(self, record: Record) -> None:
        match record:
            case Intent(address) if address in self._unresolved:
                raise ValueError(f"an intent for {address}, whose last one has no outcome yet")
            case Applied(address) | Rejected(address) | Unknown(address) | Resolved(address):
                if address not in self._unresolved:
                    raise ValueError(f"a {record.kind} for {address} without an intent")
            case _:
                return
        if isinstance(record, Resolved) and record.verdict not in ("applied", "not applied", "superseded"):
            raise ValueError(f"an unknown verdict {record.verdict!r}")
        if isinstance(record, Resolved) and record.verdict == "applied" and record.data is None:
            raise ValueError("a change resolved as applied without data")

    def _check_arrangement(self, record: Record) -> None:
        match record:
            case Refreshed(address) if address not in self._resources:
                raise ValueError(f"a refresh of {address}, which is not in the state")
            case Moved(address) if address in self._unresolved:
                raise ValueError(f"a move of {address}, whose last intent has no outcome yet")
            case Moved(address, to) if address not in self._resources or to in self._resources:
                raise ValueError(f"a move from {address} to {to}, of which the state must have just the first")
            case _:
                pass

    def add(self, record: Record) -> None:
        """Raises:
        ValueError: as `check`, and nothing has changed.
        """
        self.check(record)
        match record:
            case Genesis():
                self._lineage = record.lineage
            case Begin() | Unknown():
                pass
            case Intent():
                self._unresolved[record.address] = record
            case Applied():
                self._apply(record.address, record.data, record.unreturned, record.at)
            case Rejected():
                del self._unresolved[record.address]
            case Resolved():
                self._resolve(record)
            case Imported() | Refreshed() | Moved() | Forgotten():
                self._arrange(record)
            case End():
                self._serial += 1

    def _arrange(self, record: Imported | Refreshed | Moved | Forgotten) -> None:
        match record:
            case Imported(address, data, at):
                self._take(address, data, address.partition(".")[2], at)
            case Refreshed(address, data, unreturned, at):
                prior = self._resources.pop(address)
                if data is not None:
                    name = _first_string(data.get("name"), prior.name)
                    self._resources[address] = ResourceState(name, data, unreturned, at)
            case Moved(address, to):
                self._resources[to] = self._resources.pop(address)
            case Forgotten(address):
                self._resources.pop(address, None)

    def _apply(self, address: Address, data: Object, unreturned: Object, at: str) -> None:
        intent = self._unresolved.pop(address)
        if (prior := self._resources.get(address)) is not None:
            unreturned = {**_still_unreturned(prior, intent.sent, data), **unreturned}
        name = _first_string(data.get("name"), intent.sent.get("name"), intent.name)
        self._resources[address] = ResourceState(name, data, unreturned, at)

    def _resolve(self, record: Resolved) -> None:
        if record.verdict == "applied" and record.data is not None:
            self._apply(record.address, record.data, record.unreturned, record.at)
            return
        intent = self._unresolved.pop(record.address)
        if record.verdict == "superseded" and record.data is not None:
            self._take(record.address, record.data, intent.name, record.at)

    def _take(self, address: Address, data: Object, name: str, at: str) -> None:
        """The remote is the truth: of what it does not return nothing is known any more."""
        self._resources[address] = ResourceState(_first_string(data.get("name"), name), data, {}, at)


def _first_string(*candidates: JSON) -> str:
    return next(c for c in candidates if isinstance(c, str))


def _still_unreturned(prior: ResourceState, sent: Object, data: Object) -> Object:
    """What is known from before of the fields that this answer leaves out, or shows as it did when they were sent."""
    return {
        field: value
        for field, value in prior.values.items()
        if field not in sent
        and (field not in data or (field in prior.unreturned and data[field] == prior.data.get(field, _MISSING)))
    }


def replay(snapshot: Snapshot, records: Iterable[Record]) -> Snapshot:
    """The snapshot after these records; `head` and `journal_bytes`, which a record does not know, stay.

    Raises:
        ValueError: a record makes no sense after those before it.
    """
    fold = Fold(snapshot)
    for record in records:
        fold.add(record)
    return fold.snapshot(snapshot.head, snapshot.journal_bytes)
