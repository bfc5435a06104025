"""The unit IDs that a plan names but the project does not have.

Pure: `client` lists those of the project.
"""

from __future__ import annotations

from collections.abc import Sequence

from planner.definitions.fields import KeyedList, closest
from planner.escape import format_value
from planner.plan.build import Plan

UNIT = "statsigUnitID"


def find_unknown_units(plan: Plan, known: Sequence[str]) -> tuple[str, ...]:
    """A warning for each unit ID in a change that the project does not have, with the most similar one that it has."""
    has, names = frozenset(known), tuple(known)
    return tuple(
        f"{action.address}: the project has no unit ID {format_value(unit)}{closest(unit, names)}"
        for action in plan.changes
        for change in action.changes
        if isinstance(kind := change.field.kind, KeyedList) and kind.key == UNIT
        for unit in kind.elements(change.after) or ()
        if unit not in has
    )


def names_units(plan: Plan) -> bool:
    """Whether a change names unit IDs at all."""
    return any(
        isinstance(kind := change.field.kind, KeyedList) and kind.key == UNIT
        for action in plan.changes
        for change in action.changes
    )
