"""`statform init`: its arguments and options."""

from __future__ import annotations

from collections.abc import Sequence

import click

from planner.cli.options import Command, Common, type_option


@click.command("init", cls=Command, short_help="Create a new project.")
@type_option("Write an example of this type; repeatable. Default: assignment_source.")
@click.pass_obj
def init(common: Common, types: Sequence[str]) -> int:
    """Create a new project: statform.toml, an example definition, what editors need, .gitignore entries."""
    from planner.commands import init as command

    return command.init(common.invocation(), types)
