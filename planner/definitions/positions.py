"""Finds where a key and its value are in a TOML text, because TOML parsers do not say; loaded only to explain an error.

tomli has accepted the text before, so this scanner checks nothing. It knows only what separates things: quotes,
brackets, keys, headers. It skips values that are not on the path by counting brackets, and never recurses. It reads no
character more than a few times, however many positions are asked for, because the statements of a text, the members of
a table and the elements of a list are indexed once. It knows no definition and no error.
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

# A comma counts as a blank: that it stands between two elements, the parser has checked.
_GAP = re.compile(r"[ \t\r\n,]+|#[^\n]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A date and its time may have a space between them: 1979-05-27 07:32:00.
_SCALAR = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2} )?[^ \t\r\n,\]}#]+")
# A string without escapes matches as a whole: most have none, and a file may have half a million of them.
_BRACKET_OR_STRING = re.compile(r"""[\[\]{}]|"(?!"")[^"\\\n]*"|'(?!'')[^'\n]*'|["']|#[^\n]*""")
_QUOTE = re.compile(r"'''|\"\"\"|'|\"")
# One or two quotes may stand before the closing three, so up to five end a string.
_CLOSING = {
    "'": re.compile(r"'"),
    '"': re.compile(r'"|\\.'),
    "'''": re.compile(r"'{3,5}"),
    '"""': re.compile(r'"{3,5}|\\.'),
}
# Also \x and \e of TOML 1.1, which tomli reads.
_ESCAPE = re.compile(r"\\(x..|u.{4}|U.{8}|.)")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}

# The tables that headers have opened so far: a table has its sub-tables by key, an array of tables has them by index.
_Tree: TypeAlias = dict[str | int, Any]


@frozen
class Span:
    """From `start` up to, not including, `end`, in characters of the text."""

    start: int
    end: int


@frozen
class Position:
    """Where a key and its value are. An element of a list has no key: its `key` is its `value`.

    If a header makes the table or the list, the value is the whole header, `[a.b]`. If a dotted key makes it, the value
    is the rest of the pair: in `a.b = 1`, the value of `a` is `b = 1`.
    """

    key: Span
    value: Span


def find(text: str, path: Sequence[str | int]) -> Position | None:
    """Where the path is first mentioned, of keys as they are parsed and list indexes; None if it is not in the text."""
    whole = tuple(path)
    step = _in_document(text, whole)
    while step and step.depth < len(whole):
        step = _in_value(text, step.value, whole, step.depth)
    if step is None:
        return None
    value = Span(step.start, _value_end(text, step.value))
    return Position(step.key or value, value)


def has_comment(text: str, span: Span) -> bool:
    """Whether there is a comment inside the value at `span`, which has to be a whole value."""
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
    """Where each line ends. It is kept, so that a file with many problems is not searched again for each."""
    return array("Q", (end.start() for end in re.finditer("\n", text)))


@lru_cache(maxsize=1)
def _line(text: str, start: int, end: int) -> str:
    """The text of a line. All problems of a line share one string, since a line may be as long as the file."""
    return text[start:end].removesuffix("\r") if end < len(text) else text[start:end]


@frozen
class _Key:
    """One part of a dotted key or of a header; or an index in an array of tables, and then the span is the header."""

    name: str | int
    span: Span


@frozen
class _Statement:
    """A pair, whose value starts at `value`; or a header, which itself starts there. Both end where that ends."""

    keys: Sequence[_Key]
    value: int
    is_header: bool


@frozen
class _Step:
    """A place that mentions the first `depth` elements of the path: from `start` to the end of what begins at `value`.

    An element of a list has the key None. Its end is not looked for before somebody needs it.
    """

    depth: int
    key: Span | None
    start: int
    value: int


@frozen
class _Index:
    """The first mention of each path in the statements of the document, and the pair that gives it a value."""

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
            # A key of several parts mentions each table on the way: `a.b = 1` mentions a, with the value `b = 1`.
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
    """The statement that mentions the path, or else the pair whose value must have it inside.

    If a pair gives a value to the beginning of the path, the rest can only be in that value: TOML does not allow other
    statements to add to it.
    """
    index = _index(text)
    if path in index.mentions:
        return index.mentions[path]
    around = (index.pairs.get(path[:end]) for end in range(len(path) - 1, 0, -1))
    return next((step for step in around if step), None)


def _in_value(text: str, at: int, path: tuple[str | int, ...], depth: int) -> _Step | None:
    """The part of the value at `at` in which the path goes on from `depth`."""
    if text.startswith("{", at):
        return _in_table(text, at + 1, path, depth)
    if text.startswith("[", at):
        index = path[depth]
        for element in _elements(text, at + 1).at(index) if isinstance(index, int) else ():
            return _Step(depth + 1, None, element, element)
    return None


