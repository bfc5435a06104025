"""Who is or was at work on a state, according to its journal, in words for people; escaped for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from state import journal
from state.records import Begin, End, when

if TYPE_CHECKING:
    from state.chain import Chain

__all__ = ["AtWork", "author", "holder", "last_run", "open_run"]


class AtWork(NamedTuple):
    """A run that was at work on the state: `who` began it, since when, and whether it `has_ended` by now."""

    who: str
    has_ended: bool


def open_run(chain: Chain) -> str | None:
    """Who began the run that the journal ends with, if the journal says; None: that run is over."""
    is_over = isinstance(next(journal.read_backwards(chain.lines, chain.path)), End)
    return None if is_over else holder(chain)


def holder(chain: Chain) -> str:
    """Who began the run that the journal ends with, since when."""
    return _begun(chain, has_ended=False)


def last_run(chain: Chain) -> str:
    """As `holder`, also of a run that has ended."""
    return _begun(chain, has_ended=True)


def _begun(chain: Chain, *, has_ended: bool) -> str:
    for record in journal.read_backwards(chain.lines, chain.path):
        if isinstance(record, Begin):
            return _shown(f"{record.who} on {record.host}, since {when(record.at)}")
        # The end of the run before: the open one has recorded no `begin`.
        if isinstance(record, End) and not has_ended:
            break
    return "another run"


def author(lines: bytes) -> str:
    """Who wrote lines that nobody verified, and when."""
    record = journal.parse(lines[: lines.find(b"\n") + 1])
    match record:
        case Begin():
            return _shown(f"{record.who} on {record.host}, {when(record.at)}")
        case End("recovered"):
            return _shown(f"it was closed as a dead run, {when(record.at)}")
        case _:
            return _shown(f"{record.kind}, {when(record.at)}")


def _shown(text: str) -> str:
    """The text without control characters: who wrote the journal must not control the terminal of who reads it."""
    return "".join(c if c.isprintable() else " " for c in text)
