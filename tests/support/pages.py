"""What a page tells, made up: with one text in every field where somebody else's could be, or with many entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import evolve

from planner.audit.audit import Audit
from planner.audit.authors import Author, Authors
from planner.audit.drift import Drift
from planner.audit.history import HistoryEntry
from planner.definitions.addresses import RemoteName
from planner.definitions.fields import Field, String
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.plan.diff import ABSENT, FieldChange, Value, element_changes
from planner.render.page.content import Page
from state.records import Intent
from state.snapshot import ResourceState, Snapshot
from state.values import JSON, Address

MADE_AT = "2026-11-23T12:40:05.123Z"
HEAD = "bb4e6cc0bf326162c0e902977895a0022ed277e09b3a049e252f436eb2624a60"
COMMIT = "8a927bd71f7f1ab1f3ddcc9ebd3d3f2ed1b5ff4a"


def change(field: str, before: Value, after: JSON) -> FieldChange:
    of = ASSIGNMENT_SOURCE.field.get(field, Field(field, String()))
    return FieldChange(of, before, after, element_changes(of.kind, before, after))


def entry(address: str, *changes: FieldChange, **more: Any) -> HistoryEntry:
    """An update by ana that was applied, but for what is said otherwise."""
    usual = HistoryEntry(
        at="2026-11-20T09:00:00.000Z",
        who="ana",
        host="laptop",
        commit=COMMIT,
        version="0.1.0",
        kind="update",
        address=Address(address),
        name=address.partition(".")[2],
        changes=changes,
        outcome="applied",
        reason=None,
        seconds=0.042,
        hash=HEAD,
    )
    return evolve(usual, **more)


def snapshot(addresses: Sequence[str], names: Sequence[str] = (), unresolved: Sequence[Intent] = ()) -> Snapshot:
    states = {
        Address(address): ResourceState(name, {}, {}, "2026-11-01T10:00:00.000Z")
        for address, name in zip(addresses, names or addresses, strict=True)
    }
    return Snapshot(
        "fb23cb7f-d3e6-49bf-826d-340829089ab3", 42, HEAD, 1, states, {one.address: one for one in unresolved}
    )


def drift(address: str, *changes: FieldChange) -> Drift:
    """A source that drifted, or that is gone when nothing changed."""
    return Drift(Address(address), ASSIGNMENT_SOURCE, address.partition(".")[2], changes, {} if changes else None)


def audit(of: Snapshot, *drifts: Drift, unmanaged: Sequence[str] = (), **more: Any) -> Audit:
    pairs = tuple(RemoteName("assignment_source", name) for name in unmanaged)
    return Audit(of, drifts, more.pop("renamed", {}), pairs, more.pop("unseen", ()), records=4038, **more)


def page(*entries: HistoryEntry, of: Audit | None = None, is_audit: bool = False, selection: str = "") -> Page:
    of = of or audit(snapshot(sorted({one.address for one in entries})))
    base_url = "https://statsigapi.net" if is_audit else None
    return Page("growth-sources", "statform.state.json", MADE_AT, "0.1.0", of, entries, base_url, selection)


def filled_with(text: str) -> Page:
    """The text in every place at once; one kind of row in every table."""
    address = Address(f"assignment_source.{text}")
    changes = (
        change("description", text, f"{text} {text}"),
        change("sql", f"{text}\nsame\n", f"same\n{text}"),
        change("tags", [text, "same"], ["same", f"{text}2"]),
        change("tags", ABSENT, [text]),
        change("idTypeMapping", *([{"statsigUnitID": text, "column": column}] for column in (text, "same"))),
        change("owner", {"ownerID": text}, {"ownerID": "same", text: text}),
        change("team", text * 20, None),
        change(text, text, text),
    )
    said = {"who": text, "host": text, "commit": text, "name": text, "reason": text}
    outcomes = ("applied", "rejected", "unknown", "recorded")
    entries = [entry(address, *changes, outcome=outcome, **said) for outcome in outcomes]
    entries += [
        entry(address, *changes, kind="import", **said),
        entry(address, kind=text, outcome=text, at=text, **said),
    ]
    lost = Intent(address, "PATCH", text, {}, {text: text}, text)
    gone = Address(text)
    drifts = (Drift(address, ASSIGNMENT_SOURCE, text, changes, {}), Drift(gone, ASSIGNMENT_SOURCE, text, (), None))
    state = ResourceState(text, {}, {}, text)
    of = Snapshot(text, 1, text, 1, {address: state, gone: state}, {address: lost})
    by = Author(text, text, text, is_sure=False)
    authors = Authors({(address, "sql"): by}, {gone: by}, {(text, text): by}, problem=text)
    told = Audit(
        of, drifts, {gone: text}, (RemoteName(text, text),), ((text, text),), {(address, "sql")}, authors, records=1
    )
    return Page(text, text, MADE_AT, "0.1.0", told, entries, text, text)


def many(count: int, sources: int = 100, days: int = 700) -> Page:
    """As many entries over that time, by three people, on that many sources."""
    start = datetime(2024, 1, 1)
    outcomes = (*["applied"] * 7, "rejected", "unknown", "recorded")
    entries = []
    for n in range(count):
        at = (start + timedelta(days=days) * n / count).isoformat(timespec="milliseconds") + "Z"
        description = change("description", f"The description number {n}", f"The description number {n + 1}")
        changes = (description, change("tags", ["a", "b"], ["b", "c"])) if n % 3 else (description,)
        who, outcome = ("ana", "bo", "ci")[n % 3], outcomes[n % 10]
        entries.append(entry(f"assignment_source.source_{n % sources}", *changes, at=at, who=who, outcome=outcome))
    return page(*entries, of=audit(snapshot([f"assignment_source.source_{n}" for n in range(sources)])))
