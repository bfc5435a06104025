"""`statform audit`: its arguments and options."""

from __future__ import annotations

import click

from planner.cli.options import (
    Command,
    Common,
    base_url_option,
    experiments_option,
    form_of,
    html_option,
    project_option,
)


@click.command("audit", cls=Command, short_help="Show where the remote differs from the state.")
@click.option("--definitions", is_flag=True, help="Also say which drift a plan would undo.")
@click.option("--who", is_flag=True, help="Also say who changed it, if the project's audit log has it.")
@click.option("--json", "is_json", is_flag=True, help="Print for tools.")
@click.option("--markdown", "is_markdown", is_flag=True, help="Print for an issue.")
@html_option
@experiments_option
@project_option
@base_url_option
@click.pass_obj
def audit(
    common: Common,
    html: str | None,
    base_url: str,
    *,
    is_json: bool,
    is_markdown: bool,
    definitions: bool,
    who: bool,
    no_check_experiments: bool,
) -> int:
    """Compare the remote with the state: drift, sources that are gone, sources that nobody manages, the journal.

    It changes nothing, and exits with 2 if it finds anything.
    """
    from planner.commands.audit import audit_state

    invocation, output = common.invocation(), common.invocation().output
    project = invocation.open_project() if definitions else invocation.open_what_can_be_read()
    run = invocation.start_run(base_url, project)
    form = form_of(is_json=is_json, is_markdown=is_markdown)
    return audit_state(
        run,
        output,
        form,
        html,
        against_definitions=definitions,
        asks_who=who,
        checks_experiments=not no_check_experiments,
    )
