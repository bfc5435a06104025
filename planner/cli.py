"""The command line: options in, calls to the rest, text and an exit code out.

Results go to stdout; progress, warnings and errors to stderr. Exit codes: 0 success, 1 an error, 2 differences, 3 the
API could not be used, 130 interrupted. A command imports what it needs when it runs: `plan` never loads httpx.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

import click
from attrs import define

from planner import __version__
from planner.errors import DefinitionError, Interrupted, PlanError, PlannerError, RemoteChanged, UsageError
from state.errors import StateError
from state.records import Address

if TYPE_CHECKING:
    from planner.apply import World
    from planner.client import Client
    from planner.clock import Clock
    from planner.definitions import Definitions
    from planner.diff import Verb
    from planner.interrupts import Interrupts
    from planner.plan import Plan
    from planner.render import Style
    from planner.report import Event, Report
    from state.records import Begin
    from state.snapshot import Snapshot
    from state.store import Session

BASE_URL = "https://statsigapi.net"
_F = TypeVar("_F", bound=Callable[..., Any])


@define
class Common:
    """The options that every command has, before its name or after it."""

    directory: Path = Path()
    color: str = "auto"

    def style(self, stream: TextIO) -> Style:
        from planner.render import Style

        is_terminal = stream.isatty()
        wants_none = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        is_coloured = self.color == "always" or (self.color == "auto" and is_terminal and not wants_none)
        width = None
        if is_terminal:
            import shutil

            width = shutil.get_terminal_size().columns
        return Style(width, is_coloured)


def _set_common(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def set_(context: click.Context, _parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click's own type
        if value is not None:
            setattr(context.ensure_object(Common), name, value)

    return set_


def common(command: _F) -> _F:
    """Give a command the options that all have."""
    for option in (
        click.option(
            "-C",
            "--chdir",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            metavar="DIR",
            expose_value=False,
            callback=_set_common("directory"),
            help="Work in the project at DIR.",
        ),
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            expose_value=False,
            callback=_set_common("color"),
            help="Colour: when stdout is a terminal (auto, the default), always or never.",
        ),
    ):
        command = option(command)
    return command


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
targets_option = click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="ADDRESS",
    help="Only this address and what it depends on; repeatable.",
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


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__, message="statform %(version)s")
@common
def cli() -> None:
    """Plan and apply a Statsig project's assignment sources from TOML, as Terraform does for a cloud account."""


@cli.command()
@common
@click.pass_obj
def init(options: Common) -> int:
    """Make a new project: statform.toml, an example definition, .gitignore entries."""
    from planner import project

    for name in project.create(options.directory):
        _say(f"wrote {name}")
    _out("\nNext: describe your sources in definitions/, then run\n  statform validate\n  statform plan\n")
    return 0


@cli.command()
@common
@click.pass_obj
def validate(options: Common) -> int:
    """Check the definitions, offline."""
    definitions = _load(options)
    count = len(definitions.resources)
    _out(f"{options.style(sys.stdout).green('Valid:')} {count} definition{'' if count == 1 else 's'}.\n")
    return 0


@cli.command()
@targets_option
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when the plan has changes.")
@common
@click.pass_obj
def plan(options: Common, targets: Sequence[str], *, detailed_exitcode: bool) -> int:
    """Compare the definitions with the state, field by field. Offline, and without a key."""
    from planner.plan import build_plan
    from state import store

    definitions = _load(options)
    snapshot = store.read(options.directory / definitions.settings.state)
    _warn_of_unresolved(snapshot, options)
    found = build_plan(definitions, snapshot, _addresses(targets))
    _show_plan(found, definitions, options)
    return 2 if detailed_exitcode and found.changes else 0


