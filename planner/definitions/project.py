"""A project: its directory, found, read and, by `init`, made; what it defines, and the state that it has."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from planner.definitions.parse import KEY, MOST_BYTES, Definitions, overlay_file, parse_definitions
from planner.definitions.settings import SETTINGS_FILE
from planner.errors import DefinitionError, Diagnostic, Location, UsageError
from planner.files import write_file
from planner.version import __version__
from state import reader
from state.disk import StrPath
from state.snapshot import Snapshot

if TYPE_CHECKING:
    from pathlib import Path

DEFINITIONS = "definitions"
MOST_BYTES_IN_ALL = 256 << 20
MOST_FILES = 10_000
SCHEMA_FILE = "statform.schema.json"


class Project(NamedTuple):
    """A directory, and what its files define."""

    directory: str
    definitions: Definitions

    @property
    def state_path(self) -> str:
        return os.path.join(self.directory, self.definitions.settings.state)

    def read_state(self) -> Snapshot:
        """The state, also while another process changes it; that of a project which has none yet is empty.

        Raises:
            StateError: the files can't be read or trusted.
        """
        return reader.read(self.state_path)


def open_project(directory: StrPath, environment: str | None = None) -> Project:
    """The project in the directory, with an environment laid over its definitions.

    Raises:
        UsageError: no project there, or no such environment.
        DefinitionError: with every problem of the files.
    """
    return Project(os.fspath(directory), parse_definitions(read(directory, environment), environment))


def read(directory: StrPath, environment: str | None = None) -> dict[str, bytes]:
    """The definition files, with that of the environment: path relative to `directory` -> content.

    Raises:
        UsageError: no project there, or no such environment.
        DefinitionError: a file that can't be read, or that leads out of the directory.
    """
    if not os.path.isfile(os.path.join(directory, SETTINGS_FILE)):
        raise UsageError(f"no {SETTINGS_FILE} in {os.path.abspath(directory)}; `statform init` makes a project there")
    files: dict[str, bytes] = {}
    problems: list[Diagnostic] = []
    root = os.path.realpath(directory)
    names = [SETTINGS_FILE, *_definition_files(directory)]
    if environment is not None:
        names.append(_environment_file(directory, environment))
    if len(names) > MOST_FILES:
        where = os.path.abspath(directory)
        raise UsageError(f"{len(names):,} definition files in {where}; at most {MOST_FILES:,} are read")
    room = MOST_BYTES_IN_ALL
    for name in names:
        path = os.path.join(directory, name)
        try:
            files[name] = _read_file(path, root, room)
            room -= len(files[name])
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            problems.append(Diagnostic(f"can't be read: {reason}", "a file", Location(name, 1, 1, 1, "")))
    if problems:
        raise DefinitionError(problems)
    return files


def _definition_files(directory: StrPath) -> Iterator[str]:
    """Their names relative to the directory."""
    base = os.path.join(directory, "")
    for parent, folders, names in os.walk(base + DEFINITIONS):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".toml"):
                yield os.path.join(parent, name).removeprefix(base)


def _environment_file(directory: StrPath, environment: str) -> str:
    name = overlay_file(environment)
    # A name that leads elsewhere is no name of a file in there either.
    there = _environments(os.path.join(directory, os.path.dirname(name))) if KEY.fullmatch(environment) else []
    if environment not in there:
        known = f"there are {', '.join(there)}" if there else "environments are files environments/NAME.toml"
        raise UsageError(f"no environment {environment} in {os.path.abspath(directory)}; {known}")
    return name


def _environments(directory: str) -> list[str]:
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _read_file(path: str, root: str, room: int) -> bytes:
    if os.path.commonpath((os.path.realpath(path), root)) != root:
        raise ValueError("a link that leads out of the project")
    # What is no regular file is found out before a read that might never end.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("no regular file")
        content = file.read(min(MOST_BYTES, room) + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES >> 20} MiB in one file")
    if len(content) > room:
        raise ValueError(f"more than {MOST_BYTES_IN_ALL >> 20} MiB in all files")
    return content


_SETTINGS = """\
[statform]
required_version = ">={version}"
# state = "statform.state.json"
# max_changes = "30%"                # apply refuses a plan that changes more
# respect_review_settings = true     # the project's review rules hold for what apply sends

# Fields that every assignment source gets unless it declares its own.
[defaults.assignment_source]
timestampColumn = "ts"
experimentIDColumn = "experiment_id"
groupIDColumn = "group_id"
"""

_EXAMPLE = """\
# One table for each assignment source: [assignment_source.KEY]. The key is yours, the name is the source's in Statsig.
# A field that is not declared is not managed.
[assignment_source.example]
name = "example_exposures"
description = "Exposures of the example experiments"
tags = ["example"]
idTypeMapping = [
  { statsigUnitID = "userID", column = "user_id" },
]
"""

_TAPLO = f"""\
# Taplo, and editors that use it, check and complete the files by what `statform schema` prints.
[[rule]]
include = ["{SETTINGS_FILE}", "{DEFINITIONS}/**/*.toml", "environments/*.toml"]
schema = {{ path = "{SCHEMA_FILE}" }}
"""

_IGNORED = """\
# statform: who holds the lock is nobody else's business. State and journal belong together: keep both, or neither.
*.state.lock
*.state.tmp
.statform-*.tmp
*.torn-*
"""


def create(directory: StrPath) -> list[str]:
    """Make a new project, and return the files that were written, relative to `directory`.

    Raises:
        UsageError: there is one already, or the directory can't be written.
    """
    from pathlib import Path  # noqa: PLC0415 - once in the life of a project

    directory = Path(directory)
    if (directory / SETTINGS_FILE).exists():
        raise UsageError(f"{directory / SETTINGS_FILE} is there already; nothing was changed")
    from planner.definitions.schema import build_schema, schema_text  # noqa: PLC0415 - once in the life of a project

    files = {
        SETTINGS_FILE: _SETTINGS.format(version=".".join(__version__.split(".")[:2])),
        f"{DEFINITIONS}/example.toml": _EXAMPLE,
        SCHEMA_FILE: schema_text(build_schema()),
        ".taplo.toml": _TAPLO,
    }
    try:
        (directory / DEFINITIONS).mkdir(parents=True, exist_ok=True)
        written = [name for name, text in files.items() if _create_file(directory / name, text)]
        if _add_ignored(directory / ".gitignore"):
            written.append(".gitignore")
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    return written


def _create_file(path: Path, text: str) -> bool:
    if os.path.lexists(path):
        return False
    write_file(path, text, replaces=False)
    return True


def _add_ignored(path: Path) -> bool:
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    if _IGNORED.splitlines()[-1] in present.splitlines():
        return False
    gap = "\n" if present and not present.endswith("\n") else ""
    write_file(path, present + gap + _IGNORED)
    return True
