"""The API on a raw socket: a script says, request by request, what becomes of the request and of its connection.

It keeps the sources and changes them for real, so that a test can ask what the server has; and it logs all that
arrives, so that a test can ask what was sent.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any, Literal
from urllib.parse import unquote

from attrs import define, field, frozen

PATH = "/console/v1/experiments/assignment_source"


@frozen
class Act:
    """What the server does with one request; by default what the API does.

    `reads`: how much of the request, before the connection is cut. `applies`: whether the change is made; a number:
    just before that many more requests were answered. `answer`: the bytes instead of the honest ones, or what makes
    them of the honest ones. The answer starts after `delay_s`, its bytes in `drips` come one each `pause_s`, and after
    `cut` of them the connection is cut, with a reset if `resets`.
    """

    reads: Literal["all", "nothing", "head", "half"] = "all"
    applies: bool | int = True
    answer: bytes | Callable[[bytes], Iterable[bytes] | bytes] | None = None
    delay_s: float = 0.0
    drips: range = range(0)
    pause_s: float = 0.05
    cut: int | None = None
    resets: bool = False


HONEST = Act()


@frozen
class Seen:
    """A request as it arrived. `raw` is all of it that was read."""

    method: str
    target: str
    connection: int
    raw: bytes = field(repr=False, default=b"")

    @property
    def headers(self) -> dict[str, str]:
        lines = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> Any:
        return json.loads(self.raw.partition(b"\r\n\r\n")[2])


def answer(status: int, body: Any = None, *headers: str) -> bytes:
    """An HTTP answer; a body that is not bytes goes as JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Reason", "content-type: application/json", f"content-length: {len(content)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


@define(eq=False)
class RawServer:
    """`patches` and `lists` are the acts for the next changes and reads; the others are honest.

    `project` is the ID that is told of the project, or the whole answer that tells of it.
    """

    url: str
    sources: dict[str, dict[str, Any]] = field(factory=dict)
    patches: list[Act] = field(factory=list)
    lists: list[Act] = field(factory=list)
    page_size: int = 100
    respects_limit: bool = False
    project: str | bytes | None = None
    log: list[Seen] = field(factory=list)
    connections: int = 0
    late: list[tuple[int, str, dict[str, Any]]] = field(factory=list)
    open: set[socket.socket] = field(factory=set)
    stopped: threading.Event = field(factory=threading.Event)
    lock: threading.Lock = field(factory=threading.Lock)

    def methods(self) -> str:
        """The first letter of each request so far: P for a PATCH, G for a list."""
        return "".join(seen.method[:1] for seen in self.log)

    def settle(self) -> None:
        """Make the changes that are late."""
        with self.lock:
            for _, name, body in self.late:
                self.patch(name, body)
            self.late.clear()

    def patch(self, name: str, body: dict[str, Any]) -> bytes:
        """Change a source, as the API does."""
        new_name = body.get("name", name)
        if name not in self.sources:
            return answer(404, {"status": 404, "message": "Not Found. The requested resource could not be found."})
        if new_name != name and new_name in self.sources:
            return answer(409, {"status": 409, "message": f"{new_name} exists already."})
        fields = {key: value for key, value in body.items() if key != "dryRun"}
        after = {**self.sources[name], **fields}
        if not body.get("dryRun"):
            self.sources = {s["name"]: s for s in (after if n == name else s for n, s in self.sources.items())}
        return answer(200, {"message": "Assignment Source updated successfully", "data": after})

    def list(self, target: str) -> bytes:
        query = dict(pair.split("=") for pair in target.partition("?")[2].split("&"))
        size = int(query["limit"]) if self.respects_limit else self.page_size
        start = (int(query["page"]) - 1) * size
        is_last = start + size >= len(self.sources)
        following = None if is_last else f"{PATH}s?page={int(query['page']) + 1}&limit={size}"
        data = list(self.sources.values())[start : start + size]
        return answer(200, {"message": "listed", "data": data, "pagination": {"nextPage": following}})

    def serve(self, connection: socket.socket, number: int) -> None:
        """Answer the requests of one connection until somebody closes it."""
        while raw := _peek(connection):
            if raw.startswith(_PROJECT):
                # No part of a test's script.
                _read(connection, raw if isinstance(connection, ssl.SSLSocket) else b"", "all")
                connection.sendall(self._tell_project())
                continue
            with self.lock:
                script = self.lists if raw.startswith(b"G") else self.patches
                act = script.pop(0) if script else HONEST
            if act.reads != "nothing":
                raw = _read(connection, raw if isinstance(connection, ssl.SSLSocket) else b"", act.reads)
            method, target = (raw + b"  ").split(b" ")[:2]
            seen = Seen(method.decode(), target.decode("latin-1"), number, raw)
            with self.lock:
                self.log.append(seen)
                honest = self._carry_out(seen, act)
            if act.reads != "all" or not self._send(connection, act, honest):
                return

    def _tell_project(self) -> bytes:
        match self.project:
            case bytes():
                return self.project
            case str():
                return answer(200, {"message": "x", "data": {"id": self.project}})
            case None:
                return answer(404, {"message": "Not Found."})

    def _carry_out(self, seen: Seen, act: Act) -> bytes:
        due = [one for one in self.late if one[0] == 0]
        self.late = [(left - 1, name, body) for left, name, body in self.late if left > 0]
        for _, late_name, late_body in due:
            self.patch(late_name, late_body)
        if act.reads != "all":
            return b""
        if seen.method == "GET":
            return self.list(seen.target)
        name = unquote(seen.target.removeprefix(f"{PATH}/"))
        before = deepcopy(self.sources)
        honest = self._change(seen, name)
        if act.applies is not True:
            self.sources = before
            if act.applies is not False:
                self.late.append((act.applies, name, seen.body))
        return honest

    def _change(self, seen: Seen, name: str) -> bytes:
        if seen.method == "DELETE":
            gone = self.sources.pop(name, None)
            return answer(200 if gone else 404, {"status": 200 if gone else 404, "message": "deleted"})
        if seen.target != f"{PATH}s":
            # What a full update leaves out is kept.
            return self.patch(name, seen.body)
        made = seen.body
        if made["name"] in self.sources:
            return answer(400, {"status": 400, "message": "Name is already in use"})
        self.sources[made["name"]] = made
        return answer(201, {"message": "created", "data": made})

    def _send(self, connection: socket.socket, act: Act, honest: bytes) -> bool:
        """Whether the connection goes on."""
        made = act.answer(honest) if callable(act.answer) else honest if act.answer is None else act.answer
        if self.stopped.wait(act.delay_s) if act.delay_s else False:
            return False
        if not isinstance(made, bytes):
            for part in made:
                connection.sendall(part)
            return False
        made = made[: act.cut]
        done = 0
        for at in act.drips:
            connection.sendall(made[done : at + 1])
            done = at + 1
            if self.stopped.wait(act.pause_s):
                return False
        connection.sendall(made[done:])
        if act.resets:
            # Closing with a linger of no time sends RST.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return act.cut is None and not act.resets


_PROJECT = b"GET /console/v1/project"


def _peek(connection: socket.socket) -> bytes:
    """The first of what comes, which is left there; TLS can't leave it."""
    return (
        connection.recv(len(_PROJECT))
        if isinstance(connection, ssl.SSLSocket)
        else connection.recv(len(_PROJECT), socket.MSG_PEEK)
    )


def _read(connection: socket.socket, raw: bytes, how_much: str) -> bytes:
    while b"\r\n\r\n" not in raw:
        raw += _some(connection, 1 if how_much != "all" else 65536)
    head, _, body = raw.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    wanted = {"all": length, "half": length // 2, "head": 0}[how_much]
    while len(body) < wanted:
        body += _some(connection, wanted - len(body))
    return head + b"\r\n\r\n" + body


def _some(connection: socket.socket, most: int) -> bytes:
    if not (data := connection.recv(most)):
        raise ConnectionError("closed by the client")
    return data


@contextmanager
def serve(sources: Iterable[dict[str, Any]] = (), tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """A server on a free loopback port, gone at the end of the block with all its threads."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{listener.getsockname()[1]}"
    server = RawServer(url, {one["name"]: deepcopy(one) for one in sources})
    threads: list[threading.Thread] = []

    def talk(connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            if tls is not None:
                plain, connection = connection, tls.wrap_socket(connection, server_side=True)
                server.open.discard(plain)
                server.open.add(connection)
            server.serve(connection, number)
        server.open.discard(connection)
        connection.close()

    def accept() -> None:
        while not server.stopped.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server.connections += 1
                server.open.add(connection)
                threads.append(threading.Thread(target=talk, args=(connection, server.connections), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        server.stopped.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(5)
        listener.close()
        for connection in list(server.open):
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        assert not any(thread.is_alive() for thread in threads)
