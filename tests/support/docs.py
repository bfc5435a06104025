"""The documentation as tests read it: every page, its code blocks, its sections, and where its links lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = (
    "README.md",
    "planner/README.md",
    "state/README.md",
    "examples/README.md",
    "tests/README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
)
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
FRONT = PAGES["README.md"]

_FENCED = re.compile(r"(?ms)^```\w*\n(.*?)^```$")
_HEADING = re.compile(r"(?m)^(#{1,6}) (.*)$")


def blocks(first_line: str) -> list[str]:
    """The code blocks of all pages that begin with this line, or with these lines."""
    return [block for page in PAGES.values() for block in _FENCED.findall(page) if block.startswith(first_line)]


def block(first_line: str) -> str:
    """The one code block that begins so."""
    (found,) = blocks(first_line)
    return found


def section(heading: str) -> str:
    """The one section whose heading matches the pattern, with its heading, up to the next one that is not below it."""
    (found,) = _sections(heading)
    return found


def headings() -> list[str]:
    """The headings of all pages, without their `#`."""
    return [title for page in PAGES.values() for _, title in _HEADING.findall(_without_code(page))]


def anchors(page: str) -> set[str]:
    """What a link to a part of this page can name, as GitHub makes it of the headings."""
    titles = (title.lower() for _, title in _HEADING.findall(_without_code(page)))
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}


def links(page: str) -> list[str]:
    """The targets of the page's links and images that lead to this repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", _without_code(page))
    return [target for target in targets if not target.startswith(("https:", "http:", "mailto:"))]


def _sections(heading: str) -> Iterator[str]:
    for page in PAGES.values():
        # Comments in code look like headings; blanked out, they leave every place as it is.
        found = list(_HEADING.finditer(_without_code(page)))
        for at, start in enumerate(found):
            if re.match(heading, start[2]):
                ends = (next_.start() for next_ in found[at + 1 :] if len(next_[1]) <= len(start[1]))
                yield page[start.start() : next(ends, len(page))]


def _without_code(page: str) -> str:
    return _FENCED.sub(lambda fenced: re.sub(r"[^\n]", " ", fenced[0]), page)
