"""The Console API over httpx: one call, one outcome.

Knows nothing of plans and of the state. A PATCH never raises for what the network or the server does: every answer is
an `Outcome`, and so is no answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from urllib.parse import quote

import httpx

from planner.clock import Clock
from planner.console import audit_log
from planner.console.answers import (
    DEADLINE_S,
    Answer,
    UnusableAnswer,
    call_of,
    compare_echo,
    deadline_of,
    parse_data,
    parse_retry_after,
)
from planner.console.api import AUDIT_LOGS, EXPERIMENTS, PROJECT, UNIT_ID_TYPES
from planner.console.key import ApiKey
from planner.console.listing import Listing, believe
from planner.console.pages import PageReader
from planner.console.transport import NOT_SENT, Transport, is_certificate, reason_of
from planner.definitions.fields import Call
from planner.definitions.resources import ResourceType
from planner.errors import BadRequest, Unreachable
from planner.escape import format_value
from state.records import Applied, Deleted, Intent, Outcome, Rejected, Unknown
from state.values import JSON, Object

_MAX_NAMES = 10


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
        self._pages = PageReader(self._transport, key, clock, warn, stay)
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
        """End the connection; the client can't be used afterwards."""
        self._transport.close()

    def send(self, type_: ResourceType, intent: Intent) -> Outcome:
        """Send the intent, once; whatever happens is an outcome, and no error is raised for it."""
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
        # 404: the source is not there, which is what was asked for. Somebody else, or a lost attempt, deleted it.
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
        # Only a plain refusal says that nothing changed. A server that failed (5xx), gave up waiting (408) or sent
        # elsewhere (3xx) may have carried the request out.
        if status < 400 or status == 408 or status >= 500 or is_rename_gone:
            return Unknown(intent.address, f"the API answered {status}: {message}", took_ms, at)
        retry_after_s = parse_retry_after(answer.headers, self._clock.now()) if status == 429 else None
        return Rejected(intent.address, status, message, status == 429, retry_after_s, took_ms, at)

    def _data(self, answer: Answer, intent: Intent) -> Object:
        # The data goes to the journal, which is committed and read by many.
        if self._key.is_in(answer.content):
            raise UnusableAnswer("it contains the API key")
        return parse_data(answer, intent)

    def list(self, type_: ResourceType, notify: Callable[[int], None] = lambda _count: None) -> Listing:
        """Every source of the type by its remote name: all pages, read again if they contradict each other.

        `notify` is told how many there are so far, before each page.

        Raises:
            ApiError: the list could not be had, after retries where they can help.
        """
        listing = believe(lambda: self._pages.read(type_.list_path, "", _name, notify))
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
        self._pages.warn_once(text)

    def project(self) -> str | None:
        """The ID of the Statsig project that the key belongs to; None if the key, or the server, does not tell.

        Raises:
            ApiError: the API could not be asked, or refused the key.
        """
        data = self._pages.get(PROJECT, untold=(403, 404)).get("data")
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
            found = self._pages.read(EXPERIMENTS, f"fields={','.join(fields)}&", _id, notify)
        except BadRequest:
            # A server without the choice of fields refuses it; then each experiment comes whole.
            found = self._pages.read(EXPERIMENTS, "", _id, notify)
        return [*found.found.values()]

    def list_metrics(self, type_: ResourceType, name: str) -> Sequence[str]:
        """The names of the metrics that are made of the source, of a type that the API tells them of.

        Raises:
            ApiError: they could not be had.
        """
        path = str(type_.metrics_path).replace("{name}", quote(name, safe=""))
        found = self._pages.read(path, "", lambda entry: entry.get("id") or entry.get("name"), lambda _count: None)
        return [str(entry.get("name")) for entry in found.found.values()]

    def list_unit_ids(self) -> Sequence[str]:
        """The names of the project's unit ID types.

        Raises:
            ApiError: they could not be had; a key may lack the right to list them.
        """
        return [*self._pages.read(UNIT_ID_TYPES, "", _name, lambda _count: None).found]

    def list_audit_log(
        self, since: date, actions: Iterable[str], notify: Callable[[int], None] = lambda _count: None
    ) -> Sequence[Object]:
        """The entries of the project's audit log on these action types, from that day on; `notify` as in `list`.

        Raises:
            ApiError: it could not be had; a key may lack the right to read it.
        """
        asked = audit_log.query(since, actions)
        return [
            *self._pages.read(AUDIT_LOGS, asked, lambda entry: json.dumps(entry, sort_keys=True), notify).found.values()
        ]


def _name(entry: Object) -> JSON:
    return entry.get("name")


def _id(entry: Object) -> JSON:
    return entry.get("id")
