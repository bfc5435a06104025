"""Puts the actions in the order in which they happen, and makes the requests that they send.

An action comes after those that it depends on. A rename that frees a name comes before the action that takes it.
Otherwise the order of definition holds. If names form a cycle, one source gets a temporary name first.
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
    """One request. `name` is the remote name that the source has when the request is sent; of a create, the new one.

    `body`: of a PATCH only the fields that change; of a create and of a full update all that are declared. For a full
    update, `apply` sends the source as it is by then, with these fields laid over it. Of a delete it is empty. `needs`:
    if one of these addresses failed, the request is not sent.
    """

    address: Address
    call: Call
    name: str
    body: Object
    needs: frozenset[Address] = frozenset()


class Dependencies(NamedTuple):
    """Which address comes before which. `declared`: by `depends_on`. `frees`: the taker of a name -> who frees it.

    `actions` are all actions, also those that a target leaves out: their names are in use.
    """

    declared: Mapping[Address, Sequence[Address]]
    frees: Mapping[Address, Address]
    actions: Sequence[Action]

    def of(self, address: Address) -> set[Address]:
        """The addresses that this one waits for directly."""
        needed = set(self.declared.get(address, ()))
        if address in self.frees:
            needed.add(self.frees[address])
        return needed

    def is_of_name_only(self, address: Address, needed: Address) -> bool:
        """Whether `address` waits for `needed` only to get its name: then a temporary name can end the wait."""
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
    """The addresses, and all that can be reached from them."""
    found: set[Address] = set()
    ahead = list(addresses)
    while ahead:
        address = ahead.pop()
        if address not in found:
            found.add(address)
            ahead += next_of(address)
    return found


def find_dependencies(actions: Sequence[Action], declared: Mapping[Address, Sequence[Address]]) -> Dependencies:
    """The dependencies between these actions: those that are declared, and those that follow from names.

    A create takes a name as a rename does, and a delete frees one.
    """
    # If no action gives a name up, it is free, or a source has it that this plan can't rename. `apply` looks.
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
    """The actions in the order in which they happen, and their requests.

    `actions` have to be in the order of definition, with all that they need among them, and without a cycle of declared
    dependencies. The result has, in this order: what is defined and does something, the deletes whose names nothing
    waits for, the actions that do nothing, and those that forget, which send nothing.
    """
    # Most actions of a large plan do nothing, and nothing waits for them: they need no ordering.
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
    """The requests for a dry run, one for each action: the API checks them, and nothing changes between them.

    A body does not have a name that another source still has: the API would refuse it now. For the same reason, a
    create of such a name is left out. A delete is left out too, because the API has no dry run for it.
    """
    held = {RemoteName(action.type.name, action.name) for action in actions if action.verb is not verbs.CREATE}
    # If an action has two requests, the first only gives the temporary name; the last one has all the rest.
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
    """Kahn's algorithm: of all actions that wait for nothing, the one that is defined first comes next.

    When every action that is left waits for another one, there is a cycle of names. One of its sources steps aside, and
    it goes on.
    """

    def __init__(self, actions: Sequence[Action], dependencies: Dependencies) -> None:
        self.actions = actions
        self.dependencies = dependencies
        self.index = {action.address: n for n, action in enumerate(actions)}
        self.waits_for = {action.address: dependencies.of(action.address) for action in actions}
        self.followers: dict[Address, list[Address]] = {}
        for address, needed in self.waits_for.items():
            for other in needed:
                self.followers.setdefault(other, []).append(address)
        # A heap of indexes: its least one is the next action in the order of definition.
        self.ready = [self.index[address] for address, needed in self.waits_for.items() if not needed]
        heapify(self.ready)
        self.done: set[Address] = set()
        self.temporary: dict[Address, str] = {}
        self.requests: list[Request] = []
        # An action that does nothing -> the first of its chain of such actions: all of a chain need the same changes.
        self.idle: dict[Address, Address] = {}
        self.behind: dict[Address, frozenset[Address]] = {}
        # The search for a cycle: each address of the path waits for the next one; `place` has the index of each.
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
            # A source that stepped aside has its temporary name now. Its other changes go with this request.
            name = self.temporary.get(address, action.name)
            self.requests.append(Request(address, action.call, name, _body(action), self._needs(address)))
        else:
            needed = self.dependencies.of(address)
            only = next(iter(needed)) if len(needed) == 1 else address
            self.idle[address] = self.idle.get(only, address)
        for follower in self.followers.get(address, ()):
            self._release(follower, address)

    def _needs(self, address: Address) -> frozenset[Address]:
        """The changes that this address needs. An action that does nothing passes on what it waits for itself."""
        needed = self.dependencies.of(address) & self.done
        idle = {self.idle[other] for other in needed if other in self.idle}
        if len(needed) == len(idle) == 1:
            # One set for all that wait for the same address: thousands of copies would take memory without limit.
            return self._behind(idle.pop())
        return frozenset(needed - self.idle.keys()).union(*map(self._behind, idle))

    def _behind(self, idle: Address) -> frozenset[Address]:
        """The changes that an action waited for which does nothing, directly or through others that do nothing."""
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
        """Let one source of a cycle step aside, so that the taker of its name need not wait.

        before   a ──▶ b ──▶ c ──▶ a         each waits for the next one, which has the name that it takes

        after    a ──▶ b ──▶ c               a has a temporary name, its old one is free: c goes first,
                                             then b, then a goes from the temporary name to its own
        """
        cycle = self._find_cycle()
        names_only = [(holder, taker) for taker, holder in cycle if self.dependencies.is_of_name_only(taker, holder)]
        # A cycle goes through declared dependencies where it can (`_cycle_order`). So this taker has none left: it only
        # waits for the name, and is ready now.
        holder, taker = min(names_only, key=lambda edge: self.index[edge[0]])
        action = self.actions[self.index[holder]]
        self.temporary[holder] = name = self._unused_name(action)
        self.requests.append(Request(holder, Call.PATCH, action.name, {"name": name}, self._needs(holder)))
        # To the taker the holder is done, since its name is free. Others that depend on the holder still wait.
        self.done.add(holder)
        self._cut(self.place[taker])
        self._release(taker, holder)

    def _find_cycle(self) -> list[tuple[Address, Address]]:
        """The edges (waiting, waited for) of a cycle among those that wait.

        Everything that is left waits for something that is left. So a walk along the waits comes back to its own path:

            d ──▶ e ──▶ a ──▶ b ──▶ c ──▶ a      a is in the path already: a, b and c are the cycle
        """
        # The path of the last search still holds, up to the first address that does not wait any more. To start again
        # from the beginning would make the time grow with the square of the plan.
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
        """The address that the search goes to from here: the first one in `_cycle_order` that it still waits for."""
        waits_for = self.waits_for[waiting]
        if waiting not in self.in_cycle_order:
            order = partial(self._cycle_order, waiting)
            self.in_cycle_order[waiting] = sorted(waits_for, key=order, reverse=True)
        ahead = self.in_cycle_order[waiting]
        while ahead[-1] not in waits_for:
            ahead.pop()
        return ahead[-1]

    def _cycle_order(self, waiting: Address, needed: Address) -> tuple[bool, int]:
        """Declared dependencies come first, since a cycle can't be opened there: see `_open_cycle`."""
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
