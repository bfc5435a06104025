"""How each warehouse names the columns of a query: which case it returns, and the name of a column without an alias.

The rules for names with and without quotes are known. The name of an expression without an alias often is not: then it
is only guessed, and no column is called missing because of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

_UPPER = frozenset({"snowflake", "oracle", "exasol"})
_LOWER = frozenset({"postgres", "materialize", "risingwave"})
EXACT = frozenset({"clickhouse"})
# Dialects that name an expression without an alias f0_ or _col0, or by its own text: no definition names such a column.
_ANONYMOUS = frozenset({"bigquery", "snowflake", "trino", "athena", "presto", "clickhouse", "tsql", "fabric", "duckdb"})
_ANONYMOUS_NAME = re.compile(r"f[0-9]+_|_col[0-9]+")
LIKE_POSTGRES = frozenset({"postgres", "redshift", "materialize", "risingwave"})
LIKE_SPARK = frozenset({"spark", "databricks", "hive"})
LIKE_TRINO = frozenset({"trino", "athena", "presto"})


class NameRules:
    """The dialect's rules for names."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.is_exact = dialect in _UPPER | _LOWER | EXACT

    def returned(self, identifier: exp.Expr) -> str:
        """The name as the warehouse returns it."""
        name = identifier.name
        if identifier.args.get("quoted"):
            return name
        return name.upper() if self.dialect in _UPPER else name.lower() if self.dialect in _LOWER else name

    def key(self, name: str) -> str:
        """A form that is equal for returned names that are the same to the warehouse."""
        return name if self.is_exact else name.casefold()

    @property
    def rule(self) -> str:
        """The dialect's rule in words, for a message about a name in another case."""
        match self.dialect:
            case dialect if dialect in _UPPER:
                return f"the name as {dialect} returns it: in upper case, unless it is quoted in the query"
            case dialect if dialect in _LOWER:
                return f"the name as {dialect} returns it: in lower case, unless it is quoted in the query"
            case dialect:
                return f"the name as {dialect} returns it: exactly as the query writes it"


class Words:
    """The names that an expression without an alias may get, judged by the words in it."""

    def __init__(self, dialect: str, tokens: Sequence[Token]) -> None:
        self.dialect = dialect
        self.all = frozenset(token.text.casefold() for token in tokens)
        pairs = pairwise(tokens)
        self.calls = frozenset(a.text.casefold() for a, b in pairs if b.token_type is TokenType.L_PAREN)

    def may_name(self, one: exp.Expr, column: str) -> bool:
        """Whether the warehouse may name the expression as the column."""
        name = column.casefold()
        # A single word that sqlglot takes for a function, such as user, may be a column.
        if isinstance(one, exp.Func | exp.Pseudocolumn) and not any(True for _ in one.iter_expressions()):
            return name in self.all
        if self.dialect in _ANONYMOUS:
            return (isinstance(one, exp.Paren) and name in _inside(one)) or bool(_ANONYMOUS_NAME.fullmatch(column))
        if self.dialect in LIKE_POSTGRES:
            return self._in_postgres(one, name)
        if self.dialect in LIKE_SPARK:
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
