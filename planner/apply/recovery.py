"""A recovery: finds out what became of the requests that an earlier run left open. It is a run of its own."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping

from attrs import define, field

from planner.apply.checks.conflicts import show_names
from planner.apply.run import Run
from planner.apply.sending.remembered import remember
from planner.apply.sending.resolve import Lister, find_names, resolve
from planner.console.answers import call_of
from planner.console.outcomes import outcome_reason
from planner.definitions.addresses import RemoteName, type_of
from planner.definitions.fields import Call
from planner.definitions.resources import ResourceType
from planner.escape import escape, format_value
from planner.plan.moves import analysed
from planner.plural import one_or_many
from state.records import Intent, Resolved
from state.session import Session
from state.values import Object


@define(eq=False, repr=False)
class _Remembering:
    """A client for who only lists; `listed` are the last lists, by the type's name."""

    client: Lister
    listed: dict[str, Mapping[str, Object]] = field(factory=dict)

    def list(self, type_: ResourceType) -> Mapping[str, Object]:
        self.listed[type_.name] = listed = self.client.list(type_)
        return listed


def resolve_unknown(run: Run, session: Session) -> tuple[Intent, ...]:
    """Find out and record the outcomes; returns the creates among them that somebody may have renamed.

    Raises:
        ApiError: the remote can't be listed; they stay unknown.
        StateError: they can't be recorded.
    """
    if not session.unresolved:
        return ()
    run.output.say(f"finding out what happened to the last request for {escape(', '.join(session.unresolved))} …")
    # A run of its own, without a plan: what it records is not the work of the apply that comes next.
    session.record(run.begin(None))
    intents, named = tuple(session.unresolved.values()), find_names(session.snapshot)
    lister = _Remembering(run.connect())
    found = resolve(
        intents,
        lister,
        run.clock,
        lambda seconds: _count_down(run, seconds),
        lambda type_, name: RemoteName(type_.name, name) not in named,
    )
    for intent, resolved in zip(intents, found, strict=True):
        with run.interrupts.shield():
            session.record(remember(resolved, intent, session.resource(intent.address)))
        reason = outcome_reason(resolved)
        run.output.say(f"{escape(resolved.address)}: {resolved.verdict}{f', {reason}' if reason else ''}")
        if names := _find_changed(intent, resolved, lister.listed, named):
            run.output.warn(_tell_changed(intent, names))
    with run.interrupts.shield():
        session.commit("ok")
    return tuple(_find_renamed(zip(intents, found, strict=True)))


def _find_renamed(resolved: Iterable[tuple[Intent, Resolved]]) -> Iterable[Intent]:
    for intent, one in resolved:
        if call_of(intent) is Call.CREATE and one.verdict == "superseded" and one.data is None:
            yield intent


def _find_changed(
    intent: Intent, resolved: Resolved, remote: Mapping[str, Mapping[str, Object]], named: Container[RemoteName]
) -> list[str]:
    """The names that nobody manages of what has the query and the columns of a source that counts as deleted.

    What there was before the run that asked for it is not known any more.
    """
    if call_of(intent) is not Call.DELETE or resolved.verdict != "applied":
        return []
    type_ = type_of(intent.address)
    unmanaged = (one for one in remote[type_.name].items() if RemoteName(type_.name, one[0]) not in named)
    return [name for name, source in unmanaged if analysed(type_, source) == analysed(type_, intent.before)]


def _tell_changed(intent: Intent, names: list[str]) -> str:
    """That one of these may be the source."""
    shown, has = show_names(names, intent.name), one_or_many(len(names), "has", "have")
    told = f"{escape(intent.address)} counts as deleted, because no list has {format_value(intent.name)}"
    same = f"{shown} {has} the same query and columns"
    return f"{told}. But {same}: perhaps somebody renamed and changed it. Look at it in Statsig"


def _count_down(run: Run, seconds: float) -> None:
    """Wait as long as a request of an earlier run may still be carried out."""
    told = "the API may still carry it out: looking again in"
    # A log has no countdown, and who reads it has to know why nothing happens for minutes.
    run.output.say(f"{told} {math.ceil(seconds)} s")
    run.clock.wait(seconds, lambda left: run.output.count(f"{told} {math.ceil(left)} s"))
    run.output.count("")
