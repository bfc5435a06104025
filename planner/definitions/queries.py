"""What a query yields, as far as its text tells: does its SELECT list have the columns that a definition names?

Nobody is asked: there is no schema, so what `SELECT *` takes from a table is unknown, and is said to be. A name is read
by its dialect's rules: snowflake gives `user_id` back as USER_ID, postgres "UserID" as it stands, and for bigquery case
is no difference. The parser is sqlglot, which only the extra `sql` brings: so this module is imported when there is a
query to check.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError
from sqlglot.tokenizer_core import Token, TokenType

from planner.definitions.fields import closest
from planner.definitions.positions import line_and_column

# sqlglot logs what it reads as an unknown command; it is told here as what can't be read.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())

_UPPER = frozenset({"snowflake", "oracle", "exasol"})
_LOWER = frozenset({"postgres", "materialize", "risingwave"})
_EXACT = frozenset({"clickhouse"})
# Where an expression without an alias gets a name that no column has, such as f0_, or its own text.
_ANONYMOUS = frozenset({"bigquery", "snowflake", "trino", "athena", "presto", "clickhouse", "tsql", "fabric", "duckdb"})
_ANONYMOUS_NAME = re.compile(r"f[0-9]+_|_col[0-9]+")
_LIKE_POSTGRES = frozenset({"postgres", "redshift", "materialize", "risingwave"})
_LIKE_SPARK = frozenset({"spark", "databricks", "hive"})
_LIKE_TRINO = frozenset({"trino", "athena", "presto"})

# Beyond these sqlglot takes minutes, or more of the stack than there is. Nobody writes such a query.
_MOST_CHARACTERS = 200_000
_MOST_TOKENS = 10_000
_MOST_LEVELS = 50
_MOST_IN_A_ROW = 30
_MOST_OPEN_JOINS = 8
_MOST_NAMES = 200_000

# Jinja, which is no SQL; and {word}, which is a macro or what somebody's own tool should have filled in.
_JINJA = (
    r"\{\{(?:[^{}]|\{[^{}]*\})*\}\}"
    r"|\{%(?:[^%{]|%(?!\})|\{(?!%))*%\}"
    r"|\{\#(?:[^\#{]|\#(?!\})|\{(?!\#))*\#\}"
)
_MARK = re.compile(rf"(?P<jinja>{_JINJA})|\{{\s*(?P<macro>[A-Za-z_]\w*)\s*\}}")
# In a string braces may mean themselves, as in postgres' '{{1,2},{3,4}}'.
_JINJA_IN_STRING = re.compile(r"\{\{-?\s*[A-Za-z_][\w.]*\s*(?:[|(\[].*)?-?\}\}|\{%[-+]?\s*[a-z]+\b.*%\}", re.DOTALL)
_QUOTED = frozenset(
    {
        TokenType.STRING,
        TokenType.NATIONAL_STRING,
        TokenType.RAW_STRING,
        TokenType.HEREDOC_STRING,
        TokenType.BYTE_STRING,
        TokenType.UNICODE_STRING,
        TokenType.IDENTIFIER,
    }
)
_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_BEFORE_STAR = frozenset({TokenType.SELECT, TokenType.COMMA, TokenType.DISTINCT, TokenType.ALL, TokenType.DOT})
_OF_CHAINS = frozenset({TokenType.DOT, TokenType.COLON, TokenType.NUMBER, TokenType.STRING, TokenType.VAR})


class Kind(Enum):
    """What a finding says of the query."""

    MISSING = "a column that the SELECT list lacks"
    CASE = "a column whose name differs in case only"
    MACRO = "a macro that the type has not"
    JINJA = "a template that nobody fills in"
    UNKNOWN = "nobody can tell"


class Column(NamedTuple):
    """A column that a definition names, and the path of the field that does, such as `idTypeMapping[0].column`."""

    field: str
    name: str


class Finding(NamedTuple):
    """One problem of a query; `offset` and `length` are in characters of its text, line and column count from 1.

    `fields` are those whose columns it concerns: none for a macro or a template, maybe many for `SELECT *`.
    """

    kind: Kind
    summary: str
    expected: str
    fields: tuple[str, ...]
    offset: int
    length: int
    line: int
    column: int


def check_query(text: str, dialect: str, columns: Sequence[Column], macros: Collection[str]) -> tuple[Finding, ...]:
    """What is wrong with a query in a dialect of sqlglot's, in the order of the text; it never raises.

    `macros` are those that Statsig fills in for the type, without braces.
    """
    return tuple(sorted(_Check(text, dialect, columns, macros).findings(), key=lambda found: found.offset))


class _CannotTell(Exception):
    """Why, and where in the text."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.offset = reason, offset


