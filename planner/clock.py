"""Time and chance, passed in as arguments: a test brings its own. No other module asks the machine for them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from attrs import frozen


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


def moment_of(timestamp: str) -> datetime | None:
    """The moment of a journal's timestamp; None if it is invalid, because anybody can write a journal."""
    try:
        moment = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def as_timestamp(moment: datetime, last: str = "milliseconds") -> str:
    """The moment in UTC as RFC 3339, down to the unit `last`; the journal has milliseconds."""
    return moment.astimezone(timezone.utc).isoformat(timespec=last).replace("+00:00", "Z")


@frozen
class Clock:
    """`now` is the time of day in UTC, for people; `monotonic` and `sleep` are in seconds; `chance` is from 0 to 1."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def timestamp(self, ago_s: float = 0.0) -> str:
        """The time of day as the journal has it, now or so many seconds ago."""
        return as_timestamp(self.now() - timedelta(seconds=ago_s))

    def wait(self, seconds: float, tell: Callable[[float], None]) -> None:
        """Sleep, telling once a second how much of it is left."""
        end = self.monotonic() + seconds
        while (left := end - self.monotonic()) > 0:
            tell(left)
            self.sleep(min(left, 1.0))

    def backoff_s(self, attempt: int, *, base: float, cap: float) -> float:
        """Seconds before the next try: full jitter, so that clients which failed together don't return together."""
        return self.chance() * min(cap, base * 2.0**attempt)
