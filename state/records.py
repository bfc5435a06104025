"""The journal's records: one frozen class for each thing that can happen to the state.

The API client returns the same classes (`Outcome`), progress shows them, and a report counts them. A time (`at`) is
RFC 3339 in UTC with milliseconds. Times inform people and the pacing; what came first, the order of the lines says. A
record never holds a header, the API key or the process's environment. A field with a default came with format 2:
records of format 1 lack it.
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
    """A run starts. `plan` is the digest of the plan that it carries out; None if it has none (an import, a refresh).

    `who` is the user of the operating system, on the machine `host`. `actor` is the person that the CI's environment or
    the command line names. `run` is what the CI says of the run: `url`, `pull_request`, `approved_by`. `commit` is the
    git commit of the definitions, and `definitions` is their digest. `project` is the ID of the Statsig project that
    the run reached at `base_url`, if it is known.
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

    `name` is the remote name that it is for, and `sent` is its body. `before` has the prior value of each field in the
    body, if it is known; for a source that is adopted, also those of other fields. Until an outcome follows, nobody
    knows what became of the request. It may still be carried out until `deadline_s` seconds after `at`.
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
    """The API accepted the request; `data` is its answer, unchanged.

    `unreturned` has the fields that were accepted and that `data` does not show as they were sent: the answer leaves
    them out, or has the value in another form.
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
    """Nobody can say whether the change happened. The request stays unresolved until a `Resolved` record."""

    kind: ClassVar[str] = "unknown"
    address: Address
    reason: str
    duration_ms: int
    at: str


@frozen
class Resolved:
    """What a look at the remote told of an unknown outcome.

    `data` is the source as it was listed, or None if the state takes nothing from it:
        applied         the change is there; None for a delete
        superseded      somebody changed the source after it; None if the source is gone, or was never made
        not applied     always None
    `unreturned` has the fields that we sent, now or earlier, and that `data` does not show as they were sent.
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
    """The remote was found changed, and the state takes it as it is. `data` None: the source is gone.

    `unreturned` has the fields that `data` leaves out and that are known from before.
    """

    kind: ClassVar[str] = "refresh"
    address: Address
    data: Object | None
    unreturned: Object
    at: str


@frozen
class Moved:
    """All that was known of `address` belongs to the address `to` from now on. The remote was left alone."""

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
# The text of a field's annotation -> the types that JSON may have for it. An annotation that is not here is an error as
# soon as this module is loaded, and not when a record is read.
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "Address": (str,),
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "int | None": (int, type(None)),
    "bool": (bool,),
    # To JSON, 2 and 2.0 are the same number.
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
    # An unknown field is refused, never ignored: it may change what the record means.
    if not _REQUIRED[kind] <= fields.keys() <= known.keys():
        raise ValueError(f"a record {kind!r} with unknown fields")
    for name, one in fields.items():
        if not isinstance(one, known[name]):
            raise ValueError(f"a record {kind!r} whose {name!r} has a wrong type")
    return _CLASSES[kind](**fields)  # type: ignore[arg-type]


def when(at: str) -> str:
    """A record's time, for people: `2026-11-27 18:07:04Z`."""
    return f"{at[:19].replace('T', ' ')}Z"
