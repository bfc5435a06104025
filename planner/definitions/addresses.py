"""Addresses, `<type>.<key>`, and remote names: only this module splits, checks and looks them up."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from planner.definitions.fields import Problem, closest, type_name
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.errors import Diagnostic, PlanError, UsageError
from planner.escape import format_value
from planner.version import __version__
from state.values import Address

KEY = re.compile(r"[A-Za-z0-9_-]+")
# RFC 3986, 5.2.4: clients and servers remove these segments from a URL, even percent-encoded ones.
UNUSABLE_NAMES = frozenset({"", ".", ".."})
MAX_NAME_BYTES = 7_500
"""So many bytes a percent-encoded name may have in a URL: RFC 9110 asks every server to accept 8,000 in all."""


class RemoteName(NamedTuple):
    """The API's identity of a resource: within a type, a name is one resource. `type` is the type's name."""

    type: str
    name: str

    @classmethod
    def at(cls, address: Address, name: str) -> "RemoteName":
        """The remote name of a resource, from its address and its name."""
        return cls(parts(address)[0], name)


def parts(address: str) -> tuple[str, str]:
    """The type's name and the key; for other texts, the parts before and after the first dot."""
    name, _, key = address.partition(".")
    return name, key


def parse_address(text: str) -> Address:
    """The text as an address.

    Raises:
        UsageError: it is none, or one of a type that this statform does not know.
    """
    for problem in address_problems(text):
        raise UsageError(f"{problem.summary}: {problem.expected}")
    return Address(text)


def address_problems(value: object) -> tuple[Problem, ...]:
    """Why a value is not an address, in the form of `Kind.problems`; empty for an address of a known type."""
    expected = f"TYPE.KEY, with a TYPE of {', '.join(RESOURCE_TYPES)} and a KEY of letters, digits, _ and -"
    if not isinstance(value, str):
        return (Problem((), f"{type_name(value)} instead of an address", expected),)
    name, key = parts(value)
    if name not in RESOURCE_TYPES:
        expected += closest(name, tuple(RESOURCE_TYPES))
    elif KEY.fullmatch(key):
        return ()
    return (Problem((), f"{format_value(value)} is not an address", expected),)


def closest_address(word: str, known: Iterable[Address]) -> str:
    """`; did you mean …?` with the known addresses that have the word as their key, or the nearest one; else ""."""
    addresses = tuple(known)
    same = [address for address in addresses if parts(address)[1] == word]
    return f"; did you mean {' or '.join(same)}?" if same else closest(word, addresses)


def known_type_of(address: Address) -> ResourceType | None:
    """The type that the address names; None if this statform does not know it: a newer one may have written it."""
    return RESOURCE_TYPES.get(parts(address)[0])


def type_of(address: Address) -> ResourceType:
    """The type that the address names.

    Raises:
        PlanError: this statform has no such type.
    """
    type_ = known_type_of(address)
    if type_ is None:
        expected = f"an address of a type that statform {__version__} knows; a newer one may know it"
        raise PlanError([Diagnostic(f"the state has {address}, of an unknown type", expected, None, address)])
    return type_


def is_like(name: str, patterns: Iterable[str]) -> bool:
    """Whether the name matches one of the patterns, with `*`, `?` and `[…]` as in a shell; case counts."""
    from fnmatch import fnmatchcase  # noqa: PLC0415 - no plan of everything has a pattern

    return any(fnmatchcase(name, pattern) for pattern in patterns)


def fits_in_url(name: str) -> bool:
    """Whether a percent-encoded name is short enough for a URL that every server accepts (RFC 9110, 4.1)."""
    # A character has at most four bytes in UTF-8, and each byte becomes three characters.
    if len(name) * 12 <= MAX_NAME_BYTES:
        return True
    from urllib.parse import quote  # noqa: PLC0415 - few names are as long

    return len(quote(name, safe="", errors="replace")) <= MAX_NAME_BYTES
