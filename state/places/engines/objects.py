"""The engine over an object store: S3 and what speaks it, Google Cloud Storage, Azure. No other file knows obstore.

    PREFIX/journal/00000000000000004038     a piece, put with `If-None-Match: *` under the byte at which it starts
    PREFIX/snapshot.json                    the snapshot, as a local state file has it
    PREFIX/pack/START-END                   the lines from START to END once more, in one piece: just faster to read
    PREFIX/beat/WRITER                      a sign of life: its time is the time at which the store got it
    PREFIX/clock                            the store's time: that of this object, when it has just been put

Nothing is deleted, and only snapshot, beats and clock are ever overwritten. So a writer needs no right to delete.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, S3Store

from state.errors import EngineRefused
from state.places.engines import HEADER, Unsure, one_line, reason_of
from state.places.engines.interruptible import interruptible

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSCredential, ObjectStore, RetryConfig

__all__ = ["ObjectEngine", "open_store"]

_AT_ONCE = 16
# A pack is made of at least so many pieces, and when there are so many packs, all become one. Otherwise a reader of the
# whole journal would send a request for each record that was ever appended.
_PACKED_FROM = 64
_FEW_PACKS = 32
_MISSING_BUCKET = re.compile("NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
_STATUS = re.compile(r"\bstatus(?: code)?:? (\d{3})\b([\w ]*)")
# S3 and Azure say in XML what is wrong.
_CODE, _MESSAGE = re.compile("<Code>(.*?)</Code>", re.DOTALL), re.compile("<Message>(.*?)</Message>", re.DOTALL)
# The addresses at which machines of a cloud get credentials: the library asks there if the environment has none.
_METADATA = re.compile(r"169\.254\.(?:169\.254|170\.2)|fd00:ec2::254|metadata\.google\.internal")
# Timeout, conflict, a condition that was not met, too early, too many requests: the next answer may be another one.
_WORTH_ANOTHER_TRY = frozenset({"408", "409", "412", "425", "429"})


class ObjectEngine:
    """A state in `store`, whose names all start with `prefix`; `where` is how people know it.

    `store` must not try again by itself: the answer to a second try says nothing about the first.
    """

    def __init__(self, store: ObjectStore, prefix: str, where: str) -> None:
        self._store, self._prefix, self._where = store, f"{prefix.strip('/')}/".lstrip("/"), where
        self._has_answered = False
        self._packed = 0
        self._packs = 0
        self._loose: dict[int, bytes] = {}

    def create(self, at: int, body: bytes) -> bool:
        if is_new := self._create(_piece(at), body):
            self._loose[at] = body
        return is_new

    def _create(self, name: str, body: bytes) -> bool:
        with self._asking("put", name):
            try:
                interruptible(
                    lambda: obstore.put(self._store, self._prefix + name, body, mode="create", use_multipart=False)
                )
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                # Azure has been seen to answer with the second error for an object that is there. S3 answers with the
                # first one also for a conflict of two writers, when nothing is there.
                return False
            return True

    def get(self, at: int) -> bytes | None:
        found = self._get(_piece(at))
        if found is not None:
            self._loose[at] = found
        return found

    def _get(self, name: str) -> bytes | None:
        with self._asking("get", name):
            try:
                return interruptible(lambda: bytes(obstore.get(self._store, self._prefix + name).bytes()))
            except FileNotFoundError as error:
                self._refuse_missing_bucket(error)
                return None

    def tail(self, at: int) -> Iterable[tuple[int, bytes]]:
        """One request if there is nothing new, which is the case of nearly every plan."""
        if at:
            first = self.get(at)
            if first is None:
                return []
            after = at + len(first) - HEADER
            return [(at, first), *self._pieces(after)]
        packs = self._read_packs()
        return [*packs, *self._pieces(self._packed)]

    def _pieces(self, at: int) -> list[tuple[int, bytes]]:
        # Sorted and cut here, because not every store does it.
        starts = sorted(int(name) for name in self._list("journal/") if name.isdigit() and int(name) >= at)
        pieces = list(zip(starts, self._get_all(map(_piece, starts)), strict=True))
        self._loose |= dict(pieces)
        return pieces + self._after(pieces[-1][0] + len(pieces[-1][1]) - HEADER if pieces else at)

    def _after(self, end: int) -> list[tuple[int, bytes]]:
        """The pieces that the list lacks at its end: the library reads an answer that is no list as an empty list."""
        found = []
        while (body := self.get(end)) is not None:
            found.append((end, body))
            # Something that is no piece, such as a web page in the place of every answer, would be read for ever.
            if len(body) <= HEADER or not body.startswith(b"{"):
                break
            end += len(body) - HEADER
        return found

    def _read_packs(self) -> list[tuple[int, bytes]]:
        """The fewest packs that lead from the journal's beginning as far as packs do."""
        ends: dict[int, int] = {}
        # Several may start at one place, since nothing is deleted: the longest has the lines of all of them.
        for name in self._list("pack/"):
            if match := re.fullmatch(r"(\d{20})-(\d{20})", name):
                ends[int(match[1])] = max(ends.get(int(match[1]), 0), int(match[2]))
        path, at = [], 0
        while ends.get(at, 0) > at:
            path.append((at, ends[at]))
            at = ends[at]
        self._packed, self._packs = at, len(path)
        bodies = self._get_all(_pack(*stretch) for stretch in path)
        return [(start, body) for (start, _), body in zip(path, bodies, strict=True)]

    def _get_all(self, names: Iterable[str]) -> list[bytes]:
        names = list(names)
        if not names:
            return []
        return [body or b"" for body in interruptible(lambda: self._get_at_once(names))]

    def _get_at_once(self, names: list[str]) -> list[bytes | None]:
        with ThreadPoolExecutor(min(_AT_ONCE, len(names))) as pool:
            return list(pool.map(self._get, names))

    def _list(self, folder: str) -> list[str]:
        prefix = self._prefix + folder
        with self._asking("list", folder):
            pages = interruptible(lambda: [*obstore.list(self._store, prefix)])
            return [str(one["path"])[len(prefix) :] for page in pages for one in page]

    def idle(self, at: int, writer: str) -> float:
        # Both times are the store's: this machine's clock may be wrong.
        self._put("clock", b"")
        now, made = self._time("clock"), self._time(_piece(at))
        if now is None or made is None:
            raise Unsure("an object that was just there is missing")
        return (now - max(made, self._time(f"beat/{writer}") or made)).total_seconds()

    def _time(self, name: str) -> datetime | None:
        with self._asking("head", name):
            try:
                return interruptible(lambda: obstore.head(self._store, self._prefix + name)["last_modified"])
            except FileNotFoundError:
                return None

    def beat(self, writer: str) -> None:
        self._put(f"beat/{writer}", b"")

    def _put(self, name: str, body: bytes) -> None:
        with self._asking("put", name):
            interruptible(lambda: obstore.put(self._store, self._prefix + name, body, use_multipart=False))

    def load_snapshot(self) -> bytes | None:
        return self._get("snapshot.json")

    def save_snapshot(self, raw: bytes, end: int) -> None:
        self._put("snapshot.json", raw)
        # A pack only makes reading faster: if this run can't make it, a later one will.
        with suppress(Unsure):
            self._pack(end)

    def _pack(self, end: int) -> None:
        loose = sorted(item for item in self._loose.items() if self._packed <= item[0] < end)
        if len(loose) < _PACKED_FROM:
            return
        lines = b"".join(body[HEADER:] for _, body in loose)
        # Only a run that has seen every piece from the last pack to the end can make a pack without a gap.
        if loose[0][0] != self._packed or self._packed + len(lines) != end:
            return
        self._create(_pack(self._packed, end), loose[0][1][:HEADER] + lines)
        if self._packs >= _FEW_PACKS and self._packed:
            whole = b"".join(body[HEADER:] for _, body in self._read_packs())
            self._create(_pack(0, self._packed), loose[0][1][:HEADER] + whole)
        self._packed, self._packs = end, self._packs + 1
        self._loose.clear()

    def prove(self) -> None:
        self._put("clock", b"")
        # It is there, so a store that keeps the condition refuses.
        if self._create("clock", b""):
            raise EngineRefused(
                self._where,
                "this store ignores If-None-Match: two runs could write at once",
                "Use a store that can create an object only if it is not there: S3, Google Cloud Storage, Azure.",
            )

    def close(self) -> None:
        self._loose.clear()

    @contextmanager
    def _asking(self, method: str, name: str) -> Iterator[None]:
        try:
            yield
            self._has_answered = True
        except exceptions.BaseError as error:
            self._refuse_for_good(method, name, error)
            raise Unsure(_reason(error)) from error
        except FileNotFoundError as error:
            self._refuse_missing_bucket(error)
            raise Unsure(_reason(error)) from error

    def _refuse_for_good(self, method: str, name: str, error: exceptions.BaseError) -> None:
        """Raises:
        EngineRefused: another try would be answered in the same way.
        """
        text = str(error)
        self._refuse_missing_bucket(error)
        if _METADATA.search(text):
            # If this machine has had credentials before, the next try will get them again.
            if not self._has_answered:
                raise EngineRefused(self._where, "there are no credentials for this store", _CREDENTIALS) from error
            return
        if remedy := _remedy(method, error, text):
            raise EngineRefused(self._where, f"can't {method} {name}: {_reason(error)}", remedy) from error

    def _refuse_missing_bucket(self, error: Exception) -> None:
        if _MISSING_BUCKET.search(str(error)):
            raise EngineRefused(
                self._where, "there is no such bucket or container", "Create it, or correct STATFORM_STATE."
            ) from error


