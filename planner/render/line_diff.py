"""Finds which lines of two texts are the same, in limited time, whatever the texts are.

For lines that repeat, difflib takes time by the third power: 1,000 of them, every other one empty, took 8 s.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile
from operator import eq

MAX_STEPS = 1_000_000
"""Of difflib for two texts, a few tenths of a second. What is left then counts as changed."""


class LineMatcher(difflib.SequenceMatcher[str]):
    """difflib's matches, if they can be had in `MAX_STEPS`; else they are looked for between lines that occur once."""

    def __init__(self, before: list[str], after: list[str]) -> None:
        super().__init__(a=before, b=after, autojunk=False)
        self.before, self.after = before, after
        self.steps = MAX_STEPS

    def get_matching_blocks(self) -> list[difflib.Match]:
        """As difflib's: the runs of lines that are the same, in order, and an empty one at the end of both texts."""
        before, after = self.before, self.after
        end = (len(before), len(after))
        # Most lines of a query occur once, so that what is between two of them is short.
        anchors = _find_anchors(before, after) if _steps(before, after) > MAX_STEPS else []
        blocks: list[tuple[int, int, int]] = []
        for (a_start, b_start), (a, b) in pairwise([(-1, -1), *anchors, end]):
            blocks += self._match(a_start + 1, a, b_start + 1, b)
            blocks.append((a, b, 1))
        # The end is no line. A match of nothing there is how difflib says that there are no more.
        return [*map(difflib.Match._make, _merged(blocks[:-1])), difflib.Match(*end, 0)]

    def _match(self, a_start: int, a_end: int, b_start: int, b_end: int) -> Iterable[tuple[int, int, int]]:
        before, after = self.before[a_start:a_end], self.after[b_start:b_end]
        # What does not differ costs one look at each line, and is most of a text that a person edited.
        head = _count_same(before, after)
        tail = _count_same(before[head:][::-1], after[head:][::-1])
        yield a_start, b_start, head
        before, after = before[head : len(before) - tail], after[head : len(after) - tail]
        if before and after and (steps := _steps(before, after)) <= self.steps:
            self.steps -= steps
            for one in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_matching_blocks():
                yield a_start + head + one.a, b_start + head + one.b, one.size
        yield a_end - tail, b_end - tail, tail


def _count_same(before: Sequence[str], after: Sequence[str]) -> int:
    return sum(takewhile(bool, map(eq, before, after)))


def _steps(before: Sequence[str], after: Sequence[str]) -> int:
    """What difflib does at most: for each match that it finds it looks at every pair of equal lines."""
    counts = Counter(after)
    return min(len(before), len(after)) * (len(before) + sum(counts[line] for line in before))


def _find_anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Where the lines are that each text has once: as many as come in the same order in both (a patience diff)."""
    in_before, in_after = Counter(before), Counter(after)
    place = {line: n for n, line in enumerate(after) if in_after[line] == 1}
    pairs = [(n, place[line]) for n, line in enumerate(before) if line in place and in_before[line] == 1]
    # The longest increasing run: `lasts` are the least last places of a run of each length, `runs` the pairs there.
    lasts: list[int] = []
    runs: list[int] = []
    previous: list[int] = []
    for n, (_, b) in enumerate(pairs):
        length = bisect_left(lasts, b)
        previous.append(runs[length - 1] if length else -1)
        lasts[length : length + 1] = [b]
        runs[length : length + 1] = [n]
    found, n = [], runs[-1] if runs else -1
    while n >= 0:
        found.append(pairs[n])
        n = previous[n]
    return found[::-1]


def _merged(blocks: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The blocks, with those as one that follow each other in both texts, and without empty ones."""
    merged: list[tuple[int, int, int]] = []
    for a, b, size in blocks:
        if merged and size and (merged[-1][0] + merged[-1][2], merged[-1][1] + merged[-1][2]) == (a, b):
            last = merged.pop()
            merged.append((last[0], last[1], last[2] + size))
        elif size:
            merged.append((a, b, size))
    return merged
