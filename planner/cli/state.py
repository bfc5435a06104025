"""`statform state` and its commands: their arguments and options."""

from __future__ import annotations

from collections.abc import Sequence

import click

from planner.cli.options import Common, Group, actor_option, complete_address, json_option, lock_timeout_option


@click.group("state", cls=Group)
def state() -> None:
    """Show and change the state."""


@state.command("list", short_help="List the addresses in the state.")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=complete_address)
@click.pass_obj
def list_(common: Common, patterns: Sequence[str]) -> int:
    """List the addresses in the state: all, or those that match a PATTERN such as *.growth_?."""
    from planner.commands import state as command

    return command.list_addresses(common.invocation(), patterns)


@state.command("show", short_help="Show what the state knows about an address.")
@click.argument("address", shell_complete=complete_address)
@json_option
@click.pass_obj
def show_(common: Common, address: str, *, is_json: bool) -> int:
    """Show what the state knows about an address: what the API returned last, and what else it accepted."""
    from planner.commands import state as command
    from state.values import Address

    return command.show(common.invocation(), Address(address), is_json=is_json)


@state.command(short_help="Give a source another address in the state.")
@click.argument("old", metavar="FROM", shell_complete=complete_address)
@click.argument("new", metavar="TO", shell_complete=complete_address)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@actor_option
@lock_timeout_option
@click.pass_obj
def mv(common: Common, old: str, new: str, *, dry_run: bool) -> int:
    """Give the source at the address FROM the address TO. The remote stays as it is."""
    from planner.commands import state as command
    from state.values import Address

    run, output = common.invocation().start_run(), common.invocation().output
    return command.move(run, output, Address(old), Address(new), is_dry_run=dry_run)


@state.command(short_help="Remove addresses from the state.")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...", shell_complete=complete_address)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@actor_option
@lock_timeout_option
@click.pass_obj
def rm(common: Common, addresses: Sequence[str], *, dry_run: bool) -> int:
    """Remove addresses from the state. The remote stays as it is."""
    from planner.commands import state as command
    from state.values import Address

    run, output = common.invocation().start_run(), common.invocation().output
    return command.remove(run, output, tuple(map(Address, addresses)), is_dry_run=dry_run)


@state.command(short_help="Rebuild the state file from its journal.")
@lock_timeout_option
@click.pass_obj
def rebuild(common: Common) -> int:
    """Rebuild the state file from its journal, when the file is damaged or lost."""
    from planner.commands import state as command

    return command.rebuild(common.invocation())


@state.command(short_help="Move the state to a place that several machines share.")
@actor_option
@lock_timeout_option
@click.pass_obj
def push(common: Common) -> int:
    """Move the state to the place in STATFORM_STATE, and write its lineage into the settings.

    If it is interrupted, run it again: it continues.
    """
    from planner.commands import state_share as command

    invocation = common.invocation()
    return command.push(invocation.start_run(), invocation.output, invocation.environment)


@state.command(short_help="Copy a shared state into files.")
@click.option(
    "--to",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="The state file to write. The default is the project's own.",
)
@click.pass_obj
def pull(common: Common, to: str | None) -> int:
    """Copy a shared state into two files, byte for byte. They are a copy: the state stays where it is."""
    from planner.commands import state_share as command

    return command.pull(common.invocation(), to)
