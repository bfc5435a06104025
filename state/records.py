"""The journal's records: one frozen class for each thing that can happen to the state.

The same classes are what the API client returns (`Outcome`), what progress shows and what a report counts. Times
(`at`) are RFC 3339 in UTC with milliseconds; they inform people and the pacing, order is the journal's own. A record
never holds a header, the API key or the process's environment. A field with a default came with format 2: a record of
format 1 lacks it.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

import attrs
from attrs import frozen

from state.values import JSON, Address, Object

__all__ = [
    "Applied",
    "Begin",
    "Deleted",
    "End",
    "Forgotten",
    "Genesis",
    "Imported",
    "Intent",
    "Moved",
    "Outcome",
    "Record",
    "Refreshed",
    "Rejected",
    "Resolved",
    "Sealed",
    "Unknown",
    "from_json",
    "to_json",
    "when",
]


@frozen
class Genesis:
    """The first record of every journal."""

    kind: ClassVar[str] = "genesis"
    lineage: str
    format: int
    at: str


@frozen
class Begin:
    """A run starts. `plan` is the digest of the plan that it carries out, None when it has none (an import, a refresh).

    `commit` is the git commit that has the definitions as they were read, `definitions` their digest. `actor` is who
    the environment of a CI, or the command line, names; `run` what the CI tells of the run: `url`, `pull_request`,
    `approved_by`. `project` is the ID of the Statsig project that the run reached, if it is known, at `base_url`.
    """

    kind: ClassVar[str] = "begin"
    plan: str | None
    who: str
    host: str
    version: str
    commit: str | None
    at: str
    actor: str | None = None
    run: Object | None = None
    base_url: str | None = None
    project: str | None = None
    environment: str | None = None
    definitions: str | None = None


@frozen
class Intent:
    """A request is about to be sent.

    `name` is the remote name that it goes to, `sent` its body, `before` the prior values of the fields in it (a field
    without a known prior is absent). Until an outcome follows, what became of it is unknown; it may still happen until
    `deadline_s` seconds after `at`.
    """

    kind: ClassVar[str] = "intent"
    address: Address
    method: str
    name: str
    before: Object
    sent: Object
    at: str
    deadline_s: int | None = None


@frozen
class Applied:
    """The API accepted: `data` is verbatim what it answered.

    `unreturned` holds what was accepted and `data` does not echo as it was sent: a field it leaves out, or a value that
    it normalised.
    """

    kind: ClassVar[str] = "result"
    address: Address
    status: int
    data: Object
    unreturned: Object
    duration_ms: int
    at: str


@frozen
class Deleted:
    """The API deleted the source, or has none of that name any more; `was` is what was known of it."""

    kind: ClassVar[str] = "deleted"
    address: Address
    status: int
    was: Object
    duration_ms: int
    at: str


@frozen
class Rejected:
    """The change provably did not happen: the API refused it, or no connection was made (`status` None).

    `retryable` says that the same request may succeed later; `retry_after_s` is how long the API asked to wait.
    """

    kind: ClassVar[str] = "rejected"
    address: Address
    status: int | None
    message: str
    retryable: bool
    retry_after_s: float | None
    duration_ms: int
    at: str


@frozen
class Unknown:
    """Nobody can say whether the change happened; it stays open until a `Resolved`."""

    kind: ClassVar[str] = "unknown"
    address: Address
    reason: str
    duration_ms: int
    at: str


@frozen
class Resolved:
    """What listing the remote told of an unknown outcome.

    `data` is the source as listed: the new state when applied or superseded (None there: the source is gone), None when
    not applied. A delete that was applied has none either, and a create that was superseded: it made no state.
    """

    kind: ClassVar[str] = "resolved"
    address: Address
    verdict: Literal["applied", "not applied", "superseded"]
    data: Object | None
    unreturned: Object
    at: str


@frozen
class Imported:
    """An existing remote source was taken into the state."""

    kind: ClassVar[str] = "import"
    address: Address
    data: Object
    at: str


@frozen
class Refreshed:
    """The remote was found changed, and taken into the state as it is; `data` None: the source is gone.

    `unreturned` is what is known besides of fields that `data` leaves out.
    """

    kind: ClassVar[str] = "refresh"
    address: Address
    data: Object | None
    unreturned: Object
    at: str


@frozen
class Moved:
    """What was known of `address` is known of the address `to` from now on; the remote was left alone."""

    kind: ClassVar[str] = "move"
    address: Address
    to: Address
    at: str


@frozen
class Forgotten:
    """An address was dropped from the state; the remote was left alone."""

    kind: ClassVar[str] = "forget"
    address: Address
    at: str


@frozen
class Sealed:
    """The state moved to the place named `to`: nothing may follow here."""

    kind: ClassVar[str] = "sealed"
    to: str
    at: str


@frozen
class End:
    """A run is over. `status` is `ok`, `failed` or `interrupted`; recovery closes a run that died with `recovered`."""

    kind: ClassVar[str] = "end"
    status: Literal["ok", "failed", "interrupted", "recovered"]
    at: str


Outcome: TypeAlias = Applied | Deleted | Rejected | Unknown
Record: TypeAlias = (
    Genesis | Begin | Intent | Outcome | Resolved | Imported | Refreshed | Moved | Forgotten | Sealed | End
)

_OUTCOMES = (Applied, Deleted, Rejected, Unknown)
_RECORDS = (Genesis, Begin, Intent, *_OUTCOMES, Resolved, Imported, Refreshed, Moved, Forgotten, Sealed, End)
_CLASSES: dict[str, type[Record]] = {c.kind: c for c in _RECORDS}
# How a field's annotation reads here -> what JSON must hold for it.
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "Address": (str,),
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "int | None": (int, type(None)),
    "bool": (bool,),
    "float | None": (int, float, type(None)),
    "Object": (dict,),
    "Object | None": (dict, type(None)),
}


def _json_types(annotation: str) -> tuple[type, ...]:
    return (str,) if annotation.startswith("Literal[") else _JSON_TYPES[annotation]


_FIELDS = {c.kind: {a.name: _json_types(str(a.type)) for a in attrs.fields(c)} for c in _RECORDS}
_REQUIRED = {c.kind: {a.name for a in attrs.fields(c) if a.default is attrs.NOTHING} for c in _RECORDS}


def to_json(record: Record) -> dict[str, JSON]:
    """The record as a JSON object: `kind` and the fields of its class."""
    return {"kind": record.kind, **{name: getattr(record, name) for name in _FIELDS[record.kind]}}


def from_json(value: JSON) -> Record:
    """The record that `to_json` made this object of.

    Raises:
        ValueError: no known kind, or not that kind's fields; the message says which.
    """
    if not isinstance(value, dict) or not isinstance(kind := value.get("kind"), str) or kind not in _CLASSES:
        raise ValueError("a record of an unknown kind")
    known, fields = _FIELDS[kind], {name: one for name, one in value.items() if name != "kind"}
    if not _REQUIRED[kind] <= fields.keys() <= known.keys():
        raise ValueError(f"a record {kind!r} with unknown fields")
    for name, one in fields.items():
        if not isinstance(one, known[name]):
            raise ValueError(f"a record {kind!r} whose {name!r} has a wrong type")
    return _CLASSES[kind](**fields)  # type: ignore[arg-type]


def when(at: str) -> str:
    """A record's time, for people: `2026-11-27 18:07:04Z`."""
    return f"{at[:19].replace('T', ' ')}Z"
