"""A time limit for every exchange with the API, however slowly the other side sends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import cast

import httpcore


class Deadline:
    """Ends an exchange that takes too long by shutting its socket.

    The timeouts of httpx are for each read, and a server that drips a byte now and then would hold a run for ever. One
    thread watches all exchanges of a client: to start one for each would take as long as the exchange.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = self._allowed = seconds
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None
        self._until: float | None = None
        self._socket: socket.socket | None = None
        self._is_expired = False

    @property
    def reason(self) -> str | None:
        """Why the exchange was ended, in words; None if its time was enough."""
        return f"no whole answer within {self._allowed:g} s" if self._is_expired else None

    @contextmanager
    def running(self, seconds: float | None = None) -> Iterator[None]:
        """An exchange, which may take so many seconds if they are more than its own."""
        with self._lock:
            self._allowed = max(self._seconds, seconds or 0.0)
            self._until, self._is_expired = time.monotonic() + self._allowed, False
        if self._watcher is None:
            watcher = threading.Thread(target=self._watch, daemon=True)
            watcher.start()
            # A signal may end the start: what has not started can't be waited for.
            self._watcher = watcher
        try:
            yield
        finally:
            with self._lock:
                self._until = None

    def close(self) -> None:
        """End the thread that watches; no exchange is watched any more."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join()

    def _watch(self) -> None:
        """Sleep until an exchange could be over its time. One that starts meanwhile ends later than that."""
        pause = self._seconds
        while not self._closed.wait(pause):
            with self._lock:
                left = self._seconds if self._until is None else self._until - time.monotonic()
                if left <= 0:
                    self._until, self._is_expired = None, True
                    self._shut()
                # The next exchange may have less time than this one.
                pause = min(left, self._seconds) if left > 0 else self._seconds

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
