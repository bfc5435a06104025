"""What the table `[statform]` of `statform.toml` sets."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from planner.definitions.fields import Boolean, Integer, Path, Problem, String, StringSet, closest, type_name
from planner.definitions.problems import Finding, Findings, of_problem
from planner.version import __version__

if TYPE_CHECKING:
    from planner.pacing import Window

SETTINGS_FILE = "statform.toml"
STATE_FILE = "statform.state.json"
WAREHOUSES = (
    "athena",
    "bigquery",
    "clickhouse",
    "databricks",
    "doris",
    "dremio",
    "drill",
    "druid",
    "duckdb",
    "exasol",
    "fabric",
    "hive",
    "materialize",
    "mysql",
    "oracle",
    "postgres",
    "presto",
    "redshift",
    "risingwave",
    "snowflake",
    "spark",
    "sqlite",
    "starrocks",
    "teradata",
    "trino",
    "tsql",
)
"""The warehouses whose SQL sqlglot reads, by its names for them."""


class Settings(NamedTuple):
    """The settings of a project.

    `state` is a path relative to `statform.toml`. `max_changes` is a count, a share of the managed such as "30%", or
    None: no limit.
    """

    state: str = STATE_FILE
    # The lineage of a state that several machines share; None: the state is a file of the project.
    shared: str | None = None
    max_changes: int | str | None = None
    respect_review_settings: bool = False
    # The API allows 100 in 10 s and 900 in 15 min, as published. This leaves room for people who work in the console.
    per_10_seconds: int = 90
    per_15_minutes: int = 850
    # The dialect of the queries; None: they are not read.
    warehouse: str | None = None
    # Patterns of remote names that do not belong to the project.
    ignore: tuple[str, ...] = ()

    @property
    def windows(self) -> "tuple[Window, ...]":
        """The two limits of the pace, as the pacing counts them."""
        from planner.pacing import Window  # noqa: PLC0415 - only what sends keeps a pace

        return (Window(self.per_10_seconds, 10.0), Window(self.per_15_minutes, 900.0))


def default_state(environment: str | None) -> str:
    """The state of a project, or of an environment of it, that names none."""
    return STATE_FILE if environment is None else f"statform.{environment}.state.json"


def read(documents: Mapping[str, Mapping[str, Any]], findings: Findings, environment: str | None = None) -> Settings:
    """The settings in the parsed files, a later file over the earlier ones; adds what is wrong to `findings`.

    An environment has its own state: it does not take the one that `statform.toml` names or shares.

    Raises:
        TooManyProblems: more is wrong than anybody reads.
    """
    values: dict[str, Any] = {"state": default_state(environment)}
    leaves = [(file, *leaf) for file, document in documents.items() for leaf in _leaves(document, file, findings)]
    for file, path, value in leaves:
        known = SETTINGS.get(path[:-1], {})
        key = path[-1]
        if key not in known:
            expected = "one of " + ", ".join(known) + closest(key, tuple(known))
            findings.add(Finding(file, path, f'unknown setting "{key}"', expected))
            continue
        problems = known[key].kind.problems(value)
        if isinstance(value, str) and "${var." in value:
            problems = (Problem((), "a variable in a setting", "the setting itself; an environment can have another"),)
        findings.add(*(of_problem(problem, file, path) for problem in problems))
        # Two environments that share a state would undo each other's changes.
        is_of_another = key in ("state", "shared") and environment is not None and file == SETTINGS_FILE
        # The version is only checked: nobody needs the value later.
        if not problems and key != "required_version" and not is_of_another:
            values[key] = tuple(value) if isinstance(value, list) else value
    return Settings(**values)


def _leaves(document: Mapping[str, Any], file: str, findings: Findings) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in ("statform", "audit"):
        table = document.get(name, {})
        if not isinstance(table, dict):
            summary = f"{type_name(table)} instead of a table"
            findings.add(Finding(file, (name,), summary, f"a table [{name}]"))
            continue
        for key, value in table.items():
            if (name, key) == ("statform", "pacing") and isinstance(value, dict):
                yield from (((name, key, k), v) for k, v in value.items())
            else:
                yield (name, key), value


# Few digits, because Python does not read a number of thousands.
_CONSTRAINT = r" *(?:>=|<=|==|!=|>|<) *[0-9]{1,9}(?:\.[0-9]{1,9})* *"


class Version:
    """Version constraints, which this statform has to meet."""

    expects = 'versions such as ">=0.1" or ">=0.1, <2"'
    pattern = rf"{_CONSTRAINT}(?:,{_CONSTRAINT})*"

    def problems(self, value: object) -> tuple[Problem, ...]:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            what = "that is not a version constraint" if isinstance(value, str) else "instead of a string"
            return (Problem((), f"{type_name(value)} {what}", self.expects),)
        if not all(_is_met(one) for one in value.split(",")):
            summary = f"this is statform {__version__}, and the project requires {value}"
            return (Problem((), summary, "a statform of that version: install it, or change required_version"),)
        return ()


class Limit:
    """A count, or a share of all managed addresses."""

    expects = 'a number such as 20, or a percentage such as "30%"'
    pattern = "[0-9]{1,3}%"

    def problems(self, value: object) -> tuple[Problem, ...]:
        is_count = type(value) is int and value >= 0
        is_share = isinstance(value, str) and re.fullmatch(self.pattern, value)
        return () if is_count or is_share else (Problem((), "not a limit for changes", self.expects),)


def leads_out(path: str) -> bool:
    """Whether a path that a file of the project has leads out of the project's folder, links aside."""
    return posixpath.isabs(path) or posixpath.normpath(path).split("/", 1)[0] == ".."


