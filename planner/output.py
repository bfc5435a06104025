"""Where a command writes: text for people, or events for tools. It is chosen once, as the command begins.

For people, results go to stdout; progress, warnings and errors to stderr. Events all go to stdout, one a line. What
most commands don't write is loaded by what writes it: a piped plan has no width, no diagnostics, nobody to ask and no
events.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from planner.definitions.problems import MAX_PROBLEMS
from planner.errors import DefinitionError, Diagnostic, Interrupted, PlanError, PlannerError, RemoteChanged, UsageError
from planner.escape import escape, without_ci_commands
from planner.plural import counted
from planner.render.style import Style
from state.errors import StateError
from state.snapshot import Snapshot

if TYPE_CHECKING:
    from planner.apply.report import Report
    from planner.plan.build import Plan
    from planner.render.apply_events import EventDict
    from state.storage import Told


class Terminal:
    """Where a command writes. `color` is `auto`, `always` or `never`.

    With `annotates`, the project's directory in its repository, problems are shown to GitHub Actions too. With
    `is_check` nobody expects a change, so that none is denied.
    """

    is_check = False

    def __init__(self, color: str = "auto", annotates: str | None = None) -> None:
        self.color, self.annotates = color, annotates
        self._is_counting = False
        self._waits_for = ""

    @property
    def out_style(self) -> Style:
        return self._style(sys.stdout)

    @property
    def err_style(self) -> Style:
        return self._style(sys.stderr)

    def _style(self, stream: TextIO) -> Style:
        is_terminal = stream.isatty()
        # https://no-color.org: any text but the empty one means no colour.
        wants_none = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        is_coloured = self.color == "always" or (self.color == "auto" and is_terminal and not wants_none)
        width = None
        if is_terminal:
            import shutil

            width = shutil.get_terminal_size().columns
        return Style(width, is_coloured=is_coloured)

    def out(self, text: str) -> None:
        """Write a result. If the reader closed stdout (`| head -1`), the command continues.

        Raises:
            PlannerError: stdout takes no more, on a full disk for one.
        """
        self.count("")
        try:
            sys.stdout.write(without_ci_commands(text))
            sys.stdout.flush()
        except OSError as error:
            _forget(sys.stdout)
            if not isinstance(error, BrokenPipeError):
                raise PlannerError(f"stdout can't be written: {error.strerror}") from None

    def say(self, text: str, end: str = "\n") -> None:
        """Write to stderr, in the place of what was counted; whether anybody reads it changes nothing."""
        self.count("")
        _write_to_stderr(without_ci_commands(text) + end)

    def warn(self, text: str) -> None:
        """Write a warning."""
        style = self.err_style
        self.say(style.wrap_lines(f"{style.yellow('Warning:')} {escape(text)}"))

    def count(self, text: str) -> None:
        """Write a progress line to stderr that the next one overwrites; only at a terminal."""
        if sys.stderr.isatty() and (text or self._is_counting):
            self._is_counting = bool(text)
            _write_to_stderr(f"\r\x1b[K{without_ci_commands(text)}")

    def tell_waiting(self, told: Told) -> None:
        """Say once what the run waits for, also in a log; at a terminal, count down."""
        about, so_far, then = _describe_wait(told)
        if about != self._waits_for:
            self._waits_for = about
            self.say(escape(f"{about}{so_far}; {then}"))
        # With nothing of the other run's in it: only what fits into one line can be overwritten.
        self.count(then)

    def show_warnings(self, warnings: Sequence[Diagnostic]) -> None:
        """Show each with its place, and an empty line below; nothing if there are none."""
        if warnings:
            self._show(warnings)
            self.say("")

    def ask(self, question: str, refusal: str) -> None:
        """Wait for the answer `yes`.

        Raises:
            UsageError: it was another one, or nobody is there to give it.
        """
        import select

        if not sys.stdin.isatty():
            raise UsageError(
                "can't ask for approval: stdin is not a terminal. Use --auto-approve to continue without asking"
            )
        try:
            self.say(self.err_style.wrap_lines(f"\n{question}\n  Only 'yes' is accepted."))
            self.say("  Enter a value: ", end="")
            # Python looks for signals between two calls only: one that came just before the read would wait for a key.
            while not select.select([sys.stdin], [], [], 0.2)[0]:
                pass
            answer = sys.stdin.readline()
        except Interrupted:
            self.say("")
            raise
        if not answer.endswith("\n"):
            self.say("")
        if answer.strip() != "yes":
            raise UsageError(f"not approved; {refusal}")

    def show_error(self, error: PlannerError | StateError) -> None:
        if isinstance(error, DefinitionError | PlanError | RemoteChanged):
            self.show_problems(error.diagnostics)
        else:
            style, lines = self.err_style, "\n".join(map(escape, str(error).split("\n")))
            self.say(style.wrap_lines(f"{style.red('Error:')} {lines}"))

    def show_problems(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Show what is wrong, problem by problem, and how many there are."""
        self._show(diagnostics)
        count = len(diagnostics)
        more = ", and more that are not shown" if count >= MAX_PROBLEMS else ""
        self.say(f"\n{counted(count, 'error')}{more}{'' if self.is_check else '; nothing was changed'}.")

    def show_interrupted(self) -> None:
        """The end of a command that a signal ended at a moment when nothing had to be put in order."""
        self.say("Interrupted.")

    def warn_of_unresolved(self, snapshot: Snapshot, who: str | None = None) -> None:
        """Warn that the state does not know what became of the last requests, if there are any of unknown outcome.

        `who` began the run that sent them, if it has not ended.
        """
        if snapshot.unresolved:
            unresolved = ", ".join(snapshot.unresolved)
            self.warn(f"the outcome of the last request for {unresolved} is unknown.")
            if who is not None:
                self.say(f"It belongs to a run of {who}, that has not ended: it may still get the answer.")
            self.say(
                "The next apply finds it out before it does anything else. Until then, the plan for it may be wrong."
            )

    def warn_of_no_definitions(self, plan: Plan) -> None:
        """Say that a plan forgets all that the state has, since nothing is defined: a folder may be missing."""
        if plan.forgets_all:
            self.warn("there are no definitions, so everything in the state would be forgotten.")
            self.say("Check the folder definitions/. A git submodule that is not checked out is empty.")

    def _show(self, diagnostics: Sequence[Diagnostic]) -> None:
        from planner.render.diagnostics import format_annotations, render_diagnostics

        self.say(render_diagnostics(diagnostics, self.err_style), end="")
        if self.annotates is not None:
            _write_to_stderr(format_annotations(diagnostics, self.annotates))


