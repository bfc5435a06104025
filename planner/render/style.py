"""How text is laid out and coloured at a terminal.

Whoever renders gets a `Style` and asks nothing else: no terminal, no environment. So every text can be a golden file.
"""

import re


def format_time(at: str) -> str:
    """A time as every text has it, in UTC: `2026-11-27 18:07:04Z`; what is no time as we write it stays as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?Z", at)
    return f"{found[1]} {found[2]}Z" if found else at


def width_of(text: str) -> int:
    """The columns that a terminal needs for the text."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width  # noqa: PLC0415 - most texts are ASCII

    # Unicode's annex 11: wide characters (W, F) take two columns; a combining mark stands on the one before it.
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text if category(one) not in {"Mn", "Me"})


def plain_width(text: str) -> int:
    """The columns of a text that may have colours."""
    return width_of(re.sub(r"\x1b\[\d*m", "", text))


class Style:
    """How to write: `width` in columns, None for as long as a line is; `is_coloured` with ANSI colours."""

    def __init__(self, width: int | None = None, *, is_coloured: bool = False) -> None:
        self.width, self.is_coloured = width, is_coloured

    def wrap(self, text: str, indent: str = "") -> list[str]:
        """A sentence in lines that fit, broken at spaces alone; all but the first begin with `indent`.

        A word that is wider than a line stays whole: it is a path, a name or a URL, which is copied.
        """
        if self.width is None or plain_width(text) <= self.width:
            return [text]
        start = text[: len(text) - len(text.lstrip(" "))]
        words = text[len(start) :].split(" ")
        lines, line = list[str](), start + words[0]
        for word in words[1:]:
            if plain_width(line) + 1 + plain_width(word) > self.width:
                lines.append(line)
                line = indent + word
            else:
                line = f"{line} {word}"
        return [*lines, line]

    def wrap_lines(self, text: str) -> str:
        """The text with each of its lines in lines that fit, but for indented ones, which are there to be copied."""
        lines = (self.wrap(line) if line[:1] != " " else [line] for line in text.split("\n"))
        return "\n".join(line for some in lines for line in some)

    def paint(self, text: str, code: str) -> str:
        """The text in the colour of an SGR code such as `31`; as it is without colours. The others here do the same."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.is_coloured and text else text

    def bold(self, text: str) -> str:
        return self.paint(text, "1")

    def red(self, text: str) -> str:
        return self.paint(text, "31")

    def green(self, text: str) -> str:
        return self.paint(text, "32")

    def yellow(self, text: str) -> str:
        return self.paint(text, "33")

    def dim(self, text: str) -> str:
        return self.paint(text, "2")
