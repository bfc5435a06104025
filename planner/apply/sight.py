"""What a run saw of the remote, and when: before a request whose look is too old, it looks again.

Our own answer is a look at its source. What is left is a change made between the look and the request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import define, field

from planner.apply.conflicts import conflicts_of
from planner.audit.drift import Remote, find_shown
from planner.clock import Clock
from planner.definitions.definition import Definitions
from planner.definitions.fields import is_same
from planner.definitions.resources import ResourceType
from planner.plan.diff import ABSENT, Action, Value
from planner.plan.order import Request
from state.snapshot import ResourceState
from state.values import JSON, Address, Object

MAX_AGE_S = 30.0
"""How old a look may be, from the end of the list, when a request is sent."""
MAX_AGE_AFTER_WAIT_S = 10.0
"""The same for a request that had to wait for the API's limit: it has the time, and a list does not count."""


@define
class Sight:
    """The last look at the sources of each type, and the times of the run's own answers; monotonic, in seconds.

    `known` is what the state has of an address by now.
    """

    definitions: Definitions
    clock: Clock
    list_remote: Callable[[Iterable[ResourceType]], Remote]
    known: Callable[[Address], ResourceState | None]
    remote: dict[str, Mapping[str, Object]] = field(factory=dict)
    _at: dict[str, float] = field(factory=dict)
    _answered_at: dict[Address, float] = field(factory=dict)

    def take(self, remote: Remote) -> None:
        """A list of these types that came just now."""
        now = self.clock.monotonic()
        for name, sources in remote.items():
            self.remote[name] = sources
            self._at[name] = now

    def answered(self, address: Address) -> None:
        """The API told of the source just now."""
        self._answered_at[address] = self.clock.monotonic()

    def is_old(self, types: Iterable[ResourceType]) -> bool:
        """Whether a look at one of these types is older than a request may go by."""
        now = self.clock.monotonic()
        return any(now - self._at.get(type_.name, -MAX_AGE_S) > MAX_AGE_S for type_ in types)

    def find_moved(self, request: Request, action: Action, *, has_waited: bool = False) -> str | None:
        """What somebody changed of the source since the plan was agreed to, where the last look at it is too old.

        Raises:
            ApiError: the remote can't be listed.
        """
        type_, address = action.type, request.address
        max_age_s = MAX_AGE_AFTER_WAIT_S if has_waited else MAX_AGE_S
        seen_at = max(self._answered_at.get(address, self._at[type_.name]), self._at[type_.name])
        if self.clock.monotonic() - seen_at <= max_age_s:
            return None
        if self.clock.monotonic() - self._at[type_.name] > max_age_s:
            self.take(self.list_remote([type_]))
        source = self.remote[type_.name].get(request.name)
        if source is None:
            return f'somebody renamed or deleted it meanwhile: the remote has no source named "{request.name}"'
        moved = ", ".join(self._moved_fields(action, source))
        return f"somebody changed it meanwhile ({moved}): plan again" if moved else None

    def _moved_fields(self, action: Action, source: Object) -> list[str]:
        prior = self.known(action.address)
        if prior is None:
            # Adopted: the plan showed what the look had.
            return [
                change.field.name
                for change in action.changes
                if change.field.name in source
                and not is_same(change.field.kind, _known(change.before), source[change.field.name])
            ]
        values = self.definitions.resources[action.address].values
        shown = find_shown({action.type.name: self.remote[action.type.name]})[action.type.name]
        return [conflict.field for conflict in conflicts_of(action, values, prior, source, shown)]


def _known(value: Value) -> JSON:
    return None if value is ABSENT else value
