"""A proxy before a store that speaks S3, which does to a request what a test wants done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import urlsplit

from attrs import define, field

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


def answer(status: str, body: str = "", *headers: str) -> bytes:
    """A whole answer; `status` is as in `404 Not Found`."""
    lines = [f"HTTP/1.1 {status}", *headers, "Connection: close", f"Content-Length: {len(body.encode())}", "", body]
    return "\r\n".join(lines).encode()


def error(code: str) -> str:
    """The body of an answer, as S3 says what is wrong."""
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as it says</Message></Error>"


def nothing(_number: int, _what: str) -> int | None:
    """The request goes on to the store, and its answer back."""
    return None


@define
class Proxy:
    """`before` and `after` are called with a request's number and `METHOD PATH`, the store having got it or not.

    A number that they return is in the place of the answer: a status from 100 on, below that how many bytes of the
    answer come before the connection breaks. Bytes are an answer.
    """

    url: str
    before: Callable[[int, str], int | bytes | None] = nothing
    after: Callable[[int, str], int | bytes | None] = nothing
    seen: list[str] = field(factory=list)


@contextmanager
def before(endpoint: str) -> Iterator[Proxy]:
    store, lock, proxy = urlsplit(endpoint).netloc, Lock(), Proxy("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            what = f"{self.command} {self.path}"
            with lock:
                number = len(proxy.seen)
                proxy.seen.append(what)
            done = proxy.before(number, what)
            if done is None or (isinstance(done, int) and done < 100):
                connection = HTTPConnection(store)
                connection.request(self.command, self.path, body, dict(self.headers))
                got = connection.getresponse()
                content = got.read()
                connection.close()
                lines = [f"{k}: {v}" for k, v in got.getheaders() if k.lower() not in HOP]
                length = got.getheader("content-length") if self.command == "HEAD" else len(content)
                head = [f"HTTP/1.1 {got.status} {got.reason}", *lines, f"Content-Length: {length or 0}", "", ""]
                raw = "\r\n".join(head).encode() + content
                done = proxy.after(number, what) if done is None else done
            match done:
                case bytes():
                    raw = done
                case int() if done >= 100:
                    raw = answer(f"{done} Said by the proxy")
                case int():
                    raw = raw[:done]
            self.wfile.write(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if self.command == "HEAD" else raw)
            self.close_connection = done is not None

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = reply  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that was killed."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy
        server.shutdown()
