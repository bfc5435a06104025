"""A project: its directory, its definitions, and its state."""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from planner.definitions.addresses import KEY
from planner.definitions.definition import Definitions, overlay_file
from planner.definitions.limits import MAX_FILE_BYTES
from planner.definitions.parse import parse_definitions
from planner.definitions.settings import SETTINGS_FILE
from planner.definitions.walk import check_link, reason, unreadable, walk
from planner.errors import DefinitionError, Diagnostic, UsageError
from state import reader
from state.advice import advise
from state.errors import WrongState
from state.places.disk import StrPath
from state.places.place import NO_WAIT, Wait, find_place
from state.snapshot import Snapshot

if TYPE_CHECKING:
    from state.storage import Place

DEFINITIONS = "definitions"
MAX_BYTES_IN_ALL = 256 << 20
_SMALL_FILE_BYTES = 64 << 10
"""What most files fit into. To make room for the largest one each time would be most of the time that a read takes."""


class Project(NamedTuple):
    """A directory, and what its files define."""

    directory: str
    definitions: Definitions

    @property
    def state_path(self) -> str:
        """The path of the state as a file of the project, where it also was before it was shared."""
        return os.path.join(self.directory, self.definitions.settings.state)

    def place(self, environ: Mapping[str, str] = os.environ, wait: Wait = NO_WAIT) -> "Place":
        """The place that the project's settings and STATFORM_STATE in `environ` name. Nothing is opened.

        Raises:
            WrongState: the two don't agree, or the variable can't be used.
        """
        settings = self.definitions.settings
        return find_place(self.directory, settings.state, settings.shared, environ, wait)

    def read_state(self, wait: Wait = NO_WAIT) -> Snapshot:
        """The state, even while another process changes it; an empty one if the project has none yet.

        Raises:
            StateError: it can't be found, read or trusted.
        """
        return reader.read(self.place(wait=wait))

    def read_copy(self, path: str) -> Snapshot:
        """The state in the file at `path`: a copy of the project's state, as `state pull --to` makes one.

        Raises:
            UsageError: no state is there.
            WrongState: it is not a copy of the state that the project shares.
            StateError: it can't be read or trusted.
        """
        snapshot, shared = reader.read(path), self.definitions.settings.shared
        if not snapshot.head:
            raise UsageError(f"no state is at {path}")
        if shared not in (None, snapshot.lineage):
            what = f"its lineage is {snapshot.lineage}; this project's state has the lineage {shared}"
            raise WrongState(
                path, what, f"`{advise('state', 'pull', '--to', 'FILE')}` makes a copy of the project's state."
            )
        return snapshot


def open_project(directory: StrPath, environment: str | None = None) -> Project:
    """The project in the directory, with an environment applied to its definitions.

    Raises:
        UsageError: no project there, or no such environment.
        DefinitionError: with every problem of the files.
    """
    files = read(directory, environment)
    others = {} if environment is None else read_other_environments(directory, environment)
    project = Project(os.fspath(directory), parse_definitions(files, environment, others, sql_reader(directory)))
    locate_state(project.directory, project.definitions.settings.state)
    return project


def open_settings(directory: StrPath, environment: str | None = None) -> Project:
    """The project without its definitions, which may be broken or missing: for commands that need only the state.

    Raises:
        UsageError: no project there, or no such environment.
        DefinitionError: the settings can't be read, or are wrong.
    """
    from planner.definitions.settings_only import parse_settings  # noqa: PLC0415 - a plan needs the definitions

    check_there(directory)
    others = {} if environment is None else read_other_environments(directory, environment)
    settings = parse_settings(_read_all(directory, environment, [], []), environment, others)
    locate_state(directory, settings.state)
    return Project(os.fspath(directory), Definitions(settings, {}, {}, environment, {}, {}, {}))


def locate_state(directory: StrPath, state: str) -> str:
    """The path of the state file that a project's settings name.

    Raises:
        UsageError: it is not below the project's folder. A repository could otherwise show another project's state.
    """
    path = os.path.join(directory, state)
    if not os.path.dirname(state):
        return path
    # The real path: a folder on the way may be a link that leads out of the project.
    root = os.path.realpath(directory)
    if os.path.commonpath((os.path.realpath(os.path.dirname(path)), root)) != root:
        raise UsageError(f'state = "{state}" leads out of the project, {root}')
    return path


def read(directory: StrPath, environment: str | None = None) -> dict[str, bytes]:
    """The definition files, with that of the environment: path relative to `directory` -> content.

    Raises:
        UsageError: no project there, or no such environment.
        DefinitionError: a file that can't be read, or that leads out of the directory.
    """
    check_there(directory)
    found = walk(os.fspath(directory), DEFINITIONS)
    return _read_all(directory, environment, found.files, found.problems)


