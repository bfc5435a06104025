"""What the emulator answers, refuses and keeps: the core by plain calls, the rest as a process over real sockets."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from command import REQUIRED
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.console.api import AUDIT_LOGS
from planner.definitions.fields import NOT_PATCH, Boolean, Field, Integer, KeyedList, String, StringSet, Table
from planner.definitions.resources import ASSIGNMENT_SOURCE, RESOURCE_TYPES, ResourceType
from planner.emulator.api import OTHER_LISTS, EmulatedProject, EmulatorOptions
from planner.emulator.calls import MAX_BODY_BYTES, EmulatedCall
from planner.emulator.data import load, printable, save
from planner.emulator.server import create_app, serve
from planner.errors import UsageError

BASE = "/console/v1/experiments"
LIST = BASE + "/assignment_sources"
KEY = {"statsig-api-key": "console-secret"}
JSON_KEY = {**KEY, "content-type": "application/json"}
INVALID = "Invalid request. Please check the request input and try again."
NOT_FOUND = {"status": 404, "message": "Not Found. The requested resource could not be found."}

OPTIONAL = {
    "description": "All of them",
    "isVerified": True,
    "tags": ["b", "a"],
    "groupNameColumn": "group_name",
    "isReadOnly": False,
    "owner": {"ownerType": "SOMETHING_NEW", "ownerID": "1"},
    "team": None,
    "teamID": "t",
    "scheduledReloadHour": 23,
}
AWKWARD = [
    "a/b",
    "a?b#c",
    "%2F",
    "%",
    "a..b/../c",
    "..",
    ".",
    " leading, trailing ",
    "line\nbreak\r\n\ttab",
    "nul\x00",
    "a+b&c=d;e:@",
    "\"quoted\" \\ ''",
    "Ünïcödé",
    "данные",
    "数据源",
    "تجارب",
    "\u202eright to left",
    "e\u0301 \u00e9",
    "👩‍👩‍👧🏽",
    "x" * 5000,
]


LOGGED = {
    "id": "1",
    "name": "a",
    "changeLog": "Created Assignment Source",
    "actionType": "create_echidna_assignment_source",
    "date": "Thu Jan 01 2026",
    "time": "08:09:10 GMT+0000 (Coordinated Universal Time)",
    "updatedBy": "Console API",
    "updatedByUserID": "",
    "modifierEmail": None,
    "changes": {},
    "tags": [],
}


def item(name: str) -> str:
    return f"{BASE}/assignment_source/{quote(name, safe='')}"


def source(name: str, **fields: object) -> dict:
    return {"name": name, **REQUIRED, **fields}


class Api:
    """A project with a clock that stands still."""

    def __init__(self, **options: object) -> None:
        unlimited = {"per_10_seconds": 10**6, "per_15_minutes": 10**6}
        self.project = EmulatedProject(
            EmulatorOptions(**{**unlimited, **options}), {name: {} for name in RESOURCE_TYPES}
        )
        self.now = 0.0
        self.at = datetime(2026, 1, 1, 8, 9, 10, tzinfo=timezone.utc)

    def call(self, method: str, path: str, body: object = None, headers: dict | None = None, **query: str | list[str]):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = JSON_KEY if headers is None else headers
        multiple = {name: [value] if isinstance(value, str) else value for name, value in query.items()}
        return self.project.answer(EmulatedCall(method, path, multiple, headers, raw, self.at), self.now)

    def create(self, *names: str, **fields: object) -> None:
        for name in names:
            assert self.call("POST", LIST, source(name, **fields)).status == 201

    def listed(self, **query: str) -> list:
        return self.call("GET", LIST, **query).body["data"]

    def names(self) -> list:
        return [s["name"] for s in self.listed(limit="100")]


@pytest.fixture
def api() -> Api:
    return Api()


def refused(answer, *properties: str) -> None:
    assert (answer.status, answer.body["status"], answer.body["message"], answer.changed) == (400, 400, INVALID, False)
    assert [e["property"] for e in answer.body["errors"]] == list(properties)
    assert all(e["errorMessage"] for e in answer.body["errors"])


# The endpoints


def test_create_answers_with_every_field_that_is_always_there(api):
    answer = api.call("POST", LIST, source("s"))
    assert answer.status == 201
    assert answer.changed
    assert answer.body == {
        "message": "Assignment Source created successfully",
        "data": {"name": "s", "description": "", "tags": [], **REQUIRED},
    }
    assert api.listed() == [answer.body["data"]]


def test_create_keeps_every_field_verbatim_in_the_order_of_the_table(api):
    data = api.call("POST", LIST, {**OPTIONAL, **source("s")}).body["data"]
    assert data == source("s", **OPTIONAL)
    assert list(data) == ["name", *ASSIGNMENT_SOURCE.field]
    assert api.listed() == [data]


@pytest.mark.parametrize("missing", ["name", *REQUIRED])
def test_create_needs_each_required_field(api, missing):
    body = source("s")
    del body[missing]
    refused(api.call("POST", LIST, body), missing)
    assert api.listed() == []


def test_patch_changes_what_it_names_and_nothing_else(api):
    api.create("a", "s", "z", team="t")
    answer = api.call("PATCH", item("s"), {"tags": ["x"], "team": None})
    assert answer.status == 200
    assert answer.changed
    assert answer.body["message"] == "Assignment Source updated successfully"
    assert answer.body["data"] == {"description": "", **source("s", tags=["x"], team=None)}
    assert api.listed()[1] == answer.body["data"]
    assert api.names() == ["a", "s", "z"]


def test_patch_that_changes_nothing_is_fine(api):
    api.create("s")
    for body in ({}, {"name": "s"}, {"description": ""}):
        answer = api.call("PATCH", item("s"), body)
        assert (answer.status, answer.changed) == (200, False)


def test_patch_renames_in_place(api):
    api.create("a", "s", "z")
    assert api.call("PATCH", item("s"), {"name": "new", "tags": ["x"]}).body["data"]["name"] == "new"
    assert api.names() == ["a", "new", "z"]
    assert api.call("PATCH", item("s"), {}).body == NOT_FOUND
    api.create("s")


def test_patch_does_not_take_sql(api):
    api.create("s")
    refused(api.call("PATCH", item("s"), {"sql": "SELECT 2", "tags": ["x"]}), "sql")
    assert "read-only" in api.call("PATCH", item("s"), {"sql": "SELECT 1"}).body["errors"][0]["errorMessage"]
    assert api.listed()[0]["tags"] == []


def test_full_update_takes_sql_and_drops_what_is_left_out(api):
    api.create("s", **OPTIONAL)
    answer = api.call("POST", item("s"), {**REQUIRED, "sql": "SELECT 2", "name": "t"})
    assert (answer.status, answer.changed) == (200, True)
    assert answer.body == {
        "message": "Assignment Source updated successfully",
        "data": {"name": "t", "description": "", "tags": [], **REQUIRED, "sql": "SELECT 2"},
    }
    assert api.call("POST", item("t"), REQUIRED).body["data"]["name"] == "t"


@pytest.mark.parametrize("missing", list(REQUIRED))
def test_full_update_needs_each_required_field(api, missing):
    api.create("s")
    refused(api.call("POST", item("s"), {k: v for k, v in REQUIRED.items() if k != missing}), missing)


def test_delete_answers_without_data(api):
    api.create("s", "t")
    answer = api.call("DELETE", item("s"))
    assert (answer.status, answer.changed) == (200, True)
    assert answer.body == {"message": "Assignment source deleted successfully."}
    assert api.names() == ["t"]
    assert api.call("DELETE", item("s")).body == NOT_FOUND


@pytest.mark.parametrize("method", ["PATCH", "POST", "DELETE"])
def test_a_source_that_is_not_there_is_not_found(api, method):
    assert api.call(method, item("s"), {}).body == NOT_FOUND


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", item("s")),
        ("PUT", item("s")),
        ("HEAD", LIST),
        ("PATCH", LIST),
        ("DELETE", LIST),
        ("GET", "/"),
        ("GET", LIST + "/"),
        ("GET", BASE + "/assignment_sourcesx"),
        ("PATCH", f"{BASE}/assignment_source"),
        ("PATCH", f"{BASE}/assignment_source/"),
        ("PATCH", f"{BASE}/assignment_source/s/"),
        ("PATCH", f"{BASE}/assignment_source//s"),
        ("PATCH", f"{BASE}/assignment_source/s/t"),
    ],
)
def test_any_other_path_is_not_found(api, method, path):
    api.create("s")
    answer = api.call(method, path, {})
    assert (answer.status, answer.body) == (404, NOT_FOUND)


# Dry run and clashes


def test_a_dry_run_shows_the_source_as_it_would_be_and_keeps_nothing(api):
    api.create("s")
    before = api.listed()
    calls = {
        ("POST", LIST): (201, source("t", dryRun=True)),
        ("PATCH", item("s")): (200, {"name": "t", "dryRun": True}),
        ("POST", item("s")): (200, {**REQUIRED, "name": "t", "dryRun": True}),
    }
    for (method, path), (status, body) in calls.items():
        answer = api.call(method, path, body)
        assert (answer.status, answer.changed) == (status, False)
        assert answer.body["data"] == {"description": "", "tags": [], **source("t")}
    assert api.listed() == before


def test_dry_run_false_changes_the_source_and_is_no_field_of_it(api):
    api.create("s")
    answer = api.call("PATCH", item("s"), {"name": "t", "dryRun": False})
    assert answer.changed
    assert "dryRun" not in answer.body["data"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_name_that_is_taken_is_a_conflict(api, dry_run):
    api.create("s", "t")
    body = {**REQUIRED, "name": "t", "dryRun": dry_run}
    for answer in (
        api.call("POST", LIST, body),
        api.call("POST", item("s"), body),
        api.call("PATCH", item("s"), {"name": "t", "dryRun": dry_run}),
    ):
        assert answer.body == {"status": 400, "message": "Name is already in use"}
        assert answer.status == 400
    assert api.names() == ["s", "t"]


# What a body may hold


@pytest.mark.parametrize(
    ("body", "properties"),
    [
        ({"nme": "x"}, ["nme"]),
        ({"name": ""}, ["name"]),
        ({"name": None}, ["name"]),
        ({"name": 1}, ["name"]),
        ({"dryRun": "true"}, ["dryRun"]),
        ({"dryRun": None}, ["dryRun"]),
        ({"dryRun": 1}, ["dryRun"]),
        ({"description": None}, ["description"]),
        ({"isVerified": 1}, ["isVerified"]),
        ({"tags": "x"}, ["tags"]),
        ({"tags": ["x", 1, None]}, ["tags[1]", "tags[2]"]),
        ({"idTypeMapping": [{"statsigUnitID": "u"}]}, ["idTypeMapping[0]"]),
        ({"idTypeMapping": [{"statsigUnitID": "u", "column": 1}]}, ["idTypeMapping[0].column"]),
        ({"owner": {"ownerID": None}}, ["owner.ownerID"]),
        ({"owner": {"email": "x"}}, ["owner.email"]),
        ({"scheduledReloadHour": 24}, ["scheduledReloadHour"]),
        ({"scheduledReloadHour": True}, ["scheduledReloadHour"]),
        ({"scheduledReloadHour": 1.0}, ["scheduledReloadHour"]),
        ({"team": 1, "x\ny": 2, "tags": []}, ["team", "x\ny"]),
    ],
)
def test_a_wrong_property_is_named_and_nothing_is_changed(api, body, properties):
    api.create("s")
    before = api.listed()
    refused(api.call("PATCH", item("s"), body), *properties)
    refused(api.call("POST", item("s"), {**REQUIRED, **body}), *properties)
    assert api.listed() == before


@pytest.mark.parametrize("name", ["owner", "team", "teamID", "scheduledReloadHour"])
def test_null_is_a_value_where_the_table_says_so(api, name):
    api.create("s", **{name: OPTIONAL[name]})
    assert api.call("PATCH", item("s"), {name: None}).body["data"][name] is None
    assert api.listed()[0][name] is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{} {}",
        b'{"tags": ["a"], "tags": ["b"]}',
        b'{"owner": {"ownerID": "1", "ownerID": "2"}}',
        b'{"scheduledReloadHour": NaN}',
        b'{"scheduledReloadHour": -Infinity}',
        b'{"description": "\xff"}',
        b'{"description": "\\ud800"}',
        b'\xef\xbb\xbf{"description": ""}',
        b'{"description": "' + b"1" * 10 + b"\n" + b'"}',
        b'{"scheduledReloadHour": ' + b"1" * 10_000 + b"}",
        b'{"tags": ' + b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_strict_json_object_is_refused(api, body):
    api.create("s")
    answer = api.call("PATCH", item("s"), body)
    assert answer.status == 400
    json.dumps(answer.body, ensure_ascii=False).encode()
    assert api.listed()[0]["tags"] == []


def test_a_body_over_8_mib_is_too_large(api):
    api.create("s")
    frame = len(b'{"description": ""}')
    fits = b'{"description": "' + b"x" * (MAX_BODY_BYTES - frame) + b'"}'
    assert api.call("PATCH", item("s"), fits).status == 200
    answer = api.call("PATCH", item("s"), fits + b" ")
    assert (answer.status, answer.body["status"]) == (413, 413)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/jsonp", "application/x-www-form-urlencoded"])
def test_a_body_has_to_say_that_it_is_json(api, content_type):
    api.create("s")
    headers = KEY if content_type is None else {**KEY, "content-type": content_type}
    refused(api.call("PATCH", item("s"), {}, headers), "Content-Type")
    assert api.call("PATCH", item("s"), {}, {**KEY, "content-type": "Application/JSON; charset=utf-8"}).status == 200


# Keys and limits


@pytest.mark.parametrize("key", ["", "secret-abc", "client-abc", "CONSOLE-abc", " console-abc"])
@pytest.mark.parametrize("path", [LIST, item("s"), "/elsewhere"])
def test_a_key_that_is_no_console_key_is_refused_and_echoed(api, key, path):
    message = f"This endpoint only accepts an active CONSOLE key, but an invalid key was sent. Key: {key}"
    for headers in [{"statsig-api-key": key}] + [{}] * (not key):
        answer = api.call("GET", path, headers=headers)
        assert (answer.status, answer.body) == (401, {"status": 401, "message": message})


def test_one_key_is_forbidden_everything(api):
    answer = api.call("GET", LIST, headers={"statsig-api-key": "console-forbidden"})
    assert (answer.status, answer.body["status"]) == (403, 403)
    assert answer.body["message"].startswith("Forbidden")


def test_the_version_may_be_left_out_but_not_be_another(api):
    assert api.call("GET", LIST, headers={**KEY, "statsig-api-version": "20240601"}).status == 200
    refused(api.call("GET", LIST, headers={**KEY, "statsig-api-version": "20250101"}), "STATSIG-API-VERSION")


def test_both_windows_limit_mutations():
    api = Api(per_10_seconds=3, per_15_minutes=5)
    mutations = [("POST", LIST), ("PATCH", item("s")), ("DELETE", item("s"))]

    def send(now: float) -> list[int]:
        api.now = now
        return [api.call(method, path, {}).status for method, path in mutations]

    assert send(0) == [400, 404, 404]
    assert send(9.9) == [429, 429, 429]
    assert send(10) == [400, 404, 429]
    assert send(899.9) == [429, 429, 429]
    assert send(900) == [400, 404, 404]
    assert api.call("PATCH", item("s"), {}).body == {
        "status": 429,
        "message": "Too many requests. Please try again later.",
    }


def test_the_defaults_are_100_and_900():
    api = Api(**{name: getattr(EmulatorOptions(), name) for name in ("per_10_seconds", "per_15_minutes")})
    let_through = 0
    for now in range(0, 200, 10):
        api.now = now
        let_through += sum(api.call("PATCH", item("s"), {}).status == 404 for _ in range(150))
        assert let_through == min(100 * (now // 10 + 1), 900)


def test_reads_and_refused_keys_are_not_counted():
    api = Api(per_10_seconds=1)
    for _ in range(5):
        assert api.call("GET", LIST).status == 200
        assert api.call("POST", LIST, {}, headers={}).status == 401
        assert api.call("POST", "/elsewhere").status == 404
    assert api.call("POST", LIST, source("s", dryRun=True)).status == 201
    assert api.call("POST", LIST, source("s")).status == 429


# Lists


def test_pages_hold_every_source_once_and_in_order(api):
    names = [f"source {n}" for n in range(250)]
    api.create(*names)
    for limit, expected in ((1, 1), (10, 10), (99, 99), (100, 100), (101, 100), (1000, 100)):
        found, page = [], 1
        while True:
            body = api.call("GET", LIST, limit=str(limit), page=str(page)).body
            assert body["message"] == "Entity Property Sources listed successfully."
            assert body["pagination"]["itemsPerPage"] == expected
            found += [s["name"] for s in body["data"]]
            if body["pagination"]["nextPage"] is None:
                break
            page += 1
        assert found == names


def test_pagination_links_the_pages(api):
    api.create(*map(str, range(25)))
    assert api.call("GET", LIST).body["pagination"] == {
        "itemsPerPage": 10,
        "pageNumber": 1,
        "totalItems": 25,
        "nextPage": LIST + "?page=2&limit=10",
        "previousPage": None,
        "all": LIST + "?limit=25",
    }
    last = api.call("GET", LIST, page="3").body["pagination"]
    assert (last["nextPage"], last["previousPage"]) == (None, LIST + "?page=2&limit=10")


def test_a_page_after_the_last_is_empty(api):
    api.create(*map(str, range(10)))
    for page, length in (("1", 10), ("2", 0), ("999999999", 0)):
        body = api.call("GET", LIST, page=page).body
        assert (len(body["data"]), body["pagination"]["nextPage"]) == (length, None)
    assert Api().listed() == []


@pytest.mark.parametrize("name", ["limit", "page"])
@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "x", "1 ", "01", "٣", "1" * 5000, "1e3"])
def test_a_page_or_limit_that_is_no_count_is_refused(api, name, value):
    refused(api.call("GET", LIST, **{name: value}), name)


def test_omitted_fields_are_kept_but_never_shown():
    api = Api(omit=("owner", "tags"))
    shown = {k: v for k, v in source("s", **OPTIONAL).items() if k not in ("owner", "tags")}
    assert api.call("POST", LIST, source("s", **OPTIONAL)).body["data"] == shown
    assert api.call("PATCH", item("s"), {"tags": ["new"]}).body["data"] == shown
    assert api.listed() == [shown]
    assert api.project.sources["assignment_source"]["s"]["tags"] == ["new"]


# Names


@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_may_hold_anything(api, name):
    api.create("other", name)
    answer = api.call("PATCH", item(name), {"description": name})
    assert (answer.body["data"]["name"], answer.body["data"]["description"]) == (name, name)
    assert api.call("PATCH", item(name), {"name": name + "'"}).status == 200
    assert api.call("DELETE", item(name + "'")).status == 200
    assert api.names() == ["other"]


@pytest.mark.parametrize("segment", ["%", "%zz", "a%2", "%FF", "%ED%A0%80", "%C3"])
def test_a_name_that_is_not_encoded_rightly_is_refused(api, segment):
    refused(api.call("PATCH", f"{BASE}/assignment_source/{segment}", {}), "name")


# Any type


def test_a_new_type_of_the_table_has_its_endpoints(monkeypatch):
    kinds = (
        Field("text", String(), returned=True),
        Field("flag", Boolean(), returned=True),
        Field("count", Integer(2, 5), returned=True),
        Field("table", Table(("a",)), returned=True),
        Field("set", StringSet(), calls=NOT_PATCH, returned=True),
    )
    row = ResourceType.of("great_thing", "/great/thing/{name}/it", "/great/things", kinds)
    monkeypatch.setitem(RESOURCE_TYPES, row.name, row)
    api = Api()
    created = api.call("POST", "/great/things", {"name": "x"}).body
    data = {"name": "x", "text": "", "flag": False, "count": 2, "table": {}, "set": []}
    assert created == {"message": "Great Thing created successfully", "data": data}
    refused(api.call("PATCH", "/great/thing/x/it", {"set": []}), "set")
    assert api.call("PATCH", "/great/thing/x", {}).status == 404
    assert api.call("PATCH", "/great/thing/x/it", {"name": "a/b"}).body["message"] == "Great Thing updated successfully"
    assert api.call("GET", "/great/things").body["data"] == [{**data, "name": "a/b"}]
    assert api.listed() == []
    assert api.call("DELETE", "/great/thing/a%2Fb/it").body == {"message": "Great thing deleted successfully."}


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def values(kind) -> st.SearchStrategy:
    match kind:
        case String():
            return TEXT
        case Boolean():
            return st.booleans()
        case Integer():
            return st.integers(kind.minimum, kind.maximum)
        case StringSet():
            return st.lists(TEXT, unique=True, max_size=3)
        case KeyedList():
            pairs = st.dictionaries(TEXT, TEXT, max_size=3)
            return pairs.map(lambda d: [{kind.key: k, kind.value: v} for k, v in d.items()])
        case Table():
            return st.dictionaries(st.sampled_from(kind.members), TEXT, min_size=1)


BODIES = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXT.filter(bool) | st.sampled_from("abc"),
        "dryRun": st.booleans(),
        **{
            f.name: values(f.kind) | st.none() if f.nullable else values(f.kind)
            for f in ASSIGNMENT_SOURCE.fields
            if f.name != "sql"
        },
    },
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), BODIES), max_size=12))
def test_any_sequence_of_patches_ends_as_the_same_changes_to_a_dict(tmp_path_factory, patches):
    api = Api()
    api.create("a", "b", "c")
    model = api.listed()
    for index, body in patches:
        taken = {s["name"] for s in model if s is not model[index]}
        before = json.loads(json.dumps(model))
        changes = {k: v for k, v in body.items() if k != "dryRun"}
        answer = api.call("PATCH", item(model[index]["name"]), body)
        if body.get("name") in taken:
            assert answer.status == 400
            continue
        assert answer.body["data"] == {**model[index], **changes}
        if not body.get("dryRun"):
            model[index] = {**model[index], **changes}
        assert answer.changed == (model != before)
    assert api.listed() == model
    path = tmp_path_factory.getbasetemp() / "any_sequence.json"
    save(path, api.project.sources, api.project.log)
    assert load(path) == (api.project.sources, api.project.log, [], {})


# The data file


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_data_file_that_is_not_there_is_an_empty_project(tmp_path):
    assert load(tmp_path / "none.json") == ({name: {} for name in RESOURCE_TYPES}, [], [], {})


def test_a_data_file_gives_its_sources_in_order(tmp_path):
    listed = [source("b", **OPTIONAL), source("a")]
    sources = load(write(tmp_path / "data.json", {"assignment_source": listed}))[0]["assignment_source"]
    assert list(sources) == ["b", "a"]
    assert sources["b"] == listed[0]
    assert sources["a"] == {"description": "", "tags": [], **listed[1]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "Expecting property name"),
        ('{"assignment_source": [], "assignment_source": []}', "twice"),
        ("[]", "expected an object"),
        (
            '{"assignment_sources": []}',
            '"assignment_sources" is not a resource type; expected one of assignment_source',
        ),
        ('{"assignment_source": {}}', "assignment_source is not a list"),
        ('{"assignment_source": [1]}', r"assignment_source\[0\] is not an object"),
        ('{"assignment_source": [{}]}', r"assignment_source\[0\].name: is required; .*\[0\].sql: is required"),
        (json.dumps({"assignment_source": [source("a"), source("a")]}), r"\[1\].name: is already"),
        (
            json.dumps({"assignment_source": [source("a", tags=[1])]}),
            r"\[0\].tags\[0\]: an integer instead of a string",
        ),
        (json.dumps({"assignment_source": [source("a", dryRun=True)]}), "dryRun: is not a known property"),
        (json.dumps({"assignment_source": [source("a", **{"x\n\u202e": 1})]}), r"x\\n\\u202e: is not a known"),
        ('{"audit_log": {}}', "audit_log is not a list"),
        ('{"experiments": {}}', "experiments is not a list"),
        ('{"experiments": [{"id": "x"}]}', r"experiments\[0\] is not an object with id, name and status"),
        *(
            (json.dumps({key: listed}), f"{key}{told}")
            for key in OTHER_LISTS
            for listed, told in (({}, " is not a list"), ([{"name": 1}], r"\[0\] is not an object with a name"))
        ),
        ('{"audit_log": [[]]}', r"audit_log\[0\] is not an entry that the emulator wrote"),
        ('{"audit_log": [{"date": "Thu Jan 01 2026"}]}', r"audit_log\[0\] is not an entry"),
        (json.dumps({"audit_log": [LOGGED, {**LOGGED, "date": "2026-01-01"}]}), r"audit_log\[1\] is not an entry"),
        (json.dumps({"audit_log": [{**LOGGED, "date": None}]}), r"audit_log\[0\] is not an entry"),
    ],
)
def test_a_data_file_that_the_api_could_not_have_given_is_refused(tmp_path, content, told):
    path = tmp_path / "data.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=f"{re.escape(str(path))} can't be used: .*{told}"):
        load(path)
    assert path.read_text() == content


def test_a_data_file_that_can_not_be_read_or_written_is_refused(tmp_path):
    with pytest.raises(UsageError, match="can't be read: Is a directory"):
        load(tmp_path)
    with pytest.raises(UsageError, match="can't be written: there is no directory"):
        load(tmp_path / "none" / "data.json")


def test_the_data_file_is_replaced_as_a_whole(tmp_path):
    path = write(tmp_path / "data.json", {})
    with path.open() as reader:
        save(path, {"assignment_source": {"é": source("é")}})
        assert reader.read() == "{}"
    assert path.read_text(encoding="utf-8").startswith('{\n  "assignment_source": [\n    {\n      "name": "é"')
    assert [p.name for p in tmp_path.iterdir()] == ["data.json"]


def test_a_data_file_that_is_a_link_to_another_folder_is_refused(tmp_path):
    (tmp_path / "project").mkdir()
    path = tmp_path / "project" / "data.json"
    path.symlink_to(write(tmp_path / "data.json", {}))
    with pytest.raises(UsageError, match=r"data.json can't be read: a link to .*, in another folder"):
        load(path)


@pytest.mark.parametrize("option", [{"per_10_seconds": 0}, {"per_15_minutes": 0}, {"port": -1}, {"port": 65536}])
def test_an_option_out_of_range_is_refused(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        EmulatorOptions(**option)


def test_a_field_to_omit_has_to_be_one_of_a_type():
    with pytest.raises(UsageError, match="has a field ownr"):
        create_app(EmulatorOptions(omit=("tags", "ownr")), time.monotonic)


def test_what_is_printed_stays_on_its_line():
    assert printable("a\nb\x1b[31m\u2028\u202e\ud800 é数") == "a\\nb\\x1b[31m\\u2028\\u202e\\ud800 é数"


# Over sockets, as a process of its own


@contextmanager
def serving(**options: object):
    """A served emulator: the process, and the port that it printed. Ends it, if it still runs."""
    code = f"from pathlib import *; from planner.emulator.server import *; serve(EmulatorOptions(**{options!r}))"
    command = [sys.executable, "-W", "error", "-c", code]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"Console API on http://127\.0\.0\.1:(\d+)\n", line)
            if not found:
                process.kill()
                pytest.fail(f"no port, but {line!r}, {process.stderr.read()!r}")
            yield process, int(found[1])
        finally:
            process.kill()


def send(port: int, method: str, path: str, body: object = None, headers: dict = JSON_KEY) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body), headers)
        response = connection.getresponse()
        assert response.getheader("content-type") == "application/json"
        assert response.getheader("retry-after") is None
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def end(process, number: int = signal.SIGTERM) -> tuple[str, str]:
    """What the process printed until its quiet end, apart from its first line."""
    process.send_signal(number)
    printed = process.communicate(timeout=10)
    assert process.returncode == 0
    return printed


@pytest.fixture(scope="module")
def port():
    with serving(omit=("owner",)) as (_, port):
        yield port


def test_every_endpoint_over_a_socket(port):
    assert send(port, "POST", LIST, source("s"))[0] == 201
    assert send(port, "PATCH", item("s"), {"name": "t"})[1]["data"]["name"] == "t"
    assert send(port, "POST", item("t"), REQUIRED)[0] == 200
    assert [s["name"] for s in send(port, "GET", LIST + "?limit=5&page=1")[1]["data"]] == ["t"]
    assert send(port, "DELETE", item("t"))[0] == 200
    assert send(port, "GET", LIST + "?limit=x")[0] == 400
    assert send(port, "PUT", item("t"))[0] == 404
    assert send(port, "GET", LIST, headers={"STATSIG-API-KEY": "bad"})[1]["message"].endswith("Key: bad")


@pytest.mark.parametrize("name", AWKWARD, ids=ascii)
def test_a_name_of_anything_over_a_socket(port, name):
    assert send(port, "POST", LIST, source(name))[0] == 201
    assert send(port, "PATCH", item(name), {"description": name})[1]["data"]["description"] == name
    assert send(port, "DELETE", item(name))[0] == 200


def test_the_path_is_decoded_once(port):
    assert send(port, "PATCH", item(quote("a/b", safe="")), {}) == (404, NOT_FOUND)
    assert send(port, "PATCH", unquote(item("a/b")), {}) == (404, NOT_FOUND)


def test_a_body_that_is_too_large_is_answered_over_a_socket(port):
    send(port, "POST", LIST, source("large"))
    status, body = send(port, "PATCH", item("large"), b" " * (MAX_BODY_BYTES + 1))
    assert (status, body["status"]) == (413, 413)
    send(port, "DELETE", item("large"))


def test_the_data_file_has_a_change_before_the_answer_is_sent(tmp_path):
    path = write(tmp_path / "data.json", {"assignment_source": [source("s")]})
    with serving(data=path) as (process, port):
        untouched = path.read_bytes()
        send(port, "PATCH", item("s"), {"name": "t", "dryRun": True})
        send(port, "PATCH", item("s"), {"name": "s"})
        send(port, "GET", LIST)
        assert path.read_bytes() == untouched
        for method, at, body in (("PATCH", "s", {"name": "t"}), ("POST", "t", {**REQUIRED, "name": "u"})):
            data = send(port, method, item(at), body)[1]["data"]
            assert json.loads(path.read_text())["assignment_source"] == [data]
        assert end(process) == ("", "")
    with serving(data=path) as (_, port):
        assert send(port, "GET", LIST)[1]["data"] == [data]
        send(port, "DELETE", item("u"))
        assert json.loads(path.read_text())["assignment_source"] == []


def test_the_log_has_a_line_for_each_request_and_never_the_key():
    with serving(log=True) as (process, port):
        send(port, "GET", LIST + "?limit=5")
        send(port, "PATCH", item("a\n/b"), {})
        send(port, "POST", LIST, {}, {"STATSIG-API-KEY": "very-secret"})
        out, err = end(process)
    assert out == ""
    lines = [re.sub(r" \d+ ms$", "", line) for line in err.splitlines()]
    assert lines == [f"GET {LIST} 200", f"PATCH {item('a' + chr(10) + '/b')} 404", f"POST {LIST} 401"]
    assert "secret" not in err


def test_latency_delays_each_answer_but_not_its_effect():
    with serving(latency_ms=200) as (process, port):
        start = time.monotonic()
        send(port, "POST", LIST, source("s"))
        assert time.monotonic() - start >= 0.2
        with socket.create_connection(("127.0.0.1", port)) as gone:
            head = f"DELETE {item('s')} HTTP/1.1\r\nHost: x\r\nSTATSIG-API-KEY: console-x\r\n\r\n"
            gone.sendall(head.encode())
            time.sleep(0.1)
        assert send(port, "GET", LIST)[1]["data"] == []
        assert end(process) == ("", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly_with_a_request_under_way(number):
    with serving(latency_ms=60_000, log=True) as (process, port), socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        assert end(process, number) == ("", "")


def test_a_client_that_leaves_halfway_through_a_body_changes_nothing():
    with serving(log=True) as (process, port):
        with socket.create_connection(("127.0.0.1", port)) as gone:
            gone.sendall(f"POST {LIST} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())
        assert send(port, "GET", LIST)[1]["data"] == []
        out, err = end(process)
    assert out == ""
    assert err.count("\n") == 1


def test_a_file_that_can_not_be_written_is_an_error_of_the_server(tmp_path):
    directory = tmp_path / "gone"
    directory.mkdir()
    with serving(data=directory / "data.json") as (process, port):
        directory.rmdir()
        assert send(port, "POST", LIST, source("s")) == (500, {"status": 500, "message": "Internal Server Error"})
        assert "FileNotFoundError" in end(process)[1]


def test_a_port_that_is_taken_is_an_error(port):
    with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1 can't be used"):
        serve(EmulatorOptions(port=port))


def test_every_change_is_in_the_audit_log_the_newest_first(api):
    by_ana = {**JSON_KEY, "x-emulator-user": "Ana <ana@example.com>"}
    api.create("a")
    api.call("PATCH", item("a"), {"description": "y"}, by_ana)
    api.call("PATCH", item("a"), {"description": "y"}, by_ana)
    api.call("PATCH", item("a"), {"description": "z", "dryRun": True}, by_ana)
    api.call("PATCH", item("a"), {"name": "b"})
    api.call("DELETE", item("b"), headers=KEY)
    logged = api.call("GET", AUDIT_LOGS, limit="100").body["data"]
    assert [(e["id"], e["name"], e["actionType"], e["updatedBy"]) for e in logged] == [
        ("4", "b", "delete_echidna_assignment_source", "Console API"),
        ("3", "b", "update_echidna_assignment_source_name", "Console API"),
        ("2", "a", "update_echidna_assignment_source", "Ana"),
        ("1", "a", "create_echidna_assignment_source", "Console API"),
    ]
    assert logged[1]["changes"] == {"name": {"old": "a", "new": "b"}}
    assert logged[2]["modifierEmail"] == "ana@example.com"
    assert (logged[2]["date"], logged[2]["time"]) == (
        "Thu Jan 01 2026",
        "08:09:10 GMT+0000 (Coordinated Universal Time)",
    )
    second = api.call("GET", AUDIT_LOGS, limit="3", page="2").body
    assert [e["id"] for e in second["data"]] == ["1"]
    assert second["pagination"]["nextPage"] is None


def test_an_entry_has_the_published_shape(api):
    api.create("a")
    assert api.call("GET", AUDIT_LOGS).body["data"] == [LOGGED]


def test_a_verification_alone_has_an_action_of_its_own(api):
    api.create("a")
    api.call("PATCH", item("a"), {"isVerified": True})
    api.call("PATCH", item("a"), {"isVerified": False, "team": "t"})
    assert [e["actionType"] for e in logged(api)][:2] == [
        "update_echidna_assignment_source",
        "update_echidna_assignment_source_is_verified",
    ]
    assert logged(api)[1]["changes"] == {"isVerified": {"old": None, "new": True}}


def logged(api: Api, **query: str | list[str]) -> list[dict]:
    answer = api.call("GET", AUDIT_LOGS, **query)
    assert answer.status == 200, answer.body
    return answer.body["data"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["c", "a", "b", "a"]),
        ({"actionTypes": "create_echidna_assignment_source"}, ["c", "b", "a"]),
        ({"actionTypes": ["delete_echidna_assignment_source", "x"]}, ["a"]),
        ({"actionTypes": "x"}, []),
        ({"startDate": "2026-01-02"}, ["c", "a"]),
        ({"endDate": "2026-01-02"}, ["a", "b", "a"]),
        ({"startDate": "2026-01-02", "endDate": "2026-01-02"}, ["a"]),
        ({"startDate": "2026-01-04"}, []),
        ({"tags": ["x", "y"]}, ["b"]),
        ({"sortOrder": "asc"}, ["a", "b", "a", "c"]),
        ({"sortKey": "date", "sortOrder": "asc"}, ["a", "b", "a", "c"]),
        ({"sortKey": "name", "sortOrder": "asc"}, ["a", "a", "b", "c"]),
        ({"sortKey": "name"}, ["c", "b", "a", "a"]),
        ({"limit": "2", "page": "2"}, ["b", "a"]),
        ({"limit": "1", "page": "2", "startDate": "2026-01-02"}, ["a"]),
    ],
)
def test_the_log_is_filtered_sorted_and_parted_as_asked(api, query, expected):
    api.create("a")
    api.create("b", tags=["y", "z"])
    api.at = datetime(2026, 1, 2, 23, 59, 59, tzinfo=timezone.utc)
    api.call("DELETE", item("a"), headers=KEY)
    api.at = datetime(2026, 1, 3, tzinfo=timezone.utc)
    api.create("c")
    assert [e["name"] for e in logged(api, **query)] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("startDate", "yesterday"),
        ("startDate", "2026-02-30"),
        ("startDate", "20260102"),
        ("endDate", ["2026-01-01", "x"]),
        ("endDate", ""),
        ("sortKey", "changes"),
        ("sortOrder", "newest"),
        ("limit", "0"),
    ],
)
def test_a_query_of_the_log_that_can_not_be_is_refused(api, name, value):
    refused(api.call("GET", AUDIT_LOGS, **{name: value}), name)


def test_the_log_outlives_the_emulator(tmp_path):
    path = tmp_path / "data.json"
    for name in ("a", "b"):
        with serving(data=path) as (_, port):
            assert send(port, "POST", LIST, source(name))[0] == 201
    log = load(path)[1]
    assert [(e["id"], e["name"]) for e in log] == [("1", "a"), ("2", "b")]
    with serving(data=path) as (_, port):
        query = "actionTypes=create_echidna_assignment_source&actionTypes=x&limit=1"
        _, body = send(port, "GET", f"{AUDIT_LOGS}?{query}")
        assert body["data"] == [log[1]]
        assert body["pagination"]["totalItems"] == 2


def test_a_log_that_is_hidden_is_refused():
    assert Api(hide_log=True).call("GET", AUDIT_LOGS).status == 403


# What is not published, and what a test can ask for


def test_a_patch_with_sql_is_refused_or_ignored(api):
    api.create("s")
    refused(api.call("PATCH", item("s"), {"sql": "SELECT 9"}), "sql")
    lenient = Api(ignores_sql=True)
    lenient.create("s")
    answer = lenient.call("PATCH", item("s"), {"sql": "SELECT 9", "description": "d"})
    assert (answer.status, answer.body["data"]["sql"], answer.body["data"]["description"]) == (
        200,
        REQUIRED["sql"],
        "d",
    )


def test_a_full_update_can_keep_what_it_leaves_out():
    api = Api(keeps=True)
    api.create("s", team="Growth")
    body = {**REQUIRED, "sql": "SELECT 2"}
    assert api.call("POST", item("s"), body).body["data"] == {**source("s"), "team": "Growth", "sql": "SELECT 2"} | {
        "description": "",
        "tags": [],
    }


@pytest.mark.parametrize(
    ("right", "method", "path"),
    [
        ("create", "POST", LIST),
        ("update", "PATCH", "s"),
        ("update", "POST", "s"),
        ("delete", "DELETE", "s"),
        ("experiments", "GET", f"{BASE}"),
        ("log", "GET", "/console/v1/audit_logs"),
    ],
)
def test_a_key_without_a_right_is_refused_that_and_nothing_else(api, right, method, path):
    api.create("s")
    path = item(path) if path == "s" else path
    headers = {**JSON_KEY, "statsig-api-key": f"console-no-{right}"}
    assert api.call(method, path, {}, headers).status == 403
    assert api.call("GET", LIST, headers=headers).status == 200


EXPERIMENT = {"id": "e", "name": "E", "status": "active", "assignmentSourceName": "s", "groups": []}


def test_what_active_experiments_read_is_not_deleted(api):
    api.create("s", "t")
    api.project.experiments = [EXPERIMENT, {**EXPERIMENT, "id": "f", "status": "archived", "assignmentSourceName": "t"}]
    answer = api.call("DELETE", item("s"))
    message = "Assignment source is referenced by active experiments."
    assert (answer.status, answer.body) == (400, {"status": 400, "message": message})
    assert api.call("DELETE", item("t")).status == 200
    assert api.names() == ["s"]


def test_experiments_are_listed_with_the_fields_that_are_asked_for(api):
    api.project.experiments = [EXPERIMENT, {**EXPERIMENT, "id": "f"}]
    page = api.call("GET", BASE, fields="name,status", limit="1", page="2").body
    assert page["data"] == [{"id": "f", "name": "E", "status": "active"}]
    assert page["pagination"]["totalItems"] == 2
    assert api.call("GET", BASE).body["data"][0] == EXPERIMENT
    answer = api.call("GET", BASE, fields="name,nonsense")
    assert (answer.status, answer.body["message"]) == (400, "Invalid field(s) requested.")


def test_a_data_file_has_experiments_and_keeps_them(tmp_path):
    path = write(tmp_path / "data.json", {"assignment_source": [], "experiments": [EXPERIMENT]})
    assert load(path)[2] == [EXPERIMENT]
    save(path, *load(path))
    assert load(path)[2] == [EXPERIMENT]
    with pytest.raises(UsageError, match=r"experiments\[0\] is not an object with id, name and status"):
        load(write(tmp_path / "wrong.json", {"experiments": [{}]}))
