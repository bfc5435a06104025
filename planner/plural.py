"""How many there are of something, in words."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """`1 source`, `2,000 sources`; the plural of the noun takes an s."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def changed_by_others(fields: int) -> str:
    """The beginning of a sentence."""
    return f"{counted(fields, 'field')} {'was' if fields == 1 else 'were'} changed by somebody else"
