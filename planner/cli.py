"""click's declarations of the commands, and the boundary at which every error becomes text and an exit code.

Results go to stdout; progress, warnings and errors to stderr. Exit codes: 0 success, 1 an error, 2 differences, 3 the
API or the state could not be reached or is in use, 130 interrupted.

What is imported late, here and nowhere below `commands` without a reason beside it: a command's own file, when that
command runs. So `--help`, `--version` and a completed word load no wing, and `plan` never loads httpx.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from planner.console.api import BASE_URL
from planner.version import __version__

if TYPE_CHECKING:
    from planner.commands.common import Invocation


class Common:
    """The options that every command has, before its name or after it."""

    def __init__(self) -> None:
        self.directory = ""
        self.color = "auto"
        self.environment = os.environ.get("STATFORM_ENV") or None
        self.is_in_workflow = False
        self.actor: str | None = None
        self.patience_s: float | None = None
        self.asserted_project: str | None = None
        self._invocation: Invocation | None = None

    def invocation(self) -> Invocation:
        """What a command is given; it is made once the options are read, and is the same from then on."""
        if self._invocation is None:
            from planner.commands.common import Invocation
            from planner.output import Terminal

            terminal = Terminal(self.color, self._place_in_repository() if self.is_in_workflow else None)
            self._invocation = Invocation(
                self.directory,
                self.environment,
                terminal,
                is_in_workflow=self.is_in_workflow,
                actor=self.actor,
                patience_s=self.patience_s,
                asserted_project=self.asserted_project,
            )
        return self._invocation

    def _place_in_repository(self) -> str:
        # Either may be named through a link: GitHub drops an annotation whose path leads out of the workspace.
        workspace = os.path.realpath(os.environ.get("GITHUB_WORKSPACE") or ".")
        return os.path.relpath(os.path.realpath(self.directory or "."), workspace)


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


def complete_type(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The types that a shell offers."""
    from planner.definitions.resources import RESOURCE_TYPES

    return [name for name in RESOURCE_TYPES if name.startswith(incomplete)]


experiments_option = click.option(
    "--no-check-experiments",
    is_flag=True,
    help="Don't list the experiments, to find which of them read what changes.",
)
targets_option = click.option(
    "--target",
    "targets",
    multiple=True,
    shell_complete=complete_address,
    metavar="WHICH",
    help="Only this address, key or pattern, as *_v2, and what it depends on; repeatable.",
)
excludes_option = click.option(
    "--exclude",
    "excludes",
    multiple=True,
    shell_complete=complete_address,
    metavar="WHICH",
    help="Not this address, key or pattern, nor what depends on it; repeatable.",
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

actor_option = click.option(
    "--actor",
    metavar="NAME",
    expose_value=False,
    callback=_set_common("actor"),
    help="Who asks for it, for the journal; else as the CI's own variables say.",
)
project_option = click.option(
    "--project",
    metavar="ID",
    expose_value=False,
    callback=_set_common("asserted_project"),
    help="The key's Statsig project, where it can't be read or is not the one that the state was made with.",
)


def _set_patience(context: click.Context, _parameter: click.Parameter, text: str | None) -> None:
    if text is None:
        return
    digits, unit = text.rstrip("sm"), text[-1:]
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 8 and text in (digits, digits + unit)):
        raise click.BadParameter(f"{text} is no time such as 90s or 5m.")
    context.ensure_object(Common).patience_s = int(digits) * (60.0 if unit == "m" else 1.0)


lock_timeout_option = click.option(
    "--lock-timeout",
    metavar="TIME",
    expose_value=False,
    callback=_set_patience,
    help="Wait so long for another run on the state, as 90s or 5m.",
)


@click.group(cls=_Group, context_settings=_SETTINGS)
@click.version_option(__version__, message="statform %(version)s")
def cli() -> None:
    """Plan and apply the sources of a Statsig project's warehouse from TOML, as Terraform does for a cloud account."""


@cli.command(short_help="Make a new project.")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    shell_complete=complete_type,
    help="With an example of this type; repeatable. Without it, of an assignment source.",
)
@click.pass_obj
def init(common: Common, types: Sequence[str]) -> int:
    """Make a new project: statform.toml, an example definition, what editors need, .gitignore entries."""
    from planner.commands import init as command

    return command.init(common.invocation(), types)


github_option = click.option(
    "--github",
    is_flag=True,
    expose_value=False,
    callback=_set_in_workflow,
    help="In GitHub Actions, show errors beside their lines, and a plan in the job's summary.",
)


def _form(*, is_json: bool, is_markdown: bool) -> Literal["text", "json", "markdown"]:
    """How a command that has both options shows its result."""
    if is_json and is_markdown:
        raise click.UsageError("--json and --markdown exclude each other.", click.get_current_context())
    return "json" if is_json else "markdown" if is_markdown else "text"


