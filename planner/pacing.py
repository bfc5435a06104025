"""Sliding windows over the times of past requests: how long to wait before the next one.

Pure: times are seconds on any clock that never runs backwards, and the caller brings them.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Window(NamedTuple):
    """At most `limit` requests in any `seconds`."""

    limit: int
    seconds: float


def wait_s(windows: Sequence[Window], times: Sequence[float], now: float) -> float:
    """Seconds until one more request fits in every window; `times`, ascending, are those of the requests so far.

    A time ahead of `now` counts as now, so that a clock that jumped can't stop a run for longer than a window.
    """
    wait = 0.0
    for window in windows:
        if len(times) >= window.limit:
            wait = max(wait, min(times[-window.limit], now) + window.seconds - now)
    return wait


def duration_s(windows: Sequence[Window], times: Sequence[float], now: float, count: int) -> float:
    """Seconds until the last of `count` more requests may start, if each takes no time."""
    ahead = list(times)
    at = now
    for _ in range(count):
        at += wait_s(windows, ahead, at)
        ahead.append(at)
    return at - now


def trim(windows: Sequence[Window], times: list[float], now: float) -> None:
    """Drop the times that no window reaches any more."""
    from bisect import bisect_right  # noqa: PLC0415 - only a run that sends has times

    longest = max(window.seconds for window in windows)
    del times[: bisect_right(times, now - longest)]
