"""What changed at the remote since the snapshot, and the records that put it into the state.

Pure: `client` lists the remote, this compares.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from planner.definitions.addresses import RemoteName, type_of
from planner.definitions.definition import Definitions
from planner.definitions.equality import is_same, is_shown_tidied
from planner.definitions.fields import Field
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.plan.diff import ABSENT, NAME, FieldChange, Value
from state.records import Refreshed
from state.snapshot import ResourceState, Snapshot
from state.values import Address, Object

Remote: TypeAlias = Mapping[str, Mapping[str, Object]]
"""Type name -> remote name -> the source as listed."""


class Drift(NamedTuple):
    """A source that is not as the snapshot has it: `changes` lead from the prior to the remote value.

    `source` is the source as listed, None when the remote has none of that name: it was deleted or renamed.
    """

    address: Address
    type: ResourceType
    name: str
    changes: tuple[FieldChange, ...]
    source: Object | None


def find_drift(snapshot: Snapshot, remote: Remote, undecided: Collection[Address] = ()) -> tuple[Drift, ...]:
    """What moved since the snapshot, in its order; not where an outcome is unknown, which may be why.

    The `undecided` sources are left out: `absence` says why.

    A field that the list leaves out was cleared if the API returned it before and shows it of another source now, or
    always returns it; else the list can't be expected to show it.

    Raises:
        PlanError: the state has an address of an unknown type.
    """
    shown = find_shown(remote)
    found: list[Drift] = []
    for address, prior in snapshot.resources.items():
        if address in snapshot.unresolved or address in undecided:
            continue
        type_ = type_of(address)
        source = remote[type_.name].get(prior.name)
        changes = () if source is None else find_changes(type_, prior, source, shown[type_.name])
        if source is None or changes:
            found.append(Drift(address, type_, prior.name, changes, source))
    return tuple(found)


def find_changes(
    type_: ResourceType, prior: ResourceState, source: Object, shown: frozenset[str]
) -> tuple[FieldChange, ...]:
    """As `changed_fields`, and also what the state took from an answer without anybody's consent."""
    changes = changed_fields(type_, prior, source, shown)
    return (*changes, *_unconfirmed(type_, prior, source, changes)) if prior.unconfirmed else changes


def without_filled(drifts: Iterable[Drift]) -> tuple[Drift, ...]:
    """Without an owner that the state does not know: the API fills it in by itself, and answers may not have it."""
    kept = (one._replace(changes=tuple(change for change in one.changes if not _is_filled(change))) for one in drifts)
    return tuple(one for one in kept if one.changes or one.source is None)


def _is_filled(change: FieldChange) -> bool:
    # Only where the state knows no owner: one that it knows and that is another now was changed by somebody.
    return change.field.name == "owner" and change.before is ABSENT


def _unconfirmed(
    type_: ResourceType, prior: ResourceState, source: Object, changes: Iterable[FieldChange]
) -> Iterator[FieldChange]:
    """What the state took from an answer, and nobody agreed to yet; from the value that was there before."""
    told = {change.field.name for change in changes}
    for field in type_.fields:
        before, after = prior.unconfirmed.get(field.name, ABSENT), source.get(field.name)
        if before is not ABSENT and field.name not in told and not is_same(field.kind, before, after):
            yield FieldChange.of(field, before, after)


def find_shown(remote: Remote) -> Mapping[str, frozenset[str]]:
    """For each type, the fields that its list shows for any source."""
    return {name: frozenset(field for one in sources.values() for field in one) for name, sources in remote.items()}


def changed_fields(
    type_: ResourceType, prior: ResourceState, source: Object, shown: frozenset[str]
) -> tuple[FieldChange, ...]:
    """The fields of one source that are not as the state has them; `shown` are those that the list shows of any.

    A value that the API told compares as it is. What it does to a value that *we* sent, it may do again: only where it
    told none, a remote value that is the one sent but for that tidying is no change.
    """
    pairs = ((field, _prior_value(field, prior, source), source.get(field.name)) for field in type_.fields)
    return tuple(
        FieldChange.of(field, before, after)
        for field, before, after in pairs
        if (field.name in source or (field.name in prior.data and (field.returned or field.name in shown)))
        and not is_same(field.kind, None if before is ABSENT else before, after)
    )


def _prior_value(field: Field, prior: ResourceState, source: Object) -> Value:
    """The value as the API returned it; else as it was sent, if the remote only normalised it."""
    if field.name in prior.data:
        return prior.data[field.name]
    sent = prior.unreturned.get(field.name, ABSENT)
    actual = source.get(field.name)
    is_tidied = sent is not ABSENT and is_shown_tidied(field.kind, sent, actual)
    return actual if is_tidied else sent