def check_there(directory: StrPath) -> None:
    """Raises:
    UsageError: the directory has no project.
    """
    if not os.path.isfile(os.path.join(directory, SETTINGS_FILE)):
        raise UsageError(f"no {SETTINGS_FILE} in {os.path.abspath(directory)}; {_way_on(directory)}")


def _way_on(directory: StrPath) -> str:
    """Where the project is, if a folder above has one; otherwise how to create one."""
    above = os.path.abspath(directory)
    while (parent := os.path.dirname(above)) != above:
        above = parent
        if os.path.isfile(os.path.join(above, SETTINGS_FILE)):
            return f"{above} has one: `{advise(directory=os.path.relpath(above))}`"
    return f"`{advise('init')}` creates a project there"


def _read_all(
    directory: StrPath, environment: str | None, definitions: Sequence[str], found: Sequence[Diagnostic]
) -> dict[str, bytes]:
    """The contents of the settings, of these files and of the environment's file; `found` are earlier problems."""
    files: dict[str, bytes] = {}
    root = os.path.realpath(directory)
    names, problems = [SETTINGS_FILE, *definitions], [*found]
    if environment is not None:
        names.append(_environment_file(directory, environment))
    room = MAX_BYTES_IN_ALL
    for name in names:
        path = os.path.join(directory, name)
        try:
            files[name] = _read_file(path, root, room)
            room -= len(files[name])
        except (OSError, ValueError) as error:
            problems.append(unreadable(name, reason(error)))
    if problems:
        raise DefinitionError(problems)
    return files


def read_with(directory: StrPath, environment: str | None, new: Mapping[str, str]) -> Definitions:
    """The definitions as they will be with these new texts, by name; all other files are read again.

    Raises:
        UsageError, DefinitionError: the project could not be read any more.
    """
    contents = {name: text.encode() for name, text in new.items()}
    read_sql = sql_reader(directory)
    files = {**read(directory, environment), **{n: c for n, c in contents.items() if n.endswith(".toml")}}
    return parse_definitions(files, environment, None, lambda name: contents.get(name) or read_sql(name))


def read_other_environments(directory: StrPath, environment: str | None) -> dict[str, bytes]:
    """The files of all environments but this one, by their names."""
    found: dict[str, bytes] = {}
    root, room = os.path.realpath(directory), MAX_BYTES_IN_ALL
    for name in _environments(os.fspath(directory), os.path.dirname(overlay_file(""))):
        # If a file can't be read, nobody can use that environment now. A run with it reports the problem.
        if name != environment:
            with suppress(OSError, ValueError):
                found[name] = _read_file(os.path.join(directory, overlay_file(name)), root, room)
                room -= len(found[name])
    return found


def _environment_file(directory: StrPath, environment: str) -> str:
    name = overlay_file(environment)
    # Not whether a file of that name exists: a name such as ../other would lead out of the folder.
    there = _environments(os.fspath(directory), os.path.dirname(name)) if KEY.fullmatch(environment) else []
    if environment not in there:
        known = f"there are {', '.join(there)}" if there else "environments are files environments/NAME.toml"
        raise UsageError(f"no environment {environment} in {os.path.abspath(directory)}; {known}")
    return name


def _environments(directory: str, folder: str) -> list[str]:
    path = os.path.join(directory, folder)
    try:
        check_link(path, os.path.realpath(directory))
        names = os.listdir(path)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DefinitionError([unreadable(folder, reason(error))]) from None
    stems = (name.removesuffix(".toml") for name in names if name.endswith(".toml"))
    return sorted(stem for stem in stems if KEY.fullmatch(stem))


def sql_reader(directory: StrPath) -> Callable[[str], bytes]:
    """A function that reads a .sql file, named relative to the project; it raises OSError or ValueError."""
    room, root = MAX_BYTES_IN_ALL, os.path.realpath(directory)

    def read_sql(name: str) -> bytes:
        nonlocal room
        path = os.path.join(directory, name)
        if os.path.commonpath((os.path.realpath(path), root)) != root:
            raise ValueError("a link that leads out of the project")
        content = _read_file(path, root, room, ".sql")
        room -= len(content)
        return content

    return read_sql


def _read_file(path: str, root: str, room: int, ending: str = ".toml") -> bytes:
    check_link(path, root, (ending,))
    # Check for a regular file first: a read from a pipe might never end.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("not a regular file")
        # One byte more than is allowed tells that there is more; the size of a file may change until it is read.
        most = min(MAX_FILE_BYTES, room) + 1
        content = file.read(min(most, _SMALL_FILE_BYTES))
        if len(content) == _SMALL_FILE_BYTES:
            content += file.read(most - _SMALL_FILE_BYTES)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"more than {MAX_FILE_BYTES >> 20} MiB in one file")
    if len(content) > room:
        raise ValueError(f"more than {MAX_BYTES_IN_ALL >> 20} MiB in all files")
    return content