def _remedy(method: str, error: Exception, text: str) -> str | None:
    """What to do about an answer that will stay the same; None if another try may get another answer."""
    for pattern, remedy in _REMEDIES.items():
        if re.search(pattern, text):
            return remedy
    status = _STATUS.search(text)
    code = status[1] if status else ""
    if isinstance(error, _REFUSED) or code in ("403", "501"):
        return _NEEDED[method]
    if code.startswith("4") and code not in _WORTH_ANOTHER_TRY:
        return "The store refuses this request: check STATFORM_STATE, the region and the credentials."
    return None


def _reason(error: Exception) -> str:
    """The words of the store, without those that the library adds."""
    text = str(error)
    status, found = _STATUS.search(text), [one for one in (_CODE.search(text), _MESSAGE.search(text)) if one]
    said = [*([f"{status[1]}{status[2]}".strip()] if status else []), *(one[1].strip() for one in found)]
    return one_line(": ".join(said)) if said else reason_of(error)


def _fixed(token: str) -> Callable[[], GCSCredential]:
    """A provider of this token, which is never renewed: it lasts for longer than a run."""
    return lambda: {"token": token, "expires_at": None}


def open_store(scheme: str, bucket: str, where: str, *, may_be_plain: bool, token: str = "") -> ObjectStore:
    """The store, with the credentials and the endpoint of the environment. It never tries again by itself.

    `token` is an access token for Google Cloud: the library does not look for one in the environment.

    Raises:
        EngineRefused: the environment's values can't be used.
    """
    options: ClientConfig = {"timeout": timedelta(seconds=30), "allow_http": may_be_plain}
    retry: RetryConfig = {"max_retries": 0}
    try:
        match scheme:
            case "s3":
                return S3Store(bucket, client_options=options, retry_config=retry)
            case "gs" if token:
                return GCSStore(bucket, client_options=options, retry_config=retry, credential_provider=_fixed(token))
            case "gs":
                return GCSStore(bucket, client_options=options, retry_config=retry)
            case _:
                return AzureStore(bucket, client_options=options, retry_config=retry)
    except exceptions.BaseError as error:
        raise EngineRefused(where, reason_of(error), _CREDENTIALS) from error