json_option = click.option("--json", "is_json", is_flag=True, help="For tools, in the shape of Terraform's.")


@cli.command()
@json_option
@click.option("--strict", "is_strict", is_flag=True, help="Let every warning be an error.")
@github_option
@click.pass_obj
def validate(common: Common, *, is_json: bool, is_strict: bool) -> int:
    """Check the definitions and their queries, offline."""
    from planner.commands import validate as command

    run = command.validate_for_tools if is_json else command.validate
    return run(common.invocation(), is_strict=is_strict)


@cli.command()
@targets_option
@excludes_option
@click.option("--out", type=click.Path(), metavar="FILE", help="Save the plan, for `apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when the plan has changes.")
@click.option("--json", "is_json", is_flag=True, help="For tools, in the shape of Terraform's plan.")
@click.option("--markdown", "is_markdown", is_flag=True, help="For a comment on a pull request.")
@click.option("--summary", "is_summary", is_flag=True, help="Only how many addresses have which fields changed.")
@github_option
@click.option("--refresh", is_flag=True, help="List the remote first, show what drifted, and plan from there.")
@experiments_option
@project_option
@base_url_option
@click.pass_obj
def plan(
    common: Common,
    targets: Sequence[str],
    excludes: Sequence[str],
    out: str | None,
    base_url: str,
    *,
    is_json: bool,
    is_markdown: bool,
    is_summary: bool,
    detailed_exitcode: bool,
    refresh: bool,
    no_check_experiments: bool,
) -> int:
    """Compare the definitions with the state, field by field. Offline and without a key, but for --refresh."""
    from planner.commands import plan as command

    form = _form(is_json=is_json, is_markdown=is_markdown)
    if is_summary and form != "text":
        raise click.UsageError(f"--summary and --{form} exclude each other.", click.get_current_context())
    if refresh and out is not None:
        raise click.UsageError(
            "--out goes with the state as it is: `statform refresh` first.", click.get_current_context()
        )
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
    )


def _limit(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | str | None:
    """`--max-changes` as a setting: a count, or a share that keeps its percent sign."""
    if text is None:
        return None
    digits = text.removesuffix("%")
    if not (digits.isascii() and digits.isdecimal()):
        raise click.BadParameter(f'{text} is neither a count such as 20 nor a share such as "30%".')
    return text if text.endswith("%") else int(text)


@cli.command(short_help="Show the plan, ask for approval, send the changes.")
@click.argument("saved", required=False, metavar="[PLAN]", type=click.Path())
@targets_option
@excludes_option
@click.option("--auto-approve", is_flag=True, help="Don't ask for approval.")
@click.option("--dry-run", is_flag=True, help="Let the API check every change, and change nothing.")
@click.option("--no-check-drift", is_flag=True, help="Let nothing that others changed stop it.")
@click.option(
    "--overwrite",
    "overwrites",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=complete_address,
    help="Undo what others changed there: the plan shows what; repeatable.",
)
@experiments_option
@click.option(
    "--max-changes",
    metavar="N|P%",
    callback=_limit,
    help='Allow as many changes: a count, or a share such as "30%".',
)
@click.option(
    "--allow-deletes",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="With --auto-approve: delete as many.",
)
@click.option("--json", "is_json", is_flag=True, help="Tell it for tools, an event a line; nothing is asked.")
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

    if saved is not None and (targets or excludes or dry_run or overwrites):
        raise click.UsageError(
            "A saved PLAN has its own targets, is no dry run, and overwrites nothing.", click.get_current_context()
        )
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


@cli.command(short_help="Show the state, or a saved plan.")
@click.argument("saved", required=False, metavar="[PLAN]", type=click.Path())
@json_option
@click.pass_obj
def show(common: Common, saved: str | None, *, is_json: bool) -> int:
    """Show the state, resource by resource; or a PLAN that `plan --out` saved."""
    from planner.commands import show as command

    if saved is not None:
        return command.show_plan(common.invocation(), saved, is_json=is_json)
    return command.show_state(common.invocation(), is_json=is_json)


@cli.command("import", short_help="Take sources that are there already into the state.")
@click.argument("address", required=False, shell_complete=complete_address)
@click.argument("name", required=False)
@click.option(
    "--all", "everything", is_flag=True, help="Every source that the state lacks; defines what nothing defines."
)
@click.option(
    "--match", "patterns", multiple=True, metavar="PATTERN", help="With --all, only names like *_v2; repeatable."
)
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    shell_complete=complete_type,
    help="With --all, only this type; repeatable. Without it the types in use, or all.",
)
@click.option("--out", metavar="FILE", help="Write new definitions to FILE, which must not be there yet.")
@click.option("--by", type=click.Choice(["team", "tag"]), help="With --all, a file for each team, or each first tag.")
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
    dry_run: bool,
) -> int:
    """Take the source NAME into the state at ADDRESS, or with --all every source of the project."""
    from planner.commands.import_ import ImportOptions, import_everything, import_one
    from state.values import Address

    if everything == (address is not None) or (address is None) != (name is None):
        raise click.UsageError("Give an ADDRESS and a NAME, or --all.", click.get_current_context())
    if not everything and (patterns or types or dry_run or by):
        raise click.UsageError("--match, --type, --by and --dry-run go with --all.", click.get_current_context())
    if by and (out is not None or common.environment is not None):
        why = "an import with --env goes into the file of the environment" if out is None else "--out is one file"
        raise click.UsageError(f"--by makes a file for each {by}, and {why}.", click.get_current_context())
    run, output = common.invocation().start_run(base_url), common.invocation().output
    if address is None or name is None:
        return import_everything(run, output, ImportOptions(patterns, types, out, by, is_dry_run=dry_run))
    return import_one(run, output, Address(address), name, out)


