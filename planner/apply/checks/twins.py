"""Unmanaged sources that may be the same as sources that a plan creates.

Pure: `run` lists the remote. After a rename in the console, or after a changed key, a plan would create a second
source.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator

from planner.audit.drift import Remote, find_unmanaged
from planner.definitions.definition import Definitions
from planner.definitions.fields import normal_form
from planner.escape import format_value, in_one_form
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import Action
from planner.plan.moves import analysed
from state.advice import advise
from state.snapshot import Snapshot


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


def _tell(created: Action, name: str, what: str) -> str:
    shown = format_value(name)
    return (
        f"{created.address} will be created, but an unmanaged source, {shown}, {what}. If both are the same source: "
        f"`{advise('import', created.address, name)}`, or name = {shown} and adopt = true in its table"
    )
