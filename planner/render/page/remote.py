"""The results of an audit: drift, gone sources, their readers, unmanaged and undecided sources."""

from __future__ import annotations

from collections.abc import Iterator

import htpy as h
from markupsafe import Markup

from planner.audit.audit import Audit
from planner.audit.drift import Drift
from planner.definitions.addresses import RemoteName
from planner.escape import escape
from planner.plan.diff import FieldChange
from planner.plural import counted
from planner.render.drift import group_drifts
from planner.render.page import cells, tables
from planner.render.page.content import Page
from planner.render.touched import describe, losses
from state.advice import advise
from state.values import Address


def show_drift(page: Page) -> h.Element:
    """A row for each field that drifted, or a sentence that none did."""
    audit = page.audit
    if not page.drifted:
        told = tables.sentences("No field of a managed source differs from the state", _unseen(audit))
        return tables.section("drift", "Drift", "", h.p[told])
    columns = {"address": "Source", "field": "Field", "prior": "In the state", "remote": "At the remote"}
    if audit.undone is not None:
        columns["plan"] = "A plan would"
    if audit.authors is not None:
        columns["by"] = tables.BY
    told = tables.sentences("Changed at the remote since statform last saw it", _unseen(audit))
    count = f"{counted(len(audit.moved), 'field')} of {counted(len(page.drifted), 'source')}"
    table = tables.table("drift", "drifted", columns, _bodies(page, len(columns)))
    problem = audit.authors.problem if audit.authors is not None else None
    unread = h.p(".soft")[f"The project's audit log can't be read: {escape(problem)}"] if problem else None
    return tables.section("drift", "Drift", count, h.p(".soft")[told], unread, table)


def _unseen(audit: Audit) -> str:
    fields = escape(", ".join(f"{type_name}.{name}" for type_name, name in audit.unseen))
    return f"Not compared, because the remote lists no source with them: {fields}" if fields else ""


def _bodies(page: Page, columns: int) -> Iterator[h.Element]:
    """A table body for each source. Sources that drifted in the same way come last, below a head that says how."""
    groups = [*group_drifts(page.drifted, lambda one: tuple(_rows(one, page.audit)))]
    # Single ones first: a row after the rows of a group would look like one of the group.
    for (one,) in (group for group in groups if len(group) == 1):
        first, *rest = _rows(one, page.audit)
        source = tables.source(one.address, one.name, len(one.changes))
        yield h.tbody[cells.joined([cells.row(source, first), *map(cells.row, rest)])]
    for group in groups:
        if len(group) > 1:
            yield h.tbody(".run")[
                h.tr[
                    h.th(colspan=str(columns), scope="rowgroup")[
                        h.span[h.b[f"{len(group):,} sources drifted in the same way"]],
                        tables.fold(len(group), "sources"),
                    ]
                ],
                cells.joined(cells.row(h.td(".address"), row) for row in _rows(group[0], page.audit)),
            ]
            same = h.td(colspan=str(columns - 1))[h.span(".none")["as above"]]
            yield from (h.tbody[cells.row(tables.source(one.address, one.name), same)] for one in group)


def _rows(drift: Drift, audit: Audit) -> Iterator[Markup]:
    """The cells of each field, without the cell of the source."""
    authors = audit.authors
    for one in drift.changes:
        author = authors.changed.get((drift.address, one.field.name)) if authors else None
        told = (tables.change_cells(one, "prior", "remote"), _plan(drift.address, one, audit))
        yield cells.joined(cell for cell in (*told, tables.author_cell(authors, author)) if cell is not None)


def _plan(address: Address, change: FieldChange, audit: Audit) -> h.Element | None:
    if audit.undone is None:
        return None
    return h.td(".plan")["undo it" if audit.is_undone(address, change) else "leave it"]


def show_gone(page: Page) -> h.Element | None:
    """A row for each source that is gone, with its probable new name; None if none is."""
    if not page.gone:
        return None
    resources, renamed = page.audit.snapshot.resources, page.audit.renamed
    columns = {"address": "Source", "renamed": "Looks renamed to", "when": "Last change"}
    authors = page.audit.authors
    if authors is not None:
        columns["by"] = tables.BY
    told = h.p(".soft")["In the state, but no longer at the remote: deleted or renamed there."]
    bodies = (
        h.tbody[
            h.tr[
                tables.source(one.address, one.name),
                h.td(".renamed")[escape(renamed.get(one.address, ""))],
                h.td(".when")[cells.show_moment(resources[one.address].updated_at)],
                tables.author_cell(authors, authors.removed.get(one.address) if authors else None),
            ]
        ]
        for one in page.gone
    )
    return tables.section("gone", "Gone", f"{len(page.gone):,}", told, tables.table("gone", "gone", columns, bodies))


def show_unmanaged(audit: Audit) -> h.Element | None:
    """A row for each source that the state does not have; None if there is none."""
    if not audit.unmanaged:
        return None
    authors = audit.authors
    told = h.p(".soft")[
        "At the remote, but not in the state; ", h.code[escape(advise("import"))], " adds them to the state."
    ]
    bodies = (
        h.tbody[
            h.tr[
                h.th(".name", scope="row")[escape(name)],
                h.td(".type")[escape(type_name)],
                tables.author_cell(authors, authors.made.get(RemoteName(type_name, name)) if authors else None),
            ]
        ]
        for type_name, name in audit.unmanaged
    )
    columns = {"name": "Name", "type": "Type"} | ({} if authors is None else {"by": tables.BY})
    table = tables.table("unmanaged", "unmanaged", columns, bodies)
    return tables.section("unmanaged", "Unmanaged", f"{len(audit.unmanaged):,}", told, table)


def show_touched(audit: Audit) -> h.Element | None:
    """A row for each changed source that something reads; None if there is none, or nobody asked."""
    if not audit.touched:
        return None
    told = h.p(".soft")[
        "The experiments that read sources that changed or are gone, and the metrics that are made from these sources."
    ]
    bodies = (
        h.tbody[
            h.tr[
                tables.source(one.change.address, one.change.name),
                h.td(".why")[[h.div[escape(text)] for text in (describe(one), *losses(one))]],
            ]
        ]
        for one in audit.touched
    )
    table = tables.table("touched", "touched", {"address": "Source", "why": "Read by"}, bodies)
    return tables.section("touched", "What reads the changed sources", f"{len(audit.touched):,}", told, table)


def show_undecided(audit: Audit) -> h.Element | None:
    """A row for each source of which it is unknown whether it is there; None if there is none."""
    if not audit.undecided:
        return None
    told = h.p(".soft")["It is unknown whether these exist, or what their values are. Audit again in a minute."]
    bodies = (
        h.tbody[h.tr[tables.source(address, audit.snapshot.resources[address].name), h.td(".why")[escape(reason)]]]
        for address, reason in audit.undecided.items()
    )
    table = tables.table("undecided", "undecided", {"address": "Source", "why": "Why"}, bodies)
    return tables.section("undecided", "Undecided", f"{len(audit.undecided):,}", told, table)
