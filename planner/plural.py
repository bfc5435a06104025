"""How many there are of something, in words."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """`1 source`, `2,000 sources`; the plural of the noun takes an s."""
    return f"{n:,} {one_or_many(n, noun, noun + 's')}"


def one_or_many(n: int, one: str, many: str) -> str:
    """The word that fits the number: `is` or `are`, say."""
    return one if n == 1 else many


def changed_by_others(fields: int) -> str:
    """The beginning of a sentence."""
    return f"{counted(fields, 'field')} {one_or_many(fields, 'was', 'were')} changed by somebody else"