class Comment(Terminal):
    """A terminal whose stdout becomes a comment that begins with `head`: what ends the command is in it, too.

    So a comment never says what an earlier run said while the latest one failed.
    """

    def __init__(self, terminal: Terminal, head: str) -> None:
        super().__init__(terminal.color, terminal.annotates)
        self.head = head

    def show_error(self, error: PlannerError | StateError) -> None:
        from planner.render.plan_comment import error_to_markdown

        super().show_error(error)
        try:
            self.out(self.head + error_to_markdown(error))
        except PlannerError as failure:
            super().show_error(failure)


class Events(Terminal):
    """A terminal without a person: what is said is an event, and so is an error.

    The first event is the version, and the last is a report, also of a run that ended before it did anything;
    `so_far` makes it when nothing else did. What stdout does not take ends nothing: `failure` is for the end.
    """

    def __init__(self, *, is_dry_run: bool = False) -> None:
        from planner.apply.report import Report
        from planner.clock import Clock

        super().__init__()
        self.is_dry_run = is_dry_run
        self.clock = Clock()
        self.so_far: Callable[[], Report] = Report
        self.failure: PlannerError | None = None
        self._is_begun = self._is_reported = False

    def emit(self, event: EventDict) -> None:
        """Write one event, and the version before the first; what stdout does not take becomes `failure`."""
        from planner.render import apply_events

        if not self._is_begun:
            # Set before: the version is an event as well, and would ask for another one.
            self._is_begun = True
            self.emit(apply_events.version())
        try:
            self.out(apply_events.event_to_line(event, self.clock.timestamp()))
        except PlannerError as error:
            self.failure = error

    def say(self, text: str, end: str = "\n") -> None:
        from planner.render import apply_events

        self.emit(apply_events.log(text))

    def count(self, text: str) -> None:
        """Nobody waits."""

    def warn(self, text: str) -> None:
        from planner.render import apply_events

        self.emit(apply_events.warning(text))

    def show_error(self, error: PlannerError | StateError) -> None:
        """Raises nothing: when stdout can't be written, that is the error, and stderr has it."""
        from attrs import evolve

        from planner.render import apply_events

        for event in apply_events.error_to_events(error):
            self.emit(event)
        if not self._is_reported:
            self.report(evolve(self.so_far(), stopped_by=error))
        if self.failure is not None:
            Terminal(self.color).show_error(self.failure)

    def show_interrupted(self) -> None:
        self.show_error(Interrupted())

    def report(self, report: Report) -> None:
        """The last events."""
        from planner.render import apply_events

        for event in apply_events.report_to_events(report, is_dry_run=self.is_dry_run):
            self.emit(event)
        self._is_reported = True


def _write_to_stderr(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _forget(sys.stderr)


def _describe_wait(told: Told) -> tuple[str, str, str]:
    """What is waited for, what is known of it so far, and what comes then."""
    from state.storage import Silent

    if isinstance(told, Silent):
        return f"{told.where}: no answer yet", f" ({told.reason})", f"trying for {told.left_s:.0f} s more …"
    about, left = f"the state is in use: {told.holder}", max(0.0, told.left_s or 0.0)
    if told.idle_s is None or told.dead_in_s is None:
        return about, "", f"waiting for {left:.0f} s yet …"
    gives_up = "" if told.left_s is None else f", giving up in {left:.0f} s"
    so_far = f", last heard of {max(0.0, told.idle_s):.0f} s ago"
    return about, so_far, f"taking over in {told.dead_in_s:.0f} s unless it gives a sign of life{gives_up} …"


def _forget(stream: TextIO) -> None:
    """Let a stream that fails take anything from now on; what it still holds would else fail again at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
