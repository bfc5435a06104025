"""The state in a directory of this machine.

The files lie beside each other, here for the state file `x.json`:
    x.json              the snapshot
    x.journal.jsonl     the journal, the source of truth
    x.journal.torn-N    what a crash left half-written at its end: statform never reads it; it is kept for people
    x.torn-N            a damaged snapshot, kept when it was made again from the journal
    x.state.lock        locked by the run that may write
    x.state.tmp         a file that is being written; what a crash leaves of it is removed
The last two have these names whether or not `x` ends with .state: x.lock could be the lock of another program.
"""

from os.path import basename
from typing import TYPE_CHECKING

from state.chain import hash_before, unrelated
from state.places.disk import Disk, StrPath, read

if TYPE_CHECKING:
    from state.storage import Part

__all__ = ["LocalReader", "StateFiles"]

# Read from this far before the snapshot's place: the line that ends there is an `end`, some 160 bytes long, and has the
# hash to compare. So a reader of a long journal reads little of it.
_END_BYTES = 1024


class StateFiles:
    """The names of the files of the state at `path`, all in one directory; `torn` and `damaged` lack their numbers."""

    def __init__(self, path: StrPath) -> None:
        self.state = basename(path)
        stem = self.state.removesuffix(".json")
        own = stem.removesuffix(".state") + ".state"
        self.journal = f"{stem}.journal.jsonl"
        self.lock, self.temporary = f"{own}.lock", f"{own}.tmp"
        self.torn, self.damaged = f"{stem}.journal.torn-", f"{stem}.torn-"


class LocalReader:
    """A state of files, to read. `is_ours`: the disk is released with it."""

    def __init__(self, disk: Disk, names: StateFiles, *, is_ours: bool = True) -> None:
        self._disk, self._names, self._is_ours = disk, names, is_ours

    def where(self, part: "Part") -> str:
        return self._disk.path(getattr(self._names, part))

    def snapshot(self) -> bytes | None:
        return read(self._disk, self._names.state)

    def tail(self, at: int, head: str) -> bytes | None:
        offset = max(0, at - _END_BYTES)
        raw = read(self._disk, self._names.journal, offset)
        if raw is None:
            return None
        if at and hash_before(raw, at - offset) != head:
            raise unrelated(self.where("state"), self.where("journal"), at)
        return raw[at - offset :]

    def check_lineage(self, lineage: str) -> None:
        """Nothing to check: a local state belongs to the project in whose folder it is."""

    def close(self) -> None:
        if self._is_ours:
            self._disk.release()
