"""What the schemas are made of: the keywords of JSON Schema that they need, and the parts that several outputs have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from planner.definitions.fields import Call
from planner.definitions.resources import RESOURCE_TYPES
from planner.plan.verbs import VERBS
from state.values import JSON

Schema: TypeAlias = dict[str, JSON]

ANYTHING: Schema = {}
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
STRING: Schema = {"type": "string"}
TEXT: Schema = {"type": ["string", "null"]}
VALUES: Schema = {"type": "object", "description": "Fields by name, with the values that the API has or receives."}
TIME: Schema = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$", "description": "UTC."}
HEAD: Schema = {"type": "string", "pattern": "^([0-9a-f]{64})?$"}
ADDRESS: Schema = {"type": "string", "pattern": r"^[^.]+\..+$", "description": "TYPE.KEY."}
RUN: Schema = {
    "type": "object",
    "properties": dict.fromkeys(("url", "pull_request", "approved_by"), STRING),
    "description": "What the environment of the CI says about the run.",
}
VERSION_1: Schema = {"type": "string", "pattern": r"^1\.[0-9]+$"}


def record(always: Mapping[str, JSON], sometimes: Mapping[str, JSON] | None = None) -> Schema:
    properties: Schema = {**always, **(sometimes or {})}
    return {"type": "object", "properties": properties, "required": list(always)}


def items(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def one_of(*values: JSON) -> Schema:
    return {"enum": list(values)}


def each_of(words: Iterable[str]) -> Schema:
    """One of the words, which several verbs may share."""
    return one_of(*dict.fromkeys(words))


VERB = each_of(verb.word for verb in VERBS)
COUNTS = record({verb.word: COUNT for verb in VERBS})
IDENTITY: Schema = {
    "address": ADDRESS,
    "mode": one_of("managed"),
    "type": one_of(*RESOURCE_TYPES),
    "name": {**STRING, "description": "The key of the address; the remote name is in the values."},
    "provider_name": one_of("statform"),
}
RESOURCE: Schema = {**IDENTITY, "schema_version": COUNT, "values": VALUES, "sensitive_values": VALUES}
_UNCONFIRMED: Schema = {"description": "The value before somebody else changed it, to which nobody has agreed yet."}
FIELDS = items(record({"field": STRING, "after": ANYTHING}, {"before": ANYTHING, "unconfirmed": _UNCONFIRMED}))
CALL: Schema = {**each_of(call.value for call in Call), "description": "What is sent for it."}
_NAMED: Schema = {**STRING, "description": "The remote name before it."}
_NO_CALL: Schema = {"anyOf": [{"type": "null"}, CALL]}
ACTION = record({"verb": VERB, "call": _NO_CALL, "name": _NAMED, "fields": FIELDS})

TOUCHED: Schema = items(
    record(
        {
            "address": ADDRESS,
            "name": STRING,
            "experiments": items(record({"name": STRING, "status": STRING, "loses": items(STRING)})),
            "metrics": items(STRING),
            "listed": COUNT,
            "unknown": {**TEXT, "description": "Why it is unknown what reads it."},
        }
    )
)

AT_WORK = record({"who": {**STRING, "description": "And since when."}, "ended": BOOLEAN})
UNCONFIRMED_FIELDS = items(record({"address": ADDRESS, "fields": items(STRING)}))

STATE: Schema = {"lineage": STRING, "serial": COUNT, "head": HEAD}
START: Schema = {**STATE, "digest": {**STRING, "description": "Of the plan: SHA-256 in hex."}}

_PLACE = record({"line": COUNT, "column": COUNT})
_SNIPPET: Schema = dict.fromkeys(("start_line", "highlight_start_offset", "highlight_end_offset"), COUNT)
DIAGNOSTIC = record(
    {"severity": one_of("error", "warning"), "summary": STRING, "detail": STRING},
    {
        "address": ADDRESS,
        "range": record({"filename": STRING, "start": _PLACE, "end": _PLACE}),
        "snippet": record({"code": STRING, **_SNIPPET}),
    },
)
