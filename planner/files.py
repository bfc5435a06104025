"""The only writer of whole files: a reader finds the old or the new content, also during the write and after a crash.

The state has its own, over a disk that tests can break.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from planner.errors import UsageError


def write_file(
    path: str | os.PathLike[str],
    content: str | bytes,
    *,
    replaces: bool = True,
    is_durable: bool = True,
    mode: int = 0o666,
) -> None:
    """Write the whole of it or nothing. A file that is replaced keeps its permissions; `mode` is for a new one.

    A link is followed within its own folder, and stays. `is_durable`: it survives a power failure from here on.

    Raises:
        OSError: it can't be written, is a link to another folder, or, unless this `replaces`, is there already.
    """
    target = find_target(path) if replaces else os.path.abspath(path)
    folder = os.path.dirname(target)
    # A name of its own: two that write the same file at once don't meet, and nothing that is there is opened.
    temporary = os.path.join(folder, f".statform-{os.urandom(8).hex()}.tmp")
    try:
        written = content.encode() if isinstance(content, str) else content
        _write_new(temporary, written, mode, _mode(target) if replaces else None, is_durable=is_durable)
        # Unlike a rename, a link replaces nothing.
        (os.rename if replaces else os.link)(temporary, target)
        # The name is the folder's: without this, a power failure could leave the old content under it.
        if is_durable:
            _sync_folder(folder)
    except OSError as error:
        # The other names of the file are unknown.
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def find_target(path: str | os.PathLike[str]) -> str:
    """The absolute path of the file that is written for `path`.

    Raises:
        OSError: what is there is not a regular file, or a link to another folder.
    """
    folder, name = os.path.split(os.path.abspath(path))
    folder = os.path.realpath(folder)
    target = os.path.realpath(os.path.join(folder, name))
    if os.path.commonpath((target, folder)) != folder:
        raise OSError(errno.ELOOP, f"a link to {target}, in another folder; name that file itself", os.fspath(path))
    if os.path.lexists(target) and not os.path.isfile(target):
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return target


def _mode(path: str) -> int | None:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return None


def _write_new(path: str, content: bytes, mode: int, kept: int | None, *, is_durable: bool) -> None:
    # Not for a moment more readable than the file that it replaces.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode if kept is None else mode & kept)
    with open(fd, "wb") as file:
        if kept is not None:
            # It has at most these already; a mount without permissions refuses to set them.
            with suppress(PermissionError):
                os.fchmod(fd, kept)
        file.write(content)
        if is_durable:
            file.flush()
            os.fsync(fd)


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_text(path: str | os.PathLike[str]) -> str:
    """The file's text, to the byte.

    Raises:
        UsageError: it can't be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{os.fspath(path)}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None


def write_output(option: str, path: str, content: str, mode: int = 0o666, *, replaces: str = "") -> None:
    """Write the file that `option` of the command line named, in the place of one that begins with `replaces`.

    Raises:
        UsageError: it can't be written there, or a file of another kind is there, such as a state or definitions.
    """
    try:
        if not _is_replaceable(path, replaces.encode()):
            what = "a file of another kind is there, and is not replaced; choose another name, or remove that file"
            raise UsageError(f"{option} {path}: {what}")
        write_file(path, content, mode=mode)
    except OSError as error:
        raise UsageError(f"{option} {path}: {error.strerror}") from None


def _is_replaceable(path: str, beginning: bytes) -> bool:
    """Whether there is no file at the path, or an empty one, or one that begins so."""
    if not os.path.isfile(path):
        return True
    with open(path, "rb") as file:
        return file.read(len(beginning)) in (b"", beginning)
