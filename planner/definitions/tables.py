"""The tables of definition files: each invalid part becomes a finding."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from planner.definitions.addresses import MAX_NAME_BYTES, UNUSABLE_NAMES, fits_in_url, parts
from planner.definitions.definition import Definition
from planner.definitions.document import Document
from planner.definitions.fields import Path, Problem, String, closest, type_name
from planner.definitions.problems import At, Finding, Findings, of_problem
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.definitions.settings import SETTINGS_FILE
from planner.errors import Diagnostic
from state.values import Address

NOT_FIELDS = ("name", "clear", "depends_on", "adopt", "sql_file")
"""What a definition may declare beside the fields of its type."""


class Tables:
    """Reads parts of tables in one file after the other; `file` is the one whose tables come now.

    An invalid value is a finding, and is replaced by a usable one.
    """

    def __init__(self) -> None:
        self.file, self.findings = SETTINGS_FILE, Findings()

    def add(
        self,
        path: Path,
        summary: str,
        expected: str,
        *,
        at: At = "key",
        address: Address | None = None,
        field: str | None = None,
        file: str | None = None,
    ) -> None:
        """A finding in the file that is being read, or in `file`."""
        self.findings.add(Finding(file or self.file, path, summary, expected, at, address, field))

    def add_problems(self, path: Path, problems: Iterable[Problem], address: Address | None = None) -> None:
        """A finding for each problem of the value at the path, whose last part is the field's name."""
        self.findings.add(*(of_problem(problem, self.file, path, address) for problem in problems))

    def adopts(self, address: Address, value: object) -> bool:
        """The value of `adopt`; False, and a finding, if it is not a boolean."""
        if isinstance(value, bool):
            return value
        summary = f"{type_name(value)} instead of a boolean"
        self.add((*parts(address), "adopt"), summary, "true or false", at="value", address=address, field="adopt")
        return False

    def check_values(self, path: Path, type_: ResourceType, table: Document, address: Address | None = None) -> None:
        """A finding for each value that its field does not accept, and for each unknown field; no address: defaults."""
        fields, plain = type_.field, type_.plain
        for name, value in table.items():
            # Most values are valid strings and booleans, so most fields of a large project end here.
            if plain.get(name) is type(value):
                continue
            known = fields.get(name)
            if known is None:
                self._unknown_field((*path, name), type_, address)
            elif not known.calls:
                summary = f"{name} can't be declared: no call of the API accepts it"
                self.add((*path, name), summary, f"no {name}: the API fills it in", address=address, field=name)
            elif problems := known.kind.problems(value):
                self.add_problems((*path, name), problems, address)

    def _unknown_field(self, path: Path, type_: ResourceType, address: Address | None) -> None:
        name, known = str(path[-1]), tuple(field.name for field in type_.declarable)
        guess = closest(name, (*known, *sorted(NOT_FIELDS)))
        # Defaults can have fields only.
        others = NOT_FIELDS if address is not None else ()
        expected = f"a field of {type_.name}{guess}" if guess else f"one of {', '.join((*others, *known))}"
        if name == "absent" and address is not None:
            expected = "absent = true in environments/NAME.toml, which removes a source from that environment"
        self.add(path, f'unknown field "{name}"', expected, address=address, field=name)

    def check_clear(self, type_: ResourceType, address: Address, cleared: Mapping[int, str], body: Document) -> None:
        """A finding for each cleared field that can't be null, or that is declared too."""
        nullable = tuple(f.name for f in type_.fields if f.nullable)
        for index, name in cleared.items():
            path = (*parts(address), "clear", index)
            if name not in nullable:
                expected = f"one of {', '.join(nullable)}{closest(name, nullable)}"
                self.add(path, f'"{name}" can\'t be cleared', expected, at="value", address=address, field="clear")
            elif name in body:
                summary, expected = f'"{name}" is declared and cleared', "one of the two"
                self.add(path, summary, expected, at="value", address=address, field=name)

    def name(self, address: Address, name: object) -> str:
        """The remote name; the key, and a finding, if the name can't be used."""
        expected = "a remote name"
        if not isinstance(name, str):
            summary = f"{type_name(name)} instead of a string"
        elif name in UNUSABLE_NAMES:
            summary, expected = f'the name "{name}" can\'t be in a URL', 'a name other than "", "." and ".."'
        elif not fits_in_url(name):
            summary = f"a name of {len(name):,} characters, which can't be in a URL"
            expected = f"a name of at most {MAX_NAME_BYTES:,} bytes in a URL"
        else:
            return name
        path = parts(address)
        self.add((*path, "name"), summary, expected, at="value", address=address, field="name")
        return path[1]

    def strings(self, path: Path, value: object, address: Address) -> dict[int, str]:
        """The strings of a list by their index, and a finding for each other element."""
        name = str(path[-1])
        if not isinstance(value, list):
            summary = f"{type_name(value)} instead of a list of strings"
            self.add(path, summary, "a list of strings", at="value", address=address, field=name)
            return {}
        for index, item in enumerate(value):
            for problem in String().problems(item):
                self.add((*path, index), problem.summary, problem.expected, at="value", address=address, field=name)
        return {index: item for index, item in enumerate(value) if isinstance(item, str)}

    def table(self, document: Document, path: Path) -> Document:
        """The table that the last part of the path names; an empty one if it is missing, or (a finding) no table."""
        value = document.get(str(path[-1]), {})
        if isinstance(value, dict):
            return value
        self.add(path, f"{type_name(value)} instead of a table", f"a table [{'.'.join(map(str, path))}]")
        return {}

    def type_of(self, path: tuple[str, ...]) -> ResourceType | None:
        """The type that the last part of the path names; None, and a finding, if there is none."""
        name = path[-1]
        if name not in RESOURCE_TYPES:
            expected = f"one of {', '.join(RESOURCE_TYPES)}{closest(name, (*RESOURCE_TYPES, 'statform', 'defaults'))}"
            self.add(path, f'unknown type "{name}"', expected)
        return RESOURCE_TYPES.get(name)


def check_names(
    resources: Mapping[Address, Definition], renamed: Container[Address], overlay: str | None, tables: Tables
) -> None:
    """A finding for each remote name that an earlier address has already.

    The name of those `renamed` stands in the file `overlay`, if there is one.
    """
    holders: dict[tuple[str, str], Address] = {}
    for address, definition in resources.items():
        holder = holders.setdefault((definition.type.name, definition.name), address)
        if holder != address:
            summary = f'the remote name "{definition.name}" is already used by {holder}'
            expected = "one address for each remote name"
            file = overlay if overlay and address in renamed else definition.file
            path = (*parts(address), "name")
            tables.add(path, summary, expected, at="value", address=address, field="name", file=file)


def sort_problems(problems: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The problems in the order of file, line and column; those of the settings come first."""

    def key(problem: Diagnostic) -> tuple[bool, str, int, int]:
        place = problem.location
        return (place.file != SETTINGS_FILE, place.file, place.line, place.column) if place else (False, "", 0, 0)

    return sorted(problems, key=key)
