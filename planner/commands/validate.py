"""`statform validate`: whether the definitions can be used, offline."""

from __future__ import annotations

from planner.commands.common import Invocation
from planner.errors import DefinitionError
from planner.render import terraform


def validate(invocation: Invocation) -> int:
    """Tell people; the exit code.

    Raises:
        DefinitionError: with every problem of the files.
    """
    definitions, output = invocation.open_project().definitions, invocation.output
    output.show_warnings(definitions.confusable_names)
    count = len(definitions.resources)
    output.out(f"{output.out_style.green('Valid:')} {count} definition{'' if count == 1 else 's'}.\n")
    return 0


def validate_for_tools(invocation: Invocation) -> int:
    """Tell tools, for which a problem is a result; the exit code."""
    try:
        problems = tuple(invocation.open_project().definitions.confusable_names)
    except DefinitionError as error:
        problems = error.diagnostics
    invocation.print_json(terraform.validation_to_json(problems))
    return 0 if all(one.is_warning for one in problems) else 1
