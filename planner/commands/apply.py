"""`statform apply`: how an apply is called, watched and told of; what it does is in `planner.apply`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from planner import Options, Run, apply_definitions, process
from planner.commands.common import Invocation, load_plan
from planner.errors import UsageError
from planner.output import Events
from state.values import Address

if TYPE_CHECKING:
    from planner.commands.event_watcher import EventWatcher
    from planner.commands.terminal_watcher import TerminalWatcher

Watch: TypeAlias = "Callable[[Run], TerminalWatcher | EventWatcher]"
"""Who is told of a run, once there is one; what it writes to is chosen before."""


def apply(
    invocation: Invocation,
    *,
    saved: str | None,
    targets: Sequence[str],
    excludes: Sequence[str],
    max_changes: int | str | None,
    base_url: str,
    auto_approve: bool,
    dry_run: bool,
    checks_drift: bool,
    allow_deletes: int,
    checks_experiments: bool,
    overwrites: Sequence[str],
    is_json: bool,
) -> int:
    """Apply, with the plan in the file `saved` just that one; the exit code."""
    # Who made the plan and kept it has looked at it.
    is_approved = auto_approve or saved is not None
    if is_json:
        watch = _tell_tools(invocation, is_approved=is_approved, is_dry_run=dry_run)
    else:
        watch = _tell_people(invocation, is_approved=is_approved)
    plan = None if saved is None else load_plan(saved)
    run = invocation.start_run(base_url, is_dry_run=dry_run)
    options = Options(
        plan.targets if plan else targets,
        plan.excludes if plan else excludes,
        max_changes,
        checks_drift=checks_drift,
        checks_experiments=checks_experiments,
        overwrites=tuple(map(Address, overwrites)),
        expects=plan,
        # A question says what is deleted, and who made a plan and kept it has read that.
        allow_deletes=allow_deletes if auto_approve and plan is None else None,
    )
    watcher = watch(run)
    process.collect_garbage()
    with run.interrupts.caught():
        report = apply_definitions(run, options, watcher)
        watcher.report(report)
    return report.exit_code


def _tell_people(invocation: Invocation, *, is_approved: bool) -> Watch:
    from planner.commands.terminal_watcher import TerminalWatcher  # noqa: PLC0415 - a run has one of the two

    return lambda run: TerminalWatcher(run, invocation.output, is_approved)


def _tell_tools(invocation: Invocation, *, is_approved: bool, is_dry_run: bool) -> Watch:
    """Raises:
    UsageError: there is something to ask, and nobody to ask.
    """
    from planner.commands.event_watcher import EventWatcher  # noqa: PLC0415 - as above

    events = invocation.output = Events(is_dry_run=is_dry_run)
    if not is_approved and not is_dry_run:
        raise UsageError("--json can't ask for approval: use --auto-approve, or a saved plan")
    return lambda run: EventWatcher(run, events)
