"""Changes for a comment or an issue: each in a block that opens at a click, in the language `diff`, bounded in all."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from planner.escape import escape
from planner.plan.diff import FieldChange
from planner.render import markdown
from planner.render.changes import ELEMENT, FIELD, field_lines
from planner.render.style import Style

_MARKS = {"~": "!", "!": "!", "+": "+", "-": "-"}
_SIGNS_AT = (len(FIELD), len(ELEMENT))


class Titled(NamedTuple):
    """A block: its title, and what opens at a click; the addresses only where it is for several, the notes last."""

    title: str
    changes: Sequence[FieldChange]
    addresses: Sequence[str] = ()
    notes: Sequence[str] = ()


def bounded(text: str, titles: Sequence[Titled], limit: int, command: str) -> str:
    """The text, and below it as many blocks as fit, then a line for each that is left.

    Where not even these fit, it says how many more `command` shows.
    """
    advice = markdown.code(command)
    limit -= len(advice) + 60
    # What one line on each of the rest takes is kept free, as far as there is room at all.
    lines = [f"- {one.title}\n" for one in titles]
    kept_free = sum(map(len, lines))
    shown = 0
    for block, line in zip((_block(*one) for one in titles), lines, strict=True):
        kept_free -= len(line)
        if len(text) + len(block) + min(kept_free, limit // 2) > limit:
            break
        text += block
        shown += 1
    rest = lines[shown:]
    if rest:
        text += "\n"
    for number, line in enumerate(rest):
        if len(text) + len(line) > limit:
            return f"{text}\n… and {len(rest) - number:,} more; {advice} shows all of them.\n"
        text += line
    return text


def fields_of(changes: Sequence[FieldChange]) -> str:
    """The names of the fields, as the end of a title."""
    return ": " + ", ".join(change.field.name for change in changes) if changes else ""


def code(text: str) -> str:
    """Code as HTML, which a summary needs."""
    return f"<code>{html.escape(escape(text))}</code>"


def _block(title: str, changes: Sequence[FieldChange], addresses: Sequence[str], notes: Sequence[str]) -> str:
    lines = [*(f"# {address}" for address in addresses), *diff_lines(changes), *(f"# {note}" for note in notes)]
    if not lines:
        return f"\n- {title}\n"
    return f"\n<details><summary>{title}</summary>\n\n{markdown.fenced(lines, 'diff')}\n\n</details>\n"


def diff_lines(changes: Sequence[FieldChange]) -> Iterator[str]:
    """The lines of the plan with their sign first, where GitHub colours by it."""
    for line in field_lines(changes, Style()):
        at = next((n for n in _SIGNS_AT if not line[:n].strip() and line[n : n + 2].strip()), len(ELEMENT))
        # A diff knows no "~": what changes is coloured by the "!" that GitHub has for it.
        mark = _MARKS.get(line[at : at + 2].strip(), " ")
        yield f"{mark} {line[6:at]}{line[at:] if line[at : at + 2] == '@@' else line[at + 2 :]}"
