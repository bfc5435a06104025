"""Notes about a plan, besides its actions, as texts for a terminal and for a comment.

A text of several lines has indented ones, which are there to be copied.
"""

from __future__ import annotations

from collections.abc import Callable

from planner.definitions.fields import Call
from planner.escape import escape, format_value
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT
from planner.plural import changed_by_others
from state.advice import advise
from state.values import Address

_MAX_SHOWN = 10


def format_notes(plan: Plan, quote: Callable[[str], str] = escape) -> list[str]:
    """The notes that a person needs before the plan is applied, each a text; its indented lines are there to be copied.

    `quote` shows what is not ours, and what is to be copied.
    """
    moves = (_move(plan, old, new, quote) for old, new in plan.likely_moves if (old, new) not in plan.twins)
    twins = (_twin(old, new, quote) for old, new in plan.twins)
    own = (_full(plan), _unknown_values(plan, quote), _unconfirmed(plan, quote), format_left_unconfirmed(plan, quote))
    return [text for text in (*moves, *twins, *own) if text]


def _move(plan: Plan, old: Address, new: Address, quote: Callable[[str], str]) -> str:
    names = {action.address: action.name for action in plan.actions}
    lines = [
        f"If {quote(new)} is the same source as {quote(old)}, add this to statform.toml before you apply:",
        *_entry("moved", quote, **{"from": old, "to": new}),
    ]
    if names[old] != names[new]:
        lines += [
            "And add this line to its own table, to keep its remote name:",
            f"  {quote(f'name = {format_value(names[old])}')}",
        ]
    return "\n".join(lines)


def _twin(old: Address, new: Address, quote: Callable[[str], str]) -> str:
    first = (
        f"apply refuses this plan: {quote(new)} would be created with the query and the columns of {quote(old)}, "
        "which is forgotten. If it is the same source, add this to statform.toml:"
    )
    moved, removed = (_entry(table, quote, **{"from": old}) for table in ("moved", "removed"))
    moved.append(f"  {quote(f'to = {format_value(new)}')}")
    return "\n".join([first, *moved, "If you want both:", *removed, f"  {quote('delete = false')}"])


def _entry(table: str, quote: Callable[[str], str], **values: str) -> list[str]:
    lines = [f"[[{table}]]", *(f"{key} = {format_value(value)}" for key, value in values.items())]
    return [f"  {quote(line)}" for line in lines]


def _full(plan: Plan) -> str:
    """What a full update may cost, or nothing."""
    if all(request.call is not Call.FULL for request in plan.requests):
        return ""
    return (
        "A full update replaces the whole source: settings that the API does not show, such as a loading window or "
        "reviewers, may be reset."
    )


def _unknown_values(plan: Plan, quote: Callable[[str], str]) -> str:
    """That nobody has looked at what is adopted, or nothing."""
    unseen = sum(one.verb is verbs.ADOPT and bool(one.changes) and not one.is_seen for one in plan.actions)
    if not unseen:
        return ""
    return f"{unseen} to adopt: old values unknown; {_advise(plan, quote, 'plan', '--refresh')} shows them."


def _advise(plan: Plan, quote: Callable[[str], str], *words: str) -> str:
    """The command within a sentence."""
    shown = quote(advise(*words, environment=plan.environment))
    return shown if shown.startswith("`") else f"`{shown}`"


def _unconfirmed(plan: Plan, quote: Callable[[str], str]) -> str:
    """What to do about what somebody else changed, or nothing."""
    found = [action.address for action in plan.actions for one in action.changes if one.unconfirmed is not ABSENT]
    if not found:
        return ""
    address = found[0] if len({*found}) == 1 else "ADDRESS"
    ways = (("refresh", "--write"), ("refresh", address), ("apply", "--overwrite", address))
    write, take, undo = (f"  {quote(advise(*words, environment=plan.environment))}" for words in ways)
    return "\n".join(
        [
            f"{changed_by_others(len(found))}, and nobody has agreed to that. apply undoes it only if you ask.",
            "Accept the change in the definitions:",
            write,
            "or accept it in the state, so that the next plan undoes it:",
            take,
            "or undo it now:",
            undo,
        ]
    )


def format_left_unconfirmed(plan: Plan, quote: Callable[[str], str] = escape) -> str:
    """What somebody else changed and the plan leaves so, or nothing."""
    if not plan.unconfirmed:
        return ""
    shown = [f"  {quote(address + ': ' + ', '.join(fields))}" for address, fields in plan.unconfirmed[:_MAX_SHOWN]]
    if len(plan.unconfirmed) > _MAX_SHOWN:
        shown.append(f"  and {len(plan.unconfirmed) - _MAX_SHOWN} more")
    command = _advise(plan, quote, "refresh")
    first = f"Somebody else changed these fields, and this plan does not touch them. {command} accepts the changes:"
    return "\n".join([first, *shown])


def format_removal(plan: Plan) -> str:
    """How to delete what would only be forgotten; not of what is to be kept, or may be there under another address."""
    spared = {*plan.kept, *(old for old, _ in (*plan.likely_moves, *plan.twins))}
    forgotten = [a.address for a in plan.actions if a.verb is verbs.FORGET and a.address not in spared]
    if not forgotten:
        return ""
    entry = "\n".join(_entry("removed", escape, **{"from": forgotten[0]}))
    return f"To delete a source instead of only forgetting it, add this to statform.toml:\n{entry}\n  delete = true"


def format_limit(plan: Plan) -> str:
    """What is said of a plan that is over the project's limit; nothing of one that is not."""
    if not plan.is_over_limit:
        return ""
    return (
        f"This plan changes {len(plan.changes)} of {plan.managed} managed resources, and max_changes is "
        f"{plan.max_changes}: apply refuses it without --max-changes {len(plan.changes)}."
    )


def format_counts(plan: Plan) -> str:
    """How many addresses the plan does what to; of a verb that no address has, nothing."""
    counted = [f"{count} {verb.to_do}" for verb, count in plan.counts.items()]
    if moved := sum(action.moved_from is not None for action in plan.actions):
        counted.append(f"{moved} moved")
    return ", ".join(counted)


def format_left_out(plan: Plan) -> str:
    """That the plan is a partial one, in a line; nothing if it is whole."""
    if not plan.left_out:
        return ""
    return f"This plan is partial: --target and --exclude leave out {plan.left_out:,} of {plan.managed:,} addresses.\n"
