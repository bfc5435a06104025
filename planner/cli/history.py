"""`statform history`: its arguments and options."""

from __future__ import annotations

import click

from planner.cli.options import Command, Common, complete_address, complete_field, form_of, html_option


@click.command("history", cls=Command, short_help="Show who changed which field, with old and new values.")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=complete_address,
    help="Only this address; repeatable.",
)
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="FIELD",
    shell_complete=complete_field,
    help="Only this field; repeatable.",
)
@click.option("--who", multiple=True, metavar="NAME", help="Only by this person; repeatable.")
@click.option("--since", metavar="WHEN", help="From this date, time or age, such as 2026-11-01 or 7d; in UTC.")
@click.option("--until", metavar="WHEN", help="Up to and including this date, or before this time or age.")
@click.option("--json", "is_json", is_flag=True, help="Print for tools: one object on each line.")
@click.option("--markdown", "is_markdown", is_flag=True, help="Print for a comment.")
@html_option
@click.option("--verify", is_flag=True, help="Check that the records are intact and give the state; print the head.")
@click.option(
    "--expect", metavar="HEAD", help="With --verify, prove that nothing before this head was changed or removed."
)
@click.pass_obj
def history(
    common: Common,
    addresses: tuple[str, ...],
    fields: tuple[str, ...],
    who: tuple[str, ...],
    since: str | None,
    until: str | None,
    html: str | None,
    expect: str | None,
    *,
    is_json: bool,
    is_markdown: bool,
    verify: bool,
) -> int:
    """Show who changed which field and when, the old and the new value, and the outcome; the newest change last."""
    from planner.clock import Clock
    from planner.commands import history as command

    if expect is not None and not verify:
        raise click.UsageError("--expect needs --verify.", click.get_current_context())
    form = form_of(is_json=is_json, is_markdown=is_markdown)
    if html is not None and verify:
        raise click.UsageError(
            "--html can't be used with --verify; the page verifies too.", click.get_current_context()
        )
    if verify and (form != "text" or addresses or fields or who or since is not None or until is not None):
        raise click.UsageError("--verify takes no other option than --expect.", click.get_current_context())
    if verify:
        return command.verify(common.invocation(), expect)
    query = command.Query(addresses=addresses, fields=fields, who=who, since=since, until=until, form=form, html=html)
    return command.show(common.invocation(), query, Clock())
