"""`statform validate`: whether the definitions can be used, offline."""

from __future__ import annotations

from collections.abc import Sequence

from planner.commands.common import Invocation
from planner.definitions.definition import Definitions
from planner.definitions.problems import MAX_PROBLEMS
from planner.definitions.validate_warnings import find_warnings, has_unread_queries
from planner.errors import DefinitionError, Diagnostic
from planner.plural import counted
from planner.render import terraform


def validate(invocation: Invocation, *, is_strict: bool) -> int:
    """Tell people; the exit code.

    Raises:
        DefinitionError: with every problem of the files.
    """
    output = invocation.output
    output.is_check = True
    definitions = invocation.open_project().definitions
    output.show_warnings(_warnings(invocation, definitions, is_strict=is_strict))
    count = len(definitions.resources)
    output.out(f"{output.out_style.green('Valid:')} {counted(count, 'definition')}.\n")
    return 0


def validate_for_tools(invocation: Invocation, *, is_strict: bool) -> int:
    """Tell tools, for which a problem is a result; the exit code."""
    try:
        problems = tuple(_warnings(invocation, invocation.open_project().definitions, is_strict=is_strict))
    except DefinitionError as error:
        problems = error.diagnostics
    invocation.print_json(terraform.validation_to_json(problems))
    return 0 if all(one.is_warning for one in problems) else 1


def _warnings(invocation: Invocation, definitions: Definitions, *, is_strict: bool) -> Sequence[Diagnostic]:
    """What may break a source.

    Raises:
        DefinitionError: there is something, and it is to be an error.
    """
    if has_unread_queries(definitions):
        invocation.output.say("The queries are not checked: set `warehouse` in [statform] to say which SQL they use.")
    warnings = find_warnings(definitions)
    if len(warnings) >= MAX_PROBLEMS and not is_strict:
        invocation.output.say(f"There may be more warnings than these {MAX_PROBLEMS}; they are not shown.")
    if is_strict and warnings:
        raise DefinitionError([one._replace(is_warning=False) for one in warnings])
    return warnings
