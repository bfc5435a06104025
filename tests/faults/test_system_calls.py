"""The installed command, killed or refused at the system calls that touch the state, the socket or what a person sees.

strace delivers SIGKILL, or an error, as the n-th call of a kind is entered: a point is exact, and can be named again.
The suite takes a sample of the points; with STATFORM_SOAK set, every one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import four_changes
import pytest
from attrs import frozen
from lossy import Fate, LossyApi, serve
from somebody import HOWS, Somebody
from three_changes import RECORDS_BEFORE, SOURCES, check_settled, copy, make, records, statform

from planner.emulator.api import Sources

CALLS = (
    "openat",
    "write",
    "fsync",
    "fdatasync",
    "renameat",
    "unlinkat",
    "ftruncate",
    "flock",
    "connect",
    "sendto",
    "recvfrom",
    "close",
)
FATES: tuple[Fate, ...] = ("answered", "lost after applying", "lost before applying")
SUPERSEDED: tuple[Fate, ...] = ("answered", "superseded", "applied and superseded")
"""Of each request, while somebody does something else to its source: after the kill, or at that very moment."""
ERRORS = {
    "openat": ("EACCES", "EMFILE"),
    "write": ("ENOSPC", "EIO", "EDQUOT"),
    "fsync": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO",),
    "renameat": ("EIO", "EROFS"),
    "unlinkat": ("EIO",),
    "ftruncate": ("EIO",),
    "flock": ("ENOLCK",),
}
SAMPLE_OF = 1 if os.environ.get("STATFORM_SOAK") else 9
SAMPLE_OF_LIVES = 1 if os.environ.get("STATFORM_SOAK") else 50
SAMPLE_OF_SUPERSEDED = 1 if os.environ.get("STATFORM_SOAK") else 70
pytestmark = [
    pytest.mark.unmeasured,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]


@frozen
class Point:
    """The `ordinal`th system call of a kind; `shown` is how strace showed it, without what differs between runs."""

    call: str
    ordinal: int
    shown: str


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return four_changes.make(tmp_path_factory.mktemp("life"))


def _points(
    base: Path,
    tmp_path: Path,
    fate: Fate = "answered",
    *,
    of_files: bool = False,
    how: str = "changes",
    sources: Sources = SOURCES,
    apply: Sequence[str] = ("apply", "--auto-approve"),
) -> list[Point]:
    """Every call of an apply from the lock on, that is about the state, the socket, stdout or stderr.

    With `of_files` alone those on the state's files, and counted among these only.
    """
    trace = tmp_path / "trace"
    directory = copy(base, tmp_path / "counted")
    paths = _only_files(directory) if of_files else ()
    with serve(sources, [fate] * 4) as api:
        api.somebody = Somebody(api, how).at
        statform(directory, api, *apply, under=(*_strace(trace, *CALLS), *paths))
    points, counts, is_locked = [], dict.fromkeys(CALLS, 0), False
    for line in trace.read_text().splitlines():
        call = line.partition("(")[0]
        if call in counts:
            counts[call] += 1
            is_locked = is_locked or call == "flock"
            if is_locked and re.search(r"statform\.state|socket:|/project>|\((1|2)<", line):
                points.append(Point(call, counts[call], _shown(line)))
    return points


def _only_files(directory: Path) -> tuple[str, ...]:
    names = ("", "statform.state.json", "statform.state.journal.jsonl", "statform.state.tmp", "statform.state.lock")
    return tuple(option for name in names for option in ("-P", str(directory / name).rstrip("/")))


def _strace(trace: Path, *calls: str) -> tuple[str, ...]:
    return ("strace", "-qq", "-y", "-o", str(trace), "-e", f"trace={','.join(calls)}")


def _shown(line: str) -> str:
    """The call without numbers, addresses of sockets and directories: equal for the same call of another run."""
    return re.sub(r"/[^ ,>]*/|\d+", "", re.split(r"[,)]| <unf", line)[0])


Case = TypeVar("Case")


def _run_all(run: Callable[[Path, Case], None], cases: Sequence[Case], tmp_path: Path) -> None:
    """Each case in a directory of its own; what fails is told of all.

    A recovery waits for seconds between its reads, so that many can wait at once.
    """
    with ThreadPoolExecutor(6) as pool:
        running = [(case, pool.submit(run, tmp_path / f"run{number}", case)) for number, case in enumerate(cases)]
    failed = [Exception(case, error) for case, future in running if (error := future.exception()) is not None]
    if failed:
        for one in failed:
            one.__cause__ = one.args[1]
        raise ExceptionGroup(f"{len(failed)} of {len(cases)}", failed)


@pytest.mark.long
@pytest.mark.parametrize("fate", FATES)
def test_killed_at_any_system_call_the_next_apply_recovers_by_itself(
    base: Path, tmp_path: Path, fate: Fate, record_property: Callable[[str, object], None]
) -> None:
    points = _points(base, tmp_path, fate)
    assert len(points) > 60
    offset = FATES.index(fate) * 3
    sample = points[offset % SAMPLE_OF :: SAMPLE_OF]
    record_property(f"kills, {fate}", len(sample))
    _run_all(lambda directory, point: _kill_and_recover(base, directory, fate, point), sample, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("fate", FATES)
def test_killed_in_a_create_a_full_update_a_rename_or_a_delete_a_later_apply_recovers_by_itself(
    life: Path, tmp_path: Path, fate: Fate, record_property: Callable[[str, object], None]
) -> None:
    points = _points(life, tmp_path, fate, sources=four_changes.SOURCES, apply=four_changes.APPLY)
    assert len(points) > 60
    sample = points[FATES.index(fate) * 16 :: SAMPLE_OF_LIVES] if SAMPLE_OF_LIVES > 1 else points
    record_property(f"kills in a life, {fate}", len(sample))
    _run_all(lambda directory, point: _kill_and_live(life, directory, fate, point), sample, tmp_path)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("fate", SUPERSEDED)
def test_killed_while_somebody_changes_deletes_or_renames_the_same_source_nothing_of_theirs_is_undone(
    life: Path, tmp_path: Path, fate: Fate, how: str, record_property: Callable[[str, object], None]
) -> None:
    points = _points(life, tmp_path, fate, how=how, sources=four_changes.SOURCES, apply=four_changes.APPLY)
    assert len(points) > 60
    sample = points[SAMPLE_OF_SUPERSEDED // 2 + HOWS.index(how) * 7 :: SAMPLE_OF_SUPERSEDED]
    if SAMPLE_OF_SUPERSEDED == 1:
        sample = points
    record_property(f"kills while somebody {how}, {fate}", len(sample))
    _run_all(lambda directory, point: _kill_and_supersede(life, directory, fate, how, point), sample, tmp_path)


def _kill_and_supersede(life: Path, directory: Path, fate: Fate, how: str, point: Point) -> None:
    directory = copy(life, directory)
    trace = directory.with_name("trace")
    kill = ("-e", f"inject={point.call}:signal=KILL:when={point.ordinal}")
    with serve(four_changes.SOURCES, [fate] * 4) as api:
        somebody = Somebody(api, how)
        api.somebody = somebody.at
        code, output = statform(directory, api, *four_changes.APPLY, under=(*_strace(trace, point.call), *kill))
        _check_killed(point, code, trace)
        api.fates.clear()
        if fate == "answered":
            somebody.do_the_next(directory)
        somebody.check_once(directory)
        _check_told_is_recorded(directory, output)
        somebody.check_settled(directory)


def _check_killed(point: Point, code: int, trace: Path) -> None:
    """That the process died at that call, as far as it comes to it in this run.

    A life takes long enough for looks that grow old, and closes connections when nobody has them any more: of two runs
    the one may make a call of the kind more than the other.
    """
    calls = sum(line.startswith(f"{point.call}(") for line in trace.read_text().splitlines())
    assert (code, calls) == (-signal.SIGKILL, point.ordinal) or calls < point.ordinal, f"{point} was not hit"


def _check_told_is_recorded(directory: Path, output: str) -> None:
    kinds = ("result", "deleted", "resolved")
    recorded = {record["address"] for record in records(directory) if record["kind"] in kinds}
    assert set(re.findall(r"^(\S+): (?:created|updated|deleted) \(", output, re.MULTILINE)) <= recorded


def _kill_and_live(life: Path, directory: Path, fate: Fate, point: Point) -> None:
    directory = copy(life, directory)
    trace = directory.with_name("trace")
    kill = ("-e", f"inject={point.call}:signal=KILL:when={point.ordinal}")
    with serve(four_changes.SOURCES, [fate] * 4) as api:
        code, _ = statform(directory, api, *four_changes.APPLY, under=(*_strace(trace, point.call), *kill))
        _check_killed(point, code, trace)
        api.fates.clear()
        assert four_changes.moved(api) <= four_changes.intended(directory)
        four_changes.check_settled(directory, api)


@pytest.mark.parametrize("is_lasting", [False, True])
def test_a_disk_that_refuses_stops_the_run_and_the_next_one_puts_all_right(
    base: Path, tmp_path: Path, is_lasting: bool, record_property: Callable[[str, object], None]
) -> None:
    points = [p for p in _points(base, tmp_path, of_files=True) if p.call in ERRORS]
    assert len(points) > 20
    cases = [(point, error) for point in points for error in ERRORS[point.call]][
        int(is_lasting) % SAMPLE_OF :: SAMPLE_OF
    ]
    record_property(f"{'lasting' if is_lasting else 'single'} refusals", len(cases))
    _run_all(
        lambda directory, case: _refuse_and_recover(base, directory, *case, is_lasting=is_lasting), cases, tmp_path
    )


def test_a_call_that_a_signal_interrupts_is_made_again(
    base: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    calls = ("openat", "write", "fsync", "fdatasync", "flock")
    points = [point for point in _points(base, tmp_path, of_files=True) if point.call in calls]
    sample = points[:: max(SAMPLE_OF // 2, 1)]
    record_property("interrupted calls", len(sample))
    for number, point in enumerate(sample):
        directory = copy(base, tmp_path / f"run{number}")
        trace = directory.with_name("trace")
        interrupt = ("-e", f"inject={point.call}:error=EINTR:when={point.ordinal}")
        with serve(SOURCES) as api:
            under = (*_strace(trace, *calls), *_only_files(directory), *interrupt)
            code, output = statform(directory, api, "apply", "--auto-approve", under=under)
            assert "(INJECTED)" in trace.read_text(), f"{point} was not hit"
            assert code == 0, (point, output)
            check_settled(directory, api)


def _refuse_and_recover(base: Path, parent: Path, point: Point, error: str, *, is_lasting: bool) -> None:
    directory = copy(base, parent)
    trace = directory.with_name("trace")
    when = f"{point.ordinal}{'+' if is_lasting else ''}"
    refuse = ("-e", f"inject={point.call}:error={error}:when={when}")
    with serve(SOURCES) as api:
        under = (*_strace(trace, *ERRORS), *_only_files(directory), *refuse)
        code, output = statform(directory, api, "apply", "--auto-approve", under=under)
        assert "(INJECTED)" in trace.read_text(), f"{point} was not hit"
        assert "Traceback" not in output, (point, error, output)
        assert code == 1, (point, error, output)
        assert "Error: " in output, (point, error, output)
        _check_nothing_sent_after(directory, api)
        _check_after_kill(directory, api, output)
        _check_nothing_lost(directory, api, output)
        check_settled(directory, api)


def _check_nothing_sent_after(directory: Path, api: LossyApi) -> None:
    """The last thing that was sent is the last intent in the journal, and it was sent once."""
    intents = [r for r in records(directory)[RECORDS_BEFORE:] if r["kind"] == "intent"]
    assert sum(call.startswith("PATCH") for call in api.calls) <= len(intents)


def _check_nothing_lost(directory: Path, api: LossyApi, output: str) -> None:
    """Every answer is in the journal, or was shown to the person."""
    results = [r["address"] for r in records(directory)[RECORDS_BEFORE:] if r["kind"] == "result"]
    patched = sum(call.startswith("PATCH") for call in api.calls)
    assert len(results) + output.count('"kind":"result"') >= patched


def _kill_and_recover(base: Path, directory: Path, fate: Fate, point: Point) -> None:
    directory = copy(base, directory)
    trace = directory.with_name("trace")
    kill = ("-e", f"inject={point.call}:signal=KILL:when={point.ordinal}")
    with serve(SOURCES, [fate] * 3) as api:
        _, output = statform(directory, api, "apply", "--auto-approve", under=(*_strace(trace, point.call), *kill))
        last = [line for line in trace.read_text().splitlines() if line.startswith(point.call)][-1]
        assert _shown(last) == point.shown, f"{point} was not hit"
        api.fates.clear()
        _check_after_kill(directory, api, output)
        check_settled(directory, api)


def _check_after_kill(directory: Path, api: LossyApi, output: str) -> None:
    """What the server applied has an intent, and what was said to be done has its result, both already on disk."""
    written = records(directory)
    intended = {r["name"] for r in written[RECORDS_BEFORE:] if r["kind"] == "intent"}
    moved = [name for name, source in SOURCES["assignment_source"].items() if api.sources().get(name) != source]
    assert set(moved) <= intended
    recorded = [r["address"] for r in written[RECORDS_BEFORE:] if r["kind"] in ("result", "resolved")]
    assert set(re.findall(r"^(\S+): updated \(", output, re.MULTILINE)) <= set(recorded)
