"""A project whose state is as the remote and whose definitions want three changes: a value, a name, a set."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from canary import KEY
from lossy import LossyApi, serve
from traced import run_traced

STATFORM = Path(sys.executable).with_name("statform")
RECORDS_BEFORE = 9
_COLUMNS = {"timestampColumn": "ts", "experimentIDColumn": "e", "groupIDColumn": "g", "idTypeMapping": []}
SOURCES = {
    "assignment_source": {
        name: {"name": name, "sql": "SELECT 1", "description": "before", "tags": [], **_COLUMNS}
        for name in ("one", "two", "three")
    }
}
_BEFORE = "".join(
    f'[assignment_source.{key}]\nadopt = true\ndescription = "before"\n' for key in ("one", "two", "three")
)
_AFTER = """
[assignment_source.one]
adopt = true
description = "after"
[assignment_source.two]
adopt = true
name = "two_renamed"
description = "before"
[assignment_source.three]
adopt = true
description = "before"
tags = ["a", "b"]
"""
_DESIRED = {"one": ("after", []), "two_renamed": ("before", []), "three": ("before", ["a", "b"])}


def environ(api: LossyApi) -> dict[str, str]:
    return {"STATSIG_API_KEY": KEY, "STATSIG_BASE_URL": api.url, "PATH": os.environ["PATH"]}


def statform(directory: Path, api: LossyApi, *arguments: str, under: tuple[str, ...] = ()) -> tuple[int, str]:
    """The exit code of the installed command, and what it wrote to both streams; `under` is strace with its options."""
    command = [str(STATFORM), "-C", str(directory), *arguments]
    if under:
        done = run_traced(under, command, environ(api))
    else:
        done = subprocess.run(command, env=environ(api), capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def start(directory: Path, api: LossyApi, *arguments: str) -> subprocess.Popen[str]:
    command = [str(STATFORM), "-C", str(directory), *arguments]
    return subprocess.Popen(command, env=environ(api), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def make(directory: Path) -> Path:
    """The project in `directory`; the remote is that of `serve(SOURCES)`."""
    (directory / "statform.toml").write_text("[statform]\n" + _BEFORE)
    # Each of them differs, so that each adoption is a request.
    first = {name: {**one, "description": "first"} for name, one in SOURCES["assignment_source"].items()}
    with serve({"assignment_source": first}) as api:
        code, output = statform(directory, api, "apply", "--auto-approve")
    assert code == 0, output
    assert len(records(directory)) == RECORDS_BEFORE
    (directory / "statform.toml").write_text("[statform]\n" + _AFTER)
    return directory


def copy(base: Path, parent: Path) -> Path:
    return Path(shutil.copytree(base, parent / "project"))


def records(directory: Path) -> list[dict[str, str]]:
    """The records of the journal's whole lines, read by nothing of ours."""
    lines = (directory / "statform.state.journal.jsonl").read_bytes().split(b"\n")[:-1]
    return [json.loads(line)["record"] for line in lines]


def check_settled(directory: Path, api: LossyApi) -> None:
    """One more apply, and definitions, state and remote agree."""
    code, output = statform(directory, api, "apply", "--auto-approve")
    assert code == 0, output
    assert {name: (s["description"], s["tags"]) for name, s in api.sources().items()} == _DESIRED
    state = json.loads((directory / "statform.state.json").read_text())
    assert "unresolved" not in state
    assert {r["name"]: r["data"] for r in state["resources"].values()} == api.sources()
    code, output = statform(directory, api, "plan", "--detailed-exitcode")
    assert code == 0, output
