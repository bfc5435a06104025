"""Ctrl-C and similar signals while a command writes the state.

The first SIGINT, SIGTERM or SIGHUP lets what is under way end: a request in flight, until its answer is in the journal,
or the records of an import. The second does not wait. At any other moment the first is enough.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from planner.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Means nothing here, and ends a call that blocks; that it is ignored where nobody handles it makes it harmless.
_NUDGE = signal.SIGURG
_NUDGES_S = (0.02, 0.1, 0.5)
"""The pauses after a signal, in seconds; after each of them the main thread gets a nudge."""


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
            with _nudged():
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


@contextmanager
def _nudged() -> Iterator[None]:
    """Let no signal wait until a call that blocks is over, which can be a minute.

    Python calls its handlers between its own steps. A signal does not end a call that was just about to block, nor one
    that blocks in the main thread while another thread gets the signal. So a thread hears of each signal from the
    system's side, and ends what blocks a little later: it starts again, unless a handler raises.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    own = signal.getsignal(_NUDGE)
    signal.signal(_NUDGE, own if callable(own) else lambda _number, _frame: None)
    over = threading.Event()
    thread = threading.Thread(target=_nudge, args=(heard, threading.get_ident(), over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        over.set()
        os.close(told)
        thread.join()
        os.close(heard)
        signal.signal(_NUDGE, own or signal.SIG_DFL)


def _nudge(heard: int, main: int, over: threading.Event) -> None:
    # Whoever a signal is for, the main thread is to get it.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    while numbers := os.read(heard, 64):
        if not set(SIGNALS).isdisjoint(numbers):
            for pause in _NUDGES_S:
                if not over.wait(pause):
                    signal.pthread_kill(main, _NUDGE)
