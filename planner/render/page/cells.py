"""The contents of cells: times, addresses, the two values of a field. Differences are marked, long values are folded.

Every string is escaped twice, for two readers: `escape` shows what a person could not see, and htpy makes sure that a
browser takes it for text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

import htpy as h
import markupsafe
from markupsafe import Markup

from planner.definitions.addresses import parts
from planner.definitions.fields import Kind, StringSet
from planner.escape import escape, format_value, tell_apart
from planner.plan.diff import ABSENT, FieldChange, Value
from planner.plural import counted
from planner.render.line_diff import LineMatcher
from planner.render.style import format_time

MAX_CHARACTERS = 20_000
"""At most so many characters of a value are shown, so that no value makes the page too large for a browser."""
_MAX_LINES = 1_000
"""A text of more lines is not compared line by line."""
_LONG = 120
_WORDS = re.compile(r"[A-Za-z0-9_-]+")
_SEAM = re.compile(r"(?<=[_-])(?=[^_-])|(?<=[a-z0-9])(?=[A-Z][a-z])")
_TALL = 16
_NOTHING, _BREAK, _ROW, _CODE = Markup(), Markup("<wbr>"), Markup("<tr>%s</tr>"), Markup("<code>%s</code>")
_DEL, _INS, _PRE = Markup("<del>%s</del>"), Markup("<ins>%s</ins>"), Markup("<pre>%s</pre>")

Line: TypeAlias = tuple[str, bool]
"""A part of a value, escaped, and whether the other value does not have it."""


def show_moment(at: str) -> h.Node:
    """A time in the form of all our texts; a text that is not a time stays as it is."""
    shown = format_time(at)
    return h.time(datetime=at)[shown] if shown != at else escape(at)


def show_time(at: str, day: str) -> h.Node:
    """The time of day, if it is on this `day`, which is shown elsewhere; otherwise day and time."""
    shown = format_time(at)
    return shown[11:] if shown != at and at.startswith(day) else show_moment(at)


@lru_cache(maxsize=1 << 14)
def show_name(name: str) -> Markup:
    """A name. A long one can break into lines between its words."""
    text = escape(name)
    return _BREAK.join(_SEAM.split(text)) if _WORDS.fullmatch(text) else markupsafe.escape(text)


def settled(*nodes: h.Node) -> Markup:
    """The nodes as text. As nodes, htpy would pass each of their parts through all the elements around them: slowly."""
    return Markup(str(h.fragment[nodes]))  # noqa: S704 - htpy has escaped it


def row(*found: h.Element | Markup | None) -> Markup:
    """A row of these cells, as text: there is one for each change, and htpy is slow for so many elements."""
    return _ROW % joined(cell for cell in found if cell is not None)


def joined(found: Iterable[h.Element | Markup]) -> Markup:
    """The cells or rows one after the other, as text."""
    return _NOTHING.join(found)


@lru_cache(maxsize=1 << 14)
def show_address(address: str) -> Markup:
    """An address. Its type is less prominent, because people look for the key."""
    type_name, key = parts(escape(address))
    return settled(h.span(".type")[f"{type_name}."], h.wbr, show_name(key)) if key else settled(escape(address))


@lru_cache
def show_commit(commit: str) -> Markup:
    """The first digits of a commit. The rest is in the page too, for a search and for paper."""
    found = re.fullmatch(r"([0-9a-f]{10})([0-9a-f]{30})(-dirty)?", commit)
    return settled(h.code[found[1], h.span(".rest")[found[2]], found[3]] if found else h.code[escape(commit)])


def show_sides(change: FieldChange) -> tuple[h.Node, h.Node]:
    """The value before and the value after, with the elements or lines marked that only one of them has."""
    lines = _elements(change) or _texts(change.before, change.after)
    if change.before is ABSENT:
        return show_value(ABSENT), _first(change)
    if lines is None:
        before_text, after_text = tell_apart([format_value(change.before), format_value(change.after)])
        return show_value(change.before, before_text), show_value(change.after, after_text)
    before, after = _told_apart(*lines)
    is_tall = max(len(before), len(after)) > _TALL
    return _block(before, _DEL, is_tall=is_tall), _block(after, _INS, is_tall=is_tall)


def _told_apart(before: Sequence[Line], after: Sequence[Line]) -> tuple[Sequence[Line], Sequence[Line]]:
    lines = [*before, *after]
    shown = tell_apart([line for line, _ in lines])
    told = [(line, is_marked) for line, (_, is_marked) in zip(shown, lines, strict=True)]
    return told[: len(before)], told[len(before) :]


def _first(change: FieldChange) -> h.Node:
    """The first value of a field; a map or a table has a line for each element, as in a plan."""
    kind = change.field.kind
    elements = None if isinstance(kind, StringSet) else kind.elements(change.after)
    if not elements:
        return show_value(change.after)
    lines = [(_element(kind, key, one), False) for key, one in elements.items()]
    return _block(lines, _INS, is_tall=len(lines) > _TALL)


def show_value(value: Value, text: str | None = None) -> h.Node:
    """One value. A text of several lines has several; everything else is one line: `text`, or as in a plan."""
    if value is ABSENT:
        return h.span(".none")["not set"]
    if isinstance(value, str) and "\n" in value:
        lines = [(line, False) for line in _lines(value.removesuffix("\n"))]
        return _block(lines, _DEL, is_tall=len(lines) > _TALL)
    text = format_value(value) if text is None else text
    if len(text) <= _LONG:
        return _CODE % text
    return _fold(h.code[text[: _LONG // 2] + "…"], f"{len(text):,} characters", h.pre[_cut(text)])


def show_listing(changes: Sequence[FieldChange]) -> h.Node:
    """What many fields were set to, folded."""
    lines = [(f"{escape(one.field.name)} = {format_value(one.after)}", False) for one in changes]
    shown, _ = _marked(lines, _INS)
    return _fold(None, counted(len(lines), "field"), h.pre[shown])


def show_note(sentence: str) -> h.Node:
    """A sentence from somebody else, such as an error of the API."""
    text = escape(sentence)
    return (
        text if len(text) <= _LONG else _fold(text[: _LONG // 2] + "…", f"{len(text):,} characters", h.pre[_cut(text)])
    )


def _elements(change: FieldChange) -> tuple[Sequence[Line], Sequence[Line]] | None:
    """The elements of both values, one on each line; None if a value has no elements."""
    kind, (before, after) = change.field.kind, (change.before, change.after)
    if not change.elements or before is ABSENT:
        return None
    differing = {element.key for element in change.elements}
    prior, desired = kind.elements(before), kind.elements(after)
    if not prior or not desired:
        return None
    before_lines, after_lines = (
        [(_element(kind, key, one), key in differing) for key, one in side.items()] for side in (prior, desired)
    )
    return before_lines, after_lines


def _element(kind: Kind, key: str, value: Value) -> str:
    return format_value(key) if isinstance(kind, StringSet) else f"{escape(key)} = {format_value(value)}"


def _texts(before: Value, after: Value) -> tuple[Sequence[Line], Sequence[Line]] | None:
    """The lines of both texts; None if one is not a text, if both have a single line, or if they are too long."""
    if not isinstance(before, str) or not isinstance(after, str) or "\n" not in before + after:
        return None
    # The last line end is only shown if one of the texts lacks it.
    is_ended = all(not text or text.endswith("\n") for text in (before, after))
    a, b = (_lines(text.removesuffix("\n" * is_ended)) for text in (before, after))
    # Longer texts are folded anyway, and nobody compares so many lines by eye.
    if max(len(a), len(b)) > _MAX_LINES:
        return None
    blocks = LineMatcher(a, b).get_matching_blocks()
    same_a = {n for block in blocks for n in range(block.a, block.a + block.size)}
    same_b = {n for block in blocks for n in range(block.b, block.b + block.size)}
    return [(line, n not in same_a) for n, line in enumerate(a)], [(line, n not in same_b) for n, line in enumerate(b)]


def _lines(text: str) -> list[str]:
    return [escape(line) for line in text.split("\n")]


def _block(lines: Sequence[Line], mark: Markup, *, is_tall: bool) -> h.Node:
    """The lines below each other; those that differ are marked."""
    shown, is_whole = _marked(lines, mark)
    if not is_tall and is_whole:
        return _PRE % shown
    differing = sum(is_marked for _, is_marked in lines)
    told = f"{len(lines):,} lines" + (f", {differing:,} differ" if differing else "")
    return _fold(h.code[lines[0][0][: _LONG // 2] + "…"], told, h.pre[shown])


def _marked(lines: Sequence[Line], mark: Markup) -> tuple[Markup, bool]:
    """The lines up to `MAX_CHARACTERS`, and whether these are all."""
    room, shown = MAX_CHARACTERS, list[Markup | str]()
    for line, is_marked in lines:
        room -= len(line) + 1
        if room < 0:
            return _NOTHING.join([*shown, settled(_left_out(sum(len(one) + 1 for one, _ in lines)))]), False
        shown.append(mark % f"{line}\n" if is_marked else f"{line}\n")
    return _NOTHING.join(shown), True


def _cut(text: str) -> h.Node:
    if len(text) <= MAX_CHARACTERS:
        return text
    return [text[:MAX_CHARACTERS], _left_out(len(text))]


def _left_out(characters: int) -> h.Node:
    return h.em[f"… cut here: {characters:,} characters in all"]


def _fold(head: h.Node, told: str, body: h.Node) -> h.Node:
    return h.details[h.summary[head, " ", h.small[told]], body]
