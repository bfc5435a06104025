"""The times over the number of resources, both axes logarithmic, as an SVG that is read on light and on dark."""

from __future__ import annotations

from typing import Any

import pygal  # type: ignore[import-untyped]
from pygal.style import Style  # type: ignore[import-untyped]
from results import FLOOR, PLAN, PLAN_CHANGED, TERRAFORM, TERRAFORM_CHANGED, Results

_LABELS = {TERRAFORM: "Terraform", PLAN: "statform", FLOOR: "floor", TERRAFORM_CHANGED: "", PLAN_CHANGED: ""}
# Each line's colour on light, and on dark.
_COLORS = {
    TERRAFORM: ("#7c3aed", "#a78bfa"),
    PLAN: ("#047857", "#34d399"),
    FLOOR: ("#6b7280", "#9ca3af"),
    TERRAFORM_CHANGED: ("#7c3aed", "#a78bfa"),
    PLAN_CHANGED: ("#047857", "#34d399"),
}
_TEXT = ("#1f2937", "#e5e7eb")
_SECONDS = {0.01: "10 ms", 0.1: "100 ms", 1.0: "1 s", 10.0: "10 s", 100.0: "100 s"}
_FONT = "system-ui, sans-serif"


def draw(results: Results) -> str:
    """A line for each work that is drawn, with its name at its end instead of a legend."""
    lines = {name: found for name in _LABELS if (found := _points(results, name))}
    chart = _chart(tuple(lines), tuple(results.sizes))
    for name, points in lines.items():
        stroke = {"width": 2, "dasharray": "3, 5"} if name in {TERRAFORM_CHANGED, PLAN_CHANGED} else {"width": 2}
        *most, last = points
        chart.add(name, [*most, {"value": last, "label": _LABELS[name]}], stroke_style=stroke)
    return str(chart.render(is_unicode=True))


def _points(results: Results, name: str) -> list[tuple[int, float]]:
    return [(n, found[name].wall_s) for n, found in results.sizes.items() if name in found]


def _chart(names: tuple[str, ...], sizes: tuple[int, ...]) -> Any:
    clear = "transparent"
    style = Style(
        background=clear,
        plot_background=clear,
        colors=tuple(_COLORS[name][0] for name in names),
        font_family=_FONT,
        title_font_size=18,
        label_font_size=14,
        major_label_font_size=14,
        # What pygal keeps the names away from their points by.
        value_font_size=6,
        value_label_font_size=15,
        stroke_width="2",
        stroke_opacity="1",
        opacity="1",
    )
    chart = pygal.XY(
        logarithmic=True,
        title="A plan, as a whole process (dashed: 10% changed)",
        x_title="resources",
        y_title="time",
        x_labels=[{"value": n, "label": f"{n:,}"} for n in sizes],
        y_labels=[{"value": s, "label": label} for s, label in _SECONDS.items()],
        # Room for the names, to the right of the last points.
        xrange=(min(sizes), max(sizes) * 5),
        range=(min(_SECONDS), max(_SECONDS) * 1.5),
        show_legend=False,
        print_labels=True,
        style=style,
        css=["file://style.css", "file://graph.css", f"inline:{_css(names)}"],
        js=(),
        height=500,
    )
    # Else it is another one in each run, and the file differs where nothing does.
    chart.uuid = "bench"
    chart.add_xml_filter(_without_script)
    return chart


def _css(names: tuple[str, ...]) -> str:
    """What pygal's style can't say: names beside their points, and the colours of a dark page."""
    light = "text.label { text-anchor: start !important; font-weight: 600; }"
    return f"{light} {_colors(names, 0)} @media (prefers-color-scheme: dark) {{ {_colors(names, 1)} }}"


def _colors(names: tuple[str, ...], scheme: int) -> str:
    text = _TEXT[scheme]
    rules = [
        f"text {{ fill: {text} !important; }}",
        f".guide.line, .axis .line {{ stroke: {text} !important; opacity: .3; }}",
    ]
    for index, name in enumerate(names):
        color = _COLORS[name][scheme]
        rules.append(f".color-{index} .line, .color-{index} circle {{ stroke: {color} !important; }}")
        rules.append(f".color-{index} circle, .color-{index} text {{ fill: {color} !important; }}")
    return " ".join(rules)


def _without_script(root: Any) -> Any:
    """Pygal's configuration of tooltips: nothing runs in a picture, and some pages refuse it."""
    for parent in list(root.iter()):
        for child in [c for c in parent if str(c.tag).endswith("script")]:
            parent.remove(child)
    return root
