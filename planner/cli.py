"""The command line: options in, calls to the rest, text and an exit code out.

Results go to stdout; progress, warnings and errors to stderr. Exit codes: 0 success, 1 an error, 2 differences, 3 the
API could not be used, 130 interrupted. A command imports what it needs when it runs: `plan` never loads httpx.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from planner.console.api import BASE_URL
from planner.version import __version__

if TYPE_CHECKING:
    from planner.apply.run import Run
    from planner.audit.audit import Drift
    from planner.definitions.definition import Definitions
    from planner.definitions.project import Project
    from planner.errors import Diagnostic
    from planner.output import Terminal
    from planner.plan.saved import SavedPlan
    from state.snapshot import Snapshot
    from state.values import JSON, Address


class Common:
    """The options that every command has, before its name or after it."""

    def __init__(self) -> None:
        self.directory = ""
        self.color = "auto"
        self.environment = os.environ.get("STATFORM_ENV") or None
        self.is_in_workflow = False
        self.stream: Terminal | None = None

    def terminal(self) -> Terminal:
        if self.stream is not None:
            return self.stream
        from planner.output import Terminal

        return Terminal(self.color, self._place_in_repository() if self.is_in_workflow else None)

    def _place_in_repository(self) -> str:
        workspace = os.environ.get("GITHUB_WORKSPACE") or "."
        return os.path.relpath(self.directory or ".", workspace)


def _set_in_workflow(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value and os.environ.get("GITHUB_ACTIONS") == "true":
        context.ensure_object(Common).is_in_workflow = True


def _set_common(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def set_(context: click.Context, _parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click's own type
        if value is not None:
            setattr(context.ensure_object(Common), name, value)

    return set_


_COMMON_OPTIONS = (
    click.Option(
        ["-C", "--chdir"],
        type=click.Path(exists=True, file_okay=False),
        metavar="DIR",
        expose_value=False,
        callback=_set_common("directory"),
        help="Work in the project at DIR.",
    ),
    click.Option(
        ["--color"],
        type=click.Choice(["auto", "always", "never"]),
        expose_value=False,
        callback=_set_common("color"),
        help="Colour: when stdout is a terminal (auto, the default), always or never.",
    ),
    click.Option(
        ["--env"],
        metavar="NAME",
        expose_value=False,
        callback=_set_common("environment"),
        help="Lay environments/NAME.toml over the definitions; else as STATFORM_ENV says.",
    ),
)


class _Command(click.Command):
    """A command with its own options, and those that all have."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **kwargs)
        self.params += _COMMON_OPTIONS


