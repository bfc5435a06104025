from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, timezone
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import attrs
import httpcore
import httpx
import pytest
import trustme
from canary import KEY
from faketime import START, FakeTime
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rawserver import PATH, Act, RawServer, answer, serve
from strategies import json_values

from planner.clock import Clock
from planner.console.answers import UnusableAnswer, decode, parse_retry_after
from planner.console.base_url import check_base_url, find_proxy
from planner.console.client import Client
from planner.console.deadline import Deadline
from planner.console.key import ApiKey, read_key
from planner.console.pages import MAX_PAGES
from planner.console.transport import MAX_MESSAGE_LENGTH, is_certificate, reason_of
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.errors import ApiError, Interrupted, KeyRefused, OverLimit, Unreachable, UsageError
from planner.strict_json import MAX_LEVELS
from planner.version import __version__
from state import journal
from state.errors import LockLost
from state.records import Applied, Intent, Outcome, Rejected, Unknown
from state.values import Address

A = Address("assignment_source.a")


@contextmanager
def client_of(api: RawServer, key: str = KEY, **options) -> Iterator[Client]:
    with closing(Client(api.url, ApiKey(key), FakeTime().clock, **options)) as client:
        yield client


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[RawServer, Client]]:
    with serve([{"name": "a"}]) as api, client_of(api) as client:
        yield api, client


@pytest.fixture
def api() -> Iterator[RawServer]:
    with serve([{"name": "a"}]) as api:
        yield api


def intent(name: str = "a", **sent) -> Intent:
    return Intent(A, "PATCH", name, {}, sent, "t")


# The key and the base URL


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\n", "console-a b", "console-a\tb", "console-a\nb", "console-a\r\nx: y", "\x00", "console-a\x00b",
        "console-é", "console-\ud800", "console-\u200bx", '"console-x"', "'console-x'", "console-x\x7f", "console-a\\b",
        "console-\x1b[31m", "Bearer console-x", "STATSIG-API-KEY: console-x", "console-x,console-y", "console-ａｂｃ",
        "console", "secret", "console-" * 600,
    ],
)  # fmt: skip
def test_what_can_be_no_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        ApiKey.of(text, "THE_SOURCE")
    assert str(caught.value).startswith("THE_SOURCE ")
    assert not text.strip() or text not in str(caught.value)


@pytest.mark.parametrize("text", ["console-abc", " console-abc\n", "console-abc\r\n"])
def test_white_space_around_a_key_is_not_part_of_it(text: str) -> None:
    assert ApiKey.of(text, "").value == "console-abc"


def test_a_key_has_no_text_form() -> None:
    assert KEY not in f"{ApiKey(KEY)} {ApiKey(KEY)!r} {[ApiKey(KEY)]}"


def test_the_key_comes_from_the_environment_or_from_the_file_that_it_names(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("console-file\n")
    assert read_key({"STATSIG_API_KEY": "console-x"}).value == "console-x"
    assert read_key({"STATSIG_API_KEY_FILE": str(file)}).value == "console-file"
    assert read_key({"STATSIG_API_KEY": "", "STATSIG_API_KEY_FILE": str(file)}).value == "console-file"
    assert read_key({"STATSIG_API_KEY": "console-x", "STATSIG_API_KEY_FILE": str(file)}).value == "console-x"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"console-secret\nconsole-secret", "directory"])
def test_a_key_file_that_holds_none_is_refused_by_its_name(tmp_path: Path, content) -> None:
    file = tmp_path / "key"
    if content == "directory":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match="STATSIG_API_KEY_FILE") as caught:
        read_key({"STATSIG_API_KEY_FILE": str(file)})
    assert str(file) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_a_key_both_ways_to_give_one_are_named() -> None:
    with pytest.raises(UsageError, match=r"STATSIG_API_KEY .*STATSIG_API_KEY_FILE"):
        read_key({})


BASE_URLS = {
    "https://statsigapi.net": "https://statsigapi.net",
    "https://statsigapi.net/": "https://statsigapi.net",
    "https://statsigapi.net//": "https://statsigapi.net",
    "HTTPS://StatsigAPI.net:443": "https://statsigapi.net:443",
    "https://proxy.example:8443/statsig/": "https://proxy.example:8443/statsig",
    "http://127.0.0.1:8080": "http://127.0.0.1:8080",
    "http://127.9.9.9": "http://127.9.9.9",
    "http://localhost:1": "http://localhost:1",
    "http://[::1]:65535": "http://[::1]:65535",
    "https://" + "a" * 63 + ".example": "https://" + "a" * 63 + ".example",
    "https://bücher.example": "https://xn--bcher-kva.example",
}


@pytest.mark.parametrize(("url", "expected"), BASE_URLS.items())
def test_a_base_url_that_the_key_may_travel_to(url: str, expected: str) -> None:
    assert check_base_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "", "statsigapi.net", "//statsigapi.net", "http://statsigapi.net", "http://10.0.0.1", "http://0.0.0.0",
        "http://localhost.example", "http://127.0.0.1.example", "http://[::2]", "http://127.1", "ftp://127.0.0.1",
        "file:///etc/passwd", "https://", "https:///x", "https://user@statsigapi.net", "https://u:p@statsigapi.net",
        "https://:p@statsigapi.net", "https://statsigapi.net?x", "https://statsigapi.net?", "https://statsigapi.net/#",
        "https://statsigapi.net/#x", "https://statsigapi.net:0", "https://statsigapi.net:65536",
        "https://statsigapi.net:99999999999", "https://statsigapi.net:x", "https://statsigapi.net:1:2", "https://[::1",
        "https://" + "a" * 64 + ".example", "https://" + "a" * 70, "https://a..example", "https://.example",
        "https://statsigapi.net\n", "https://statsigapi.net/\x00", "https://statsig\\api.net\\@evil.example",
        "https://statsigapi.net@evil.example", "https://statsigapi.net%2f@evil.example", "http://\uff11\uff12\uff17.0.0.1",
        "http://\u246027.0.0.1", "http://localhost.evil.example", "http://localhost\u3002evil.example", "http://127.0.0.1:80@evil",
        "http://[::ffff:10.0.0.1]", "http://0x7f.1", "http://2130706433", "http://localhost%00.evil.example", "http://localhost.",
        "http:127.0.0.1", "http:/\\127.0.0.1", "https:statsigapi.net", " https://statsigapi.net", "https://\uff53tatsigapi.net",
        "https://stats\u00adigapi.net",
        "https://[v1.x]", "https://xn--a", "https://x]:1", "\ud800",
    ],
)  # fmt: skip
def test_any_other_base_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(UsageError, match="the base URL"):
        check_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        f"https://x.example:{KEY}", f"https://{KEY}:x", f"http://x.example/{KEY}", f"https://{KEY}..x", f"https://{KEY}@x",
        f"https://x.example?{KEY}", KEY, f"http://{KEY}.example", f"https://x.example:99999/{KEY}",
    ],
)  # fmt: skip
def test_a_base_url_with_a_key_in_it_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UsageError, match="the base URL") as caught:
        check_base_url(url)
    assert "canary" not in str(caught.value)


