"""A saved plan: what `plan --out` writes, `show` shows and `apply` accepts.

    {"format": 1, "digest": SHA-256 of all the rest as canonical JSON, "version": statform's own,
     "plan": {"digest", "lineage", "serial", "head", "managed", "actions", "requests", "likely_moves",
              "twins", "max_changes"},
     "definitions": their digest, "environment": a name or null, "base_url", "targets": [WORD…],
     "excludes": [WORD…],
     "listed": null, or of a plan with --refresh ADDRESS -> {"data": the source, null if it is gone, "unreturned"}}

It is never carried out: `apply` makes the plan again from the current definitions and state, and continues only if both
are equal. So nobody can make statform send something by editing a file, and the file needs no secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from planner.definitions.addresses import known_type_of
from planner.definitions.definition import Definitions
from planner.definitions.fields import Call
from planner.definitions.settings import Limit
from planner.errors import PlanRefused, UsageError
from planner.plan.build import Plan, digest_of
from planner.plan.diff import ABSENT, NAME, Action, FieldChange
from planner.plan.order import Request
from planner.plan.verbs import VERB_OF
from planner.version import __version__
from state.snapshot import Snapshot
from state.values import JSON, Address, Object

FORMAT = 1
_T = TypeVar("_T")
MAX_BYTES = 256 << 20


class Refusal(Enum):
    """Why a saved plan is refused; its value says it."""

    NO_PLAN = "not a saved plan, or a damaged one"
    VERSION = "made by another version of statform"
    TAMPERED = "not as statform wrote it: it was edited"
    FOREIGN = "made for another state"
    USED = "applied before; a plan can be applied only once"
    STALE = "made before the state changed"
    OTHER_DEFINITIONS = "made from other definitions"
    OTHER_ENVIRONMENT = "made for another environment"
    OTHER_BASE_URL = "made for another base URL"
    OTHER_REMOTE = "made before the remote changed"
    REMOTE = "shown, and the remote changed before the answer"


class Listed(NamedTuple):
    """A source as the remote had it; None: it was not there. `unreturned` are known values that `data` leaves out."""

    data: Object | None
    unreturned: Object


class SavedPlan(NamedTuple):
    """A plan, and what identifies all that it was made from: state, definitions, environment, base URL, options.

    `path` is the file that it was in. `listed` has the sources that the plan touches and that the state did not have,
    or had otherwise, as the remote had them; None: nobody looked at the remote.
    """

    plan: Plan
    definitions: str
    base_url: str
    targets: tuple[str, ...]
    excludes: tuple[str, ...]
    path: str
    listed: Mapping[Address, Listed] | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The options of the `plan` command that saved it."""
        words = [("--target", word) for word in self.targets] + [("--exclude", word) for word in self.excludes]
        return (*(() if self.listed is None else ("--refresh",)), *(word for pair in words for word in pair))

    def refused(self, reason: Refusal, detail: str = "") -> PlanRefused:
        """The error that says it is not applied, and why."""
        return PlanRefused(self.path, reason, detail, self.options)


def save_plan(
    plan: Plan,
    definitions: Definitions,
    base_url: str,
    targets: Sequence[str] = (),
    excludes: Sequence[str] = (),
    *,
    listed: Mapping[Address, Listed] | None = None,
) -> bytes:
    """The file's bytes.

    Raises:
        UsageError: the base URL has more than scheme, host, port and path: that may be a secret.
    """
    # A user and a password stand before "@", and a token often stands after "?".
    if set(base_url) & set("@?#"):
        raise UsageError("the base URL must have a scheme and a host, and may have a port and a path")
    content: dict[str, JSON] = {
        "format": FORMAT,
        "version": __version__,
        "plan": _plan_to_json(plan),
        "definitions": definitions.digest,
        "environment": plan.environment,
        "base_url": base_url,
        "targets": list(targets),
        "excludes": list(excludes),
        "listed": None if listed is None else {address: _listed_to_json(one) for address, one in listed.items()},
    }
    return json.dumps({"digest": digest_of(content), **content}, indent=1).encode() + b"\n"


def _listed_to_json(one: Listed) -> JSON:
    return {"data": None if one.data is None else dict(one.data), "unreturned": dict(one.unreturned)}


def _plan_to_json(plan: Plan) -> JSON:
    return {
        "digest": plan.digest,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "head": plan.head,
        "managed": plan.managed,
        "actions": [_action_to_json(action) for action in plan.actions],
        "requests": [
            {
                "address": r.address,
                "call": r.call.value,
                "name": r.name,
                "body": dict(r.body),
                "needs": [*sorted(r.needs)],
            }
            for r in plan.requests
        ],
        "likely_moves": [list(pair) for pair in plan.likely_moves],
        "twins": [list(pair) for pair in plan.twins],
        "max_changes": plan.max_changes,
        "kept": [*plan.kept],
        "unconfirmed": [[address, [*fields]] for address, fields in plan.unconfirmed],
    }


def _action_to_json(action: Action) -> JSON:
    found: dict[str, JSON] = {"address": action.address, "verb": action.verb.word, "name": action.name}
    if action.moved_from is not None:
        found["moved_from"] = action.moved_from
    if action.is_seen:
        found["is_seen"] = True
    if action.changes:
        found["changes"] = [_change_to_json(change) for change in action.changes]
    return found


def _change_to_json(change: FieldChange) -> JSON:
    found: dict[str, JSON] = {"field": change.field.name, "after": change.after}
    known = (("before", change.before), ("unconfirmed", change.unconfirmed))
    return found | {key: value for key, value in known if value is not ABSENT}


