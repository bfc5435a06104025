"""`statform doctor`, and the log of requests."""

from __future__ import annotations

import json
import re

import pytest
import rawserver
from command import source, without_rights

from planner.version import __version__
from state import store
from state.records import Intent
from state.values import Address

DEFINED = '[assignment_source.a]\nadopt = true\ndescription = "x"\n'


@pytest.fixture
def server(project, emulator):
    project.define(DEFINED)
    return emulator(source("a"))


def subjects(ran):
    """The level of each line by its subject; of several the worst."""
    found = {}
    for line in ran.lines:
        level, _, rest = line.partition(" ")
        subject = rest.strip().partition(":")[0]
        levels = ["ok", "warning", "problem"]
        found[subject] = max(found.get(subject, "ok"), level, key=levels.index)
    return found


def test_a_healthy_project_is_reported_as_ok(project, server):
    project.shell("git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -q -m m")
    project.apply()
    before = project.files
    ran = project.run("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[0].startswith(f"ok       versions: statform {__version__}, Python ")
    found = subjects(ran)
    assert {level for subject, level in found.items() if subject != "key"} == {"ok"}
    assert set(found) == {"versions", "project", "git", "state", "lock", "key", "proxy", "clock"}
    assert "may list sources of the type assignment_source" in ran.out
    assert project.files == before


def test_a_missing_key_is_a_problem_and_everything_else_is_still_checked(project, server):
    del project.environ["STATSIG_API_KEY"]
    ran = project.run("doctor")
    assert ran.code == 1
    assert subjects(ran)["key"] == "problem"
    assert subjects(ran)["state"] == "ok"


def test_an_api_that_is_not_there_is_no_fault_of_the_project(project, server):
    ran = project.run("doctor", "--base-url", "http://127.0.0.1:9")
    assert (ran.code, subjects(ran)["api"]) == (3, "problem")


def test_a_right_that_the_key_lacks_is_named(project, emulator):
    project.define(DEFINED)
    emulator(source("a"), options=("--hide-log",))
    ran = project.run("doctor")
    assert ran.code == 0
    assert "warning  key: may not read the project's audit log, for `audit --who` (403): " in ran.out


def test_a_broken_definition_a_damaged_state_and_a_run_at_work_are_told(project, server):
    project.apply()
    with store.open(project.directory / "statform.state.json", "apply"):
        ran = project.run("doctor")
    assert (ran.code, subjects(ran)["lock"]) == (0, "warning")
    project.write("statform.state.json", "{}")
    ran = project.run("doctor")
    assert (ran.code, subjects(ran)["state"]) == (1, "problem")
    project.define("[assignment_source.a]\ndescripton = 1\n")
    ran = project.run("doctor")
    assert (ran.code, subjects(ran)["project"], subjects(ran)["key"]) == (1, "problem", "ok")


def told(**data):
    return rawserver.answer(200, {"data": data})


@pytest.mark.parametrize(
    ("answer", "code", "line"),
    [
        (rawserver.answer(401, {"message": "No."}), 3, "problem  key: refused (401) by the API: No."),
        (
            rawserver.answer(403, {"message": "No."}),
            0,
            "warning  key: the Statsig project's ID can't be read (403): No.",
        ),
        (told(id="its"), 0, "ok       key: the key belongs to the Statsig project its"),
        *(
            (answer, 0, "warning  key: the API does not say the ID of the Statsig project")
            for answer in (told(), told(id=5), rawserver.answer(200, b"[" * 100_000), rawserver.answer(200, b"\xff"))
        ),
    ],
)
def test_any_answer_about_the_project_becomes_one_line(project, answer, code, line):
    project.define(DEFINED)
    with rawserver.serve([source("a")]) as server:
        server.project = answer
        ran = project.run("doctor", "--base-url", server.url)
    assert (ran.code, ran.err) == (code, "")
    assert line in ran.lines


@pytest.mark.parametrize(
    ("date", "line"),
    [
        ("Mon, 01 Jan 2001 00:00:00 GMT", r"warning  clock: .* here, [0-9,]+ s ahead of the API's; .*"),
        ("Fri, 31 Dec 9999 23:59:59 -2300", r"warning  clock: .* here, [0-9,]+ s behind the API's; .*"),
        ("yesterday", "warning  clock: the API does not send the time, .*"),
        ("Mon, 01 Jan 99999 00:00:00 GMT", "warning  clock: the API does not send the time, .*"),
    ],
)
def test_whatever_time_the_api_tells_is_compared(project, date, line):
    project.define(DEFINED)
    with rawserver.serve([source("a")]) as server:
        server.project = rawserver.answer(200, {"data": {"id": "its"}}, f"date: {date}")
        ran = project.run("doctor", "--base-url", server.url)
    assert (ran.code, ran.err) == (0, "")
    assert any(re.fullmatch(line, one) for one in ran.lines), ran.out


def test_the_doctor_reports_what_would_go_wrong_later(project, server):
    project.apply()
    with store.open(project.directory / "statform.state.json", "apply") as session:
        address, at = Address("assignment_source.a"), project.records[-1]["at"]
        session.record(Intent(address, "PATCH", "a", {}, {"team": "x"}, at))
    (project.directory / "statform.state.lock").chmod(0o000)
    ran = project.run("doctor", under=[*without_rights(), "env", "PATH=/nowhere"])
    assert ran.code == 1
    assert "warning  git: not installed; the journal can't name the commit of the definitions" in ran.lines
    assert "; the next apply finds out what happened to assignment_source.a" in ran.out
    assert any(re.fullmatch("problem  lock: .*statform.state.lock: can't read it: .*", one) for one in ran.lines)


def test_a_request_is_a_line_on_stderr_without_a_header_or_a_body(project, server):
    ran = project.run("apply", "--auto-approve", STATFORM_LOG="debug")
    assert ran.code == 0
    logged = [json.loads(line) for line in ran.err.splitlines() if line.startswith("{")]
    assert (logged[0]["method"], next(one["method"] for one in logged if one["method"] != "GET")) == ("GET", "PATCH")
    keys = {"at", "method", "path", "attempt", "status", "bytes", "milliseconds"}
    assert all(set(one) == keys and one["status"] == 200 and one["bytes"] > 0 for one in logged)
    assert all(one["path"].startswith("/console/v1/") for one in logged)
    assert "description" not in ran.err


def test_a_request_without_an_answer_is_logged_and_each_try_is_counted(project, server):
    ran = project.run("audit", "--base-url", "http://127.0.0.1:9", STATFORM_LOG="debug")
    logged = [json.loads(line) for line in ran.err.splitlines() if line.startswith("{")]
    assert ran.code == 3
    tries = [one["attempt"] for one in logged if one["path"] == logged[-1]["path"]]
    assert tries == list(range(1, len(tries) + 1))
    assert len(tries) > 1
    assert {(one["status"], one["bytes"]) for one in logged} == {(None, None)}


def test_an_invalid_proxy_is_a_problem_of_the_api(project, server):
    ran = project.run("doctor", "--base-url", "https://api.invalid", HTTPS_PROXY="gopher://x")
    assert (ran.code, subjects(ran)["api"]) == (1, "problem"), ran
