r"""The journal's bytes: one record a line, each line bound to all before it. What a record says, `journal` knows.

Line    {"hash":"H","record":R} and one LF, in ASCII and nothing else. Bytes 0-8 are {"hash":" and 9-72 are H, 64
        lower-case hex digits; bytes 73-83 are ","record": and R is all from byte 84 to before the last two bytes,
        which are } and LF.
R       A JSON object in canonical form: keys sorted, no white space, all but ASCII as \uXXXX, no NaN and no infinity.
        `kind` says what happened; the other keys are the fields of that kind's class in `state.records`.
H       SHA-256, in hex, of: the previous line's H as its 64 hex digits, one LF, the bytes of R as they stand in the
        line. Before the first line stands the SHA-256, in hex, of the UTF-8 of: "statform/1", one LF, the `lineage` in
        the first record. That record is the `genesis`, and the only one; its `format` is 1 or 2.

To verify a journal is to compute every H. What is after the last whole line is *torn*: a write that a crash cut short.
Only the end of the file can be torn, never the genesis, and only bytes that lack their LF or have NUL among them
(blocks that the file system allotted and never filled). Any other wrong byte is damage: no crash of statform leaves
it. So is a last line that would be whole with one bit flipped back, if that bit changed its LF or made a byte NUL. A
reader without the lock ignores torn bytes, since a writer may be at work on them; recovery puts them aside. A journal
grows, or is replaced by its own whole lines.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from state.errors import Damaged
from state.snapshot import LINE_ENDS_REMEDY, merge_remedy

__all__ = ["Chain", "anchor", "hash_before", "missing", "unrelated", "verify"]

ANCHOR = "statform/1"
# The hash has a fixed length, so each part of a line has a fixed place: to verify a journal, nobody has to parse JSON.
OPEN, MIDDLE, CLOSE = b'{"hash":"', b'","record":', b"}\n"
HASH, RECORD = slice(9, 73), slice(84, -2)
RESTORE = "Restore the journal and the state file beside it, both from the same commit or backup."


class Chain(NamedTuple):
    """Verified lines: the bytes of the file `path` from `offset` on.

    `head` is the hash of the last line, `torn` is what stands after it.
    """

    path: str
    offset: int
    lines: bytes
    head: str
    torn: bytes

    @property
    def end(self) -> int:
        """The byte of the file at which the next line will start."""
        return self.offset + len(self.lines)

    @property
    def record_count(self) -> int:
        """How many records there are."""
        return self.lines.count(b"\n")

    def hashes(self) -> Iterator[str]:
        """The hash of each record, in the order of the lines."""
        start = 0
        while end := self.lines.find(b"\n", start) + 1:
            yield self.lines[start + HASH.start : start + HASH.stop].decode("ascii")
            start = end


def anchor(lineage: str) -> str:
    """The hash that the first line follows: no line is before it, so it stands for the lineage."""
    return hashlib.sha256(f"{ANCHOR}\n{lineage}".encode()).hexdigest()


def hash_of(head: bytes, body: bytes) -> bytes:
    """H of a record whose bytes are `body`, after a line with the hash `head`."""
    return hashlib.sha256(b"\n".join((head, body))).hexdigest().encode()


def follows(line: bytes, head: bytes) -> bool:
    """Whether the line is whole, and stands after one with the hash `head`."""
    return (
        line.startswith(OPEN)
        and line[73:84] == MIDDLE
        and line.endswith(CLOSE)
        and line[HASH] == hash_of(head, line[RECORD])
    )


def verify(raw: bytes, head: str, path: str, offset: int = 0) -> Chain:
    """The whole lines of `raw`, which follow the line with the hash `head`; `path` and `offset` are for the messages.

    Raises:
        Damaged: a byte that is neither of a whole line nor torn.
    """
    last, start = head.encode(), 0
    while (end := raw.find(b"\n", start) + 1) and follows(line := raw[start:end], last):
        last, start = line[HASH], end
    torn = raw[start:]
    if torn and not _is_torn(torn, last):
        raise damage(path, offset + start, torn)
    return Chain(path, offset, raw[:start], last.decode(), torn)


def _is_torn(rest: bytes, head: bytes) -> bool:
    # A crash cuts the last write short, so that its LF is missing, or leaves a block before its LF unfilled.
    if b"\n" in rest[:-1] or (rest.endswith(b"\n") and b"\0" not in rest):
        return False
    # One flipped bit can look the same: an LF that is another byte now, or a byte that is NUL now. To call such a line
    # torn would lose a change without a word. So flip each bit back and look whether the line then follows.
    suspects = [len(rest) - 1, *([rest.index(b"\0")] if rest.count(b"\0") == 1 else [])]
    return not any(
        follows(rest[:at] + bytes([rest[at] ^ 1 << bit]) + rest[at + 1 :], head) for at in suspects for bit in range(8)
    )


def damage(path: str, offset: int, found: bytes) -> Damaged:
    """The error for bytes that no crash of statform leaves."""
    # The two usual accidents come first: they have easier remedies than a backup.
    if found.startswith((b"<<<<<<< ", b"=======", b">>>>>>> ")):
        return Damaged(path, offset, "the conflict markers of a git merge", merge_remedy())
    if found[: found.find(b"\n") + 1].endswith(b"\r\n"):
        return Damaged(path, offset, "its line ends are CR LF, which statform never writes", LINE_ENDS_REMEDY)
    return Damaged(
        path, offset, "this line does not follow from the one before it: one was changed or removed", RESTORE
    )


def missing(journal: str) -> Damaged:
    """The error for a snapshot alone; `journal` is where its journal should be."""
    return Damaged(journal, None, "missing: it has every change that was ever made to the state", RESTORE)


def unrelated(state: str, journal: str, at: int) -> Damaged:
    """The error for a snapshot that was made when the journal ended at `at`: now another line ends there, or none."""
    what = f"{state.rpartition('/')[2]} was not made from this journal, or the journal's end is missing"
    return Damaged(journal, at, what, RESTORE)


def hash_before(raw: bytes, end: int) -> str | None:
    """The hash of the line that ends at `end`; None if no line ends there or it starts before `raw` does."""
    newline = raw.rfind(b"\n", 0, max(end - 1, 0))
    line = raw[newline + 1 : end]
    if not line.endswith(b"\n") or not line.startswith(OPEN):
        return None
    # A damaged hash is just another hash here: whoever compares it knows what to say.
    return line[HASH].decode("ascii", "replace")