def load_plan(raw: bytes, path: str) -> SavedPlan:
    """The plan that `save_plan` made these bytes of; `path` is the file that has them.

    Raises:
        PlanRefused: they are no plan, or from another version, or were edited. The first that is true.
    """
    try:
        content = json.loads(raw)
        format_, digest = content["format"], content.pop("digest")
        version = str(content["version"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise PlanRefused(path, Refusal.NO_PLAN) from None
    # Before the digests: another version may make another plan from the same files, which would look like an edit.
    if format_ != FORMAT or version != __version__:
        raise PlanRefused(path, Refusal.VERSION, f"{version[:40]}, and this is {__version__}")
    try:
        if digest != digest_of(content):
            raise PlanRefused(path, Refusal.TAMPERED)
        plan = _plan_from_json(content["plan"], content["environment"])
        definitions, base_url = _expect(content["definitions"], str), _expect(content["base_url"], str)
        # Anybody can compute the digest of a file that they edited. The plan's own digest is what the journal gets: it
        # has to be the digest of the actions and requests that a person was shown.
        if content["plan"]["digest"] != plan.digest:
            raise PlanRefused(path, Refusal.TAMPERED)
        targets, excludes = (_strings(content[key]) for key in ("targets", "excludes"))
        listed = _listed_from_json(content["listed"])
        return SavedPlan(plan, definitions, base_url, targets=targets, excludes=excludes, path=path, listed=listed)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise PlanRefused(path, Refusal.TAMPERED) from None


def _plan_from_json(value: dict[str, Any], environment: object) -> Plan:
    return Plan(
        lineage=_expect(value["lineage"], str),
        serial=_expect(value["serial"], int),
        head=_expect(value["head"], str),
        actions=tuple(map(_action_from_json, value["actions"])),
        requests=tuple(map(_request_from_json, value["requests"])),
        managed=_expect(value["managed"], int),
        environment=None if environment is None else _expect(environment, str),
        likely_moves=tuple((_address(old), _address(new)) for old, new in value["likely_moves"]),
        twins=tuple((_address(old), _address(new)) for old, new in value["twins"]),
        max_changes=_limit_of(value["max_changes"]),
        kept=tuple(map(_address, value["kept"])),
        unconfirmed=tuple(
            (_address(one), tuple(_expect(name, str) for name in names)) for one, names in value["unconfirmed"]
        ),
    )


def _strings(value: list[Any]) -> tuple[str, ...]:
    return tuple(_expect(item, str) for item in value)


def _limit_of(value: int | str | None) -> int | str | None:
    if value is not None and Limit().problems(value):
        raise ValueError
    return value


def _listed_from_json(value: dict[str, Any] | None) -> Mapping[Address, Listed] | None:
    return None if value is None else {_known(address): _one_listed(one) for address, one in value.items()}


def _known(value: object) -> Address:
    if known_type_of(address := _address(value)) is None:
        raise ValueError
    return address


def _one_listed(one: dict[str, Any]) -> Listed:
    data = one["data"]
    if data is not None:
        _expect(data["name"], str)
    return Listed(data, _expect(one["unreturned"], dict))


def _expect(value: object, kind: type[_T]) -> _T:
    if type(value) is not kind:
        raise TypeError
    return value


def _address(value: object) -> Address:
    return Address(_expect(value, str))


def _request_from_json(value: dict[str, Any]) -> Request:
    name, body = _expect(value["name"], str), _expect(value["body"], dict)
    needs = frozenset(map(_address, value["needs"]))
    return Request(_address(value["address"]), Call(value["call"]), name, body, needs)


def _action_from_json(value: dict[str, Any]) -> Action:
    address = _address(value["address"])
    type_ = known_type_of(address)
    if type_ is None:
        raise ValueError
    changes = []
    for one in value.get("changes", ()):
        field = NAME if one["field"] == "name" else type_.field[one["field"]]
        before, unconfirmed = (one.get(key, ABSENT) for key in ("before", "unconfirmed"))
        changes.append(FieldChange.of(field, before, one["after"], unconfirmed))
    moved_from = None if value.get("moved_from") is None else _address(value["moved_from"])
    verb, name, is_seen = VERB_OF[value["verb"]], _expect(value["name"], str), value.get("is_seen") is True
    return Action(address, type_, verb, name, tuple(changes), moved_from, is_seen)


def check_origin(saved: SavedPlan, snapshot: Snapshot, definitions: Definitions, base_url: str) -> None:
    """Check that the saved plan is from this state, these definitions and this environment, and for this base URL.

    Raises:
        PlanRefused: one of these is not so; the error names the first one.
    """
    plan = saved.plan
    differences = (
        # First, because each environment has its own state: "made for another state" would follow, and say less.
        (Refusal.OTHER_ENVIRONMENT, plan.environment != definitions.environment, plan.environment or "none"),
        (Refusal.FOREIGN, plan.lineage not in {"", snapshot.lineage}, ""),
        (
            Refusal.STALE,
            (plan.lineage, plan.serial, plan.head) != (snapshot.lineage, snapshot.serial, snapshot.head),
            "",
        ),
        (Refusal.OTHER_BASE_URL, saved.base_url != base_url, f"{saved.base_url}, and this is {base_url}"),
        (Refusal.OTHER_DEFINITIONS, saved.definitions != definitions.digest, ""),
    )
    for reason, differs, detail in differences:
        if differs:
            raise saved.refused(reason, detail)


def check_equal(saved: SavedPlan, again: Plan) -> None:
    """Check that the saved plan equals `again`, which was made from the same definitions and state.

    Raises:
        PlanRefused: it differs, so somebody edited it.
    """
    if saved.plan != again:
        raise saved.refused(Refusal.TAMPERED, "these definitions and this state give another plan")
