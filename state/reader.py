"""Reads the state without a lock, with the records that a run under way, or a dead one, added after the snapshot.

It is apart from `store` so that a plan starts faster: it loads nothing that knows the records. Most reads don't need
them, because the snapshot lacks none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from state.chain import RESTORE, Chain, missing, verify
from state.errors import Damaged, SealedState
from state.places.disk import Disk, StrPath
from state.places.place import place_of
from state.snapshot import EMPTY, Snapshot, decode_snapshot

if TYPE_CHECKING:
    from state.records import Record
    from state.storage import Place, Readable

__all__ = ["read"]


def read(where: Place | StrPath, *, disk: Disk | None = None) -> Snapshot:
    """The state, with all records that the journal has after the snapshot. Takes no lock.

    `where` is a place or a local state file; EMPTY if there is neither that nor a journal. Only the journal's bytes
    that the snapshot lacks are read and verified.

    Raises:
        StateError: it can't be read or trusted.
    """
    with opened(place_of(where, disk)) as storage:
        if storage is None:
            return EMPTY
        snapshot = _read(storage)
        refuse_sealed(snapshot.sealed, storage)
        storage.check_lineage(snapshot.lineage)
        return snapshot


@contextmanager
def opened(place: Place) -> Iterator[Readable | None]:
    """The storage of the place, to read it; None if there is none."""
    storage = place.reader()
    try:
        yield storage
    finally:
        if storage is not None:
            storage.close()


def refuse_sealed(to: str | None, storage: Readable) -> None:
    """Raises:
    SealedState: the state moved to `to`, so that what is here is not it any more.
    """
    if to is not None:
        raise SealedState(storage.where("state"), to, storage.where("journal"))


def _read(storage: Readable) -> Snapshot:
    # The snapshot first, then the journal. A writer goes the other way round, so the journal read here has at least all
    # that the snapshot knows.
    raw = storage.snapshot()
    if raw is None:
        return _read_journal_alone(storage)
    snapshot = decode_snapshot(raw, storage.where("state"))
    tail = storage.tail(snapshot.journal_bytes, snapshot.head)
    if tail is None:
        raise missing(storage.where("journal"))
    chain = verify(tail, snapshot.head, storage.where("journal"), snapshot.journal_bytes)
    return replayed(snapshot, chain) if chain.lines else snapshot


def _read_journal_alone(storage: Readable) -> Snapshot:
    log = storage.tail(0, "")
    if log is None:
        return EMPTY
    from state.journal import verify_all  # noqa: PLC0415 - as in `replayed`

    return replayed(EMPTY, verify_all(log, storage.where("journal"))[1])


def replayed(base: Snapshot, chain: Chain) -> Snapshot:
    """The snapshot `base` and the lines of `chain` that it lacks."""
    # To load what knows the records takes a tenth of a small plan's time, and most snapshots lack none.
    from state import fold, journal  # noqa: PLC0415

    # The line that is being read: an error names its place.
    at = chain.end

    def records() -> Iterator[Record]:
        nonlocal at
        lacking = chain.lines[base.journal_bytes - chain.offset :]
        for at, record in journal.decode(lacking, chain.path, base.journal_bytes):  # noqa: B007
            yield record

    try:
        return fold.replay(base, records())._replace(head=chain.head, journal_bytes=chain.end)
    except ValueError as error:
        raise Damaged(chain.path, at, f"its records contradict each other: {error}", RESTORE) from error
