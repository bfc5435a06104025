"""`statform import`: sources that are there already, taken into the state and, where nothing defines them, defined.

The definitions are written first: an import that is interrupted between the two is completed by the next one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from planner.apply.run import Run
from planner.audit.drift import types_in_use
from planner.audit.importing import Import, define, import_all
from planner.definitions import project
from planner.definitions.addresses import is_like, parse_address, parts, type_of
from planner.definitions.definition import Definitions
from planner.definitions.fields import closest
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.errors import PlanError, UsageError
from planner.escape import escape, format_value
from planner.files import write_file
from planner.output import Terminal
from planner.plan.build import build_plan
from state import records, store
from state.snapshot import Snapshot
from state.store import Session
from state.values import Address

_NOTHING = "Nothing to import: the state has every source that was asked for.\n"


@frozen
class ImportOptions:
    """What `statform import --all` was asked for; `out` is the definition file to write, relative to the project."""

    patterns: Sequence[str] = ()
    out: str | None = None
    is_dry_run: bool = False


def import_everything(run: Run, terminal: Terminal, options: ImportOptions) -> int:
    """Take every source that the state lacks; the exit code."""
    if options.is_dry_run:
        _show(run, terminal, _find(run, terminal, store.read(run.state_path), options), options)
        return 0
    with run.interrupts.caught(), run.open_state("import") as session:
        run.resolve_unknown(session)
        found = _find(run, terminal, session.snapshot, options)
        if found.imported:
            _import(run, terminal, session, found, options.out)
        else:
            session.commit("ok")
            terminal.out(_NOTHING)
    return 0


def _find(run: Run, terminal: Terminal, snapshot: Snapshot, options: ImportOptions) -> Import:
    """What is to be imported, of the types in use, or of all in a project that has none; says what can't be."""
    types = types_in_use(run.definitions, snapshot) or tuple(RESOURCE_TYPES.values())
    remote = run.list_remote(types)
    _check_patterns(options.patterns, [name for sources in remote.values() for name in sources])
    founds = [
        import_all(type_, remote[type_.name], run.definitions, snapshot, _is_wanted(options.patterns))
        for type_ in types
    ]
    imported, skipped = (
        tuple(itertools.chain(*of)) for of in zip(*((f.imported, f.skipped) for f in founds), strict=True)
    )
    found = Import(imported, skipped)
    _warn(terminal, found.warnings)
    return found


def _check_patterns(patterns: Sequence[str], names: Sequence[str]) -> None:
    for pattern in patterns:
        if not any(is_like(name, [pattern]) for name in names):
            guess = closest(pattern, tuple(names))
            raise UsageError(f"--match {pattern}: the remote has no source of such a name{guess}; nothing was imported")


def _warn(terminal: Terminal, warnings: Iterable[str]) -> None:
    for warning in warnings:
        terminal.warn(warning)


def _is_wanted(patterns: Sequence[str]) -> Callable[[str], bool]:
    return lambda name: not patterns or is_like(name, patterns)


def _show(run: Run, terminal: Terminal, found: Import, options: ImportOptions) -> None:
    for name, text in _name_files(Path(run.project.directory), found.files, options.out).items():
        terminal.out(f"# {name}\n{text}\n")
    for one in found.imported:
        if one.toml is None:
            terminal.out(f"# {one.address} is defined, and would be imported from {format_value(one.name)}\n")
    would = f"Would import {_count(len(found.imported))}; nothing was written.\n"
    terminal.out(would if found.imported else _NOTHING)


def _import(run: Run, terminal: Terminal, session: Session, found: Import, out: str | None) -> None:
    files = _name_files(Path(run.project.directory), found.files, out)
    definitions = _read_with(run, files)
    taken = {one.address: one.source for one in found.imported if one.source is not None}
    session.probe()
    begin = run.begin(None)
    with run.interrupts.shield():
        for name, text in files.items():
            _write_new(Path(run.project.directory, name), text)
            terminal.say(f"wrote {escape(name)}")
        if taken:
            session.record(begin)
        for address, source in taken.items():
            session.record(records.Imported(address, source, run.clock.timestamp()))
        session.commit("ok")
    terminal.out(f"Imported {_count(len(found.imported))}. {_next_plan(definitions, session.snapshot)}\n")


