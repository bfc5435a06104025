"""One context of TLS for all clients that would make the same, which takes each of them 30 ms."""

from __future__ import annotations

import os
import ssl
from typing import Any

from httpx._transports import default as transport

# What a context is made of besides its options.
_READ = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


def share_contexts() -> None:
    make, made = transport.create_ssl_context, {}

    def create(**options: Any) -> ssl.SSLContext:
        key = frozenset(options.items()), *(os.environ.get(name) for name in _READ)
        if key not in made:
            made[key] = make(**options)
        return made[key]

    transport.create_ssl_context = create
