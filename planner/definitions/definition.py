"""The definitions of a project as values: one for each address, and all of them together."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple, TypeAlias

from planner.definitions.addresses import parts
from planner.definitions.problems import MAX_PROBLEMS, locate, location
from planner.definitions.resources import ResourceType
from planner.definitions.settings import SETTINGS_FILE, Settings
from planner.errors import Diagnostic, Location
from planner.escape import BLANK, NOT_SHOWN, tell_names_apart
from state.values import JSON, Address

Defaults: TypeAlias = Mapping[str, Mapping[str, JSON]]
"""Type name -> the fields that a definition of the type gets unless it declares its own."""


class Definition(NamedTuple):
    """One resource as the files describe it.

    `values` has only the declared fields, including those of `[defaults]`: None is null (from `clear`); a field that is
    not declared is absent. `file` is where it stands. `adopts`: it takes over an existing source with that name.
    `sql_file` is the file that has the query, if the query is not in the table.
    """

    address: Address
    type: ResourceType
    name: str
    values: Mapping[str, JSON]
    depends_on: tuple[Address, ...]
    file: str
    adopts: bool = False
    sql_file: str | None = None


class Definitions(NamedTuple):
    """All definitions of a project, in the order of definition: files by name, `statform.toml` first.

    `texts` are the files as they were read; `locate` searches in them. `environment` is the one that was laid over
    them. `defaults_of` has the defaults of each file that has any. `moved` leads from an old address of a resource to
    its next one, without a cycle. `removed` has the addresses of `[[removed]]`, and whether the source is deleted.
    """

    settings: Settings
    resources: Mapping[Address, Definition]
    texts: Mapping[str, str]
    environment: str | None
    defaults_of: Mapping[str, Defaults]
    moved: Mapping[Address, Address]
    removed: Mapping[Address, bool]

    def locate(self, address: Address, *path: str | int) -> Location:
        """Where the definition or a part of it stands; if a default gave it the part, where the default stands."""
        definition = self.resources[address]
        if path == ("sql",) and definition.sql_file is not None:
            text = self.texts[definition.sql_file]
            return location(definition.sql_file, text, 0, max(1, text.find("\n")))
        own, default = (*parts(address), *path), ("defaults", definition.type.name, *path)
        places = [(definition.file, own), (definition.file, default), (SETTINGS_FILE, default)]
        if self.environment is not None:
            overlay = overlay_file(self.environment)
            places = [(overlay, own), places[0], (overlay, default), *places[1:]]
        # In the order in which they win. A part that is in none of them is shown at the header of the definition.
        for file, whole in places:
            found, is_exact = locate(self.texts, file, whole)
            if is_exact:
                return found
        return locate(self.texts, definition.file, own)[0]

    def defaults_for(self, file: str) -> Defaults:
        """The defaults for a definition in that file; the file need not exist yet."""
        overlay = None if self.environment is None else overlay_file(self.environment)
        return defaults_for(file, overlay, self.defaults_of)

    @property
    def confusable_names(self) -> tuple[Diagnostic, ...]:
        """A warning for each remote name that looks like the name of another address, at most `MAX_PROBLEMS`."""
        return tuple(islice(self._find_confusable(), MAX_PROBLEMS))

    def _find_confusable(self) -> Iterator[Diagnostic]:
        first: dict[tuple[str, str], Address] = {}
        for address, one in self.resources.items():
            holder = first.setdefault((one.type.name, _as_seen(one.name)), address)
            if holder != address:
                name, other = tell_names_apart(one.name, self.resources[holder].name)
                yield Diagnostic(
                    f"the remote name {name} looks like {other}, that of {holder}",
                    "names that a person can distinguish, unless you want both",
                    self.locate(address, "name"),
                    address,
                    "name",
                    is_warning=True,
                )

    @property
    def digest(self) -> str:
        """SHA-256 over the names and texts of the files, each with its length in bytes before it."""
        # With the lengths, no two projects have the same bytes: a text can't pass for the name of the next file.
        digest = hashlib.sha256()
        for part in (part.encode("utf-8", "surrogateescape") for item in self.texts.items() for part in item):
            digest.update(b"%d\n%b" % (len(part), part))
        return digest.hexdigest()


def defaults_for(file: str, overlay: str | None, defaults_of: Mapping[str, Defaults]) -> Defaults:
    """The defaults of the project; over them those of the file; over them those of the environment."""
    found: dict[str, Mapping[str, JSON]] = {}
    for layer in dict.fromkeys((SETTINGS_FILE, file, overlay)):
        for type_name, fields in defaults_of.get(layer, {}).items() if layer else ():
            found[type_name] = {**found.get(type_name, {}), **fields}
    return found


def _as_seen(name: str) -> str:
    """A form that is equal for names that look alike: without case, Unicode form, blanks and invisible characters."""
    if not name.isascii():
        from unicodedata import normalize  # noqa: PLC0415 - most names are ASCII

        # Twice, since folding case can undo a normal form.
        folded = normalize("NFKC", normalize("NFKC", name).casefold())
        name = re.sub(BLANK, " ", re.sub(NOT_SHOWN, "", folded))
    return " ".join(name.split()).casefold()


def overlay_file(environment: str) -> str:
    """The file of an environment, which changes the definitions field by field."""
    return f"environments/{environment}.toml"
