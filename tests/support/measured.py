"""Has coverage measure each process of this Python's environment, by the [tool.coverage] of pyproject.toml.

    python measured.py

A variable could not: tests give a command an environment of its own.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    # Not what tests check out of an earlier statform.
    config = Coverage(include=[f"{ROOT}/planner/*", f"{ROOT}/state/*"]).config
    # Python reads these files by their names, and coverage's own, which looks at the variable, is a1_coverage.pth.
    Path(sysconfig.get_path("purelib"), "a0_measured.pth").write_text(
        f'import os; os.environ["COVERAGE_PROCESS_CONFIG"] = {config.serialize()!r}\n', encoding="utf-8"
    )
