"""Plans, states and errors in the shapes of Terraform's, so that tools which read those read these.

https://developer.hashicorp.com/terraform/internals/json-format, format 1.2. What is statform's alone is under the key
`statform`. The same plan gives the same bytes: there is no time in it.

Of a plan: `resource_changes` in plan order, each with `change.actions`, `before` and `after`; `planned_values`,
`prior_state` and `configuration`, which the readers walk. Of a state: `values.root_module.resources`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from planner.definitions.addresses import parts
from planner.definitions.definition import Definitions
from planner.errors import Diagnostic
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT, Action, FieldChange
from planner.plan.verbs import VERBS
from planner.version import __version__
from state.snapshot import ResourceState, Snapshot
from state.values import JSON, Address, Object

if TYPE_CHECKING:
    from planner.audit.drift import Drift, Remote
    from planner.audit.experiments import Touched
    from state.runs import AtWork

FORMAT_VERSION = "1.2"
TERRAFORM_VERSION = "1.7.0"
"""The first whose representation has all that is used here. Readers know a plan by it."""
PROVIDER = "statform"


def plan_to_json(
    plan: Plan,
    definitions: Definitions,
    snapshot: Snapshot,
    drifts: Sequence[Drift] = (),
    before: Snapshot | None = None,
    *,
    remote: Remote | None = None,
    touched: Sequence[Touched] = (),
    problems: Sequence[Diagnostic] = (),
    other_run: AtWork | None = None,
) -> dict[str, JSON]:
    """The plan that was made of these definitions and this snapshot; if the remote was asked, `drifts` led to it.

    `before` is then what the state has, `problems` are what `apply` would refuse the plan for, and `other_run` may have
    changed what was listed.
    An adopted source is Terraform's import with an update: the API has it, and only the `remote` tells what it was.
    """
    drift: dict[str, JSON] = {}
    if before is not None:
        drift["resource_drift"] = [_drift(one, before, snapshot) for one in drifts]
    changes = [_ResourceChange(action, snapshot, remote or {}) for action in plan.actions]
    planned: list[JSON] = [c.resource_to_json(c.after) for c in changes if c.after is not None]
    prior: list[JSON] = [_resource(address, one.values) for address, one in sorted(snapshot.resources.items())]
    counts: dict[str, JSON] = {verb.word: plan.counts[verb] for verb in VERBS}
    return {
        "format_version": FORMAT_VERSION,
        "terraform_version": TERRAFORM_VERSION,
        # As Terraform has it: a plan without changes is nothing to apply, and no error.
        "applyable": bool(plan.changes) and not problems,
        "complete": not plan.left_out,
        "errored": bool(problems),
        **drift,
        "planned_values": {"root_module": {"resources": planned}},
        "resource_changes": [change.to_json() for change in changes],
        "prior_state": {"format_version": "1.0", "values": {"root_module": {"resources": prior}}},
        "configuration": _configuration(definitions),
        "statform": {
            "version": __version__,
            "lineage": plan.lineage,
            "serial": plan.serial,
            "head": plan.head,
            "digest": plan.digest,
            "environment": plan.environment,
            "counts": counts,
            **({"left_out": plan.left_out} if plan.left_out else {}),
            "requests": [
                {"address": r.address, "call": r.call.value, "name": r.name, "body": dict(r.body)}
                for r in plan.requests
            ],
            "over_max_changes": plan.is_over_limit,
            **({"unconfirmed": [*map(_left, plan.unconfirmed)]} if plan.unconfirmed else {}),
            **_touched(touched),
            **_at_work(other_run),
            **({"problems": [diagnostic_to_json(one) for one in problems]} if problems else {}),
        },
    }


def _left(one: tuple[Address, Sequence[str]]) -> JSON:
    """What somebody else changed of a source, and the plan leaves so."""
    address, fields = one
    return {"address": address, "fields": [*fields]}


def _touched(touched: Sequence[Touched]) -> dict[str, JSON]:
    if not touched:
        return {}
    from planner.render.touched import touched_to_json  # noqa: PLC0415 - only what asks the remote knows who reads it

    return {"touched": touched_to_json(touched)}


def _at_work(other_run: AtWork | None) -> dict[str, JSON]:
    if other_run is None:
        return {}
    from planner.render import at_work  # noqa: PLC0415 - only what asks the remote knows who changes it

    return {"at_work": at_work.to_json(other_run)}


def state_to_json(snapshot: Snapshot) -> dict[str, JSON]:
    """The state in the shape of Terraform's state representation."""
    resources: list[JSON] = [resource_to_json(address, one) for address, one in sorted(snapshot.resources.items())]
    return {
        "format_version": "1.0",
        "terraform_version": TERRAFORM_VERSION,
        "values": {"root_module": {"resources": resources}},
        "statform": {
            "version": __version__,
            "lineage": snapshot.lineage,
            "serial": snapshot.serial,
            "head": snapshot.head,
        },
    }


def resource_to_json(address: Address, resource: ResourceState) -> dict[str, JSON]:
    """One address of the state; `values` is what a plan compares with."""
    own: dict[str, JSON] = {
        "name": resource.name,
        "unreturned": dict(resource.unreturned),
        "updated_at": resource.updated_at,
    }
    return {**_resource(address, resource.values), "statform": own}


