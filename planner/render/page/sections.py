"""The page's sections, each a heading and a table of which every body is one thing that the filter finds or not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

import htpy as h

from planner.audit.audit import Audit
from planner.audit.authors import Author, Authors
from planner.audit.drift import Drift
from planner.audit.history import HistoryEntry
from planner.definitions.addresses import RemoteName
from planner.escape import escape
from planner.plan.diff import FieldChange
from planner.render.audit import describe_author
from planner.render.history import describe_run
from planner.render.page import cells, plot
from planner.render.page.content import Page
from planner.render.touched import describe, losses
from state.snapshot import Snapshot
from state.values import Address

MOST_ENTRIES = 5_000
"""That the timeline shows; the plot counts all."""
PARTS = ("applied", "recorded", "unknown", "failed")
"""Of a bar, the lowest first; each is a class too, and `_part` tells of which an entry is."""
_FEW = 4
_BY = "Who, by the audit log"


def render_sections(page: Page) -> Iterator[h.Node]:
    """In the order in which an auditor asks."""
    if page.base_url is not None:
        yield _drift(page)
        yield _gone(page)
        yield _touched(page.audit)
        yield _unmanaged(page.audit)
        yield _undecided(page.audit)
    yield _unresolved(page.audit.snapshot)
    yield _timeline(page)
    yield _managed(page)
    yield _verification(page.audit)


def _section(id_: str, title: str, count: str, *content: h.Node) -> h.Element:
    return h.section(id=id_, aria_labelledby=f"{id_}-title")[
        h.h2(id=f"{id_}-title")[title, h.small[count] if count else None], content
    ]


def _table(class_: str, lists: str, columns: Mapping[str, str], bodies: Iterable[h.Element]) -> h.Node:
    """A table of which every body is one thing; `columns` maps the class of each to its heading."""
    headings = (h.th(class_=name, scope="col")[heading] for name, heading in columns.items())
    return [
        h.table(class_=f"cards {class_}", data_lists=lists)[h.thead[h.tr[headings]], bodies],
        h.p(".soft", hidden=True)["Nothing here fits the filter."],
        h.button(".more", type="button", hidden=True),
    ]


def _source(address: str, name: str | None = None, rows: int | None = None) -> h.Element:
    """The heading of a thing's rows: its address, and its remote name."""
    span = str(rows) if rows and rows > 1 else None
    scope = "rowgroup" if span else "row"
    return h.th(".address", scope=scope, rowspan=span)[
        h.b[cells.show_address(address)], h.small[escape(name)] if name is not None else None
    ]


def _drift(page: Page) -> h.Element:
    audit = page.audit
    if not page.drifted:
        told = _sentences("No field of a managed source differs from the state", _unseen(audit))
        return _section("drift", "Drift", "", h.p[told])
    columns = {"address": "Source", "field": "Field", "prior": "In the state", "remote": "At the remote"}
    if audit.undone is not None:
        columns["plan"] = "A plan would"
    if audit.authors is not None:
        columns["by"] = _BY
    told = _sentences("Changed at the remote since statform last saw it", _unseen(audit))
    count = f"{cells.counted(len(audit.moved), 'field')} of {cells.counted(len(page.drifted), 'source')}"
    table = _table("drift", "drifted", columns, (_drifted(one, audit) for one in page.drifted))
    problem = audit.authors.problem if audit.authors is not None else None
    unread = h.p(".soft")[f"The project's audit log can't be read: {escape(problem)}"] if problem else None
    return _section("drift", "Drift", count, h.p(".soft")[told], unread, table)


def _unseen(audit: Audit) -> str:
    fields = escape(", ".join(f"{type_name}.{name}" for type_name, name in audit.unseen))
    return f"Not compared, since the remote lists no source with it: {fields}" if fields else ""


def _sentences(*parts: str) -> str:
    return " ".join(f"{part}." for part in parts if part)


