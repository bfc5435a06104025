"""Changes as a person reads them at a terminal, field by field: in plans, audits, refreshes and histories.

~ assignment_source.checkout
    ~ description   = "Checkout" -> "Checkout exposures"      a value
    ~ tags          = + "growth"  - "search"                  a set
    ~ idTypeMapping                                           a table or a keyed list, a line an element
        ~ stableID  = "stable_id" -> "stable_id_v2"
    ~ sql                                                     a text of several lines, as a diff of them
        - SELECT 1
        + SELECT 2
    + team = "Growth"
        ! somebody else changed it from "Search"              what `apply` refuses to undo unasked
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from planner.definitions.fields import KeyedList, StringSet, Table
from planner.escape import escape, format_value, tell_apart
from planner.plan.diff import ABSENT, ElementChange, FieldChange
from planner.render.style import Style, plain_width, width_of
from state.values import JSON

FIELD = " " * 6
ELEMENT = " " * 10
_COLOURS = {"!": "35", "~": "33", "+": "32", "-": "31", ".": "2"}


def block(address: str, what: str, symbol: str, changes: Sequence[FieldChange], style: Style) -> str:
    """An address, what is to be said of it, and its changes, field by field."""
    shown = escape(address)
    lines = [heading(f"{shown} {what}", style), f"  {sign(symbol, style)} {shown}", *field_lines(changes, style)]
    return "\n".join(lines) + "\n"


def heading(text: str, style: Style) -> str:
    """A line that begins with `#`; further lines of a long one begin so as well. `text` is escaped already."""
    return style.bold("\n".join(style.wrap(f"  # {text}", "  #   ")))


def field_lines(changes: Sequence[FieldChange], style: Style) -> list[str]:
    """The changes of an address, field by field."""
    pad = max((width_of(escape(change.field.name)) for change in changes if not _is_block(change)), default=0)
    return [line for change in changes for line in (*_change(change, pad, style), *_mark(change, style))]


def _mark(change: FieldChange, style: Style) -> list[str]:
    """That somebody else changed the field, and nobody has agreed to that yet."""
    if change.unconfirmed is ABSENT:
        return []
    is_long = isinstance(change.unconfirmed, str) and "\n" in change.unconfirmed
    was = "" if is_long else f" from {format_value(change.unconfirmed)}"
    return _fold(f"{ELEMENT}{sign('!', style)} ", f"somebody else changed it{was}", len(ELEMENT) + 2, style)


def value_lines(head: str, value: JSON, style: Style) -> list[str]:
    """A value after `head`, which has no colours, in lines that fit."""
    return _fold(head, format_value(value), width_of(head), style)


def flow(parts: Sequence[tuple[str, str]], indent: int, style: Style) -> list[str]:
    """Texts, each as it is measured and as it is written, two spaces between them, as many a line as fit."""
    lines, line, used = [], "", 0
    for plain, painted in parts:
        columns = width_of(plain)
        if line and style.width is not None and used + 2 + columns > style.width:
            lines.append(line)
            line, used = " " * indent + painted, indent + columns
        else:
            line, used = (f"{line}  {painted}", used + 2 + columns) if line else (painted, columns)
    return [*lines, line]


def sign(symbol: str, style: Style) -> str:
    """A symbol of a verb or of a field, in its colour."""
    return style.paint(symbol, _COLOURS[symbol]) if symbol.strip() else symbol


def _is_block(change: FieldChange) -> bool:
    """Whether the change takes lines of its own below the field's name."""
    is_keyed = isinstance(change.field.kind, KeyedList | Table)
    return _is_multiline(change) or (is_keyed and bool(change.elements))


def _is_multiline(change: FieldChange) -> bool:
    # A side without a value does not count: a long text that is set or cleared is shown line by line, too.
    values = [value for value in (change.before, change.after) if value is not ABSENT and value is not None]
    return all(isinstance(value, str) for value in values) and any("\n" in str(value) for value in values)


def _change(change: FieldChange, pad: int, style: Style) -> list[str]:
    # Of a field that this statform does not know, the name is somebody else's.
    mark, name = sign("+" if change.before is ABSENT else "~", style), escape(change.field.name)
    if _is_multiline(change):
        return [f"{FIELD}{mark} {name}", *_line_diff(change, style)]
    head = f"{FIELD}{mark} {name}{' ' * (pad - width_of(name))} = "
    # Of a set that is new there is nothing to tell apart: all of it is added.
    if not change.elements or (change.before is ABSENT and isinstance(change.field.kind, StringSet)):
        return _value_lines(head, change, style)
    if isinstance(change.field.kind, StringSet):
        return _flow(head, change.elements, style)
    lines = [f"{FIELD}{mark} {name}"]
    keys = tell_apart([escape(element.key) for element in change.elements])
    pad = max(map(width_of, keys))
    for element, key in zip(change.elements, keys, strict=True):
        head = f"{ELEMENT}{_element_sign(element, style)} {key}{' ' * (pad - width_of(key))} = "
        lines += _value_lines(head, element, style)
    return lines


