"""TOML texts in every syntax that tomli accepts: hypothesis draws the tree and how each part of it is written.

Every leaf holds its own number, so that a value found in a wrong place never equals the one looked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import tomli
from attrs import field, frozen
from hypothesis import strategies as st

T = TypeVar("T")


def accepts(text: str) -> bool:
    """Whether the installed tomli takes the text: line ends in inline tables, `\\e` and `\\x` came with TOML 1.1."""
    try:
        tomli.loads(text)
    except tomli.TOMLDecodeError:
        return False
    return True


TOML_1_1 = accepts('a = {\n b = "\\e",\n}')

NAMES = ("a", "b", "1", "x_-y", "", " ", "a.b", "[x]", "# no", "=", "it's", '"', "\\", "\n", "é🙂")
NOISE = ("[x]", "# no", "a = 1", "'", "''", '"', '""', "'''", '"""', "\\", "]", "}", ",", "\n", "\t", "é🙂")
COMMENTS = ("#", "# [x]", "# a = 1", '# """', "# '''", "# ]}", "# it's", '# "', "#, # \\")
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}

# A new strategy for each draw would take half of the time.
_up_to = cache(lambda most: st.integers(0, most))


def _escaped(char: str, style: str) -> str:
    code = ord(char)
    if style == "x" and code <= 0xFF and TOML_1_1:
        return f"\\x{code:02x}"
    if style == "u" and code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08X}" if style == "U" else _SHORT.get(char, char)


def _basic(value: str, style: str) -> str:
    return '"' + "".join(char if char.isalnum() else _escaped(char, style) for char in value) + '"'


