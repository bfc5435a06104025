"""`statform state`: show, rearrange and rebuild it; the remote stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from planner.apply.run import Run
from planner.commands.common import Invocation
from planner.definitions.addresses import closest_address, is_like, parse_address, parts
from planner.definitions.fields import closest
from planner.errors import UsageError
from planner.output import Terminal
from planner.plural import counted
from planner.render import state as render
from planner.render import terraform
from state import store
from state.advice import advise
from state.records import Forgotten, Moved, Record
from state.session import Session
from state.snapshot import Snapshot
from state.values import Address

if TYPE_CHECKING:
    from planner.apply.run import Run


def list_addresses(invocation: Invocation, patterns: Sequence[str]) -> int:
    """Print the addresses in the state: all, or those that are like a pattern; the exit code.

    Raises:
        UsageError: a pattern that no address is like.
    """
    snapshot = invocation.read_state()
    for pattern in patterns:
        if not any(is_like(address, [pattern]) for address in snapshot.resources):
            guess = closest(pattern, tuple(snapshot.resources))
            raise UsageError(f"{pattern}: no address in the state matches{guess}")
    found = (address for address in sorted(snapshot.resources) if not patterns or is_like(address, patterns))
    invocation.output.out("".join(f"{address}\n" for address in found))
    return 0


def show(invocation: Invocation, address: Address, *, is_json: bool) -> int:
    """Show what the state knows of the address; the exit code.

    Raises:
        UsageError: it is not in the state.
    """
    snapshot, output = invocation.read_state(), invocation.output
    _check_known(snapshot, [address])
    if is_json:
        invocation.print_json(terraform.resource_to_json(address, snapshot.resources[address]))
    else:
        output.out(render.render_resource(address, snapshot.resources[address], output.out_style))
    return 0


def rebuild(invocation: Invocation) -> int:
    """Rebuild the state file from its journal; the exit code.

    Raises:
        StateError: the journal can't be trusted, or the file can't be written.
    """
    output = invocation.output
    snapshot = store.rebuild(invocation.find_place())
    count = counted(len(snapshot.resources), "resource")
    output.out(f"Rebuilt: {count}, serial {snapshot.serial}, head {snapshot.head}.\n")
    output.warn_of_unresolved(snapshot)
    return 0


def move(run: Run, terminal: Terminal, old: Address, new: Address, *, is_dry_run: bool) -> int:
    """Let what the state knows of `old` be known of `new`; the exit code.

    Raises:
        UsageError: `old` is not in the state, or `new` is, or is not an address for it.
    """
    with run.interrupts.caught(), run.open_state("state mv") as session:
        snapshot = session.snapshot
        _check_known(snapshot, [old])
        _check_settled(snapshot, [old])
        _check_new(snapshot, old, new)
        if not is_dry_run:
            _record(run, session, lambda at: [Moved(old, new, at)])
        terminal.out(f"{'Would move' if is_dry_run else 'Moved'} {old} to {new}.\n")
    return 0


def remove(run: Run, terminal: Terminal, addresses: Sequence[Address], *, is_dry_run: bool) -> int:
    """Drop the addresses from the state; the exit code.

    Raises:
        UsageError: one of them is not in the state; then none is dropped.
    """
    with run.interrupts.caught(), run.open_state("state rm") as session:
        snapshot = session.snapshot
        _check_known(snapshot, addresses)
        _check_settled(snapshot, addresses)
        unique = list(dict.fromkeys(addresses))
        if not is_dry_run:
            _record(run, session, lambda at: [Forgotten(address, at) for address in unique])
        for address in unique:
            terminal.out(f"{'Would remove' if is_dry_run else 'Removed'} {address}.\n")
        terminal.say("The remote stays as it is.")
    return 0


def _check_known(snapshot: Snapshot, addresses: Collection[Address]) -> None:
    """Raises:
    UsageError: one of the addresses is not in the state.
    """
    for address in addresses:
        if address not in snapshot.resources:
            raise UsageError(f"{address} is not in the state{closest_address(address, snapshot.resources)}")


def _check_settled(snapshot: Snapshot, addresses: Collection[Address]) -> None:
    # The lost request is kept by address: once that is moved or removed, nobody could find out what became of it.
    for address in addresses:
        if address in snapshot.unresolved:
            what = "the outcome of its last request is unknown; the next apply, refresh or import finds it out"
            raise UsageError(f"{address}: {what}")


def _check_new(snapshot: Snapshot, old: Address, new: Address) -> None:
    if parts(parse_address(new))[0] != parts(old)[0]:
        raise UsageError(f"{new} is of another type than {old}")
    if new in snapshot.resources:
        raise UsageError(f"the state already has {new}; `{advise('state', 'rm', new)}` removes it")


def _record(run: Run, session: Session, records: Callable[[str], Sequence[Record]]) -> None:
    """Record the run and, with the time of a moment within it, its `records`."""
    session.probe()
    with run.interrupts.shield():
        session.record(run.begin(None))
        for record in records(run.clock.timestamp()):
            session.record(record)
        session.commit("ok")
