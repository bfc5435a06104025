"""Parses a file's bytes into a TOML table, or returns the one problem that prevents it.

Knows how a TOML parser can fail, and nothing about the meaning of the table.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import tomli

from planner.definitions.limits import beyond_limits, find_too_deep, long_integer
from planner.definitions.problems import location
from planner.errors import Diagnostic

Document: TypeAlias = dict[str, Any]
"""A TOML table as parsed: whatever TOML can hold, until it is checked."""


def parse_file(name: str, content: bytes) -> tuple[str, Document] | Diagnostic:
    """The file's text, with LF for each CR LF, and what it was parsed to; or why it can't be."""
    try:
        source = content.decode("utf-8").removeprefix("\ufeff")
        # tomli reads CR LF as LF, and the offsets in its errors count it as one.
        text = source.replace("\r\n", "\n") if "\r" in source else source
    except UnicodeDecodeError as error:
        offset = len(content[: error.start].decode("utf-8"))
        where = location(name, content.decode("utf-8", "replace"), offset)
        return Diagnostic(f"not UTF-8: byte 0x{content[error.start]:02x}", "a file in UTF-8", where)
    if problem := beyond_limits(name, text):
        return problem
    try:
        # Not `text`: tomli replaces CR LF itself. Done twice, it would also hide a lone CR, which TOML refuses.
        return text, tomli.loads(source)
    except tomli.TOMLDecodeError as error:
        from planner.definitions.toml_errors import explain  # noqa: PLC0415 - for a text that is none

        found = explain(text, error)
        return Diagnostic(found.summary, found.expected, location(name, text, found.offset))
    except RecursionError:
        where = location(name, text, find_too_deep(text))
        return Diagnostic("nested too deeply", "tables and lists with fewer levels", where)
    except ValueError:
        # Python refuses to read integers of more than 4,300 digits, or of another number that its environment sets.
        end = _reach(text)
        return long_integer(name, text, len(text[:end].rstrip("_0123456789")), end)


def may_have_variables(text: str) -> bool:
    """Whether a string of this TOML text may refer to one; an escape may write any part of it."""
    # Most texts have no "$", and to find that out is the fastest.
    return ("$" in text and "${var." in text) or "\\" in text


def _reach(text: str) -> int:
    """How far the parser gets before the integer that Python refuses, whose position the error does not have."""

    # Each beginning of the text either fails there or does not get that far: so a binary search finds the place.
    def fails(end: int) -> bool:
        try:
            tomli.loads(text[:end])
        except tomli.TOMLDecodeError:
            return False
        except ValueError:
            return True
        return False

    from bisect import bisect_left  # noqa: PLC0415 - for a text that is refused

    return bisect_left(range(len(text)), True, key=fails)  # noqa: FBT003 - what to look for
