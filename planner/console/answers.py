"""Reads an answer of the API: its JSON, its error message, how long to wait, and whether it has the values that were
sent.

Pure: `client` exchanges bytes, this reads them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol, cast

from planner import strict_json
from planner.definitions.equality import is_satisfied, is_shown_tidied, normal_form
from planner.definitions.fields import Call, Kind
from planner.definitions.resources import ResourceType
from planner.plan.diff import NAME
from state.records import Intent
from state.values import JSON, Object

DEADLINE_S = 60
SQL_DEADLINE_S = 300


class Headers(Protocol):
    """The headers of an answer, as httpx has them; names in any case."""

    def get(self, key: str, default: str, /) -> str: ...

    def get_list(self, key: str, /) -> list[str]: ...


class Answer(NamedTuple):
    """`content` is whole, and no larger than the client reads."""

    status: int
    headers: Headers
    content: bytes


class UnusableAnswer(Exception):
    """An answer came that can't be used; the message says why."""


def decode(content: bytes) -> dict[str, JSON]:
    """The JSON object in `content`; it may hold half characters.

    Raises:
        UnusableAnswer: it is something else.
    """
    try:
        document = strict_json.loads(content, allows_surrogates=True)
    except ValueError as error:
        raise UnusableAnswer(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise UnusableAnswer("JSON, but not an object")
    return document


def call_of(intent: Intent) -> Call:
    """The call that an intent is: of the POSTs, a create alone has the name that it goes to in its body."""
    if intent.method == "POST":
        return Call.CREATE if intent.sent.get("name") == intent.name else Call.FULL
    return Call.DELETE if intent.method == "DELETE" else Call.PATCH


def deadline_of(sent: Object) -> int:
    """How many seconds a request may take, and may still be applied: one that carries a query runs it, perhaps."""
    return SQL_DEADLINE_S if "sql" in sent else DEADLINE_S


def parse_data(answer: Answer, intent: Intent) -> Object:
    """The answer's `data`, if it is an object about the source that was asked for."""
    document = decode(answer.content)
    data = document.get("data")
    if not isinstance(data, dict):
        # An error may come with the status of a success: only its message says so.
        told = f"; it says: {error_message(document)}" if document.keys() & {"message", "error", "errors"} else ""
        raise UnusableAnswer(f"its data is not an object{told}")
    name = data.get("name")
    if not isinstance(name, str):
        raise UnusableAnswer("its data has no name")
    # Of a rename, either name: whether an answer has the old or the new one is not published.
    asked = (intent.name, intent.sent.get("name", intent.name))
    if normal_form(name) not in map(normal_form, asked):
        raise UnusableAnswer(f'its data belongs to "{name}"')
    return data if strict_json.is_encodable(data) else cast(Object, strict_json.replace_surrogates(data))


def error_message(document: Mapping[str, JSON]) -> str:
    """The message in an error body, in any of the known forms; otherwise the whole body."""
    parts = [document[key] for key in ("message", "error") if isinstance(document.get(key), str)]
    errors = document.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict) and "errorMessage" in error:
            parts.append(f"{error.get('property')}: {error['errorMessage']}")
        else:
            parts.append(error if isinstance(error, str) else json.dumps(error, ensure_ascii=False))
    return "; ".join(filter(None, map(str, parts))) or json.dumps(document, ensure_ascii=False)


def parse_retry_after(headers: Headers, now: datetime) -> float | None:
    """Seconds that `Retry-After` asks to wait, given as seconds or as a date (RFC 9110, 10.2.3); None: nothing usable.

    A date counts from the answer's own `Date`, so that clocks which differ don't matter. Of several the longest holds.
    """
    asked = [_retry_after(text.strip(), headers, now) for text in headers.get_list("retry-after")]
    return max((seconds for seconds in asked if seconds is not None), default=None)


def _retry_after(text: str, headers: Headers, now: datetime) -> float | None:
    if re.fullmatch(r"[0-9]+", text):
        # Digits without an end make a float of `inf`, for which no clock waits.
        return min(float(text), 1e9)
    if (until := http_date(text)) is None:
        return None
    since = http_date(headers.get("date", "")) or now
    return max(0.0, (until - since).total_seconds())


def http_date(text: str) -> datetime | None:
    """The time that a header tells; None if it tells none."""
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def kind_of(type_: ResourceType, name: str) -> Kind:
    """The kind of a field that a request had; one that this statform does not know compares as a whole."""
    return type_.field.get(name, NAME).kind


class Echo(NamedTuple):
    """How an answer's `data` reflects what was sent: `unreturned` was accepted, `not_accepted` was not.

    | `data`, for a field that was sent           | the field goes to | what is known of it afterwards    |
    | ------------------------------------------- | ----------------- | --------------------------------- |
    | has the value as it was sent                | neither           | the value in `data`               |
    | lacks the field, and a value was sent       | `unreturned`      | the value sent; `data` has none   |
    | lacks the field, and null was sent          | neither           | nothing: it was cleared           |
    | has the value tidied, and it was another    | `unreturned`      | both: the one sent is compared    |
    | has the prior value still                   | `not_accepted`    | the value in `data`               |
    | has any other value                         | `not_accepted`    | the value in `data`               |

    The state keeps `unreturned` beside `data`, so that a plan compares a definition with the value that was sent, and
    does not send it again for ever.
    """

    unreturned: Object
    not_accepted: tuple[str, ...]


def compare_echo(type_: ResourceType, before: Object, sent: Object, data: Object) -> Echo:
    """What `data` says of the fields sent; `before` are their prior values.

    A value that came back just tidied (white space, Unicode form, case, a table without some members) was accepted; one
    that did not move at all was not, even if it looks like the one that was sent.
    """
    unreturned: dict[str, JSON] = {}
    not_accepted: list[str] = []
    for name, value in sent.items():
        kind = kind_of(type_, name)
        if name not in data:
            if value is not None:
                unreturned[name] = value
        elif not is_satisfied(kind, value, data[name]):
            is_tidied = is_shown_tidied(kind, value, data[name])
            if is_tidied and not (name in before and is_satisfied(kind, before[name], data[name])):
                unreturned[name] = value
            else:
                not_accepted.append(name)
    return Echo(unreturned, tuple(not_accepted))
