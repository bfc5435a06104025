"""Who reads what a plan or somebody else changes, in the forms of a plan and of an audit.

Who reads what changes:

  assignment_source.checkout: read by 3 experiments, 2 of them active: cta (active), new (active), old (archived);
    a full reload is needed afterwards
    cta loses its filter by country
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from planner.audit.experiments import Reader, Touched
from planner.escape import escape
from planner.render import markdown
from planner.render.style import Style
from state.values import JSON

MOST_NAMES = 10


def render_touched(touched: Sequence[Touched], style: Style) -> str:
    """The lines at a terminal; none if nothing is touched."""
    if not touched:
        return ""
    lines = [style.bold("Who reads what changes:") + "\n"]
    for one in touched:
        lines += style.wrap(f"  {escape(one.change.address)}: {escape(describe(one))}", "    ")
        lines += [line for text in losses(one) for line in style.wrap(f"    {escape(text)}", "      ")]
    return "\n".join(lines) + "\n"


def touched_to_markdown(touched: Sequence[Touched]) -> Iterator[str]:
    """The lines of a comment."""
    if touched:
        yield "Who reads what changes:"
        yield ""
        for one in touched:
            yield f"- {markdown.code(one.change.address)}: {markdown.code(describe(one))}"
            yield from (f"  - {markdown.code(text)}" for text in losses(one))
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
    if touched.problem is not None:
        return f"who reads it is unknown: {touched.problem}"
    if touched.change.type.metrics_path is not None:
        return f"{_counted(len(touched.metrics), 'metric')} made of it{_listed(touched.metrics)}"
    if not touched.readers:
        return f"read by none of the {_counted(touched.listed, 'experiment')} listed"
    count, active = len(touched.readers), sum(reader.status == "active" for reader in touched.readers)
    told = f", {active:,} of them active" if active and count > 1 else ""
    # Those that go on come first: of a long list the end is left out.
    names = _listed([f"{one.name} ({one.status})" for one in sorted(touched.readers, key=lambda one: one.is_over)])
    reload = "; a full reload is needed afterwards" if touched.needs_reload else ""
    return f"read by {_counted(count, 'experiment')}{told}{names}{reload}"


def losses(touched: Touched) -> Iterator[str]:
    """A line for each experiment that uses what the change takes away."""
    found: list[Reader] = [one for one in touched.readers if one.broken]
    yield from (f"{one.name} loses {' and '.join(one.broken)}" for one in found[:MOST_NAMES])
    if len(found) > MOST_NAMES:
        yield f"and {len(found) - MOST_NAMES} more lose something"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f": {', '.join(names[:MOST_NAMES])}{more}" if names else ""
