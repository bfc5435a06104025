"""Checks that each environment has its own state, shared with no other environment."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from planner.definitions.definition import overlay_file
from planner.definitions.document import Document, parse_file
from planner.definitions.settings import SETTINGS_FILE, default_state
from planner.definitions.tables import Tables
from planner.errors import Diagnostic


def check(
    own: str,
    environment: str,
    heads: Mapping[str, tuple[str, Document]],
    others: Mapping[str, bytes],
    tables: Tables,
) -> None:
    """A finding if another environment, or the project without one, has the environment's `own` state.

    `heads` are its settings files, as text and document; `others` are the files of the other environments, by name.
    """
    states = {"the project without an environment": _state_in(heads.get(SETTINGS_FILE), None)}
    for other, content in others.items():
        # Nobody can use a broken environment now. Once it is repaired, a shared state is found.
        parsed = parse_file(overlay_file(other), content)
        states[f"the environment {other}"] = _state_in(None if isinstance(parsed, Diagnostic) else parsed, other)
    for holder, state in states.items():
        if state is not None and _same_file(state) == _same_file(own):
            summary = f"the state {own} is also used by {holder}"
            expected = f"its own state, such as {default_state(environment)}"
            path, file = ("statform", "state"), overlay_file(environment)
            tables.add(path, summary, expected, at="value", field="state", file=file)


def _state_in(head: tuple[str, Document] | None, environment: str | None) -> str | None:
    """The state that the settings name, or the default; None if they are missing or wrong."""
    table = None if head is None else head[1].get("statform", {})
    if not isinstance(table, dict):
        return None
    state = table.get("state", default_state(environment))
    return state if isinstance(state, str) else None


def _same_file(path: str) -> str:
    """A form that is equal for paths to the same file, also on disks that ignore case in names."""
    return posixpath.normpath(path).casefold()
