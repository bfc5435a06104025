"""Work, counted: how many calls a function makes, which no busy machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable


def count_calls(function: Callable[[], object]) -> int:
    """The calls, those of built-in functions too, that the function makes."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


def grows_linearly(work: Callable[[int], Callable[[], object]], n: int) -> bool:
    """Whether `work(size)` makes about twice the calls for twice the size, for n, 2n and 4n."""
    one, two, four = (count_calls(work(size)) for size in (n, 2 * n, 4 * n))
    return two < 2.5 * one and four < 2.5 * two
