"""A call of the API and its answer, and what holds for every call: its headers, its body, the pages of a list."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone

from attrs import frozen

from planner import strict_json
from planner.console.api import API_VERSION
from planner.definitions.fields import Boolean, Field
from planner.definitions.resources import ResourceType
from planner.emulator.audit_log import EmulatedChange, Query
from planner.emulator.sources import Source, find_errors
from planner.plan.diff import NAME
from state.values import JSON

FORBIDDEN_KEY = "console-forbidden"
"""The one key that gets 403 for everything, so that a client can be tested with it."""
_NO = "console-no-"
"""A key that begins so gets 403 for what follows: `create`, `update`, `delete`, `experiments`, `log` or `project`."""
MAX_BODY_BYTES = 8 * 1024 * 1024
DEFAULT_LIMIT, MAX_LIMIT = 10, 100
DRY_RUN = Field("dryRun", Boolean())


@frozen
class EmulatedCall:
    """An HTTP request. `path` is raw, still percent-encoded; the names of `headers` are in lower case.

    `at` is the time of day, in UTC, for the audit log.
    """

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    body: bytes = b""
    at: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)


@frozen
class EmulatedAnswer:
    """`change`: how the call left the sources other than it found them."""

    status: int
    body: Source
    change: EmulatedChange | None = None

    @property
    def changed(self) -> bool:
        """Whether the call changed a source: only then is the data to be saved."""
        return self.change is not None


class Refused(Exception):
    """The call gets an error for its answer; `errors` are pairs of a property and what is wrong with it."""

    def __init__(self, status: int, message: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(status, message)
        self.status, self.message, self.errors = status, message, errors

    @property
    def answer(self) -> EmulatedAnswer:
        """The error in the API's form: `status`, `message` and, where fields are wrong, `errors`."""
        body: Source = {"status": self.status, "message": self.message}
        if self.errors:
            body["errors"] = [{"property": name, "errorMessage": message} for name, message in self.errors]
        return EmulatedAnswer(self.status, body)


def invalid(*errors: tuple[str, str]) -> Refused:
    """400; each of the `errors` is a property and what is wrong with it."""
    return Refused(400, "Invalid request. Please check the request input and try again.", errors)


def forbidden() -> Refused:
    return Refused(403, "Forbidden. This key has no permission for the request.")


def not_found() -> Refused:
    return Refused(404, "Not Found. The requested resource could not be found.")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `Refused` for a key that is not a console key (401), may do nothing (403), or another API version (400)."""
    # The key before all else, as a service does it that tells strangers nothing.
    key = headers.get("statsig-api-key", "")
    if not key.startswith("console-"):
        # The live service echoes the key as well.
        message = f"This endpoint only accepts an active CONSOLE key, but an invalid key was sent. Key: {key}"
        raise Refused(401, message)
    if key == FORBIDDEN_KEY:
        raise forbidden()
    version = headers.get("statsig-api-version", API_VERSION)
    if version != API_VERSION:
        raise invalid(("STATSIG-API-VERSION", f"{version} is not a version of this API; expected {API_VERSION}"))


def check_right(call: EmulatedCall, what: str) -> None:
    """Raise `Refused` (403) if the key is the test key that may not do `what`."""
    if call.headers["statsig-api-key"] == _NO + what:
        raise forbidden()


def page_of(
    message: str, everything: Sequence[Source], path: str, query: Query, show: Callable[[Source], Source] = dict
) -> EmulatedAnswer:
    """The page of `everything` that the query asks for, from 1; `path` is for the links to other pages."""
    # The default is published as 10 and as 100. A limit over the maximum, which is not published, gets the maximum:
    # a client has to go by what came.
    page, limit = _positive(query, "page", 1), min(_positive(query, "limit", DEFAULT_LIMIT), MAX_LIMIT)
    shown: list[JSON] = [show(one) for one in everything[(page - 1) * limit : page * limit]]
    pagination = _pagination(path, page, limit, len(everything))
    return EmulatedAnswer(200, {"message": message, "data": shown, "pagination": pagination})


def _positive(query: Query, name: str, default: int) -> int:
    text = query.get(name, [str(default)])[-1]
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise invalid((name, "expected a whole number from 1"))
    return int(text)


def _pagination(list_path: str, page: int, limit: int, total: int) -> Source:
    last = max(1, math.ceil(total / limit))
    return {
        "itemsPerPage": limit,
        "pageNumber": page,
        "totalItems": total,
        "nextPage": f"{list_path}?page={page + 1}&limit={limit}" if page < last else None,
        "previousPage": f"{list_path}?page={page - 1}&limit={limit}" if page > 1 else None,
        "all": f"{list_path}?limit={max(1, total)}",
    }


def parse_body(
    call: EmulatedCall, resource: ResourceType, required: Sequence[str] = (), read_only: Sequence[str] = ()
) -> tuple[Source, bool]:
    """The fields in the body, checked, and whether it asks for a dry run."""
    if len(call.body) > MAX_BODY_BYTES:
        raise Refused(413, f"Payload Too Large. At most {MAX_BODY_BYTES} bytes are read.")
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise invalid(("Content-Type", "expected application/json"))
    try:
        body = strict_json.loads(call.body)
    except ValueError as error:
        raise invalid(("body", str(error))) from None
    if not isinstance(body, dict):
        raise invalid(("body", "expected an object"))
    errors = find_errors(body, (NAME, DRY_RUN, *resource.fields), required, read_only)
    if errors:
        raise invalid(*errors)
    is_dry_run = body.pop(DRY_RUN.name, False) is True
    return body, is_dry_run
