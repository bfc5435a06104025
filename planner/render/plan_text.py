"""Plans as a person reads them at a terminal.

# assignment_source.checkout will be updated (PATCH checkout_exposures)
~ assignment_source.checkout
~ description   = "Checkout" -> "Checkout exposures"      as `changes` has it

# 116 to update, all in the same way                          what is the same for many, once
~ assignment_source.a
~ assignment_source.b (b_exposures)
+ team = "Growth"

Plan: 1 to update, 12 unchanged.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from planner.definitions.addresses import parts
from planner.definitions.fields import Call
from planner.escape import escape, format_name
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import NAME, Action, FieldChange
from planner.plan.order import Request
from planner.render.changes import block, field_lines, heading, sign
from planner.render.no_changes import format_where, render_no_changes
from planner.render.plan_notes import (
    format_counts,
    format_left_out,
    format_limit,
    format_notes,
    format_removal,
)
from planner.render.style import Style
from state.values import Address

_FEWEST_ALIKE = 3
FULL_UPDATE = "full update"
_STEP_ASIDE = verbs.UPDATE._replace(
    listed_as="step aside:", will="gets a temporary name, so that its name is free ({how} {name})"
)


def render_plan(plan: Plan, style: Style, seconds: float = 0.0) -> str:
    """The whole plan: what happens to each address, field by field, and the counts.

    `seconds` is how long its requests take at the API's rate limit; 0 when they can all go at once.
    """
    # Also with addresses that are unchanged: nobody wants to read of each that nothing happens to it.
    if not plan.changes:
        return render_no_changes(plan, style)
    blocks = [
        _alike(group, style) if len(group) > 1 else _action(group[0], style) for group in group_alike(steps(plan))
    ]
    return "\n".join(
        [
            style.wrap_lines(f"statform will perform these actions{format_where(plan)}, in this order:\n"),
            *blocks,
            style.wrap_lines(_counts(plan, seconds, style) + format_left_out(plan) + _hints(plan)),
        ]
    )


def render_summary(plan: Plan, style: Style) -> str:
    """The counts, and below them how many addresses have the same fields changed, in the order of the first of each."""
    counts = Counter((action.verb, tuple(change.field.name for change in action.changes)) for action in plan.changes)
    lines = (
        f"  {sign(verb.symbol, style)} {count:,} {verb.to_do}{': ' if fields else ''}{escape(', '.join(fields))}\n"
        for (verb, fields), count in counts.items()
        if verb.is_change
    )
    if not counts:
        return render_plan(plan, style)
    notes = "".join(f"\n{text}\n" for text in (*format_notes(plan), format_limit(plan)) if text)
    return style.wrap_lines(_counts(plan, 0.0, style) + "".join(lines) + format_left_out(plan) + notes)


def steps(plan: Plan) -> list[Action]:
    """The actions that do something, as they happen: a source that steps aside for another has two."""
    # An action is shown at its last request: only then the address is as the plan wants it.
    mine = {action.address: action for action in plan.changes}
    last = {request.address: number for number, request in enumerate(plan.requests)}
    found: list[Action] = []
    at = 0
    for action in mine.values():
        if (end := last.get(action.address)) is None:
            found.append(action)
            continue
        # What comes between the last requests of two actions gives a temporary name.
        found += [_aside(mine[request.address], request) for request in plan.requests[at:end]]
        found.append(_from_aside(action, plan.requests[end].name))
        at = end + 1
    return found


def _aside(action: Action, request: Request) -> Action:
    """The step in which a source gets a temporary name."""
    changes = (FieldChange.of(NAME, action.name, request.body["name"]),)
    return action._replace(verb=_STEP_ASIDE, changes=changes, moved_from=None)


def _from_aside(action: Action, name: str) -> Action:
    """The step in which it gets its own from there."""
    if name == action.name:
        return action
    changes = (FieldChange.of(NAME, name, one.after) if one.field is NAME else one for one in action.changes)
    return action._replace(name=name, changes=tuple(changes))


def group_alike(actions: Sequence[Action]) -> Iterator[Sequence[Action]]:
    """The actions in their order; those beside each other that differ in nothing but the address, together.

    Two are no group: they are as quick to read in full.
    """
    for _, found in groupby(actions, lambda action: action._replace(address=Address(""), name="")):
        group = list(found)
        if len(group) >= _FEWEST_ALIKE and (group[0].changes or group[0].verb is verbs.FORGET):
            yield group
        else:
            yield from ([action] for action in group)


def format_address(action: Action) -> str:
    """The address, and the remote name where that is another than the key."""
    name = "" if parts(action.address)[1] == action.name else f" ({format_name(action.name)})"
    return escape(action.address) + name


def _alike(group: Sequence[Action], style: Style) -> str:
    verb, changes = group[0].verb, group[0].changes
    how = f" ({FULL_UPDATE})" if group[0].call is Call.FULL else ""
    same = "their sources stay as they are" if verb is verbs.FORGET else "all in the same way"
    title = heading(f"{len(group):,} {verb.to_do}, {same}{how}", style)
    addresses = [f"  {sign(verb.symbol, style)} {format_address(action)}" for action in group]
    return "\n".join([title, *addresses, *field_lines(changes, style)]) + "\n"


def _hints(plan: Plan) -> str:
    """How to keep the state of what may be the same source by another key and another name, and the notes."""
    own = (*format_notes(plan), format_removal(plan), format_limit(plan))
    return "".join(f"\n{text}\n" for text in own if text)


def _counts(plan: Plan, seconds: float, style: Style) -> str:
    line = f"{style.bold('Plan:')} {format_counts(plan)}.\n"
    minutes, rest = divmod(math.ceil(seconds), 60)
    took = f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return line + (f"{len(plan.requests)} requests: at least {took} (the API's rate limit).\n" if seconds else "")


def _action(action: Action, style: Style) -> str:
    name = format_name(action.name)
    how = f"{FULL_UPDATE}, POST" if action.call is Call.FULL else "PATCH"
    what = action.verb.will.format(name=name, how=how)
    if action.moved_from is not None:
        was = f"was {escape(action.moved_from)}; its state moves to this address"
        what = f"{was}; it {what}" if action.changes or not action.verb.keeps else was
    return block(action.address, what, action.verb.symbol, action.changes, style)
