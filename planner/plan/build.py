"""Definitions and snapshot in, plan out: same input, same plan, to the byte.

Knows no network, no files and no output; `render` shows a plan, `apply` carries it out.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from planner.definitions.addresses import RemoteName, type_of
from planner.definitions.definition import Definition, Definitions
from planner.definitions.equality import is_same
from planner.definitions.fields import Call
from planner.errors import Diagnostic, PlanError
from planner.escape import in_one_form, tell_names_apart
from planner.plan import verbs
from planner.plan.diff import Action, diff
from planner.plan.verbs import Verb, count_verbs
from state.advice import advise
from state.snapshot import Snapshot
from state.values import Address

if TYPE_CHECKING:
    from planner.plan.order import Dependencies, Request


class Plan(NamedTuple):
    """What `apply` will do: the actions for people, the requests for the API, both in the order in which they happen.

    `lineage`, `serial` and `head` are those of the snapshot that it was made from. `managed` is how many addresses
    there are in all, targeted or not. `environment` is the one that was laid over the definitions. `likely_moves` are
    pairs of an address that is forgotten and one that is adopted or created, and that may be the same source. `twins`
    are such pairs with the same query and columns: there would be two of the same source. `max_changes` is the
    project's limit. `kept` are the forgotten addresses whose sources the definitions tell to keep. `unconfirmed` are
    the fields that somebody else changed, that nobody has agreed to yet, and that this plan does not change.
    """

    lineage: str
    serial: int
    head: str
    actions: tuple[Action, ...]
    requests: tuple["Request", ...]
    managed: int
    environment: str | None = None
    likely_moves: tuple[tuple[Address, Address], ...] = ()
    twins: tuple[tuple[Address, Address], ...] = ()
    max_changes: int | str | None = None
    kept: tuple[Address, ...] = ()
    unconfirmed: tuple[tuple[Address, tuple[str, ...]], ...] = ()

    @property
    def is_over_limit(self) -> bool:
        """Whether it changes more than the project's `max_changes`: `apply` refuses it, unless it is told not to."""
        limit = self.max_changes
        if limit is None:
            return False
        allowed = limit if isinstance(limit, int) else self.managed * int(limit.removesuffix("%")) / 100
        return len(self.changes) > allowed

    @property
    def counts(self) -> Counter[Verb]:
        """How many addresses have each verb, in the order in which they are shown; 0 for all other verbs."""
        return count_verbs(action.verb for action in self.actions)

    @property
    def forgets_all(self) -> bool:
        """Whether nothing is defined and the state has something: more likely a mistake than a wish."""
        return 0 < self.managed == len(self.actions) and all(action.verb is verbs.FORGET for action in self.actions)

    @property
    def changes(self) -> tuple[Action, ...]:
        """The actions that do something."""
        return tuple(action for action in self.actions if action.verb.is_change or action.moved_from)

    @property
    def left_out(self) -> int:
        """How many addresses are left out by targets and excludes: the plan is then partial."""
        return self.managed - len(self.actions)

    @property
    def digest(self) -> str:
        """SHA-256 of all that the plan does, and of the state that it starts from."""
        content = [
            [self.lineage, self.serial, self.head],
            [[action.address, action.verb.word, action.moved_from] for action in self.changes],
            [[r.address, r.call.value, r.name, dict(r.body)] for r in self.requests],
        ]
        return digest_of(content)


