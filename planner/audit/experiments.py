"""Which experiments read a source, as the project's list of experiments tells it.

Pure: `client` lists the experiments. An experiment names its sources in several fields, of which any may be absent;
the row of a type says in which.
"""

from __future__ import annotations

from collections.abc import Iterator

from planner.definitions.resources import ResourceType
from state.values import JSON, Object


def names_read(experiment: Object, type_: ResourceType) -> frozenset[str]:
    """The names of the sources of a type that an experiment reads."""
    found = (value for path in type_.read_by for value in _at(experiment, path.split(".")))
    return frozenset(value for value in found if isinstance(value, str))


def _at(value: JSON | Object, path: list[str]) -> Iterator[JSON | Object]:
    """What is at the end of the path, which may fork at a `*`; nothing where it leads nowhere."""
    if not path:
        yield value
    elif path[0] == "*":
        for one in value if isinstance(value, list) else ():
            yield from _at(one, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:])
