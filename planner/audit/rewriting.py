"""Writes remote changes into the definitions: which value goes where, and what can't be written.

Pure: `commands.refresh` reads the files and writes them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import tomli
from attrs import define, field, frozen

from planner.audit.drift import Drift
from planner.audit.importing import declared_value, is_text
from planner.definitions.addresses import parts
from planner.definitions.definition import Definition, Definitions, overlay_file
from planner.definitions.document import Document
from planner.definitions.fields import Field, KeyedList, StringSet
from planner.definitions.fields import Table as TableKind
from planner.definitions.optional.sql_file import named_file
from planner.definitions.optional.variables import refers_to_variables
from planner.definitions.resources import RESOURCE_TYPES
from planner.definitions.settings import SETTINGS_FILE
from planner.definitions.writing.edit import CanNotEdit, Changes, Table, edit_tables
from planner.definitions.writing.write import format_query
from planner.plan.diff import ABSENT, NAME, FieldChange, diff
from state.snapshot import Snapshot
from state.values import JSON, Address


@frozen
class NotWritten:
    """A field (or a whole definition, with None) that differs at the remote and is not written; `reason` says why."""

    address: Address
    field: str | None
    reason: str


@frozen
class Rewrite:
    """The new texts by file, the number of written values, and what is not written."""

    files: Mapping[str, str]
    values: int
    not_written: tuple[NotWritten, ...]


def find_files(definitions: Definitions, drifts: Iterable[Drift]) -> tuple[str, ...]:
    """The files that a rewrite may change: the environment's own, else those of the definitions that moved; and the
    .sql files that these definitions name.
    """
    moved = [one for drift in drifts if (one := definitions.resources.get(drift.address)) is not None]
    environment = definitions.environment
    own = [one.file for one in moved] if environment is None else [overlay_file(environment)]
    return tuple(dict.fromkeys([*own, *(one.sql_file for one in moved if one.sql_file is not None)]))


def rewrite(
    definitions: Definitions,
    drifts: Iterable[Drift],
    after: Snapshot,
    texts: Mapping[str, str],
    others: Mapping[str, Document] | None = None,
) -> Rewrite:
    """Take what drifted into the definitions; `after` is the state with the drift in it.

    `texts` are the files of `find_files` as they are, line ends included; `others` those of the other environments,
    which may name a .sql file as well.
    """
    rewriter = _Rewriter(definitions, texts, others or {})
    for drift in drifts:
        if (definition := definitions.resources.get(drift.address)) is not None:
            if drift.source is None:
                rewriter.refuse(drift.address, None, "the source is gone, and its definition stays")
            else:
                moved = {change.field.name for change in drift.changes}
                rewriter.add(definition, _undone(definition, after, moved))
    return rewriter.finish()


def _undone(definition: Definition, after: Snapshot, moved: Collection[str]) -> list[FieldChange]:
    """The remote changes that a plan would undo."""
    changes = diff(definition, after.resources[definition.address]).changes
    return [change for change in changes if change.field.name in moved]


class _NoPlace(Exception):
    """A value has no place in the definition."""


@define(eq=False, repr=False)
class _Rewriter:
    definitions: Definitions
    texts: Mapping[str, str]
    others: Mapping[str, Document]
    queries: dict[str, str] = field(factory=dict)
    changes: dict[str, dict[Table, Changes]] = field(factory=dict)
    not_written: list[NotWritten] = field(factory=list)

    @cached_property
    def documents(self) -> dict[str, Document]:
        return {}

    def refuse(self, address: Address, field_: str | None, reason: str) -> None:
        self.not_written.append(NotWritten(address, field_, reason))

    def add(self, definition: Definition, moved: Iterable[FieldChange]) -> None:
        """Note what of these changes, each from the remote's value to the declared one, the definition takes over."""
        file, table = self._home(definition), parts(definition.address)
        own = self._table(file, *table)
        clear = cleared = list(own.get("clear", []))
        sets: dict[str, JSON] = {}
        removes: list[str] = []
        for change in moved:
            name = change.field.name
            try:
                value = self._value(definition, change)
                if name == "sql" and "sql_file" in own and definition.sql_file is not None:
                    self.queries[definition.sql_file] = self._query(definition.sql_file, value)
                    continue
            except _NoPlace as error:
                self.refuse(definition.address, name, str(error))
                continue
            clear = [one for one in clear if one != name]
            if value is None:
                clear = [*clear, name]
                removes += [name] if name in own else []
            else:
                sets[name] = value
        if clear:
            sets |= {"clear": clear} if clear != cleared else {}
        elif cleared:
            removes.append("clear")
        if sets or removes:
            self.changes.setdefault(file, {})[table] = Changes(sets, tuple(removes))

    def _value(self, definition: Definition, change: FieldChange) -> JSON:
        """What the definition is to say; None: the field is to be cleared.

        Raises:
            _NoPlace: it can't say so, or not there.
        """
        one, remote = change.field, None if change.before is ABSENT else change.before
        holder = self._holder(definition, one.name)
        is_in_file = "sql_file" in holder and one.name == "sql"
        said = self.texts[definition.sql_file] if is_in_file and definition.sql_file else holder.get(one.name)
        # A written value would take the place of the variable, and be wrong where the variable has another value.
        if refers_to_variables(said):
            raise _NoPlace("its value in the definition has variables")
        value = _merged(one, definition.values.get(one.name), remote)
        if value is None and not one.nullable:
            raise _NoPlace("it has no value at the remote, and a definition can't clear it")
        is_lost = value is None and remote is not None
        if is_lost or (value is not None and (one.kind.problems(value) or not is_text(value))):
            raise _NoPlace("a definition can't have its value at the remote")
        return value

    def _query(self, name: str, value: JSON) -> str:
        """The text of the .sql file with the value.

        Raises:
            _NoPlace: it can't have it.
        """
        # To write it would change the query of the other definition too, which did not drift.
        if len(self._namers.get(name, ())) > 1:
            raise _NoPlace(f"{name} is named by more than one definition")
        text = format_query(value, self.texts[name]) if isinstance(value, str) else None
        if text is None:
            raise _NoPlace("a .sql file can't have its value at the remote, or not so that a person can see it")
        return text

    @cached_property
    def _namers(self) -> Mapping[str, list[tuple[str, str, str]]]:
        """Of each .sql file, the tables that name it: their file, type and key; also those that others lie over."""
        found: dict[str, list[tuple[str, str, str]]] = {}
        documents = {file: self._document(file) for file in self.definitions.texts if file.endswith(".toml")}
        for file, document in {**self.others, **documents}.items():
            for type_name, tables in document.items():
                for key, table in tables.items() if type_name in RESOURCE_TYPES and isinstance(tables, dict) else ():
                    if isinstance(table, dict) and isinstance(named := table.get("sql_file"), str):
                        found.setdefault(named_file(file, named), []).append((file, type_name, key))
        return found

    def _holder(self, definition: Definition, name: str) -> Mapping[str, Any]:
        """The table that the declared value is from, as the file has it."""
        type_name, key = parts(definition.address)
        overlay = [] if (env := self.definitions.environment) is None else [overlay_file(env)]
        own = [(file, (type_name, key)) for file in (*overlay, definition.file)]
        shared = [(file, ("defaults", type_name)) for file in (*overlay, definition.file, SETTINGS_FILE)]
        names = {name, "sql_file"} if name == "sql" else {name}
        for file, (first, second) in own if name == NAME.name else own + shared:
            table = self._table(file, first, second)
            if names & table.keys() or name in table.get("clear", ()):
                return table
        return {}

    def _home(self, definition: Definition) -> str:
        environment = self.definitions.environment
        return definition.file if environment is None else overlay_file(environment)

    def _table(self, file: str, first: str, second: str) -> dict[str, Any]:
        table: dict[str, Any] = self._document(file).get(first, {}).get(second, {})
        return table

    def _document(self, file: str) -> Document:
        if file not in self.documents:
            self.documents[file] = tomli.loads(self.definitions.texts.get(file, ""))
        return self.documents[file]

    def finish(self) -> Rewrite:
        files = dict(self.queries)
        count = len(files)
        for file, changes in self.changes.items():
            text, done = self._edit(self.texts[file], changes)
            if done:
                files[file] = text
                count += done
        return Rewrite(files, count, tuple(self.not_written))

    def _edit(self, text: str, changes: Mapping[Table, Changes]) -> tuple[str, int]:
        """The new text and how many values it takes over; what can't be changed in place is noted."""
        try:
            return edit_tables(text, changes), sum(map(_count, changes.values()))
        except CanNotEdit as error:
            # One value that can't be changed in place must not keep the others out: they are tried one by one.
            pieces = [*_pieces(changes)]
            if len(pieces) == 1:
                ((table, (sets, removes)),) = pieces[0].items()
                for name in dict.fromkeys([*sets, *removes]).keys() - {"clear"} or {"clear"}:
                    self.refuse(Address(".".join(table)), name, str(error))
                return text, 0
        total = 0
        for piece in pieces:
            text, done = self._edit(text, piece)
            total += done
        return text, total


