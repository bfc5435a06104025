"""`statform show`: the state, or a saved plan."""

from __future__ import annotations

from planner.commands.common import Invocation, load_plan
from planner.render import plan_text, terraform
from planner.render import state as render


def show_state(invocation: Invocation, *, is_json: bool) -> int:
    """Show the state, resource by resource; the exit code."""
    snapshot, output = invocation.read_state(), invocation.output
    if is_json:
        invocation.print_json(terraform.state_to_json(snapshot))
    else:
        output.out(render.render_state(snapshot, output.out_style))
    return 0


def show_plan(invocation: Invocation, path: str, *, is_json: bool) -> int:
    """Show the plan that was saved in the file; the exit code.

    Raises:
        PlanRefused: the file has none, or for tools, one that these definitions and this state don't make.
    """
    if is_json:
        return _show_plan_for_tools(invocation, path)
    invocation.output.out(plan_text.render_plan(load_plan(path).plan, invocation.output.out_style))
    return 0


def _show_plan_for_tools(invocation: Invocation, path: str) -> int:
    """With all values of all sources, which are not in the file: so the plan is made again, as `apply` does it."""
    from planner.apply.checks.saved import adopted, drifts_of, make_again  # noqa: PLC0415 - attrs, which a look at the state needs not
    from planner.plan.saved import check_equal, check_origin  # noqa: PLC0415 - the same

    saved, project = load_plan(path), invocation.open_project()
    definitions, snapshot = project.definitions, project.read_state()
    check_origin(saved, snapshot, definitions, saved.base_url)
    plan, start = make_again(saved, definitions, snapshot, "")
    check_equal(saved, plan)
    drifts, before = drifts_of(saved, snapshot), None if saved.listed is None else snapshot
    remote = adopted(saved, snapshot)
    invocation.print_json(terraform.plan_to_json(plan, definitions, start, drifts, before, remote=remote))
    return 0
