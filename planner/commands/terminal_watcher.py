"""How an apply is shown to people."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from attrs import define, field

from planner.apply.apply import Watcher
from planner.apply.report import Done, Event, Report, Sending, Waiting
from planner.apply.run import Run
from planner.audit.experiments import Touched
from planner.escape import as_json, escape
from planner.output import Terminal
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.verbs import Verb
from planner.render import apply_text, plan_text
from planner.render.style import Style, plain_width
from state.records import to_json
from state.values import Address


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
        from planner.render.touched import render_touched  # noqa: PLC0415 - few changes touch what experiments read

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
