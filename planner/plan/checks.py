"""What a plan is refused for, however right it is: too many changes at once, and a source that would be there twice."""

from __future__ import annotations

from planner.definitions.definition import Definitions
from planner.errors import Diagnostic, PlanError, TooManyChanges
from planner.plan.build import Plan


def check_limit(plan: Plan, limit: int | str | None, path: str = "") -> None:
    """Refuse a plan that changes more than `limit`: a count, a share such as "30%" of all addresses, or None.

    `path` is the file that it was saved in, empty for one that was not.

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
