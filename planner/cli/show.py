"""`statform show`: its arguments and options."""

from __future__ import annotations

import os

import click

from planner.cli.options import Command, Common, json_option


@click.command("show", cls=Command, short_help="Show the state, or a saved plan.")
@click.argument("saved", required=False, metavar="[PLAN]", type=click.Path())
@json_option
@click.pass_obj
def show(common: Common, saved: str | None, *, is_json: bool) -> int:
    """Show the state, resource by resource; or a PLAN that `plan --out` saved."""
    from planner.commands import show as command

    if saved is not None:
        _refuse_address(saved)
        return command.show_plan(common.invocation(), saved, is_json=is_json)
    return command.show_state(common.invocation(), is_json=is_json)


def _refuse_address(saved: str) -> None:
    from planner.definitions.addresses import address_problems

    if not address_problems(saved) and not os.path.exists(saved):
        from state.advice import advise

        there = f"`{advise('state', 'show', saved)}` shows it as the state has it."
        raise click.UsageError(f"{saved} is not a saved plan. {there}", click.get_current_context())
