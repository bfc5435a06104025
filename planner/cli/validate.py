"""`statform validate`: its arguments and options."""

from __future__ import annotations

import click

from planner.cli.options import Command, Common, github_option, json_option


@click.command("validate", cls=Command)
@json_option
@click.option("--strict", "is_strict", is_flag=True, help="Treat each warning as an error.")
@github_option
@click.pass_obj
def validate(common: Common, *, is_json: bool, is_strict: bool) -> int:
    """Check the definitions and their queries, offline."""
    from planner.commands import validate as command

    run = command.validate_for_tools if is_json else command.validate
    return run(common.invocation(), is_strict=is_strict)
