"""The remote against plan and state: what moved behind statform's back.

Pure: `client` lists the remote, this compares.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from attrs import frozen

from planner.audit.authors import Author, Authors, Log, LogEntry
from planner.definitions.fields import Field, is_same, is_satisfied, is_shown, normal_form
from planner.definitions.parse import Definitions
from planner.definitions.resources import ResourceType, type_of
from planner.errors import Diagnostic
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT, NAME, Action, FieldChange, Value, diff
from state.fold import replay
from state.records import Refreshed
from state.snapshot import ResourceState, Snapshot
from state.values import Address, Object

Remote: TypeAlias = Mapping[str, Mapping[str, Object]]
"""Type name -> remote name -> the source as listed."""


@frozen
class Drift:
    """A source that is not as the snapshot has it: `changes` lead from the prior to the remote value.

    `source` is the source as listed, None when the remote has none of that name: it was deleted or renamed.
    """

    address: Address
    type: ResourceType
    name: str
    changes: tuple[FieldChange, ...]
    source: Object | None


def find_drift(snapshot: Snapshot, remote: Remote) -> tuple[Drift, ...]:
    """What moved since the snapshot, in its order; not where an outcome is unknown, which may be why.

    A field that the list leaves out was cleared if the API returned it before and shows it of another source now, or
    always returns it; else the list can't be expected to show it.

    Raises:
        PlanError: the state has an address of an unknown type.
    """
    shown = {name: {field for one in sources.values() for field in one} for name, sources in remote.items()}
    found: list[Drift] = []
    for address, prior in snapshot.resources.items():
        if address in snapshot.unresolved:
            continue
        type_ = type_of(address)
        source = remote[type_.name].get(prior.name)
        changes = () if source is None else _drifted(type_, prior, source, shown[type_.name])
        if source is None or changes:
            found.append(Drift(address, type_, prior.name, changes, source))
    return tuple(found)


def _drifted(type_: ResourceType, prior: ResourceState, source: Object, shown: set[str]) -> tuple[FieldChange, ...]:
    pairs = ((field, _prior_value(field, prior, source), source.get(field.name)) for field in type_.fields)
    return tuple(
        FieldChange.of(field, before, after)
        for field, before, after in pairs
        if (field.name in source or (field.name in prior.data and (field.returned or field.name in shown)))
        and not is_same(field.kind, None if before is ABSENT else before, after)
    )


def _prior_value(field: Field, prior: ResourceState, source: Object) -> Value:
    """The value as the API told it; else as it was sent, if the remote's is that, tidied."""
    if field.name in prior.data:
        return prior.data[field.name]
    sent = prior.unreturned.get(field.name, ABSENT)
    actual = source.get(field.name)
    is_tidied = sent is not ABSENT and is_shown(field.kind, normal_form(sent), normal_form(actual))
    return actual if is_tidied else sent


def find_unmanaged(snapshot: Snapshot, remote: Remote) -> tuple[tuple[str, str], ...]:
    """The type name and remote name of each source that the snapshot has at no address, sorted."""
    managed = {(address.partition(".")[0], prior.name) for address, prior in snapshot.resources.items()}
    there = {(type_name, name) for type_name, sources in remote.items() for name in sources}
    return tuple(sorted(there - managed))


def find_renamed(drifts: Iterable[Drift], snapshot: Snapshot, remote: Remote) -> Mapping[Address, str]:
    """What a source that is gone looks to be called now: the one name that nobody manages with all else as it was."""
    gone = [drift for drift in drifts if drift.source is None]
    unmanaged = find_unmanaged(snapshot, remote) if gone else ()
    found: dict[Address, str] = {}
    for drift in gone:
        prior = {**snapshot.resources[drift.address].data, "name": None}
        sources = remote[drift.type.name]
        same = [
            n for type_name, n in unmanaged if type_name == drift.type.name and {**sources[n], "name": None} == prior
        ]
        if len(same) == 1:
            found[drift.address] = same[0]
    return found


def find_unseen(snapshot: Snapshot, remote: Remote) -> tuple[str, ...]:
    """The fields that the snapshot has and the list shows of no source: what became of them can't be told."""
    shown = {name: {field for one in sources.values() for field in one} for name, sources in remote.items()}
    unseen = {
        field.name
        for address, prior in snapshot.resources.items()
        for field in type_of(address).fields
        if not field.returned and field.name in prior.values and field.name not in shown[type_of(address).name]
    }
    return tuple(sorted(unseen))


@frozen
class Audit:
    """The remote against the state.

    `snapshot` is the state, `drifts` what moved since, `renamed` the likely new names of sources that are gone,
    `unmanaged` the sources that the state has nowhere, `unseen` the fields that could not be compared. `undone` are the
    drifted fields that a plan would bring back, `authors` who did it all; each is None when nobody asked. Of the
    journal: how many `records` it has, or what its `damage` is.
    """

    snapshot: Snapshot
    drifts: tuple[Drift, ...]
    renamed: Mapping[Address, str]
    unmanaged: tuple[tuple[str, str], ...]
    unseen: tuple[str, ...]
    undone: Collection[tuple[Address, str]] | None = None
    authors: Authors | None = None
    records: int = 0
    damage: str | None = None

    @property
    def is_clean(self) -> bool:
        return not (self.drifts or self.snapshot.unresolved or self.unmanaged or self.damage)

    @property
    def moved(self) -> tuple[tuple[Address, FieldChange], ...]:
        """Each field that drifted."""
        return tuple((drift.address, change) for drift in self.drifts for change in drift.changes)

    def is_undone(self, address: Address, change: FieldChange) -> bool:
        return self.undone is not None and (address, change.field.name) in self.undone

    @property
    def exit_code(self) -> int:
        return 1 if self.damage else 0 if self.is_clean else 2


