"""`--overwrite ADDRESS`: the changes of others at this address are taken into the state first, so that the plan undoes
them.

Pure: `run` lists the remote.
"""

from __future__ import annotations

from collections.abc import Collection

from planner.audit.drift import Remote, find_drift, refresh
from planner.definitions.addresses import closest_address, type_of
from planner.errors import UsageError
from planner.plan import verbs
from planner.plan.build import Plan
from state.advice import advise
from state.records import Refreshed
from state.snapshot import Snapshot
from state.values import Address


def check_known(overwrites: Collection[Address], plan: Plan, snapshot: Snapshot) -> None:
    """Raises:
    UsageError: one is neither in the state nor in the plan.
    """
    known = {*snapshot.resources, *(action.address for action in plan.actions)}
    for word in overwrites:
        if word not in known:
            raise UsageError(f"--overwrite {word}: the state has no such address{closest_address(word, known)}")


def check_adopted(overwrites: Collection[Address], plan: Plan) -> None:
    """Raises:
    UsageError: an address that a saved plan does not adopt: for all others, the plan shows what it undoes.
    """
    adopted = {action.address for action in plan.actions if action.verb is verbs.ADOPT}
    if others := sorted({*overwrites} - adopted):
        raise UsageError(
            f"--overwrite {others[0]}: with a saved plan it is for what the plan adopts; to undo others' changes, save "
            f"a plan that shows them: {advise('plan', '--refresh', '--out', 'FILE')}"
        )


def find_overwritten(
    overwrites: Collection[Address], snapshot: Snapshot, remote: Remote, at: str
) -> tuple[Refreshed, ...]:
    """The records that take into the state what others changed at these addresses; `at` is now.

    Raises:
        UsageError: the state does not have one of them.
    """
    wanted = {*overwrites}
    if unknown := sorted(wanted - snapshot.resources.keys()):
        raise UsageError(f"--overwrite {unknown[0]}: the state has no such address")
    types = {type_of(address).name for address in wanted}
    resources = {a: one for a, one in snapshot.resources.items() if type_of(a).name in types}
    drifts = find_drift(snapshot._replace(resources=resources), remote)
    taken = [drift for drift in drifts if drift.address in wanted and drift.source is not None]
    return refresh(taken, snapshot, at)