class _Star(NamedTuple):
    """Columns of a table, which nobody knows; `lacks` are the keys of those that it surely has not.

    `offset` is where the `*` is that takes them; None until one does.
    """

    lacks: frozenset[str] = frozenset()
    offset: int | None = None


class _Shape(NamedTuple):
    """What a query or a table yields.

    `names`: as the warehouse returns them, with the offset of what names each; `unnamed`: expressions that the
    warehouse names by itself; `width`: how many columns there are, None if that is not known.
    """

    names: Mapping[str, int]
    stars: tuple[_Star, ...] = ()
    unnamed: tuple[exp.Expr, ...] = ()
    width: int | None = None


_OPEN = _Shape({}, (_Star(),))
_Scope: TypeAlias = Mapping[str, _Shape]


class _Names:
    """The dialect's rules for names."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.is_exact = dialect in _UPPER | _LOWER | _EXACT

    def returned(self, identifier: exp.Expr) -> str:
        """The name as the warehouse returns it."""
        name = identifier.name
        if identifier.args.get("quoted"):
            return name
        return name.upper() if self.dialect in _UPPER else name.lower() if self.dialect in _LOWER else name

    def key(self, name: str) -> str:
        """What returned names have in common that are one to the warehouse."""
        return name if self.is_exact else name.casefold()

    @property
    def rule(self) -> str:
        match self.dialect:
            case dialect if dialect in _UPPER:
                return f"the name as {dialect} returns it: in upper case, unless it is quoted in the query"
            case dialect if dialect in _LOWER:
                return f"the name as {dialect} returns it: in lower case, unless it is quoted in the query"
            case dialect:
                return f"the name as {dialect} returns it: just as the query writes it"


class _Check:
    """One query's check."""

    def __init__(self, text: str, dialect: str, columns: Sequence[Column], macros: Collection[str]) -> None:
        self.text, self.dialect, self.macros = text, dialect, macros
        self.columns = [column for column in columns if column.name]
        self.names = _Names(dialect)
        self.tokens: Sequence[Token] = ()
        self.marks: list[re.Match[str]] = []

    def findings(self) -> list[Finding]:
        try:
            self._tokenize()
            found = self._left_in()
        except _CannotTell as why:
            return [self._unread(why)]
        if any(one.kind is Kind.JINJA for one in found) or not self.columns:
            return found
        try:
            query = self._parse()
            shape = _Reader(self.names, self.tokens).shape(query, {})
            return found + self._judge(shape, query)
        except _CannotTell as why:
            return [*found, self._unread(why)]
        # What sqlglot makes of a text that it was not made for is any exception.
        except Exception as error:  # noqa: BLE001
            return [*found, self._unread(_CannotTell(f"the parser fails on it ({type(error).__name__})"))]

    def _finding(
        self, kind: Kind, summary: str, expected: str, offset: int, *, length: int = 0, fields: Iterable[str] = ()
    ) -> Finding:
        length = length or next((t.end - t.start + 1 for t in self.tokens if t.start == offset), 1)
        line, column, _ = line_and_column(self.text, offset)
        return Finding(kind, summary, expected, tuple(fields), offset, length, line, column)

    def _unread(self, why: _CannotTell) -> Finding:
        summary = f"can't tell what the query yields: {why.reason}"
        expected = f"one SELECT in the SQL of {self.dialect}"
        return self._finding(Kind.UNKNOWN, summary, expected, why.offset, fields=(c.field for c in self.columns))

    def _tokenize(self) -> None:
        """The tokens of the text, each mark in it covered by a word of the same length."""
        if len(self.text) > _MOST_CHARACTERS:
            raise _CannotTell(f"it has more than {_MOST_CHARACTERS:,} characters")
        self.marks = list(_MARK.finditer(self.text))
        try:
            self.tokens = Dialect.get_or_raise(self.dialect).tokenize(_covered(self.text))
        except Exception as error:  # noqa: BLE001 - as above
            where = re.search(r"(\d+):(\d+)", str(error))
            offset = self._offset(int(where[1]), int(where[2])) if where else 0
            raise _CannotTell(f"the parser can't read it as {self.dialect}", offset) from None

    def _offset(self, line: int, column: int) -> int:
        """Where the line and the column, both from 1, are in the text, or near there."""
        start = 0
        for _ in range(line - 1):
            start = self.text.find("\n", start) + 1
        return min(start + max(0, column - 1), max(0, len(self.text) - 1))

    def _left_in(self) -> list[Finding]:
        """A finding for each macro that the type has not, and for each template; what stands in a comment is none."""
        found = []
        tokens = iter(self.tokens)
        token = next(tokens, None)
        for mark in self.marks:
            while token and token.end < mark.start():
                token = next(tokens, None)
            if token and token.start < mark.end():
                found += self._of_mark(mark, is_quoted=token.token_type in _QUOTED)
        return found

    def _of_mark(self, mark: re.Match[str], *, is_quoted: bool) -> list[Finding]:
        offset, length, text = mark.start(), len(mark[0]), " ".join(mark[0].split())
        shown = text if len(text) <= 60 else text[:57] + "..."
        if mark["jinja"]:
            if is_quoted and not _JINJA_IN_STRING.fullmatch(mark[0]):
                return []
            summary = f"{shown} is left in, and nobody fills it in"
            return [
                self._finding(Kind.JINJA, summary, "SQL that the warehouse can run as it stands", offset, length=length)
            ]
        name = mark["macro"]
        if mark[0] == f"{{{name}}}" and name in self.macros:
            return []
        if is_quoted and not name.casefold().startswith("statsig_"):
            return []
        known = tuple(f"{{{macro}}}" for macro in sorted(self.macros))
        expected = f"one of {', '.join(known)}{closest(shown, known)}" if known else "no macro"
        return [
            self._finding(Kind.MACRO, f"{shown} is no macro of this type of source", expected, offset, length=length)
        ]

    def _parse(self) -> exp.Expr:
        _refuse_too_much(self.tokens)
        try:
            statements = self._statements(self.tokens)
        except _CannotTell:
            bare = [m for m in self.marks if not self._is_inside_quotes(m)]
            if not bare:
                raise
            # Where no name can stand, such as after DATE, a string may.
            covered = _covered(self.text, {m.start() for m in bare})
            statements = self._statements(Dialect.get_or_raise(self.dialect).tokenize(covered))
        if not statements:
            raise _CannotTell("it is empty")
        if len(statements) > 1:
            raise _CannotTell("it is more than one statement")
        if not isinstance(statements[0], exp.Query):
            raise _CannotTell("it is no SELECT")
        return statements[0]

    def _is_inside_quotes(self, mark: re.Match[str]) -> bool:
        return any(t.start <= mark.start() <= t.end and t.token_type in _QUOTED for t in self.tokens)

    def _statements(self, tokens: Sequence[Token]) -> list[exp.Expr]:
        try:
            parsed = Dialect.get_or_raise(self.dialect).parser().parse(list(tokens), self.text)
        except ParseError as error:
            first = error.errors[0] if error.errors else {}
            end = self._offset(first.get("line") or 1, first.get("col") or 1)
            offset = max(0, end - len(first.get("highlight") or " ") + 1)
            raise _CannotTell(f"the parser can't read it as {self.dialect}", offset) from None
        return [one for one in parsed if one is not None and not isinstance(one, exp.Semicolon)]

    def _judge(self, shape: _Shape, query: exp.Expr) -> list[Finding]:
        known = {self.names.key(name) for name in shape.names}
        asked = [column for column in self.columns if self.names.key(column.name) not in known]
        hidden = {c: star for c in asked for star in shape.stars if self.names.key(c.name) not in star.lacks}
        rest = [column for column in asked if column not in hidden]
        words = _Words(self.dialect, self.tokens)
        unnamed = {c: one for c in rest for one in shape.unnamed if words.may_name(one, c.name)}
        found = []
        if hidden:
            where = next(iter(hidden.values())).offset
            found.append(
                self._untold(hidden, "SELECT * hides what there is", _start(query) if where is None else where)
            )
        if unnamed:
            where = _start(next(iter(unnamed.values())), _start(query))
            found.append(self._untold(unnamed, "the warehouse names what has no alias", where))
        return found + [self._absent(column, shape, query) for column in rest if column not in unnamed]

    def _untold(self, columns: Collection[Column], why: str, offset: int) -> Finding:
        names = ", ".join(dict.fromkeys(f'"{column.name}"' for column in columns))
        summary = f"can't tell whether the query yields {names}: {why}"
        expected = "a SELECT list that names the columns"
        return self._finding(Kind.UNKNOWN, summary, expected, offset, fields=(c.field for c in columns))

    def _absent(self, column: Column, shape: _Shape, query: exp.Expr) -> Finding:
        for name, offset in shape.names.items():
            if name.casefold() == column.name.casefold():
                summary = f'the query yields "{name}", not "{column.name}"'
                return self._finding(Kind.CASE, summary, self.names.rule, offset, fields=(column.field,))
        names = tuple(shape.names)
        guess = closest(column.name, names)
        nearest = guess.removeprefix('; did you mean "').removesuffix('"?')
        listed = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        expected = f"one of {listed}{guess}" if names else "a SELECT list that names the column"
        offset = shape.names[nearest] if guess else self._select_before(_start(query))
        summary = f'the query yields no column "{column.name}"'
        return self._finding(Kind.MISSING, summary, expected, offset, fields=(column.field,))

    def _select_before(self, offset: int) -> int:
        selects = [t.start for t in self.tokens if t.token_type is TokenType.SELECT]
        return max((s for s in selects if s <= offset), default=min(selects, default=0))


