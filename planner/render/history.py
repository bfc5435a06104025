"""The history for people, for tools and for a comment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from planner.diff import ABSENT
from planner.history import Entry
from planner.render import Style, escape, markdown
from planner.render.text import field_lines
from state.records import JSON

_COLOURS = {
    **dict.fromkeys(("applied", "resolved as applied", "recorded"), "32"),
    **dict.fromkeys(("unknown", "superseded"), "33"),
}


def text(of: Entry, style: Style, *, is_whole: bool = False) -> str:
    """A line on the change, and its fields below; those of an import, which has all, only if it `is_whole`."""
    facts = [
        style.dim(f"{of.at[:10]} {of.at[11:19]}Z"),
        escape(f"{of.who}@{of.host}") if of.who else "nobody known",
        *([f"commit {escape(of.commit[:12])}"] if of.commit else []),
        style.bold(escape(of.address)),
        f"{of.kind} {escape(of.name)}",
        style.paint(of.outcome, _COLOURS.get(of.outcome, "31")) + (f": {escape(of.reason)}" if of.reason else ""),
        *([f"{of.seconds:.2f} s"] if of.seconds is not None else []),
    ]
    lines = ["  ".join(facts)]
    if of.kind == "import" and not is_whole:
        lines.append(f"      {len(of.changes)} fields")
    else:
        lines += field_lines(of.changes, style)
    return "\n".join(lines) + "\n"


def to_json(of: Entry) -> dict[str, JSON]:
    """The change as an object; the README describes it."""
    fields: list[JSON] = []
    for change in of.changes:
        one: dict[str, JSON] = {"field": change.field.name, "to": change.after}
        if change.before is not ABSENT:
            one["from"] = change.before
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
        "hash": of.hash,
    }


def json_line(of: Entry) -> str:
    return json.dumps(to_json(of), separators=(",", ":")) + "\n"


def to_markdown(of: Iterable[Entry]) -> str:
    """A table with a row for each field, of a size that a comment may have."""
    heads = ("when", "who", "address", "action", "field", "from", "to", "outcome")
    lines = markdown.table(heads, (row for entry in of for row in _rows(entry)))
    return markdown.bounded(lines, "rows; `statform history` shows all of them")


def _rows(of: Entry) -> Iterator[list[str]]:
    who = markdown.code(f"{of.who}@{of.host}") if of.who else ""
    outcome = of.outcome + (f": {markdown.code(of.reason)}" if of.reason else "")
    head = [of.at, who, markdown.code(of.address), of.kind]
    if not of.changes:
        yield [*head, "", "", "", outcome]
    for change in of.changes:
        before = "" if change.before is ABSENT else markdown.value(change.before)
        yield [*head, markdown.code(change.field.name), before, markdown.value(change.after), outcome]