def test_what_holds_the_key_has_no_text_of_it(api: RawServer) -> None:
    with client_of(api) as client:
        client.list(ASSIGNMENT_SOURCE)
        for one in (
            client,
            vars(client),
            ApiKey(KEY),
            [ApiKey(KEY)],
            client._key,
            vars(client).values(),
            vars(client._transport),
        ):
            assert "canary" not in f"{one!r} {one}"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30) | st.text("ab.:/?#@[]%\\ 0", max_size=20).map("https://{}".format))
def test_a_base_url_is_refused_or_leads_to_its_own_host(url: str) -> None:
    try:
        checked = check_base_url(url)
    except UsageError:
        return
    of_api, base = httpx.URL(checked + PATH), httpx.URL(url)
    assert (of_api.host.lower(), of_api.scheme, of_api.query) == (base.host.lower(), base.scheme, b"")
    assert of_api.path.endswith(PATH)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
def test_what_goes_to_loopback_in_the_clear_goes_through_no_proxy(api, name, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as proxy:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv(name, proxy.url)
        with client_of(api) as client:
            assert list(client.list(ASSIGNMENT_SOURCE)) == ["a"]
        assert (api.connections, proxy.connections) == (1, 0)


PROXIES = [
    ({}, None),
    ({"HTTPS_PROXY": "http://user:hunter2@proxy.example:3128"}, "http://proxy.example:3128"),
    ({"https_proxy": "proxy.example:3128"}, "http://proxy.example:3128"),
    ({"ALL_PROXY": "https://proxy.example"}, "https://proxy.example"),
    ({"HTTP_PROXY": "http://proxy.example"}, None),
    ({"HTTPS_PROXY": "http://one.example", "ALL_PROXY": "http://other.example"}, "http://one.example"),
    ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "statsigapi.net"}, None),
    ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": ".statsigapi.net"}, "http://proxy.example"),
    ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "*"}, None),
    ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "example.org, api.net"}, "http://proxy.example"),
    ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "fd00::/8,[::1],::1,statsigapi.net"}, None),
    ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "fd00::/8,[fd07::1]:80,[x"}, "http://proxy.example"),
]


