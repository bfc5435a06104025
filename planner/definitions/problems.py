"""A problem, given by its path in a parsed file, and the diagnostic for people.

Three steps: a kind of field has a `Problem` with a value, which knows only the path inside the value; a `Finding` adds
the file and the address; `explain` makes the `Diagnostic`, with line and column. TOML parsers give no positions, so
that finding one costs a second look at the text: only a problem that is shown pays for it.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from planner.definitions.fields import Path, Problem
from planner.errors import Diagnostic, Location
from state.values import Address

MAX_PROBLEMS = 500
"""How many problems a run reports: a file that is not meant for statform has one in every line."""
At: TypeAlias = Literal["key", "value"]


class Finding(NamedTuple):
    """A problem of the part at `path` in `file`: of its key or of its value."""

    file: str
    path: Path
    summary: str
    expected: str
    at: At = "key"
    address: Address | None = None
    field: str | None = None


class TooManyProblems(Exception):
    """There are `MAX_PROBLEMS` findings: nobody reads more, so nothing more is looked for."""


class Findings(list[Finding]):
    """All findings of a run, up to `MAX_PROBLEMS`."""

    def add(self, *findings: Finding) -> None:
        """Add them, up to `MAX_PROBLEMS` in all.

        Raises:
            TooManyProblems: the limit is reached.
        """
        self += findings[: MAX_PROBLEMS - len(self)]
        if len(self) >= MAX_PROBLEMS:
            raise TooManyProblems


def of_problem(problem: Problem, file: str, path: Path, address: Address | None = None) -> Finding:
    """The finding for a problem of the value at `path`, whose last part is the field's name."""
    at: At = "key" if problem.is_of_key else "value"
    whole = (*path, *problem.path)
    return Finding(file, whole, problem.summary, problem.expected, at, address, str(path[-1]))


def explain(texts: Mapping[str, str], finding: Finding) -> Diagnostic:
    """The diagnostic of a finding; `texts` are the files by name."""
    location, _ = locate(texts, finding.file, finding.path, finding.at)
    return Diagnostic(finding.summary, finding.expected, location, finding.address, finding.field)


def locate(texts: Mapping[str, str], file: str, path: Path, at: At = "key") -> tuple[Location, bool]:
    """Where the path stands, and True; if the file lacks it, where the nearest table around it is, and False."""
    from planner.definitions import positions  # noqa: PLC0415 - loaded to explain an error only

    text = texts.get(file, "")
    # A missing part has no position: use the nearest table around it that exists.
    for end in range(len(path), 0, -1):
        if position := positions.find(text, path[:end]):
            is_exact = end == len(path)
            span = position.value if at == "value" and is_exact else position.key
            return location(file, text, span.start, span.end - span.start), is_exact
    return location(file, text, 0), False


def location(file: str, text: str, offset: int, length: int = 1) -> Location:
    """The location of `length` characters from `offset`, as far as they are in the first line."""
    from planner.definitions import positions  # noqa: PLC0415 - loaded to explain an error only

    line, column, shown = positions.line_and_column(text, offset)
    return Location(file, line, column, max(1, min(length, len(shown) - column + 1)), shown)
