"""Mistakes in definition files: what is refused, and where it is shown."""

from __future__ import annotations

import pytest

from planner.definitions.definition import Definitions
from planner.definitions.parse import parse_definitions
from planner.errors import DefinitionError, Diagnostic

SETTINGS = "statform.toml"


def parsed(text: str | bytes = "", **others: str | bytes) -> Definitions:
    files = {SETTINGS: text, **{f"definitions/{name}.toml": other for name, other in others.items()}}
    return parse_definitions({name: t if isinstance(t, bytes) else t.encode() for name, t in files.items()})


def problems(text: str | bytes = "", **others: str | bytes) -> tuple[Diagnostic, ...]:
    with pytest.raises(DefinitionError) as caught:
        parsed(text, **others)
    return caught.value.diagnostics


def shown(diagnostic: Diagnostic) -> str:
    """`file:line:column ADDRESS field: summary «what is underlined»; expected`."""
    where = diagnostic.location
    assert where is not None
    marked = where.text[where.column - 1 : where.column - 1 + where.length]
    subject = " ".join(
        [f"{where.file}:{where.line}:{where.column}", *filter(None, [diagnostic.address, diagnostic.field])]
    )
    return f"{subject}: {diagnostic.summary} «{marked}»; {diagnostic.expected}"


def unmarked(marked: str) -> tuple[str, int, int, str]:
    """The text without its « », and where the marks were: line, column, and what is between them."""
    before, _, rest = marked.partition("«")
    between, _, after = rest.partition("»")
    return before + between + after, before.count("\n") + 1, len(before) - before.rfind("\n"), between
