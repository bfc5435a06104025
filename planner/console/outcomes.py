"""The words for the outcome of a request, used by the run, its output and the history."""

from __future__ import annotations

from typing import Literal, TypeAlias

from state.records import Applied, Deleted, Outcome, Rejected, Resolved, Unknown

OutcomeWord: TypeAlias = Literal["applied", "rejected", "unknown", "not applied", "superseded"]


def outcome_word(outcome: Outcome | Resolved) -> OutcomeWord:
    """What tools are told, and what people read; a delete that was carried out is applied too."""
    match outcome:
        case Applied() | Deleted():
            return "applied"
        case Rejected():
            return "rejected"
        case Unknown():
            return "unknown"
        case Resolved(verdict=verdict):
            return verdict


def outcome_reason(outcome: Outcome | Resolved) -> str | None:
    """Why it was not simply applied; None: there is nothing to say. It may hold what a server wrote."""
    match outcome:
        case Rejected(status=None, message=message):
            return message
        case Rejected(status=status, message=message):
            return f"{status}: {message}"
        case Unknown(reason=reason):
            return reason
        case Resolved(verdict="superseded", data=data):
            return f"somebody else {'changed' if data else 'renamed or deleted'} the source"
        case _:
            return None
