"""What is sent for a request, made from what is known about its source at that moment.

Pure. It is not documented whether a full update keeps or resets a field that it leaves out: so it leaves out none.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from planner.console.answers import call_of, deadline_of
from planner.definitions.equality import is_same, normal_form
from planner.definitions.fields import Call
from planner.definitions.resources import ResourceType
from planner.plan.diff import ABSENT, Action
from planner.plan.order import Request
from state.records import Intent
from state.snapshot import ResourceState
from state.values import JSON, Object


def make_intent(
    request: Request,
    action: Action,
    prior: ResourceState | None,
    source: Object | None,
    at: str,
    *,
    declared: Container[str] = (),
) -> Intent:
    """What is sent at the time `at`; `source` is the source as it was seen last, None for one that is not there.

    The state has nothing of a source that is adopted: all its `declared` fields are in `before`, so that an answer
    shows which of them somebody changed since.
    """
    before, body = _before(request, action, prior), request.body
    match request.call:
        case Call.CREATE:
            before = {}
        case Call.DELETE:
            before = source or {**(prior.values if prior else {}), "name": request.name}
        case Call.FULL:
            changed = {change.field.name: change.before for change in action.changes}
            body = merge(action.type, source or {}, prior, request.body, changed)
            before = {name: value for name, value in (source or {}).items() if name in body}
            # The definition may now have the value as the API had changed it: the state still has the value that was
            # sent. Or a PATCH without an answer was carried out late: the source has its value, tidied, and the state
            # has the one before.
            tidied = {n for n in changed if n in before and normal_form(before[n]) == normal_form(body[n])}
            before |= {name: was for name, was in changed.items() if name in tidied and was is not ABSENT}
        case Call.PATCH if prior is None:
            before = {**{name: value for name, value in (source or {}).items() if name in declared}, **before}
        case Call.PATCH:
            pass
    return Intent(request.address, request.call.method, request.name, before, body, at, deadline_of(body))


def _before(request: Request, action: Action, prior: ResourceState | None) -> Object:
    """The prior values of the sent fields, as the API returned them if it did: others compare with those."""
    before = {c.field.name: c.before for c in action.changes if c.field.name in request.body and c.before is not ABSENT}
    if prior is not None:
        before |= {name: prior.data[name] for name in before if name in prior.data}
    return {**before, "name": request.name} if "name" in request.body else before


def merge(
    type_: ResourceType, base: Object, prior: ResourceState | None, declared: Object, changed: Container[str]
) -> Object:
    """The body of a full update: the source as it was just listed, with those declared values that the plan changes.

    A field that the plan does not show is sent exactly as the API returned it, with its own line ends.
    A field that the list leaves out comes from the state, if it is there; null only where a field can be null.
    """
    known: Mapping[str, JSON] = {**(prior.values if prior else {}), **base}
    body = {
        field.name: known[field.name]
        for field in type_.in_call(Call.FULL)
        if field.name in known and (known[field.name] is not None or field.nullable)
    }
    return {**body, **{name: value for name, value in declared.items() if name in changed or name not in body}}


def find_reset(type_: ResourceType, was: Object, now: Object) -> tuple[str, ...]:
    """The fields of a source that statform does not know, and so can't send, that had a value and have none `now`."""
    unknown = (name for name in was if name != "name" and name not in type_.field)
    return tuple(name for name in unknown if was[name] and not now.get(name))


def find_unasked(type_: ResourceType, intent: Intent, data: Object) -> tuple[str, ...]:
    """The fields that a full update did not send, as nobody knew a value, and that the answer shows all the same.

    An owner, whom the server fills in, is none.
    """
    if call_of(intent) is not Call.FULL:
        return ()
    unsent = (field for field in type_.in_call(Call.FULL) if field.name not in intent.sent and field.name != "owner")
    return tuple(field.name for field in unsent if not is_same(field.kind, None, data.get(field.name)))
