"""A run as a person follows it at a terminal: a line for each event, and the report at its end.

    assignment_source.checkout: updating checkout_exposures … [1/2]
    assignment_source.checkout: updated (0.21 s)
    assignment_source.search: adopting search … [2/2]
    assignment_source.search: rejected, 400: no such column (0.19 s)
    Apply incomplete: 1 updated, 1 rejected.
      rejected       assignment_source.search: 400: no such column

The lines of the events go to stderr, the report is the result. Neither knows whether the other was shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from planner.apply.report import Done, Event, Report, Sending, Waiting
from planner.console.outcomes import outcome_reason, outcome_word
from planner.escape import escape, format_name
from planner.plan.verbs import Verb, count_verbs
from planner.plural import changed_by_others
from planner.render.style import Style
from state.records import Outcome, Rejected, Resolved
from state.values import Address

OVER_LIMIT = 429


def format_event(event: Event, verbs: Mapping[Address, Verb], style: Style, *, is_dry_run: bool = False) -> str:
    """One line that says what happens now, without a line end."""
    match event:
        case Sending(request=request, number=number, total=total):
            doing = "checking" if is_dry_run else verbs[request.address].doing
            return f"{escape(request.address)}: {doing} {format_name(request.name)} … [{number}/{total}]"
        case Done(request=request, outcome=outcome, duration_s=seconds):
            done = "accepted" if is_dry_run else verbs[request.address].done
            # As long as the journal has it: without the waits between the attempts.
            took = seconds if isinstance(outcome, Resolved) else outcome.duration_ms / 1000
            return f"{escape(request.address)}: {_outcome(outcome, done, style)} ({took:.2f} s)"
        case Waiting(seconds=seconds, why=why):
            return style.yellow(f"waiting {math.ceil(seconds)} s: {escape(why)}")


def _outcome(outcome: Outcome | Resolved, done: str, style: Style) -> str:
    # Not "rejected": it is sent again after a wait, and nothing is wrong with the change.
    if isinstance(outcome, Rejected) and outcome.status == OVER_LIMIT:
        return style.yellow("too many requests for the API, 429")
    word, reason = outcome_word(outcome), outcome_reason(outcome)
    if word == "applied":
        return style.green(done)
    shown = style.red(word) if word in {"rejected", "not applied"} else style.yellow(word)
    return shown if reason is None else f"{shown}, {escape(reason)}"


def format_report(report: Report, style: Style, *, is_dry_run: bool = False) -> str:
    """What a run did: one line when all went well, else also a line for each address that did not."""
    counts = count_verbs(action.verb for action in report.applied)
    done = [f"{n} {verb.to_do if is_dry_run else verb.done}" for verb, n in counts.items() if verb.is_change]
    if moved := sum(action.moved_from is not None for action in report.applied):
        done.append(f"{moved} {'to move' if is_dry_run else 'moved'}")
    name = "Dry run" if is_dry_run else "Apply"
    if report.is_complete:
        would = "; the API would accept all of it, and nothing was changed" if is_dry_run else ""
        return style.wrap_lines(style.green(f"{name} complete:") + f" {', '.join(done) or 'nothing to do'}{would}.\n")
    which = list_not_applied(report)
    failed = [f"{len(those)} {fate}" for fate, those in which.items() if those]
    summary = ", ".join([*done, *failed]) or "nothing was done"
    lines = [
        line
        for fate, those in which.items()
        for address, why in those.items()
        for line in style.wrap(f"  {fate:<13}  {escape(address)}: {escape(why)}", " " * 6)
    ]
    return "\n".join([*style.wrap(style.red(f"{name} incomplete:") + f" {summary}."), *lines]) + "\n"


def list_not_applied(report: Report) -> dict[str, Mapping[Address, str]]:
    """What became of the addresses that were not simply applied, and why, in a text for each."""
    return {
        "rejected": report.rejected,
        "unknown": report.unknown,
        "skipped": report.skipped,
        "not attempted": dict.fromkeys(report.not_attempted, "the run ended before"),
        "drifted": {
            a: f"{changed_by_others(len(f))} in the meantime ({', '.join(f)}); a plan would now undo it"
            for a, f in report.drifted.items()
        },
        "not accepted": {a: f"the API kept another value of {', '.join(f)}" for a, f in report.not_accepted.items()},
    }
