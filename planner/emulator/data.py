"""Where the sources come from and where they are kept: a data file, or a project's definitions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from planner import strict_json
from planner.definitions.addresses import known_type_of
from planner.definitions.definition import Definition
from planner.definitions.resources import RESOURCE_TYPES
from planner.emulator import audit_log
from planner.emulator.api import OTHER_LISTS
from planner.emulator.sources import (
    Source,
    Sources,
    complete,
    default_value,
    find_errors,
    name_of,
    required_fields,
)
from planner.errors import UsageError
from planner.files import find_target, write_file
from planner.plan.diff import NAME
from state.snapshot import EMPTY, Snapshot
from state.values import JSON

LOG_KEY = "audit_log"
"""The log in a data file, beside the sources of each type."""
EXPERIMENTS_KEY = "experiments"
"""The experiments in a data file, as the API lists them; they are only read."""


def load(path: Path) -> tuple[Sources, list[Source], list[Source], dict[str, list[Source]]]:
    """The sources of a data file, an object of a list for each resource type, its audit log and its experiments.

    The last are the lists of `OTHER_LISTS` that it has.

    A file that is not there has no sources.

    Raises: UsageError, if the API could not have given these sources.
    """
    sources: Sources = {name: {} for name in RESOURCE_TYPES}
    try:
        data = strict_json.loads(path.read_bytes()) if path.exists() else {}
        find_target(path)
        if not isinstance(data, dict):
            raise ValueError("expected an object with a list of sources for each resource type")  # noqa: TRY301
        log = audit_log.check(data.pop(LOG_KEY, []))
        experiments = _experiments_of(data.pop(EXPERIMENTS_KEY, []))
        others = {key: _named(key, data.pop(key)) for key in OTHER_LISTS if key in data}
        for name, listed in data.items():
            sources[name] = _sources_of(name, listed)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} can't be used: {printable(str(error))}") from error
    if not path.parent.is_dir():
        raise UsageError(f"{path} can't be written: there is no directory {path.parent}")
    return sources, log, experiments, others


def _named(key: str, listed: JSON) -> list[Source]:
    if not isinstance(listed, list):
        raise ValueError(f"{key} is not a list")
    for index, one in enumerate(listed):
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise ValueError(f"{key}[{index}] is not an object with a name")
    return [one for one in listed if isinstance(one, dict)]


def _experiments_of(listed: JSON) -> list[Source]:
    if not isinstance(listed, list):
        raise ValueError("experiments is not a list")
    for index, one in enumerate(listed):
        if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in ("id", "name", "status")):
            raise ValueError(f"experiments[{index}] is not an object with id, name and status")
    return [one for one in listed if isinstance(one, dict)]


def _sources_of(type_name: str, listed: JSON) -> dict[str, Source]:
    resource = RESOURCE_TYPES.get(type_name)
    if resource is None:
        raise ValueError(f'"{type_name}" is not a resource type; expected one of {", ".join(RESOURCE_TYPES)}')
    if not isinstance(listed, list):
        raise ValueError(f"{type_name} is not a list")
    sources: dict[str, Source] = {}
    for index, source in enumerate(listed):
        if not isinstance(source, dict):
            raise ValueError(f"{type_name}[{index}] is not an object")
        errors = find_errors(source, (NAME, *resource.fields), (NAME.name, *required_fields(resource)))
        if not errors and source["name"] in sources:
            errors = [("name", "is already the name of another source")]
        if errors:
            raise ValueError("; ".join(f"{type_name}[{index}].{name}: {message}" for name, message in errors))
        sources[name_of(source)] = complete(resource, source)
    return sources


def sources_for(definitions: Iterable[Definition], snapshot: Snapshot = EMPTY) -> Sources:
    """The sources that a plan takes to be there: those of the state as it has them, and those of the other definitions.

    A definition that is to be created has none. The others have one as somebody would have just made it, with its
    required fields only.
    """
    sources: Sources = {name: {} for name in RESOURCE_TYPES}
    for address, one in snapshot.resources.items():
        if (type_ := known_type_of(address)) is not None:
            sources[type_.name][one.name] = complete(type_, {**one.values, NAME.name: one.name})
    for definition in definitions:
        if definition.address not in snapshot.resources and _is_there(definition):
            source: Source = {NAME.name: definition.name}
            for required in (f for f in definition.type.fields if f.required):
                source[required.name] = definition.values.get(required.name, default_value(required.kind))
            sources[definition.type.name].setdefault(definition.name, complete(definition.type, source))
    return sources


def _is_there(definition: Definition) -> bool:
    """Whether it can only be of a source that is there: one to adopt, or to import."""
    return definition.adopts or any(definition.values.get(f.name) is None for f in definition.type.fields if f.required)


def save(
    path: Path,
    sources: Sources,
    log: Sequence[Source] = (),
    experiments: Sequence[Source] = (),
    others: Mapping[str, Sequence[Source]] | None = None,
) -> None:
    """Replace the file as a whole: who reads it meanwhile sees what was before, or what is now."""
    content: dict[str, Sequence[Source]] = {name: list(of.values()) for name, of in sources.items()}
    content |= {key: kept for key, kept in ((LOG_KEY, log), (EXPERIMENTS_KEY, experiments)) if kept}
    content |= others or {}
    text = json.dumps(content, ensure_ascii=False, indent=2)
    write_file(path, text + "\n", is_durable=False)


def printable(text: str) -> str:
    """`text` on one line: what can't be seen, or would break or turn the line, is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
