"""The limits of a definition file, checked before a TOML parser sees it: every file is read or refused in seconds.

Some unusual texts take a parser quadratic time, or gigabytes of memory. Knows nothing of what a file means.
"""

from __future__ import annotations

import re
from io import StringIO
from itertools import islice

from planner.definitions.problems import location
from planner.errors import Diagnostic

MAX_FILE_BYTES = 4 << 20
"""In one file: enough for 10,000 sources. A larger file is refused before it is parsed."""
_MAX_LEVELS = 100
# How often each may be in a file. Each makes a pair, a list, a table or an element, and costs the parser memory. It is
# enough for 10,000 sources, and a hundred times what a person writes.
_MAX_COUNTS = {"=": 250_000, "[": 50_000, "{": 100_000, ",": 500_000}
# Of a dotted key: the parser makes a table for each part, and copies the path to it each time.
_MAX_PARTS = 32
# Patterns are text until a suspicious file needs them: to compile them would take time in every plan. The next three
# are for a text without strings and comments, from `_without_quoted`.
_PART = r"(?:[A-Za-z0-9_-]+|\"x*\")"
_LONG_KEY = rf"(?m)(?:^|[\[{{,])[ \t]*{_PART}(?:[ \t]*\.[ \t]*{_PART}){{{_MAX_PARTS}}}"
# As many digits as Python reads.
_MAX_DIGITS = 4300
# Not digits that are a key or a part of a float: another character stands after them.
_LONG_NUMBER = rf"(?<![\w.+-])[+-]?(?P<digits>[0-9][0-9_]{{{_MAX_DIGITS},}})(?![\w.]|[ \t]*[=.])"
_DOTS, _ALL_BUT_DOTS_AND_LINES = b"." * _MAX_PARTS, bytes(set(range(256)) - set(b".\n"))
# A comment, a string without escapes as a whole, or the quotes that open another one.
_QUOTED = r"""#[^\n]*|"(?!"")[^"\\\n]*"|'(?!'')[^'\n]*'|"{3}|'{3}|["']"""
_QUOTED_ENDS = {"'": r"['\n]", '"': r'["\n]|(?:\\.){1,99}', "'''": r"'{3,5}", '"""': r'(?s)"{3,5}|(?:\\.){1,99}'}


def is_within_limits(text: str) -> bool:
    """Whether a file of this text would be read."""
    return len(text.encode()) <= MAX_FILE_BYTES and beyond_limits("", text) is None


def beyond_limits(name: str, text: str) -> Diagnostic | None:
    """Why the text of the file `name` is refused before it is parsed; None if it is not."""
    for character, most in _MAX_COUNTS.items():
        if len(text) > most and text.count(character) > most:
            expected = f"at most {most:,} in a file: split it; definitions are read from every file in definitions/"
            offset = next(islice(re.finditer(re.escape(character), text), most, None)).start()
            return Diagnostic(f'more than {most:,} "{character}" in one file', expected, location(name, text, offset))
    # Two cheap checks that nearly every file passes: a long key has its dots in one line, an integer its digits.
    has_long_key = _DOTS in text.encode().translate(None, _ALL_BUT_DOTS_AND_LINES)
    if has_long_key or _has_long_line(text):
        bare = _without_quoted(text)
        if long := re.search(_LONG_KEY, bare):
            where = location(name, text, long.end() - 1)
            return Diagnostic(f"a key of more than {_MAX_PARTS} parts", "keys of a few parts", where)
        if long := re.search(_LONG_NUMBER, bare):
            return long_integer(name, text, *long.span("digits"))
    return None


def _has_long_line(text: str) -> bool:
    """Whether a line has more than `_MAX_DIGITS` characters."""
    start = 0
    while len(text) - start > _MAX_DIGITS:
        end = text.rfind("\n", start, start + _MAX_DIGITS + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def _without_quoted(text: str) -> str:
    """The text with x for all that is in quotes and blanks for comments. Its length and all offsets stay the same."""
    # Each character is read once, and the result is written piece by piece: a list of half a million pieces would take
    # ten times the memory.
    bare, at, next_quoted = StringIO(), 0, re.compile(_QUOTED).search
    while quoted := next_quoted(text, at):
        start, found = quoted.start(), quoted[0]
        bare.write(text[at:start])
        at = _end_of_string(text, quoted.end(), found) if found in _QUOTED_ENDS else quoted.end()
        is_string = found[0] != "#" and at - start > 1
        bare.write(f'"{"x" * (at - start - 2)}"' if is_string else " " * (at - start))
    bare.write(text[at:])
    return bare.getvalue()


def _end_of_string(text: str, at: int, quotes: str) -> int:
    marks = (mark for mark in re.compile(_QUOTED_ENDS[quotes]).finditer(text, at) if mark[0][0] != "\\")
    return next((mark.start() if mark[0] == "\n" else mark.end() for mark in marks), len(text))


def find_too_deep(text: str) -> int:
    """The position of the first bracket inside too many others; 0 if there is none."""
    level = 0
    for bracket in re.finditer(r"[\[\]{}]", _without_quoted(text)):
        level += 1 if bracket[0] in "[{" else -1
        if level > _MAX_LEVELS:
            return bracket.start()
    return 0


def long_integer(name: str, text: str, start: int, end: int) -> Diagnostic:
    """The problem of an integer from `start` to `end` that has more digits than Python reads."""
    where = location(name, text, start, end)
    return Diagnostic("an integer of too many digits", "an integer of at most 4,300 digits", where)
