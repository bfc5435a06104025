"""Makes addresses and definitions from remote sources: keys from names, and the fields that a definition needs.

Pure: `commands.importer` lists the remote and writes what comes of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal, TypeAlias

from attrs import evolve, field, frozen

from planner.definitions.addresses import UNUSABLE_NAMES, fits_in_url, is_like, parts
from planner.definitions.definition import Definitions
from planner.definitions.equality import is_nothing, is_satisfied
from planner.definitions.fields import Field, KeyedList, String, Table
from planner.definitions.limits import is_within_limits
from planner.definitions.resources import ResourceType
from planner.definitions.writing.write import format_definition, format_query
from planner.escape import format_value, in_one_form, tell_names_apart
from planner.plan.diff import is_same_but_for_line_ends
from planner.plan.moves import find_moves
from state.snapshot import Snapshot
from state.values import JSON, Address, Object

GroupedBy: TypeAlias = Literal["team", "tag"]
NameSql: TypeAlias = Callable[[str, str], str]
"""Key and text of a query to the name of the .sql file that is to have it, relative to the definition's file."""
PER_FILE = 500
"""Definitions in one file, at most."""
_FILE_LENGTH = 1 << 20
_LONGEST_KEY = 60


@frozen
class FoundSource:
    """A source that is to be in the state at `address`, and defined there.

    `source` is None if the state has it already, `toml` if it is defined already. `sql_file` is the name, as the
    definition has it, and the text of the file that has the query.
    `warnings` say what of it a definition can't have.
    """

    address: Address
    name: str
    source: Object | None
    toml: str | None
    sql_file: tuple[str, str] | None = None
    warnings: tuple[str, ...] = ()
    values: Object = field(factory=dict)

    def group(self, by: GroupedBy | None) -> str:
        """The team, or the first tag; "" where it has none, or nothing is grouped."""
        match by, self.values:
            case "team", {"team": str(team)}:
                return team
            case "tag", {"tags": [str(tag), *_]}:
                return tag
            case _:
                return ""


@frozen
class Import:
    """What an import does, in the order of the names; `skipped` says which sources it leaves alone, and why."""

    imported: tuple[FoundSource, ...] = ()
    skipped: tuple[str, ...] = field(default=())

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self.skipped, *(warning for one in self.imported for warning in one.warnings))

    @property
    def sql_files(self) -> Mapping[str, str]:
        """The texts of the .sql files, by their names as the definitions have them."""
        return dict(one.sql_file for one in self.imported if one.sql_file is not None)

    @property
    def files(self) -> tuple[str, ...]:
        """The texts of the new definition files, each small enough to be read."""
        return self.files_by(None).get("", ())

    def files_by(self, by: GroupedBy | None) -> Mapping[str, tuple[str, ...]]:
        """The texts of the new definition files of each group."""
        groups: dict[str, list[str]] = {}
        for one in self.imported:
            if one.toml is not None:
                groups.setdefault(one.group(by), []).append(one.toml)
        return {group: tuple(_files(texts)) for group, texts in sorted(groups.items())}


def import_all(
    type_: ResourceType,
    sources: Mapping[str, Object],
    definitions: Definitions,
    snapshot: Snapshot,
    is_wanted: Callable[[str], bool] = lambda _name: True,
    *,
    file: str = "",
    name_sql: NameSql | None = None,
) -> Import:
    """Every wanted source that the state lacks: to the address that is defined for its name, or to a new one.

    What the project ignores is taken only where it is defined. `file` is where the new definitions will stand. With
    `name_sql` their queries get files of their own.
    What the state has and nothing defines, so that a plan would forget it, is defined at its address, as it is there,
    unless `[[removed]]` names it. No new address is one that `[[removed]]` or `[[moved]]` says something of.
    """
    managed = {prior.name: a for a, prior in snapshot.resources.items() if parts(a)[0] == type_.name}
    kept = {*definitions.resources, *definitions.removed, *find_moves(definitions, snapshot).values()}
    taken = (*definitions.resources, *definitions.removed, *definitions.moved, *snapshot.resources)
    # By what the state calls them, and no definition keeps: the next apply would forget these.
    undefined = {
        name: address for name, address in managed.items() if address not in kept and name not in UNUSABLE_NAMES
    }
    defined = {one.name: address for address, one in definitions.resources.items() if one.type is type_}
    # A definition whose own name is not there may mean one that is called the same in another Unicode form.
    unmet = (name for name, address in defined.items() if name not in sources and address not in snapshot.resources)
    forms = {in_one_form(name): name for name in unmet}
    ignored = definitions.settings.ignore
    names = sorted(
        name
        for name in sources
        if (name in undefined or (name not in managed and (name in defined or not is_like(name, ignored))))
        and is_wanted(name)
    )
    keys = _keys(
        [name for name in names if name not in defined and name not in undefined],
        {parts(a)[1] for a in taken if a.startswith(f"{type_.name}.")},
    )
    as_defined = partial(define, type_, definitions=definitions, file=file, name_sql=name_sql)
    imported: list[FoundSource] = []
    skipped: list[str] = []
    for name in names:
        reason = None
        if name in undefined:
            address = undefined[name]
            one = as_defined(parts(address)[1], name, snapshot.resources[address].values)
            one = evolve(one, source=None)
        elif name in defined:
            one = FoundSource(defined[name], name, sources[name], None)
            if (prior := snapshot.resources.get(one.address)) is not None:
                reason = f"{one.address} gets this name, but is still {format_value(prior.name)}"
        elif (form := forms.get(in_one_form(name))) is not None:
            shown, other = tell_names_apart(name, form)
            reason = f"{defined[form]} is defined as {other}, the same name in another Unicode form"
            skipped.append(f"{type_.name} {shown}: {reason}: write name = {shown} there, if it is that source")
            continue
        elif (reason := _unusable(name)) is None:
            one = as_defined(keys[name], name, sources[name])
        if reason is None and one.toml is not None and not is_within_limits(one.toml):
            reason = "larger than a definition file may be"
        if reason is None:
            imported.append(one)
        else:
            skipped.append(f"{type_.name} {format_value(name)} is left out: {reason}")
    return Import(tuple(imported), tuple(skipped))