class _Group(_Command, click.Group):
    """A group whose help lists the commands as one comes to need them, which is how they stand in this file."""

    command_class = _Command
    group_class = type

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def complete_address(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The addresses that a shell offers: those of the definitions and of the state."""
    from planner.commands.completion import addresses

    found = addresses(context.ensure_object(Common).directory)
    return [address for address in found if address.startswith(incomplete)]


targets_option = click.option(
    "--target",
    "targets",
    multiple=True,
    shell_complete=complete_address,
    metavar="ADDRESS",
    help="Only this address and what it depends on; repeatable.",
)
html_option = click.option(
    "--html",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write a page that can be handed on, and that needs no network.",
)
base_url_option = click.option(
    "--base-url",
    metavar="URL",
    envvar="STATSIG_BASE_URL",
    default=BASE_URL,
    show_default=True,
    show_envvar=True,
    help="Where the Console API is.",
)


@click.group(cls=_Group, context_settings=_SETTINGS)
@click.version_option(__version__, message="statform %(version)s")
def cli() -> None:
    """Plan and apply a Statsig project's assignment sources from TOML, as Terraform does for a cloud account."""


@cli.command(short_help="Make a new project.")
@click.pass_obj
def init(common: Common) -> int:
    """Make a new project: statform.toml, an example definition, what editors need, .gitignore entries."""
    from planner.definitions import project

    terminal = common.terminal()
    for name in project.create(common.directory):
        terminal.say(f"wrote {name}")
    terminal.out("\nNext: describe your sources in definitions/, then run\n  statform validate\n  statform plan\n")
    return 0


github_option = click.option(
    "--github",
    is_flag=True,
    expose_value=False,
    callback=_set_in_workflow,
    help="In GitHub Actions, show errors beside their lines, and a plan in the job's summary.",
)


json_option = click.option("--json", "is_json", is_flag=True, help="For tools, in the shape of Terraform's.")


@cli.command()
@json_option
@click.option("--strict", "is_strict", is_flag=True, help="Let every warning be an error.")
@github_option
@click.pass_obj
def validate(common: Common, *, is_json: bool, is_strict: bool) -> int:
    """Check the definitions and their queries, offline."""
    if is_json:
        return _validate_for_tools(common, is_strict=is_strict)
    definitions, terminal = _open(common).definitions, common.terminal()
    terminal.show_warnings(_warnings(common, definitions, is_strict=is_strict))
    count = len(definitions.resources)
    terminal.out(f"{terminal.out_style.green('Valid:')} {count} definition{'' if count == 1 else 's'}.\n")
    return 0


def _warnings(common: Common, definitions: Definitions, *, is_strict: bool) -> Sequence[Diagnostic]:
    """What may break a source.

    Raises:
        DefinitionError: there is something, and it is to be an error.
    """
    from planner.definitions import checks
    from planner.definitions.problems import MAX_PROBLEMS
    from planner.errors import DefinitionError

    if checks.has_unread_queries(definitions):
        common.terminal().say("The queries are not read: [statform] names no warehouse whose SQL they are.")
    warnings = checks.find_warnings(definitions)
    if len(warnings) >= MAX_PROBLEMS and not is_strict:
        common.terminal().say(f"There may be more warnings than these {MAX_PROBLEMS}; they are not shown.")
    if is_strict and warnings:
        raise DefinitionError([one._replace(is_warning=False) for one in warnings])
    return warnings


def _validate_for_tools(common: Common, *, is_strict: bool) -> int:
    from planner.errors import DefinitionError

    problems: Sequence[Diagnostic] = ()
    try:
        problems = _warnings(common, _open(common).definitions, is_strict=is_strict)
    except DefinitionError as error:
        problems = error.diagnostics
    from planner.render import terraform

    _print_json(common, terraform.validation(problems))
    return 0 if all(one.is_warning for one in problems) else 1


def _print_json(common: Common, value: JSON) -> None:
    from planner.escape import as_json

    common.terminal().out(as_json(value) + "\n")


@cli.command()
@targets_option
@click.option("--out", type=click.Path(), metavar="FILE", help="Save the plan, for `apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when the plan has changes.")
@click.option("--json", "form", flag_value="json", help="For tools, in the shape of Terraform's plan.")
@click.option("--markdown", "form", flag_value="markdown", help="For a comment on a pull request.")
@github_option
@click.option("--refresh", is_flag=True, help="List the remote first, show what drifted, and plan from there.")
@base_url_option
@click.pass_obj
def plan(
    common: Common,
    targets: Sequence[str],
    out: str | None,
    form: Literal["json", "markdown"] | None,
    base_url: str,
    *,
    detailed_exitcode: bool,
    refresh: bool,
) -> int:
    """Compare the definitions with the state, field by field. Offline and without a key, but for --refresh."""
    from planner import build_plan, pacing
    from planner.escape import escape
    from planner.render import plan_text

    project, terminal = _open(common), common.terminal()
    definitions = project.definitions
    terminal.show_warnings(definitions.confusable_names)
    snapshot = project.read_state()
    terminal.warn_of_unresolved(snapshot)
    if refresh and out is not None:
        raise click.UsageError(
            "--out goes with the state as it is: `statform refresh` first.", click.get_current_context()
        )
    before = snapshot
    drifts: Sequence[Drift] = ()
    if refresh:
        from planner.commands.refresh import start_from_remote

        run = _start_run(common, base_url, project)
        snapshot, drifts = start_from_remote(run, terminal, snapshot, is_shown=form is None)
    found = build_plan(definitions, snapshot, _addresses(targets))
    windows = definitions.settings.windows
    seconds = pacing.duration_s(windows, (), 0.0, len(found.requests))
    if common.is_in_workflow:
        from planner.render import plan_comment

        _summarise(plan_comment.plan(found, drifts))
    match form:
        case None:
            terminal.out(plan_text.plan(found, terminal.out_style, seconds))
        case "markdown":
            from planner.render import plan_comment

            terminal.out(plan_comment.plan(found, drifts))
        case "json":
            from planner.render import terraform

            _print_json(common, terraform.plan(found, definitions, snapshot, drifts, before if refresh else None))
    if out is not None:
        from planner.files import write_file
        from planner.plan.saved import save_plan

        content = save_plan(found, definitions, base_url, _addresses(targets)).decode()
        write_file(out, content, "--out", mode=0o600)
        terminal.say(f"wrote {escape(out)}")
    return 2 if detailed_exitcode and found.changes else 0


@cli.command(short_help="Show the plan, ask for approval, send the changes.")
@click.argument("saved", required=False, metavar="[PLAN]", type=click.Path())
@targets_option
@click.option("--auto-approve", is_flag=True, help="Don't ask for approval.")
@click.option("--dry-run", is_flag=True, help="Let the API check every change, and change nothing.")
@click.option("--no-check-drift", is_flag=True, help="Don't list the remote first, to find what others changed.")
@click.option("--max-changes", metavar="N|P%", help='Allow as many changes: a count, or a share such as "30%".')
@click.option("--json", "is_json", is_flag=True, help="Tell it for tools, an event a line; nothing is asked.")
@base_url_option
@click.pass_obj
def apply(
    common: Common,
    saved: str | None,
    targets: Sequence[str],
    base_url: str,
    max_changes: str | None,
    *,
    auto_approve: bool,
    dry_run: bool,
    no_check_drift: bool,
    is_json: bool,
) -> int:
    """Show the plan, ask for approval, send the changes, write the state.

    With a PLAN that `plan --out` saved it does not ask, and applies just that one.
    """
    from planner import Options, apply_definitions
    from planner.commands.watchers import form_of
    from planner.errors import UsageError
    from planner.stream import Stream

    limit = _limit(max_changes)
    if saved is not None and (targets or dry_run):
        raise click.UsageError("A saved PLAN has its own targets, and is no dry run.", click.get_current_context())
    if is_json:
        common.stream = Stream(is_dry_run=dry_run)
        if not auto_approve and not dry_run and saved is None:
            raise UsageError("with --json nothing is asked: use --auto-approve, or a saved plan")
    plan = None if saved is None else _load_plan(saved)
    run = _start_run(common, base_url, is_dry_run=dry_run)
    options = Options(
        plan.targets if plan else _addresses(targets),
        limit,
        checks_drift=not no_check_drift,
        saved=plan,
        path=saved or "",
    )
    # Who made the plan and kept it has looked at it.
    form = form_of(run, common.terminal(), is_approved=auto_approve or plan is not None)
    # A run can take hours, and each request leaves some garbage; what was loaded before is none.
    gc.freeze()
    gc.enable()
    with run.interrupts.caught():
        report = apply_definitions(run, options, form)
        form.report(report)
    return report.exit_code


@cli.command(short_help="Show the state, or a saved plan.")
@click.argument("saved", required=False, metavar="[PLAN]", type=click.Path())
@json_option
@click.pass_obj
def show(common: Common, saved: str | None, *, is_json: bool) -> int:
    """Show the state, resource by resource; or a PLAN that `plan --out` saved."""
    from planner.render import state as render

    if saved is not None and is_json:
        return _show_plan_for_tools(common, saved)
    if saved is not None:
        from planner.render import plan_text

        common.terminal().out(plan_text.plan(_load_plan(saved).plan, common.terminal().out_style))
        return 0
    snapshot, terminal = _read_state(common), common.terminal()
    if is_json:
        from planner.render import terraform

        _print_json(common, terraform.state(snapshot))
    else:
        terminal.out(render.state(snapshot, terminal.out_style))
    return 0


def _show_plan_for_tools(common: Common, path: str) -> int:
    """With all values of all sources, which are not in the file: so the plan is made again, as `apply` does it."""
    from planner import build_plan
    from planner.plan.saved import check_equal, check_origin
    from planner.render import terraform

    saved, project = _load_plan(path), _open(common)
    definitions, snapshot = project.definitions, project.read_state()
    check_origin(saved, snapshot, definitions, saved.base_url, path)
    plan = build_plan(definitions, snapshot, saved.targets)
    check_equal(saved, plan, path)
    _print_json(common, terraform.plan(plan, definitions, snapshot))
    return 0


@cli.command("import", short_help="Take sources that are there already into the state.")
@click.argument("address", required=False, shell_complete=complete_address)
@click.argument("name", required=False)
@click.option(
    "--all", "everything", is_flag=True, help="Every source that the state lacks; defines what nothing defines."
)
@click.option(
    "--match", "patterns", multiple=True, metavar="PATTERN", help="With --all, only names like *_v2; repeatable."
)
@click.option("--out", metavar="FILE", help="Write new definitions to FILE, which must not be there yet.")
@click.option("--dry-run", is_flag=True, help="With --all, show what would be written, and write nothing.")
@base_url_option
@click.pass_obj
def import_(
    common: Common,
    address: str | None,
    name: str | None,
    patterns: Sequence[str],
    out: str | None,
    base_url: str,
    *,
    everything: bool,
    dry_run: bool,
) -> int:
    """Take the source NAME into the state at ADDRESS, or with --all every source of the project."""
    from planner.commands.import_ import Options, import_everything, import_one
    from state.values import Address

    if everything == (address is not None) or (address is None) != (name is None):
        raise click.UsageError("Give an ADDRESS and a NAME, or --all.", click.get_current_context())
    if not everything and (patterns or dry_run):
        raise click.UsageError("--match and --dry-run go with --all.", click.get_current_context())
    run = _start_run(common, base_url)
    if address is None or name is None:
        return import_everything(run, common.terminal(), Options(patterns, out, is_dry_run=dry_run))
    return import_one(run, common.terminal(), Address(address), name, out)


@cli.command(short_help="Take what moved at the remote into the state.")
@click.option("--auto-approve", is_flag=True, help="Don't ask for approval.")
@base_url_option
@click.pass_obj
def refresh(common: Common, base_url: str, *, auto_approve: bool) -> int:
    """Show what moved at the remote, ask, and take it into the state."""
    from planner.commands.refresh import refresh_state

    return refresh_state(_start_run(common, base_url), common.terminal(), is_approved=auto_approve)


@cli.command(short_help="Show where the remote is not as the state has it.")
@click.option("--definitions", is_flag=True, help="Also say which drift a plan would undo.")
@click.option("--who", is_flag=True, help="Also say who changed it, as far as the project's audit log tells.")
@click.option("--json", "form", flag_value="json", help="For tools.")
@click.option("--markdown", "form", flag_value="markdown", help="For an issue.")
@html_option
@base_url_option
@click.pass_obj
def audit(
    common: Common,
    form: Literal["json", "markdown"] | None,
    html: str | None,
    base_url: str,
    *,
    definitions: bool,
    who: bool,
) -> int:
    """Compare the remote with the state: drift, sources that are gone, sources that nobody manages, the journal.

    It changes nothing, and exits with 2 when there is anything to tell.
    """
    from planner.commands.audit import audit_state

    run = _start_run(common, base_url)
    return audit_state(run, common.terminal(), form or "text", html, against_definitions=definitions, asks_who=who)


@cli.command(short_help="Show who changed which field from what to what.")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=complete_address,
    help="Only of this address; repeatable.",
)
@click.option("--field", "fields", multiple=True, metavar="FIELD", help="Only this field; repeatable.")
@click.option("--who", multiple=True, metavar="NAME", help="Only by this person; repeatable.")
@click.option("--since", metavar="WHEN", help="From this date, time or age on, as 2026-11-01 or 7d; in UTC.")
@click.option("--until", metavar="WHEN", help="Up to this date, which is included, or before this time or age.")
@click.option("--json", "form", flag_value="json", help="For tools: an object a line.")
@click.option("--markdown", "form", flag_value="markdown", help="For a comment.")
@html_option
@click.option("--verify", is_flag=True, help="Check every record, and that they make the state; print the head.")
@click.option(
    "--expect", metavar="HEAD", help="With --verify, prove that nothing before this head was altered or dropped."
)
@click.pass_obj
def history(
    common: Common,
    addresses: tuple[str, ...],
    fields: tuple[str, ...],
    who: tuple[str, ...],
    since: str | None,
    until: str | None,
    form: Literal["json", "markdown"] | None,
    html: str | None,
    expect: str | None,
    *,
    verify: bool,
) -> int:
    """Show who changed which field from what to what, when, and what came of it; the newest change last."""
    from planner.clock import Clock
    from planner.commands import history as command

    if expect is not None and not verify:
        raise click.UsageError("--expect goes with --verify.", click.get_current_context())
    if html is not None and verify:
        raise click.UsageError("--html does not go with --verify; the page tells too.", click.get_current_context())
    path, terminal = _open(common).state_path, common.terminal()
    if verify:
        return command.verify(path, expect, terminal)
    asked = command.Asked(addresses, fields, who, since, until, form or "text", html)
    return command.show(path, asked, terminal, Clock())


