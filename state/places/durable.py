"""Durable writes, made of the small steps of a `Disk`: when a function here returns, what it did is durable.

No file is ever truncated or overwritten, except for the note in the lock. A file is written under another name and then
renamed, or something is added to its end. All functions raise StateError. Only what writes loads this module.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from state.errors import WriteFailed
from state.places.disk import Disk, read

__all__ = ["acquire", "append", "identify", "open_append", "probe", "remove", "replace"]


def identify(doing: str, since: str) -> str:
    """The note for the lock: who has it, since when (a time for people), and what for."""
    return f"pid {os.getpid()} on {os.uname().nodename} since {since}: {doing}"


def acquire(disk: Disk, name: str, note: str) -> None:
    """Take the lock. It ends with the process at the latest.

    Raises:
        LockHeld: another process has it.
        WriteFailed: the lock's file can't be made or locked.
    """
    try:
        disk.lock(name, note)
    except OSError as error:
        raise WriteFailed(disk.path(name), "lock it", error) from error


def replace(disk: Disk, name: str, data: bytes, temporary: str) -> None:
    """Make `data` the file's content, durably. A reader finds the old content or the new, also after a crash.

    `temporary` must not exist. If the disk refuses, it is left behind for `remove`.

    Raises:
        WriteFailed: nobody knows whether a crash would leave the old content or the new.
    """
    # The order is the promise. The bytes are durable before the name leads to them, else a power failure could leave
    # the name with an empty file. The directory is synced last: until then a power failure brings the old file back.
    try:
        _write_new(disk, temporary, data)
        disk.rename(temporary, name)
        disk.sync_directory()
    except OSError as error:
        raise WriteFailed(disk.path(name), "replace it", error) from error


def _write_new(disk: Disk, name: str, data: bytes) -> None:
    fd = disk.create(name)
    try:
        _write(disk, fd, data)
        disk.sync(fd)
    finally:
        disk.close(fd)


def _write(disk: Disk, fd: int, data: bytes) -> None:
    while data:
        # Without an error and without progress, this would go on for ever.
        if not (written := disk.write(fd, data)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        data = data[written:]


def open_append(disk: Disk, name: str) -> int:
    """The descriptor of the file, for `append`.

    Raises:
        WriteFailed: the system refused, or there is no such file.
    """
    try:
        return disk.open_append(name)
    except OSError as error:
        raise WriteFailed(disk.path(name), "open it", error) from error


def append(disk: Disk, name: str, fd: int, data: bytes) -> None:
    """Add to the end of the file `name`, open as `fd`, and return when it is durable.

    Raises:
        WriteFailed: nobody knows what of `data` is in the file. A second sync would prove nothing: after a failed one,
            the system takes the lost pages for written. Only a new file can be trusted.
    """
    # The data and the new size are enough: a reader needs nothing else to find the bytes.
    try:
        _write(disk, fd, data)
        disk.sync_data(fd)
    except OSError as error:
        raise WriteFailed(disk.path(name), "append to it", error) from error


def remove(disk: Disk, name: str) -> None:
    """Remove the file if there is one. Durable, and so is every earlier rename and removal in the directory."""
    try:
        with suppress(FileNotFoundError):
            disk.unlink(name)
        disk.sync_directory()
    except OSError as error:
        raise WriteFailed(disk.path(name), "remove it", error) from error


def probe(disk: Disk, name: str, temporary: str) -> None:
    """Prove that the file can be replaced, by its own content; if it is missing, that a file can be made and removed.

    `temporary` must not exist. It takes the file itself: a mount, or an immutable file, can't be replaced although all
    other files of the directory can.

    Raises:
        WriteFailed: it can't.
    """
    content = read(disk, name)
    if content is not None:
        replace(disk, name, content, temporary)
        return
    try:
        # With content: a full disk may still have room for an empty file.
        _write_new(disk, temporary, bytes(4096))
        disk.unlink(temporary)
    except OSError as error:
        raise WriteFailed(disk.path(temporary), "write beside the state", error) from error