def _count(number: int) -> str:
    return f"{number} source{'' if number == 1 else 's'}"


def _read_with(run: Run, files: Mapping[str, str]) -> Definitions:
    """The project's definitions as they will be, its own files read anew: somebody may have changed them meanwhile.

    Raises:
        DefinitionError: with the files that are to be written the project could not be read any more.
    """
    environment = run.definitions.environment
    new = {name: text.encode() for name, text in files.items()}
    return parse_definitions({**project.read(run.project.directory, environment), **new}, environment)


def _next_plan(definitions: Definitions, snapshot: Snapshot) -> str:
    """What a plan says once the sources are imported."""
    try:
        changes = len(build_plan(definitions, snapshot).changes)
    except PlanError as error:
        return f"`statform plan` now fails: {escape(str(error))}."
    return f"`statform plan` now shows {changes or 'no'} change{'' if changes == 1 else 's'}."


def _name_files(directory: Path, texts: Sequence[str], out: str | None) -> dict[str, str]:
    """Name relative to the project -> text; none of the names is taken.

    Raises:
        UsageError: `out` is no definition file, or is there already.
    """
    base = Path(out or f"{project.DEFINITIONS}/imported.toml")
    inside = (directory / base).resolve().is_relative_to((directory / project.DEFINITIONS).resolve())
    if not inside or base.suffix != ".toml":
        raise UsageError(f"--out {out}: definitions are read from .toml files below {project.DEFINITIONS}/ only")
    if out and texts and (directory / base).exists():
        raise UsageError(f"--out {out}: is there already, and an import overwrites nothing")
    free = (name for name in _numbered(base) if not (directory / name).exists())
    return {str(name): text for name, text in zip(free, texts, strict=False)}


def _numbered(base: Path) -> Iterator[Path]:
    yield base
    yield from (base.with_name(f"{base.stem}-{number}.toml") for number in itertools.count(2))


def _write_new(path: Path, text: str) -> None:
    """Raises:
    UsageError: it is there already, or can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text, replaces=False)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def import_one(run: Run, terminal: Terminal, address: Address, name: str, out: str | None) -> int:
    """Take the source `name` to `address`; the exit code.

    Raises:
        UsageError: the address can't have it, or the remote has no such source.
    """
    type_ = type_of(parse_address(address))
    with run.interrupts.caught(), run.open_state("import") as session:
        run.resolve_unknown(session)
        _check_free(session.snapshot, run.definitions, type_, address, name)
        sources = run.list_remote([type_])[type_.name]
        if name not in sources:
            guess = closest(name, tuple(sources))
            raise UsageError(f"the remote has no {type_.name} named {format_value(name)}{guess}; nothing was imported")
        one = define(type_, parts(address)[1], name, sources[name], run.definitions)
        is_defined = address in run.definitions.resources
        # Without a file to write it to, the definition is shown.
        taken = one if out is not None and not is_defined else evolve(one, toml=None)
        _warn(terminal, () if is_defined else one.warnings)
        _import(run, terminal, session, Import((taken,)), out)
        if not is_defined and out is None and one.toml is not None:
            terminal.say("Add this definition, or the next apply forgets the address:")
            terminal.out("\n" + one.toml)
    return 0


def _check_free(snapshot: Snapshot, definitions: Definitions, type_: ResourceType, address: Address, name: str) -> None:
    if address in snapshot.resources:
        there = format_value(snapshot.resources[address].name)
        raise UsageError(f"the state has {address} already, as {there}; `statform state rm {address}` lets go of it")
    for other, prior in snapshot.resources.items():
        if prior.name == name and parts(other)[0] == type_.name:
            raise UsageError(f"the state has {format_value(name)} already, at {other}; `statform state mv` moves it")
    for other, definition in definitions.resources.items():
        if definition.name == name and definition.type is type_ and other != address:
            raise UsageError(
                f"{other} is defined with the name {format_value(name)}: import it there, or change that first"
            )
