"""Rare answers of object stores, and what follows: another try, or a refusal that says what to do."""

from __future__ import annotations

import json

import pytest
import s3proxy
from s3proxy import answer, error
from stores import S3_KEYS, free_port

from state import store
from state.errors import EngineRefused, EngineUnreachable
from state.places.engines import HEADER, Unsure
from state.places.engines.objects import ObjectEngine, open_store
from state.places.place import find_place
from state.places.shared import SharedPlace, Times
from state.places.urls import shared_place
from state.records import Begin

CALLS = {
    "create": lambda engine: engine.create(0, b"piece"),
    "get": lambda engine: engine.get(0),
    "tail": lambda engine: engine.tail(0),
}


@pytest.fixture
def bucket(monkeypatch):
    """A server in the place of a store: it only gives the answers that a test wants."""
    with s3proxy.before(f"http://127.0.0.1:{free_port()}") as proxy:
        for name, value in (S3_KEYS | {"AWS_ENDPOINT_URL": proxy.url}).items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture
def engine(bucket):
    return ObjectEngine(open_store("s3", "bucket", "s3://bucket/p", may_be_plain=True), "p", "s3://bucket/p")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        ("301 Moved Permanently", "PermanentRedirect", "check AWS_REGION and AWS_ENDPOINT_URL"),
        ("400 Bad Request", "AuthorizationHeaderMalformed", "check AWS_REGION and AWS_ENDPOINT_URL"),
        ("400 Bad Request", "ExpiredToken", "The credentials are wrong, or have expired."),
        ("403 Forbidden", "InvalidAccessKeyId", "The credentials are wrong, or have expired."),
        ("403 Forbidden", "RequestTimeTooSkewed", "The clock of this machine is wrong: set it."),
        ("403 Forbidden", "AccessDenied", " takes the right to "),
        ("404 Not Found", "NoSuchBucket", "Create it, or correct STATFORM_STATE."),
        ("405 Method Not Allowed", "MethodNotAllowed", "The store refuses this request"),
        ("501 Not Implemented", "NotImplemented", " takes the right to "),
    ],
)
def test_an_error_that_another_try_does_not_change_is_refused_at_once_with_what_to_do(
    bucket, engine, call, status, code, remedy
):
    bucket.before = lambda *_: answer(status, error(code))
    with pytest.raises(EngineRefused) as raised:
        CALLS[call](engine)
    assert remedy in str(raised.value)
    if status[0] == "4" and code != "NoSuchBucket":
        assert f": {status}: {code}: as it says\n" in str(raised.value)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code"),
    [("500 Internal Server Error", "InternalError"), ("503 Slow Down", "SlowDown"), ("429 Too Many", "TooMany")],
)
def test_a_store_that_is_busy_or_ill_is_asked_again(bucket, engine, call, status, code):
    bucket.before = lambda *_: answer(status, error(code), "Retry-After: 1")
    with pytest.raises(Unsure, match=status[:3]) as raised:
        CALLS[call](engine)
    assert code in str(raised.value)


@pytest.mark.parametrize("status", ["409 Conflict", "412 Precondition Failed", "304 Not Modified"])
def test_a_refused_create_may_mean_that_the_piece_is_there(bucket, engine, status):
    bucket.before = lambda *_: answer(status, error("ConditionalRequestConflict"))
    assert engine.create(0, b"piece") is False


def test_a_record_that_is_refused_as_existing_but_is_not_there_ends_the_run(bucket, engine):
    """As a server answers that keeps old versions, and that takes the delete mark of an object for an object."""

    def reply(_number, what):
        if what.startswith("PUT"):
            return answer("412 Precondition Failed", error("PreconditionFailed"))
        is_list = "list-type" in what
        empty = "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"
        return answer("200 OK", empty) if is_list else answer("404 Not Found", error("NoSuchKey"))

    bucket.before = reply
    engine.prove = lambda: None
    where = SharedPlace("s3://bucket/p", lambda: engine, times=Times(answer=0.5))
    with store.open(where, "import") as session, pytest.raises(EngineUnreachable) as raised:
        session.record(Begin(None, "who", "host", "0", None, "t"))
    assert "refused as there already, and it is not there: a part of the journal may be lost" in str(raised.value)


@pytest.mark.parametrize("page", ["<html>Please log in</html>", "<html>Please", error("InternalError")])
def test_an_answer_that_is_not_a_list_hides_no_piece(bucket, engine, page):
    head = json.dumps({"writer": "0" * 32}, separators=(",", ":")) + "\n"
    pieces = {f"{at:020}": f"{head}{at}x\n" for at in (0, 3, 6)}
    assert len(head) == HEADER

    def reply(_number, what):
        if "list-type" in what:
            return answer("200 OK", page)
        name = what.rpartition("/")[2]
        is_there = name in pieces and what.startswith("GET")
        lines = ('ETag: "x"', "Last-Modified: Fri, 27 Nov 2026 10:00:00 GMT")
        return answer("200 OK", pieces[name], *lines) if is_there else answer("404 Not Found", error("NoSuchKey"))

    bucket.before = reply
    if page.endswith(">"):
        assert [at for at, _ in engine.tail(0)] == [0, 3, 6]
        assert [at for at, _ in engine.tail(3)] == [3, 6]
    else:
        with pytest.raises(Unsure, match="invalid list"):
            engine.tail(0)


def test_a_web_page_in_the_place_of_every_answer_is_read_only_once(bucket, engine):
    page = f"<html>{'Please log in ' * 10}</html>"
    bucket.before = lambda *_: answer("200 OK", page, 'ETag: "x"', "Last-Modified: Fri, 27 Nov 2026 10:00:00 GMT")
    assert [body for _, body in engine.tail(0)] == [page.encode()]


@pytest.mark.parametrize(
    ("url", "environ", "what"),
    [
        ("az://bucket/p", {}, "Account must be specified"),
        ("gs://bucket/p", {"GOOGLE_APPLICATION_CREDENTIALS": "/not/there.json"}, "Unable to open service account file"),
    ],
)
def test_an_environment_that_can_not_be_used_is_refused_with_what_is_needed(monkeypatch, url, environ, what):
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EngineRefused, match=what) as raised:
        store.read(find_place("project", "x.state.json", "lineage", {"STATFORM_STATE": url} | environ))
    assert "Credentials come from the environment" in str(raised.value)


def test_a_token_can_replace_a_google_file_that_can_not_be_used(monkeypatch, tmp_path):
    file = tmp_path / "external.json"
    file.write_text('{"type": "external_account", "audience": "x"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(EngineRefused, match="external_account") as raised:
        store.read(shared_place("gs://bucket/p", "x", {}))
    assert "GOOGLE_OAUTH_ACCESS_TOKEN" in str(raised.value)
    assert open_store("gs", "bucket", "gs://bucket/p", may_be_plain=False, token="ya29.token")
