"""Writes definitions as a person would write them, TOML and .sql, for `import` and `refresh --write`.

Pure: texts in, texts out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from planner.definitions.optional.sql_file import MAX_SQL_BYTES
from planner.definitions.optional.variables import quote_references
from planner.definitions.resources import ResourceType
from planner.escape import UNSAFE, escape, without_ci_commands
from state.values import JSON

_WIDTH = 100
_ZERO_WIDTH = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
# A quote that would end the string too early, or make its closing quotes four.
_CLOSING = re.compile(r'"(?="")|"\Z')
# A blank that editors remove: it is written as an escape.
_BLANK_AT_LINE_END = re.compile(r"[ \t](?=\n)")
_BLANKS = {" ": "\\u0020", "\t": "\\t"}


def format_definition(
    type_: ResourceType, key: str, name: str, values: Mapping[str, JSON], cleared: Sequence[str] = ()
) -> str:
    """The table of a definition. It always has the name, so that a change of the key does not rename the source."""
    lines = [f"[{type_.name}.{key}]", f"name = {format_toml(name)}"]
    # Values of many lines come last.
    ordered = sorted(values, key=lambda field_: isinstance(text := values[field_], str) and "\n" in text)
    lines += [f"{field_} = {format_toml(values[field_], len(field_) + 3)}" for field_ in ordered]
    if cleared:
        lines.insert(2, f"clear = {format_toml(list(cleared), 8)}")
    return "\n".join(lines) + "\n"


def format_toml(value: JSON, column: int = 0) -> str:
    """The value as TOML, escaped so that no part of it is read as a variable; `column` is where it begins."""
    match value:
        case str():
            return _string(quote_references(value))
        case bool():
            return "true" if value else "false"
        case dict():
            return "{ " + ", ".join(f"{key} = {format_toml(item)}" for key, item in value.items()) + " }"
        case list():
            items = [format_toml(item) for item in value]
            line = "[" + ", ".join(items) + "]"
            has_tables = any(isinstance(item, dict) for item in value)
            return line if len(line) + column <= _WIDTH and not has_tables else "[\n" + _lines(items) + "]"
        case _:
            return str(value)


def format_query(sql: str, before: str = "") -> str | None:
    """The text of a .sql file for the query. It replaces `before`, and keeps the BOM and the line ends of that.

    Unchanged lines at the start and at the end keep their bytes. None: a file can't have this query, or only with
    characters that a reader does not see.
    """
    query = quote_references(sql.replace("\r\n", "\n"))
    has_end = not before or before.endswith("\n") or query.endswith("\n")
    bom = "\ufeff" if before.startswith("\ufeff") else ""
    old, new = _split(before.removeprefix(bom)), _split(query + "\n" * has_end)
    as_read = [line.replace("\r\n", "\n") for line in old]
    if not query or not all(map(_is_plain, {*new} - {*as_read})):
        return None
    most = min(len(old), len(new))
    head = next((n for n in range(most) if as_read[n] != new[n]), most)
    tail = next((n for n in range(most - head) if as_read[-1 - n] != new[-1 - n]), most - head)
    line_end = "\r\n" if "\r\n" in before else "\n"
    middle = (line.replace("\n", line_end) for line in new[head : len(new) - tail])
    text = "".join([bom, *old[:head], *middle, *old[len(old) - tail :]])
    return text if len(text.encode()) <= MAX_SQL_BYTES else None


def _split(text: str) -> list[str]:
    """The lines with their line ends; a lone CR does not end a line."""
    return re.findall(r"[^\n]*\n|[^\n]+\Z", text)


def _is_plain(line: str) -> bool:
    return _escaped(line, "\t\n") == line == without_ci_commands(line)


def _lines(items: Iterable[str]) -> str:
    return "".join(f"  {item},\n" for item in items)


def _string(text: str) -> str:
    """The string as a person would write it: on several lines if it has several, and without escapes if possible."""
    if without_ci_commands(text) != text:
        # A line of the file in a CI's log must not be a command to the CI.
        return without_ci_commands('"' + escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"')
    if "\n" in text:
        return _block(text)
    escaped = _escaped(text.replace("\\", "\\\\").replace('"', '\\"'))
    if escaped == text or _escaped(text) != text:
        return f'"{escaped}"'
    if "'" not in text:
        return f"'{text}'"
    return f"'''{text}'''" if _can_be_literal(text) else f'"{escaped}"'


def _block(text: str) -> str:
    # TOML ignores the line end right after the opening quotes.
    if _escaped(text, "\t\n") == text and _can_be_literal(text):
        return f"'''\n{text}'''"
    quoted = _CLOSING.sub(r'\\"', text.replace("\\", "\\\\"))
    shown = _BLANK_AT_LINE_END.sub(lambda blank: _BLANKS[blank[0]], _escaped(quoted, "\t\n"))
    return f'"""\n{shown}"""'


def _can_be_literal(text: str) -> bool:
    return "'''" not in text and not text.endswith("'") and not _BLANK_AT_LINE_END.search(text)


def _escaped(text: str, kept: str = "") -> str:
    """The text with escapes for all characters that a reader would not see, except those in `kept`.

    The escapes for people are also TOML's. Joiners and variation selectors stay after a character that is not ASCII,
    because scripts and emoji need them there.
    """
    if not re.search(UNSAFE, text.translate(dict.fromkeys(map(ord, kept)))):
        return text
    shown = ""
    for character in text:
        is_joined = _ZERO_WIDTH.match(character) and not shown[-1:].isascii()
        shown += character if character in kept or is_joined else escape(character)
    return shown
