"""The API key of the tests, and every form in which it must not be found again."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

CANARY = "canary-5b1f0c9d7e"
KEY = f"console-{CANARY}"
KEY_FILE = "api-key"
"""The one name of a file that may hold the key."""


def _forms() -> Iterator[bytes]:
    raw = KEY.encode()
    # A part is a leak too. Of eight hexadecimal digits alone a hash could have them by chance.
    yield from (part for start in range(len(CANARY) - 7) if b"-" in (part := CANARY.encode()[start : start + 8]))
    yield from (CANARY[-10:].encode(), CANARY[-10:].encode()[::-1], raw[::-1], raw.upper())
    yield from (KEY.encode(encoding) for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"))
    yield from (raw.hex().encode(), raw.hex().upper().encode(), raw.hex(" ").encode(), raw.hex(":").encode())
    # Of base64 only what no neighbour can change: a key may stand behind any number of other bytes.
    yield from (base64.b64encode(b"." * before + raw)[4:-4] for before in range(3))
    yield from (base64.b32encode(raw)[:-8], base64.b85encode(raw), base64.a85encode(raw))
    for pattern in ("%{:02x}", "%{:02X}", "\\u{:04x}", "\\x{:02x}", "&#{};", "&#x{:x};", "\\{:03o}"):
        yield "".join(map(pattern.format, CANARY.encode())).encode()


FORMS = frozenset(_forms())


STREAM = "a stream"


def leaks(texts: Iterable[str | bytes | None], files: Iterable[Path] = ()) -> list[tuple[bytes, str]]:
    """The forms of the key that stand somewhere, and where."""
    written = [(STREAM, t.encode("utf-8", "surrogateescape") if isinstance(t, str) else t) for t in texts if t]
    written += [(str(path), path.read_bytes()) for path in files if path.is_file() and path.name != KEY_FILE]
    return [(form, where) for where, content in written for form in FORMS if form in content]