def _covered(text: str, as_strings: Collection[int] = ()) -> str:
    """The text with a word, or a string for those marks, over each mark: as long, in the same lines."""

    def cover(mark: re.Match[str]) -> str:
        if mark["jinja"] or "\n" in mark[0]:
            return re.sub(r"[^\n]", "_", mark[0])
        inner = re.sub(r"\s", "_", mark[0][1:-1])
        return f"'{inner}'" if mark.start() in as_strings else f"_{inner}_"

    return _MARK.sub(cover, text)


def _refuse_too_much(tokens: Sequence[Token]) -> None:
    """Raises:
    _CannotTell: sqlglot would take too long, or more of the stack than there is.
    """
    if len(tokens) > _MOST_TOKENS:
        raise _CannotTell(f"it has more than {_MOST_TOKENS:,} words and signs", tokens[_MOST_TOKENS].start)
    level = in_a_row = links = joins = 0
    before: TokenType | None = None
    for token in tokens:
        kind = token.token_type
        level += (kind in _OPENING) - (kind in _CLOSING)
        in_a_row = in_a_row + 1 if kind is before else 0
        links = links + 1 if kind is TokenType.L_BRACKET else links if kind in _OF_CHAINS | _CLOSING else 0
        if kind is TokenType.JOIN and before not in {TokenType.CROSS, TokenType.NATURAL}:
            joins += 1
        elif kind in {TokenType.ON, TokenType.USING}:
            joins = max(0, joins - 1)
        if level > _MOST_LEVELS or in_a_row > _MOST_IN_A_ROW or links > _MOST_IN_A_ROW or joins > _MOST_OPEN_JOINS:
            raise _CannotTell("it is nested too deeply", token.start)
        before = kind


