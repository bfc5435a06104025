"""Reasons against a delete before anybody is asked: too many deletes, and whatever reads the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from planner.apply.run import Run
from planner.audit.experiments import Change, find_touched
from planner.errors import DeletesRefused, KeyRefused, NotFound
from planner.escape import escape, format_name
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import Action

_MAX_SHOWN = 10
_SKIP = "With --no-check-experiments only the API checks this.\nNothing was sent."


def check_deletes_allowed(plan: Plan, allowed: int | None) -> None:
    """Refuse to delete more than `allowed` sources; None: somebody has looked at the plan, or will be asked.

    Raises:
        DeletesRefused: it would.
    """
    count = plan.counts[verbs.DELETE]
    if allowed is not None and count > allowed:
        text = f"{count} source{'s' * (count > 1)} would be DELETED, and --auto-approve needs --allow-deletes {count}"
        raise DeletesRefused(f"{text} for that\nNothing was sent.")


def check_readers(run: Run, plan: Plan) -> None:
    """Refuse to delete what something reads: experiments that are not over, and metrics.

    The API has its own check, but it is not documented what it covers.

    Raises:
        DeletesRefused: something does, or that is unknown.
        ApiError: they can't be listed.
    """
    untold = dict.fromkeys(action.type.name for action in plan.actions if _is_untold(action))
    for type_name in untold:
        run.output.say(f"The API has no list of what reads a {type_name}. Only the API itself can refuse the delete.")
    for action in plan.actions:
        if action.verb is verbs.DELETE and (readers := [*_readers(run, action)]):
            shown = ", ".join(readers[:_MAX_SHOWN])
            more = f" and {len(readers) - _MAX_SHOWN} more" if len(readers) > _MAX_SHOWN else ""
            what = "metric" if action.type.metrics_path is not None else "experiment"
            count = f"{len(readers)} {what}{'s' * (len(readers) > 1)}"
            text = f"{escape(action.address)}: {format_name(action.name)} is read by {count}: {shown}{more}"
            raise DeletesRefused(f"{text}\nMake them read another source, or archive them. {_SKIP}")


def _is_untold(action: Action) -> bool:
    return action.verb is verbs.DELETE and not action.type.read_by and action.type.metrics_path is None


def _readers(run: Run, action: Action) -> Iterator[str]:
    """Those that read the source, as they are shown.

    Raises:
        DeletesRefused: it is unknown what reads it.
    """
    type_, name = action.type, action.name
    try:
        metrics: Sequence[str] = run.connect().list_metrics(type_, name) if type_.metrics_path is not None else ()
        experiments = run.list_experiments() if type_.read_by else ()
    except NotFound:
        # The source no longer exists, or this server does not list it: the API's own check decides.
        return
    except KeyRefused as error:
        what = "experiments" if type_.read_by else "metrics"
        text = f"can't find out which {what} read the sources to delete: {error}"
        raise DeletesRefused(f"{text}\nUse a key that may list {what}. {_SKIP}") from None
    yield from map(escape, metrics)
    if type_.read_by:
        touched = find_touched(Change(action.address, type_, name), experiments)
        if touched.problem is not None:
            raise DeletesRefused(f"{escape(action.address)}: it is unknown what reads it: {touched.problem}\n{_SKIP}")
        yield from (f"{escape(one.name)} ({escape(one.status)})" for one in touched.readers if not one.is_over)
