"""The changes over time: a plot, and a table of the runs, newest first, each with its changes below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby

import htpy as h
from markupsafe import Markup

from planner.audit.audit import Audit
from planner.audit.history import HistoryEntry
from planner.escape import escape
from planner.plural import counted
from planner.render.page import cells, plot, tables
from planner.render.page.content import Page
from state.advice import advise

MAX_ENTRIES = 5_000
"""The timeline shows at most so many; the plot counts all."""
PARTS = ("applied", "recorded", "unknown", "failed", "retried", "drift")
"""What became of changes: the parts of a bar from the lowest up, and their classes. `part_of` says it of an entry."""
_FEW = 4
_COLUMNS = {
    "when": "Time",
    "address": "Source",
    "field": "Field",
    "from": "From",
    "to": "To",
    "outcome": "Outcome",
}


def show_timeline(page: Page) -> h.Element:
    """The plot, and below it the latest `MAX_ENTRIES` changes by run; or a sentence on why there are none."""
    selection = f"Only {escape(page.selection)}" if page.selection else ""
    if not page.entries:
        none = "There is none" if selection else "The journal has no change yet"
        if page.audit.damage is not None:
            none = "The history is not shown, because the journal is damaged"
        return tables.section("timeline", "Changes", "", h.p[tables.sentences(selection, none)])
    shown = page.entries[: -MAX_ENTRIES - 1 : -1]
    cut = f"The latest {len(shown):,} of {len(page.entries):,} are here; {escape(advise('history'))} shows all"
    told = tables.sentences(selection, cut if len(shown) < len(page.entries) else "")
    table = tables.table("timeline", "changes", _COLUMNS, _runs(shown))
    count = f"{len(page.entries):,}, newest first"
    return tables.section("timeline", "Changes", count, h.p(".soft")[told] if told else None, _plot(page), table)


def _runs(entries: Sequence[HistoryEntry]) -> Iterator[h.Element]:
    """For each run its head, and a table body for each of its changes. An entry without a run has its own head."""
    for _, found in groupby(enumerate(entries), lambda one: one[1].run_hash or one[0]):
        run = [entry for _, entry in found]
        # Not an entry for what an answer showed besides: somebody else did that, and nobody knows who.
        first = next((entry for entry in reversed(run) if entry.who), run[-1])
        yield _head(first, run)
        yield from (_entry(entry, first.at[:10]) for entry in run)


def _head(first: HistoryEntry, run: Sequence[HistoryEntry]) -> h.Element:
    """When, who, from which commit, and what became of it: once for all changes of a run."""
    return h.tbody(".run")[
        h.tr[
            h.th(colspan=str(len(_COLUMNS)), scope="rowgroup")[
                h.span(".when")[cells.show_moment(first.at)],
                h.span(".who")[tables.show_who(first)],
                h.span(".commit")[h.small["commit "], cells.show_commit(first.commit)] if first.commit else None,
                _sum(run) if len(run) > 1 else None,
            ]
        ]
    ]


def _sum(run: Sequence[HistoryEntry]) -> Iterator[h.Element]:
    """How many changes of a run had which outcome, and the button that folds a long run."""
    parts = Counter(map(part_of, run))
    told = ", ".join(f"{parts[part]:,} {part}" for part in PARTS if parts[part])
    yield h.span(".told")[f"{counted(len(run), 'change')}: {told}"]
    if (button := tables.fold(len(run), "changes")) is not None:
        yield button


def _entry(entry: HistoryEntry, day: str) -> h.Element:
    rows = _rows(entry)
    span = str(len(rows)) if len(rows) > 1 else None
    before = [
        h.td(".when", rowspan=span)[cells.show_time(entry.at, day)],
        tables.source(entry.address, entry.name, len(rows)),
    ]
    took = "" if entry.seconds is None else f", {entry.seconds:.2f} s"
    after = h.td(".outcome", rowspan=span)[
        h.b(class_=part_of(entry))[escape(entry.outcome)],
        h.small[f"{escape(entry.kind)}{took}"],
        h.small(".note")[cells.show_note(entry.reason)] if entry.reason else None,
    ]
    told = (cells.row(*(() if n else before), row, None if n else after) for n, row in enumerate(rows))
    return h.tbody[cells.joined(told)]


def _rows(entry: HistoryEntry) -> Sequence[h.Element | Markup]:
    """The cells of each field. An import has one cell for all fields, since it takes all that the source has."""
    if entry.kind == "import" and len(entry.changes) > _FEW:
        return [h.td(".fields", colspan="3")[cells.show_listing(entry.changes)]]
    return [tables.change_cells(one, "from", "to") for one in entry.changes] or [h.td(colspan="3")]


def part_of(entry: HistoryEntry) -> str:
    """The part of a bar in which the entry counts: one of `PARTS`."""
    if entry.kind == "drift":
        return "drift"
    match entry.outcome:
        case "applied" | "resolved as applied":
            return "applied"
        case "recorded" | "retried":
            return entry.outcome
        case "unknown" | "superseded":
            return "unknown"
        case "not accepted" | "rejected" | "not applied":
            return "failed"


def _plot(page: Page) -> h.Element | None:
    """The changes over time. Imports are left out: there may be hundreds, and they change nothing at the remote."""
    # A retried request counts only once, when it was sent again.
    sent = [entry for entry in page.entries if entry.outcome != "retried"]
    changes = [entry for entry in sent if entry.kind != "import"]
    moments = [(day, part_of(entry)) for entry in changes if (day := _day(entry.at))]
    today = _day(page.made_at) or date.min
    if not moments:
        return None
    bars = plot.count([*moments, *((day, "drift") for day in _days_of_drift(page.audit, today))], today)
    total = sum(bars.counts, Counter[str]())
    parts = [part for part in PARTS if total[part]]
    title, left_out = f"Changes per {bars.unit}", len(sent) - len(changes)
    rows = (
        h.tr[h.th(scope="row")[label], (h.td(".count")[f"{count[part]:,}"] for part in parts)]
        for label, count in zip(bars.labels, bars.counts, strict=True)
        if count
    )
    headings = [h.th(scope="col")[bars.unit.capitalize()], *(h.th(".count", scope="col")[part] for part in parts)]
    return h.figure(".card")[
        h.figcaption[h.strong[title], h.small[f" without {counted(left_out, 'import')}"] if left_out else None],
        plot.draw_bars(bars, parts, f"{title}; the table below has its numbers"),
        h.ul(".legend")[(h.li(class_=part)[f"{part} {total[part]:,}"] for part in parts)],
        h.p(".soft")["Drift is shown at the time in the audit log, or else when it was found."]
        if total["drift"]
        else None,
        h.details[h.summary["The numbers as a table"], h.table[h.thead[h.tr[headings]], h.tbody[rows]]],
    ]


def _days_of_drift(audit: Audit, today: date) -> Iterator[date]:
    """The day of each drifted field and of each gone source: from the audit log, or else the day of the audit."""
    changed, removed = (audit.authors.changed, audit.authors.removed) if audit.authors else ({}, {})
    for drift in audit.drifts:
        authors = [changed.get((drift.address, one.field.name)) for one in drift.changes]
        for author in authors if drift.source is not None else [removed.get(drift.address)]:
            yield (_day(author.at or "") if author else None) or today


def _day(at: str) -> date | None:
    try:
        return date.fromisoformat(at[:10])
    except ValueError:
        return None
