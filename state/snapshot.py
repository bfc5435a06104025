"""The state file's content.

    {
      "format": 2,
      "digest": SHA-256 of this file's bytes without this line: grep -v '^  "digest": ' FILE | sha256sum
      "lineage", "serial", "head", "journal_bytes"
      "project": {"id", "base_url"}                   null where not known yet
      "resources": {ADDRESS: {"name", "data", "unreturned", "unconfirmed", "updated_at"}}
                                                      by address, the keys in `data` sorted
      "unresolved": {ADDRESS: the journal's intent}   only when there is one
    }

Indented by 2, UTF-8, a newline at the end. Format 1 lacks `project` and `unconfirmed`. Nothing here touches a file.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from state.advice import advise
from state.errors import Damaged, UnknownFormat
from state.values import JSON, Address, Object, check_addresses, check_elements

if TYPE_CHECKING:
    from state.records import Intent

__all__ = ["EMPTY", "FORMAT", "ResourceState", "Snapshot", "decode_snapshot", "encode_snapshot"]

FORMAT = 2
LINE_ENDS_REMEDY = (
    "git changes them where core.autocrlf is set. Prevent that with `*.state.json -text` and "
    "`*.journal.jsonl -text` in .gitattributes, then remove both files here and check them out again."
)
_BEFORE_DIGEST = f'{{\n  "format": {FORMAT},\n'.encode()
_OPEN, _MIDDLE, _CLOSE = b'{\n  "format": ', b',\n  "digest": "', b'",\n'
# Fixed places, as long as a format has one digit: the digest covers the bytes, however a parser would read them.
_DIGEST, _REST = slice(30, 94), slice(97, None)
_KEYS = frozenset({"format", "digest", "lineage", "serial", "head", "journal_bytes", "resources"})
# What a file may lack: `project` came with format 2, and `unresolved` is written only where there is something in it.
_NEW_KEYS = frozenset({"project", "unresolved"})
_RESOURCE_KEYS = frozenset({"name", "data", "unreturned", "unconfirmed", "updated_at"})
_OLD_RESOURCE_KEYS = _RESOURCE_KEYS - {"unconfirmed"}
_NOTHING: Object = {}
_HEX = frozenset("0123456789abcdef")
_T = TypeVar("_T")


class ResourceState(NamedTuple):
    """What is known of one address. `data` is verbatim what the API returned last.

    `unreturned` has the fields that were accepted but that `data` lacks or has in another form. It also has what an
    earlier answer told of a field that the last one leaves out. `unconfirmed` has the fields that somebody else
    changed, and that no plan has shown yet: each with its value before that change.
    """

    name: str
    data: Object
    unreturned: Object
    updated_at: str
    unconfirmed: Object = _NOTHING

    @property
    def values(self) -> Object:
        """What a plan compares with."""
        return {**self.data, **self.unreturned} if self.unreturned else self.data


class StatsigProject(NamedTuple):
    """The Statsig project that a state belongs to: its ID, and the base URL at which it was reached last."""

    id: str | None = None
    base_url: str | None = None


class Snapshot(NamedTuple):
    """The state at one point of the journal: after the record whose hash is `head`, which ends at `journal_bytes`.

    `serial` counts the runs that ended so far. `unresolved` are the requests whose outcome is unknown.
    `sealed` is the place to which the state moved; a snapshot that has it is never written.
    """

    lineage: str
    serial: int
    head: str
    journal_bytes: int
    resources: Mapping[Address, ResourceState]
    unresolved: Mapping[Address, "Intent"]
    project: StatsigProject = StatsigProject()
    sealed: str | None = None


EMPTY = Snapshot("", 0, "", 0, {}, {})
"""The state of a project that has none yet."""


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The file's bytes: the same snapshot gives the same bytes."""
    document: dict[str, JSON] = {
        "format": FORMAT,
        "lineage": snapshot.lineage,
        "serial": snapshot.serial,
        "head": snapshot.head,
        "journal_bytes": snapshot.journal_bytes,
        "project": snapshot.project._asdict(),
        "resources": {a: _resource_to_json(r) for a, r in sorted(snapshot.resources.items())},
    }
    if snapshot.unresolved:
        from state.records import to_json  # noqa: PLC0415 - most snapshots have none

        document["unresolved"] = {a: _sorted(to_json(i)) for a, i in sorted(snapshot.unresolved.items())}
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # UTF-8 can hold all but lone surrogates. Python's escape for one, such as \ud800, is JSON's escape too.
    body = text.encode("utf-8", "backslashreplace")
    digest = hashlib.sha256(body).hexdigest().encode()
    rest = body[len(_BEFORE_DIGEST) :]
    return b"".join((_BEFORE_DIGEST, b'  "digest": "', digest, b'",\n', rest))


def _resource_to_json(resource: ResourceState) -> JSON:
    return {
        "name": resource.name,
        "data": _sorted(resource.data),
        "unreturned": _sorted(resource.unreturned),
        "unconfirmed": _sorted(resource.unconfirmed),
        "updated_at": resource.updated_at,
    }


def _sorted(value: Object | JSON) -> JSON:
    """The value with the keys in order at every level, so that git shows nothing but what changed."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def decode_snapshot(raw: bytes, path: str) -> Snapshot:
    """What `encode_snapshot` made these bytes of; `path` is for the messages.

    Raises:
        Damaged: any byte differs from what was written.
        UnknownFormat: a newer statform wrote it.
    """
    document = _parse(raw, path)
    # The format before the digest: a newer one may have another digest, and is not damage.
    format_ = document.get("format")
    if type(format_) is int and format_ > FORMAT:
        raise UnknownFormat(path, f"format {format_}", f"format {FORMAT}")
    _check_digest(raw, path)
    try:
        return _snapshot_from_json(document)
    # Anybody can compute a right digest: it tells that nothing was damaged, and not that statform wrote the file.
    except (KeyError, TypeError, ValueError) as error:
        _refuse(path, f"not the shape of a state: {error}")


def rebuild_remedy() -> str:
    """What to do about a state file that can't be trusted."""
    command = advise("state", "rebuild")
    return (
        f"If the journal beside it is intact, `{command}` makes this file again from it; "
        "else restore both from version control or a backup."
    )


