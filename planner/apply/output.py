"""The interface that is told what a run does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from state.snapshot import Snapshot

if TYPE_CHECKING:
    from state.storage import Told


class Output(Protocol):
    """Who is told what a run does meanwhile; none of it is a result."""

    def say(self, text: str) -> None:
        """A line that may interest somebody."""

    def warn(self, text: str) -> None:
        """What ends nothing, and should be known."""

    def count(self, text: str) -> None:
        """Progress; the next text replaces this one, "" removes the last one."""

    def tell_waiting(self, told: Told) -> None:
        """Who has the state, or does not answer, and how long this run waits yet."""

    def warn_of_unresolved(self, snapshot: Snapshot) -> None:
        """Warn of requests whose outcome is unknown."""


class NoOutput:
    """No output: a script uses statform, and gets values and errors."""

    def say(self, text: str) -> None:
        """Nobody reads it."""

    def warn(self, text: str) -> None:
        """Nobody reads it."""

    def count(self, text: str) -> None:
        """Nobody reads it."""

    def tell_waiting(self, told: Told) -> None:
        """Nobody reads it."""

    def warn_of_unresolved(self, snapshot: Snapshot) -> None:
        """Nobody reads it."""
