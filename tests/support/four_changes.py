"""A project whose definitions want a create, a full update, a PATCH with a rename, and a delete."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from forkserver import LATER
from lossy import LossyApi, serve
from three_changes import STATFORM, environ, records, statform

from planner.definitions.resources import ASSIGNMENT_SOURCE

TYPE = ASSIGNMENT_SOURCE
_COLUMNS = {
    "timestampColumn": "ts",
    "experimentIDColumn": "e",
    "groupIDColumn": "g",
    "idTypeMapping": [{"statsigUnitID": "userID", "column": "user_id"}],
}
SOURCES = {
    TYPE.name: {
        name: {"name": name, "sql": f"SELECT '{name}'", "description": "before", "tags": [], **_COLUMNS}
        for name in ("full", "named", "gone")
    }
}
MADE = {"name": "made", "sql": "SELECT 'made'", **_COLUMNS}
_DEFAULTS = """[statform]
[defaults.assignment_source]
timestampColumn = "ts"
experimentIDColumn = "e"
groupIDColumn = "g"
idTypeMapping = [{ statsigUnitID = "userID", column = "user_id" }]
"""
_BEFORE = _DEFAULTS + "".join(
    f'[assignment_source.{key}]\nadopt = true\ndescription = "before"\n' for key in ("full", "named", "gone")
)
_AFTER = f"""{_DEFAULTS}
[assignment_source.made]
sql = "SELECT 'made'"
[assignment_source.full]
sql = "SELECT 2"
description = "before"
[assignment_source.named]
name = "renamed"
sql = "SELECT 'named'"
description = "after"
[[removed]]
from = "assignment_source.gone"
delete = true
"""
DESIRED = {
    "made": ("SELECT 'made'", ""),
    "full": ("SELECT 2", "before"),
    "renamed": ("SELECT 'named'", "after"),
}
APPLY = ("apply", "--auto-approve", "--allow-deletes", "1")


def make(directory: Path) -> Path:
    """The project in `directory`; the remote is that of `serve(SOURCES)`."""
    (directory / "statform.toml").write_text(_BEFORE)
    with serve(SOURCES) as api:
        code, output = statform(directory, api, "apply", "--auto-approve")
    assert code == 0, output
    (directory / "statform.toml").write_text(_AFTER)
    return directory


def statform_later(directory: Path, api: LossyApi, *arguments: str) -> tuple[int, str]:
    """As `statform`, when no request of before can be carried out any more."""
    command = [*LATER, str(STATFORM), "-C", str(directory), *arguments]
    done = subprocess.run(command, env=environ(api), capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def intended(directory: Path) -> set[str]:
    return {str(record["name"]) for record in records(directory) if record["kind"] == "intent"}


def moved(api: LossyApi) -> set[str]:
    """The names, as of before, of what the server changed, made and deleted."""
    now, before = api.sources(TYPE.name), SOURCES[TYPE.name]
    made = {"made"} & now.keys()
    return made | {name for name, source in before.items() if now.get(name) != source}


def check_settled(directory: Path, api: LossyApi) -> None:
    """Later, after one more apply, which nothing refuses, definitions, state and remote agree."""
    code, output = statform_later(directory, api, *APPLY)
    assert code == 0, output
    sources = api.sources(TYPE.name)
    assert {name: (s["sql"], s["description"]) for name, s in sources.items()} == DESIRED
    state = json.loads((directory / "statform.state.json").read_text())
    assert "unresolved" not in state
    assert {r["name"]: r["data"] for r in state["resources"].values()} == sources
    for words in (("plan", "--detailed-exitcode"), ("history", "--verify")):
        code, output = statform(directory, api, *words)
        assert code == 0, output