@cli.command()
@targets_option
@click.option("--auto-approve", is_flag=True, help="Don't ask for approval.")
@click.option("--dry-run", is_flag=True, help="Let the API check every change, and change nothing.")
@click.option("--no-check-drift", is_flag=True, help="Don't list the remote first, to find what others changed.")
@click.option("--max-changes", metavar="N|P%", help='Allow as many changes: a count, or a share such as "30%".')
@base_url_option
@common
@click.pass_obj
def apply(
    options: Common,
    targets: Sequence[str],
    base_url: str,
    max_changes: str | None,
    *,
    auto_approve: bool,
    dry_run: bool,
    no_check_drift: bool,
) -> int:
    """Show the plan, ask for approval, send the changes, write the state."""
    from planner.clock import Clock
    from planner.interrupts import Interrupts
    from planner.plan import check_limit
    from state import store

    run = _Run(options, _load(options), Clock(), Interrupts(), base_url, is_dry_run=dry_run)
    limit = _limit(max_changes) or run.definitions.settings.max_changes
    path = options.directory / run.definitions.settings.state
    with run.interrupts.caught():
        if dry_run:
            snapshot = store.read(path)
            _warn_of_unresolved(snapshot, options)
            plan = run.plan(snapshot, _addresses(targets))
            return run.send(plan, None, check_drift=not no_check_drift) if plan.changes else 0
        with store.open(path, "apply", now=run.clock.timestamp) as session:
            run.resolve_unknown(session)
            plan = run.plan(session.snapshot, _addresses(targets))
            if not plan.changes:
                session.commit("ok")
                return 0
            check_limit(plan, limit)
            if plan.requests:
                run.connect()
            if not auto_approve:
                _approve(base_url)
            return run.send(plan, session, check_drift=not no_check_drift)


