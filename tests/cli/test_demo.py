"""The example project, `make demo`, and what the documentation shows of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from command import STATFORM, running_emulator
from docs import ROOT, block, blocks

QUICKSTART = ROOT / "examples" / "quickstart"
DEMO = ROOT / "examples" / "demo.sh"


@pytest.fixture
def quickstart(project):
    """A copy of the example project."""
    shutil.copytree(QUICKSTART, project.directory, dirs_exist_ok=True)
    return project


def demo(tmp_path, **environ):
    temporary = tmp_path / "temporary"
    temporary.mkdir(exist_ok=True)
    given = {"PATH": os.environ["PATH"], "BIN": str(STATFORM.parent), "TMPDIR": str(temporary), **environ}
    return {"cwd": tmp_path, "env": given, "encoding": "utf-8", "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def emulators(tmp_path):
    """The processes that work in the demo's directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(tmp_path) in str((process / "cwd").readlink()):
                found.append(process.name)
    return found


def check_nothing_is_left(tmp_path):
    assert list((tmp_path / "temporary").iterdir()) == []
    if Path("/proc/self").exists():
        assert emulators(tmp_path / "temporary") == []


@pytest.mark.long
def test_the_demo_shows_the_main_job_from_any_directory_and_twice(tmp_path):
    example = {path: path.read_bytes() for path in sorted(QUICKSTART.rglob("*")) if path.is_file()}
    for _ in range(2):
        done = subprocess.run([str(DEMO)], **demo(tmp_path, STATSIG_API_KEY_FILE="nowhere"), timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        shown = re.findall(r"(?m)^\$ (.*)$", done.stdout)
        assert shown[0] == "statform emulator --data emulator.json &"
        assert shown[1].startswith("export STATSIG_API_KEY=console-demo STATSIG_BASE_URL=http://127.0.0.1:")
        assert shown[2:5] == ["statform plan", "statform apply --auto-approve", "statform plan --detailed-exitcode"]
        assert done.stdout.count("Plan: 1 to create, 2 to update, 2 unchanged.") == 2
        assert "No changes. The state matches the definitions." in done.stdout
        check_nothing_is_left(tmp_path)
    assert {path: path.read_bytes() for path in sorted(QUICKSTART.rglob("*")) if path.is_file()} == example


def test_the_demo_changes_a_query_that_an_experiment_reads_deletes_what_may_go_and_audits(tmp_path):
    done = subprocess.run([str(DEMO)], **demo(tmp_path), timeout=60, check=False)
    _, query, removed, allowed, audit = re.split(
        r"(?m)^\$ (?:echo|cat|.*--allow-deletes 1|statform audit)", done.stdout
    )
    assert "+ WHERE NOT is_test_user" in query
    assert "read by 1 experiment: checkout_cta (active); a full reload is needed" in query
    assert removed.endswith("(exit code 1)\n\n")
    assert "needs --allow-deletes 1" in done.stderr
    assert "read by 1 experiment: ranking_by_price (archived)\n" in allowed
    assert "Apply complete: 1 deleted." in allowed
    assert "pricing_exposures" in audit
    assert audit.endswith("(exit code 2)\n")


def test_the_demo_fails_and_cleans_up_when_a_command_fails(tmp_path):
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "statform").write_text(f'#!/bin/sh\n[ "$1" != apply ] || exit 7\nexec "{STATFORM}" "$@"\n')
    (bin_ / "statform").chmod(0o755)
    done = subprocess.run([str(DEMO)], **demo(tmp_path, BIN=str(bin_)), timeout=60, check=False)
    assert done.returncode == 7
    assert "The demo failed with exit code 7." in done.stderr
    check_nothing_is_left(tmp_path)


def test_the_demo_fails_when_something_is_left_to_change(tmp_path):
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "statform").write_text(f'#!/bin/sh\n[ "$1" != apply ] || exit 0\nexec "{STATFORM}" "$@"\n')
    (bin_ / "statform").chmod(0o755)
    done = subprocess.run([str(DEMO)], **demo(tmp_path, BIN=str(bin_)), timeout=60, check=False)
    assert done.returncode == 2
    check_nothing_is_left(tmp_path)