def define(
    type_: ResourceType,
    key: str,
    name: str,
    source: Object,
    definitions: Definitions,
    *,
    file: str = "",
    name_sql: NameSql | None = None,
) -> FoundSource:
    """The source with a definition of its own, for the file.

    It leaves out values that equal the defaults, and empty values: a plan then has no change. A query
    that a .sql file can't hold as it is stays in the definition.
    """
    values: dict[str, JSON] = {}
    warnings: list[str] = []
    address = Address(f"{type_.name}.{key}")
    for one in type_.declarable:
        value = declared_value(one, source.get(one.name))
        problems = () if value is None else one.kind.problems(value)
        if not problems and is_text(value):
            values[one.name] = value
        else:
            problem = problems[0].summary if problems else "UTF-8 can't hold it"
            warnings.append(f"{address}: {one.name} is left out: {problem}")
    defaults = definitions.defaults_for(file).get(type_.name, {})
    declared: dict[str, JSON] = {}
    cleared = []
    for one in type_.declarable:
        value, default, remote = values.get(one.name), defaults.get(one.name), source.get(one.name)
        # What the defaults say already is not repeated: a change of the default is to reach this source too.
        if default is not None and is_satisfied(one.kind, default, remote):
            continue
        if value is not None and (default is not None or one.required or not is_nothing(value)):
            declared[one.name] = value
        elif default is not None and one.nullable and remote is None:
            cleared.append(one.name)
        elif default is not None:
            warnings.append(f"{address}: {one.name} has a default; a plan will set it")
    sql_file = _sql_file(declared, key, name_sql) if name_sql else None
    toml = format_definition(type_, key, name, declared, cleared)
    return FoundSource(address, name, source, toml, sql_file, tuple(warnings), source)


def _sql_file(declared: dict[str, JSON], key: str, name_sql: NameSql) -> tuple[str, str] | None:
    """The file that the query goes to, which the definition names instead; None if it stays."""
    sql = declared.get("sql")
    if not isinstance(sql, str) or (text := format_query(sql)) is None:
        return None
    name = name_sql(key, text)
    # Where the query stood.
    fields = [("sql_file", name) if field_ == "sql" else (field_, value) for field_, value in declared.items()]
    declared.clear()
    declared.update(fields)
    return name, text


def declared_value(field_: Field, value: JSON) -> JSON:
    """What a definition can say of the value: the members that it knows, in the order in which they are documented."""
    match field_.kind:
        case Table(members) if isinstance(value, dict):
            known: dict[str, JSON] = {member: value[member] for member in members if isinstance(value.get(member), str)}
            return known or None
        case String() if isinstance(value, str):
            lines = value.replace("\r\n", "\n")
            return lines if is_same_but_for_line_ends(lines, value) else value
        case KeyedList(key, held) if isinstance(value, list):
            return [
                {member: e[member] for member in (key, held) if member in e} if isinstance(e, dict) else e
                for e in value
            ]
        case _:
            return value


def _unusable(name: str) -> str | None:
    if name in UNUSABLE_NAMES or not fits_in_url(name):
        return "a name that can't be in a URL, so that no request reaches the source: rename it in the console"
    return None if is_text(name) else "a name that UTF-8 can't hold"


def is_text(value: JSON) -> bool:
    """Whether a file can hold the value: UTF-8 has no lone surrogates."""
    match value:
        case str():
            return not any("\ud800" <= character <= "\udfff" for character in value)
        case list():
            return all(map(is_text, value))
        case dict():
            return all(is_text(key) and is_text(item) for key, item in value.items())
        case _:
            return True


def _keys(names: Sequence[str], taken: Iterable[str]) -> Mapping[str, str]:
    """A key in snake_case for each name, none of them `taken`; a name that is one is its own, if it is free."""
    used = set(taken)
    # First those that are keys as they are: a name that only becomes the same key must not take it from them.
    found = {name: name for name in names if name not in used and slug(name) == name}
    used |= found.keys()
    numbers: dict[str, Iterator[int]] = {}
    for name in sorted(set(names) - found.keys()):
        base = key = slug(name)
        while key in used:
            key = f"{base}_{next(numbers.setdefault(base, itertools.count(2)))}"
        used.add(key)
        found[name] = key
    return found


def slug(name: str) -> str:
    """The name in small letters, digits and _, other scripts transliterated; `source` where none is left."""
    if not name.isascii():
        from anyascii import anyascii  # noqa: PLC0415 - tables that only such names need

        name = anyascii(name)
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", re.sub("['`]", "", name))
    return re.sub(r"[^a-z0-9]+", "_", parted.lower())[: _LONGEST_KEY + 1].strip("_")[:_LONGEST_KEY] or "source"


def _files(definitions: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(definitions), PER_FILE):
        yield from _halved(definitions[start : start + PER_FILE])


def _halved(definitions: Sequence[str]) -> Iterator[str]:
    """One text of the definitions; of more than a file may hold, those of the halves."""
    text = "\n".join(definitions)
    if len(definitions) == 1 or (len(text) <= _FILE_LENGTH and is_within_limits(text)):
        yield text
    else:
        middle = len(definitions) // 2
        yield from _halved(definitions[:middle])
        yield from _halved(definitions[middle:])
