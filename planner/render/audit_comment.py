"""An audit as an issue of a tracker, or a comment.

**statform audit: not clean.** 12 managed, 1 drifted, 0 gone, 0 unmanaged, 0 unknown.
<details open><summary>drifted <code>assignment_source.checkout</code>: team</summary>
(a fenced block in the language `diff`, with the lines of a plan: from the state to the remote)
</details>
(a table for each of the others that has rows)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from planner.audit.audit import Audit
from planner.audit.drift import Drift
from planner.definitions.addresses import RemoteName
from planner.escape import escape, tell_apart
from planner.render import at_work, markdown
from planner.render.audit import count_all, count_records, describe_author, describe_last_run, list_unseen
from planner.render.diff_blocks import Titled, bounded, code, diff_lines, fields_of
from planner.render.drift import group_drifts
from planner.render.touched import touched_to_markdown
from state.advice import advise


def audit_to_markdown(audit: Audit) -> str:
    """The audit of a size that an issue and a comment may have."""
    head = f"**statform audit: {'clean' if audit.is_clean else 'not clean'}.** {count_all(audit)}.\n"
    if audit.at_work is not None:
        head += f"\n**Another run:** {markdown.code(at_work.describe(audit.at_work))}\n"
    head = bounded(head, [*_drifted(audit)], markdown.LIMIT * 2 // 3, advise("audit"))
    foot = f"{_journal(audit)}\n"
    room = markdown.LIMIT - len(head) - len(foot)
    rest = markdown.bounded(["", *_tables(audit)], f"lines; {markdown.code(advise('audit'))} shows all of them", room)
    return f"{head}{rest}{foot}"


def _tables(audit: Audit) -> Iterator[str]:
    who = [] if audit.authors is None else ["who"]
    if gone := [one for one in audit.drifts if one.source is None]:
        yield from _table(["gone", "its name was", "looks renamed to", *who], [_gone(audit, one) for one in gone])
    yield from touched_to_markdown(audit.touched)
    if audit.unmanaged:
        yield from _table(["unmanaged", "type", *who], [_unmanaged(audit, one) for one in audit.unmanaged])
    if audit.snapshot.unresolved:
        yield from _table(["outcome unknown"], [[markdown.code(address)] for address in audit.snapshot.unresolved])
    if audit.undecided:
        undecided = [[markdown.code(address), reason] for address, reason in audit.undecided.items()]
        yield from _table(["undecided", "why"], undecided)
    if audit.unseen:
        yield f"Not compared, because the remote lists no source with them: {list_unseen(audit)}."
        yield ""
    if audit.authors is not None and audit.authors.problem is not None:
        yield f"The project's audit log can't be read: {markdown.code(audit.authors.problem)}"
        yield ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from markdown.table(heads, rows)
    yield ""


def _journal(audit: Audit) -> str:
    if audit.damage is not None:
        told = f"Journal: **damaged**, {markdown.code(audit.damage)}"
    else:
        told = f"Journal: intact, {count_records(audit)}, head {markdown.code(audit.snapshot.head)}."
    last = f" Last run: {markdown.code(describe_last_run(audit.last_run))}." if audit.last_run is not None else ""
    return told + last


def _drifted(audit: Audit) -> Iterator[Titled]:
    """A block for each source, from the state to the remote; one for all that drifted in the same way."""
    moved = [drift for drift in audit.drifts if drift.source is not None]
    for group in group_drifts(moved, lambda drift: (*diff_lines(drift.changes), *_notes(audit, drift))):
        first, notes = group[0], [*_notes(audit, group[0])]
        if len(group) > 1:
            title = f"{len(group):,} drifted in the same way{fields_of(first.changes)}"
            yield Titled(title, first.changes, [escape(one.address) for one in group], notes)
        else:
            yield Titled(f"drifted {code(first.address)}{fields_of(first.changes)}", first.changes, (), notes)


def _notes(audit: Audit, drift: Drift) -> Iterator[str]:
    """What was asked besides of each field: who it was, and what a plan would do."""
    for change in drift.changes:
        told = list[str]()
        if audit.authors is not None:
            told.append(describe_author(audit.authors.changed.get((drift.address, change.field.name))))
        if audit.undone is not None:
            told.append(f"a plan would {'undo' if audit.is_undone(drift.address, change) else 'not change'} it")
        if told:
            yield f"{change.field.name}: {'; '.join(told)}"


def _gone(audit: Audit, drift: Drift) -> list[str]:
    new_name = audit.renamed.get(drift.address, "")
    was, now = tell_apart([drift.name, new_name])
    cells = [markdown.code(drift.address), markdown.code(was), markdown.code(now) if now else ""]
    return (
        cells
        if audit.authors is None
        else [*cells, markdown.code(describe_author(audit.authors.removed.get(drift.address)))]
    )


def _unmanaged(audit: Audit, one: RemoteName) -> list[str]:
    cells = [markdown.code(one.name), one.type]
    return cells if audit.authors is None else [*cells, markdown.code(describe_author(audit.authors.made.get(one)))]
