"""Finds where a key and its value are in a TOML text, because TOML parsers do not say; loaded only to explain an error.

The text is one that tomli has accepted, so this scanner checks nothing and knows only what delimits: quotes, brackets,
keys, headers. Values that the path doesn't lead through are skipped by counting brackets; nothing recurses, and no
character is looked at more than a few times, whatever the text and however many positions are asked for: the statements
of a text, the members of a table and the elements of a list are indexed once. It knows no definition and no error.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias

from attrs import frozen

# A comma counts as a space here: the parser has already checked that it separates elements.
_GAP = re.compile(r"[ \t\r\n,]+|#[^\n]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A date and its time may have a space between them: 1979-05-27 07:32:00.
_SCALAR = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2} )?[^ \t\r\n,\]}#]+")
# A string without escapes as a whole: most are, and there may be half a million of them.
_BRACKET_OR_STRING = re.compile(r"""[\[\]{}]|"(?!"")[^"\\\n]*"|'(?!'')[^'\n]*'|["']|#[^\n]*""")
_QUOTE = re.compile(r"'''|\"\"\"|'|\"")
# One or two quotes may stand before the closing three, so up to five end a string.
_CLOSING = {
    "'": re.compile(r"'"),
    '"': re.compile(r'"|\\.'),
    "'''": re.compile(r"'{3,5}"),
    '"""': re.compile(r'"{3,5}|\\.'),
}
_ESCAPE = re.compile(r"\\(x..|u.{4}|U.{8}|.)")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}

# The tables that headers have opened: of a table its sub-tables by key, of an array of tables its tables by index.
_Tree: TypeAlias = dict[str | int, Any]


@frozen
class Span:
    """From `start` up to, not including, `end`, in characters of the text."""

    start: int
    end: int


@frozen
class Position:
    """Of an element of a list, `key` is `value`.

    A table or list that headers make has the whole header as its value, `[a.b]`; one that a dotted key makes has the
    rest of the pair: in `a.b = 1` the value of `a` is `b = 1`.
    """

    key: Span
    value: Span


def find(text: str, path: Sequence[str | int]) -> Position | None:
    """Where `path`, of keys as parsed and of list indexes, is first mentioned; None if it is not in the text."""
    whole = tuple(path)
    step = _in_document(text, whole)
    while step and step.depth < len(whole):
        step = _in_value(text, step.value, whole, step.depth)
    if step is None:
        return None
    value = Span(step.start, _value_end(text, step.value))
    return Position(step.key or value, value)


def has_comment(text: str, span: Span) -> bool:
    """Whether a comment stands in the value at `span`, which is a whole one."""
    at = span.start
    while mark := _BRACKET_OR_STRING.search(text, at, span.end):
        if mark[0].startswith("#"):
            return True
        at = _string_end(text, mark.start()) if mark[0] in "\"'" else mark.end()
    return False


def line_and_column(text: str, offset: int) -> tuple[int, int, str]:
    """The line, the column in characters, both from 1, and the line's text without its LF or CR LF.

    A lone CR ends no line, as in TOML; `str.splitlines` would end one there and at seven other characters.
    """
    ends = _line_ends(text)
    number = bisect_left(ends, offset)
    start = ends[number - 1] + 1 if number else 0
    end = ends[number] if number < len(ends) else len(text)
    return number + 1, offset - start + 1, _line(text, start, end)


@lru_cache(maxsize=4)
def _line_ends(text: str) -> Sequence[int]:
    """Where each line ends: looked for once, and not from the start for each of a file's problems."""
    return array("Q", (end.start() for end in re.finditer("\n", text)))


@lru_cache(maxsize=1)
def _line(text: str, start: int, end: int) -> str:
    """One string for all that is wrong in a line, which may be as long as the file."""
    return text[start:end].removesuffix("\r") if end < len(text) else text[start:end]


@frozen
class _Key:
    """One part of a dotted key or header; or the index of an array of tables, whose span is the header."""

    name: str | int
    span: Span