def merge_remedy() -> str:
    """What to do about a state that git tried to merge."""
    return (
        "A state has one history, so two can't be merged: take both files, the state and its journal, from one side "
        f"(`git checkout --ours` or `--theirs`), then run `{advise('plan')}` to see what the other side changed."
    )


def _refuse(path: str, what: str, offset: int | None = None, remedy: str = "") -> NoReturn:
    raise Damaged(path, offset, what, remedy or rebuild_remedy())


def _parse(raw: bytes, path: str) -> dict[str, JSON]:
    try:
        # Before the parser, which would make gigabytes of a text that is all brackets.
        check_elements(raw.decode("utf-8", "replace"))
        document = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        _refuse_other(raw, path, error)
    if not isinstance(document, dict):
        _refuse(path, "not a JSON object")
    return document


def _refuse_other(raw: bytes, path: str, error: Exception) -> NoReturn:
    """Refuse bytes that are not JSON, and say what they are."""
    # The accidents that people meet come first, each in its own words: "not JSON" is true of all of them, and no help.
    if not raw:
        _refuse(path, "empty; statform never leaves it empty")
    if b"\0" in raw:
        _refuse(path, "NUL bytes, as a file system leaves them after a power failure", raw.index(b"\0"))
    if raw.startswith(b"<<<<<<< ") or b"\n<<<<<<< " in raw:
        _refuse(path, "the conflict markers of a git merge", raw.index(b"<<<<<<< "), merge_remedy())
    if isinstance(error, json.JSONDecodeError):
        offset = len(error.doc[: error.pos].encode("utf-8", "surrogatepass"))
        _refuse(path, f"not JSON, or cut off: {error.msg}", offset)
    _refuse(path, f"not JSON that statform wrote: {error}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_digest(raw: bytes, path: str) -> None:
    # First what git does to line ends: the digest would only say that something changed.
    if raw.startswith(b"{\r\n"):
        _refuse(path, "its line ends are CR LF, which statform never writes", remedy=LINE_ENDS_REMEDY)
    if not (raw.startswith(_OPEN) and raw[15:30] == _MIDDLE and raw[94:97] == _CLOSE):
        _refuse(path, "its first lines are not as statform writes them: edited, or reformatted")
    digest = hashlib.sha256(raw[: len(_BEFORE_DIGEST)])
    digest.update(memoryview(raw)[_REST])
    if digest.hexdigest().encode() != raw[_DIGEST]:
        _refuse(path, "its digest does not match its bytes: it was edited or damaged, or its line ends were changed")


def _snapshot_from_json(document: dict[str, JSON]) -> Snapshot:
    unresolved = {Address(a): _intent_from_json(a, i) for a, i in _expect(document.get("unresolved", {}), dict).items()}
    lineage, head = _expect(document["lineage"], str), _expect(document["head"], str)
    serial, journal_bytes = _expect(document["serial"], int), _expect(document["journal_bytes"], int)
    resources: dict[str, JSON] = _expect(document["resources"], dict)
    if document.keys() - _NEW_KEYS != _KEYS:
        raise ValueError(f"an unknown key among {', '.join(document)}")
    # A snapshot is written at the end of a run, so there is at least one run and one line.
    if not lineage or len(head) != 64 or not _HEX.issuperset(head) or serial < 1 or journal_bytes < 1:
        raise ValueError("lineage, serial, head or journal_bytes is not possible")
    check_addresses([*resources, *unresolved])
    states = {Address(a): _resource_from_json(r) for a, r in resources.items()}
    project = _project_from_json(document.get("project"))
    return Snapshot(lineage, serial, head, journal_bytes, states, unresolved, project)


def _project_from_json(value: JSON) -> StatsigProject:
    if value is None:
        return StatsigProject()
    parts: dict[str, Any] = _expect(value, dict)
    if not all(part is None or isinstance(part, str) for part in parts.values()):
        raise ValueError("a project with a part of another type")
    return StatsigProject(**parts)


def _resource_from_json(value: JSON) -> ResourceState:
    fields: dict[str, Any] = _expect(value, dict)
    if fields.keys() != _RESOURCE_KEYS and fields.keys() != _OLD_RESOURCE_KEYS:
        raise ValueError(f"a resource of {', '.join(fields)}")
    name, data, unreturned, updated_at = fields["name"], fields["data"], fields["unreturned"], fields["updated_at"]
    unconfirmed = fields.get("unconfirmed", _NOTHING)
    if not (type(name) is type(updated_at) is str and type(data) is type(unreturned) is type(unconfirmed) is dict):
        raise ValueError(f"a resource with a part of another type, name {name!r:.40}")
    return ResourceState(name, data, unreturned, updated_at, unconfirmed)


def _intent_from_json(address: str, value: JSON) -> "Intent":
    from state.records import Intent, from_json  # noqa: PLC0415 - most snapshots have none

    intent = from_json(value)
    if not isinstance(intent, Intent) or intent.address != address:
        raise ValueError(f"what is unresolved at {address} is not an intent for it")
    return intent


def _expect(value: JSON, kind: type[_T]) -> _T:
    # Not isinstance: to Python, true is an int.
    if type(value) is not kind:
        raise ValueError(f"{value!r:.40} instead of a {kind.__name__}")
    return value
