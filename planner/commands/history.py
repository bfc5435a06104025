"""`statform history`: the journal, verified and readable."""

from __future__ import annotations

import re
from typing import Literal

from attrs import frozen

from planner.audit.audit import Audit
from planner.audit.filters import Filter, parse_when
from planner.audit.history import entries_of
from planner.clock import Clock
from planner.commands.common import Invocation
from planner.definitions.addresses import closest_address
from planner.definitions.fields import closest
from planner.errors import UsageError
from planner.escape import escape
from planner.plural import counted
from planner.render import history as render
from planner.render.style import format_time
from state import journal, store
from state.storage import Place
from state.values import Address

Form = Literal["text", "json", "markdown"]


@frozen
class Query:
    """What `statform history` was asked for, as the command line has it."""

    addresses: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    who: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    form: Form = "text"
    html: str | None = None

    def filter(self, clock: Clock) -> Filter:
        """Raises:
        UsageError: a time that is none.
        """
        since = "" if self.since is None else _when("--since", self.since, clock)
        until = "~" if self.until is None else _when("--until", self.until, clock, is_end=True)
        return Filter(frozenset(self.addresses), frozenset(self.fields), frozenset(self.who), since, until)

    def words(self, resolved: Filter) -> str:
        """What was asked for, in words; empty when that is everything. `resolved` has the times."""
        parts = [
            *([f"of {' or '.join(self.addresses)}"] if self.addresses else []),
            *([f"of the field {' or '.join(self.fields)}"] if self.fields else []),
            *([f"by {' or '.join(self.who)}"] if self.who else []),
            *([f"since {format_time(resolved.since)}"] if self.since is not None else []),
            *([f"before {format_time(resolved.until)}"] if self.until is not None else []),
        ]
        return f"changes {', '.join(parts)}" if parts else ""


def _when(option: str, text: str, clock: Clock, *, is_end: bool = False) -> str:
    try:
        return parse_when(text, clock.now(), is_end=is_end)
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text}: not a date such as 2026-11-01, a time, or an age such as 7d") from None


def show(invocation: Invocation, query: Query, clock: Clock) -> int:
    """Show what the journal of the project's state has, the newest last; the exit code.

    What goes into a page is shown besides only for tools and for a comment.

    Raises:
        UsageError: a word that nothing in the history can match.
    """
    terminal, wanted, place = invocation.output, query.filter(clock), invocation.find_place()
    entries = entries_of(store.read_journal(place))
    if entries and (unknown := wanted.unknown(entries)):
        option, word, known = unknown
        guess = closest_address(word, map(Address, known)) if option == "--address" else closest(word, known)
        raise UsageError(f"{option} {escape(word)}: the history does not have it{escape(guess)}")
    found = wanted.of(entries)
    if query.html is not None:
        from planner.commands import page  # noqa: PLC0415 - most histories are for a terminal

        selection = query.words(wanted)
        made = page.make_page(invocation.directory, place, _state(place), found, clock, selection=selection)
        page.write_page(query.html, made, terminal)
    match query.form:
        case "markdown":
            terminal.out(render.history_to_markdown(found, is_whole=bool(query.fields)))
        case "json":
            for entry in found:
                terminal.out(render.entry_to_line(entry))
        case "text":
            for entry in found if query.html is None else ():
                terminal.out(render.render_entry(entry, terminal.out_style, is_whole=bool(query.fields)) + "\n")
            count = f"{len(found):,} of {counted(len(entries), 'change')}."
            terminal.say(count if entries else "No history: nothing was ever changed.")
    return 0


def _state(place: Place) -> Audit:
    """State and journal, verified; the remote is not query.

    Raises:
        StateError: the journal is damaged, or does not make the state.
    """
    snapshot, chain = store.read(place), store.verify(place)
    return Audit(snapshot, (), {}, (), (), records=0 if chain is None else chain.record_count)


def verify(invocation: Invocation, expected: str | None) -> int:
    """Prove that the journal is whole and makes the state, and that it has the record with the hash `expected`.

    Raises:
        StateError: it is damaged, or does not make the state.
        UsageError: it does not have the record.
    """
    if expected is not None and not re.fullmatch("[0-9a-f]{12,64}", expected):
        raise UsageError(f"--expect {escape(expected)}: a head has 64 hexadecimal digits; the first 12 are enough")
    terminal, chain = invocation.output, store.verify(invocation.find_place())
    if chain is None:
        if expected is not None:
            raise UsageError(f"there is no journal, so no record has the head {escape(expected)}")
        terminal.out("Nothing to verify: there is neither a state nor a journal.\n")
        return 0
    hashes = list(chain.hashes())
    (_, first), last = next(journal.entries(chain)), next(journal.read_backwards(chain.lines, chain.path))
    terminal.out(f"Verified: {len(hashes)} records, each follows from the one before; together they give the state.\n")
    terminal.out(f"From {escape(format_time(first.at))} to {escape(format_time(last.at))}.\n")
    if chain.torn:
        cut = f"{len(chain.torn)} bytes of an incomplete line, which is not a record"
        terminal.out(f"After them: {cut}; the next run that takes the lock puts it aside.\n")
    if expected is not None:
        terminal.out(_find(expected, hashes))
    terminal.out(f"Head: {chain.head}\n")
    return 0


def _find(expected: str, hashes: list[str]) -> str:
    at = next((number for number, one in enumerate(hashes, 1) if one.startswith(expected)), None)
    if at is None:
        raise UsageError(
            f"no record has the head {expected}: records were changed or removed since it was noted, "
            "or it is the head of another state"
        )
    later = len(hashes) - at
    return f"Expected: found, record {at}; nothing up to it was changed or removed; {later} came later.\n"
