"""The Console API over httpx: one call, one outcome.

Knows nothing of plans and of the state. A PATCH never raises for what the network or the server does: every answer is
an `Outcome`, and so is no answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from typing import cast
from urllib.parse import quote

import httpx

from planner import strict_json
from planner.clock import Clock
from planner.console import audit_log
from planner.console.answers import (
    DEADLINE_S,
    Answer,
    UnusableAnswer,
    call_of,
    compare_echo,
    deadline_of,
    decode,
    parse_data,
    parse_retry_after,
)
from planner.console.api import AUDIT_LOGS, EXPERIMENTS, PROJECT, UNIT_ID_TYPES
from planner.console.key import ApiKey
from planner.console.listing import MAX_PAGES, Listing, Pass, believe
from planner.console.transport import NOT_SENT, TooLarge, Transport, is_certificate, reason_of
from planner.definitions.fields import Call
from planner.definitions.resources import ResourceType
from planner.errors import ApiError, BadRequest, KeyRefused, NotFound, OverLimit, PageTooLarge, Unreachable
from planner.escape import format_value
from state.records import Applied, Deleted, Intent, Outcome, Rejected, Unknown
from state.values import JSON, Object

PAGE_SIZES = (100, 50, 25, 10, 5, 2, 1)
SAFE_PAGE_SIZE = 10
"""The smallest default that is published: what is refused at this size is not refused for its size."""
_MAX_NAMES = 10
LIST_ATTEMPTS = 5
MAX_LIST_PAUSE_S = 60.0


class Client:
    """One project's Console API: one connection, one request in flight.

    With `is_dry_run` each PATCH carries `dryRun`: the API checks it and changes nothing.
    """

    def __init__(
        self,
        base_url: str,
        key: ApiKey,
        clock: Clock,
        *,
        respect_review_settings: bool = False,
        is_dry_run: bool = False,
        deadline_s: float = DEADLINE_S,
        warn: Callable[[str], None] = lambda _text: None,
        check: Callable[[], None] = lambda: None,
        stay: Callable[[], None] = lambda: None,
        log: Callable[[Object], None] | None = None,
    ) -> None:
        """`proxy` is what the environment names for the base URL, without its credentials.

        `warn` is told of entries that can't be taken as they are. `check` and `log` are those of a `Transport`; `stay`
        is called before a request that reads.

        Raises:
            UsageError: the base URL, or that proxy, can't be used.
        """
        self._transport = Transport(
            base_url,
            key,
            clock,
            respect_review_settings=respect_review_settings,
            deadline_s=deadline_s,
            check=check,
            log=log,
        )
        self.proxy = self._transport.proxy
        self._key = key
        self._clock = clock
        self._warn, self._warned = warn, set[str]()
        self._stay = stay
        self._limits: dict[str, int] = {}
        self.is_dry_run = is_dry_run
        self._extra: Object = {"dryRun": True} if is_dry_run else {}

    def ask(self, path: str) -> Answer:
        """What the API answers to one GET, whatever its status; for who wants to know what the key may do.

        Raises:
            Unreachable: there is no answer, or none that can be read.
        """
        try:
            return self._transport.exchange(self._transport.request("GET", path))
        except (httpx.HTTPError, UnusableAnswer) as error:
            raise Unreachable(f"{self._transport.base_url}: {self._transport.reason(error)}") from None

    def message(self, answer: Answer) -> str:
        """What an answer that refuses says, as it may be shown."""
        return self._transport.message(answer)

    def close(self) -> None:
        self._transport.close()

    def send(self, type_: ResourceType, intent: Intent) -> Outcome:
        """Send the intent, once."""
        started = self._clock.monotonic()

        def when() -> tuple[int, str]:
            return round((self._clock.monotonic() - started) * 1000), self._clock.timestamp()

        try:
            if not intent.name:
                # An empty name would give the path of the list.
                raise ValueError("the name is empty")  # noqa: TRY301
            is_create = call_of(intent) is Call.CREATE
            path = type_.create_path if is_create else type_.path.replace("{name}", quote(intent.name, safe=""))
            body = json.dumps({**intent.sent, **self._extra}, ensure_ascii=False).encode()
            seconds = (
                max(self._transport.deadline_s, deadline_of(intent.sent))
                if "sql" in intent.sent
                else self._transport.deadline_s
            )
            request = self._transport.request(intent.method, path, None if intent.method == "DELETE" else body, seconds)
        except (ValueError, httpx.InvalidURL) as error:
            message = self._transport.redacted(f"such a request is not possible: {error}")
            return Rejected(intent.address, None, message, False, None, *when())  # noqa: FBT003
        try:
            answer = self._transport.exchange(request, seconds)
        except NOT_SENT as error:
            reason, retryable = self._transport.redacted(reason_of(error)), not is_certificate(error)
            return Rejected(intent.address, None, reason, retryable, None, *when())
        except (httpx.HTTPError, UnusableAnswer) as error:
            return Unknown(intent.address, self._transport.reason(error), *when())
        return self._classify(type_, intent, answer, *when())

    def _classify(self, type_: ResourceType, intent: Intent, answer: Answer, took_ms: int, at: str) -> Outcome:
        status = answer.status
        if intent.method == "DELETE" and (200 <= status < 300 or status == 404):
            return Deleted(intent.address, status, intent.before, took_ms, at)
        if 200 <= status < 300:
            try:
                data = self._data(answer, intent)
            except UnusableAnswer as error:
                reason = self._transport.redacted(f"the API answered {status} without usable data: {error}")
                return Unknown(intent.address, reason, took_ms, at)
            unreturned = compare_echo(type_, intent.before, intent.sent, data).unreturned
            return Applied(intent.address, status, data, unreturned, took_ms, at)
        message = self._transport.message(answer)
        # A rename that was applied after its connection broke leaves nothing at the old name.
        is_rename_gone = status == 404 and intent.sent.get("name", intent.name) != intent.name
        if status < 400 or status == 408 or status >= 500 or is_rename_gone:
            return Unknown(intent.address, f"the API answered {status}: {message}", took_ms, at)
        retry_after_s = parse_retry_after(answer.headers, self._clock.now()) if status == 429 else None
        return Rejected(intent.address, status, message, status == 429, retry_after_s, took_ms, at)

    def _data(self, answer: Answer, intent: Intent) -> Object:
        if self._key.is_in(answer.content):
            raise UnusableAnswer("it contains the API key")
        return parse_data(answer, intent)

    def list(self, type_: ResourceType, notify: Callable[[int], None] = lambda _count: None) -> Listing:
        """Every source of the type by its remote name: all pages, read again if they contradict each other.

        `notify` is told how many there are so far, before each page.

        Raises:
            ApiError: the list could not be had, after retries where they can help.
        """
        listing = believe(lambda: self._read(type_.list_path, "", _name, notify))
        if listing.problem is not None:
            self._warn_of(type_, listing)
        return listing

    def _warn_of(self, type_: ResourceType, listing: Listing) -> None:
        text = (
            f"the list of {type_.name} contradicts itself: {listing.problem}. A source that it does not show may "
            "still exist"
        )
        if listing.doubtful:
            names = ", ".join(format_value(name) for name in sorted(listing.doubtful)[:_MAX_NAMES])
            more = len(listing.doubtful) - _MAX_NAMES
            text += f". It shows these in more than one way, so they are not changed: {names}"
            text += f" and {more} more" if more > 0 else ""
        self._warn_once(text)

    def project(self) -> str | None:
        """The ID of the Statsig project that the key belongs to; None if the key, or the server, does not tell.

        Raises:
            ApiError: the API could not be asked, or refused the key.
        """
        data = self._get(PROJECT, untold=(403, 404)).get("data")
        found = data.get("id") if isinstance(data, dict) else None
        return found if isinstance(found, str) and found else None

    def list_experiments(
        self, fields: Sequence[str], notify: Callable[[int], None] = lambda _count: None
    ) -> Sequence[Object]:
        """The project's experiments, with these fields where the API has such a choice; `notify` as in `list`.

        Raises:
            ApiError: they could not be had; a key may lack the right to list them.
        """
        try:
            found = self._read(EXPERIMENTS, f"fields={','.join(fields)}&", _id, notify)
        except BadRequest:
            found = self._read(EXPERIMENTS, "", _id, notify)
        return [*found.found.values()]

    def list_metrics(self, type_: ResourceType, name: str) -> Sequence[str]:
        """The names of the metrics that are made of the source, of a type that the API tells them of.

        Raises:
            ApiError: they could not be had.
        """
        path = str(type_.metrics_path).replace("{name}", quote(name, safe=""))
        found = self._read(path, "", lambda entry: entry.get("id") or entry.get("name"), lambda _count: None)
        return [str(entry.get("name")) for entry in found.found.values()]

    def list_unit_ids(self) -> Sequence[str]:
        """The names of the project's unit ID types.

        Raises:
            ApiError: they could not be had; a key may lack the right to list them.
        """
        return [*self._read(UNIT_ID_TYPES, "", _name, lambda _count: None).found]

    def list_audit_log(
        self, since: date, actions: Iterable[str], notify: Callable[[int], None] = lambda _count: None
    ) -> Sequence[Object]:
        """The entries of the project's audit log on these action types, from that day on; `notify` as in `list`.

        Raises:
            ApiError: it could not be had; a key may lack the right to read it.
        """
        asked = audit_log.query(since, actions)
        return [*self._read(AUDIT_LOGS, asked, lambda entry: json.dumps(entry, sort_keys=True), notify).found.values()]

    def _read(self, path: str, query: str, key: Callable[[Object], JSON], notify: Callable[[int], None]) -> Pass:
        """Every entry of a list, in pages that are small enough for an answer."""
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
            if found.add(page, self._get(f"{path}&page={page}"), self._encodable):
                return found
        raise Unreachable(f"the list does not end: {MAX_PAGES} pages and more")

    def _encodable(self, entry: Object) -> Object | None:
        """The entry of a list as UTF-8 can hold it; None for one whose name it can't, which no request could name."""
        if strict_json.is_encodable(cast(JSON, entry)):
            return entry
        name = entry.get("name")
        if not strict_json.is_encodable(name):
            self._warn_once(f"{format_value(name)} is left out: its name has half a character (a lone surrogate)")
            return None
        self._warn_once(f"{format_value(name)} has half a character (a lone surrogate), which is read as U+FFFD")
        return cast(Object, strict_json.replace_surrogates(cast(JSON, entry)))

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._warn(self._transport.redacted(text))

    def _get(self, path: str, untold: Collection[int] = ()) -> dict[str, JSON]:
        """An answer's JSON object; an empty one where the status is one of `untold`."""
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


def _name(entry: Object) -> JSON:
    return entry.get("name")


def _id(entry: Object) -> JSON:
    return entry.get("id")
