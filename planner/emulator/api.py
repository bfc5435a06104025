"""What the Console API makes of a call: as strict as the published API, and as terse.

Pure, and generic over the resource table: a new type there has its endpoints here. What the API leaves unpublished has
to be decided here; a comment says so at each place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TypeAlias, assert_never, cast
from urllib.parse import unquote_to_bytes

from attrs import field, frozen, validators

from planner import pacing, strict_json
from planner.audit.experiments import names_read
from planner.console.api import API_VERSION, AUDIT_LOGS, EXPERIMENTS, PROJECT, UNIT_ID_TYPES
from planner.definitions import fields
from planner.definitions.fields import Boolean, Field, Integer, KeyedList, Kind, String, StringSet, Table
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.emulator import audit_log
from planner.emulator.audit_log import Change, Query
from planner.plan.diff import NAME
from state.values import JSON

if TYPE_CHECKING:
    from pathlib import Path

Source: TypeAlias = dict[str, JSON]
Sources: TypeAlias = dict[str, dict[str, Source]]
"""By resource type, then by name; in the order of the list endpoint."""

USER_HEADER = "x-emulator-user"
"""Who makes the change, as `Name <email>`, for the audit log. Only the emulator knows it."""
FORBIDDEN_KEY = "console-forbidden"
"""The one key that gets 403 for everything, so that a client can be tested with it."""
_NO = "console-no-"
"""A key that begins so gets 403 for what follows: `create`, `update`, `delete`, `experiments`, `log` or `project`."""
_MAY_BE_READ = frozenset({"active", "setup"})
"""Not published: the statuses of an experiment that keep what it reads from being deleted. Here these do."""
MAX_BODY_BYTES = 8 * 1024 * 1024
DEFAULT_LIMIT, MAX_LIMIT = 10, 100

OTHER_LISTS = ("metrics", "unit_id_types")
"""What a project may have beside sources and experiments, each with a `name`; a metric has a `metricSourceName`."""
DRY_RUN = Field("dryRun", Boolean())
_EXPERIMENT_FIELDS = (
    "name",
    "status",
    "assignmentSourceName",
    "assignmentSourceExperimentName",
    "assignmentSourceFilters",
    "groups",
    "idType",
    "secondaryIDType",
    "identityResolutionSource",
    "preComputedUserDimensions",
    "stratifiedSampling",
)
"""Those of an experiment that a list can be asked for, of which any may be absent from it."""


@frozen
class EmulatorOptions:
    """Port 0 picks a free one; `omit` names fields that `data` leaves out; `log` writes each request to stderr;
    `hide_log` refuses the audit log, as to a key that may not read it; `project` is the ID of the Statsig project.

    What the API leaves unpublished: `ignores_sql` takes a PATCH with `sql` and leaves the query as it is, `keeps` keeps
    what a full update leaves out. `sql_latency_ms` is how long a call with `sql` takes.

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
    project: str = "emulated"
    ignores_sql: bool = False
    keeps: bool = False
    sql_latency_ms: int = 0


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