def _piece(at: int) -> str:
    return f"journal/{at:020}"


def _pack(start: int, end: int) -> str:
    return f"pack/{start:020}-{end:020}"


_CREDENTIALS = (
    "Credentials come from the environment, or from the machine where it is one of the cloud's. S3: AWS_ACCESS_KEY_ID "
    'and AWS_SECRET_ACCESS_KEY, or a web identity; a profile by `eval "$(aws configure export-credentials --format '
    "env)\"`. Google Cloud: GOOGLE_OAUTH_ACCESS_TOKEN, or a service account's file in GOOGLE_APPLICATION_CREDENTIALS. "
    "Azure: AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or a federated token."
)
_REMEDIES = {
    "redirect without LOCATION|AuthorizationHeaderMalformed|PermanentRedirect": (
        "The bucket is in another region, or on another server: check AWS_REGION and AWS_ENDPOINT_URL."
    ),
    "RequestTimeTooSkewed": "The clock of this machine is wrong: set it.",
    "ExpiredToken|InvalidToken|InvalidAccessKeyId|SignatureDoesNotMatch|AuthenticationFailed": (
        "The credentials are wrong, or have expired."
    ),
}
_REFUSED = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, exceptions.NotSupportedError)
_NEEDED = {
    "get": "To read a state takes the right to get and to list (on S3 s3:GetObject and s3:ListBucket: without the "
    "second a missing object is forbidden instead of missing).",
    "head": "To read a state takes the right to get and to list (on S3 s3:GetObject and s3:ListBucket).",
    "list": "To read a state takes the right to list, too (on S3 s3:ListBucket).",
    "put": "To write a state takes the right to put (on S3 s3:PutObject); to delete is never needed.",
}
