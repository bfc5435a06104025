"""The audit log that the emulator keeps: an entry for each change, of the published shape.

What the API leaves unpublished has to be decided here; a comment says so at each place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TypeAlias, cast

from attrs import frozen

from planner.definitions.resources import ResourceType
from state.values import JSON

Query: TypeAlias = Mapping[str, Sequence[str]]
"""Each parameter of a URL with all its values."""
Entry: TypeAlias = dict[str, JSON]

SORT_KEYS = ("id", "name", "changeLog", "actionType", "date", "time", "updatedBy", "updatedByUserID")
_DATE = "%a %b %d %Y"


@frozen
class EmulatedChange:
    """What was done to a source: `fields` lead from before to after, `source` is it after, or before it was deleted."""

    verb: str
    type: ResourceType
    source: Mapping[str, JSON]
    fields: Mapping[str, tuple[JSON, JSON]]


def make_entry(number: int, change: EmulatedChange, by: str, at: datetime) -> Entry:
    """As the API lists it. `by` is a name, and an email in angle brackets behind it if there is one; `at` is in UTC."""
    name, _, email = by.partition(" <")
    type_ = change.type
    # Not published: the actions of a type for which none is published. Here they are named as the type is.
    action = f"{change.verb}_echidna_{type_.log_name or type_.name}"
    # Not published: which changes have an action of their own. Here a rename, and a verification or an hour alone.
    if "name" in change.fields:
        action += "_name"
    elif set(change.fields) == {"isVerified"}:
        action += "_is_verified"
    elif set(change.fields) == {"scheduledReloadHour"}:
        action = "set_echidna_schedule_hour"
    return {
        "id": str(number),
        "name": change.source["name"],
        "changeLog": f"{change.verb.capitalize()}d {type_.name.replace('_', ' ').title()}",
        "actionType": action,
        "date": f"{at:{_DATE}}",
        "time": f"{at:%H:%M:%S} GMT+0000 (Coordinated Universal Time)",
        "updatedBy": name,
        "updatedByUserID": "",
        "modifierEmail": email.removesuffix(">") or None,
        "changes": {field: {"old": before, "new": after} for field, (before, after) in change.fields.items()},
        "tags": change.source.get("tags", []),
    }


def problems(query: Query) -> list[tuple[str, str]]:
    """What is wrong with which parameter."""
    days = {name: query.get(name, ()) for name in ("startDate", "endDate")}
    words = {"sortKey": SORT_KEYS, "sortOrder": ("asc", "desc")}
    return [
        *((name, "expected a date, YYYY-MM-DD") for name, given in days.items() if None in map(_day, given)),
        *(
            (name, f"expected one of {', '.join(known)}")
            for name, known in words.items()
            if not set(query.get(name, ())) <= set(known)
        ),
    ]


def select(entries: Sequence[Entry], query: Query) -> list[Entry]:
    """The entries, given in the order of time, that a query without problems asks for."""
    actions, tags = query.get("actionTypes"), query.get("tags")
    first, last = (_day(query[name][-1]) if name in query else None for name in ("startDate", "endDate"))
    found = [
        entry
        for entry in entries
        if (actions is None or entry["actionType"] in actions)
        and (tags is None or set(tags) & set(cast("list[str]", entry["tags"])))
        # Not published: whether the last day is included. Here it is.
        and (first is None or first <= _on(entry))
        and (last is None or _on(entry) <= last)
    ]
    key = query.get("sortKey", ["id"])[-1]
    if key not in {"id", "date", "time"}:
        found.sort(key=lambda entry: str(entry[key]))
    # The published example has the newest first.
    return found if query.get("sortOrder", ["desc"])[-1] == "asc" else found[::-1]


def check(value: JSON) -> list[Entry]:
    """The entries of a data file.

    Raises:
        ValueError: it is no list of what this module made.
    """
    if not isinstance(value, list):
        raise ValueError("audit_log is not a list")
    entries = cast("list[Entry]", value)
    for index, entry in enumerate(entries):
        try:
            _on(entry)
            is_whole = {*SORT_KEYS, "changes", "tags"} <= entry.keys()
        except (KeyError, TypeError, ValueError):
            is_whole = False
        if not is_whole:
            raise ValueError(f"audit_log[{index}] is not an entry that the emulator wrote")
    return entries


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        return None


def _on(entry: Entry) -> date:
    return datetime.strptime(cast("str", entry["date"]), _DATE).date()
