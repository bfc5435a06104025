"""What moved at the remote, taken into the definitions: which value goes where, and what can't go there.

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
from planner.definitions.edit import CanNotEdit, Changes, Table, edit_tables
from planner.definitions.fields import Field, KeyedList, StringSet
from planner.definitions.fields import Table as TableKind
from planner.definitions.settings import SETTINGS_FILE
from planner.definitions.variables import refers_to_variables
from planner.plan.diff import ABSENT, NAME, FieldChange, diff
from state.snapshot import Snapshot
from state.values import JSON, Address


@frozen
class NotWritten:
    """A field, or with None a whole definition, that the remote has otherwise and that stays as it is; `reason` why."""

    address: Address
    field: str | None
    reason: str


@frozen
class Rewrite:
    """The new texts by file, how many values they take over, and what they don't."""

    files: Mapping[str, str]
    values: int
    not_written: tuple[NotWritten, ...]


def find_files(definitions: Definitions, drifts: Iterable[Drift]) -> tuple[str, ...]:
    """The files that a rewrite may change: the environment's own, else those of the definitions that moved."""
    if definitions.environment is not None:
        return (overlay_file(definitions.environment),)
    defined = (definitions.resources.get(drift.address) for drift in drifts)
    return tuple(dict.fromkeys(one.file for one in defined if one is not None))


def rewrite(definitions: Definitions, drifts: Iterable[Drift], after: Snapshot, texts: Mapping[str, str]) -> Rewrite:
    """Take what drifted into the definitions; `after` is the state with the drift in it.

    `texts` are the files of `find_files` as they are, line ends included.
    """
    rewriter = _Rewriter(definitions, texts)
    for drift in drifts:
        if (definition := definitions.resources.get(drift.address)) is not None:
            if drift.source is None:
                rewriter.refuse(drift.address, None, "the source is gone, and its definition stays")
            else:
                moved = {change.field.name for change in drift.changes}
                rewriter.add(definition, _undone(definition, after, moved))
    return rewriter.finish()


def _undone(definition: Definition, after: Snapshot, moved: Collection[str]) -> list[FieldChange]:
    """What a plan would bring back of that which moved."""
    changes = diff(definition, after.resources[definition.address]).changes
    return [change for change in changes if change.field.name in moved]


class _Refused(Exception):
    """A value has no place in the definition."""


@define
class _Rewriter:
    definitions: Definitions
    texts: Mapping[str, str]
    changes: dict[str, dict[Table, Changes]] = field(factory=dict)
    not_written: list[NotWritten] = field(factory=list)

    @cached_property
    def documents(self) -> dict[str, dict[str, Any]]:
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
            except _Refused as error:
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
            _Refused: it can't say so, or not there.
        """
        one, remote = change.field, None if change.before is ABSENT else change.before
        holder = self._holder(definition, one.name)
        if "sql_file" in holder and one.name == "sql":
            raise _Refused("it is in a file of its own")
        if refers_to_variables(holder.get(one.name)):
            raise _Refused("it is made of variables")
        value = _merged(one, definition.values.get(one.name), remote)
        if value is None and not one.nullable:
            raise _Refused("it has no value there, and a definition can't clear it")
        is_lost = value is None and remote is not None
        if is_lost or (value is not None and (one.kind.problems(value) or not is_text(value))):
            raise _Refused("a definition can't have the value that it has there")
        return value

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
        if file not in self.documents:
            self.documents[file] = tomli.loads(self.definitions.texts.get(file, ""))
        table: dict[str, Any] = self.documents[file].get(first, {}).get(second, {})
        return table

    def finish(self) -> Rewrite:
        files: dict[str, str] = {}
        count = 0
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
            # With none of them left, what is there instead is said whole.
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
