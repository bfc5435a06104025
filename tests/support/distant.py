"""What stands before a server of this machine: it counts round trips, and does to each what is wanted.

A round trip begins with the first bytes of a client after an answer. So it is one request of HTTP, or one statement of
PostgreSQL, and in the start of a session a step of that.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from attrs import define, field


class Cut(Exception):
    """Raised by `asked` or `answered`: the connection breaks there."""


@define
class Line:
    """`port` leads to the server; each round trip takes `latency_s` longer than it does, and is one of `trips`.

    `asked` is called with a trip's number before the server gets its first bytes, `answered` before the client does;
    a goodbye has no answer.
    """

    port: int
    latency_s: float = 0.0
    trips: int = 0
    answers: int = 0
    asked: Callable[[int], object] = lambda _: None
    answered: Callable[[int], object] = lambda _: None
    _lock: threading.Lock = field(factory=threading.Lock)

    def begin(self) -> int:
        with self._lock:
            number, self.trips = self.trips, self.trips + 1
        time.sleep(self.latency_s)
        self.asked(number)
        return number

    def end(self, number: int) -> None:
        self.answered(number)
        with self._lock:
            self.answers += 1


@define
class _Connection:
    client: socket.socket
    server: socket.socket
    line: Line
    # Of the trip that is not answered yet.
    number: int | None = None

    def ask(self) -> None:
        with self._until_the_end():
            while data := self.client.recv(1 << 16):
                if self.number is None:
                    self.number = self.line.begin()
                self.server.sendall(data)

    def answer(self) -> None:
        with self._until_the_end():
            while data := self.server.recv(1 << 16):
                if self.number is not None:
                    self.line.end(self.number)
                    self.number = None
                self.client.sendall(data)

    @contextmanager
    def _until_the_end(self) -> Iterator[None]:
        with suppress(OSError, Cut):
            yield
        for one in (self.client, self.server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def before(port: int) -> Iterator[Line]:
    """A line to the server that listens at `port` of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = Line(server.getsockname()[1])
        threading.Thread(target=_accept, args=(server, port, line), daemon=True).start()
        yield line


def _accept(server: socket.socket, port: int, line: Line) -> None:
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(target=_connect, args=(client, port, line), daemon=True).start()


def _connect(client: socket.socket, port: int, line: Line) -> None:
    with client, suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(client, server, line)
        back = threading.Thread(target=connection.answer, daemon=True)
        back.start()
        connection.ask()
        back.join()
