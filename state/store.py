"""The state of a project as its commands use it: read it, or open a session that changes it.

Where it lies is a place's affair (`state.storage` is the contract); the path of a local state file stands for one.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from types import TracebackType
from typing import Literal, Self

from state import journal
from state.chain import RESTORE, Chain, anchor, hash_before, missing, unrelated
from state.disk import Disk, StrPath
from state.errors import Damaged, EngineUnreachable, LockLost, StateError, StateMoved, WriteFailed
from state.fold import Fold
from state.local import place_of
from state.reader import opened, read, refuse_sealed, replayed
from state.records import End, Genesis, Intent, Record, Sealed
from state.runs import author
from state.snapshot import EMPTY, FORMAT, REBUILD_REMEDY, ResourceState, Snapshot, decode_snapshot, encode_snapshot
from state.storage import Place, Storage, Taken
from state.values import Address

__all__ = ["Session", "open", "read", "read_journal", "read_latest", "rebuild", "verify"]

_NEXT_RESOLVES = "Nothing more is sent; the next run resolves {}. Running it again is safe."


_WHICH_REMEDY = (
    "Restore the journal that belongs to it, from the same commit or backup. If it is the journal that is right, move "
    "the state file away first."
)


def _utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _new_uuid() -> str:
    import uuid  # noqa: PLC0415 - once in the life of a state

    return str(uuid.uuid4())


def read_journal(where: Place | StrPath, *, disk: Disk | None = None) -> Chain | None:
    """The whole journal of the state, each line of it verified. Takes no lock.

    None if there is neither state nor journal. That the two agree is for `verify`.

    Raises:
        StateError: it can't be read or trusted.
    """
    with opened(place_of(where, disk)) as storage:
        if storage is None:
            return None
        log = storage.tail(0, "")
        if log is None and storage.snapshot() is not None:
            raise missing(storage.where("journal"))
        genesis, chain = journal.verify_all(log, storage.where("journal")) if log is not None else (None, None)
        if chain:
            _refuse_sealed_journal(chain, storage)
        storage.check_lineage(genesis.lineage if genesis else "")
        return chain


def read_latest(where: Place | StrPath, since: str, *, disk: Disk | None = None) -> tuple[Record, ...]:
    """The records of the journal's latest stretch that has none from before `since`, in its order. Takes no lock.

    Nothing is verified: it is for what the last minute's records inform of. Times are compared as text.

    Raises:
        StateError: it can't be read.
    """
    with opened(place_of(where, disk)) as storage:
        if storage is None:
            return ()
        raw = storage.tail(0, "") or b""
        latest = journal.read_backwards(raw[: raw.rfind(b"\n") + 1], storage.where("journal"))
        return tuple(itertools.takewhile(lambda record: record.at >= since, latest))[::-1]


def _refuse_sealed_journal(chain: Chain, storage: Storage) -> None:
    last = next(journal.read_backwards(chain.lines, chain.path))
    refuse_sealed(last.to if isinstance(last, Sealed) else None, storage)


def verify(where: Place | StrPath, *, disk: Disk | None = None) -> Chain | None:
    """The whole journal, when each line of it follows from the one before and the snapshot is what its records make.

    None if there is neither state nor journal. Takes no lock.

    Raises:
        StateError: they can't be read or trusted, or don't agree.
    """
    with opened(place_of(where, disk)) as storage:
        return None if storage is None else _verify(storage)


def _verify(storage: Storage) -> Chain | None:
    base, chain = _load(storage, rebuilding=False)
    if chain is None:
        return None
    made = replayed(EMPTY, chain._replace(lines=chain.lines[: base.journal_bytes]))
    if made._replace(head=base.head) != base:
        raise Damaged(storage.where("state"), None, "not what the records of its journal make", REBUILD_REMEDY)
    refuse_sealed(replayed(base, chain).sealed, storage)
    return chain


def open(  # noqa: A001
    where: Place | StrPath,
    doing: str,
    *,
    disk: Disk | None = None,
    now: Callable[[], str] = _utc_now,
    new_lineage: Callable[[], str] = _new_uuid,
) -> Session:
    """Lock the state, recover from a run that died, and give the session in which it can be changed.

    `doing` is what others are told of who has the lock; `now` gives RFC 3339 in UTC with milliseconds, `new_lineage` a
    UUID for a state that is new. Recovery sends nothing and is done when this returns: what it could not learn is in
    `Session.unresolved`.

    Raises:
        LockHeld: another process has the lock.
        StateError: what is there can't be trusted, and was not touched; or the place refused.
    """
    storage = place_of(where, disk).writer(makes=True)
    return _open(storage, doing, now, new_lineage, rebuilding=False)


def rebuild(where: Place | StrPath, *, disk: Disk | None = None, now: Callable[[], str] = _utc_now) -> Snapshot:
    """Make the snapshot again from the journal, whatever became of the old one.

    Raises:
        LockHeld: another process has the lock.
        StateError: there is no journal, it can't be trusted, or the place refused.
    """
    storage = place_of(where, disk).writer(makes=False)
    with _open(storage, "state rebuild", now, _new_uuid, rebuilding=True) as session:
        return session.snapshot


def _open(
    storage: Storage, doing: str, now: Callable[[], str], new_lineage: Callable[[], str], *, rebuilding: bool
) -> Session:
    try:
        storage.acquire(doing, now())
        while (session := _opened(storage, now, new_lineage, rebuilding=rebuilding)) is None:
            """Somebody else went on meanwhile."""
    except BaseException:
        storage.close()
        raise
    return session


def _opened(
    storage: Storage, now: Callable[[], str], new_lineage: Callable[[], str], *, rebuilding: bool
) -> Session | None:
    """The session, once what died is put to rest; None: what was read is not all any more."""
    base, chain = _load(storage, rebuilding=rebuilding)
    snapshot = replayed(base, chain) if chain else base
    refuse_sealed(snapshot.sealed, storage)
    if chain and not storage.is_free(chain):
        return None
    storage.tidy()
    session = Session(storage, snapshot, chain.lines if chain else b"", now, new_lineage)
    if chain and (chain.torn or chain.head != base.head):
        try:
            _recover(storage, chain, session)
        except StateMoved:
            return None
    return session


def _load(storage: Storage, *, rebuilding: bool) -> tuple[Snapshot, Chain | None]:
    """The snapshot (EMPTY: none, or it is to be made again) and the whole journal (None: there is neither)."""
    raw = None if rebuilding else storage.snapshot()
    log = storage.tail(0, "")
    if log is None and raw is None and not rebuilding:
        storage.check_lineage("")
        return EMPTY, None
    base = EMPTY if raw is None else decode_snapshot(raw, storage.where("state"))
    if log is None:
        raise missing(storage.where("journal"))
    genesis, chain = journal.verify_all(log, storage.where("journal"))
    if raw is not None:
        if hash_before(chain.lines, base.journal_bytes) != base.head:
            raise unrelated(storage.where("state"), chain.path, base.journal_bytes)
        if base.lineage != genesis.lineage:
            raise Damaged(storage.where("state"), None, "its lineage is not the journal's", RESTORE)
    storage.check_lineage(genesis.lineage)
    if rebuilding and (old := storage.snapshot()) is not None:
        _give_up(storage, old, chain)
    return base, chain


def _give_up(storage: Storage, old: bytes, chain: Chain) -> None:
    """Keep the snapshot that is going to be made again, if it can't be.

    Raises:
        Damaged: it is whole, and has what the journal lacks.
    """
    try:
        found = decode_snapshot(old, storage.where("state"))
    except Damaged:
        storage.keep(old)
        return
    if hash_before(chain.lines, found.journal_bytes) != found.head:
        what = f"whole, with the serial {found.serial}; the journal beside it is another one, or its end is lost"
        raise Damaged(storage.where("state"), None, what, _WHICH_REMEDY)


def _recover(storage: Storage, chain: Chain, session: Session) -> None:
    """Put a run that died to rest: after it journal and snapshot are whole, agree, and end with an `end`."""
    storage.recover(chain)
    if isinstance(next(journal.read_backwards(chain.lines, chain.path)), End):
        session._write_snapshot()  # noqa: SLF001
    else:
        session._end("recovered")  # noqa: SLF001


class Session:
    """The state, locked, and the only way to change it: record what happens, then commit. Use it with `with`.

    What is recorded is durable when `record` returns, whether or not it is committed; a session that ends without a
    commit leaves it to the next one to put journal and snapshot in order. After the place refused once, or a write was
    interrupted, nothing is ever written by this session again.
    """

    def __init__(
        self,
        storage: Storage,
        snapshot: Snapshot,
        lines: bytes,
        now: Callable[[], str],
        new_lineage: Callable[[], str],
    ) -> None:
        self._storage, self._now, self._new_lineage = storage, now, new_lineage
        self._fold = Fold(snapshot)
        self._head, self._journal_bytes = snapshot.head, snapshot.journal_bytes
        self._lines = [lines]
        self._has_uncommitted = False
        self._failure: StateError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock. Nothing is written."""
        self._storage.close()

    @property
    def snapshot(self) -> Snapshot:
        """The state after the last record: a copy, in time proportional to the number of resources."""
        return self._fold.snapshot(self._head, self._journal_bytes)

    @property
    def unresolved(self) -> Mapping[Address, Intent]:
        """The requests of which nobody knows what became."""
        return self._fold.unresolved

    def resource(self, address: Address) -> ResourceState | None:
        """What is known of the address so far."""
        return self._fold.resource(address)

    def intents_since(self, at: str) -> tuple[str, ...]:
        """The times of the intents in the journal's latest stretch that has no record from before `at`, in its order.

        Times are compared as text. A clock that was set ends the stretch early or late: it informs the pacing only.
        """
        lines = b"".join(self._lines)
        latest = itertools.takewhile(
            lambda record: record.at >= at, journal.read_backwards(lines, self._storage.where("journal"))
        )
        return tuple(record.at for record in latest if isinstance(record, Intent))[::-1]

    def probe(self) -> None:
        """Prove that the place can be written, before the first request is sent.

        Raises:
            WriteFailed: it can't.
        """
        self._refuse_if_failed()
        with self._latched("write beside the state"):
            self._storage.probe()

    def record(self, record: Record) -> None:
        """Append the record to the journal, durably, then fold it into the state. A new journal gets its genesis first.

        Raises:
            ValueError: JSON can't hold the record, or it makes no sense now (an outcome without an intent, an intent
                while that address has an unresolved one); nothing of it was written.
            LockLost: the lock is no longer ours; nothing of it was written.
            StateMoved: the first record of a run, and another run began since the state was read; nothing was written.
            WriteFailed, EngineUnreachable: it is unknown whether the record will be found later.
            All four also whenever one was raised before.
        """
        self._refuse_if_failed()
        if isinstance(record, Intent):
            self._storage.check_lock()
        first, fold, head = (b"", self._fold, self._head) if self._head else self._genesis(record.at)
        line, head = journal.encode(record, head)
        # What is folded is what a reader of the line gets, so that the state is the journal's replay by construction.
        as_read = journal.parse(line)
        fold.check(as_read)
        with self._latched("append to it" if self._head else "create it"):
            self._append(first + line)
            fold.add(as_read)
            self._fold, self._head, self._journal_bytes = fold, head, self._journal_bytes + len(first + line)
        self._lines.append(first + line)
        self._has_uncommitted = True

    def _append(self, lines: bytes) -> None:
        try:
            self._storage.append(self._journal_bytes, lines)
        except Taken as taken:
            where, by = self._storage.where("journal"), author(taken.lines)
            if not self._has_uncommitted:
                raise StateMoved(where, by) from None
            open_ = ", ".join(sorted(self._fold.unresolved)) or "what it left"
            raise LockLost(where, f"another run took this one for dead: {by}", _NEXT_RESOLVES.format(open_)) from None

    def _genesis(self, at: str) -> tuple[bytes, Fold, str]:
        """The line that goes into the journal together with the first record, of the same time; its state and hash."""
        genesis, fold = Genesis(self._new_lineage(), FORMAT, at), Fold(EMPTY)
        fold.add(genesis)
        line, head = journal.encode(genesis, anchor(genesis.lineage))
        return line, fold, head

    def check_current(self) -> None:
        """Called before a run is refused for what it read, which may be old by now.

        Raises:
            StateMoved: another run began since.
        """
        if self._has_uncommitted or self._failure is not None:
            return
        with suppress(EngineUnreachable):
            if lines := self._storage.appended_by_others(self._journal_bytes):
                raise StateMoved(self._storage.where("journal"), author(lines))

    def check_deadline(self) -> None:
        """Called after the record of a request, right before it is sent.

        Raises:
            LockLost: by the time that it ends somebody else could be at work.
        """
        self._storage.check_deadline()

    def stay(self) -> None:
        """Called every few seconds while the run waits: others see that it is alive."""
        self._storage.stay()

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
            self._storage.save_snapshot(encode_snapshot(self.snapshot), self._journal_bytes)

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise self._failure

    @contextmanager
    def _latched(self, doing: str) -> Iterator[None]:
        """An interrupt in here counts as a failure too: how much was written is as unknown."""
        try:
            yield
        except StateError as error:
            self._failure = error
            raise
        except BaseException:
            cause = InterruptedError(errno.EINTR, "interrupted")
            self._failure = WriteFailed(self._storage.where("journal"), doing, cause)
            raise
