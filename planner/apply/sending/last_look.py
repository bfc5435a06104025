"""The last look of a run: sources that are not as the API answered.

A change may wait for a review, and a request whose answer was lost may be carried out late.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping

from planner.apply.sending.effects import Effects
from planner.apply.sending.waits import Waits
from planner.audit.absence import LOOK_AGAIN_S, LOOKS
from planner.audit.drift import Remote, changed_fields, find_shown
from planner.definitions.addresses import RemoteName
from planner.definitions.resources import ResourceType
from planner.escape import format_value
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT, Action, FieldChange
from state.records import Imported
from state.snapshot import ResourceState
from state.values import Address, Object

REVIEW = "perhaps a review is pending"


def look_at_last(
    plan: Plan,
    answered: Collection[Action],
    effects: Effects,
    waits: Waits,
    list_remote: Callable[[Iterable[ResourceType]], Remote],
    *,
    deleted: Mapping[Address, Object],
) -> Mapping[Address, str]:
    """The `answered` changes that the remote does not show in three lists; the texts say why.

    `deleted` are the sources that were to be deleted, as they were. One that is there as it was is in the state again,
    so that a plan deletes it once more.

    Raises:
        ApiError: the remote can't be listed.
    """
    held = _names_held(plan, effects)
    for look in range(LOOKS):
        # A list may be late.
        waits.wait(LOOK_AGAIN_S if look else 0.0, "listing again, because an answered change is not shown yet")
        remote = list_remote({action.type.name: action.type for action in answered}.values())
        unlike = find_unlike(answered, effects.known, held, remote, deleted)
        answered = [action for action in answered if action.address in unlike]
        if not answered:
            break
    for action in answered:
        if action.verb is verbs.DELETE and _is_there(action, remote, deleted):
            source = remote[action.type.name][action.name]
            with effects.shield():
                effects.record(Imported(action.address, source, effects.clock.timestamp()))
    return unlike


def _names_held(plan: Plan, effects: Effects) -> frozenset[RemoteName]:
    known = ((action, effects.known(action.address)) for action in plan.actions)
    return frozenset(RemoteName(action.type.name, one.name) for action, one in known if one is not None)


def find_unlike(
    actions: Iterable[Action],
    known: Callable[[Address], ResourceState | None],
    held: Container[RemoteName],
    remote: Remote,
    deleted: Mapping[Address, Object],
) -> Mapping[Address, str]:
    """The actions, all answered, that the remote does not show; the texts say why.

    `known` is what the state has of an address by now, `held` are the names of all that the plan is about, `deleted` as
    `look_at_last` has it.
    """
    shown = find_shown(remote)
    found: dict[Address, str] = {}
    for action in actions:
        type_name, state = action.type.name, known(action.address)
        if action.verb is verbs.DELETE:
            if action.name in remote[type_name] and RemoteName(type_name, action.name) not in held:
                found[action.address] = _tell_there(action, is_it=_is_there(action, remote, deleted))
        elif state is not None and (source := remote[type_name].get(state.name)) is None:
            found[action.address] = f'the API answered, but the last list has no "{state.name}": {REVIEW}'
        elif state is not None and source is not None:
            changed = changed_fields(action.type, state, source, shown[type_name])
            if fields := [one.field.name for one in changed if _is_answered(one, action)]:
                told = ", ".join(fields)
                found[action.address] = f"the API answered, but the last list has another {told}: {REVIEW}"
    return found


def _is_answered(change: FieldChange, action: Action) -> bool:
    """Whether the answer had another value; a missing field and an owner, which the server fills in, do not count."""
    is_sent = any(change.field.name == one.field.name for one in action.changes)
    return change.before is not ABSENT and (is_sent or change.field.name != "owner")


def _is_there(action: Action, remote: Remote, deleted: Mapping[Address, Object]) -> bool:
    """Whether the deleted source still exists unchanged, and not another source with its name."""
    sources = remote[action.type.name]
    prior = ResourceState(action.name, deleted.get(action.address, {}), {}, "")
    changed = changed_fields(action.type, prior, sources[action.name], frozenset())
    # The owner is the server's to fill in.
    return all(one.field.name == "owner" for one in changed)


def _tell_there(action: Action, *, is_it: bool) -> str:
    if is_it:
        return f"the API answered that it is deleted, but it is still there: {REVIEW}; the state has it again"
    return f"it was deleted, and somebody created another {format_value(action.name)}, which the state does not have"
