"""The schema of the events of `apply --json`: one event is one line."""

from __future__ import annotations

from typing import get_args

from planner.definitions.resources import RESOURCE_TYPES
from planner.plan.verbs import VERBS, TerraformTotal
from planner.render.schemas.parts import (
    ACTION,
    ADDRESS,
    BOOLEAN,
    COUNT,
    COUNTS,
    DIAGNOSTIC,
    NUMBER,
    START,
    STRING,
    TEXT,
    TIME,
    TOUCHED,
    VERB,
    VERSION_1,
    Schema,
    each_of,
    items,
    one_of,
    record,
)


def apply_schema() -> Schema:
    """One event, that is one line."""
    resource = record(
        {
            "addr": ADDRESS,
            "module": one_of(""),
            "resource": ADDRESS,
            "implied_provider": one_of("statform"),
            "resource_type": one_of(*RESOURCE_TYPES),
            "resource_name": STRING,
            "resource_key": {"type": "null"},
        }
    )
    change = record(
        {"resource": resource, "action": each_of(verb.terraform_event for verb in VERBS)},
        {"previous_resource": resource, "importing": record({"id": STRING})},
    )
    totals: Schema = dict.fromkeys(get_args(TerraformTotal), COUNT)
    changes = record({**totals, "operation": one_of("plan", "apply")})
    counted: Schema = {"environment": TEXT, "counts": COUNTS, "requests": COUNT, "least_seconds": NUMBER}
    planned = record({**START, **counted, "over_max_changes": BOOLEAN}, {"left_out": COUNT})
    version = record({"version": STRING, "format_version": VERSION_1})
    events = [
        _event(["version"], {"terraform": STRING, "ui": VERSION_1, "statform": version}),
        _event(["log"], {}, {"statform": record({"touched": TOUCHED})}),
        _event(["diagnostic"], {"diagnostic": DIAGNOSTIC}),
        _event(["planned_change"], {"change": change, "statform": ACTION}),
        _event(["change_summary"], {"changes": changes}, {"statform": planned}),
        *_steps(resource),
        _event(["report"], {"statform": _report()}),
    ]
    return {"oneOf": [*events]}


def _steps(resource: Schema) -> list[Schema]:
    def step(what: str, hook: Schema, *own: Schema) -> Schema:
        both = record({"resource": resource, "action": action, **hook})
        types = [f"{run}_{what}" for run in ("apply", "dry_run")]
        return _event(types, {"hook": both, "statform": own[0] if len(own) == 1 else {"anyOf": [*own]}})

    action = each_of(verb.terraform_event for verb in VERBS if verb.sends)
    name: Schema = {"id_key": one_of("name"), "id_value": STRING}
    elapsed: Schema = {"elapsed_seconds": COUNT}
    request = record({"verb": VERB, "request": COUNT, "requests": COUNT})
    waiting = record({"verb": VERB, "waiting_seconds": NUMBER, "reason": STRING})
    applied = record({"verb": VERB, "outcome": one_of("applied", "accepted")})
    fates = one_of("rejected", "unknown", "not applied", "superseded", "skipped", "not attempted")
    failed = record({"verb": VERB, "outcome": fates}, {"status": {"type": ["integer", "null"]}, "reason": STRING})
    return [
        step("start", name, request),
        step("progress", elapsed, request, waiting, applied, failed),
        step("complete", {**name, **elapsed}, applied),
        step("errored", elapsed, failed),
    ]


def _report() -> Schema:
    applied = record({"address": ADDRESS, "verb": VERB, "name": STRING}, {"moved_from": ADDRESS})
    reasons = items(record({"address": ADDRESS, "reason": STRING}))
    fates: Schema = dict.fromkeys(
        ("rejected", "unknown", "skipped", "not_attempted", "not_accepted", "drifted"), reasons
    )
    unstored: Schema = {
        "type": ["object", "null"],
        "description": "An answer that could not be written to the journal.",
    }
    ends: Schema = {"exit_code": one_of(0, 1, 3, 130), "complete": BOOLEAN, "dry_run": BOOLEAN}
    return record({**ends, "applied": items(applied), **fates, "unstored": unstored})


def _event(types: list[str], own: Schema, sometimes: Schema | None = None) -> Schema:
    common: Schema = {
        "@level": one_of("info", "warn", "error"),
        "@message": {**STRING, "description": "For people."},
        "@module": one_of("statform.ui"),
        "@timestamp": TIME,
        "type": one_of(*types),
    }
    return record({**common, **own}, sometimes)
