"""The project's audit log: how to request it, and what its entries say. Pure. The shape of an entry is published, the
order and the completeness of the list are not. What an entry lacks counts as not told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from functools import cache
from typing import NamedTuple
from urllib.parse import quote

from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from state.values import JSON, Object

FIRST_DAY = date(2020, 1, 1)
"""Before any entry: Statsig is younger."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"\w{3} (\w{3}) (\d{1,2}) (\d{4})")
_TIME = re.compile(r"(\d{2}):(\d{2}):(\d{2}) GMT([+-])(\d{2})(\d{2})\b.*")
ANY_TYPE = "source"
"""What the log calls a source of whichever type in some of its actions."""
_SET_HOUR = "set_echidna_schedule_hour"


def query(since: date, actions: Iterable[str]) -> str:
    """The part of the list's URL that asks for these action types from that day on; ends with `&`."""
    wanted = "".join(f"actionTypes={quote(action, safe='')}&" for action in actions)
    return f"{wanted}startDate={since.isoformat()}&"


def action_types(type_: ResourceType) -> tuple[str, ...]:
    """The published action types that can explain a drift. A whole log, of all that a project does, can be long."""
    own = ("create_{}", "update_{}", "update_{}_name", "update_{}_is_verified", "delete_{}")
    # These are of sources of every type.
    common = ("update_echidna_source_is_verified", "update_echidna_source_owner", _SET_HOUR)
    name = type_.log_name
    return (*(action.format(f"echidna_{name}") for action in own if name is not None), *common)


@cache
def _action_pattern(log_names: tuple[str, ...]) -> re.Pattern[str]:
    """As in update_echidna_assignment_source_is_verified: a verb, the log's name of a type, at most one field."""
    # One name may begin as another does: the longer one is meant then.
    names = "|".join(re.escape(name) for name in sorted({*log_names, ANY_TYPE}, key=len, reverse=True))
    return re.compile(rf"([a-z]+)_(?:echidna_)?({names})(?:_(\w{{1,40}}))?")


class LogEntry(NamedTuple):
    """One line of the project's audit log: `name` is that of the object, `changes` lead from old to new by field."""

    name: str
    action: str
    at: datetime | None
    by: str | None
    email: str | None
    changes: Mapping[str, tuple[JSON, JSON]]

    @property
    def parsed_action(self) -> tuple[str, str, str]:
        """The verb, the log's name of the type or `ANY_TYPE`, and the one field that was changed.

        The field is "" where the action names none; all are "" if it is about no type that statform knows.
        """
        if self.action == _SET_HOUR:
            return "set", ANY_TYPE, "scheduledReloadHour"
        names = tuple(type_.log_name for type_ in RESOURCE_TYPES.values() if type_.log_name is not None)
        found = _action_pattern(names).fullmatch(self.action)
        if found is None:
            return "", "", ""
        first, *rest = (found[3] or "").split("_")
        return found[1], found[2], first + "".join(map(str.capitalize, rest))

    @property
    def names(self) -> tuple[str, str] | None:
        """The names that a rename leads from and to."""
        match self.changes.get("name"):
            case (str(was), str(now)):
                return was, now
            case _:
                return None


def parse_entry(value: Object) -> LogEntry:
    """Read an entry as the API lists it; parts in an unpublished form count as missing."""
    changes = value.get("changes")
    pairs = changes.items() if isinstance(changes, dict) else ()
    return LogEntry(
        _text(value.get("name")) or "",
        _text(value.get("actionType")) or "",
        _parse_time(_text(value.get("date")) or "", _text(value.get("time")) or ""),
        _text(value.get("updatedBy")),
        _text(value.get("modifierEmail")),
        {field: (pair.get("old"), pair.get("new")) for field, pair in pairs if isinstance(pair, dict)},
    )


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) and value else None


def _parse_time(date: str, time: str) -> datetime | None:
    """`Mon Sep 26 2022` and `23:46:14 GMT+0000 (Coordinated Universal Time)`."""
    on, at = _DATE.fullmatch(date), _TIME.fullmatch(time)
    if not on or not at or on[1] not in _MONTHS:
        return None
    offset = timedelta(hours=int(at[5]), minutes=int(at[6])) * (-1 if at[4] == "-" else 1)
    try:
        day = (int(on[3]), _MONTHS.index(on[1]) + 1, int(on[2]))
        local = datetime(*day, int(at[1]), int(at[2]), int(at[3]), tzinfo=timezone(offset))
        return local.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
