"""What must never reach a terminal, worked out from Unicode's own tables and not from the list that statform has."""

from __future__ import annotations

import unicodedata

_BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# Controls, bidi, zero-width and other characters that nobody sees, blanks but for the space, half characters.
FORBIDDEN = {
    c
    for c in map(chr, range(0x110000))
    if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp", "Zs"} or unicodedata.bidirectional(c) in _BIDI
} - {" "} | {"\u2800"}
FORBIDDEN |= set(
    "\u200b\u200c\u200d\u200e\u200f\u061c\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u034f\u115f\u1160\u3164\uffa0"
)
FORBIDDEN |= {chr(c) for c in (0x180E, *range(0xFE00, 0xFE10), *range(0x1D173, 0x1D17B), *range(0x1BCA0, 0x1BCA4))}
FORBIDDEN |= {chr(c) for c in range(0xE0000, 0xE1000)}


def is_safe(shown: str) -> bool:
    """Whether a terminal shows all of it, and does nothing but end lines."""
    return not FORBIDDEN & {*shown.replace("\n", "")}
