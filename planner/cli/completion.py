"""`statform completion`: its arguments and options."""

from __future__ import annotations

import click

from planner.cli.options import Command, Common


@click.command("completion", cls=Command, short_help="Print a script that completes statform's commands in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a script that completes commands, options and addresses in a shell.

    In ~/.bashrc that is: eval "$(statform completion bash)".
    """
    from planner.commands.completion import script

    context.ensure_object(Common).invocation().output.out(script(context.find_root().command, shell))
    return 0