@cli.command(short_help="Take what moved at the remote into the state.")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...", shell_complete=complete_address)
@click.option("--auto-approve", is_flag=True, help="Don't ask for approval.")
@click.option("--write", "writes", is_flag=True, help="First take it into the definitions, in place.")
@click.option(
    "--allow-gone",
    type=click.IntRange(min=0),
    metavar="N",
    help="Drop up to N sources that are gone from the state; by default up to half of them.",
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
    """Show what moved at the remote, ask, and take it into the state, with --write into the definitions too.

    With an ADDRESS, a key or a pattern just what that means.
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


@cli.command(short_help="Show where the remote is not as the state has it.")
@click.option("--definitions", is_flag=True, help="Also say which drift a plan would undo.")
@click.option("--who", is_flag=True, help="Also say who changed it, as far as the project's audit log tells.")
@click.option("--json", "is_json", is_flag=True, help="For tools.")
@click.option("--markdown", "is_markdown", is_flag=True, help="For an issue.")
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

    It changes nothing, and exits with 2 when there is anything to tell.
    """
    from planner.commands.audit import audit_state

    run, output = common.invocation().start_run(base_url), common.invocation().output
    form = _form(is_json=is_json, is_markdown=is_markdown)
    return audit_state(
        run,
        output,
        form,
        html,
        against_definitions=definitions,
        asks_who=who,
        checks_experiments=not no_check_experiments,
    )


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
@click.option("--json", "is_json", is_flag=True, help="For tools: an object a line.")
@click.option("--markdown", "is_markdown", is_flag=True, help="For a comment.")
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
    html: str | None,
    expect: str | None,
    *,
    is_json: bool,
    is_markdown: bool,
    verify: bool,
) -> int:
    """Show who changed which field from what to what, when, and what came of it; the newest change last."""
    from planner.clock import Clock
    from planner.commands import history as command

    if expect is not None and not verify:
        raise click.UsageError("--expect goes with --verify.", click.get_current_context())
    form = _form(is_json=is_json, is_markdown=is_markdown)
    if html is not None and verify:
        raise click.UsageError("--html does not go with --verify; the page tells too.", click.get_current_context())
    if verify and (form != "text" or addresses or fields or who or since is not None or until is not None):
        raise click.UsageError("--verify takes no other option than --expect.", click.get_current_context())
    project, output = common.invocation().open_project(), common.invocation().output
    if verify:
        return command.verify(project.place(), expect, output)
    query = command.Query(addresses, fields, who, since, until, form, html)
    return command.show(project, query, output, Clock())


@cli.group("state")
def state_() -> None:
    """Look after the state."""


@state_.command("list", short_help="List the addresses in the state.")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=complete_address)
@click.pass_obj
def list_(common: Common, patterns: Sequence[str]) -> int:
    """List the addresses in the state: all, or those that are like a PATTERN, as *.growth_?."""
    from planner.commands import state as command

    return command.list_addresses(common.invocation(), patterns)


@state_.command("show", short_help="Show what the state knows of an address.")
@click.argument("address", shell_complete=complete_address)
@json_option
@click.pass_obj
def show_(common: Common, address: str, *, is_json: bool) -> int:
    """Show what the state knows of an address: what the API returned last, and what it accepted besides."""
    from planner.commands import state as command
    from state.values import Address

    return command.show(common.invocation(), Address(address), is_json=is_json)