def test_the_demo_fails_when_the_emulator_does_not_start(tmp_path):
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "statform").write_text("#!/bin/sh\nexit 1\n")
    (bin_ / "statform").chmod(0o755)
    done = subprocess.run([str(DEMO)], **demo(tmp_path, BIN=str(bin_)), timeout=60, check=False)
    assert done.returncode == 1
    assert "The emulator did not start." in done.stderr
    check_nothing_is_left(tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_demo_stops_the_emulator_when_it_is_interrupted(tmp_path, number, code):
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "statform").write_text(
        f'#!/bin/sh\n[ "$1" != apply ] || {{ echo waiting; exec sleep 60; }}\nexec "{STATFORM}" "$@"\n'
    )
    (bin_ / "statform").chmod(0o755)
    with subprocess.Popen([str(DEMO)], **demo(tmp_path, BIN=str(bin_)), start_new_session=True) as process:
        assert "waiting\n" in process.stdout
        # As a terminal does it: to every process of the group.
        os.killpg(process.pid, number)
        process.communicate(timeout=20)
    assert process.returncode == code
    end = time.monotonic() + 5
    while list((tmp_path / "temporary").iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    check_nothing_is_left(tmp_path)


def test_the_example_s_state_can_be_verified_by_the_documented_words_alone():
    state = (QUICKSTART / "statform.state.json").read_bytes()
    digest = re.search(rb'(?m)^  "digest": "([0-9a-f]{64})",\n', state)
    assert hashlib.sha256(state.replace(digest[0], b"")).hexdigest() == digest[1].decode()
    snapshot = json.loads(state)
    journal = (QUICKSTART / "statform.state.journal.jsonl").read_bytes()
    head = hashlib.sha256(f"statform/1\n{snapshot['lineage']}".encode()).hexdigest()
    for line in journal.splitlines():
        record = line[84:-1]
        head = hashlib.sha256(head.encode() + b"\n" + record).hexdigest()
        assert line == b'{"hash":"%b","record":%b}' % (head.encode(), record)
    assert (snapshot["head"], snapshot["journal_bytes"]) == (head, len(journal))


def test_the_documented_programs_verify_the_example_and_notice_a_changed_byte(quickstart):
    shell = block("grep -v")
    program = block("import hashlib")
    journal = quickstart.directory / "statform.state.journal.jsonl"

    def verify():
        words = ["python3", "-c", program]
        done = subprocess.run(words, cwd=quickstart.directory, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    ran = quickstart.shell(shell)
    assert ran.out.split()[0] in (quickstart.directory / "statform.state.json").read_text()
    assert verify() == (0, "10 records, head 7645ce2ae98dd1a2ee02a1e965b3eef04324c23b77e21e592c0414a1b231811c\n")
    journal.write_bytes(journal.read_bytes().replace(b'"Growth"', b'"growth"', 1))
    assert verify()[0] != 0


def test_the_example_names_nobody_s_machine():
    (begin,) = (
        record
        for line in (QUICKSTART / "statform.state.journal.jsonl").read_text().splitlines()
        if (record := json.loads(line)["record"])["kind"] == "begin"
    )
    assert (begin["who"], begin["host"], begin["commit"]) == ("ana", "laptop", None)


def test_the_documentation_shows_the_plan_of_the_example_as_it_is(quickstart):
    ran = quickstart.run("plan")
    assert ran.code == 0
    assert blocks("$ statform plan\nstatform will perform") == [f"$ statform plan\n{ran.out}"]


def test_the_documentation_shows_the_apply_of_the_example_as_it_is(quickstart, tmp_path, streams):
    kept = json.loads((QUICKSTART / "emulator.json").read_text())
    sources = kept.pop("assignment_source")
    with running_emulator(tmp_path, streams, sources, **kept) as remote:
        ran = quickstart.apply(STATSIG_BASE_URL=remote.url)
    shown = block("$ statform apply --auto-approve\n")
    touched = ran.out[ran.out.index("What reads") :].splitlines(keepends=True)
    expected = "".join([*touched[:-1], ran.err, touched[-1]])
    assert re.sub(r"\d+\.\d\d s", "0.00 s", shown.partition("…\n")[2]) == re.sub(r"\d+\.\d\d s", "0.00 s", expected)


def test_the_queries_of_the_example_yield_every_column_that_it_names(quickstart):
    pytest.importorskip("sqlglot")
    settings = (QUICKSTART / "statform.toml").read_text()
    quickstart.write("statform.toml", settings.replace("[statform]\n", '[statform]\nwarehouse = "bigquery"\n'))
    ran = quickstart.run("validate", "--strict")
    assert (ran.code, ran.err) == (0, "")


def test_the_documentation_shows_errors_as_they_are(quickstart):
    shown = block("$ statform validate\nError")
    definition = block("# definitions/mobile.toml")
    quickstart.write("definitions/mobile.toml", definition)
    ran = quickstart.run("validate")
    assert (ran.code, f"$ statform validate\n{ran.err}") == (1, shown)


def test_the_documented_definition_of_every_field_is_valid_and_every_setting_is_known(project):
    settings = block("# statform.toml")
    definition = block("# definitions/growth.toml")
    project.write("statform.toml", settings)
    project.write("definitions/growth.toml", definition)
    assert project.run("validate").out == "Valid: 2 definitions.\n"


def test_the_documented_excerpt_of_the_state_and_the_journal_is_the_example_s():
    state = block('{\n  "format": 2')
    journal = block('{"hash":')
    whole = (QUICKSTART / "statform.state.json").read_text()
    for line in state.splitlines():
        if line.strip() not in {"…", "}", "},"}:
            assert line in whole, line
    assert journal in (QUICKSTART / "statform.state.journal.jsonl").read_text()
