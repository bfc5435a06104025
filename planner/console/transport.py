"""One exchange with the Console API over httpx: a request that can be sent, and the whole answer or why there is none.

Knows no source and no outcome. The key leaves this module only in one header, and in no text: if a server repeats it,
it is removed from everything that is shown or kept.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from planner import strict_json
from planner.clock import Clock
from planner.console.answers import DEADLINE_S, Answer, UnusableAnswer, decode, error_message
from planner.console.api import API_VERSION
from planner.console.base_url import UNUSABLE_PROXY, check_base_url, find_proxy, without_credentials
from planner.console.deadline import Deadline
from planner.console.key import ApiKey
from planner.console.unasked import UnaskedAnswers
from planner.errors import UsageError
from planner.version import __version__
from state.values import Object

MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_MESSAGE_LENGTH = 500

# What httpx raises before the first byte of a request is on its way.
NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)

# What says that nothing is encoded: "identity", and what is written by servers that mean the same, or the characters.
_NO_CODINGS = frozenset({"identity", "", "none", "utf-8", "utf8"})


class TooLarge(UnusableAnswer):
    """An answer of more bytes than are read."""


class Transport:
    """One connection to one base URL, one request in flight."""

    def __init__(
        self,
        base_url: str,
        key: ApiKey,
        clock: Clock,
        *,
        respect_review_settings: bool = False,
        deadline_s: float = DEADLINE_S,
        check: Callable[[], None] = lambda: None,
        log: Callable[[Object], None] | None = None,
    ) -> None:
        """`proxy` is what the environment names for the base URL, without its credentials.

        `check` is called right before the first byte of a request that changes something, and raises what forbids it.
        `log` is given each request once it is answered, or is not: when, method, path, which attempt at it in a row,
        status, bytes, milliseconds; no header and no body.

        Raises:
            UsageError: the base URL, or that proxy, can't be used.
        """
        self.base_url = check_base_url(base_url)
        self.deadline_s = deadline_s
        self._key, self._clock, self._check = key, clock, check
        self._log, self._tried, self._attempt = log, ("", ""), 0
        self._review = {"x-respect-review-settings": "true"} if respect_review_settings else {}
        self._deadline, self._unasked = Deadline(deadline_s), UnaskedAnswers()
        proxy = find_proxy(self.base_url)
        self.proxy = without_credentials(proxy) if proxy else None
        try:
            self._http = self._connectable(proxy)
        except (httpx.InvalidURL, ValueError):
            # What it says of a URL can be a part of its password.
            raise UsageError(UNUSABLE_PROXY) from None
        except (ImportError, OSError) as error:
            raise UsageError(f"a proxy or SSL_CERT_FILE in the environment can't be used: {error}") from None

    def _connectable(self, proxy: httpx.URL | None) -> httpx.Client:
        headers = {
            "STATSIG-API-KEY": self._key.value,
            "STATSIG-API-VERSION": API_VERSION,
            "User-Agent": f"statform/{__version__}",
            "Accept": "application/json",
            # A compressed answer could be a bomb: the limit counts bytes as they come.
            "Accept-Encoding": "identity",
        }
        return httpx.Client(
            headers=headers,
            # What a server sets is not sent back to it: nothing here has a session.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=self._timeout(self.deadline_s),
            follow_redirects=False,
            # Of the environment it gets the proxy that was found, and the certificates, where they are used.
            proxy=proxy,
            verify=httpx.create_ssl_context() if self.base_url.startswith("https:") else True,
            trust_env=False,
        )

    def _timeout(self, seconds: float) -> httpx.Timeout:
        return httpx.Timeout(seconds, connect=min(10.0, self.deadline_s))

    def close(self) -> None:
        """End the connection, and the thread that watches over its deadline."""
        self._deadline.close()
        self._http.close()

    def request(
        self, method: str, path: str, content: bytes | None = None, seconds: float | None = None
    ) -> httpx.Request:
        """A request to the path, which may take so many seconds.

        Raises:
            ValueError, httpx.InvalidURL: the path can't stand in a URL as it is.
        """
        url, trace = self.base_url + path, {"trace": self._trace}
        headers = {} if content is None else {"Content-Type": "application/json"}
        headers |= self._review if method != "GET" else {}
        timeout = self._timeout(seconds or self.deadline_s)
        request = self._http.build_request(
            method, url, content=content, headers=headers, extensions=trace, timeout=timeout
        )
        if not request.url.raw_path.endswith(path.encode("ascii")):
            raise ValueError("the name can't be used in a URL")
        return request

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        self._deadline.trace(event, info)
        self._unasked.trace(event, info)
        # The last thing before the socket is written to.
        if event == "http11.send_request_headers.started" and info["request"].method not in {b"GET", b"CONNECT"}:
            self._check()

    def exchange(self, request: httpx.Request, seconds: float | None = None) -> Answer:
        """Send the request, once, and read its answer.

        Raises:
            httpx.HTTPError, UnusableAnswer: there is none, or none that can be read. Of `NOT_SENT`, nothing was sent.
        """
        if self._log is None:
            return self._send(request, seconds)
        started, answer = self._clock.monotonic(), None
        target = request.url.raw_path.decode("ascii")
        tried = (request.method, target)
        self._attempt = self._attempt + 1 if tried == self._tried else 1
        self._tried = tried
        try:
            return (answer := self._send(request, seconds))
        finally:
            self._log(
                {
                    "at": self._clock.timestamp(),
                    "method": request.method,
                    "path": target,
                    "attempt": self._attempt,
                    "status": answer.status if answer else None,
                    "bytes": len(answer.content) if answer else None,
                    "milliseconds": round((self._clock.monotonic() - started) * 1000),
                }
            )

    def _send(self, request: httpx.Request, seconds: float | None) -> Answer:
        with self._deadline.running(seconds), closing(self._http.send(request, stream=True)) as response:
            return Answer(response.status_code, response.headers, _read(response))

    def message(self, answer: Answer) -> str:
        """The message of a refusing answer, as it may be shown."""
        try:
            text = error_message(decode(answer.content))
        except UnusableAnswer:
            text = f"{len(answer.content)} bytes that are not JSON" if answer.content else "no content"
        return self.redacted(text)

    def reason(self, error: Exception) -> str:
        """Why an exchange failed, as it may be shown."""
        return self.redacted(self._deadline.reason or reason_of(error))

    def redacted(self, text: str) -> str:
        """The text as it may be shown and kept: short, and without the key, which the API's 401 echoes."""
        # What is hidden takes less room: of a longer text there is enough left.
        text = self._key.hide(str(strict_json.replace_surrogates(text[: 20 * MAX_MESSAGE_LENGTH])))
        return text if len(text) <= MAX_MESSAGE_LENGTH else text[: MAX_MESSAGE_LENGTH - 1] + "…"


def _read(response: httpx.Response) -> bytes:
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.lower() not in _NO_CODINGS:
        raise UnusableAnswer(f"an answer in the encoding {encoding[:40]!r}, which statform did not ask for")
    content = bytearray()
    # Piece by piece: an answer without an end must not fill the memory before anybody counts.
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise TooLarge(f"an answer of more than {MAX_ANSWER_BYTES // 2**20} MiB")
    return bytes(content)


def is_certificate(error: BaseException | None) -> bool:
    """Whether a certificate that can't be trusted is the cause: no second attempt makes that better."""
    # httpx wraps the errors of its own library, which wraps those of ssl.
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def reason_of(error: Exception) -> str:
    """What an error of httpx means to a person, in one line; not redacted."""
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
    # The number of an error tells a person nothing that its words don't.
    words = re.sub(r"^\[Errno -?\d+\] ", "", str(error))
    return ": ".join(part for part in (what, words) if part)
