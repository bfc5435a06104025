"""What JSON can hold, and the address of a resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NewType, TypeAlias, Union

__all__ = ["JSON", "Address", "Object"]

JSON: TypeAlias = Union[bool, int, float, str, "list[JSON]", "dict[str, JSON]", None]
Object: TypeAlias = Mapping[str, JSON]
Address = NewType("Address", str)
"""`<type>.<key>`, the identity of a resource: a str, so that it sorts, hashes and serialises as itself."""
