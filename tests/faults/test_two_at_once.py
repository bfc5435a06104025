"""Several processes on one state, and several states on one remote."""

from __future__ import annotations

import getpass
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from lossy import serve
from three_changes import RECORDS_BEFORE, SOURCES, check_settled, copy, make, records, start, statform


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("base"))


def _wait_until_one_runs(processes: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    end = time.monotonic() + 30
    while len(running := [p for p in processes if p.poll() is None]) > 1:
        assert time.monotonic() < end, "the others wait for the lock"
        time.sleep(0.01)
    return running[0]


def test_only_one_of_eight_applies_works_and_the_others_say_which(base: Path, tmp_path: Path) -> None:
    directory = copy(base, tmp_path)
    with serve(SOURCES, ["held"]) as api:
        processes = [start(directory, api, "apply", "--auto-approve") for _ in range(8)]
        api.wait_for_patches(1)
        worker = _wait_until_one_runs(processes)
        late = start(directory, api, "apply", "--auto-approve")
        assert (
            f"the state is in use: pid {worker.pid} on {os.uname().nodename} since 2" in late.communicate(timeout=20)[1]
        )
        api.released.set()
        errors = {p.pid: p.communicate(timeout=20)[1] for p in processes}
        assert worker.returncode == 0, errors[worker.pid]
        for process in processes:
            if process is not worker:
                assert process.returncode == 3
                # Who comes in the instant before the worker has written who it is reads who was there last.
                assert "the state is in use: pid " in errors[process.pid]
        assert sum(call.startswith("PATCH") for call in api.calls) == 3
        check_settled(directory, api)


def test_a_plan_waits_for_nobody_and_sees_what_is_done_so_far(base: Path, tmp_path: Path) -> None:
    directory = copy(base, tmp_path)
    with serve(SOURCES, ["answered", "held"]) as api:
        process = start(directory, api, "apply", "--auto-approve")
        api.wait_for_patches(2)
        code, output = statform(directory, api, "plan")
        assert code == 0
        assert "Plan: 2 to update" in output
        assert "the outcome of the last request for assignment_source.two is unknown" in output
        assert f"It belongs to a run of {getpass.getuser()} on {os.uname().nodename}, since 2" in output
        assert ", that has not ended: it may still get the answer.\n" in output
        api.released.set()
        process.communicate(timeout=20)


def test_what_a_run_changes_is_told_as_its_work_by_who_looks_meanwhile(base: Path, tmp_path: Path) -> None:
    directory = copy(base, tmp_path)
    with serve(SOURCES, ["answered", "held"]) as api:
        process = start(directory, api, "apply", "--auto-approve")
        api.wait_for_patches(2)
        told = f" on {os.uname().nodename}, since 2"
        what = "is in progress: what is seen may be half of what it changes."
        for command in (["audit"], ["audit", "--markdown"], ["plan", "--refresh"], ["plan", "--refresh", "--markdown"]):
            output = " ".join(statform(directory, api, *command)[1].split())
            assert told in output, (command, output)
            assert what in output, (command, output)
        found = json.loads(start(directory, api, "audit", "--json").communicate(timeout=20)[0])
        assert (told in found["at_work"]["who"], found["at_work"]["ended"]) == (True, False)
        found = json.loads(start(directory, api, "plan", "--refresh", "--json").communicate(timeout=20)[0])
        assert found["statform"]["at_work"]["ended"] is False
        statform(directory, api, "audit", "--html", str(tmp_path / "page.html"))
        assert what in (tmp_path / "page.html").read_text()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=5)
        api.released.set()
        # A run that died changes nothing any more.
        assert what not in statform(directory, api, "audit")[1]
        check_settled(directory, api)
        assert json.loads(start(directory, api, "audit", "--json").communicate(timeout=20)[0])["at_work"] is None


def test_a_dead_holder_blocks_nobody(base: Path, tmp_path: Path) -> None:
    directory = copy(base, tmp_path)
    with serve(SOURCES, ["held"]) as api:
        process = start(directory, api, "apply", "--auto-approve")
        api.wait_for_patches(1)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=5)
        api.released.set()
        check_settled(directory, api)


def test_the_second_of_two_checkouts_is_told_of_the_conflict_and_sends_nothing(base: Path, tmp_path: Path) -> None:
    first, second = copy(base, tmp_path / "first"), copy(base, tmp_path / "second")
    definitions = second / "statform.toml"
    definitions.write_text(definitions.read_text().replace('"after"', '"after, by the second"'))
    with serve(SOURCES) as api:
        assert statform(first, api, "apply", "--auto-approve")[0] == 0
        sent = [call for call in api.calls if call.startswith("PATCH")]
        code, output = statform(second, api, "apply", "--auto-approve")
        assert code == 1
        assert (
            'somebody else changed description: the remote has "after", the state has "before", the definition has'
            in output
        )
        assert "nothing was changed" in output
        assert [call for call in api.calls if call.startswith("PATCH")] == sent
        assert len(records(second)) == RECORDS_BEFORE
        check_settled(first, api)