@cli.group("state")
def state_() -> None:
    """Look after the state."""


@state_.command("list", short_help="List the addresses in the state.")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=complete_address)
@click.pass_obj
def list_(common: Common, patterns: Sequence[str]) -> int:
    """List the addresses in the state: all, or those that are like a PATTERN, as *.growth_?."""
    from fnmatch import fnmatchcase

    snapshot = _read_state(common)
    found = (a for a in sorted(snapshot.resources) if not patterns or any(fnmatchcase(a, p) for p in patterns))
    common.terminal().out("".join(f"{address}\n" for address in found))
    return 0


@state_.command("show", short_help="Show what the state knows of an address.")
@click.argument("address", shell_complete=complete_address)
@json_option
@click.pass_obj
def show_(common: Common, address: str, *, is_json: bool) -> int:
    """Show what the state knows of an address: what the API returned last, and what it accepted besides."""
    from planner.commands.state import check_known
    from planner.render import state as render
    from state.values import Address

    snapshot, terminal, known = _read_state(common), common.terminal(), Address(address)
    check_known(snapshot, [known])
    if is_json:
        from planner.render import terraform

        _print_json(common, terraform.resource(known, snapshot.resources[known]))
    else:
        terminal.out(render.resource(known, snapshot.resources[known], terminal.out_style))
    return 0


