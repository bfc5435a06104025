"""What a plan would overwrite although somebody changed it, found in the list of the remote before anything is sent.

Pure: `run` lists the remote, this compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from planner.audit.drift import Remote
from planner.console.listing import Listing
from planner.definitions.addresses import parts
from planner.definitions.definition import Definitions
from planner.definitions.fields import Call, is_satisfied, is_shown, normal_form
from planner.errors import Diagnostic
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT, NAME, Action, FieldChange
from state.values import Address, Object


def find_conflicts(plan: Plan, definitions: Definitions, remote: Remote) -> tuple[Diagnostic, ...]:
    """What sending the plan would overwrite although somebody changed it since the snapshot, or could not reach.

    A field conflicts if its remote value is neither prior nor desired; one that the list leaves out can't be seen.
    Empty means: safe to send.
    """
    found: list[Diagnostic] = []
    for action in plan.actions:
        if action.verb in {verbs.UPDATE, verbs.ADOPT}:
            source = remote[action.type.name].get(action.name)
            found += [_missing(action, definitions)] if source is None else _differing(action, definitions, source)
    return (*found, *_doubtful(plan, definitions, remote), *_taken(plan, definitions, remote))


def _missing(action: Action, definitions: Definitions) -> Diagnostic:
    expected = "the name of a source that is there: statform changes sources, it makes none"
    if action.verb is verbs.UPDATE:
        expected = "the source that the state has; it was renamed or deleted, which `statform refresh` takes over"
    summary = f'the remote has no source named "{action.name}"'
    return Diagnostic(summary, expected, definitions.locate(action.address, "name"), action.address)


def _differing(action: Action, definitions: Definitions, source: Object) -> Iterator[Diagnostic]:
    values = definitions.resources[action.address].values
    for field in action.type.fields if action.verb is verbs.ADOPT else ():
        # PATCH can't bring an unpatchable field to its desired value, so that adopting would never settle.
        desired, actual = values.get(field.name), source.get(field.name)
        if Call.PATCH not in field.calls and desired is not None and not is_satisfied(field.kind, desired, actual):
            summary = f"{field.name} differs from the remote's {_show(actual)}, and PATCH does not take it"
            yield _diagnostic(action.address, field.name, summary, f"the {field.name} that the source has", definitions)
    for change in action.changes if action.verb is verbs.UPDATE else ():
        if _is_moved(change, source):
            field_name = change.field.name
            summary = (
                f"the remote's {field_name} is {_show(source[field_name])}: neither the prior {_show(change.before)} "
                f"nor the desired {_show(change.after)}"
            )
            expected = "nobody else's change under this one; --no-check-drift overwrites it"
            yield _diagnostic(action.address, field_name, summary, expected, definitions)


def _is_moved(change: FieldChange, source: Object) -> bool:
    field = change.field
    if field is NAME or field.name not in source or change.before is ABSENT:
        return False
    # The prior may be the value as it was sent, which the server tidied.
    prior, actual = normal_form(change.before), normal_form(source[field.name])
    is_prior = is_shown(field.kind, prior, actual)
    return not is_prior and not is_satisfied(field.kind, change.after, source[field.name])


def _doubtful(plan: Plan, definitions: Definitions, remote: Remote) -> Iterator[Diagnostic]:
    """The sources that a list which contradicts itself shows in more than one way: what they are now is not known."""
    doubtful = {name: sources.doubtful for name, sources in remote.items() if isinstance(sources, Listing)}
    for action in plan.changes:
        if action.name in doubtful.get(action.type.name, ()) and action.address in definitions.resources:
            summary = f'the list contradicts itself, and shows "{action.name}" in more than one way'
            yield _diagnostic(action.address, "name", summary, "a list that agrees with itself: try again", definitions)


def _taken(plan: Plan, definitions: Definitions, remote: Remote) -> Iterator[Diagnostic]:
    """The new names that a source has which this plan does not move away before."""
    names = {type_name: set(sources) for type_name, sources in remote.items()}
    for request in plan.requests:
        taken, there = request.body.get("name"), names[parts(request.address)[0]]
        if isinstance(taken, str):
            if taken in there:
                summary = f'the remote name "{taken}" is taken'
                yield _diagnostic(request.address, "name", summary, "a name that no source has", definitions)
            there.discard(request.name)
            there.add(taken)


def _diagnostic(address: Address, field: str, summary: str, expected: str, definitions: Definitions) -> Diagnostic:
    return Diagnostic(summary, expected, definitions.locate(address, field), address, field)


def _show(value: object) -> str:
    return "unset" if value is ABSENT else json.dumps(value, ensure_ascii=False)
