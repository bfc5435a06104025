"""The result of each address of a plan so far, and why; at the end it makes the report."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from planner.apply.report import Report
from planner.errors import PlannerError
from planner.plan.build import Plan
from planner.plan.order import Request
from state.errors import StateError
from state.records import Outcome, Resolved
from state.values import Address


@define(eq=False, repr=False)
class Tally:
    """`done` counts the requests of an address that were applied; `arranged` are those that needed none.

    `untried` are addresses for which a dry run has no request, which was said before.
    """

    plan: Plan
    untried: frozenset[Address] = frozenset()
    done: Counter[Address] = field(factory=Counter)
    arranged: set[Address] = field(factory=set)
    rejected: dict[Address, str] = field(factory=dict)
    unknown: dict[Address, str] = field(factory=dict)
    skipped: dict[Address, str] = field(factory=dict)
    not_accepted: dict[Address, tuple[str, ...]] = field(factory=dict)
    drifted: dict[Address, tuple[str, ...]] = field(factory=dict)
    unstored: Outcome | Resolved | None = None

    def skip(self, address: Address, reason: str) -> None:
        """Nothing more is sent for it; an earlier rejection no longer matters."""
        self.rejected.pop(address, None)
        self.skipped[address] = reason

    def is_skipped(self, request: Request) -> bool:
        """Whether something that the request needs failed; the reason is noted then."""
        own = request.address
        if self._is_failed(own):
            # An earlier request of its own. That its name was not accepted is no category yet.
            if own not in self.rejected and own not in self.unknown:
                self.skipped.setdefault(own, "its temporary name was not accepted")
            return True
        failed = [address for address in sorted(request.needs) if self._is_failed(address)]
        if failed:
            self.skipped[own] = f"it depends on {failed[0]}"
        return bool(failed)

    def is_answered(self, address: Address) -> bool:
        """Whether something was applied at the address, and nothing failed."""
        return self.done[address] > 0 and not any(
            address in kind for kind in (self.rejected, self.unknown, self.skipped)
        )

    def _is_failed(self, address: Address) -> bool:
        is_renamed = "name" not in self.not_accepted.get(address, ())
        return not is_renamed or any(address in kind for kind in (self.rejected, self.unknown, self.skipped))

    def report(self, stopped_by: PlannerError | StateError | None) -> Report:
        """What the run did; `stopped_by` ended it before its time."""
        total = Counter(request.address for request in self.plan.requests)
        failed = self.rejected.keys() | self.unknown.keys() | self.skipped.keys()
        applied, not_attempted = [], []
        for action in self.plan.changes:
            address = action.address
            is_done = 0 < total[address] == self.done[address] and address not in self.unknown
            if address in self.arranged or is_done:
                applied.append(action)
            elif address not in failed and self.done[address]:
                self.skipped[address] = "it still has its temporary name"
            elif address not in failed and address not in self.untried:
                not_attempted.append(address)
        return Report(
            tuple(applied),
            self.rejected,
            self.unknown,
            self.skipped,
            tuple(not_attempted),
            self.not_accepted,
            stopped_by,
            self.unstored,
            drifted=self.drifted,
        )
