"""statform itself fails, at any call of its own or of its libraries: no key is shown, and nothing is acted on."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from types import FrameType

import pytest
from canary import KEY, leaks
from lossy import LossyApi, serve
from three_changes import RECORDS_BEFORE, SOURCES, copy, make

from planner.cli import main as cli

# What fails between the making of a socket or a generator and its use leaves it to the garbage.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
HOSTILE = "\x1b]0;x\x07\n::error::x\n##[error]x\u202e"
SAMPLES = 1000 if os.environ.get("STATFORM_SOAK") else 40
# But for what takes locks and gives them back: to wait for one that is never given back is no failure to tell of.
OURS = re.compile(r"/(planner|state|httpx|httpcore|h11)/(?!.*_synchronization)")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("base"))


@pytest.fixture
def api() -> Iterator[LossyApi]:
    with serve(SOURCES) as api:
        yield api


class Failing:
    """A profiler that counts calls, and fails at one of them with all that its frames know."""

    def __init__(self, at: int) -> None:
        self.at, self.calls, self.known = at, 0, ""

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call" or not OURS.search(frame.f_code.co_filename):
            return
        self.calls += 1
        if self.calls == self.at:
            sys.setprofile(None)
            self.known = f"{frame.f_code.co_name} {_shown(frame)} {_shown(frame.f_back)}"
            raise RuntimeError(f"{HOSTILE}{self.known}{KEY}")


def _shown(frame: FrameType | None) -> str:
    shown = []
    for name, value in dict(frame.f_locals if frame else {}).items():
        # A pool of connections waits for its own lock; an object that is being made may have no text yet.
        if not type(value).__module__.startswith("httpcore"):
            with suppress(Exception):
                shown.append(f"{name}={value!r}")
    return ", ".join(shown)


def run(
    directory: Path, api: LossyApi, at: int, monkeypatch: pytest.MonkeyPatch, *options: str
) -> tuple[int, str, Failing]:
    monkeypatch.setenv("STATSIG_API_KEY", KEY)
    monkeypatch.setenv("STATSIG_BASE_URL", api.url)
    out, failing = io.StringIO(), Failing(at)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(out))
        stack.callback(sys.setprofile, None)
        sys.setprofile(failing)
        code = cli.run(["-C", str(directory), "apply", "--auto-approve", *options])
    return code, out.getvalue(), failing


@pytest.fixture(scope="module")
def calls(base: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many calls an apply makes, all being imported."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("first", "second"):
            with serve(SOURCES) as api:
                code, _, failing = run(copy(base, tmp_path_factory.mktemp(name)), api, 0, patch)
            assert code == 0
    return failing.calls


@pytest.mark.parametrize("share", range(SAMPLES))
def test_a_failure_at_any_call_shows_no_key_and_acts_on_nothing(
    base: Path, api: LossyApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int, share: int
) -> None:
    # The first two are of what tells of all other failures; the last few may not be made the next time.
    code, shown, failing = run(copy(base, tmp_path), api, 3 + share * (calls - 20) // SAMPLES, monkeypatch)
    assert failing.known
    assert not leaks([shown])
    assert "canary" not in shown
    assert not re.search(r"(?m)^\s*::|##\[|[\x00-\x09\x0b-\x1f\u202e]", shown)
    if "defect of statform" in shown:
        assert code == 1
        assert "RuntimeError: " in shown
    records = (tmp_path / "project" / "statform.state.journal.jsonl").read_text().splitlines()
    assert len(records) >= RECORDS_BEFORE


@pytest.mark.parametrize("share", range(SAMPLES // 4))
def test_a_failure_at_any_call_ends_the_events_with_a_report(
    base: Path, api: LossyApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int, share: int
) -> None:
    # From where the command has read its options on, up to its report.
    at = calls // 8 + share * (calls * 3 // 4) // (SAMPLES // 4)
    code, shown, _ = run(copy(base, tmp_path), api, at, monkeypatch, "--json")
    assert not leaks([shown])
    assert not re.search(r"(?m)^\s*::|##\[|[^ -~\n]", shown)
    events = [json.loads(line) for line in shown.splitlines()]
    assert events[-1]["type"] == "report"
    assert events[-1]["statform"]["exit_code"] == code
    told = [one["diagnostic"] for one in events if one["type"] == "diagnostic"]
    assert code == 0 or "RuntimeError: " in told[-1]["detail"]
    report = events[-1]["statform"]
    done = [one["hook"]["resource"]["addr"] for one in events if one["type"] == "apply_complete"]
    begun = [one["hook"]["resource"]["addr"] for one in events if one["type"] == "apply_start"]
    assert [one["address"] for one in report["applied"]] == done
    unknown = [one["address"] for one in report["unknown"]]
    # What fails while its start is being told was begun, and no event says so.
    assert begun[len(done) :] in (unknown, unknown[:-1])
    assert {one["address"] for one in report["not_attempted"]}.isdisjoint(begun)
