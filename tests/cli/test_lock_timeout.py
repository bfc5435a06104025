from __future__ import annotations

import fcntl
import threading

import pytest
from command import source

ONE = '[assignment_source.one]\ndescription = "new"\n'


def test_a_run_waits_for_another_one_as_long_as_it_is_told(project, emulator):
    emulator(source("one"))
    project.define(ONE)
    assert project.run("import", "assignment_source.one", "one").code == 0
    with (project.directory / "statform.state.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        threading.Timer(1.5, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        ran = project.run("apply", "--auto-approve", "--lock-timeout", "1m")
    assert ran.code == 0, ran.err
    assert "the state is in use: " in ran.err
    assert ran.last == "Apply complete: 1 updated."


@pytest.mark.parametrize("text", ["", "m", "1h", "-1", "1.5", "1ms", "٣"])
def test_an_invalid_lock_timeout_is_refused(project, text):
    project.define(ONE)
    ran = project.run("apply", "--lock-timeout", text)
    assert ran.code == 1
    assert "is not a time such as 90s or 5m." in ran.err
