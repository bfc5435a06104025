"""`statform import`: sources that are there already, taken into the state and, where nothing defines them, defined.

The definitions are written first: an import that is interrupted between the two is completed by the next one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from planner.apply.recovery import resolve_unknown
from planner.apply.run import Run
from planner.audit.drift import Remote, types_in_use
from planner.audit.importing import GroupedBy, Import, define, import_all
from planner.commands.import_files import home_of, name_files, sql_namer, whole_text, write_files
from planner.definitions import project
from planner.definitions.addresses import is_like, parse_address, parts, type_of
from planner.definitions.definition import Definitions
from planner.definitions.fields import closest
from planner.definitions.resources import RESOURCE_TYPES, ResourceType, named_types
from planner.errors import KeyRefused, NotFound, PlanError, UsageError
from planner.escape import escape, format_value, in_one_form
from planner.output import Terminal
from planner.plan.build import build_plan
from planner.plural import counted
from state import records, store
from state.advice import advise
from state.session import Session
from state.snapshot import Snapshot
from state.values import Address, Object

_NOTHING = "Nothing to import: the state has every source that was asked for.\n"


@frozen
class ImportOptions:
    """What `statform import --all` was asked for.

    `out` is the definition file to write, relative to the project; `by`: a file for each group; `has_sql_files`: one
    for each query. Without `types`: those in use, or all in a project that has none.
    """

    patterns: Sequence[str] = ()
    types: Sequence[str] = ()
    out: str | None = None
    by: GroupedBy | None = None
    has_sql_files: bool = False
    is_dry_run: bool = False


def import_everything(run: Run, terminal: Terminal, options: ImportOptions) -> int:
    """Import every source that the state does not have; return the exit code."""
    if options.is_dry_run:
        _show(run, terminal, _find(run, terminal, store.read(run.place), options), options)
        return 0
    with run.interrupts.caught(), run.open_state("import") as session:
        resolve_unknown(run, session)
        found = _find(run, terminal, session.snapshot, options)
        if found.imported:
            _import(run, terminal, session, found, name_files(run.project, found, options.out, options.by))
        else:
            session.commit("ok")
            terminal.out(_NOTHING)
    return 0


def _find(run: Run, terminal: Terminal, snapshot: Snapshot, options: ImportOptions) -> Import:
    """What is to be imported, of the types in use, or of all in a project that has none; says what can't be."""
    types = named_types(options.types) or types_in_use(run.definitions, snapshot)
    remote = run.list_remote(types) if types else _list_what_may_be(run, terminal)
    run.check_project(snapshot, remote)
    _check_patterns(options.patterns, [name for sources in remote.values() for name in sources])
    home, is_wanted = home_of(run.definitions), _is_wanted(options.patterns)
    name_sql = sql_namer(run.project, options.out) if options.has_sql_files else None
    founds = [
        import_all(RESOURCE_TYPES[name], sources, run.definitions, snapshot, is_wanted, file=home, name_sql=name_sql)
        for name, sources in remote.items()
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
            raise UsageError(f"--match {pattern}: no source at the remote has such a name{guess}; nothing was imported")


def _list_what_may_be(run: Run, terminal: Terminal) -> Remote:
    """All types but those that the key may not list, or that the server does not have: nobody named them.

    Raises:
        ApiError: there is none that it may list.
    """
    found: dict[str, Mapping[str, Object]] = {}
    refusals: dict[str, KeyRefused | NotFound] = {}
    for name, type_ in RESOURCE_TYPES.items():
        try:
            found |= run.list_remote([type_])
        except KeyRefused as refusal:
            # A key that is not valid at all is refused for every type: that is the error, and nothing to leave out.
            if refusal.status != 403:
                raise
            refusals[name] = refusal
        except NotFound as refusal:
            refusals[name] = refusal
    if not found:
        raise next(iter(refusals.values()))
    _warn(terminal, (f"{name} is left out: {refusal.args[0]}" for name, refusal in refusals.items()))
    return found


def _warn(terminal: Terminal, warnings: Iterable[str]) -> None:
    for warning in warnings:
        terminal.warn(warning)


def _is_wanted(patterns: Sequence[str]) -> Callable[[str], bool]:
    return lambda name: not patterns or is_like(name, patterns)


def _show(run: Run, terminal: Terminal, found: Import, options: ImportOptions) -> None:
    for name, text in name_files(run.project, found, options.out, options.by).items():
        terminal.out(f"# {name}\n{text}\n")
    for one in found.imported:
        if one.toml is None:
            terminal.out(f"# {one.address} is defined, and would be imported from {format_value(one.name)}\n")
    would = f"Would import {counted(len(found.imported), 'source')}; nothing was written.\n"
    terminal.out(would if found.imported else _NOTHING)


def _import(
    run: Run, terminal: Terminal, session: Session, found: Import, new: Mapping[str, str], *, is_result: bool = True
) -> None:
    """Write the definitions, and take the sources into the state; what was done is on stderr unless it `is_result`."""
    directory = run.project.directory
    files = {name: whole_text(Path(directory, name), text) for name, text in new.items()}
    # Raises before anything is written, if the project would not be valid with them.
    definitions = project.read_with(directory, run.definitions.environment, files)
    taken = {one.address: one.source for one in found.imported if one.source is not None}
    session.probe()
    begin = run.begin(None)
    with run.interrupts.shield():
        # The definitions first: a source that is in the state and not defined would be forgotten by the next apply.
        for name in write_files(directory, files, home_of(run.definitions)):
            terminal.say(f"wrote {escape(name)}")
        # Of an import that only writes definitions, the journal gets no run.
        if taken:
            session.record(begin)
        for address, source in taken.items():
            session.record(records.Imported(address, source, run.clock.timestamp()))
        session.commit("ok")
    told = f"Imported {counted(len(found.imported), 'source')}. {_next_plan(definitions, session.snapshot)}"
    if is_result:
        terminal.out(told + "\n")
    else:
        terminal.say(told)


def _next_plan(definitions: Definitions, snapshot: Snapshot) -> str:
    """What a plan says once the sources are imported."""
    try:
        changes = len(build_plan(definitions, snapshot).changes)
    except PlanError as error:
        return escape(f"`{advise('plan')}` now fails: {error}.")
    return escape(f"`{advise('plan')}` now shows {counted(changes, 'change') if changes else 'no changes'}.")


def import_one(
    run: Run, terminal: Terminal, address: Address, name: str, out: str | None, *, has_sql_file: bool = False
) -> int:
    """Take the source `name` to `address`; the exit code. Its query gets a file if it `has_sql_file`, beside `out`.

    Raises:
        UsageError: the address can't have it, or the remote has no such source.
    """
    type_ = type_of(parse_address(address))
    with run.interrupts.caught(), run.open_state("import") as session:
        resolve_unknown(run, session)
        _check_free(session.snapshot, run.definitions, type_, address, name)
        remote = run.list_remote([type_])
        # Before the name is looked for: with a key of another project, "no such source" would mislead.
        run.check_project(session.snapshot, remote)
        sources = remote[type_.name]
        if name not in sources:
            guess = closest(name, tuple(sources))
            raise UsageError(f"the remote has no {type_.name} named {format_value(name)}{guess}; nothing was imported")
        home = home_of(run.definitions) if out is None else ""
        name_sql = sql_namer(run.project, out) if has_sql_file else None
        one = define(type_, parts(address)[1], name, sources[name], run.definitions, file=home, name_sql=name_sql)
        if address in run.definitions.resources:
            one = evolve(one, toml=None, sql_file=None, warnings=())
        _warn(terminal, one.warnings)
        # Without a file to write it to, the definition is shown, and is all that stdout has.
        is_shown = out is None and one.toml is not None
        taken = Import((evolve(one, toml=None) if is_shown else one,))
        _import(run, terminal, session, taken, name_files(run.project, taken, out, None), is_result=not is_shown)
        if is_shown:
            terminal.say(_advise(address, deletes=run.definitions.removed.get(address)))
            terminal.out(one.toml or "")
    return 0


def _advise(address: Address, *, deletes: bool | None) -> str:
    """What the next apply does to a source without a definition; `deletes` is from `[[removed]]`."""
    if deletes is None:
        return "Add this definition, or the next apply forgets the address:"
    fate = "DELETES the source" if deletes else "forgets the address"
    return f"[[removed]] names {address}: the next apply {fate}, unless you replace that entry by this definition:"


def _check_free(snapshot: Snapshot, definitions: Definitions, type_: ResourceType, address: Address, name: str) -> None:
    if address in snapshot.resources:
        there = format_value(snapshot.resources[address].name)
        raise UsageError(f"the state already has {address}, as {there}; `{advise('state', 'rm', address)}` removes it")
    for other, prior in snapshot.resources.items():
        if prior.name == name and parts(other)[0] == type_.name:
            move = advise("state", "mv", other, address)
            raise UsageError(f"the state already has {format_value(name)}, at {other}; `{move}` moves it")
    form = in_one_form(name)
    for other, definition in definitions.resources.items():
        # What the state does not have yet may be meant in whatever Unicode form.
        is_it = definition.name == name or (other not in snapshot.resources and in_one_form(definition.name) == form)
        if is_it and definition.type is type_ and other != address:
            shown = format_value(definition.name)
            raise UsageError(
                f"{other} is defined with the name {shown}: import it to that address, or change that definition first"
            )
