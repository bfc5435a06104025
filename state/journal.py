"""The journal's records, as the lines that `chain` binds to each other: written, read, and read backwards."""

from __future__ import annotations

import json
from collections.abc import Iterator

from state.chain import (
    CLOSE,
    HASH,
    MIDDLE,
    OPEN,
    RECORD,
    RESTORE,
    Chain,
    anchor,
    damage,
    follows,
    hash_before,
    hash_of,
    verify,
)
from state.errors import Damaged, UnknownFormat
from state.records import Genesis, Record, from_json, to_json
from state.snapshot import FORMAT
from state.values import JSON

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

# One record has one text, because the hash is of its bytes. ASCII only: a verifier in any language reads it alike.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def encode(record: Record, head: str) -> tuple[bytes, str]:
    """The record's line after the line with the hash `head`, and its own hash.

    Raises:
        ValueError: JSON can't hold the record.
    """
    try:
        text = _CANONICAL.encode(to_json(record))
    # The caller's mistake, found before anything is written: a type that JSON lacks, or values nested too deeply.
    except (TypeError, RecursionError) as error:
        raise ValueError(f"a {record.kind} that JSON can't hold: {error}") from error
    body = text.encode("ascii")
    hash_ = hash_of(head.encode(), body)
    return b"".join((OPEN, hash_, MIDDLE, body, CLOSE)), hash_.decode()


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
        raise Damaged(path, 0, "no complete line; statform never leaves it like that", RESTORE)
    value = _load(line[RECORD])
    # The format before the hash: a newer statform may compute hashes in another way, and that is no damage.
    if isinstance(value, dict) and type(format_ := value.get("format")) is int and format_ > FORMAT:
        raise UnknownFormat(path, f"format {format_}", f"format {FORMAT}")
    try:
        genesis = from_json(value)
        if isinstance(genesis, Genesis) and follows(line, anchor(genesis.lineage).encode()):
            return genesis
    except ValueError:
        pass
    # Never torn: the journal got its name only when this line was whole.
    raise damage(path, 0, line)


def _load(body: bytes) -> JSON:
    """The value of this JSON text; None for a text that is not JSON, since no record is null."""
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
        yield chain.lines[start + HASH.start : start + HASH.stop].decode("ascii"), record


def read_backwards(lines: bytes, path: str) -> Iterator[Record]:
    """The records of verified lines, the last first: to read only the latest few costs only these few."""
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
    return from_json(_load(line[RECORD]))


def _decode(line: bytes, path: str, offset: int) -> Record:
    try:
        return parse(line)
    except ValueError as error:
        # The hash of this line is right, so it is what somebody wrote: a newer statform, and not a damaged disk.
        raise UnknownFormat(path, f"{error}, at byte {offset}", f"the records of format {FORMAT}") from error
