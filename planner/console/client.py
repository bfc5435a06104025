"""The Console API over httpx: one call, one outcome.

Knows nothing of plans and of the state. A PATCH never raises for what the network or the server does: every answer, and
every lack of one, is an `Outcome`. The key leaves this module in one header only.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from pathlib import Path
from typing import cast
from urllib.parse import quote

import httpcore
import httpx
import httpx._utils as httpx_utils
from attrs import field, frozen

from planner import strict_json
from planner.clock import Clock
from planner.console.answers import compare_echo
from planner.console.api import API_VERSION, AUDIT_LOGS
from planner.definitions.fields import normal_form
from planner.definitions.resources import ResourceType
from planner.errors import ApiError, KeyRefused, OverLimit, Unreachable, UsageError
from planner.escape import format_value
from planner.version import __version__
from state.records import Applied, Intent, Outcome, Rejected, Unknown
from state.values import JSON, Object

DEADLINE_S = 60.0
ANSWER_CAP = 8 * 1024 * 1024
PAGE_SIZE = 100
PAGE_CAP = 10_000
LIST_ATTEMPTS = 5
LIST_PAUSE_CAP_S = 60.0
MESSAGE_CAP = 500
_LEAST_OF_A_KEY = 8
_KEY_CAP = 4096


def _without_key(text: str) -> str:
    """The text without what looks like a key, whosever it is."""
    return re.sub(r"(?i)console-[^\s\"',;)]*", "console-…", text)


@frozen(slots=False)
class ApiKey:
    """A Console API key. It has no text form: whoever prints one prints nothing of it."""

    value: str = field(repr=False)

    @classmethod
    def of(cls, text: str, source: str) -> ApiKey:
        """The key in `text`, which is from `source`; white space around it does not count.

        Raises:
            UsageError: no key, or one that can't stand in a header. The message never shows it.
        """
        value = text.strip()
        if not value:
            raise UsageError(f"{source} is empty; it must hold a Console API key")
        # As RFC 6750, 2.1 has credentials: nothing in them needs quotes in a header, or can be escaped in JSON but "/".
        if not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", value):
            raise UsageError(f"{source} holds characters that no Console API key has; copy the key anew")
        if not _LEAST_OF_A_KEY <= len(value) <= _KEY_CAP:
            raise UsageError(f"{source} is too short or too long to be a Console API key; copy the key anew")
        return cls(value)

    def is_in(self, content: bytes) -> bool:
        """Whether a text holds the key; in JSON escaped or not."""
        if b"\\u00" in content or b"\\/" in content:
            with suppress(ValueError, RecursionError):
                content = json.dumps(json.loads(content), ensure_ascii=False).encode("utf-8", "surrogatepass")
        return self.value.encode() in content

    def hide(self, text: str) -> str:
        """The text without what looks like a key, and without any eight characters of this one, encoded or not."""
        text = _without_key(text)
        kept = [True] * len(text)
        for start in range(len(text) - _LEAST_OF_A_KEY + 1):
            if text[start : start + _LEAST_OF_A_KEY] in self._parts:
                kept[start : start + _LEAST_OF_A_KEY] = [False] * _LEAST_OF_A_KEY
        shown = "".join(character if keep else "\0" for character, keep in zip(text, kept, strict=True))
        return re.sub("\0+", "console-…", shown) if "\0" in shown else text

    @cached_property
    def _parts(self) -> frozenset[str]:
        """Every eight characters of the key, as it is and as servers and proxies encode one."""
        raw = self.value.encode()
        # Of base64 only what no neighbour can change.
        in_base64 = [base64.b64encode(b"." * before + raw)[4:-4].decode() for before in range(3)]
        forms = [self.value, self.value.lower(), self.value.upper(), raw.hex(), raw.hex().upper(), *in_base64]
        forms += [form.translate({ord("+"): "-", ord("/"): "_"}) for form in in_base64]
        forms += [quote(self.value, safe=""), self.value.replace("/", "\\/"), self.value[::-1]]
        n = _LEAST_OF_A_KEY
        return frozenset(form[at : at + n] for form in forms for at in range(len(form) - n + 1)) - {"console-"}


def read_key(environ: Mapping[str, str]) -> ApiKey:
    """The key in `STATSIG_API_KEY`, or in the file that `STATSIG_API_KEY_FILE` names.

    Raises:
        UsageError: there is none, or it is no key.
    """
    if text := environ.get("STATSIG_API_KEY"):
        return ApiKey.of(text, "STATSIG_API_KEY")
    if name := environ.get("STATSIG_API_KEY_FILE"):
        # Who sets the one for the other finds no key in the error.
        shown = _without_key(f"STATSIG_API_KEY_FILE ({name})")
        try:
            with Path(name).open(encoding="utf-8") as file:
                return ApiKey.of(file.read(_KEY_CAP + 100), shown)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
            raise UsageError(f"{shown} can't be read: {reason}") from None
    raise UsageError("no API key: set STATSIG_API_KEY to a Console API key, or STATSIG_API_KEY_FILE to a file with one")


def check_base_url(url: str) -> str:
    """The base URL, without a slash at its end.

    Raises:
        UsageError: not https (http is for loopback only), or more in it than a host, a port and a path.
    """
    try:
        parsed = httpx.URL(url)
        # Decoded only here: what begins with xn-- may be no host name at all.
        host = parsed.host
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageError(_without_key(f"the base URL can't be read: {error}")) from None
    # A "?" at the end is an empty query to httpx, which the path would become a part of.
    if parsed.userinfo or set(url) & set("?#") or not host:
        raise UsageError("the base URL must be a scheme, a host and at most a port and a path")
    if not _can_be_resolved(parsed):
        raise UsageError(_without_key(f"the base URL has a host or a port that can't be: {parsed}"))
    if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_loopback(host)):
        must = "must begin with https://, since the API key travels there"
        raise UsageError(_without_key(f"the base URL {must}; it is {parsed}"))
    return str(parsed).rstrip("/")


def _proxy_for(base_url: str) -> str | None:
    """The proxy that the environment names for the base URL, without its credentials; plain http goes through none."""
    if not base_url.startswith("https:"):
        return None
    # What httpx asks itself; of a client that is made it can't be asked. The version is bounded in pyproject.toml.
    patterns = {httpx_utils.URLPattern(k): proxy for k, proxy in httpx_utils.get_environment_proxies().items()}
    proxy = next((patterns[p] for p in sorted(patterns) if p.matches(httpx.URL(base_url))), None)
    if proxy is None:
        return None
    url = httpx.URL(proxy)
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _can_be_resolved(url: httpx.URL) -> bool:
    """Whether its host and port can be asked for: Python's own resolver raises no OSError when they can't."""
    try:
        url.raw_host.decode("ascii").encode("idna")
    except UnicodeError:
        return False
    # What can't stand in a host is percent-encoded by httpx, and anew each time.
    return b"%" not in url.raw_host and (url.port is None or 0 < url.port < 2**16)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@frozen
class _Answer:
    status: int
    headers: httpx.Headers
    content: bytes


class _UnusableError(Exception):
    """An answer came that can't be used; the message says why."""


