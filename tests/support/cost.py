"""How much of the processor's time something takes, which another load of the machine hardly changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def processor_s() -> float:
    """Of this process and of all that it has waited for."""
    return sum(os.times()[:4])


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail where the block takes more.

    Ten times of what it takes is a bound that a busy machine keeps, and that work which grows with the square does not.
    """
    started = processor_s()
    yield
    took = processor_s() - started
    assert took < seconds, f"took {took:.1f} s of the processor's time, and may take {seconds:g}"
