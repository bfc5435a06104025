"""`statform refresh`: its arguments and options."""

from __future__ import annotations

from collections.abc import Sequence

import click

from planner.cli.options import (
    Command,
    Common,
    actor_option,
    base_url_option,
    complete_address,
    lock_timeout_option,
    project_option,
)


@click.command("refresh", cls=Command, short_help="Update the state with what changed in Statsig.")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...", shell_complete=complete_address)
@click.option("--auto-approve", is_flag=True, help="Do not ask for approval.")
@click.option("--write", "writes", is_flag=True, help="Write the changes into the definitions first.")
@click.option(
    "--allow-gone",
    type=click.IntRange(min=0),
    metavar="N",
    help="Remove up to N gone sources from the state. The default is half of them.",
)
@actor_option
@lock_timeout_option
@project_option
@base_url_option
@click.pass_obj
def refresh(
    common: Common,
    addresses: Sequence[str],
    base_url: str,
    allow_gone: int | None,
    *,
    auto_approve: bool,
    writes: bool,
) -> int:
    """Show what changed in Statsig, ask, and update the state; with --write, also the definitions.

    With an ADDRESS, a key or a pattern, update only that.
    """
    from planner.commands.refresh import refresh_state

    invocation = common.invocation()
    return refresh_state(
        invocation.start_run(base_url),
        invocation.output,
        is_approved=auto_approve,
        allow_gone=allow_gone,
        writes=writes,
        only=addresses,
    )
