"""An apply as a whole: recover, plan, ask, check, send, commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from attrs import define, evolve, frozen

from planner import pacing
from planner.apply.conflicts import find_conflicts
from planner.apply.report import Event, Report
from planner.apply.run import Run
from planner.apply.send import Effects, apply_plan
from planner.audit.experiments import Touched, changes_of_plan
from planner.clock import moment_of
from planner.definitions.addresses import type_of
from planner.errors import Interrupted, PlanRefused, Refusal, RemoteChanged
from planner.plan.build import Plan, build_plan, check_limit
from planner.plan.order import dry_requests
from planner.plan.saved import SavedPlan, check_equal, check_origin
from state import journal, store
from state.errors import StateError
from state.records import Begin
from state.snapshot import Snapshot
from state.store import Session


class Watcher:
    """Who is told what an apply does, and asked; this one lets it happen."""

    def plan(self, plan: Plan, seconds: float) -> None:
        """What is going to be done; its requests take `seconds` at least."""

    def touched(self, touched: Sequence[Touched]) -> None:
        """Who reads what is going to be changed."""

    def approve(self, where: str) -> None:
        """Raise a PlannerError to send nothing; `where` is the API."""

    def event(self, event: Event) -> None:
        """What happens; it is in the journal already."""


@frozen
class ApplyOptions:
    """How to apply.

    With a plan that it `expects`, made before or loaded from a file, only if that is what is to be done still;
    `targets` and `excludes` are those that it was made with. `max_changes` overrides the project's own.
    """

    targets: Sequence[str] = ()
    excludes: Sequence[str] = ()
    max_changes: int | str | None = None
    checks_drift: bool = True
    checks_experiments: bool = True
    expects: Plan | SavedPlan | None = None


Options = ApplyOptions
"""The name that the library has for it."""


def apply_definitions(run: Run, options: ApplyOptions | None = None, watcher: Watcher | None = None) -> Report:
    """Plan, and change the remote and the state to what the project defines; the report tells how far that came.

    Raises:
        StateError: another process has the lock, or the state's files can't be trusted or written; nothing was sent.
        PlannerError: there is no plan, or it is not to be applied; nothing was sent.
    """
    applier = _Applier(run, options or ApplyOptions(), watcher or Watcher())
    with run.closing_own():
        if run.is_dry_run:
            return applier.try_out(run.project.read_state())
        with run.open_state("apply") as session:
            return applier.apply(session)


@define
class _Applier:
    run: Run
    options: ApplyOptions
    watcher: Watcher

    def try_out(self, snapshot: Snapshot) -> Report:
        self.run.output.warn_of_unresolved(snapshot)
        plan = self._plan(snapshot)
        plan = plan._replace(requests=dry_requests(plan.actions))
        if not plan.changes:
            return Report()
        self._check_drift(plan)
        return apply_plan(plan, self.run.connect(), self._effects(None))

    def apply(self, session: Session) -> Report:
        expected = self.options.expects
        if isinstance(expected, SavedPlan):
            self._refuse_used(expected)
        self.run.resolve_unknown(session)
        snapshot = session.snapshot
        if isinstance(expected, SavedPlan):
            check_origin(expected, snapshot, self.run.definitions, self.run.base_url)
        plan = self._plan(snapshot)
        if not plan.changes:
            session.commit("ok")
            return Report()
        limit = self.options.max_changes
        check_limit(plan, self.run.definitions.settings.max_changes if limit is None else limit)
        client = self.run.connect()
        self._tell_touched(plan)
        self.watcher.approve(self.run.base_url + (f", through the proxy {client.proxy}" if client.proxy else ""))
        session.probe()
        self._check_drift(plan)
        session.record(self.run.begin(plan.digest))
        report = apply_plan(plan, client, self._effects(session))
        return evolve(report, uncommitted=self._commit(session, report))

    def _tell_touched(self, plan: Plan) -> None:
        """Who reads what is going to be changed, before anybody is asked."""
        self.run.warn_of_units(plan)
        if self.options.checks_experiments and (changes := changes_of_plan(plan)):
            self.watcher.touched(self.run.find_touched(changes))

    def _refuse_used(self, saved: SavedPlan) -> None:
        chain = store.read_journal(self.run.place)
        begun = () if chain is None else (r for _, r in journal.entries(chain) if isinstance(r, Begin))
        digest = saved.plan.digest
        at = next((record.at for record in begun if record.plan == digest), None)
        if at is not None:
            raise PlanRefused(saved.path, Refusal.USED, f"at {at}")

    def _plan(self, snapshot: Snapshot) -> Plan:
        # Before the problems, which show values too.
        self.run.refuse_key()
        plan = build_plan(self.run.definitions, snapshot, self.options.targets, self.options.excludes)
        expected = self.options.expects
        if isinstance(expected, SavedPlan):
            check_equal(expected, plan)
        elif expected not in (None, plan):
            raise PlanRefused("", Refusal.STALE)
        seconds = pacing.duration_s(self.run.definitions.settings.windows, (), 0.0, len(plan.requests))
        self.watcher.plan(plan, seconds)
        return plan

    def _check_drift(self, plan: Plan) -> None:
        if plan.requests and self.options.checks_drift:
            types = {type_.name: type_ for type_ in (type_of(request.address) for request in plan.requests)}
            remote = self.run.list_remote(types.values())
            if conflicts := find_conflicts(plan, self.run.definitions, remote):
                raise RemoteChanged(conflicts)

    def _effects(self, session: Session | None) -> Effects:
        return Effects(
            record=session.record if session else lambda _record: None,
            notify=self.watcher.event,
            shield=self.run.interrupts.shield,
            clock=self.run.clock,
            windows=self.run.definitions.settings.windows,
            sent_at=self._sent_at(session) if session else [],
        )

    def _sent_at(self, session: Session) -> list[float]:
        """The monotonic times of the last 15 minutes' requests, from the journal's times of day."""
        now, monotonic = self.run.clock.now(), self.run.clock.monotonic()
        since = (now - timedelta(minutes=15)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        times = map(moment_of, session.intents_since(since))
        return sorted(monotonic - max(0.0, (now - at).total_seconds()) for at in times if at)

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
