r"""The journal's bytes: every change attempted, one record a line, each line bound to all before it.

Line    {"hash":"H","record":R} and one LF, in ASCII and nothing else. Bytes 0-8 are {"hash":" and 9-72 are H, 64
        lower-case hex digits; bytes 73-83 are ","record": and R is all from byte 84 to before the last two bytes,
        which are } and LF.
R       A JSON object in canonical form: keys sorted, no white space, all but ASCII as \uXXXX, no NaN and no infinity.
        `kind` says what happened; the other keys are the fields of that kind's class in `state.records`.
H       SHA-256, in hex, of: the previous line's H as its 64 hex digits, one LF, the bytes of R as they stand in the
        line. Before the first line stands the SHA-256, in hex, of the UTF-8 of: "statform/1", one LF, the `lineage` in
        the first record. That record is the `genesis`, and the only one; its `format` is 1.

To verify a journal is to compute every H. What is after the last whole line is *torn*: a write that a crash cut short.
Only the end of the file can be torn, never the genesis, and only bytes that lack their LF or have NUL among them
(blocks that the file system allotted and never filled). Any other byte out of place is damage, which no crash of
statform leaves; so is a last line that one flipped bit, in its LF or to a NUL, sets apart from a whole one. A reader
without the lock ignores torn bytes, since a writer may be at work on them; recovery puts them aside. A journal grows,
or is replaced by its own whole lines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import NoReturn

from attrs import frozen

from state.errors import Damaged, UnknownFormat
from state.records import JSON, Genesis, Record, from_json, to_json
from state.snapshot import MERGE_REMEDY

__all__ = [
    "Chain",
    "anchor",
    "decode",
    "encode",
    "entries",
    "hash_before",
    "parse",
    "read_backwards",
    "verify",
    "verify_all",
]

FORMAT = 1
_OPEN, _MIDDLE, _CLOSE = b'{"hash":"', b'","record":', b"}\n"
_HASH, _RECORD = slice(9, 73), slice(84, -2)
_RESTORE = "Restore the journal and the state file beside it, both from the same commit or backup."


@frozen
class Chain:
    """Verified lines, the bytes of the file `path` from `offset` on; `head` is the last's hash, `torn` what follows."""

    path: str
    offset: int
    lines: bytes
    head: str
    torn: bytes

    @property
    def end(self) -> int:
        return self.offset + len(self.lines)


def anchor(lineage: str) -> str:
    """What stands for the hash before the first line's."""
    return hashlib.sha256(f"statform/{FORMAT}\n{lineage}".encode()).hexdigest()


def encode(record: Record, head: str) -> tuple[bytes, str]:
    """The record's line after the line with the hash `head`, and its own hash.

    Raises:
        ValueError: JSON can't hold the record.
    """
    try:
        text = json.dumps(to_json(record), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"a {record.kind} that JSON can't hold: {error}") from error
    body = text.encode("ascii")
    hash_ = _hash(head.encode(), body)
    return b"".join((_OPEN, hash_, _MIDDLE, body, _CLOSE)), hash_.decode()


def _hash(head: bytes, body: bytes) -> bytes:
    return hashlib.sha256(b"\n".join((head, body))).hexdigest().encode()


def _follows(line: bytes, head: bytes) -> bool:
    return (
        line.startswith(_OPEN)
        and line[73:84] == _MIDDLE
        and line.endswith(_CLOSE)
        and line[_HASH] == _hash(head, line[_RECORD])
    )


def verify(raw: bytes, head: str, path: str, offset: int = 0) -> Chain:
    """The whole lines of `raw`, which follow the line with the hash `head`; `path` and `offset` are for the messages.

    Raises:
        Damaged: a byte that is neither of a whole line nor torn.
    """
    last, start = head.encode(), 0
    while (end := raw.find(b"\n", start) + 1) and _follows(line := raw[start:end], last):
        last, start = line[_HASH], end
    torn = raw[start:]
    if torn and not _is_torn(torn, last):
        _refuse(path, offset + start, torn)
    return Chain(path, offset, raw[:start], last.decode(), torn)


