"""`statform audit`: the remote against the state, read-only, for people, tools, issues and auditors."""

from __future__ import annotations

from typing import Literal

from attrs import evolve

from planner.apply.looks import take_look
from planner.apply.run import Run
from planner.audit.audit import Audit, audit_remote, find_authors, find_undone
from planner.audit.authors import Authors, first_day
from planner.audit.drift import types_in_use
from planner.audit.experiments import changes_of_drift
from planner.audit.history import entries_of
from planner.console.audit_log import FIRST_DAY, parse_entry
from planner.errors import ApiError
from planner.escape import as_json
from planner.output import Terminal
from planner.render import audit as render
from planner.render.audit_comment import audit_to_markdown
from state import journal, store
from state.errors import Damaged
from state.journal import Chain
from state.records import Begin


def audit_state(
    run: Run,
    terminal: Terminal,
    form: Literal["text", "json", "markdown"],
    html: str | None,
    *,
    against_definitions: bool,
    asks_who: bool,
    checks_experiments: bool,
) -> int:
    """Show everything in which the remote is not as the state has it, and write it to `html`; the exit code."""
    with run.interrupts.caught():
        found, chain = _audit(run)
        if against_definitions:
            found = evolve(found, undone=find_undone(run.definitions, found.drifts, found.snapshot))
        if asks_who:
            found = evolve(found, authors=_find_authors(run, found))
        if checks_experiments:
            found = evolve(found, touched=run.find_touched(changes_of_drift(found.drifts)))
    match form:
        case "text":
            terminal.out(render.render_audit(found, terminal.out_style))
        case "json":
            terminal.out(as_json(render.audit_to_json(found), indent=2) + "\n")
        case "markdown":
            terminal.out(audit_to_markdown(found))
    if html is not None:
        from planner.commands import page  # noqa: PLC0415 - most audits make none

        made = page.make_page(
            run.project.directory, run.place, found, entries_of(chain), run.clock, base_url=run.base_url
        )
        page.write_page(html, made, terminal)
    return found.exit_code


def _audit(run: Run) -> tuple[Audit, Chain | None]:
    snapshot = store.read(run.place)
    look = take_look(run, types_in_use(run.definitions, snapshot), snapshot)
    found = audit_remote(snapshot, look, run.definitions.settings.ignore)
    found = evolve(found, at_work=run.find_at_work(snapshot))
    try:
        chain = store.verify(run.place)
    except Damaged as error:
        return evolve(found, damage=str(error)), None
    if chain is None:
        return found, None
    runs = (record for record in journal.read_backwards(chain.lines, chain.path) if isinstance(record, Begin))
    return evolve(found, records=chain.record_count, last_run=next(runs, None)), chain


def _find_authors(run: Run, found: Audit) -> Authors:
    """Not being allowed to read the log is something to tell, and no end of the audit."""
    if not found.drifts and not found.unmanaged:
        return Authors()
    # Who made what nobody manages may have done so at any time.
    times = [found.snapshot.resources[one.address].updated_at for one in found.drifts]
    try:
        types = types_in_use(run.definitions, found.snapshot)
        entries = run.list_audit_log(types, FIRST_DAY if found.unmanaged else first_day(times))
    except ApiError as error:
        return Authors(problem=str(error))
    return find_authors(found, [parse_entry(entry) for entry in entries])
