"""A directory in memory that can lose power: a `state.places.disk.Disk` for tests.

What a kernel may do between two syncs, it does here. Until a file is synced, of what was written since the last time
a power failure may leave all, nothing, a first part, zeros in place of bytes, or a later part without an earlier one.
Until the directory is synced, each creation, rename and unlink may or may not have happened, in any combination. A
sync that fails takes the pages for written: they are still read back, and no later sync writes them.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator, Mapping

from state.errors import LockHeld

Files = dict[str, bytes]
PAGE = 4096


class _Inode:
    def __init__(self, durable: bytes = b"") -> None:
        self.durable = durable
        self.cache = bytearray(durable)
        self.dirty: list[tuple[int, bytes]] = []
        self.clean_but_lost: list[tuple[int, bytes]] = []

    def append(self, data: bytes) -> None:
        self.dirty.append((len(self.cache), data))
        self.cache += data

    def sync(self) -> None:
        self.durable, self.dirty = _overlay(self.durable, self.dirty), []

    def fail_to_sync(self) -> None:
        self.clean_but_lost += self.dirty
        self.dirty = []

    def after_power_failure(self, *, every_cut: bool) -> set[bytes]:
        """Every content that the medium may hold."""
        pending = sorted(self.clean_but_lost + self.dirty)
        old, new = self.durable, _overlay(self.durable, pending)
        found = {old, new}
        if pending:
            start, end = pending[0][0], len(new)
            middle = (start + end) // 2
            pages = range(start - start % PAGE + PAGE, end, PAGE)
            for cut in {start, start + 1, middle, end - 1, *pages} if every_cut else {middle}:
                found.add(new[:cut] + old[cut:])
                found.add(new[:cut] + old[cut:].ljust(end - cut, b"\0"))
                found.add(old[:cut].ljust(cut, b"\0") + new[cut:])
        return found


def _overlay(content: bytes, writes: list[tuple[int, bytes]]) -> bytes:
    for offset, data in writes:
        content = content[:offset].ljust(offset, b"\0") + data + content[offset + len(data) :]
    return content


class SimDisk:
    """`files` are there and durable. `before` is called before every operation that changes something.

    `faults` maps the number of an operation, from 0 and reads included, to the errno with which it fails. A write takes
    at most `longest_write` bytes. `operations` is what was done so far.
    """

    def __init__(
        self,
        files: Mapping[str, bytes] | None = None,
        *,
        before: Callable[[], None] = lambda: None,
        faults: Mapping[int, int] | None = None,
        longest_write: int | None = None,
    ) -> None:
        self.before, self.faults, self.longest_write = before, dict(faults or {}), longest_write
        self.operations: list[tuple[str, str]] = []
        self.is_lock_ours = True
        self._names = {name: _Inode(content) for name, content in (files or {}).items()}
        self._durable_names = dict(self._names)
        self._pending_names: list[dict[str, _Inode | None]] = []
        self._open: dict[int, tuple[str, _Inode]] = {}
        self._fds = itertools.count(3)
        self._locked_by: str | None = None

    @property
    def files(self) -> Files:
        """What whoever reads now finds."""
        return {name: bytes(inode.cache) for name, inode in self._names.items()}

    def restart(self) -> None:
        """The process dies; the machine goes on."""
        self._open.clear()
        self._locked_by = None
        self.faults.clear()

    def after_power_failure(self, *, every_cut: bool = True) -> Iterator[Files]:
        """Every directory that the medium may hold, some twice; without `every_cut` files are cut in the middle."""
        for happened in itertools.product((True, False), repeat=len(self._pending_names)):
            names: dict[str, _Inode | None] = dict(self._durable_names)
            for change in itertools.compress(self._pending_names, happened):
                names.update(change)
            left = {name: inode for name, inode in names.items() if inode is not None}
            contents = (inode.after_power_failure(every_cut=every_cut) for inode in left.values())
            for content in itertools.product(*contents):
                yield dict(zip(left, content, strict=True))

    def path(self, name: str) -> str:
        return f"sim/{name}"

    def read(self, name: str, offset: int = 0) -> bytes | None:
        self._step("read", name)
        return bytes(self._names[name].cache[offset:]) if name in self._names else None

    def create(self, name: str) -> int:
        self._change("create", name)
        if name in self._names:
            raise _error(errno.EEXIST)
        self._rename_to({name: _Inode()})
        return self._open_fd(name)

    def open_append(self, name: str) -> int:
        self._step("open_append", name)
        if name not in self._names:
            raise _error(errno.ENOENT)
        return self._open_fd(name)

    def write(self, fd: int, data: bytes) -> int:
        name, inode = self._open[fd]
        self._change("write", name)
        taken = data[: self.longest_write]
        inode.append(taken)
        return len(taken)

    def sync_data(self, fd: int) -> None:
        self._sync("sync_data", fd)

    def sync(self, fd: int) -> None:
        self._sync("sync", fd)

    def _sync(self, operation: str, fd: int) -> None:
        name, inode = self._open[fd]
        try:
            self._change(operation, name)
        except OSError:
            inode.fail_to_sync()
            raise
        inode.sync()

    def close(self, fd: int) -> None:
        name, _ = self._open.pop(fd)
        self._step("close", name)

    def rename(self, source: str, target: str) -> None:
        self._change("rename", f"{source} {target}")
        if source not in self._names:
            raise _error(errno.ENOENT)
        self._rename_to({source: None, target: self._names[source]})

    def unlink(self, name: str) -> None:
        self._change("unlink", name)
        if name not in self._names:
            raise _error(errno.ENOENT)
        self._rename_to({name: None})

    def sync_directory(self) -> None:
        self._change("sync_directory", ".")
        self._durable_names, self._pending_names = dict(self._names), []

    def lock(self, name: str, note: str) -> None:
        self._step("lock", name)
        if self._locked_by is not None:
            raise LockHeld(self._locked_by)
        self._locked_by = note

    def holds_lock(self) -> bool:
        return self.is_lock_ours and self._locked_by is not None

    def release(self) -> None:
        self._locked_by = None

    def _rename_to(self, change: dict[str, _Inode | None]) -> None:
        self._pending_names.append(change)
        for name, inode in change.items():
            if inode is None:
                self._names.pop(name, None)
            else:
                self._names[name] = inode

    def _open_fd(self, name: str) -> int:
        fd = next(self._fds)
        self._open[fd] = name, self._names[name]
        return fd

    def _change(self, operation: str, name: str) -> None:
        self.before()
        self._step(operation, name)

    def _step(self, operation: str, name: str) -> None:
        number = len(self.operations)
        self.operations.append((operation, name))
        if number in self.faults:
            raise _error(self.faults[number])


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