class EmulatedProject:
    """A Statsig project: its `sources`, its audit `log`, and what the API makes of a call.

    It does no I/O; time is an argument.
    """

    def __init__(
        self,
        options: EmulatorOptions,
        sources: Sources,
        log: Iterable[Source] = (),
        experiments: Iterable[Source] = (),
        others: Mapping[str, Sequence[Source]] | None = None,
    ) -> None:
        self.sources = sources
        self.log = list(log)
        self.experiments = list(experiments)
        self.others = dict(others or {})
        self._ignores_sql, self._keeps = options.ignores_sql, options.keeps
        self._omit = frozenset(options.omit)
        self._hides_log = options.hide_log
        self._project = options.project
        self._windows = (pacing.Window(options.per_10_seconds, 10), pacing.Window(options.per_15_minutes, 900))
        self._times: list[float] = []

    def answer(self, call: Call, now: float) -> Answer:
        """What the API says to `call`; `now` in seconds, on a clock that never runs backwards."""
        try:
            _check_headers(call.headers)
            if (call.method, call.path) == ("GET", AUDIT_LOGS):
                _check_right(call, "log")
                return self._list_log(call.query)
            if call.method == "GET" and (read := self._route_reading(call.path)):
                return read(call)
            if call.method == "GET" and (found := _route_metrics(call.path)):
                return self._list_metrics(*found, call)
            resource, name = _route(call.method, call.path)
            if call.method in ("PATCH", "POST", "DELETE"):
                self._count_mutation(now)
            answer = self._dispatch(resource, name, call)
        except Refused as refused:
            return refused.answer
        if answer.change is not None:
            by = call.headers.get(USER_HEADER, "Console API")
            self.log.append(audit_log.make_entry(len(self.log) + 1, answer.change, by, call.at))
        return answer

    def _route_reading(self, path: str) -> Callable[[Call], Answer] | None:
        """What answers a reading call that is about no source."""
        return {
            PROJECT: self._tell_project,
            EXPERIMENTS: self._list_experiments,
            UNIT_ID_TYPES: lambda call: self._list_unit_ids(call.query),
        }.get(path)

    def _tell_project(self, call: Call) -> Answer:
        _check_right(call, "project")
        return Answer(200, {"message": "Project Info Retrieved Successfully", "data": {"id": self._project}})

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
                _check_right(call, "create")
                return self._create(resource, call)
            case "GET", str() if resource.has_get:
                message = f"{_label(resource)} retrieved successfully"
                return Answer(200, {"message": message, "data": self._shown(self._find(resource, name))})
            case "PATCH", str() if resource.has_patch:
                _check_right(call, "update")
                return self._patch(resource, name, call)
            case "POST", str():
                _check_right(call, "update")
                return self._replace(resource, name, call)
            case "DELETE", str():
                _check_right(call, "delete")
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

    def _list_experiments(self, call: Call) -> Answer:
        _check_right(call, "experiments")
        query = call.query
        asked = {name for text in query.get("fields", ()) for name in text.split(",")}
        known = {"id", *_EXPERIMENT_FIELDS, *(name for one in self.experiments for name in one)}
        if not asked <= known:
            raise Refused(400, "Invalid field(s) requested.")
        wanted = {"id", *asked} if asked else known

        def show(one: Source) -> Source:
            return {name: value for name, value in one.items() if name in wanted}

        return _page("Experiments listed successfully.", self.experiments, EXPERIMENTS, query, show)

    def _list_unit_ids(self, query: Query) -> Answer:
        # Of a data file that has none, nobody knows them.
        if "unit_id_types" not in self.others:
            raise _not_found()
        return _page("Unit ID types listed successfully.", self.others["unit_id_types"], UNIT_ID_TYPES, query)

    def _list_metrics(self, resource: ResourceType, name: str, call: Call) -> Answer:
        self._find(resource, name)
        made = [one for one in self.others.get("metrics", ()) if one.get("metricSourceName") == name]
        return _page("Metrics listed successfully.", made, call.path, call.query)

    def _create(self, resource: ResourceType, call: Call) -> Answer:
        sent, is_dry_run = _parse_body(call, resource, required=(NAME.name, *required_fields(resource)))
        source = complete(resource, sent)
        self._refuse_taken(resource, name_of(source))
        if not is_dry_run:
            self.sources[resource.name][name_of(source)] = source
        message = f"{_label(resource)} created successfully"
        change = None if is_dry_run else Change("create", resource, source, {})
        return Answer(201, {"message": message, "data": self._shown(source)}, change)

    def _patch(self, resource: ResourceType, name: str, call: Call) -> Answer:
        before = self._find(resource, name)
        taken = resource.in_call(fields.Call.PATCH)
        left = {f.name for f in resource.fields} - {f.name for f in taken}
        sent, is_dry_run = _parse_body(call, resource, read_only=() if self._ignores_sql else tuple(left))
        sent = {field: value for field, value in sent.items() if field not in left}
        return self._update(resource, before, complete(resource, {**before, **sent}), is_dry_run=is_dry_run)

    def _replace(self, resource: ResourceType, name: str, call: Call) -> Answer:
        before = self._find(resource, name)
        fixed = () if resource.renames else (NAME.name,)
        sent, is_dry_run = _parse_body(call, resource, required=required_fields(resource), read_only=fixed)
        # Not published: what becomes of an optional field that a full update leaves out.
        kept: Source = before if self._keeps else {"name": name}
        return self._update(resource, before, complete(resource, {**kept, **sent}), is_dry_run=is_dry_run)

    def _update(self, resource: ResourceType, before: Source, after: Source, *, is_dry_run: bool) -> Answer:
        if after["name"] != before["name"]:
            self._refuse_taken(resource, name_of(after))
        change = None
        if after != before and not is_dry_run:
            pairs = {name: (before.get(name), after.get(name)) for name in {**before, **after}}
            moved = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
            change = Change("update", resource, after, moved)
            kept = self.sources[resource.name].values()
            self.sources[resource.name] = {name_of(s): s for s in (after if s is before else s for s in kept)}
        # Not published: the `data` of a dry run. Here it is the source as it would be.
        message = f"{_label(resource)} updated successfully"
        return Answer(200, {"message": message, "data": self._shown(after)}, change)

    def _delete(self, resource: ResourceType, name: str) -> Answer:
        change = Change("delete", resource, self._find(resource, name), {})
        readers = (one for one in self.experiments if name in names_read(one, resource))
        if resource.guards_reads and any(one.get("status") in _MAY_BE_READ for one in readers):
            raise Refused(400, f"{_label(resource).capitalize()} is referenced by active experiments.")
        del self.sources[resource.name][name]
        return Answer(200, {"message": f"{_label(resource).capitalize()} deleted successfully."}, change)

    def _find(self, resource: ResourceType, name: str) -> Source:
        try:
            return self.sources[resource.name][name]
        except KeyError:
            raise _not_found() from None

    def _refuse_taken(self, resource: ResourceType, name: str) -> None:
        # Not published for sources; elsewhere in the API it is so.
        if name in self.sources[resource.name]:
            raise Refused(400, "Name is already in use")

    def _shown(self, source: Source) -> Source:
        return {name: value for name, value in source.items() if name not in self._omit}


