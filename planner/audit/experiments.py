"""What a change touches: the experiments that read a source, and what the change breaks in them.

Pure: `client` lists the experiments, and the metrics of a source. An experiment names its sources in several fields,
which may be absent; the row of a type lists these fields. There is no way back from a source to its experiments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from planner.audit.drift import Drift
from planner.definitions.fields import KeyedList, String
from planner.definitions.resources import ResourceType
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT, FieldChange
from state.values import JSON, Address, Object

FIELDS = (
    "name",
    "status",
    "assignmentSourceName",
    "assignmentSourceFilters",
    "idType",
    "secondaryIDType",
    "identityResolutionSource",
    "preComputedUserDimensions",
    "stratifiedSampling",
)
"""What a list is asked for; `id` is always there."""
OVER = frozenset({"archived", "abandoned"})
"""The statuses of an experiment that reads nothing any more. The API knows others, and may get more: they all read."""


class Reader(NamedTuple):
    """An experiment that reads a source; `broken` says what of it the change takes away."""

    name: str
    status: str
    broken: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether it reads nothing any more."""
        return self.status in OVER


class Change(NamedTuple):
    """A change of what is analysed: `fields` of the source `name`; without them it is deleted, or gone."""

    address: Address
    type: ResourceType
    name: str
    fields: tuple[FieldChange, ...] = ()


class Touched(NamedTuple):
    """Who reads the source that a change is of: of `listed` experiments these `readers`, and the `metrics` made of it.

    `problem`: why the readers are unknown, which does not mean that there are none.
    """

    change: Change
    readers: tuple[Reader, ...] = ()
    metrics: tuple[str, ...] = ()
    listed: int = 0
    problem: str | None = None

    @property
    def needs_reload(self) -> bool:
        """Whether an experiment reads a source that still exists."""
        return bool(self.change.fields) and not all(reader.is_over for reader in self.readers)


def changes_of_plan(plan: Plan) -> tuple[Change, ...]:
    """What the plan changes of what is analysed, in its order."""
    found = (
        Change(action.address, action.type, action.name, tuple(c for c in action.changes if c.field.analysed))
        for action in plan.changes
        # Nothing reads a source that does not exist yet.
        if action.verb is not verbs.CREATE
    )
    deleted = {action.address for action in plan.changes if action.verb.sends and not action.verb.keeps}
    return tuple(one for one in found if one.fields or one.address in deleted)


def changes_of_drift(drifts: Iterable[Drift]) -> tuple[Change, ...]:
    """What somebody else changed of what is analysed, and what is gone."""
    found = (
        (one, Change(one.address, one.type, one.name, tuple(c for c in one.changes if c.field.analysed)))
        for one in drifts
    )
    return tuple(change for drift, change in found if change.fields or drift.source is None)


def find_touched(change: Change, experiments: Sequence[Object]) -> Touched:
    """The experiments that read what changes, of those that the project has."""
    paths = change.type.read_by
    if not paths:
        return Touched(change, problem=f"the API has no list of what reads a {change.type.name}")
    # Not one experiment has any of the fields: the API has left them out or renamed them, and "read by none" could
    # let somebody delete a source that is read.
    if experiments and not any(True for one in experiments for path in paths for _ in _at(one, path.split("."))):
        return Touched(change, listed=len(experiments), problem="the list of experiments does not say what they read")
    readers = tuple(
        Reader(_name(one), str(one.get("status")), tuple(_broken(change, one)))
        for one in experiments
        if change.name in names_read(one, change.type)
    )
    return Touched(change, readers, listed=len(experiments))


def names_read(experiment: Object, type_: ResourceType) -> frozenset[str]:
    """The names of the sources of a type that an experiment reads."""
    found = (value for path in type_.read_by for value in _at(experiment, path.split(".")))
    return frozenset(value for value in found if isinstance(value, str))


def _name(experiment: Object) -> str:
    return str(experiment.get("name", experiment.get("id")))


def _at(value: JSON | Object, path: list[str]) -> Iterator[JSON | Object]:
    """The values at the end of the path, which may fork at a `*`; nothing if the path does not exist."""
    if not path:
        yield value
    elif path[0] == "*":
        for one in value if isinstance(value, list) else ():
            yield from _at(one, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


def _broken(change: Change, experiment: Object) -> Iterator[str]:
    """What the experiment uses and the change takes away: its unit IDs, and columns that it filters by."""
    units = _removed_units(change)
    for field in ("idType", "secondaryIDType"):
        if (unit := experiment.get(field)) in units:
            yield f"its {field} {unit}"
    used = (value for path in change.type.columns_read for value in _at(experiment, path.split(".")))
    for column in dict.fromkeys(value for value in used if isinstance(value, str)):
        if _is_removed(column, change):
            yield f"its filter by {column}"


def _removed_units(change: Change) -> frozenset[JSON]:
    """The keys of `idTypeMapping` that are not there afterwards."""
    found: set[JSON] = set()
    for one in change.fields:
        if one.field.name == "idTypeMapping":
            before, after = (_elements(one.field.kind, value) for value in (one.before, one.after))
            found |= before.keys() - after.keys()
    return frozenset(found)


def _elements(kind: object, value: object) -> Mapping[str, JSON]:
    if not isinstance(kind, KeyedList) or value is ABSENT:
        return {}
    return kind.elements(value) or {}  # type: ignore[arg-type]


def _is_removed(column: str, change: Change) -> bool:
    """Whether the old query may return the column and the new one can't; with `SELECT *` that is unknown."""
    for one in change.fields:
        if one.field.name == "sql" and isinstance(one.field.kind, String):
            before, after = (value if isinstance(value, str) else "" for value in (one.before, one.after))
            # No SQL parser: each warehouse has its own dialect, and a warning too many costs little.
            had = _names(before, column) or "*" in before
            return had and not _names(after, column) and "*" not in after
    return False


def _names(sql: str, column: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", sql, re.IGNORECASE) is not None
