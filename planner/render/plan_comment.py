"""A plan as a comment on a pull request: the counts, and each change in a block that opens at a click.

    **statform plan:** 1 to update, 12 unchanged.
    <details><summary>update <code>assignment_source.checkout</code>: team</summary>
    (a fenced block in the language `diff`, with the plan's lines)
    </details>

Where not all blocks fit: a line for each address that is left, then how many more there are.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from planner.escape import escape
from planner.plan.build import Plan
from planner.plan.diff import Action, FieldChange
from planner.render import markdown
from planner.render.plan_text import ELEMENT, FIELD, field_lines, format_counts, format_left_out
from planner.render.style import Style

if TYPE_CHECKING:
    from planner.audit.drift import Drift

_MARKS = {"~": "!", "+": "+", "-": "-"}
_SIGNS_AT = (len(FIELD), len(ELEMENT))


def plan_to_markdown(plan: Plan, drifts: Sequence[Drift] = (), limit: int = markdown.LIMIT) -> str:
    """The whole plan where it fits; else as many changes as do, then a line for each, then how many are left.

    `drifts` are what the plan starts from besides the state.
    """
    before = _drifts(drifts, limit // 3) + "\n" if drifts else ""
    where = f" in the environment {markdown.code(plan.environment)}" if plan.environment else ""
    # A paragraph of its own.
    partial = f"\n{left_out}" if (left_out := format_left_out(plan)) else ""
    if not plan.changes:
        return f"{before}**statform plan{where}:** no changes. The state matches the definitions.\n{partial}"
    titles = [(_title(action), action.changes) for action in plan.changes]
    return before + _bounded(
        f"**statform plan{where}:** {format_counts(plan)}.\n{partial}", titles, limit - len(before)
    )


def _drifts(drifts: Sequence[Drift], limit: int) -> str:
    titles = [
        (f"{'gone' if one.source is None else 'drifted'} {_code(one.address)}{_fields(one.changes)}", one.changes)
        for one in drifts
    ]
    gone = sum(one.source is None for one in drifts)
    counted = f"{len(drifts) - gone} drifted, {gone} gone"
    return _bounded(f"**statform drift:** {counted}. The plan below starts from the remote.\n", titles, limit)


def _bounded(text: str, titles: Sequence[tuple[str, Sequence[FieldChange]]], limit: int) -> str:
    # What one line on each of the rest takes is kept free, as far as there is room at all.
    lines = [f"- {title}\n" for title, _ in titles]
    kept_free = sum(map(len, lines))
    shown = 0
    for block, line in zip((_block(*one) for one in titles), lines, strict=True):
        kept_free -= len(line)
        if len(text) + len(block) + min(kept_free, limit // 2) + 100 > limit:
            break
        text += block
        shown += 1
    rest = lines[shown:]
    if rest:
        text += "\n"
    for number, line in enumerate(rest):
        if len(text) + len(line) + 100 > limit:
            return f"{text}\n… and {len(rest) - number:,} more; `statform plan` shows all of them.\n"
        text += line
    return text


def _title(action: Action) -> str:
    moved = f", was {_code(action.moved_from)}" if action.moved_from is not None else ""
    return f"{action.verb.listed_as} {_code(action.address)}{moved}{_fields(action.changes)}"


def _fields(changes: Sequence[FieldChange]) -> str:
    return ": " + ", ".join(change.field.name for change in changes) if changes else ""


def _code(text: str) -> str:
    """Code as HTML, which a summary needs."""
    return f"<code>{html.escape(escape(text))}</code>"


def _block(title: str, changes: Sequence[FieldChange]) -> str:
    lines = list(_diff_lines(changes))
    if not lines:
        return f"\n- {title}\n"
    return f"\n<details><summary>{title}</summary>\n\n{markdown.fenced(lines, 'diff')}\n\n</details>\n"


def _diff_lines(changes: Sequence[FieldChange]) -> Iterator[str]:
    """The lines of the plan with their sign first, where GitHub colours by it."""
    for line in field_lines(changes, Style()):
        at = next((n for n in _SIGNS_AT if not line[:n].strip() and line[n : n + 2].strip()), len(ELEMENT))
        # A diff knows no "~": what changes is coloured by the "!" that GitHub has for it.
        mark = _MARKS.get(line[at : at + 2].strip(), " ")
        yield f"{mark} {line[6:at]}{line[at:] if line[at : at + 2] == '@@' else line[at + 2 :]}"
