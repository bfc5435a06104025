"""Unmanaged sources that may be the same as sources that a plan creates.

Pure: `run` lists the remote. After a rename in the console, or after a changed key, a plan would create a second
source.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping

from planner.apply.checks.conflicts import tell_alike
from planner.audit.drift import Remote, find_unmanaged
from planner.console.answers import call_of, compare_echo
from planner.definitions.definition import Definitions
from planner.definitions.equality import normal_form
from planner.definitions.fields import Call
from planner.definitions.resources import ResourceType
from planner.errors import Diagnostic, RemoteChanged
from planner.escape import format_value, in_one_form
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import Action
from planner.plan.moves import analysed
from state.advice import advise
from state.records import Intent
from state.snapshot import Snapshot
from state.values import Object


def find_unmanaged_twins(plan: Plan, definitions: Definitions, snapshot: Snapshot, remote: Remote) -> Iterator[str]:
    """A warning for each pair of a source that is there and one that the plan creates and that looks like it."""
    created = [action for action in plan.actions if action.verb is verbs.CREATE]
    types = {action.type.name: action.type for action in created}
    named, alike = defaultdict[Hashable, list[Action]](list), defaultdict[Hashable, list[Action]](list)
    for one in created:
        named[one.type.name, normal_form(one.name)].append(one)
        alike[analysed(one.type, definitions.resources[one.address].values)].append(one)
    # The same name, in any Unicode form, is an error that is reported elsewhere.
    taken = {(one.type.name, in_one_form(one.name)) for one in created}
    for type_name, name in find_unmanaged(snapshot, remote) if created else ():
        if type_name not in types or (type_name, in_one_form(name)) in taken:
            continue
        same_name = named.get((type_name, normal_form(name)), [])
        for one in same_name:
            yield _tell(one, name, "has the same name in another case, white space or Unicode form")
        for one in alike.get(analysed(types[type_name], remote[type_name][name]), ()):
            if one not in same_name:
                yield _tell(one, name, "has the same query and columns")


def find_alike(type_: ResourceType, intent: Intent, listed: Mapping[str, Object]) -> list[str]:
    """The other names of sources that have everything but the name of what a request creates or deletes."""
    if call_of(intent) is Call.CREATE:
        return [name for name, source in listed.items() if name != intent.name and _is_as_sent(type_, intent, source)]
    return find_same(intent.before, listed)


def find_same(source: Object, listed: Mapping[str, Object]) -> list[str]:
    """The names of the sources that are equal to this one but for the name."""
    nameless = {**source, "name": None}
    return [name for name, one in listed.items() if {**one, "name": None} == nameless]


def _is_as_sent(type_: ResourceType, intent: Intent, source: Object) -> bool:
    """Whether all but the name is as sent, and what makes two sources the same one can be seen: query and columns."""
    sent = {name: value for name, value in intent.sent.items() if name != "name"}
    if any(field.required and field.name in sent and field.name not in source for field in type_.fields):
        return False
    visible = {name: value for name, value in sent.items() if name in source}
    return bool(visible) and not compare_echo(type_, intent.before, visible, source).not_accepted


def refuse_renamed(
    lost: Iterable[Intent], plan: Plan, definitions: Definitions, snapshot: Snapshot, remote: Remote
) -> None:
    """Send nothing where a create without an answer may have made what somebody renamed: a second one would be made.

    Raises:
        RemoteChanged: it may.
    """
    created = {action.address: action for action in plan.actions if action.verb is verbs.CREATE}
    unmanaged = defaultdict[str, dict[str, Object]](dict)
    for type_name, name in find_unmanaged(snapshot, remote) if lost else ():
        unmanaged[type_name][name] = remote[type_name][name]
    problems = []
    for intent in lost:
        if (one := created.get(intent.address)) is None:
            continue
        if names := find_alike(one.type, intent, unmanaged[one.type.name]):
            summary = f'no answer came to an earlier create of "{one.name}", and {tell_alike(names, one.name)}'
            expected = (
                f"`{advise('import', one.address, names[0])}`, if somebody renamed it; "
                f"`{advise('apply')}` once more, if it is another source"
            )
            where = definitions.locate(one.address, "name")
            problems.append(Diagnostic(summary, expected, where, one.address))
    if problems:
        raise RemoteChanged(problems)


def _tell(created: Action, name: str, what: str) -> str:
    shown = format_value(name)
    return (
        f"{created.address} will be created, but an unmanaged source, {shown}, {what}. If both are the same source: "
        f"`{advise('import', created.address, name)}`, or name = {shown} and adopt = true in its table"
    )