def _drifted(drift: Drift, audit: Audit) -> h.Element:
    first, authors = _source(drift.address, drift.name, len(drift.changes)), audit.authors
    return h.tbody[
        (
            h.tr[
                None if n else first,
                _change(one, "prior", "remote"),
                _plan(drift.address, one, audit),
                _by(authors, authors.changed.get((drift.address, one.field.name)) if authors else None),
            ]
            for n, one in enumerate(drift.changes)
        )
    ]


def _plan(address: Address, change: FieldChange, audit: Audit) -> h.Node:
    if audit.undone is None:
        return None
    return h.td(".plan")["undo it" if audit.is_undone(address, change) else "leave it"]


def _by(authors: Authors | None, author: Author | None) -> h.Node:
    return None if authors is None else h.td(".by")[describe_author(author)]


def _change(change: FieldChange, before_class: str, after_class: str) -> Iterator[h.Element]:
    before, after = cells.show_sides(change)
    yield h.td(".field")[h.code[escape(change.field.name)]]
    yield h.td(class_=before_class)[before]
    yield h.td(class_=after_class)[after]


def _gone(page: Page) -> h.Element | None:
    if not page.gone:
        return None
    resources, renamed = page.audit.snapshot.resources, page.audit.renamed
    columns = {"address": "Source", "renamed": "Looks renamed to", "when": "Last change (UTC)"}
    authors = page.audit.authors
    if authors is not None:
        columns["by"] = _BY
    told = h.p(".soft")["In the state, and at the remote no more: deleted or renamed there."]
    bodies = (
        h.tbody[
            h.tr[
                _source(one.address, one.name),
                h.td(".renamed")[escape(renamed.get(one.address, ""))],
                h.td(".when")[cells.show_moment(resources[one.address].updated_at)],
                _by(authors, authors.removed.get(one.address) if authors else None),
            ]
        ]
        for one in page.gone
    )
    return _section("gone", "Gone", f"{len(page.gone):,}", told, _table("gone", "gone", columns, bodies))


def _who(entry: HistoryEntry) -> h.Node:
    if not entry.who:
        return h.span(".none")["unknown"]
    if entry.actor:
        account = h.small[f"told by {escape(entry.who)}@{escape(entry.host or '')}"]
        return [h.b[escape(entry.actor)], account, map(_told, describe_run(entry.run))]
    return [h.b[escape(entry.who)], h.small[escape(entry.host or "")], map(_told, describe_run(entry.run))]


def _told(fact: str) -> h.Node:
    """What a CI told of the run, with a link where it names a place."""
    words, _, last = escape(fact).rpartition(" ")
    is_place = re.fullmatch(r"https?://[!-~]+", last) is not None
    return h.small[words, " ", h.a(href=last, rel="noreferrer")[last.rpartition("://")[2]] if is_place else last]


def _unmanaged(audit: Audit) -> h.Element | None:
    if not audit.unmanaged:
        return None
    authors = audit.authors
    told = h.p(".soft")["At the remote, and not in the state; ", h.code["statform import"], " takes them over."]
    bodies = (
        h.tbody[
            h.tr[
                h.th(".name", scope="row")[escape(name)],
                h.td(".type")[escape(type_name)],
                _by(authors, authors.made.get(RemoteName(type_name, name)) if authors else None),
            ]
        ]
        for type_name, name in audit.unmanaged
    )
    columns = {"name": "Name", "type": "Type"} | ({} if authors is None else {"by": _BY})
    table = _table("unmanaged", "unmanaged", columns, bodies)
    return _section("unmanaged", "Unmanaged", f"{len(audit.unmanaged):,}", told, table)


def _touched(audit: Audit) -> h.Element | None:
    if not audit.touched:
        return None
    told = h.p(".soft")["The experiments that read what moved or is gone, and the metrics that are made of it."]
    bodies = (
        h.tbody[
            h.tr[
                _source(one.change.address, one.change.name),
                h.td(".why")[[h.div[escape(text)] for text in (describe(one), *losses(one))]],
            ]
        ]
        for one in audit.touched
    )
    table = _table("touched", "touched", {"address": "Source", "why": "Read by"}, bodies)
    return _section("touched", "Who reads what moved", f"{len(audit.touched):,}", told, table)


