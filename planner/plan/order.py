"""In which order the actions happen, and which requests they are.

An action follows those that it depends on; a rename that frees a name comes before the one that takes it; else the
order of definition holds. If names form a cycle, one source first gets a temporary name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from planner.definitions.addresses import RemoteName
from planner.definitions.fields import Call
from planner.plan import verbs
from planner.plan.diff import Action
from state.values import Address, Object


class Request(NamedTuple):
    """One request. `name` is the remote name at that moment of the sequence, that of a create the new one.

    `body`: of a PATCH just the fields that change, of a create all that are declared. That of a full update are the
    declared ones too: what is sent is the source as it is then, with these laid over it. A delete has none. `needs`:
    the addresses without whose success it is not sent.
    """

    address: Address
    call: Call
    name: str
    body: Object
    needs: frozenset[Address] = frozenset()


class Dependencies(NamedTuple):
    """Which address comes before which. `declared` by `depends_on`; `frees`: taker of a name -> the address that frees
    it.

    `actions` are all that these were found between, also those that a target leaves out: their names are in use.
    """

    declared: Mapping[Address, Sequence[Address]]
    frees: Mapping[Address, Address]
    actions: Sequence[Action]

    def of(self, address: Address) -> set[Address]:
        """The addresses that come right before this one."""
        needed = set(self.declared.get(address, ()))
        if address in self.frees:
            needed.add(self.frees[address])
        return needed

    def is_of_name_only(self, address: Address, needed: Address) -> bool:
        return self.frees.get(address) == needed and needed not in self.declared.get(address, ())

    def closure(self, addresses: Iterable[Address]) -> set[Address]:
        """The addresses and all that they need, directly or not."""
        return _reach(addresses, self.of)

    def dependents(self, addresses: Iterable[Address]) -> set[Address]:
        """The addresses and all that need them, directly or not."""
        needed_by: dict[Address, list[Address]] = {}
        for action in self.actions:
            for needed in self.of(action.address):
                needed_by.setdefault(needed, []).append(action.address)
        return _reach(addresses, lambda address: needed_by.get(address, ()))


def _reach(addresses: Iterable[Address], next_of: Callable[[Address], Iterable[Address]]) -> set[Address]:
    """The addresses, and all that they lead to."""
    found: set[Address] = set()
    ahead = list(addresses)
    while ahead:
        address = ahead.pop()
        if address not in found:
            found.add(address)
            ahead += next_of(address)
    return found


def find_dependencies(actions: Sequence[Action], declared: Mapping[Address, Sequence[Address]]) -> Dependencies:
    """The dependencies between these actions: as declared, and from renames."""
    # A name that no action gives up is free, or taken by a source that this plan can't move: `apply` looks.
    renames = [action for action in actions if action.changes and action.new_name is not None]
    takers = {action.address: RemoteName(action.type.name, str(action.new_name)) for action in renames}
    holders = {RemoteName(action.type.name, action.name): action.address for action in renames}
    takers |= {a.address: RemoteName(a.type.name, a.name) for a in actions if a.verb is verbs.CREATE}
    holders |= {RemoteName(a.type.name, a.name): a.address for a in actions if a.verb is verbs.DELETE}
    frees = {taker: holders[name] for taker, name in takers.items() if name in holders}
    return Dependencies(declared, frees, actions)


def put_in_order(
    actions: Sequence[Action], dependencies: Dependencies
) -> tuple[tuple[Action, ...], tuple[Request, ...]]:
    """The actions in the order in which they happen, and the requests that they are.

    `actions` come in the order of definition; all that they need is among them, and the declared dependencies have no
    cycle. A delete whose name nothing waits for comes after all that is defined. The actions that do nothing come after
    those that do; those that forget send nothing and come last.
    """
    # Most of a large plan does nothing, and nothing waits for it: it costs no ordering.
    awaited = {address for needed in dependencies.declared.values() for address in needed}
    freeing = {*dependencies.frees.values()}
    active: list[Action] = []
    idle: list[Action] = []
    deletes: list[Action] = []
    forgets: list[Action] = []
    for action in actions:
        if action.verb is verbs.FORGET:
            forgets.append(action)
        elif action.verb is verbs.DELETE and action.address not in freeing:
            deletes.append(action)
        else:
            (idle if action.verb is verbs.NO_OP and action.address not in awaited else active).append(action)
    ordering = _Ordering(active, dependencies)
    ordered = ordering.run()
    requests = (*ordering.requests, *(Request(a.address, Call.DELETE, a.name, {}) for a in deletes))
    return (*ordered, *deletes, *idle, *forgets), requests


def _body(action: Action) -> Object:
    body = {change.field.name: change.after for change in action.changes}
    return {"name": action.name, **body} if action.verb is verbs.CREATE else body


def dry_requests(actions: Sequence[Action], requests: Sequence[Request]) -> tuple[Request, ...]:
    """The requests to ask the API about, one for each action, when none of them will change anything.

    A name that another source still holds is left out, since the API would refuse it now; a create into one, and a
    delete, which no API tries out, are not asked about at all.
    """
    held = {RemoteName(action.type.name, action.name) for action in actions if action.verb is not verbs.CREATE}
    # Of two requests the first gives the temporary name, and the last has all else.
    last = {request.address: request for request in requests}
    found = []
    for action in actions:
        if (request := last.get(action.address)) is None or request.call is Call.DELETE:
            continue
        new_name = RemoteName(action.type.name, str(request.body.get("name")))
        is_held = "name" in request.body and new_name in held
        if not (is_held and request.call is Call.CREATE):
            body = {name: value for name, value in request.body.items() if name != "name" or not is_held}
            found.append(request._replace(name=action.name, body=body, needs=frozenset()))
    return tuple(found)


class _Ordering:
    """Kahn's algorithm, least definition first; a cycle of names is opened where it has come to a halt."""

    def __init__(self, actions: Sequence[Action], dependencies: Dependencies) -> None:
        self.actions = actions
        self.dependencies = dependencies
        self.index = {action.address: n for n, action in enumerate(actions)}
        self.waits_for = {action.address: dependencies.of(action.address) for action in actions}
        self.followers: dict[Address, list[Address]] = {}
        for address, needed in self.waits_for.items():
            for other in needed:
                self.followers.setdefault(other, []).append(address)
        self.ready = [self.index[address] for address, needed in self.waits_for.items() if not needed]
        heapify(self.ready)
        self.done: set[Address] = set()
        self.temporary: dict[Address, str] = {}
        self.requests: list[Request] = []
        # What does not change -> the first of a chain of such, which has the same changes behind it.
        self.idle: dict[Address, Address] = {}
        self.behind: dict[Address, frozenset[Address]] = {}
        # Where the search for a cycle stands: each of the path waits for the next one; `place` is where each stands.
        self.path: list[Address] = []
        self.place: dict[Address, int] = {}
        self.first_waiting = 0
        self.in_cycle_order: dict[Address, list[Address]] = {}
        self.names_in_use: set[RemoteName] = set()

    def run(self) -> Sequence[Action]:
        ordered: list[Action] = []
        while len(ordered) < len(self.actions):
            if not self.ready:
                self._open_cycle()
            action = self.actions[heappop(self.ready)]
            ordered.append(action)
            self._finish(action)
        return ordered

    def _finish(self, action: Action) -> None:
        address = action.address
        self.done.add(address)
        if action.call is not None:
            # After a swap it is known by its temporary name, and its other changes go along with the last request.
            name = self.temporary.get(address, action.name)
            self.requests.append(Request(address, action.call, name, _body(action), self._needs(address)))
        else:
            needed = self.dependencies.of(address)
            only = next(iter(needed)) if len(needed) == 1 else address
            self.idle[address] = self.idle.get(only, address)
        for follower in self.followers.get(address, ()):
            self._release(follower, address)

    def _needs(self, address: Address) -> frozenset[Address]:
        """The changes that come before: who depends on what does not change depends on what that depends on."""
        needed = self.dependencies.of(address) & self.done
        idle = {self.idle[other] for other in needed if other in self.idle}
        if len(needed) == len(idle) == 1:
            # The very same set for all that come behind one address: of thousands, each would be as large.
            return self._behind(idle.pop())
        return frozenset(needed - self.idle.keys()).union(*map(self._behind, idle))

    def _behind(self, idle: Address) -> frozenset[Address]:
        """The changes that what does not change waited for, be it through others that do not change."""
        if idle not in self.behind:
            found, seen, ahead = set[Address](), {idle}, [idle]
            while ahead:
                needed = self.dependencies.of(ahead.pop()) - seen
                seen |= needed
                ahead += needed & self.idle.keys()
                found |= needed - self.idle.keys()
            self.behind[idle] = frozenset(found)
        return self.behind[idle]

    def _release(self, follower: Address, address: Address) -> None:
        waits_for = self.waits_for[follower]
        if address in waits_for:
            waits_for.discard(address)
            if not waits_for:
                heappush(self.ready, self.index[follower])

    def _open_cycle(self) -> None:
        """Let one source of a cycle step aside, so that who takes its name need not wait.

        before   a ──▶ b ──▶ c ──▶ a         each waits for the next one, which has the name that it takes

        after    a ──▶ b ──▶ c               a has a temporary name, its old one is free: c goes first,
                                             then b, then a goes from the temporary name to its own
        """
        cycle = self._find_cycle()
        names_only = [(holder, taker) for taker, holder in cycle if self.dependencies.is_of_name_only(taker, holder)]
        # The taker waits for this name alone, else the cycle would go by what it declares: now it is ready.
        holder, taker = min(names_only, key=lambda edge: self.index[edge[0]])
        action = self.actions[self.index[holder]]
        self.temporary[holder] = name = self._unused_name(action)
        self.requests.append(Request(holder, Call.PATCH, action.name, {"name": name}, self._needs(holder)))
        # Its name is free, and that is all that the taker waits for; whoever else waits for it waits on.
        self.done.add(holder)
        self._cut(self.place[taker])
        self._release(taker, holder)

    def _find_cycle(self) -> list[tuple[Address, Address]]:
        """The edges (waiting, waited for) of a cycle among those that wait."""
        # What waited last time still waits for the same one: to begin at the start would walk far for each.
        while self.path and not self.waits_for[self.path[-1]]:
            self._cut(len(self.path) - 1)
        while not self.waits_for[self.actions[self.first_waiting].address]:
            self.first_waiting += 1
        following = self._next(self.path[-1]) if self.path else self.actions[self.first_waiting].address
        while following not in self.place:
            self.place[following] = len(self.path)
            self.path.append(following)
            following = self._next(following)
        cycle = self.path[self.place[following] :]
        return list(zip(cycle, [*cycle[1:], following], strict=True))

    def _cut(self, length: int) -> None:
        for address in self.path[length:]:
            del self.place[address]
        del self.path[length:]

    def _next(self, waiting: Address) -> Address:
        """Of those that it waits for, the first in the order in which a cycle is looked for."""
        waits_for = self.waits_for[waiting]
        if waiting not in self.in_cycle_order:
            order = partial(self._cycle_order, waiting)
            self.in_cycle_order[waiting] = sorted(waits_for, key=order, reverse=True)
        ahead = self.in_cycle_order[waiting]
        while ahead[-1] not in waits_for:
            ahead.pop()
        return ahead[-1]

    def _cycle_order(self, waiting: Address, needed: Address) -> tuple[bool, int]:
        """Declared dependencies first: a cycle through one has fewer places where it can be opened."""
        return self.dependencies.is_of_name_only(waiting, needed), self.index[needed]

    def _unused_name(self, action: Action) -> str:
        used = self.names_in_use
        if not used:
            used |= {
                RemoteName(a.type.name, n) for a in self.dependencies.actions for n in (a.name, a.new_name or a.name)
            }
        name = f"{action.name}_statform_swap"
        while RemoteName(action.type.name, name) in used:
            name += "_"
        return name
