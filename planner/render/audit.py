"""An audit for people, for tools and for an issue of a tracker: three forms of the same facts."""

from __future__ import annotations

from collections.abc import Iterator

from planner.audit.audit import Audit, Drift
from planner.audit.authors import Author, Authors
from planner.escape import escape
from planner.plan.diff import ABSENT, FieldChange
from planner.render import markdown
from planner.render.drift import drift
from planner.render.style import Style
from state.values import JSON, Address

FORMAT_VERSION = "1.0"


def text(of: Audit, style: Style) -> str:
    """The audit at a terminal."""
    return "\n".join(_text(of, style))


def _text(of: Audit, style: Style) -> Iterator[str]:
    if of.drifts:
        yield drift(of.drifts, of.renamed, style)
    if of.undone is not None and of.moved:
        yield from _undone(of, style)
    if of.authors is not None and (of.drifts or of.unmanaged):
        yield from _authors(of, of.authors, style)
    if of.unmanaged:
        yield style.bold("Unmanaged:") + " sources of the remote that the state does not have.\n"
        yield from (f"  {escape(name)}" for _, name in of.unmanaged)
        yield ""
    if of.snapshot.unresolved:
        yield style.bold("Unknown:") + " the outcome of the last request; the next apply finds it out.\n"
        yield from (f"  {escape(address)}" for address in of.snapshot.unresolved)
        yield ""
    if of.unseen:
        yield f"Not compared, since the remote lists no source with it: {', '.join(of.unseen)}."
    yield _journal(of, style)
    verdict = style.green("Audit: clean.") if of.is_clean else style.yellow("Audit: not clean.")
    yield f"{verdict} {_counts(of)}.\n"


def _undone(of: Audit, style: Style) -> Iterator[str]:
    for title, is_undone in (("A plan would undo:", True), ("A plan would leave:", False)):
        moved = [
            f"  {escape(a)}: {escape(change.field.name)}"
            for a, change in of.moved
            if of.is_undone(a, change) is is_undone
        ]
        if moved:
            yield from (style.bold(title) + "\n", *moved, "")


def _authors(of: Audit, authors: Authors, style: Style) -> Iterator[str]:
    yield style.bold("Who, by the project's audit log:") + "\n"
    if authors.problem is not None:
        yield f"  It can't be read: {escape(authors.problem)}\n"
        return
    for address, change in of.moved:
        what = f"{escape(address)}: {escape(change.field.name)}"
        yield f"  {what}, {by(authors.changed.get((address, change.field.name)))}"
    for one in of.drifts:
        if one.source is None:
            yield f"  {escape(one.address)}: gone, {by(authors.removed.get(one.address))}"
    for _, name in of.unmanaged:
        author = authors.made.get(name)
        yield f"  {escape(name)}: {'' if author and author.was else 'made, '}{by(author)}"
    yield ""


def by(author: Author | None) -> str:
    """Who did it and when, and what of a rename it was; or that the log tells nothing. The end of a sentence."""
    if author is None:
        return "of which it tells nothing"
    email = f" <{author.email}>" if author.email else ""
    renamed = f"renamed to {author.now} " if author.now else f"renamed from {author.was} " if author.was else ""
    likely = "" if author.is_sure else "likely "
    at = author.at or "at a time that it does not tell"
    return escape(f"{renamed}{likely}by {author.by or 'somebody'}{email}, {at}")


def _author_to_json(author: Author | None) -> JSON:
    if author is None:
        return None
    names = {"renamed_to": author.now, "renamed_from": author.was}
    renamed = {key: name for key, name in names.items() if name is not None}
    return {"by": author.by, "email": author.email, "at": author.at, "sure": author.is_sure, **renamed}


def _journal(of: Audit, style: Style) -> str:
    if of.damage is not None:
        return style.red("Journal: damaged.") + f" {escape(of.damage)}"
    if not of.snapshot.head:
        return "Journal: none yet."
    return f"Journal: intact, {of.records} records, head {of.snapshot.head}."


def _counts(of: Audit) -> str:
    gone = sum(one.source is None for one in of.drifts)
    return (
        f"{len(of.snapshot.resources)} managed, {len(of.drifts) - gone} drifted, {gone} gone, "
        f"{len(of.unmanaged)} unmanaged, {len(of.snapshot.unresolved)} unknown"
    )


