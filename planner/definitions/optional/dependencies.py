"""Checks that all that definitions depend on is defined, and can be put in an order."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Mapping, Sequence

from planner.definitions.addresses import parts
from planner.definitions.definition import Definition
from planner.definitions.tables import Tables
from state.values import Address


def check(
    resources: Mapping[Address, Definition],
    needed: Mapping[Address, tuple[str, Mapping[int, str]]],
    closest_to: Callable[[str], str],
    tables: Tables,
) -> None:
    """A finding for each dependency that is not defined, and for one cycle.

    `needed` has, for each address with `depends_on`, the file where it stands and what it lists, by index.
    """
    graph = {address: resources[address].depends_on for address in needed}
    for address, (file, listed) in needed.items():
        for index, other in listed.items():
            if other not in resources:
                expected = "an address that is defined" + closest_to(other)
                path = (*parts(address), "depends_on", index)
                summary = f'"{other}" is not defined'
                tables.add(path, summary, expected, at="value", address=address, field="depends_on", file=file)
    if graph and (cycle := _find_cycle(graph)):
        first, (file, _) = cycle[0], needed[cycle[0]]
        summary, expected = "a cycle of dependencies: " + " -> ".join(cycle), "dependencies without a cycle"
        tables.add(
            (*parts(first), "depends_on"), summary, expected, at="value", address=first, field="depends_on", file=file
        )


def _find_cycle(graph: Mapping[Address, Sequence[Address]]) -> Sequence[Address] | None:
    """One cycle: each address depends on the next, and the last is the first again. It starts with the least one, so
    that the message does not depend on the order of definition.
    """
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        # graphlib's cycle goes the other way, from what is needed to what needs it, and repeats the first at the end.
        cycle: list[Address] = error.args[1][:0:-1]
        start = cycle.index(min(cycle))
        return [*cycle[start:], *cycle[:start], cycle[start]]
    return None
