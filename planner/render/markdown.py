"""Markdown for comments and issues on GitHub and the like.

What is not ours stands in code spans or fenced blocks alone, where no markup, HTML or mention has a meaning.
All of it is bounded: an issue that is too long is refused, and then nobody reads any of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from planner.escape import escape, format_value, tell_apart
from planner.plan.diff import ABSENT, FieldChange

LIMIT = 65_000
"""Characters that a comment may have: GitHub takes 65,536."""
_LONGEST = 200


def code(text: str) -> str:
    """The text, in one line, as a code span; of a long one its beginning."""
    shown = escape(text)
    if len(shown) > _LONGEST:
        shown = shown[:_LONGEST] + "…"
    # Only as many backticks as began a span end it (CommonMark, "Code spans"): one more than the text has.
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    # A span that begins or ends with a backtick or is all spaces needs a space on each side, which is not shown.
    pad = " " if shown[:1] in {"`", " "} or shown[-1:] in {"`", " "} or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def format_change(change: FieldChange) -> tuple[str, str]:
    """The value before, nothing where none is known, and the value after, as code spans."""
    if change.before is ABSENT:
        return "", code(format_value(change.after))
    before, after = tell_apart([format_value(change.before), format_value(change.after)])
    return code(before), code(after)


def row(cells: Iterable[str]) -> str:
    """A row of a table."""
    return "| " + " | ".join(re.sub(r"(?<!\\)(\\*)\|", _bar, cell) for cell in cells) + " |"


def _bar(found: re.Match[str]) -> str:
    """A bar that does not end the cell, which it would even in a code span; behind a backslash it can't be escaped."""
    return found[1] + (r"\u007c" if len(found[1]) % 2 else r"\|")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; each cell is Markdown already."""
    return [row(heads), row("---" for _ in heads), *map(row, rows)]


def paragraph(text: str) -> str:
    """A text of ours, in which `this` is code already, each line in a line of its own."""
    return "  \n".join(line.strip() for line in text.split("\n"))


def fenced(lines: Iterable[str], language: str) -> str:
    """The lines as a block of code, which nothing in them can end."""
    text = "\n".join(lines)
    fence = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def bounded(parts: Sequence[str], what: str, limit: int = LIMIT) -> str:
    """As many of the lines as fit, and how many of `what` were left out, in a line below."""
    lines = fitting(parts, limit - len(what))
    if left_out := len(parts) - len(lines):
        lines += ["", f"… and {left_out:,} more {what}."]
    return "\n".join(lines) + "\n"


def fitting(parts: Iterable[str], limit: int = LIMIT) -> list[str]:
    """As many of the lines as fit, with room for a line on the rest."""
    room, taken = limit - 200, list[str]()
    for part in parts:
        room -= len(part) + 1
        if room < 0:
            break
        taken.append(part)
    return taken
