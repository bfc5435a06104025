"""`statform plan`: the definitions against the state, shown, and kept for `apply` where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import planner
from planner.commands.common import Invocation
from planner.errors import DeletesRefused, Diagnostic
from planner.escape import escape
from planner.output import Comment, Terminal
from planner.render.no_changes import render_no_changes
from state.snapshot import Snapshot
from state.values import JSON, Address

if TYPE_CHECKING:
    from planner.apply.run import Run
    from planner.audit.drift import Drift, Remote
    from planner.audit.experiments import Touched
    from planner.definitions.project import Project
    from planner.plan.build import Plan
    from planner.plan.saved import Listed
    from planner.render.style import Style
    from state.runs import AtWork

Form = Literal["text", "json", "markdown", "summary"]


class _Made:
    """A plan, and the state that it starts from; `file` is the copy of the state that it is from, if it is from one.

    If a `run` looked at the remote, also what the state was `before`, what the look told, who reads what is `touched`,
    the `problems` that `apply` would refuse the plan for, and the `other_run` that may have changed what was listed.
    """

    before: Snapshot | None = None
    drifts: Sequence[Drift] = ()
    remote: Remote | None = None
    listed: Mapping[Address, Listed] | None = None
    run: Run | None = None
    touched: Sequence[Touched] = ()
    problems: Sequence[Diagnostic] = ()
    other_run: AtWork | None = None

    def __init__(self, plan: Plan, snapshot: Snapshot, file: str | None = None) -> None:
        self.plan, self.snapshot, self.file = plan, snapshot, file


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
    state_file: str | None = None,
) -> int:
    """Make the plan, show it and save it; the exit code. With `state_file` from this copy of the state."""
    if form == "markdown":
        _tell_comment(invocation)
    project = invocation.open_project()
    output, definitions = invocation.output, project.definitions
    output.show_warnings(definitions.confusable_names)
    if state_file is None:
        snapshot = invocation.read_state(project)
    else:
        snapshot = project.read_copy(state_file)
        output.warn_of_unresolved(snapshot)
    if refresh:
        run = invocation.start_run(base_url, project)
        made = _look(run, output, snapshot, targets, excludes, is_shown=form == "text", is_kept=out is not None)
    else:
        made = _Made(planner.build_plan(definitions, snapshot, targets, excludes), snapshot, state_file)
    output.warn_of_no_definitions(made.plan)
    if made.run:
        _ask_of_others(made.run, made, checks_experiments=checks_experiments)
    if invocation.is_in_workflow:
        _summarise(_comment(invocation, project, made))
    _show(invocation, project, made, form)
    if made.problems:
        output.show_problems(made.problems)
        if out is not None:
            output.say(f"{escape(out)} is not written: apply would refuse the plan.")
        return 1
    if out is not None:
        # With attrs, which a plan that nobody saves does without.
        from planner.files import write_output  # noqa: PLC0415
        from planner.plan.saved import save_plan  # noqa: PLC0415

        raw = save_plan(made.plan, definitions, base_url, targets, excludes, listed=made.listed)
        write_output("--out", out, raw.decode(), mode=0o600, replaces='{\n "digest": ')
        output.say(f"wrote {escape(out)}")
    return 2 if detailed_exitcode and made.plan.changes else 0


def _look(
    run: Run,
    output: Terminal,
    snapshot: Snapshot,
    targets: Sequence[str],
    excludes: Sequence[str],
    *,
    is_shown: bool,
    is_kept: bool,
) -> _Made:
    """The plan from the remote as it is. Who keeps it and applies it agrees to what it shows that others changed."""
    # A run, which a plan offline does without.
    from planner.apply.looks import read_late  # noqa: PLC0415
    from planner.apply.preview import preview  # noqa: PLC0415
    from planner.audit.drift import without_filled  # noqa: PLC0415
    from planner.commands.refresh import start_from_remote  # noqa: PLC0415

    with run.interrupts.caught():
        after, drifts, look = start_from_remote(run, output, snapshot, is_shown=is_shown)
    found = preview(
        run.definitions, snapshot, after, drifts, look, targets=targets, excludes=excludes, late=read_late(run)
    )
    made = _Made(found.plan if is_kept else found.marked, after)
    made.run, made.before, made.drifts = run, snapshot, without_filled(drifts)
    made.remote, made.listed = look.remote, found.listed
    made.problems = (*found.problems, *(() if is_kept else found.conflicts))
    if (other_run := run.find_at_work(snapshot)) is not None:
        from planner.render import at_work  # noqa: PLC0415 - hardly any plan is made meanwhile

        made.other_run = other_run
        output.warn(at_work.describe(other_run))
    return made


def _ask_of_others(run: Run, made: _Made, *, checks_experiments: bool) -> None:
    """What else the project has that the plan concerns: unit IDs, sources that nobody manages, experiments."""
    with run.interrupts.caught():
        run.warn_of_units(made.plan)
        run.warn_of_twins(made.plan, made.snapshot, made.remote or {})
        if checks_experiments:
            made.problems = (*made.problems, *_find_readers(run, made.plan))
            made.touched = _find_touched(run, made.plan)


def _find_touched(run: Run, plan: Plan) -> Sequence[Touched]:
    from planner.audit.experiments import changes_of_plan  # noqa: PLC0415 - attrs, which a plan offline does without

    return run.find_touched(changes_of_plan(plan))


def _find_readers(run: Run, plan: Plan) -> Iterator[Diagnostic]:
    """Why `apply` would refuse to delete."""
    from planner.apply.deletes import check_readers  # noqa: PLC0415 - a run, which a plan offline does without

    try:
        check_readers(run, plan)
    except DeletesRefused as error:
        # The last line tells that nothing was sent, which a plan never does.
        summary, *_, expected, _ = str(error).split("\n")
        yield Diagnostic(summary, expected)


def _tell_comment(invocation: Invocation) -> None:
    """Let errors be in the comment, too."""
    invocation.output = Comment(invocation.output, _marker(invocation))


def _marker(invocation: Invocation) -> str:
    from planner.render import plan_comment  # noqa: PLC0415 - most plans are for a terminal

    return plan_comment.marker(os.path.normpath(invocation.directory or "."), invocation.environment)


def _show(invocation: Invocation, project: Project, made: _Made, form: Form) -> None:
    output, plan = invocation.output, made.plan
    match form:
        case "text":
            output.out(_render(project, plan, output.out_style))
            if made.touched:
                from planner.render.touched import render_touched  # noqa: PLC0415 - only with --refresh

                output.out("\n" + render_touched(made.touched, output.out_style))
        case "summary":
            from planner.render import plan_text  # noqa: PLC0415 - most plans are shown in full

            output.out(plan_text.render_summary(plan, output.out_style))
        case "markdown":
            output.out(_comment(invocation, project, made))
        case "json":
            invocation.print_json(_for_tools(project, made))


def _render(project: Project, plan: Plan, style: Style) -> str:
    if not plan.changes:
        return render_no_changes(plan, style)
    # What shows changes, which most plans have none of.
    from planner import pacing  # noqa: PLC0415
    from planner.render.plan_text import render_plan  # noqa: PLC0415

    windows = project.definitions.settings.windows
    return render_plan(plan, style, pacing.duration_s(windows, (), 0.0, len(plan.requests)))


def _for_tools(project: Project, made: _Made) -> JSON:
    from planner.render import terraform  # noqa: PLC0415 - most plans are for people

    return terraform.plan_to_json(
        made.plan,
        project.definitions,
        made.snapshot,
        made.drifts,
        made.before,
        remote=made.remote,
        touched=made.touched,
        problems=made.problems,
        other_run=made.other_run,
    )


def _comment(invocation: Invocation, project: Project, made: _Made) -> str:
    from planner.apply.origin.git import find_commit  # noqa: PLC0415 - most plans are for a terminal
    from planner.render import plan_comment  # noqa: PLC0415 - most plans are for a terminal

    origin = plan_comment.describe_origin(
        made.plan,
        made.before or made.snapshot,
        os.path.basename(made.file) if made.file else _name_state(project),
        find_commit(project.directory, project.definitions.texts),
        is_refreshed=made.before is not None,
        other_run=made.other_run,
    )
    lines: Sequence[str] = ()
    if made.touched:
        from planner.render.touched import touched_to_markdown  # noqa: PLC0415 - only with --refresh

        lines = [*touched_to_markdown(made.touched)]
    text = plan_comment.plan_to_markdown(made.plan, made.drifts, origin=origin, touched=lines, problems=made.problems)
    return _marker(invocation) + text


def _name_state(project: Project) -> str:
    """The file's name, or the URL of a state that is shared."""
    where = str(project.place())
    return where if "://" in where else os.path.basename(where)


def _summarise(text: str) -> None:
    """Add to the summary of the workflow's job, where GitHub asks for one."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
