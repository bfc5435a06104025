"""What a full update sends, and what has to be as the state has it before a source is overwritten whole or deleted.

Pure. Whether a field that a full update leaves out is kept or reset is not published: so none is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from planner.console.answers import kind_of
from planner.definitions.fields import Call, is_same, is_satisfied
from planner.definitions.resources import ResourceType
from state.snapshot import ResourceState
from state.values import JSON, Object


def merge(type_: ResourceType, base: Object, prior: ResourceState | None, declared: Object) -> Object:
    """The body of a full update: the source as it was just listed, with what is declared laid over it.

    A field that the list leaves out comes from the state, if it is there; null only where a field can be null.
    """
    known: Mapping[str, JSON] = {**(prior.values if prior else {}), **base}
    body = {
        field.name: known[field.name]
        for field in type_.in_call(Call.FULL)
        if field.name in known and (known[field.name] is not None or field.nullable)
    }
    return {**body, **declared}


def find_overwritten(type_: ResourceType, base: Object, prior: ResourceState | None, declared: Object) -> str | None:
    """What a full update would overwrite although somebody changed it: neither as the state has it nor as declared."""
    for name, value in declared.items():
        is_there = name in base and name in type_.field
        if (
            is_there
            and not is_satisfied(kind_of(type_, name), value, base[name])
            and _is_moved(type_, name, base, prior)
        ):
            return _moved(name, base)
    return None


def find_drift(type_: ResourceType, base: Object, prior: ResourceState | None) -> str | None:
    """What of a source to be deleted is not as the state has it; its owner aside, which the server fills."""
    for name in type_.field:
        if name != "owner" and name in base and _is_moved(type_, name, base, prior):
            return _moved(name, base)
    return None


def _is_moved(type_: ResourceType, name: str, base: Object, prior: ResourceState | None) -> bool:
    if prior is None:
        return False
    kind = kind_of(type_, name)
    told = (one[name] for one in (prior.data, prior.unreturned) if name in one)
    # What was never told is no sign of a change.
    values = list(told)
    return bool(values) and not any(is_same(kind, value, base[name]) for value in values)


def _moved(name: str, base: Object) -> str:
    shown = json.dumps(base[name], ensure_ascii=False)
    return f"somebody changed its {name}, which is {shown} now: `statform refresh` takes that over, nothing was sent"