@define
class _Run:
    """An apply at the command line: what its steps share."""

    options: Common
    definitions: Definitions
    clock: Clock
    interrupts: Interrupts
    base_url: str
    is_dry_run: bool
    client: Client | None = None

    def connect(self) -> Client:
        """The client; made when it is first needed, since a plan that changes nothing needs no key."""
        from planner.client import Client, read_key

        if self.client is None:
            self.client = Client(
                self.base_url,
                read_key(os.environ),
                self.clock,
                respect_review_settings=self.definitions.settings.respect_review_settings,
                is_dry_run=self.is_dry_run,
            )
        return self.client

    def plan(self, snapshot: Snapshot, targets: Sequence[Address]) -> Plan:
        from planner.plan import build_plan

        found = build_plan(self.definitions, snapshot, targets)
        _show_plan(found, self.definitions, self.options)
        return found

    def resolve_unknown(self, session: Session) -> None:
        """Find out what became of the requests that an earlier run left open."""
        from planner.resolve import resolve

        if session.unresolved:
            _say(f"finding out what became of {', '.join(session.unresolved)} …")
            for resolved in resolve(tuple(session.unresolved.values()), self.connect(), self.clock):
                with self.interrupts.shield():
                    session.record(resolved)
                _say(f"{resolved.address}: {resolved.verdict}")

    def send(self, plan: Plan, session: Session | None, *, check_drift: bool) -> int:
        """Carry the plan out, in the session or as a dry run, and report; the exit code."""
        from attrs import evolve

        from planner.apply import apply_plan
        from planner.order import dry_requests

        if session is None:
            plan = evolve(plan, requests=dry_requests(plan.actions))
        else:
            session.probe()
        client = self.connect()
        if check_drift and plan.requests:
            self._check_drift(plan, client)
        if session is not None:
            session.record(self._begin(plan))
        report = apply_plan(plan, client, self._world(plan, session))
        failure = self._commit(session, report)
        self._tell(report, failure)
        return failure.exit_code if failure and report.exit_code == 0 else report.exit_code

    def _check_drift(self, plan: Plan, client: Client) -> None:
        from planner.audit import find_conflicts
        from planner.resources import RESOURCE_TYPES

        types = {request.address.partition(".")[0] for request in plan.requests}
        remote = {name: client.list(RESOURCE_TYPES[name]) for name in sorted(types)}
        if conflicts := find_conflicts(plan, self.definitions, remote):
            raise RemoteChanged(conflicts)

    def _begin(self, plan: Plan) -> Begin:
        import getpass

        from planner import project
        from state.records import Begin

        try:
            who = getpass.getuser()
        except (KeyError, OSError):
            who = f"uid {os.getuid()}"
        commit = project.commit(self.options.directory)
        return Begin(plan.digest, who, os.uname().nodename, __version__, commit, self.clock.timestamp())

    def _world(self, plan: Plan, session: Session | None) -> World:
        from planner.apply import World

        return World(
            record=session.record if session else lambda _record: None,
            notify=_Progress({action.address: action.verb for action in plan.actions}, self.options).tell,
            shield=self.interrupts.shield,
            clock=self.clock,
            windows=self.definitions.settings.windows,
            sent_at=self._sent_at(session) if session else [],
        )

    def _sent_at(self, session: Session) -> list[float]:
        """The monotonic times of the last 15 minutes' requests, from the journal's times of day."""
        from datetime import datetime, timedelta

        now, monotonic = self.clock.now(), self.clock.monotonic()
        since = (now - timedelta(minutes=15)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        times = [datetime.fromisoformat(at.replace("Z", "+00:00")) for at in session.intents_since(since)]
        return sorted(monotonic - max(0.0, (now - at).total_seconds()) for at in times)

    def _commit(self, session: Session | None, report: Report) -> StateError | None:
        if session is None:
            return None
        is_interrupted = isinstance(report.stopped_by, Interrupted)
        try:
            with self.interrupts.shield():
                session.commit("interrupted" if is_interrupted else "failed" if report.exit_code else "ok")
        except StateError as error:
            return error
        return None

    def _tell(self, report: Report, failure: StateError | None) -> None:
        import json

        from planner.render import text
        from state.records import to_json

        _out(text.report(report, self.options.style(sys.stdout), is_dry_run=self.is_dry_run))
        if report.unstored is not None:
            _say("The journal could not take this answer of the API, so that it is shown here:")
            _say(json.dumps(to_json(report.unstored)))
        if report.stopped_by is not None:
            _show_error(report.stopped_by, self.options)
        if failure is not None and failure is not report.stopped_by:
            _show_error(failure, self.options)


@define
class _Progress:
    """Progress lines on stderr; on a terminal a countdown stays in one line."""

    verbs: dict[Address, Verb]
    options: Common
    is_counting: bool = False
    why: str = ""

    def tell(self, event: Event) -> None:
        from planner.render import text
        from planner.report import Waiting

        line = text.progress(event, self.verbs, self.options.style(sys.stderr))
        is_waiting = isinstance(event, Waiting)
        if sys.stderr.isatty():
            _say(("\r\x1b[K" if self.is_counting else "") + line, end="" if is_waiting else "\n")
            self.is_counting = is_waiting
        elif not isinstance(event, Waiting):
            self.why = ""
            _say(line)
        elif event.why != self.why:
            self.why = event.why
            _say(line)


@cli.group("state")
@common
def state_() -> None:
    """Look after the state."""


@state_.command()
@common
@click.pass_obj
def rebuild(options: Common) -> int:
    """Make the state file anew from its journal, when the file is damaged or lost."""
    from state import store

    snapshot = store.rebuild(options.directory / _load(options).settings.state)
    _out(f"Rebuilt: {len(snapshot.resources)} resources, serial {snapshot.serial}, head {snapshot.head}.\n")
    _warn_of_unresolved(snapshot, options)
    return 0


@cli.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; 0, the default, picks a free one."
)
@click.option(
    "--data", type=click.Path(dir_okay=False, path_type=Path), help="JSON file with the sources, kept up to date."
)
@click.option("--latency", type=click.IntRange(0), default=0, metavar="MS", help="Delay each answer by so many ms.")
@click.option(
    "--per-10-seconds", type=click.IntRange(1), default=100, show_default=True, help="Changes allowed in 10 s."
)
@click.option(
    "--per-15-minutes", type=click.IntRange(1), default=900, show_default=True, help="Changes allowed in 15 min."
)
@click.option("--omit", multiple=True, metavar="FIELD", help="Leave the field out of data; repeatable.")
@click.option("--log", is_flag=True, help="Write each request to stderr, without the key.")
@common
@click.pass_obj
def emulator(
    options: Common,
    port: int,
    data: Path | None,
    latency: int,
    per_10_seconds: int,
    per_15_minutes: int,
    omit: tuple[str, ...],
    *,
    log: bool,
) -> int:
    """Serve a Console API on loopback, to try statform and to test against.

    Without --data it starts with a source for each definition of the project, as if somebody had just made them.
    """
    try:
        from planner import emulator
    except ImportError as error:
        raise UsageError(f"{error}; the emulator is an extra: pip install 'statform[emulator]'") from None
    sources = {}
    if data is None and (options.directory / "statform.toml").exists():
        sources = emulator.sources_for(_load(options).resources.values())
    limits = (per_10_seconds, per_15_minutes)
    emulator.serve(emulator.EmulatorOptions(port, data, latency, *limits, omit, log, sources))
    return 0