def _count(changes: Changes) -> int:
    return len({*changes.sets, *changes.removes} - {"clear"}) or 1


def _pieces(changes: Mapping[Table, Changes]) -> Iterator[dict[Table, Changes]]:
    """The tables one by one; of one table its fields, as far as they can be changed one by one."""
    if len(changes) > 1:
        yield from ({table: change} for table, change in changes.items())
        return
    ((table, (sets, removes)),) = changes.items()
    # What is cleared is in two places, which change together.
    alone = {name: value for name, value in sets.items() if name != "clear"}
    if "clear" in sets or removes or len(alone) < 2:
        yield {table: Changes(sets, removes)}
        return
    yield from ({table: Changes({name: value})} for name, value in alone.items())


def _merged(one: Field, declared: JSON, remote: JSON) -> JSON:
    """The remote's value as the definition says it: its own members, and its order as far as it goes."""
    match one.kind, declared, remote:
        case TableKind(), dict(), dict():
            kept: dict[str, JSON] = {name: remote[name] for name in declared if isinstance(remote.get(name), str)}
            # If none of them is left, the whole new value is written.
            return kept or declared_value(one, remote)
        case StringSet(), list(), list():
            return [item for item in declared if item in remote] + [item for item in remote if item not in declared]
        case KeyedList(key, _), list(), list():
            value = declared_value(one, remote)
            ranks = {str(entry.get(key)): rank for rank, entry in enumerate(declared) if isinstance(entry, dict)}
            entries = value if isinstance(value, list) else []
            return sorted(entries, key=lambda e: ranks.get(str(e.get(key)), len(ranks)) if isinstance(e, dict) else 0)
        case _:
            return declared_value(one, remote)
