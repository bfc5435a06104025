"""What moved at the remote, as a person reads it at a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.audit.drift import Drift
from planner.escape import escape
from planner.render.plan_text import block
from planner.render.style import Style
from state.values import Address


def drift(of: Sequence[Drift], renamed: Mapping[Address, str], style: Style) -> str:
    """Each source that moved, field by field from prior to remote."""
    head = style.bold("Drift:") + " the remote is not as the state has it.\n"
    return "\n".join([head, *(_drift(one, renamed.get(one.address), style) for one in of)])


def _drift(of: Drift, new_name: str | None, style: Style) -> str:
    name = escape(of.name)
    if of.source is not None:
        return block(of.address, f"has drifted (the source {name})", "~", of.changes, style)
    what = f"is gone: the remote has no source {name}"
    if new_name is not None:
        what += f"; {escape(new_name)}, which nobody manages, is all that it was"
    return block(of.address, what, "-", (), style)
