"""stdout and stderr as statform uses them: results on the one; progress, warnings and errors on the other."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from planner.definitions.problems import MOST
from planner.errors import DefinitionError, Diagnostic, Interrupted, PlanError, PlannerError, RemoteChanged, UsageError
from planner.escape import escape, without_ci_commands
from planner.render.style import Style
from state.errors import StateError
from state.snapshot import Snapshot


class Terminal:
    """Where a command writes. `color` is `auto`, `always` or `never`.

    With `annotates`, the project's directory in its repository, problems are shown to GitHub Actions too.
    """

    def __init__(self, color: str = "auto", annotates: str | None = None) -> None:
        self.color, self.annotates = color, annotates

    @property
    def out_style(self) -> Style:
        return self._style(sys.stdout)

    @property
    def err_style(self) -> Style:
        return self._style(sys.stderr)

    def _style(self, stream: TextIO) -> Style:
        is_terminal = stream.isatty()
        wants_none = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        is_coloured = self.color == "always" or (self.color == "auto" and is_terminal and not wants_none)
        width = None
        if is_terminal:
            import shutil  # noqa: PLC0415 - output that is piped needs no width

            width = shutil.get_terminal_size().columns
        return Style(width, is_coloured)

    def out(self, text: str) -> None:
        """Write a result. Who closed stdout (`| head -1`) has seen enough: that ends nothing.

        Raises:
            PlannerError: stdout takes no more, on a full disk for one.
        """
        try:
            sys.stdout.write(without_ci_commands(text))
            sys.stdout.flush()
        except OSError as error:
            _forget(sys.stdout)
            if not isinstance(error, BrokenPipeError):
                raise PlannerError(f"stdout can't be written: {error.strerror}") from None

    def say(self, text: str, end: str = "\n") -> None:
        """Write to stderr; whether anybody reads it changes nothing."""
        _write_to_stderr(without_ci_commands(text) + end)

    def warn(self, text: str) -> None:
        """Say what ends nothing, and should be known."""
        self.say(f"{self.err_style.yellow('Warning:')} {escape(text)}")

    def count(self, text: str) -> None:
        """Write a line to stderr that the next one overwrites: at a terminal a person waits, in a log nobody does."""
        if sys.stderr.isatty():
            self.say(f"\r\x1b[K{text}", end="")

    def show_warnings(self, warnings: Sequence[Diagnostic]) -> None:
        if warnings:
            self._show(warnings)
            self.say("")

    def ask(self, question: str, refusal: str) -> None:
        """Wait for the answer `yes`.

        Raises:
            UsageError: it was another one, or nobody is there to give it.
        """
        import select  # noqa: PLC0415 - few runs ask

        if not sys.stdin.isatty():
            raise UsageError(
                "nobody is there to approve: stdin is no terminal. Use --auto-approve to go on without asking"
            )
        try:
            self.say(f"\n{question} Only 'yes' is an approval.")
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
            self._show(error.diagnostics)
            count = len(error.diagnostics)
            more = ", and more that are not shown" if count >= MOST else ""
            self.say(f"\n{count} error{'' if count == 1 else 's'}{more}; nothing was changed.")
        else:
            first, *rest = str(error).split("\n")
            self.say("\n".join([self.err_style.red("Error: ") + escape(first), *map(escape, rest)]))

    def warn_of_unresolved(self, snapshot: Snapshot) -> None:
        if snapshot.unresolved:
            unresolved = ", ".join(snapshot.unresolved)
            self.warn(f"nobody knows yet what became of the last request for {unresolved}.")
            self.say("The next apply finds out before it does anything; until then a plan may be wrong there.")

    def _show(self, diagnostics: Sequence[Diagnostic]) -> None:
        from planner.render.diagnostics import (  # noqa: PLC0415 - most runs have none
            format_annotations,
            render_diagnostics,
        )

        self.say(render_diagnostics(diagnostics, self.err_style), end="")
        if self.annotates is not None:
            _write_to_stderr(format_annotations(diagnostics, self.annotates))


def _write_to_stderr(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _forget(sys.stderr)


def _forget(stream: TextIO) -> None:
    """Let a stream that fails take anything from now on; what it still holds would else fail again at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