def digest_of(content: object) -> str:
    """SHA-256, in hex, of the content as canonical JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def build_plan(
    definitions: Definitions, snapshot: Snapshot, targets: Collection[str] = (), excludes: Collection[str] = ()
) -> Plan:
    """The plan that leads from the snapshot to the definitions.

    With `targets`, only these and what they depend on. Without the `excludes` and all that depends on them. Both are
    addresses, keys, or patterns of either.

    Raises:
        PlanError: a create lacks fields, a name is taken that the state has elsewhere, or one changes that can't.
        UsageError: a target or an exclude that is neither defined nor in the state.
    """
    moved: Mapping[Address, Address] = {}
    # Whatever moves or is forgotten is in the state and not defined. Most plans have no such address, and load nothing.
    is_all_defined = snapshot.resources.keys() <= definitions.resources.keys()
    if not is_all_defined:
        from planner.plan.moves import find_moves  # noqa: PLC0415 - as above

        moved = find_moves(definitions, snapshot)
    # From here on, a moved resource has the address of its definition: nothing else has to know about moves.
    if moved:
        there = {address: snapshot.resources[old] for address, old in moved.items()}
        gone = {*moved.values()}
        stay = {address: one for address, one in snapshot.resources.items() if address not in gone}
        snapshot = snapshot._replace(resources=stay | there)
    actions: Sequence[Action] = [
        diff(definition, snapshot.resources.get(address)) for address, definition in definitions.resources.items()
    ]
    if not is_all_defined:
        actions = [*actions, *_undefined(definitions, snapshot)]
    if moved:
        actions = [action._replace(moved_from=moved.get(action.address)) for action in actions]
    declared = {address: d.depends_on for address, d in definitions.resources.items() if d.depends_on}
    managed = len(actions)
    ordered: tuple[Action, ...] = tuple(actions)
    requests: tuple[Request, ...] = ()
    # If nothing changes, there is nothing to put in order, and most plans save the time to load that.
    if declared or targets or excludes or any(action.verb.is_change for action in actions):
        actions, dependencies = _select(actions, declared, targets, excludes)
        ordered, requests = _arrange(definitions, snapshot, actions, dependencies)
    active = [action for action in actions if action.verb.is_change]
    starts_from = (snapshot.lineage, snapshot.serial, snapshot.head)
    likely: tuple[tuple[Address, Address], ...] = ()
    twins: tuple[tuple[Address, Address], ...] = ()
    if not is_all_defined:
        from planner.plan.moves import find_likely_moves, find_twins  # noqa: PLC0415 - as above

        likely = find_likely_moves(definitions, snapshot, active)
        twins = find_twins(definitions, snapshot, active)
    limit = definitions.settings.max_changes
    kept = tuple(a.address for a in active if a.verb is verbs.FORGET and a.address in definitions.removed)
    unconfirmed = tuple(_left_unconfirmed(ordered, snapshot))
    environment = definitions.environment
    return Plan(*starts_from, ordered, requests, managed, environment, likely, twins, limit, kept, unconfirmed)


def _select(
    actions: Sequence[Action],
    declared: Mapping[Address, Sequence[Address]],
    targets: Collection[str],
    excludes: Collection[str],
) -> "tuple[Sequence[Action], Dependencies]":
    """The actions that targets and excludes leave over, and the dependencies, also those between actions left out."""
    from planner.plan.order import find_dependencies  # noqa: PLC0415 - of a plan that does something

    dependencies = find_dependencies(actions, declared)
    if not (targets or excludes):
        return actions, dependencies
    from planner.plan.select import select  # noqa: PLC0415 - most plans are of everything

    known = [action.address for action in actions]
    wanted = select("--target", targets, known) if targets else set(known)
    if excludes:
        wanted -= dependencies.dependents(select("--exclude", excludes, known))
    wanted = dependencies.closure(wanted)
    return [action for action in actions if action.address in wanted], dependencies


def _arrange(
    definitions: Definitions, snapshot: Snapshot, actions: Sequence[Action], dependencies: "Dependencies"
) -> "tuple[tuple[Action, ...], tuple[Request, ...]]":
    """The actions in the order in which they happen, and the requests that they are.

    Raises:
        PlanError: a create lacks fields, a name is taken that the state has elsewhere, or one changes that can't.
    """
    from planner.plan.order import put_in_order  # noqa: PLC0415 - of a plan that does something

    # What does nothing has no problem, and is most of a large plan.
    if problems := _find_problems(definitions, snapshot, [action for action in actions if action.verb.is_change]):
        raise PlanError(problems)
    ordered, requests = put_in_order(actions, dependencies)
    return ordered, tuple(_as_declared(definitions, r) if r.call is Call.FULL else r for r in requests)


def _left_unconfirmed(actions: Iterable[Action], snapshot: Snapshot) -> Iterator[tuple[Address, tuple[str, ...]]]:
    """The fields that somebody else changed, that nobody has agreed to yet, and that these actions do not change."""
    learned = {address: one for address, one in snapshot.resources.items() if one.unconfirmed}
    for action in actions if learned else ():
        if (prior := learned.get(action.address)) is not None:
            changed = {change.field.name for change in action.changes}
            fields = tuple(
                field.name
                for field in action.type.fields
                if field.name in prior.unconfirmed
                and field.name not in changed
                and not is_same(field.kind, prior.unconfirmed[field.name], prior.values.get(field.name))
            )
            if fields:
                yield action.address, fields


def _undefined(definitions: Definitions, snapshot: Snapshot) -> list[Action]:
    """The actions for addresses that are only in the state; deletes in the order of `[[removed]]`."""
    gone = {address: one for address, one in snapshot.resources.items() if address not in definitions.resources}
    deleted = [address for address, deletes in definitions.removed.items() if deletes and address in gone]
    kept = [address for address in gone if not definitions.removed.get(address)]
    return [
        Action(address, type_of(address), verb, gone[address].name)
        for verb, addresses in ((verbs.DELETE, deleted), (verbs.FORGET, kept))
        for address in addresses
    ]


def _as_declared(definitions: Definitions, request: "Request") -> "Request":
    """The full update with all declared fields: the API might reset a field that the request leaves out."""
    one = definitions.resources[request.address]
    values = {name: value for name, value in one.values.items() if Call.FULL in one.type.field[name].calls}
    return request._replace(body={**values, **({"name": one.name} if "name" in request.body else {})})


def _find_problems(definitions: Definitions, snapshot: Snapshot, actions: Collection[Action]) -> list[Diagnostic]:
    problems: list[Diagnostic] = []
    new: dict[RemoteName, Action] = {}
    for action in actions:
        if action.verb in {verbs.CREATE, verbs.ADOPT}:
            # The same name in another Unicode form would be a second source that nobody can tell from the first.
            new[RemoteName(action.type.name, in_one_form(action.name))] = action
        if action.verb is verbs.CREATE:
            problems += _find_missing(definitions, definitions.resources[action.address])
        if action.new_name is not None and not action.type.renames:
            summary = f"{action.type.name}s can't be renamed: the API accepts no new name"
            expected = f'name = "{action.name}"; rename it in the console, then `{advise("refresh")}`'
            where = definitions.locate(action.address, "name")
            problems.append(Diagnostic(summary, expected, where, action.address, "name"))
    if new:
        problems += _find_taken(definitions, snapshot, new)
    return problems


def _find_missing(definitions: Definitions, one: Definition) -> Iterator[Diagnostic]:
    """The fields that a definition needs to be created, and does not have."""
    missing = [f.name for f in one.type.fields if f.required and one.values.get(f.name) is None]
    if missing:
        command = advise("import", one.address, one.name)
        yield Diagnostic(
            f"{one.address} is not in the state, and can't be created without {', '.join(missing)}",
            f"{', '.join(missing)} too; a source that already exists is imported "
            f"(`{command}`), or adopted (adopt = true)",
            definitions.locate(one.address),
            one.address,
        )


def _find_taken(definitions: Definitions, snapshot: Snapshot, new: Mapping[RemoteName, Action]) -> Iterator[Diagnostic]:
    """The names to be created or adopted that the state has under an address which stays, or is deleted."""
    for holder, prior in snapshot.resources.items():
        if (action := new.get(RemoteName.at(holder, in_one_form(prior.name)))) is None:
            continue
        where = definitions.locate(action.address, "name")
        if prior.name != action.name:
            if holder not in definitions.resources:
                name, other = tell_names_apart(action.name, prior.name)
                summary = f"{holder} in the state has the remote name {name} in another Unicode form, {other}"
                expected = f'[[moved]] from "{holder}" to "{action.address}", or another name'
                yield Diagnostic(summary, expected, where, action.address, "name")
        elif holder in definitions.removed:
            verb, other = "deletes", "two applies: the name is free after the first"
            if not definitions.removed[holder]:
                verb, other = "forgets", "another name: what is forgotten stays in Statsig, and keeps its name"
            summary = f'the remote name "{prior.name}" belongs to {holder} in the state, which this plan {verb}'
            expected = f'[[moved]] from "{holder}" to "{action.address}", or {other}'
            yield Diagnostic(summary, expected, where, action.address, "name")
        elif holder in definitions.resources and action.verb is verbs.ADOPT:
            summary = f'the remote name "{prior.name}" belongs to {holder} in the state, which this plan would rename'
            expected = f"the name of an existing source, or first a plan that renames only {holder}"
            yield Diagnostic(summary, expected, where, action.address, "name")
