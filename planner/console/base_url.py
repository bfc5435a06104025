"""The URL of the API: which one may get the key, and which proxy is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address

import httpx
import httpx._utils as httpx_utils

from planner.console.key import hide_keys
from planner.errors import UsageError

UNUSABLE_PROXY = (
    "HTTPS_PROXY or ALL_PROXY in the environment can't be used: it is not the URL of a proxy. "
    "In a password, write / ? # and @ as %2F, %3F, %23 and %40"
)


def check_base_url(url: str) -> str:
    """The base URL, without a slash at its end.

    Raises:
        UsageError: not https (http is for loopback only), or more in it than a host, a port and a path.
    """
    try:
        parsed = httpx.URL(url)
        # Decoded only here: what begins with xn-- may be no host name at all.
        host = parsed.host
    except (httpx.InvalidURL, ValueError):
        # What httpx says of it can be a part of a password.
        raise UsageError(
            "the base URL can't be read: it must have a scheme and a host, and may have a port and a path"
        ) from None
    # A "?" at the end is an empty query to httpx, which the path would become a part of. Before an "@" may be a
    # password, also where it stands behind what seems to be a host.
    if parsed.userinfo or set(url) & set("?#@") or not host:
        raise UsageError("the base URL must have a scheme and a host, and may have a port and a path")
    if not _can_be_resolved(parsed):
        raise UsageError(hide_keys(f"the base URL has an impossible host or port: {parsed}"))
    if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_loopback(host)):
        must = "must begin with https://, because the API key is sent there"
        raise UsageError(hide_keys(f"the base URL {must}; it is {parsed}"))
    return str(parsed).rstrip("/")


def find_proxy(base_url: str) -> httpx.URL | None:
    """The proxy that the environment names for the base URL, with its credentials; plain http goes through none.

    Raises:
        UsageError: it can't be read. The message shows nothing of it.
    """
    if not base_url.startswith("https:"):
        return None
    patterns = dict(_proxies())
    proxy = next((patterns[p] for p in sorted(patterns) if p.matches(httpx.URL(base_url))), None)
    if proxy is None:
        return None
    try:
        url = httpx.URL(proxy)
    except (httpx.InvalidURL, ValueError):
        url = None
    # An @ behind the host: then what seems to be the host is a part of the credentials, which nobody may be told of.
    if url is None or "@" in url.path or b"@" in url.query or "@" in url.fragment:
        raise UsageError(UNUSABLE_PROXY)
    return url


def without_credentials(proxy: httpx.URL) -> str:
    """The proxy as it may be shown to people."""
    return f"{proxy.scheme}://{proxy.netloc.decode('ascii')}"


def _proxies() -> Iterator[tuple[httpx_utils.URLPattern, str | None]]:
    """The environment's proxies, and what goes through none, as httpx has them, which ends at what it can't read."""
    # httpx makes IPv6 in brackets a part of a name, and can't read that. Its version is bounded in pyproject.toml.
    for pattern, proxy in httpx_utils.get_environment_proxies().items():
        with suppress(httpx.InvalidURL, ValueError):
            yield httpx_utils.URLPattern(pattern.replace("://*[", "://[")), proxy


def _can_be_resolved(url: httpx.URL) -> bool:
    """Whether its host and port can be asked for: Python's own resolver raises no OSError when they can't."""
    try:
        url.raw_host.decode("ascii").encode("idna")
    except UnicodeError:
        return False
    # What can't stand in a host is percent-encoded by httpx, and again each time.
    return b"%" not in url.raw_host and (url.port is None or 0 < url.port < 2**16)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
