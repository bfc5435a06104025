"""The state of a project as its commands use it: read it, or open a session that changes it.

A place says where the state is (`state.storage` is the contract). The path of a local state file stands for its place.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import datetime, timezone

from state import journal
from state.chain import RESTORE, Chain, hash_before, missing, unrelated
from state.errors import Damaged, StateMoved
from state.places.disk import Disk, StrPath
from state.places.place import LocalPlace, place_of
from state.reader import opened, read, refuse_sealed, replayed
from state.records import Record, Sealed
from state.runs import AtWork, last_run, open_run
from state.session import Session, recover
from state.snapshot import EMPTY, Snapshot, decode_snapshot, rebuild_remedy
from state.storage import Place, Readable, Storage

__all__ = ["Session", "at_work", "open", "read", "read_journal", "read_latest", "rebuild", "verify"]

_WHICH_REMEDY = (
    "Restore the journal that belongs to it, from the same commit or backup. If it is the journal that is right, move "
    "the state file away first."
)


def _utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _new_uuid() -> str:
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
    """The latest records, back to the first one from before `since`, in the journal's order. Takes no lock.

    Nothing is verified, so they only inform: who was at work in the last minute. Times are compared as text.

    Raises:
        StateError: it can't be read.
    """
    with opened(place_of(where, disk)) as storage:
        if storage is None:
            return ()
        raw = storage.tail(0, "") or b""
        # Up to the last whole line: a writer may be in the middle of the next one.
        latest = journal.read_backwards(raw[: raw.rfind(b"\n") + 1], storage.where("journal"))
        return tuple(itertools.takewhile(lambda record: record.at >= since, latest))[::-1]


def at_work(place: Place, head: str) -> AtWork | None:
    """Who is at work on the state at the place, or was at work since it had the `head`; None: nobody. Takes no lock.

    Of a shared state, this may be a run that has died, as long as the next run has not closed it.

    Raises:
        StateError: the journal can't be read or trusted.
    """
    if (chain := read_journal(place)) is None:
        return None
    who = open_run(chain)
    # On this machine, a run that is open and has no lock is dead: it changes nothing any more.
    if who is not None and (not isinstance(place, LocalPlace) or place.lock_holder() is not None):
        return AtWork(who, has_ended=False)
    return None if chain.head == head else AtWork(last_run(chain), has_ended=True)


def _refuse_sealed_journal(chain: Chain, storage: Readable) -> None:
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


def _verify(storage: Readable) -> Chain | None:
    base, chain = _load(storage, rebuilding=False)
    if chain is None:
        return None
    # Two steps: up to its own place, the journal has to make exactly this snapshot; the rest has to follow from it.
    made = replayed(EMPTY, chain._replace(lines=chain.lines[: base.journal_bytes]))
    # The head of the cut chain is still that of the whole one. `_load` has checked the snapshot's.
    if made._replace(head=base.head) != base:
        raise Damaged(storage.where("state"), None, "not what the records of its journal give", rebuild_remedy())
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
    """Make the snapshot again from the journal, whatever happened to the old one.

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
            """Another run has appended in the meantime."""
    # Also when interrupted: a library's user may go on, and would keep the lock.
    except BaseException:
        storage.close()
        raise
    return session


def _opened(
    storage: Storage, now: Callable[[], str], new_lineage: Callable[[], str], *, rebuilding: bool
) -> Session | None:
    """The session, after a dead run is closed; None: the journal has grown since it was read."""
    # First all is read and verified, then all that can refuse; only after that something is written. So a state that is
    # refused stays as it is.
    base, chain = _load(storage, rebuilding=rebuilding)
    if rebuilding and chain and (old := storage.snapshot()) is not None:
        _give_up(storage, old, chain)
    snapshot = replayed(base, chain) if chain else base
    refuse_sealed(snapshot.sealed, storage)
    # This can wait for minutes, while the other run goes on: then what was read is old.
    if chain and not storage.is_free(chain):
        return None
    storage.tidy()
    session = Session(storage, snapshot, chain.lines if chain else b"", now, new_lineage)
    # After a run that ended well, the snapshot is of the journal's last line.
    if chain and (chain.torn or chain.head != base.head):
        try:
            recover(storage, chain, session)
        # Another run was quicker, and has closed the dead one.
        except StateMoved:
            return None
    return session


def _load(storage: Readable, *, rebuilding: bool) -> tuple[Snapshot, Chain | None]:
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
    return base, chain


def _give_up(storage: Storage, old: bytes, chain: Chain) -> None:
    """Look at a snapshot before it is replaced by one from the journal: keep a copy if it is damaged.

    Raises:
        Damaged: the snapshot is whole, and not from this journal, or from records that the journal lacks.
    """
    try:
        found = decode_snapshot(old, storage.where("state"))
    except Damaged:
        storage.keep(old)
        return
    if hash_before(chain.lines, found.journal_bytes) != found.head:
        # With a journal from an older backup, a rebuild would bring back an older state without a word.
        what = f"undamaged, with the serial {found.serial}; the journal is of another state, or its end is missing"
        raise Damaged(storage.where("state"), None, what, _WHICH_REMEDY)
