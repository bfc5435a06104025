"""Many sources from nothing: created by a run that is killed in the middle and by the next, changed, deleted."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from command import STATFORM, Emulator, Project
from forkserver import LATER

COUNT = 1_000 if os.environ.get("STATFORM_SOAK") else 20
CHANGED, DELETED = COUNT // 10, COUNT // 20
PACING = "[statform.pacing]\nper_10_seconds = 100000\nper_15_minutes = 100000\n"
CREATE = "assignment_sources"


def definition(number: int, query: str) -> str:
    return f"""[assignment_source.s{number}]
sql = "SELECT {number} AS {query}"
timestampColumn = "ts"
experimentIDColumn = "experiment"
groupIDColumn = "group"
idTypeMapping = [{{ statsigUnitID = "userID", column = "user_id" }}]
"""


def removed(number: int) -> str:
    return f'[[removed]]\nfrom = "assignment_source.s{number}"\ndelete = true\n'


def define(project: Project, numbers: Iterable[int], changed: int = 0, gone: int = 0) -> None:
    """These sources, the first `changed` of them with another query; the first `gone` of all are removed."""
    texts = [*map(removed, range(gone)), *(definition(n, "b" if n < changed else "a") for n in numbers)]
    project.define("\n".join(texts), PACING)


def kill_in_the_middle(project: Project, emulator: Emulator) -> None:
    """A request is in flight then: the emulator is slow to answer, and not to apply."""
    command = [str(STATFORM), "apply", "--auto-approve"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=project.directory, env=project.environ, **quiet) as process:
        end = time.monotonic() + 120
        while len(emulator.calls("POST")) < COUNT // 2:
            assert time.monotonic() < end
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)


def test_every_source_is_made_once_changed_once_and_deleted_once_in_spite_of_a_kill(
    project: Project, emulator: Callable[..., Emulator], record_property: Callable[[str, object], None]
) -> None:
    remote = emulator(options=("--latency", "20"))
    everything = range(COUNT)
    define(project, everything)
    kill_in_the_middle(project, remote)
    there = len(remote.sources)
    assert 0 < there < COUNT
    started = time.monotonic()
    ran = project.run("apply", "--auto-approve", under=LATER, timeout=600)
    record_property(f"seconds to create the other {COUNT - there} of {COUNT:,}", round(time.monotonic() - started, 1))
    assert ran.code == 0, ran
    assert {*remote.sources} == {f"s{n}" for n in everything}
    check_settled(project)
    define(project, everything, CHANGED)
    started = time.monotonic()
    assert project.apply(timeout=600).last == f"Apply complete: {CHANGED} updated."
    record_property(f"seconds to change the queries of {CHANGED}", round(time.monotonic() - started, 1))
    check_settled(project)
    define(project, range(DELETED, COUNT), CHANGED, DELETED)
    started = time.monotonic()
    assert project.apply("--allow-deletes", str(DELETED), timeout=600).last == f"Apply complete: {DELETED} deleted."
    record_property(f"seconds to delete {DELETED}", round(time.monotonic() - started, 1))
    check_settled(project)
    assert {*remote.sources} == {f"s{n}" for n in range(DELETED, COUNT)}
    posts, deletes = Counter(remote.calls("POST")), Counter(remote.calls("DELETE"))
    assert posts == {CREATE: COUNT, **{f"s{n}": 1 for n in range(CHANGED)}}
    assert deletes == {f"s{n}": 1 for n in range(DELETED)}
    assert remote.calls("PATCH") == []
    assert Path(project.directory, "statform.state.json").stat().st_size < 2_000 * COUNT


def check_settled(project: Project) -> None:
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert project.run("history", "--verify", timeout=120).code == 0
