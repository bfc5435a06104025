"""What JSON can hold, and the address of a resource."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NewType, TypeAlias, Union

__all__ = ["JSON", "Address", "Object", "check_address"]

JSON: TypeAlias = Union[bool, int, float, str, "list[JSON]", "dict[str, JSON]", None]
Object: TypeAlias = Mapping[str, JSON]
Address = NewType("Address", str)
"""`<type>.<key>`, the identity of a resource: a str, so that it sorts, hashes and serialises as itself."""

# Of letters that nothing acts on, neither a terminal nor a shell nor Markdown.
_ADDRESS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def check_address(text: str) -> None:
    """Raises:
    ValueError: statform writes no such address.
    """
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"{text!a:.80} is no address")
