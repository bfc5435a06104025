"""Every resource type that statform knows. A new type is a new row here; everything else works with any row.

Facts from Statsig's Console API, version 20240601.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from planner.definitions.fields import (
    NOT_PATCH,
    Boolean,
    Call,
    Field,
    Integer,
    KeyedList,
    String,
    StringSet,
    Table,
    closest,
)
from planner.errors import UsageError
from state.values import JSON

MACROS = ("statsig_start_date", "statsig_end_date")
"""Those that Statsig fills in for every type."""


Implied: TypeAlias = Mapping[tuple[str, str], Mapping[str, JSON]]
"""A field and its value -> the fields that a definition with this value has without declaring them."""
_NOTHING: Implied = {}


class ResourceType(NamedTuple):
    """A kind of object in a Statsig project.

    `path`, `list_path` and `create_path` are those of the API; `{name}` is the remote name, percent-encoded. `fields`
    does not have `name`, the remote name, because every type has it. `field` has the fields by their names. `plain` has
    the Python type of each field that accepts every value of that type. `log_name` is what the project's audit log
    calls the type; None: it has no actions for it. `macros` are the words in braces that Statsig fills in, in queries.

    `has_patch`: there is a PATCH; without one, every change is a full update. `renames`: the API takes a new name.
    `has_get`: one source can be read by its name. `read_by` are the fields of an experiment that name a source of the
    type, as paths in which `*` is each element of a list; `columns_read` are those that name a column of its query.
    `guards_reads`: the API is published to refuse the delete of a source that an active experiment reads.
    `metrics_path` lists the metrics that use a source.
    """

    name: str
    path: str
    list_path: str
    create_path: str
    fields: tuple[Field, ...]
    field: Mapping[str, Field]
    plain: Mapping[str, type]
    log_name: str | None = None
    macros: tuple[str, ...] = MACROS
    has_patch: bool = True
    renames: bool = True
    has_get: bool = False
    implied: Implied = _NOTHING
    read_by: tuple[str, ...] = ()
    columns_read: tuple[str, ...] = ()
    guards_reads: bool = False
    metrics_path: str | None = None

    @classmethod
    def of(
        cls,
        name: str,
        path: str,
        list_path: str,
        fields: tuple[Field, ...],
        log_name: str | None = None,
        *,
        create_path: str | None = None,
        macros: tuple[str, ...] = MACROS,
        has_patch: bool = True,
        renames: bool = True,
        has_get: bool = False,
        implied: Implied = _NOTHING,
        read_by: tuple[str, ...] = (),
        columns_read: tuple[str, ...] = (),
        guards_reads: bool = False,
        metrics_path: str | None = None,
    ) -> "ResourceType":
        """The type with these fields; every default is what most types have."""
        # Only kinds that accept every value of their Python type: for these the type alone proves a value right.
        types = {String: str, Boolean: bool}
        plain = {f.name: types[type(f.kind)] for f in fields if f.calls and type(f.kind) in types}
        by_name = {f.name: f for f in fields}
        return cls(
            name=name,
            path=path,
            list_path=list_path,
            create_path=create_path or list_path,
            fields=fields,
            field=by_name,
            plain=plain,
            log_name=log_name,
            macros=macros,
            has_patch=has_patch,
            renames=renames,
            has_get=has_get,
            implied=implied,
            read_by=read_by,
            columns_read=columns_read,
            guards_reads=guards_reads,
            metrics_path=metrics_path,
        )

    def in_call(self, call: Call) -> tuple[Field, ...]:
        """The fields that the call carries, without `name`; none for PATCH if the type has no PATCH."""
        if call is Call.PATCH and not self.has_patch:
            return ()
        return tuple(field for field in self.fields if call in field.calls)

    @property
    def declarable(self) -> tuple[Field, ...]:
        """The fields that a definition can have: those that at least one call carries."""
        return tuple(field for field in self.fields if field.calls)

    def implied_by(self, values: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """The fields that follow from these declared values."""
        met = (fields for (name, value), fields in self.implied.items() if values.get(name) == value)
        return {name: value for fields in met for name, value in fields.items()}


# Fields that several types share. Where a type differs in one, its row says so: `TAGS._replace(returned=False)`.
DESCRIPTION = Field("description", String(), "What it is for.", returned=True)
TAGS = Field("tags", StringSet(), "Tags, in any order.", returned=True)
SQL = Field(
    "sql",
    String(),
    "The query that returns the rows. A change is a full update: PATCH does not accept it.",
    calls=NOT_PATCH,
    required=True,
    returned=True,
    analysed=True,
)
TIMESTAMP = Field(
    "timestampColumn",
    String(),
    "The column with the time of a row.",
    required=True,
    returned=True,
    analysed=True,
    example="ts",
)
ID_TYPES = Field(
    "idTypeMapping",
    KeyedList(key="statsigUnitID", value="column"),
    "Which unit ID is in which column, in any order.",
    required=True,
    returned=True,
    analysed=True,
    example={"userID": "user_id"},
)
AS_DAY = Field("timestampAsDay", Boolean(), "The time is a day, without a time of day.", analysed=True)
VERIFIED = Field("isVerified", Boolean(), "Marked as verified for internal trust.")
READ_ONLY = Field("isReadOnly", Boolean(), "It can then be edited only through the Console API.")
OWNER = Field(
    "owner",
    Table(("ownerID", "ownerType", "ownerName", "ownerEmail")),
    "Who owns it. Only the members that you declare are managed.",
    nullable=True,
)
TEAM = Field("team", String(), "The team's name.", nullable=True)
TEAM_ID = Field("teamID", String(), "The team's ID.", nullable=True)

ASSIGNMENT_SOURCE = ResourceType.of(
    name="assignment_source",
    path="/console/v1/experiments/assignment_source/{name}",
    list_path="/console/v1/experiments/assignment_sources",
    log_name="assignment_source",
    read_by=("assignmentSourceName",),
    columns_read=("assignmentSourceFilters.*.column",),
    guards_reads=True,
    fields=(
        DESCRIPTION,
        VERIFIED,
        TAGS,
        SQL,
        TIMESTAMP,
        Field(
            "experimentIDColumn",
            String(),
            "The column with the experiment.",
            required=True,
            returned=True,
            analysed=True,
            example="experiment_id",
        ),
        Field(
            "groupIDColumn",
            String(),
            "The column with the group that a unit was assigned to.",
            required=True,
            returned=True,
            analysed=True,
            example="group_id",
        ),
        Field("groupNameColumn", String(), "The column with the group's name.", analysed=True),
        ID_TYPES,
        READ_ONLY,
        OWNER,
        TEAM,
        TEAM_ID,
        Field("scheduledReloadHour", Integer(0, 23), "The UTC hour of a scheduled scan.", nullable=True),
    ),
)

ENTITY_PROPERTY = ResourceType.of(
    name="entity_property",
    path="/console/v1/experiments/entity_property/{name}",
    list_path="/console/v1/experiments/entity_properties",
    log_name="entity_property_source",
    macros=(*MACROS, "statsig_experiment_start_timestamp"),
    has_get=True,
    read_by=(
        "identityResolutionSource",
        "preComputedUserDimensions.*.propertySource",
        "stratifiedSampling.entityPropertySource.propertySourceName",
    ),
    fields=(
        DESCRIPTION,
        TAGS,
        SQL,
        TIMESTAMP._replace(
            description="The column with the time, for properties that change over time.",
            required=False,
            returned=False,
        ),
        AS_DAY,
        ID_TYPES,
        READ_ONLY,
        OWNER._replace(description="Who owns it, which Statsig fills in.", calls=frozenset(), nullable=False),
        TEAM,
        TEAM_ID,
    ),
)

_OF_METRICS = (
    DESCRIPTION._replace(returned=False),
    VERIFIED,
    TAGS._replace(returned=False),
    Field(
        "sourceType",
        String(),
        'What the rows come from: "query", or "table" for a whole table, which has no sql.',
        analysed=True,
    ),
    SQL._replace(description="The query that returns the rows."),
    Field("tableName", String(), "The table, where there is no query.", analysed=True),
    TIMESTAMP,
    AS_DAY,
    Field("datePartitionColumn", String(), "The column that the table is partitioned by.", analysed=True),
    ID_TYPES,
    Field(
        "customFieldMapping",
        KeyedList(key="key", value="formula"),
        "Fields that are computed from columns, each with its formula, in any order.",
        analysed=True,
    ),
    Field("disableCURE", Boolean(), "Turns off CURE, which reduces variance with data from before the experiment."),
    READ_ONLY,
    OWNER,
    TEAM,
    TEAM_ID,
)
# The API requires `sql` even of a source that reads a whole table: an empty one.
_TABLE_HAS_NO_QUERY: Implied = {("sourceType", "table"): {"sql": ""}}

METRIC_SOURCE = ResourceType.of(
    name="metric_source",
    path="/console/v1/metrics/metric_source/{name}",
    list_path="/console/v1/metrics/metric_source/list",
    create_path="/console/v1/metrics/metric_source",
    log_name="metric_source",
    macros=(*MACROS, "statsig_experiment_start_timestamp"),
    has_patch=False,
    renames=False,
    has_get=True,
    implied=_TABLE_HAS_NO_QUERY,
    metrics_path="/console/v1/metrics/metric_source/{name}/metrics",
    fields=_OF_METRICS,
)

QUALIFYING_EVENT = ResourceType.of(
    name="qualifying_event",
    path="/console/v1/experiments/qualifying_events/{name}",
    list_path="/console/v1/experiments/qualifying_events",
    has_patch=False,
    renames=False,
    has_get=True,
    implied=_TABLE_HAS_NO_QUERY,
    fields=_OF_METRICS,
)

RESOURCE_TYPES: Mapping[str, ResourceType] = {
    t.name: t for t in (ASSIGNMENT_SOURCE, ENTITY_PROPERTY, METRIC_SOURCE, QUALIFYING_EVENT)
}


def named_types(names: Sequence[str]) -> tuple[ResourceType, ...]:
    """The types that `--type` names, in the order of the table.

    Raises:
        UsageError: there is no such type.
    """
    for name in names:
        if name not in RESOURCE_TYPES:
            known = tuple(RESOURCE_TYPES)
            raise UsageError(f"--type {name}: no such type; expected one of {', '.join(known)}{closest(name, known)}")
    return tuple(type_ for name, type_ in RESOURCE_TYPES.items() if name in names)
