"""Remote changes, as text for a terminal.

      # assignment_source.checkout has drifted (the source checkout_exposures)
      ~ assignment_source.checkout
          ~ team = "Growth" -> "Search"       from the state to the remote

      # assignment_source.old is gone: the remote has no source old
      - assignment_source.old

A block for each source that moved, in the order in which they are given; one for all that moved in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from planner.audit.drift import Drift
from planner.escape import escape, format_name, tell_apart
from planner.render.changes import block, field_lines
from planner.render.style import Style
from state.values import Address

_FEWEST_ALIKE = 3


def render_drift(drifts: Sequence[Drift], renamed: Mapping[Address, str], style: Style) -> str:
    """Each source that moved, field by field from prior to remote."""
    head = style.wrap_lines(style.bold("Drift:") + " the remote differs from the state.\n")
    blocks = (
        _alike(group, style) if len(group) > 1 else _drift(group[0], renamed.get(group[0].address), style)
        for group in group_drifts(drifts, lambda drift: (*field_lines(drift.changes, Style()),))
    )
    return "\n".join([head, *blocks])


def group_drifts(drifts: Sequence[Drift], told: Callable[[Drift], tuple[str, ...]]) -> Iterator[Sequence[Drift]]:
    """The sources that drifted, those of which the same is `told` together, in the place of the first.

    Two are no group: they are as quick to read in full.
    """
    alike: dict[tuple[str, ...], list[Drift]] = {}
    for drift in drifts:
        # A source that is gone stands alone: each may have another name that it was probably given.
        key = told(drift) if drift.source is not None else (drift.address,)
        alike.setdefault(key, []).append(drift)
    for group in alike.values():
        yield from [group] if len(group) >= _FEWEST_ALIKE else ([one] for one in group)


def _alike(group: Sequence[Drift], style: Style) -> str:
    addresses = [f"  {style.yellow('~')} {escape(one.address)}" for one in group]
    title = style.bold(f"  # {len(group):,} have drifted in the same way")
    return "\n".join([title, *addresses, *field_lines(group[0].changes, style)]) + "\n"


def _drift(drift: Drift, new_name: str | None, style: Style) -> str:
    name = format_name(drift.name)
    if drift.source is not None:
        return block(drift.address, f"has drifted (the source {name})", "~", drift.changes, style)
    if new_name is None:
        return block(drift.address, f"is gone: the remote has no source {name}", "-", (), style)
    name, other = tell_apart([name, format_name(new_name)])
    likely = f"{other} is unmanaged and has the same fields: probably renamed"
    what = f"is gone: the remote has no source {name}; {likely}"
    return block(drift.address, what, "-", (), style)