def _undecided(audit: Audit) -> h.Element | None:
    if not audit.undecided:
        return None
    told = h.p(".soft")["It can't be told whether, or how, they are there. Audit again in a minute."]
    bodies = (
        h.tbody[h.tr[_source(address, audit.snapshot.resources[address].name), h.td(".why")[escape(reason)]]]
        for address, reason in audit.undecided.items()
    )
    table = _table("undecided", "undecided", {"address": "Source", "why": "Why"}, bodies)
    return _section("undecided", "Undecided", f"{len(audit.undecided):,}", told, table)


def _unresolved(snapshot: Snapshot) -> h.Element | None:
    if not snapshot.unresolved:
        return None
    told = h.p(".soft")[
        "Sent, and never answered. The next apply finds out what became of them before it does anything."
    ]
    bodies = (
        h.tbody[
            h.tr[
                _source(one.address, one.name),
                h.td(".when")[cells.show_moment(one.at)],
                h.td(".fields")[h.code[escape(", ".join(one.sent))]],
            ]
        ]
        for one in snapshot.unresolved.values()
    )
    columns = {"address": "Source", "when": "Sent", "fields": "Fields"}
    table = _table("unresolved", "unknown", columns, bodies)
    return _section("unresolved", "Outcome unknown", f"{len(snapshot.unresolved):,}", told, table)


def _timeline(page: Page) -> h.Element:
    selection = f"Only {escape(page.selection)}" if page.selection else ""
    if not page.entries:
        none = "There is none" if selection else "The journal has no change yet"
        if page.audit.damage is not None:
            none = "What happened is not shown: the journal is damaged"
        return _section("timeline", "Changes", "", h.p[_sentences(selection, none)])
    shown = page.entries[: -MOST_ENTRIES - 1 : -1]
    cut = f"The latest {len(shown):,} of {len(page.entries):,} are here; statform history shows all"
    told = _sentences(selection, cut if len(shown) < len(page.entries) else "")
    columns = {
        "when": "When (UTC)",
        "who": "Who",
        "address": "Address",
        "field": "Field",
        "from": "From",
        "to": "To",
        "outcome": "Outcome",
        "commit": "Commit",
    }
    table = _table("timeline", "changes", columns, map(_entry, shown))
    count = f"{len(page.entries):,}, newest first"
    return _section("timeline", "Changes", count, h.p(".soft")[told] if told else None, _plot(page), table)


def _entry(entry: HistoryEntry) -> h.Element:
    rows = _rows(entry)
    span = str(len(rows)) if len(rows) > 1 else None
    before = [
        h.td(".when", rowspan=span)[cells.show_moment(entry.at)],
        h.td(".who", rowspan=span)[_who(entry)],
        _source(entry.address, entry.name, len(rows)),
    ]
    took = "" if entry.seconds is None else f", {entry.seconds:.2f} s"
    after = [
        h.td(".outcome", rowspan=span)[
            h.b(class_=_part(entry))[escape(entry.outcome)],
            h.small[f"{escape(entry.kind)}{took}"],
            h.small(".note")[cells.show_note(entry.reason)] if entry.reason else None,
        ],
        h.td(".commit", rowspan=span)[cells.show_commit(entry.commit)],
    ]
    return h.tbody[(h.tr[None if n else before, row, None if n else after] for n, row in enumerate(rows))]


def _rows(entry: HistoryEntry) -> Sequence[h.Node]:
    """The cells of each field; what an import took, which is all that the source has, in one."""
    if entry.kind == "import" and len(entry.changes) > _FEW:
        return [h.td(".fields", colspan="3")[cells.show_listing(entry.changes)]]
    return [list(_change(one, "from", "to")) for one in entry.changes] or [h.td(colspan="3")]


def _part(entry: HistoryEntry) -> str:
    match entry.outcome:
        case "applied" | "resolved as applied":
            return "applied"
        case "recorded":
            return "recorded"
        case "unknown" | "superseded":
            return "unknown"
        case "not accepted" | "rejected" | "not applied":
            return "failed"


