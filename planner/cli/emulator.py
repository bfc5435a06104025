"""`statform emulator`: its arguments and options."""

from __future__ import annotations

import click

from planner.cli.options import Command, Common


@click.command("emulator", cls=Command, short_help="Run a Console API on this machine, to try statform.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port to listen on; the default 0 picks a free one.",
)
@click.option("--data", type=click.Path(dir_okay=False), help="JSON file with the sources; changes are written to it.")
@click.option(
    "--latency", type=click.IntRange(0), default=0, metavar="MS", help="Delay each answer by this many milliseconds."
)
@click.option(
    "--per-10-seconds",
    type=click.IntRange(1),
    default=100,
    metavar="N",
    show_default=True,
    help="Changes allowed in 10 s.",
)
@click.option(
    "--per-15-minutes",
    type=click.IntRange(1),
    default=900,
    metavar="N",
    show_default=True,
    help="Changes allowed in 15 min.",
)
@click.option("--omit", multiple=True, metavar="FIELD", help="Leave the field out of data; repeatable.")
@click.option("--log", is_flag=True, help="Write each request to stderr, without the key.")
@click.option("--project", default="emulated", metavar="ID", show_default=True, help="ID of the Statsig project.")
@click.option("--hide-log", is_flag=True, help="Refuse the audit log, as for a key that may not read it.")
@click.option("--ignore-sql", is_flag=True, help="Accept a PATCH with sql, but do not change the query.")
@click.option("--keep-omitted", is_flag=True, help="Keep the fields that a full update leaves out.")
@click.option(
    "--sql-latency", type=click.IntRange(0), default=0, metavar="MS", help="Milliseconds that a call with sql takes."
)
@click.pass_obj
def emulator(
    common: Common,
    port: int,
    data: str | None,
    latency: int,
    per_10_seconds: int,
    per_15_minutes: int,
    omit: tuple[str, ...],
    *,
    log: bool,
    hide_log: bool,
    project: str,
    ignore_sql: bool,
    keep_omitted: bool,
    sql_latency: int,
) -> int:
    """Run a Console API on this machine, to try statform and for tests.

    Without --data it starts with the sources that the project's state and definitions take to be there.
    """
    try:
        from planner.commands import emulator as command
    except ImportError as error:
        raise click.ClickException(f"{error}; the emulator is an extra: pip install 'statform[emulator]'") from None
    return command.emulate(
        common.invocation(),
        port=port,
        data=data,
        latency_ms=latency,
        limits=(per_10_seconds, per_15_minutes),
        omit=omit,
        log=log,
        hide_log=hide_log,
        project=project,
        ignores_sql=ignore_sql,
        keeps=keep_omitted,
        sql_latency_ms=sql_latency,
    )
