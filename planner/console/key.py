"""The Console API key: where it is read from, and how it is removed from every text.

Does not load httpx: every error is shown without the key, also if no request was made.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from attrs import field, frozen

from planner.errors import UsageError

_MIN_KEY_LENGTH = 8
_MAX_KEY_LENGTH = 4096
MASK = "***"
"""What is shown in the place of a key."""
# How the keys of other APIs of Statsig begin, and what they are.
_OTHER_KINDS = {"secret-": "a server key", "client-": "a client key"}


def hide_keys(text: str) -> str:
    """The text without what looks like a key, whosever it is."""
    return re.sub(r"(?i)console-[^\s\"',;)]*|(?:secret|client)-[a-z0-9]{20,}", MASK, text)


@frozen(slots=False)
class ApiKey:
    """A Console API key. It has no text form: to print one shows nothing of it."""

    value: str = field(repr=False)

    @classmethod
    def of(cls, text: str, source: str) -> ApiKey:
        """The key in `text`, which is from `source`; white space around it does not count.

        Raises:
            UsageError: no key, or one that can't stand in a header. The message never shows it.
        """
        value = text.strip()
        if not value:
            raise UsageError(f"{source} is empty; it must contain a Console API key")
        # As RFC 6750, 2.1 has credentials: nothing in them needs quotes in a header, or can be escaped in JSON but "/".
        if not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", value):
            raise UsageError(f"{source} has characters that no Console API key has; copy it again")
        if not _MIN_KEY_LENGTH <= len(value) <= _MAX_KEY_LENGTH:
            raise UsageError(f"{source} is too short or too long to be a Console API key; copy it again")
        for prefix, kind in _OTHER_KINDS.items():
            if value.startswith(prefix):
                expected = "a Console API key begins with console- (in Statsig: Settings, Keys & environments)"
                raise UsageError(f"{source} begins with {prefix}, so it is {kind}; {expected}")
        return cls(value)

    def is_in(self, content: bytes) -> bool:
        """Whether a text holds the key; in JSON escaped or not."""
        if b"\\u00" in content or b"\\/" in content:
            with suppress(ValueError, RecursionError):
                content = json.dumps(json.loads(content), ensure_ascii=False).encode("utf-8", "surrogatepass")
        return self.value.encode() in content

    def hide(self, text: str) -> str:
        """The text without what looks like a key, and without any eight characters of this one, encoded or not."""
        text = hide_keys(text)
        kept = [True] * len(text)
        for start in range(len(text) - _MIN_KEY_LENGTH + 1):
            if text[start : start + _MIN_KEY_LENGTH] in self._parts:
                kept[start : start + _MIN_KEY_LENGTH] = [False] * _MIN_KEY_LENGTH
        shown = "".join(character if keep else "\0" for character, keep in zip(text, kept, strict=True))
        return re.sub("\0+", MASK, shown) if "\0" in shown else text

    @cached_property
    def _parts(self) -> frozenset[str]:
        """Every eight characters of the key, as it is and as servers and proxies encode one."""
        raw = self.value.encode()
        # Of base64 only what no neighbour can change.
        in_base64 = [base64.b64encode(b"." * before + raw)[4:-4].decode() for before in range(3)]
        forms = [self.value, self.value.lower(), self.value.upper(), raw.hex(), raw.hex().upper(), *in_base64]
        forms += [form.translate({ord("+"): "-", ord("/"): "_"}) for form in in_base64]
        forms += [quote(self.value, safe=""), self.value.replace("/", "\\/"), self.value[::-1]]
        n = _MIN_KEY_LENGTH
        return frozenset(form[at : at + n] for form in forms for at in range(len(form) - n + 1)) - {"console-"}


def read_key(environ: Mapping[str, str]) -> ApiKey:
    """The key in `STATSIG_API_KEY`, or in the file that `STATSIG_API_KEY_FILE` names.

    Raises:
        UsageError: there is none, or it is no key.
    """
    if text := environ.get("STATSIG_API_KEY"):
        return ApiKey.of(text, "STATSIG_API_KEY")
    if name := environ.get("STATSIG_API_KEY_FILE"):
        # Somebody may put the key itself into this variable: the error must not show it.
        shown = hide_keys(f"STATSIG_API_KEY_FILE ({name})")
        try:
            with Path(name).open(encoding="utf-8") as file:
                return ApiKey.of(file.read(_MAX_KEY_LENGTH + 100), shown)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise UsageError(f"{shown} can't be read: {reason}") from None
    raise UsageError("no API key: set STATSIG_API_KEY to a Console API key, or STATSIG_API_KEY_FILE to a file with one")
