"""What can go wrong with the local state, as typed facts.

StateError                        exit code 1
  LockHeld                        another process is at work on this state
  LockLost                        the lock's file was removed or replaced while we held it; nothing more is sent
  Damaged                         bytes that no crash of statform can leave; refused, nothing touched
  ReadFailed                      the operating system refused a read
  WriteFailed                     the disk refused a write; nothing more is sent in this run
  UnknownFormat                   written by a newer statform
"""

from __future__ import annotations

from typing import ClassVar

__all__ = ["Damaged", "LockHeld", "LockLost", "ReadFailed", "StateError", "UnknownFormat", "WriteFailed"]


class StateError(Exception):
    """The root of this package's errors."""

    exit_code: ClassVar[int] = 1


class LockHeld(StateError):
    """Another process holds the lock; `holder` is what it wrote about itself (host, pid, since when, doing what)."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder

    def __str__(self) -> str:
        return (
            f"the state is in use: {self.holder or 'by another process'}\n"
            "Wait for it to end, then run the command again. A lock ends with its process: there is nothing to force."
        )


class LockLost(StateError):
    """The file `path` is no longer the one that was locked: another process could be at work by now."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path}: removed or replaced while this run held its lock\n"
            "Nothing more is sent. Leave that file in place, see that no other run is at work, then run it again."
        )


class Damaged(StateError):
    """A file is not what statform wrote; `offset` is the first byte that can't be trusted, `remedy` what to do."""

    def __init__(self, path: str, offset: int | None, what: str, remedy: str) -> None:
        super().__init__(path, offset, what, remedy)
        self.path, self.offset, self.what, self.remedy = path, offset, what, remedy

    def __str__(self) -> str:
        where = self.path if self.offset is None else f"{self.path}, byte {self.offset}"
        return f"{where}: {self.what}\n{self.remedy}"


class ReadFailed(StateError):
    """The operating system refused to read `path`; `cause` is its error."""

    def __init__(self, path: str, cause: OSError) -> None:
        super().__init__(path, cause)
        self.path, self.cause = path, cause

    def __str__(self) -> str:
        return f"{self.path}: can't read it: {self.cause.strerror or self.cause}\nNothing was changed."


class WriteFailed(StateError):
    """The operating system refused `what` on `path`; `cause` is its error."""

    def __init__(self, path: str, what: str, cause: OSError) -> None:
        super().__init__(path, what, cause)
        self.path, self.what, self.cause = path, what, cause

    def __str__(self) -> str:
        return (
            f"{self.path}: can't {self.what}: {self.cause.strerror or self.cause}\n"
            "Nothing more is sent. Mend the disk, then run the command again: it recovers by itself."
        )


class UnknownFormat(StateError):
    """The file has a format, or a journal record of a kind, that this version does not know."""

    def __init__(self, path: str, found: str, known: str) -> None:
        super().__init__(path, found, known)
        self.path, self.found, self.known = path, found, known

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.found}; this statform knows {self.known}\n"
            "Use the statform that wrote it, or a newer one."
        )
