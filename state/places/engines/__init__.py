"""What a shared state asks of an object store or a database, and nothing more: an engine.

The journal lies there in pieces. A piece is made once and never changed: the bytes of one append after a line that
says which session wrote it, HEADER bytes long. It is known by `at`, the byte of the journal at which its lines start.
All that is safe about a shared state rests on one promise: of all who create the same piece, one succeeds.

A method may raise `Unsure` where it got no answer, or one that does not say what became of the request; the request
may still be carried out later. What another try can't mend is EngineRefused. Engines don't try again themselves.
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
        """Make the piece, if there is none. False: there may be one, which may be this one, from a try before."""

    def get(self, at: int) -> bytes | None:
        """The piece that starts at `at`; None if there is none."""

    def tail(self, at: int) -> Iterable[tuple[int, bytes]]:
        """The pieces from `at` on, in their order; in the place of several one that has the lines of all of them."""

    def idle(self, at: int, writer: str) -> float:
        """Seconds since the writer's last beat, or since the piece at `at` was made if that was later.

        Both by the store's clock. The piece is there.
        """

    def beat(self, writer: str) -> None:
        """Leave a sign of life."""

    def load_snapshot(self) -> bytes | None:
        """The snapshot, or an older one, or None."""

    def save_snapshot(self, raw: bytes, end: int) -> None:
        """Make these bytes the snapshot; the journal, all of whose pieces this engine has seen, ends at `end`."""

    def prove(self) -> None:
        """Prove that `create` refuses what is there, and that what it made is there to stay.

        Raises:
            EngineRefused: it isn't so.
        """

    def close(self) -> None:
        """Let go of all connections; nothing is raised."""


def reason_of(error: Exception) -> str:
    """A library's error in one line; of a URL without what follows its `?`, since a signature may be in there."""
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return one_line(re.sub(r"(https?://[^\s?<>\"']*)\?[^\s\"')<>]*", r"\1?…", line))


def one_line(text: str) -> str:
    """At most 300 characters that control no terminal."""
    return "".join(c if c.isprintable() else " " for c in text)[:300]
