"""Every resource type that statform knows. A new type is a new row here; all else is generic over its fields.

Facts from Statsig's Console API, version 20240601.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from planner.definitions.fields import NOT_PATCH, Boolean, Call, Field, Integer, KeyedList, String, StringSet, Table


class ResourceType(NamedTuple):
    """A kind of object in a Statsig project.

    `path` and `list_path` are the API's; the remote name fills `{name}`, percent-encoded. The field `name` is not among
    `fields`: it is the remote name, which every type has. `field` has them by their names; `plain` has the Python types
    of those that accept every value of one. `log_name` is what actions of the project's audit log call it; None: there
    are none. `macros` are the words in braces that Statsig fills in, in its queries.
    `has_patch`: there is a PATCH, else every change is a full update. `renames`: the API takes a new name.
    """

    name: str
    path: str
    list_path: str
    fields: tuple[Field, ...]
    field: Mapping[str, Field]
    plain: Mapping[str, type]
    log_name: str | None = None
    macros: tuple[str, ...] = ("statsig_start_date", "statsig_end_date")
    has_patch: bool = True
    renames: bool = True

    @classmethod
    def of(
        cls,
        name: str,
        path: str,
        list_path: str,
        fields: tuple[Field, ...],
        log_name: str | None = None,
        *,
        has_patch: bool = True,
        renames: bool = True,
    ) -> ResourceType:
        """The type with these fields."""
        types = {String: str, Boolean: bool}
        plain = {f.name: types[type(f.kind)] for f in fields if type(f.kind) in types}
        by_name = {f.name: f for f in fields}
        return cls(name, path, list_path, fields, by_name, plain, log_name, has_patch=has_patch, renames=renames)

    def in_call(self, call: Call) -> tuple[Field, ...]:
        """The fields that the call carries, `name` aside; a type without PATCH has none in it."""
        if call is Call.PATCH and not self.has_patch:
            return ()
        return tuple(field for field in self.fields if call in field.calls)


# Fields that several types share. Where a type differs in one, its row says so: `TAGS._replace(returned=False)`.
DESCRIPTION = Field("description", String(), "What it is for.", returned=True)
TAGS = Field("tags", StringSet(), "Tags, in any order.", returned=True)
SQL = Field(
    "sql",
    String(),
    "The query that yields the rows. A change of it is a full update: PATCH does not take it.",
    calls=NOT_PATCH,
    required=True,
    returned=True,
)
TIMESTAMP = Field("timestampColumn", String(), "The column with the time of a row.", required=True, returned=True)
ID_TYPES = Field(
    "idTypeMapping",
    KeyedList(key="statsigUnitID", value="column"),
    "Which unit ID is in which column, in any order.",
    required=True,
    returned=True,
)
READ_ONLY = Field("isReadOnly", Boolean(), "It can then be edited through the Console API only.")
OWNER = Field(
    "owner",
    Table(("ownerID", "ownerType", "ownerName", "ownerEmail")),
    "Who owns it; only the members that are declared are managed.",
    nullable=True,
)
TEAM = Field("team", String(), "The team's name.", nullable=True)
TEAM_ID = Field("teamID", String(), "The team's ID.", nullable=True)

ASSIGNMENT_SOURCE = ResourceType.of(
    name="assignment_source",
    path="/console/v1/experiments/assignment_source/{name}",
    list_path="/console/v1/experiments/assignment_sources",
    log_name="assignment_source",
    fields=(
        DESCRIPTION,
        Field("isVerified", Boolean(), "Marked as verified for internal trust."),
        TAGS,
        SQL,
        TIMESTAMP,
        Field("experimentIDColumn", String(), "The column with the experiment.", required=True, returned=True),
        Field(
            "groupIDColumn",
            String(),
            "The column with the group that a unit was assigned to.",
            required=True,
            returned=True,
        ),
        Field("groupNameColumn", String(), "The column with the group's name."),
        ID_TYPES,
        READ_ONLY,
        OWNER,
        TEAM,
        TEAM_ID,
        Field("scheduledReloadHour", Integer(0, 23), "The UTC hour of a scheduled scan.", nullable=True),
    ),
)

RESOURCE_TYPES: Mapping[str, ResourceType] = {t.name: t for t in (ASSIGNMENT_SOURCE,)}
