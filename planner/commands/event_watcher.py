"""How an apply is told to tools: as events, each in a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal

from attrs import define, field

from planner.apply.apply import Watcher
from planner.apply.report import Done, Event, Report, Sending, Waiting
from planner.apply.run import Run
from planner.audit.experiments import Touched
from planner.errors import Interrupted
from planner.output import Events
from planner.plan.build import Plan
from planner.plan.diff import Action
from planner.render import apply_events
from state.records import Applied, Deleted, Resolved
from state.values import Address

EVERY_S = 10.0
"""How often a wait is told of, as Terraform does it."""


@define(eq=False, repr=False)
class EventWatcher(Watcher):
    """Events. Each address starts once and ends once, even if it takes several requests or attempts. A failure is
    reported only when it is clear that there is no other attempt.
    """

    run: Run
    events: Events
    changes: Sequence[Action] = ()
    actions: Mapping[Address, Action] = field(factory=dict)
    left: Counter[Address] = field(factory=Counter)
    since: dict[Address, float] = field(factory=dict)
    ended: dict[Address, bool] = field(factory=dict)
    failed: Done | None = None
    at: Address = field(init=False)
    why: str = ""
    next_at: float = 0.0

    def plan(self, plan: Plan, seconds: float) -> None:
        """Raises:
        PlannerError: stdout can't be written.
        """
        self.changes = plan.changes
        # From here on, what ends the run before its report still gets one, with what was done so far.
        self.events.so_far = self._so_far
        self.actions = {action.address: action for action in plan.actions}
        self.left = Counter(request.address for request in plan.requests)
        self.events.warn_of_no_definitions(plan)
        self._emit(*apply_events.plan_to_events(plan, seconds))
        if self.events.failure is not None:
            raise self.events.failure

    def touched(self, touched: Sequence[Touched]) -> None:
        """Emit an event for each source that is read."""
        self._emit(*(apply_events.touched_to_event(one) for one in touched))

    def event(self, event: Event) -> None:
        """Emit what is certain; a failure waits until it is clear whether the request is tried again."""
        match event:
            case Sending(request=request):
                self._give_up()
                self.at = request.address
                what: Literal["start", "progress"] = "progress" if self.at in self.since else "start"
                self.since.setdefault(self.at, self.run.clock.monotonic())
                self._emit(self._step(what, event))
            case Waiting():
                self._wait(event)
            case Done(outcome=Applied() | Deleted() | Resolved(verdict="applied")):
                self.failed, self.why = None, ""
                self.left[self.at] -= 1
                self._emit(self._step("progress" if self.left[self.at] else "complete", event))
                if not self.left[self.at]:
                    self.ended[self.at] = True
            case Done():
                self.failed, self.why = event, ""

    def _wait(self, event: Waiting) -> None:
        # It is waited for, so that it is tried again: the failure is a step, and not the end of the address.
        if self.failed is not None:
            self._emit(self._step("progress", self.failed))
            self.failed = None
        now = self.run.clock.monotonic()
        if event.why != self.why or now >= self.next_at:
            self.why, self.next_at = event.why, now + EVERY_S
            self._emit(self._step("progress", event))

    def _give_up(self) -> None:
        """Tell of the last failure: something else was sent, so that no other attempt comes."""
        if self.failed is not None:
            self._emit(self._step("errored", self.failed))
            self.ended[self.at] = False
            self.failed = None

    def _step(self, what: Literal["start", "progress", "complete", "errored"], event: Event) -> apply_events.EventDict:
        elapsed_s = self.run.clock.monotonic() - self.since[self.at]
        return apply_events.step_to_event(what, self.actions[self.at], event, elapsed_s, is_dry_run=self.run.is_dry_run)

    def _so_far(self) -> Report:
        """For a run that statform itself fails in, or that ends before it sends anything."""
        begun = [a for a in self.since if not self.ended.get(a)]
        return Report(
            applied=tuple(action for action in self.changes if self.ended.get(action.address)),
            unknown=dict.fromkeys(begun, "it was started, and the run ended without a report of it"),
            not_attempted=tuple(action.address for action in self.changes if action.address not in self.since),
        )

    def _emit(self, *events: apply_events.EventDict) -> None:
        # A signal in the middle would leave half a line.
        with self.run.interrupts.shield():
            for event in events:
                self.events.emit(event)

    def report(self, report: Report) -> None:
        """Raises:
        PlannerError: stdout can't be written.
        """
        # All is done: a signal ends nothing any more.
        with suppress(Interrupted), self.run.interrupts.shield():
            self._give_up()
            now = self.run.clock.monotonic()
            for address, since in self.since.items():
                if address not in self.ended:
                    action = self.actions[address]
                    self._emit(
                        apply_events.errored_to_event(action, report, now - since, is_dry_run=self.run.is_dry_run)
                    )
            self._emit(
                *apply_events.failures_to_events(report),
                *(one for error in report.errors for one in apply_events.error_to_events(error)),
            )
            self.events.report(report)
        if self.events.failure is not None:
            raise self.events.failure
