"""How text is laid out and coloured at a terminal.

Whoever renders gets a `Style` and asks nothing else: no terminal, no environment. So every text can be a golden file.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple


def format_time(at: str) -> str:
    """A time as every text has it, in UTC: `2026-11-27 18:07:04Z`; what is no time as we write it stays as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?Z", at)
    return f"{found[1]} {found[2]}Z" if found else at


def width_of(text: str) -> int:
    """The columns that a terminal needs for the text."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Style(NamedTuple):
    """How to write: `width` in columns, None for as long as a line is; `is_coloured` with ANSI colours."""

    width: int | None = None
    is_coloured: bool = False

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.is_coloured and text else text

    def bold(self, text: str) -> str:
        return self.paint(text, "1")

    def red(self, text: str) -> str:
        return self.paint(text, "31")

    def green(self, text: str) -> str:
        return self.paint(text, "32")

    def yellow(self, text: str) -> str:
        return self.paint(text, "33")

    def dim(self, text: str) -> str:
        return self.paint(text, "2")
