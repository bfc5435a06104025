"""`[[removed]]`: addresses that are no longer defined, and whether their sources are deleted or only forgotten."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from planner.definitions.addresses import address_problems
from planner.definitions.fields import Path, type_name
from planner.definitions.problems import Finding, Findings
from state.values import Address

_EXPECTED = '{ from = "TYPE.KEY", delete = true }, or a table [[removed]] with from and delete'


def read_removed(
    entries: Mapping[str, object],
    defined: Collection[Address],
    moved: Mapping[Address, Address],
    findings: Findings,
) -> dict[Address, bool]:
    """Each address, and whether its source is deleted, in the order of the entries; adds what is wrong to `findings`.

    `entries` has those of each file. The environment's file comes last, because it wins.

    Raises:
        TooManyProblems: more is wrong than anybody reads.
    """
    removed: dict[Address, bool] = {}
    for file, listed in entries.items():
        removed |= _RemovalReader(file, defined, moved, findings).read(listed)
    return removed


class _RemovalReader:
    def __init__(
        self, file: str, defined: Collection[Address], moved: Mapping[Address, Address], findings: Findings
    ) -> None:
        self.file, self.defined, self.moved, self.findings = file, defined, moved, findings

    def read(self, entries: object) -> dict[Address, bool]:
        found: dict[Address, bool] = {}
        if not isinstance(entries, list):
            self._add((), f"{type_name(entries)} instead of a list of tables", _EXPECTED)
            return found
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict) or entry.keys() != {"from", "delete"}:
                self._add((index,), "not a removal", _EXPECTED)
            # Never guessed: the one value deletes a source, the other one keeps it.
            elif type(entry["delete"]) is not bool:
                summary = f"{type_name(entry['delete'])} instead of a boolean"
                self._add((index, "delete"), summary, "true: the source is deleted; false: it stays and is forgotten")
            elif problems := address_problems(entry["from"]):
                for problem in problems:
                    self._add((index, "from"), problem.summary, problem.expected)
            elif self._is_gone(index, Address(entry["from"]), found):
                found[Address(entry["from"])] = entry["delete"]
        return found

    def _is_gone(self, index: int, address: Address, found: Collection[Address]) -> bool:
        if address in self.defined:
            self._add((index, "from"), f"{address} is still defined", "an address that is no longer defined")
        elif address in self.moved:
            summary = f"{address} was moved to {self.moved[address]}"
            self._add((index, "from"), summary, "the last address that it had")
        elif address in found:
            self._add((index, "from"), f"{address} is in another removal already", "one removal for each address")
        else:
            return True
        return False

    def _add(self, path: Path, summary: str, expected: str) -> None:
        self.findings.add(Finding(self.file, ("removed", *path), summary, expected, "value"))
