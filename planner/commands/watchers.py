"""How an apply is shown: as text for people, or as events for tools."""

from __future__ import annotations

import sys
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
from planner.escape import as_json, escape
from planner.output import Events, Terminal
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import Action
from planner.plan.verbs import Verb
from planner.render import apply_events, apply_text, plan_text
from planner.render.style import Style, plain_width
from planner.render.touched import render_touched
from state.records import Applied, Deleted, Resolved, to_json
from state.values import Address

EVERY_S = 10.0
"""How often a wait is told of, as Terraform does it."""


@define(eq=False, repr=False)
class TerminalWatcher(Watcher):
    """The plan and the report on stdout, progress on stderr; on a terminal a countdown stays in one line."""

    run: Run
    terminal: Terminal
    is_approved: bool
    verbs: Mapping[Address, Verb] = field(factory=dict)
    style: Style = field(factory=Style)
    has_changes: bool = False
    is_open: bool = False
    why: str = ""
    number: str = ""

    def plan(self, plan: Plan, seconds: float) -> None:
        """Show what is going to be done; its requests take `seconds` at least."""
        self.verbs = {action.address: action.verb for action in plan.actions}
        self.style = self.terminal.err_style
        self.has_changes = bool(plan.changes)
        self.terminal.warn_of_no_definitions(plan)
        self.terminal.out(plan_text.render_plan(plan, self.terminal.out_style, seconds))

    def touched(self, touched: Sequence[Touched]) -> None:
        """Show who reads what is going to be changed."""
        self.terminal.out("\n" + render_touched(touched, self.terminal.out_style) + "\n")

    def approve(self, where: str) -> None:
        """Raises:
        UsageError: nobody approves.
        """
        if not self.is_approved:
            question = f"Do you want to perform these actions at {escape(where)}?"
            if deletes := sum(verb is verbs.DELETE for verb in self.verbs.values()):
                question = f"{deletes} will be DELETED. {question}"
            self.terminal.ask(question, "nothing was sent")

    def event(self, event: Event) -> None:
        """Show one step: at a terminal each in the same line, in a log only ends, and the begin of a wait."""
        line = apply_text.format_event(event, self.verbs, self.style, is_dry_run=self.run.is_dry_run)
        if isinstance(event, Sending):
            self.number = f" [{event.number}/{event.total}]"
        elif isinstance(event, Done):
            line += self.number
        if sys.stderr.isatty():
            self._overwrite(line, is_last=isinstance(event, Done))
        elif isinstance(event, Done) or (isinstance(event, Waiting) and event.why != self.why):
            self.terminal.say(line)
        self.why = event.why if isinstance(event, Waiting) else ""

    def _overwrite(self, line: str, *, is_last: bool) -> None:
        """Replace the progress line; a narrow terminal can't remove a line that it has broken."""
        fits = self.style.width is None or plain_width(line) < self.style.width
        line = "\n".join(self.style.wrap(line, "  "))
        self.terminal.say(("\r\x1b[K" if self.is_open else "") + line, end="\n" if is_last or not fits else "")
        self.is_open = not is_last and fits

    def report(self, report: Report) -> None:
        """Show what was done, and the errors that ended it, or that came as its end was written."""
        if not self.has_changes:
            return
        self.terminal.out(apply_text.format_report(report, self.terminal.out_style, is_dry_run=self.run.is_dry_run))
        if report.unstored is not None:
            self.terminal.say("This answer of the API could not be written to the journal, so it is shown here:")
            self.terminal.say(as_json(to_json(report.unstored)))
        for error in report.errors:
            self.terminal.show_error(error)


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
