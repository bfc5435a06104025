"""What the commands print with `--json`, held against the schemas that are published for it, and more strictly.

A schema leaves room for keys that are added; here a key that no schema has is an error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import jsonschema

from planner.render.schemas.outputs import OUTPUTS, output_schema

_BY_LINES = {"apply", "history"}


def strict(schema: Any) -> Any:
    """The schema without room for other keys."""
    match schema:
        case dict():
            closed = {"additionalProperties": False} if "properties" in schema else {}
            return {**{key: strict(value) for key, value in schema.items()}, **closed}
        case list():
            return [strict(one) for one in schema]
        case _:
            return schema


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = strict(output_schema("show" if name == "state show" else name))
    return jsonschema.Draft202012Validator(schema["$defs"]["resource"] if name == "state show" else schema)


def check(name: str, value: Any) -> None:
    """That the value is what the command of this name may print."""
    error = jsonschema.exceptions.best_match(validator(name).iter_errors(value))
    assert error is None, f"{name}: {error.message} at {error.json_path} of {json.dumps(value)[:2000]}"


def check_output(arguments: Sequence[str], out: str) -> None:
    """That what a command printed is, where it printed JSON."""
    if "--json" not in arguments or not out or "--verify" in arguments:
        return
    name = next((word for word in arguments if word in OUTPUTS), None)
    if name == "show" and "state" in arguments:
        check("state show", json.loads(out))
    elif name in _BY_LINES:
        for line in out.splitlines():
            check(name, json.loads(line))
    elif name is not None:
        value = json.loads(out)
        check("plan" if "resource_changes" in value else name, value)
