"""Ctrl-C and its kin, at every phase of an apply; and a reader who has seen enough."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lossy import Fate, LossyApi, serve
from published import check_output
from three_changes import RECORDS_BEFORE, SOURCES, STATFORM, check_settled, copy, environ, make, records, start

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("base"))


@pytest.fixture
def directory(base: Path, tmp_path: Path) -> Path:
    return copy(base, tmp_path)


@pytest.fixture
def api() -> Iterator[LossyApi]:
    with serve(SOURCES) as api:
        yield api
        api.released.set()


def _hold(api: LossyApi, *before: Fate) -> None:
    api.fates[:] = [*before, "held"]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_lets_the_request_in_flight_end_and_be_recorded(
    directory: Path, api: LossyApi, number: signal.Signals
) -> None:
    _hold(api, "answered")
    process = start(directory, api, "apply", "--auto-approve")
    api.wait_for_patches(2)
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    api.released.set()
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "what is under way is finished first" in err
    assert "Traceback" not in err
    assert "2 updated" in out
    assert "not attempted  assignment_source.three" in out
    assert [r["kind"] for r in records(directory)[RECORDS_BEFORE:]] == ["begin", *["intent", "result"] * 2, "end"]
    assert records(directory)[-1]["status"] == "interrupted"
    check_settled(directory, api)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_ends_at_once_and_leaves_an_intent_to_resolve(
    directory: Path, api: LossyApi, number: signal.Signals
) -> None:
    _hold(api)
    process = start(directory, api, "apply", "--auto-approve")
    api.wait_for_patches(1)
    process.send_signal(number)
    assert process.stderr is not None
    assert any("finished first" in line for line in process.stderr)
    process.send_signal(number)
    out, _ = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "unknown        assignment_source.one" in out
    assert not [r for r in records(directory)[RECORDS_BEFORE:] if r["kind"] == "result"]
    api.released.set()
    check_settled(directory, api)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_nothing_is_in_flight_ends_the_run_at_once(
    directory: Path, api: LossyApi, number: signal.Signals
) -> None:
    (directory / "statform.toml").write_text(
        (directory / "statform.toml").read_text().replace("[statform]", "[statform.pacing]\nper_15_minutes = 4")
    )
    process = start(directory, api, "apply", "--auto-approve")
    assert process.stderr is not None
    # The three requests that made the state count, so that the second of this run has to wait for minutes.
    assert any("rate limit" in line for line in process.stderr)
    process.send_signal(number)
    out, _ = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "1 updated" in out
    assert records(directory)[-1]["status"] == "interrupted"


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("is_twice", [False, True])
def test_events_end_with_the_report_of_an_interrupted_run(
    directory: Path, api: LossyApi, number: signal.Signals, is_twice: bool
) -> None:
    _hold(api, "answered")
    process = start(directory, api, "apply", "--auto-approve", "--json")
    api.wait_for_patches(2)
    process.send_signal(number)
    assert process.stderr is not None
    assert any("finished first" in line for line in process.stderr)
    process.send_signal(number) if is_twice else api.released.set()
    out, _ = process.communicate(timeout=20)
    check_output(["apply", "--json"], out)
    events = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 130
    report = events[-1]["statform"]
    assert report["exit_code"] == 130
    addresses = {fate: [one["address"].partition(".")[2] for one in report[fate]] for fate in ("applied", "unknown")}
    assert addresses == (
        {"applied": ["one"], "unknown": ["two"]} if is_twice else {"applied": ["one", "two"], "unknown": []}
    )
    assert [one["address"] for one in report["not_attempted"]] == ["assignment_source.three"]
    assert [one["diagnostic"]["summary"] for one in events if one["type"] == "diagnostic"][-1].startswith("interrupted")
    api.released.set()
    check_settled(directory, api)


def test_a_signal_while_events_tell_of_a_wait_is_reported_too(directory: Path, api: LossyApi) -> None:
    (directory / "statform.toml").write_text(
        (directory / "statform.toml").read_text().replace("[statform]", "[statform.pacing]\nper_15_minutes = 4")
    )
    with start(directory, api, "apply", "--auto-approve", "--json") as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        seen = [next(line for line in lines if "rate limit" in line)]
        process.send_signal(signal.SIGTERM)
        seen += lines
    assert process.returncode == 130
    report = json.loads(seen[-1])["statform"]
    assert [one["address"] for one in report["applied"]] == ["assignment_source.one"]
    assert [one["address"] for one in report["not_attempted"]] == ["assignment_source.two", "assignment_source.three"]


def test_a_reader_who_leaves_after_one_line_stops_nothing(directory: Path, api: LossyApi) -> None:
    command = f"set -o pipefail; '{STATFORM}' -C '{directory}' apply --auto-approve | head -1"
    done = subprocess.run(
        ["bash", "-c", command], env=environ(api), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert records(directory)[-1]["status"] == "ok"
    check_settled(directory, api)


def test_both_streams_closed_stop_nothing(directory: Path, api: LossyApi) -> None:
    command = f"'{STATFORM}' -C '{directory}' apply --auto-approve >&- 2>&-"
    done = subprocess.run(["bash", "-c", command], env=environ(api), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0
    check_settled(directory, api)
