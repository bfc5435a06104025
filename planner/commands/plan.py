"""`statform plan`: the definitions against the state, shown, and kept for `apply` where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import planner
from planner import pacing
from planner.commands.common import Invocation
from planner.escape import escape
from planner.files import write_output
from planner.render import plan_text
from state.snapshot import Snapshot

if TYPE_CHECKING:
    from planner.apply.run import Run
    from planner.audit.drift import Drift
    from planner.audit.experiments import Touched
    from planner.definitions.project import Project
    from planner.plan.build import Plan

Form = Literal["text", "json", "markdown", "summary"]


class _Start(NamedTuple):
    """The state that a plan starts from; if a `run` took drifts over, what it was `before`. `touched`: who reads it."""

    snapshot: Snapshot
    before: Snapshot | None = None
    drifts: Sequence[Drift] = ()
    run: Run | None = None
    touched: Sequence[Touched] = ()


def plan(
    invocation: Invocation,
    *,
    targets: Sequence[str],
    excludes: Sequence[str],
    out: str | None,
    form: Form,
    base_url: str,
    detailed_exitcode: bool,
    refresh: bool,
    checks_experiments: bool,
) -> int:
    """Make the plan, show it and save it; the exit code."""
    if form == "markdown":
        _tell_comment(invocation)
    project = invocation.open_project()
    definitions = project.definitions
    invocation.output.show_warnings(definitions.confusable_names)
    start = _start(invocation, project, base_url if refresh else None, is_shown=form == "text")
    plan = planner.build_plan(definitions, start.snapshot, targets, excludes)
    invocation.output.warn_of_no_definitions(plan)
    if start.run:
        start.run.warn_of_units(plan)
    if start.run and checks_experiments:
        start = start._replace(touched=_find_touched(start.run, plan))
    if invocation.is_in_workflow:
        _summarise(_comment(invocation, project, plan, start))
    _show(invocation, plan, project, start, form)
    if out is not None:
        from planner.plan.saved import save_plan  # noqa: PLC0415 - attrs, which a plan that nobody saves does without

        write_output("--out", out, save_plan(plan, definitions, base_url, targets, excludes).decode(), mode=0o600)
        invocation.output.say(f"wrote {escape(out)}")
    return 2 if detailed_exitcode and plan.changes else 0


def _start(invocation: Invocation, project: Project, base_url: str | None, *, is_shown: bool) -> _Start:
    snapshot = project.read_state()
    invocation.output.warn_of_unresolved(snapshot)
    if base_url is None:
        return _Start(snapshot)
    from planner.commands.refresh import start_from_remote  # noqa: PLC0415 - a run, which a plan offline does without

    run = invocation.start_run(base_url, project)
    after, drifts = start_from_remote(run, invocation.output, snapshot, is_shown=is_shown)
    return _Start(after, snapshot, drifts, run)


def _find_touched(run: Run, plan: Plan) -> Sequence[Touched]:
    from planner.audit.experiments import changes_of_plan  # noqa: PLC0415 - attrs, which a plan offline does without

    return run.find_touched(changes_of_plan(plan))


def _tell_comment(invocation: Invocation) -> None:
    """Let errors be in the comment, too."""
    from planner.output import Comment  # noqa: PLC0415 - most plans are for a terminal

    invocation.output = Comment(invocation.output, _marker(invocation))


def _marker(invocation: Invocation) -> str:
    from planner.render import plan_comment  # noqa: PLC0415 - most plans are for a terminal

    return plan_comment.marker(os.path.normpath(invocation.directory or "."), invocation.environment)


def _show(invocation: Invocation, plan: Plan, project: Project, start: _Start, form: Form) -> None:
    output, definitions = invocation.output, project.definitions
    match form:
        case "text":
            seconds = pacing.duration_s(definitions.settings.windows, (), 0.0, len(plan.requests))
            output.out(plan_text.render_plan(plan, output.out_style, seconds))
            if start.touched:
                from planner.render.touched import render_touched  # noqa: PLC0415 - only with --refresh

                output.out("\n" + render_touched(start.touched, output.out_style))
        case "summary":
            output.out(plan_text.render_summary(plan, output.out_style))
        case "markdown":
            output.out(_comment(invocation, project, plan, start))
        case "json":
            from planner.render import terraform  # noqa: PLC0415 - most plans are for people

            invocation.print_json(
                terraform.plan_to_json(
                    plan, definitions, start.snapshot, start.drifts, start.before, touched=start.touched
                )
            )


def _comment(invocation: Invocation, project: Project, plan: Plan, start: _Start) -> str:
    from planner.apply.git import find_commit  # noqa: PLC0415 - most plans are for a terminal
    from planner.render import plan_comment  # noqa: PLC0415 - most plans are for a terminal

    origin = plan_comment.describe_origin(
        plan,
        start.before or start.snapshot,
        os.path.basename(project.state_path),
        find_commit(project.directory, project.definitions.texts),
        is_refreshed=start.before is not None,
    )
    lines: Sequence[str] = ()
    if start.touched:
        from planner.render.touched import touched_to_markdown  # noqa: PLC0415 - only with --refresh

        lines = [*touched_to_markdown(start.touched)]
    return _marker(invocation) + plan_comment.plan_to_markdown(plan, start.drifts, origin=origin, touched=lines)


def _summarise(text: str) -> None:
    """Add to the summary of the workflow's job, where GitHub asks for one."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
