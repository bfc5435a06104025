"""What a parsed query returns: the columns of its SELECT list, followed through its tables, subqueries and stars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from planner.definitions.queries.dialects import EXACT, LIKE_POSTGRES, LIKE_SPARK, LIKE_TRINO, NameRules
from planner.definitions.queries.text import CannotTell

# Of more columns than this, queries in queries would take minutes.
_MAX_NAMES = 200_000
_BEFORE_STAR = frozenset({TokenType.SELECT, TokenType.COMMA, TokenType.DISTINCT, TokenType.ALL, TokenType.DOT})


class Star(NamedTuple):
    """The columns of a table that nobody knows; `lacks` are the keys of those that it certainly does not have.

    `offset` is the position of the `*` that takes them; None until one does.
    """

    lacks: frozenset[str] = frozenset()
    offset: int | None = None


class Shape(NamedTuple):
    """The columns that a query or a table returns.

    `names`: the names as the warehouse returns them, each with the offset of what gives it. `unnamed`: expressions that
    the warehouse names by itself. `width`: the number of columns; None if it is not known.
    """

    names: Mapping[str, int]
    stars: tuple[Star, ...] = ()
    unnamed: tuple[exp.Expr, ...] = ()
    width: int | None = None


# Nothing is known: it may have any column, so none is called missing.
_OPEN = Shape({}, (Star(),))
_Scope: TypeAlias = Mapping[str, Shape]


class ColumnReader:
    """Reads the columns of a parsed query, from the inside out."""

    def __init__(self, names: NameRules, tokens: Sequence[Token]) -> None:
        self.names, self.room = names, _MAX_NAMES
        pairs = pairwise(tokens)
        self.stars = [b.start for a, b in pairs if b.token_type is TokenType.STAR and a.token_type in _BEFORE_STAR]

    def shape(self, query: exp.Expr | None, scope: _Scope) -> Shape:
        """The columns of the query; `scope` are the names that stand for other queries here."""
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
            # It may read from itself, before its columns are known.
            if with_.args.get("recursive"):
                found[key] = _OPEN
            found[key] = self._renamed(self.shape(cte.this, found), alias)
        return found

    def _of_set(self, query: exp.Expr, scope: _Scope) -> Shape:
        """A UNION has the names of its first query; a UNION BY NAME has those of all its queries."""
        branches: list[Shape] = []
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

    def _of_select(self, select: exp.Select, scope: _Scope) -> Shape:
        # MATCH_RECOGNIZE and SELECT AS VALUE return other columns than those in the list.
        if select.args.get("match") or select.args.get("kind") == "VALUE":
            return _OPEN
        sources = self._sources(select, scope)
        parts = [self._of_projection(one, sources, select) for one in select.expressions]
        return self._merged(parts)

    def _sources(self, select: exp.Select, scope: _Scope) -> list[tuple[str, Shape]]:
        """The tables that the select reads, with the keys of their names, in order."""
        from_ = select.args.get("from_")
        found = self._source(from_.this, scope) if from_ else []
        for join in select.args.get("joins") or ():
            found += self._joined(join, scope)
        for lateral in select.args.get("laterals") or ():
            found += self._source(lateral, scope)
        return found

    def _joined(self, join: exp.Expr, scope: _Scope) -> list[tuple[str, Shape]]:
        sources = self._source(join.this, scope)
        # These only filter: of one side no columns come out, as far as the dialect is known for it.
        if join.args.get("kind") in {"SEMI", "ANTI"}:
            is_left = join.args.get("side") != "RIGHT" and self.names.dialect not in EXACT
            return [(key, Shape({}) if is_left else _OPEN) for key, _ in sources]
        return sources

    def _source(self, source: exp.Expr, scope: _Scope) -> list[tuple[str, Shape]]:
        alias = source.args.get("alias")
        shape = self._renamed(self._of_source(source, scope), alias)
        named = alias.this if isinstance(alias, exp.TableAlias) and alias.this else source.this
        key = self._key(named) if isinstance(named, exp.Identifier) else ""
        found = [(key, shape)]
        for join in source.args.get("joins") or ():
            found += self._joined(join, scope)
        return found

    def _of_source(self, source: exp.Expr, scope: _Scope) -> Shape:
        match source:
            case exp.Table(this=exp.Identifier() as name) if not source.args.get("db"):
                return _OPEN if source.args.get("pivots") else scope.get(self._key(name), _OPEN)
            case exp.Subquery() | exp.Values():
                return self.shape(source, scope)
            case exp.Lateral(this=exp.Subquery() as inner):
                return self.shape(inner, scope)
            case exp.Unnest() if self.names.dialect in LIKE_TRINO and source.args.get("alias"):
                return self._of_unnest(source)
            case _:
                return _OPEN

    def _of_unnest(self, unnest: exp.Unnest) -> Shape:
        """The columns by their aliases; sqlglot keeps the last one apart, as the alias of WITH ORDINALITY."""
        offset = unnest.args.get("offset")
        columns = [*unnest.args["alias"].columns, *([offset] if offset else [])]
        if not all(isinstance(column, exp.Identifier) for column in columns) or not columns:
            return _OPEN
        return Shape({self.names.returned(column): start_of(column) for column in columns}, width=len(columns))

    def _renamed(self, shape: Shape, alias: exp.Expr | None) -> Shape:
        """The shape with the names of `AS t(a, b)`; columns after the last of these names stay unknown."""
        # sqlglot invents names for a LATERAL FLATTEN, and gives the element of an UNNEST the name of a column.
        if not isinstance(alias, exp.TableAlias) or not alias.columns:
            return shape
        if isinstance(alias.parent, exp.Unnest) or (isinstance(alias.parent, exp.Lateral) and shape.width is None):
            return shape
        columns = [c.this if isinstance(c, exp.ColumnDef) else c for c in alias.columns]
        names = {self.names.returned(column): start_of(column) for column in columns}
        is_all = shape.width == len(columns)
        return Shape(names, () if is_all else (Star(),), width=len(columns) if is_all else None)

    def _of_projection(  # noqa: PLR0911 - a row for each form
        self, one: exp.Expr, sources: Sequence[tuple[str, Shape]], select: exp.Select
    ) -> Shape:
        match one:
            case exp.Star():
                return self._of_star(one, [s for _, s in sources], self._star_of(select))
            case exp.Column(this=exp.Star() as star):
                table = one.args.get("table")
                named = [s for key, s in sources if table is not None and key == self._key(table)]
                is_table = named and not one.args.get("db")
                return self._of_star(star, named[:1] if is_table else [_OPEN], start_of(one))
            case exp.Alias():
                return self._one(one.args["alias"])
            case exp.Aliases():
                aliases = [alias for alias in one.args["expressions"] if isinstance(alias, exp.Identifier)]
                return Shape({self.names.returned(alias): start_of(alias) for alias in aliases}, width=len(aliases))
            case exp.Column(this=exp.Identifier() as name) if not self._may_be_a_tuple(one, sources):
                return self._one(name)
            case exp.Dot(expression=exp.Identifier() as name) if self.names.dialect not in EXACT:
                return self._one(name)
            case exp.Columns() | exp.Inline() | exp.QueryTransform():
                return self._of_star(one, [_OPEN], start_of(one, self._star_of(select)))
            case exp.Dot() if one.find(exp.Star):
                return self._of_star(one, [_OPEN], start_of(one))
            case _:
                return self._unaliased(one)

    def _may_be_a_tuple(self, column: exp.Column, sources: Sequence[tuple[str, Shape]]) -> bool:
        """Whether `a.b` may be a part of the column `a`: clickhouse then names it `a.b`."""
        table = column.args.get("table")
        return self.names.dialect in EXACT and table is not None and all(k != self._key(table) for k, _ in sources)

    def _one(self, identifier: exp.Expr) -> Shape:
        offset = start_of(identifier, -1)
        if offset < 0 and not isinstance(identifier, exp.Identifier):
            return _OPEN
        return Shape({self.names.returned(identifier): max(offset, 0)}, width=1)

    def _unaliased(self, one: exp.Expr) -> Shape:
        """The name of an expression without an alias, if the dialect has a simple rule for it; otherwise none."""
        inner = one.this if isinstance(one, exp.Cast) else one
        by_its_column = self.names.dialect in LIKE_POSTGRES | LIKE_SPARK
        if isinstance(one, exp.Cast) and by_its_column and isinstance(inner, exp.Column):
            return self._one(inner.this)
        # databricks names the column of payload:user.id just id.
        path = (
            one.expression.expressions if isinstance(one, exp.JSONExtract) and one.args.get("variant_extract") else []
        )
        if self.names.dialect == "databricks" and path and isinstance(path[-1], exp.JSONPathKey):
            return Shape({path[-1].name: start_of(one)}, width=1)
        if isinstance(one, exp.Paren) and isinstance(one.this, exp.Alias):
            return self._one(one.this.args["alias"])
        return Shape({}, unnamed=(one,), width=1)

    def _star_of(self, select: exp.Select) -> int:
        """The position of the `*` of a select: sqlglot does not tell it, but it is the last one before the tables."""
        from_ = select.args.get("from_")
        end = start_of(from_, -1) if from_ else -1
        return max((s for s in self.stars if s < end), default=self.stars[0] if self.stars else 0)

    def _of_star(self, star: exp.Expr, shapes: Sequence[Shape], offset: int) -> Shape:
        shape = self._merged(shapes)
        stars = tuple(Star(s.lacks, offset if s.offset is None else s.offset) for s in shape.stars)
        if star.args.get("ilike"):
            return Shape({}, (Star(frozenset(), offset),))
        renames = {
            self._key(r.this): r.args["alias"] for r in star.args.get("rename") or () if isinstance(r, exp.Alias)
        }
        excepted = star.args.get("except_") or ()
        if not all(isinstance(one, exp.Column | exp.Identifier) for one in excepted):
            return Shape({}, (Star(frozenset(), offset),))
        gone = frozenset(map(self._key, excepted)) | renames.keys()
        names = {name: at for name, at in shape.names.items() if self.names.key(name) not in gone}
        names |= {self.names.returned(new): start_of(new) for new in renames.values()}
        width = None if gone or len(shapes) > 1 else shape.width
        return Shape(names, tuple(s._replace(lacks=s.lacks | gone) for s in stars), shape.unnamed, width)

    def _key(self, identifier: exp.Expr) -> str:
        named = identifier.this if isinstance(identifier, exp.Column) else identifier
        return self.names.key(self.names.returned(named))

    def _merged(self, shapes: Sequence[Shape]) -> Shape:
        names: dict[str, int] = {}
        for shape in shapes:
            self.room -= len(shape.names) + len(shape.stars) + len(shape.unnamed)
            if self.room < 0:
                raise CannotTell("it has too many columns")
            names |= shape.names
        stars = tuple(dict.fromkeys(star for shape in shapes for star in shape.stars))
        unnamed = tuple(one for shape in shapes for one in shape.unnamed)
        widths = [shape.width for shape in shapes if shape.width is not None]
        return Shape(names, stars, unnamed, sum(widths) if len(widths) == len(shapes) else None)


def start_of(expression: exp.Expr, default: int = 0) -> int:
    """The position of the first name in the expression, of those whose position sqlglot keeps."""
    starts = (one.meta.get("start") for one in expression.find_all(exp.Identifier))
    return min((start for start in starts if start is not None), default=default)
