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
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from planner.definitions.fields import Call
from planner.errors import DefinitionError, Diagnostic, PlanError, PlannerError, RemoteChanged
from planner.escape import escape
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import Action, FieldChange
from planner.render import markdown
from planner.render.changes import ELEMENT, FIELD, field_lines
from planner.render.diagnostics import render_diagnostics
from planner.render.plan_notes import format_counts, format_left_out, format_limit, format_notes
from planner.render.plan_text import FULL_UPDATE, format_address, group_alike, steps
from planner.render.style import Style, format_time
from state.errors import StateError
from state.snapshot import Snapshot

if TYPE_CHECKING:
    from planner.audit.drift import Drift

_MARKS = {"~": "!", "!": "!", "+": "+", "-": "-"}
_SIGNS_AT = (len(FIELD), len(ELEMENT))


class _Titled(NamedTuple):
    """A block: its title, and what opens at a click; the addresses only where it is for several."""

    title: str
    changes: Sequence[FieldChange]
    addresses: Sequence[str] = ()


def marker(project: str, environment: str | None) -> str:
    """The line by which the comment on this project, in this environment, is found again; nobody sees it."""
    name = " ".join(["statform plan", project, *([environment] if environment else [])])
    # Two hyphens, or a ">", could end the comment that it is.
    return f"<!-- {html.escape(escape(name)).replace('--', '-&#45;')} -->\n"


def error_to_markdown(error: PlannerError | StateError) -> str:
    """What ended the plan, as a terminal has it, of a size that a comment may have."""
    if isinstance(error, DefinitionError | PlanError | RemoteChanged):
        count = len(error.diagnostics)
        head = f"**statform plan failed:** {count} error{'' if count == 1 else 's'}."
        return f"{head}\n\n{_errors(_diagnostic_lines(error.diagnostics))}"
    return f"**statform plan failed.**\n\n{_errors([escape(line) for line in str(error).split(chr(10))])}"


def _refused(problems: Sequence[Diagnostic], limit: int) -> str:
    """What `apply` would refuse the plan for."""
    count = f"{len(problems)} error{'' if len(problems) == 1 else 's'}"
    return f"**apply refuses this plan:** {count}.\n\n{_errors(_diagnostic_lines(problems), limit)}"


def _diagnostic_lines(problems: Sequence[Diagnostic]) -> list[str]:
    return render_diagnostics(problems, Style()).rstrip("\n").split("\n")


def _errors(lines: Sequence[str], limit: int = markdown.LIMIT) -> str:
    shown = markdown.fitting(lines, limit)
    left = f"\n… and {len(lines) - len(shown):,} more lines.\n" if len(shown) < len(lines) else ""
    return f"{markdown.fenced(shown, 'text')}\n{left}"


