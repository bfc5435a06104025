"""Where a command writes events for tools, one a line on stdout, in the place of text for people."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from planner.apply.report import Report
from planner.clock import Clock
from planner.errors import PlannerError
from planner.output import Terminal
from planner.render import apply_events
from state.errors import StateError


class Stream(Terminal):
    """A terminal without a person: what is said is an event, and so is an error.

    The first event is the version, and the last is a report, also of a run that ended before it did anything;
    `so_far` makes it when nothing else did. What stdout does not take ends nothing: `failure` is for the end.
    """

    def __init__(self, *, is_dry_run: bool = False) -> None:
        super().__init__()
        self.is_dry_run = is_dry_run
        self.clock = Clock()
        self.so_far: Callable[[], Report] = Report
        self.failure: PlannerError | None = None
        self._is_begun = self._is_reported = False

    def emit(self, event: apply_events.Event) -> None:
        if not self._is_begun:
            self._is_begun = True
            self.emit(apply_events.version())
        try:
            self.out(apply_events.event_to_line(event, self.clock.timestamp()))
        except PlannerError as error:
            self.failure = error

    def say(self, text: str, end: str = "\n") -> None:
        self.emit(apply_events.log(text))

    def count(self, text: str) -> None:
        """Nobody waits."""

    def warn(self, text: str) -> None:
        self.emit(apply_events.warning(text))

    def show_error(self, error: PlannerError | StateError) -> None:
        """Raises nothing: when stdout can't be written, that is the error, and stderr has it."""
        for event in apply_events.error_to_events(error):
            self.emit(event)
        if not self._is_reported:
            self.report(evolve(self.so_far(), stopped_by=error))
        if self.failure is not None:
            Terminal(self.color).show_error(self.failure)

    def report(self, report: Report) -> None:
        """The last events."""
        for event in apply_events.report_to_events(report, is_dry_run=self.is_dry_run):
            self.emit(event)
        self._is_reported = True
