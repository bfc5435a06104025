"""`statform audit`: the remote against the state, read-only, for people, tools and issues."""

from __future__ import annotations

import json
from typing import Literal

from attrs import evolve

from planner.audit import Audit, audit_remote, find_undone
from planner.commands.run import Run
from planner.render import audit as render
from planner.resources import RESOURCE_TYPES
from state import store
from state.errors import Damaged


def audit_state(run: Run, form: Literal["text", "json", "markdown"], *, against_definitions: bool) -> int:
    """Show everything in which the remote is not as the state has it; the exit code."""
    found = _audit(run)
    if against_definitions:
        found = evolve(found, undone=find_undone(run.definitions, found.drifts, found.snapshot))
    match form:
        case "text":
            run.terminal.out(render.text(found, run.terminal.out_style))
        case "json":
            run.terminal.out(json.dumps(render.to_json(found), indent=2) + "\n")
        case "markdown":
            run.terminal.out(render.to_markdown(found))
    return found.exit_code


def _audit(run: Run) -> Audit:
    snapshot = store.read(run.state_path)
    found = audit_remote(snapshot, run.list_remote(RESOURCE_TYPES.values()))
    try:
        chain = store.verify(run.state_path)
    except Damaged as error:
        return evolve(found, damage=str(error))
    return evolve(found, records=0 if chain is None else chain.lines.count(b"\n"))