def test_an_address_in_brackets_goes_through_no_proxy_where_the_environment_says_so(monkeypatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    monkeypatch.setenv("NO_PROXY", "[::1]")
    assert find_proxy("https://[::1]:1") is None
    assert find_proxy("https://[::2]:1") == "http://proxy.example"


# As their owners write them who don't know that these characters end a host. What is a number seems to be a port.
PASSWORDS = ["S3cret/rest", "S3cret#rest", "S3cret?rest", "123/S3cret", "123#S3cret", "123?S3cret", "a@S3cret/rest"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_nothing_of_a_password_is_shown_that_can_not_stand_in_a_url(password, monkeypatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{password}@proxy.example")
    with pytest.raises(UsageError, match="in the environment can't be used") as raised:
        Client("https://statsigapi.net", ApiKey(KEY), FakeTime().clock)
    assert not re.search("S3cret|123|rest|user", str(raised.value))
    for scheme in ("http", "https"):
        with pytest.raises(UsageError) as raised:
            check_base_url(f"{scheme}://user:{password}@host.example")
        assert not re.search("S3cret|123|rest|user", str(raised.value))


@pytest.mark.parametrize(("environ", "expected"), PROXIES)
def test_the_proxy_that_is_named_is_the_one_that_is_used(environ, expected, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    url = httpx.URL("https://statsigapi.net")
    with closing(Client(str(url), ApiKey(KEY), FakeTime().clock)) as client:
        assert client.proxy == expected
        pool = client._transport._http._transport_for_url(url)._pool
        assert isinstance(pool, httpcore.HTTPProxy) == (expected is not None)
        if expected is not None:
            assert pool._proxy_url.host.decode() == httpx.URL(expected).host


def test_a_proxy_for_https_gets_to_read_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    got = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                got.extend(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{proxy.getsockname()[1]}")
        with closing(Client("https://statsigapi.net", ApiKey(KEY), FakeTime().clock)) as client:
            outcome = client.send(ASSIGNMENT_SOURCE, intent(team="t"))
        thread.join(5)
    assert got.startswith(b"CONNECT statsigapi.net:443 HTTP/1.1\r\n")
    assert KEY.encode() not in got
    assert isinstance(outcome, Rejected)
    assert (outcome.status, outcome.retryable) == (None, True)
    assert outcome.message.startswith("the proxy made no connection: 407")
    assert "secret" not in outcome.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "socks9://x"),
        ("HTTPS_PROXY", "http://x:y"),
        ("ALL_PROXY", "socks5://x"),
        ("SSL_CERT_FILE", "/none"),
    ],
)
def test_an_environment_that_can_not_be_used_is_a_usage_error(name, value, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="in the environment can't be used"):
        Client("https://statsigapi.net", ApiKey(KEY), FakeTime().clock)


# What is sent


def test_the_headers_of_a_patch_and_of_a_list(api: RawServer) -> None:
    with client_of(api, respect_review_settings=True) as client:
        assert isinstance(client.send(ASSIGNMENT_SOURCE, intent(description="é", team=None)), Applied)
        client.list(ASSIGNMENT_SOURCE)
    patch, get = api.log
    common = {
        "host": api.url.removeprefix("http://"),
        "statsig-api-key": KEY,
        "statsig-api-version": "20240601",
        "user-agent": f"statform/{__version__}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "connection": "keep-alive",
    }
    content = {
        "content-type": "application/json",
        "content-length": str(len(b'{"description": "\xc3\xa9", "team": null}')),
    }
    assert patch.headers == {**common, **content, "x-respect-review-settings": "true"}
    assert patch.body == {"description": "é", "team": None}
    assert get.headers == common
    assert get.target == f"{PATH}s?limit=100&page=1"
    assert (patch.method, get.method, api.connections) == ("PATCH", "GET", 1)


def test_review_settings_are_respected_only_when_that_is_set(served) -> None:
    api, client = served
    client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert "x-respect-review-settings" not in api.log[-1].headers


@pytest.mark.parametrize("is_dry_run", [True, False])
def test_a_dry_run_says_so_in_each_patch(api: RawServer, is_dry_run: bool) -> None:
    with client_of(api, is_dry_run=is_dry_run) as client:
        client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert api.log[0].body == {"team": "t"} | ({"dryRun": True} if is_dry_run else {})


def test_a_cookie_is_not_sent_back(served) -> None:
    api, client = served
    api.patches = [Act(answer=answer(200, {"data": {"name": "a"}}, "set-cookie: session=x; path=/"))]
    for _ in range(2):
        client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert "cookie" not in api.log[-1].headers


NAMES = [
    "/", "%2e%2e", "%2F", "?#", "a b", "a\nb", "\r\nx: y", "🙂", "\u202egnp", "\\", ";", "a/../b", "../x", "\x00",
    "...", "~", "a%", "+", "&=", "e\u0301", "é", " ", "console-x", "a" * 2000, "HTTP/1.1", "'\"<>",
]  # fmt: skip


def check_name(api: RawServer, client: Client, name: str) -> None:
    api.log.clear()
    api.sources = {name: {"name": name}}
    outcome = client.send(ASSIGNMENT_SOURCE, intent(name, team="t"))
    assert isinstance(outcome, Applied), outcome
    (seen,) = api.log
    line = seen.raw.partition(b"\r\n")[0]
    assert line == f"PATCH {seen.target} HTTP/1.1".encode()
    encoded = seen.target.removeprefix(f"{PATH}/")
    assert encoded != seen.target
    assert not set(encoded) & set("/?#\\; \r\n")
    assert unquote_to_bytes(encoded).decode() == name


@pytest.mark.parametrize("name", NAMES, ids=map(ascii, range(len(NAMES))))
def test_a_name_arrives_as_it_is_whatever_it_holds(served, name: str) -> None:
    check_name(*served, name)


# What RFC 3986, 5.2.4 folds away can't be sent, and definitions refuse it.
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: name not in {".", ".."})


@settings(max_examples=300, deadline=None)
@given(names | st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("".join))
def test_any_name_arrives_as_it_is(served, name: str) -> None:
    check_name(*served, name)


@pytest.mark.parametrize("name", ["", ".", "..", "a" * 70_000, "\x00" * 30_000, "\ud800"])
def test_a_name_that_can_not_be_sent_is_not_sent(served, name: str) -> None:
    api, client = served
    api.log.clear()
    outcome = client.send(ASSIGNMENT_SOURCE, intent(name, team="t"))
    assert isinstance(outcome, Rejected)
    assert (outcome.status, outcome.retryable, api.log) == (None, False, [])
    assert outcome.message.startswith("such a request is not possible")


def test_a_value_that_can_not_be_sent_is_not_sent(served) -> None:
    api, client = served
    api.log.clear()
    outcome = client.send(ASSIGNMENT_SOURCE, intent(team="\udc00"))
    assert isinstance(outcome, Rejected)
    assert (outcome.retryable, api.log) == (False, [])


# What an answer says


def refused(served, status: int, body: object, *headers: str) -> str:
    api, client = served
    api.patches = [Act(answer=answer(status, body, *headers))]
    outcome = client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert isinstance(outcome, Rejected)
    return outcome.message


SAID = {
    "the published form": ({"status": 404, "message": "Not Found."}, "Not Found."),
    "an error": ({"error": "Nope"}, "Nope"),
    "both": ({"message": "m", "error": "e"}, "m; e"),
    "errors": ({"errors": [{"property": "name", "errorMessage": "too long"}] * 2}, "name: too long; name: too long"),
    "a message and errors": ({"message": "m", "errors": [{"property": "p", "errorMessage": "e"}]}, "m; p: e"),
    "errors that are strings": ({"errors": ["one", "two"]}, "one; two"),
    "errors of another form": ({"errors": [{"field": "é"}, None]}, '{"field": "é"}; null'),
    "errors that are no list": ({"errors": {"x": 1}}, '{"errors": {"x": 1}}'),
    "a message that is no string": ({"message": {"x": 1}}, '{"message": {"x": 1}}'),
    "an empty message": ({"message": ""}, '{"message": ""}'),
    "another form": ({"detail": "é"}, '{"detail": "é"}'),
    "an empty object": ({}, "{}"),
    "no content": (None, "no content"),
    "HTML": (b"<html>", "6 bytes that are not JSON"),
    "a list": ([1], "3 bytes that are not JSON"),
    "JSON that is none": (b"{NaN}", "5 bytes that are not JSON"),
    "10,000 levels": (b"[" * 10_000, "10000 bytes that are not JSON"),
    "a long message": ({"message": "x" * 9999}, "x" * (MAX_MESSAGE_LENGTH - 1) + "…"),
    "many errors": ({"errors": ["x" * 99] * 99}, ("x" * 99 + "; ") * 4 + "x" * 95 + "…"),
}


@pytest.mark.parametrize(("body", "message"), SAID.values(), ids=SAID.keys())
def test_what_a_refusal_says_is_shown_in_whatever_form_it_comes(served, body, message: str) -> None:
    assert refused(served, 400, body) == message


ECHOES = {
    "whole": KEY,
    "cut": KEY[:14] + "…",
    "cut by dots": KEY[:14] + "...",
    "in quotes": f'"{KEY}"',
    "twice": f"{KEY} {KEY}",
    "in capitals": KEY.upper(),
    "in a header's form": f"STATSIG-API-KEY: {KEY}",
    "at the cap": "x" * (MAX_MESSAGE_LENGTH - 10) + KEY,
    "in a URL": f"https://x/?key={KEY}&x",
}
_CODED = {
    "as it is": str,
    "in capitals": str.upper,
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in base64, after one byte": lambda text: base64.b64encode(b":" + text.encode()).decode(),
    "in base64, as of basic authentication": lambda text: base64.b64encode(f"u:{text}".encode()).decode(),
    "in base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "in hexadecimal": lambda text: text.encode().hex(),
    "in capital hexadecimal": lambda text: text.encode().hex().upper(),
    "in a URL": lambda text: quote(text, safe=""),
    "in JSON within JSON": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "backwards": lambda text: text[::-1],
}  # fmt: skip
_IN_BASE64 = [coded for name, coded in _CODED.items() if "base64" in name]
_FORMS_OF_KEYS = ["console-a1b2C3d4E5f6+g7/h8==", "secretA1b2C3d4E5f6g7h8", KEY]


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
@pytest.mark.parametrize("form", ["message", "error", "errors", "other", "key"])
def test_no_refusal_shows_the_key_that_it_echoes(served, echo: str, form: str) -> None:
    bodies = {"message": {"message": echo}, "error": {"error": echo}, "errors": {"errors": [{"errorMessage": echo}]},
              "other": {"detail": [echo]}, "key": {echo: 1}}  # fmt: skip
    message = refused(served, 401, bodies[form])
    assert "canary" not in message.lower()
    assert "***" in message or len(message) == MAX_MESSAGE_LENGTH
    assert len(message) <= MAX_MESSAGE_LENGTH


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_FORMS_OF_KEYS), st.sampled_from([*_CODED.values()]), st.data())
def test_no_eight_characters_of_a_key_are_shown_in_whatever_code(key: str, coded: Callable[[str], str], data) -> None:
    whole = coded(key)
    start = data.draw(st.integers(0, len(whole) - 8))
    part = whole[start : data.draw(st.integers(start + 8, len(whole)))]
    shown = ApiKey(key).hide(
        data.draw(st.text(max_size=5)) + part + data.draw(st.sampled_from(["", "…", "...", "!", part]))
    )
    # What base64 has at its ends depends on what stands beside the key.
    inner = whole[4:-4] if coded in _IN_BASE64 else whole
    parts = {inner[at : at + 8] for at in range(len(inner) - 7)} - {"console-", "CONSOLE-"}
    assert not [one for one in parts if one in shown]