class _Reader:
    """Reads what a parsed query yields, from the inside out."""

    def __init__(self, names: _Names, tokens: Sequence[Token]) -> None:
        self.names, self.room = names, _MOST_NAMES
        pairs = pairwise(tokens)
        self.stars = [b.start for a, b in pairs if b.token_type is TokenType.STAR and a.token_type in _BEFORE_STAR]

    def shape(self, query: exp.Expr | None, scope: _Scope) -> _Shape:
        """What the query yields where the scope's names are queries too."""
        match query:
            case exp.Subquery():
                scope = self._with_own(query, scope)
                inner = self.shape(query.this, scope)
                return _OPEN if query.args.get("pivots") or query.args.get("joins") else inner
            case exp.SetOperation():
                return self._of_set(query, scope)
            case exp.Select():
                return self._of_select(query, self._with_own(query, scope))
            case exp.Values():
                rows = query.expressions
                return _OPEN._replace(width=len(rows[0].expressions) if rows else None)
            case _:
                return _OPEN

    def _with_own(self, query: exp.Expr, scope: _Scope) -> _Scope:
        with_ = query.args.get("with_")
        if with_ is None:
            return scope
        found = dict(scope)
        for cte in with_.expressions:
            alias = cte.args["alias"]
            key = self._key(alias.this)
            if with_.args.get("recursive"):
                found[key] = _OPEN
            found[key] = self._renamed(self.shape(cte.this, found), alias)
        return found

    def _of_set(self, query: exp.Expr, scope: _Scope) -> _Shape:
        """Its first query's names; by name, those of all."""
        branches: list[_Shape] = []
        at = query
        while isinstance(at, exp.SetOperation):
            scope = self._with_own(at, scope)
            if at.args.get("by_name"):
                if at.args.get("side") or at.args.get("kind") or at.args.get("on") or at.args.get("match_by"):
                    return _OPEN
                branches.append(self.shape(at.expression, scope))
            at = at.this
        first = self.shape(at, scope)
        return self._merged([first, *reversed(branches)]) if branches else first

    def _of_select(self, select: exp.Select, scope: _Scope) -> _Shape:
        if select.args.get("match") or select.args.get("kind") == "VALUE":
            return _OPEN
        sources = self._sources(select, scope)
        parts = [self._of_projection(one, sources, select) for one in select.expressions]
        return self._merged(parts)

    def _sources(self, select: exp.Select, scope: _Scope) -> list[tuple[str, _Shape]]:
        """The tables that the select reads, with the keys of their names, in order."""
        from_ = select.args.get("from_")
        found = self._source(from_.this, scope) if from_ else []
        for join in select.args.get("joins") or ():
            found += self._joined(join, scope)
        for lateral in select.args.get("laterals") or ():
            found += self._source(lateral, scope)
        return found

    def _joined(self, join: exp.Expr, scope: _Scope) -> list[tuple[str, _Shape]]:
        sources = self._source(join.this, scope)
        if join.args.get("kind") in {"SEMI", "ANTI"}:
            is_left = join.args.get("side") != "RIGHT" and self.names.dialect not in _EXACT
            return [(key, _Shape({}) if is_left else _OPEN) for key, _ in sources]
        return sources

    def _source(self, source: exp.Expr, scope: _Scope) -> list[tuple[str, _Shape]]:
        alias = source.args.get("alias")
        shape = self._renamed(self._of_source(source, scope), alias)
        named = alias.this if isinstance(alias, exp.TableAlias) and alias.this else source.this
        key = self._key(named) if isinstance(named, exp.Identifier) else ""
        found = [(key, shape)]
        for join in source.args.get("joins") or ():
            found += self._joined(join, scope)
        return found

    def _of_source(self, source: exp.Expr, scope: _Scope) -> _Shape:
        match source:
            case exp.Table(this=exp.Identifier() as name) if not source.args.get("db"):
                return _OPEN if source.args.get("pivots") else scope.get(self._key(name), _OPEN)
            case exp.Subquery() | exp.Values():
                return self.shape(source, scope)
            case exp.Lateral(this=exp.Subquery() as inner):
                return self.shape(inner, scope)
            case exp.Unnest() if self.names.dialect in _LIKE_TRINO and source.args.get("alias"):
                return self._of_unnest(source)
            case _:
                return _OPEN

    def _of_unnest(self, unnest: exp.Unnest) -> _Shape:
        """Its columns by their aliases, of which sqlglot takes the last for that of WITH ORDINALITY."""
        offset = unnest.args.get("offset")
        columns = [*unnest.args["alias"].columns, *([offset] if offset else [])]
        if not all(isinstance(column, exp.Identifier) for column in columns) or not columns:
            return _OPEN
        return _Shape({self.names.returned(column): _start(column) for column in columns}, width=len(columns))

    def _renamed(self, shape: _Shape, alias: exp.Expr | None) -> _Shape:
        """The shape with the names of `AS t(a, b)`; those that it has no names for keep theirs."""
        # sqlglot gives a LATERAL FLATTEN names of its own, and the element of an UNNEST a column's.
        if not isinstance(alias, exp.TableAlias) or not alias.columns:
            return shape
        if isinstance(alias.parent, exp.Unnest) or (isinstance(alias.parent, exp.Lateral) and shape.width is None):
            return shape
        columns = [c.this if isinstance(c, exp.ColumnDef) else c for c in alias.columns]
        names = {self.names.returned(column): _start(column) for column in columns}
        is_all = shape.width == len(columns)
        return _Shape(names, () if is_all else (_Star(),), width=len(columns) if is_all else None)

    def _of_projection(  # noqa: PLR0911 - a row for each form
        self, one: exp.Expr, sources: Sequence[tuple[str, _Shape]], select: exp.Select
    ) -> _Shape:
        match one:
            case exp.Star():
                return self._of_star(one, [s for _, s in sources], self._star_of(select))
            case exp.Column(this=exp.Star() as star):
                table = one.args.get("table")
                named = [s for key, s in sources if table is not None and key == self._key(table)]
                is_table = named and not one.args.get("db")
                return self._of_star(star, named[:1] if is_table else [_OPEN], _start(one))
            case exp.Alias():
                return self._one(one.args["alias"])
            case exp.Aliases():
                aliases = [alias for alias in one.args["expressions"] if isinstance(alias, exp.Identifier)]
                return _Shape({self.names.returned(alias): _start(alias) for alias in aliases}, width=len(aliases))
            case exp.Column(this=exp.Identifier() as name) if not self._may_be_a_tuple(one, sources):
                return self._one(name)
            case exp.Dot(expression=exp.Identifier() as name) if self.names.dialect not in _EXACT:
                return self._one(name)
            case exp.Columns() | exp.Inline() | exp.QueryTransform():
                return self._of_star(one, [_OPEN], _start(one, self._star_of(select)))
            case exp.Dot() if one.find(exp.Star):
                return self._of_star(one, [_OPEN], _start(one))
            case _:
                return self._unaliased(one)

    def _may_be_a_tuple(self, column: exp.Column, sources: Sequence[tuple[str, _Shape]]) -> bool:
        """Whether `a.b` may be a part of the column a, which clickhouse names as a whole."""
        table = column.args.get("table")
        return self.names.dialect in _EXACT and table is not None and all(k != self._key(table) for k, _ in sources)

    def _one(self, identifier: exp.Expr) -> _Shape:
        offset = _start(identifier, -1)
        if offset < 0 and not isinstance(identifier, exp.Identifier):
            return _OPEN
        return _Shape({self.names.returned(identifier): max(offset, 0)}, width=1)

    def _unaliased(self, one: exp.Expr) -> _Shape:
        """A name where the dialect's rule for it is simple, else none."""
        inner = one.this if isinstance(one, exp.Cast) else one
        by_its_column = self.names.dialect in _LIKE_POSTGRES | _LIKE_SPARK
        if isinstance(one, exp.Cast) and by_its_column and isinstance(inner, exp.Column):
            return self._one(inner.this)
        # Of payload:user.id, databricks makes the column id.
        path = (
            one.expression.expressions if isinstance(one, exp.JSONExtract) and one.args.get("variant_extract") else []
        )
        if self.names.dialect == "databricks" and path and isinstance(path[-1], exp.JSONPathKey):
            return _Shape({path[-1].name: _start(one)}, width=1)
        if isinstance(one, exp.Paren) and isinstance(one.this, exp.Alias):
            return self._one(one.this.args["alias"])
        return _Shape({}, unnamed=(one,), width=1)

    def _star_of(self, select: exp.Select) -> int:
        """Where its `*` is, which sqlglot does not tell: it is the last before the tables."""
        from_ = select.args.get("from_")
        end = _start(from_, -1) if from_ else -1
        return max((s for s in self.stars if s < end), default=self.stars[0] if self.stars else 0)

    def _of_star(self, star: exp.Expr, shapes: Sequence[_Shape], offset: int) -> _Shape:
        shape = self._merged(shapes)
        stars = tuple(_Star(s.lacks, offset if s.offset is None else s.offset) for s in shape.stars)
        if star.args.get("ilike"):
            return _Shape({}, (_Star(frozenset(), offset),))
        renames = {
            self._key(r.this): r.args["alias"] for r in star.args.get("rename") or () if isinstance(r, exp.Alias)
        }
        excepted = star.args.get("except_") or ()
        if not all(isinstance(one, exp.Column | exp.Identifier) for one in excepted):
            return _Shape({}, (_Star(frozenset(), offset),))
        gone = frozenset(map(self._key, excepted)) | renames.keys()
        names = {name: at for name, at in shape.names.items() if self.names.key(name) not in gone}
        names |= {self.names.returned(new): _start(new) for new in renames.values()}
        width = None if gone or len(shapes) > 1 else shape.width
        return _Shape(names, tuple(s._replace(lacks=s.lacks | gone) for s in stars), shape.unnamed, width)

    def _key(self, identifier: exp.Expr) -> str:
        named = identifier.this if isinstance(identifier, exp.Column) else identifier
        return self.names.key(self.names.returned(named))

    def _merged(self, shapes: Sequence[_Shape]) -> _Shape:
        names: dict[str, int] = {}
        for shape in shapes:
            self.room -= len(shape.names) + len(shape.stars) + len(shape.unnamed)
            if self.room < 0:
                raise _CannotTell("it has too many columns")
            names |= shape.names
        stars = tuple(dict.fromkeys(star for shape in shapes for star in shape.stars))
        unnamed = tuple(one for shape in shapes for one in shape.unnamed)
        widths = [shape.width for shape in shapes if shape.width is not None]
        return _Shape(names, stars, unnamed, sum(widths) if len(widths) == len(shapes) else None)