class StatePath:
    """The path of a .json file in the project's folder or below it."""

    expects = "a path in the project's folder that ends with .json"

    def problems(self, value: object) -> tuple[Problem, ...]:
        if isinstance(value, str) and leads_out(value):
            return (Problem((), "a state file outside the project", self.expects),)
        if isinstance(value, str) and (not value.endswith(".json") or "\0" in value):
            return (Problem((), "a state file without the ending .json", self.expects),)
        return String().problems(value)


class Lineage:
    """The lineage of a shared state."""

    expects = "the lineage that `statform state push` wrote, which is a UUID"
    pattern = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

    def problems(self, value: object) -> tuple[Problem, ...]:
        if isinstance(value, str) and not re.fullmatch(self.pattern, value):
            return (Problem((), "not the lineage of a state", self.expects),)
        return String().problems(value)


class Warehouse:
    """One of the dialects that the parser of queries knows."""

    expects = "one of " + ", ".join(WAREHOUSES)

    def problems(self, value: object) -> tuple[Problem, ...]:
        if isinstance(value, str) and value not in WAREHOUSES:
            return (Problem((), f'unknown warehouse "{value}"', self.expects + closest(value, WAREHOUSES)),)
        return String().problems(value)


class Patterns:
    """Patterns of names, as a shell has them."""

    expects = 'a list of patterns of remote names, such as "*_legacy"'

    def problems(self, value: object) -> tuple[Problem, ...]:
        if not isinstance(value, list):
            return (Problem((), f"{type_name(value)} instead of a list of strings", self.expects),)
        return StringSet().problems(value)


class Pacing:
    """The table [statform.pacing]. Its settings are checked one by one, so what is checked here is no table."""

    expects = "a table [statform.pacing]"

    def problems(self, value: object) -> tuple[Problem, ...]:
        return (Problem((), f"{type_name(value)} instead of a table", self.expects),)


SettingKind: TypeAlias = Version | Limit | StatePath | Lineage | Warehouse | Patterns | Pacing | Boolean | Integer


class Setting(NamedTuple):
    """What a setting accepts; the description is for editors."""

    kind: SettingKind
    description: str


SETTINGS: Mapping[Path, Mapping[str, Setting]] = {
    ("statform",): {
        "required_version": Setting(Version(), "The versions of statform that the project may be used with."),
        "state": Setting(StatePath(), "The state file, relative to statform.toml."),
        "shared": Setting(Lineage(), "The lineage of the state, if the state is shared; see `state push`."),
        "max_changes": Setting(Limit(), "apply refuses a plan with more changes."),
        "respect_review_settings": Setting(Boolean(), "The project's review rules apply to what apply sends."),
        "warehouse": Setting(Warehouse(), "The warehouse of the queries. It says which SQL `validate` expects."),
        "pacing": Setting(
            Pacing(), "How fast apply sends changes; the API allows about 100 in 10 s and 900 in 15 min."
        ),
    },
    ("audit",): {
        "ignore": Setting(
            Patterns(), "Names that audit does not count as unmanaged, and that import --all does not import."
        )
    },
    ("statform", "pacing"): {
        "per_10_seconds": Setting(Integer(1, 1_000_000), "At most this many changes in any 10 seconds."),
        "per_15_minutes": Setting(Integer(1, 1_000_000), "At most this many changes in any 15 minutes."),
    },
}


def _is_met(constraint: str) -> bool:
    operator = constraint.strip().rstrip("0123456789. ")
    have, want = _numbers(__version__), _numbers(constraint)
    return {
        ">=": have >= want,
        "<=": have <= want,
        "==": have == want,
        "!=": have != want,
        ">": have > want,
        "<": have < want,
    }[operator]


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(n) for n in re.findall(r"\d+", version)][:3]
    return tuple(numbers + [0] * (3 - len(numbers)))