def test_what_is_no_part_of_a_key_is_shown_as_it_is() -> None:
    for text in (
        "",
        "no key",
        "Not Found. The requested resource could not be found.",
        "a console",
        "x" * 99,
        "\ud800é",
    ):
        assert ApiKey(KEY).hide(text) == text


@pytest.mark.parametrize("echo", ["plain", "escaped", "in a key", "deep"])
def test_an_answer_with_the_key_in_it_is_taken_for_none(served, echo: str) -> None:
    api, client = served
    inner = {"in a key": {KEY: 1}, "deep": [{"x": [f"a {KEY} b"]}]}.get(echo, KEY)
    body = json.dumps({"data": {"name": "a", "description": inner}})
    if echo == "escaped":
        body = body.replace("canary", "c\\u0061nary")
    api.patches = [Act(answer=answer(200, body.encode()))]
    outcome = client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert isinstance(outcome, Unknown)
    assert outcome.reason == "the API answered 200 without usable data: it contains the API key"


@pytest.mark.parametrize("field", ["description", "name"])
def test_a_list_with_the_key_in_it_is_refused_and_says_where(field: str) -> None:
    with serve([{"name": "a"}, {"name": "b", field: f"x{KEY}"}]) as api, client_of(api) as client:
        with pytest.raises(Unreachable) as caught:
            client.list(ASSIGNMENT_SOURCE)
        assert len(api.log) == 1
    named = "x***" if field == "name" else "b"
    assert f"answered with the API key in {named}: remove the key there" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("key", ["console-a+b/c=", "secret-canary", "a+canary/b~c.d_e=="])
def test_a_key_of_another_form_is_not_shown_either(api: RawServer, key: str) -> None:
    with client_of(api, key) as client:
        assert refused((api, client), 401, {"message": f"an invalid key: {key}!"}).rstrip("!") == "an invalid key: ***"


ODD_ANSWERS = {
    "a status line": f"HTTP/1.1 {KEY}\r\n\r\n".encode(),
    "a header line": answer(200, None, f"{KEY} \x01"),
    "a content encoding": answer(200, {"data": {}}, f"content-encoding: {KEY}"),
    "a name": answer(200, {"data": {"name": KEY}}),
    "a long name": answer(200, {"data": {"name": "x" * 9999}}),
    "a message": answer(500, {"message": KEY}),
    "a location": answer(302, None, f"location: https://{KEY}:x/"),
}


@pytest.mark.parametrize("raw", ODD_ANSWERS.values(), ids=ODD_ANSWERS.keys())
def test_no_reason_why_an_outcome_is_unknown_shows_the_key(served, raw: bytes) -> None:
    api, client = served
    api.patches = [Act(answer=raw, cut=2**20)]
    outcome = client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert isinstance(outcome, Unknown)
    assert "canary" not in outcome.reason
    assert len(outcome.reason) <= MAX_MESSAGE_LENGTH


retry_after = st.text(st.characters(max_codepoint=255), max_size=40) | st.integers().map(str)
dates = st.datetimes(timezones=st.just(timezone.utc)).map(lambda date: format_datetime(date, usegmt=True))


@settings(max_examples=500, deadline=None)
@given(st.lists(retry_after | dates, max_size=3), st.lists(retry_after | dates, max_size=2))
@example(["Mon, 01 Jan 0001 00:00:00 +2359"], ["Fri, 31 Dec 9999 23:59:59 -2359"])
@example(["Fri, 31 Dec 9999 23:59:59 -2359"], ["Mon, 01 Jan 0001 00:00:00 +2359"])
@example(["1" * 5000], [])
def test_what_retry_after_asks_for_is_never_negative_and_never_an_error(asked: list[str], since: list[str]) -> None:
    pairs = [("Retry-After", text) for text in asked] + [("Date", text) for text in since]
    headers = httpx.Headers([(name, value.encode("latin-1")) for name, value in pairs])
    seconds = parse_retry_after(headers, START)
    assert seconds is None or 0 <= seconds < float("inf")
    json.dumps(seconds, allow_nan=False)
    if not asked:
        assert seconds is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=4))
def test_the_longest_of_several_retry_after_headers_counts(asked: list[int]) -> None:
    headers = httpx.Headers([("Retry-After", f" {seconds} ") for seconds in asked])
    assert parse_retry_after(headers, START) == max(asked)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=3), json_values) | st.binary(max_size=20), st.integers(0, 2 * MAX_LEVELS))
def test_what_is_decoded_can_be_recorded(document, depth: int) -> None:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    content = b'{"x":' * depth + content + b"}" * depth
    try:
        data = decode(content)
    except UnusableAnswer:
        return
    applied = Applied(A, 200, data, {}, 1, "t")
    line, _ = journal.encode(applied, journal.anchor("x"))
    assert journal.parse(line) == applied


# The list


def sources(count: int) -> list[dict[str, str]]:
    return [{"name": f"s{n}"} for n in range(count)]


def page(entries, **pagination) -> Act:
    return Act(answer=answer(200, {"message": "m", "data": entries, "pagination": {"nextPage": None, **pagination}}))


@pytest.fixture
def lister(api: RawServer) -> Iterator[tuple[RawServer, Client, FakeTime]]:
    time = FakeTime()
    with closing(Client(api.url, ApiKey(KEY), time.clock)) as client:
        yield api, client, time


