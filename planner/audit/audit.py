"""An audit: all differences between the remote and the state, who made them, and what a plan would undo.

Pure: `client` lists the remote and reads the log; this module combines the results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from attrs import field, frozen

from planner.audit.absence import Look
from planner.audit.authors import Author, Authors, Log
from planner.audit.drift import Drift, find_drift, find_renamed, find_unmanaged, find_unseen, refresh, without_filled
from planner.audit.experiments import Touched
from planner.console.audit_log import LogEntry
from planner.definitions.addresses import RemoteName, is_like, type_of
from planner.definitions.definition import Definitions
from planner.definitions.fields import Call
from planner.definitions.resources import RESOURCE_TYPES
from planner.plan.diff import FieldChange, diff
from state.fold import replay
from state.records import Begin
from state.runs import AtWork
from state.snapshot import Snapshot
from state.values import Address


@frozen
class Audit:
    """The remote against the state.

    `snapshot` is the state, `drifts` what moved since, `renamed` the likely new names of sources that are gone,
    `unmanaged` the sources that the state has nowhere, by type name and remote name, `unseen` the fields that could not
    be compared, by type name and field name. `undecided` tells why it is not known of a source whether or how it is
    there. `undone` are the drifted fields that a plan would bring back, `authors` who did it all; each is None when
    nobody asked. `touched` is who reads what moved. Of the journal: how many `records` it has, or what its `damage` is,
    and its `last_run`, None where it has none. `at_work` is the run that may have
    changed the remote while it was listed.
    """

    snapshot: Snapshot
    drifts: tuple[Drift, ...]
    renamed: Mapping[Address, str]
    unmanaged: tuple[RemoteName, ...]
    unseen: tuple[tuple[str, str], ...]
    undone: Collection[tuple[Address, str]] | None = None
    authors: Authors | None = None
    records: int = 0
    damage: str | None = None
    last_run: Begin | None = None
    undecided: Mapping[Address, str] = field(factory=dict)
    touched: tuple[Touched, ...] = ()
    at_work: AtWork | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs, nothing is unknown, and the journal is intact. Fields not compared don't count."""
        return not (self.drifts or self.snapshot.unresolved or self.undecided or self.unmanaged or self.damage)

    @property
    def moved(self) -> tuple[tuple[Address, FieldChange], ...]:
        """Each field that drifted."""
        return tuple((drift.address, change) for drift in self.drifts for change in drift.changes)

    def is_undone(self, address: Address, change: FieldChange) -> bool:
        """Whether a plan of the definitions as they are would undo the change; False when no plan was asked for."""
        return self.undone is not None and (address, change.field.name) in self.undone

    @property
    def exit_code(self) -> int:
        """0: clean, 2: not clean, 1: the journal is damaged, so that the rest can't be relied on."""
        return 1 if self.damage else 0 if self.is_clean else 2


def audit_remote(snapshot: Snapshot, look: Look, ignored: Collection[str] = ()) -> Audit:
    """Everything in which the remote differs from the state.

    Unmanaged sources whose name matches one of the patterns `ignored` are left out.
    """
    remote = look.remote
    drifts = without_filled(find_drift(snapshot, remote, look.undecided))
    renamed = find_renamed(drifts, snapshot, remote)
    unmanaged = tuple(one for one in find_unmanaged(snapshot, remote) if not is_like(one.name, ignored))
    return Audit(snapshot, drifts, renamed, unmanaged, find_unseen(snapshot, remote), undecided=look.undecided)


def find_authors(audit: Audit, entries: Sequence[LogEntry]) -> Authors:
    """Who made the changes that the audit found, as far as the entries of the audit log say."""
    asked = {d.type.name for d in audit.drifts} | {type_name for type_name, _ in audit.unmanaged}
    shared = _shared_names(audit)
    logs = {name: Log.of(entries, RESOURCE_TYPES[name], shared) for name in asked}
    changed: dict[tuple[Address, str], Author] = {}
    removed: dict[Address, Author] = {}
    for drift in audit.drifts:
        log, since = logs[drift.type.name], audit.snapshot.resources[drift.address].updated_at
        if drift.source is None and (author := log.who_removed(drift.name, since)):
            removed[drift.address] = author
        for change in drift.changes:
            if author := log.who_changed(drift.name, change, since):
                changed[drift.address, change.field.name] = author
    made = {one: author for one in audit.unmanaged if (author := logs[one.type].who_made(one.name))}
    return Authors(changed, removed, made)


def _shared_names(audit: Audit) -> frozenset[str]:
    """The remote names that sources of more than one type have."""
    managed = {(type_of(address).name, prior.name) for address, prior in audit.snapshot.resources.items()}
    counts = Counter(name for _, name in {*managed, *audit.unmanaged})
    return frozenset(name for name, count in counts.items() if count > 1)


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
        if Call.PATCH in change.field.calls
    )
