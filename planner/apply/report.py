"""The events of a run, and its report at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from attrs import field, frozen

from planner.errors import PlannerError
from planner.plan.diff import Action
from planner.plan.order import Request
from state.errors import StateError
from state.records import Outcome, Resolved
from state.values import Address


class Sending(NamedTuple):
    """A request is about to be sent, the `number`th of `total`."""

    request: Request
    number: int
    total: int


class Done(NamedTuple):
    """What became of a request; the journal has it already."""

    request: Request
    outcome: Outcome | Resolved
    duration_s: float


class Waiting(NamedTuple):
    """Nothing is sent for another `seconds`."""

    seconds: float
    why: str


Event: TypeAlias = Sending | Done | Waiting


@frozen
class Report:
    """What a run did, in plan order; the texts say why.

    `stopped_by` is the error that ended the run early. `drifted` are fields that an answer showed to be changed by
    somebody else. `unstored` is an answer that could not be written to the disk, `uncommitted` why the
    state file is not written; the next run writes it.
    """

    applied: tuple[Action, ...] = ()
    rejected: Mapping[Address, str] = field(factory=dict)
    unknown: Mapping[Address, str] = field(factory=dict)
    skipped: Mapping[Address, str] = field(factory=dict)
    not_attempted: tuple[Address, ...] = ()
    not_accepted: Mapping[Address, tuple[str, ...]] = field(factory=dict)
    stopped_by: PlannerError | StateError | None = None
    unstored: Outcome | Resolved | None = None
    uncommitted: StateError | None = None
    drifted: Mapping[Address, tuple[str, ...]] = field(factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether all that was planned was applied, as it was planned."""
        left = self.rejected or self.unknown or self.skipped or self.not_attempted or self.not_accepted or self.drifted
        return self.stopped_by is None and not left

    @property
    def exit_code(self) -> int:
        """That of the error that ended the run; 1 if something was not applied; else 0."""
        if self.stopped_by is not None:
            return self.stopped_by.exit_code
        if self.uncommitted is not None and self.is_complete:
            return self.uncommitted.exit_code
        return 0 if self.is_complete else 1

    @property
    def errors(self) -> tuple[PlannerError | StateError, ...]:
        """What ended it, and what went wrong at its end."""
        return tuple(dict.fromkeys(error for error in (self.stopped_by, self.uncommitted) if error is not None))
