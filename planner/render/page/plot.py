"""Changes over time as an SVG: a bar for each day, week, month or longer, with its parts on top of each other.

Places along the time are in percent of the width, so that text has the same size on a phone. The page's style sheet has
the colours, by class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date

import htpy as h
from attrs import frozen

MAX_BARS = 60
FEWEST_BARS = 7
HEIGHT = 160
"""The height of the tallest possible bar, in pixels; the labels of the time are below."""


@frozen
class _Unit:
    """A length of time. `index` gives the number of a day's stretch, and `label` the name of a number."""

    name: str
    index: Callable[[date], int]
    label: Callable[[int], str]


def _years(count: int) -> _Unit:
    label = str if count == 1 else lambda n: f"{n * count}–{n * count + count - 1}"
    return _Unit("year" if count == 1 else f"{count} years", lambda day: day.year // count, label)


_UNITS = (
    _Unit("day", date.toordinal, lambda n: date.fromordinal(n).isoformat()),
    # Ordinal 1, the first of January of the year 1, is a Monday.
    _Unit("week", lambda day: (day.toordinal() - 1) // 7, lambda n: date.fromordinal(n * 7 + 1).isoformat()),
    _Unit("month", lambda day: day.year * 12 + day.month - 1, lambda n: f"{n // 12:04}-{n % 12 + 1:02}"),
    *map(_years, (1, 10, 200)),
)


@frozen
class Bars:
    """How many of each part are in each stretch of time; `counts` has an item for each, from the first to the last."""

    unit: str
    labels: tuple[str, ...]
    counts: tuple[Counter[str], ...]


def count(moments: Sequence[tuple[date, str]], today: date = date.min) -> Bars:
    """Count the days and parts in bars of the shortest unit that needs at most `MAX_BARS`; there is at least one.

    The last bar is the one of `today`, so that weeks without any change are seen too.
    """
    first, last = min(moments)[0], max(max(moments)[0], today)
    # The longest unit always fits: 60 times 200 years are more than a date can be.
    unit = next(one for one in _UNITS if one.index(last) - one.index(first) < MAX_BARS)
    end = unit.index(last)
    # A single bar would fill the width, and look like a great many changes.
    start = min(unit.index(first), max(end - FEWEST_BARS + 1, 1))
    counts: dict[int, Counter[str]] = {index: Counter() for index in range(start, end + 1)}
    for day, part in moments:
        counts[unit.index(day)][part] += 1
    return Bars(unit.name, tuple(map(unit.label, counts)), tuple(counts.values()))


def draw_bars(bars: Bars, parts: Sequence[str], label: str) -> h.Element:
    """The picture. `parts` are the classes of the parts of a bar, the lowest first. Screen readers say `label`."""
    top = _ceiling(max(count.total() for count in bars.counts))
    wide = 100 / len(bars.counts)
    return h.svg(".plot", role="img", aria_label=label, height=HEIGHT + 28)[
        [_grid_line(value, top) for value in (0, top // 2, top)],
        [_bar(bars, n, parts, top, wide) for n in range(len(bars.counts))],
        _time_labels(bars.labels, wide),
    ]


def _ceiling(most: int) -> int:
    """The least even round number that is not below `most`: half of it is a grid line."""
    power = 1
    while True:
        for factor in (2, 4, 6, 10):
            if factor * power >= most:
                return factor * power
        power *= 10


def _y(value: int, top: int) -> int:
    return 8 + round(HEIGHT * (1 - value / top))


def _grid_line(value: int, top: int) -> Iterable[h.Element]:
    y = _y(value, top)
    yield h.line({"class": "grid", "x1": "0", "x2": "100%", "y1": y, "y2": y})
    yield h.text({"x": "-8", "y": y + 4, "text-anchor": "end"})[f"{value:,}"]


def _bar(bars: Bars, n: int, parts: Sequence[str], top: int, wide: float) -> h.Element:
    count, y = bars.counts[n], _y(0, top)
    place: dict[str, str | int] = {"x": f"{(n + 0.12) * wide:.3f}%", "width": f"{0.76 * wide:.3f}%"}
    rects = []
    for part in parts:
        if count[part]:
            # At least two pixels, so that one change of a thousand is seen.
            tall = max(2, round(HEIGHT * count[part] / top))
            y -= tall
            rects.append(h.rect({**place, "class": part, "y": y, "height": tall}))
    told = ", ".join(f"{count[part]:,} {part}" for part in parts if count[part]) or "none"
    # The whole height shows the tooltip, also above a low bar.
    area = h.rect(".area", {"x": f"{n * wide:.3f}%", "width": f"{wide:.3f}%", "y": 0, "height": HEIGHT + 8})
    return h.g[h.title[f"{bars.labels[n]}: {told}"], area, rects]


def _time_labels(labels: Sequence[str], wide: float) -> Iterable[h.Element]:
    last = len(labels) - 1
    for n, (step, anchor) in enumerate(zip(range(5), ("start", "middle", "middle", "middle", "end"), strict=True)):
        index = round(last * step / 4)
        at = {"start": 0.0, "middle": (index + 0.5) * wide, "end": 100.0}[anchor]
        class_ = "between" if n % 2 else ""
        yield h.text({"class": class_, "x": f"{at:.3f}%", "y": HEIGHT + 26, "text-anchor": anchor})[labels[index]]
