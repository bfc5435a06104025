"""Sources of the remote into addresses and definitions: keys from names, and TOML that a person would have written.

Pure: `commands.importer` lists the remote and writes what comes of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from planner.definitions.addresses import KEY, UNUSABLE_NAMES, fits_in_url, is_like, parts
from planner.definitions.definition import Definitions
from planner.definitions.fields import Field, KeyedList, Table, is_satisfied
from planner.definitions.limits import is_within_limits
from planner.definitions.resources import ResourceType
from planner.escape import UNSAFE, escape, format_value, without_ci_commands
from planner.plan.moves import find_moves
from state.snapshot import Snapshot
from state.values import JSON, Address, Object

PER_FILE = 500
"""Definitions in one file, at most."""
_FILE_LENGTH = 1 << 20
_WIDTH = 100
_ZERO_WIDTH = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
# Would end the string, or lengthen its end.
_CLOSING = re.compile(r'"(?="")|"\Z')
# Editors strip it.
_BLANK_AT_LINE_END = re.compile(r"[ \t](?=\n)")
_BLANKS = {" ": "\\u0020", "\t": "\\t"}


@frozen
class FoundSource:
    """A source that is to be in the state at `address`, and defined there.

    `source` is None if the state has it already, `toml` if it is defined already.
    `warnings` say what of it a definition can't have.
    """

    address: Address
    name: str
    source: Object | None
    toml: str | None
    warnings: tuple[str, ...] = ()


@frozen
class Import:
    """What an import does, in the order of the names; `skipped` says which sources it leaves alone, and why."""

    imported: tuple[FoundSource, ...] = ()
    skipped: tuple[str, ...] = field(default=())

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self.skipped, *(warning for one in self.imported for warning in one.warnings))

    @property
    def files(self) -> tuple[str, ...]:
        """The texts of the new definition files, each small enough to be read."""
        return tuple(_files([one.toml for one in self.imported if one.toml is not None]))


def import_all(
    type_: ResourceType,
    sources: Mapping[str, Object],
    definitions: Definitions,
    snapshot: Snapshot,
    is_wanted: Callable[[str], bool] = lambda _name: True,
) -> Import:
    """Every wanted source that the state lacks: to the address that is defined for its name, or to a new one.

    What the project ignores is taken only where it is defined.
    What the state has and nothing defines, so that a plan would forget it, is defined at its address, as it is there.
    """
    managed = {prior.name: a for a, prior in snapshot.resources.items() if parts(a)[0] == type_.name}
    kept = {*definitions.resources, *find_moves(definitions, snapshot).values()}
    undefined = {
        name: address for name, address in managed.items() if address not in kept and name not in UNUSABLE_NAMES
    }
    defined = {one.name: address for address, one in definitions.resources.items() if one.type is type_}
    ignored = definitions.settings.ignore
    names = sorted(
        name
        for name in sources
        if (name in undefined or (name not in managed and (name in defined or not is_like(name, ignored))))
        and is_wanted(name)
    )
    keys = _keys(
        [name for name in names if name not in defined and name not in undefined],
        {parts(a)[1] for a in (*definitions.resources, *snapshot.resources) if a.startswith(f"{type_.name}.")},
    )
    imported: list[FoundSource] = []
    skipped: list[str] = []
    for name in names:
        reason = None
        if name in undefined:
            address = undefined[name]
            one = define(type_, parts(address)[1], name, snapshot.resources[address].values, definitions)
            one = evolve(one, source=None)
        elif name in defined:
            one = FoundSource(defined[name], name, sources[name], None)
            if (prior := snapshot.resources.get(one.address)) is not None:
                reason = f"{one.address}, which is to get this name, is {format_value(prior.name)} still"
        elif (reason := _unusable(name)) is None:
            one = define(type_, keys[name], name, sources[name], definitions)
        if reason is None and one.toml is not None and not is_within_limits(one.toml):
            reason = "larger than a definition file may be"
        if reason is None:
            imported.append(one)
        else:
            skipped.append(f"{format_value(name)}: {reason}")
    return Import(tuple(imported), tuple(skipped))


def define(type_: ResourceType, key: str, name: str, source: Object, definitions: Definitions) -> FoundSource:
    """The source with a definition of its own, which the project's defaults do not change."""
    values: dict[str, JSON] = {}
    warnings: list[str] = []
    address = Address(f"{type_.name}.{key}")
    for one in type_.fields:
        value = _declared(one, source.get(one.name))
        problems = () if value is None else one.kind.problems(value)
        if not problems and _is_text(value):
            values[one.name] = value
        else:
            problem = problems[0].summary if problems else "UTF-8 can't hold it"
            warnings.append(f"{address}: {one.name} is left out: {problem}")
    defaults = definitions.defaults_for("").get(type_.name, {})
    cleared = []
    for one in type_.fields:
        if one.name in defaults and values.get(one.name) is None and defaults[one.name] is not None:
            if one.nullable and source.get(one.name) is None:
                cleared.append(one.name)
            elif not is_satisfied(one.kind, defaults[one.name], source.get(one.name)):
                warnings.append(f"{address}: {one.name} has a default, which a plan will give to it")
    declared = {k: v for k, v in values.items() if v is not None}
    return FoundSource(address, name, source, _definition(type_, key, name, declared, cleared), tuple(warnings))


