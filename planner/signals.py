"""Ctrl-C and its kin while a command runs that writes the state.

The first SIGINT, SIGTERM or SIGHUP lets what is under way end: a request in flight, until its answer is in the journal,
or the records of an import. The second does not wait. At any other moment the first is enough.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from planner.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Holds signals back while a shield is up; as a context manager it stands in for the default handlers."""

    def __init__(self) -> None:
        self._is_shielded = False
        self._is_pending = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Raise Interrupted for a signal, in place of what the process would do otherwise."""
        # SIGHUP stays ignored under nohup.
        before = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Let the first signal wait until the end of this block, the outermost one; a second one raises at once."""
        is_within = self._is_shielded
        self._is_shielded = True
        try:
            yield
        finally:
            self._is_shielded = is_within
        if self._is_pending and not is_within:
            self._is_pending = False
            raise Interrupted

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self._is_shielded:
            raise Interrupted
        if self._is_pending:
            self._is_pending = False
            raise Interrupted
        self._is_pending = True
        # Not through a stream: the signal may have come in the middle of a write to it.
        with suppress(OSError):
            os.write(2, b"\nInterrupted: what is under way is finished first. Press Ctrl-C again to stop now.\n")
