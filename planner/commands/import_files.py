"""Which files an import writes, and how: new ones that were not there, and that of an environment, which grows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from planner.audit.importing import GroupedBy, Import, NameSql, slug
from planner.definitions.definition import Definitions, overlay_file
from planner.definitions.optional.sql_file import named_file
from planner.definitions.project import DEFINITIONS, Project
from planner.errors import UsageError
from planner.files import read_text, write_file


def home_of(definitions: Definitions) -> str:
    """Where new definitions stand: what an environment brings is its own, and not that of all others."""
    return "" if definitions.environment is None else overlay_file(definitions.environment)


def name_files(project: Project, found: Import, out: str | None, by: GroupedBy | None) -> dict[str, str]:
    """Name relative to the project -> what to write there, queries first; none is there but an environment's file.

    Raises:
        UsageError: `out` is no definition file, or is there already.
    """
    home, directory = home_of(project.definitions), Path(project.directory)
    groups = found.files_by(by)
    named = {_beside(project, out, name): text for name, text in found.sql_files.items()}
    if home and out is None:
        text = "\n".join(text for texts in groups.values() for text in texts)
        return {**named, home: text} if text else {}
    for group, texts in groups.items():
        base = Path(out or f"{DEFINITIONS}/{slug(group) if group else 'imported'}.toml")
        _check_out(directory, base, out)
        free = (str(name) for name in _numbered(base) if not (directory / name).exists() and str(name) not in named)
        # Each is taken before the next one is looked for.
        for text in texts:
            named[next(free)] = text
    return named


def _check_out(directory: Path, base: Path, out: str | None) -> None:
    inside = (directory / base).resolve().is_relative_to((directory / DEFINITIONS).resolve())
    if not inside or base.suffix != ".toml":
        raise UsageError(f"--out {out}: definitions must be in .toml files in {DEFINITIONS}/")
    if out and (directory / base).exists():
        raise UsageError(f"--out {out}: exists already, and an import overwrites nothing")


def _numbered(base: Path) -> Iterator[Path]:
    yield base
    yield from (base.with_name(f"{base.stem}-{number}{base.suffix}") for number in itertools.count(2))


def sql_namer(project: Project, out: str | None) -> NameSql:
    """What gives each query a file of its own: in a folder beside the definitions, `sql` or the environment's name.

    One that is there is taken only if it has just that text, and nothing names it: an import that was interrupted left
    it.
    """
    directory, environment = Path(project.directory), project.definitions.environment
    folder = "sql" if out is not None or environment is None else environment
    given: set[str] = set()

    def is_free(name: str, text: str) -> bool:
        if name in given or name in project.definitions.texts:
            return False
        path = directory / name
        return not path.exists() or (path.is_file() and path.read_bytes() == text.encode())

    def name_sql(key: str, text: str) -> str:
        named = map(str, _numbered(Path(folder, f"{key}.sql")))
        name = next(name for name in named if is_free(_beside(project, out, name), text))
        given.add(_beside(project, out, name))
        return name

    return name_sql


def _beside(project: Project, out: str | None, name: str) -> str:
    """The path relative to the project of a .sql file that a new definition names."""
    return named_file(out or home_of(project.definitions) or f"{DEFINITIONS}/", name)


def whole_text(path: Path, text: str) -> str:
    """The file with the text at its end: that of an environment is there already, and keeps every byte.

    Raises:
        UsageError: it can't be read.
    """
    if not path.exists():
        return text
    before = read_text(path)
    line_end = "\r\n" if "\r\n" in before else "\n"
    gap = "" if not before else line_end if before.endswith("\n") else line_end * 2
    return before + gap + text.replace("\n", line_end)


def write_files(directory: str, files: Mapping[str, str], home: str) -> Iterator[str]:
    """Write each, the queries before the definitions that name them; the names of those that are written.

    Raises:
        UsageError: one is there already, and is not the environment's file `home`; or it can't be written.
    """
    for name, text in files.items():
        path = Path(directory, name)
        # A folder of the project may be a link; through one nothing is written outside of the project.
        if not path.parent.resolve().is_relative_to(Path(directory).resolve()):
            raise UsageError(f"{path.parent} is a link that leads out of the project")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A query that is there has just this text: `sql_namer` took no other name.
            if not (path.suffix == ".sql" and path.exists()):
                write_file(path, text, replaces=name == home)
                yield name
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
