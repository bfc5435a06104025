"""`statform apply`: recover, plan, ask, check, send, report."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import define, evolve, frozen

from planner import pacing
from planner.apply import World, apply_plan
from planner.audit import find_conflicts
from planner.commands.forms import ForPeople, ForTools
from planner.commands.run import Run
from planner.errors import Interrupted, PlanRefused, Refusal, RemoteChanged
from planner.order import dry_requests
from planner.plan import Plan, build_plan, check_limit
from planner.planfile import SavedPlan, check_equal, check_origin
from planner.render import escape
from planner.report import Report
from planner.resources import type_of
from state import journal, store
from state.errors import StateError
from state.records import Begin
from state.snapshot import Snapshot
from state.store import Session
from state.values import Address


@frozen
class Options:
    """What `statform apply` was asked for; `max_changes` overrides the project's own, `saved` is a plan from `path`."""

    targets: Sequence[Address]
    max_changes: int | str | None
    is_approved: bool
    checks_drift: bool
    saved: SavedPlan | None = None
    path: str = ""


@define
class Apply:
    """One `statform apply`."""

    run: Run
    options: Options
    form: ForPeople | ForTools

    def apply(self) -> int:
        """Show the plan, ask for approval, send the changes, write the state; the exit code."""
        with self.run.interrupts.caught():
            if self.run.is_dry_run:
                return self._try_out(store.read(self.run.state_path))
            with self.run.open_state("apply") as session:
                return self._apply(session)

    def _try_out(self, snapshot: Snapshot) -> int:
        self.run.terminal.warn_of_unresolved(snapshot)
        plan = self._plan(snapshot)
        plan = evolve(plan, requests=dry_requests(plan.actions))
        if not plan.changes:
            self.form.nothing_to_do()
            return 0
        self._check_drift(plan)
        return self._tell(apply_plan(plan, self.run.connect(), self._world(None)))

    def _apply(self, session: Session) -> int:
        saved = self.options.saved
        if saved is not None:
            self._refuse_used(saved)
        self.run.resolve_unknown(session)
        snapshot = session.snapshot
        if saved is not None:
            check_origin(saved, snapshot, self.run.definitions, self.run.base_url, self.options.path)
        plan = self._plan(snapshot)
        if not plan.changes:
            session.commit("ok")
            self.form.nothing_to_do()
            return 0
        limit = self.options.max_changes
        check_limit(plan, self.run.definitions.settings.max_changes if limit is None else limit)
        client = self.run.connect()
        # Who made the plan and kept it has looked at it.
        if not self.options.is_approved and saved is None:
            where = escape(self.run.base_url + (f", through the proxy {client.proxy}" if client.proxy else ""))
            self.run.ask(f"Do you want to perform these actions at {where}?", "nothing was sent")
        session.probe()
        self._check_drift(plan)
        session.record(self.run.begin(plan.digest))
        # A run can take hours, and each request leaves some garbage; what was loaded before is none.
        gc.freeze()
        gc.enable()
        report = apply_plan(plan, client, self._world(session))
        return self._tell(report, self._commit(session, report))

    def _refuse_used(self, saved: SavedPlan) -> None:
        path = self.run.state_path
        chain = store.read_journal(path)
        begun = () if chain is None else (r for _, r in journal.entries(chain) if isinstance(r, Begin))
        digest = saved.plan.digest
        at = next((record.at for record in begun if record.plan == digest), None)
        if at is not None:
            raise PlanRefused(self.options.path, Refusal.USED, f"at {at}")

    def _plan(self, snapshot: Snapshot) -> Plan:
        plan = build_plan(self.run.definitions, snapshot, self.options.targets)
        if self.options.saved is not None:
            check_equal(self.options.saved, plan, self.options.path)
        seconds = pacing.duration_s(self.run.definitions.settings.windows, (), 0.0, len(plan.requests))
        self.form.plan(plan, seconds)
        return plan

    def _check_drift(self, plan: Plan) -> None:
        if plan.requests and self.options.checks_drift:
            types = {type_.name: type_ for type_ in (type_of(request.address) for request in plan.requests)}
            remote = self.run.list_remote(types.values())
            if conflicts := find_conflicts(plan, self.run.definitions, remote):
                raise RemoteChanged(conflicts)

    def _world(self, session: Session | None) -> World:
        return World(
            record=session.record if session else lambda _record: None,
            notify=self.form.event,
            shield=self.run.interrupts.shield,
            clock=self.run.clock,
            windows=self.run.definitions.settings.windows,
            sent_at=self._sent_at(session) if session else [],
        )

    def _sent_at(self, session: Session) -> list[float]:
        """The monotonic times of the last 15 minutes' requests, from the journal's times of day."""
        now, monotonic = self.run.clock.now(), self.run.clock.monotonic()
        since = (now - timedelta(minutes=15)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        times = [datetime.fromisoformat(at.replace("Z", "+00:00")) for at in session.intents_since(since)]
        return sorted(monotonic - max(0.0, (now - at).total_seconds()) for at in times)

    def _commit(self, session: Session, report: Report) -> StateError | None:
        is_interrupted = isinstance(report.stopped_by, Interrupted)
        try:
            with self.run.interrupts.shield():
                session.commit("interrupted" if is_interrupted else "failed" if report.exit_code else "ok")
        except StateError as error:
            return error
        except Interrupted:
            # It came when all was done, and ends nothing.
            return None
        return None

    def _tell(self, report: Report, failure: StateError | None = None) -> int:
        errors = dict.fromkeys(error for error in (report.stopped_by, failure) if error is not None)
        code = report.exit_code or (failure.exit_code if failure else 0)
        self.form.report(report, [*errors], code)
        return code
