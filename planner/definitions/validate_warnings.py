"""Warnings of `validate`: what is valid but breaks a source. It needs only the definitions.

Empty values are found without the query. What the queries return is checked only if `[statform] warehouse` names their
dialect; only then the parser is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from planner.definitions.definition import Definition, Definitions
from planner.definitions.fields import Field, KeyedList, Path, String, StringSet
from planner.definitions.problems import MAX_PROBLEMS, locate, location
from planner.definitions.settings import SETTINGS_FILE
from planner.errors import Diagnostic, Location
from state.values import JSON

if TYPE_CHECKING:
    from planner.definitions.queries.check import Column, Flaw

# From a key on: its rest, and the quotes that open its string. A line end right after three quotes is not in it.
_OPENED = re.compile(r"""[^=\n]*=[ \t]*(?:(?:\"{3}|'{3})\n?|["'])""")


def find_warnings(definitions: Definitions) -> tuple[Diagnostic, ...]:
    """What may break a source, by definition, at most `MAX_PROBLEMS`. Names that look alike come first."""
    return tuple(islice(_warnings(definitions), MAX_PROBLEMS))


def has_unread_queries(definitions: Definitions) -> bool:
    """Whether there are queries, but no setting that names their dialect."""
    return definitions.settings.warehouse is None and any(
        one.values.get("sql") for one in definitions.resources.values()
    )


def place_in_text(file: str, text: str, start: int, offset: int, length: int = 1) -> Location:
    """The location of a part of a query that begins at `start` of the file's text; `offset` is in the query."""
    return location(file, text, start + offset, length)


def _warnings(definitions: Definitions) -> Iterator[Diagnostic]:
    yield from definitions.confusable_names
    warehouse = definitions.settings.warehouse
    try:
        queries = _Queries(definitions, warehouse) if warehouse else None
    except ImportError:
        queries = None
        yield _no_parser(definitions)
    for one in definitions.resources.values():
        # A value that follows from the others, such as the query of a whole table, needs no warning.
        implied = one.type.implied_by(one.values)
        for field in one.type.fields:
            if field.name not in implied:
                yield from _of_field(definitions, one, field)
        if queries:
            yield from queries.warnings(one)


def _of_field(definitions: Definitions, one: Definition, field: Field) -> Iterator[Diagnostic]:
    """A warning for each empty part of a field that must not be empty."""
    for path, summary, expected in _empty_parts(field, one.values):
        whole = (field.name, *path)
        where = definitions.locate(one.address, *whole)
        yield Diagnostic(summary, expected, where, one.address, _shown(whole), is_warning=True)


def _empty_parts(field: Field, values: Mapping[str, JSON]) -> Iterator[tuple[Path, str, str]]:
    """The path of each empty part in the field, with what is wrong and what is expected."""
    match field.kind, values.get(field.name):
        case String(), str(text) if field.required and not text.strip():
            yield (), "an empty string in a field that a source needs", _wanted(field)
        case StringSet(), list(items):
            empty = [index for index, item in enumerate(items) if isinstance(item, str) and not item.strip()]
            yield from (((index,), "an empty string in the list", "strings that are not empty") for index in empty)
        case KeyedList(key, holds), []:
            if field.required:
                yield (), "an empty list in a field that a source needs", f'{{ {key} = "…", {holds} = "…" }}'
        case KeyedList(key, holds), list(entries):
            found = [(i, name) for i, one in enumerate(entries) for name in (key, holds) if _is_empty(one, name)]
            yield from (((i, name), f"an empty {name}", f'{name} = "…"') for i, name in found)
        case _:
            return


def _is_empty(entry: JSON, name: str) -> bool:
    return isinstance(entry, dict) and not str(entry.get(name)).strip()


def _wanted(field: Field) -> str:
    return "a column that the query returns" if _names_column(field) else "one that is not empty"


def _shown(path: Path) -> str:
    """The path as people write it: `idTypeMapping[0].column`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _names_column(field: Field) -> bool:
    return isinstance(field.kind, String) and field.name.endswith("Column")


def _no_parser(definitions: Definitions) -> Diagnostic:
    where, _ = locate(definitions.texts, SETTINGS_FILE, ("statform", "warehouse"))
    expected = "statform with its extra sql: pip install 'statform[sql]'"
    return Diagnostic("the queries can't be checked: the parser is not installed", expected, where, is_warning=True)


class _Queries:
    """Checks the queries of a warehouse.

    Raises:
        ImportError: the parser is not installed, or is one that is too old.
    """

    def __init__(self, definitions: Definitions, warehouse: str) -> None:
        from planner.definitions.queries.check import Column, check_query  # noqa: PLC0415 - it loads the parser

        self._column, self._check = Column, check_query
        self.definitions, self.warehouse = definitions, warehouse

    def warnings(self, one: Definition) -> Iterator[Diagnostic]:
        sql = one.values.get("sql")
        if not isinstance(sql, str) or not sql.strip():
            return
        if found := self._check(sql, self.warehouse, self._columns(one), one.type.macros):
            places = _Places(self.definitions, one, sql)
            yield from (self._warning(one, finding, places) for finding in found)

    def _warning(self, one: Definition, flaw: Flaw, places: _Places) -> Diagnostic:
        field = flaw.fields[0] if len(flaw.fields) == 1 else "sql"
        return Diagnostic(
            flaw.summary, flaw.expected, places.of(flaw.offset, flaw.length), one.address, field, is_warning=True
        )

    def _columns(self, one: Definition) -> list[Column]:
        """The columns that the definition names, with the fields that do."""
        found = []
        for field in one.type.fields:
            value = one.values.get(field.name)
            if _names_column(field) and isinstance(value, str):
                found.append(self._column(field.name, value))
            elif isinstance(field.kind, KeyedList) and field.kind.value == "column" and isinstance(value, list):
                named = [(i, e["column"]) for i, e in enumerate(value) if isinstance(e, dict)]
                found += [self._column(_shown((field.name, i, "column")), str(name)) for i, name in named]
        return [column for column in found if column.name.strip()]


class _Places:
    """Where the parts of a definition's query are in its file; at its key, if escapes make the two texts differ."""

    def __init__(self, definitions: Definitions, one: Definition, sql: str) -> None:
        self.key = definitions.locate(one.address, "sql")
        self.text = definitions.texts.get(self.key.file, "")
        self.start = 0 if one.sql_file is not None and self.text.startswith(sql) else self._start(sql)

    def _start(self, sql: str) -> int | None:
        """Where the query begins in the file; None if escapes make its text another one than that of the file."""
        line = 0
        for _ in range(self.key.line - 1):
            line = self.text.find("\n", line) + 1
        opened = _OPENED.match(self.text, line + self.key.column - 1)
        return opened.end() if opened and self.text.startswith(sql, opened.end()) else None

    def of(self, offset: int, length: int) -> Location:
        if self.start is None:
            return self.key
        return place_in_text(self.key.file, self.text, self.start, offset, length)