def validation_to_json(diagnostics: Sequence[Diagnostic]) -> dict[str, JSON]:
    """What is wrong with the definitions, as `terraform validate -json` tells it; columns in characters, from 1."""
    shown: list[JSON] = [diagnostic_to_json(one) for one in diagnostics]
    warnings = sum(one.is_warning for one in diagnostics)
    return {
        "format_version": "1.0",
        "valid": len(diagnostics) == warnings,
        "error_count": len(diagnostics) - warnings,
        "warning_count": warnings,
        "diagnostics": shown,
    }


def diagnostic_to_json(diagnostic: Diagnostic) -> dict[str, JSON]:
    """The problem in Terraform's shape: `range` and `snippet` only if its place is known; columns from 1, offsets 0."""
    severity = "warning" if diagnostic.is_warning else "error"
    found: dict[str, JSON] = {
        "severity": severity,
        "summary": diagnostic.summary,
        "detail": f"Expected: {diagnostic.expected}",
    }
    if diagnostic.address is not None:
        found["address"] = diagnostic.address
    if (where := diagnostic.location) is not None:
        end = where.column + where.length
        found["range"] = {
            "filename": where.file,
            "start": {"line": where.line, "column": where.column},
            "end": {"line": where.line, "column": end},
        }
        found["snippet"] = {
            "code": where.text,
            "start_line": where.line,
            "highlight_start_offset": where.column - 1,
            "highlight_end_offset": end - 1,
        }
    return found


def _resource(address: Address, values: Object) -> dict[str, JSON]:
    return {**_identity(address), "schema_version": 0, "values": dict(values), "sensitive_values": {}}


def _identity(address: Address) -> dict[str, JSON]:
    type_name, key = parts(address)
    return {"address": address, "mode": "managed", "type": type_name, "name": key, "provider_name": PROVIDER}


def _drift(drift: Drift, prior: Snapshot, snapshot: Snapshot) -> JSON:
    before = _values(prior.resources[drift.address])
    after = _values(snapshot.resources[drift.address]) if drift.address in snapshot.resources else None
    own: dict[str, JSON] = {"name": drift.name, "fields": _fields(drift.changes)}
    change = _change("delete" if after is None else "update", before, after)
    return {**_identity(drift.address), "change": change, "statform": own}


def _values(resource: ResourceState) -> Object:
    return {**resource.values, "name": resource.name}


def _change(action: str, before: Object | None, after: Object | None) -> dict[str, JSON]:
    return {
        "actions": [action],
        "before": None if before is None else dict(before),
        "after": None if after is None else dict(after),
        "after_unknown": {},
        "before_sensitive": {},
        "after_sensitive": {},
    }


class _ResourceChange:
    """What happens to one address, with all of its values before and after."""

    def __init__(self, action: Action, snapshot: Snapshot, remote: Remote) -> None:
        self.action = action
        prior = snapshot.resources.get(action.moved_from or action.address)
        seen = remote[action.type.name].get(action.name, {}) if action.is_seen else {}
        known = {**seen, "name": action.name} if prior is None else _values(prior)
        # `after` has all values and not the changed ones alone: policies look at what will be there.
        self.before: Mapping[str, JSON] | None = None if action.verb is verbs.CREATE else known
        self.after: Mapping[str, JSON] | None = None
        if action.verb.keeps:
            self.after = {**known, **{change.field.name: change.after for change in action.changes}}

    def resource_to_json(self, values: Object) -> JSON:
        return _resource(self.action.address, values)

    def to_json(self) -> JSON:
        action = self.action
        change = _change(action.verb.terraform, self.before, self.after)
        # The one sign by which readers tell that the API has it already.
        if "import" in action.verb.terraform_totals:
            change["importing"] = {"id": action.name}
        moved: dict[str, JSON] = {} if action.moved_from is None else {"previous_address": action.moved_from}
        return {**_identity(action.address), **moved, "change": change, "statform": own_words(action)}


def own_words(action: Action) -> dict[str, JSON]:
    """What statform alone says of an action."""
    call = None if action.call is None else action.call.value
    return {"verb": action.verb.word, "call": call, "name": action.name, "fields": _fields(action.changes)}


def _fields(changes: Sequence[FieldChange]) -> list[JSON]:
    return [
        {"field": c.field.name, "after": c.after}
        | ({} if c.before is ABSENT else {"before": c.before})
        | ({} if c.unconfirmed is ABSENT else {"unconfirmed": c.unconfirmed})
        for c in changes
    ]


def _configuration(definitions: Definitions) -> JSON:
    resources: list[JSON] = []
    for address, one in definitions.resources.items():
        values = {"name": one.name, **one.values}
        expressions: dict[str, JSON] = {name: {"constant_value": value} for name, value in values.items()}
        found = {**_identity(address), "provider_config_key": PROVIDER, "expressions": expressions, "schema_version": 0}
        resources.append(found | ({"depends_on": [*one.depends_on]} if one.depends_on else {}))
    return {"provider_config": {PROVIDER: {"name": PROVIDER}}, "root_module": {"resources": resources}}
