"""Errors as GitHub Actions shows them: beside the line of the file."""

from __future__ import annotations

from collections.abc import Iterable

from planner.errors import Diagnostic
from planner.escape import escape, inert


def workflow_commands(of: Iterable[Diagnostic], directory: str) -> str:
    """A workflow command for each problem; `directory` is the project's, relative to the repository."""
    return "".join(_annotation(one, directory) for one in of)


def _annotation(of: Diagnostic, directory: str) -> str:
    properties = ["title=statform"]
    if of.location is not None:
        file = f"{directory}/{of.location.file}" if directory not in {"", "."} else of.location.file
        end = of.location.column + of.location.length
        place = {"file": file, "line": of.location.line, "col": of.location.column, "endColumn": end}
        properties += [f"{name}={_property(str(value))}" for name, value in place.items()]
    command = "warning" if of.is_warning else "error"
    return f"::{command} {','.join(properties)}::{_data(of.summary)}%0AExpected: {_data(of.expected)}\n"


def _data(text: str) -> str:
    return inert(escape(text)).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
