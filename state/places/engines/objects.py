"""The engine over an object store: S3 and what speaks it, Google Cloud Storage, Azure. No other file knows obstore.

    PREFIX/journal/00000000000000004038     a piece, put with `If-None-Match: *` under the byte at which it starts
    PREFIX/snapshot.json                    the snapshot, as a local state file has it
    PREFIX/pack/START-END                   the lines of that stretch again, in one piece: nothing but faster to read
    PREFIX/beat/WRITER                      a sign of life: the time at which the store says it was put
    PREFIX/clock                            what time it is there

Nothing is deleted, and nothing but snapshot, beats and clock is ever put over something. Who may write history only
needs no right to delete.
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
_PACKED_FROM = 64
_FEW_PACKS = 32
_MISSING_BUCKET = re.compile("NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
_STATUS = re.compile(r"\bstatus(?: code)?:? (\d{3})\b([\w ]*)")
# Of the answer that S3 and Azure give in XML.
_CODE, _MESSAGE = re.compile("<Code>(.*?)</Code>", re.DOTALL), re.compile("<Message>(.*?)</Message>", re.DOTALL)
# Where a machine of a cloud is asked for credentials, when the environment has none.
_METADATA = re.compile(r"169\.254\.(?:169\.254|170\.2)|fd00:ec2::254|metadata\.google\.internal")
_WORTH_ANOTHER_TRY = frozenset({"408", "409", "412", "425", "429"})


class ObjectEngine:
    """A state in `store`, whose names all start with `prefix`; `where` is how people know it.

    `store` must not try anything again by itself: what its second try answers tells nothing about the first.
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
                # Azure has answered the second in the place of the first; S3 the first for a conflict, with nothing
                # there.
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
        """One request for who has read all already, which is how nearly every plan finds it."""
        if at:
            first = self.get(at)
            if first is None:
                return []
            after = at + len(first) - HEADER
            return [(at, first), *self._pieces(after)]
        packs = self._read_packs()
        return [*packs, *self._pieces(self._packed)]

    def _pieces(self, at: int) -> list[tuple[int, bytes]]:
        # The list is sorted and cut here: not every store does either.
        starts = sorted(int(name) for name in self._list("journal/") if name.isdigit() and int(name) >= at)
        pieces = list(zip(starts, self._get_all(map(_piece, starts)), strict=True))
        self._loose |= dict(pieces)
        return pieces + self._after(pieces[-1][0] + len(pieces[-1][1]) - HEADER if pieces else at)

    def _after(self, end: int) -> list[tuple[int, bytes]]:
        """What the list lacks at its end: an answer that is no list at all is read as one of nothing."""
        found = []
        while (body := self.get(end)) is not None:
            found.append((end, body))
            if len(body) <= HEADER or not body.startswith(b"{"):
                break
            end += len(body) - HEADER
        return found

    def _read_packs(self) -> list[tuple[int, bytes]]:
        """The fewest packs that lead from the journal's beginning as far as packs do."""
        ends: dict[int, int] = {}
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
        # A pack is nothing but faster to read: the next run makes it where this one can't.
        with suppress(Unsure):
            self._pack(end)

    def _pack(self, end: int) -> None:
        loose = sorted(item for item in self._loose.items() if self._packed <= item[0] < end)
        if len(loose) < _PACKED_FROM:
            return
        lines = b"".join(body[HEADER:] for _, body in loose)
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
            # A machine that has had credentials gets them again.
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
    """What to do about an answer that stays as it is; None for one that another try may change."""
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
    """What the store said, without the library's words around it."""
    text = str(error)
    status, found = _STATUS.search(text), [one for one in (_CODE.search(text), _MESSAGE.search(text)) if one]
    said = [*([f"{status[1]}{status[2]}".strip()] if status else []), *(one[1].strip() for one in found)]
    return one_line(": ".join(said)) if said else reason_of(error)


def _fixed(token: str) -> Callable[[], GCSCredential]:
    """It is not renewed, but this is a run."""
    return lambda: {"token": token, "expires_at": None}


def open_store(scheme: str, bucket: str, where: str, *, may_be_plain: bool, token: str = "") -> ObjectStore:
    """The store with what the environment says of credentials and endpoint; it tries nothing again by itself.

    `token` is an access token for Google Cloud, which the library does not look for.

    Raises:
        EngineRefused: what the environment says can't be used.
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
