"""`statform schema`: its arguments and options."""

from __future__ import annotations

import click

from planner.cli.options import Command, Common


@click.command("schema", cls=Command, short_help="Print a JSON Schema of the files, for editors, or of an output.")
@click.argument(
    "output",
    required=False,
    metavar="[OUTPUT]",
    type=click.Choice(["validate", "plan", "apply", "show", "audit", "history"]),
)
@click.pass_obj
def schema(common: Common, output: str | None) -> int:
    """Print the JSON Schema of statform.toml and definition files, for editors.

    With an OUTPUT (validate, plan, apply, show, audit or history), that of what the command prints with --json.
    """
    from planner.commands import schema as command

    return command.schema(common.invocation(), output)
