"""The last look of a run: sources that are not as the API answered.

A change may wait for a review, a request whose answer was lost may be carried out late, and a list may be behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from typing import TypeAlias

from planner.apply.checks.conflicts import show_names
from planner.apply.sending.effects import Effects
from planner.apply.sending.intents import find_reset
from planner.apply.sending.waits import Waits
from planner.audit.absence import LOOK_AGAIN_S, LOOKS, RECENT_S
from planner.audit.drift import Remote, changed_fields, find_shown
from planner.console.listing import Listing
from planner.definitions.addresses import RemoteName, type_of
from planner.definitions.resources import ResourceType
from planner.escape import format_value
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT, Action, FieldChange
from planner.plural import one_or_many
from state.records import Imported, Refreshed
from state.snapshot import ResourceState
from state.values import Address, Object

REVIEW = "perhaps a review is pending"
_BEHIND = "listing again, because an answered change is not shown yet"
ListRemote: TypeAlias = Callable[[Iterable[ResourceType]], Remote]


def look_at_last(
    plan: Plan,
    answered: Collection[Action],
    effects: Effects,
    waits: Waits,
    list_remote: ListRemote,
    *,
    deleted: Mapping[Address, Object],
    may_be: Callable[[Action, str], bool] = lambda _action, _name: False,
) -> Mapping[Address, str]:
    """The `answered` changes that the remote does not show in three lists; the texts say why.

    `deleted` are the sources that were to be deleted, as they were. One that is there as it was is in the state again,
    so that a plan deletes it once more. What was created, and is in no list for a minute, is in the state no more, so
    that a plan creates it once more. `may_be` tells whether a source with this name may be the one that was to be
    deleted, renamed and changed.

    Raises:
        ApiError: the remote can't be listed.
    """
    held, began = _names_held(plan, effects), effects.clock.monotonic()
    renamed, unlike = dict[Address, str](), dict[Address, str]()
    for look in range(LOOKS):
        # A list may be late.
        waits.wait(LOOK_AGAIN_S if look else 0.0, _BEHIND)
        remote = list_remote(_types(answered))
        renamed |= _find_renamed(answered, held, remote, may_be)
        unlike = find_unlike(answered, effects.known, held, remote, deleted)
        answered = [action for action in answered if action.address in unlike]
        if not answered:
            break
    _take_back(answered, effects, remote, deleted)
    if missing := {action.address: action for action in answered if _is_missing(action, effects, remote)}:
        # Nothing is gone as long as a list may be behind.
        waits.wait(max(0.0, RECENT_S - (effects.clock.monotonic() - began)), _BEHIND)
        remote = list_remote(_types(missing.values()))
        there = {address: text for address, text in unlike.items() if address not in missing}
        unlike = there | find_unlike(missing.values(), effects.known, held, remote, deleted)
        unlike |= _give_up(missing.values(), effects, remote)
    return renamed | unlike


def find_all_reset(
    replaced: Mapping[Address, Object], known: Callable[[Address], ResourceState | None], list_remote: ListRemote
) -> dict[Address, tuple[str, ...]]:
    """The fields that statform does not know, and that full updates of the sources `replaced`, as they were, reset.

    An answer may leave such a field out, though the source has it: then a list tells.

    Raises:
        ApiError: the remote can't be listed.
    """
    states = {address: state for address in replaced if (state := known(address)) is not None}
    suspect = [a for a, state in states.items() if find_reset(type_of(a), replaced[a], state.data)]
    remote = list_remote({type_.name: type_ for type_ in map(type_of, suspect)}.values())
    found = {a: remote[type_of(a).name].get(states[a].name) for a in suspect}
    resets = {a: find_reset(type_of(a), replaced[a], now) for a, now in found.items() if now is not None}
    return {address: fields for address, fields in resets.items() if fields}


def _types(actions: Iterable[Action]) -> Iterable[ResourceType]:
    return {action.type.name: action.type for action in actions}.values()


def _take_back(actions: Iterable[Action], effects: Effects, remote: Remote, deleted: Mapping[Address, Object]) -> None:
    """Take what was to be deleted, and is there as it was, into the state again."""
    for action in actions:
        if action.verb is verbs.DELETE and _is_there(action, remote, deleted):
            with effects.shield():
                source = remote[action.type.name][action.name]
                effects.record(Imported(action.address, source, effects.clock.timestamp()))


def _is_missing(action: Action, effects: Effects, remote: Remote) -> bool:
    """Whether what was created is in no list; one that contradicts itself says nothing of that."""
    sources, state = remote[action.type.name], effects.known(action.address)
    is_believed = not (isinstance(sources, Listing) and sources.problem is not None)
    return action.verb is verbs.CREATE and is_believed and state is not None and state.name not in sources


def _give_up(actions: Iterable[Action], effects: Effects, remote: Remote) -> dict[Address, str]:
    """Take what was created, and never came, out of the state."""
    found: dict[Address, str] = {}
    for action in actions:
        if _is_missing(action, effects, remote):
            with effects.shield():
                effects.record(Refreshed(action.address, None, {}, effects.clock.timestamp()))
            told = f'the API answered, but no list of a minute has "{action.name}": {REVIEW}'
            found[action.address] = f"{told}; the state does not have it, so that the next plan creates it again"
    return found


def _find_renamed(
    actions: Iterable[Action],
    held: Container[RemoteName],
    remote: Remote,
    may_be: Callable[[Action, str], bool],
) -> dict[Address, str]:
    """Deletes whose source is gone, though no answer says so, while others came; the texts name those."""
    found: dict[Address, str] = {}
    for action in actions:
        sources, type_name = remote[action.type.name], action.type.name
        if action.verb is verbs.DELETE and action.name not in sources:
            names = [one for one in sources if may_be(action, one) and RemoteName(type_name, one) not in held]
            if names:
                found[action.address] = _tell_renamed(action, names)
    return found


def _tell_renamed(action: Action, names: Sequence[str]) -> str:
    """That one of these may be the deleted source."""
    came = f"{show_names(names, action.name)} {one_or_many(len(names), 'is', 'are')} new"
    told = f"the list has no {format_value(action.name)}, but no answer says that it is deleted, and {came}"
    return f"{told}: perhaps somebody renamed and changed it; look at it in Statsig"


def _names_held(plan: Plan, effects: Effects) -> frozenset[RemoteName]:
    known = ((action, effects.known(action.address)) for action in plan.actions)
    return frozenset(RemoteName(action.type.name, one.name) for action, one in known if one is not None)


def find_unlike(
    actions: Iterable[Action],
    known: Callable[[Address], ResourceState | None],
    held: Container[RemoteName],
    remote: Remote,
    deleted: Mapping[Address, Object],
) -> dict[Address, str]:
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