@pytest.mark.parametrize(
    ("count", "size", "pages"), [(250, 7, 36), (250, 100, 3), (100, 100, 1), (0, 7, 1), (14, 7, 2)]
)
def test_every_page_is_read_however_long_it_is(count: int, size: int, pages: int) -> None:
    with serve(sources(count)) as api, client_of(api) as client:
        api.page_size = size
        assert client.list(ASSIGNMENT_SOURCE) == api.sources
        assert [seen.target for seen in api.log] == [f"{PATH}s?limit=100&page={n + 1}" for n in range(pages)]


@pytest.mark.parametrize(
    "following",
    [
        "{other}/x?page=2",
        "//{other}/x",
        "statsigapi.net/console/v1/x?page=2",
        "/elsewhere",
        "",
        "x",
        7,
        True,
        {},
        "\x00",
    ],
)
def test_pages_are_counted_and_never_followed(lister, following) -> None:
    api, client, _ = lister
    with serve() as other:
        following = following.format(other=other.url) if isinstance(following, str) else following
        api.lists = [page(sources(1), nextPage=following), page([{"name": "z"}])]
        assert list(client.list(ASSIGNMENT_SOURCE)) == ["s0", "z"]
        assert [seen.target for seen in api.log] == [f"{PATH}s?limit=100&page={n}" for n in (1, 2)]
        assert other.connections == 0


@pytest.mark.parametrize("pagination", [b"", b', "pagination": null', b', "pagination": []', b', "pagination": "x"'])
def test_without_a_pagination_the_end_is_where_nothing_new_comes(lister, pagination: bytes) -> None:
    api, client, _ = lister
    bodies = [b'{"data": %s%s}' % (json.dumps(part).encode(), pagination) for part in (sources(2), [{"name": "z"}], [])]
    api.lists = [Act(answer=answer(200, body)) for body in bodies]
    assert list(client.list(ASSIGNMENT_SOURCE)) == ["s0", "s1", "z"]


def test_pages_that_repeat_for_ever_end_and_are_not_all_that_there_is(lister) -> None:
    api, client, _ = lister
    api.lists = [page(sources(3), nextPage="x")] * 10
    listed = client.list(ASSIGNMENT_SOURCE)
    assert list(listed) == ["s0", "s1", "s2"]
    assert listed.problem == 'it shows "s0" twice'
    assert len(api.log) == 4


def test_pages_without_names_that_repeat_for_ever_end(lister) -> None:
    api, client, _ = lister
    api.lists = [page([{"id": 1}], nextPage="x")] * 10
    listed = client.list(ASSIGNMENT_SOURCE)
    assert (dict(listed), listed.problem) == ({}, "it has an entry without a name")
    assert len(api.log) == 4


def test_pages_that_are_new_for_ever_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planner.console.pages.MAX_PAGES", 20)
    assert MAX_PAGES == 10_000
    with serve() as api, client_of(api) as client:
        api.lists = [page([{"name": f"{n}"}], nextPage="x") for n in range(30)]
        with pytest.raises(Unreachable, match="does not end"):
            client.list(ASSIGNMENT_SOURCE)
        assert len(api.log) == 20


def test_a_list_that_moves_while_it_is_read_is_read_again(lister) -> None:
    api, client, _ = lister
    api.lists = [
        page([{"name": "a"}, {"name": "b", "team": "old"}], nextPage="x"),
        page([{"name": "b", "team": "new"}, {"name": "c"}]),
        page([{"name": "a"}, {"name": "b", "team": "new"}, {"name": "c"}]),
    ]
    listed = client.list(ASSIGNMENT_SOURCE)
    assert listed == {"a": {"name": "a"}, "b": {"name": "b", "team": "new"}, "c": {"name": "c"}}
    assert listed.problem is None
    assert len(api.log) == 3


def test_an_entry_without_a_name_hides_no_other(lister) -> None:
    api, client, _ = lister
    odd = [{}, None, "a", 1, [], {"name": None}, {"name": 1}]
    api.lists = [page(odd, nextPage="x"), page(odd[1:], nextPage="x"), page([*odd, {"name": "z"}])] * 2
    listed = client.list(ASSIGNMENT_SOURCE)
    assert (list(listed), listed.problem) == (["z"], "it has an entry without a name")


def test_a_pagination_that_tells_nothing_is_not_the_end(lister) -> None:
    api, client, _ = lister
    body = {"message": "m", "data": sources(2), "pagination": {"itemsPerPage": 100}}
    api.lists = [Act(answer=answer(200, body)), page([{"name": "z"}])]
    assert list(client.list(ASSIGNMENT_SOURCE)) == ["s0", "s1", "z"]


def test_an_answer_that_comes_twice_is_not_taken_for_that_of_the_next_request(api: RawServer) -> None:
    api.sources = {name: {"name": name} for name in ("a", "b", "c")}
    api.page_size = 1
    with client_of(api) as client:
        api.lists = [Act(answer=lambda honest: honest * 2)]
        assert list(client.list(ASSIGNMENT_SOURCE)) == ["a", "b", "c"]
        api.patches = [Act(answer=lambda honest: honest * 2)]
        outcomes = [client.send(ASSIGNMENT_SOURCE, Intent(A, "PATCH", "a", {}, {"team": t}, "t")) for t in "xy"]
    assert [type(one) for one in outcomes] == [Applied, Unknown]


def test_a_page_that_is_too_large_is_asked_for_in_halves(lister, monkeypatch: pytest.MonkeyPatch) -> None:
    api, client, _ = lister
    monkeypatch.setattr("planner.console.transport.MAX_ANSWER_BYTES", 2**20)
    api.sources = {f"s{n}": {"name": f"s{n}", "sql": "x" * 40_000} for n in range(60)}
    api.respects_limit = True
    assert list(client.list(ASSIGNMENT_SOURCE)) == list(api.sources)
    assert [re.sub(".*limit=", "", seen.target) for seen in api.log] == [
        "100&page=1",
        "50&page=1",
        "25&page=1",
        "25&page=2",
        "25&page=3",
    ]
    client.list(ASSIGNMENT_SOURCE)
    assert len(api.log) == 8


def test_a_page_that_is_refused_for_its_size_is_asked_for_in_smaller_ones(lister) -> None:
    api, client, time = lister
    api.lists = [Act(answer=answer(400, {"message": "limit must not be greater than 25"}))] * 2
    assert list(client.list(ASSIGNMENT_SOURCE)) == list(api.sources)
    assert [re.sub(".*limit=", "", seen.target) for seen in api.log][:3] == ["100&page=1", "50&page=1", "25&page=1"]
    assert time.slept == []


