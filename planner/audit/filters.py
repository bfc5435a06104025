"""Which part of a history is asked for: addresses, fields, people, and when."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from attrs import evolve, frozen

from planner.audit.history import HistoryEntry
from planner.clock import as_timestamp
from planner.definitions.resources import RESOURCE_TYPES
from planner.plan.diff import NAME

_TIME = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(?::\d\d(?:\.\d{3}(?:\d{3})?)?)?(?:Z|[+-]\d\d:\d\d)?)?"


@frozen
class Filter:
    """Which entries are asked for; `since` and `until` in RFC 3339, the first included, the second not."""

    addresses: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    who: frozenset[str] = frozenset()
    since: str = ""
    until: str = "~"

    def of(self, entries: Sequence[HistoryEntry]) -> list[HistoryEntry]:
        """Those entries that match, in their order; with `fields`, with just these of their changes.

        An address includes what it was moved from, up to the move.
        """
        found, addresses = list[HistoryEntry](), set(self.addresses)
        # From the end: only at a move does one learn what an address was called before.
        for entry in reversed(entries):
            if entry.moved_to in addresses:
                addresses.add(entry.address)
            if (not addresses or entry.address in addresses) and self._has(entry):
                found.append(self._part_of(entry))
        return found[::-1]

    def unknown(self, entries: Sequence[HistoryEntry]) -> tuple[str, str, tuple[str, ...]] | None:
        """The first word that no entry can match, whatever else is asked for: its option, itself, the known ones.

        A field that a type has is known, though nobody ever changed it.
        """
        fields = {field.name for type_ in RESOURCE_TYPES.values() for field in type_.fields}
        known: dict[str, set[str]] = {
            "--address": {one for entry in entries for one in (entry.address, entry.moved_to) if one is not None},
            "--field": {NAME.name, *fields, *(change.field.name for entry in entries for change in entry.changes)},
            "--who": {one for entry in entries for one in (entry.who, entry.actor) if one is not None},
        }
        asked = {"--address": self.addresses, "--field": self.fields, "--who": self.who}
        wrong = ((option, word) for option, words in asked.items() for word in sorted(words - known[option]))
        return next(((option, word, tuple(sorted(known[option]))) for option, word in wrong), None)

    def _has(self, entry: HistoryEntry) -> bool:
        return (
            self.since <= entry.at < self.until
            and (not self.who or not self.who.isdisjoint({entry.who, entry.actor}))
            and (not self.fields or any(change.field.name in self.fields for change in entry.changes))
        )

    def _part_of(self, entry: HistoryEntry) -> HistoryEntry:
        if not self.fields:
            return entry
        return evolve(entry, changes=tuple(change for change in entry.changes if change.field.name in self.fields))


def parse_when(text: str, now: datetime, *, is_end: bool = False) -> str:
    """A date, a time or an age (`7d`, `12h`, `2w`, `30m`) as RFC 3339 in UTC with milliseconds.

    A date stands for its first moment or, with `is_end`, for the one after its last. A time without a zone is in UTC.

    Raises:
        ValueError: neither of these.
    """
    if age := re.fullmatch(r"(\d{1,5})([mhdw])", text):
        unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[age[2]]
        return as_timestamp(now - timedelta(**{unit: int(age[1])}))
    # What else `fromisoformat` takes depends on Python's version.
    if not (time := re.fullmatch(_TIME, text)):
        raise ValueError(text)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if is_end and time[1] is None:
        moment += timedelta(days=1)
    return as_timestamp(moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc))
