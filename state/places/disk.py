"""The border to the operating system: what reads and writes a local state goes through here, to `os` and `fcntl`.

`Disk` is what statform needs of one directory, in steps so small that a test can stop the world between any two. Its
methods raise OSError, as the system calls do. Only regular files are accepted. `durable` makes promises of these steps.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from typing import NoReturn, Protocol, Self, TypeAlias

from state.errors import Damaged, LockHeld, ReadFailed, WriteFailed

__all__ = ["Disk", "LocalDisk", "StrPath", "read"]

StrPath: TypeAlias = str | os.PathLike[str]
# A program that is started does not inherit the file (nor its lock), no link is followed, no pipe is waited for.
_ALWAYS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MODE = 0o600
# What `open` answers for a link (EMLINK on FreeBSD), a directory, and a socket or a pipe that nobody reads.
_NOT_REGULAR = frozenset({errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO, errno.EOPNOTSUPP})
# The answers of file systems that can't do it: sync a directory, F_FULLFSYNC, or set permissions.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY})
# How a note begins, see `durable.identify`. If a lock file begins in another way, it is somebody else's file.
_NOTE = b"pid "
_LOCK_TRIES = 10


class Disk(Protocol):
    """One directory. `name` is a file in it; `fd` is what `create` or `open_append` returned."""

    def path(self, name: str) -> str:
        """The path of the file, for messages."""

    def read(self, name: str, offset: int = 0) -> bytes | None:
        """All bytes from `offset` on; None if there is no such file."""

    def create(self, name: str) -> int:
        """A new file, open to write; FileExistsError if there is one."""

    def open_append(self, name: str) -> int:
        """The file, open to add to its end; FileNotFoundError if there is none."""

    def write(self, fd: int, data: bytes) -> int:
        """The number of bytes that were written, which may be fewer than all."""

    def sync_data(self, fd: int) -> None:
        """Make the file's bytes and size durable, but not its times."""

    def sync(self, fd: int) -> None:
        """Make everything of the file durable, but not its name: that is in the directory."""

    def close(self, fd: int) -> None: ...

    def rename(self, source: str, target: str) -> None:
        """Give the file another name, in one step. A file that had this name is replaced."""

    def unlink(self, name: str) -> None:
        """Remove the name; FileNotFoundError if there is none. Who has the file open keeps its content."""

    def sync_directory(self) -> None:
        """Make durable what was created, renamed and unlinked."""

    def lock(self, name: str, note: str) -> None:
        """Take the lock, or raise LockHeld without waiting; `note` tells others who has it."""

    def holds_lock(self) -> bool:
        """Whether the file with that name is still the one that was locked."""

    def release(self) -> None:
        """Release the lock and the directory."""