def test_a_list_that_is_refused_for_no_size_is_an_error(lister) -> None:
    api, client, _ = lister
    api.lists = [Act(answer=answer(400, {"message": "no"}))] * 9
    with pytest.raises(Unreachable, match="answered 400: no"):
        client.list(ASSIGNMENT_SOURCE)
    assert [re.sub(".*limit=", "", seen.target) for seen in api.log][-1] == "10&page=1"


def test_a_source_that_is_too_large_by_itself_is_an_error(lister, monkeypatch: pytest.MonkeyPatch) -> None:
    api, client, _ = lister
    monkeypatch.setattr("planner.console.transport.MAX_ANSWER_BYTES", 2**20)
    api.sources = {"a": {"name": "a", "sql": "x" * 2**20}}
    with pytest.raises(Unreachable, match="an answer of more than 1 MiB"):
        client.list(ASSIGNMENT_SOURCE)
    assert len(api.log) == 7


LIST_ENDS = {401: KeyRefused, 403: KeyRefused, 404: Unreachable, 302: Unreachable, 202: Unreachable}


@pytest.mark.parametrize(("status", "expected"), LIST_ENDS.items())
def test_a_list_that_is_refused_is_not_asked_for_again(lister, status: int, expected: type[ApiError]) -> None:
    api, client, time = lister
    api.lists = [Act(answer=answer(status, {"message": f"Key: {KEY}"}))]
    with pytest.raises(expected) as caught:
        client.list(ASSIGNMENT_SOURCE)
    said, *hint = str(caught.value).split("\n")
    assert said == f"{api.url} answered {status}: Key: ***"
    assert ("STATSIG_API_KEY" in "".join(hint)) == (expected is KeyRefused)
    assert (len(api.log), time.slept) == (1, [])


@pytest.mark.parametrize(
    ("status", "expected"), {429: OverLimit, 500: Unreachable, 503: Unreachable, 408: Unreachable}.items()
)
def test_a_list_that_fails_is_asked_for_again_four_times(lister, status: int, expected: type[ApiError]) -> None:
    api, client, time = lister
    api.lists = [Act(answer=answer(status))] * 4
    assert list(client.list(ASSIGNMENT_SOURCE)) == ["a"]
    assert time.slept == [1, 2, 4, 8]
    api.lists = [Act(answer=answer(status))] * 5
    with pytest.raises(expected):
        client.list(ASSIGNMENT_SOURCE)
    assert len(api.log) == 10


def test_a_list_waits_as_long_as_it_is_asked_to_but_not_for_ever(lister) -> None:
    api, client, time = lister
    api.lists = [Act(answer=answer(429, None, "retry-after: 30")), Act(answer=answer(503, None, "retry-after: 1"))]
    assert list(client.list(ASSIGNMENT_SOURCE)) == ["a"]
    assert time.slept == [30, 2]
    api.lists = [Act(answer=answer(429, None, "retry-after: 61"))]
    with pytest.raises(OverLimit):
        client.list(ASSIGNMENT_SOURCE)
    assert len(time.slept) == 2


MALFORMED = {
    "no data": ({"message": "m"}, 1),
    "data that is no list": ({"data": {"a": {"name": "a"}}}, 1),
    "data that is null": ({"data": None}, 1),
    "no object": ([], 5),
    "no JSON": (b"<html>", 5),
    "no content": (None, 5),
    "a key twice": (b'{"data": [], "data": []}', 5),
}


@pytest.mark.parametrize(("body", "requests"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_list_that_can_not_be_used_is_no_empty_list(lister, body, requests: int) -> None:
    api, client, _ = lister
    api.lists = [Act(answer=answer(200, body))] * 5
    with pytest.raises(Unreachable):
        client.list(ASSIGNMENT_SOURCE)
    assert len(api.log) == requests


@pytest.mark.parametrize("act", [Act(cut=0), Act(cut=60), Act(reads="head"), Act(resets=True, cut=5)])
def test_a_list_whose_connection_breaks_is_asked_for_again(lister, act: Act) -> None:
    api, client, _ = lister
    api.lists = [act] * 4
    assert list(client.list(ASSIGNMENT_SOURCE)) == ["a"]


# The audit log


def test_the_audit_log_is_read_page_by_page_by_its_day_and_action_types(lister) -> None:
    api, client, _ = lister
    counts: list[int] = []
    api.lists = [page([{"id": "2"}, {"id": "1"}], nextPage="x"), page([{"id": "1"}, {"name": "no id"}, None, "odd"])]
    found = client.list_audit_log(date(2026, 1, 2), ["a_b", "c&d"], counts.append)
    assert found == [{"id": "2"}, {"id": "1"}, {"name": "no id"}]
    assert counts == [0, 2]
    asked = "/console/v1/audit_logs?actionTypes=a_b&actionTypes=c%26d&startDate=2026-01-02&limit=100&page="
    assert [seen.target for seen in api.log] == [f"{asked}1", f"{asked}2"]


@pytest.mark.parametrize(("status", "expected"), LIST_ENDS.items())
def test_an_audit_log_that_is_refused_is_not_asked_for_again(lister, status: int, expected: type[ApiError]) -> None:
    api, client, _ = lister
    api.lists = [Act(answer=answer(status, {"message": "no"}))]
    with pytest.raises(expected):
        client.list_audit_log(date(2026, 1, 2), [])
    assert len(api.log) == 1


# What an answer is


def outcome_of(served, raw: bytes, **sent) -> Outcome:
    api, client = served
    api.patches = [Act(answer=raw)]
    return client.send(ASSIGNMENT_SOURCE, Intent(A, "PATCH", "a", {}, sent, "t"))


AT = "2025-01-01T00:00:00.000Z"


@pytest.mark.parametrize("status", [200, 201, 226, 299])
def test_a_success_with_the_source_is_applied_and_has_what_is_not_echoed(served, status: int) -> None:
    raw = answer(status, {"data": {"name": "a", "team": "t", "more": None}})
    unreturned = {"isVerified": True, "team": " T"}
    expected = Applied(A, status, {"name": "a", "team": "t", "more": None}, unreturned, 0, AT)
    assert outcome_of(served, raw, team=" T", isVerified=True) == expected


@pytest.mark.parametrize("status", [300, 302, 399, 408, 500, 503, 599])
def test_a_status_after_which_nobody_knows_is_unknown(served, status: int) -> None:
    found = outcome_of(served, answer(status, {"message": "m"}), team="t")
    assert found == Unknown(A, f"the API answered {status}: m", 0, AT)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 409, 410, 422, 428, 430, 499])