# What httpx raises before the first byte of a request is on its way.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class Client:
    """One project's Console API: one connection, one request in flight.

    With `is_dry_run` each PATCH carries `dryRun`: the API checks it and changes nothing.
    """

    def __init__(
        self,
        base_url: str,
        key: ApiKey,
        clock: Clock,
        *,
        respect_review_settings: bool = False,
        is_dry_run: bool = False,
        deadline_s: float = DEADLINE_S,
        warn: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """`proxy` is what the environment names for the base URL, without its credentials.

        `warn` is told of entries that can't be taken as they are.

        Raises:
            UsageError: the base URL, or that proxy, can't be used.
        """
        self._base_url = check_base_url(base_url)
        self._key = key
        self._clock = clock
        self._warn, self._warned = warn, set[str]()
        self.is_dry_run = is_dry_run
        self._extra: Object = {"dryRun": True} if is_dry_run else {}
        self._review = {"x-respect-review-settings": "true"} if respect_review_settings else {}
        self._deadline = _Deadline(deadline_s)
        headers = {
            "STATSIG-API-KEY": key.value,
            "STATSIG-API-VERSION": API_VERSION,
            "User-Agent": f"statform/{__version__}",
            "Accept": "application/json",
            # A compressed answer could be a bomb: the cap counts bytes as they come.
            "Accept-Encoding": "identity",
        }
        try:
            self.proxy = _proxy_for(self._base_url)
            self._http = httpx.Client(
                headers=headers,
                # What a server sets is not sent back to it: nothing here has a session.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                timeout=httpx.Timeout(deadline_s, connect=min(10.0, deadline_s)),
                follow_redirects=False,
                # Plain http is for loopback, and a proxy would get the key to read.
                trust_env=self._base_url.startswith("https:"),
            )
        except (httpx.InvalidURL, ValueError, ImportError, OSError) as error:
            raise UsageError(f"a proxy or SSL_CERT_FILE in the environment can't be used: {error}") from None

    def close(self) -> None:
        self._deadline.close()
        self._http.close()

    def patch(self, type_: ResourceType, intent: Intent) -> Outcome:
        """Send the intent, once."""
        started = self._clock.monotonic()

        def when() -> tuple[int, str]:
            return round((self._clock.monotonic() - started) * 1000), self._clock.timestamp()

        try:
            if not intent.name:
                # It would go to the path of all of them.
                raise ValueError("the name is empty")  # noqa: TRY301
            body = json.dumps({**intent.sent, **self._extra}, ensure_ascii=False).encode()
            request = self._request("PATCH", type_.path.replace("{name}", quote(intent.name, safe="")), body)
        except (ValueError, httpx.InvalidURL) as error:
            message = self._told(f"there can be no such request: {error}")
            return Rejected(intent.address, None, message, False, None, *when())  # noqa: FBT003
        try:
            answer = self._exchange(request)
        except _NOT_SENT as error:
            return Rejected(intent.address, None, self._told(_reason(error)), not _is_certificate(error), None, *when())
        except (httpx.HTTPError, _UnusableError) as error:
            return Unknown(intent.address, self._reason(error), *when())
        return self._classify(type_, intent, answer, *when())

    def _classify(self, type_: ResourceType, intent: Intent, answer: _Answer, took_ms: int, at: str) -> Outcome:
        status = answer.status
        if 200 <= status < 300:
            try:
                data = self._data(answer, intent)
            except _UnusableError as error:
                reason = self._told(f"answered {status} without usable data: {error}")
                return Unknown(intent.address, reason, took_ms, at)
            unreturned = compare_echo(type_, intent.before, intent.sent, data).unreturned
            return Applied(intent.address, status, data, unreturned, took_ms, at)
        message = self._message(answer)
        # A rename that was applied after its connection broke leaves nothing at the old name.
        is_rename_gone = status == 404 and "name" in intent.sent
        if status < 400 or status == 408 or status >= 500 or is_rename_gone:
            return Unknown(intent.address, f"answered {status}: {message}", took_ms, at)
        retry_after_s = parse_retry_after(answer.headers, self._clock.now()) if status == 429 else None
        return Rejected(intent.address, status, message, status == 429, retry_after_s, took_ms, at)

    def _data(self, answer: _Answer, intent: Intent) -> Object:
        if self._key.is_in(answer.content):
            raise _UnusableError("it holds the API key itself")
        return _data_of(answer, intent)

    def list(self, type_: ResourceType, notify: Callable[[int], None] = lambda _count: None) -> Mapping[str, Object]:
        """Every source of the type by its remote name: all pages, however long they are.

        `notify` is told how many there are so far, before each page.

        Raises:
            ApiError: the list could not be had, after retries where they can help.
        """
        return self._pages(type_.list_path, "", lambda entry: entry.get("name"), notify)

    def list_audit_log(
        self, since: date, actions: Iterable[str], notify: Callable[[int], None] = lambda _count: None
    ) -> Sequence[Object]:
        """The entries of the project's audit log on these action types, from that day on; `notify` as in `list`.

        Raises:
            ApiError: it could not be had; a key may lack the right to read it.
        """
        query = "".join(f"actionTypes={quote(action, safe='')}&" for action in actions)
        query += f"startDate={since.isoformat()}&"
        return [*self._pages(AUDIT_LOGS, query, lambda entry: json.dumps(entry, sort_keys=True), notify).values()]

    def _pages(
        self,
        path: str,
        query: str,
        key: Callable[[Object], JSON],
        notify: Callable[[int], None],
    ) -> Mapping[str, Object]:
        """Every entry of a list by its key; one whose key is no string is none."""
        found: dict[str, Object] = {}
        before: JSON = None
        for page in range(1, PAGE_CAP + 1):
            notify(len(found))
            document = self._get(f"{path}?{query}limit={PAGE_SIZE}&page={page}")
            entries = document.get("data")
            if not isinstance(entries, list):
                raise Unreachable("the list can't be used: its data is no list")
            new = {k: e for e in map(self._whole, entries) if isinstance(e, dict) and isinstance(k := key(e), str)}
            # A page that brings nothing new is the end too, for a server that repeats the last one for ever.
            is_repeated = new.keys() <= found.keys() and (bool(new) or entries in ([], before))
            before = entries
            found |= new
            pagination = document.get("pagination")
            # Pages are counted, never followed: `nextPage` is sometimes host and path without a scheme.
            is_last = isinstance(pagination, dict) and pagination.get("nextPage") is None
            if is_last or is_repeated:
                return found
        raise Unreachable(f"the list does not end: {PAGE_CAP} pages and more")

    def _whole(self, entry: JSON) -> JSON:
        """The entry of a list as UTF-8 can hold it; None for one whose name it can't, which no request could name."""
        if not isinstance(entry, dict) or strict_json.is_whole(entry):
            return entry
        name = entry.get("name")
        if not strict_json.is_whole(name):
            self._warn_once(f"{format_value(name)} is left out: half a character (a lone surrogate) is in its name")
            return None
        self._warn_once(f"{format_value(name)} has half a character (a lone surrogate), which is read as U+FFFD")
        return strict_json.mend(entry)

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._warn(self._told(text))

    def _get(self, path: str) -> dict[str, JSON]:
        error: ApiError = Unreachable("not tried")
        asked_s = 0.0
        for attempt in range(LIST_ATTEMPTS):
            if attempt:
                self._clock.sleep(max(asked_s, self._clock.backoff_s(attempt, base=0.5, cap=8.0)))
            asked_s = 0.0
            try:
                answer = self._exchange(self._request("GET", path))
                if answer.status == 200:
                    return self._decode(answer.content)
                error = self._refusal(answer)
                asked_s = parse_retry_after(answer.headers, self._clock.now()) or 0.0
                if (answer.status not in {408, 429} and answer.status < 500) or asked_s > LIST_PAUSE_CAP_S:
                    raise error
            except (httpx.HTTPError, _UnusableError) as cause:
                error = Unreachable(f"{self._base_url}: {self._reason(cause)}")
                if _is_certificate(cause):
                    break
        raise error

    def _decode(self, content: bytes) -> dict[str, JSON]:
        """The JSON object of a list, whose entries can go to the state.

        Raises:
            _UnusableError: it is none.
            Unreachable: it holds the API key.
        """
        document = decode(content)
        if not self._key.is_in(content):
            return document
        data = document.get("data")
        entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
        names = [str(e.get("name")) for e in entries if self._key.is_in(json.dumps(e, ensure_ascii=False).encode())]
        where = f" in {', '.join(names)}" if names else ""
        raise Unreachable(
            self._told(f"{self._base_url} answered with the API key itself{where}")
            + ": take it out of there, and use a new key, for who can read it there can use it"
        )

    def _refusal(self, answer: _Answer) -> ApiError:
        message = f"{self._base_url} answered {answer.status}: {self._message(answer)}"
        if answer.status in {401, 403}:
            return KeyRefused(message)
        return OverLimit(message) if answer.status == 429 else Unreachable(message)

    def _request(self, method: str, path: str, content: bytes | None = None) -> httpx.Request:
        """Raises:
        ValueError, httpx.InvalidURL: the path can't stand in a URL as it is.
        """
        url, trace = self._base_url + path, {"trace": self._deadline.trace}
        headers = {} if content is None else {"Content-Type": "application/json", **self._review}
        request = self._http.build_request(method, url, content=content, headers=headers, extensions=trace)
        if not request.url.raw_path.endswith(path.encode("ascii")):
            raise ValueError("the name can't stand in a URL as it is")
        return request

    def _exchange(self, request: httpx.Request) -> _Answer:
        with self._deadline.running(), closing(self._http.send(request, stream=True)) as response:
            return _Answer(response.status_code, response.headers, _read(response))

    def _message(self, answer: _Answer) -> str:
        """What an answer that refuses says."""
        try:
            text = _said(decode(answer.content))
        except _UnusableError:
            text = f"{len(answer.content)} bytes that are not JSON" if answer.content else "no content"
        return self._told(text)

    def _reason(self, error: Exception) -> str:
        return self._told(self._deadline.reason or _reason(error))

    def _told(self, text: str) -> str:
        """The text as it may be shown and kept: short, and without the key, which the API's 401 echoes."""
        # What is hidden takes less room: of a longer text there is enough left.
        text = self._key.hide(str(strict_json.mend(text[: 20 * MESSAGE_CAP])))
        return text if len(text) <= MESSAGE_CAP else text[: MESSAGE_CAP - 1] + "…"


class _Deadline:
    """Ends an exchange that takes too long by shutting its socket.

    The timeouts of httpx are for each read, and a server that drips a byte now and then would hold a run for ever. One
    thread watches all exchanges of a client: to start one for each would take as long as the exchange.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None
        self._until: float | None = None
        self._socket: socket.socket | None = None
        self._is_expired = False

    @property
    def reason(self) -> str | None:
        return f"no whole answer within {self._seconds:g} s" if self._is_expired else None

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._lock:
            self._until, self._is_expired = time.monotonic() + self._seconds, False
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        try:
            yield
        finally:
            with self._lock:
                self._until = None

    def close(self) -> None:
        self._closed.set()

    def _watch(self) -> None:
        """Sleep until an exchange could be over its time. One that starts meanwhile ends later than that."""
        pause = self._seconds
        while not self._closed.wait(pause):
            with self._lock:
                left = self._seconds if self._until is None else self._until - time.monotonic()
                if left <= 0:
                    self._until, self._is_expired = None, True
                    self._shut()
                pause = left if left > 0 else self._seconds

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Notes the connection's socket; httpx calls this with each step of an exchange."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            stream = cast(httpcore.NetworkStream, info["return_value"])
            with self._lock:
                self._socket = stream.get_extra_info("socket")
                if self._is_expired:
                    self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                # Not SSLSocket's own method, which takes the TLS layer away under a reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _read(response: httpx.Response) -> bytes:
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise _UnusableError(f"an answer in the encoding {encoding[:40]!r}, which was not asked for")
    content = bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > ANSWER_CAP:
            raise _UnusableError(f"an answer of more than {ANSWER_CAP // 2**20} MiB")
    return bytes(content)


def _data_of(answer: _Answer, intent: Intent) -> Object:
    """The answer's `data`, if it is an object about the source that was asked for."""
    data = decode(answer.content).get("data")
    if not isinstance(data, dict):
        raise _UnusableError("its data is no object")
    name = data.get("name")
    if not isinstance(name, str):
        raise _UnusableError("its data has no name")
    asked = (intent.name, intent.sent.get("name", intent.name))
    if normal_form(name) not in map(normal_form, asked):
        raise _UnusableError(f'its data is that of "{name}"')
    return data if strict_json.is_whole(data) else cast(Object, strict_json.mend(data))


def decode(content: bytes) -> dict[str, JSON]:
    """The JSON object in `content`; it may hold half characters.

    Raises:
        _UnusableError: it is something else.
    """
    try:
        document = strict_json.loads(content, allows_halves=True)
    except ValueError as error:
        raise _UnusableError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _UnusableError("JSON that is no object")
    return document


def _said(document: Mapping[str, JSON]) -> str:
    """What an error body says, in whichever of the forms that clients have met; in none of them, all of it."""
    parts = [document[key] for key in ("message", "error") if isinstance(document.get(key), str)]
    errors = document.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict) and "errorMessage" in error:
            parts.append(f"{error.get('property')}: {error['errorMessage']}")
        else:
            parts.append(error if isinstance(error, str) else json.dumps(error, ensure_ascii=False))
    return "; ".join(filter(None, map(str, parts))) or json.dumps(document, ensure_ascii=False)


def parse_retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds that `Retry-After` asks to wait, given as seconds or as a date (RFC 9110, 10.2.3); None: nothing usable.

    A date counts from the answer's own `Date`, so that clocks which differ don't matter. Of several the longest holds.
    """
    asked = [_retry_after(text.strip(), headers, now) for text in headers.get_list("retry-after")]
    return max((seconds for seconds in asked if seconds is not None), default=None)


def _retry_after(text: str, headers: httpx.Headers, now: datetime) -> float | None:
    if re.fullmatch(r"[0-9]+", text):
        return min(float(text), 1e9)
    if (until := _http_date(text)) is None:
        return None
    since = _http_date(headers.get("date", "")) or now
    return max(0.0, (until - since).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _reason(error: Exception) -> str:
    match error:
        case httpx.ConnectTimeout():
            what = "no connection in time"
        case httpx.ProxyError():
            what = "the proxy made no connection"
        case httpx.ConnectError():
            what = "no connection"
        case httpx.ReadTimeout() | httpx.WriteTimeout():
            what = "no answer in time"
        case httpx.RemoteProtocolError() | httpx.ReadError() | httpx.WriteError():
            what = "the connection broke"
        case _:
            what = ""
    return ": ".join(part for part in (what, str(error)) if part)
