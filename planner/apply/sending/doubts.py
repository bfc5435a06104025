"""Answers that don't say how the source is: a list decides, and here is what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from planner.apply.checks.conflicts import tell_renamed
from planner.apply.checks.twins import find_alike
from planner.apply.sending.resolve import READ_AFTER_S
from planner.apply.sending.sight import Sight
from planner.apply.sending.waits import Waits
from planner.console.answers import call_of
from planner.console.outcomes import outcome_reason
from planner.definitions.fields import Call
from planner.definitions.resources import ResourceType
from planner.escape import format_value
from state.advice import advise
from state.records import Applied, Deleted, Intent, Outcome, Rejected, Resolved, Unknown
from state.values import Object


def doubt_name(
    intent: Intent, applied: Applied, list_names: Callable[[], Mapping[str, Object]], waits: Waits
) -> Applied | Unknown:
    """The outcome; unknown if the answer has the name in another form than the list, or the old one of a rename."""
    asked, told = str(intent.sent.get("name", intent.name)), applied.data.get("name")
    if told == asked:
        return applied
    # A server that answers with the old name may have carried the rename out, and its list may be behind as well.
    for seconds in READ_AFTER_S if told == intent.name else READ_AFTER_S[:1]:
        waits.wait(seconds, "listing again, because the answer has the old name")
        listed = list_names()
        if asked in listed and told not in listed:
            form = "another name" if told == intent.name else "the name in another form"
            reason = f"the API answered {applied.status}, with {form} than in the list"
            return Unknown(applied.address, reason, applied.duration_ms, applied.at)
    return applied


def doubt_gone(intent: Intent, deleted: Deleted, type_: ResourceType, sight: Sight) -> Deleted | Rejected | Unknown:
    """The outcome, corrected if the source still exists, or exists with another name, as `sight` just had it."""
    what = deleted.address, deleted.duration_ms, deleted.at
    if intent.name in sight.remote[type_.name]:
        return Unknown(what[0], "the API answered 404, but the list has it", *what[1:])
    if alike := sight.find_alike(type_, intent.before):
        return Rejected(what[0], 404, tell_renamed(intent.name, alike), False, None, *what[1:])  # noqa: FBT003
    return deleted


def doubt_again(outcome: Outcome) -> Outcome:
    """The outcome of a rename that was sent again, if the first one may have been applied late.

    Then the old name is gone, or the new one is taken by this very source, and the API refuses the second one.
    """
    if isinstance(outcome, Rejected) and outcome.status not in {None, 401, 403, 429}:
        reason = f"the API answered {outcome_reason(outcome)}"
        return Unknown(outcome.address, reason, outcome.duration_ms, outcome.at)
    return outcome


def tell_superseded(intent: Intent, resolved: Resolved, type_: ResourceType, sight: Sight) -> str:
    """What a list told of a request that somebody came before."""
    match call_of(intent):
        case Call.DELETE if resolved.data is None:
            return tell_renamed(intent.name, sight.find_alike(type_, intent.before))
        case Call.CREATE if resolved.data is None:
            alike = find_alike(type_, intent, sight.find_new(type_))
            made = f"somebody else created {format_value(intent.name)} in the meantime: run `{advise('import')}`"
            return tell_renamed(intent.name, alike, "import") if alike else made
        case _:
            return "the list has neither the new nor the old values: plan again"
