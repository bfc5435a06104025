"""Reads the lists of the Console API: in pages that are small enough for an answer, asked again where that can help.

Unlike what changes a source, a request that reads can be sent as often as it takes. Knows no resource type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import cast

import httpx

from planner import strict_json
from planner.clock import Clock
from planner.console.answers import Answer, UnusableAnswer, decode, parse_retry_after
from planner.console.key import ApiKey
from planner.console.listing import MAX_PAGES, Pass
from planner.console.transport import TooLarge, Transport, is_certificate
from planner.errors import ApiError, BadRequest, KeyRefused, NotFound, OverLimit, PageTooLarge, Unreachable
from planner.escape import format_value
from state.values import JSON, Object

PAGE_SIZES = (100, 50, 25, 10, 5, 2, 1)
SAFE_PAGE_SIZE = 10
"""The smallest default that is published: what is refused at this size is not refused for its size."""
LIST_ATTEMPTS = 5
MAX_LIST_PAUSE_S = 60.0


class PageReader:
    """Reads over one transport; it remembers which size of page each list takes, and what it warned of."""

    def __init__(
        self,
        transport: Transport,
        key: ApiKey,
        clock: Clock,
        warn: Callable[[str], None],
        stay: Callable[[], None],
    ) -> None:
        """`warn` and `stay` are those of a `Client`."""
        self._transport, self._key, self._clock = transport, key, clock
        self._warn, self._warned = warn, set[str]()
        self._stay = stay
        self._limits: dict[str, int] = {}

    def read(self, path: str, query: str, key: Callable[[Object], JSON], notify: Callable[[int], None]) -> Pass:
        """Every entry of a list, by what `key` makes of it; `notify` is told how many there are, before each page.

        Raises:
            ApiError: the list could not be had.
        """
        while True:
            limit = self._limits.get(path, PAGE_SIZES[0])
            try:
                return self._read_pages(f"{path}?{query}limit={limit}", key, notify)
            except (PageTooLarge, BadRequest) as error:
                # What a server takes at most is not published, and one may refuse more, or a choice of fields.
                is_of_size = isinstance(error, PageTooLarge) or (not query and limit > SAFE_PAGE_SIZE)
                if limit == PAGE_SIZES[-1] or not is_of_size:
                    raise
                # From its start: a server that caps the limit counts its pages by its own.
                self._limits[path] = PAGE_SIZES[PAGE_SIZES.index(limit) + 1]

    def _read_pages(self, path: str, key: Callable[[Object], JSON], notify: Callable[[int], None]) -> Pass:
        found = Pass(key)
        for page in range(1, MAX_PAGES + 1):
            notify(len(found.found))
            if found.add(page, self.get(f"{path}&page={page}"), self._encodable):
                return found
        raise Unreachable(f"the list does not end: {MAX_PAGES} pages and more")

    def _encodable(self, entry: Object) -> Object | None:
        """The entry of a list as UTF-8 can hold it; None for one whose name it can't, which no request could name."""
        if strict_json.is_encodable(cast(JSON, entry)):
            return entry
        name = entry.get("name")
        if not strict_json.is_encodable(name):
            self.warn_once(f"{format_value(name)} is left out: its name has half a character (a lone surrogate)")
            return None
        self.warn_once(f"{format_value(name)} has half a character (a lone surrogate), which is read as U+FFFD")
        return cast(Object, strict_json.replace_surrogates(cast(JSON, entry)))

    def warn_once(self, text: str) -> None:
        """Warn, unless it was said before: a list that is read again says the same."""
        if text not in self._warned:
            self._warned.add(text)
            self._warn(self._transport.redacted(text))

    def get(self, path: str, untold: Collection[int] = ()) -> dict[str, JSON]:
        """An answer's JSON object; an empty one where the status is one of `untold`.

        Raises:
            ApiError: there is none, after retries where they can help.
        """
        error: ApiError = Unreachable("not tried")
        asked_s = 0.0
        for attempt in range(LIST_ATTEMPTS):
            if attempt:
                self._clock.sleep(max(asked_s, self._clock.backoff_s(attempt, base=0.5, cap=8.0)))
            asked_s = 0.0
            self._stay()
            try:
                answer = self._transport.exchange(self._transport.request("GET", path))
                if answer.status == 200:
                    return self._decode(answer.content)
                if answer.status in untold:
                    return {}
                error = self._refusal(answer)
                asked_s = parse_retry_after(answer.headers, self._clock.now()) or 0.0
                if (answer.status not in {408, 429} and answer.status < 500) or asked_s > MAX_LIST_PAUSE_S:
                    raise error
            except TooLarge as cause:
                raise PageTooLarge(f"{self._transport.base_url}: {cause}") from None
            except (httpx.HTTPError, UnusableAnswer) as cause:
                error = Unreachable(f"{self._transport.base_url}: {self._transport.reason(cause)}")
                if is_certificate(cause):
                    break
        raise error

    def _decode(self, content: bytes) -> dict[str, JSON]:
        """The JSON object of a list, whose entries can go to the state.

        Raises:
            UnusableAnswer: it is none.
            Unreachable: it holds the API key.
        """
        document = decode(content)
        if not self._key.is_in(content):
            return document
        data = document.get("data")
        entries = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
        names = [str(e.get("name")) for e in entries if self._key.is_in(json.dumps(e, ensure_ascii=False).encode())]
        where = f" in {', '.join(names)}" if names else ""
        raise Unreachable(
            self._transport.redacted(f"{self._transport.base_url} answered with the API key{where}")
            + ": remove the key there, and use a new one, because anybody who can read it can use it"
        )

    def _refusal(self, answer: Answer) -> ApiError:
        message = f"{self._transport.base_url} answered {answer.status}: {self._transport.message(answer)}"
        if answer.status in {401, 403}:
            return KeyRefused(message, answer.status)
        if answer.status == 400:
            return BadRequest(message)
        if answer.status == 404:
            return NotFound(message)
        return OverLimit(message) if answer.status == 429 else Unreachable(message)
