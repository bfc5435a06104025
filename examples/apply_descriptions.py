"""Applies a project's changes without asking, when they touch nothing but descriptions and tags.

    python apply_descriptions.py DIRECTORY

The key and the API's place come from the environment: STATSIG_API_KEY, and STATSIG_BASE_URL where it is another one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from planner import BASE_URL, Options, PlannerError, Run, StateError, apply_definitions, build_plan, open_project

HARMLESS = {"description", "tags"}


def main(directory: Path) -> int:
    project = open_project(directory)
    plan = build_plan(project.definitions, project.read_state())
    touched = {change.field.name for action in plan.changes for change in action.changes}
    print(f"{len(plan.changes)} changes, of {', '.join(sorted(touched)) or 'nothing'}")
    if not touched <= HARMLESS:
        print("Somebody has to look at this: statform apply")
        return 1
    run = Run(project, os.environ.get("STATSIG_BASE_URL", BASE_URL))
    # Just this plan: what changed meanwhile is an error, and nothing is sent.
    report = apply_definitions(run, Options(expects=plan))
    for action in report.applied:
        print(f"{action.address}: {action.verb.word}")
    for address, reason in {**report.rejected, **report.unknown, **report.skipped}.items():
        print(f"{address}: {reason}")
    return report.exit_code


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except (PlannerError, StateError) as error:
        sys.exit(f"Error: {error}")
