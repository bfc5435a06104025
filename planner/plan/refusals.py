"""Why a plan may be refused although it is correct: too many changes at once, or a source that would exist twice."""

from __future__ import annotations

from planner.definitions.definition import Definitions
from planner.errors import Diagnostic, PlanError, TooManyChanges
from planner.plan.build import Plan


def check_limit(plan: Plan, limit: int | str | None, path: str = "") -> None:
    """Refuse a plan that changes more than `limit`: a count, a share such as "30%" of all addresses, or None.

    `path` is the file of a saved plan, and empty for a plan that was not saved.

    Raises:
        TooManyChanges: the plan changes more.
    """
    if plan._replace(max_changes=limit).is_over_limit:
        raise TooManyChanges(len(plan.changes), plan.managed, str(limit), path)


def check_twins(plan: Plan, definitions: Definitions) -> None:
    """Refuse a plan that would create a source that is there already, under another address.

    Raises:
        PlanError: a created address has the query and the columns of a forgotten one.
    """
    if plan.twins:
        raise PlanError(
            [
                Diagnostic(
                    f"{new} would be created with the query and the columns of {old}, which is forgotten",
                    f'[[moved]] from "{old}", if it is that source; [[removed]] of it, if you want both',
                    definitions.locate(new),
                    new,
                )
                for old, new in plan.twins
            ]
        )
