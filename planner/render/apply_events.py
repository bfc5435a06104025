"""A run as tools follow it: an event a line, in the manner of `terraform apply -json`.

https://developer.hashicorp.com/terraform/internals/machine-readable-ui, format 1.2. What is statform's alone is under
the key `statform`, and so is the last event of every run, the `report`. A dry run changes nothing: it has
`dry_run_start` and the like where an apply has `apply_start`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, get_args

from planner.apply.report import Done, Report, Sending, Waiting
from planner.audit.experiments import Touched
from planner.console.outcomes import outcome_word
from planner.definitions.addresses import parts
from planner.errors import DefinitionError, Diagnostic, PlanError, PlannerError, RemoteChanged
from planner.escape import as_json, escape
from planner.plan.build import Plan
from planner.plan.diff import Action
from planner.plan.verbs import VERBS, TerraformTotal, Verb, count_verbs
from planner.render import apply_text, terraform
from planner.render.style import Style
from planner.render.touched import describe, touched_to_json
from planner.version import __version__
from state.errors import StateError
from state.records import Applied, Outcome, Rejected, Resolved, Unknown, to_json
from state.values import JSON, Address

FORMAT_VERSION = "1.0"
UI_VERSION = "1.2"
EventDict: TypeAlias = dict[str, JSON]


def event_to_line(event: EventDict, at: str) -> str:
    """The event as a line, in ASCII."""
    return as_json({**event, "@timestamp": at}) + "\n"


def version() -> EventDict:
    """The first event."""
    own: EventDict = {"version": __version__, "format_version": FORMAT_VERSION}
    theirs: EventDict = {"terraform": terraform.TERRAFORM_VERSION, "ui": UI_VERSION}
    return _event("version", f"statform {__version__}", **theirs, statform=own)


def log(text: str) -> EventDict:
    """What a person would read on stderr, such as progress."""
    return _event("log", text)


def touched_to_event(touched: Touched) -> EventDict:
    """Who reads a source that is going to be changed."""
    message = f"{escape(touched.change.address)}: {escape(describe(touched))}"
    return _event("log", message, statform={"touched": touched_to_json([touched])})


def plan_to_events(plan: Plan, seconds: float) -> Iterator[EventDict]:
    """What the run is going to do; its requests take `seconds` at least."""
    for action in plan.changes:
        yield _planned_change(action)
    counts: EventDict = {verb.word: plan.counts[verb] for verb in VERBS}
    start: EventDict = {"lineage": plan.lineage, "serial": plan.serial, "head": plan.head, "digest": plan.digest}
    own: EventDict = {**start, "environment": plan.environment, "counts": counts, "requests": len(plan.requests)}
    own |= {"least_seconds": round(seconds, 3), "over_max_changes": plan.is_over_limit}
    if plan.left_out:
        own["left_out"] = plan.left_out
    yield _change_summary("plan", plan.counts, **own)


def _planned_change(action: Action) -> EventDict:
    change: EventDict = {"resource": _resource(action.address), "action": action.verb.terraform_event}
    if action.moved_from is not None:
        change["previous_resource"] = _resource(action.moved_from)
    if "import" in action.verb.terraform_totals:
        change["importing"] = {"id": action.name}
    message = f"{escape(action.address)}: Plan to {action.verb.listed_as}"
    return _event("planned_change", message, change=change, statform=terraform.own_words(action))


def _change_summary(operation: Literal["plan", "apply"], counts: Counter[Verb], /, **own: JSON) -> EventDict:
    """Terraform's totals, in which one address can count twice: an adopted source is imported and changed.

    Its texts are Terraform's to the letter, since there are tools that read them.
    """
    # An address counts in each total of its verb; in Terraform too, an import that changes is both.
    totals: Counter[str] = Counter()
    for verb, count in counts.items():
        totals.update(dict.fromkeys(verb.terraform_totals, count))
    added, changed, imported, removed = (totals[total] for total in get_args(TerraformTotal))
    if operation == "plan":
        import_ = f"{imported} to import, " if imported else ""
        message = f"Plan: {import_}{added} to add, {changed} to change, {removed} to destroy."
    else:
        import_ = f"{imported} imported, " if imported else ""
        message = f"Apply complete! Resources: {import_}{added} added, {changed} changed, {removed} destroyed."
    changes: EventDict = {
        "add": added,
        "change": changed,
        "import": imported,
        "remove": removed,
        "operation": operation,
    }
    return _event("change_summary", message, changes=changes, **({"statform": own} if own else {}))


def step_to_event(
    what: Literal["start", "progress", "complete", "errored"],
    action: Action,
    event: Sending | Done | Waiting,
    elapsed_s: float,
    *,
    is_dry_run: bool,
) -> EventDict:
    """What happens to one address, `elapsed_s` after it began."""
    message = apply_text.format_event(event, {action.address: action.verb}, Style(), is_dry_run=is_dry_run)
    match event:
        case Sending(number=number, total=total):
            own: EventDict = {"request": number, "requests": total}
        case Waiting(seconds=seconds, why=why):
            message = f"{escape(action.address)}: {message}"
            own = {"waiting_seconds": round(seconds, 3), "reason": why}
        case Done(outcome=outcome):
            own = {"outcome": "accepted"} if is_dry_run and isinstance(outcome, Applied) else _outcome(outcome)
    return _hook(what, action, message, elapsed_s, is_dry_run=is_dry_run, **own)


def errored_to_event(action: Action, report: Report, elapsed_s: float, *, is_dry_run: bool) -> EventDict:
    """What became of an address that had begun when the run ended."""
    fate, why = next(
        (
            (fate, which[action.address])
            for fate, which in apply_text.list_not_applied(report).items()
            if action.address in which
        )
    )
    message = f"{escape(action.address)}: {fate}, {escape(why)}"
    return _hook("errored", action, message, elapsed_s, is_dry_run=is_dry_run, outcome=fate, reason=why)


def _outcome(outcome: Outcome | Resolved) -> EventDict:
    found: EventDict = {"outcome": outcome_word(outcome)}
    match outcome:
        case Rejected(status=status, message=message):
            # The status stands by itself here, and not before the message.
            found |= {"status": status, "reason": message}
        case Unknown(reason=reason):
            found["reason"] = reason
        case _:
            pass
    return found


def _hook(what: str, action: Action, message: str, elapsed_s: float, *, is_dry_run: bool, **own: JSON) -> EventDict:
    name = action.new_name if what == "complete" else None
    found: EventDict = {"resource": _resource(action.address), "action": action.verb.terraform_event}
    if what in {"start", "complete"}:
        found |= {"id_key": "name", "id_value": name or action.name}
    if what != "start":
        found["elapsed_seconds"] = round(elapsed_s)
    type_ = f"{'dry_run' if is_dry_run else 'apply'}_{what}"
    return _event(type_, message, hook=found, statform={"verb": action.verb.word, **own})


def error_to_events(error: PlannerError | StateError) -> Iterator[EventDict]:
    """An error, or each of the problems that it has."""
    if isinstance(error, DefinitionError | PlanError | RemoteChanged):
        for one in error.diagnostics:
            yield _diagnostic(one.summary, terraform.diagnostic_to_json(one))
    else:
        summary, _, detail = str(error).partition("\n")
        yield _diagnostic(summary, {"severity": "error", "summary": summary, "detail": detail})


def warning(summary: str) -> EventDict:
    """A diagnostic of the severity `warning`, without a place."""
    found: EventDict = {"severity": "warning", "summary": summary, "detail": ""}
    return _event("diagnostic", f"Warning: {escape(summary)}", "warn", diagnostic=found)


def _diagnostic(summary: str, diagnostic: EventDict) -> EventDict:
    return _event("diagnostic", f"Error: {escape(summary)}", "error", diagnostic=diagnostic)


def failures_to_events(report: Report) -> Iterator[EventDict]:
    """A diagnostic for each address that failed by itself."""
    for fate, which in apply_text.list_not_applied(report).items():
        if fate in {"rejected", "unknown", "not accepted"}:
            for address, why in which.items():
                summary = f"{address}: {fate}"
                found = terraform.diagnostic_to_json(Diagnostic(summary, "", address=address))
                yield _diagnostic(summary, {**found, "detail": why})


def report_to_events(report: Report, *, is_dry_run: bool) -> Iterator[EventDict]:
    """The end of a run: Terraform's summary when all was applied, and always what became of each address, and why."""
    # Readers take Terraform's "Apply complete!" for a success: nothing else may have it.
    if report.exit_code == 0 and not is_dry_run:
        yield _change_summary("apply", count_verbs(action.verb for action in report.applied))
    found: EventDict = {"exit_code": report.exit_code, "complete": report.is_complete, "dry_run": is_dry_run}
    found["applied"] = [_applied(action) for action in report.applied]
    for fate, which in apply_text.list_not_applied(report).items():
        found[fate.replace(" ", "_")] = _reasons(which)
    found["unstored"] = None if report.unstored is None else to_json(report.unstored)
    message = apply_text.format_report(report, Style(), is_dry_run=is_dry_run).split("\n")[0]
    yield _event("report", message, "error" if report.exit_code else "info", statform=found)


def _applied(action: Action) -> JSON:
    found: EventDict = {"address": action.address, "verb": action.verb.word, "name": action.new_name or action.name}
    return found if action.moved_from is None else {**found, "moved_from": action.moved_from}


def _reasons(which: Mapping[Address, str]) -> JSON:
    return [{"address": address, "reason": why} for address, why in which.items()]


def _resource(address: Address) -> JSON:
    type_name, key = parts(address)
    place: EventDict = {"addr": address, "module": "", "resource": address, "implied_provider": terraform.PROVIDER}
    return {**place, "resource_type": type_name, "resource_name": key, "resource_key": None}


def _event(type_: str, message: str, level: Literal["info", "warn", "error"] = "info", /, **payload: JSON) -> EventDict:
    return {"@level": level, "@message": message, "@module": "statform.ui", "type": type_, **payload}
