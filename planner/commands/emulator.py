"""`statform emulator`: a Console API on loopback, with the project's sources unless a file has others."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from planner.commands.common import Invocation
from planner.definitions.settings import SETTINGS_FILE
from planner.emulator.api import EmulatorOptions
from planner.emulator.data import sources_for
from planner.emulator.server import serve
from planner.emulator.sources import Sources


def emulate(
    invocation: Invocation,
    *,
    port: int,
    data: str | None,
    latency_ms: int,
    limits: tuple[int, int],
    omit: tuple[str, ...],
    log: bool,
    hide_log: bool,
    project: str,
    ignores_sql: bool,
    keeps: bool,
    sql_latency_ms: int,
) -> int:
    """Serve until a signal, with so many changes allowed in 10 s and in 15 min; the exit code."""
    sources = _sources(invocation) if data is None else {}
    file = None if data is None else Path(data)
    kept = EmulatorOptions(port, file, latency_ms, *limits, omit, log, hide_log, sources)
    serve(evolve(kept, ignores_sql=ignores_sql, keeps=keeps, sql_latency_ms=sql_latency_ms, project=project))
    return 0


def _sources(invocation: Invocation) -> Sources:
    """Those that the project, where there is one, takes to be there."""
    if not Path(invocation.directory, SETTINGS_FILE).exists():
        return {}
    project = invocation.open_project()
    return sources_for(project.definitions.resources.values(), invocation.read_state(project))
