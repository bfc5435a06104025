"""Finds bytes that a server sent without a request, before they are read as the answer to the next request.

On a connection that is kept, an answer that was sent twice would be read as that of the request after it. httpcore
leaves a connection on which something waits to be read; this finds what was read with the answer before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import httpcore


class UnaskedAnswers:
    """Follows the exchanges of a client, one at a time, by httpx's trace of them."""

    def __init__(self) -> None:
        self._has_read = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Raises:
        httpcore.RemoteProtocolError: the answer was there before its request was.
        """
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._note_reads(cast(httpcore.NetworkStream, info["return_value"]))
        elif event == "http11.send_request_headers.started":
            self._has_read = False
        elif event == "http11.receive_response_headers.complete" and not self._has_read:
            raise httpcore.RemoteProtocolError("an answer came without a request, so the next answer can't be trusted")

    def _note_reads(self, stream: httpcore.NetworkStream) -> None:
        read = stream.read

        def noting(max_bytes: int, timeout: float | None = None) -> bytes:
            self._has_read = True
            return read(max_bytes, timeout)

        stream.read = noting  # type: ignore[method-assign]
