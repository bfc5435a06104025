"""Finds the resources whose address changed: because the definitions say so, by the remote name, or by likeness."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from itertools import zip_longest
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from planner.definitions.addresses import RemoteName
from planner.definitions.definition import Definition, Definitions
from planner.definitions.fields import Kind, Table
from planner.definitions.resources import ResourceType
from planner.plan import verbs
from planner.plan.diff import Action
from state.snapshot import ResourceState, Snapshot
from state.values import JSON, Address

MAX_LOOK_UPS = 1_000_000
"""If there would be more look-ups than this, likely moves are not looked for: they are only a hint."""
_Part: TypeAlias = tuple[str, str | None]
"""A field, or a member of a table: only the declared members of a table count."""


def find_moves(definitions: Definitions, snapshot: Snapshot) -> Mapping[Address, Address]:
    """Defined addresses whose resource has another address in the state -> that address.

    Either the definitions say so; or an address that is no longer defined has the remote name of a definition that is
    not in the state. A remote name is one source, so somebody changed the key.
    """
    found: dict[Address, Address] = {}
    for old, new in _follow(definitions.moved).items():
        # Also an address in `[[removed]]`: a source that was moved and then removed has its last address there.
        is_named = new in definitions.resources or new in definitions.removed
        if old in snapshot.resources and is_named and new not in snapshot.resources:
            found.setdefault(new, old)
    # What the definitions say comes first. The name decides only about the rest.
    taken = {*found.values()}
    spoken_for = taken | definitions.removed.keys()
    undefined = [a for a in snapshot.resources if a not in definitions.resources and a not in spoken_for]
    if undefined:
        new_names = {
            RemoteName(definition.type.name, definition.name): address
            for address, definition in definitions.resources.items()
            if address not in snapshot.resources and address not in found
        }
        for old in undefined:
            same = new_names.get(RemoteName.at(old, snapshot.resources[old].name))
            if same is not None:
                found[same] = old
    return found


def _follow(moved: Mapping[Address, Address]) -> Mapping[Address, Address]:
    """Where each move ends, the moves after it included."""
    ends: dict[Address, Address] = {}
    for old in moved:
        at, passed = old, list[Address]()
        # Stop where an earlier walk came by, so that a long chain is walked only once.
        while at in moved and at not in ends:
            passed.append(at)
            at = moved[at]
        ends |= dict.fromkeys(passed, ends.get(at, at))
    return {old: ends[old] for old in moved}


class _Alike(NamedTuple):
    """The new definitions that declare the same, and the forgotten addresses that have all of it."""

    news: list[Address]
    olds: list[Address]


def find_likely_moves(
    definitions: Definitions, snapshot: Snapshot, actions: Collection[Action]
) -> tuple[tuple[Address, Address], ...]:
    """Pairs of a forgotten address and a new one that are probably the same source.

    All that the new one declares, two fields at least, the forgotten one has in the state. Neither fits another one.
    """
    forgotten = [action for action in actions if action.verb is verbs.FORGET]
    new = (verbs.ADOPT, verbs.CREATE) if forgotten else ()
    adopted = [definitions.resources[a.address] for a in actions if a.verb in new]
    # To compare each with each would take minutes. So definitions that declare the same parts are one shape, with their
    # values as the key: a forgotten source needs one look-up in each shape.
    shapes: dict[tuple[str, tuple[_Part, ...]], dict[Hashable, _Alike]] = {}
    for definition in adopted:
        # One equal field is chance: many sources have the same team.
        if len(definition.values) > 1:
            declared = dict(sorted(_declared(definition), key=itemgetter(0)))
            shape = shapes.setdefault((definition.type.name, tuple(declared)), {})
            shape.setdefault(tuple(declared.values()), _Alike([], [])).news.append(definition.address)
    # It is only a hint: a plan without it is better than a plan that takes minutes.
    if len(shapes) * len(forgotten) > MAX_LOOK_UPS:
        return ()
    matches: Counter[Address] = Counter()
    for action in forgotten:
        prior = _Parts(action.type, snapshot.resources[action.address])
        for (type_name, parts), shape in shapes.items():
            if type_name == action.type.name and (alike := shape.get(tuple(map(prior.__getitem__, parts)))):
                alike.olds.append(action.address)
                matches[action.address] += len(alike.news)
    pairs = {
        alike.olds[0]: alike.news[0]
        for shape in shapes.values()
        for alike in shape.values()
        if len(alike.olds) == len(alike.news) == 1 and matches[alike.olds[0]] == 1
    }
    return tuple((action.address, pairs[action.address]) for action in forgotten if action.address in pairs)


def find_twins(
    definitions: Definitions, snapshot: Snapshot, actions: Collection[Action]
) -> tuple[tuple[Address, Address], ...]:
    """Pairs of a forgotten address, without an entry in `[[removed]]`, and a created one with its query and columns.

    If several are the same, each of them is in one pair at least.
    """
    created, forgotten = defaultdict[Hashable, list[Address]](list), defaultdict[Hashable, list[Address]](list)
    for action in actions:
        if action.verb is verbs.CREATE:
            values = definitions.resources[action.address].values
            created[analysed(action.type, values)].append(action.address)
    for action in actions if created else ():
        if action.verb is verbs.FORGET and action.address not in definitions.removed:
            found = analysed(action.type, snapshot.resources[action.address].values)
            if found in created:
                forgotten[found].append(action.address)
    return tuple(pair for found, olds in forgotten.items() for pair in _pair(olds, created[found]))


def _pair(olds: Sequence[Address], news: Sequence[Address]) -> Iterator[tuple[Address, Address]]:
    """Pairs so that each address is in one at least: when one side ends, its last address is paired with the rest."""
    for old, new in zip_longest(olds, news):
        yield old or olds[-1], new or news[-1]


def analysed(type_: ResourceType, values: Mapping[str, JSON]) -> Hashable:
    """What makes two sources the same: the query and the meaning of its columns. A create requires these fields."""
    told = (field for field in type_.fields if field.required or field.name == "tableName")
    found = (_comparable(field.kind, values.get(field.name)) for field in told)
    return type_.name, *found


class _Parts(dict[_Part, Hashable]):
    """The state's values by part; each is computed when it is first asked for."""

    def __init__(self, type_: ResourceType, prior: ResourceState) -> None:
        self.type, self.prior = type_, prior.values

    def __missing__(self, part: _Part) -> Hashable:
        name, member = part
        value = self.prior.get(name)
        if member is not None:
            value = value.get(member) if isinstance(value, dict) else None
        self[part] = found = _comparable(self.type.field[name].kind, value)
        return found


def _declared(definition: Definition) -> Iterator[tuple[_Part, Hashable]]:
    for name, value in definition.values.items():
        kind = definition.type.field[name].kind
        if isinstance(kind, Table) and isinstance(value, dict):
            yield from (((name, member), _comparable(kind, one)) for member, one in value.items())
        else:
            yield (name, None), _comparable(kind, value)


def _comparable(kind: Kind, value: JSON) -> Hashable:
    """A form that is equal for two values if a plan would not change one into the other."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n")
    if value is None:
        return value
    elements = kind.elements(value)
    # A pair, so that true differs from the string "true"; with a mark, so that a set differs from a list in JSON.
    return elements is None, json.dumps(value if elements is None else elements, sort_keys=True)