@state_.command(short_help="Give a resource another address.")
@click.argument("old", metavar="FROM", shell_complete=complete_address)
@click.argument("new", metavar="TO", shell_complete=complete_address)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def mv(common: Common, old: str, new: str, *, dry_run: bool) -> int:
    """Let what the state knows of the address FROM be known of TO. The remote stays as it is."""
    from planner.commands.state import move
    from state.values import Address

    run = _start_run(common)
    return move(run, common.terminal(), Address(old), Address(new), is_dry_run=dry_run)


@state_.command(short_help="Drop addresses from the state.")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...", shell_complete=complete_address)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def rm(common: Common, addresses: Sequence[str], *, dry_run: bool) -> int:
    """Drop addresses from the state. The remote stays as it is."""
    from planner.commands.state import remove

    run = _start_run(common)
    return remove(run, common.terminal(), _addresses(addresses), is_dry_run=dry_run)


@state_.command(short_help="Make the state file anew from its journal.")
@click.pass_obj
def rebuild(common: Common) -> int:
    """Make the state file anew from its journal, when the file is damaged or lost."""
    from state import store

    terminal = common.terminal()
    snapshot = store.rebuild(_open(common).state_path)
    terminal.out(f"Rebuilt: {len(snapshot.resources)} resources, serial {snapshot.serial}, head {snapshot.head}.\n")
    terminal.warn_of_unresolved(snapshot)
    return 0


