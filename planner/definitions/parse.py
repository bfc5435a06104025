"""Definition files, as bytes, into typed definitions; or every problem that they have, at once.

Pure: `project` reads the files. A problem is collected as a finding, and its position is computed when all are known.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import StringIO
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import tomli

from planner.definitions import settings
from planner.definitions.fields import Path, String, closest, type_name
from planner.definitions.problems import Enough, Finding, Findings, explain, locate, location, of_problem
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.definitions.settings import SETTINGS_FILE, Settings
from planner.errors import DefinitionError, Diagnostic, Location
from planner.escape import BLANK, NOT_SHOWN
from state.values import JSON, Address

Document: TypeAlias = dict[str, Any]
"""A TOML table as parsed: whatever TOML can hold, until it is checked."""

KEY = re.compile(r"[A-Za-z0-9_-]+")
# RFC 3986, 5.2.4: clients and servers fold these segments of a URL away, even percent-encoded ones.
UNUSABLE_NAMES = frozenset({"", ".", ".."})
# What a parser of TOML needs seconds or gigabytes for is refused before it: in a file, so many of a character at most,
# and so many parts of a key. A hundred times of what a person writes, and what 10,000 sources need.
_MOST = {"=": 250_000, "[": 50_000, "{": 100_000, ",": 500_000}
_MOST_PARTS = 32
MOST_OF_A_NAME = 7_500
"""Of the 8,000 bytes of a URL that every server should take, what a percent-encoded name may have."""
MOST_BYTES = 4 << 20
"""In one file: what 10,000 sources need. A larger one is refused before it is parsed."""
_MOST_LEVELS = 100
# Pairs of characters: to compare two words takes up to 0.1 us for each.
_MOST_COMPARED = 10_000_000
# Compiled when a file is in question. These two are for a text without what stands in quotes and without comments.
_PART = r"(?:[A-Za-z0-9_-]+|\"x*\")"
_LONG_KEY = rf"(?m)(?:^|[\[{{,])[ \t]*{_PART}(?:[ \t]*\.[ \t]*{_PART}){{{_MOST_PARTS}}}"
# As many digits as Python reads.
_MOST_DIGITS = 4300
# What is a key, or a float, goes on with another character.
_LONG_NUMBER = rf"(?<![\w.+-])[+-]?(?P<digits>[0-9][0-9_]{{{_MOST_DIGITS},}})(?![\w.]|[ \t]*[=.])"
_DOTS, _ALL_BUT_DOTS_AND_LINES = b"." * _MOST_PARTS, bytes(set(range(256)) - set(b".\n"))
# A comment, a string without escapes as a whole, or the quotes that open another one.
_QUOTED = r"""#[^\n]*|"(?!"")[^"\\\n]*"|'(?!'')[^'\n]*'|"{3}|'{3}|["']"""
_QUOTED_ENDS = {"'": r"['\n]", '"': r'["\n]|(?:\\.){1,99}', "'''": r"'{3,5}", '"""': r'(?s)"{3,5}|(?:\\.){1,99}'}
_MOVED = '{ from = "TYPE.OLD", to = "TYPE.NEW" }, or a table [[moved]] with from and to'
_NOT_FIELDS = ("name", "clear", "depends_on")


class Definition(NamedTuple):
    """One resource as the files describe it.

    `values` holds the declared fields only, those of `[defaults]` included: null (from `clear`) is None, a field that
    is not declared is absent. `file` is where it stands.
    """

    address: Address
    type: ResourceType
    name: str
    values: Mapping[str, JSON]
    depends_on: tuple[Address, ...]
    file: str