def main() -> NoReturn:
    """The command `statform`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code. No error leaves this function."""
    options = Common()
    try:
        code = cli.main(list(arguments), prog_name="statform", standalone_mode=False, obj=options)
        return code if isinstance(code, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        _say("\nInterrupted.")
        return Interrupted.exit_code
    except click.ClickException as error:
        _say(f"Error: {error.format_message()}")
        if isinstance(error, click.UsageError) and error.ctx:
            _say(f"Try: {error.ctx.command_path} --help")
        return 1
    except (PlannerError, StateError) as error:
        _show_error(error, options)
        return error.exit_code


def _load(options: Common) -> Definitions:
    from planner import definitions, project

    return definitions.parse(project.read(options.directory))


def _addresses(targets: Sequence[str]) -> list[Address]:
    return [Address(target) for target in targets]


def _limit(text: str | None) -> int | str | None:
    """`--max-changes` as a setting: a count, or a share that keeps its percent sign."""
    if text is None:
        return None
    digits = text.removesuffix("%")
    if not (digits.isascii() and digits.isdecimal()):
        raise UsageError(f'--max-changes {text}: a count such as 20, or a share such as "30%", belongs there')
    return text if text.endswith("%") else int(text)


def _show_plan(plan: Plan, definitions: Definitions, options: Common) -> None:
    from planner import pacing
    from planner.render import text

    _out(text.plan(plan, options.style(sys.stdout)))
    seconds = pacing.duration_s(definitions.settings.windows, (), 0.0, len(plan.requests))
    if seconds > 0:
        _out(text.duration(seconds, len(plan.requests)))


def _warn_of_unresolved(snapshot: Snapshot, options: Common) -> None:
    if snapshot.unresolved:
        warning = options.style(sys.stderr).yellow("Warning:")
        _say(f"{warning} nobody knows yet what became of the last request for {', '.join(snapshot.unresolved)}.")
        _say("The next apply finds out before it does anything; until then this plan may be wrong there.")


def _approve(base_url: str) -> None:
    from planner.render import escape

    if not sys.stdin.isatty():
        raise UsageError("nobody is there to approve: stdin is no terminal. Use --auto-approve to apply without asking")
    _say(f"\nDo you want to perform these actions at {escape(base_url)}? Only 'yes' is an approval.")
    _say("  Enter a value: ", end="")
    if sys.stdin.readline().strip() != "yes":
        raise UsageError("not approved; nothing was sent")


def _show_error(error: PlannerError | StateError, options: Common) -> None:
    from planner.render import escape, text

    style = options.style(sys.stderr)
    if isinstance(error, DefinitionError | PlanError | RemoteChanged):
        _say(text.diagnostics(error.diagnostics, style), end="")
        count = len(error.diagnostics)
        _say(f"\n{count} error{'' if count == 1 else 's'}; nothing was changed.")
    else:
        first, *rest = str(error).split("\n")
        _say("\n".join([style.red("Error: ") + escape(first), *map(escape, rest)]))


def _out(text: str) -> None:
    """Write a result to stdout. Who closed it (`| head -1`) has seen enough: that ends nothing."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str, end: str = "\n") -> None:
    """Write to stderr; whether anybody reads it changes nothing."""
    with suppress(OSError):
        sys.stderr.write(text + end)
        sys.stderr.flush()
