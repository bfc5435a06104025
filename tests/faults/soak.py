"""Goes on from random seeds for as long as it is told: power is lost and the disk refuses, again and again.

    python tests/faults/soak.py --seconds 600
    python tests/faults/soak.py --seed 123        that one, once more

A seed decides everything: what is there, what the server does, how long a write is, what fails, where the process dies
or the power goes, what the disk then holds; up to five times in a row. In the end all must come right by itself. The
invariants are those of tests/state/test_crash_points.py.
"""

from __future__ import annotations

import argparse
import errno
import random
import sys
import time
import traceback
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "state"), str(TESTS / "support")]

from simdisk import SimDisk  # noqa: E402
from test_crash_points import OUTCOMES, Checker, Log, Server, existing, fresh, run, whole_records  # noqa: E402

from state.errors import StateError  # noqa: E402


class PowerLost(BaseException):
    """No handler of the code under test may stop it."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Lose power and refuse writes at random, until time is over.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    disks: set[int] = set()
    if options.seed is not None:
        return 0 if is_survived(options.seed, disks) else 1
    end, told, seeds = time.monotonic() + options.seconds, 0.0, 0
    first = random.SystemRandom().randrange(10**12)
    while time.monotonic() < end:
        if not is_survived(first + seeds, disks):
            return 1
        seeds += 1
        if time.monotonic() - told > 5:
            told = time.monotonic()
            print(f"{seeds} seeds, {len(disks)} distinct disks", file=sys.stderr)  # noqa: T201
    print(f"{seeds} seeds from {first}, {len(disks)} distinct disks, no violation")  # noqa: T201
    return 0


def is_survived(seed: int, disks: set[int]) -> bool:
    try:
        live(random.Random(seed), disks)
    except Exception:  # noqa: BLE001 - whatever it is, the seed that led to it is what is wanted
        traceback.print_exc()
        print(f"seed {seed} fails; again by: make soak SEED={seed}", file=sys.stderr)  # noqa: T201
        return False
    return True


def live(chance: random.Random, disks: set[int]) -> None:
    """One project's life: some runs that end badly, then one that must put all right."""
    files, server = chance.choice([fresh, existing])()
    disk = SimDisk(files)
    for _ in range(chance.randint(1, 5)):
        log = Log(tuple(r for r in whole_records(disk.files) if r["kind"] not in ("genesis", "end")))
        # Of what a process that died left, nothing is durable for sure before the next one has written it anew.
        log.durable = 0
        die_badly(disk, server, log, chance)
        files = disk.files
        if chance.random() < 0.7:
            files = chance.choice(sorted(disk.after_power_failure(), key=lambda left: sorted(left.items())))
            disk = SimDisk(files)
        else:
            disk.restart()
        disks.add(hash(frozenset(files.items())))
        checker = Checker()
        checker.check_records(files, server, log)
        # What would become of it if nothing more went wrong; the life itself goes on without that.
        checker.settle(files, server, 2)


def die_badly(disk: SimDisk, server: Server, log: Log, chance: random.Random) -> None:
    """A run that is cut off at some operation, or refused at some; either may come too late to matter."""
    left = chance.randrange(120)

    def before() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise PowerLost

    disk.before = before
    disk.longest_write = chance.choice([None, None, 1 + chance.randrange(300)])
    start = len(disk.operations)
    for _ in range(chance.choice([0, 0, 1, 2])):
        disk.faults[start + chance.randrange(80)] = chance.choice([errno.EIO, errno.ENOSPC])
    script = tuple(chance.choice(OUTCOMES) for _ in range(3))
    try:
        run(disk, server, script, log)
    except (PowerLost, StateError):
        pass
    finally:
        disk.before, disk.longest_write = lambda: None, None
        disk.faults.clear()


if __name__ == "__main__":
    sys.exit(main())
