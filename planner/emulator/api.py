"""The Console API on loopback, to try statform and to test it against: as strict as the published API, and as terse.

Generic over the resource table: a new type there has its endpoints here. What the API leaves unpublished has to be
decided here; a comment says so at each place.
An extra of the package: needs starlette and uvicorn.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import unquote_to_bytes

import uvicorn
from attrs import field, frozen, validators
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import assert_never

from planner import pacing, strict_json
from planner.console.api import API_VERSION, AUDIT_LOGS
from planner.definitions.fields import Boolean, Field, Integer, KeyedList, Kind, String, StringSet, Table
from planner.definitions.parse import Definition
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.emulator import audit_log
from planner.emulator.audit_log import Change, Query
from planner.errors import UsageError
from planner.files import find_target, write_file
from planner.plan.diff import NAME
from state.values import JSON

Source: TypeAlias = dict[str, JSON]
Sources: TypeAlias = dict[str, dict[str, Source]]
"""By resource type, then by name; in the order of the list endpoint."""


USER_HEADER = "x-emulator-user"
"""Who makes the change, as `Name <email>`, for the audit log. Only the emulator knows it."""
LOG_KEY = "audit_log"
"""The log in a data file, beside the sources of each type."""
FORBIDDEN_KEY = "console-forbidden"
"""The one key that gets 403, so that a client can be tested with it."""
MAX_BODY_BYTES = 8 * 1024 * 1024
DEFAULT_LIMIT, MAX_LIMIT = 10, 100

DRY_RUN = Field("dryRun", Boolean())


@frozen
class EmulatorOptions:
    """Port 0 picks a free one; `omit` names fields that `data` leaves out; `log` writes each request to stderr;
    `hide_log` refuses the audit log, as to a key that may not read it.

    Without a `data` file it starts with `sources`, and keeps nothing.
    """

    port: int = field(default=0, validator=[validators.ge(0), validators.le(65535)])
    data: Path | None = None
    latency_ms: int = 0
    per_10_seconds: int = field(default=100, validator=validators.ge(1))
    per_15_minutes: int = field(default=900, validator=validators.ge(1))
    omit: tuple[str, ...] = ()
    log: bool = False
    hide_log: bool = False
    sources: Sources = field(factory=dict)


@frozen
class Call:
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
class Answer:
    """`change`: how the call left the sources other than it found them."""

    status: int
    body: Source
    change: Change | None = None

    @property
    def changed(self) -> bool:
        return self.change is not None


class Refused(Exception):
    """The call gets an error for its answer; `errors` are pairs of a property and what is wrong with it."""

    def __init__(self, status: int, message: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(status, message)
        self.status, self.message, self.errors = status, message, errors

    @property
    def answer(self) -> Answer:
        body: Source = {"status": self.status, "message": self.message}
        if self.errors:
            body["errors"] = [{"property": name, "errorMessage": message} for name, message in self.errors]
        return Answer(self.status, body)


def _invalid(*errors: tuple[str, str]) -> Refused:
    return Refused(400, "Invalid request. Please check the request input and try again.", errors)


def _forbidden() -> Refused:
    return Refused(403, "Forbidden. This key has no permission for the request.")


def _not_found() -> Refused:
    return Refused(404, "Not Found. The requested resource could not be found.")


class Project:
    """A Statsig project: its `sources`, its audit `log`, and what the API makes of a call.

    It does no I/O; time is an argument.
    """

    def __init__(self, options: EmulatorOptions, sources: Sources, log: Iterable[Source] = ()) -> None:
        self.sources = sources
        self.log = list(log)
        self._omit = frozenset(options.omit)
        self._hides_log = options.hide_log
        self._windows = (pacing.Window(options.per_10_seconds, 10), pacing.Window(options.per_15_minutes, 900))
        self._times: list[float] = []

    def answer(self, call: Call, now: float) -> Answer:
        """What the API says to `call`; `now` in seconds, on a clock that never runs backwards."""
        try:
            _admit(call.headers)
            if (call.method, call.path) == ("GET", AUDIT_LOGS):
                return self._list_log(call.query)
            resource, name = _route(call.path)
            if call.method in ("PATCH", "POST", "DELETE"):
                self._count_mutation(now)
            answer = self._dispatch(resource, name, call)
        except Refused as refused:
            return refused.answer
        if answer.change is not None:
            by = call.headers.get(USER_HEADER, "Console API")
            self.log.append(audit_log.make_entry(len(self.log) + 1, answer.change, by, call.at))
        return answer

    def _count_mutation(self, now: float) -> None:
        pacing.trim(self._windows, self._times, now)
        if pacing.wait_s(self._windows, self._times, now) > 0:
            # No Retry-After: the live service was seen to send none.
            raise Refused(429, "Too many requests. Please try again later.")
        self._times.append(now)

    def _dispatch(self, resource: ResourceType, name: str | None, call: Call) -> Answer:
        match call.method, name:
            case "GET", None:
                return self._list(resource, call.query)
            case "POST", None:
                return self._create(resource, call)
            case "PATCH", str():
                return self._patch(resource, name, call)
            case "POST", str():
                return self._replace(resource, name, call)
            case "DELETE", str():
                return self._delete(resource, name)
            case _:
                raise _not_found()

    def _list(self, resource: ResourceType, query: Query) -> Answer:
        everything = list(self.sources[resource.name].values())
        # The published answer says so for assignment sources too.
        message = "Entity Property Sources listed successfully."
        return _page(message, everything, resource.list_path, query, self._shown)

    def _list_log(self, query: Query) -> Answer:
        if self._hides_log:
            raise _forbidden()
        if problems := audit_log.problems(query):
            raise _invalid(*problems)
        return _page("Audit logs listed successfully.", audit_log.select(self.log, query), AUDIT_LOGS, query)

    def _create(self, resource: ResourceType, call: Call) -> Answer:
        sent, is_dry_run = _sent(call, resource, required=(NAME.name, *_required(resource)))
        source = complete(resource, sent)
        self._refuse_taken(resource, _name(source))
        if not is_dry_run:
            self.sources[resource.name][_name(source)] = source
        message = f"{_label(resource)} created successfully"
        change = None if is_dry_run else Change("create", resource.name, source, {})
        return Answer(201, {"message": message, "data": self._shown(source)}, change)

    def _patch(self, resource: ResourceType, name: str, call: Call) -> Answer:
        before = self._find(resource, name)
        sent, is_dry_run = _sent(call, resource, read_only=tuple(f.name for f in resource.fields if not f.patchable))
        return self._update(resource, before, complete(resource, {**before, **sent}), is_dry_run=is_dry_run)

    def _replace(self, resource: ResourceType, name: str, call: Call) -> Answer:
        # Not published: what becomes of an optional field that a full update leaves out. Here it is gone.
        before = self._find(resource, name)
        sent, is_dry_run = _sent(call, resource, required=_required(resource))
        return self._update(resource, before, complete(resource, {"name": name, **sent}), is_dry_run=is_dry_run)

    def _update(self, resource: ResourceType, before: Source, after: Source, *, is_dry_run: bool) -> Answer:
        if after["name"] != before["name"]:
            self._refuse_taken(resource, _name(after))
        change = None
        if after != before and not is_dry_run:
            pairs = {name: (before.get(name), after.get(name)) for name in {**before, **after}}
            moved = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
            change = Change("update", resource.name, after, moved)
            kept = self.sources[resource.name].values()
            self.sources[resource.name] = {_name(s): s for s in (after if s is before else s for s in kept)}
        # Not published: the `data` of a dry run. Here it is the source as it would be.
        message = f"{_label(resource)} updated successfully"
        return Answer(200, {"message": message, "data": self._shown(after)}, change)

    def _delete(self, resource: ResourceType, name: str) -> Answer:
        change = Change("delete", resource.name, self._find(resource, name), {})
        del self.sources[resource.name][name]
        return Answer(200, {"message": f"{_label(resource).capitalize()} deleted successfully."}, change)

    def _find(self, resource: ResourceType, name: str) -> Source:
        try:
            return self.sources[resource.name][name]
        except KeyError:
            raise _not_found() from None

    def _refuse_taken(self, resource: ResourceType, name: str) -> None:
        # Not published: the status of a name clash.
        if name in self.sources[resource.name]:
            raise Refused(409, f'{_label(resource)} with the name "{name}" already exists.')

    def _shown(self, source: Source) -> Source:
        return {name: value for name, value in source.items() if name not in self._omit}


def _label(resource: ResourceType) -> str:
    return resource.name.replace("_", " ").title()


def _name(source: Source) -> str:
    return cast("str", source["name"])


def _required(resource: ResourceType) -> tuple[str, ...]:
    return tuple(f.name for f in resource.fields if f.required)


def _admit(headers: Mapping[str, str]) -> None:
    key = headers.get("statsig-api-key", "")
    if not key.startswith("console-"):
        # The live service echoes the key as well.
        message = f"This endpoint only accepts an active CONSOLE key, but an invalid key was sent. Key: {key}"
        raise Refused(401, message)
    if key == FORBIDDEN_KEY:
        raise _forbidden()
    version = headers.get("statsig-api-version", API_VERSION)
    if version != API_VERSION:
        raise _invalid(("STATSIG-API-VERSION", f"{version} is no version of this API; expected {API_VERSION}"))


def _route(path: str) -> tuple[ResourceType, str | None]:
    """The type that `path` leads to, and the name in it; None for the list.

    A name is one segment: its "/" arrives as %2F, and an unencoded one leads nowhere.
    """
    for resource in RESOURCE_TYPES.values():
        if path == resource.list_path:
            return resource, None
        prefix, _, suffix = resource.path.partition("{name}")
        segment = path[len(prefix) : len(path) - len(suffix)]
        if path == prefix + segment + suffix and segment and "/" not in segment:
            return resource, _decoded(segment)
    raise _not_found()


def _decoded(segment: str) -> str:
    if re.search("%(?![0-9A-Fa-f]{2})", segment):
        raise _invalid(("name", "a % that encodes nothing"))
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise _invalid(("name", "not UTF-8")) from None


def _page(
    message: str, everything: Sequence[Source], path: str, query: Query, show: Callable[[Source], Source] = dict
) -> Answer:
    # The default is published as 10 and as 100. A limit over the maximum, which is not published, gets the maximum:
    # a client has to go by what came.
    page, limit = _positive(query, "page", 1), min(_positive(query, "limit", DEFAULT_LIMIT), MAX_LIMIT)
    shown: list[JSON] = [show(one) for one in everything[(page - 1) * limit : page * limit]]
    pagination = _pagination(path, page, limit, len(everything))
    return Answer(200, {"message": message, "data": shown, "pagination": pagination})


def _positive(query: Query, name: str, default: int) -> int:
    text = query.get(name, [str(default)])[-1]
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise _invalid((name, "expected a whole number from 1"))
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


def _sent(
    call: Call, resource: ResourceType, required: Sequence[str] = (), read_only: Sequence[str] = ()
) -> tuple[Source, bool]:
    """The fields in the body, checked, and whether it asks for a dry run."""
    if len(call.body) > MAX_BODY_BYTES:
        raise Refused(413, f"Payload Too Large. At most {MAX_BODY_BYTES} bytes are read.")
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _invalid(("Content-Type", "expected application/json"))
    try:
        body = strict_json.loads(call.body)
    except ValueError as error:
        raise _invalid(("body", str(error))) from None
    if not isinstance(body, dict):
        raise _invalid(("body", "expected an object"))
    errors = _errors(body, (NAME, DRY_RUN, *resource.fields), required, read_only)
    if errors:
        raise _invalid(*errors)
    is_dry_run = body.pop(DRY_RUN.name, False) is True
    return body, is_dry_run


def _errors(
    values: Source, fields: Sequence[Field], required: Sequence[str], read_only: Sequence[str] = ()
) -> list[tuple[str, str]]:
    known = {f.name: f for f in fields}
    found = [(name, "is required") for name in required if name not in values]
    for name, value in values.items():
        if name not in known:
            found.append((name, "is no known property"))
        elif name in read_only:
            found.append((name, "is read-only in this call"))
        elif value is None:
            found += [] if known[name].nullable else [(name, "must not be null")]
        elif name == NAME.name and value == "":
            found.append((name, "must not be empty"))
        else:
            for problem in known[name].kind.problems(value):
                at = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem.path)
                found.append((name + at, f"{problem.summary}; expected {problem.expected}"))
    return found


def complete(resource: ResourceType, source: Source) -> Source:
    """`source` with each field that `data` always has, in the order of the table."""
    full: Source = {f.name: _default(f.kind) for f in resource.fields if f.returned} | source
    return {name: full[name] for name in (NAME.name, *resource.field) if name in full}


def _default(kind: Kind) -> JSON:
    match kind:
        case String():
            return ""
        case Boolean():
            return False
        case Integer():
            return kind.minimum
        case StringSet() | KeyedList():
            return []
        case Table():
            return {}
        case _:
            assert_never(kind)


def load(path: Path) -> tuple[Sources, list[Source]]:
    """The sources of a data file, an object of a list for each resource type, and its audit log, if it has one.

    A file that is not there has no sources.

    Raises: UsageError, if the API could not have given these sources.
    """
    sources: Sources = {name: {} for name in RESOURCE_TYPES}
    try:
        data = strict_json.loads(path.read_bytes()) if path.exists() else {}
        find_target(path)
        if not isinstance(data, dict):
            raise ValueError("expected an object with a list of sources for each resource type")  # noqa: TRY301
        log = audit_log.check(data.pop(LOG_KEY, []))
        for name, listed in data.items():
            sources[name] = _sources_of(name, listed)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} can't be used: {printable(str(error))}") from error
    if not path.parent.is_dir():
        raise UsageError(f"{path} can't be written: there is no directory {path.parent}")
    return sources, log


def _sources_of(type_name: str, listed: JSON) -> dict[str, Source]:
    resource = RESOURCE_TYPES.get(type_name)
    if resource is None:
        raise ValueError(f'"{type_name}" is no resource type; expected one of {", ".join(RESOURCE_TYPES)}')
    if not isinstance(listed, list):
        raise ValueError(f"{type_name} is no list")
    sources: dict[str, Source] = {}
    for index, source in enumerate(listed):
        if not isinstance(source, dict):
            raise ValueError(f"{type_name}[{index}] is no object")
        errors = _errors(source, (NAME, *resource.fields), (NAME.name, *_required(resource)))
        if not errors and source["name"] in sources:
            errors = [("name", "is taken by a source before it")]
        if errors:
            raise ValueError("; ".join(f"{type_name}[{index}].{name}: {message}" for name, message in errors))
        sources[_name(source)] = complete(resource, source)
    return sources


def sources_for(definitions: Iterable[Definition]) -> Sources:
    """A source for each definition, as somebody would have just made it: with its required fields only."""
    sources: Sources = {name: {} for name in RESOURCE_TYPES}
    for definition in definitions:
        source: Source = {NAME.name: definition.name}
        for required in (f for f in definition.type.fields if f.required):
            source[required.name] = definition.values.get(required.name, _default(required.kind))
        sources[definition.type.name][definition.name] = complete(definition.type, source)
    return sources


def save(path: Path, sources: Sources, log: Sequence[Source] = ()) -> None:
    """Replace the file as a whole: who reads it meanwhile sees what was before, or what is now."""
    content: dict[str, Sequence[Source]] = {name: list(of.values()) for name, of in sources.items()}
    text = json.dumps({**content, LOG_KEY: log} if log else content, ensure_ascii=False, indent=2)
    write_file(path, text + "\n", is_durable=False)


def printable(text: str) -> str:
    """`text` on one line: what can't be seen, or would break or turn the line, is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def create_app(options: EmulatorOptions, clock: Callable[[], float]) -> Starlette:
    """The API as an ASGI application; the server has to give `raw_path`. `clock` is in seconds, never backwards.

    Raises: UsageError, if the options or the data file can't be used.
    """
    fields = {f.name for resource in RESOURCE_TYPES.values() for f in resource.fields}
    unknown = [name for name in options.omit if name not in fields]
    if unknown:
        raise UsageError(f"no resource type has a field {printable(unknown[0])}, which is to be omitted")
    sources, log = load(options.data) if options.data else ({name: {} for name in RESOURCE_TYPES} | options.sources, [])
    project = Project(options, sources, log)

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        start = clock()
        try:
            call = await _call(Request(scope, receive))
        except ClientDisconnect:
            return
        answer = project.answer(call, clock())
        if options.data and answer.changed:
            save(options.data, project.sources, project.log)
        await asyncio.sleep(options.latency_ms / 1000)
        if options.log:
            _log(f"{call.method} {call.path} {answer.status} {(clock() - start) * 1000:.0f} ms")
        await JSONResponse(answer.body, answer.status)(scope, receive, send)

    app = Starlette(exception_handlers={Exception: _failed})
    # No route: starlette would match the decoded path, where an encoded "/" looks like one that parts segments.
    app.router.default = endpoint
    return app


