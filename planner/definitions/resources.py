"""Every resource type that statform knows. A new type is a new row here; all else is generic over its fields.

Facts from Statsig's Console API, version 20240601.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from planner.definitions.fields import Boolean, Field, Integer, KeyedList, String, StringSet, Table
from planner.errors import Diagnostic, PlanError
from planner.version import __version__
from state.values import Address


class ResourceType(NamedTuple):
    """A kind of object in a Statsig project.

    `path` and `list_path` are the API's; the remote name fills `{name}`, percent-encoded. The field `name` is not among
    `fields`: it is the remote name, which every type has. `field` has them by their names; `plain` has the Python types
    of those that accept every value of one. `log_name` is what actions of the project's audit log call it; None: there
    are none.
    """

    name: str
    path: str
    list_path: str
    fields: tuple[Field, ...]
    field: Mapping[str, Field]
    plain: Mapping[str, type]
    log_name: str | None = None

    @classmethod
    def of(
        cls, name: str, path: str, list_path: str, fields: tuple[Field, ...], log_name: str | None = None
    ) -> ResourceType:
        """The type with these fields."""
        types = {String: str, Boolean: bool}
        plain = {f.name: types[type(f.kind)] for f in fields if type(f.kind) in types}
        return cls(name, path, list_path, fields, {f.name: f for f in fields}, plain, log_name)


ASSIGNMENT_SOURCE = ResourceType.of(
    name="assignment_source",
    path="/console/v1/experiments/assignment_source/{name}",
    list_path="/console/v1/experiments/assignment_sources",
    log_name="assignment_source",
    fields=(
        Field("description", String(), "What the source is for.", returned=True),
        Field("isVerified", Boolean(), "Marked as verified for internal trust."),
        Field("tags", StringSet(), "Tags, in any order.", returned=True),
        Field(
            "sql",
            String(),
            "The query that yields the exposures. PATCH does not take it: a difference is an error.",
            patchable=False,
            required=True,
            returned=True,
        ),
        Field("timestampColumn", String(), "The column with the time of an exposure.", required=True, returned=True),
        Field("experimentIDColumn", String(), "The column with the experiment.", required=True, returned=True),
        Field(
            "groupIDColumn",
            String(),
            "The column with the group that a unit was assigned to.",
            required=True,
            returned=True,
        ),
        Field("groupNameColumn", String(), "The column with the group's name."),
        Field(
            "idTypeMapping",
            KeyedList(key="statsigUnitID", value="column"),
            "Which unit ID is in which column, in any order.",
            required=True,
            returned=True,
        ),
        Field("isReadOnly", Boolean(), "The source can then be edited through the Console API only."),
        Field(
            "owner",
            Table(("ownerID", "ownerType", "ownerName", "ownerEmail")),
            "Who owns the source; only the members that are declared are managed.",
            nullable=True,
        ),
        Field("team", String(), "The team's name.", nullable=True),
        Field("teamID", String(), "The team's ID.", nullable=True),
        Field("scheduledReloadHour", Integer(0, 23), "The UTC hour of a scheduled scan.", nullable=True),
    ),
)

RESOURCE_TYPES: Mapping[str, ResourceType] = {t.name: t for t in (ASSIGNMENT_SOURCE,)}


def type_of(address: Address) -> ResourceType:
    """The type that the address names.

    Raises:
        PlanError: this statform has no such type.
    """
    name = address.partition(".")[0]
    if name not in RESOURCE_TYPES:
        expected = f"an address of a type that statform {__version__} knows; a newer one may know it"
        raise PlanError([Diagnostic(f"the state has {address}, of an unknown type", expected, None, address)])
    return RESOURCE_TYPES[name]
