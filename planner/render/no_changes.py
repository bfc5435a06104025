"""A plan that changes nothing, as a person reads it at a terminal: most plans are one, and load no more than this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.escape import escape
from planner.render.style import Style

if TYPE_CHECKING:
    from planner.plan.build import Plan


def format_where(plan: Plan) -> str:
    """The environment that the plan is for, within a sentence; nothing if it is for none."""
    return f" in the environment {escape(plan.environment)}" if plan.environment else ""


def render_no_changes(plan: Plan, style: Style) -> str:
    """That nothing changes, what the plan leaves out, and what it leaves as somebody else changed it."""
    text = f"{style.bold('No changes.')} The state matches the definitions{format_where(plan)}.\n"
    if plan.left_out or plan.unconfirmed:
        from planner.render.plan_notes import format_left_out, format_left_unconfirmed  # noqa: PLC0415 - as above

        left = format_left_unconfirmed(plan)
        text += format_left_out(plan) + (f"\n{left}\n" if left else "")
    return style.wrap_lines(text)
