"""The state in a directory of this machine, while a run has the lock and writes it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import suppress

from state.chain import Chain
from state.errors import LockHeld, LockLost
from state.places import durable
from state.places.disk import Disk, read
from state.places.local import LocalReader, StateFiles
from state.records import when
from state.storage import InUse, Told

__all__ = ["LocalWriter"]


class LocalWriter(LocalReader):
    """A `Storage` of files. `patience_s` and `told` are as `LocalPlace` has them."""

    def __init__(self, disk: Disk, names: StateFiles, patience_s: float, told: Callable[[Told], None]) -> None:
        super().__init__(disk, names)
        self._patience_s, self._told = patience_s, told
        self._fd: int | None = None

    def close(self) -> None:
        # All that had to be durable is synced already, so an error here changes nothing.
        with suppress(OSError):
            if self._fd is not None:
                self._disk.close(self._fd)
        self._fd = None
        super().close()

    def acquire(self, doing: str, since: str) -> None:
        # It asks again and again: a flock that waits has no time limit, and tells nobody that it waits.
        end = time.monotonic() + self._patience_s
        while True:
            try:
                durable.acquire(self._disk, self._names.lock, durable.identify(doing, when(since)))
            except LockHeld as error:
                if (left := end - time.monotonic()) <= 0:
                    raise
                self._told(InUse(error.holder, left))
                time.sleep(min(left, 1.0))
            else:
                return

    def is_free(self, chain: Chain) -> bool:
        """Always: this run has the lock, and a lock ends with its process."""
        return True

    def tidy(self) -> None:
        # Even if there is no such file: the run before may have died between a rename and the sync that it needs.
        durable.remove(self._disk, self._names.temporary)

    def recover(self, chain: Chain) -> None:
        # Into a new file, even if all lines are whole. After a failed fsync the system may show bytes that the disk
        # does not have, and another fsync would not write them. The torn end is kept first: the new file lacks it.
        if chain.torn:
            self._put_aside(self._names.torn, chain.torn)
        self._replace(self._names.journal, chain.lines)

    def keep(self, old: bytes) -> None:
        self._put_aside(self._names.damaged, old)

    def _put_aside(self, name: str, content: bytes) -> None:
        for n in itertools.count(1):
            # A recovery that was interrupted comes here again: the same bytes are kept only once.
            kept = read(self._disk, f"{name}{n}")
            if kept is None:
                self._replace(f"{name}{n}", content)
            if kept in (None, content):
                return

    def probe(self) -> None:
        durable.probe(self._disk, self._names.state, self._names.temporary)

    def check_lock(self) -> None:
        if not self._disk.holds_lock():
            raise LockLost(self.where("lock"))

    def append(self, at: int, lines: bytes) -> None:
        # A new journal gets its name only when it has whole lines: so an empty journal is damage, never a beginning.
        if not at:
            self._replace(self._names.journal, lines)
            return
        if self._fd is None:
            self._fd = durable.open_append(self._disk, self._names.journal)
        durable.append(self._disk, self._names.journal, self._fd, lines)

    def appended_by_others(self, at: int) -> bytes | None:
        """None: who has the lock is alone."""
        return None

    def check_deadline(self) -> None:
        # A lock has no time limit, unlike the lease of a shared state.
        self.check_lock()

    def stay(self) -> None:
        """Nothing to do: the lock lasts as long as the process."""

    def save_snapshot(self, raw: bytes, at: int) -> None:
        self._replace(self._names.state, raw)

    def _replace(self, name: str, data: bytes) -> None:
        durable.replace(self._disk, name, data, self._names.temporary)
