"""A session: the state while one run has the lock, and the only way to change it.

`state.store.open` makes one.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Literal, Self

from state import journal
from state.chain import Chain, anchor
from state.errors import EngineUnreachable, LockLost, StateError, StateMoved, WriteFailed
from state.fold import Fold
from state.records import End, Genesis, Intent, Record
from state.runs import author
from state.snapshot import EMPTY, FORMAT, ResourceState, Snapshot, encode_snapshot
from state.storage import Storage, Taken
from state.values import Address

__all__ = ["Session", "recover"]

_NEXT_RESOLVES = "Nothing more is sent; the next run resolves {}. Running the command again is safe."


class Session:
    """The state, locked, and the only way to change it: record what happens, then commit. Use it with `with`.

    What is recorded is durable when `record` returns, even without a commit. If a session ends without a commit, the
    next one puts journal and snapshot in order. After the place has refused once, or a write was interrupted, this
    session writes nothing more.
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
        # All bytes of the journal so far: to read them again would take more requests to a shared store.
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
        """The requests whose outcome is unknown."""
        return self._fold.unresolved

    def resource(self, address: Address) -> ResourceState | None:
        """What is known of the address so far."""
        return self._fold.resource(address)

    def intents_since(self, at: str) -> tuple[str, ...]:
        """The times of the latest intents, back to the first record from before `at`, in the journal's order.

        Times are compared as text. If somebody set the clock, there are too few or too many: only the pacing uses them.
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
        # A request follows an intent, and nothing may be sent without the lock. An outcome is recorded even then: it is
        # what happened.
        if isinstance(record, Intent):
            self._storage.check_lock()
        # A state begins with its first record. Both lines are one write: after a crash, both are there or none.
        first, fold, head = (b"", self._fold, self._head) if self._head else self._genesis(record.at)
        line, head = journal.encode(record, head)
        # Fold what a reader of the line will get, not what the caller gave: so the state is the journal's replay.
        as_read = journal.parse(line)
        # Check, then write, then fold: a record that makes no sense leaves no trace, and the state has nothing that is
        # not in the journal.
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
            # Nothing of this run is recorded, so nothing was sent: it can simply be run again.
            if not self._has_uncommitted:
                raise StateMoved(where, by) from None
            open_ = ", ".join(sorted(self._fold.unresolved)) or "what it left"
            raise LockLost(
                where, f"another run took over, because it considered this one dead: {by}", _NEXT_RESOLVES.format(open_)
            ) from None

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
        # If the store says nothing, the run is refused for its own reason, which is the more useful one.
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
        # In this order, a crash in between leaves a snapshot that is old, and the journal completes it. In the other
        # order, the snapshot would know a record that is nowhere.
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
        """Remember what fails in here, so that nothing is written after it.

        An interrupt is a failure too: nobody knows how much was written.
        """
        try:
            yield
        except StateError as error:
            self._failure = error
            raise
        except BaseException:
            cause = InterruptedError(errno.EINTR, "interrupted")
            self._failure = WriteFailed(self._storage.where("journal"), doing, cause)
            raise


def recover(storage: Storage, chain: Chain, session: Session) -> None:
    """Close a dead run: afterwards journal and snapshot are complete, agree, and end with an `end`."""
    storage.recover(chain)
    # The run did end, and died before its snapshot was written: a second `end` would count it twice.
    if isinstance(next(journal.read_backwards(chain.lines, chain.path)), End):
        session._write_snapshot()  # noqa: SLF001
    else:
        session._end("recovered")  # noqa: SLF001
