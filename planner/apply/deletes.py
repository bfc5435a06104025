"""Reasons against a delete: too many before anybody is asked, and whatever reads the source, until it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from attrs import define

from planner.apply.run import Run
from planner.apply.sending.sight import MAX_AGE_BEFORE_ALL_S
from planner.audit.experiments import Change, find_touched
from planner.errors import DeletesRefused, KeyRefused, NotFound
from planner.escape import escape, format_name
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import Action
from planner.plural import counted

_MAX_SHOWN = 10
_ARCHIVE = "Make them read another source, or archive them."
_SKIP = "With --no-check-experiments only the API checks this.\nNothing was sent."


def check_deletes_allowed(plan: Plan, allowed: int | None) -> None:
    """Refuse to delete more than `allowed` sources; None: somebody has looked at the plan, or will be asked.

    Raises:
        DeletesRefused: it would.
    """
    count = plan.counts[verbs.DELETE]
    if allowed is not None and count > allowed:
        text = f"{counted(count, 'source')} would be DELETED, and --auto-approve needs --allow-deletes {count}"
        raise DeletesRefused(f"{text} for that\nNothing was sent.")


class _Problem(NamedTuple):
    """Why a source can't be deleted, and what to do about it."""

    text: str
    hint: str = ""


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
    _refuse_read(run, plan, None)


@define(eq=False, repr=False)
class Readers:
    """What reads the sources to delete: known for as long as a delete may go by what was seen, then asked again."""

    run: Run
    _at: float = float("-inf")

    def check(self, plan: Plan) -> None:
        """As `check_readers`."""
        check_readers(self.run, plan)
        self._at = self.run.clock.monotonic()

    def check_again(self, plan: Plan) -> None:
        """As `check`, after an approval that took long."""
        _refuse_read(self.run, plan, MAX_AGE_BEFORE_ALL_S)
        self._at = self.run.clock.monotonic()

    def why_kept(self, action: Action) -> str | None:
        """Why the source is not to be deleted after all; None if nothing reads it.

        Raises:
            ApiError: what reads it can't be listed.
        """
        if self.run.clock.monotonic() - self._at <= MAX_AGE_BEFORE_ALL_S:
            return None
        try:
            problem = _find_problem(self.run, action, MAX_AGE_BEFORE_ALL_S)
        except KeyRefused as error:
            return f"{_tell_refused(action, error)}: nothing was sent"
        return f"{problem.text}: nothing was sent" if problem else None


def _refuse_read(run: Run, plan: Plan, max_age_s: float | None) -> None:
    problems: list[tuple[Action, _Problem]] = []
    for action in (one for one in plan.actions if one.verb is verbs.DELETE):
        try:
            problem = _find_problem(run, action, max_age_s)
        except KeyRefused as error:
            hint = f"Use a key that may list {_kind_of_readers(action)}."
            raise DeletesRefused(f"{_tell_refused(action, error)}\n{hint} {_SKIP}") from None
        if problem is not None:
            problems.append((action, problem))
    if problems:
        texts = [f"{escape(action.address)}: {problem.text}" for action, problem in problems]
        more = [f"and {len(texts) - _MAX_SHOWN} more sources"] if len(texts) > _MAX_SHOWN else []
        hints = dict.fromkeys(problem.hint for _, problem in problems if problem.hint)
        raise DeletesRefused("\n".join([*texts[:_MAX_SHOWN], *more, " ".join([*hints, _SKIP])]))


def _is_untold(action: Action) -> bool:
    return action.verb is verbs.DELETE and not action.type.read_by and action.type.metrics_path is None


def _find_problem(run: Run, action: Action, max_age_s: float | None) -> _Problem | None:
    """What reads the source, or why that is unknown; the experiments were listed at most `max_age_s` ago.

    Raises:
        ApiError: what reads it can't be listed; `KeyRefused` if the key may not.
    """
    type_ = action.type
    try:
        metrics: Sequence[str] = run.connect().list_metrics(type_, action.name) if type_.metrics_path else ()
        experiments = run.list_experiments(max_age_s) if type_.read_by else ()
    except NotFound:
        # The source no longer exists, or this server does not list it: the API's own check decides.
        return None
    touched = find_touched(Change(action.address, type_, action.name), experiments)
    if type_.read_by and touched.problem is not None:
        return _Problem(f"it is unknown what reads it: {touched.problem}")
    over = (f"{escape(one.name)} ({escape(one.status)})" for one in touched.readers if not one.is_over)
    readers = [*map(escape, metrics), *over]
    return _Problem(_tell_readers(action, readers), _ARCHIVE) if readers else None


def _tell_readers(action: Action, readers: Sequence[str]) -> str:
    shown = ", ".join(readers[:_MAX_SHOWN])
    more = f" and {len(readers) - _MAX_SHOWN} more" if len(readers) > _MAX_SHOWN else ""
    what = "metric" if action.type.metrics_path is not None else "experiment"
    count = counted(len(readers), what)
    return f"{format_name(action.name)} is read by {count}: {shown}{more}"


def _kind_of_readers(action: Action) -> str:
    return "experiments" if action.type.read_by else "metrics"


def _tell_refused(action: Action, error: KeyRefused) -> str:
    return f"can't find out which {_kind_of_readers(action)} read the sources to delete: {error}"
