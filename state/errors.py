"""What can go wrong with the state, as typed facts.

StateError                        exit code 1
  LockHeld                        3  another process is at work on this state
  LockLost                        3  somebody else may be at work by now; nothing more is sent
  Damaged                         bytes that no crash of statform can leave; refused, nothing touched
  ReadFailed                      the operating system refused a read
  WriteFailed                     the disk refused a write; nothing more is sent in this run
  UnknownFormat                   written by a newer statform
  SealedState                     the state moved, and the files here are not it any more
  WrongState                      the place has no state, or that of another project
  EngineRefused                   the store of a shared state refused; to try again would not help
  EngineUnreachable               3  the store of a shared state gave no answer
  StateMoved                      3  the shared state went on since it was read; nothing was sent
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "Damaged",
    "EngineRefused",
    "EngineUnreachable",
    "LockHeld",
    "LockLost",
    "ReadFailed",
    "SealedState",
    "StateError",
    "StateMoved",
    "UnknownFormat",
    "WriteFailed",
    "WrongState",
]

_REMOVED = "removed or replaced while this run held its lock"
_LEAVE_IT = "Nothing more is sent. Leave that file there. When no other run is at work, run the command again."
_WAIT = "Wait for it to end, then run the command again. A lock ends with its process: there is nothing to force."


class StateError(Exception):
    """The root of this package's errors."""

    exit_code: ClassVar[int] = 1


class LockHeld(StateError):
    """Another run is at work; `holder` is what it wrote about itself (who, host, since when, doing what)."""

    exit_code: ClassVar[int] = 3

    def __init__(self, holder: str, remedy: str = _WAIT) -> None:
        super().__init__(holder, remedy)
        self.holder, self.remedy = holder, remedy

    def __str__(self) -> str:
        return f"the state is in use: {self.holder or 'by another process'}\n{self.remedy}"


class LockLost(StateError):
    """Another run could be at work on the state by now; `path` is what was locked."""

    exit_code: ClassVar[int] = 3

    def __init__(self, path: str, what: str = _REMOVED, remedy: str = _LEAVE_IT) -> None:
        super().__init__(path, what, remedy)
        self.path, self.what, self.remedy = path, what, remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.what}\n{self.remedy}"


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
            "Nothing more is sent. Repair the disk, then run the command again: it recovers by itself."
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


class WrongState(StateError):
    """The place `where` is not that of this project's state."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        super().__init__(where, what, remedy)
        self.where, self.what, self.remedy = where, what, remedy

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n{self.remedy}"


class SealedState(StateError):
    """The state in the files `path` and `journal` moved to the place named `to`."""

    def __init__(self, path: str, to: str, journal: str) -> None:
        super().__init__(path, to, journal)
        self.path, self.to, self.journal = path, to, journal

    def __str__(self) -> str:
        return (
            f"{self.path}: this state is now shared, at {self.to}\n"
            f"Remove both files from version control, this one and {self.journal}. STATFORM_STATE says where the state "
            "is, and `shared` in the settings which one."
        )


class EngineRefused(StateError):
    """The store at `where` refused, or can't be trusted with a state."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        super().__init__(where, what, remedy)
        self.where, self.what, self.remedy = where, what, remedy

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n{self.remedy}"


class EngineUnreachable(StateError):
    """The store at `where` gave no answer for `seconds`; `known` is what that means."""

    exit_code: ClassVar[int] = 3

    def __init__(self, where: str, seconds: float, reason: str, known: str) -> None:
        super().__init__(where, seconds, reason, known)
        self.where, self.seconds, self.reason, self.known = where, seconds, reason, known

    def __str__(self) -> str:
        return f"{self.where}: no answer for {self.seconds:.0f} s: {self.reason}\n{self.known}"


class StateMoved(StateError):
    """Something was recorded at `where` since this run read it; `by` is who did."""

    exit_code: ClassVar[int] = 3

    def __init__(self, where: str, by: str) -> None:
        super().__init__(where, by)
        self.where, self.by = where, by

    def __str__(self) -> str:
        return f"{self.where}: the state changed since it was read: {self.by}\nNothing was sent; run the command again."
