"""Finds out an unknown outcome by listing the remote. Never sends a PATCH.

Whether the list is read-after-write consistent is not published, and a server may apply a request after its connection
broke: only "applied" is believed at once; every other result must be the same in several lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, Protocol, TypeAlias

from planner.apply.checks.twins import find_alike
from planner.clock import Clock, moment_of
from planner.console.answers import call_of, compare_echo, kind_of
from planner.console.listing import Listing
from planner.definitions.addresses import RemoteName, type_of
from planner.definitions.equality import is_same, is_satisfied, normal_form
from planner.definitions.fields import Call, Kind, Table
from planner.definitions.resources import ResourceType
from planner.errors import Unreachable
from planner.escape import find_in_another_form
from state.records import Intent, Resolved
from state.snapshot import Snapshot
from state.values import JSON, Address, Object


class Lister(Protocol):
    """What a list is asked of: a client, for one."""

    def list(self, type_: ResourceType, /) -> Mapping[str, Object]:
        """The sources of the type by their names."""


READ_AFTER_S = (0.0, 1.0, 2.0)
"""Seconds to wait before each read."""

Verdict: TypeAlias = Literal["applied", "not applied", "superseded"]
MayBeIts: TypeAlias = Callable[[ResourceType, str], bool]
"""Whether a source with this name may be one that had another name when it was to be created or deleted."""


def _is_nobodys(_type: ResourceType, _name: str) -> bool:
    return False


class Evidence(NamedTuple):
    """What one list says about an intent; `source` is the source as listed, None when it is gone."""

    verdict: Verdict
    source: Object | None


def resolve(
    intents: Iterable[Intent],
    client: Lister,
    clock: Clock,
    wait: Callable[[float], None] | None = None,
    may_be_its: MayBeIts = _is_nobodys,
) -> tuple[Resolved, ...]:
    """The outcomes of the intents, in their order; `may_be_its` as in `judge`.

    With `wait`, which lets so many seconds go by, also of those that may be applied until their deadline is over:
    without it "not applied" is "not yet".

    Raises:
        ApiError: the remote could not be listed; they stay unknown.
        PlanError: an address of a type that this statform does not know.
    """
    waiting = list(intents)
    found: dict[Address, Evidence] = {}
    for seconds in READ_AFTER_S:
        if waiting:
            clock.sleep(seconds)
            types = {intent.address: type_of(intent.address) for intent in waiting}
            listed = {name: client.list(type_) for name, type_ in {t.name: t for t in types.values()}.items()}
            for intent in waiting:
                check_believed(intent, listed[types[intent.address].name])
            for intent in waiting:
                type_ = types[intent.address]
                found[intent.address] = judge(type_, intent, listed[type_.name], may_be_its)
            waiting = [i for i in waiting if found[i.address].verdict != "applied"]
    seconds = max((may_land_s(intent, clock) for intent in waiting), default=0.0)
    if wait is not None and seconds > 0:
        wait(seconds)
        return resolve(intents, client, clock, may_be_its=may_be_its)
    return tuple(_resolved(intent, found[intent.address], clock.timestamp()) for intent in intents)


def check_believed(intent: Intent, listed: Mapping[str, Object]) -> None:
    """Refuse a list that contradicts itself as evidence for sources that it does not show, or shows in more than one
    way.

    Raises:
        Unreachable: it would be such.
    """
    if isinstance(listed, Listing) and listed.problem is not None:
        names = {intent.name, str(intent.sent.get("name", intent.name))}
        if names & listed.doubtful or not names & listed.keys():
            what = f"it is unknown what happened to the request for {intent.address}"
            raise Unreachable(f"{what}, because the list contradicts itself: {listed.problem}")


def may_land_s(intent: Intent, clock: Clock) -> float:
    """For how many more seconds a request may do harm if it is carried out late, even if no list shows it.

    A PATCH that is sent again says the same. But a second create makes a second source, and a name that is given late
    may be that of another source by then.
    """
    is_harmless = intent.method == "PATCH" and intent.sent.get("name", intent.name) == intent.name
    deadline_s = 0.0 if is_harmless else float(intent.deadline_s or 0)
    # If the time is invalid or in the future, its age is unknown.
    sent_at = moment_of(intent.at) or clock.now()
    return max(0.0, deadline_s - max(0.0, (clock.now() - sent_at).total_seconds()))


def find_names(snapshot: Snapshot) -> frozenset[RemoteName]:
    """The names that the state has, and those that requests without an outcome may have given."""
    known = {address: one.name for address, one in snapshot.resources.items()}
    asked = {address: str(one.sent.get("name", one.name)) for address, one in snapshot.unresolved.items()}
    return frozenset(RemoteName.at(*one) for one in (*known.items(), *asked.items()))


def _resolved(intent: Intent, evidence: Evidence, at: str) -> Resolved:
    data = None if evidence.verdict == "not applied" else evidence.source
    unreturned: Object = {}
    if evidence.verdict == "applied" and data is not None:
        unreturned = compare_echo(type_of(intent.address), intent.before, intent.sent, data).unreturned
    return Resolved(intent.address, evidence.verdict, data, unreturned, at)


def judge(
    type_: ResourceType, intent: Intent, listed: Mapping[str, Object], may_be_its: MayBeIts = _is_nobodys
) -> Evidence:
    """What one list says of an intent.

    Applied: every field sent that can be seen is as sent. Not applied: every one is as before. Else somebody else
    changed the source, or nothing of what was sent can be seen: superseded, to be planned again from what is there.
    The API tells no ID: what was to be deleted, or created, is renamed if another name has all else of it, and
    `may_be_its`; where the name differs only as an API tidies one, it is what was sent.
    """
    match call_of(intent):
        case Call.CREATE | Call.DELETE as call:
            there: str | None = intent.name
            if call is Call.CREATE and intent.name not in listed:
                there = find_in_another_form(intent.name, listed)
            source = None if there is None else listed.get(there)
            if source is None:
                alike = [name for name in find_alike(type_, intent, listed) if may_be_its(type_, name)]
                gone: Verdict = "not applied" if call is Call.CREATE else "applied"
                if call is Call.CREATE and len(tidied := _find_tidied(intent.name, alike)) == 1:
                    return Evidence("applied", listed[tidied[0]])
                return Evidence("superseded" if alike else gone, None)
            return _judge_create(type_, intent, source) if call is Call.CREATE else Evidence("not applied", None)
        case _:
            return _judge_tidied(type_, intent, listed, may_be_its) or _judge_change(type_, intent, listed)


def _find_tidied(name: str, names: Iterable[str]) -> list[str]:
    """The names that an API may have made of this one: they differ in white space, case or Unicode form."""
    form = normal_form(name)
    return [one for one in names if normal_form(one) == form]


def _judge_tidied(
    type_: ResourceType, intent: Intent, listed: Mapping[str, Object], may_be_its: MayBeIts
) -> Evidence | None:
    """Whether a rename was applied, and the API tidied the new name; None if nothing says so."""
    new_name = str(intent.sent.get("name", intent.name))
    if {new_name, intent.name} & listed.keys():
        return None
    sources = [listed[one] for one in _find_tidied(new_name, listed) if may_be_its(type_, one)]
    is_as_sent = len(sources) == 1 and not compare_echo(type_, intent.before, intent.sent, sources[0]).not_accepted
    return Evidence("applied", sources[0]) if is_as_sent else None


def _judge_create(type_: ResourceType, intent: Intent, source: Object) -> Evidence:
    """A source that somebody else created in the meantime, with other values, never counts as ours."""
    visible = {name: value for name, value in intent.sent.items() if name in source}
    is_ours = len(visible) > 1 and not compare_echo(type_, intent.before, visible, source).not_accepted
    return Evidence("applied", source) if is_ours else Evidence("superseded", None)


def _judge_change(type_: ResourceType, intent: Intent, listed: Mapping[str, Object]) -> Evidence:
    new_name = str(intent.sent.get("name", intent.name))
    old, source = listed.get(intent.name), listed.get(new_name)
    if new_name != intent.name and (source is None or old is not None):
        # The rename did not happen; when the old name is gone as well, somebody else moved the source.
        return Evidence("not applied" if old and _is_as_before(type_, intent, old) else "superseded", old)
    if source is None:
        return Evidence("superseded", None)
    visible = {name: value for name, value in intent.sent.items() if name in source or value is None}
    # Fields that a full update does not change are there in both cases.
    can_tell = bool(_find_telling(type_, intent) & visible.keys())
    if can_tell and not compare_echo(type_, intent.before, visible, source).not_accepted:
        return Evidence("applied", source)
    is_as_before = visible and _is_as_before(type_, intent, source)
    # A full update that no list shows may still be carried out, over the changes of others: wait for it.
    is_not_applied = is_as_before and (can_tell or intent.method != "PATCH")
    return Evidence("not applied" if is_not_applied else "superseded", source)


def _find_telling(type_: ResourceType, intent: Intent) -> set[str]:
    """The fields that the request was to change, which tell whether it did; all of them, if it was to change none.

    Of a field whose value nobody knew, any value may be a change.
    """
    moved = {
        name
        for name, value in intent.sent.items()
        if (name not in intent.before and value is not None)
        or not is_same(kind_of(type_, name), intent.before.get(name), value)
    }
    return moved or {*intent.sent}


def _is_as_before(type_: ResourceType, intent: Intent, source: Object) -> bool:
    """Whether no sent field changed, as far as its old and its current value are known."""
    known = [name for name in intent.sent if name in intent.before and name in source]
    kinds = {name: kind_of(type_, name) for name in known}
    return all(_is_as_it_was(kind, intent.before[name], source[name]) for name, kind in kinds.items())


def _is_as_it_was(kind: Kind, before: JSON, actual: JSON) -> bool:
    # An API adds members to a table.
    return is_same(kind, before, actual) or (isinstance(kind, Table) and is_satisfied(kind, before, actual))