@frozen
class Writer:
    """Writes TOML in the ways that `draw` chooses; a `prefix` is what stands before a key's last part."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    numbers: itertools.count[int] = field(factory=lambda: itertools.count(1))

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.up_to(len(options) - 1)]

    def up_to(self, most: int) -> int:
        return int(self.draw(_up_to(most)))

    def sometimes(self) -> bool:
        return bool(self.up_to(1))

    def names(self, least: int = 0) -> list[str]:
        count = max(least, self.up_to(3))
        return list({self.one_of(NAMES): None for _ in range(count)})

    # Strings and keys

    def string(self, value: str) -> str:
        styles = ["short", "x", "u", "U", "multi-line"]
        styles += ["literal"] * ("'" not in value and "\n" not in value)
        styles += ["multi-line literal"] * ("'''" not in value)
        match self.one_of(styles):
            case "literal":
                return f"'{value}'"
            case "multi-line literal":
                return f"'''\n{value}'''"
            case "multi-line":
                body = value.replace("\\", "\\\\").replace('"""', '""\\"')
                return '"""' + self.one_of(["", "\n", "\\\n", "\\  \n \n  "]) + body + '"""'
            case style:
                return _basic(value, style)

    def key(self, name: str) -> str:
        styles = ["short", "x", "u", "U"]
        styles += ["literal"] * ("'" not in name and "\n" not in name)
        styles += ["bare"] * 3 * (name.isascii() and name.replace("-", "").replace("_", "").isalnum())
        match self.one_of(styles):
            case "literal":
                return f"'{name}'"
            case "bare":
                return name
            case style:
                return _basic(name, style)

    def dotted(self, names: Sequence[str]) -> str:
        """The key of `names`, spelled anew each time."""
        dot = self.one_of([".", ".", " . ", "\t. ", ". "])
        return dot.join(self.key(name) for name in names)

    # Values

    def leaf(self) -> str:
        number = next(self.numbers)
        kind = self.one_of(["integer", "float", "date", "time", "string", "string"])
        if kind == "integer":
            return self.one_of([f"{number}", f"-{number}1", f"+{number}", f"0x{number:X}", f"0b{number:b}"])
        if kind == "float":
            return self.one_of([f"{number}.5", f"-{number}e+2", f"{number}.2_5E-1"])
        if kind == "date":
            return f"{1000 + number}-05-27" + self.one_of(["", " 07:32:00", "T07:32:00Z", "t07:32:00.5-07:00"])
        if kind == "time":
            return f"{number // 60 % 24:02}:{number % 60:02}:{number // 1440 % 60:02}.75"
        parts = [self.one_of(NOISE) for _ in range(self.up_to(3))]
        return self.string("".join([*parts[:1], str(number), *parts[1:]]))

    def gap(self, *, lines: bool) -> str:
        """White space within brackets; with `lines` also line ends and comments."""
        forms = ["", " ", "\t "]
        if lines:
            forms += ["\n", "\n\n  ", f" {self.one_of(COMMENTS)}\n", f"\n  {self.one_of(COMMENTS)}\n #]\n "]
        return self.one_of(forms)

    def listed(self, items: Sequence[str], brackets: str, *, lines: bool) -> str:
        gaps = (self.gap(lines=lines) for _ in itertools.count())
        body = ",".join(f"{next(gaps)}{item}{next(gaps)}" for item in items)
        comma = "," + next(gaps) if items and lines and self.sometimes() else ""
        return brackets[0] + (body + comma or next(gaps)) + brackets[1]

    def value(self, depth: int) -> str:
        kind = self.one_of(["leaf", "leaf", "array", "table"]) if depth else "leaf"
        if kind == "array":
            items = [self.value(depth - 1) for _ in range(self.up_to(3))]
            return self.listed(items, "[]", lines=True)
        if kind == "table":
            return self.listed(self.pairs((), self.names(), depth - 1), "{}", lines=TOML_1_1)
        return self.leaf()

    def pairs(self, prefix: tuple[str, ...], names: Sequence[str], depth: int) -> list[str]:
        """One pair for each name, or several under a dotted key."""
        pairs: list[str] = []
        for name in names:
            key = (*prefix, name)
            if depth and len(prefix) < 3 and self.sometimes():
                pairs += self.pairs(key, self.names(1), depth - 1)
            else:
                equals = self.one_of([" = ", "=", "\t=  "])
                pairs.append(self.dotted(key) + equals + self.value(depth))
        return pairs

    # Documents

    def line(self, statement: str) -> str:
        before = self.one_of(["", "", "", "\n", "  ", f"{self.one_of(COMMENTS)}\n"])
        after = self.one_of(["", "", " ", f" {self.one_of(COMMENTS)}", self.one_of(COMMENTS)])
        return f"{before}{statement}{after}\n"

    def body(self, prefix: tuple[str, ...], depth: int) -> tuple[str, str]:
        """The pairs of a table, and the headers that come below it."""
        names = self.names()
        split = self.up_to(len(names)) if depth else len(names)
        pairs = "".join(self.line(pair) for pair in self.pairs((), names[:split], 2))
        sections = [self.section((*prefix, name), depth - 1) for name in names[split:]]
        return pairs, "".join(sections)

    def section(self, names: tuple[str, ...], depth: int) -> str:
        if self.sometimes():
            return "".join(self.table(names, depth, "[[]]") for _ in range(1 + self.up_to(2)))
        return self.table(names, depth, "[]")

    def table(self, names: tuple[str, ...], depth: int, brackets: str) -> str:
        pairs, sections = self.body(names, depth)
        half = len(brackets) // 2
        space = self.one_of(["", " ", "\t"])
        header = self.line(brackets[:half] + space + self.dotted(names) + space + brackets[half:])
        if brackets == "[]" and sections and self.sometimes():
            # Without pairs of its own, the header may be left to those below; or it may follow them.
            return sections if not pairs else sections + header + pairs
        return header + pairs + sections


@st.composite
def toml_texts(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    """A document that tomli accepts, of up to three levels of headers; its lines end in LF or CR LF."""
    text = "".join(Writer(draw).body((), 3))
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return text
