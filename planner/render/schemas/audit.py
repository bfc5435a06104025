"""The schemas of `audit` and `history`: what is, and what was."""

from __future__ import annotations

from typing import get_args

from planner.audit.history import NoVerb
from planner.definitions.resources import RESOURCE_TYPES
from planner.plan.verbs import VERBS
from planner.render.schemas.parts import (
    ADDRESS,
    ANYTHING,
    AT_WORK,
    BOOLEAN,
    COUNT,
    HEAD,
    RUN,
    STRING,
    TEXT,
    TOUCHED,
    VALUES,
    VERSION_1,
    Schema,
    each_of,
    items,
    one_of,
    record,
)


def audit_schema() -> Schema:
    author = record(
        {"by": TEXT, "email": TEXT, "at": TEXT, "sure": BOOLEAN}, {"renamed_to": STRING, "renamed_from": STRING}
    )
    who: Schema = {"who": {"anyOf": [{"type": "null"}, author]}}
    field = record({"field": STRING, "remote": ANYTHING}, {"prior": ANYTHING, "undone_by_plan": BOOLEAN, **who})
    gone = record({"address": ADDRESS, "name": STRING, "looks_renamed_to": TEXT}, who)
    unmanaged = record({"type": one_of(*RESOURCE_TYPES), "name": STRING}, who)
    unknown = record({"address": ADDRESS, "name": STRING, "sent": VALUES, "at": STRING})
    return record(
        {
            "format_version": VERSION_1,
            "clean": BOOLEAN,
            "lineage": STRING,
            "serial": COUNT,
            "managed": COUNT,
            "drift": items(record({"address": ADDRESS, "name": STRING, "fields": items(field)})),
            "gone": items(gone),
            "unmanaged": items(unmanaged),
            "unknown": items(unknown),
            "undecided": items(record({"address": ADDRESS, "reason": STRING})),
            "not_compared": items(record({"type": one_of(*RESOURCE_TYPES), "field": STRING})),
            "journal": record({"intact": BOOLEAN, "records": COUNT, "head": HEAD}, {"damage": STRING}),
            "at_work": {"anyOf": [{"type": "null"}, AT_WORK]},
            "last_run": {
                "anyOf": [
                    {"type": "null"},
                    record({"at": STRING, "who": STRING, "host": STRING, "actor": TEXT, "run": RUN}),
                ]
            },
        },
        {"audit_log": record({"problem": TEXT}), "touched": TOUCHED},
    )


def history_schema() -> Schema:
    """One change, that is one line."""
    field = record({"field": STRING, "to": ANYTHING}, {"from": ANYTHING, "sent": ANYTHING})
    certain = ("applied", "not accepted", "rejected", "retried")
    tried = (*certain, "unknown", "resolved as applied", "not applied", "superseded")
    return record(
        {
            "at": STRING,
            **dict.fromkeys(("who", "host", "actor", "commit", "version"), TEXT),
            "run": RUN,
            "action": each_of([*(verb.word for verb in VERBS if verb.is_change), *get_args(NoVerb)]),
            "address": ADDRESS,
            "name": STRING,
            "fields": items(field),
            "outcome": one_of(*tried, "recorded"),
            "reason": TEXT,
            "seconds": {"type": ["number", "null"]},
            "moved_to": TEXT,
            "hash": HEAD,
        }
    )
