"""Another run that may have changed what was listed, for people and for tools: then a difference is nobody's drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from state.values import JSON

if TYPE_CHECKING:
    from state.runs import AtWork


def describe(run: AtWork) -> str:
    """That what was seen may be half of what the run changes, in sentences; not escaped."""
    if run.has_ended:
        return f"a run of {run.who}, was at work meanwhile: what is seen may be half of what it changed. Look again."
    return f"a run of {run.who}, is in progress: what is seen may be half of what it changes. Look again when it ended."


def to_json(run: AtWork) -> JSON:
    """`who` with the time since when, and whether the run `ended` while the remote was listed."""
    return {"who": run.who, "ended": run.has_ended}