def _label(resource: ResourceType) -> str:
    return resource.name.replace("_", " ").title()


def name_of(source: Source) -> str:
    return cast("str", source["name"])


def required_fields(resource: ResourceType) -> tuple[str, ...]:
    return tuple(f.name for f in resource.fields if f.required)


def _check_headers(headers: Mapping[str, str]) -> None:
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


def _check_right(call: Call, what: str) -> None:
    if call.headers["statsig-api-key"] == _NO + what:
        raise _forbidden()


def _route(method: str, path: str) -> tuple[ResourceType, str | None]:
    """The type that `path` leads to, and the name in it; None for the list, and for where one is created.

    A name is one segment: its "/" arrives as %2F, and an unencoded one leads nowhere.
    """
    for resource in RESOURCE_TYPES.values():
        # The list of metric sources is where one of the name "list" would be read.
        if (method, path) in {("GET", resource.list_path), ("POST", resource.create_path)}:
            return resource, None
        prefix, _, suffix = resource.path.partition("{name}")
        segment = path[len(prefix) : len(path) - len(suffix)]
        if path == prefix + segment + suffix and segment and "/" not in segment:
            return resource, _decoded(segment)
    raise _not_found()


def _route_metrics(path: str) -> tuple[ResourceType, str] | None:
    """The type and the name of the source whose metrics the path lists."""
    for resource in RESOURCE_TYPES.values():
        if resource.metrics_path is not None:
            prefix, _, suffix = resource.metrics_path.partition("{name}")
            segment = path[len(prefix) : len(path) - len(suffix)]
            if path == prefix + segment + suffix and segment and "/" not in segment:
                return resource, _decoded(segment)
    return None


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


def _parse_body(
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
    errors = find_errors(body, (NAME, DRY_RUN, *resource.fields), required, read_only)
    if errors:
        raise _invalid(*errors)
    is_dry_run = body.pop(DRY_RUN.name, False) is True
    return body, is_dry_run


def find_errors(
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
    full: Source = {f.name: default_value(f.kind) for f in resource.fields if f.returned} | source
    return {name: full[name] for name in (NAME.name, *resource.field) if name in full}


def default_value(kind: Kind) -> JSON:
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
