"""A clock whose sleep takes no time but its own."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from attrs import define, field

from planner.clock import Clock

START = datetime(2025, 1, 1, tzinfo=timezone.utc)


@define
class FakeTime:
    """`slept` are the pauses so far. `chance` is what every throw of the dice gives."""

    seconds: float = 0.0
    chance: float = 1.0
    slept: list[float] = field(factory=list)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        return Clock(self.now, lambda: self.seconds, self.sleep, lambda: self.chance)
