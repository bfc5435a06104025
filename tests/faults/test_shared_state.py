"""The installed command on a shared state, killed at each call of the store, or lied to by it."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
import s3proxy
import stores
from command import STATFORM, hastened, source
from hastened import QUICK_LEASE
from one_change import DEFINED, apply, is_settled, share

# When a run is killed: at the record of its PATCH and at that of the answer; under `make soak` at each of its calls.
POINTS = range(20) if os.environ.get("STATFORM_SOAK") else ("intent", "result")
_NTH_RECORD = {"intent": 2, "result": 3}


@pytest.fixture
def shared(moto, project, emulator, tmp_path):
    """A project whose state is shared, with one change to apply; the emulator; and what stands before the store."""
    with s3proxy.before(moto.environ["AWS_ENDPOINT_URL"]) as proxy:
        project.environ |= moto.environ | {
            "AWS_ENDPOINT_URL": proxy.url,
            "STATFORM_STATE": f"{moto.url}/{stores.own(tmp_path)}",
        }
        remote = share(project, emulator)
        proxy.seen.clear()
        yield project, remote, proxy


def is_record(what):
    return what.startswith("PUT ") and "/journal/" in what


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
def test_whatever_an_apply_leaves_that_is_killed_at_a_call_of_the_store_the_next_one_puts_right(shared, point, moment):
    project, remote, proxy = shared
    words = [*hastened(), str(STATFORM), "apply", "--auto-approve"]
    process = subprocess.Popen(words, cwd=project.directory, env=project.environ, stdout=-1, stderr=-1, text=True)

    def kill(number, what):
        records = [one for one in proxy.seen[: number + 1] if is_record(one)]
        if number == point or (is_record(what) and len(records) == _NTH_RECORD.get(point)):
            process.send_signal(signal.SIGKILL)

    setattr(proxy, moment, kill)
    process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if point in _NTH_RECORD or len(proxy.seen) > point else 0)
    proxy.before = proxy.after = s3proxy.nothing
    # Only that one may be taken for dead too early, and it is.
    project.environ |= QUICK_LEASE
    ran = apply(project)
    assert ran.code == 0, ran.err
    is_settled(project, remote)
    assert 1 <= len(remote.calls()) <= 2


@pytest.mark.parametrize("after", ["before", "after"])
@pytest.mark.parametrize("answer", [409, 412, 500, 503, 0, 10, 40])
def test_an_answer_that_tells_nothing_of_a_record_is_looked_up(shared, after, answer):
    project, remote, proxy = shared
    told = []

    def lie(_number, what):
        if is_record(what) and what not in told:
            told.append(what)
            return answer
        return None

    setattr(proxy, after, lie)
    ran = apply(project)
    assert (ran.code, ran.last) == (0, "Apply complete: 1 updated."), ran.err
    # begin, intent, result, end
    assert len(told) == 4
    is_settled(project, remote)
    assert remote.calls() == ["one"]


@pytest.mark.parametrize(
    ("method", "status", "what"),
    [
        ("GET", 403, "without the second a missing object is forbidden instead of missing"),
        ("PUT", 403, "To write a state takes the right to put"),
        ("PUT", 501, "To write a state takes the right to put"),
    ],
)
def test_a_store_that_refuses_ends_the_run_before_anything_is_sent(shared, method, status, what):
    project, remote, proxy = shared
    proxy.before = lambda _number, seen: status if seen.startswith(method) else None
    ran = apply(project)
    assert ran.code == 1
    assert what in ran.err
    assert remote.calls() == []
    proxy.before = s3proxy.nothing
    assert apply(project).code == 0
    is_settled(project, remote)


def test_a_store_that_ignores_the_condition_gets_no_state(project, emulator):
    emulator(source("one"))
    project.define(DEFINED.format(""))
    with stores.a_folder() as folder, stores.rclone(folder) as server:
        ran = project.run("state", "push", STATFORM_STATE=f"{server.url}/p", **server.environ)
        assert ran.code == 1
        assert "this store ignores If-None-Match: two runs could write at once" in ran.err
        assert "shared" not in (project.directory / "statform.toml").read_text()
