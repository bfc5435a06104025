"""What a place for a state must be able to do: the contract between `store` and the place of snapshot and journal.

A place is only a name, and opens nothing. A storage is an open place: to read, or for one writer.

The journal is a string of bytes that only grows. `at` is always the byte at which something starts, counted from the
journal's beginning. It is the same on every storage: a copy, byte by byte, of one journal is a journal on another one.

Reading: `snapshot` first, then `tail`. A writer appends before it replaces the snapshot, so a reader who keeps this
order sees a state that was true at one moment. Nothing is locked and nothing is written.

Writing, in this order:
    acquire         become the only writer, or say who is
    snapshot, tail  read all that is there; `store` verifies it
    is_free         whether nobody else is at work now; if no lock can say that, this waits until it is known
    tidy            remove what a dead run left half-made; a command that refuses later has changed nothing else
    recover         only if a run died: make the journal's lines durable, and put a torn end aside
    probe           before the first request: the place can be written
    append          compare and append: durable when it returns, and Taken if the journal does not end at `at`
    check_deadline  after the record of a request, right before it is sent: check that nobody else can be at work yet
    save_snapshot   at the end of a run; afterwards the old one or the new one is there
    close           release everything

After one error of `append` nothing more is written through a storage: `session` sees to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from state.chain import Chain

__all__ = ["InUse", "Part", "Place", "Readable", "Silent", "Storage", "Taken", "Told"]

Part: TypeAlias = Literal["state", "journal", "lock"]


class Taken(Exception):
    """Another run has appended to the journal where this one would have: `lines` are its own."""

    def __init__(self, lines: bytes) -> None:
        super().__init__(lines)
        self.lines = lines


class InUse(NamedTuple):
    """Another run has the state; `holder` says who.

    This run gives up after `left_s` seconds; None: never. The other run was last heard of `idle_s` seconds ago. If it
    gives no sign of life, it counts as dead in `dead_in_s` seconds. Both are None where a run is alive as long as it
    has its lock.
    """

    holder: str
    left_s: float | None
    idle_s: float | None = None
    dead_in_s: float | None = None


class Silent(NamedTuple):
    """The store at `where` has given no usable answer yet, for this `reason`. It is asked for `left_s` seconds more."""

    where: str
    reason: str
    left_s: float


Told: TypeAlias = InUse | Silent
"""What a run waits for."""


class Readable(Protocol):
    """One state, opened by `Place.reader`."""

    def where(self, part: Part) -> str:
        """The path or URL of this part, for messages."""

    def snapshot(self) -> bytes | None:
        """The snapshot's bytes; None if there is none.

        Raises:
            StateError: it can't be read.
        """

    def tail(self, at: int, head: str) -> bytes | None:
        """The journal's bytes from `at` on, where the line with the hash `head` ends; all for 0. None: no journal.

        Raises:
            Damaged: another line ends there, or none, and the storage can tell.
            StateError: it can't be read.
        """

    def check_lineage(self, lineage: str) -> None:
        """Called with the lineage that was read, before anything of it is used; "" if nothing is there.

        Raises:
            WrongState: this project expects another state.
        """

    def close(self) -> None:
        """Release everything. Writes nothing, and raises nothing."""


class Storage(Readable, Protocol):
    """One state, opened by `Place.writer`."""

    def acquire(self, doing: str, since: str) -> None:
        """Become the only writer; `doing` and `since` tell others what this run does, and since when.

        Raises:
            LockHeld: there is another one.
            WriteFailed: nobody can say.
        """

    def is_free(self, chain: Chain) -> bool:
        """Whether the run that the journal ends with is over, or dead. False: it went on, so everything is read again.

        Raises:
            LockHeld: it is alive.
        """

    def tidy(self) -> None:
        """Remove what a dead run left half-written, if there is anything.

        Raises:
            WriteFailed: the place refuses.
        """

    def recover(self, chain: Chain) -> None:
        """Make the journal's whole lines durable, and keep its torn end elsewhere. It can be interrupted and repeated.

        Raises:
            WriteFailed: the place refuses.
        """

    def keep(self, old: bytes) -> None:
        """Keep a copy of a damaged snapshot that is about to be replaced, where people find it.

        Raises:
            WriteFailed: the place refuses.
        """

    def probe(self) -> None:
        """Prove that the place can be written, and leave no trace.

        Raises:
            WriteFailed: it can't.
        """

    def check_lock(self) -> None:
        """Called before the record of a request.

        Raises:
            LockLost: somebody else could be the writer by now.
        """

    def append(self, at: int, lines: bytes) -> None:
        """Add whole lines to the journal, which ends at `at`; at 0 there is none yet, and it begins with them.

        Raises:
            Taken: somebody else has, and nothing of `lines` is in the journal.
            WriteFailed: it is unknown what of `lines` is in the journal.
            EngineUnreachable: as WriteFailed, of a store that gave no answer.
        """

    def appended_by_others(self, at: int) -> bytes | None:
        """The lines that somebody else appended at `at`, where the journal ended when it was read; None: nobody did.

        Raises:
            StateError: nobody can say.
        """

    def check_deadline(self) -> None:
        """Called right before a request is sent. It will take no longer than its record says.

        Raises:
            LockLost: somebody else could be the writer before the request is over.
        """

    def stay(self) -> None:
        """Called while a run waits, so that others see that it is alive."""

    def save_snapshot(self, raw: bytes, at: int) -> None:
        """Make these bytes the snapshot of the journal that ends at `at`.

        Raises:
            WriteFailed: it is unknown whether the old or the new one is there.
        """


class Place(Protocol):
    """Where a state is, or will be; its `str` is for messages."""

    def reader(self) -> Readable | None:
        """The storage, to read; None where not even a directory is."""

    def writer(self, *, makes: bool) -> Storage:
        """The storage, to write; `makes` says that what is lacking for a new state is made.

        Raises:
            StateError: there is nothing to write to.
        """
