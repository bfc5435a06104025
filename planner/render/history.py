"""The history for people, for tools and for a comment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from planner.audit.history import Entry
from planner.escape import as_json, escape
from planner.plan.diff import ABSENT
from planner.render import markdown
from planner.render.plan_text import FIELD, field_lines, flow, value_lines
from planner.render.style import Style
from state.values import JSON

_COLOURS = {
    **dict.fromkeys(("applied", "resolved as applied", "recorded"), "32"),
    **dict.fromkeys(("unknown", "superseded"), "33"),
}


def text(of: Entry, style: Style, *, is_whole: bool = False) -> str:
    """A line on the change, and its fields below; those of an import, which has all, only if it `is_whole`."""
    lines = flow([*_facts(of, style)], 4, style)
    if _is_counted(of, is_whole=is_whole):
        lines.append(f"{FIELD}{len(of.changes)} fields")
    else:
        lines += field_lines(of.changes, style)
        for name, value in of.refused.items():
            lines += value_lines(f"{FIELD}! {escape(name)} was sent as ", value, style)
    return "\n".join(lines) + "\n"


def _facts(of: Entry, style: Style) -> Iterator[tuple[str, str]]:
    """Each as it is measured and as it is written."""
    when, who = escape(f"{of.at[:10]} {of.at[11:19]}Z"), escape(f"{of.who}@{of.host}") if of.who else "nobody known"
    yield when, style.dim(when)
    yield who, who
    if of.commit:
        commit = f"commit {escape(of.commit[:12])}"
        yield commit, commit
    yield (address := escape(of.address)), style.bold(address)
    yield (what := f"{of.kind} {escape(of.name)}"), what
    reason = f": {escape(of.reason)}" if of.reason else ""
    yield of.outcome + reason, style.paint(of.outcome, _COLOURS.get(of.outcome, "31")) + reason
    if of.seconds is not None:
        yield (took := f"{of.seconds:.2f} s"), took


def to_json(of: Entry) -> dict[str, JSON]:
    """The change as an object; the README describes it."""
    fields: list[JSON] = []
    for change in of.changes:
        one: dict[str, JSON] = {"field": change.field.name, "to": change.after}
        if change.before is not ABSENT:
            one["from"] = change.before
        if change.field.name in of.refused:
            one["sent"] = of.refused[change.field.name]
        fields.append(one)
    return {
        "at": of.at,
        "who": of.who,
        "host": of.host,
        "commit": of.commit,
        "version": of.version,
        "action": of.kind,
        "address": of.address,
        "name": of.name,
        "fields": fields,
        "outcome": of.outcome,
        "reason": of.reason,
        "seconds": of.seconds,
        "moved_to": of.moved_to,
        "hash": of.hash,
    }


def json_line(of: Entry) -> str:
    return as_json(to_json(of)) + "\n"


def to_markdown(of: Sequence[Entry], *, is_whole: bool = False) -> str:
    """A table with a row for each field, of a size that a comment may have: of a long history the latest."""
    heads = ("when", "who", "address", "action", "field", "from", "to", "outcome")
    rows = markdown.fitting(
        markdown.row(row) for one in reversed(of) for row in reversed([*_rows(one, is_whole=is_whole)])
    )
    lines = [*markdown.table(heads, ()), *reversed(rows)]
    if left_out := sum(_height(one, is_whole=is_whole) for one in of) - len(rows):
        lines += ["", f"… and {left_out:,} earlier rows; `statform history` shows all of them."]
    return "\n".join(lines) + "\n"


def _is_counted(of: Entry, *, is_whole: bool) -> bool:
    """Whether the number of fields stands for them: an import has all."""
    return of.kind == "import" and not is_whole


def _height(of: Entry, *, is_whole: bool) -> int:
    return 1 if _is_counted(of, is_whole=is_whole) else max(1, len(of.changes))


def _rows(of: Entry, *, is_whole: bool) -> Iterator[list[str]]:
    who = markdown.code(f"{of.who}@{of.host}") if of.who else ""
    outcome = of.outcome + (f": {markdown.code(of.reason)}" if of.reason else "")
    head = [markdown.code(of.at), who, markdown.code(of.address), of.kind]
    if _is_counted(of, is_whole=is_whole):
        yield [*head, f"{len(of.changes)} fields", "", "", outcome]
        return
    if not of.changes:
        yield [*head, "", "", "", outcome]
    for change in of.changes:
        yield [*head, markdown.code(change.field.name), *markdown.change(change), outcome]
