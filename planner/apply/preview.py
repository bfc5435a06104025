"""What a look at the remote tells of a plan before anybody applies it: old values, and what `apply` would refuse.

Pure: `run` lists the remote.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from attrs import frozen

from planner.apply.conflicts import find_conflicts, with_look
from planner.audit.absence import Look
from planner.audit.drift import Drift
from planner.definitions.definition import Definitions
from planner.errors import Diagnostic, PlanError
from planner.plan.build import Plan, build_plan
from planner.plan.diff import ABSENT, Action, FieldChange
from state.snapshot import Snapshot


@frozen
class Preview:
    """A plan from the remote as it is, with the old values of what it adopts.

    `problems` are what `apply` refuses whatever anybody agrees to: a name that is taken, a source that is not there.
    `conflicts` are what it refuses until somebody agrees to what others changed; those fields are marked in the plan.
    """

    plan: Plan
    problems: tuple[Diagnostic, ...] = ()
    conflicts: tuple[Diagnostic, ...] = ()


def preview(
    definitions: Definitions,
    snapshot: Snapshot,
    refreshed: Snapshot,
    drifts: Sequence[Drift],
    look: Look,
    *,
    targets: Collection[str] = (),
    excludes: Collection[str] = (),
) -> Preview:
    """The plan that takes the `refreshed` snapshot, which has the `drifts`, to the definitions.

    Raises:
        PlanError, UsageError: as `build_plan`.
    """
    plan = with_look(build_plan(definitions, refreshed, targets, excludes), look.remote)
    problems = find_conflicts(plan, definitions, refreshed, look.remote, look.undecided, checks_drift=False)
    conflicts: tuple[Diagnostic, ...] = ()
    # Where the state alone allows no plan, there is nothing to compare: this one shows what a refresh leads to.
    with suppress(PlanError):
        offline = build_plan(definitions, snapshot, targets, excludes)
        found = find_conflicts(offline, definitions, snapshot, look.remote, look.undecided)
        conflicts = tuple(one for one in found if one not in problems)
    return Preview(_mark(plan, conflicts, drifts), problems, conflicts)


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
