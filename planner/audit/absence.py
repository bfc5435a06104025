"""Whether a source that a list lacks is gone. This is the one place that decides it.

    a source of the state                                           is
    ------------------------------------------------------------------------------------------------
    is missing from two lists, the second 5 s or more after the     gone
    first, both of which agree with themselves
    is missing, and the API answered a change of it in the last     undecided, after three lists
    60 s: lists may be behind
    is shown as it was before that answer                           undecided, after three lists
    is missing from a list that contradicts itself                  undecided
    is shown in more than one way by a list that does               undecided

An undecided source counts neither as gone nor as drifted, and is reported. Pure: `run` lists the remote, this compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from attrs import field, frozen

from planner.audit.drift import Remote
from planner.console.answers import kind_of
from planner.console.listing import Listing
from planner.definitions.addresses import type_of
from planner.definitions.equality import is_same
from planner.definitions.resources import ResourceType
from state.records import Applied, Intent, Record, Resolved
from state.snapshot import ResourceState, Snapshot
from state.values import Address, Object

LOOKS = 3
"""How often the remote is listed, at most."""
LOOK_AGAIN_S = 5.0
"""The time between two lists."""
RECENT_S = 60.0
"""For so long after an answered change, a list may still be behind."""


@frozen
class Look:
    """The remote as it was listed; `undecided` says why the existence or the values of a source are unknown."""

    remote: Remote
    undecided: Mapping[Address, str] = field(factory=dict)


class Doubt(NamedTuple):
    """Why a list is not believed about one source; another list may tell if it `may_settle`."""

    type: ResourceType
    reason: str
    may_settle: bool


def find_recent(records: Iterable[Record]) -> Mapping[Address, Intent]:
    """The last change of each address that the API answered for, of these records."""
    sent: dict[Address, Intent] = {}
    answered: dict[Address, Intent] = {}
    for record in records:
        match record:
            case Intent(address):
                sent[address] = record
            # Only what the API answered for: of a rejected change a list can't be behind.
            case Applied(address) | Resolved(address, "applied") if address in sent:
                answered[address] = sent[address]
            case _:
                pass
    return answered


def find_doubts(
    snapshot: Snapshot, remote: Remote, recent: Mapping[Address, Intent], looks: int
) -> Mapping[Address, Doubt]:
    """What can't be trusted after this many `looks` at the remote; `recent` comes from `find_recent`."""
    found: dict[Address, Doubt] = {}
    for address, prior in snapshot.resources.items():
        type_ = type_of(address)
        # Of an address with an unknown outcome nothing is compared: the next apply finds out what became of it.
        if address not in snapshot.unresolved and type_.name in remote:
            doubt = _doubt(type_, prior, remote[type_.name], recent.get(address), looks)
            if doubt is not None:
                found[address] = doubt
    return found


def _doubt(
    type_: ResourceType, prior: ResourceState, listed: Mapping[str, Object], intent: Intent | None, looks: int
) -> Doubt | None:
    source = listed.get(prior.name)
    if isinstance(listed, Listing) and (reason := listed.doubt(prior.name)) is not None:
        return Doubt(type_, reason, may_settle=False)
    if source is None and isinstance(listed, Listing) and listed.problem is not None:
        return Doubt(type_, "the list does not have it, and contradicts itself", may_settle=False)
    if source is None and intent is not None:
        reason = "the list does not have it, but may be late: the API answered a change of it less than a minute ago"
        return Doubt(type_, reason, may_settle=True)
    # One list alone never makes a source gone: it takes a second one that lacks it, too.
    if source is None:
        return Doubt(type_, "the list does not have it", may_settle=True) if looks == 1 else None
    if intent is not None and _is_behind(type_, prior, source, intent):
        reason = "the list has its old values, but may be late: the API answered a change of it less than a minute ago"
        return Doubt(type_, reason, may_settle=True)
    return None


def _is_behind(type_: ResourceType, prior: ResourceState, source: Object, intent: Intent) -> bool:
    """Whether the changed fields still have their old values, and not those of the answer."""
    changed = [
        (kind_of(type_, name), name)
        for name in intent.sent
        if name in intent.before and name in source and name in prior.data and name != "name"
    ]
    # All of them are old: if one is neither old nor ours, somebody changed it, and that is drift. And one of them must
    # differ from the answer: a change to the value that was there already can't be late.
    return all(is_same(kind, intent.before[name], source[name]) for kind, name in changed) and any(
        not is_same(kind, prior.data[name], source[name]) for kind, name in changed
    )


def combine(older: Remote, newer: Remote) -> Remote:
    """What two looks show together: a source that is missing in only one of them exists."""
    return {**older, **{name: _combined(older[name], listed) for name, listed in newer.items()}}


def _combined(older: Mapping[str, Object], newer: Mapping[str, Object]) -> Listing:
    both = [one if isinstance(one, Listing) else Listing(one) for one in (older, newer)]
    problem = next((one.problem for one in both if one.problem is not None), None)
    # What the newer list shows clearly is no longer doubtful because the older one contradicted itself about it.
    return Listing({**older, **newer}, problem, both[1].doubtful | (both[0].doubtful - newer.keys()))
