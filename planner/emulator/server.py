"""The emulated API over HTTP, on loopback.

An extra of the package: needs starlette and uvicorn.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from planner.definitions.resources import RESOURCE_TYPES
from planner.emulator.api import EmulatedProject, EmulatorOptions
from planner.emulator.calls import MAX_BODY_BYTES, EmulatedCall
from planner.emulator.data import load, printable, save
from planner.errors import UsageError


def create_app(options: EmulatorOptions, clock: Callable[[], float]) -> Starlette:
    """The API as an ASGI application; the server has to give `raw_path`. `clock` is in seconds, never backwards.

    Raises: UsageError, if the options or the data file can't be used.
    """
    fields = {f.name for resource in RESOURCE_TYPES.values() for f in resource.fields}
    unknown = [name for name in options.omit if name not in fields]
    if unknown:
        raise UsageError(f"no resource type has a field {printable(unknown[0])}, to leave out with --omit")
    if options.data:
        project = EmulatedProject(options, *load(options.data))
    else:
        project = EmulatedProject(options, {name: {} for name in RESOURCE_TYPES} | options.sources)

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        start = clock()
        try:
            call = await _call(Request(scope, receive))
        except ClientDisconnect:
            return
        answer = project.answer(call, clock())
        if options.data and answer.changed:
            save(options.data, project.sources, project.log, project.experiments, project.others)
        runs_sql = options.sql_latency_ms and b'"sql"' in call.body
        await asyncio.sleep((options.sql_latency_ms if runs_sql else options.latency_ms) / 1000)
        if options.log:
            _log(f"{call.method} {call.path} {answer.status} {(clock() - start) * 1000:.0f} ms")
        await JSONResponse(answer.body, answer.status)(scope, receive, send)

    app = Starlette(exception_handlers={Exception: _failed})
    # No route: starlette would match the decoded path, where an encoded "/" looks like one that parts segments.
    app.router.default = endpoint
    return app


async def _call(request: Request) -> EmulatedCall:
    # A body over the limit is read to its end, so that the client gets to see the answer, but it is not kept.
    body = bytearray()
    async for chunk in request.stream():
        body += chunk[: MAX_BODY_BYTES + 1 - len(body)]
    path = cast("bytes", request.scope["raw_path"]).decode("latin-1")
    query = {name: request.query_params.getlist(name) for name in request.query_params}
    headers = {name: _text(value) for name, value in request.headers.items()}
    return EmulatedCall(request.method, path, query, headers, bytes(body), datetime.now(timezone.utc))


def _text(value: str) -> str:
    """What was sent as UTF-8, which starlette reads as Latin-1; else as it was read."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


def _failed(_request: Request, error: Exception) -> JSONResponse:
    traceback.print_exception(error)
    return JSONResponse({"status": 500, "message": "Internal Server Error"}, 500)


def _log(line: str) -> None:
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


def serve(options: EmulatorOptions) -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM. Says on stdout where, once it accepts connections.

    Raises: UsageError, as `create_app`, or if the port can't be had.
    """
    app = create_app(options, time.monotonic)
    try:
        listener = socket.create_server(("127.0.0.1", options.port))
    except OSError as error:
        # create_server appends to strerror what is said here already.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UsageError(f"port {options.port} of 127.0.0.1 can't be used: {reason}") from error
    # Connections inherit it. Without it the body of an answer waits 40 ms for the client to acknowledge the head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        log_config=None,
        log_level="critical",
        access_log=False,
        # Longer than a client pauses for the rate limit: an idle connection that ends as a PATCH goes out leaves
        # the client not knowing what became of it.
        timeout_keep_alive=1200,
        timeout_graceful_shutdown=1,
    )
    with listener:
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            sys.stdout.write(f"Console API on http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stdout.flush()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn's own raises the signal again at the end, which makes an exit code of it.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
