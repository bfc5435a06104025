"""The state of a project as its commands use it: read it, or open a session that changes it.

The files lie beside each other, here for the state file `x.json`:
    x.json              the snapshot
    x.journal.jsonl     the journal, the source of truth
    x.journal.torn-N    what a crash left half-written at its end: of no use to statform, kept for who wants to look
    x.lock              locked by who may write
    x.tmp               a file in the making; after a crash it is of no use and is removed
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from os.path import dirname
from types import TracebackType
from typing import Literal, Self

from state import disk as disks
from state import journal
from state.chain import RESTORE, Chain, anchor, hash_before
from state.disk import Disk, LocalDisk, StrPath
from state.errors import Damaged, LockLost, WriteFailed
from state.fold import Fold
from state.reader import Names, check_belongs, missing, opened, read, replayed
from state.records import End, Genesis, Intent, Record
from state.snapshot import EMPTY, FORMAT, REBUILD_REMEDY, Snapshot, decode_snapshot, encode_snapshot
from state.values import Address

__all__ = ["Session", "open", "read", "read_journal", "rebuild", "verify"]


def _utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _new_uuid() -> str:
    import uuid  # noqa: PLC0415 - once in the life of a state

    return str(uuid.uuid4())


def read_journal(path: StrPath, *, disk: Disk | None = None) -> Chain | None:
    """The whole journal beside the state file `path`, each line of it verified. Takes no lock.

    None if there is neither state nor journal. That the two agree is for `verify`.

    Raises:
        StateError: it can't be read or trusted.
    """
    with opened(path, disk) as found:
        if found is None:
            return None
        names = Names.of(path)
        log = disks.read(found, names.journal)
        if log is None and disks.read(found, names.state) is not None:
            raise missing(found, names)
        return None if log is None else journal.verify_all(log, found.path(names.journal))[1]


def verify(path: StrPath, *, disk: Disk | None = None) -> Chain | None:
    """The whole journal, when each line of it follows from the one before and the snapshot is what its records make.

    None if there is neither state nor journal. Takes no lock.

    Raises:
        StateError: the files can't be read or trusted, or don't agree.
    """
    with opened(path, disk) as found:
        return None if found is None else _verify(found, Names.of(path))


def _verify(disk: Disk, names: Names) -> Chain | None:
    base, chain = _load(disk, names, rebuilding=False)
    if chain is None:
        return None
    made = replayed(EMPTY, chain._replace(lines=chain.lines[: base.journal_bytes]), disk, names)
    if made._replace(head=base.head) != base:
        raise Damaged(disk.path(names.state), None, "not what the records of its journal make", REBUILD_REMEDY)
    replayed(base, chain, disk, names)
    return chain


def open(  # noqa: A001
    path: StrPath,
    doing: str,
    *,
    disk: Disk | None = None,
    now: Callable[[], str] = _utc_now,
    new_lineage: Callable[[], str] = _new_uuid,
) -> Session:
    """Lock the state, recover from a run that died, and give the session in which it can be changed.

    `path` is the state file, `doing` what others are told of who has the lock; `now` gives RFC 3339 in UTC with
    milliseconds, `new_lineage` a UUID for a state that is new. Recovery sends nothing and is done when this returns:
    what it could not learn is in `Session.unresolved`.

    Raises:
        LockHeld: another process has the lock.
        StateError: the files can't be trusted, and were not touched; or the disk refused.
    """
    return _open(path, doing, disk or LocalDisk.made(dirname(path)), now, new_lineage, rebuilding=False)


def rebuild(path: StrPath, *, disk: Disk | None = None, now: Callable[[], str] = _utc_now) -> Snapshot:
    """Make the snapshot anew from the journal, whatever became of the old one.

    Raises:
        LockHeld: another process has the lock.
        StateError: there is no journal, it can't be trusted, or the disk refused.
    """
    with _open(path, "state rebuild", disk or LocalDisk(dirname(path)), now, _new_uuid, rebuilding=True) as session:
        return session.snapshot


def _open(
    path: StrPath, doing: str, disk: Disk, now: Callable[[], str], new_lineage: Callable[[], str], *, rebuilding: bool
) -> Session:
    names = Names.of(path)
    try:
        disks.acquire(disk, names.lock, disks.identify(doing, now()))
        base, chain = _load(disk, names, rebuilding=rebuilding)
        snapshot = replayed(base, chain, disk, names) if chain else base
        # Also for what is clean: the run before may have died between a rename and the sync that makes it durable.
        disks.remove(disk, names.temporary)
        session = Session(disk, names, snapshot, now, new_lineage)
        if chain and (chain.torn or chain.head != base.head):
            _recover(disk, names, chain, session)
    except BaseException:
        disk.release()
        raise
    return session


def _load(disk: Disk, names: Names, *, rebuilding: bool) -> tuple[Snapshot, Chain | None]:
    """The snapshot (EMPTY: none, or it is to be made anew) and the whole journal (None: there is neither)."""
    raw = None if rebuilding else disks.read(disk, names.state)
    log = disks.read(disk, names.journal)
    if log is None and raw is None and not rebuilding:
        return EMPTY, None
    base = EMPTY if raw is None else decode_snapshot(raw, disk.path(names.state))
    if log is None:
        raise missing(disk, names)
    genesis, chain = journal.verify_all(log, disk.path(names.journal))
    if raw is not None:
        check_belongs(base, hash_before(chain.lines, base.journal_bytes), disk, names)
        if base.lineage != genesis.lineage:
            raise Damaged(disk.path(names.state), None, "its lineage is not the journal's", RESTORE)
    return base, chain


def _recover(disk: Disk, names: Names, chain: Chain, session: Session) -> None:
    """Put a run that died to rest: after it journal and snapshot are whole, agree, and end with an `end`.

    The journal's lines go to a new file even when all are whole: after a failed fsync the system may show bytes that
    the medium lacks, and syncing them again would not write them. Interrupted anywhere, it can be done again.
    """
    if chain.torn:
        _put_aside(disk, names, chain.torn)
    disks.replace(disk, names.journal, chain.lines, names.temporary)
    if isinstance(next(journal.read_backwards(chain.lines, disk.path(names.journal))), End):
        session._write_snapshot()  # noqa: SLF001
    else:
        session._end("recovered")  # noqa: SLF001


def _put_aside(disk: Disk, names: Names, torn: bytes) -> None:
    for n in itertools.count(1):
        kept = disks.read(disk, f"{names.torn}{n}")
        if kept is None:
            disks.replace(disk, f"{names.torn}{n}", torn, names.temporary)
        if kept in (None, torn):
            return


class Session:
    """The state, locked, and the only way to change it: record what happens, then commit. Use it with `with`.

    What is recorded is durable when `record` returns, whether or not it is committed; a session that ends without a
    commit leaves it to the next one to put journal and snapshot in order. After the disk refused once, or a write was
    interrupted, nothing is ever written by this session again.
    """

    def __init__(
        self, disk: Disk, names: Names, snapshot: Snapshot, now: Callable[[], str], new_lineage: Callable[[], str]
    ) -> None:
        self._disk, self._names, self._now, self._new_lineage = disk, names, now, new_lineage
        self._fold = Fold(snapshot)
        self._head, self._journal_bytes = snapshot.head, snapshot.journal_bytes
        self._fd: int | None = None
        self._has_uncommitted = False
        self._failure: WriteFailed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock. Nothing is written."""
        # What was to be durable is synced: an error can't concern it any more.
        with suppress(OSError):
            if self._fd is not None:
                self._disk.close(self._fd)
        self._fd = None
        self._disk.release()

    @property
    def snapshot(self) -> Snapshot:
        """The state after the last record: a copy, in time proportional to the number of resources."""
        return self._fold.snapshot(self._head, self._journal_bytes)

    @property
    def unresolved(self) -> Mapping[Address, Intent]:
        """The requests of which nobody knows what became."""
        return self._fold.unresolved

    def intents_since(self, at: str) -> tuple[str, ...]:
        """The times of the intents in the journal's latest stretch that has no record from before `at`, in its order.

        Times are compared as text. A clock that was set ends the stretch early or late: it informs the pacing only.
        """
        path = self._disk.path(self._names.journal)
        raw = disks.read(self._disk, self._names.journal) or b""
        latest = itertools.takewhile(
            lambda record: record.at >= at, journal.read_backwards(raw[: self._journal_bytes], path)
        )
        return tuple(record.at for record in latest if isinstance(record, Intent))[::-1]

    def probe(self) -> None:
        """Prove that the directory can be written, before the first request is sent.

        Raises:
            WriteFailed: it can't.
        """
        self._refuse_if_failed()
        with self._latched("write beside the state"):
            disks.probe(self._disk, self._names.temporary)

    def record(self, record: Record) -> None:
        """Append the record to the journal, durably, then fold it into the state. A new journal gets its genesis first.

        Raises:
            ValueError: JSON can't hold the record, or it makes no sense now (an outcome without an intent, an intent
                while that address has an unresolved one); nothing of it was written.
            LockLost: an intent, and the lock is no longer ours; nothing of it was written.
            WriteFailed: it is unknown whether the record will be found later; also whenever one was raised before.
        """
        self._refuse_if_failed()
        if isinstance(record, Intent) and not self._disk.holds_lock():
            raise LockLost(self._disk.path(self._names.lock))
        if not self._head:
            self._begin_journal()
        line, head = journal.encode(record, self._head)
        # What is folded is what a reader of the line gets, so that the state is the journal's replay by construction.
        as_read = journal.parse(line)
        self._fold.check(as_read)
        with self._latched("append to it"):
            self._append(line)
            self._fold.add(as_read)
            self._head, self._journal_bytes = head, self._journal_bytes + len(line)
        self._has_uncommitted = True

    def commit(self, status: Literal["ok", "failed", "interrupted"]) -> None:
        """End the run: an `end` record, then the snapshot, durable when this returns. Nothing if nothing was recorded.

        Raises:
            WriteFailed: the snapshot may be the old one; what was recorded is in the journal.
        """
        self._refuse_if_failed()
        if self._has_uncommitted:
            self._end(status)

    def _end(self, status: Literal["ok", "failed", "interrupted", "recovered"]) -> None:
        self.record(End(status, self._now()))
        self._write_snapshot()
        self._has_uncommitted = False

    def _write_snapshot(self) -> None:
        with self._latched("replace it"):
            disks.replace(self._disk, self._names.state, encode_snapshot(self.snapshot), self._names.temporary)

    def _begin_journal(self) -> None:
        """The journal gets its name with a whole genesis in it: an empty journal is damage, never a beginning."""
        genesis = Genesis(self._new_lineage(), FORMAT, self._now())
        line, head = journal.encode(genesis, anchor(genesis.lineage))
        with self._latched("create it"):
            disks.replace(self._disk, self._names.journal, line, self._names.temporary)
            self._fold.add(genesis)
            self._head, self._journal_bytes = head, len(line)

    def _append(self, line: bytes) -> None:
        if self._fd is None:
            self._fd = disks.open_append(self._disk, self._names.journal)
        disks.append(self._disk, self._names.journal, self._fd, line)

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise self._failure

    @contextmanager
    def _latched(self, doing: str) -> Iterator[None]:
        """An interrupt in here counts as a failure too: how much was written is as unknown."""
        try:
            yield
        except WriteFailed as error:
            self._failure = error
            raise
        except BaseException:
            cause = InterruptedError(errno.EINTR, "interrupted")
            self._failure = WriteFailed(self._disk.path(self._names.journal), doing, cause)
            raise
