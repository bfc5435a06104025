"""`statform emulator` as a process: its options, its data file, its end. What it answers is in tests/planner."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time

import httpx
import pytest
from canary import CANARY, KEY
from command import STATFORM, source
from person import at_terminal

LIST = "/console/v1/experiments/assignment_sources"
ONE = "/console/v1/experiments/assignment_source"
HEADERS = {"STATSIG-API-KEY": KEY, "STATSIG-API-VERSION": "20240601"}


def patch(remote, name, body, **headers):
    return httpx.patch(f"{remote.url}{ONE}/{name}", json=body, headers=HEADERS | headers)


def test_its_one_line_on_stdout_says_where_it_is_once_it_listens(emulator):
    remote = emulator(source("one"))
    assert httpx.get(remote.url + LIST, headers=HEADERS).json()["data"] == [source("one")]


def test_the_data_file_has_each_change_before_its_answer_is_sent(emulator):
    remote = emulator(source("one"), source("two"))
    for n in range(5):
        answer = patch(remote, "one", {"description": str(n)})
        assert remote.sources["one"] == answer.json()["data"] == source("one", description=str(n))
    patch(remote, "two", {"name": "three"})
    assert list(remote.sources) == ["one", "three"]
    httpx.delete(f"{remote.url}{ONE}/one", headers=HEADERS)
    assert list(remote.sources) == ["three"]


def test_a_refused_change_and_a_dry_run_leave_the_data_file_as_it_is(emulator):
    remote = emulator(source("one"))
    before = remote.data.read_bytes()
    assert patch(remote, "one", {"sql": "x"}).status_code == 400
    assert patch(remote, "one", {"description": "x", "dryRun": True}).status_code == 200
    assert patch(remote, "nowhere", {}).status_code == 404
    assert remote.data.read_bytes() == before


def test_a_data_file_that_is_not_there_is_made_by_the_first_change(project, tmp_path):
    command = [str(STATFORM), "emulator", "--data", "new.json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().split()[-1]
            assert not (tmp_path / "new.json").exists()
            assert httpx.post(url + LIST, json=source("one"), headers=HEADERS).status_code == 201
        finally:
            process.terminate()
    kept = json.loads((tmp_path / "new.json").read_text())
    assert kept["assignment_source"] == [source("one")]
    assert [entry["name"] for entry in kept["audit_log"]] == ["one"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "emulator.json can't be used"),
        ("[]", "expected an object with a list of sources"),
        ('{"metric": []}', '"metric" is not a resource type'),
        ('{"assignment_source": [{"name": "one"}]}', "assignment_source[0].sql: is required"),
        ('{"assignment_source": [{"name": "\\u001b[2J"}]}', "is required"),
    ],
)
def test_a_data_file_that_the_api_could_not_have_given_is_refused(project, content, message):
    project.write("emulator.json", content)
    ran = project.run("emulator", "--data", "emulator.json", timeout=20)
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err
    assert "\x1b" not in ran.err
    assert project.files["emulator.json"] == content.encode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--port", "65536"), "'--port'"),
        (("--port", "x"), "'--port'"),
        (("--latency", "-1"), "'--latency'"),
        (("--per-10-seconds", "0"), "'--per-10-seconds'"),
        (("--per-15-minutes", "0"), "'--per-15-minutes'"),
        (("--omit", "nmae"), "no resource type has a field nmae"),
        (("--data", "."), "'--data'"),
        (("--data", "no/where.json"), "there is no directory no"),
        (("extra",), "extra"),
    ],
)
def test_options_that_can_t_be_used_are_usage_errors(project, arguments, message):
    ran = project.run("emulator", *arguments, timeout=20)
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err


def test_a_port_that_is_taken_is_an_error_with_the_reason(project, emulator):
    port = emulator().url.rpartition(":")[2]
    ran = project.run("emulator", "--port", port, timeout=20)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"Error: port {port} of 127.0.0.1 can't be used: Address already in use\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_exit_code_0_and_nothing_to_read(emulator, number):
    remote = emulator(source("one"))
    with httpx.Client() as client:
        client.get(remote.url + LIST, headers=HEADERS)
        remote.process.send_signal(number)
        assert remote.process.wait(5) == 0


def test_ctrl_c_at_the_terminal_ends_it(project):
    with at_terminal([str(STATFORM), "emulator"], project.directory, project.environ) as terminal:
        terminal.expect("Console API on http://127.0.0.1:")
        terminal.type("\x03")
        assert terminal.end(5) == 0
    assert terminal.shown.splitlines()[1:] in ([], ["^C"])


def test_the_log_has_one_line_for_each_request_without_the_key(emulator):
    remote = emulator(source("one"))
    patch(remote, "one", {"description": "x"})
    patch(remote, "a%2Fb", {})
    httpx.get(remote.url + LIST + "?limit=5", headers=HEADERS | {"STATSIG-API-KEY": f"secret-{CANARY}"})
    lines = [re.sub(r" \d+ ms$", "", line) for line in remote.data.with_suffix(".log").read_text().splitlines()]
    assert lines == [f"PATCH {ONE}/one 200", f"PATCH {ONE}/a%2Fb 404", f"GET {LIST} 401"]


def test_without_log_it_writes_nothing_more(project, tmp_path):
    with subprocess.Popen(
        [str(STATFORM), "emulator"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().split()[-1]
        httpx.get(url + LIST, headers=HEADERS)
        process.terminate()
        assert process.communicate(timeout=10) == ("", "")


def test_latency_delays_each_answer(emulator):
    remote = emulator(options=("--latency", "300"))
    started = time.monotonic()
    httpx.get(remote.url + LIST, headers=HEADERS)
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("option", ["--per-10-seconds", "--per-15-minutes"])
def test_changes_over_a_limit_get_429_and_reads_do_not_count(emulator, option):
    remote = emulator(source("one"), options=(option, "2"))
    for _ in range(3):
        assert httpx.get(remote.url + LIST, headers=HEADERS).status_code == 200
    assert [patch(remote, "one", {}).status_code for _ in range(4)] == [200, 200, 429, 429]


def test_fields_to_omit_are_left_out_of_every_answer_and_kept_in_the_data(emulator):
    remote = emulator(source("one", isVerified=True), options=("--omit", "isVerified", "--omit", "tags"))
    listed = httpx.get(remote.url + LIST, headers=HEADERS).json()["data"][0]
    answered = patch(remote, "one", {"tags": ["a"]}).json()["data"]
    assert listed.keys() == answered.keys() == source("one").keys() - {"tags"}
    assert (remote.sources["one"]["isVerified"], remote.sources["one"]["tags"]) == (True, ["a"])


@pytest.fixture
def without_data(project):
    """Starts an emulator without --data in the project, and gives its URL."""
    command, started = [str(STATFORM), "emulator"], []

    def start():
        started.append(subprocess.Popen(command, cwd=project.directory, stdout=subprocess.PIPE, text=True))
        return started[-1].stdout.readline().split()[-1]

    yield start
    for process in started:
        with process:
            process.terminate()


def test_without_data_it_has_a_source_for_each_definition_that_is_not_to_be_created(project, without_data):
    project.define(
        '[assignment_source.one]\nadopt = true\nname = "uno"\nteam = "x"\n'
        '[assignment_source.two]\nadopt = true\ntimestampColumn = "t"\n'
    )
    url = without_data()
    listed = httpx.get(url + LIST, headers=HEADERS).json()["data"]
    assert [(one["name"], one["timestampColumn"], one.get("team")) for one in listed] == [
        ("uno", "", None),
        ("two", "t", None),
    ]
    project.apply(STATSIG_BASE_URL=url)
    # One that is started later has what the state has.
    ran = project.run("audit", "--base-url", without_data(), "--project", "emulated")
    assert (ran.code, "2 managed, 0 drifted, 0 gone, 0 unmanaged" in ran.out) == (0, True), ran


def test_the_first_project_can_be_tried_with_an_emulator_without_data(project, without_data):
    (project.directory / "statform.toml").unlink(missing_ok=True)
    project.run("init")
    example = project.files["definitions/example.toml"].decode()
    project.write("definitions/example.toml", re.sub("(?m)^#([^ ]|  )", r"\1", example))
    url = without_data()
    ran = project.run("apply", "--auto-approve", STATSIG_BASE_URL=url)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Apply complete: 1 created.")
    assert project.run("import", "--all", STATSIG_BASE_URL=url).out.startswith("Nothing to import")


def test_without_the_extra_it_says_how_to_get_it(project):
    project.write("uvicorn.py", "raise ImportError('No module named uvicorn')")
    ran = project.run("emulator", PYTHONPATH=str(project.directory))
    assert (ran.code, ran.out) == (1, "")
    assert "pip install 'statform[emulator]'" in ran.err