def to_json(of: Audit) -> dict[str, JSON]:
    """The audit as an object of `FORMAT_VERSION`; the README describes it."""
    log: dict[str, JSON] = {} if of.authors is None else {"audit_log": {"problem": of.authors.problem}}
    journal: dict[str, JSON] = {"intact": of.damage is None, "records": of.records, "head": of.snapshot.head}
    if of.damage is not None:
        journal["damage"] = of.damage
    return {
        "format_version": FORMAT_VERSION,
        "clean": of.is_clean,
        "lineage": of.snapshot.lineage,
        "serial": of.snapshot.serial,
        "managed": len(of.snapshot.resources),
        "drift": [_drift_to_json(of, one) for one in of.drifts if one.source is not None],
        "gone": [_gone_to_json(of, one) for one in of.drifts if one.source is None],
        "unmanaged": [_unmanaged_to_json(of, *one) for one in of.unmanaged],
        "unknown": [
            {"address": address, "name": intent.name, "sent": dict(intent.sent), "at": intent.at}
            for address, intent in of.snapshot.unresolved.items()
        ],
        "not_compared": list(of.unseen),
        "journal": journal,
        **log,
    }


def _gone_to_json(of: Audit, drift: Drift) -> JSON:
    found: dict[str, JSON] = {
        "address": drift.address,
        "name": drift.name,
        "looks_renamed_to": of.renamed.get(drift.address),
    }
    return found if of.authors is None else {**found, "who": _author_to_json(of.authors.removed.get(drift.address))}


def _unmanaged_to_json(of: Audit, type_name: str, name: str) -> JSON:
    found: dict[str, JSON] = {"type": type_name, "name": name}
    return found if of.authors is None else {**found, "who": _author_to_json(of.authors.made.get(name))}


def _drift_to_json(of: Audit, drift: Drift) -> JSON:
    return {
        "address": drift.address,
        "name": drift.name,
        "fields": [_field_to_json(of, drift.address, change) for change in drift.changes],
    }


def _field_to_json(of: Audit, address: Address, change: FieldChange) -> JSON:
    found: dict[str, JSON] = {"field": change.field.name, "remote": change.after}
    if change.before is not ABSENT:
        found["prior"] = change.before
    if of.undone is not None:
        found["undone_by_plan"] = of.is_undone(address, change)
    if of.authors is not None:
        found["who"] = _author_to_json(of.authors.changed.get((address, change.field.name)))
    return found


def to_markdown(of: Audit) -> str:
    """The audit as an issue or a comment, of a size that both may have."""
    who = [] if of.authors is None else ["who"]
    lines = [f"**statform audit: {'clean' if of.is_clean else 'not clean'}.** {_counts(of)}.", ""]
    if of.moved:
        heads = ["address", "field", "prior", "remote"] + (["a plan would"] if of.undone is not None else [])
        lines += [*markdown.table([*heads, *who], [_cells(of, *one) for one in of.moved]), ""]
    if gone := [one for one in of.drifts if one.source is None]:
        heads = ["gone", "its name was", "looks renamed to", *who]
        lines += [*markdown.table(heads, [_gone(of, one) for one in gone]), ""]
    if of.unmanaged:
        lines += [*markdown.table(["unmanaged", *who], [_unmanaged(of, name) for _, name in of.unmanaged]), ""]
    if of.snapshot.unresolved:
        unknown = [[markdown.code(address)] for address in of.snapshot.unresolved]
        lines += [*markdown.table(["outcome unknown"], unknown), ""]
    if of.unseen:
        lines += [f"Not compared, since the remote lists no source with it: {', '.join(of.unseen)}.", ""]
    if of.authors is not None and of.authors.problem is not None:
        lines += [f"The project's audit log can't be read: {markdown.code(of.authors.problem)}", ""]
    if of.damage is not None:
        tail = f"Journal: **damaged**, {markdown.code(of.damage)}"
    else:
        tail = f"Journal: intact, {of.records} records, head {markdown.code(of.snapshot.head)}."
    return markdown.bounded(lines, "lines; `statform audit` shows all of them") + tail + "\n"


def _cells(of: Audit, address: Address, change: FieldChange) -> list[str]:
    cells = [markdown.code(address), change.field.name, *markdown.change(change)]
    if of.undone is not None:
        cells.append("undo it" if of.is_undone(address, change) else "leave it")
    if of.authors is not None:
        cells.append(markdown.code(by(of.authors.changed.get((address, change.field.name)))))
    return cells


def _gone(of: Audit, drift: Drift) -> list[str]:
    new_name = of.renamed.get(drift.address)
    cells = [markdown.code(drift.address), markdown.code(drift.name), markdown.code(new_name) if new_name else ""]
    return cells if of.authors is None else [*cells, markdown.code(by(of.authors.removed.get(drift.address)))]


def _unmanaged(of: Audit, name: str) -> list[str]:
    cells = [markdown.code(name)]
    return cells if of.authors is None else [*cells, markdown.code(by(of.authors.made.get(name)))]
