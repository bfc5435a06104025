"""What is needed to carry out a plan besides the API, passed in as arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from planner.apply.checks.late import Late
from planner.apply.report import Event
from planner.apply.sending.sight import Sight
from planner.clock import Clock
from planner.pacing import Window
from planner.plan.diff import Action
from state.records import Record
from state.snapshot import ResourceState
from state.values import Address, Object


class Effects(NamedTuple):
    """What a run needs besides the API.

    `record` makes a record durable before it returns. `sent_at` holds the monotonic times of the requests that the
    windows still count, ascending. `shield` is entered around each request and its records: a signal in there waits for
    its end, one at another time raises Interrupted. `known` is what the state has of an address by now, `declared` what
    the definitions have, `listed` the source that an action adopts. `sight` is what the run saw of the remote before;
    unless it `checks_drift`, only full updates and deletes go by what is seen. `late` is what requests of earlier runs
    may have changed. `why_kept` is asked right before a delete why the source must stay, such as who reads it by now.
    """

    record: Callable[[Record], None]
    notify: Callable[[Event], None]
    shield: Callable[[], AbstractContextManager[None]]
    clock: Clock
    windows: Sequence[Window]
    sent_at: list[float]
    known: Callable[[Address], ResourceState | None] = lambda _address: None
    listed: Callable[[Action], Object] = lambda _action: {}
    declared: Callable[[Address], Object] = lambda _address: {}
    sight: Sight | None = None
    checks_drift: bool = False
    late: Late = lambda _address: {}
    why_kept: Callable[[Action], str | None] = lambda _action: None
