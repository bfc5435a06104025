"""A plan as a comment on a pull request: the counts, and each change in a block that opens at a click."""

from __future__ import annotations

import html
from collections.abc import Iterator

from planner.diff import Action, Verb
from planner.plan import Plan
from planner.render import Style, escape, markdown
from planner.render.text import ELEMENT, FIELD, counts, field_lines

_MARKS = {"~": "!", "+": "+", "-": "-"}
_SIGNS_AT = (len(FIELD), len(ELEMENT))


def plan(of: Plan, limit: int = markdown.LIMIT) -> str:
    """The whole plan where it fits; else as many changes as do, then a line for each, then how many are left."""
    where = f" in the environment {markdown.code(of.environment)}" if of.environment else ""
    if not of.changes:
        return f"**statform plan{where}:** no changes. The state matches the definitions.\n"
    text = f"**statform plan{where}:** {counts(of)}.\n"
    # What one line on each of the rest takes is kept free, as far as there is room at all.
    lines = [f"- {_title(action)}\n" for action in of.changes]
    kept_free = sum(map(len, lines))
    shown = 0
    for block, line in zip(map(_block, of.changes), lines, strict=True):
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
    fields = ", ".join(change.field.name for change in action.changes)
    return f"{action.verb.value if action.verb is not Verb.NO_OP else 'move'} {_code(action.address)}{moved}" + (
        f": {fields}" if fields else ""
    )


def _code(text: str) -> str:
    """Code as HTML, which a summary needs."""
    return f"<code>{html.escape(escape(text))}</code>"


def _block(action: Action) -> str:
    lines = list(_diff_lines(action))
    if not lines:
        return f"\n- {_title(action)}\n"
    return f"\n<details><summary>{_title(action)}</summary>\n\n{markdown.fenced(lines, 'diff')}\n\n</details>\n"


def _diff_lines(action: Action) -> Iterator[str]:
    """The lines of the plan with their sign first, where GitHub colours by it."""
    for line in field_lines(action.changes, Style()):
        at = next((n for n in _SIGNS_AT if not line[:n].strip() and line[n : n + 2].strip()), len(ELEMENT))
        mark = _MARKS.get(line[at : at + 2].strip(), " ")
        yield f"{mark} {line[6:at]}{line[at:] if line[at : at + 2] == '@@' else line[at + 2 :]}"
