"""What a plan does to the state alone, without a request: each is a record, in the journal before it counts."""

from __future__ import annotations

from collections.abc import Iterator

from planner.apply.sending.effects import Effects
from planner.plan import verbs
from planner.plan.build import Plan
from state.records import Forgotten, Imported, Moved
from state.values import Address


def move(plan: Plan, effects: Effects) -> Iterator[Address]:
    """Take along what has another address now, before anything is sent for it; those of which that is all."""
    for action in plan.actions:
        if action.moved_from is not None:
            with effects.shield():
                effects.record(Moved(action.moved_from, action.address, effects.clock.timestamp()))
                if not action.verb.is_change:
                    yield action.address


def take_over(plan: Plan, effects: Effects) -> Iterator[Address]:
    """Take what is adopted just as it is; there is nothing to send."""
    requested = {request.address for request in plan.requests}
    for action in plan.actions:
        if action.verb is verbs.ADOPT and action.address not in requested:
            with effects.shield():
                effects.record(Imported(action.address, effects.listed(action), effects.clock.timestamp()))
                yield action.address


def forget(plan: Plan, effects: Effects) -> Iterator[Address]:
    """Drop what the plan forgets; the remote is not asked."""
    for action in plan.actions:
        if action.verb is verbs.FORGET:
            with effects.shield():
                effects.record(Forgotten(action.address, effects.clock.timestamp()))
                yield action.address
