"""A source as the API has it: which fields it takes, what is wrong with one, and what it fills in.

Generic over the resource table: a new type there has its checks here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, assert_never, cast

from planner.definitions.fields import Boolean, Field, Integer, KeyedList, Kind, String, StringSet, Table
from planner.definitions.resources import ResourceType
from planner.plan.diff import NAME
from state.values import JSON

Source: TypeAlias = dict[str, JSON]
Sources: TypeAlias = dict[str, dict[str, Source]]
"""By resource type, then by name; in the order of the list endpoint."""


def name_of(source: Source) -> str:
    return cast("str", source["name"])


def required_fields(resource: ResourceType) -> tuple[str, ...]:
    """The fields that a create and a full update must send, besides the name."""
    return tuple(f.name for f in resource.fields if f.required)


def find_errors(
    values: Source, fields: Sequence[Field], required: Sequence[str], read_only: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """What is wrong with the values of a request, as pairs of a property and the problem; empty if it is valid."""
    known = {f.name: f for f in fields}
    found = [(name, "is required") for name in required if name not in values]
    for name, value in values.items():
        if name not in known:
            found.append((name, "is not a known property"))
        elif name in read_only:
            found.append((name, "is read-only in this call"))
        elif value is None:
            found += [] if known[name].nullable else [(name, "must not be null")]
        elif name == NAME.name and value == "":
            found.append((name, "must not be empty"))
        else:
            for problem in known[name].kind.problems(value):
                at = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem.path)
                found.append((name + at, f"{problem.summary}; expected {problem.expected}"))
    return found


def complete(resource: ResourceType, source: Source) -> Source:
    """`source` with each field that `data` always has, in the order of the table."""
    full: Source = {f.name: default_value(f.kind) for f in resource.fields if f.returned} | source
    return {name: full[name] for name in (NAME.name, *resource.field) if name in full}


def default_value(kind: Kind) -> JSON:
    """What `data` has for a field that nobody ever set."""
    match kind:
        case String():
            return ""
        case Boolean():
            return False
        case Integer():
            return kind.minimum
        case StringSet() | KeyedList():
            return []
        case Table():
            return {}
        case _:
            assert_never(kind)