def _start(expression: exp.Expr, default: int = 0) -> int:
    """Where the first name in the expression is, of those whose place sqlglot keeps."""
    starts = (one.meta.get("start") for one in expression.find_all(exp.Identifier))
    return min((start for start in starts if start is not None), default=default)


class _Words:
    """What an expression without an alias may be named, by the words in it."""

    def __init__(self, dialect: str, tokens: Sequence[Token]) -> None:
        self.dialect = dialect
        self.all = frozenset(token.text.casefold() for token in tokens)
        pairs = pairwise(tokens)
        self.calls = frozenset(a.text.casefold() for a, b in pairs if b.token_type is TokenType.L_PAREN)

    def may_name(self, one: exp.Expr, column: str) -> bool:
        """Whether the warehouse may name the expression as the column."""
        name = column.casefold()
        # One bare word that sqlglot takes for a function, such as user, may be a column.
        if isinstance(one, exp.Func | exp.Pseudocolumn) and not any(True for _ in one.iter_expressions()):
            return name in self.all
        if self.dialect in _ANONYMOUS:
            return (isinstance(one, exp.Paren) and name in _inside(one)) or bool(_ANONYMOUS_NAME.fullmatch(column))
        if self.dialect in _LIKE_POSTGRES:
            return self._in_postgres(one, name)
        if self.dialect in _LIKE_SPARK:
            return self._in_spark(one, name)
        return name in self.all

    def _in_postgres(self, one: exp.Expr, name: str) -> bool:
        match one:
            case exp.Cast() | exp.Paren() | exp.Bracket() | exp.Subquery() | exp.Collate() | exp.Case():
                return name in _inside(one) | self.calls | {"case"}
            case exp.Binary() | exp.Literal() | exp.Null():
                return False
            case _:
                return name in self.calls

    def _in_spark(self, one: exp.Expr, name: str) -> bool:
        match one:
            case exp.Cast() | exp.Paren() | exp.JSONExtract() | exp.Literal():
                return name in _inside(one)
            case exp.Anonymous() | exp.Explode() | exp.Posexplode() | exp.UDTF():
                return (
                    name in {"col", "key", "value", "pos"}
                    or name in self.calls
                    or re.fullmatch(r"c\d+|col\d+", name) is not None
                )
            case _:
                return False


def _inside(one: exp.Expr) -> set[str]:
    """The names, and the keys of paths, in the expression."""
    kinds = (exp.Identifier, exp.JSONPathKey, exp.Literal)
    return {str(found.this).casefold() for found in one.find_all(*kinds)}