@frozen
class _Statement:
    """A pair, or a header, whose `value` is the header: both end where the brackets or the scalar at `value` end."""

    keys: Sequence[_Key]
    value: int
    is_header: bool


@frozen
class _Step:
    """A mention of the path's first `depth` elements: the text from `start` to the end of what begins at `value`.

    `key` is None for an element of a list, whose end need not be known yet.
    """

    depth: int
    key: Span | None
    start: int
    value: int


@frozen
class _Index:
    """Where each path is first mentioned by a statement of the document, and the pairs that give one a value."""

    mentions: dict[tuple[str | int, ...], _Step]
    pairs: dict[tuple[str | int, ...], _Step]


@lru_cache(maxsize=4)
def _index(text: str) -> _Index:
    found = _Index({}, {})
    opened: _Tree = {}
    table: tuple[str | int, ...] = ()
    for statement in _statements(text, 0):
        keys = statement.keys
        if statement.is_header:
            keys, table = _with_indexes(text, statement, opened), ()
        path = (*table, *(key.name for key in keys))
        for part in range(1, len(keys) + 1):
            prefix = path[: len(table) + part]
            if prefix not in found.mentions:
                is_within = part < len(keys) and not statement.is_header
                start = keys[part].span.start if is_within else statement.value
                found.mentions[prefix] = _Step(len(prefix), keys[part - 1].span, start, statement.value)
        if statement.is_header:
            table = path
        else:
            found.pairs[path] = _Step(len(path), keys[-1].span, statement.value, statement.value)
    return found


def _in_document(text: str, path: tuple[str | int, ...]) -> _Step | None:
    """The statement of the document that mentions `path`, or gives a value to what is around it.

    A pair that gives a whole prefix of the path is the only place for the rest: TOML lets nothing extend its value.
    """
    index = _index(text)
    if path in index.mentions:
        return index.mentions[path]
    around = (index.pairs.get(path[:end]) for end in range(len(path) - 1, 0, -1))
    return next((step for step in around if step), None)


def _in_value(text: str, at: int, path: tuple[str | int, ...], depth: int) -> _Step | None:
    """The part of the value at `at` that holds what `path` has at `depth`."""
    if text.startswith("{", at):
        return _in_table(text, at + 1, path, depth)
    if text.startswith("[", at):
        index = path[depth]
        for element in _elements(text, at + 1).at(index) if isinstance(index, int) else ():
            return _Step(depth + 1, None, element, element)
    return None


def _in_table(text: str, at: int, path: tuple[str | int, ...], depth: int) -> _Step | None:
    """The pair of the inline table at `at` that holds what `path` has at `depth`."""
    for pair in _pairs(text, at).of(path[depth]):
        keys, shared = pair.keys, _shared(pair.keys, path, depth)
        if depth + shared == len(path) or shared == len(keys):
            start = pair.value if shared == len(keys) else keys[shared].span.start
            return _Step(depth + shared, keys[shared - 1].span, start, pair.value)
    return None


def _statements(text: str, at: int) -> Iterator[_Statement]:
    """The headers and pairs from `at` to the end of the text or of the inline table.

    A value's end is looked for when the next statement is: who looks into the value never pays for skipping it.
    """
    at = _gap_end(text, at)
    while at < len(text) and text[at] != "}":
        brackets = text.startswith("[", at) + text.startswith("[[", at)
        keys, after = _dotted_key(text, at + brackets)
        value = at if brackets else _gap_end(text, after + 1)
        yield _Statement(keys, value, bool(brackets))
        at = _gap_end(text, _value_end(text, value))


class _Elements:
    """Where each element of an array starts; looked for no further than they are asked for, and each once."""

    def __init__(self, text: str, at: int) -> None:
        self._found: list[int] = []
        self._rest = _starts(text, at)

    def at(self, index: int) -> Sequence[int]:
        """That of one element; none if the array is shorter."""
        self._found += islice(self._rest, max(0, index + 1 - len(self._found)))
        return self._found[index : index + 1] if index >= 0 else ()