def types_in_use(definitions: Definitions, snapshot: Snapshot) -> tuple[ResourceType, ...]:
    """The types that the project defines something of, or that the state has something of.

    Other types are not listed: the key may not even have the right to list them.

    Raises:
        PlanError: the state has an address of an unknown type.
    """
    addresses = (*definitions.resources, *snapshot.resources, *snapshot.unresolved)
    used = {type_of(address).name for address in addresses}
    return tuple(type_ for name, type_ in RESOURCE_TYPES.items() if name in used)


def find_unmanaged(snapshot: Snapshot, remote: Remote) -> tuple[RemoteName, ...]:
    """The type name and remote name of each source that the snapshot has at no address, sorted."""
    managed = {RemoteName.at(address, prior.name) for address, prior in snapshot.resources.items()}
    there = {RemoteName(type_name, name) for type_name, sources in remote.items() for name in sources}
    return tuple(sorted(there - managed))


def find_renamed(drifts: Iterable[Drift], snapshot: Snapshot, remote: Remote) -> Mapping[Address, str]:
    """The probable new name of a source that is gone: the only unmanaged name whose other fields are the same. None if
    another source that is gone was the same.
    """
    alike = find_alike(drifts, snapshot, remote)
    # A guess that fits two ways is none: to follow it could give one source's values to the other's address.
    alone = {address: RemoteName.at(address, names[0]) for address, names in alike.items() if len(names) == 1}
    counts = Counter(alone.values())
    return {address: found.name for address, found in alone.items() if counts[found] == 1}


def find_alike(drifts: Iterable[Drift], snapshot: Snapshot, remote: Remote) -> Mapping[Address, Sequence[str]]:
    """For each source that is gone, the unmanaged names whose other fields are the same; nothing if there are none."""
    gone = [drift for drift in drifts if drift.source is None]
    # Most audits find nothing gone, and need no text of each unmanaged source to compare by.
    if not gone:
        return {}
    called = defaultdict[str, list[str]](list)
    for type_name, name in find_unmanaged(snapshot, remote):
        called[_without_name(type_name, remote[type_name][name])].append(name)
    found = (
        (one.address, called.get(_without_name(one.type.name, snapshot.resources[one.address].data))) for one in gone
    )
    return {address: names for address, names in found if names}


def _without_name(type_name: str, source: Object) -> str:
    """All of a source but its name, the same for the same."""
    return type_name + json.dumps({**source, "name": None}, sort_keys=True)


def find_followed(snapshot: Snapshot, remote: Remote, undecided: Collection[Address] = ()) -> tuple[Drift, ...]:
    """As `find_drift`, but a source that is gone and was probably renamed gets its new name."""
    drifts = find_drift(snapshot, remote, undecided)
    renamed = find_renamed(drifts, snapshot, remote)
    return tuple(
        _moved(drift, remote[drift.type.name][renamed[drift.address]]) if drift.address in renamed else drift
        for drift in drifts
    )


def _moved(drift: Drift, source: Object) -> Drift:
    return drift._replace(source=source, changes=(FieldChange.of(NAME, drift.name, source["name"]),))


def find_unseen(snapshot: Snapshot, remote: Remote) -> tuple[tuple[str, str], ...]:
    """The fields, each behind its type's name, that the snapshot has and the list shows of no source of that type.

    What became of them can't be told. Sorted.
    """
    shown = {name: {field for one in sources.values() for field in one} for name, sources in remote.items()}
    unseen = {
        (type_.name, field.name)
        for type_, prior in ((type_of(address), prior) for address, prior in snapshot.resources.items())
        for field in type_.fields
        if not field.returned and field.name in prior.values and field.name not in shown[type_.name]
    }
    return tuple(sorted(unseen))


def refresh(drifts: Iterable[Drift], snapshot: Snapshot, at: str) -> tuple[Refreshed, ...]:
    """The records that take the drift into the state: replayed, they make a snapshot without any."""
    return tuple(
        Refreshed(drift.address, drift.source, _unreturned(drift, snapshot.resources[drift.address]), at)
        for drift in drifts
    )


def _unreturned(drift: Drift, prior: ResourceState) -> Object:
    """What is still known of the fields that the remote leaves out, or shows as it did when they were sent."""
    source, moved = drift.source or {}, {change.field.name for change in drift.changes}
    return {
        name: value
        for name, value in prior.values.items()
        if name not in moved
        and (name not in source or (name in prior.unreturned and source[name] == prior.data.get(name, ABSENT)))
    }
