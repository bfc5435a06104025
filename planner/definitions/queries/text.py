"""The text of a query: the parts that are not SQL, its tokens, and their parse by sqlglot.

It refuses texts that would take sqlglot too long. For each text that can't be read, it says why and where.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Sequence

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError
from sqlglot.tokenizer_core import Token, TokenType

# sqlglot logs a warning for an unknown command. Here it is an error that the user sees, so the log is not needed.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())

# Beyond these, sqlglot takes minutes, or a stack that Python does not have. Nobody writes such a query.
_MAX_CHARACTERS = 200_000
_MAX_TOKENS = 10_000
_MAX_LEVELS = 50
_MAX_IN_A_ROW = 30
_MAX_OPEN_JOINS = 8

# Jinja, which is not SQL; and {word}, which is a macro, or something that another tool should have filled in.
_JINJA = (
    r"\{\{(?:[^{}]|\{[^{}]*\})*\}\}"
    r"|\{%(?:[^%{]|%(?!\})|\{(?!%))*%\}"
    r"|\{\#(?:[^\#{]|\#(?!\})|\{(?!\#))*\#\}"
)
_MARK = re.compile(rf"(?P<jinja>{_JINJA})|\{{\s*(?P<macro>[A-Za-z_]\w*)\s*\}}")
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
_OF_CHAINS = frozenset({TokenType.DOT, TokenType.COLON, TokenType.NUMBER, TokenType.STRING, TokenType.VAR})


class CannotTell(Exception):
    """Nobody can say what the query returns; why, and where in the text."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.offset = reason, offset


class Text:
    """The text of a query in a dialect, as tokens. A word of the same length stands for each mark in it.

    Raises:
        CannotTell: the text is too long, or the dialect can't split it into tokens.
    """

    def __init__(self, text: str, dialect: str) -> None:
        if len(text) > _MAX_CHARACTERS:
            raise CannotTell(f"it has more than {_MAX_CHARACTERS:,} characters")
        self.text, self.dialect = text, dialect
        self.marks = list(_MARK.finditer(text))
        self.tokens = self._tokenized()

    def _tokenized(self) -> Sequence[Token]:
        try:
            return Dialect.get_or_raise(self.dialect).tokenize(_covered(self.text))
        # sqlglot may raise any exception for a text that it was not made for.
        except Exception as error:  # noqa: BLE001
            where = re.search(r"(\d+):(\d+)", str(error))
            offset = self._offset(int(where[1]), int(where[2])) if where else 0
            raise CannotTell(f"the parser can't read it as {self.dialect}", offset) from None

    def _offset(self, line: int, column: int) -> int:
        """The offset of the line and the column, both from 1, or one near it: sqlglot's columns are not exact."""
        start = 0
        for _ in range(line - 1):
            start = self.text.find("\n", start) + 1
        return min(start + max(0, column - 1), max(0, len(self.text) - 1))

    def marks_outside_comments(self) -> Iterator[tuple[re.Match[str], bool]]:
        """Each mark that is part of a token, so not of a comment, and whether the token is in quotes."""
        tokens = iter(self.tokens)
        token = next(tokens, None)
        for mark in self.marks:
            while token and token.end < mark.start():
                token = next(tokens, None)
            if token and token.start < mark.end():
                yield mark, token.token_type in _QUOTED

    def parse(self) -> exp.Expr:
        """The query, parsed.

        Raises:
            CannotTell: it is not exactly one query, or can't be read.
        """
        _refuse_too_much(self.tokens)
        try:
            statements = self._statements(self.tokens)
        except CannotTell:
            bare = [m for m in self.marks if not self._is_inside_quotes(m)]
            if not bare:
                raise
            # A name can't stand everywhere: after DATE, for example, only a string can. So try it with strings.
            covered = _covered(self.text, {m.start() for m in bare})
            statements = self._statements(Dialect.get_or_raise(self.dialect).tokenize(covered))
        if not statements:
            raise CannotTell("it is empty")
        if len(statements) > 1:
            raise CannotTell("it is more than one statement")
        if not isinstance(statements[0], exp.Query):
            raise CannotTell("it is not a SELECT")
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
            raise CannotTell(f"the parser can't read it as {self.dialect}", offset) from None
        return [one for one in parsed if one is not None and not isinstance(one, exp.Semicolon)]


def _covered(text: str, as_strings: Collection[int] = ()) -> str:
    """The text with a word in the place of each mark, or a string for some: so each offset and line stays the same."""

    def cover(mark: re.Match[str]) -> str:
        if mark["jinja"] or "\n" in mark[0]:
            return re.sub(r"[^\n]", "_", mark[0])
        inner = re.sub(r"\s", "_", mark[0][1:-1])
        return f"'{inner}'" if mark.start() in as_strings else f"_{inner}_"

    return _MARK.sub(cover, text)


def _refuse_too_much(tokens: Sequence[Token]) -> None:
    """Raises:
    CannotTell: sqlglot would take too long, or more of the stack than there is.
    """
    if len(tokens) > _MAX_TOKENS:
        raise CannotTell(f"it has more than {_MAX_TOKENS:,} words and signs", tokens[_MAX_TOKENS].start)
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
        if level > _MAX_LEVELS or in_a_row > _MAX_IN_A_ROW or links > _MAX_IN_A_ROW or joins > _MAX_OPEN_JOINS:
            raise CannotTell("it is nested too deeply", token.start)
        before = kind
