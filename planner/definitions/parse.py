"""Parses definition files (bytes) into typed definitions, or reports all their problems at once.

Pure: `project` reads the files. Problems are collected as findings; their positions are computed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from planner.definitions import settings
from planner.definitions.addresses import KEY, parts
from planner.definitions.definition import Defaults, Definition, Definitions, defaults_for, overlay_file
from planner.definitions.document import Document, may_have_variables, parse_file
from planner.definitions.fields import Path, closest
from planner.definitions.problems import TooManyProblems, explain, of_problem
from planner.definitions.resources import ResourceType
from planner.definitions.settings import SETTINGS_FILE, Settings
from planner.definitions.tables import NOT_FIELDS, Tables, check_names, sort_problems
from planner.errors import DefinitionError, Diagnostic
from state.values import JSON, Address

if TYPE_CHECKING:
    from planner.definitions.optional.sql_file import SqlFiles
    from planner.definitions.optional.variables import Variables

# In pairs of characters, of which each takes up to 0.1 us when two words are compared: one second in all.
_MAX_COMPARED = 10_000_000


def _no_sql(_name: str) -> bytes:
    raise ValueError("no .sql files are read here")


def parse_definitions(
    files: Mapping[str, bytes],
    environment: str | None = None,
    others: Mapping[str, bytes] | None = None,
    read_sql: Callable[[str], bytes] = _no_sql,
) -> Definitions:
    """The definitions in these files: path relative to the project -> content, `statform.toml` among them.

    With an environment, its file is among them too, and is laid over the others. `others` are the files of the other
    environments, by their names: each must have another state. `read_sql` gives the content of a .sql file that a
    definition names; it raises OSError or ValueError.

    Raises:
        DefinitionError: with every problem of every file.
    """
    texts: dict[str, str] = {}
    problems: list[Diagnostic] = []
    overlay = None if environment is None else overlay_file(environment)
    # Settings first, because they hold for all files; the environment last, because it changes what the others define.
    names = sorted(files, key=lambda n: (n == overlay, n != SETTINGS_FILE, n))
    heads = {name: parse_file(name, files[name]) for name in names if name in {SETTINGS_FILE, overlay}}
    reader = _DefinitionReader(overlay, read_sql)
    whole = {name: head for name, head in heads.items() if not isinstance(head, Diagnostic)}
    reader.is_complete = len(whole) == len(heads)
    reader.read_heads(whole, environment)
    if environment is not None:
        from planner.definitions.optional.own_state import check  # noqa: PLC0415 - only an environment has others beside it

        with suppress(TooManyProblems):
            check(reader.settings.state, environment, whole, others or {}, reader.tables)
    # One file after the other, so that only one parsed document is in memory. By now, settings and defaults are known.
    for name in names:
        parsed = heads.get(name) or parse_file(name, files[name])
        if isinstance(parsed, Diagnostic):
            problems.append(parsed)
            reader.is_complete = False
        else:
            texts[name], document = parsed
            reader.read_file(name, texts[name], document)
    reader.check()
    problems += [explain(texts, finding) for finding in reader.tables.findings]
    if reader.sql_files is not None:
        problems += reader.sql_files.problems
        texts |= reader.sql_files.texts
    if problems:
        raise DefinitionError(sort_problems(problems))
    defaults = reader.defaults_of
    return Definitions(reader.settings, reader.resources, texts, environment, defaults, reader.moved, reader.removed)


class _DefinitionReader:
    """Reads the parsed files once: settings and defaults, then definitions. It collects what is wrong on the way.

    `defaults` are those for the definitions of the file that is being read; `defaults_of` has what each file says of
    them. `is_complete`: every file could be parsed. If not, something that seems to be missing may be in such a file,
    and is not reported. `needed` has, for each address with `depends_on`, its file and what it lists, by index.
    `renamed`: the addresses whose name the environment sets. `may_compare`: how much may still be spent on "did you
    mean". `may_have_variables`: a string of the file may refer to one.
    """

    def __init__(self, overlay: str | None, read_sql: Callable[[str], bytes]) -> None:
        self.tables = Tables()
        self.resources: dict[Address, Definition] = {}
        self.needed: dict[Address, tuple[str, Mapping[int, str]]] = {}
        self.defaults: Defaults = {}
        self.defaults_of: dict[str, Defaults] = {}
        self.settings = Settings()
        self.overlay, self.is_complete = overlay, True
        self.variables: Variables | None = None
        self.read_sql = read_sql
        self.sql_files: SqlFiles | None = None
        self.may_have_variables = False
        self.renamed: set[Address] = set()
        self.may_compare = _MAX_COMPARED
        self.moves: object = []
        self.moved: dict[Address, Address] = {}
        self.removals: dict[str, object] = {}
        self.removed: dict[Address, bool] = {}

    def read_heads(self, files: Mapping[str, tuple[str, Document]], environment: str | None = None) -> None:
        """Read settings, variables and defaults from these files (text and document); the later one wins."""
        documents = {file: document for file, (_, document) in files.items()}
        with suppress(TooManyProblems):
            self.settings = settings.read(documents, self.tables.findings, environment)
            if not self.is_complete or any("variables" in one for one in documents.values()):
                from planner.definitions.optional.variables import read_variables  # noqa: PLC0415 - most projects have none

                self.variables = read_variables(documents, self.tables.findings, is_complete=self.is_complete)
            for self.tables.file, (text, document) in files.items():
                self.may_have_variables = may_have_variables(text)
                self.defaults_of[self.tables.file] = self._read_defaults(document)
            self.defaults = defaults_for(SETTINGS_FILE, self.overlay, self.defaults_of)
            self.moves = documents.get(SETTINGS_FILE, {}).get("moved", [])
            self.removals = {file: one["removed"] for file, one in documents.items() if "removed" in one}

    def read_file(self, file: str, text: str, document: Document) -> None:
        """Read the definitions of a file; the file of the environment has to be the last."""
        with suppress(TooManyProblems):
            self.tables.file, self.may_have_variables = file, may_have_variables(text)
            if file not in self.defaults_of and "defaults" in document:
                self.defaults_of[file] = self._read_defaults(document)
            self.defaults = defaults_for(file, self.overlay, self.defaults_of)
            self._read_definitions(document)

    def check(self) -> None:
        """Look for the problems that only all files together show."""
        with suppress(TooManyProblems):
            if self.moves != []:
                from planner.definitions.optional.moved import read_moved  # noqa: PLC0415 - most projects have none

                self.moved = read_moved(self.moves, self.resources, self.tables.findings)
            if self.removals:
                from planner.definitions.optional.removed import read_removed  # noqa: PLC0415 - most projects have none

                self.removed = read_removed(self.removals, self.resources, self.moved, self.tables.findings)
            check_names(self.resources, self.renamed, self.overlay, self.tables)
            if self.is_complete and self.needed:
                from planner.definitions.optional.dependencies import check  # noqa: PLC0415 - few projects declare any

                check(self.resources, self.needed, self._closest_to, self.tables)

    def _read_defaults(self, document: Document) -> Defaults:
        found: dict[str, Mapping[str, JSON]] = {}
        tables = self.tables.table(document, ("defaults",))
        for key in tables:
            path = ("defaults", key)
            if type_ := self.tables.type_of(path):
                table = self.tables.table(tables, path)
                for name in table.keys() & NOT_FIELDS:
                    self.tables.add((*path, name), f'"{name}" can\'t have a default', "fields of the type")
                fields = self._expand(path, {k: v for k, v in table.items() if k not in NOT_FIELDS})
                self.tables.check_values(path, type_, fields)
                found[key] = fields
        return found

    def _read_definitions(self, document: Document) -> None:
        for key in document:
            if key == "defaults":
                continue
            if key in {"statform", "audit", "variables", "moved", "removed"}:
                if self.tables.file != SETTINGS_FILE and (self.tables.file != self.overlay or key == "moved"):
                    self.tables.add((key,), f"[{key}] outside {SETTINGS_FILE}", f"[{key}] in {SETTINGS_FILE}")
            elif type_ := self.tables.type_of((key,)):
                table = self.tables.table(document, (key,))
                for name, value in table.items():
                    body = value if isinstance(value, dict) else self.tables.table(table, (key, name))
                    self._read_definition(type_, name, body)

    def _read_definition(self, type_: ResourceType, key: str, body: Document) -> None:
        path, address = (type_.name, key), Address(f"{type_.name}.{key}")
        if not KEY.fullmatch(key):
            self.tables.add(path, f'the key "{key}" can\'t be in an address', "letters, digits, _ and -")
        elif self.tables.file == self.overlay:
            self._lay_over(type_, address, body)
        elif address in self.resources:
            # The second one is read only for the problems in it, and then dropped.
            self._definition(type_, address, body)
            summary = f"{address} is defined in {self.resources[address].file} already"
            self.tables.add(path, summary, "one definition for each address", address=address)
        else:
            self.resources[address] = self._definition(type_, address, body)

    def _lay_over(self, type_: ResourceType, address: Address, body: Document) -> None:
        """Change a definition by what the environment declares, or leave it out, or add a whole one."""
        prior = self.resources.get(address)
        if body == {"absent": True} and prior:
            # What it depends on is no longer a question either.
            del self.resources[address]
            self.needed.pop(address, None)
            return
        if "name" in body:
            self.renamed.add(address)
        path = parts(address)
        own = self._definition(type_, address, {k: v for k, v in body.items() if k != "absent"}, prior)
        self.resources[address] = own
        if "absent" in body and body != {"absent": True}:
            expected = "absent = true and nothing else: it removes the source from the environment"
            self.tables.add((*path, "absent"), "absent beside fields, or not true", expected, address=address)
        # Without a definition to lay it over, it has to be a whole one. A typing error in the key is more likely.
        missing = [field.name for field in type_.fields if field.required and field.name not in own.values]
        if prior is None and self.is_complete and (missing or "absent" in body):
            expected = f"an address that is defined{self._closest_to(address)}"
            if "absent" not in body:
                expected += f"; to define it only here, it also needs {', '.join(missing)}"
            self.tables.add(path, f"{address} is defined nowhere else", expected, address=address)

    def _definition(
        self, type_: ResourceType, address: Address, body: Document, prior: Definition | None = None
    ) -> Definition:
        """The definition that a table declares, laid over the `prior` one if there is one, otherwise over the defaults.

        The table becomes its values, without a copy: so all that is not a field is taken out of it.
        """
        path = parts(address)
        name, clear, depends_on = body.pop("name", None), body.pop("clear", None), body.pop("depends_on", None)
        adopts = self.tables.adopts(address, body.pop("adopt", prior.adopts if prior else False))
        if self.may_have_variables:
            body = self._expand(path, body, address)
            name = self._expand(path, {"name": name}, address)["name"]
        sql_file = self._sql_file(type_, address, body) if "sql_file" in body else None
        self.tables.check_values(path, type_, body, address)
        if prior and "sql" not in body:
            sql_file = prior.sql_file
        values: dict[str, JSON] = body
        if prior:
            # Drop what only followed from the old values: it may not follow from the new ones.
            implied = type_.implied_by(prior.values)
            said = {name: value for name, value in prior.values.items() if implied.get(name, ...) != value}
            values = {**said, **values}
        elif defaults := self.defaults.get(type_.name):
            values = {**defaults, **values}
        # After the defaults: `clear` is how a definition gets rid of one.
        if clear is not None:
            cleared = self.tables.strings((*path, "clear"), clear, address)
            self.tables.check_clear(type_, address, cleared, body)
            values = values | dict.fromkeys(cleared.values())
        if name is None:
            name = prior.name if prior else path[1]
        needs = prior.depends_on if prior else ()
        if depends_on is not None:
            needed = self.tables.strings((*path, "depends_on"), depends_on, address)
            # If an address is defined twice, the first one counts; if an environment says it too, the environment.
            if prior or address not in self.needed:
                self.needed[address] = (self.tables.file, needed)
            needs = tuple(map(Address, needed.values()))
        own = self.tables.name(address, name)
        # Under the others, since it only says what they leave open.
        if type_.implied:
            values = {**type_.implied_by(values), **values}
        return Definition(
            address, type_, own, values, needs, prior.file if prior else self.tables.file, adopts, sql_file
        )

    def _sql_file(self, type_: ResourceType, address: Address, body: Document) -> str | None:
        """The file that has the query. Its text becomes the field `sql`. None, and a finding: there is no such file."""
        path, value = (*parts(address), "sql_file"), body.pop("sql_file")
        if "sql" in body or "sql" not in type_.field:
            summary = "sql and sql_file in one table" if "sql" in body else f"a {type_.name} has no sql"
            self.tables.add(path, summary, "one of the two", address=address, field="sql_file")
            return None
        from planner.definitions.optional.sql_file import EXPECTED, SqlFiles  # noqa: PLC0415 - most projects have none

        files = self.sql_files = self.sql_files or SqlFiles(self.read_sql, self._known_variables())
        try:
            name = files.find(self.tables.file, value)
        except ValueError as error:
            self.tables.add(path, str(error), EXPECTED, at="value", address=address, field="sql_file")
            return None
        body["sql"] = files.query(name, address)
        return name

    def _known_variables(self) -> Variables:
        """Those that are declared; of a project that declares none, none."""
        if self.variables is None:
            from planner.definitions.optional.variables import Variables  # noqa: PLC0415 - most projects have none

            self.variables = Variables({})
        return self.variables

    def _expand(self, path: Path, table: Document, address: Address | None = None) -> Document:
        """The table with variables replaced, and a finding for each reference that can't be."""
        if not self.may_have_variables:
            return table
        expanded: Document = {}
        for key, value in table.items():
            expanded[key], problems = self._known_variables().expand(value)
            self.tables.findings.add(
                *(of_problem(problem, self.tables.file, (*path, key), address) for problem in problems)
            )
        return expanded

    def _closest_to(self, address: str) -> str:
        """The defined address that may be meant, as long as there is time to look for one."""
        # To compare 10,000 unknown addresses with 10,000 known ones would take an hour.
        known = tuple(other for other in self.resources if other != address)
        self.may_compare -= len(address) * sum(map(len, known))
        return closest(address, known) if self.may_compare >= 0 else ""