def describe_origin(plan: Plan, snapshot: Snapshot, state: str, commit: str | None, *, is_refreshed: bool) -> str:
    """What the plan was made from, in sentences: the file `state`, how old it is, the commit of the definitions."""
    if not snapshot.head:
        made_from = f"There is no state yet; it will be {markdown.code(state)}."
    else:
        changed = max((one.updated_at for one in snapshot.resources.values()), default="")
        last = f", last changed {escape(format_time(changed))}" if changed else ""
        made_from = f"From {markdown.code(state)}, serial {plan.serial}{last}."
    if commit is not None:
        made_from += f" Definitions of commit {markdown.code(commit[:12])}."
    offline = "" if is_refreshed else " Offline: what others changed in Statsig since then is not seen."
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
    before = _drifts(drifts, limit // 3) + "\n" if drifts else ""
    where = f" in the environment {markdown.code(plan.environment)}" if plan.environment else ""
    # A paragraph of its own.
    partial = f"\n{left_out}" if (left_out := format_left_out(plan)) else ""
    refused = f"\n{_refused(problems, limit // 3)}" if problems else ""
    if not plan.changes:
        none = f"**statform plan{where}:** no changes. The state matches the definitions."
        return f"{before}{none}\n{partial}{origin}{refused}"
    titles = [_group(group) for group in group_alike(steps(plan))]
    # What stops it is what the reader has to see first.
    over = f"\n**{limit_text}**\n" if (limit_text := format_limit(plan)) else ""
    notes = "".join(f"\n{markdown.paragraph(text)}\n" for text in format_notes(plan, markdown.code))
    reads = "".join(f"\n{line}" for line in touched)[: limit // 3]
    head = f"**statform plan{where}:** {format_counts(plan)}.\n{over}{partial}{origin}{refused}{notes}{reads}"
    return before + _bounded(head, titles, limit - len(before))


def _group(actions: Sequence[Action]) -> _Titled:
    first = actions[0]
    if len(actions) == 1:
        return _Titled(_title(first), first.changes)
    title = f"{first.verb.listed_as} {len(actions):,} in the same way{_ending(first, plural=True)}"
    return _Titled(title, first.changes, tuple(map(format_address, actions)))


def _drifts(drifts: Sequence[Drift], limit: int) -> str:
    titles = [
        _Titled(
            f"{'gone' if one.source is None else 'drifted'} {_code(one.address)}{_fields(one.changes)}", one.changes
        )
        for one in drifts
    ]
    gone = sum(one.source is None for one in drifts)
    counted = f"{len(drifts) - gone} drifted, {gone} gone"
    return _bounded(f"**statform drift:** {counted}. The plan below starts from the remote.\n", titles, limit)


def _bounded(text: str, titles: Sequence[_Titled], limit: int) -> str:
    # What one line on each of the rest takes is kept free, as far as there is room at all.
    lines = [f"- {one.title}\n" for one in titles]
    kept_free = sum(map(len, lines))
    shown = 0
    for block, line in zip((_block(*one) for one in titles), lines, strict=True):
        kept_free -= len(line)
        if len(text) + len(block) + min(kept_free, limit // 2) + 100 > limit:
            break
        text += block
        shown += 1
    rest = lines[shown:]
    if rest:
        text += "\n"
    for number, line in enumerate(rest):
        if len(text) + len(line) + 100 > limit:
            return f"{text}\n… and {len(rest) - number:,} more; `statform plan` shows all of them.\n"
        text += line
    return text


def _title(action: Action) -> str:
    moved = f", was {_code(action.moved_from)}" if action.moved_from is not None else ""
    word = "DELETE" if action.verb is verbs.DELETE else action.verb.listed_as
    return f"{word} {_code(action.address)}{moved}{_ending(action)}"


def _ending(action: Action, *, plural: bool = False) -> str:
    """The fields, and what has to be known of how they are changed."""
    if action.verb is verbs.FORGET:
        return "; the sources stay as they are" if plural else f"; the source {_code(action.name)} stays as it is"
    how = f" ({FULL_UPDATE})" if action.call is Call.FULL else ""
    return f"{_fields(action.changes)}{how}"


def _fields(changes: Sequence[FieldChange]) -> str:
    return ": " + ", ".join(change.field.name for change in changes) if changes else ""


def _code(text: str) -> str:
    """Code as HTML, which a summary needs."""
    return f"<code>{html.escape(escape(text))}</code>"


def _block(title: str, changes: Sequence[FieldChange], addresses: Sequence[str]) -> str:
    lines = [*(f"# {address}" for address in addresses), *_diff_lines(changes)]
    if not lines:
        return f"\n- {title}\n"
    return f"\n<details><summary>{title}</summary>\n\n{markdown.fenced(lines, 'diff')}\n\n</details>\n"


def _diff_lines(changes: Sequence[FieldChange]) -> Iterator[str]:
    """The lines of the plan with their sign first, where GitHub colours by it."""
    for line in field_lines(changes, Style()):
        at = next((n for n in _SIGNS_AT if not line[:n].strip() and line[n : n + 2].strip()), len(ELEMENT))
        # A diff knows no "~": what changes is coloured by the "!" that GitHub has for it.
        mark = _MARKS.get(line[at : at + 2].strip(), " ")
        yield f"{mark} {line[6:at]}{line[at:] if line[at : at + 2] == '@@' else line[at + 2 :]}"