class _Pairs:
    """The pairs of an inline table; looked for no further than they are asked for, and each once."""

    def __init__(self, text: str, at: int) -> None:
        self._found: dict[str | int, list[_Statement]] = {}
        self._rest = _statements(text, at)

    def of(self, first: str | int) -> Iterator[_Statement]:
        """Those whose key begins so."""
        known = self._found.setdefault(first, [])
        yield from known
        for pair in self._rest:
            self._found.setdefault(pair.keys[0].name, []).append(pair)
            if pair.keys[0].name == first:
                yield pair


# Of lists and tables in each other a few are at work at a time.
_elements = lru_cache(maxsize=4)(_Elements)
_pairs = lru_cache(maxsize=4)(_Pairs)


def _starts(text: str, at: int) -> Iterator[int]:
    """Where each element of the array starts, whose `[` is before `at`."""
    at = _gap_end(text, at)
    while at < len(text) and text[at] != "]":
        yield at
        at = _gap_end(text, _value_end(text, at))


def _with_indexes(text: str, header: _Statement, opened: _Tree) -> list[_Key]:
    """The header's keys, and behind each that is an array of tables the index of its newest table.

    Notes in `opened` what the header opens.
    """
    keys: list[_Key] = []
    for part, key in enumerate(header.keys, 1):
        keys.append(key)
        opened = opened.setdefault(key.name, {})
        if part == len(header.keys) and text.startswith("[[", header.value):
            opened[len(opened)] = {}
        if 0 in opened:
            newest = len(opened) - 1
            keys.append(_Key(newest, Span(header.value, _value_end(text, header.value))))
            opened = opened[newest]
    return keys


def _shared(keys: Sequence[_Key], path: Sequence[str | int], depth: int) -> int:
    """How many of `keys` are what `path` has from `depth` on."""
    most = min(len(keys), len(path) - depth)
    return next((n for n in range(most) if keys[n].name != path[depth + n]), most)


def _dotted_key(text: str, at: int) -> tuple[list[_Key], int]:
    """The parts of the key at `at`, and where the `=` or `]` is that follows it."""
    keys: list[_Key] = []
    while True:
        start = _gap_end(text, at)
        bare = _BARE_KEY.match(text, start)
        end = bare.end() if bare else _string_end(text, start)
        keys.append(_Key(_unquoted(text[start:end]), Span(start, end)))
        at = _gap_end(text, end)
        if not text.startswith(".", at):
            return keys, at
        at += 1


def _unquoted(key: str) -> str:
    if key.startswith("'"):
        return key[1:-1]
    if key.startswith('"'):
        return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1]) or chr(int(escape[1][1:], 16)), key[1:-1])
    return key


def _value_end(text: str, at: int) -> int:
    """Where the value or header ends that starts at `at`."""
    if text[at : at + 1] not in "[{\"'":
        scalar = _SCALAR.match(text, at)
        return scalar.end() if scalar else len(text)
    depth = 0
    while mark := _BRACKET_OR_STRING.search(text, at):
        found = mark[0]
        at = _string_end(text, mark.start()) if found in "\"'" else mark.end()
        depth += (found in "[{") - (found in "]}")
        if depth == 0:
            return at
    return len(text)


def _string_end(text: str, at: int) -> int:
    """Where the string ends whose opening quotes, one or three, are at `at`."""
    quotes = _QUOTE.match(text, at)
    if quotes is None:
        return len(text)
    marks = _CLOSING[quotes[0]].finditer(text, quotes.end())
    return next((mark.end() for mark in marks if not mark[0].startswith("\\")), len(text))


def _gap_end(text: str, at: int) -> int:
    """Where white space, line ends, commas and comments end, of which there may be none."""
    while gap := _GAP.match(text, at):
        at = gap.end()
    return at
