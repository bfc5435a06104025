"""`statform refresh`: what moved at the remote, shown, approved and taken into the state."""

from __future__ import annotations

from planner.apply.run import Run
from planner.audit.drift import Drift, find_drift, find_renamed, refresh, types_in_use
from planner.output import Terminal
from planner.render.drift import render_drift
from state.fold import replay
from state.snapshot import Snapshot
from state.store import Session


def refresh_state(run: Run, terminal: Terminal, *, is_approved: bool) -> int:
    """Show what moved and take it into the state; the exit code."""
    with run.interrupts.caught(), run.open_state("refresh") as session:
        run.resolve_unknown(session)
        drifts = _find(run, terminal, session.snapshot, is_shown=True)
        if drifts:
            _take_over(run, terminal, session, drifts, is_approved=is_approved)
        else:
            session.commit("ok")
            terminal.out("No drift: the remote is as the state has it.\n")
    return 0


def _find(run: Run, terminal: Terminal, snapshot: Snapshot, *, is_shown: bool) -> tuple[Drift, ...]:
    remote = run.list_remote(types_in_use(run.definitions, snapshot))
    drifts = find_drift(snapshot, remote)
    if drifts and is_shown:
        renamed = find_renamed(drifts, snapshot, remote)
        terminal.out(render_drift(drifts, renamed, terminal.out_style))
    return drifts


def _take_over(run: Run, terminal: Terminal, session: Session, drifts: tuple[Drift, ...], *, is_approved: bool) -> None:
    gone = sum(drift.source is None for drift in drifts)
    terminal.out(f"\nRefresh: {len(drifts) - gone} to update in the state, {gone} to drop from it.\n")
    if not is_approved:
        terminal.ask("Do you want to take this into the state? The remote stays as it is.", "the state is as it was")
    session.probe()
    with run.interrupts.shield():
        session.record(run.begin(None))
        for record in refresh(drifts, session.snapshot, run.clock.timestamp()):
            session.record(record)
        session.commit("ok")
    terminal.out(f"Refresh complete: {len(drifts) - gone} updated, {gone} dropped.\n")
    if gone:
        terminal.say("What was renamed comes back when its definition has the new name: the next plan adopts it.")


def start_from_remote(
    run: Run, terminal: Terminal, snapshot: Snapshot, *, is_shown: bool
) -> tuple[Snapshot, tuple[Drift, ...]]:
    """The snapshot that a refresh would make, and what moved, as text too if it `is_shown`; nothing is written."""
    drifts = _find(run, terminal, snapshot, is_shown=is_shown)
    if drifts and is_shown:
        terminal.out("\nThe plan below starts from the remote as it is now; the state stays as it is.\n\n")
    return replay(snapshot, refresh(drifts, snapshot, run.clock.timestamp())), drifts
