"""What a list of the remote adds to a plan before anybody applies it: old values, and what `apply` would refuse.

Pure: `run` lists the remote.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from attrs import frozen

from planner.apply.checks.conflicts import find_conflicts, with_look
from planner.apply.checks.late import Late
from planner.audit.absence import Look
from planner.audit.drift import Drift, Remote, refresh
from planner.definitions.definition import Definitions
from planner.errors import Diagnostic, PlanError
from planner.plan.build import Plan, build_plan
from planner.plan.diff import ABSENT, Action, FieldChange
from planner.plan.refusals import check_twins
from planner.plan.saved import Listed
from state.snapshot import Snapshot
from state.values import Address


@frozen
class Preview:
    """A plan from the remote as it is, with the old values of what it adopts.

    `problems` are what `apply` refuses whatever anybody agrees to: a name that is taken, a source that is not there.
    `conflicts` are what it refuses until somebody agrees to what others changed; those fields are marked in `marked`.
    `listed` is what was listed of the sources that it touches, where the state has it not so.
    """

    plan: Plan
    marked: Plan
    problems: tuple[Diagnostic, ...]
    conflicts: tuple[Diagnostic, ...]
    listed: Mapping[Address, Listed]


def preview(
    definitions: Definitions,
    snapshot: Snapshot,
    refreshed: Snapshot,
    drifts: Sequence[Drift],
    look: Look,
    *,
    targets: Collection[str] = (),
    excludes: Collection[str] = (),
    late: Late = lambda _address: {},
) -> Preview:
    """The plan that takes the `refreshed` snapshot, which has the `drifts`, to the definitions.

    `late` is as `find_conflicts` has it.

    Raises:
        PlanError, UsageError: as `build_plan`.
    """
    plan = with_look(build_plan(definitions, refreshed, targets, excludes), look.remote)
    problems = find_conflicts(plan, definitions, refreshed, look.remote, look.undecided, checks_drift=False)
    problems += tuple(_find_twins(plan, definitions))
    # If no plan can be made from the state alone, there is nothing to compare: show the plan after a refresh.
    offline: Plan | None = None
    conflicts: tuple[Diagnostic, ...] = ()
    with suppress(PlanError):
        offline = build_plan(definitions, snapshot, targets, excludes)
        conflicts = find_conflicts(offline, definitions, snapshot, look.remote, look.undecided, late=late)
        conflicts = tuple(one for one in conflicts if one not in problems)
    listed = _listed(plan, offline, snapshot, drifts, look.remote)
    return Preview(plan, _mark(plan, conflicts, drifts), problems, conflicts, listed)


def _find_twins(plan: Plan, definitions: Definitions) -> Sequence[Diagnostic]:
    try:
        check_twins(plan, definitions)
    except PlanError as error:
        return error.diagnostics
    return ()


def _listed(
    plan: Plan, offline: Plan | None, snapshot: Snapshot, drifts: Sequence[Drift], remote: Remote
) -> dict[Address, Listed]:
    """What moved of the sources that the plan touches, or would touch without the move, and what it adopts."""
    touched = {action.moved_from or action.address for one in (plan, offline) if one for action in one.changes}
    found = {
        record.address: Listed(record.data, record.unreturned)
        for record in refresh(drifts, snapshot, "")
        if record.address in touched or offline is None
    }
    adopted = (action for action in plan.actions if action.is_seen and action.name in remote[action.type.name])
    return found | {one.address: Listed(remote[one.type.name][one.name], {}) for one in adopted}


def _mark(plan: Plan, conflicts: Sequence[Diagnostic], drifts: Sequence[Drift]) -> Plan:
    """The plan, with what each field in a conflict was before somebody else changed it."""
    fields = {(one.address, one.field) for one in conflicts}
    before = {(drift.address, one.field.name): one.before for drift in drifts for one in drift.changes}

    def mark(action: Action, change: FieldChange) -> FieldChange:
        place = action.moved_from or action.address, change.field.name
        if place not in before or (action.address, change.field.name) not in fields:
            return change
        return change._replace(unconfirmed=None if before[place] is ABSENT else before[place])

    def mark_all(action: Action) -> Action:
        return action._replace(changes=tuple(mark(action, change) for change in action.changes))

    return plan._replace(actions=tuple(map(mark_all, plan.actions))) if fields else plan
