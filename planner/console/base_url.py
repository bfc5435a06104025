"""The address of the API: which one may get the key, and which proxy stands before it."""

from __future__ import annotations

from ipaddress import ip_address

import httpx
import httpx._utils as httpx_utils

from planner.console.key import hide_keys
from planner.errors import UsageError


def check_base_url(url: str) -> str:
    """The base URL, without a slash at its end.

    Raises:
        UsageError: not https (http is for loopback only), or more in it than a host, a port and a path.
    """
    try:
        parsed = httpx.URL(url)
        # Decoded only here: what begins with xn-- may be no host name at all.
        host = parsed.host
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageError(hide_keys(f"the base URL can't be read: {error}")) from None
    # A "?" at the end is an empty query to httpx, which the path would become a part of.
    if parsed.userinfo or set(url) & set("?#") or not host:
        raise UsageError("the base URL must be a scheme, a host and at most a port and a path")
    if not _can_be_resolved(parsed):
        raise UsageError(hide_keys(f"the base URL has a host or a port that can't be: {parsed}"))
    if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_loopback(host)):
        must = "must begin with https://, since the API key travels there"
        raise UsageError(hide_keys(f"the base URL {must}; it is {parsed}"))
    return str(parsed).rstrip("/")


def find_proxy(base_url: str) -> str | None:
    """The proxy that the environment names for the base URL, without its credentials; plain http goes through none."""
    if not base_url.startswith("https:"):
        return None
    # What httpx asks itself; of a client that is made it can't be asked. The version is bounded in pyproject.toml.
    patterns = {httpx_utils.URLPattern(k): proxy for k, proxy in httpx_utils.get_environment_proxies().items()}
    proxy = next((patterns[p] for p in sorted(patterns) if p.matches(httpx.URL(base_url))), None)
    if proxy is None:
        return None
    url = httpx.URL(proxy)
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _can_be_resolved(url: httpx.URL) -> bool:
    """Whether its host and port can be asked for: Python's own resolver raises no OSError when they can't."""
    try:
        url.raw_host.decode("ascii").encode("idna")
    except UnicodeError:
        return False
    # What can't stand in a host is percent-encoded by httpx, and anew each time.
    return b"%" not in url.raw_host and (url.port is None or 0 < url.port < 2**16)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
