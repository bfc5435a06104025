"""Goes on for as long as it is told: power is lost and the disk refuses at random. On the way the whole suite is run,
with real processes, at the real clock, and with all the system calls that a process can be killed at; and three writers
of a shared state are killed, stopped and lied to (`soak_shared`), for a tenth of the time on each store.

    python tests/faults/soak.py --seconds 600
    python tests/faults/soak.py --seed 123        that life, once more, step by step

A seed decides everything in the life of one project: how many changes, what is there, what the server does, how long a
write is, what fails, where the process dies or the power goes, and which of the possible disks is left; the same for
up to four more runs or recoveries, which find what the one before left. In the end all must come right by itself. The
invariants, and their numbers, are those of tests/support/crash.py.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from attrs import define, field

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "faults")]

import soak_shared  # noqa: E402
from crash import (  # noqa: E402
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
    recover,
    run,
)
from simdisk import Files, SimDisk  # noqa: E402

from state.errors import StateError  # noqa: E402

ERRORS = (errno.EIO, errno.ENOSPC)
# Hashes are all that is kept of a disk; beyond this many they would fill the memory.
MAX_DISKS = 20_000_000


class Died(BaseException):
    """The process is no more. No handler of the code under test may stop it."""


@define
class Life:
    """One project's. `story` is what happened; `snapshots` every content that the state file ever showed."""

    chance: random.Random
    story: list[str] = field(factory=list)
    checker: Checker = field(factory=Checker)
    snapshots: set[bytes | None] = field(factory=set)

    def live(self) -> None:
        keys = "abcdef"[: self.chance.randint(1, 6)]
        start = self.chance.choice([fresh, existing, living])
        files, server = living() if start is living else start(keys)
        self.story.append(f"{start.__name__}, {len(server.keys)} changes")
        disk, log = SimDisk(files), Log(self.checker.read(files).records)
        for _ in range(self.chance.randint(1, 5)):
            self._die_badly(disk, server, log)
            disk, log = self._leave(disk, server, log)
        self._come_right(disk, server, log)

    def _die_badly(self, disk: SimDisk, server: Server, log: Log) -> None:
        """A run or a recovery that dies or is refused somewhere; either may come too late to matter."""
        script = [self.chance.choice((*OUTCOMES, SUPERSEDED)) for _ in server.keys]
        doing, begun = self.chance.choice(["run", "run", "recover"]), len(disk.operations)
        resolving = self.chance.random() < 0.8
        disk.longest_write = self.chance.choice([None, None, 1 + self.chance.randrange(400)])
        self._choose_fate(disk)
        self.story.append(f"{doing} {script}, {resolving=}, writes of {disk.longest_write}, {disk.faults}")
        try:
            if doing == "run":
                run(disk, server, script, log, resolving=resolving)
            else:
                recover(disk, server, log)
            assert_durable(disk)
        except (Died, StateError) as error:
            self.story.append(f"  {error!r} at {len(disk.operations) - begun}: {disk.operations[-1:]}")
            if isinstance(error, StateError):
                _assert_nothing_done_after(disk)
        disk.before, disk.longest_write = lambda: None, None

    def _choose_fate(self, disk: SimDisk) -> None:
        """Small numbers are as likely as large ones: a recovery has fewer operations than a run."""
        begun, left = len(disk.operations), self._small_or_large()
        for _ in range(self.chance.choice([0, 0, 1, 2])):
            disk.faults[begun + self._small_or_large()] = self.chance.choice(ERRORS)

        def before() -> None:
            nonlocal left
            self.snapshots.add(disk.files.get(STATE))
            left -= 1
            if left < 0:
                raise Died

        disk.before = before

    def _small_or_large(self) -> int:
        return self.chance.randrange(self.chance.choice([6, 20, 60, 180]))

    def _leave(self, disk: SimDisk, server: Server, log: Log) -> tuple[SimDisk, Log]:
        """What the next run finds: the machine as it is, or one of the disks that a loss of power may leave."""
        self.snapshots.add(disk.files.get(STATE))
        for files in (possible := _distinct(disk)):
            self.checker.disks.add(hash(frozenset(files.items())))
            self.checker.check_records(files, server, log)
            assert files.get(STATE) in self.snapshots, "6"
        if self.chance.random() < 0.3:
            disk.restart()
            files, durable = disk.files, log.durable
            self.story.append("  the machine goes on")
        else:
            disk = SimDisk(files := self.chance.choice(possible))
            durable = len(self.checker.read(files).records)
            self.story.append(f"  power is lost: {sorted(f'{n}: {len(b)} bytes' for n, b in files.items())}")
        # What is not on the medium for sure may still be found by this run, and be lost in the next.
        left = Log(self.checker.read(files).records)
        left.durable, left.done = durable, log.done
        return disk, left

    def _come_right(self, disk: SimDisk, server: Server, log: Log) -> None:
        sent = len(server.requests)
        settled = recover(disk, server, log)
        assert len(server.requests) == sent, "8: recovery sends nothing"
        self.checker.check_records(disk.files, server, log)
        assert_durable(disk)
        assert_agrees(settled, server)
        assert recover(disk, server, log) == settled, "5"
        assert_next_run_converges(disk, server.copy())
        assert_durable(disk)


