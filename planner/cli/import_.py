"""`statform import`: its arguments and options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import click

from planner.cli.options import (
    Command,
    Common,
    actor_option,
    base_url_option,
    complete_address,
    lock_timeout_option,
    project_option,
    type_option,
)


@click.command("import", cls=Command, short_help="Add sources that already exist to the state.")
@click.argument("address", required=False, shell_complete=complete_address)
@click.argument("name", required=False)
@click.option(
    "--all", "everything", is_flag=True, help="Import each source that the state does not have, and define it."
)
@click.option(
    "--match", "patterns", multiple=True, metavar="PATTERN", help="With --all, only names like *_v2; repeatable."
)
@type_option("With --all, only this type; repeatable. Without this: the types in use, or all.")
@click.option("--out", metavar="FILE", help="Write new definitions to FILE, which must not exist yet.")
@click.option("--by", type=click.Choice(["team", "tag"]), help="With --all, a file for each team, or each first tag.")
@click.option("--sql-files", "has_sql_files", is_flag=True, help="Write each query to its own .sql file.")
@click.option("--dry-run", is_flag=True, help="With --all, show what would be written, and write nothing.")
@actor_option
@lock_timeout_option
@project_option
@base_url_option
@click.pass_obj
def import_(
    common: Common,
    address: str | None,
    name: str | None,
    patterns: Sequence[str],
    types: Sequence[str],
    out: str | None,
    by: Literal["team", "tag"] | None,
    base_url: str,
    *,
    everything: bool,
    has_sql_files: bool,
    dry_run: bool,
) -> int:
    """Add the source NAME to the state at ADDRESS, or with --all every source of the project."""
    from planner.commands.import_ import ImportOptions, import_everything, import_one
    from state.values import Address

    if everything == (address is not None) or (address is None) != (name is None):
        raise click.UsageError("Give an ADDRESS and a NAME, or --all.", click.get_current_context())
    if not everything and (patterns or types or dry_run or by):
        raise click.UsageError("--match, --type, --by and --dry-run need --all.", click.get_current_context())
    if has_sql_files and not everything and out is None:
        raise click.UsageError("--sql-files needs --all or --out.", click.get_current_context())
    if by and (out is not None or common.environment is not None):
        why = "an import with --env goes into the file of the environment" if out is None else "--out is one file"
        raise click.UsageError(f"--by makes a file for each {by}, and {why}.", click.get_current_context())
    run, output = common.invocation().start_run(base_url), common.invocation().output
    if address is None or name is None:
        options = ImportOptions(
            patterns=patterns, types=types, out=out, by=by, has_sql_files=has_sql_files, is_dry_run=dry_run
        )
        return import_everything(run, output, options)
    return import_one(run, output, Address(address), name, out, has_sql_file=has_sql_files)
