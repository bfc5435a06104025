"""The fields that a record of the journal changes, also of types and fields that this statform does not know.

A journal can be older or newer than the statform that reads it: an unknown field is compared as a string.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from planner.definitions.addresses import known_type_of
from planner.definitions.equality import is_same
from planner.definitions.fields import Field, String
from planner.plan.diff import ABSENT, NAME, FieldChange, Value
from state.snapshot import ResourceState
from state.values import JSON, Address, Object


def changes_between(address: Address, before: Object, after: Object) -> tuple[FieldChange, ...]:
    """The change of each field in `after`, whether or not it is as it was."""
    return tuple(_change(address, name, before.get(name, ABSENT), after[name]) for name in _ordered(address, after))


def _ordered(address: Address, names: Iterable[str]) -> list[str]:
    """In the order of a plan: the name, then the fields of the type's row, then unknown fields."""
    type_ = known_type_of(address)
    ranks = {"name": -1} if type_ is None else {"name": -1, **{name: rank for rank, name in enumerate(type_.field)}}
    return sorted(names, key=lambda name: ranks.get(name, len(ranks)))


def _change(address: Address, name: str, before: Value, after: JSON) -> FieldChange:
    return FieldChange.of(_field(address, name), before, after)


def _field(address: Address, name: str) -> Field:
    """The field, also of a type or a name that this statform does not know."""
    type_ = known_type_of(address)
    known: Mapping[str, Field] = {} if type_ is None else type_.field
    return NAME if name == "name" else known.get(name) or Field(name, String())


def is_known_field(address: Address, name: str) -> bool:
    """Whether this statform knows the field; of a type that it does not know, each may be one."""
    type_ = known_type_of(address)
    return type_ is None or name == "name" or name in type_.field


def moved_fields(
    address: Address, prior: ResourceState, after: Object, without: Object = MappingProxyType({})
) -> tuple[FieldChange, ...]:
    """The fields that are not as they were, but for those in `without`."""
    before = prior.values
    moved = [
        name
        for name in (*after, *(name for name in before if name not in after))
        # Most values of a long history are equal: to see that here spares a call for each.
        if ((value := before.get(name)) != after.get(name) or type(value) is not type(after.get(name)))
        and name not in without
        and not is_same(_field(address, name).kind, value, after.get(name))
    ]
    return tuple(_change(address, name, before.get(name, ABSENT), after.get(name)) for name in _ordered(address, moved))