class Definitions(NamedTuple):
    """All definitions of a project, in the order of definition: files by name, `statform.toml` first.

    `texts` are the files as read, from which `locate` finds where something stands. `environment` is the one that was
    laid over them, `defaults` are the fields by type that a definition gets unless it declares its own. `moved` leads
    from an address that a resource had to the one that it has now, without a circle.
    """

    settings: Settings
    resources: Mapping[Address, Definition]
    texts: Mapping[str, str]
    environment: str | None
    defaults: Mapping[str, Mapping[str, JSON]]
    moved: Mapping[Address, Address]

    def locate(self, address: Address, *path: str | int) -> Location:
        """Where a definition, a part of it, or the default that it got instead, stands."""
        definition = self.resources[address]
        own, default = (*_split(address), *path), ("defaults", definition.type.name, *path)
        places = [(definition.file, own), (SETTINGS_FILE, default)]
        if self.environment is not None:
            overlay = overlay_file(self.environment)
            places = [(overlay, own), (definition.file, own), (overlay, default), (SETTINGS_FILE, default)]
        for file, whole in places:
            found, is_exact = locate(self.texts, file, whole)
            if is_exact:
                return found
        return locate(self.texts, definition.file, own)[0]

    @property
    def twins(self) -> tuple[Diagnostic, ...]:
        """A warning for each remote name that a person would take for the one of another address."""
        first: dict[tuple[str, str], Address] = {}
        warnings = []
        for address, one in self.resources.items():
            holder = first.setdefault((one.type.name, _look(one.name)), address)
            if holder != address:
                warnings.append(
                    Diagnostic(
                        f'the remote name "{one.name}" looks like "{self.resources[holder].name}", that of {holder}',
                        "names that a person can tell apart, or that both sources are there",
                        self.locate(address, "name"),
                        address,
                        "name",
                        is_warning=True,
                    )
                )
        return tuple(warnings)

    @property
    def digest(self) -> str:
        """SHA-256 over the names and texts of the files, each with its length in bytes before it."""
        import hashlib  # noqa: PLC0415 - only a run or a saved plan needs it

        digest = hashlib.sha256()
        for part in (part.encode("utf-8", "surrogateescape") for item in self.texts.items() for part in item):
            digest.update(b"%d\n%b" % (len(part), part))
        return digest.hexdigest()


def _look(name: str) -> str:
    """What names that look alike have in common: case, composition (NFKC), blanks and what is not shown don't count."""
    if not name.isascii():
        import unicodedata  # noqa: PLC0415 - tables that only such names need

        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        name = re.sub(BLANK, " ", re.sub(NOT_SHOWN, "", folded))
    return " ".join(name.split()).casefold()


def fits_in_url(name: str) -> bool:
    """Whether a name, percent-encoded, is short enough for a URL, as RFC 9110 (4.1) has everybody take one."""
    if len(name) * 12 <= MOST_OF_A_NAME:
        return True
    from urllib.parse import quote  # noqa: PLC0415 - few names are as long

    return len(quote(name, safe="", errors="replace")) <= MOST_OF_A_NAME


def overlay_file(environment: str) -> str:
    """The file that an environment lays over the definitions, field by field."""
    return f"environments/{environment}.toml"


def parse_definitions(files: Mapping[str, bytes], environment: str | None = None) -> Definitions:
    """The definitions in these files: path relative to the project -> content, `statform.toml` among them.

    With an environment its file is among them too, and lies over the others.

    Raises:
        DefinitionError: with every problem of every file.
    """
    texts: dict[str, str] = {}
    problems: list[Diagnostic] = []
    overlay = None if environment is None else overlay_file(environment)
    names = sorted(files, key=lambda n: (n == overlay, n != SETTINGS_FILE, n))
    heads = {name: _parse_file(name, files[name]) for name in names if name in {SETTINGS_FILE, overlay}}
    reader = _Reader(overlay)
    reader.read_heads({name: head[1] for name, head in heads.items() if not isinstance(head, Diagnostic)})
    # A file after the other: what one was parsed to is gone, or in a definition, before the next one is.
    for name in names:
        parsed = heads.get(name) or _parse_file(name, files[name])
        if isinstance(parsed, Diagnostic):
            problems.append(parsed)
            reader.is_complete = False
        else:
            texts[name], document = parsed
            reader.read_file(name, document)
    reader.check()
    problems += [explain(texts, finding) for finding in reader.findings]
    if problems:
        raise DefinitionError(sorted(problems, key=_place))
    return Definitions(reader.settings, reader.resources, texts, environment, reader.defaults, reader.moved)


