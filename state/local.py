"""The state in a directory of this machine.

The files lie beside each other, here for the state file `x.json`:
    x.json              the snapshot
    x.journal.jsonl     the journal, the source of truth
    x.journal.torn-N    what a crash left half-written at its end: of no use to statform, kept for who wants to look
    x.torn-N            a snapshot that was damaged when it was made again from the journal
    x.state.lock        locked by who may write
    x.state.tmp         a file in the making; after a crash it is of no use and is removed
The last two are called so whether or not `x` ends with .state: x.lock could be the lock of another program.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from contextlib import suppress
from os.path import basename, dirname
from typing import TYPE_CHECKING, NamedTuple

from state import disk as disks
from state.chain import Chain, hash_before, unrelated
from state.disk import Disk, LocalDisk, StrPath
from state.errors import LockHeld, LockLost, ReadFailed

if TYPE_CHECKING:
    from state.storage import Part, Place, Told

__all__ = ["LocalPlace", "LocalStorage", "place_of"]

# The line at which a snapshot was made is an `end`, some 160 bytes long.
_END_BYTES = 1024


class Names(NamedTuple):
    """The files of a state, which lie beside each other; `torn` and `damaged` lack their numbers."""

    state: str
    journal: str
    lock: str
    temporary: str
    torn: str
    damaged: str

    @classmethod
    def of(cls, path: StrPath) -> Names:
        name = basename(path)
        stem = name.removesuffix(".json")
        own = stem.removesuffix(".state") + ".state"
        made = (f"{own}.lock", f"{own}.tmp", f"{stem}.journal.torn-", f"{stem}.torn-")
        return cls(name, f"{stem}.journal.jsonl", *made)


class LocalPlace:
    """The state file `path`, in its directory or on `disk`.

    `patience_s` is how long a run waits for one that has the lock; `told` hears of the wait.
    """

    def __init__(
        self,
        path: StrPath,
        disk: Disk | None = None,
        *,
        patience_s: float = 0.0,
        told: Callable[[Told], None] = lambda _: None,
    ) -> None:
        self._path, self._disk = path, disk
        self._patience_s, self._told = patience_s, told

    def __str__(self) -> str:
        return os.fspath(self._path)

    def reader(self) -> LocalStorage | None:
        if self._disk is not None:
            return LocalStorage(self._disk, Names.of(self._path), is_ours=False)
        try:
            return LocalStorage(LocalDisk(dirname(self._path)), Names.of(self._path))
        except ReadFailed as error:
            if not isinstance(error.cause, FileNotFoundError):
                raise
            return None

    def writer(self, *, makes: bool) -> LocalStorage:
        of = LocalDisk.made if makes else LocalDisk
        storage = LocalStorage(self._disk or of(dirname(self._path)), Names.of(self._path))
        storage.patience_s, storage.told = self._patience_s, self._told
        return storage


def place_of(where: Place | StrPath, disk: Disk | None) -> Place:
    """The place that a caller means who may give just a path."""
    return LocalPlace(where, disk) if isinstance(where, str | os.PathLike) else where


class LocalStorage:
    """A `Storage` of files. `is_ours` says that the disk is released with it."""

    patience_s = 0.0
    told: Callable[[Told], None] = staticmethod(lambda _: None)

    def __init__(self, disk: Disk, names: Names, *, is_ours: bool = True) -> None:
        self._disk, self._names, self._is_ours = disk, names, is_ours
        self._fd: int | None = None

    def where(self, part: Part) -> str:
        return self._disk.path(getattr(self._names, part))

    def snapshot(self) -> bytes | None:
        return disks.read(self._disk, self._names.state)

    def tail(self, at: int, head: str) -> bytes | None:
        offset = max(0, at - _END_BYTES)
        raw = disks.read(self._disk, self._names.journal, offset)
        if raw is None:
            return None
        if at and hash_before(raw, at - offset) != head:
            raise unrelated(self.where("state"), self.where("journal"), at)
        return raw[at - offset :]

    def check_lineage(self, lineage: str) -> None:
        """A state is the project's by the folder that it lies in."""

    def close(self) -> None:
        # What was to be durable is synced: an error can't concern it any more.
        with suppress(OSError):
            if self._fd is not None:
                self._disk.close(self._fd)
        self._fd = None
        if self._is_ours:
            self._disk.release()

    def acquire(self, doing: str, since: str) -> None:
        from state.records import when  # noqa: PLC0415 - attrs, which only a run that writes needs

        end = time.monotonic() + self.patience_s
        while True:
            try:
                disks.acquire(self._disk, self._names.lock, disks.identify(doing, when(since)))
            except LockHeld as error:
                if (left := end - time.monotonic()) <= 0:
                    raise
                from state.storage import Waiting  # noqa: PLC0415 - most runs wait for nobody

                self.told(Waiting(error.holder, left))
                time.sleep(min(left, 1.0))
            else:
                return

    def is_free(self, chain: Chain) -> bool:
        """Nobody else has the lock."""
        return True

    def tidy(self) -> None:
        # Also where nothing is: the run before may have died between a rename and the sync that makes it durable.
        disks.remove(self._disk, self._names.temporary)

    def recover(self, chain: Chain) -> None:
        # To a new file even when all are whole: after a failed fsync the system may show bytes that the medium lacks,
        # and syncing them again would not write them.
        if chain.torn:
            self._put_aside(self._names.torn, chain.torn)
        self._replace(self._names.journal, chain.lines)

    def keep(self, old: bytes) -> None:
        self._put_aside(self._names.damaged, old)

    def _put_aside(self, name: str, content: bytes) -> None:
        for n in itertools.count(1):
            kept = disks.read(self._disk, f"{name}{n}")
            if kept is None:
                self._replace(f"{name}{n}", content)
            if kept in (None, content):
                return

    def probe(self) -> None:
        disks.probe(self._disk, self._names.state, self._names.temporary)

    def check_lock(self) -> None:
        if not self._disk.holds_lock():
            raise LockLost(self.where("lock"))

    def append(self, at: int, lines: bytes) -> None:
        # The journal gets its name with whole lines in it: an empty journal is damage, never a beginning.
        if not at:
            self._replace(self._names.journal, lines)
            return
        if self._fd is None:
            self._fd = disks.open_append(self._disk, self._names.journal)
        disks.append(self._disk, self._names.journal, self._fd, lines)

    def appended_by_others(self, at: int) -> bytes | None:
        """Whoever has the lock is alone."""
        return None

    def check_deadline(self) -> None:
        self.check_lock()

    def stay(self) -> None:
        """The lock stays as long as the process does."""

    def save_snapshot(self, raw: bytes, at: int) -> None:
        self._replace(self._names.state, raw)

    def _replace(self, name: str, data: bytes) -> None:
        disks.replace(self._disk, name, data, self._names.temporary)
