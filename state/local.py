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

import os
from collections.abc import Callable
from os.path import basename, dirname
from typing import TYPE_CHECKING, NamedTuple

from state.chain import hash_before, unrelated
from state.disk import Disk, LocalDisk, StrPath, read
from state.errors import ReadFailed

if TYPE_CHECKING:
    from state.storage import Part, Place, Storage, Told

__all__ = ["LocalPlace", "LocalReader", "Names", "place_of"]

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

    def reader(self) -> LocalReader | None:
        if self._disk is not None:
            return LocalReader(self._disk, Names.of(self._path), is_ours=False)
        try:
            return LocalReader(LocalDisk(dirname(self._path)), Names.of(self._path))
        except ReadFailed as error:
            if not isinstance(error.cause, FileNotFoundError):
                raise
            return None

    def writer(self, *, makes: bool) -> Storage:
        from state.local_writer import LocalWriter  # noqa: PLC0415 - a plan only reads

        of = LocalDisk.made if makes else LocalDisk
        files = LocalReader(self._disk or of(dirname(self._path)), Names.of(self._path))
        return LocalWriter(files, self._patience_s, self._told)


def place_of(where: Place | StrPath, disk: Disk | None) -> Place:
    """The place that a caller means who may give just a path."""
    return LocalPlace(where, disk) if isinstance(where, str | os.PathLike) else where


class LocalReader:
    """A state of files, to read. `is_ours` says that the disk is released with it."""

    def __init__(self, disk: Disk, names: Names, *, is_ours: bool = True) -> None:
        self.disk, self.names, self._is_ours = disk, names, is_ours

    def where(self, part: Part) -> str:
        return self.disk.path(getattr(self.names, part))

    def snapshot(self) -> bytes | None:
        return read(self.disk, self.names.state)

    def tail(self, at: int, head: str) -> bytes | None:
        offset = max(0, at - _END_BYTES)
        raw = read(self.disk, self.names.journal, offset)
        if raw is None:
            return None
        if at and hash_before(raw, at - offset) != head:
            raise unrelated(self.where("state"), self.where("journal"), at)
        return raw[at - offset :]

    def check_lineage(self, lineage: str) -> None:
        """A state is the project's by the folder that it lies in."""

    def close(self) -> None:
        if self._is_ours:
            self.disk.release()