def test_a_status_that_refuses_is_rejected_for_good(served, status: int) -> None:
    found = outcome_of(served, answer(status, {"message": "m"}, "retry-after: 7"), team="t")
    assert found == Rejected(A, status, "m", False, None, 0, AT)


def test_over_the_limit_it_is_rejected_for_as_long_as_is_asked(served) -> None:
    assert outcome_of(served, answer(429, {"message": "m"}), team="t") == Rejected(A, 429, "m", True, None, 0, AT)
    raw = answer(429, {"message": "m"}, "retry-after: 7")
    assert outcome_of(served, raw, team="t") == Rejected(A, 429, "m", True, 7.0, 0, AT)
    # Without a Date of the server's own the time counts from the client's.
    raw = answer(429, {"message": "m"}, "retry-after: Wed, 01 Jan 2025 00:00:30 GMT")
    assert outcome_of(served, raw, team="t") == Rejected(A, 429, "m", True, 30.0, 0, AT)


def test_nothing_at_the_old_name_of_a_rename_may_be_the_rename_itself(served) -> None:
    found = outcome_of(served, answer(404, {"message": "m"}), name="b")
    assert found == Unknown(A, "the API answered 404: m", 0, AT)
    assert isinstance(outcome_of(served, answer(409, {"message": "m"}), name="b"), Rejected)


@pytest.mark.parametrize("echoed", ["b", "a", " B "])
def test_a_renamed_source_may_be_echoed_under_either_name(served, echoed: str) -> None:
    found = outcome_of(served, answer(200, {"data": {"name": echoed}}), name="b")
    assert isinstance(found, Applied)
    assert found.data == {"name": echoed}


UNUSABLE = {
    "no data": ({}, "its data is not an object"),
    "a list": ({"data": [{"name": "a"}]}, "its data is not an object"),
    "an error as a success": (
        {"status": 400, "message": "no", "errors": [{"property": "sql", "errorMessage": "bad"}]},
        "its data is not an object; it says: no; sql: bad",
    ),
    "no name": ({"data": {"team": "t"}}, "its data has no name"),
    "a name that is none": ({"data": {"name": 1}}, "its data has no name"),
    "another's": ({"data": {"name": "c"}}, 'its data belongs to "c"'),
    "no object": ([1], "JSON, but not an object"),
    "no JSON": (b"<html>", "not JSON: "),
    "nothing": (None, "not JSON: "),
}


