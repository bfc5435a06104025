"""`statform doctor`: its arguments and options."""

from __future__ import annotations

import click

from planner.cli.options import Command, Common, base_url_option


@click.command("doctor", cls=Command, short_help="Check the set-up.")
@base_url_option
@click.pass_obj
def doctor(common: Common, base_url: str) -> int:
    """Check the set-up, with a line for each check: project, git, state, lock, key and its rights, clock.

    It changes nothing. Exit code 1: something is wrong here; 3: the API can't be reached, or refuses the key.
    """
    from planner.commands import doctor as command

    return command.examine(common.invocation(), base_url)
