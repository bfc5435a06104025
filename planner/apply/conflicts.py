"""What a plan would overwrite although somebody changed it, found in a look at the remote before anything is sent.

A field conflicts if the definition declares it and its remote value is neither that of the state nor the desired one,
whether or not the plan sends it; and if nobody agreed yet to the value that the state has of it, and the plan would
change that. When two values are the same is for `fields.is_same` to say.

Pure: `run` lists the remote, this compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from attrs import frozen

from planner.audit.drift import Remote, changed_fields, find_shown
from planner.console.listing import Listing
from planner.definitions.addresses import parts
from planner.definitions.definition import Definitions
from planner.definitions.fields import Call, closest, is_same, is_satisfied
from planner.errors import Diagnostic
from planner.escape import format_value
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT, Action, Value
from planner.plan.order import Request
from state.snapshot import ResourceState, Snapshot
from state.values import JSON, Address, Object


@frozen
class Conflict:
    """A declared field whose value at the remote, `actual`, was not `prior` when the plan was made or agreed to."""

    field: str
    prior: Value
    actual: JSON
    desired: JSON


def find_conflicts(
    plan: Plan, definitions: Definitions, snapshot: Snapshot, remote: Remote, *, checks_drift: bool = True
) -> tuple[Diagnostic, ...]:
    """What sending the plan would overwrite although somebody changed it since the snapshot, or could not reach.

    Without `checks_drift` only what it could not reach. Empty means: safe to send.
    """
    found: list[Diagnostic] = []
    shown = find_shown(remote)
    for action in plan.actions:
        if action.verb in {verbs.UPDATE, verbs.ADOPT}:
            source = remote[action.type.name].get(action.name)
            if source is None:
                found.append(_missing(action, definitions, remote))
            else:
                found += _differing(action, definitions, source)
                prior = snapshot.resources.get(action.moved_from or action.address)
                if checks_drift and prior is not None:
                    values = definitions.resources[action.address].values
                    conflicts = conflicts_of(action, values, prior, source, shown[action.type.name])
                    found += (_told(action.address, one, definitions) for one in conflicts)
    return (*found, *_doubtful(plan, definitions, remote), *_taken(plan, definitions, remote))


def conflicts_of(
    action: Action, declared: Object, prior: ResourceState, source: Object, shown: frozenset[str]
) -> Iterator[Conflict]:
    """The conflicts of one source, in the order of its fields; `shown` are the fields that its list shows of any."""
    fields = action.type.field
    moved = {one.field.name: one.before for one in changed_fields(action.type, prior, source, shown)}
    moved |= unconfirmed_of(action, prior)
    for name in fields:
        if name not in moved or name not in declared or _is_added_to(moved[name], declared[name], source.get(name)):
            continue
        if not is_satisfied(fields[name].kind, declared[name], source.get(name)):
            yield Conflict(name, moved[name], source.get(name), declared[name])


def _is_added_to(prior: Value, desired: JSON, actual: JSON) -> bool:
    """Whether a table only got members that nobody declares, as an API adds some."""
    if not (isinstance(prior, dict) and isinstance(desired, dict) and isinstance(actual, dict)):
        return False
    return all(prior.get(member) == actual.get(member) for member in {**prior, **desired})


def unconfirmed_of(action: Action, prior: ResourceState) -> dict[str, Value]:
    """The fields that the action changes, and that somebody changed before without anybody's consent; as they were."""
    changed = {change.field.name: change.field for change in action.changes}
    return {
        name: before
        for name, before in prior.unconfirmed.items()
        if name in changed and not is_same(changed[name].kind, before, prior.values.get(name))
    }


def with_look(plan: Plan, remote: Remote) -> Plan:
    """The plan with what a look tells of the sources to be adopted: their old values, and only what differs is sent."""
    looked: dict[Address, Action] = {}
    for action in plan.actions:
        source = remote[action.type.name].get(action.name) if action.verb is verbs.ADOPT else None
        if source is not None:
            changes = tuple(
                type(change).of(change.field, source.get(change.field.name, ABSENT), change.after)
                for change in action.changes
                if change.field.name not in source
                or not is_satisfied(change.field.kind, change.after, source[change.field.name])
            )
            looked[action.address] = action._replace(changes=changes)
    if not looked:
        return plan
    requests = [
        _reduced(request, looked[request.address]) if request.address in looked else request
        for request in plan.requests
    ]
    return plan._replace(
        actions=tuple(looked.get(action.address, action) for action in plan.actions),
        requests=tuple(one for one in requests if one.body or one.address not in looked),
    )