@cli.command(short_help="Print a JSON Schema of the files, for editors, or of an output.")
@click.argument(
    "output",
    required=False,
    metavar="[OUTPUT]",
    type=click.Choice(["validate", "plan", "apply", "show", "audit", "history"]),
)
@click.pass_obj
def schema(common: Common, output: str | None) -> int:
    """Print the JSON Schema of statform.toml and definition files, for editors.

    With an OUTPUT (validate, plan, apply, show, audit or history), that of what the command prints with --json.
    """
    from planner.definitions.schema import build_schema, schema_text

    if output is None:
        found = build_schema()
    else:
        from planner.render.schemas import output_schema

        found = output_schema(output)
    common.terminal().out(schema_text(found))
    return 0


@cli.command(short_help="Print what makes a shell complete statform's commands.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def completion(common: Common, shell: str) -> int:
    """Print what makes a shell complete commands, options and addresses.

    In ~/.bashrc that is: eval "$(statform completion bash)".
    """
    from click.shell_completion import get_completion_class

    if found := get_completion_class(shell):
        common.terminal().out(found(cli, {}, "statform", "_STATFORM_COMPLETE").source())
    return 0


@cli.command(short_help="Serve a Console API on loopback, to try statform.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port to listen on; 0, the default, picks a free one.",
)
@click.option("--data", type=click.Path(dir_okay=False), help="JSON file with the sources, kept up to date.")
@click.option("--latency", type=click.IntRange(0), default=0, metavar="MS", help="Delay each answer by so many ms.")
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
@click.option("--hide-log", is_flag=True, help="Refuse the audit log, as to a key that may not read it.")
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
) -> int:
    """Serve a Console API on loopback, to try statform and to test against.

    Without --data it starts with a source for each definition of the project, as if somebody had just made them.
    """
    from pathlib import Path

    try:
        from planner.emulator import api
    except ImportError as error:
        raise click.ClickException(f"{error}; the emulator is an extra: pip install 'statform[emulator]'") from None
    sources = {}
    if data is None and os.path.exists(os.path.join(common.directory, "statform.toml")):
        sources = api.sources_for(_open(common).definitions.resources.values())
    limits = (per_10_seconds, per_15_minutes)
    file = None if data is None else Path(data)
    api.serve(api.EmulatorOptions(port, file, latency, *limits, omit, log, hide_log, sources))
    return 0


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code. No error leaves this function."""
    common = Common()
    try:
        code = cli.main(list(arguments), prog_name="statform", standalone_mode=False, obj=common)
        return code if isinstance(code, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        if common.stream is not None:
            from planner.errors import Interrupted

            common.stream.show_error(Interrupted())
        else:
            click.echo("\nInterrupted.", err=True)
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 1
    except click.ClickException as error:
        _say_escaped(common, f"Error: {error.format_message()}")
        if isinstance(error, click.UsageError):
            # What the parser of options finds wrong comes without a context.
            click.echo(f"Try: {error.ctx.command_path if error.ctx else 'statform'} --help", err=True)
        return 1
    except Exception as error:  # noqa: BLE001 - what is no error of ours is a defect, and told as one
        from planner.errors import PlannerError
        from state.errors import StateError

        if isinstance(error, OSError):
            # Of files we speak where they are used. This is the help, say, on a full disk.
            error = PlannerError(str(error))
        if not isinstance(error, PlannerError | StateError):
            _show_defect(common, error)
            return 1
        common.terminal().show_error(error)
        return error.exit_code


def _say_escaped(common: Common, lines: str) -> None:
    from planner.escape import escape

    common.terminal().say("\n".join(escape(line.replace("\t", "    ")) for line in lines.split("\n")))


def _show_defect(common: Common, error: Exception) -> None:
    """Where statform itself failed. What the errors say is shown only without the key, which may be part of it."""
    import traceback

    try:
        from planner.console.client import read_key
        from planner.errors import UsageError

        try:
            key = read_key(os.environ)
        except UsageError:
            key = None
        text = "".join(traceback.format_exception(error))
        told = text if key is None else key.hide(text)
    except Exception:  # noqa: BLE001 - it is of no use to fail while telling of a failure
        told = f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"
    told = f"a defect of statform; please report it, with these lines:\n{told.rstrip()}"
    if common.stream is None:
        _say_escaped(common, f"Error: {told}")
        return
    from planner.errors import PlannerError

    common.stream.show_error(PlannerError(told))


def _start_run(
    common: Common, base_url: str = BASE_URL, project: Project | None = None, *, is_dry_run: bool = False
) -> Run:
    """A run of this process, which from here on nobody else can look into: it has the key, and starts programs."""
    from planner import Run, process

    process.forbid_looks()
    return Run(project or _open(common), base_url, common.terminal(), is_dry_run=is_dry_run)


def _open(common: Common) -> Project:
    from planner import open_project

    return open_project(common.directory, common.environment)


def _summarise(text: str) -> None:
    """Add to the summary of the workflow's job, where GitHub asks for one."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)


def _load_plan(path: str) -> SavedPlan:
    from planner.errors import UsageError
    from planner.plan.saved import MOST_BYTES, load_plan

    try:
        with open(path, "rb") as file:
            return load_plan(file.read(MOST_BYTES), path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _read_state(common: Common) -> Snapshot:
    snapshot = _open(common).read_state()
    common.terminal().warn_of_unresolved(snapshot)
    return snapshot


def _addresses(targets: Sequence[str]) -> tuple[Address, ...]:
    from state.values import Address

    return tuple(map(Address, targets))


def _limit(text: str | None) -> int | str | None:
    """`--max-changes` as a setting: a count, or a share that keeps its percent sign."""
    if text is None:
        return None
    digits = text.removesuffix("%")
    if not (digits.isascii() and digits.isdecimal()):
        what = f'{text} is neither a count such as 20 nor a share such as "30%".'
        raise click.BadParameter(what, click.get_current_context(), param_hint="'--max-changes'")
    return text if text.endswith("%") else int(text)