async def _call(request: Request) -> Call:
    # A body over the limit is read to its end, so that the client gets to see the answer, but it is not kept.
    body = bytearray()
    async for chunk in request.stream():
        body += chunk[: MAX_BODY_BYTES + 1 - len(body)]
    path = cast("bytes", request.scope["raw_path"]).decode("latin-1")
    query = {name: request.query_params.getlist(name) for name in request.query_params}
    return Call(request.method, path, query, request.headers, bytes(body), datetime.now(timezone.utc))


def _failed(_request: Request, error: Exception) -> JSONResponse:
    traceback.print_exception(error)
    return JSONResponse({"status": 500, "message": "Internal Server Error"}, 500)


def _log(line: str) -> None:
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


def serve(options: EmulatorOptions) -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM. Says on stdout where, once it accepts connections.

    Raises: UsageError, as `create_app`, or if the port can't be had.
    """
    app = create_app(options, time.monotonic)
    try:
        listener = socket.create_server(("127.0.0.1", options.port))
    except OSError as error:
        # create_server appends to strerror what is said here already.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UsageError(f"port {options.port} of 127.0.0.1 can't be had: {reason}") from error
    # Connections inherit it. Without it the body of an answer waits 40 ms for the client to acknowledge the head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        log_config=None,
        log_level="critical",
        access_log=False,
        # Longer than a client pauses for the rate limit: an idle connection that ends as a PATCH goes out leaves
        # the client not knowing what became of it.
        timeout_keep_alive=1200,
        timeout_graceful_shutdown=1,
    )
    with listener:
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            sys.stdout.write(f"Console API on http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stdout.flush()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn's own raises the signal again at the end, which makes an exit code of it.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
