"""Which addresses the words of `--target` and `--exclude` mean: an address, a key, or a pattern of either."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from planner.definitions.addresses import is_like, parts
from planner.definitions.fields import closest
from planner.errors import UsageError
from state.values import Address

_WILD = frozenset("*?[")


def select(option: str, words: Collection[str], known: Sequence[Address]) -> set[Address]:
    """The known addresses that the words mean.

    Raises:
        UsageError: a word that means none of them.
    """
    by_key: dict[str, list[Address]] = {}
    for address in known:
        by_key.setdefault(parts(address)[1], []).append(address)
    addresses = frozenset(known)
    found: set[Address] = set()
    for word in words:
        if not (meant := _meant(word, addresses, by_key)):
            names = tuple(known) if "." in word else tuple(by_key)
            raise UsageError(f"{option} {word}: neither defined nor in the state{closest(word, names)}")
        found |= meant
    return found


def _meant(word: str, addresses: frozenset[Address], by_key: dict[str, list[Address]]) -> set[Address]:
    if word in addresses:
        return {Address(word)}
    if not _WILD & set(word):
        return set(by_key.get(word, ()))
    # No key has a dot, so a pattern with a dot can only match whole addresses.
    of_keys = () if "." in word else (one for key, of in by_key.items() if is_like(key, [word]) for one in of)
    return {*of_keys, *(address for address in addresses if is_like(address, [word]))}
