"""`statform schema`: the JSON Schema of the files, or of what a command prints."""

from __future__ import annotations

from planner.commands.common import Invocation
from planner.definitions.schema import build_schema, schema_text
from planner.render.schemas.outputs import output_schema


def schema(invocation: Invocation, output: str | None) -> int:
    """Print the schema of the files, or that of an `output`; the exit code."""
    invocation.output.out(schema_text(build_schema() if output is None else output_schema(output)))
    return 0
