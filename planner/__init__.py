"""statform, for scripts too: open a project, read its state, make a plan, apply it.

    project = open_project(Path("infra"))
    plan = build_plan(project.definitions, project.read_state())
    report = apply_definitions(Run(project), Options(expects=plan))

The names in `__all__` are the library; the command line uses them too. Each is loaded when it is first used, so that a
plan loads no HTTP client, and `--help` loads nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planner.apply.apply import Options, Watcher, apply_definitions
    from planner.apply.run import Run
    from planner.definitions.project import Project, open_project
    from planner.errors import PlannerError
    from planner.plan.build import build_plan
    from planner.version import BASE_URL as BASE_URL
    from planner.version import __version__ as __version__
    from state.errors import StateError

__all__ = [
    "Options",
    "PlannerError",
    "Project",
    "Run",
    "StateError",
    "Watcher",
    "apply_definitions",
    "build_plan",
    "open_project",
]

_HOMES = {
    "BASE_URL": "planner.version",
    "Options": "planner.apply.apply",
    "PlannerError": "planner.errors",
    "Project": "planner.definitions.project",
    "Run": "planner.apply.run",
    "StateError": "state.errors",
    "Watcher": "planner.apply.apply",
    "apply_definitions": "planner.apply.apply",
    "build_plan": "planner.plan.build",
    "__version__": "planner.version",
    "open_project": "planner.definitions.project",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
