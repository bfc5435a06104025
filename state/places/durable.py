"""What is promised of files, made of the small steps of a `Disk`: what raises nothing here is durable.

No file is ever truncated or written in place (the lock's note apart): a file is made whole under another name and
renamed, or it is appended to. All raise StateError. Only what writes loads this.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from state.errors import WriteFailed
from state.places.disk import Disk, read

__all__ = ["acquire", "append", "identify", "open_append", "probe", "remove", "replace"]


def identify(doing: str, since: str) -> str:
    """The note for the lock."""
    return f"pid {os.getpid()} on {os.uname().nodename} since {since}: {doing}"


def acquire(disk: Disk, name: str, note: str) -> None:
    """Take the lock, which ends with the process at the latest.

    Raises:
        LockHeld: another process has it.
        WriteFailed: the lock's file can't be made or locked.
    """
    try:
        disk.lock(name, note)
    except OSError as error:
        raise WriteFailed(disk.path(name), "lock it", error) from error


def replace(disk: Disk, name: str, data: bytes, temporary: str) -> None:
    """Make `data` the file's content, durably: whoever looks, now or after a crash, finds the old content or the new.

    `temporary` must not exist. It is left behind when the disk refuses, for `remove`.

    Raises:
        WriteFailed: it is unknown whether old or new is what a crash would leave.
    """
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
        if not (written := disk.write(fd, data)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        data = data[written:]


def open_append(disk: Disk, name: str) -> int:
    try:
        return disk.open_append(name)
    except OSError as error:
        raise WriteFailed(disk.path(name), "open it", error) from error


def append(disk: Disk, name: str, fd: int, data: bytes) -> None:
    """Add to the end of the file `name`, open as `fd`, and return when it is durable.

    Raises:
        WriteFailed: it is unknown what of `data` is in the file. To sync again would prove nothing: after a failure
            the system takes the lost pages for written. Only a new file can be trusted.
    """
    try:
        _write(disk, fd, data)
        disk.sync_data(fd)
    except OSError as error:
        raise WriteFailed(disk.path(name), "append to it", error) from error


def remove(disk: Disk, name: str) -> None:
    """Remove the file if there is one, and make that durable, with every rename and removal in the directory so far."""
    try:
        with suppress(FileNotFoundError):
            disk.unlink(name)
        disk.sync_directory()
    except OSError as error:
        raise WriteFailed(disk.path(name), "remove it", error) from error


def probe(disk: Disk, name: str, temporary: str) -> None:
    """Prove that the file can be replaced: by what it has; if it is not there, that a file can be made and removed.

    `temporary` must not exist. A file that is a mount, or that nobody may change, can't be replaced in a directory in
    which all others can.

    Raises:
        WriteFailed: it can't.
    """
    content = read(disk, name)
    if content is not None:
        replace(disk, name, content, temporary)
        return
    try:
        _write_new(disk, temporary, bytes(4096))
        disk.unlink(temporary)
    except OSError as error:
        raise WriteFailed(disk.path(temporary), "write beside the state", error) from error