def _assert_nothing_done_after(disk: SimDisk) -> None:
    refused = min(at for at in disk.faults if at < len(disk.operations))
    assert {operation for operation, _ in disk.operations[refused + 1 :]} <= {"close"}, "went on after an error"


def _distinct(disk: SimDisk) -> list[Files]:
    """In an order that is the same in every process: the sets that they come from are not."""
    found = {tuple(sorted(files.items())) for files in disk.after_power_failure()}
    return [dict(files) for files in sorted(found)]


@define
class Soak:
    """Lives with the seeds from `first` on, and what came of them."""

    first: int = field(factory=lambda: random.SystemRandom().randrange(10**12))
    seeds: int = 0
    disks: set[int] = field(factory=set)

    def go_on(self, until: float) -> bool:
        """False as soon as a seed fails."""
        told = time.monotonic()
        while (now := time.monotonic()) < until:
            if not self.is_survived(self.first + self.seeds):
                return False
            self.seeds += 1
            if now - told > 5:
                told = now
                print(self, flush=True)  # noqa: T201
        return True

    def is_survived(self, seed: int, tell: Callable[[str], object] | None = None) -> bool:
        life = Life(random.Random(seed))
        try:
            life.live()
        except Exception:  # noqa: BLE001 - whatever it is, the seed that led to it is what is wanted
            print(*life.story, traceback.format_exc(), sep="\n")  # noqa: T201
            print(f"Seed {seed} fails. Again by: make soak SEED={seed}")  # noqa: T201
            return False
        if tell:
            tell("\n".join(life.story))
        if len(self.disks) < MAX_DISKS:
            self.disks |= life.checker.disks
        return True

    def __str__(self) -> str:
        beyond = "more than " if len(self.disks) >= MAX_DISKS else ""
        return f"{self.seeds:,} seeds from {self.first}, {beyond}{len(self.disks):,} distinct disks"


def try_the_whole_suite() -> bool:
    """Many minutes: each process a new one, each wait as long as it is, and all of what the suite takes samples of."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"]
        command += ["-o", "junit_family=legacy", f"--junitxml={report}"]
        environ = {**os.environ, "STATFORM_SOAK": "1", "STATFORM_REAL": "1"}
        done = subprocess.run(command, env=environ, cwd=TESTS.parent, check=False)
        if report.exists():
            for told in ElementTree.parse(report).iter("property"):
                print(f"{told.get('value')} {told.get('name')}")  # noqa: T201
    return done.returncode == 0


def share(seconds: float) -> bool:
    """False as soon as something that must hold does not."""
    for name in soak_shared.ENGINES:
        try:
            found = soak_shared.soak(name, seconds)
        except pytest.skip.Exception as lacking:
            print(f"{name} is left out: {lacking}")  # noqa: T201
            continue
        print(soak_shared.told(name, seconds, found), flush=True)  # noqa: T201
        if found.violations:
            return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Lose power and refuse writes at random, and run the whole suite.")
    parser.add_argument("--seconds", type=float, default=600.0, help="in all, or longer if the suite takes longer")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--only-disks", action="store_true", help="leave the suite and the shared states out")
    options = parser.parse_args()
    soak = Soak()
    if options.seed is not None:
        return 0 if soak.is_survived(options.seed, print) else 1
    start = time.monotonic()
    is_well = soak.go_on(start + options.seconds / (1 if options.only_disks else 2))
    if is_well and not options.only_disks:
        is_well = share(options.seconds / 10) and try_the_whole_suite() and soak.go_on(start + options.seconds)
    print(f"{soak}, {'no violation' if is_well else 'FAILED'}, {time.monotonic() - start:.0f} s")  # noqa: T201
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
