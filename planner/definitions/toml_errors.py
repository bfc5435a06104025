"""Finds the mistake in a text that is not TOML, and what was probably meant: the parser says only where it noticed it.

Loaded only for such a text. A guess is shown beside the parser's own words. Nothing is ever corrected.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import tomli

from planner.escape import format_value

_LONGEST_GUESS = 60
# A comment, a bracket, or the opening quotes of a string, after which the scan goes on.
_MARK = re.compile(r"""#[^\n]*|[\[\]{}]|"{3}|'{3}|["']""")
_ENDS = {
    '"': re.compile(r'["\n]|(?:\\[^\n]){1,99}'),
    "'": re.compile(r"['\n]"),
    '"""': re.compile(r'"{3,5}|(?:\\[\s\S]){1,99}'),
    "'''": re.compile(r"'{3,5}"),
}
_BOOLEANS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
_KINDS = {"[": ("a list", "]"), "{": ("a table", "}")}
_TABLE = '[assignment_source.KEY] and, below it, lines such as name = "…"'


class Explained(NamedTuple):
    """`summary` says what is wrong at `offset`; `expected` says what should stand there."""

    summary: str
    expected: str
    offset: int


def explain(text: str, error: tomli.TOMLDecodeError) -> Explained:
    """The mistake behind the parser's error; `text` has LF for each CR LF."""
    # If a text ends in a backslash, tomli's position is beyond its end.
    at = min(error.pos, len(text))
    line = text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0]
    # The most certain explanations first: a line of YAML is also an invalid statement.
    found = _of_other_language(text, line, at) or _of_string(text, error.msg, at) or _of_bracket(text, error.msg, at)
    if found is None and error.msg == "Invalid value":
        return _of_value(text, at)
    if found is None and error.msg.startswith("Expected newline") and (guess := _bare_value(line)):
        return Explained(_summary(error), f"a string in quotes: {guess}", at)
    return found or Explained(_summary(error), _expected(error.msg), at)


def _summary(error: tomli.TOMLDecodeError) -> str:
    return f"not TOML: {error.msg[:1].lower()}{error.msg[1:]}"


def _expected(message: str) -> str:
    if message.startswith("Cannot"):
        return "each table once in a file, and each field once in a table"
    if message.startswith("Expected newline"):
        return "one field on each line, and after it only a comment"
    if message.startswith(("Expected ']", "Invalid initial character")):
        return "a table's name in brackets, such as [assignment_source.checkout]"
    if message.startswith(("Expected '='", "Invalid statement")):
        return f"TOML: {_TABLE}"
    return "TOML 1.0"


def _of_other_language(text: str, line: str, at: int) -> Explained | None:
    start = text.rfind("\n", 0, at) + 1
    if re.match(r"(?:<{7}|={7}|>{7}|\|{7})(?: |$)", line):
        return Explained(
            "not TOML: a merge conflict that git left here",
            "one of the two sides, without the lines that begin with <<<<<<<, ======= and >>>>>>>",
            start,
        )
    if re.match(r"\s*(?:resource|data|variable|locals|module|provider|terraform|output)\b[^=]*\{", line):
        return Explained("not TOML: this is HCL, as Terraform reads it", f"TOML: {_TABLE}", start)
    if re.match(r"\s*(?:- )?[\w-]+:(?:\s|$)", line):
        return Explained("not TOML: this is YAML", f"TOML: {_TABLE}", start)
    return None


def _of_string(text: str, message: str, at: int) -> Explained | None:
    if message.startswith("Unescaped '\\'"):
        offset = text.rfind("\\", 0, at)
        return Explained(
            "not TOML: a backslash before a character that it can't escape",
            r"\\ for a backslash, or the string in '…'",
            offset,
        )
    if not message.startswith(("Illegal character '\\n'", "Unterminated string", "Expected \"'")):
        return None
    start = _open(text, at)
    quote = text[start : start + 3] if text.startswith(("'''", '"""'), start) else text[start : start + 1]
    if len(quote) == 3:
        return Explained("not TOML: a string that is not closed", f"{quote} at its end", start)
    expected = f"{quote} at its end; a text of several lines stands between {quote * 3} and {quote * 3}"
    return Explained("not TOML: a string that is not closed on its line", expected, start)


def _of_bracket(text: str, message: str, at: int) -> Explained | None:
    line = text.rfind("\n", 0, at) + 1
    # If a list is not closed, the parser takes the header of the next table for a list inside it.
    is_header = message == "Invalid value" and re.match(r"\[[\w.-]+\][ \t]*(?:#|\n|\Z)", text[line : line + 1000])
    if not (is_header or message.startswith(("Unclosed", "Invalid initial character for a key part"))) and at < len(
        text
    ):
        return None
    start = _open(text, line if is_header else at)
    bracket = text[start : start + 1]
    if bracket not in _KINDS or (text.rfind("\n", 0, start) + 1 == start and bracket == "["):
        return None
    what, close = _KINDS[bracket]
    summary = f"not TOML: {what} without its end, or without a comma"
    return Explained(summary, f"{close} at its end, and a comma between two of its elements", start)


def _of_value(text: str, at: int) -> Explained:
    raw = re.match(r"[^\n#]*", text[at : at + 10 * _LONGEST_GUESS])
    value = raw[0].strip() if raw else ""
    word = re.split(r"[\s,\]}]", value, maxsplit=1)[0]
    # In a list or a table, the value is only one element.
    value = value if text[text.rfind("\n", 0, at) + 1 : at].rstrip().endswith("=") else word
    summary = "not TOML: invalid value"
    if word in {"null", "nil", "None"}:
        return Explained(summary, 'no null, because TOML has none: clear = ["…"] sets a field to null', at)
    if word.lower() in _BOOLEANS:
        return Explained(summary, f"{_BOOLEANS[word.lower()]}, in lower case and without quotes", at)
    if value[:1] in {"\u201c", "\u201d", "\u2018", "\u2019", "\u201e", "`"}:
        return Explained(summary, 'a string in straight quotes: "…"', at)
    if not word:
        return Explained("not TOML: no value", 'a value: "a string", true or false, a number, a list or a table', at)
    if len(value) > _LONGEST_GUESS or value[:1] in "=:[]{}\\":
        return Explained(summary, 'a value: "a string", true or false, a number, a list or a table', at)
    return Explained(summary, f"a string in quotes: {format_value(value)}", at)


def _bare_value(line: str) -> str | None:
    """The whole value of a line as a string, if it begins like a number or a word."""
    found = re.fullmatch(r"\s*[\w.-]+\s*=\s*([\w+][^\"'#,\[\]{}]*?)\s*(?:#.*)?", line)
    return format_value(found[1]) if found and len(found[1]) <= _LONGEST_GUESS else None


def _open(text: str, end: int) -> int:
    """Where the innermost string or bracket begins that is still open at `end`; `end` if there is none."""
    opened: list[int] = []
    at = 0
    while (mark := _MARK.search(text, at, end)) is not None:
        at = mark.end()
        if mark[0] in "[{":
            opened.append(mark.start())
        elif mark[0] in "]}":
            del opened[-1:]
        elif not mark[0].startswith("#"):
            close = _string_end(text, mark[0], at, end)
            if close is None:
                return mark.start()
            at = close
    return opened[-1] if opened else end


def _string_end(text: str, quote: str, at: int, end: int) -> int | None:
    while (found := _ENDS[quote].search(text, at, end)) is not None:
        if found[0].startswith(quote[0]):
            return found.end()
        if found[0] == "\n":
            return None
        at = found.end()
    return None