class LocalDisk:
    """A directory of this machine. It is held open, so that it stays the same one even if its path changes."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock: tuple[int, str] | None = None
        try:
            self._fd = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ReadFailed(directory or ".", error) from error

    @classmethod
    def made(cls, directory: str) -> Self:
        """As the constructor, but the directory is made if it is missing."""
        try:
            _make_folders(directory)
        except OSError as error:
            raise WriteFailed(directory or ".", "make the directory", error) from error
        return cls(directory)

    def path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def read(self, name: str, offset: int = 0) -> bytes | None:
        try:
            fd = self._open(name, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb", buffering=0) as file:
            file.seek(offset)
            return file.readall()

    def create(self, name: str) -> int:
        fd = self._open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        _add_mode(fd)
        return fd

    def open_append(self, name: str) -> int:
        return self._open(name, os.O_WRONLY | os.O_APPEND)

    def write(self, fd: int, data: bytes) -> int:
        return os.write(fd, data)

    def sync_data(self, fd: int) -> None:
        if sys.platform == "darwin":
            self.sync(fd)
        else:
            # Not fsync, which also waits for the file's times: this is called for every record.
            os.fdatasync(fd)

    def sync(self, fd: int) -> None:
        if sys.platform == "darwin":
            import fcntl  # noqa: PLC0415 - only what writes needs it

            # On macOS, fsync gets only as far as the drive's own cache. Volumes of other systems have nothing better.
            try:
                fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
            else:
                return
        os.fsync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def unlink(self, name: str) -> None:
        os.unlink(name, dir_fd=self._fd)

    def sync_directory(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise

    def lock(self, name: str, note: str) -> None:
        line = note.encode("utf-8", "replace") + b"\n"
        # The file may be replaced between opening and locking: others would then lock another one. So look again.
        for _ in range(_LOCK_TRIES):
            self._unlock()
            self._lock = self._open_locked(name), name
            if self.holds_lock():
                break
        else:
            raise OSError(errno.ESTALE, "it is another file each time it is opened, so a lock on it is not reliable")
        # The note is written into the locked file: a new file in its place would not be locked. The old note is cut off
        # last, so that others find a note at any moment.
        fd = self._lock[0]
        _add_mode(fd)
        os.pwrite(fd, line, 0)
        os.ftruncate(fd, len(line))

    def _open_locked(self, name: str) -> int:
        import fcntl  # noqa: PLC0415 - only what writes needs it

        fd = self._open(name, os.O_RDWR | os.O_CREAT)
        # flock, not lockf: the lock of lockf ends as soon as this process closes any descriptor of the file.
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._refuse_foreign(name, os.pread(fd, 1024, 0))
        except BlockingIOError:
            note = os.pread(fd, 1024, 0)
            os.close(fd)
            raise LockHeld(_printable(note)) from None
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _refuse_foreign(self, name: str, content: bytes) -> None:
        """Refuse a lock file that belongs to somebody else, such as the lock file of a package manager."""
        # A power failure may leave a note that is cut short, or NULs.
        start = content[: len(_NOTE)]
        if start.strip(b"\0") and not _NOTE.startswith(start.rstrip(b"\0")):
            what = "not a lock of statform's, and not empty: its content would be lost"
            raise Damaged(self.path(name), None, what, "Give the state another name, or move this file away.")

    def holds_lock(self) -> bool:
        if self._lock is None:
            return False
        fd, name = self._lock
        # Not os.path.samefile: it follows a link in the file's place, and goes by a path that may have changed.
        try:
            return os.path.samestat(os.fstat(fd), os.stat(name, dir_fd=self._fd, follow_symlinks=False))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        self._unlock()
        os.close(self._fd)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock[0])
            self._lock = None

    def _open(self, name: str, flags: int) -> int:
        try:
            fd = os.open(name, flags | _ALWAYS, _MODE, dir_fd=self._fd)
        except OSError as error:
            if error.errno in _NOT_REGULAR:
                self._refuse(name)
            raise
        # Devices, and pipes that somebody reads, open without an error.
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            self._refuse(name)
        return fd

    def _refuse(self, name: str) -> NoReturn:
        mode = os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mode
        kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory", stat.S_IFIFO: "a named pipe"}
        kind = kinds.get(stat.S_IFMT(mode), "a socket or device")
        remedy = "statform reads and writes only regular files: move it away."
        raise Damaged(self.path(name), None, f"{kind} instead of a regular file", remedy)


def _make_folders(path: str) -> None:
    """Make the folder and those above it, each for its owner alone. `os.makedirs` does that for the last one only."""
    missing = []
    while path and not os.path.exists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        # Another run may be making the same ones.
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)


def _add_mode(fd: int) -> None:
    """Give the owner the rights that the umask took. Mounts without permissions refuse: there they are not needed."""
    try:
        os.fchmod(fd, _MODE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED | {errno.EPERM, errno.ENOSYS}:
            raise


def _printable(note: bytes) -> str:
    """The note without control characters: another process wrote it, and it goes to a terminal."""
    return "".join(c if c.isprintable() else " " for c in note.decode("utf-8", "replace")).strip()


def read(disk: Disk, name: str, offset: int = 0) -> bytes | None:
    """The file's bytes from `offset` on; None if there is no such file.

    Raises:
        Damaged: not a regular file.
        ReadFailed: the system refused.
    """
    try:
        return disk.read(name, offset)
    except OSError as error:
        raise ReadFailed(disk.path(name), error) from error