def _in_table(text: str, at: int, path: tuple[str | int, ...], depth: int) -> _Step | None:
    """The pair of the inline table at `at` in which the path goes on from `depth`."""
    for pair in _pairs(text, at).of(path[depth]):
        keys, shared = pair.keys, _shared(pair.keys, path, depth)
        if depth + shared == len(path) or shared == len(keys):
            start = pair.value if shared == len(keys) else keys[shared].span.start
            return _Step(depth + shared, keys[shared - 1].span, start, pair.value)
    return None


def _statements(text: str, at: int) -> Iterator[_Statement]:
    """The headers and pairs from `at` to the end of the text or of the inline table.

    The end of a value is looked for only when the next statement is asked for: who looks into the value does not pay
    for it.
    """
    at = _gap_end(text, at)
    while at < len(text) and text[at] != "}":
        brackets = text.startswith("[", at) + text.startswith("[[", at)
        keys, after = _dotted_key(text, at + brackets)
        value = at if brackets else _gap_end(text, after + 1)
        yield _Statement(keys, value, bool(brackets))
        at = _gap_end(text, _value_end(text, value))


class _Elements:
    """Where each element of an array starts. It searches only as far as somebody asks, and each part once."""

    def __init__(self, text: str, at: int) -> None:
        self._found: list[int] = []
        self._rest = _starts(text, at)

    def at(self, index: int) -> Sequence[int]:
        """The start of one element, in a list; an empty list if the array is shorter."""
        self._found += islice(self._rest, max(0, index + 1 - len(self._found)))
        return self._found[index : index + 1] if index >= 0 else ()


class _Pairs:
    """The pairs of an inline table. It searches only as far as somebody asks, and each part once."""

    def __init__(self, text: str, at: int) -> None:
        self._found: dict[str | int, list[_Statement]] = {}
        self._rest = _statements(text, at)

    def of(self, first: str | int) -> Iterator[_Statement]:
        """The pairs whose key begins with this part."""
        known = self._found.setdefault(first, [])
        yield from known
        for pair in self._rest:
            self._found.setdefault(pair.keys[0].name, []).append(pair)
            if pair.keys[0].name == first:
                yield pair


# A few are enough: the lists and tables that lead to one position.
_elements = lru_cache(maxsize=4)(_Elements)
_pairs = lru_cache(maxsize=4)(_Pairs)


def _starts(text: str, at: int) -> Iterator[int]:
    """Where each element of an array starts; `at` is behind its `[`."""
    at = _gap_end(text, at)
    while at < len(text) and text[at] != "]":
        yield at
        at = _gap_end(text, _value_end(text, at))


def _with_indexes(text: str, header: _Statement, opened: _Tree) -> list[_Key]:
    """The header's keys; each that is an array of tables is followed by the index of its newest table.

    `[[a]]`, `[a.b]`, `[[a]]` are a[0], a[0].b and a[1]. `opened` keeps what the headers so far have opened.
    """
    keys: list[_Key] = []
    for part, key in enumerate(header.keys, 1):
        keys.append(key)
        opened = opened.setdefault(key.name, {})
        if part == len(header.keys) and text.startswith("[[", header.value):
            opened[len(opened)] = {}
        # Only an array of tables has a number among its keys.
        if 0 in opened:
            newest = len(opened) - 1
            keys.append(_Key(newest, Span(header.value, _value_end(text, header.value))))
            opened = opened[newest]
    return keys


def _shared(keys: Sequence[_Key], path: Sequence[str | int], depth: int) -> int:
    """How many of `keys` equal the path from `depth` on."""
    most = min(len(keys), len(path) - depth)
    return next((n for n in range(most) if keys[n].name != path[depth + n]), most)


def _dotted_key(text: str, at: int) -> tuple[list[_Key], int]:
    """The parts of the key at `at`, and the position of the `=` or `]` that follows it."""
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
    """The end of the value or header that starts at `at`."""
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
    """The end of the string whose opening quotes, one or three, are at `at`."""
    quotes = _QUOTE.match(text, at)
    if quotes is None:
        return len(text)
    marks = _CLOSING[quotes[0]].finditer(text, quotes.end())
    return next((mark.end() for mark in marks if not mark[0].startswith("\\")), len(text))


def _gap_end(text: str, at: int) -> int:
    """The end of the blanks, line ends, commas and comments at `at`, if there are any."""
    while gap := _GAP.match(text, at):
        at = gap.end()
    return at