def _parse_file(name: str, content: bytes) -> tuple[str, Document] | Diagnostic:
    try:
        source = content.decode("utf-8").removeprefix("\ufeff")
        # tomli reads CRLF as LF, and its offsets count so.
        text = source.replace("\r\n", "\n") if "\r" in source else source
    except UnicodeDecodeError as error:
        offset = len(content[: error.start].decode("utf-8"))
        where = location(name, content.decode("utf-8", "replace"), offset)
        return Diagnostic(f"not UTF-8: byte 0x{content[error.start]:02x}", "a file in UTF-8", where)
    if problem := _beyond_limits(name, text):
        return problem
    try:
        # Replaced twice, a CR before a CRLF would be gone too, which TOML refuses.
        return text, tomli.loads(source)
    except tomli.TOMLDecodeError as error:
        summary = f"not TOML: {error.msg[:1].lower()}{error.msg[1:]}"
        expected = 'TOML, which has no null: clear = ["…"] sets a field to it' if _is_null(error) else "TOML 1.0"
        # For a text that ends in a backslash tomli's position is beyond its end.
        return Diagnostic(summary, expected, location(name, text, min(error.pos, len(text))))
    except RecursionError:
        where = location(name, text, _deep(text))
        return Diagnostic("nested too deeply", "tables and lists of a few levels", where)
    except ValueError:
        # Python refuses to read an integer of more than 4,300 digits, or of as many as its environment says.
        end = _reach(text, ValueError)
        return _long_integer(name, text, len(text[:end].rstrip("_0123456789")), end)


def is_within_limits(text: str) -> bool:
    """Whether a file of this text would be read."""
    return len(text.encode()) <= MOST_BYTES and _beyond_limits("", text) is None


def _beyond_limits(name: str, text: str) -> Diagnostic | None:
    for character, most in _MOST.items():
        if len(text) > most and text.count(character) > most:
            expected = f"at most {most:,} in a file: split it, definitions are read from every file below definitions/"
            offset = next(islice(re.finditer(re.escape(character), text), most, None)).start()
            return Diagnostic(f'more than {most:,} "{character}" in one file', expected, location(name, text, offset))
    # The dots between the parts of a long key are in one line, whatever is between them.
    has_long_key = _DOTS in text.encode().translate(None, _ALL_BUT_DOTS_AND_LINES)
    if has_long_key or _has_long_line(text):
        bare = _without_quoted(text)
        if long := re.search(_LONG_KEY, bare):
            where = location(name, text, long.end() - 1)
            return Diagnostic(f"a key of more than {_MOST_PARTS} parts", "keys of a few parts", where)
        if long := re.search(_LONG_NUMBER, bare):
            return _long_integer(name, text, *long.span("digits"))
    return None


