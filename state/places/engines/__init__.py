"""What a shared state asks of an object store or a database, and nothing more: an engine.

The journal lies there in pieces. A piece is made once and never changed: the bytes of one append after a line that
says which session wrote it, HEADER bytes long. It is known by `at`, the byte of the journal at which its lines start.
A shared state is safe because of one promise: of all who create the same piece, one succeeds.

A method raises `Unsure` if it got no answer, or one that does not say what became of the request. The request may still
be carried out later. If another try would not help, it raises EngineRefused. Engines do not try again by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

__all__ = ["HEADER", "Engine", "Unsure", "one_line", "reason_of"]

HEADER = len(b'{"writer":"%32d"}\n' % 0)


class Unsure(Exception):
    """The outcome of a request is unknown; the message says why."""


class Engine(Protocol):
    """One state on one store."""

    def create(self, at: int, body: bytes) -> bool:
        """Make the piece if there is none. False: there may be one already, perhaps this one, from an earlier try."""

    def get(self, at: int) -> bytes | None:
        """The piece that starts at `at`; None if there is none."""

    def tail(self, at: int) -> Iterable[tuple[int, bytes]]:
        """The pieces from `at` on, in order. One may stand for several, if it has the lines of all of them."""

    def idle(self, at: int, writer: str) -> float:
        """Seconds since the writer's last beat, or since the piece at `at` was made, whichever was later.

        Both by the store's clock. The piece has to be there.
        """

    def beat(self, writer: str) -> None:
        """Leave a sign of life."""

    def load_snapshot(self) -> bytes | None:
        """The snapshot, or an older one, or None: a reader takes what it lacks from the journal."""

    def save_snapshot(self, raw: bytes, end: int) -> None:
        """Make these bytes the snapshot of the journal that ends at `end`. This engine has seen all its pieces."""

    def prove(self) -> None:
        """Prove that `create` refuses a piece that is there, and that what it made is durable.

        Raises:
            EngineRefused: one of the two is not true.
        """

    def close(self) -> None:
        """Let go of all connections; nothing is raised."""


def reason_of(error: Exception) -> str:
    """A library's error in one line. URLs lose what follows their `?`: there may be a signature in it."""
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return one_line(re.sub(r"(https?://[^\s?<>\"']*)\?[^\s\"')<>]*", r"\1?…", line))


def one_line(text: str) -> str:
    """At most 300 characters that control no terminal."""
    return "".join(c if c.isprintable() else " " for c in text)[:300]
