"""`statform plan`: its arguments and options."""

from __future__ import annotations

from collections.abc import Sequence

import click

from planner.cli.options import (
    Command,
    Common,
    base_url_option,
    excludes_option,
    experiments_option,
    form_of,
    github_option,
    project_option,
    targets_option,
)


@click.command("plan", cls=Command)
@targets_option
@excludes_option
@click.option("--out", type=click.Path(), metavar="FILE", help="Save the plan, for `apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if the plan has changes.")
@click.option("--json", "is_json", is_flag=True, help="Print for tools, in the format of Terraform's plan.")
@click.option("--markdown", "is_markdown", is_flag=True, help="Print for a comment on a pull request.")
@click.option("--summary", "is_summary", is_flag=True, help="Print only how many addresses change in which fields.")
@github_option
@click.option("--refresh", is_flag=True, help="List the sources in Statsig first, show drift, and plan from that.")
@click.option(
    "--state",
    "state_file",
    type=click.Path(),
    metavar="FILE",
    help="Plan from this copy of the state, made with `state pull --to FILE`.",
)
@experiments_option
@project_option
@base_url_option
@click.pass_obj
def plan(
    common: Common,
    targets: Sequence[str],
    excludes: Sequence[str],
    out: str | None,
    state_file: str | None,
    base_url: str,
    *,
    is_json: bool,
    is_markdown: bool,
    is_summary: bool,
    detailed_exitcode: bool,
    refresh: bool,
    no_check_experiments: bool,
) -> int:
    """Compare the definitions with the state, field by field. Offline and without a key, except with --refresh."""
    from planner.commands import plan as command

    form = form_of(is_json=is_json, is_markdown=is_markdown)
    if is_summary and form != "text":
        raise click.UsageError(f"--summary and --{form} can't be used together.", click.get_current_context())
    if refresh and state_file is not None:
        raise click.UsageError("--refresh needs the state itself, not a copy.", click.get_current_context())
    return command.plan(
        common.invocation(),
        targets=targets,
        excludes=excludes,
        out=out,
        form="summary" if is_summary else form,
        base_url=base_url,
        detailed_exitcode=detailed_exitcode,
        refresh=refresh,
        checks_experiments=not no_check_experiments,
        state_file=state_file,
    )