def _is_torn(rest: bytes, head: bytes) -> bool:
    if b"\n" in rest[:-1] or (rest.endswith(b"\n") and b"\0" not in rest):
        return False
    suspects = [len(rest) - 1, *([rest.index(b"\0")] if rest.count(b"\0") == 1 else [])]
    return not any(
        _follows(rest[:at] + bytes([rest[at] ^ 1 << bit]) + rest[at + 1 :], head) for at in suspects for bit in range(8)
    )


def _refuse(path: str, offset: int, found: bytes) -> NoReturn:
    if found.startswith((b"<<<<<<< ", b"=======", b">>>>>>> ")):
        raise Damaged(path, offset, "the conflict markers of a git merge", MERGE_REMEDY)
    raise Damaged(path, offset, "this line is not what statform wrote after the one before it", _RESTORE)


def verify_all(raw: bytes, path: str) -> tuple[Genesis, Chain]:
    """A whole journal, from its genesis on.

    Raises:
        Damaged: as `verify`; also no whole genesis, which is written before the file gets its name.
        UnknownFormat: a newer statform wrote it.
    """
    genesis = _read_genesis(raw, path)
    return genesis, verify(raw, anchor(genesis.lineage), path)


def _read_genesis(raw: bytes, path: str) -> Genesis:
    line = raw[: raw.find(b"\n") + 1]
    if not line:
        raise Damaged(path, 0, "no whole line, which is never how statform leaves it", _RESTORE)
    value = _load(line[_RECORD])
    if isinstance(value, dict) and type(format_ := value.get("format")) is int and format_ > FORMAT:
        raise UnknownFormat(path, f"format {format_}", f"format {FORMAT}")
    try:
        genesis = from_json(value)
        if isinstance(genesis, Genesis) and _follows(line, anchor(genesis.lineage).encode()):
            return genesis
    except ValueError:
        pass
    _refuse(path, 0, line)


def _load(body: bytes) -> JSON:
    """None for what is not JSON; no record is."""
    try:
        value: JSON = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value


def decode(lines: bytes, path: str, offset: int = 0) -> Iterator[tuple[int, Record]]:
    """The records of verified lines, each with the byte of the file at which its line starts.

    Raises:
        UnknownFormat: a record of a kind, or with fields, that this version does not know.
    """
    start = 0
    while end := lines.find(b"\n", start) + 1:
        yield offset + start, _decode(lines[start:end], path, offset + start)
        start = end


def entries(chain: Chain) -> Iterator[tuple[str, Record]]:
    """The records of the chain, each with its hash.

    Raises:
        UnknownFormat: as `decode`.
    """
    for at, record in decode(chain.lines, chain.path, chain.offset):
        start = at - chain.offset
        yield chain.lines[start + _HASH.start : start + _HASH.stop].decode("ascii"), record


def read_backwards(lines: bytes, path: str) -> Iterator[Record]:
    """The records of verified lines, the last first: whoever needs the latest few pays for these few."""
    end = len(lines)
    while end > 0:
        start = lines.rfind(b"\n", 0, end - 1) + 1
        yield _decode(lines[start:end], path, start)
        end = start


def parse(line: bytes) -> Record:
    """The record of one line, unverified.

    Raises:
        ValueError: none that this version knows.
    """
    return from_json(_load(line[_RECORD]))


def _decode(line: bytes, path: str, offset: int) -> Record:
    try:
        return parse(line)
    except ValueError as error:
        raise UnknownFormat(path, f"{error}, at byte {offset}", "the records of format 1") from error


def hash_before(raw: bytes, end: int) -> str | None:
    """The hash of the line that ends at `end`; None if no line ends there or it starts before `raw` does."""
    newline = raw.rfind(b"\n", 0, max(end - 1, 0))
    line = raw[newline + 1 : end]
    if not line.endswith(b"\n") or not line.startswith(_OPEN):
        return None
    return line[_HASH].decode("ascii", "replace")
