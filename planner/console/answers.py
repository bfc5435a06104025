"""What an answer says of a request: which of the fields sent came back as they were sent, and which did not."""

from __future__ import annotations

from attrs import frozen

from planner.definitions.fields import Kind, is_satisfied, is_shown, normal_form
from planner.definitions.resources import ResourceType
from planner.plan.diff import NAME
from state.values import JSON, Object


def kind_of(type_: ResourceType, name: str) -> Kind:
    """The kind of a field that a request had; one that this statform does not know compares as a whole."""
    return type_.field.get(name, NAME).kind


@frozen
class Echo:
    """How an answer's `data` reflects what was sent.

    `unreturned`: the sent values that were accepted, but left out of `data` or tidied there. `not_accepted`: the fields
    that came back with another value.
    """

    unreturned: Object
    not_accepted: tuple[str, ...]


def compare_echo(type_: ResourceType, before: Object, sent: Object, data: Object) -> Echo:
    """What `data` says of the fields sent; `before` are their prior values.

    A value that came back just tidied (white space, Unicode form, case, a table without some members) was accepted; one
    that did not move at all was not, even if it looks like the one that was sent.
    """
    unreturned: dict[str, JSON] = {}
    not_accepted: list[str] = []
    for name, value in sent.items():
        kind = kind_of(type_, name)
        if name not in data:
            if value is not None:
                unreturned[name] = value
        elif not is_satisfied(kind, value, data[name]):
            is_tidied = is_shown(kind, normal_form(value), normal_form(data[name]))
            if is_tidied and not (name in before and is_satisfied(kind, before[name], data[name])):
                unreturned[name] = value
            else:
                not_accepted.append(name)
    return Echo(unreturned, tuple(not_accepted))
