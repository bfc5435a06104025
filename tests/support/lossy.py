"""The emulator's API in this process, with answers that can be lost on the way; a test sees the sources themselves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import zip_longest
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from attrs import define, field

from planner.emulator.api import EmulatedAnswer, EmulatedProject, EmulatorOptions
from planner.emulator.calls import EmulatedCall
from planner.emulator.sources import Source, Sources

Fate = Literal[
    "answered", "lost after applying", "lost before applying", "held", "superseded", "applied and superseded"
]


@define
class LossyApi:
    """`fates` are those of the first changes, in order; the others are answered. `calls` are the methods and paths.

    One that is held is answered, and applied, when `released` is set. Of one that is superseded the answer is lost, and
    `somebody` is told of the call at that moment, to do something else. `done` are the sources that the calls changed,
    as they were and as they are since, None for none; what is done `by_hand` is no call.
    """

    project: EmulatedProject
    url: str = ""
    fates: list[Fate] = field(factory=list)
    calls: list[str] = field(factory=list)
    released: threading.Event = field(factory=threading.Event)
    somebody: Callable[[str], None] = lambda _call: None
    done: list[tuple[Source | None, Source | None]] = field(factory=list)

    def wait_for_patches(self, count: int) -> None:
        end = time.monotonic() + 20
        while sum(call.startswith("PATCH") for call in self.calls) < count:
            assert time.monotonic() < end, f"no {count} PATCHes within 20 s: {self.calls}"
            time.sleep(0.005)

    def sources(self, type_name: str = "assignment_source") -> dict[str, Source]:
        return deepcopy(self.project.sources[type_name])

    def by_hand(self, method: str, path: str, body: Source | None = None) -> int:
        """What somebody does in the console; the status of the answer."""
        headers = {"statsig-api-key": "console-x", "content-type": "application/json"}
        return self.project.answer(EmulatedCall(method, path, {}, headers, json.dumps(body or {}).encode()), 0.0).status

    def carry_out(self, call: EmulatedCall) -> EmulatedAnswer:
        before = {name: [*sources.values()] for name, sources in self.project.sources.items()}
        answer = self.project.answer(call, 0.0)
        for type_name, sources in self.project.sources.items() if call.method != "GET" else ():
            was, now = before[type_name], [*sources.values()]
            self.done += zip_longest([one for one in was if one not in now], [one for one in now if one not in was])
        return answer


@contextmanager
def serve(
    sources: Sources,
    fates: Sequence[Fate] = (),
    project: Callable[[EmulatorOptions, Sources], EmulatedProject] | None = None,
) -> Iterator[LossyApi]:
    """The API, on a port of its own; `project` makes what answers."""
    options = EmulatorOptions(per_10_seconds=100_000, per_15_minutes=100_000)
    api = LossyApi((project or EmulatedProject)(options, deepcopy(sources)), fates=list(fates))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else a head waits 40 ms for its body.
        wbufsize, disable_nagle_algorithm = -1, True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            url = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                api.calls.append(f"{self.command} {url.path}")
                fate = api.fates.pop(0) if self.command != "GET" and api.fates else "answered"
            if fate == "held":
                api.released.wait(20)
            with lock:
                if fate not in {"lost before applying", "superseded"}:
                    answer = api.carry_out(EmulatedCall(self.command, url.path, parse_qs(url.query), headers, body))
                if fate.endswith("superseded"):
                    api.somebody(api.calls[-1])
            if fate.startswith("lost") or fate.endswith("superseded"):
                self.close_connection = True
                return
            content = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PATCH = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
