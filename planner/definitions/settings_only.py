"""The settings without the definitions, which may be broken: for commands that need only to know where the state is.

Pure: `project` reads the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from planner.definitions import settings
from planner.definitions.definition import overlay_file
from planner.definitions.document import parse_file
from planner.definitions.optional import own_state
from planner.definitions.problems import TooManyProblems, explain
from planner.definitions.settings import SETTINGS_FILE, Settings
from planner.definitions.tables import Tables, sort_problems
from planner.errors import DefinitionError, Diagnostic


def parse_settings(
    files: Mapping[str, bytes], environment: str | None = None, others: Mapping[str, bytes] | None = None
) -> Settings:
    """The settings of `statform.toml` and of the environment's file; the arguments are those of `parse_definitions`.

    Raises:
        DefinitionError: one of the files is no TOML, or the settings are wrong.
    """
    overlay = None if environment is None else overlay_file(environment)
    parsed = {name: parse_file(name, files[name]) for name in (SETTINGS_FILE, overlay) if name is not None}
    heads = {name: one for name, one in parsed.items() if not isinstance(one, Diagnostic)}
    found, tables = Settings(), Tables()
    with suppress(TooManyProblems):
        documents = {name: document for name, (_, document) in heads.items()}
        found = settings.read(documents, tables.findings, environment)
        if environment is not None:
            own_state.check(found.state, environment, heads, others or {}, tables)
    texts = {name: text for name, (text, _) in heads.items()}
    problems = [one for one in parsed.values() if isinstance(one, Diagnostic)]
    problems += [explain(texts, finding) for finding in tables.findings]
    if problems:
        raise DefinitionError(sort_problems(problems))
    return found