def audit_remote(snapshot: Snapshot, remote: Remote) -> Audit:
    """Everything in which the remote is not as the state has it."""
    drifts = find_drift(snapshot, remote)
    renamed = find_renamed(drifts, snapshot, remote)
    return Audit(snapshot, drifts, renamed, find_unmanaged(snapshot, remote), find_unseen(snapshot, remote))


def find_authors(audit: Audit, entries: Sequence[LogEntry]) -> Authors:
    """Who did what the audit found, as the entries of the audit log tell it."""
    logs = {
        name: Log.of(entries, name) for name in {d.type.name for d in audit.drifts} | {t for t, _ in audit.unmanaged}
    }
    changed: dict[tuple[str, str], Author] = {}
    removed: dict[str, Author] = {}
    for drift in audit.drifts:
        log, since = logs[drift.type.name], audit.snapshot.resources[drift.address].updated_at
        if drift.source is None and (author := log.who_removed(drift.name, since)):
            removed[drift.address] = author
        for change in drift.changes:
            if author := log.who_changed(drift.name, change, since):
                changed[drift.address, change.field.name] = author
    made = {name: author for type_, name in audit.unmanaged if (author := logs[type_].who_made(name))}
    return Authors(changed, removed, made)


def find_undone(
    definitions: Definitions, drifts: Sequence[Drift], snapshot: Snapshot
) -> frozenset[tuple[Address, str]]:
    """The drifted fields that a plan made from the remote would change again."""
    refreshed = replay(snapshot, refresh(drifts, snapshot, "")).resources
    return frozenset(
        (drift.address, change.field.name)
        for drift in drifts
        if drift.source is not None and drift.address in definitions.resources
        for change in diff(definitions.resources[drift.address], refreshed[drift.address]).changes
        if change.field.patchable
    )


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


def find_conflicts(plan: Plan, definitions: Definitions, remote: Remote) -> tuple[Diagnostic, ...]:
    """What sending the plan would overwrite although somebody changed it since the snapshot, or could not reach.

    A field conflicts if its remote value is neither prior nor desired; one that the list leaves out can't be seen.
    Empty means: safe to send.
    """
    found: list[Diagnostic] = []
    for action in plan.actions:
        if action.verb.sends:
            source = remote[action.type.name].get(action.name)
            found += [_missing(action, definitions)] if source is None else _differing(action, definitions, source)
    return (*found, *_taken(plan, definitions, remote))


def _missing(action: Action, definitions: Definitions) -> Diagnostic:
    expected = "the name of a source that is there: statform changes sources, it makes none"
    if action.verb is verbs.UPDATE:
        expected = "the source that the state has; it was renamed or deleted, which `statform refresh` takes over"
    summary = f'the remote has no source named "{action.name}"'
    return Diagnostic(summary, expected, definitions.locate(action.address, "name"), action.address)


def _differing(action: Action, definitions: Definitions, source: Object) -> Iterator[Diagnostic]:
    values = definitions.resources[action.address].values
    for field in action.type.fields if action.verb is verbs.ADOPT else ():
        # PATCH can't bring an unpatchable field to its desired value, so that adopting would never settle.
        desired, actual = values.get(field.name), source.get(field.name)
        if not field.patchable and desired is not None and not is_satisfied(field.kind, desired, actual):
            summary = f"{field.name} differs from the remote's {_show(actual)}, and PATCH does not take it"
            yield _diagnostic(action.address, field.name, summary, f"the {field.name} that the source has", definitions)
    for change in action.changes if action.verb is verbs.UPDATE else ():
        if _is_moved(change, source):
            field_name = change.field.name
            summary = (
                f"the remote's {field_name} is {_show(source[field_name])}: neither the prior {_show(change.before)} "
                f"nor the desired {_show(change.after)}"
            )
            expected = "nobody else's change under this one; --no-check-drift overwrites it"
            yield _diagnostic(action.address, field_name, summary, expected, definitions)


def _is_moved(change: FieldChange, source: Object) -> bool:
    field = change.field
    if field is NAME or field.name not in source or change.before is ABSENT:
        return False
    # The prior may be the value as it was sent, which the server tidied.
    prior, actual = normal_form(change.before), normal_form(source[field.name])
    is_prior = is_shown(field.kind, prior, actual)
    return not is_prior and not is_satisfied(field.kind, change.after, source[field.name])


def _taken(plan: Plan, definitions: Definitions, remote: Remote) -> Iterator[Diagnostic]:
    """The new names that a source has which this plan does not move away before."""
    names = {type_name: set(sources) for type_name, sources in remote.items()}
    for request in plan.requests:
        taken, there = request.body.get("name"), names[request.address.partition(".")[0]]
        if isinstance(taken, str):
            if taken in there:
                summary = f'the remote name "{taken}" is taken'
                yield _diagnostic(request.address, "name", summary, "a name that no source has", definitions)
            there.discard(request.name)
            there.add(taken)


def _diagnostic(address: Address, field: str, summary: str, expected: str, definitions: Definitions) -> Diagnostic:
    return Diagnostic(summary, expected, definitions.locate(address, field), address, field)


def _show(value: object) -> str:
    return "unset" if value is ABSENT else json.dumps(value, ensure_ascii=False)
