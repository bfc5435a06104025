"""How records change the state: the state is a fold over the journal.

An answer can show that a field changed which the request did not send. Then somebody else changed it, and nobody here
has agreed to that yet: the new value is in `data`, and the value before it is in `unconfirmed`. It stays there until a
refresh, an import, or a request that sends the field. The same is true of what a superseded request finds. Requests of
format 1 have no deadline, and leave nothing unconfirmed.

What each record does to its address:
    intent                      the request is unresolved from now on
    result                      resolved; `data` is the new state
    deleted                     resolved; the address is gone
    rejected                    resolved; what was known stays
    unknown                     nothing changes: still unresolved
    resolved, applied           as result, or as deleted
    resolved, not applied       as rejected
    resolved, superseded        resolved; the remote as it is becomes the state
    import, refresh             the remote as it is becomes the state
    move, forget                the address gets another name, or is dropped
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from state.records import (
    Applied,
    Begin,
    Deleted,
    End,
    Forgotten,
    Genesis,
    Imported,
    Intent,
    Moved,
    Outcome,
    Record,
    Refreshed,
    Rejected,
    Resolved,
    Sealed,
    Unknown,
)
from state.snapshot import ResourceState, Snapshot, StatsigProject
from state.values import JSON, Address, Object, check_address, key_of

__all__ = ["Fold", "replay"]

_MISSING = object()


class Fold:
    """A snapshot in the making: takes one record after another, each in constant time."""

    def __init__(self, base: Snapshot) -> None:
        self._lineage, self._serial = base.lineage, base.serial
        self._resources, self._unresolved = dict(base.resources), dict(base.unresolved)
        self._project, self._sealed = base.project, base.sealed

    def snapshot(self, head: str, journal_bytes: int) -> Snapshot:
        """A copy: it takes time in proportion to the number of resources."""
        resources, unresolved = dict(self._resources), dict(self._unresolved)
        parts = (self._lineage, self._serial, head, journal_bytes, resources, unresolved)
        return Snapshot(*parts, self._project, self._sealed)

    @property
    def unresolved(self) -> Mapping[Address, Intent]:
        """The requests that have no outcome yet: a copy."""
        return dict(self._unresolved)

    def resource(self, address: Address) -> ResourceState | None:
        """What is known of the address so far."""
        return self._resources.get(address)

    def check(self, record: Record) -> None:
        """Changes nothing.

        Raises:
            ValueError: the record makes no sense after those before it.
        """
        if self._sealed is not None:
            raise ValueError(f"a {record.kind} after the state moved to {self._sealed}")
        if isinstance(record, Genesis):
            if self._lineage:
                raise ValueError("a second genesis")
            return
        _check_addresses(record)
        self._check_request(record)
        self._check_arrangement(record)
        if not self._lineage:
            raise ValueError(f"a {record.kind} before the genesis")

    def _check_request(self, record: Record) -> None:
        match record:
            case Intent(address) if address in self._unresolved:
                # If two requests were under way, nobody could tell to which of them the outcome belongs.
                raise ValueError(f"an intent for {address}, whose last intent has no outcome yet")
            case Applied(address) | Deleted(address) | Rejected(address) | Unknown(address) | Resolved(address):
                if address not in self._unresolved:
                    raise ValueError(f"a {record.kind} for {address} without an intent")
            case _:
                return
        if isinstance(record, Resolved) and record.verdict not in ("applied", "not applied", "superseded"):
            raise ValueError(f"an unknown verdict {record.verdict!r}")
        intent = self._unresolved[record.address]
        match record:
            # A delete leaves no source behind, and every other change leaves one.
            case Resolved(verdict="applied", data=data) if (data is None) is not (intent.method == "DELETE"):
                raise ValueError("a change resolved as applied without data, or a delete with some")
            case Deleted() if intent.method != "DELETE":
                raise ValueError(f"a deleted for {record.address}, whose intent is a {intent.method}")
            case _:
                pass

    def _check_arrangement(self, record: Record) -> None:
        match record:
            case Refreshed(address) if address not in self._resources:
                raise ValueError(f"a refresh of {address}, which is not in the state")
            case Moved(address) if address in self._unresolved:
                # The intent would stay at the old address, and its outcome would put a second copy of the source there.
                raise ValueError(f"a move of {address}, whose last intent has no outcome yet")
            case Moved(address, to) if address not in self._resources or to in self._resources:
                raise ValueError(f"a move from {address} to {to}, but the state must have only the first")
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
            case Begin():
                # If a run does not know its project or its URL, the state keeps those from before.
                known = self._project
                self._project = StatsigProject(record.project or known.id, record.base_url or known.base_url)
            case Sealed():
                self._sealed = record.to
            case Intent():
                # Before the request is sent: whatever happens now, somebody will have to find out what became of it.
                self._unresolved[record.address] = record
            case Applied() | Deleted() | Rejected() | Unknown() | Resolved():
                self._settle(record)
            case Imported() | Refreshed() | Moved() | Forgotten():
                self._arrange(record)
            case End():
                # It counts runs, not records, so that a person can compare two states.
                self._serial += 1

    def _settle(self, record: Outcome | Resolved) -> None:
        match record:
            case Applied():
                self._apply(record.address, record.data, record.unreturned, record.at)
            case Deleted():
                self._delete(record.address)
            case Rejected():
                del self._unresolved[record.address]
            case Unknown():
                # Only a look at the remote can resolve it.
                pass
            case Resolved():
                self._resolve(record)

    def _arrange(self, record: Imported | Refreshed | Moved | Forgotten) -> None:
        match record:
            case Imported(address, data, at):
                self._take(address, data, key_of(address), at)
            case Refreshed(address, data, unreturned, at):
                # A person has seen the remote and agreed to it, so nothing stays unconfirmed.
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
        # What was sent and is shown in another form is ours, even if an earlier request sent it.
        ours = {**intent.sent, **unreturned}
        if (prior := self._resources.get(address)) is not None:
            # What this answer tells goes over what is known from earlier ones.
            unreturned = {**_still_unreturned(prior, intent, data), **unreturned}
        else:
            # A source that is adopted has no prior in the state: its intent has what was known.
            prior = ResourceState(intent.name, intent.before, {}, at)
        unconfirmed = _unconfirmed(intent, prior, data, ours)
        # A server may tidy a name. If its answer has none, the source has the name that was asked for.
        name = _first_string(data.get("name"), intent.sent.get("name"), intent.name)
        self._resources[address] = ResourceState(name, data, unreturned, at, unconfirmed)

    def _delete(self, address: Address) -> None:
        del self._unresolved[address]
        self._resources.pop(address, None)

    def _resolve(self, record: Resolved) -> None:
        address, data = record.address, record.data
        if record.verdict == "applied" and data is None:
            self._delete(address)
        elif record.verdict == "applied" and data is not None:
            self._apply(address, data, record.unreturned, record.at)
        else:
            intent = self._unresolved.pop(address)
            if record.verdict == "superseded" and data is not None:
                # An adoption has no prior in the state: what a look told before the request is in the intent.
                prior = self._resources.get(address) or ResourceState(intent.name, intent.before, {}, record.at)
                # If nobody knew the value of a field that was sent, any other value there is somebody's change.
                unknown = {name: None for name in intent.sent if name not in prior.values}
                prior = prior._replace(data={**prior.data, **unknown})
                # Of what we sent, only what is there now can have come from us.
                ours = {name: value for name, value in intent.sent.items() if name in data and data[name] == value}
                ours |= record.unreturned
                self._take(address, data, intent.name, record.at, _unconfirmed(intent, prior, data, ours))

    def _take(self, address: Address, data: Object, name: str, at: str, unconfirmed: Object | None = None) -> None:
        """Take the remote as it is: from now on, a field that it does not return is unknown."""
        name = _first_string(data.get("name"), name)
        self._resources[address] = ResourceState(name, data, {}, at, unconfirmed or {})


def _check_addresses(record: Record) -> None:
    if not isinstance(record, Genesis | Begin | Sealed | End):
        check_address(record.address)
    if isinstance(record, Moved):
        check_address(record.to)


def _first_string(*candidates: JSON) -> str:
    return next(c for c in candidates if isinstance(c, str))


def _still_unreturned(prior: ResourceState, intent: Intent, data: Object) -> Object:
    """The fields of which this answer tells nothing new, with the values that are known from before.

    The answer leaves such a field out, or shows it in the same form as the answer before. Fields that the request was
    to change are not among them.
    """
    # A full update also sends the fields that it does not change. They are in `before` with the value that they keep.
    before = intent.before if intent.method == "POST" else {}
    return {
        field: value
        for field, value in prior.values.items()
        if (field not in intent.sent or intent.sent[field] == before.get(field, _MISSING))
        and (field not in data or (field in prior.unreturned and data[field] == prior.data.get(field, _MISSING)))
    }


def _unconfirmed(intent: Intent, prior: ResourceState, data: Object, ours: Object) -> Object:
    """The fields that somebody else changed, each with the value before: all that differ now and are not `ours`.

    A field that was unconfirmed already keeps its first value. It is no longer among them once that value is back.
    """
    # A request of format 1. It is folded as it was then, so that a replay still makes the snapshot of that time.
    if intent.deadline_s is None:
        return {}
    found: dict[str, JSON] = {}
    for field, value in {**prior.values, **prior.unconfirmed}.items():
        if field in prior.unconfirmed:
            is_changed = data.get(field, _MISSING) != value
        elif field in prior.unreturned:
            # The API shows our value in a form of its own. Compare with the form that it showed last: the difference
            # from what we sent is its tidying, and nobody's change.
            is_changed = field in data and data[field] != prior.data.get(field, value)
        else:
            # An answer that leaves a field out says nothing about it.
            is_changed = field in data and data[field] != value
        if is_changed and field not in ours:
            found[field] = value
    return found


def replay(snapshot: Snapshot, records: Iterable[Record]) -> Snapshot:
    """The snapshot after these records; `head` and `journal_bytes`, which a record does not know, stay.

    Raises:
        ValueError: a record makes no sense after those before it.
    """
    fold = Fold(snapshot)
    for record in records:
        fold.add(record)
    return fold.snapshot(snapshot.head, snapshot.journal_bytes)
