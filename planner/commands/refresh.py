"""`statform refresh`: what moved at the remote, shown, approved and taken into the state."""

from __future__ import annotations

from collections.abc import Mapping

from planner.apply.run import Run
from planner.audit.drift import Drift, find_drift, find_renamed, follow_renames, refresh, types_in_use
from planner.errors import TooManyGone
from planner.escape import escape
from planner.output import Terminal
from planner.render.drift import render_drift
from state.fold import replay
from state.snapshot import Snapshot
from state.store import Session
from state.values import Address

_NO_DRIFT = "No drift: the remote is as the state has it.\n"


def refresh_state(run: Run, terminal: Terminal, *, is_approved: bool, allow_gone: int | None = None) -> int:
    """Show what moved and take it into the state; the exit code.

    It drops at most `allow_gone` addresses, by default half of them.

    Raises:
        TooManyGone: there are more to drop; nothing was written.
    """
    with run.interrupts.caught(), run.open_state("refresh") as session:
        run.resolve_unknown(session)
        drifts, undecided = _find(run, terminal, session.snapshot, is_shown=True)
        if drifts:
            _check_gone(drifts, session.snapshot, allow_gone)
            _take_over(run, terminal, session, drifts, is_approved=is_approved)
        else:
            session.commit("ok")
            terminal.out(_NO_DRIFT if not undecided else "No drift in what the list shows for certain.\n")
    return 1 if undecided else 0


def _check_gone(drifts: tuple[Drift, ...], snapshot: Snapshot, allow_gone: int | None) -> None:
    gone, managed = sum(drift.source is None for drift in drifts), len(snapshot.resources)
    limit = managed // 2 if allow_gone is None else allow_gone
    if gone > limit:
        raise TooManyGone(gone, managed, limit)


def _find(
    run: Run, terminal: Terminal, snapshot: Snapshot, *, is_shown: bool
) -> tuple[tuple[Drift, ...], Mapping[Address, str]]:
    """What moved, and why of some addresses that can't be told."""
    look = run.look(types_in_use(run.definitions, snapshot), snapshot)
    drifts = find_drift(snapshot, look.remote, look.undecided)
    drifts = follow_renames(drifts, find_renamed(drifts, snapshot, look.remote), look.remote)
    if drifts and is_shown:
        terminal.out(render_drift(drifts, {}, terminal.out_style))
    for address, reason in look.undecided.items():
        terminal.warn(f"{escape(address)} is left as the state has it: {reason}")
    return drifts, look.undecided


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
        terminal.say("What was renamed and changed as well comes back with `statform import ADDRESS NAME`.")


def start_from_remote(
    run: Run, terminal: Terminal, snapshot: Snapshot, *, is_shown: bool
) -> tuple[Snapshot, tuple[Drift, ...]]:
    """The snapshot that a refresh would make, and what moved, as text too if it `is_shown`; nothing is written."""
    drifts, _ = _find(run, terminal, snapshot, is_shown=is_shown)
    if drifts and is_shown:
        terminal.out("\nThe plan below starts from the remote as it is now; the state stays as it is.\n\n")
    return replay(snapshot, refresh(drifts, snapshot, run.clock.timestamp())), drifts
