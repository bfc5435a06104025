"""Definitions and snapshot in, plan out: same input, same plan, to the byte.

Knows no network, no files and no output; `render` shows a plan, `apply` carries it out.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

from planner.definitions.addresses import RemoteName, type_of
from planner.definitions.definition import Definition, Definitions
from planner.definitions.fields import Call
from planner.errors import Diagnostic, PlanError, TooManyChanges
from planner.escape import format_value
from planner.plan import verbs
from planner.plan.diff import Action, diff
from planner.plan.moves import find_likely_moves, find_moves
from planner.plan.order import Request, find_dependencies, put_in_order
from planner.plan.select import select
from planner.plan.verbs import Verb, count_verbs
from state.snapshot import Snapshot
from state.values import Address


class Plan(NamedTuple):
    """What `apply` will do: the actions for people, the requests for the API, both in the order in which they happen.

    `lineage`, `serial` and `head` are those of the snapshot that it was made from. `managed` is how many addresses
    there are in all, targeted or not. `environment` is the one that was laid over the definitions. `likely_moves` are
    pairs of an address that is forgotten and one that is adopted, which may be one and the same source.
    """

    lineage: str
    serial: int
    head: str
    actions: tuple[Action, ...]
    requests: tuple[Request, ...]
    managed: int
    environment: str | None = None
    likely_moves: tuple[tuple[Address, Address], ...] = ()

    @property
    def counts(self) -> Counter[Verb]:
        """How many addresses each verb is for, in the order in which they are shown; a verb that none has counts 0."""
        return count_verbs(action.verb for action in self.actions)

    @property
    def forgets_all(self) -> bool:
        """Whether nothing is defined and the state has something."""
        return self.counts[verbs.FORGET] == self.managed > 0

    @property
    def changes(self) -> tuple[Action, ...]:
        """The actions that do something."""
        return tuple(action for action in self.actions if action.verb.is_change or action.moved_from)

    @property
    def left_out(self) -> int:
        """How many addresses are no target, or are excluded: the plan is a partial one."""
        return self.managed - len(self.actions)

    @property
    def digest(self) -> str:
        """SHA-256 over all that the plan does and the state that it starts from."""
        content = [
            [self.lineage, self.serial, self.head],
            [[action.address, action.verb.word, action.moved_from] for action in self.changes],
            [[request.address, request.name, dict(request.body)] for request in self.requests],
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def build_plan(
    definitions: Definitions, snapshot: Snapshot, targets: Collection[str] = (), excludes: Collection[str] = ()
) -> Plan:
    """The plan that takes the snapshot to the definitions.

    With `targets`, these and what they depend on alone; without the `excludes` and what depends on them. Both are
    addresses, keys, or patterns of either.

    Raises:
        PlanError: a field differs that PATCH does not take, or a name is adopted that the state has elsewhere.
        UsageError: a target or an exclude that is neither defined nor in the state.
    """
    moved = find_moves(definitions, snapshot)
    # From here on the resource is where the definitions have it, so that nothing else needs to know of moves.
    if moved:
        there = {address: snapshot.resources[old] for address, old in moved.items()}
        gone = {*moved.values()}
        stay = {address: one for address, one in snapshot.resources.items() if address not in gone}
        snapshot = snapshot._replace(resources=stay | there)
    actions = [
        diff(definition, snapshot.resources.get(address)) for address, definition in definitions.resources.items()
    ]
    if moved:
        actions = [action._replace(moved_from=moved.get(action.address)) for action in actions]
    actions += [
        Action(address, type_of(address), verbs.FORGET, prior.name)
        for address, prior in snapshot.resources.items()
        if address not in definitions.resources
    ]
    declared = {address: d.depends_on for address, d in definitions.resources.items() if d.depends_on}
    dependencies = find_dependencies(actions, declared)
    managed = len(actions)
    # After the dependencies, which go through what is no target, and before the problems, which are not its.
    if targets or excludes:
        known = [action.address for action in actions]
        wanted = select("--target", targets, known) if targets else set(known)
        if excludes:
            wanted -= dependencies.dependents(select("--exclude", excludes, known))
        wanted = dependencies.closure(wanted)
        actions = [action for action in actions if action.address in wanted]
    # Most of a large plan does nothing, and has no problem.
    active = [action for action in actions if action.verb.is_change]
    if problems := _find_problems(definitions, snapshot, active):
        raise PlanError(problems)
    ordered, requests = put_in_order(actions, dependencies)
    starts_from = (snapshot.lineage, snapshot.serial, snapshot.head)
    likely_moves = find_likely_moves(definitions, snapshot, active)
    return Plan(*starts_from, ordered, requests, managed, definitions.environment, likely_moves)


def check_limit(plan: Plan, limit: int | str | None) -> None:
    """Refuse a plan that changes more than `limit`: a count, a share such as "30%" of all addresses, or None.

    Raises:
        TooManyChanges: the plan changes more.
    """
    count = len(plan.changes)
    if limit is None:
        return
    allowed = limit if isinstance(limit, int) else plan.managed * int(limit.removesuffix("%")) / 100
    if count > allowed:
        raise TooManyChanges(count, plan.managed, str(limit))


def _find_problems(definitions: Definitions, snapshot: Snapshot, actions: Collection[Action]) -> list[Diagnostic]:
    problems: list[Diagnostic] = []
    adopted: dict[RemoteName, Definition] = {}
    for action in actions:
        if action.verb is verbs.ADOPT:
            definition = definitions.resources[action.address]
            adopted[RemoteName(action.type.name, definition.name)] = definition
            if not definition.adopts:
                problems.append(_not_to_be_adopted(definitions, definition))
        problems += [
            Diagnostic(
                f"{change.field.name} differs from the state, and PATCH does not take it",
                f"the {change.field.name} that the source has; change it in the console, or leave it out here",
                definitions.locate(action.address, change.field.name),
                action.address,
                change.field.name,
            )
            for change in action.changes
            if Call.PATCH not in change.field.calls
        ]
    if adopted:
        problems += _find_adopted_twice(definitions, snapshot, adopted)
    return problems


def _not_to_be_adopted(definitions: Definitions, definition: Definition) -> Diagnostic:
    address, name = definition.address, format_value(definition.name)
    summary = f"{address} is not in the state, and nothing says that the source is there already"
    expected = f"`statform import {address} {name}` if it is there, or adopt = true in its table"
    return Diagnostic(summary, expected, definitions.locate(address), address)


def _find_adopted_twice(
    definitions: Definitions, snapshot: Snapshot, adopted: Mapping[RemoteName, Definition]
) -> list[Diagnostic]:
    """The names to be adopted that the state has under another address which is still defined."""
    return [
        Diagnostic(
            f'the remote name "{prior.name}" is that of {holder} in the state, which this plan would rename',
            f"the name of a source that is there, or first a plan that renames {holder} alone",
            definitions.locate(definition.address, "name"),
            definition.address,
            "name",
        )
        for holder, prior in snapshot.resources.items()
        if (definition := adopted.get(RemoteName.at(holder, prior.name))) and holder in definitions.resources
    ]