def _is_change(entry: HistoryEntry) -> bool:
    """Whether the state is another one since."""
    return entry.outcome not in {"unknown", "rejected", "not applied"}


def _plot(page: Page) -> h.Element | None:
    """The changes over time, without imports: they come by the hundred, and change nothing at the remote."""
    changes = [entry for entry in page.entries if entry.kind != "import"]
    moments = [(day, _part(entry)) for entry in changes if (day := _day(entry.at))]
    if not moments:
        return None
    bars = plot.count(moments, _day(page.made_at) or date.min)
    total = sum(bars.counts, Counter[str]())
    parts = [part for part in PARTS if total[part]]
    title, left_out = f"Changes a {bars.unit}", len(page.entries) - len(changes)
    rows = (
        h.tr[h.th(scope="row")[label], (h.td(".count")[f"{count[part]:,}"] for part in parts)]
        for label, count in zip(bars.labels, bars.counts, strict=True)
        if count
    )
    headings = [h.th(scope="col")[bars.unit.capitalize()], *(h.th(".count", scope="col")[part] for part in parts)]
    return h.figure(".card")[
        h.figcaption[h.strong[title], h.small[f" without {cells.counted(left_out, 'import')}"] if left_out else None],
        plot.draw_bars(bars, parts, f"{title}; the table below has its numbers"),
        h.ul(".legend")[(h.li(class_=part)[f"{part} {total[part]:,}"] for part in parts)],
        h.details[h.summary["The numbers as a table"], h.table[h.thead[h.tr[headings]], h.tbody[rows]]],
    ]


def _day(at: str) -> date | None:
    try:
        return date.fromisoformat(at[:10])
    except ValueError:
        return None


def _managed(page: Page) -> h.Element:
    resources = page.audit.snapshot.resources
    if not resources:
        return _section("managed", "Managed sources", "", h.p["The state has none."])
    columns = {"address": "Source", "when": "Last change (UTC)"}
    if not page.selection:
        columns |= {"who": "By", "count": "Changes"}
    changes = [entry for entry in page.entries if _is_change(entry)]
    latest, counts = {entry.address: entry for entry in changes}, Counter(entry.address for entry in changes)
    bodies = (
        h.tbody[
            h.tr[
                _source(address, one.name),
                h.td(".when")[cells.show_moment(one.updated_at)],
                None if page.selection else _changes(latest.get(address), counts[address]),
            ]
        ]
        for address, one in sorted(resources.items())
    )
    return _section("managed", "Managed sources", f"{len(resources):,}", _table("managed", "managed", columns, bodies))


def _changes(latest: HistoryEntry | None, count: int) -> Iterator[h.Element]:
    yield h.td(".who")[_who(latest) if latest else None]
    yield h.td(".count")[f"{count:,}"]


def _verification(audit: Audit) -> h.Element:
    state = audit.snapshot
    if audit.damage is not None:
        return _section("verify", "How to verify", "", h.p["The journal can't be verified: ", escape(audit.damage)])
    if not state.head:
        return _section("verify", "How to verify", "", h.p["There is no state yet, and so nothing to verify."])
    told = (
        "The head is a hash over every record of the journal. Whoever noted it (from this page, a CI log, a git tag) "
        "can prove later that nothing before it was altered or dropped. In the project's directory:"
    )
    facts = {"Head": state.head, "Lineage": state.lineage, "Serial": str(state.serial), "Records": f"{audit.records:,}"}
    return _section(
        "verify",
        "How to verify",
        "",
        h.p[told],
        h.div(".card")[
            h.dl(".facts-list")[((h.dt[name], h.dd[h.code[escape(fact)]]) for name, fact in facts.items())],
            h.p(".command")[
                h.code("#command")[f"statform history --verify --expect {escape(state.head)}"],
                h.button(type="button", hidden=True, data_copies="command")["Copy"],
            ],
        ],
    )
