"""A clock that runs faster, the same in every process of a test, so that a wait of seconds is one of milliseconds.

    python hastened.py statform apply

It is in the processes that `forkserver` makes; the command line is for those that it can't make, as under strace.
"""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

from planner.clock import Clock

RATE = 20
"""Seconds of a test's processes to one of ours."""


def hasten() -> None:
    """Let the clock of this process run at RATE; the time of day is as it was, for it is what people read."""
    now, _, _, chance = Clock.__init__.__defaults__
    Clock.__init__.__defaults__ = (now, _monotonic, _sleep, chance)
    for module in emulators():
        module.time = SimpleNamespace(monotonic=_monotonic)


def emulators() -> list:
    """The modules loaded that tell the emulator the time, by which it counts requests."""
    loaded = [module for name, module in sys.modules.items() if name.startswith("planner.emulator")]
    return [module for module in loaded if getattr(module, "time", None) is time]


def _monotonic() -> float:
    return time.monotonic() * RATE


def _sleep(seconds: float) -> None:
    time.sleep(seconds / RATE)


if __name__ == "__main__":
    from planner.__main__ import main

    sys.argv, sys.path[0] = sys.argv[1:], ""
    hasten()
    main()
