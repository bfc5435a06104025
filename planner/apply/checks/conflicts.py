"""What a plan would overwrite although somebody changed it, found by listing the remote before anything is sent.

A field conflicts if the definition declares it and its remote value is neither that of the state nor the desired one,
whether or not the plan sends it; and if nobody agreed yet to the value that the state has of it, and the plan would
change that. `equality.is_same` decides when two values are the same.

Pure: `run` lists the remote, this compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from planner.apply.checks.late import Late, is_as_sent, without_late
from planner.apply.checks.taken import find_taken
from planner.audit.drift import Drift, Remote, changed_fields, find_alike, find_shown
from planner.console.listing import Listing
from planner.definitions.definition import Definitions
from planner.definitions.equality import is_same, is_satisfied
from planner.definitions.fields import Call, Kind, closest
from planner.definitions.resources import ResourceType
from planner.errors import Diagnostic
from planner.escape import find_in_another_form, tell_names_apart
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT, Action, Value, is_same_but_for_line_ends
from planner.plan.order import Request
from planner.plural import one_or_many
from state.advice import advise
from state.snapshot import ResourceState, Snapshot
from state.values import JSON, Address, Object

MAX_TOLD = 3
MAX_GUESSES = 20
_LONGEST_SHOWN = 200


class Conflict(NamedTuple):
    """A declared field whose value at the remote, `actual`, was not `prior` when the plan was made or agreed to."""

    field: str
    prior: Value
    actual: JSON
    desired: JSON


def find_conflicts(
    plan: Plan,
    definitions: Definitions,
    snapshot: Snapshot,
    remote: Remote,
    undecided: Mapping[Address, str] | None = None,
    *,
    checks_drift: bool = True,
    late: Late = lambda _address: {},
) -> tuple[Diagnostic, ...]:
    """What sending the plan would overwrite although somebody changed it since the snapshot, or could not reach.

    `undecided` says, for an address of the snapshot, why the values of its source are unknown. Without `checks_drift`
    only what the plan could not reach. What a request of our own did `late` is nobody else's change. Empty means: safe
    to send.
    """
    found: list[Diagnostic] = []
    gone: list[Drift] = []
    shown = find_shown(remote)
    for action in plan.actions:
        if action.verb not in {verbs.UPDATE, verbs.ADOPT, verbs.DELETE}:
            continue
        known_at = action.moved_from or action.address
        source = remote[action.type.name].get(action.name)
        if (doubt := _doubt(action, remote) or (undecided or {}).get(known_at)) is not None:
            found.append(_undecided(action, doubt, definitions))
        elif action.verb is verbs.DELETE and source is None:
            gone.append(Drift(known_at, action.type, action.name, (), None))
        elif action.verb is verbs.DELETE and source is not None:
            found += _changed(action, snapshot.resources.get(known_at), source, shown[action.type.name])
        elif source is None:
            # To compare each of thousands of names with all others would take minutes.
            names = remote[action.type.name] if len(found) < MAX_GUESSES else ()
            found.append(_missing(action, definitions, names))
        else:
            prior = snapshot.resources.get(known_at)
            if checks_drift and prior is not None:
                values = definitions.resources[action.address].values
                conflicts = conflicts_of(action, values, prior, source, shown[action.type.name])
                found += (
                    _told(action.address, one, definitions, may_be_own=is_as_sent(one, action.type, late(known_at)))
                    for one in without_late(conflicts, action.type, known_at, late)
                )
    return (*found, *_renamed(gone, snapshot, remote), *find_taken(plan, definitions, snapshot, remote))


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
    """Whether a table only got new members that nobody declares; an API adds some by itself."""
    if not (isinstance(prior, dict) and isinstance(desired, dict) and isinstance(actual, dict)):
        return False
    return all(prior.get(member) == actual.get(member) for member in {**prior, **desired})


def unconfirmed_of(action: Action, prior: ResourceState) -> dict[str, Value]:
    """The fields that the action changes and that somebody else changed before, without consent; the old values."""
    changed = {change.field.name for change in action.changes}
    return {name: before for name, before in changed_unseen(action.type, prior).items() if name in changed}


def changed_unseen(type_: ResourceType, prior: ResourceState) -> dict[str, Value]:
    """The fields that somebody else changed, as an answer showed, and that nobody accepted yet; the old values."""
    fields = type_.field
    return {
        name: before
        for name, before in prior.unconfirmed.items()
        if name in fields and not is_same(fields[name].kind, before, prior.values.get(name))
    }


def moved_of(
    action: Action, declared: Object, prior: ResourceState | None, source: Object, shown: frozenset[str]
) -> Iterator[Conflict]:
    """The fields of a source that changed since the plan was approved, and that the action would undo.

    `prior` is what the state has of it by now; it has nothing of one that is adopted, whose values the plan showed. For
    a source to be deleted, all fields count except the owner, which the server fills in.
    """
    if action.verb is verbs.DELETE and prior is not None:
        fields = changed_fields(action.type, prior, source, shown)
        moved = {**changed_unseen(action.type, prior), **{one.field.name: one.before for one in fields}}
        found = (Conflict(name, before, source.get(name), None) for name, before in moved.items())
        yield from (conflict for conflict in found if conflict.field != "owner")
    elif prior is not None:
        yield from conflicts_of(action, declared, prior, source, shown)
    else:
        yield from _moved_of_adopted(action, declared, source)


def _moved_of_adopted(action: Action, declared: Object, source: Object) -> Iterator[Conflict]:
    """What is not as the plan showed it; a declared field that it did not show was as it is declared."""
    fields, before = action.type.field, {change.field.name: change.before for change in action.changes}
    for change in action.changes:
        was, actual = change.before, source.get(change.field.name)
        if not is_same(change.field.kind, None if was is ABSENT else was, actual):
            yield Conflict(change.field.name, was, actual, change.after)
    for name, value in declared.items():
        if name in fields and name not in before and not _is_so(fields[name].kind, value, source.get(name)):
            yield Conflict(name, value, source.get(name), value)


def tell_moved(conflicts: Iterable[Conflict]) -> str | None:
    """The conflicts as the reason for which nothing is sent; None without any."""
    if not (found := [*conflicts]):
        return None
    told = ", ".join(f"its {one.field}, which is now {show_value(one.actual, one.prior)}" for one in found[:MAX_TOLD])
    more = f", and {len(found) - MAX_TOLD} more fields" if len(found) > MAX_TOLD else ""
    shown = f"somebody changed {told}{more}"
    return f"{shown}: nothing was sent. `{advise('refresh')}` accepts the change"


def with_look(plan: Plan, remote: Remote) -> Plan:
    """The plan with the old values of the sources to be adopted; only fields that differ are sent."""
    looked: dict[Address, Action] = {}
    for action in plan.actions:
        if action.verb is verbs.ADOPT:
            # A source that does not exist has no values; the plan is refused because of it.
            source = remote[action.type.name].get(action.name, {})
            changes = tuple(
                type(change).of(change.field, source.get(change.field.name, ABSENT), change.after)
                for change in action.changes
                if change.field.name not in source
                or not _is_so(change.field.kind, change.after, source[change.field.name])
            )
            looked[action.address] = action._replace(changes=changes, is_seen=True)
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


def _is_so(kind: Kind, desired: JSON, actual: JSON) -> bool:
    return is_satisfied(kind, desired, actual) or is_same_but_for_line_ends(desired, actual)


def _reduced(request: Request, action: Action) -> Request:
    """What an adoption sends: the fields that differ, by the call that accepts them; nothing if none differ."""
    kept = {change.field.name for change in action.changes}
    is_full = action.call is Call.FULL and kept
    body = request.body if is_full else {name: value for name, value in request.body.items() if name in kept}
    return request._replace(call=action.call or request.call, body=body)


def _missing(action: Action, definitions: Definitions, names: Iterable[str]) -> Diagnostic:
    guess = closest(action.name, tuple(names))
    expected = f"the name of an existing source{guess}"
    if action.verb is verbs.UPDATE:
        guess = guess if find_in_another_form(action.name, names) else ""
        renamed = f"It was renamed or deleted: run `{advise('refresh')}`"
        expected = f"the source that the state has. {renamed}{guess}"
    summary = f'the remote has no source named "{action.name}"'
    return Diagnostic(summary, expected, definitions.locate(action.address, "name"), action.address)


def _told(address: Address, conflict: Conflict, definitions: Definitions, *, may_be_own: bool) -> Diagnostic:
    field = conflict.field
    who = "somebody else" + (", or an earlier request of yours that got no answer," if may_be_own else "")
    summary = (
        f"{who} changed {field}: the remote has {show_value(conflict.actual, conflict.prior)}, the state has "
        f"{show_value(conflict.prior, conflict.actual)}, the definition has "
        f"{show_value(conflict.desired, conflict.actual)}"
    )
    write, take = advise("refresh", "--write"), advise("refresh", address)
    expected = (
        f"one of these: accept the change in the definition (`{write}`); accept it in the state, so that the next "
        f"plan undoes it (`{take}`); undo it now (`{advise('apply', '--overwrite', address)}`)"
    )
    return _diagnostic(address, field, summary, expected, definitions)


def _changed(
    action: Action, prior: ResourceState | None, source: Object, shown: frozenset[str]
) -> Iterator[Diagnostic]:
    """What somebody changed in a source that is to be deleted: they may still need it."""
    for one in moved_of(action, {}, prior, source, shown):
        summary = (
            f"{one.field} of a source that this plan deletes was changed: the remote has "
            f"{show_value(one.actual, one.prior)}, the state has {show_value(one.prior, one.actual)}"
        )
        expected = f"`{advise('refresh', action.address)}`, and then a new plan"
        yield Diagnostic(summary, expected, None, action.address, one.field)


def _renamed(gone: Sequence[Drift], snapshot: Snapshot, remote: Remote) -> Iterator[Diagnostic]:
    """Sources that are to be deleted, but only have another name now."""
    for address, names in find_alike(gone, snapshot, remote).items():
        was = snapshot.resources[address].name
        shown, *_ = tell_names_apart(was, *names)
        summary = (
            f"a source that this plan deletes was renamed: the remote has no {shown}, but {tell_alike(names, was)}"
        )
        expected = (
            f"`{advise('refresh', address)}`, and then a new plan; or `{advise('state', 'rm', address)}`, if that is "
            "another source"
        )
        yield Diagnostic(summary, expected, None, address, "name")


def tell_renamed(name: str, names: Sequence[str], command: str = "refresh") -> str:
    """Why no source with this name was created or deleted, if it now has one of those names."""
    return f"somebody renamed it in the meantime: {tell_alike(names, name)}; run `{advise(command)}`"


def tell_alike(names: Sequence[str], was: str) -> str:
    """The sources of which one may be the missing one, under a new name."""
    return f"{show_names(names, was)} {one_or_many(len(names), 'has', 'have')} the same fields"


def show_names(names: Sequence[str], was: str) -> str:
    """The first of the names, so that nobody takes them for the one that there was."""
    shown = " and ".join(tell_names_apart(was, *names)[1:][:MAX_TOLD])
    more = f" and {len(names) - MAX_TOLD} more" if len(names) > MAX_TOLD else ""
    return shown + more


def _doubt(action: Action, remote: Remote) -> str | None:
    """Why a list that contradicts itself does not show the values of a source."""
    sources = remote[action.type.name]
    return sources.doubt(action.name) if isinstance(sources, Listing) else None


def _undecided(action: Action, doubt: str, definitions: Definitions) -> Diagnostic:
    summary = f'the values of "{action.name}" at the remote are unknown: {doubt}'
    where = definitions.locate(action.address, "name") if action.address in definitions.resources else None
    return Diagnostic(summary, "a list without contradictions: try again in a minute", where, action.address)


def _diagnostic(address: Address, field: str, summary: str, expected: str, definitions: Definitions) -> Diagnostic:
    return Diagnostic(summary, expected, definitions.locate(address, field), address, field)


def show_value(value: object, other: object = None) -> str:
    """The value; for a long text, its first line that differs from the `other` text."""
    if isinstance(value, str) and isinstance(other, str) and len(value) > _LONGEST_SHOWN:
        lines, others = value.split("\n"), other.split("\n")
        pairs = enumerate(zip_longest(lines, others), start=1)
        number, line = next(((n, line) for n, (line, theirs) in pairs if line != theirs), (1, lines[0]))
        shown = json.dumps((line or "")[:_LONGEST_SHOWN], ensure_ascii=False)
        return f"a text that ends before line {number}" if line is None else f"a text whose line {number} is {shown}"
    return "unset" if value is ABSENT else json.dumps(value, ensure_ascii=False)
