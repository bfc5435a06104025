"""JSON Schemas of what the commands print with `--json`, as `statform schema OUTPUT` prints them.

They say which keys there are and which are always there, and leave room for keys to be added, as planner/README.md
promises. The tests hold all that is printed against them, and there allow no key that is not in here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias, get_args

from planner.audit.history import NoVerb
from planner.definitions.fields import Call
from planner.definitions.resources import RESOURCE_TYPES
from planner.definitions.schema import DIALECT
from planner.plan.verbs import VERBS, TerraformTotal
from state.values import JSON

Schema: TypeAlias = dict[str, JSON]

_ANYTHING: Schema = {}
_BOOLEAN: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_STRING: Schema = {"type": "string"}
_TEXT: Schema = {"type": ["string", "null"]}
_VALUES: Schema = {"type": "object", "description": "Fields by name, with the values that the API has or receives."}
_TIME: Schema = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$", "description": "UTC."}
_HEAD: Schema = {"type": "string", "pattern": "^([0-9a-f]{64})?$"}
_ADDRESS: Schema = {"type": "string", "pattern": r"^[^.]+\..+$", "description": "TYPE.KEY."}
_RUN: Schema = {
    "type": "object",
    "properties": dict.fromkeys(("url", "pull_request", "approved_by"), _STRING),
    "description": "What the environment of the CI says about the run.",
}
_VERSION_1: Schema = {"type": "string", "pattern": r"^1\.[0-9]+$"}


def _object(always: Mapping[str, JSON], sometimes: Mapping[str, JSON] | None = None) -> Schema:
    properties: Schema = {**always, **(sometimes or {})}
    return {"type": "object", "properties": properties, "required": list(always)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _one_of(*values: JSON) -> Schema:
    return {"enum": list(values)}


def _each(words: Iterable[str]) -> Schema:
    """One of the words, which several verbs may share."""
    return _one_of(*dict.fromkeys(words))


_VERB = _each(verb.word for verb in VERBS)
_COUNTS = _object({verb.word: _COUNT for verb in VERBS})
_IDENTITY: Schema = {
    "address": _ADDRESS,
    "mode": _one_of("managed"),
    "type": _one_of(*RESOURCE_TYPES),
    "name": {**_STRING, "description": "The key of the address; the remote name is in the values."},
    "provider_name": _one_of("statform"),
}
_RESOURCE: Schema = {**_IDENTITY, "schema_version": _COUNT, "values": _VALUES, "sensitive_values": _VALUES}
_UNCONFIRMED: Schema = {"description": "The value before somebody else changed it, to which nobody has agreed yet."}
_FIELDS = _list(_object({"field": _STRING, "after": _ANYTHING}, {"before": _ANYTHING, "unconfirmed": _UNCONFIRMED}))
_CALL: Schema = {**_each(call.value for call in Call), "description": "What is sent for it."}
_NAMED: Schema = {**_STRING, "description": "The remote name before it."}
_NO_CALL: Schema = {"anyOf": [{"type": "null"}, _CALL]}
_ACTION = _object({"verb": _VERB, "call": _NO_CALL, "name": _NAMED, "fields": _FIELDS})


def _change(actions: Schema) -> Schema:
    always: Schema = {
        "actions": {"type": "array", "items": actions, "minItems": 1, "maxItems": 1},
        "before": {**_VALUES, "type": ["object", "null"]},
        "after": {**_VALUES, "type": ["object", "null"]},
        "after_unknown": _VALUES,
        "before_sensitive": _VALUES,
        "after_sensitive": _VALUES,
    }
    return _object(always, {"importing": _object({"id": _STRING})})


def _module(resource: Schema) -> Schema:
    return _object({"root_module": _object({"resources": _list(resource)})})


_TOUCHED: Schema = _list(
    _object(
        {
            "address": _ADDRESS,
            "name": _STRING,
            "experiments": _list(_object({"name": _STRING, "status": _STRING, "loses": _list(_STRING)})),
            "metrics": _list(_STRING),
            "listed": _COUNT,
            "unknown": {**_TEXT, "description": "Why it is unknown what reads it."},
        }
    )
)


_AT_WORK = _object({"who": {**_STRING, "description": "And since when."}, "ended": _BOOLEAN})
_LEFT = _list(_object({"address": _ADDRESS, "fields": _list(_STRING)}))


def _plan() -> Schema:
    planned = _object(
        {**_IDENTITY, "change": _change(_each(verb.terraform for verb in VERBS)), "statform": _ACTION},
        {"previous_address": _ADDRESS},
    )
    own = _object({"name": _STRING, "fields": _FIELDS})
    drifted = _object({**_IDENTITY, "change": _change(_one_of("update", "delete")), "statform": own})
    expressions: Schema = {"type": "object", "additionalProperties": _object({"constant_value": _ANYTHING})}
    configured = _object(
        {**_IDENTITY, "provider_config_key": _STRING, "expressions": expressions, "schema_version": _COUNT},
        {"depends_on": _list(_ADDRESS)},
    )
    request = _object({"address": _ADDRESS, "call": _CALL, "name": _STRING, "body": _VALUES})
    return _object(
        {
            "format_version": _VERSION_1,
            "terraform_version": _STRING,
            "applyable": _BOOLEAN,
            "complete": _BOOLEAN,
            "errored": _BOOLEAN,
            "planned_values": _module(_object(_RESOURCE)),
            "resource_changes": _list(planned),
            "prior_state": _object({"format_version": _VERSION_1, "values": _module(_object(_RESOURCE))}),
            "configuration": _object(
                {
                    "provider_config": _object({"statform": _object({"name": _STRING})}),
                    "root_module": _object({"resources": _list(configured)}),
                }
            ),
            "statform": _object(
                {
                    "version": _STRING,
                    **_START,
                    "environment": _TEXT,
                    "counts": _COUNTS,
                    "requests": _list(request),
                    "over_max_changes": _BOOLEAN,
                },
                {
                    "left_out": _COUNT,
                    "touched": _TOUCHED,
                    "problems": _list(_DIAGNOSTIC),
                    "unconfirmed": _LEFT,
                    "at_work": _AT_WORK,
                },
            ),
        },
        {"resource_drift": _list(drifted)},
    )


_STATE: Schema = {"lineage": _STRING, "serial": _COUNT, "head": _HEAD}
_START: Schema = {**_STATE, "digest": {**_STRING, "description": "Of the plan: SHA-256 in hex."}}


def _show() -> Schema:
    own = _object({"name": _STRING, "unreturned": _VALUES, "updated_at": _STRING})
    resource = _object({**_RESOURCE, "statform": own})
    return _object(
        {
            "format_version": _VERSION_1,
            "terraform_version": _STRING,
            "values": _module({"$ref": "#/$defs/resource"}),
            "statform": _object({"version": _STRING, **_STATE}),
        }
    ) | {"$defs": {"resource": resource}}


_PLACE = _object({"line": _COUNT, "column": _COUNT})
_SNIPPET: Schema = dict.fromkeys(("start_line", "highlight_start_offset", "highlight_end_offset"), _COUNT)
_DIAGNOSTIC = _object(
    {"severity": _one_of("error", "warning"), "summary": _STRING, "detail": _STRING},
    {
        "address": _ADDRESS,
        "range": _object({"filename": _STRING, "start": _PLACE, "end": _PLACE}),
        "snippet": _object({"code": _STRING, **_SNIPPET}),
    },
)


def _validate() -> Schema:
    counts: Schema = {"error_count": _COUNT, "warning_count": _COUNT}
    return _object({"format_version": _VERSION_1, "valid": _BOOLEAN, **counts, "diagnostics": _list(_DIAGNOSTIC)})


def _apply() -> Schema:
    """One event, that is one line."""
    resource = _object(
        {
            "addr": _ADDRESS,
            "module": _one_of(""),
            "resource": _ADDRESS,
            "implied_provider": _one_of("statform"),
            "resource_type": _one_of(*RESOURCE_TYPES),
            "resource_name": _STRING,
            "resource_key": {"type": "null"},
        }
    )
    change = _object(
        {"resource": resource, "action": _each(verb.terraform_event for verb in VERBS)},
        {"previous_resource": resource, "importing": _object({"id": _STRING})},
    )
    totals: Schema = dict.fromkeys(get_args(TerraformTotal), _COUNT)
    changes = _object({**totals, "operation": _one_of("plan", "apply")})
    counted: Schema = {"environment": _TEXT, "counts": _COUNTS, "requests": _COUNT, "least_seconds": _NUMBER}
    planned = _object({**_START, **counted, "over_max_changes": _BOOLEAN}, {"left_out": _COUNT})
    version = _object({"version": _STRING, "format_version": _VERSION_1})
    events = [
        _event(["version"], {"terraform": _STRING, "ui": _VERSION_1, "statform": version}),
        _event(["log"], {}, {"statform": _object({"touched": _TOUCHED})}),
        _event(["diagnostic"], {"diagnostic": _DIAGNOSTIC}),
        _event(["planned_change"], {"change": change, "statform": _ACTION}),
        _event(["change_summary"], {"changes": changes}, {"statform": planned}),
        *_steps(resource),
        _event(["report"], {"statform": _report()}),
    ]
    return {"oneOf": [*events]}


def _steps(resource: Schema) -> list[Schema]:
    def step(what: str, hook: Schema, *own: Schema) -> Schema:
        both = _object({"resource": resource, "action": action, **hook})
        types = [f"{run}_{what}" for run in ("apply", "dry_run")]
        return _event(types, {"hook": both, "statform": own[0] if len(own) == 1 else {"anyOf": [*own]}})

    action = _each(verb.terraform_event for verb in VERBS if verb.sends)
    name: Schema = {"id_key": _one_of("name"), "id_value": _STRING}
    elapsed: Schema = {"elapsed_seconds": _COUNT}
    request = _object({"verb": _VERB, "request": _COUNT, "requests": _COUNT})
    waiting = _object({"verb": _VERB, "waiting_seconds": _NUMBER, "reason": _STRING})
    applied = _object({"verb": _VERB, "outcome": _one_of("applied", "accepted")})
    fates = _one_of("rejected", "unknown", "not applied", "superseded", "skipped", "not attempted")
    failed = _object({"verb": _VERB, "outcome": fates}, {"status": {"type": ["integer", "null"]}, "reason": _STRING})
    return [
        step("start", name, request),
        step("progress", elapsed, request, waiting, applied, failed),
        step("complete", {**name, **elapsed}, applied),
        step("errored", elapsed, failed),
    ]


def _report() -> Schema:
    applied = _object({"address": _ADDRESS, "verb": _VERB, "name": _STRING}, {"moved_from": _ADDRESS})
    reasons = _list(_object({"address": _ADDRESS, "reason": _STRING}))
    fates: Schema = dict.fromkeys(
        ("rejected", "unknown", "skipped", "not_attempted", "not_accepted", "drifted"), reasons
    )
    unstored: Schema = {
        "type": ["object", "null"],
        "description": "An answer that could not be written to the journal.",
    }
    ends: Schema = {"exit_code": _one_of(0, 1, 3, 130), "complete": _BOOLEAN, "dry_run": _BOOLEAN}
    return _object({**ends, "applied": _list(applied), **fates, "unstored": unstored})


def _event(types: list[str], own: Schema, sometimes: Schema | None = None) -> Schema:
    common: Schema = {
        "@level": _one_of("info", "warn", "error"),
        "@message": {**_STRING, "description": "For people."},
        "@module": _one_of("statform.ui"),
        "@timestamp": _TIME,
        "type": _one_of(*types),
    }
    return _object({**common, **own}, sometimes)


def _audit() -> Schema:
    author = _object(
        {"by": _TEXT, "email": _TEXT, "at": _TEXT, "sure": _BOOLEAN}, {"renamed_to": _STRING, "renamed_from": _STRING}
    )
    who: Schema = {"who": {"anyOf": [{"type": "null"}, author]}}
    field = _object({"field": _STRING, "remote": _ANYTHING}, {"prior": _ANYTHING, "undone_by_plan": _BOOLEAN, **who})
    gone = _object({"address": _ADDRESS, "name": _STRING, "looks_renamed_to": _TEXT}, who)
    unmanaged = _object({"type": _one_of(*RESOURCE_TYPES), "name": _STRING}, who)
    unknown = _object({"address": _ADDRESS, "name": _STRING, "sent": _VALUES, "at": _STRING})
    return _object(
        {
            "format_version": _VERSION_1,
            "clean": _BOOLEAN,
            "lineage": _STRING,
            "serial": _COUNT,
            "managed": _COUNT,
            "drift": _list(_object({"address": _ADDRESS, "name": _STRING, "fields": _list(field)})),
            "gone": _list(gone),
            "unmanaged": _list(unmanaged),
            "unknown": _list(unknown),
            "undecided": _list(_object({"address": _ADDRESS, "reason": _STRING})),
            "not_compared": _list(_object({"type": _one_of(*RESOURCE_TYPES), "field": _STRING})),
            "journal": _object({"intact": _BOOLEAN, "records": _COUNT, "head": _HEAD}, {"damage": _STRING}),
            "at_work": {"anyOf": [{"type": "null"}, _AT_WORK]},
            "last_run": {
                "anyOf": [
                    {"type": "null"},
                    _object({"at": _STRING, "who": _STRING, "host": _STRING, "actor": _TEXT, "run": _RUN}),
                ]
            },
        },
        {"audit_log": _object({"problem": _TEXT}), "touched": _TOUCHED},
    )


def _history() -> Schema:
    """One change, that is one line."""
    field = _object({"field": _STRING, "to": _ANYTHING}, {"from": _ANYTHING, "sent": _ANYTHING})
    certain = ("applied", "not accepted", "rejected", "retried")
    tried = (*certain, "unknown", "resolved as applied", "not applied", "superseded")
    return _object(
        {
            "at": _STRING,
            **dict.fromkeys(("who", "host", "actor", "commit", "version"), _TEXT),
            "run": _RUN,
            "action": _each([*(verb.word for verb in VERBS if verb.is_change), *get_args(NoVerb)]),
            "address": _ADDRESS,
            "name": _STRING,
            "fields": _list(field),
            "outcome": _one_of(*tried, "recorded"),
            "reason": _TEXT,
            "seconds": {"type": ["number", "null"]},
            "moved_to": _TEXT,
            "hash": _HEAD,
        }
    )


OUTPUTS: Mapping[str, Callable[[], Schema]] = {
    "validate": _validate,
    "plan": _plan,
    "apply": _apply,
    "show": _show,
    "audit": _audit,
    "history": _history,
}
_TITLES = {"apply": "an event of statform apply --json", "history": "a line of statform history --json"}


def output_schema(name: str) -> Schema:
    """The schema of what the command of that name prints."""
    title = _TITLES.get(name, f"what statform {name} --json prints")
    # The number is that before the point of the output's own version.
    return {"$schema": DIALECT, "$id": f"urn:statform:{name}:1", "title": title, **OUTPUTS[name]()}
