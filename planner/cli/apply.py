"""`statform apply`: its arguments and options."""

from __future__ import annotations

from collections.abc import Sequence

import click

from planner.cli.options import (
    Command,
    Common,
    actor_option,
    base_url_option,
    complete_address,
    excludes_option,
    experiments_option,
    lock_timeout_option,
    project_option,
    targets_option,
)


def _limit(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | str | None:
    """`--max-changes` as a setting: a count, or a share that keeps its percent sign."""
    if text is None:
        return None
    digits = text.removesuffix("%")
    if not (digits.isascii() and digits.isdecimal()):
        raise click.BadParameter(f'{text} is not a number such as 20 or a percentage such as "30%".')
    return text if text.endswith("%") else int(text)


@click.command("apply", cls=Command, short_help="Show the plan, ask for approval, send the changes.")
@click.argument("saved", required=False, metavar="[PLAN]", type=click.Path())
@targets_option
@excludes_option
@click.option("--auto-approve", is_flag=True, help="Do not ask for approval.")
@click.option("--dry-run", is_flag=True, help="Let the API check every change, and change nothing.")
@click.option("--no-check-drift", is_flag=True, help="Apply even if others changed a field.")
@click.option(
    "--overwrite",
    "overwrites",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=complete_address,
    help="Undo what others changed at this address; repeatable.",
)
@experiments_option
@click.option(
    "--max-changes",
    metavar="N|P%",
    callback=_limit,
    help='Allow this many changes: a number, or a percentage such as "30%".',
)
@click.option(
    "--allow-deletes",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="With --auto-approve: delete at most this many sources.",
)
@click.option("--json", "is_json", is_flag=True, help="Print for tools, one event on each line; do not ask.")
@actor_option
@lock_timeout_option
@project_option
@base_url_option
@click.pass_obj
def apply(
    common: Common,
    saved: str | None,
    targets: Sequence[str],
    excludes: Sequence[str],
    base_url: str,
    max_changes: int | str | None,
    overwrites: Sequence[str],
    *,
    auto_approve: bool,
    dry_run: bool,
    no_check_drift: bool,
    allow_deletes: int,
    no_check_experiments: bool,
    is_json: bool,
) -> int:
    """Show the plan, ask for approval, send the changes, write the state.

    With a PLAN that `plan --out` saved it does not ask, and applies just that one.
    """
    from planner.commands import apply as command

    if saved is not None and (targets or excludes or dry_run):
        raise click.UsageError("A saved PLAN has its own targets, and can't be a dry run.", click.get_current_context())
    return command.apply(
        common.invocation(),
        saved=saved,
        targets=targets,
        excludes=excludes,
        max_changes=max_changes,
        base_url=base_url,
        auto_approve=auto_approve,
        dry_run=dry_run,
        checks_drift=not no_check_drift,
        allow_deletes=allow_deletes,
        checks_experiments=not no_check_experiments,
        overwrites=overwrites,
        is_json=is_json,
    )
