"""An audit for people and for tools, with the same facts.

At a terminal: what drifted, by the lines of a plan; what a plan would undo; who it was; what nobody manages; requests
of an unknown outcome; a line on the journal; the verdict with its counts, last, where one looks first.
As JSON: a list for each of these, empty when there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from planner.audit.audit import Audit
from planner.audit.authors import Author, Authors
from planner.audit.drift import Drift
from planner.audit.history import told_of
from planner.definitions.addresses import RemoteName
from planner.escape import escape
from planner.plan.diff import ABSENT, FieldChange
from planner.plural import counted
from planner.render import at_work
from planner.render.drift import render_drift
from planner.render.history import describe_run, describe_who
from planner.render.style import Style, format_time
from planner.render.touched import render_touched, touched_to_json
from state.records import Begin
from state.values import JSON, Address

FORMAT_VERSION = "1.0"


def render_audit(audit: Audit, style: Style) -> str:
    """The audit at a terminal."""
    blocks = [render_drift(audit.drifts, audit.renamed, style)] if audit.drifts else []
    if audit.undone is not None and audit.moved:
        blocks += _wrapped(_undone(audit, style), style)
    if audit.touched:
        blocks.append(render_touched(audit.touched, style))
    return "\n".join([*blocks, *_wrapped(_sentences(audit, style), style)])


def _wrapped(lines: Iterable[str], style: Style) -> Iterator[str]:
    for line in lines:
        yield from style.wrap(line, "    " if line.startswith(" ") else "")


def _sentences(audit: Audit, style: Style) -> Iterator[str]:
    if audit.authors is not None and (audit.drifts or audit.unmanaged):
        yield from _authors(audit, audit.authors, style)
    if audit.unmanaged:
        yield style.bold("Unmanaged:") + " sources at the remote that the state does not have."
        yield ""
        yield from (f"  {type_name} {escape(name)}" for type_name, name in audit.unmanaged)
        yield ""
    if audit.snapshot.unresolved:
        yield (
            style.bold("Unknown:")
            + " the outcome of the last request for these addresses; the next apply finds it out."
        )
        yield ""
        yield from (f"  {escape(address)}" for address in audit.snapshot.unresolved)
        yield ""
    if audit.undecided:
        yield (
            style.bold("Undecided:")
            + " it is unknown whether these exist, or what their values are; audit again in a minute."
        )
        yield ""
        yield from (f"  {escape(address)}: {escape(reason)}" for address, reason in audit.undecided.items())
        yield ""
    if audit.at_work is not None:
        yield style.yellow("Another run:") + f" {escape(at_work.describe(audit.at_work))}"
    if audit.unseen:
        yield f"Not compared, because the remote lists no source with them: {list_unseen(audit)}."
    yield _journal(audit, style)
    if audit.last_run is not None:
        yield f"Last run: {escape(describe_last_run(audit.last_run))}."
    verdict = style.green("Audit: clean.") if audit.is_clean else style.yellow("Audit: not clean.")
    yield f"{verdict} {count_all(audit)}."
    yield ""


def _undone(audit: Audit, style: Style) -> Iterator[str]:
    for title, is_undone in (("A plan would undo:", True), ("A plan would not change:", False)):
        moved = [
            f"  {escape(a)}: {escape(change.field.name)}"
            for a, change in audit.moved
            if audit.is_undone(a, change) is is_undone
        ]
        if moved:
            yield from (style.bold(title), "", *moved, "")


def _authors(audit: Audit, authors: Authors, style: Style) -> Iterator[str]:
    yield style.bold("Who, by the project's audit log:")
    yield ""
    if authors.problem is not None:
        yield f"  It can't be read: {escape(authors.problem)}"
        yield ""
        return
    for address, change in audit.moved:
        what = f"{escape(address)}: {escape(change.field.name)}"
        yield f"  {what}, {describe_author(authors.changed.get((address, change.field.name)))}"
    for one in audit.drifts:
        if one.source is None:
            yield f"  {escape(one.address)}: gone, {describe_author(authors.removed.get(one.address))}"
    for type_name, name in audit.unmanaged:
        author = authors.made.get(RemoteName(type_name, name))
        yield f"  {type_name} {escape(name)}: {'' if author and author.was else 'created, '}{describe_author(author)}"
    yield ""


def describe_author(author: Author | None) -> str:
    """Who did it and when, and what of a rename it was; or that it is not in the log. The end of a sentence."""
    if author is None:
        return "not in the audit log"
    email = f" <{author.email}>" if author.email else ""
    renamed = f"renamed to {author.now} " if author.now else f"renamed from {author.was} " if author.was else ""
    likely = "" if author.is_sure else "likely "
    at = format_time(author.at) if author.at else "at an unknown time"
    return escape(f"{renamed}{likely}by {author.by or 'somebody'}{email}, {at}")


def _author_to_json(author: Author | None) -> JSON:
    if author is None:
        return None
    names = {"renamed_to": author.now, "renamed_from": author.was}
    renamed = {key: name for key, name in names.items() if name is not None}
    return {"by": author.by, "email": author.email, "at": author.at, "sure": author.is_sure, **renamed}


def _journal(audit: Audit, style: Style) -> str:
    if audit.damage is not None:
        return style.red("Journal: damaged.") + f" {escape(audit.damage)}"
    if not audit.snapshot.head:
        return "Journal: none yet."
    return f"Journal: intact, {count_records(audit)}, head {audit.snapshot.head}."


def describe_last_run(run: Begin) -> str:
    """When it was, who, and what a CI told of it."""
    return ", ".join([format_time(run.at), describe_who(run.who, run.host, run.actor), *describe_run(told_of(run))])


def _last_run_to_json(run: Begin) -> JSON:
    return {"at": run.at, "who": run.who, "host": run.host, "actor": run.actor, "run": {**told_of(run)}}


def list_unseen(audit: Audit) -> str:
    """The fields that could not be compared, in words."""
    return ", ".join(f"{type_name}.{name}" for type_name, name in audit.unseen)


def count_records(audit: Audit) -> str:
    """Of the journal."""
    return counted(audit.records, "record")


def count_all(audit: Audit) -> str:
    """The counts of a verdict."""
    gone = sum(one.source is None for one in audit.drifts)
    return (
        f"{len(audit.snapshot.resources)} managed, {len(audit.drifts) - gone} drifted, {gone} gone, "
        f"{len(audit.unmanaged)} unmanaged, {len(audit.snapshot.unresolved) + len(audit.undecided)} unknown"
    )


def audit_to_json(audit: Audit) -> dict[str, JSON]:
    """The audit as an object of `FORMAT_VERSION`; planner/README.md describes it."""
    log: dict[str, JSON] = {} if audit.authors is None else {"audit_log": {"problem": audit.authors.problem}}
    journal: dict[str, JSON] = {"intact": audit.damage is None, "records": audit.records, "head": audit.snapshot.head}
    if audit.damage is not None:
        journal["damage"] = audit.damage
    return {
        "format_version": FORMAT_VERSION,
        "clean": audit.is_clean,
        "lineage": audit.snapshot.lineage,
        "serial": audit.snapshot.serial,
        "managed": len(audit.snapshot.resources),
        "drift": [_drift_to_json(audit, one) for one in audit.drifts if one.source is not None],
        "gone": [_gone_to_json(audit, one) for one in audit.drifts if one.source is None],
        "unmanaged": [_unmanaged_to_json(audit, one) for one in audit.unmanaged],
        "unknown": [
            {"address": address, "name": intent.name, "sent": dict(intent.sent), "at": intent.at}
            for address, intent in audit.snapshot.unresolved.items()
        ],
        "undecided": [{"address": address, "reason": reason} for address, reason in audit.undecided.items()],
        "not_compared": [{"type": type_name, "field": name} for type_name, name in audit.unseen],
        "journal": journal,
        "at_work": None if audit.at_work is None else at_work.to_json(audit.at_work),
        "last_run": None if audit.last_run is None else _last_run_to_json(audit.last_run),
        **log,
        **({"touched": touched_to_json(audit.touched)} if audit.touched else {}),
    }


def _gone_to_json(audit: Audit, drift: Drift) -> JSON:
    found: dict[str, JSON] = {
        "address": drift.address,
        "name": drift.name,
        "looks_renamed_to": audit.renamed.get(drift.address),
    }
    return (
        found if audit.authors is None else {**found, "who": _author_to_json(audit.authors.removed.get(drift.address))}
    )


def _unmanaged_to_json(audit: Audit, one: RemoteName) -> JSON:
    found: dict[str, JSON] = {"type": one.type, "name": one.name}
    return found if audit.authors is None else {**found, "who": _author_to_json(audit.authors.made.get(one))}


def _drift_to_json(audit: Audit, drift: Drift) -> JSON:
    return {
        "address": drift.address,
        "name": drift.name,
        "fields": [_field_to_json(audit, drift.address, change) for change in drift.changes],
    }


def _field_to_json(audit: Audit, address: Address, change: FieldChange) -> JSON:
    found: dict[str, JSON] = {"field": change.field.name, "remote": change.after}
    if change.before is not ABSENT:
        found["prior"] = change.before
    if audit.undone is not None:
        found["undone_by_plan"] = audit.is_undone(address, change)
    if audit.authors is not None:
        found["who"] = _author_to_json(audit.authors.changed.get((address, change.field.name)))
    return found
