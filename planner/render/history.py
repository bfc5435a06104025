"""The history for people, for tools and for a comment.

    2026-01-02 03:04:05Z  ana@host  assignment_source.checkout  update checkout_exposures  applied  0.21 s
          ~ team = "Growth" -> "Search"

As JSON an object a line, with the same facts; as Markdown a table with a row for each field, the oldest first. All of
them give an import as the number of its fields, unless they are asked for the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from planner.audit.history import HistoryEntry
from planner.escape import as_json, escape
from planner.plan.diff import ABSENT
from planner.render import markdown
from planner.render.changes import FIELD, field_lines, flow, value_lines
from planner.render.style import Style, format_time
from state.advice import advise
from state.values import JSON

_COLOURS = {
    **dict.fromkeys(("applied", "resolved as applied", "recorded"), "32"),
    **dict.fromkeys(("unknown", "superseded", "retried"), "33"),
}


def render_entry(entry: HistoryEntry, style: Style, *, is_whole: bool = False) -> str:
    """A line on the change, and its fields below; those of an import, which has all, only if it `is_whole`."""
    # A reason may be longer than a line.
    lines = [part for line in flow([*_facts(entry, style)], 4, style) for part in style.wrap(line, "    ")]
    if _is_counted(entry, is_whole=is_whole):
        lines.append(f"{FIELD}{len(entry.changes)} fields")
    else:
        lines += field_lines(entry.changes, style)
        for name, value in entry.refused.items():
            lines += value_lines(f"{FIELD}! {escape(name)} was sent as ", value, style)
    return "\n".join(lines) + "\n"


def _facts(entry: HistoryEntry, style: Style) -> Iterator[tuple[str, str]]:
    """Each as it is measured and as it is written."""
    when, who = (
        escape(format_time(entry.at)),
        escape(describe_who(entry.who, entry.host, entry.actor)),
    )
    yield when, style.dim(when)
    yield who, who
    for fact in map(escape, describe_run(entry.run)):
        yield fact, fact
    if entry.commit:
        commit = f"commit {escape(entry.commit[:12])}"
        yield commit, commit
    yield (address := escape(entry.address)), style.bold(address)
    yield (what := f"{entry.kind} {escape(entry.name)}"), what
    reason = f": {escape(entry.reason)}" if entry.reason else ""
    yield entry.outcome + reason, style.paint(entry.outcome, _COLOURS.get(entry.outcome, "31")) + reason
    if entry.seconds is not None:
        yield (took := f"{entry.seconds:.2f} s"), took


def describe_who(who: str | None, host: str | None, actor: str | None) -> str:
    """Who it was: an account of a machine, and before it the person whom its environment names."""
    if not who:
        return "unknown"
    return f"{actor} (told by {who}@{host})" if actor else f"{who}@{host}"


def describe_run(told: Mapping[str, str]) -> Iterator[str]:
    """What a CI told of the run, as far as a reader needs it to find who agreed to it."""
    # A pull request names its approvals and its runs; the page of the run is for what has none.
    if request := told.get("pull_request"):
        yield f"pull request {request}"
    elif url := told.get("url"):
        yield f"run {url}"
    if approved_by := told.get("approved_by"):
        yield f"approved by {approved_by}"


def entry_to_json(entry: HistoryEntry) -> dict[str, JSON]:
    """The change as an object; planner/README.md describes it."""
    fields: list[JSON] = []
    for change in entry.changes:
        one: dict[str, JSON] = {"field": change.field.name, "to": change.after}
        if change.before is not ABSENT:
            one["from"] = change.before
        if change.field.name in entry.refused:
            one["sent"] = entry.refused[change.field.name]
        fields.append(one)
    return {
        "at": entry.at,
        "who": entry.who,
        "host": entry.host,
        "actor": entry.actor,
        "run": {**entry.run},
        "commit": entry.commit,
        "version": entry.version,
        "action": entry.kind,
        "address": entry.address,
        "name": entry.name,
        "fields": fields,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "seconds": entry.seconds,
        "moved_to": entry.moved_to,
        "hash": entry.hash,
    }


def entry_to_line(entry: HistoryEntry) -> str:
    """The object of `entry_to_json` as a line, in ASCII."""
    return as_json(entry_to_json(entry)) + "\n"


def history_to_markdown(entries: Sequence[HistoryEntry], *, is_whole: bool = False) -> str:
    """A table with a row for each field, of a size that a comment may have: of a long history the latest."""
    heads = ("when", "who", "address", "action", "field", "from", "to", "outcome")
    # From the end, and turned round again: of a long history the latest rows are those that fit.
    rows = markdown.fitting(
        markdown.row(row) for one in reversed(entries) for row in reversed([*_rows(one, is_whole=is_whole)])
    )
    lines = [*markdown.table(heads, ()), *reversed(rows)]
    if left_out := sum(_height(one, is_whole=is_whole) for one in entries) - len(rows):
        lines += ["", f"… and {left_out:,} earlier rows; {markdown.code(advise('history'))} shows all of them."]
    return "\n".join(lines) + "\n"


def _is_counted(entry: HistoryEntry, *, is_whole: bool) -> bool:
    """Whether the number of fields stands for them: an import has all."""
    return entry.kind == "import" and not is_whole


def _height(entry: HistoryEntry, *, is_whole: bool) -> int:
    return 1 if _is_counted(entry, is_whole=is_whole) else max(1, len(entry.changes))


def _rows(entry: HistoryEntry, *, is_whole: bool) -> Iterator[list[str]]:
    who = describe_who(entry.who, entry.host, entry.actor) if entry.who else ""
    who = "; ".join(markdown.code(fact) for fact in (who, *describe_run(entry.run)) if fact)
    outcome = entry.outcome + (f": {markdown.code(entry.reason)}" if entry.reason else "")
    head = [markdown.code(format_time(entry.at)), who, markdown.code(entry.address), entry.kind]
    if _is_counted(entry, is_whole=is_whole):
        yield [*head, f"{len(entry.changes)} fields", "", "", outcome]
        return
    if not entry.changes:
        yield [*head, "", "", "", outcome]
    for change in entry.changes:
        yield [*head, markdown.code(change.field.name), *markdown.format_change(change), outcome]