@state_.command(short_help="Give a resource another address.")
@click.argument("old", metavar="FROM", shell_complete=complete_address)
@click.argument("new", metavar="TO", shell_complete=complete_address)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@actor_option
@lock_timeout_option
@click.pass_obj
def mv(common: Common, old: str, new: str, *, dry_run: bool) -> int:
    """Let what the state knows of the address FROM be known of TO. The remote stays as it is."""
    from planner.commands import state as command
    from state.values import Address

    run, output = common.invocation().start_run(), common.invocation().output
    return command.move(run, output, Address(old), Address(new), is_dry_run=dry_run)


@state_.command(short_help="Drop addresses from the state.")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...", shell_complete=complete_address)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@actor_option
@lock_timeout_option
@click.pass_obj
def rm(common: Common, addresses: Sequence[str], *, dry_run: bool) -> int:
    """Drop addresses from the state. The remote stays as it is."""
    from planner.commands import state as command
    from state.values import Address

    run, output = common.invocation().start_run(), common.invocation().output
    return command.remove(run, output, tuple(map(Address, addresses)), is_dry_run=dry_run)


@state_.command(short_help="Make the state file anew from its journal.")
@lock_timeout_option
@click.pass_obj
def rebuild(common: Common) -> int:
    """Make the state file anew from its journal, when the file is damaged or lost."""
    from planner.commands import state as command

    return command.rebuild(common.invocation())


@state_.command(short_help="Move the state to where several machines share it.")
@actor_option
@lock_timeout_option
@click.pass_obj
def push(common: Common) -> int:
    """Move the state to where STATFORM_STATE says, and let the settings say which state is there.

    Cut short, run it again: it goes on.
    """
    from planner.commands import share as command

    invocation = common.invocation()
    return command.push(invocation.start_run(), invocation.output, invocation.environment)


@state_.command(short_help="Copy a shared state into files.")
@click.option("--to", type=click.Path(dir_okay=False), metavar="FILE", help="The state file; else the project's own.")
@click.pass_obj
def pull(common: Common, to: str | None) -> int:
    """Copy a shared state into two files, byte for byte. They are a copy: the state stays where it is."""
    from planner.commands import share as command

    return command.pull(common.invocation(), to)


@cli.command(short_help="Look for what could be wrong here.")
@base_url_option
@click.pass_obj
def doctor(common: Common, base_url: str) -> int:
    """Look for what could be wrong here, a line for each thing: project, git, state, lock, key and its rights, clock.

    It changes nothing. Exit code 1: something is wrong here; 3: the API can't be reached, or refuses the key.
    """
    from planner.commands import doctor as command

    return command.examine(common.invocation(), base_url)


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
    from planner.commands import schema as command

    return command.schema(common.invocation(), output)


@cli.command(short_help="Print what makes a shell complete statform's commands.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def completion(common: Common, shell: str) -> int:
    """Print what makes a shell complete commands, options and addresses.

    In ~/.bashrc that is: eval "$(statform completion bash)".
    """
    from planner.commands.completion import script

    common.invocation().output.out(script(cli, shell))
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
@click.option("--project", default="emulated", metavar="ID", show_default=True, help="ID of the Statsig project.")
@click.option("--hide-log", is_flag=True, help="Refuse the audit log, as to a key that may not read it.")
@click.option("--ignore-sql", is_flag=True, help="Take a PATCH with sql, and leave the query as it is.")
@click.option("--keep-omitted", is_flag=True, help="Keep the fields that a full update leaves out.")
@click.option(
    "--sql-latency", type=click.IntRange(0), default=0, metavar="MS", help="Milliseconds for a call that carries sql."
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
    """Serve a Console API on loopback, to try statform and to test against.

    Without --data it starts with a source for each definition of the project, as if somebody had just made them.
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


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code. No error leaves this function."""
    common = Common()
    try:
        code = cli.main(list(arguments), prog_name="statform", standalone_mode=False, obj=common)
        return code if isinstance(code, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        common.invocation().output.show_interrupted()
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
        common.invocation().output.show_error(error)
        return error.exit_code


def _say_escaped(common: Common, lines: str) -> None:
    from planner.escape import escape

    shown = (escape(line.replace("\t", "    ")) for line in lines.split("\n"))
    common.invocation().output.say("\n".join(shown))


def _show_defect(common: Common, error: Exception) -> None:
    """Where statform itself failed. What the errors say is shown only without the key, which may be part of it."""
    import traceback

    try:
        from planner.console.key import read_key
        from planner.errors import UsageError

        try:
            key = read_key(os.environ)
        except UsageError:
            key = None
        text = "".join(traceback.format_exception(error))
        told = text if key is None else key.hide(text)
    except Exception:  # noqa: BLE001 - it is of no use to fail while telling of a failure
        told = f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"
    from planner.errors import PlannerError

    told = f"a defect of statform; please report it, with these lines:\n{told.rstrip()}".replace("\t", "    ")
    common.invocation().output.show_error(PlannerError(told))
