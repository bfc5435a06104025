"""The schemas of `plan`, `show` and `validate`, which print what Terraform does, and `statform` with our own."""

from __future__ import annotations

from planner.plan.verbs import VERBS
from planner.render.schemas.parts import (
    ACTION,
    ADDRESS,
    ANYTHING,
    AT_WORK,
    BOOLEAN,
    CALL,
    COUNT,
    COUNTS,
    DIAGNOSTIC,
    FIELDS,
    IDENTITY,
    RESOURCE,
    START,
    STATE,
    STRING,
    TEXT,
    TOUCHED,
    UNCONFIRMED_FIELDS,
    VALUES,
    VERSION_1,
    Schema,
    each_of,
    items,
    one_of,
    record,
)


def _change(actions: Schema) -> Schema:
    always: Schema = {
        "actions": {"type": "array", "items": actions, "minItems": 1, "maxItems": 1},
        "before": {**VALUES, "type": ["object", "null"]},
        "after": {**VALUES, "type": ["object", "null"]},
        "after_unknown": VALUES,
        "before_sensitive": VALUES,
        "after_sensitive": VALUES,
    }
    return record(always, {"importing": record({"id": STRING})})


def _module(resource: Schema) -> Schema:
    return record({"root_module": record({"resources": items(resource)})})


def plan_schema() -> Schema:
    planned = record(
        {**IDENTITY, "change": _change(each_of(verb.terraform for verb in VERBS)), "statform": ACTION},
        {"previous_address": ADDRESS},
    )
    own = record({"name": STRING, "fields": FIELDS})
    drifted = record({**IDENTITY, "change": _change(one_of("update", "delete")), "statform": own})
    expressions: Schema = {"type": "object", "additionalProperties": record({"constant_value": ANYTHING})}
    configured = record(
        {**IDENTITY, "provider_config_key": STRING, "expressions": expressions, "schema_version": COUNT},
        {"depends_on": items(ADDRESS)},
    )
    request = record({"address": ADDRESS, "call": CALL, "name": STRING, "body": VALUES})
    return record(
        {
            "format_version": VERSION_1,
            "terraform_version": STRING,
            "applyable": BOOLEAN,
            "complete": BOOLEAN,
            "errored": BOOLEAN,
            "planned_values": _module(record(RESOURCE)),
            "resource_changes": items(planned),
            "prior_state": record({"format_version": VERSION_1, "values": _module(record(RESOURCE))}),
            "configuration": record(
                {
                    "provider_config": record({"statform": record({"name": STRING})}),
                    "root_module": record({"resources": items(configured)}),
                }
            ),
            "statform": record(
                {
                    "version": STRING,
                    **START,
                    "environment": TEXT,
                    "counts": COUNTS,
                    "requests": items(request),
                    "over_max_changes": BOOLEAN,
                },
                {
                    "left_out": COUNT,
                    "touched": TOUCHED,
                    "problems": items(DIAGNOSTIC),
                    "unconfirmed": UNCONFIRMED_FIELDS,
                    "at_work": AT_WORK,
                },
            ),
        },
        {"resource_drift": items(drifted)},
    )


def show_schema() -> Schema:
    own = record({"name": STRING, "unreturned": VALUES, "updated_at": STRING})
    resource = record({**RESOURCE, "statform": own})
    return record(
        {
            "format_version": VERSION_1,
            "terraform_version": STRING,
            "values": _module({"$ref": "#/$defs/resource"}),
            "statform": record({"version": STRING, **STATE}),
        }
    ) | {"$defs": {"resource": resource}}


def validate_schema() -> Schema:
    counts: Schema = {"error_count": COUNT, "warning_count": COUNT}
    return record({"format_version": VERSION_1, "valid": BOOLEAN, **counts, "diagnostics": items(DIAGNOSTIC)})
