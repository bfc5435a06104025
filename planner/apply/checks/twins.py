"""The sources that nobody manages and that may be the very ones which a plan is going to create.

Pure: `run` lists the remote. A source that was renamed in the console, or a key that was tidied, would get a twin.
"""

from __future__ import annotations

from collections.abc import Iterator

from planner.audit.drift import Remote, find_unmanaged
from planner.definitions.definition import Definitions
from planner.definitions.fields import normal_form
from planner.escape import format_value
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import Action
from planner.plan.moves import analysed
from state.advice import advise
from state.snapshot import Snapshot


def find_unmanaged_twins(plan: Plan, definitions: Definitions, snapshot: Snapshot, remote: Remote) -> Iterator[str]:
    """A warning for each source that is there, and looks like one that the plan creates."""
    created = [action for action in plan.actions if action.verb is verbs.CREATE]
    types = {action.type.name: action.type for action in created}
    names = {(action.type.name, normal_form(action.name)): action for action in created}
    contents = {analysed(one.type, definitions.resources[one.address].values): one for one in created}
    exact = {(action.type.name, action.name) for action in created}
    for type_name, name in find_unmanaged(snapshot, remote) if created else ():
        # That the very name is there is an error, and told as one.
        if type_name not in types or (type_name, name) in exact:
            continue
        if (like := names.get((type_name, normal_form(name)))) is not None:
            yield _tell(like, name, f"has the name {format_value(like.name)} but for case, white space or Unicode form")
        elif (like := contents.get(analysed(types[type_name], remote[type_name][name]))) is not None:
            yield _tell(like, name, "has its query and its columns")


def _tell(created: Action, name: str, what: str) -> str:
    shown = format_value(name)
    return (
        f"{created.address} will be created, and a source that nobody manages, {shown}, {what}. If it is that source: "
        f"`{advise('import', created.address, name)}`, or name = {shown} and adopt = true in its table"
    )
