"""What the state knows of a resource, for people.

    # assignment_source.checkout: the source checkout_exposures, as of 2026-01-02 03:04:05Z
      name = "checkout_exposures"
      tags = ["growth"]
    # accepted, but returned differently or not at all:
      team = "Growth"

It is no definition and can't be pasted as one: fields that nobody can set are here too.
"""

from __future__ import annotations

from collections.abc import Iterator

from planner.definitions.addresses import known_type_of
from planner.definitions.fields import KeyedList, Table
from planner.escape import escape, format_value
from planner.render.style import Style, format_time, width_of
from state.snapshot import ResourceState, Snapshot
from state.values import JSON, Address, Object


def render_state(snapshot: Snapshot, style: Style) -> str:
    """Every resource, by address."""
    if not snapshot.resources:
        return "The state is empty.\n"
    return "\n".join(
        render_resource(address, snapshot.resources[address], style) for address in sorted(snapshot.resources)
    )


def render_resource(address: Address, resource: ResourceState, style: Style) -> str:
    """What the API returned last, field by field, and what it accepted and did not return so."""
    at = format_time(resource.updated_at)
    lines = [style.bold(f"# {escape(address)}: the source {escape(resource.name)}, as of {escape(at)}")]
    lines += _fields(address, resource.data)
    if resource.unreturned:
        lines += [
            style.dim("# accepted, but returned differently or not at all:"),
            *_fields(address, resource.unreturned),
        ]
    return "\n".join(lines) + "\n"


def _fields(address: Address, values: Object) -> Iterator[str]:
    """In the order of the resource table, then what this statform does not know."""
    type_ = known_type_of(address)
    fields = {} if type_ is None else type_.field
    known = [name for name in ("name", *fields) if name in values]
    names = [*known, *(name for name in values if name not in known)]
    pad = max(map(width_of, map(escape, names)), default=0)
    for name in names:
        shown = escape(name)
        head = f"  {shown}{' ' * (pad - width_of(shown))} ="
        yield from _value(head, fields[name].kind if name in fields else None, values[name])


def _value(head: str, kind: object, value: JSON) -> Iterator[str]:
    elements = kind.elements(value) if isinstance(kind, KeyedList | Table) else None
    if elements:
        yield head
        yield from (f"      {escape(key)} = {format_value(element)}" for key, element in elements.items())
    elif isinstance(value, str) and "\n" in value:
        yield head
        yield from (f"      {escape(line)}".rstrip() for line in value.split("\n"))
    else:
        yield f"{head} {format_value(value)}"
