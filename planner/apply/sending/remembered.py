"""What an answer or a list shows for the first time of a value that an earlier request sent.

Answers may leave fields out that lists show. A value that is shown later, tidied, is nobody else's change.
"""

from __future__ import annotations

from typing import TypeVar

from attrs import evolve

from planner.console.answers import kind_of
from planner.definitions.addresses import type_of
from planner.definitions.equality import is_satisfied, is_shown_tidied
from state.records import Applied, Intent, Outcome, Resolved
from state.snapshot import ResourceState
from state.values import Object

_Found = TypeVar("_Found", bound=Outcome | Resolved)


def remember(found: _Found, intent: Intent, prior: ResourceState | None) -> _Found:
    """What was found, with the values of `prior` that it now shows tidied; the request itself did not send them."""
    if prior is None or not isinstance(found, Applied | Resolved) or found.data is None:
        return found
    shown = _find_shown(intent, prior, found.data)
    return evolve(found, unreturned={**shown, **found.unreturned}) if shown else found


def _find_shown(intent: Intent, prior: ResourceState, data: Object) -> Object:
    type_ = type_of(intent.address)
    unseen = {name: value for name, value in prior.unreturned.items() if name not in prior.data}
    return {
        name: value
        for name, value in unseen.items()
        if name in data
        and name not in intent.sent
        and (is_satisfied(kind := kind_of(type_, name), value, data[name]) or is_shown_tidied(kind, value, data[name]))
    }
