"""What a run knows about the remote, and how old that is: the last list of each type, updated by the run's own answers.

    a request                                  goes by a look of at most
    -------------------------------------------------------------------------------------------
    a PATCH                                    30 s
    a PATCH that waited for the API's limit    10 s: it has the time, and a list does not count
    a full update, a DELETE                    10 s: it overwrites, or takes away, all of a source
    a create                                   any: there is nothing that could have moved

A look's age counts from the end of its list. A change made between the look and the request is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from attrs import define, evolve, field, frozen

from planner.apply.checks.twins import find_same
from planner.apply.sending.resolve import Lister
from planner.audit.absence import Look
from planner.audit.drift import find_shown
from planner.clock import Clock
from planner.console.listing import Listing
from planner.definitions.addresses import RemoteName, type_of
from planner.definitions.fields import Call
from planner.definitions.resources import ResourceType
from planner.plan.order import Request
from state.values import Address, Object

MAX_AGE_S = 30.0
MAX_AGE_BEFORE_ALL_S = 10.0
"""The age limit before a full update or a delete, and before a request that had to wait anyway."""


@define(eq=False, repr=False)
class Sight:
    """The last look at the sources of each type; times are monotonic, in seconds.

    `look` lists the types again, and decides of these addresses what the lists tell. `undecided` tells of one why
    nobody knows whether its source is there, or how it is.
    """

    clock: Clock
    look: Callable[[Iterable[ResourceType], Collection[Address]], Look]
    remote: dict[str, Listing] = field(factory=dict)
    undecided: dict[Address, str] = field(factory=dict)
    _at: dict[str, float] = field(factory=dict)
    _answered_at: dict[Address, float] = field(factory=dict)
    _shown: dict[str, frozenset[str]] = field(factory=dict)
    _sources: dict[str, dict[str, Object]] = field(factory=dict)
    _own: set[RemoteName] = field(factory=set)
    _first: dict[str, set[str]] = field(factory=dict)
    _new: dict[str, list[str]] = field(factory=dict)
    _freed: dict[RemoteName, Object] = field(factory=dict)

    def renew(self, types: Iterable[ResourceType], addresses: Collection[Address]) -> None:
        """Look at these types, for the sake of these addresses.

        Raises:
            ApiError: they can't be listed.
        """
        self.take(self.look(types, addresses))

    def take(self, look: Look) -> None:
        """A look that ended just now."""
        now = self.clock.monotonic()
        for name, listed in look.remote.items():
            self._sources[name] = sources = dict(listed)
            self._own = {one for one in self._own if one.type != name}
            listing = listed if isinstance(listed, Listing) else Listing(listed)
            self.remote[name] = evolve(listing, sources=sources)
            self._at[name] = now
            first = self._first.setdefault(name, set(sources))
            self._new[name] = [one for one in sources if one not in first]
        self._shown |= find_shown(look.remote)
        kept = {a: reason for a, reason in self.undecided.items() if type_of(a).name not in look.remote}
        self.undecided = {**kept, **look.undecided}

    def glimpse(self, type_name: str, listed: Mapping[str, Object]) -> None:
        """A list that came by the way shows what moved; of what it lacks, and of our own answers, it tells nothing."""
        sources = self._sources.get(type_name, {})
        for name in sources.keys() & listed.keys():
            if RemoteName(type_name, name) not in self._own:
                sources[name] = listed[name]

    def learn(self, address: Address, name: str, data: Object | None, sent: Object | None = None) -> None:
        """Our own answer is a look at its source, which had that name; without `data` it is gone.

        A list tells all of a source. An answer, of which this was `sent`, may leave out some, which is as it was.
        """
        type_name = type_of(address).name
        self._answered_at[address] = self.clock.monotonic()
        self.undecided.pop(address, None)
        if (sources := self._sources.get(type_name)) is not None:
            was = sources.pop(name, {})
            self._freed[RemoteName(type_name, name)] = was
            if data is not None:
                self._freed.pop(RemoteName(type_name, str(data.get("name", name))), None)
                data = data if sent is None else {**was, **sent, **data}
                self._own.add(RemoteName(type_name, str(data.get("name", name))))
                sources[str(data.get("name", name))] = data
                self._first[type_name].add(str(data.get("name", name)))

    def is_behind(self, type_name: str, name: str, source: Object) -> bool:
        """Whether a list shows a source by a name that our own answer took from it: another one has it by now."""
        return self._freed.get(RemoteName(type_name, name)) == source

    def is_old(self, types: Iterable[ResourceType]) -> bool:
        """Whether a look at one of these types is older than a request may go by."""
        return any(self._age_s(type_) > MAX_AGE_S for type_ in types)

    def is_too_old_for(self, request: Request, type_: ResourceType, *, has_waited: bool) -> bool:
        """Whether the request may not go by what was seen of its source."""
        if request.call is Call.CREATE:
            return False
        max_age_s = MAX_AGE_S if request.call is Call.PATCH and not has_waited else MAX_AGE_BEFORE_ALL_S
        answered_at = self._answered_at.get(request.address, float("-inf"))
        return min(self._age_s(type_), self.clock.monotonic() - answered_at) > max_age_s

    def source(self, request: Request, type_: ResourceType) -> Object | None:
        """The request's source as it was seen last; None if it is not there, or nobody looked."""
        return self._sources.get(type_.name, {}).get(request.name)

    def find_alike(self, type_: ResourceType, source: Object) -> list[str]:
        """The names that came since the first look, and were not given by us, of what else is as that source was."""
        return find_same(source, self.find_new(type_))

    def find_new(self, type_: ResourceType) -> Mapping[str, Object]:
        """What came since the first look, and was not named by us."""
        sources = self._sources[type_.name]
        return {name: sources[name] for name in self._new[type_.name] if name in sources}

    def is_new(self, type_: ResourceType, name: str) -> bool:
        """Whether the name came since the first look, and was not given by us; False if nobody looked."""
        return type_.name in self._first and name not in self._first[type_.name]

    def shown(self, type_: ResourceType) -> frozenset[str]:
        """The fields that the last list of the type shows of any source."""
        return self._shown[type_.name]

    def doubt(self, request: Request, type_: ResourceType) -> str | None:
        """Why it can't be told how the request's source is."""
        return self.remote[type_.name].doubt(request.name) or self.undecided.get(request.address)

    def _age_s(self, type_: ResourceType) -> float:
        return self.clock.monotonic() - self._at.get(type_.name, float("-inf"))


@frozen
class Glimpsing:
    """A client for who only lists: what it lists on the way, the sight takes in."""

    client: Lister
    sight: Sight

    def list(self, type_: ResourceType) -> Mapping[str, Object]:
        """Raises:
        ApiError: the type can't be listed.
        """
        listed = self.client.list(type_)
        self.sight.glimpse(type_.name, listed)
        kept = {n: one for n, one in listed.items() if not self.sight.is_behind(type_.name, n, one)}
        listing = listed if isinstance(listed, Listing) else Listing(listed)
        return listing if len(kept) == len(listing) else evolve(listing, sources=kept)
