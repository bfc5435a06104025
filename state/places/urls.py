"""The place that a URL of STATFORM_STATE leads to. Only a shared state loads this, and only its own driver."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from state.errors import WrongState
from state.places.shared import SharedPlace

if TYPE_CHECKING:
    from state.places.engines import Engine

__all__ = ["SHAPES", "VARIABLE", "shared_place"]

VARIABLE = "STATFORM_STATE"
SHAPES = (
    "an absolute folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or "
    "postgresql://USER@HOST/DATABASE#PREFIX"
)
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
_EXTRAS = {"s3": "s3", "gs": "gcs", "az": "azure", "postgresql": "postgres"}


def shared_place(url: str, name: str, environ: Mapping[str, str]) -> SharedPlace:
    """The place of the state `name` at the URL. The caller adds the expected lineage, and how long to wait.

    Raises:
        WrongState: the URL can't be used.
    """
    parts = _split(url)
    folder = parts.fragment if parts.scheme == "postgresql" else parts.path
    prefix = "/".join(part for part in (folder.strip("/"), name) if part)
    where = _shown(parts, prefix)
    connect = _postgres if parts.scheme == "postgresql" else _objects
    return SharedPlace(where, lambda: connect(parts, prefix, where, environ))


def _split(url: str) -> SplitResult:
    try:
        # `.port` raises for a port that is not a number.
        parts = urlsplit(url)
        has_password, _ = parts.password is not None, parts.port
    except ValueError:
        raise WrongState(VARIABLE, "not a URL", f"It is {SHAPES}.") from None
    # The message must not show the URL: there may be a password in it.
    if parts.scheme not in _EXTRAS:
        raise WrongState(VARIABLE, "not an absolute folder, and not a known kind of URL", f"It is {SHAPES}.")
    if has_password or any(key == "password" for key, _ in parse_qsl(parts.query)):
        remedy = "A URL is shown in messages. PostgreSQL's password comes from PGPASSWORD, PGPASSFILE or ~/.pgpass."
        raise WrongState(VARIABLE, "there is a password in the URL", remedy)
    if parts.scheme != "postgresql" and (
        parts.query or parts.fragment or not parts.netloc or set("@:") & set(parts.netloc)
    ):
        raise WrongState(VARIABLE, "it must have only a bucket and a prefix", f"It is {SHAPES}.")
    return parts


def _shown(parts: SplitResult, prefix: str) -> str:
    if parts.scheme == "postgresql":
        return f"postgresql://{parts.netloc}{parts.path}#{prefix}"
    return f"{parts.scheme}://{parts.netloc}/{prefix}"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: what is sent to it does not leave."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _objects(parts: SplitResult, prefix: str, where: str, environ: Mapping[str, str]) -> Engine:
    try:
        from state.places.engines.objects import ObjectEngine, open_store  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _not_installed(parts.scheme, where, error) from error
    token = environ.get("GOOGLE_OAUTH_ACCESS_TOKEN", "")
    store = open_store(parts.scheme, parts.netloc, where, may_be_plain=_may_be_plain(where, environ), token=token)
    return ObjectEngine(store, prefix, where)


def _may_be_plain(where: str, environ: Mapping[str, str]) -> bool:
    """Whether plain http is used, which is allowed only for a store on this machine."""
    plain = [name for name in _ENDPOINTS if environ.get(name, "").lower().startswith("http:")]
    for name in plain:
        if not is_loopback(urlsplit(environ[name]).hostname or ""):
            raise WrongState(where, f"{name} is plain http, and not on this machine", "Use https.")
    return bool(plain)


def _postgres(parts: SplitResult, prefix: str, where: str, environ: Mapping[str, str]) -> Engine:
    try:
        from state.places.engines.postgres import PostgresEngine  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _not_installed(parts.scheme, where, error) from error
    return PostgresEngine(_parameters(parts, environ), prefix, where)


def _parameters(parts: SplitResult, environ: Mapping[str, str]) -> dict[str, str]:
    """The parameters for libpq, with encryption and a check of the server's identity unless the URL says otherwise."""
    asked = dict(parse_qsl(parts.query))
    named = {
        "user": unquote(parts.username or ""),
        "host": unquote(parts.hostname or ""),
        "dbname": parts.path.strip("/"),
    }
    parameters = {key: value for key, value in named.items() if value} | asked
    if parts.port is not None:
        parameters["port"] = str(parts.port)
    # A host that begins with "/" is a socket of this machine. scram lets the server prove that it knows the password.
    host = parameters.get("hostaddr") or parameters.get("host") or environ.get("PGHOST", "")
    if host and not host.startswith("/") and not is_loopback(host):
        parameters = {"sslmode": "verify-full", "require_auth": "scram-sha-256"} | parameters
        # By itself, libpq looks only for ~/.postgresql/root.crt; "system" are the certificates of the machine.
        if "sslrootcert" not in parameters and not environ.get("PGSSLROOTCERT"):
            parameters["sslrootcert"] = "system"
    # In seconds, and in milliseconds: without the second, a server that is gone holds a run until TCP gives up.
    return {"connect_timeout": "10", "tcp_user_timeout": "30000", "application_name": "statform"} | parameters


def _not_installed(scheme: str, where: str, error: ImportError) -> WrongState:
    extra = f"statform[{_EXTRAS[scheme]}]"
    return WrongState(where, f"{extra} is not installed: {error}", f"pip install '{extra}'")
