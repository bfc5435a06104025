"""A plan as a comment on a pull request: the counts, and each change in a block that opens at a click.

    <!-- statform plan prod -->
    **statform plan:** 1 to update, 12 unchanged.
    From `statform.prod.state.json`, serial 12, last changed 2026-11-27 09:00:00Z. …
    <details><summary>update <code>assignment_source.checkout</code>: team</summary>
    (a fenced block in the language `diff`, with the plan's lines)
    </details>

The first line is not seen: it is for what looks for the comment of an earlier run. Where not all blocks fit: a line for
each address that is left, then how many more there are.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from planner.definitions.fields import Call
from planner.errors import DefinitionError, Diagnostic, PlanError, PlannerError, RemoteChanged
from planner.escape import escape
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import Action
from planner.plural import counted
from planner.render import at_work, markdown
from planner.render.diagnostics import render_diagnostics
from planner.render.diff_blocks import Titled, bounded, code, fields_of
from planner.render.plan_notes import (
    format_counts,
    format_left_out,
    format_left_unconfirmed,
    format_limit,
    format_notes,
)
from planner.render.plan_text import FULL_UPDATE, format_address, group_alike, steps
from planner.render.style import Style, format_time
from state.advice import advise
from state.errors import StateError
from state.snapshot import Snapshot

if TYPE_CHECKING:
    from planner.audit.drift import Drift
    from state.runs import AtWork


def marker(project: str, environment: str | None) -> str:
    """The line by which the comment on this project, in this environment, is found again; nobody sees it."""
    name = " ".join(["statform plan", project, *([environment] if environment else [])])
    # Two hyphens, or a ">", could end the comment that it is.
    return f"<!-- {html.escape(escape(name)).replace('--', '-&#45;')} -->\n"


def error_to_markdown(error: PlannerError | StateError) -> str:
    """What ended the plan, as a terminal has it, of a size that a comment may have."""
    if isinstance(error, DefinitionError | PlanError | RemoteChanged):
        head = f"**statform plan failed:** {counted(len(error.diagnostics), 'error')}."
        return f"{head}\n\n{_errors(_diagnostic_lines(error.diagnostics))}"
    return f"**statform plan failed.**\n\n{_errors([escape(line) for line in str(error).split(chr(10))])}"


def _refused(problems: Sequence[Diagnostic], limit: int) -> str:
    """What `apply` would refuse the plan for."""
    count = counted(len(problems), "error")
    return f"**apply refuses this plan:** {count}.\n\n{_errors(_diagnostic_lines(problems), limit)}"


def _diagnostic_lines(problems: Sequence[Diagnostic]) -> list[str]:
    return render_diagnostics(problems, Style()).rstrip("\n").split("\n")


def _errors(lines: Sequence[str], limit: int = markdown.LIMIT) -> str:
    shown = markdown.fitting(lines, limit)
    left = f"\n… and {len(lines) - len(shown):,} more lines.\n" if len(shown) < len(lines) else ""
    return f"{markdown.fenced(shown, 'text')}\n{left}"


def describe_origin(
    plan: Plan,
    snapshot: Snapshot,
    state: str,
    commit: str | None,
    *,
    is_refreshed: bool,
    other_run: AtWork | None = None,
) -> str:
    """What the plan was made from, in sentences: the file `state`, how old it is, the commit of the definitions.

    And which `other_run` may have changed what the plan was made from.
    """
    if not snapshot.head:
        made_from = f"There is no state yet; it will be {markdown.code(state)}."
    else:
        changed = max((one.updated_at for one in snapshot.resources.values()), default="")
        last = f", last changed {escape(format_time(changed))}" if changed else ""
        made_from = f"From {markdown.code(state)}, serial {plan.serial}{last}."
    if commit is not None:
        made_from += f" Definitions of commit {markdown.code(commit[:12])}."
    offline = "" if is_refreshed else " Offline: changes that others made in Statsig since then are not included."
    if other_run is not None:
        offline += f"\n\n**Another run:** {markdown.code(at_work.describe(other_run))}"
    return f"\n{made_from}{offline}\n"


def plan_to_markdown(
    plan: Plan,
    drifts: Sequence[Drift] = (),
    limit: int = markdown.LIMIT,
    *,
    origin: str = "",
    touched: Sequence[str] = (),
    problems: Sequence[Diagnostic] = (),
) -> str:
    """The whole plan where it fits; else as many changes as do, then a line for each, then how many are left.

    `drifts` are what the plan starts from besides the state; `origin` is said below the counts, and so are the
    `problems` that `apply` would refuse it for, and the lines of who reads what is `touched`.
    """
    # A third at most: much drift must not push the plan itself out of the comment.
    before = _drifts(plan, drifts, limit // 3) + "\n" if drifts else ""
    where = f" in the environment {markdown.code(plan.environment)}" if plan.environment else ""
    # A paragraph of its own.
    partial = f"\n{left_out}" if (left_out := format_left_out(plan)) else ""
    refused = f"\n{_refused(problems, limit // 3)}" if problems else ""
    if not plan.changes:
        none = f"**statform plan{where}:** no changes. The state matches the definitions."
        left = format_left_unconfirmed(plan, markdown.code)
        notes = f"\n{markdown.paragraph(left)}\n" if left else ""
        return f"{before}{none}\n{partial}{origin}{refused}{notes}"
    titles = [_group(group) for group in group_alike(steps(plan))]
    # What stops it is what the reader has to see first.
    over = f"\n**{limit_text}**\n" if (limit_text := format_limit(plan)) else ""
    notes = "".join(f"\n{markdown.paragraph(text)}\n" for text in format_notes(plan, markdown.code))
    reads = "".join(f"\n{line}" for line in touched)[: limit // 3]
    head = f"**statform plan{where}:** {format_counts(plan)}.\n{over}{partial}{origin}{refused}{notes}{reads}"
    whole = advise("plan", *(["--refresh"] if drifts else []), environment=plan.environment)
    return before + bounded(head, titles, limit - len(before), whole)


def _group(actions: Sequence[Action]) -> Titled:
    first = actions[0]
    if len(actions) == 1:
        return Titled(_title(first), first.changes)
    title = f"{first.verb.listed_as} {len(actions):,} in the same way{_ending(first, plural=True)}"
    return Titled(title, first.changes, tuple(map(format_address, actions)))


def _drifts(plan: Plan, drifts: Sequence[Drift], limit: int) -> str:
    titles = [
        Titled(
            f"{'gone' if one.source is None else 'drifted'} {code(one.address)}{fields_of(one.changes)}", one.changes
        )
        for one in drifts
    ]
    gone = sum(one.source is None for one in drifts)
    counted = f"{len(drifts) - gone} drifted, {gone} gone"
    head = f"**statform drift:** {counted}. The plan below starts from the remote.\n"
    return bounded(head, titles, limit, advise("plan", "--refresh", environment=plan.environment))


def _title(action: Action) -> str:
    moved = f", was {code(action.moved_from)}" if action.moved_from is not None else ""
    word = "DELETE" if action.verb is verbs.DELETE else action.verb.listed_as
    return f"{word} {code(action.address)}{moved}{_ending(action)}"


def _ending(action: Action, *, plural: bool = False) -> str:
    """The fields, and what has to be known of how they are changed."""
    if action.verb is verbs.FORGET:
        return "; the sources stay as they are" if plural else f"; the source {code(action.name)} stays as it is"
    how = f" ({FULL_UPDATE})" if action.call is Call.FULL else ""
    return f"{fields_of(action.changes)}{how}"
