"""Power fails at every point of a run (three changes, or a whole life), and at every point of the recovery after it.

What must hold, and the numbers by which a failure names it, are in tests/support/crash.py.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator

import pytest
from crash import (
    JOURNAL,
    OUTCOMES,
    STATE,
    SUPERSEDED,
    Checker,
    Log,
    Server,
    assert_agrees,
    assert_durable,
    assert_next_run_converges,
    existing,
    fresh,
    living,
    open_session,
    records_of,
    recover,
    run,
)
from remembered import remembering
from simdisk import SimDisk

from state.errors import StateError

SCRIPTS = tuple(itertools.product(OUTCOMES, repeat=3))
FATES = (*OUTCOMES, SUPERSEDED)
# Each kind of request has each outcome once; a soak tries all combinations.
LIVES = tuple(FATES[n:] + FATES[:n] for n in range(4))
if os.environ.get("STATFORM_SOAK"):
    LIVES = tuple(itertools.product(FATES, repeat=4))
# The longest write, in bytes: each record takes several writes of the first length, and many of the second.
SHORT_WRITES = [61, 7] if os.environ.get("STATFORM_SOAK") else [61]


@pytest.fixture(autouse=True)
def each_thing_is_computed_once() -> Iterator[None]:
    with remembering():
        yield


def live_through(checker: Checker, files, server: Server, script, *, resolving: bool) -> SimDisk:
    """The disk after a run, for a power failure at each point of it."""
    log, disk = records_of(files), SimDisk(files)
    checker.snapshots.clear()
    disk.before = lambda: checker.check(disk, server, log)
    run(disk, server, script, log, resolving=resolving)
    checker.check(disk, server, log)
    assert checker.snapshots == {files.get(STATE), disk.files[STATE]}, "6"
    assert_durable(disk)
    return disk


@pytest.mark.long
@pytest.mark.parametrize(
    ("scripts", "resolving", "at_least"),
    [(SCRIPTS, True, 11_000), (tuple(itertools.permutations(OUTCOMES)), False, 2_500)],
    ids=["the remote is listed", "the remote can't be listed"],
)
@pytest.mark.parametrize("start", [fresh, existing])
def test_power_may_fail_at_any_point_of_a_run_and_of_the_recovery_after_it(start, scripts, resolving, at_least):
    checker = Checker()
    for script in scripts:
        live_through(checker, *start(), script, resolving=resolving)
    assert len(checker.disks) >= at_least


@pytest.mark.parametrize("resolving", [True, False], ids=["the remote is listed", "the remote can't be listed"])
def test_power_may_fail_at_any_point_of_a_create_a_full_update_a_rename_and_a_delete(resolving):
    checker = Checker()
    for script in LIVES if resolving else LIVES[:1]:
        files, server = living()
        disk = live_through(checker, files, server, script, resolving=resolving)
        assert_next_run_converges(disk, server.copy())
    assert len(checker.disks) >= (2_000 if resolving else 500)


@pytest.mark.parametrize("start", [fresh, existing])
def test_after_a_failed_sync_a_power_failure_loses_nothing_that_was_reported_as_done(start):
    checker = Checker()
    for number in numbers_of(start, "sync", "sync_data", "sync_directory"):
        disk, server, log = run_into(start, {number: errno.EIO})
        assert {operation for operation, _ in disk.operations[number + 1 :]} <= {"close"}
        checker.check(disk, server, log)
        seen = records_of(disk.files)
        seen.durable, seen.done = log.durable, log.done
        disk.before = lambda disk=disk, server=server, seen=seen: checker.check(disk, server, seen)
        settled = recover(disk, server, seen)
        assert_durable(disk)
        assert_agrees(settled, server)
    assert len(checker.disks) >= 500


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("longest_write", [None, *SHORT_WRITES])
@pytest.mark.parametrize("start", [fresh, existing, living])
def test_an_error_at_any_operation_stops_the_run_and_the_next_one_puts_all_right(start, longest_write, number):
    for at in numbers_of(start, longest_write=longest_write):
        disk, server, log = run_into(start, {at: number}, longest_write)
        sent = len(server.requests)
        failed = disk.operations[at][0]
        assert {operation for operation, _ in disk.operations[at + 1 :]} <= {"close"}, failed
        seen = records_of(disk.files)
        seen.durable, seen.done = log.durable, log.done
        settled = recover(disk, server, seen)
        assert len(server.requests) == sent
        assert_durable(disk)
        assert_agrees(settled, server)
        assert_next_run_converges(disk, server.copy())


def test_an_error_on_closing_the_journal_comes_when_all_is_durable_and_fails_nothing():
    disk = SimDisk()
    run(disk, Server(), OUTCOMES, Log())
    closing = disk.operations.index(("close", JOURNAL))
    disk = SimDisk(faults={closing: errno.EIO})
    run(disk, Server(), OUTCOMES, Log())
    assert_durable(disk)
    open_session(disk).close()


def numbers_of(start, *operations: str, longest_write: int | None = None) -> list[int]:
    files, server = start()
    disk = SimDisk(files, longest_write=longest_write)
    run(disk, server, FATES[: len(server.keys)], Log())
    wanted = operations or {operation for operation, _ in disk.operations}
    return [n for n, step in enumerate(disk.operations) if step[0] in wanted and step != ("close", JOURNAL)]


def run_into(start, faults: dict[int, int], longest_write: int | None = None) -> tuple[SimDisk, Server, Log]:
    """A run that is stopped by a failing operation, and the machine after it."""
    files, server = start()
    disk, log = SimDisk(files, faults=faults, longest_write=longest_write), records_of(files)
    with pytest.raises(StateError):
        run(disk, server, FATES[: len(server.keys)], log)
    disk.restart()
    return disk, server, log
