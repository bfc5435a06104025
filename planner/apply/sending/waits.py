"""How long a run waits before a request: for the API's limit, for its own pace, and before it tries again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define

from planner.apply.report import Waiting
from planner.clock import Clock
from planner.errors import OverLimit
from planner.pacing import Window, trim, wait_s
from state.records import Rejected

LIMIT_BUDGET_S = 30 * 60.0


@define(eq=False, repr=False)
class Waits:
    """`sent_at` holds the monotonic times of the requests that the windows still count, ascending.

    `notify` is told once a second how much is left of a wait.
    """

    clock: Clock
    notify: Callable[[Waiting], None]
    windows: Sequence[Window]
    sent_at: list[float]
    limit_wait_s: float = 0.0

    def note_sent(self) -> None:
        """A request was answered. The API counted it some time before: the latest is the safe one."""
        self.sent_at.append(self.clock.monotonic())

    def keep_pace(self) -> bool:
        """Stay within the API's limits; return whether that took any time."""
        now = self.clock.monotonic()
        trim(self.windows, self.sent_at, now)
        seconds = wait_s(self.windows, self.sent_at, now)
        self.wait(seconds, "to stay below the API's rate limit")
        return seconds > 0

    def wait_for_limit(self, refused: Rejected, times: int) -> None:
        """Wait as long as the API asks, or longer each time that it refused this request (`times`).

        Raises:
            OverLimit: that would be more than a run waits in all.
        """
        asked = refused.retry_after_s
        # Jitter alone could be next to nothing, and the API's shorter window is 10 s.
        seconds = asked or 5.0 + self.clock.backoff_s(times, base=5.0, cap=300.0)
        self.limit_wait_s += seconds
        if self.limit_wait_s > LIMIT_BUDGET_S:
            raise OverLimit(f"too many requests for the API: {refused.message}")
        self.wait(seconds, "too many requests for the API")

    def back_off(self, attempt: int, why: str, *, base: float) -> None:
        """Wait before the next attempt."""
        self.wait(self.clock.backoff_s(attempt, base=base, cap=8.0), why)

    def wait(self, seconds: float, why: str) -> None:
        """Sleep, telling once a second how much of it is left."""
        self.clock.wait(seconds, lambda left: self.notify(Waiting(left, why)))
