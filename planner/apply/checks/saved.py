"""A saved plan that was made from the remote: make it again from the list of then, and compare with the remote of now.

Pure: `run` lists the remote.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from planner.apply.checks.conflicts import show_value, with_look
from planner.audit.drift import Drift, Remote, changed_fields, find_changes, find_followed, find_shown, refresh
from planner.definitions.addresses import type_of
from planner.definitions.definition import Definitions
from planner.definitions.equality import is_same
from planner.definitions.resources import RESOURCE_TYPES
from planner.errors import Diagnostic, RemoteChanged
from planner.escape import escape
from planner.plan import verbs
from planner.plan.build import Plan, build_plan
from planner.plan.diff import ABSENT, NAME, FieldChange
from planner.plan.saved import Listed, Refusal, SavedPlan
from state.advice import advise
from state.fold import replay
from state.records import Refreshed
from state.snapshot import ResourceState, Snapshot
from state.values import Address, Object

_MAX_SHOWN = 10


def make_again(saved: SavedPlan, definitions: Definitions, snapshot: Snapshot, at: str) -> tuple[Plan, Snapshot]:
    """The plan, made of the definitions and of the state with what was listed; and that state. `at` is now.

    Raises:
        PlanError, UsageError: as `build_plan`.
    """
    listed = saved.listed or {}
    records = (Refreshed(a, one.data, one.unreturned, at) for a, one in listed.items() if a in snapshot.resources)
    start = replay(snapshot, records)
    plan = build_plan(definitions, start, saved.targets, saved.excludes)
    return (plan if saved.listed is None else with_look(plan, adopted(saved, snapshot))), start


def adopted(saved: SavedPlan, snapshot: Snapshot) -> Remote:
    """The sources that were to be adopted, as they were listed."""
    found: dict[str, dict[str, Object]] = {name: {} for name in RESOURCE_TYPES}
    for address, one in (saved.listed or {}).items():
        if address not in snapshot.resources and one.data is not None:
            found[type_of(address).name][str(one.data["name"])] = one.data
    return found


def drifts_of(saved: SavedPlan, snapshot: Snapshot) -> tuple[Drift, ...]:
    """The drift that the plan showed for its sources; none if the remote was not listed."""
    listed = saved.listed or {}
    return tuple(_drift_of(a, snapshot.resources[a], one) for a, one in listed.items() if a in snapshot.resources)


def _drift_of(address: Address, prior: ResourceState, listed: Listed) -> Drift:
    type_, source = type_of(address), listed.data
    if source is None:
        return Drift(address, type_, prior.name, (), None)
    # A field that the list does not show for this source keeps its known value, unless the list shows it for others.
    shown = frozenset(prior.data).difference(listed.unreturned)
    changes = tuple(find_changes(type_, prior, source, shown))
    if source["name"] != prior.name:
        changes = (*changes, FieldChange.of(NAME, prior.name, source["name"]))
    return Drift(address, type_, prior.name, changes, source)


def check_alike(saved: SavedPlan, snapshot: Snapshot, remote: Remote) -> None:
    """Check that everything is as the saved plan showed it: nobody has seen other values.

    Raises:
        PlanRefused: something is not as it was listed then.
    """
    if unlike := [*_find_unlike(saved, snapshot, remote)]:
        more = f"; and {len(unlike) - _MAX_SHOWN} more" if len(unlike) > _MAX_SHOWN else ""
        raise saved.refused(Refusal.OTHER_REMOTE, "; ".join(map(escape, unlike[:_MAX_SHOWN])) + more)


def _find_unlike(saved: SavedPlan, snapshot: Snapshot, remote: Remote) -> Iterator[str]:
    """What changed since the plan was saved, as `ADDRESS: FIELD, …`."""
    now = {drift.address: drift for drift in _drifts(saved, snapshot, remote)}
    shown = find_shown(remote)
    for address, was in (saved.listed or {}).items():
        type_, prior = type_of(address), snapshot.resources.get(address)
        source = now[address].source if address in now else _source(remote[type_.name], was.data, prior)
        if was.data is None or source is None:
            if was.data is not source:
                yield f"{address}: it {'exists again' if source else 'is gone'}"
            continue
        then = ResourceState(str(was.data["name"]), was.data, was.unreturned, "")
        fields = [one.field.name for one in changed_fields(type_, then, source, shown[type_.name])]
        fields += ["name"] if source["name"] != then.name else []
        if fields:
            yield f"{address}: {', '.join(fields)}"


def check_seen(saved: SavedPlan, looked: Plan, definitions: Definitions, overwrites: Collection[Address]) -> None:
    """That the plan showed what its adoptions overwrite: one saved offline did not; `looked` has the old values.

    Raises:
        RemoteChanged: there is a value that it did not show, and nobody asked to overwrite it.
    """
    if found := _find_unseen(saved, looked, definitions, overwrites):
        raise RemoteChanged(found)


def _find_unseen(
    saved: SavedPlan, looked: Plan, definitions: Definitions, overwrites: Collection[Address]
) -> tuple[Diagnostic, ...]:
    """The values that an adoption overwrites, and that a plan saved offline did not show; `looked` has them."""
    again = advise("plan", "--refresh", *saved.options, "--out", saved.path)
    return tuple(
        Diagnostic(
            f"the plan did not show the old value of {change.field.name}, {show_value(change.before, change.after)}",
            f"a plan that shows it (`{again}`), or, to overwrite it unseen, "
            f"`{advise('apply', saved.path, '--overwrite', action.address)}`",
            definitions.locate(action.address, change.field.name),
            action.address,
            change.field.name,
        )
        for action in (looked.actions if saved.listed is None else ())
        if action.verb is verbs.ADOPT and action.address not in overwrites
        for change in action.changes
        if change.before is not ABSENT and not is_same(change.field.kind, change.before, None)
    )


def _source(sources: Mapping[str, Object], was: Object | None, prior: ResourceState | None) -> Object | None:
    """The source now, of one that is adopted, or that is as the state has it again."""
    name = prior.name if prior else str(was["name"]) if was else ""
    return sources.get(name)


def records_of(saved: SavedPlan, snapshot: Snapshot, remote: Remote, at: str) -> tuple[Refreshed, ...]:
    """The records that take into the state what the plan showed to have moved; `remote` is as it was listed."""
    return refresh(_drifts(saved, snapshot, remote), snapshot, at)


def _drifts(saved: SavedPlan, snapshot: Snapshot, remote: Remote) -> Iterator[Drift]:
    listed = saved.listed or {}
    known = {a: one for a, one in snapshot.resources.items() if type_of(a).name in remote}
    state = snapshot._replace(resources=known)
    drifts = find_followed(state, remote) if listed else ()
    return (drift for drift in drifts if drift.address in listed)
