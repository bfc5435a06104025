"""A file that a command was asked to write: the whole of it or nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from planner.errors import UsageError


def write_file(out: str, content: str, option: str, mode: int = 0o666) -> None:
    """Write the file, in the place of one that is there; `option` is what named it, `mode` a new one's permissions.

    Raises:
        UsageError: it can't be written there.
    """
    # The file that a link leads to, so that the link stays.
    path = Path(os.path.realpath(out))
    if path.exists() and not path.is_file():
        raise UsageError(f"{option} {out}: no regular file")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with suppress(FileNotFoundError):
            temporary.unlink()
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(fd, "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"{option} {out}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()
