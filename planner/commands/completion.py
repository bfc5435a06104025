"""What makes a shell complete statform's words, and the addresses that it then asks for.

That is quick, silent, and content with files that are not valid yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

import click
import tomli
from click.shell_completion import get_completion_class

from planner.definitions import project
from planner.definitions.addresses import address_problems
from planner.definitions.resources import RESOURCE_TYPES
from planner.definitions.settings import SETTINGS_FILE, Settings
from planner.errors import PlannerError
from state import reader
from state.errors import StateError
from state.places.disk import StrPath
from state.places.place import LocalPlace, find_place
from state.values import Address


def script(command: click.Command, shell: str) -> str:
    """What the shell runs to complete the command; empty for a shell that click does not know."""
    found = get_completion_class(shell)
    return found(command, {}, "statform", "_STATFORM_COMPLETE").source() if found else ""


def addresses(directory: StrPath) -> list[str]:
    """The addresses that the definitions or the state have, sorted; of files that can't be read, none.

    A shell may run what it completes: a text that is not an address is never offered.
    """
    documents = dict(_documents(directory))
    defined = {
        f"{type_name}.{key}"
        for document in documents.values()
        for type_name in RESOURCE_TYPES
        if isinstance(table := document.get(type_name), dict)
        for key in table
    }
    settings = documents.get(SETTINGS_FILE, {}).get("statform")
    known = _known(directory, settings if isinstance(settings, dict) else {})
    return sorted(address for address in defined | known if not address_problems(address))


def _known(directory: StrPath, settings: Mapping[str, object]) -> set[Address]:
    """Of a state that is a file; nobody who presses a key waits for a network."""
    name, lineage = (settings.get(key) for key in ("state", "shared"))
    name = name if isinstance(name, str) else Settings().state
    try:
        project.locate_state(directory, name)
        place = find_place(os.fspath(directory), name, lineage if isinstance(lineage, str) else None)
        return set(reader.read(place).resources) if isinstance(place, LocalPlace) else set()
    except (PlannerError, StateError, ValueError):
        return set()


def _documents(directory: StrPath) -> Iterator[tuple[str, dict[str, object]]]:
    try:
        files = project.read(directory)
    except PlannerError:
        return
    for name, content in files.items():
        with suppress(ValueError, RecursionError):
            yield name, tomli.loads(content.decode())
