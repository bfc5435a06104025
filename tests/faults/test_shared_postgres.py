"""The installed command on a state in PostgreSQL, killed at each statement, or cut off from it."""

from __future__ import annotations

import os
import signal
import subprocess
from urllib.parse import urlsplit

import distant
import pytest
import stores
from command import STATFORM, hastened
from hastened import QUICK_LEASE
from one_change import apply, is_settled, share

# Those of a run; the record of its intent is the one before that of the result.
TRIPS, RESULT = 15, 11
IS_LONG = bool(os.environ.get("STATFORM_SOAK"))
POINTS = range(TRIPS) if IS_LONG else (RESULT - 1,)
CUTS = range(TRIPS) if IS_LONG else (3, RESULT - 1, RESULT, TRIPS - 1)


@pytest.fixture
def shared(postgres, project, emulator, tmp_path):
    """A project whose state is shared, with one change to apply; the emulator; and the line to the database."""
    with distant.before(urlsplit(postgres.url).port) as line:
        project.environ["STATFORM_STATE"] = (
            f"postgresql://statform@127.0.0.1:{line.port}/postgres#{stores.own(tmp_path)}"
        )
        remote = share(project, emulator)
        line.trips = 0
        yield project, remote, line


def test_a_run_has_as_many_trips_as_are_tried(shared):
    project, remote, line = shared
    sent = []
    line.asked = lambda _: sent.append(len(remote.calls()))
    assert apply(project).code == 0
    assert len(sent) == TRIPS, sent
    assert sent.index(1) == RESULT, sent


@pytest.mark.parametrize("moment", ["asked", "answered"])
@pytest.mark.parametrize("point", POINTS)
def test_whatever_an_apply_leaves_that_is_killed_at_a_statement_the_next_one_puts_right(shared, point, moment):
    project, remote, line = shared
    words = [*hastened(), str(STATFORM), "apply", "--auto-approve"]
    process = subprocess.Popen(words, cwd=project.directory, env=project.environ, stdout=-1, stderr=-1, text=True)

    def kill(number):
        if number == point:
            process.send_signal(signal.SIGKILL)

    setattr(line, moment, kill)
    process.communicate(timeout=60)
    assert line.trips > point
    line.asked = line.answered = lambda _: None
    # Nobody else is at work, who could be taken for dead too early.
    project.environ |= QUICK_LEASE
    ran = apply(project)
    assert ran.code == 0, ran.err
    is_settled(project, remote)
    assert 1 <= len(remote.calls()) <= 2


@pytest.mark.parametrize("moment", ["asked", "answered"])
@pytest.mark.parametrize("point", CUTS)
def test_a_statement_whose_connection_breaks_is_looked_up_and_asked_again(shared, point, moment):
    project, remote, line = shared

    def cut(number):
        if number == point:
            raise distant.Cut

    setattr(line, moment, cut)
    ran = apply(project)
    assert (ran.code, ran.last) == (0, "Apply complete: 1 updated."), ran.err
    is_settled(project, remote)
    assert remote.calls() == ["one"]
