"""What a plan changes only in the state, without a request: each change is first recorded in the journal."""

from __future__ import annotations

from collections.abc import Iterator

from planner.apply.sending.effects import Effects
from planner.plan import verbs
from planner.plan.build import Plan
from state.records import Forgotten, Imported, Moved
from state.values import Address


def move(plan: Plan, effects: Effects) -> Iterator[Address]:
    """Move resources to their new addresses, before anything is sent; return the addresses that need nothing more."""
    for action in plan.actions:
        if action.moved_from is not None:
            with effects.shield():
                effects.record(Moved(action.moved_from, action.address, effects.clock.timestamp()))
                if not action.verb.is_change:
                    yield action.address


def take_over(plan: Plan, effects: Effects) -> Iterator[Address]:
    """Adopt sources without a difference; there is nothing to send."""
    requested = {request.address for request in plan.requests}
    for action in plan.actions:
        if action.verb is verbs.ADOPT and action.address not in requested:
            with effects.shield():
                effects.record(Imported(action.address, effects.listed(action), effects.clock.timestamp()))
                yield action.address


def forget(plan: Plan, effects: Effects) -> Iterator[Address]:
    """Remove from the state what the plan forgets; nothing is sent."""
    for action in plan.actions:
        if action.verb is verbs.FORGET:
            with effects.shield():
                effects.record(Forgotten(action.address, effects.clock.timestamp()))
                yield action.address