def _element_sign(element: ElementChange, style: Style) -> str:
    return sign("+" if element.before is ABSENT else "-" if element.after is ABSENT else "~", style)


# A line that the terminal breaks itself would go on at its left edge, where it looks like a line of the plan.
def _value_lines(head: str, change: FieldChange | ElementChange, style: Style) -> list[str]:
    """`head` and what the value was and becomes: in one line where that fits, else the two below each other."""
    values = tell_apart([format_value(value) for value in (change.before, change.after) if value is not ABSENT])
    line = head + " -> ".join(values)
    if style.width is None or plain_width(line) <= style.width:
        return [line]
    indent = plain_width(head)
    lines = _fold(head, values[0], indent, style)
    for value in values[1:]:
        lines += _fold(" " * (indent - 3) + "-> ", value, indent, style)
    return lines


def _fold(head: str, text: str, indent: int, style: Style) -> list[str]:
    """`text` after `head`, in lines that fit the width, broken at spaces where it has some; further ones indented."""
    if style.width is None:
        return [head + text]
    room = max(20, style.width - indent)
    lines, line, used = [], "", 0
    for part in _parts(text, room):
        columns = width_of(part)
        if used + columns > room:
            lines.append(line)
            line, used = "", 0
        line += part
        used += columns
    # The colours of `head` have no width, so that `indent` is told and not measured.
    first, *rest = [*lines, line]
    return [head + first, *(" " * indent + more for more in rest)]


def _parts(text: str, room: int) -> Iterator[str]:
    """The words with the space behind them; of a word that is wider than `room`, the characters and escapes."""
    for word in re.findall(r"[^ ]+ ?| ", text):
        if width_of(word) <= room:
            yield word
        else:
            yield from re.findall(r"\\U.{8}|\\u.{4}|\\.|.", word)


def _flow(head: str, elements: Sequence[ElementChange], style: Style) -> list[str]:
    """The elements of a set after `head`, two spaces between them, as many a line as fit."""
    indent = used = plain_width(head)
    lines, line = [], [head]
    texts = tell_apart([format_value(element.key) for element in elements])
    for n, (element, text) in enumerate(zip(elements, texts, strict=True)):
        mark, columns = f"{_element_sign(element, style)} ", width_of(text) + 2
        if n and style.width is not None and used + 2 + columns > style.width:
            lines.append("".join(line))
            line, used = [" " * indent], indent
        elif n:
            line.append("  ")
            used += 2
        # An element that is wider than a line is broken, and the next one goes on behind its end.
        *whole, last = _fold(mark, text, indent + 2, style)
        if whole:
            lines += ["".join([*line, whole[0]]), *whole[1:]]
            line, used = [last], plain_width(last)
        else:
            line.append(last)
            used += columns
    return [*lines, "".join(line)]


def _line_diff(change: FieldChange, style: Style) -> Iterator[str]:
    """The lines of a text that were added and removed, with three lines around them."""
    texts = [value if isinstance(value, str) else None for value in (change.before, change.after)]
    # The line end that ends all of a text is shown only where it makes a difference.
    is_ended = all(not text or text.endswith("\n") for text in texts)
    before, after = ([] if not text else text.removesuffix("\n" * is_ended).split("\n") for text in texts)
    from planner.render.line_diff import LineMatcher  # noqa: PLC0415 - difflib: few plans change a text of several lines

    for group in LineMatcher(before, after).get_grouped_opcodes():
        if group[0][1]:
            yield f"{ELEMENT}{style.dim(f'@@ line {group[0][3] + 1} @@')}"
        for tag, a_start, a_end, b_start, b_end in group:
            if tag == "equal":
                yield from _text_lines(" ", map(_visible, before[a_start:a_end]), style)
            else:
                removed = before[a_start:a_end]
                shown = tell_apart([*map(_visible, [*removed, *after[b_start:b_end]])])
                yield from _text_lines("-", shown[: len(removed)], style)
                yield from _text_lines("+", shown[len(removed) :], style)


def _text_lines(symbol: str, lines: Iterable[str], style: Style) -> Iterator[str]:
    head = f"{ELEMENT}{sign(symbol, style)} " if symbol.strip() else f"{ELEMENT}  "
    for line in lines:
        yield from _fold(head, line, len(ELEMENT) + 2, style) if line else [head.rstrip(" ")]


def _visible(line: str) -> str:
    """The line, and each space at its end, which would not be seen."""
    text = line.rstrip(" ")
    return escape(text) + "\\u0020" * (len(line) - len(text))
