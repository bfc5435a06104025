"""What JSON can hold, and the address of a resource."""

import re
from collections.abc import Iterable, Mapping
from itertools import filterfalse
from typing import NewType, TypeAlias, Union

__all__ = ["JSON", "Address", "Object", "check_address", "check_addresses", "check_elements", "key_of"]

JSON: TypeAlias = Union[bool, int, float, str, "list[JSON]", "dict[str, JSON]", None]
Object: TypeAlias = Mapping[str, JSON]
Address = NewType("Address", str)
"""`<type>.<key>`, the identity of a resource: a str, so that it sorts, hashes and serialises as itself."""

# Only characters that mean nothing to a terminal, a shell or Markdown: addresses are printed as they are.
_ADDRESS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def check_address(text: str) -> None:
    """Raises:
    ValueError: statform writes no such address.
    """
    check_addresses([text])


def check_addresses(texts: Iterable[str]) -> None:
    """Raises:
    ValueError: statform writes no such address as one of these.
    """
    for text in filterfalse(_ADDRESS.fullmatch, texts):
        raise ValueError(f"{text!a:.80} is not an address")


def key_of(address: Address) -> str:
    """What stands after the type."""
    return address.partition(".")[2]


# A text of this size is parsed within a second, whatever it is made of. In larger ones that programs write, fewer than
# one character in 16 is a bracket and one in 8 a comma, strings aside. Each costs the parser some 60 bytes.
_SMALL = 1 << 20
# Compiled only when a large state needs it.
_STRING = r'(?s)"[^"\\]*(?:\\.[^"\\]*)*"'


def check_elements(text: str) -> None:
    """Refuse a large JSON text that is nearly all brackets and commas, before a parser makes gigabytes of it.

    Raises:
        ValueError: it is one.
    """
    if len(text) <= _SMALL or not _is_dense(text):
        return
    # Brackets and commas inside strings, as in SQL, cost nothing.
    if _is_dense(re.sub(_STRING, "", text), len(text)):
        raise ValueError("too many lists, objects and commas for its size")


def _is_dense(text: str, size: int = 0) -> bool:
    size = size or len(text)
    return (text.count("[") + text.count("{")) * 16 > size or text.count(",") * 8 > size
