"""The schema of each output, by the name of its command, as `statform schema OUTPUT` prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from planner.definitions.schema import DIALECT
from planner.render.schemas import apply_events, audit, terraform
from planner.render.schemas.parts import Schema

OUTPUTS: Mapping[str, Callable[[], Schema]] = {
    "validate": terraform.validate_schema,
    "plan": terraform.plan_schema,
    "apply": apply_events.apply_schema,
    "show": terraform.show_schema,
    "audit": audit.audit_schema,
    "history": audit.history_schema,
}
_TITLES = {"apply": "an event of statform apply --json", "history": "a line of statform history --json"}


def output_schema(name: str) -> Schema:
    """The schema of what the command of that name prints."""
    title = _TITLES.get(name, f"what statform {name} --json prints")
    # The number is that before the point of the output's own version.
    return {"$schema": DIALECT, "$id": f"urn:statform:{name}:1", "title": title, **OUTPUTS[name]()}
