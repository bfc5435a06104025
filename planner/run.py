"""An apply as the command line does it: recover, plan, ask, check, send, report."""

from __future__ import annotations

import gc
import getpass
import json
import os
import select
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from attrs import define, evolve, field, frozen

from planner import __version__, pacing, project
from planner.apply import World, apply_plan
from planner.audit import find_conflicts
from planner.client import Client, read_key
from planner.clock import Clock
from planner.definitions import Definitions
from planner.diff import Verb
from planner.errors import Interrupted, RemoteChanged, UsageError
from planner.interrupts import Interrupts
from planner.order import dry_requests
from planner.plan import Plan, build_plan, check_limit
from planner.render import escape, progress, text
from planner.report import Event, Report, Waiting
from planner.resolve import resolve
from planner.resources import type_of
from planner.terminal import Terminal
from state import store
from state.errors import StateError
from state.records import Address, Begin, to_json
from state.snapshot import Snapshot
from state.store import Session


@frozen
class Options:
    """What `statform apply` was asked for; `max_changes` overrides the project's own."""

    directory: Path
    targets: Sequence[Address]
    base_url: str
    max_changes: int | str | None
    is_approved: bool
    is_dry_run: bool
    checks_drift: bool


@define
class Run:
    """One `statform apply`."""

    options: Options
    definitions: Definitions
    terminal: Terminal
    clock: Clock = field(factory=Clock)
    interrupts: Interrupts = field(factory=Interrupts)
    client: Client | None = None

    def apply(self) -> int:
        """Show the plan, ask for approval, send the changes, write the state; the exit code."""
        path = self.options.directory / self.definitions.settings.state
        with self.interrupts.caught():
            if self.options.is_dry_run:
                return self._try_out(store.read(path))
            with store.open(path, "apply", now=self.clock.timestamp) as session:
                return self._apply(session)

    def _try_out(self, snapshot: Snapshot) -> int:
        self.terminal.warn_of_unresolved(snapshot)
        plan = self._plan(snapshot)
        plan = evolve(plan, requests=dry_requests(plan.actions))
        if not plan.changes:
            return 0
        self._check_drift(plan)
        report = apply_plan(plan, self._connect(), self._world(plan, None))
        self._tell(report)
        return report.exit_code

    def _apply(self, session: Session) -> int:
        self._resolve_unknown(session)
        plan = self._plan(session.snapshot)
        if not plan.changes:
            session.commit("ok")
            return 0
        limit = self.options.max_changes
        check_limit(plan, self.definitions.settings.max_changes if limit is None else limit)
        client = self._connect()
        if not self.options.is_approved:
            self._ask()
        session.probe()
        self._check_drift(plan)
        session.record(self._begin(plan))
        # A run can take hours, and each request leaves some garbage; what was loaded before is none.
        gc.freeze()
        gc.enable()
        report = apply_plan(plan, client, self._world(plan, session))
        failure = self._commit(session, report)
        self._tell(report)
        if failure is not None and failure is not report.stopped_by:
            self.terminal.show_error(failure)
        return report.exit_code or (failure.exit_code if failure else 0)

    def _connect(self) -> Client:
        """The client; made when it is first needed, since a plan that changes nothing needs no key."""
        if self.client is None:
            self.client = Client(
                self.options.base_url,
                read_key(os.environ),
                self.clock,
                respect_review_settings=self.definitions.settings.respect_review_settings,
                is_dry_run=self.options.is_dry_run,
            )
        return self.client

    def _resolve_unknown(self, session: Session) -> None:
        """Find out what became of the requests that an earlier run left open."""
        if session.unresolved:
            self.terminal.say(f"finding out what became of {escape(', '.join(session.unresolved))} …")
            for resolved in resolve(tuple(session.unresolved.values()), self._connect(), self.clock):
                with self.interrupts.shield():
                    session.record(resolved)
                self.terminal.say(f"{escape(resolved.address)}: {resolved.verdict}")

    def _plan(self, snapshot: Snapshot) -> Plan:
        plan = build_plan(self.definitions, snapshot, self.options.targets)
        seconds = pacing.duration_s(self.definitions.settings.windows, (), 0.0, len(plan.requests))
        self.terminal.out(text.plan(plan, self.terminal.out_style, seconds))
        return plan

    def _ask(self) -> None:
        if not sys.stdin.isatty():
            raise UsageError(
                "nobody is there to approve: stdin is no terminal. Use --auto-approve to apply without asking"
            )
        url = escape(self.options.base_url)
        try:
            self.terminal.say(f"\nDo you want to perform these actions at {url}? Only 'yes' is an approval.")
            self.terminal.say("  Enter a value: ", end="")
            # Python looks for signals between two calls only: one that came just before the read would wait for a key.
            while not select.select([sys.stdin], [], [], 0.2)[0]:
                pass
            answer = sys.stdin.readline()
        except Interrupted:
            self.terminal.say("")
            raise
        if not answer.endswith("\n"):
            self.terminal.say("")
        if answer.strip() != "yes":
            raise UsageError("not approved; nothing was sent")

    def _check_drift(self, plan: Plan) -> None:
        if plan.requests and self.options.checks_drift:
            types = {type_.name: type_ for type_ in (type_of(request.address) for request in plan.requests)}
            remote = {name: self._connect().list(type_) for name, type_ in types.items()}
            if conflicts := find_conflicts(plan, self.definitions, remote):
                raise RemoteChanged(conflicts)

    def _begin(self, plan: Plan) -> Begin:
        try:
            who = getpass.getuser()
        except (KeyError, OSError):
            who = f"uid {os.getuid()}"
        commit = project.commit(self.options.directory)
        return Begin(plan.digest, who, os.uname().nodename, __version__, commit, self.clock.timestamp())

    def _world(self, plan: Plan, session: Session | None) -> World:
        return World(
            record=session.record if session else lambda _record: None,
            notify=self._progress(plan).tell,
            shield=self.interrupts.shield,
            clock=self.clock,
            windows=self.definitions.settings.windows,
            sent_at=self._sent_at(session) if session else [],
        )

    def _progress(self, plan: Plan) -> _Progress:
        verbs = {action.address: action.verb for action in plan.actions}
        return _Progress(verbs, self.terminal, is_dry_run=self.options.is_dry_run)

    def _sent_at(self, session: Session) -> list[float]:
        """The monotonic times of the last 15 minutes' requests, from the journal's times of day."""
        now, monotonic = self.clock.now(), self.clock.monotonic()
        since = (now - timedelta(minutes=15)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        times = [datetime.fromisoformat(at.replace("Z", "+00:00")) for at in session.intents_since(since)]
        return sorted(monotonic - max(0.0, (now - at).total_seconds()) for at in times)

    def _commit(self, session: Session, report: Report) -> StateError | None:
        is_interrupted = isinstance(report.stopped_by, Interrupted)
        try:
            with self.interrupts.shield():
                session.commit("interrupted" if is_interrupted else "failed" if report.exit_code else "ok")
        except StateError as error:
            return error
        except Interrupted:
            # It came when all was done, and ends nothing.
            return None
        return None

    def _tell(self, report: Report) -> None:
        self.terminal.out(progress.report(report, self.terminal.out_style, is_dry_run=self.options.is_dry_run))
        if report.unstored is not None:
            self.terminal.say("The journal could not take this answer of the API, so that it is shown here:")
            self.terminal.say(json.dumps(to_json(report.unstored)))
        if report.stopped_by is not None:
            self.terminal.show_error(report.stopped_by)


@define
class _Progress:
    """Progress lines on stderr; on a terminal a countdown stays in one line."""

    verbs: Mapping[Address, Verb]
    terminal: Terminal
    is_dry_run: bool
    is_counting: bool = False
    why: str = ""

    def tell(self, event: Event) -> None:
        line = progress.event(event, self.verbs, self.terminal.err_style, is_dry_run=self.is_dry_run)
        is_waiting = isinstance(event, Waiting)
        if sys.stderr.isatty():
            self.terminal.say(("\r\x1b[K" if self.is_counting else "") + line, end="" if is_waiting else "\n")
            self.is_counting = is_waiting
        elif not isinstance(event, Waiting):
            self.why = ""
            self.terminal.say(line)
        elif event.why != self.why:
            self.why = event.why
            self.terminal.say(line)
