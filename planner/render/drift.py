"""What moved at the remote, as a person reads it at a terminal.

      # assignment_source.checkout has drifted (the source checkout_exposures)
      ~ assignment_source.checkout
          ~ team = "Growth" -> "Search"       from the state to the remote

      # assignment_source.old is gone: the remote has no source old
      - assignment_source.old

A block for each source that moved, in the order in which they are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.audit.drift import Drift
from planner.escape import format_name
from planner.render.changes import block
from planner.render.style import Style
from state.values import Address


def render_drift(drifts: Sequence[Drift], renamed: Mapping[Address, str], style: Style) -> str:
    """Each source that moved, field by field from prior to remote."""
    head = style.bold("Drift:") + " the remote is not as the state has it.\n"
    return "\n".join([head, *(_drift(one, renamed.get(one.address), style) for one in drifts)])


def _drift(drift: Drift, new_name: str | None, style: Style) -> str:
    name = format_name(drift.name)
    if drift.source is not None:
        return block(drift.address, f"has drifted (the source {name})", "~", drift.changes, style)
    what = f"is gone: the remote has no source {name}"
    if new_name is not None:
        what += f"; {format_name(new_name)}, which nobody manages, has the same fields: probably renamed"
    return block(drift.address, what, "-", (), style)