@pytest.mark.parametrize(("body", "reason"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_success_without_the_source_is_unknown_and_says_why(served, body, reason: str) -> None:
    found = outcome_of(served, answer(200, body), team="t")
    assert isinstance(found, Unknown)
    assert found.reason.startswith(f"the API answered 200 without usable data: {reason}")
    assert (found.address, found.duration_ms, found.at) == (A, 0, AT)


def test_an_outcome_has_the_time_that_it_took_and_at_which_it_was_known(api: RawServer) -> None:
    times = iter([10.0, 11.4996, 20.0, 21.5])
    clock = Clock(now=lambda: START, monotonic=lambda: next(times))
    with closing(Client(api.url, ApiKey(KEY), clock)) as client:
        found = [client.send(ASSIGNMENT_SOURCE, intent(name)) for name in ("a", "no")]
    assert [(type(one), one.duration_ms, one.at) for one in found] == [(Applied, 1500, AT), (Rejected, 1500, AT)]


def test_no_connection_is_rejected_and_may_be_made_later() -> None:
    with serve() as gone:
        pass
    with client_of(gone) as client:
        found = client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert isinstance(found, Rejected)
    assert found.message.startswith("no connection: ")
    assert attrs.evolve(found, message="") == Rejected(A, None, "", True, None, 0, AT)


def test_a_bad_certificate_is_rejected_for_good() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(tls)
    with serve(tls=tls) as api, client_of(api) as client:
        found = client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert isinstance(found, Rejected)
    assert "certificate" in found.message
    assert attrs.evolve(found, message="") == Rejected(A, None, "", False, None, 0, AT)


def test_a_connection_that_breaks_after_the_request_is_unknown(served) -> None:
    api, client = served
    api.patches = [Act(cut=20)]
    found = client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert isinstance(found, Unknown)
    assert found.reason.startswith("the connection broke: ")
    assert attrs.evolve(found, reason="") == Unknown(A, "", 0, AT)


@pytest.mark.parametrize(("name", "why"), [("..", "the name can't be used in a URL"), ("", "the name is empty")])
def test_a_name_that_can_not_be_sent_is_rejected_for_good(served, name: str, why: str) -> None:
    found = served[1].send(ASSIGNMENT_SOURCE, intent(name, team="t"))
    assert found == Rejected(A, None, f"such a request is not possible: {why}", False, None, 0, AT)


def test_an_answer_in_an_encoding_is_unknown_since_it_was_asked_for_in_none(served) -> None:
    found = outcome_of(served, answer(200, {"data": {"name": "a"}}, "content-encoding: br"), team="t")
    assert isinstance(found, Unknown)
    assert found.reason == "an answer in the encoding 'br', which statform did not ask for"


@pytest.mark.parametrize("coding", ["Identity", "", "none", "UTF-8"])
def test_an_answer_that_says_of_its_encoding_that_there_is_none_is_read(served, coding) -> None:
    raw = answer(200, {"data": {"name": "a"}}, f"content-encoding: {coding}")
    assert isinstance(outcome_of(served, raw, team="t"), Applied)


def test_an_answer_of_just_the_cap_is_read_and_one_byte_more_is_not(served, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b'{"data": {"name": "a", "x": "%s"}}'
    monkeypatch.setattr("planner.console.transport.MAX_ANSWER_BYTES", 2**20)
    fill = b"x" * (2**20 - len(raw % b""))
    assert isinstance(outcome_of(served, answer(200, raw % fill), team="t"), Applied)
    found = outcome_of(served, answer(200, raw % (fill + b"x")), team="t")
    assert isinstance(found, Unknown)
    assert found.reason == "an answer of more than 1 MiB"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ConnectTimeout("x"), "no connection in time: x"),
        (httpx.ProxyError("x"), "the proxy made no connection: x"),
        (httpx.ConnectError("x"), "no connection: x"),
        (httpx.ReadTimeout("x"), "no answer in time: x"),
        (httpx.WriteTimeout("x"), "no answer in time: x"),
        (httpx.RemoteProtocolError("x"), "the connection broke: x"),
        (httpx.ReadError("x"), "the connection broke: x"),
        (httpx.WriteError("x"), "the connection broke: x"),
        (httpx.ReadError(""), "the connection broke"),
        (httpx.PoolTimeout("x"), "x"),
    ],
    ids=repr,
)
def test_the_reason_of_each_failure_is_said_plainly(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_certificate_error_is_found_below_what_it_was_wrapped_in() -> None:
    def wrapped(error: Exception, *, is_cause: bool) -> Exception:
        outer = httpx.ConnectError("x")
        outer.__cause__, outer.__context__ = (error, None) if is_cause else (None, error)
        return outer

    bad = ssl.SSLCertVerificationError("bad")
    assert is_certificate(bad)
    assert is_certificate(wrapped(wrapped(bad, is_cause=True), is_cause=False))
    assert not is_certificate(wrapped(OSError("x"), is_cause=True))
    assert not is_certificate(ssl.SSLError("x"))


NOON = "Wed, 01 Jan 2025 12:00:00 GMT"
ASKED = {
    "seconds": (["7"], None, 7.0),
    "with white space": ([" 7 "], None, 7.0),
    "none": ([], None, None),
    "nonsense": (["soon"], None, None),
    "less than nothing": (["-7"], None, None),
    "a fraction": (["7.5"], None, None),
    "for ever": (["9" * 400], None, 1e9),
    "a date": (["Wed, 01 Jan 2025 00:01:00 GMT"], None, 60.0),
    "a date after the server's own": (["Wed, 01 Jan 2025 12:00:20 GMT"], NOON, 20.0),
    "a date in a zone of its own": (["Wed, 01 Jan 2025 13:00:20 +0100"], NOON, 20.0),
    "a date without a zone": (["Wed, 01 Jan 2025 12:00:20 -0000"], NOON, 20.0),
    "a date after a nonsensical one": (["Wed, 01 Jan 2025 00:01:00 GMT"], "noon", 60.0),
    "a date that is over": (["Wed, 01 Jan 2025 11:59:00 GMT"], NOON, 0.0),
    "several": (["7", "soon", "Wed, 01 Jan 2025 12:00:20 GMT", "9"], NOON, 20.0),
}


@pytest.mark.parametrize(("asked", "since", "seconds"), ASKED.values(), ids=ASKED.keys())
def test_how_long_an_answer_asks_to_wait(asked, since, seconds) -> None:
    headers = [("Retry-After", text) for text in asked] + ([("Date", since)] if since else [])
    assert parse_retry_after(httpx.Headers(headers), START) == seconds


# The deadline


HALVES = [r"\ud800", r"x\uDC00y", r"\udbff\ud800", r"\udc00\ud800"]


@pytest.mark.parametrize("half", HALVES)
def test_half_a_character_in_a_value_does_not_stop_a_list(half: str) -> None:
    told: list[str] = []
    entries = f'{{"name": "a", "description": "{half}", "x": [{{"k{half}": "{half}"}}]}}, {{"name": "b"}}'
    page = f'{{"data": [{entries}, {{"name": "c{half}"}}], "pagination": {{"nextPage": null}}}}'
    with serve() as api, client_of(api, warn=told.append) as client:
        api.lists = [Act(answer=answer(200, page.encode()))] * 2
        found = client.list(ASSIGNMENT_SOURCE)
        assert client.list(ASSIGNMENT_SOURCE) == found
    assert set(found) == {"a", "b"}
    mended = re.sub(r"\\u....", "\ufffd", half)
    assert found["a"] == {"name": "a", "description": mended, "x": [{f"k{mended}": mended}]}
    assert told == [
        '"a" has half a character (a lone surrogate), which is read as U+FFFD',
        f'"c{half.lower()}" is left out: its name has half a character (a lone surrogate)',
    ]
    assert json.dumps(dict(found), ensure_ascii=False).encode()


@pytest.mark.parametrize("half", HALVES)
def test_half_a_character_in_an_answer_is_read_as_most_programs_do(served, half: str) -> None:
    api, client = served
    api.patches = [Act(answer=answer(200, f'{{"data": {{"name": "a", "team": "t", "sql": "{half}"}}}}'.encode()))]
    outcome = client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert isinstance(outcome, Applied)
    assert outcome.data == {"name": "a", "team": "t", "sql": re.sub(r"\\u....", "\ufffd", half)}
    assert refused(served, 400, f'{{"message": "no {half}"}}'.encode()) == re.sub(r"\\u....", "\ufffd", f"no {half}")


def test_a_whole_character_in_two_escapes_is_one(served) -> None:
    api, client = served
    api.patches = [Act(answer=answer(200, rb'{"data": {"name": "a", "team": "\ud83d\ude42"}}'))]
    outcome = client.send(ASSIGNMENT_SOURCE, intent(team="t"))
    assert isinstance(outcome, Applied)
    assert outcome.data["team"] == "\U0001f642"


def test_a_signal_while_the_watcher_starts_ends_the_run_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise Interrupted

    monkeypatch.setattr(threading.Thread, "start", start)
    deadline = Deadline(1.0)
    with pytest.raises(Interrupted), deadline.running():
        pass
    deadline.close()


def test_each_exchange_has_the_whole_of_its_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        deadline = Deadline(1.0)
        deadline._socket = ours
        for _ in range(3):
            # The watcher looks 1 s after the first one began, which is in the middle of the second.
            with deadline.running():
                time.sleep(0.6)
                ours.sendall(b"x")
            assert deadline.reason is None
        with deadline.running():
            time.sleep(1.5)
            assert deadline.reason == "no whole answer within 1 s"
            with pytest.raises(BrokenPipeError):
                ours.sendall(b"x")
        with deadline.running():
            assert deadline.reason is None
        deadline.close()


def test_a_client_has_one_thread_and_none_when_it_is_closed(api) -> None:
    with client_of(api) as client:
        client.list(ASSIGNMENT_SOURCE)
        watcher = client._transport._deadline._watcher
        for _ in range(20):
            client.list(ASSIGNMENT_SOURCE)
        assert client._transport._deadline._watcher is watcher
        assert watcher.is_alive()
    watcher.join(5)
    assert not watcher.is_alive()


def test_a_key_is_read_and_hidden_without_the_client():
    code = "import sys; from planner.console.key import read_key; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_forbids_a_change_is_asked_right_before_its_first_byte_and_a_sign_of_life_is_given_before_each_list(api):
    asked = []

    def check() -> None:
        asked.append("check")
        raise LockLost("here", "too late", "Nothing more is sent.")

    with client_of(api, check=check, stay=lambda: asked.append("stay")) as client:
        client.list(ASSIGNMENT_SOURCE)
        assert asked == ["stay"]
        before = len(api.log)
        with pytest.raises(LockLost):
            client.send(ASSIGNMENT_SOURCE, intent(description="x"))
    assert asked == ["stay", "check"]
    assert len(api.log) == before
