"""Checks that the SELECT list of a query has the columns that a definition names: what is wrong, and where."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from planner.definitions.fields import closest
from planner.definitions.positions import line_and_column
from planner.definitions.queries.columns import ColumnReader, Shape, start_of
from planner.definitions.queries.dialects import NameRules, Words
from planner.definitions.queries.text import CannotTell, Text

# In a string, braces may just be text, such as an array of postgres: '{{1,2},{3,4}}'.
_JINJA_IN_STRING = re.compile(r"\{\{-?\s*[A-Za-z_][\w.]*\s*(?:[|(\[].*)?-?\}\}|\{%[-+]?\s*[a-z]+\b.*%\}", re.DOTALL)


class FlawKind(Enum):
    """What a finding says of the query."""

    MISSING = "a column that the SELECT list lacks"
    CASE = "a column whose name differs in case only"
    MACRO = "a macro that the type has not"
    JINJA = "a template that nobody fills in"
    UNKNOWN = "nobody can tell"


class Column(NamedTuple):
    """A column that a definition names, and the path of the field that names it, such as `idTypeMapping[0].column`."""

    field: str
    name: str


class Flaw(NamedTuple):
    """One problem of a query. `offset` and `length` are in characters of its text; line and column count from 1.

    `fields` are the fields whose columns it concerns: none for a macro or a template, maybe many for `SELECT *`.
    """

    kind: FlawKind
    summary: str
    expected: str
    fields: tuple[str, ...]
    offset: int
    length: int
    line: int
    column: int


def check_query(text: str, dialect: str, columns: Sequence[Column], macros: Collection[str]) -> tuple[Flaw, ...]:
    """What is wrong with a query in a dialect of sqlglot's, in the order of the text; it never raises.

    `macros` are those that Statsig fills in for the type, without braces.
    """
    return tuple(sorted(_Check(text, dialect, columns, macros).findings(), key=lambda found: found.offset))


class _Check:
    """One query's check."""

    def __init__(self, text: str, dialect: str, columns: Sequence[Column], macros: Collection[str]) -> None:
        self.text, self.dialect, self.macros = text, dialect, macros
        self.columns = [column for column in columns if column.name]
        self.names = NameRules(dialect)
        self.tokens: Sequence[Token] = ()

    def findings(self) -> list[Flaw]:
        try:
            text = Text(self.text, self.dialect)
        except CannotTell as why:
            return [self._unread(why)]
        self.tokens = text.tokens
        found = [
            one for mark, is_quoted in text.marks_outside_comments() for one in self._of_mark(mark, is_quoted=is_quoted)
        ]
        if any(one.kind is FlawKind.JINJA for one in found) or not self.columns:
            return found
        try:
            query = text.parse()
            shape = ColumnReader(self.names, self.tokens).shape(query, {})
            return found + self._judge(shape, query)
        except CannotTell as why:
            return [*found, self._unread(why)]
        # sqlglot may raise any exception for a text that it was not made for.
        except Exception as error:  # noqa: BLE001
            return [*found, self._unread(CannotTell(f"the parser fails on it ({type(error).__name__})"))]

    def _finding(
        self, kind: FlawKind, summary: str, expected: str, offset: int, *, length: int = 0, fields: Iterable[str] = ()
    ) -> Flaw:
        length = length or next((t.end - t.start + 1 for t in self.tokens if t.start == offset), 1)
        line, column, _ = line_and_column(self.text, offset)
        return Flaw(kind, summary, expected, tuple(fields), offset, length, line, column)

    def _unread(self, why: CannotTell) -> Flaw:
        summary = f"can't find out what the query returns: {why.reason}"
        expected = f"one SELECT in the SQL of {self.dialect}"
        return self._finding(FlawKind.UNKNOWN, summary, expected, why.offset, fields=(c.field for c in self.columns))

    def _of_mark(self, mark: re.Match[str], *, is_quoted: bool) -> list[Flaw]:
        offset, length, text = mark.start(), len(mark[0]), " ".join(mark[0].split())
        shown = text if len(text) <= 60 else text[:57] + "..."
        if mark["jinja"]:
            if is_quoted and not _JINJA_IN_STRING.fullmatch(mark[0]):
                return []
            summary = f"{shown} is a template, and nothing fills it in"
            return [
                self._finding(FlawKind.JINJA, summary, "SQL that the warehouse can run as it is", offset, length=length)
            ]
        name = mark["macro"]
        if mark[0] == f"{{{name}}}" and name in self.macros:
            return []
        if is_quoted and not name.casefold().startswith("statsig_"):
            return []
        known = tuple(f"{{{macro}}}" for macro in sorted(self.macros))
        expected = f"one of {', '.join(known)}{closest(shown, known)}" if known else "no macro"
        return [
            self._finding(
                FlawKind.MACRO, f"{shown} is not a macro of this type of source", expected, offset, length=length
            )
        ]

    def _judge(self, shape: Shape, query: exp.Expr) -> list[Flaw]:
        # A column is missing only if no `*` of an unknown table, and no expression without a name, can be that column.
        known = {self.names.key(name) for name in shape.names}
        asked = [column for column in self.columns if self.names.key(column.name) not in known]
        hidden = {c: star for c in asked for star in shape.stars if self.names.key(c.name) not in star.lacks}
        rest = [column for column in asked if column not in hidden]
        words = Words(self.dialect, self.tokens)
        unnamed = {c: one for c in rest for one in shape.unnamed if words.may_name(one, c.name)}
        found = []
        if hidden:
            where = next(iter(hidden.values())).offset
            found.append(
                self._untold(hidden, "SELECT * does not name the columns", start_of(query) if where is None else where)
            )
        if unnamed:
            where = start_of(next(iter(unnamed.values())), start_of(query))
            found.append(self._untold(unnamed, "the warehouse chooses the name of a column without an alias", where))
        return found + [self._absent(column, shape, query) for column in rest if column not in unnamed]

    def _untold(self, columns: Collection[Column], why: str, offset: int) -> Flaw:
        names = ", ".join(dict.fromkeys(f'"{column.name}"' for column in columns))
        summary = f"can't find out whether the query returns {names}: {why}"
        expected = "a SELECT list that names the columns"
        return self._finding(FlawKind.UNKNOWN, summary, expected, offset, fields=(c.field for c in columns))

    def _absent(self, column: Column, shape: Shape, query: exp.Expr) -> Flaw:
        for name, offset in shape.names.items():
            if name.casefold() == column.name.casefold():
                summary = f'the query returns "{name}", not "{column.name}"'
                return self._finding(FlawKind.CASE, summary, self.names.rule, offset, fields=(column.field,))
        names = tuple(shape.names)
        guess = closest(column.name, names)
        nearest = guess.removeprefix('; did you mean "').removesuffix('"?')
        listed = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        expected = f"one of {listed}{guess}" if names else "a SELECT list that names the column"
        offset = shape.names[nearest] if guess else self._select_before(start_of(query))
        summary = f'the query returns no column "{column.name}"'
        return self._finding(FlawKind.MISSING, summary, expected, offset, fields=(column.field,))

    def _select_before(self, offset: int) -> int:
        selects = [t.start for t in self.tokens if t.token_type is TokenType.SELECT]
        return max((s for s in selects if s <= offset), default=min(selects, default=0))
