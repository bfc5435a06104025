"""`[[moved]]` of `statform.toml`: addresses that were changed, so that the state moves along with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from planner.definitions.addresses import address_problems, parts
from planner.definitions.fields import Path, Problem, type_name
from planner.definitions.problems import Finding, Findings
from planner.definitions.settings import SETTINGS_FILE
from state.values import Address

_EXPECTED = '{ from = "TYPE.OLD", to = "TYPE.NEW" }, or a table [[moved]] with from and to'


def read_moved(entries: object, defined: Collection[Address], findings: Findings) -> dict[Address, Address]:
    """Old addresses of resources -> their next ones, without a cycle; adds what is wrong with `entries` to `findings`.

    Raises:
        TooManyProblems: more is wrong than anybody reads.
    """
    moved: dict[Address, Address] = {}
    taken: set[Address] = set()
    if not isinstance(entries, list):
        _add(findings, (), f"{type_name(entries)} instead of a list of tables", _EXPECTED)
        return moved
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or entry.keys() != {"from", "to"}:
            _add(findings, (index,), "not a move", _EXPECTED)
        elif all(_is_address(entry[key], (index, key), findings) for key in ("from", "to")):
            old, new = Address(entry["from"]), Address(entry["to"])
            if problem := _find_problem(old, new, moved, taken, defined):
                _add(findings, (index, *problem.path), problem.summary, problem.expected)
            else:
                moved[old] = new
                taken.add(new)
    if cyclic := _find_in_cycle(moved):
        _add(findings, (), f"a cycle of moves through {cyclic}", "moves without a cycle")
        return {}
    return moved


def _is_address(value: object, path: Path, findings: Findings) -> bool:
    problems = address_problems(value)
    for problem in problems:
        _add(findings, path, problem.summary, problem.expected)
    return not problems


def _find_problem(
    old: Address, new: Address, moved: Collection[Address], taken: Collection[Address], defined: Collection[Address]
) -> Problem | None:
    if parts(old)[0] != parts(new)[0]:
        return Problem(("to",), f"{new} is of another type than {old}", "an address of the same type")
    if old in defined:
        return Problem(("from",), f"{old} is still defined", "an address that is no longer defined")
    # Otherwise two resources would have one address, or one resource two.
    if old in moved or new in taken:
        return Problem((), f"{old if old in moved else new} is in another move already", "one move for each address")
    return None


def _find_in_cycle(moved: Mapping[Address, Address]) -> Address | None:
    """The first address that moves lead back to."""
    seen: set[Address] = set()
    for first in moved:
        if first in seen:
            continue
        at = first
        while at in moved and at not in seen:
            seen.add(at)
            at = moved[at]
        # No two moves lead to the same address. So a walk that comes to an address again comes back to its start.
        if at == first:
            return first
    return None


def _add(findings: Findings, path: Path, summary: str, expected: str) -> None:
    findings.add(Finding(SETTINGS_FILE, ("moved", *path), summary, expected, "value"))
