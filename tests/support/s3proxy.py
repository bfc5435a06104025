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


def nothing(_number: int, _what: str) -> int | None:
    """The request goes on to the store, and its answer back."""
    return None


@define
class Proxy:
    """`before` and `after` are called with a request's number and `METHOD PATH`, the store having got it or not.

    A number that they return is in the place of the answer: a status from 100 on, below that how many bytes of the
    answer come before the connection breaks.
    """

    url: str
    before: Callable[[int, str], int | None] = nothing
    after: Callable[[int, str], int | None] = nothing
    seen: list[str] = field(factory=list)


@contextmanager
def before(endpoint: str) -> Iterator[Proxy]:
    store, lock, proxy = urlsplit(endpoint).netloc, Lock(), Proxy("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            what = f"{self.command} {self.path}"
            with lock:
                number = len(proxy.seen)
                proxy.seen.append(what)
            done = proxy.before(number, what)
            if done is None or done < 100:
                connection = HTTPConnection(store)
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                lines = [f"{k}: {v}" for k, v in answer.getheaders() if k.lower() not in HOP]
                length = answer.getheader("content-length") if self.command == "HEAD" else len(content)
                head = [f"HTTP/1.1 {answer.status} {answer.reason}", *lines, f"Content-Length: {length or 0}", "", ""]
                raw = "\r\n".join(head).encode() + content
                done = proxy.after(number, what) if done is None else done
            if done is not None and done >= 100:
                raw = f"HTTP/1.1 {done} Said by the proxy\r\nContent-Length: 0\r\n\r\n".encode()
            self.wfile.write(raw if done is None or done >= 100 else raw[:done])
            self.close_connection = done is not None

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy
        server.shutdown()
