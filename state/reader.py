"""The state as it is read, without a lock: what a run that is under way or died has in the journal is in it too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os.path import basename, dirname
from typing import TYPE_CHECKING, NamedTuple

from state import disk as disks
from state.chain import RESTORE, Chain, hash_before, verify
from state.disk import Disk, LocalDisk, StrPath
from state.errors import Damaged, ReadFailed
from state.snapshot import EMPTY, Snapshot, decode_snapshot

if TYPE_CHECKING:
    from state.records import Record

__all__ = ["read"]

# The line at which a snapshot was made is an `end`, some 160 bytes long.
_END_BYTES = 1024


class Names(NamedTuple):
    """The files of a state, which lie beside each other; `torn` lacks its number."""

    state: str
    journal: str
    lock: str
    temporary: str
    torn: str

    @classmethod
    def of(cls, path: StrPath) -> Names:
        name = basename(path)
        stem = name.removesuffix(".json")
        return cls(name, f"{stem}.journal.jsonl", f"{stem}.lock", f"{stem}.tmp", f"{stem}.journal.torn-")


def read(path: StrPath, *, disk: Disk | None = None) -> Snapshot:
    """The state, with what a run that is under way or died has in the journal beyond the snapshot. Takes no lock.

    `path` is the state file; EMPTY if there is neither that nor a journal. Only the journal's bytes that the snapshot
    lacks are read and verified.

    Raises:
        StateError: the files can't be read or trusted.
    """
    with opened(path, disk) as found:
        return EMPTY if found is None else _read(found, Names.of(path))


@contextmanager
def opened(path: StrPath, disk: Disk | None) -> Iterator[Disk | None]:
    """The directory of the state file, to read it; None if there is none."""
    if disk is not None:
        yield disk
        return
    try:
        local = LocalDisk(dirname(path))
    except ReadFailed as error:
        if not isinstance(error.cause, FileNotFoundError):
            raise
        yield None
        return
    try:
        yield local
    finally:
        local.release()


def _read(disk: Disk, names: Names) -> Snapshot:
    # The snapshot first: a writer appends to the journal before it replaces the snapshot.
    raw = disks.read(disk, names.state)
    if raw is None:
        return _read_journal_alone(disk, names)
    snapshot = decode_snapshot(raw, disk.path(names.state))
    offset = max(0, snapshot.journal_bytes - _END_BYTES)
    tail = disks.read(disk, names.journal, offset)
    at = snapshot.journal_bytes - offset
    if tail is None:
        raise missing(disk, names)
    check_belongs(snapshot, hash_before(tail, at), disk, names)
    chain = verify(tail[at:], snapshot.head, disk.path(names.journal), snapshot.journal_bytes)
    return replayed(snapshot, chain, disk, names) if chain.lines else snapshot


def _read_journal_alone(disk: Disk, names: Names) -> Snapshot:
    log = disks.read(disk, names.journal)
    if log is None:
        return EMPTY
    from state.journal import verify_all  # noqa: PLC0415 - as in `replayed`

    return replayed(EMPTY, verify_all(log, disk.path(names.journal))[1], disk, names)


def missing(disk: Disk, names: Names) -> Damaged:
    what = "missing: every change ever made to the state is in it"
    return Damaged(disk.path(names.journal), None, what, RESTORE)


def check_belongs(snapshot: Snapshot, hash_there: str | None, disk: Disk, names: Names) -> None:
    if hash_there != snapshot.head:
        what = f"{names.state} was not made from this journal, or the journal's end is lost"
        raise Damaged(disk.path(names.journal), snapshot.journal_bytes, what, RESTORE)


def replayed(base: Snapshot, chain: Chain, disk: Disk, names: Names) -> Snapshot:
    """The snapshot `base` and the lines of `chain` that it lacks."""
    # What knows the records is a tenth of a small plan's time, and most reads find that the snapshot lacks none.
    from state import fold, journal  # noqa: PLC0415

    path, at = disk.path(names.journal), chain.end

    def records() -> Iterator[Record]:
        nonlocal at
        lacking = chain.lines[base.journal_bytes - chain.offset :]
        for at, record in journal.decode(lacking, path, base.journal_bytes):  # noqa: B007
            yield record

    try:
        return fold.replay(base, records())._replace(head=chain.head, journal_bytes=chain.end)
    except ValueError as error:
        raise Damaged(path, at, f"its records contradict each other: {error}", RESTORE) from error
