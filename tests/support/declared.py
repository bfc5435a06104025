"""Every command that statform declares, which it does one by one, when a command is asked for."""

from __future__ import annotations

import click

from planner.cli.main import cli

Path = tuple[str, ...]


def commands(command: click.Command = cli, path: Path = ()) -> list[tuple[Path, click.Command]]:
    """The command and all below it, each after the words that name it."""
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            one = command.get_command(context, name)
            assert one is not None, name
            found += commands(one, (*path, name))
    return found


COMMANDS = commands()
