"""What reads the sources that a plan or somebody else changes, for plans and audits.

What reads the changed sources:

  assignment_source.checkout: read by 3 experiments, 2 of them active: cta (active), new (active), old (archived);
    a full reload is needed afterwards
    cta loses its filter by country
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from planner.audit.experiments import Reader, Touched
from planner.escape import escape
from planner.plural import counted
from planner.render import markdown
from planner.render.style import Style
from state.values import JSON

_MAX_NAMES = 10


def render_touched(touched: Sequence[Touched], style: Style) -> str:
    """The lines at a terminal; none if nothing is touched."""
    if not touched:
        return ""
    lines = [style.bold("What reads the changed sources:") + "\n"]
    for one in touched:
        lines += style.wrap(f"  {escape(one.change.address)}: {escape(describe(one))}", "    ")
        lines += [line for text in losses(one) for line in style.wrap(f"    {escape(text)}", "      ")]
    return "\n".join(lines) + "\n"


def touched_to_markdown(touched: Sequence[Touched]) -> Iterator[str]:
    """The lines of a comment."""
    if touched:
        yield "What reads the changed sources:"
        yield ""
        for one in touched:
            yield f"- {markdown.code(one.change.address)}: {_describe(one, markdown.code)}"
            yield from (f"  - {text}" for text in losses(one, markdown.code))
        yield ""


def touched_to_json(touched: Sequence[Touched]) -> list[JSON]:
    """For each source that is touched an object; `unknown` is why nobody knows who reads it, or null."""
    return [
        {
            "address": one.change.address,
            "name": one.change.name,
            "experiments": [{"name": r.name, "status": r.status, "loses": [*r.broken]} for r in one.readers],
            "metrics": [*one.metrics],
            "listed": one.listed,
            "unknown": one.problem,
        }
        for one in touched
    ]


def describe(touched: Touched) -> str:
    """Who reads it, as the end of a sentence."""
    return _describe(touched, str)


def _describe(touched: Touched, code: Callable[[str], str]) -> str:
    """The same; what is not ours is written by `code`."""
    if touched.problem is not None:
        return f"it is unknown what reads it: {code(touched.problem)}"
    if touched.change.type.metrics_path is not None:
        return f"{counted(len(touched.metrics), 'metric')} made from it{_listed(touched.metrics, code)}"
    if not touched.readers:
        return f"read by none of the {counted(touched.listed, 'experiment')} listed"
    count, active = len(touched.readers), sum(reader.status == "active" for reader in touched.readers)
    told = f", {active:,} of them active" if active and count > 1 else ""
    names = _listed([f"{one.name} ({one.status})" for one in _live_first(touched.readers)], code)
    reload = "; a full reload is needed afterwards" if touched.needs_reload else ""
    return f"read by {counted(count, 'experiment')}{told}{names}{reload}"


def losses(touched: Touched, code: Callable[[str], str] = str) -> Iterator[str]:
    """A line for each thing that the change takes away from experiments; what is not ours is written by `code`."""
    found: dict[tuple[str, ...], list[Reader]] = {}
    for reader in _live_first(touched.readers):
        if reader.broken:
            found.setdefault(reader.broken, []).append(reader)
    for broken, readers in found.items():
        # Many experiments may filter by the same column: what they lose is said once, with their names.
        if len(readers) == 1:
            yield f"{code(readers[0].name)} loses {' and '.join(map(code, broken))}"
        else:
            lost = " and ".join(code(f"their {one.removeprefix('its ')}") for one in broken)
            yield f"{len(readers):,} lose {lost}{_listed([one.name for one in readers], code)}"


def _live_first(readers: Sequence[Reader]) -> Sequence[Reader]:
    """Those that go on before the others: of a long list the end is left out."""
    return sorted(readers, key=lambda one: (one.status != "active", one.is_over))


def _listed(names: Sequence[str], code: Callable[[str], str]) -> str:
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return f": {', '.join(map(code, names[:_MAX_NAMES]))}{more}" if names else ""