def _reduced(request: Request, action: Action) -> Request:
    kept = {change.field.name for change in action.changes}
    return request._replace(body={name: value for name, value in request.body.items() if name in kept})


def _missing(action: Action, definitions: Definitions, remote: Remote) -> Diagnostic:
    guess = closest(action.name, tuple(remote[action.type.name]))
    expected = f"the name of a source that is there{guess}"
    if action.verb is verbs.UPDATE:
        expected = "the source that the state has; it was renamed or deleted, which `statform refresh` takes over"
    summary = f'the remote has no source named "{action.name}"'
    return Diagnostic(summary, expected, definitions.locate(action.address, "name"), action.address)


def _differing(action: Action, definitions: Definitions, source: Object) -> Iterator[Diagnostic]:
    values = definitions.resources[action.address].values
    for field in action.type.fields if action.verb is verbs.ADOPT else ():
        # PATCH can't bring an unpatchable field to its desired value, so that adopting would never settle.
        desired, actual = values.get(field.name), source.get(field.name)
        is_out_of_reach = action.type.has_patch and Call.PATCH not in field.calls
        if is_out_of_reach and desired is not None and not is_satisfied(field.kind, desired, actual):
            summary = f"{field.name} differs from the remote's {_show(actual)}, and PATCH does not take it"
            yield _diagnostic(action.address, field.name, summary, f"the {field.name} that the source has", definitions)


def _told(address: Address, conflict: Conflict, definitions: Definitions) -> Diagnostic:
    field = conflict.field
    summary = (
        f"the remote's {field} is {_show(conflict.actual)}: neither the prior {_show(conflict.prior)} "
        f"nor the desired {_show(conflict.desired)}"
    )
    expected = (
        f"one of: take it into the definition (`statform refresh --write`), take it into the state, so that a plan "
        f"shows the undoing (`statform refresh {address}`), or undo it now (`statform apply --overwrite {address}`)"
    )
    return _diagnostic(address, field, summary, expected, definitions)


def _doubtful(plan: Plan, definitions: Definitions, remote: Remote) -> Iterator[Diagnostic]:
    """The sources that a list which contradicts itself shows in more than one way: what they are now is not known."""
    doubtful = {name: sources.doubtful for name, sources in remote.items() if isinstance(sources, Listing)}
    for action in plan.changes:
        if action.name in doubtful.get(action.type.name, ()) and action.address in definitions.resources:
            summary = f'the list contradicts itself, and shows "{action.name}" in more than one way'
            yield _diagnostic(action.address, "name", summary, "a list that agrees with itself: try again", definitions)


def _taken(plan: Plan, definitions: Definitions, remote: Remote) -> Iterator[Diagnostic]:
    """The new names that a source has which this plan does not move away before."""
    names: Mapping[str, set[str]] = {type_name: set(sources) for type_name, sources in remote.items()}
    for request in plan.requests:
        taken, there = request.body.get("name"), names[parts(request.address)[0]]
        if request.call is Call.DELETE:
            there.discard(request.name)
        elif isinstance(taken, str):
            if taken in there and request.call is Call.CREATE:
                yield _there_already(request, definitions)
            elif taken in there:
                summary = f'the remote name "{taken}" is taken'
                yield _diagnostic(request.address, "name", summary, "a name that no source has", definitions)
            there.discard(request.name)
            there.add(taken)


def _there_already(request: Request, definitions: Definitions) -> Diagnostic:
    expected = f"`statform import {request.address} {format_value(request.name)}`, or adopt = true in its table"
    summary = f'the remote has a source named "{request.name}" already'
    return _diagnostic(request.address, "name", summary, expected, definitions)


def _diagnostic(address: Address, field: str, summary: str, expected: str, definitions: Definitions) -> Diagnostic:
    return Diagnostic(summary, expected, definitions.locate(address, field), address, field)


def _show(value: object) -> str:
    return "unset" if value is ABSENT else json.dumps(value, ensure_ascii=False)
