"""An apply as a whole: recover, plan, look, ask, send, commit.

It lists the remote before it asks: it shows the current remote values, and sends exactly what it showed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from attrs import define, evolve, frozen

from planner import pacing
from planner.apply.checks.conflicts import find_conflicts, with_look
from planner.apply.checks.overwrites import check_adopted, check_known, find_overwritten
from planner.apply.checks.saved import check_alike, check_seen, make_again, records_of
from planner.apply.checks.twins import refuse_renamed
from planner.apply.deletes import Readers, check_deletes_allowed
from planner.apply.looks import look_again, read_late, take_look
from planner.apply.recovery import resolve_unknown
from planner.apply.report import Event, Report
from planner.apply.run import Run
from planner.apply.sending.effects import Effects
from planner.apply.sending.send import apply_plan
from planner.apply.sending.sight import Sight
from planner.audit.absence import Look
from planner.audit.experiments import Touched, changes_of_plan
from planner.clock import moment_of
from planner.definitions.addresses import type_of
from planner.definitions.resources import ResourceType
from planner.errors import (
    Interrupted,
    OtherProject,
    PlanError,
    PlannerError,
    PlanRefused,
    RemoteChanged,
)
from planner.escape import escape
from planner.plan import verbs
from planner.plan.build import Plan, build_plan
from planner.plan.order import dry_requests
from planner.plan.refusals import check_limit, check_twins
from planner.plan.saved import Refusal, SavedPlan, check_equal, check_origin
from state import journal, store
from state.errors import StateError
from state.fold import replay
from state.records import Begin, Refreshed
from state.session import Session
from state.snapshot import Snapshot
from state.values import Address


class Watcher:
    """It is told what an apply does, and asked for approval. This base class approves everything."""

    def plan(self, plan: Plan, seconds: float) -> None:
        """Called with the plan before it is sent; its requests take at least `seconds`."""

    def touched(self, touched: Sequence[Touched]) -> None:
        """Who reads what is going to be changed."""

    def approve(self, where: str) -> None:
        """Raise a PlannerError to send nothing; `where` is the API."""

    def event(self, event: Event) -> None:
        """Called for each event; it is already in the journal."""


@frozen
class ApplyOptions:
    """How to apply. `expects` is a plan, made before or loaded from a file: apply goes on only if a new plan is equal
    to it; `targets` and `excludes` are those that it was made with. `max_changes` overrides the project's own.
    `overwrites` are addresses at which others' changes are taken into the state first, so that the plan undoes them.
    `allow_deletes`: at most this many sources are deleted; None: somebody has seen the plan, or will be asked.
    """

    targets: Sequence[str] = ()
    excludes: Sequence[str] = ()
    max_changes: int | str | None = None
    checks_drift: bool = True
    allow_deletes: int | None = 0
    checks_experiments: bool = True
    overwrites: Sequence[Address] = ()
    expects: Plan | SavedPlan | None = None


Options = ApplyOptions
"""The name that the library has for it."""


def apply_definitions(run: Run, options: ApplyOptions | None = None, watcher: Watcher | None = None) -> Report:
    """Plan, and change the remote and the state to what the project defines; the report says how far it came.

    Raises:
        StateError: another process has the lock, or the state's files can't be trusted or written; nothing was sent.
        PlannerError: there is no plan, or it is not to be applied; nothing was sent.
    """
    applier = _Applier(run, options or ApplyOptions(), watcher or Watcher(), Readers(run))
    with run.closing_own():
        if run.is_dry_run:
            return applier.try_out(run.project.read_state())
        with run.open_state("apply") as session:
            try:
                return applier.apply(session)
            except (PlanError, PlanRefused, RemoteChanged, OtherProject):
                # What looks like a conflict may be the work of another run since the state was read.
                session.check_current()
                raise


@define(eq=False, repr=False)
class _Applier:
    run: Run
    options: ApplyOptions
    watcher: Watcher
    readers: Readers

    def try_out(self, snapshot: Snapshot) -> Report:
        self.run.output.warn_of_unresolved(snapshot)
        plan, _ = self._build(snapshot)
        check_known(self.options.overwrites, plan, snapshot)
        if not plan.changes and not self.options.overwrites:
            self._show(plan)
            return Report()
        sight = self._look(plan, snapshot)
        if self.options.overwrites:
            snapshot = replay(snapshot, self._overwritten(snapshot, sight))
            plan, _ = self._build(snapshot)
        plan = with_look(plan._replace(requests=dry_requests(plan.actions, plan.requests)), sight.remote)
        self._show(plan)
        if not plan.changes:
            return Report()
        self._tell_untried(plan)
        self.run.warn_of_twins(plan, snapshot, sight.remote)
        self._refuse_conflicts(plan, snapshot, sight)
        return apply_plan(plan, self.run.connect(), self._effects(None, snapshot, sight))

    def apply(self, session: Session) -> Report:
        expected = self.options.expects
        if isinstance(expected, SavedPlan):
            self._refuse_used(expected)
        lost = resolve_unknown(self.run, session)
        if isinstance(expected, SavedPlan):
            check_origin(expected, session.snapshot, self.run.definitions, self.run.base_url)
        plan, start = self._build(session.snapshot)
        if isinstance(expected, SavedPlan):
            check_adopted(self.options.overwrites, plan)
        check_known(self.options.overwrites, plan, session.snapshot)
        if not plan.changes and not self.options.overwrites:
            self._show(plan)
            session.commit("ok")
            return Report()
        self._check_allowed(plan)
        # Before anybody is asked: an approved run that can't write its journal would have been asked for in vain.
        session.probe()
        sight = self._look(plan, start, session)
        if self.options.overwrites and not isinstance(expected, SavedPlan):
            self._overwrite(session, sight)
            plan, start = self._build(session.snapshot)
        looked = with_look(plan, sight.remote)
        if isinstance(expected, SavedPlan):
            check_alike(expected, session.snapshot, sight.remote)
            check_seen(expected, looked, self.run.definitions, self.options.overwrites)
        self._show(looked)
        if not plan.changes:
            return Report()
        self._refuse_conflicts(looked, start, sight)
        refuse_renamed(lost, looked, self.run.definitions, start, sight.remote)
        self.run.warn_of_twins(looked, start, sight.remote)
        self._tell_touched(looked)
        proxy = self.run.connect().proxy
        self.watcher.approve(self.run.base_url + (f", through the proxy {proxy}" if proxy else ""))
        self._look_again(plan, looked, start, sight)
        session.record(self.run.begin(plan.digest))
        if isinstance(expected, SavedPlan):
            for record in records_of(expected, session.snapshot, sight.remote, self.run.clock.timestamp()):
                session.record(record)
        report = apply_plan(looked, self.run.connect(), self._effects(session, session.snapshot, sight))
        return evolve(report, uncommitted=self._commit(session, report))

    def _tell_touched(self, plan: Plan) -> None:
        """Show what reads the changed sources, before anybody is asked; a source that is read is not deleted."""
        self.run.warn_of_units(plan)
        if self.options.checks_experiments:
            if changes := changes_of_plan(plan):
                self.watcher.touched(self.run.find_touched(changes))
            self.readers.check(plan)

    def _check_allowed(self, plan: Plan) -> None:
        limit = self.options.max_changes
        try:
            check_twins(plan, self.run.definitions)
            path = self.options.expects.path if isinstance(self.options.expects, SavedPlan) else ""
            check_limit(plan, self.run.definitions.settings.max_changes if limit is None else limit, path)
            check_deletes_allowed(plan, self.options.allow_deletes)
        except PlannerError:
            # A person has to see what was refused, to say whether it is right.
            self._show(plan)
            raise

    def _look(self, plan: Plan, snapshot: Snapshot, session: Session | None = None) -> Sight:
        """List each type of which the plan sends something, or overwrites something."""

        def renew(types: Iterable[ResourceType], addresses: Collection[Address]) -> Look:
            return look_again(self.run, types, session.snapshot if session else snapshot, addresses)

        sight, types = Sight(self.run.clock, renew), self._types(plan)
        try:
            if types:
                sight.take(take_look(self.run, types, snapshot, _addresses(plan)))
        except PlannerError:
            # If the remote can't be listed, the plan is still shown, with what the state has.
            self._show(plan)
            raise
        return sight

    def _types(self, plan: Plan) -> Collection[ResourceType]:
        overwritten = [type_of(address) for address in self.options.overwrites]
        expected = self.options.expects
        listed = map(type_of, expected.listed or ()) if isinstance(expected, SavedPlan) else ()
        types = (*overwritten, *listed, *(type_of(request.address) for request in plan.requests))
        return {type_.name: type_ for type_ in types}.values()

    def _look_again(self, plan: Plan, shown: Plan, snapshot: Snapshot, sight: Sight) -> None:
        """If the approval took long, the remote may have changed since the plan was shown as it was looked at."""
        types = self._types(plan)
        if sight.is_old(types):
            sight.renew(types, _addresses(plan))
            if with_look(plan, sight.remote) != shown:
                raise PlanRefused("", Refusal.REMOTE)
            self._refuse_conflicts(shown, snapshot, sight)
            if self.options.checks_experiments:
                self.readers.check_again(plan)

    def _overwrite(self, session: Session, sight: Sight) -> None:
        """Take what others changed at these addresses into the state, as a refresh does, which the plan then undoes."""
        if records := self._overwritten(session.snapshot, sight):
            with self.run.interrupts.shield():
                session.record(self.run.begin(None))
                for record in records:
                    session.record(record)
                session.commit("ok")

    def _overwritten(self, snapshot: Snapshot, sight: Sight) -> tuple[Refreshed, ...]:
        return find_overwritten(self.options.overwrites, snapshot, sight.remote, self.run.clock.timestamp())

    def _tell_untried(self, plan: Plan) -> None:
        asked = {request.address for request in plan.requests}
        # An adoption without a difference sends nothing.
        untried = (a for a in plan.changes if a.verb.sends and (a.changes or a.verb is verbs.DELETE))
        for action in (one for one in untried if one.address not in asked):
            why = (
                "the API can't check a delete"
                if action.verb is verbs.DELETE
                else "its name is not free before the other changes"
            )
            self.run.output.say(f"not checked: {escape(action.address)}, because {why}")
        if any("sql" in request.body for request in plan.requests):
            self.run.output.say(
                "A request with a query may run the query. All requests count against the API's rate limit."
            )

    def _refuse_used(self, saved: SavedPlan) -> None:
        chain = store.read_journal(self.run.place)
        begun = () if chain is None else (r for _, r in journal.entries(chain) if isinstance(r, Begin))
        digest = saved.plan.digest
        at = next((record.at for record in begun if record.plan == digest), None)
        # Also if that run failed: what is left of a plan is another plan, which nobody has seen.
        if at is not None:
            raise saved.refused(Refusal.USED, f"at {at}")

    def _build(self, snapshot: Snapshot) -> tuple[Plan, Snapshot]:
        """The plan, and the snapshot that it starts from: a saved one may start from what was listed then."""
        # Before the problems, which show values too.
        self.run.refuse_key()
        expected = self.options.expects
        if isinstance(expected, SavedPlan):
            plan, start = make_again(expected, self.run.definitions, snapshot, self.run.clock.timestamp())
            check_equal(expected, plan)
            return plan, start
        plan = build_plan(self.run.definitions, snapshot, self.options.targets, self.options.excludes)
        if expected not in (None, plan):
            raise PlanRefused("", Refusal.STALE)
        return plan, snapshot

    def _show(self, plan: Plan) -> None:
        if self.options.max_changes is not None:
            plan = plan._replace(max_changes=self.options.max_changes)
        seconds = pacing.duration_s(self.run.definitions.settings.windows, (), 0.0, len(plan.requests))
        self.watcher.plan(plan, seconds)

    def _refuse_conflicts(self, plan: Plan, snapshot: Snapshot, sight: Sight) -> None:
        if plan.requests or any(action.verb is verbs.ADOPT for action in plan.actions):
            found = find_conflicts(
                plan,
                self.run.definitions,
                snapshot,
                sight.remote,
                sight.undecided,
                checks_drift=self.options.checks_drift,
                late=read_late(self.run),
            )
            if found:
                raise RemoteChanged(found)

    def _effects(self, session: Session | None, snapshot: Snapshot, sight: Sight) -> Effects:
        resources = self.run.definitions.resources
        return Effects(
            record=session.record if session else lambda _record: None,
            notify=self.watcher.event,
            shield=self.run.interrupts.shield,
            clock=self.run.clock,
            windows=self.run.definitions.settings.windows,
            sent_at=self._sent_at(session) if session else [],
            sight=sight,
            checks_drift=session is not None and self.options.checks_drift,
            late=read_late(self.run),
            why_kept=self.readers.why_kept if self.options.checks_experiments else lambda _action: None,
            known=session.resource if session else snapshot.resources.get,
            declared=lambda address: resources[address].values if address in resources else {},
            listed=lambda action: sight.remote[action.type.name][action.name],
        )

    def _sent_at(self, session: Session) -> list[float]:
        """The monotonic times of the last 15 minutes' requests, from the journal's times of day."""
        now, monotonic = self.run.clock.now(), self.run.clock.monotonic()
        # The API counts all requests of a project: a run that starts right after another shares its rate limit.
        times = map(moment_of, session.intents_since(self.run.clock.timestamp(15 * 60)))
        return sorted(monotonic - max(0.0, (now - at).total_seconds()) for at in times if at)

    def _commit(self, session: Session, report: Report) -> StateError | None:
        is_interrupted = isinstance(report.stopped_by, Interrupted)
        try:
            with self.run.interrupts.shield():
                session.commit("interrupted" if is_interrupted else "failed" if report.exit_code else "ok")
        except StateError as error:
            return error
        except Interrupted:
            # The signal came when all was done, so it changes nothing.
            return None
        return None


def _addresses(plan: Plan) -> frozenset[Address]:
    """The addresses at which the plan sends something, or changes the state."""
    asked = {request.address for request in plan.requests}
    return frozenset(asked | {action.moved_from for action in plan.actions if action.moved_from})
