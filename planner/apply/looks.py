"""A look at the remote: list its sources, again if one list is not enough. `absence` decides what is enough."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache

from planner.apply.checks.late import Late, find_late
from planner.apply.run import Run
from planner.audit.absence import LOOK_AGAIN_S, LOOKS, RECENT_S, Look, combine, find_doubts, find_recent
from planner.audit.drift import Remote
from planner.definitions.resources import ResourceType
from state import store
from state.records import Intent
from state.snapshot import Snapshot
from state.values import Address, Object


def take_look(
    run: Run, types: Iterable[ResourceType], snapshot: Snapshot, only: Collection[Address] | None = None
) -> Look:
    """The remote, listed again where one list is not enough to call a source of the state gone or changed.

    With `only`, where it is not enough for these addresses.

    Raises:
        OtherProject: it is not that of the state.
        ApiError: the remote can't be listed.
        StateError: the journal can't be read.
    """
    remote = run.list_remote(types)
    run.check_project(snapshot, remote)
    return _believe(run, remote, snapshot, only)


def look_again(run: Run, types: Iterable[ResourceType], snapshot: Snapshot, only: Collection[Address]) -> Look:
    """As `take_look`, where the project was checked in this run.

    Raises:
        ApiError: the remote can't be listed.
        StateError: the journal can't be read.
    """
    return _believe(run, run.list_remote(types), snapshot, only)


def _believe(run: Run, remote: Remote, snapshot: Snapshot, only: Collection[Address] | None) -> Look:
    recent = _find_recent(run, snapshot)
    if only is not None:
        wanted = snapshot.resources.keys() & only
        snapshot = snapshot._replace(resources={address: snapshot.resources[address] for address in wanted})
    looks = 1
    while True:
        doubts = find_doubts(snapshot, remote, recent, looks)
        again = {doubt.type.name: doubt.type for doubt in doubts.values() if doubt.may_settle}
        if not again or looks == LOOKS:
            return Look(remote, {address: doubt.reason for address, doubt in doubts.items()})
        with run.counting("listing again, because a source is missing in the list") as tell:
            tell(0)
            run.clock.sleep(LOOK_AGAIN_S)
        remote = combine(remote, run.list_remote(again.values()))
        looks += 1


def _find_recent(run: Run, snapshot: Snapshot) -> Mapping[Address, Intent]:
    if not snapshot.head:
        return {}
    now = run.clock.timestamp()
    records = store.read_latest(run.place, run.clock.timestamp(RECENT_S))
    # A time in the future comes from another clock.
    return find_recent(record for record in records if record.at <= now)


def read_late(run: Run) -> Late:
    """What requests of earlier runs may have changed late. The journal is read when somebody asks: hardly anybody does.

    Raises, when asked:
        StateError: the journal can't be read.
    """

    @cache
    def read() -> Mapping[Address, Object]:
        return find_late(store.read_latest(run.place, ""))

    return lambda address: read().get(address, {})
