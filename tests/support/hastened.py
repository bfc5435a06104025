"""A clock that runs faster, the same in every process of a test, so that a wait of seconds is one of milliseconds.

    python hastened.py statform apply

It is in the processes that `forkserver` makes; the command line is for where it makes none.
"""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

from planner.clock import Clock
from state.places import shared
from state.records import Record

RATE = 20
"""Seconds of a test's processes to one of ours."""
LEASE_RATE = 10
"""The same for a shared state's lease: a store tells the time itself, and some in whole seconds.

A run that stands still for so long because the machine is busy would be taken for dead. Where none is alive that
could be, a test says more in QUICK_LEASE's variable.
"""
QUICK_LEASE = {"STATFORM_TEST_LEASE_RATE": "60"}


def hasten() -> None:
    """Let the clock of this process run at RATE; the time of day is as it was, for it is what people read."""
    now, _, _, chance = Clock.__init__.__defaults__
    Clock.__init__.__defaults__ = (now, _monotonic, _sleep, chance)
    for module in emulators():
        module.time = SimpleNamespace(monotonic=_monotonic)
    _hasten_leases()


def _hasten_leases() -> None:
    class Hastened(shared.Times):
        def lease_after(self, last: Record) -> float:
            return super().lease_after(last) / float(os.environ.get(next(iter(QUICK_LEASE)), LEASE_RATE))

    *before, times, world = shared.SharedPlace.__new__.__defaults__
    # An answer takes as long as it does.
    quick = {name: getattr(times, name) / LEASE_RATE for name in ("beat", "poll")}
    shared.SharedPlace.__new__.__defaults__ = (*before, Hastened(**quick), world)


def emulators() -> list:
    """The modules loaded that tell the emulator the time, by which it counts requests."""
    loaded = [module for name, module in sys.modules.items() if name.startswith("planner.emulator")]
    return [module for module in loaded if getattr(module, "time", None) is time]


def _monotonic() -> float:
    return time.monotonic() * RATE


def _sleep(seconds: float) -> None:
    time.sleep(seconds / RATE)


if __name__ == "__main__":
    # Which httpx and httpcore load where they find them, as beside our tests, in twice the time of all the rest. To
    # whom statform alone is installed, it looks as here.
    sys.modules.update(trio=None, rich=None)
    from planner.__main__ import main

    sys.argv, sys.path[0] = sys.argv[1:], ""
    hasten()
    main()