def _has_long_line(text: str) -> bool:
    """Whether a line has more than `_MOST_DIGITS` characters."""
    start = 0
    while len(text) - start > _MOST_DIGITS:
        end = text.rfind("\n", start, start + _MOST_DIGITS + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def _without_quoted(text: str) -> str:
    """The text with x for what stands in quotes, and without comments, but as long; no character is looked at twice."""
    # Half a million strings in a list would take ten times the room.
    bare, at, next_quoted = StringIO(), 0, re.compile(_QUOTED).search
    while quoted := next_quoted(text, at):
        start, found = quoted.start(), quoted[0]
        bare.write(text[at:start])
        at = _end_of_string(text, quoted.end(), found) if found in _QUOTED_ENDS else quoted.end()
        is_string = found[0] != "#" and at - start > 1
        bare.write(f'"{"x" * (at - start - 2)}"' if is_string else " " * (at - start))
    bare.write(text[at:])
    return bare.getvalue()


def _end_of_string(text: str, at: int, quotes: str) -> int:
    marks = (mark for mark in re.compile(_QUOTED_ENDS[quotes]).finditer(text, at) if mark[0][0] != "\\")
    return next((mark.start() if mark[0] == "\n" else mark.end() for mark in marks), len(text))


def _deep(text: str) -> int:
    """Where the first bracket is that is in too many others."""
    level = 0
    for bracket in re.finditer(r"[\[\]{}]", _without_quoted(text)):
        level += 1 if bracket[0] in "[{" else -1
        if level > _MOST_LEVELS:
            return bracket.start()
    return 0


def _long_integer(name: str, text: str, start: int, end: int) -> Diagnostic:
    where = location(name, text, start, end)
    return Diagnostic("an integer of too many digits", "numbers that a computer can hold", where)


def _is_null(error: tomli.TOMLDecodeError) -> bool:
    return re.match(r"(?:null|nil|None)\b", error.doc[error.pos :]) is not None


def _reach(text: str, failure: type[Exception]) -> int:
    """How many characters the parser reads before it fails so, of which it tells no position."""

    def fails(end: int) -> bool:
        try:
            tomli.loads(text[:end])
        except tomli.TOMLDecodeError:
            return False
        except failure:
            return True
        return False

    return bisect_left(range(len(text)), True, key=fails)  # noqa: FBT003 - what to look for


class _Reader:
    """Reads the parsed files once: settings and defaults, then definitions; what is wrong is collected on the way.

    `is_complete` tells whether every file could be parsed: else what seems to be missing may be in another one.
    """

    def __init__(self, overlay: str | None) -> None:
        self.findings = Findings()
        self.resources: dict[Address, Definition] = {}
        self.needed: dict[Address, tuple[str, Mapping[int, str]]] = {}
        self.defaults: dict[str, dict[str, JSON]] = {}
        self.settings = Settings()
        self.overlay, self.is_complete = overlay, True
        self.renamed: set[Address] = set()
        self.may_compare = _MOST_COMPARED
        self.moves: object = []
        self.moved: dict[Address, Address] = {}

    def read_heads(self, documents: Mapping[str, Document]) -> None:
        """The files where settings and defaults may stand, the later over the earlier."""
        with suppress(Enough):
            tables = {file: self._table(file, document, ("statform",)) for file, document in documents.items()}
            self.settings = settings.read(tables, self.findings)
            for file, document in documents.items():
                self._read_defaults(file, document)
            self.moves = documents.get(SETTINGS_FILE, {}).get("moved", [])

    def read_file(self, file: str, document: Document) -> None:
        """Its definitions. That of the environment is the last."""
        with suppress(Enough):
            self._read_definitions(file, document)

    def check(self) -> None:
        """What only all files together can show."""
        with suppress(Enough):
            self._read_moved(self.moves)
            self._check_names()
            if self.is_complete:
                self._check_dependencies()

    def _read_defaults(self, file: str, document: Document) -> None:
        tables = self._table(file, document, ("defaults",))
        for key in tables:
            path = ("defaults", key)
            if type_ := self._type(file, path):
                table = self._table(file, tables, path)
                for name in table.keys() & _NOT_FIELDS:
                    summary = f'"{name}" can\'t have a default'
                    self.findings.add(Finding(file, (*path, name), summary, "fields of the type"))
                fields = {k: v for k, v in table.items() if k not in _NOT_FIELDS}
                self._check_values(file, path, type_, fields)
                self.defaults[key] = self.defaults.get(key, {}) | fields

    def _read_definitions(self, file: str, document: Document) -> None:
        for key in document:
            if key in {"statform", "defaults", "moved"}:
                if file != SETTINGS_FILE and (file != self.overlay or key == "moved"):
                    summary = f"[{key}] outside {SETTINGS_FILE}"
                    self.findings.add(Finding(file, (key,), summary, f"it stands in {SETTINGS_FILE}"))
            elif type_ := self._type(file, (key,)):
                table = self._table(file, document, (key,))
                for name, value in table.items():
                    body = value if isinstance(value, dict) else self._table(file, table, (key, name))
                    self._read_definition(file, type_, name, body)

    def _read_definition(self, file: str, type_: ResourceType, key: str, body: Document) -> None:
        path, address = (type_.name, key), Address(f"{type_.name}.{key}")
        if not KEY.fullmatch(key):
            summary = f'the key "{key}" can\'t be in an address'
            self.findings.add(Finding(file, path, summary, "letters, digits, _ and -"))
        elif file == self.overlay:
            self._lay_over(file, type_, address, body)
        elif address in self.resources:
            self._definition(file, type_, address, body)
            summary = f"{address} is defined in {self.resources[address].file} already"
            self.findings.add(Finding(file, path, summary, "one definition of an address", "key", address))
        else:
            self.resources[address] = self._definition(file, type_, address, body)

    def _lay_over(self, file: str, type_: ResourceType, address: Address, body: Document) -> None:
        """Change a definition by what the environment declares, or leave it out, or add a whole one."""
        prior = self.resources.get(address)
        if body == {"absent": True} and prior:
            del self.resources[address]
            self.needed.pop(address, None)
            return
        if "name" in body:
            self.renamed.add(address)
        own = self._definition(file, type_, address, {k: v for k, v in body.items() if k != "absent"}, prior)
        self.resources[address] = own
        if "absent" in body and body != {"absent": True}:
            expected = "absent = true and nothing else, which leaves the source out"
            self._overlaid(own, "absent beside fields, or not true", expected, "absent")
        missing = [field.name for field in type_.fields if field.required and field.name not in own.values]
        if prior is None and self.is_complete and (missing or "absent" in body):
            expected = f"an address that is defined{self._closest_to(address)}"
            if "absent" not in body:
                expected += f"; or a whole definition, with {', '.join(missing)} too"
            self._overlaid(own, f"{address} is defined nowhere else", expected)

    def _overlaid(self, definition: Definition, summary: str, expected: str, *path: str) -> None:
        whole = (*_split(definition.address), *path)
        file = self.overlay or definition.file
        self.findings.add(Finding(file, whole, summary, expected, "key", definition.address))

    def _definition(
        self, file: str, type_: ResourceType, address: Address, body: Document, prior: Definition | None = None
    ) -> Definition:
        """The definition that a table declares, over the `prior` one if there is one, else over the defaults.

        The table's fields become its values, without a copy.
        """
        path = _split(address)
        name, clear, depends_on = body.pop("name", None), body.pop("clear", None), body.pop("depends_on", None)
        self._check_values(file, path, type_, body, address)
        values: dict[str, JSON] = body
        if prior:
            values = {**prior.values, **values}
        elif defaults := self.defaults.get(type_.name):
            values = defaults | values
        if clear is not None:
            cleared = self._strings(file, (*path, "clear"), clear, address)
            self._check_clear(file, type_, address, cleared, body)
            values = values | dict.fromkeys(cleared.values())
        if name is None:
            name = prior.name if prior else path[1]
        needs = prior.depends_on if prior else ()
        if depends_on is not None:
            needed = self._strings(file, (*path, "depends_on"), depends_on, address)
            if prior or address not in self.needed:
                self.needed[address] = (file, needed)
            needs = tuple(map(Address, needed.values()))
        own = self._name(file, address, name)
        return Definition(address, type_, own, values, needs, prior.file if prior else file)

    def _check_values(
        self, file: str, path: Path, type_: ResourceType, table: Document, address: Address | None = None
    ) -> None:
        fields, plain = type_.field, type_.plain
        for name, value in table.items():
            # Most values are strings and booleans, and right.
            if plain.get(name) is type(value):
                continue
            known = fields.get(name)
            if known is None:
                self._unknown_field(file, (*path, name), type_, address)
            elif problems := known.kind.problems(value):
                self.findings.add(*(of_problem(problem, file, (*path, name), address) for problem in problems))

    def _unknown_field(self, file: str, path: Path, type_: ResourceType, address: Address | None) -> None:
        name, known = str(path[-1]), tuple(type_.field)
        guess = closest(name, (*known, *sorted(_NOT_FIELDS)))
        expected = f"a field of {type_.name}{guess}" if guess else f"one of {', '.join(known)}"
        self.findings.add(Finding(file, path, f'unknown field "{name}"', expected, "key", address, name))

    def _check_clear(
        self, file: str, type_: ResourceType, address: Address, cleared: Mapping[int, str], body: Document
    ) -> None:
        nullable = tuple(f.name for f in type_.fields if f.nullable)
        for index, name in cleared.items():
            path = (*_split(address), "clear", index)
            if name not in nullable:
                summary, expected = (
                    f'"{name}" can\'t be cleared',
                    f"one of {', '.join(nullable)}{closest(name, nullable)}",
                )
                self.findings.add(Finding(file, path, summary, expected, "value", address, "clear"))
            elif name in body:
                summary, expected = f'"{name}" is declared and cleared', "one of the two"
                self.findings.add(Finding(file, path, summary, expected, "value", address, name))

    def _name(self, file: str, address: Address, name: object) -> str:
        if not isinstance(name, str):
            summary = f"{type_name(name)} where a string belongs"
        elif name in UNUSABLE_NAMES:
            summary = f'the name "{name}" can\'t be in a URL'
        elif not fits_in_url(name):
            summary = f"a name of {len(name):,} characters, which can't be in a URL"
        else:
            return name
        path = _split(address)
        self.findings.add(Finding(file, (*path, "name"), summary, "a remote name", "value", address, "name"))
        return path[1]

    def _strings(self, file: str, path: Path, value: object, address: Address) -> dict[int, str]:
        """The strings of a list by their index, and a finding for all else."""
        name = str(path[-1])
        if not isinstance(value, list):
            summary = f"{type_name(value)} where a list of strings belongs"
            self.findings.add(Finding(file, path, summary, "a list of strings", "value", address, name))
            return {}
        for index, item in enumerate(value):
            for problem in String().problems(item):
                found = Finding(file, (*path, index), problem.summary, problem.expected, "value", address, name)
                self.findings.add(found)
        return {index: item for index, item in enumerate(value) if isinstance(item, str)}

    def _table(self, file: str, document: Document, path: Path) -> Document:
        """The table at the path's last part; when it is missing, or no table, which is a finding, an empty one."""
        value = document.get(str(path[-1]), {})
        if isinstance(value, dict):
            return value
        expected = f"a table [{'.'.join(map(str, path))}]"
        self.findings.add(Finding(file, path, f"{type_name(value)} where a table belongs", expected))
        return {}

    def _type(self, file: str, path: tuple[str, ...]) -> ResourceType | None:
        name = path[-1]
        if name not in RESOURCE_TYPES:
            expected = f"one of {', '.join(RESOURCE_TYPES)}{closest(name, (*RESOURCE_TYPES, 'statform', 'defaults'))}"
            self.findings.add(Finding(file, path, f'unknown type "{name}"', expected))
        return RESOURCE_TYPES.get(name)

    def _read_moved(self, entries: object) -> None:
        if not isinstance(entries, list):
            self._moved_found((), f"{type_name(entries)} where a list of tables belongs", _MOVED)
            return
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict) or entry.keys() != {"from", "to"}:
                self._moved_found((index,), "not a move", _MOVED)
            elif all(self._is_address(entry[key], (index, key)) for key in ("from", "to")):
                self._read_move(index, Address(entry["from"]), Address(entry["to"]))
        for first in self.moved:
            seen, at = {first}, self.moved[first]
            while at in self.moved and at not in seen:
                seen.add(at)
                at = self.moved[at]
            if at == first:
                self._moved_found((), f"moves that go round in a circle through {first}", "moves that end")
                self.moved = {}
                return

    def _read_move(self, index: int, old: Address, new: Address) -> None:
        if old.partition(".")[0] != new.partition(".")[0]:
            self._moved_found((index, "to"), f"{new} is of another type than {old}", "an address of the same type")
        elif old in self.resources:
            expected = "an address that is defined no more"
            self._moved_found((index, "from"), f"{old} is defined still", expected)
        elif old in self.moved or new in self.moved.values():
            self._moved_found(
                (index,), f"{old if old in self.moved else new} is in another move already", "one move each"
            )
        else:
            self.moved[old] = new

    def _is_address(self, value: object, path: Path) -> bool:
        type_name_, _, key = value.partition(".") if isinstance(value, str) else ("", "", "")
        is_address = type_name_ in RESOURCE_TYPES and KEY.fullmatch(key) is not None
        if not is_address:
            self._moved_found(path, "no address", f"TYPE.KEY, with a TYPE of {', '.join(RESOURCE_TYPES)}")
        return is_address

    def _moved_found(self, path: Path, summary: str, expected: str) -> None:
        self.findings.add(Finding(SETTINGS_FILE, ("moved", *path), summary, expected, "value"))

    def _closest_to(self, address: str) -> str:
        """The defined address that may be meant, as far as there is time left to look for such."""
        known = tuple(other for other in self.resources if other != address)
        self.may_compare -= len(address) * sum(map(len, known))
        return closest(address, known) if self.may_compare >= 0 else ""

    def _check_names(self) -> None:
        holders: dict[tuple[str, str], Address] = {}
        for address, definition in self.resources.items():
            holder = holders.setdefault((definition.type.name, definition.name), address)
            if holder != address:
                summary = f'the remote name "{definition.name}" is that of {holder} already'
                expected = "one address for a remote name"
                file = self.overlay if self.overlay and address in self.renamed else definition.file
                path = (*_split(address), "name")
                self.findings.add(Finding(file, path, summary, expected, "value", address, "name"))

    def _check_dependencies(self) -> None:
        graph = {address: self.resources[address].depends_on for address in self.needed}
        missing = [
            (file, address, index, other)
            for address, (file, needed) in self.needed.items()
            for index, other in needed.items()
            if other not in self.resources
        ]
        for file, address, index, other in missing:
            expected = "an address that is defined" + self._closest_to(other)
            path = (*_split(address), "depends_on", index)
            self.findings.add(
                Finding(file, path, f'"{other}" is not defined', expected, "value", address, "depends_on")
            )
        if graph and (cycle := _find_cycle(graph)):
            first, (file, _) = cycle[0], self.needed[cycle[0]]
            summary, expected = "a cycle of dependencies: " + " -> ".join(cycle), "dependencies that end"
            whole = (*_split(first), "depends_on")
            self.findings.add(Finding(file, whole, summary, expected, "value", first, "depends_on"))


def _split(address: Address) -> tuple[str, str]:
    type_name, _, key = address.partition(".")
    return type_name, key


def _find_cycle(graph: Mapping[Address, Sequence[Address]]) -> Sequence[Address] | None:
    """One cycle, each address depending on the next, first and last the same; it starts with the least."""
    import graphlib  # noqa: PLC0415 - few projects declare dependencies

    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        cycle: list[Address] = error.args[1][:0:-1]
        start = cycle.index(min(cycle))
        return [*cycle[start:], *cycle[:start], cycle[start]]
    return None


def _place(diagnostic: Diagnostic) -> tuple[bool, str, int, int]:
    place = diagnostic.location
    return (place.file != SETTINGS_FILE, place.file, place.line, place.column) if place else (False, "", 0, 0)
