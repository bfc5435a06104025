"""What goes over the wire for a create, a full update and a delete, and what their answers are taken for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pytest
from canary import KEY
from faketime import FakeTime
from rawserver import Act, serve

from planner.console.answers import DEADLINE_S, SQL_DEADLINE_S
from planner.console.client import Client
from planner.console.key import ApiKey
from planner.console.transport import reason_of
from planner.definitions.resources import ASSIGNMENT_SOURCE, METRIC_SOURCE
from state.records import Applied, Deleted, Intent, Rejected, Unknown
from state.values import Address, Object

A = Address("assignment_source.a")
BASE = "http://127.0.0.1:9"


@contextmanager
def answering(status: int, data: Object | None = None, **options) -> Iterator[tuple[Client, list[httpx.Request]]]:
    """A client whose every request is answered so, and the requests that it made."""
    time, seen = FakeTime(), list[httpx.Request]()

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        time.sleep(0.25)
        return httpx.Response(status, content=iter([json.dumps({"data": data or {}, "message": "no"}).encode()]))

    with closing(Client(BASE, ApiKey(KEY), time.clock, **options)) as client:
        client._transport._http = httpx.Client(transport=httpx.MockTransport(handle))
        yield client, seen


def intent(method: str, sent: Object, name: str = "a/é b") -> Intent:
    return Intent(A, method, name, {"description": "before"}, sent, "t")


def sent_by(type_, one: Intent, **options) -> httpx.Request:
    with answering(200, {"name": one.name}, **options) as (client, seen):
        client.send(type_, one)
    (request,) = seen
    return request


def test_a_create_goes_to_the_path_of_creates_and_all_else_to_that_of_the_source():
    name = "a%2F%C3%A9%20b"
    create = sent_by(METRIC_SOURCE, intent("POST", {"name": "a/é b", "tags": []}))
    assert (create.method, create.url.raw_path.decode()) == ("POST", METRIC_SOURCE.create_path)
    assert json.loads(create.content) == {"name": "a/é b", "tags": []}
    full = sent_by(METRIC_SOURCE, intent("POST", {"tags": []}))
    assert full.url.raw_path.decode() == METRIC_SOURCE.path.replace("{name}", name)
    patch = sent_by(ASSIGNMENT_SOURCE, intent("PATCH", {"tags": []}), is_dry_run=True)
    assert patch.url.raw_path.decode() == ASSIGNMENT_SOURCE.path.replace("{name}", name)
    assert json.loads(patch.content) == {"tags": [], "dryRun": True}
    delete = sent_by(ASSIGNMENT_SOURCE, intent("DELETE", {}))
    assert (delete.method, delete.content, delete.headers.get("Content-Type")) == ("DELETE", b"", None)


@pytest.mark.parametrize(
    ("sent", "deadline_s", "seconds"),
    [
        ({"sql": "SELECT 1"}, DEADLINE_S, SQL_DEADLINE_S),
        ({"sql": "SELECT 1"}, 1000, 1000),
        ({"SQL": "", "tags": []}, DEADLINE_S, DEADLINE_S),
        ({"tags": []}, 5, 5),
    ],
)
def test_a_request_with_a_query_has_the_time_that_a_query_takes(sent, deadline_s, seconds):
    request = sent_by(ASSIGNMENT_SOURCE, intent("POST", sent), deadline_s=deadline_s)
    assert request.extensions["timeout"]["read"] == seconds
    assert request.extensions["timeout"]["connect"] == min(10, deadline_s)


@pytest.mark.parametrize("log", [None, lambda _: None], ids=["no log", "a log"])
@pytest.mark.parametrize(("sent", "kind"), [({"sql": "SELECT 1"}, Applied), ({"tags": []}, Unknown)])
def test_the_whole_of_a_request_with_a_query_may_take_longer_than_of_another(sent, kind, log):
    with (
        serve([{"name": "a"}]) as api,
        closing(Client(api.url, ApiKey(KEY), FakeTime().clock, deadline_s=0.4, log=log)) as client,
    ):
        # A byte now and then is no silence: only the time of the whole can end it.
        api.patches.append(Act(drips=range(12), pause_s=0.1))
        assert type(client.send(ASSIGNMENT_SOURCE, intent("PATCH", sent, "a"))) is kind


@pytest.mark.parametrize("status", [200, 204, 299, 404])
def test_a_delete_is_done_when_the_api_says_so_or_has_none(status):
    with answering(status) as (client, _):
        found = client.send(ASSIGNMENT_SOURCE, intent("DELETE", {}))
    assert found == Deleted(A, status, {"description": "before"}, 250, found.at)
    assert found.at.endswith("Z")


@pytest.mark.parametrize(
    ("status", "kind"), [(300, Unknown), (400, Rejected), (405, Rejected), (408, Unknown), (500, Unknown)]
)
def test_a_delete_that_is_answered_otherwise_is_not_done(status, kind):
    with answering(status) as (client, _):
        assert type(client.send(ASSIGNMENT_SOURCE, intent("DELETE", {}))) is kind


def test_what_is_no_delete_is_not_deleted_by_any_answer():
    for status, kind in ((200, Applied), (404, Rejected)):
        with answering(status, {"name": "a"}) as (client, _):
            assert type(client.send(ASSIGNMENT_SOURCE, intent("PATCH", {"tags": []}, "a"))) is kind


def test_the_log_has_of_each_request_what_anybody_may_see():
    told: list[Object] = []
    with answering(200, {"name": "a"}, log=told.append) as (client, seen):
        for name in ("a", "a", "b"):
            client.send(ASSIGNMENT_SOURCE, intent("PATCH", {"tags": ["secret"]}, name))
        size = len(json.dumps({"data": {"name": "a"}, "message": "no"}))
    assert [one.pop("at").endswith("Z") for one in told] == [True] * 3
    path = ASSIGNMENT_SOURCE.path.replace("{name}", "")
    assert told == [
        {"method": "PATCH", "path": f"{path}{name}", "attempt": n, "status": 200, "bytes": size, "milliseconds": 250}
        for name, n in (("a", 1), ("a", 2), ("b", 1))
    ]
    assert len(seen) == 3


def test_the_log_has_a_request_without_an_answer_too():
    told: list[Object] = []

    def handle(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer")

    with closing(Client(BASE, ApiKey(KEY), FakeTime().clock, log=told.append)) as client:
        client._transport._http = httpx.Client(transport=httpx.MockTransport(handle))
        assert type(client.send(ASSIGNMENT_SOURCE, intent("PATCH", {"tags": []}, "a"))) is Unknown
    assert [(one["status"], one["bytes"]) for one in told] == [(None, None)]


def test_the_number_of_an_error_is_not_shown():
    refused = reason_of(httpx.ConnectError("[Errno 111] Connection refused"))
    assert "Errno" not in refused
    assert "XX" not in refused
    assert reason_of(httpx.ConnectError("[Errno -2] Name or service not known")).endswith("Name or service not known")
    assert "[errno 1] as it is" in reason_of(httpx.ConnectError("[errno 1] as it is"))
