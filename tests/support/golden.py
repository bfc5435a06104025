"""Cases that are folders: `statform.toml`, `definitions/**`, `state.json`, and what must come of them.

`state.json` is written by hand: address -> `{"name": …, "data": …, "unreturned": …}`, of which `name` is the key and
`unreturned` is empty if they are left out. Without the file there is no state yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from planner.definitions.definition import Definitions
from planner.definitions.parse import parse_definitions
from planner.errors import DefinitionError, PlanError
from planner.plan import order
from planner.plan.build import Plan, build_plan
from planner.render import diagnostics, plan_text, terraform
from planner.render.style import Style
from state.snapshot import EMPTY, ResourceState, Snapshot
from state.values import JSON, Address

ROOT = Path(__file__).parent.parent / "golden"
IS_REWRITING = bool(os.environ.get("REWRITE_GOLDEN"))
NARROW = 60


def cases() -> list[Path]:
    return sorted(path.parent for path in ROOT.glob("*/statform.toml"))


def snapshot(resources: Mapping[str, Mapping[str, JSON]]) -> Snapshot:
    """The snapshot that such a `state.json` stands for."""
    states = {}
    for address, one in resources.items():
        name = str(one.get("name", address.partition(".")[2]))
        data, unreturned, unconfirmed = (one.get(key, {}) for key in ("data", "unreturned", "unconfirmed"))
        assert isinstance(data, dict)
        assert isinstance(unreturned, dict)
        assert isinstance(unconfirmed, dict)
        at = "2025-01-01T00:00:00.000Z"
        states[Address(address)] = ResourceState(name, {"name": name, **data}, unreturned, at, unconfirmed)
    return Snapshot("00000000-0000-4000-8000-000000000000", 1, "0" * 64, 1, states, {})


def plan_of(case: Path) -> Plan:
    """Raises:
    DefinitionError, PlanError: what the case's `errors.txt` shows.
    """
    return build_plan(definitions_of(case), state_of(case))


def definitions_of(case: Path) -> Definitions:
    paths = [case / "statform.toml", *(case / "definitions").rglob("*.toml")]
    return parse_definitions({path.relative_to(case).as_posix(): path.read_bytes() for path in paths})


def state_of(case: Path) -> Snapshot:
    state = case / "state.json"
    return snapshot(json.loads(state.read_text())) if state.exists() else EMPTY


def results(case: Path) -> dict[str, str]:
    """File name -> what it must hold."""
    try:
        plan = plan_of(case)
        machine = terraform.plan_to_json(plan, definitions_of(case), state_of(case))
    except (DefinitionError, PlanError) as error:
        return {"errors.txt": diagnostics.render_diagnostics(error.diagnostics, Style())}
    requests = (json.dumps(one, ensure_ascii=False) + "\n" for one in map(_request, plan.requests))
    return {
        "plan.txt": plan_text.render_plan(plan, Style()),
        f"plan-{NARROW}.txt": plan_text.render_plan(plan, Style(NARROW)),
        "plan.json": json.dumps(machine, indent=1, ensure_ascii=False) + "\n",
        "requests.jsonl": "".join(requests),
    }


def _request(request: order.Request) -> JSON:
    return {"address": request.address, "call": request.call.value, "name": request.name, "body": dict(request.body)}