def _declared(field_: Field, value: JSON) -> JSON:
    """What a definition can say of the value: the members that it knows, in the order in which they are documented."""
    match field_.kind:
        case Table(members) if isinstance(value, dict):
            known: dict[str, JSON] = {member: value[member] for member in members if isinstance(value.get(member), str)}
            return known or None
        case KeyedList(key, held) if isinstance(value, list):
            return [
                {member: e[member] for member in (key, held) if member in e} if isinstance(e, dict) else e
                for e in value
            ]
        case _:
            return value


def _unusable(name: str) -> str | None:
    if name in UNUSABLE_NAMES or not fits_in_url(name):
        return "a name that can't be in a URL"
    return None if _is_text(name) else "a name that UTF-8 can't hold"


def _is_text(value: JSON) -> bool:
    """Whether a file can hold the value: UTF-8 has no lone surrogates."""
    match value:
        case str():
            return not any("\ud800" <= character <= "\udfff" for character in value)
        case list():
            return all(map(_is_text, value))
        case dict():
            return all(_is_text(key) and _is_text(item) for key, item in value.items())
        case _:
            return True


def _keys(names: Sequence[str], taken: Iterable[str]) -> Mapping[str, str]:
    """A key for each name, none of them `taken`; a name that can be a key is its own, if it is free."""
    used = set(taken)
    found = {name: name for name in names if KEY.fullmatch(name) and name not in used}
    used |= found.keys()
    numbers: dict[str, Iterator[int]] = {}
    for name in sorted(set(names) - found.keys()):
        base = key = name if KEY.fullmatch(name) else _slug(name)
        while key in used:
            key = f"{base}_{next(numbers.setdefault(base, itertools.count(2)))}"
        used.add(key)
        found[name] = key
    return found


def _slug(name: str) -> str:
    """The name in letters and digits, - and _, other scripts transliterated; `source` where none is left."""
    if not name.isascii():
        from anyascii import anyascii  # noqa: PLC0415 - tables that only such names need

        name = anyascii(name)
    return re.sub(r"[^A-Za-z0-9-]+", "_", re.sub("['`]", "", name)).strip("_-")[:60] or "source"


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


def _definition(type_: ResourceType, key: str, name: str, values: Mapping[str, JSON], cleared: Sequence[str]) -> str:
    lines = [f"[{type_.name}.{key}]"]
    if name != key:
        lines.append(f"name = {_string(name)}")
    # What takes many lines stands last.
    ordered = sorted(values, key=lambda field_: isinstance(text := values[field_], str) and "\n" in text)
    lines += [f"{field_} = {_value(values[field_], len(field_) + 3)}" for field_ in ordered]
    if cleared:
        lines.insert(1 + (name != key), f"clear = {_value(list(cleared), 8)}")
    return "\n".join(lines) + "\n"


def _value(value: JSON, column: int = 0) -> str:
    """The value as TOML; `column` is where it begins."""
    match value:
        case str():
            return _string(value)
        case bool():
            return "true" if value else "false"
        case dict():
            return "{ " + ", ".join(f"{key} = {_string(str(item))}" for key, item in value.items()) + " }"
        case list():
            items = [_value(item) for item in value]
            line = "[" + ", ".join(items) + "]"
            has_tables = any(isinstance(item, dict) for item in value)
            return line if len(line) + column <= _WIDTH and not has_tables else "[\n" + _lines(items) + "]"
        case _:
            return str(value)


def _lines(items: Iterable[str]) -> str:
    return "".join(f"  {item},\n" for item in items)


def _string(text: str) -> str:
    """A string as a person would write it: over several lines if it has some, without escapes if it can be."""
    if without_ci_commands(text) != text:
        # Who is shown the file in a log is shown what it has.
        return without_ci_commands('"' + escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"')
    if "\n" in text:
        return _block(text)
    escaped = _escaped(text.replace("\\", "\\\\").replace('"', '\\"'))
    if escaped == text or _escaped(text) != text:
        return f'"{escaped}"'
    if "'" not in text:
        return f"'{text}'"
    return f"'''{text}'''" if _can_be_literal(text) else f'"{escaped}"'


def _block(text: str) -> str:
    # The line end behind the opening quotes is no part of the string.
    if _escaped(text, "\t\n") == text and _can_be_literal(text):
        return f"'''\n{text}'''"
    quoted = _CLOSING.sub(r'\\"', text.replace("\\", "\\\\"))
    shown = _BLANK_AT_LINE_END.sub(lambda blank: _BLANKS[blank[0]], _escaped(quoted, "\t\n"))
    return f'"""\n{shown}"""'


def _can_be_literal(text: str) -> bool:
    return "'''" not in text and not text.endswith("'") and not _BLANK_AT_LINE_END.search(text)


def _escaped(text: str, kept: str = "") -> str:
    """The text with what a reader would not see written out, but for `kept`: the escapes for people are TOML's too.

    Joiners and variation selectors stay where scripts and emoji need them, which is not behind ASCII.
    """
    if not re.search(UNSAFE, text.translate(dict.fromkeys(map(ord, kept)))):
        return text
    shown = ""
    for character in text:
        is_joined = _ZERO_WIDTH.match(character) and not shown[-1:].isascii()
        shown += character if character in kept or is_joined else escape(character)
    return shown
