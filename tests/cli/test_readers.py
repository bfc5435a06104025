"""What reads a source keeps it from being deleted, whenever it began to read it before the request."""

from __future__ import annotations

import threading
import time

import pytest
from command import STATFORM, Project
from lossy import LossyApi, serve
from person import at_terminal

from planner.emulator.data import sources_for

TYPES = {
    "assignment_source": 'timestampColumn = "ts"\nexperimentIDColumn = "e"\ngroupIDColumn = "g"\n',
    "entity_property": "",
    "metric_source": 'timestampColumn = "ts"\n',
}
COLUMNS = """
sql = "SELECT 1"
idTypeMapping = [{ statsigUnitID = "userID", column = "user_id" }]
"""


def whole(type_name: str, key: str) -> str:
    return f"[{type_name}.{key}]{COLUMNS}{TYPES[type_name]}"


def removed(type_name: str, *keys: str) -> str:
    return "".join(f'[[removed]]\nfrom = "{type_name}.{key}"\ndelete = true\n' for key in keys)


def begin_to_read(api: LossyApi, name: str) -> None:
    """An experiment and a metric that read each source of this name."""
    paths = {"assignmentSourceName": name, "identityResolutionSource": name}
    api.project.experiments.append({"id": f"e_{name}", "name": f"reader of {name}", "status": "active", **paths})
    api.project.others.setdefault("metrics", []).append({"name": f"metric of {name}", "metricSourceName": name})


@pytest.fixture
def api(project: Project):
    with serve(sources_for([])) as served:
        project.environ["STATSIG_BASE_URL"] = served.url
        yield served


def deletes(api: LossyApi) -> list[str]:
    return [call.rpartition("/")[2] for call in api.calls if call.startswith("DELETE")]


@pytest.mark.parametrize("type_name", TYPES)
def test_all_sources_that_are_read_are_named_at_once(project, api, type_name):
    project.define("".join(whole(type_name, key) for key in "abc"))
    assert project.apply().code == 0
    begin_to_read(api, "a")
    begin_to_read(api, "c")
    project.define(removed(type_name, *"abc"))
    ran = project.run("apply", "--auto-approve", "--allow-deletes", "3")
    assert (ran.code, deletes(api)) == (1, [])
    told = [line for line in ran.err.splitlines() if " is read by 1 " in line]
    assert [line.removeprefix("Error: ").partition(" is read")[0] for line in told] == [
        f"{type_name}.a: a",
        f"{type_name}.c: c",
    ]
    assert ran.err.count("Make them read another source, or archive them.") == 1


@pytest.mark.parametrize("type_name", TYPES)
def test_what_is_read_since_the_question_is_not_deleted(project, api, type_name):
    project.define(whole(type_name, "a"))
    assert project.apply().code == 0
    project.age()
    project.define(removed(type_name, "a"))
    environ = project.environ | {"TERM": "xterm", "NO_COLOR": "1"}
    with at_terminal([str(STATFORM), "apply"], project.directory, environ) as terminal:
        terminal.expect("Enter a value: ")
        begin_to_read(api, "a")
        # What was seen may be 30 s old; the clock of a command that is a fork is 20 times as fast.
        time.sleep(2)
        terminal.type("yes\n")
        assert terminal.end() == 1
    assert "a is read by 1 " in " ".join(terminal.shown.split())
    assert deletes(api) == []


@pytest.mark.parametrize("type_name", TYPES)
def test_what_is_read_since_the_run_began_is_not_deleted(project, api, type_name):
    project.define(whole(type_name, "a") + whole(type_name, "b") + whole(type_name, "c"))
    assert project.apply().code == 0
    project.age()
    project.define(removed(type_name, *"abc"))
    api.fates = ["held"]

    def begin() -> None:
        while not deletes(api):
            time.sleep(0.01)
        begin_to_read(api, "b")
        time.sleep(1)
        api.released.set()

    threading.Thread(target=begin, daemon=True).start()
    ran = project.run("apply", "--auto-approve", "--allow-deletes", "3")
    assert (ran.code, deletes(api)) == (1, ["a", "c"])
    assert f"skipped        {type_name}.b: b is read by 1 " in ran.out
    assert list(api.sources(type_name)) == ["b"]
