"""What was measured, what it says of the goals, and both as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from attrs import asdict, astuple, frozen
from calls import Calls
from measure import Series
from patches import Patches

PLAN, PLAN_CHANGED, VALIDATE = "statform plan", "statform plan, 10% changed", "statform validate"
PLAN_SQL = "statform plan, a tenth with .sql files"
TERRAFORM, TERRAFORM_CHANGED, FLOOR = "terraform plan", "terraform plan, 10% changed", "floor"
HELP, CLICK = "statform --help", "python -c 'import click'"
GROWTH = (10_000, 100_000)
_OPPOSITE = {PLAN: TERRAFORM, PLAN_CHANGED: TERRAFORM_CHANGED}


@frozen
class Goal:
    """A ratio and its bound; `ratio` is None where this run did not measure it."""

    text: str
    ratio: float | None
    least: float | None = None
    most: float | None = None

    @property
    def verdict(self) -> str:
        if self.ratio is None:
            return "not measured"
        is_met = (self.least is None or self.ratio >= self.least) and (self.most is None or self.ratio <= self.most)
        return "met" if is_met else "NOT MET"

    @property
    def bound(self) -> str:
        parts = [f"at least {self.least:g}" if self.least else "", f"at most {self.most:g}" if self.most else ""]
        return " and ".join(filter(None, parts))


@frozen
class Results:
    """One run. `sizes`: the number of resources -> the series by their subject; `start`: those that have no size.

    `growth`: as `sizes`, of those in `GROWTH`, measured in turn.
    """

    machine: Mapping[str, str]
    start: Mapping[str, Series]
    sizes: Mapping[int, Mapping[str, Series]]
    growth: Mapping[int, Mapping[str, Series]]
    patches: Sequence[Patches]
    calls: Sequence[Calls] = ()

    def goals(self) -> list[Goal]:
        goals = [Goal("`statform --help`, to `import click`", self._start_ratio(), most=2)]
        for plan, terraform in _OPPOSITE.items():
            slower = {n: self._ratio(n, terraform, plan) for n in (1_000, 10_000)}
            goals += [
                Goal(f"{plan} to Terraform's, N=1", self._ratio(1, plan, terraform), most=1.5),
                Goal(f"Terraform's to {plan}, N=1,000", slower[1_000], least=20),
                Goal(f"Terraform's to {plan}, N=10,000", slower[10_000], least=60),
                Goal(f"peak memory of {plan} to Terraform's, N=10,000", self._memory(plan, terraform), most=0.1),
                Goal(f"{plan} to the floor, N=10,000", self._ratio(10_000, plan, FLOOR), most=1.5),
                Goal(f"{plan}, N=100,000 to N=10,000", self._growth(plan), most=11),
            ]
        goals.append(Goal(f"{PLAN_SQL}, to one without, N=10,000", self._ratio(10_000, PLAN_SQL, PLAN), most=1.2))
        return goals + self._patch_goals()

    def _patch_goals(self) -> list[Goal]:
        goals = [
            Goal(f"a PATCH to the bare client and two syncs, N={p.resources:,}", p.over_least, most=1.5)
            for p in self.patches
        ]
        if len(self.patches) == 2:
            few, many = self.patches
            text = f"a PATCH, N={many.resources:,} to N={few.resources:,}"
            goals.append(Goal(text, many.over(few), least=0.9, most=1.1))
        return goals

    def _start_ratio(self) -> float | None:
        return self.start[HELP].over(self.start[CLICK]) if self.start else None

    def _ratio(self, n: int, one: str, other: str) -> float | None:
        found = self.sizes.get(n, {})
        return found[one].over(found[other]) if one in found and other in found else None

    def _memory(self, one: str, other: str) -> float | None:
        found = self.sizes.get(10_000, {})
        return found[one].peak_mib / found[other].peak_mib if one in found and other in found else None

    def _growth(self, name: str) -> float | None:
        few, many = (self.growth.get(n, {}).get(name) for n in GROWTH)
        return many.over(few) if few and many else None

    def to_json(self) -> str:
        """All samples in seconds and MiB, with their medians."""
        document = {
            "machine": self.machine,
            "start": {name: _series_to_json(series) for name, series in self.start.items()},
            "sizes": _sizes_to_json(self.sizes),
            "growth": _sizes_to_json(self.growth),
            "patches": [{**asdict(p), "medians": asdict(p.medians), "over_least": p.over_least} for p in self.patches],
            "calls": [{**asdict(one), "median_s": one.median_s} for one in self.calls],
            "goals": [{**asdict(goal), "verdict": goal.verdict} for goal in self.goals()],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """Tables that are read as they are, too."""
        parts = [
            "\n".join(f"{name}: {value}" for name, value in self.machine.items()),
            table(("N", "work", "time", "CPU", "peak MiB", "x floor", "Terraform's time / it"), self._rows()),
        ]
        if self.patches:
            parts.append(
                table(("N", "a PATCH", "bare client", "a synced line", "/ (bare + 2 lines)"), self._patch_rows())
            )
        if self.calls:
            patch = self.calls[0]
            rows = [(one.kind, _ms(one.median_s), f"{one.over(patch):.2f}") for one in self.calls]
            parts.append(table(("a request of an apply", "time", "/ a PATCH"), rows))
        goals = [(g.text, "" if g.ratio is None else f"{g.ratio:.2f}", g.bound, g.verdict) for g in self.goals()]
        parts.append(table(("goal", "ratio", "bound", ""), goals))
        return "\n\n".join(parts) + "\n"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for name, series in self.start.items():
            yield "", name, *_medians(series), "", ""
        for n, found in self.sizes.items():
            for name, series in found.items():
                floor = "" if name == FLOOR else f"{series.over(found[FLOOR]):.2f}"
                opposite = found.get(_OPPOSITE.get(name, ""))
                yield f"{n:,}", name, *_medians(series), floor, f"{opposite.over(series):.2f}" if opposite else ""

    def _patch_rows(self) -> Iterator[tuple[str, ...]]:
        for p in self.patches:
            times = map(_ms, astuple(p.medians))
            yield f"{p.resources:,}", *times, f"{p.over_least:.2f}"


def _sizes_to_json(sizes: Mapping[int, Mapping[str, Series]]) -> dict[int, dict[str, object]]:
    return {n: {name: _series_to_json(series) for name, series in found.items()} for n, found in sizes.items()}


def _series_to_json(series: Series) -> dict[str, object]:
    medians = {"wall_s": series.wall_s, "cpu_s": series.cpu_s, "peak_mib": series.peak_mib}
    return {**medians, "samples": [asdict(sample) for sample in series.samples]}


def _medians(series: Series) -> tuple[str, str, str]:
    return _time(series.wall_s), _time(series.cpu_s), f"{series.peak_mib:,.0f}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    """In Markdown, with its columns below each other."""
    cells = [tuple(head), *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "| " + " | ".join("-" * w for w in widths) + " |", *lines[1:]])
