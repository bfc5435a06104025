"""How the Console API answers a call: as strict as the published API, and as terse.

Pure, and generic over the resource table: a new type there has its endpoints here. Where the documentation of the API
says nothing, this module decides, and a comment says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from attrs import field, frozen, validators

from planner import pacing
from planner.audit.experiments import names_read
from planner.console.api import AUDIT_LOGS, EXPERIMENTS, PROJECT, UNIT_ID_TYPES
from planner.definitions import fields
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.emulator import audit_log
from planner.emulator.audit_log import EmulatedChange, Query
from planner.emulator.calls import (
    EmulatedAnswer,
    EmulatedCall,
    Refused,
    check_headers,
    check_right,
    forbidden,
    invalid,
    not_found,
    page_of,
    parse_body,
)
from planner.emulator.sources import Source, Sources, complete, name_of, required_fields
from planner.plan.diff import NAME

if TYPE_CHECKING:
    from pathlib import Path


USER_HEADER = "x-emulator-user"
"""Who makes the change, as `Name <email>`, for the audit log. Only the emulator knows it."""

_MAY_BE_READ = frozenset({"active", "setup"})
"""Not published: the statuses of an experiment that keep what it reads from being deleted. Here these do."""


OTHER_LISTS = ("metrics", "unit_id_types")
"""What a project may have beside sources and experiments, each with a `name`; a metric has a `metricSourceName`."""
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

    def answer(self, call: EmulatedCall, now: float) -> EmulatedAnswer:
        """What the API says to `call`; `now` in seconds, on a clock that never runs backwards."""
        try:
            check_headers(call.headers)
            if (call.method, call.path) == ("GET", AUDIT_LOGS):
                check_right(call, "log")
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

    def _route_reading(self, path: str) -> Callable[[EmulatedCall], EmulatedAnswer] | None:
        """What answers a reading call that is about no source."""
        return {
            PROJECT: self._tell_project,
            EXPERIMENTS: self._list_experiments,
            UNIT_ID_TYPES: lambda call: self._list_unit_ids(call.query),
        }.get(path)

    def _tell_project(self, call: EmulatedCall) -> EmulatedAnswer:
        check_right(call, "project")
        return EmulatedAnswer(200, {"message": "Project Info Retrieved Successfully", "data": {"id": self._project}})

    def _count_mutation(self, now: float) -> None:
        pacing.trim(self._windows, self._times, now)
        if pacing.wait_s(self._windows, self._times, now) > 0:
            # No Retry-After: the live service was seen to send none.
            raise Refused(429, "Too many requests. Please try again later.")
        self._times.append(now)

    def _dispatch(self, resource: ResourceType, name: str | None, call: EmulatedCall) -> EmulatedAnswer:
        match call.method, name:
            case "GET", None:
                return self._list(resource, call.query)
            case "POST", None:
                check_right(call, "create")
                return self._create(resource, call)
            case "GET", str() if resource.has_get:
                message = f"{_label(resource)} retrieved successfully"
                return EmulatedAnswer(200, {"message": message, "data": self._shown(self._find(resource, name))})
            case "PATCH", str() if resource.has_patch:
                check_right(call, "update")
                return self._patch(resource, name, call)
            case "POST", str():
                check_right(call, "update")
                return self._replace(resource, name, call)
            case "DELETE", str():
                check_right(call, "delete")
                return self._delete(resource, name)
            case _:
                raise not_found()

    def _list(self, resource: ResourceType, query: Query) -> EmulatedAnswer:
        everything = list(self.sources[resource.name].values())
        # The published answer says so for assignment sources too.
        message = "Entity Property Sources listed successfully."
        return page_of(message, everything, resource.list_path, query, self._shown)

    def _list_log(self, query: Query) -> EmulatedAnswer:
        if self._hides_log:
            raise forbidden()
        if problems := audit_log.problems(query):
            raise invalid(*problems)
        return page_of("Audit logs listed successfully.", audit_log.select(self.log, query), AUDIT_LOGS, query)

    def _list_experiments(self, call: EmulatedCall) -> EmulatedAnswer:
        check_right(call, "experiments")
        query = call.query
        asked = {name for text in query.get("fields", ()) for name in text.split(",")}
        known = {"id", *_EXPERIMENT_FIELDS, *(name for one in self.experiments for name in one)}
        if not asked <= known:
            raise Refused(400, "Invalid field(s) requested.")
        wanted = {"id", *asked} if asked else known

        def show(one: Source) -> Source:
            return {name: value for name, value in one.items() if name in wanted}

        return page_of("Experiments listed successfully.", self.experiments, EXPERIMENTS, query, show)

    def _list_unit_ids(self, query: Query) -> EmulatedAnswer:
        # Of a data file that has none, nobody knows them.
        if "unit_id_types" not in self.others:
            raise not_found()
        return page_of("Unit ID types listed successfully.", self.others["unit_id_types"], UNIT_ID_TYPES, query)

    def _list_metrics(self, resource: ResourceType, name: str, call: EmulatedCall) -> EmulatedAnswer:
        self._find(resource, name)
        made = [one for one in self.others.get("metrics", ()) if one.get("metricSourceName") == name]
        return page_of("Metrics listed successfully.", made, call.path, call.query)

    def _create(self, resource: ResourceType, call: EmulatedCall) -> EmulatedAnswer:
        sent, is_dry_run = parse_body(call, resource, required=(NAME.name, *required_fields(resource)))
        source = complete(resource, sent)
        self._refuse_taken(resource, name_of(source))
        if not is_dry_run:
            self.sources[resource.name][name_of(source)] = source
        message = f"{_label(resource)} created successfully"
        change = None if is_dry_run else EmulatedChange("create", resource, source, {})
        return EmulatedAnswer(201, {"message": message, "data": self._shown(source)}, change)

    def _patch(self, resource: ResourceType, name: str, call: EmulatedCall) -> EmulatedAnswer:
        before = self._find(resource, name)
        taken = resource.in_call(fields.Call.PATCH)
        left = {f.name for f in resource.fields} - {f.name for f in taken}
        sent, is_dry_run = parse_body(call, resource, read_only=() if self._ignores_sql else tuple(left))
        sent = {field: value for field, value in sent.items() if field not in left}
        return self._update(resource, before, complete(resource, {**before, **sent}), is_dry_run=is_dry_run)

    def _replace(self, resource: ResourceType, name: str, call: EmulatedCall) -> EmulatedAnswer:
        before = self._find(resource, name)
        fixed = () if resource.renames else (NAME.name,)
        sent, is_dry_run = parse_body(call, resource, required=required_fields(resource), read_only=fixed)
        # Not published: what becomes of an optional field that a full update leaves out.
        kept: Source = before if self._keeps else {"name": name}
        return self._update(resource, before, complete(resource, {**kept, **sent}), is_dry_run=is_dry_run)

    def _update(self, resource: ResourceType, before: Source, after: Source, *, is_dry_run: bool) -> EmulatedAnswer:
        if after["name"] != before["name"]:
            self._refuse_taken(resource, name_of(after))
        change = None
        if after != before and not is_dry_run:
            pairs = {name: (before.get(name), after.get(name)) for name in {**before, **after}}
            moved = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
            change = EmulatedChange("update", resource, after, moved)
            kept = self.sources[resource.name].values()
            self.sources[resource.name] = {name_of(s): s for s in (after if s is before else s for s in kept)}
        # Not published: the `data` of a dry run. Here it is the source as it would be.
        message = f"{_label(resource)} updated successfully"
        return EmulatedAnswer(200, {"message": message, "data": self._shown(after)}, change)

    def _delete(self, resource: ResourceType, name: str) -> EmulatedAnswer:
        change = EmulatedChange("delete", resource, self._find(resource, name), {})
        readers = (one for one in self.experiments if name in names_read(one, resource))
        if resource.guards_reads and any(one.get("status") in _MAY_BE_READ for one in readers):
            raise Refused(400, f"{_label(resource).capitalize()} is referenced by active experiments.")
        del self.sources[resource.name][name]
        return EmulatedAnswer(200, {"message": f"{_label(resource).capitalize()} deleted successfully."}, change)

    def _find(self, resource: ResourceType, name: str) -> Source:
        try:
            return self.sources[resource.name][name]
        except KeyError:
            raise not_found() from None

    def _refuse_taken(self, resource: ResourceType, name: str) -> None:
        # Not published for sources; elsewhere in the API it is so.
        if name in self.sources[resource.name]:
            raise Refused(400, "Name is already in use")

    def _shown(self, source: Source) -> Source:
        return {name: value for name, value in source.items() if name not in self._omit}


def _label(resource: ResourceType) -> str:
    return resource.name.replace("_", " ").title()


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
    raise not_found()


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
        raise invalid(("name", "a % that encodes no character"))
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise invalid(("name", "not UTF-8")) from None
