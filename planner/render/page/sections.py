"""The sections of the page, in the order of an auditor's questions, and those about the state itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import htpy as h

from planner.audit.audit import Audit
from planner.audit.history import HistoryEntry
from planner.definitions.addresses import parts
from planner.escape import escape
from planner.render.page import cells, remote, tables
from planner.render.page.content import Page
from planner.render.page.timeline import show_timeline
from state.advice import advise
from state.snapshot import Snapshot
from state.values import Address

_FEW = 20
"""A type with more sources is folded."""


def render_sections(page: Page) -> Iterator[h.Node]:
    """The sections from top to bottom: what the remote shows, if it was listed, then what state and journal tell."""
    if page.base_url is not None:
        yield remote.show_drift(page)
        yield remote.show_gone(page)
        yield remote.show_touched(page.audit)
        yield remote.show_unmanaged(page.audit)
        yield remote.show_undecided(page.audit)
    yield _unresolved(page.audit.snapshot)
    yield show_timeline(page)
    yield _managed(page)
    yield _verification(page.audit)


def _unresolved(snapshot: Snapshot) -> h.Element | None:
    if not snapshot.unresolved:
        return None
    told = h.p(".soft")[
        "Sent, but never answered. The next apply finds out what happened before it does anything else."
    ]
    bodies = (
        h.tbody[
            h.tr[
                tables.source(one.address, one.name),
                h.td(".when")[cells.show_moment(one.at)],
                h.td(".fields")[h.code[escape(", ".join(one.sent))]],
            ]
        ]
        for one in snapshot.unresolved.values()
    )
    columns = {"address": "Source", "when": "Sent", "fields": "Fields"}
    table = tables.table("unresolved", "unknown", columns, bodies)
    return tables.section("unresolved", "Outcome unknown", f"{len(snapshot.unresolved):,}", told, table)


def _managed(page: Page) -> h.Element:
    """A table of sources for each type. A long one is folded: the filter finds a source in it."""
    resources = page.audit.snapshot.resources
    if not resources:
        return tables.section("managed", "Managed sources", "", h.p["The state has none."])
    by_type: dict[str, list[Address]] = {}
    for address in sorted(resources):
        by_type.setdefault(parts(address)[0], []).append(address)
    last = _last_changes(page)
    groups = (
        h.details(".group", open=len(addresses) <= _FEW)[
            h.summary[h.b[escape(type_name)], " ", h.small[f"{len(addresses):,}"]],
            _of_type(page, addresses, last),
        ]
        for type_name, addresses in by_type.items()
    )
    return tables.section("managed", "Managed sources", f"{len(resources):,}", groups)


def _of_type(page: Page, addresses: Sequence[Address], last: Mapping[Address, tuple[HistoryEntry, int]]) -> h.Node:
    columns = {"address": "Source", "when": "Last change"}
    if not page.selection:
        columns |= {"who": "By", "count": "Changes"}
    resources = page.audit.snapshot.resources
    bodies = (
        h.tbody[
            cells.row(
                tables.source(address, resources[address].name),
                h.td(".when")[cells.show_moment(resources[address].updated_at)],
                *(() if page.selection else _changes(last.get(address))),
            )
        ]
        for address in addresses
    )
    return tables.table("managed", "managed", columns, bodies)


def _last_changes(page: Page) -> Mapping[Address, tuple[HistoryEntry, int]]:
    """For each address, the latest change that changed the state, and how many such changes there are."""
    found: dict[Address, tuple[HistoryEntry, int]] = {}
    for entry in page.entries:
        # After these the state has what it had: they are attempts, and no change.
        if entry.outcome not in {"unknown", "rejected", "retried", "not applied"}:
            found[entry.address] = entry, found.get(entry.address, (entry, 0))[1] + 1
    return found


def _changes(last: tuple[HistoryEntry, int] | None) -> Iterator[h.Element]:
    yield h.td(".who")[tables.show_who(last[0]) if last else None]
    yield h.td(".count")[f"{last[1] if last else 0:,}"]


def _verification(audit: Audit) -> h.Element:
    state = audit.snapshot
    if audit.damage is not None:
        return tables.section(
            "verify", "How to verify", "", h.p["The journal can't be verified: ", escape(audit.damage)]
        )
    if not state.head:
        return tables.section(
            "verify", "How to verify", "", h.p["There is no state yet, so there is nothing to verify."]
        )
    told = (
        "The head is a hash over all records of the journal. If you note it (from this page, a CI log, a git tag), you "
        "can prove later that nothing before it was changed or removed. Run this in the project's directory:"
    )
    facts = {"Head": state.head, "Lineage": state.lineage, "Serial": str(state.serial), "Records": f"{audit.records:,}"}
    return tables.section(
        "verify",
        "How to verify",
        "",
        h.p[told],
        h.div(".card")[
            h.dl(".facts-list")[((h.dt[name], h.dd[h.code[escape(fact)]]) for name, fact in facts.items())],
            h.p(".command")[
                h.code("#command")[escape(advise("history", "--verify", "--expect", state.head))],
                h.button(type="button", hidden=True, data_copies="command")["Copy"],
            ],
        ],
    )
