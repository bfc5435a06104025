"""`statform init`: a new project, made of a few files."""

from __future__ import annotations

import os
from pathlib import Path

from planner.commands.common import Invocation
from planner.definitions.project import DEFINITIONS
from planner.definitions.schema import build_schema, schema_text
from planner.definitions.settings import SETTINGS_FILE
from planner.errors import UsageError
from planner.files import write_file
from planner.version import __version__
from state.disk import StrPath

SCHEMA_FILE = "statform.schema.json"
_SETTINGS = """\
[statform]
required_version = ">={version}"
# state = "statform.state.json"
# max_changes = "30%"                # apply refuses a plan that changes more
# respect_review_settings = true     # the project's review rules hold for what apply sends

# Fields that every assignment source gets unless it declares its own.
[defaults.assignment_source]
timestampColumn = "ts"
experimentIDColumn = "experiment_id"
groupIDColumn = "group_id"
"""

_EXAMPLE = """\
# One table for each assignment source: [assignment_source.KEY]. The key is yours, the name is the source's in Statsig.
# A field that is not declared is not managed.
[assignment_source.example]
name = "example_exposures"
adopt = true                           # it is there already: the next apply takes it over
description = "Exposures of the example experiments"
tags = ["example"]
idTypeMapping = [
  { statsigUnitID = "userID", column = "user_id" },
]
"""

_TAPLO = f"""\
# Taplo, and editors that use it, check and complete the files by what `statform schema` prints.
[[rule]]
include = ["{SETTINGS_FILE}", "{DEFINITIONS}/**/*.toml", "environments/*.toml"]
schema = {{ path = "{SCHEMA_FILE}" }}
"""

_IGNORED = """\
# statform: these are local only. State and journal belong together: keep both, or neither.
*.state.lock
*.state.tmp
.statform-*.tmp
*.torn-*
"""

_ATTRIBUTES = """\
# statform: state and journal stay to the byte, and are never merged line by line.
*.state.json -text -merge linguist-generated
*.journal.jsonl -text -merge linguist-generated
"""


def init(invocation: Invocation) -> int:
    """Make a project in the directory, and say what comes next; the exit code.

    Where there is one, only what git has to know is added: that can be asked for again and again.
    """
    is_new = not (Path(invocation.directory) / SETTINGS_FILE).exists()
    for name in create(invocation.directory):
        invocation.output.say(f"wrote {name}")
    if not is_new:
        invocation.output.say(f"{SETTINGS_FILE} is there already, and is as it was")
        return 0
    invocation.output.out(
        "\nNext: describe your sources in definitions/, then run\n  statform validate\n  statform plan\n"
    )
    return 0


def create(directory: StrPath) -> list[str]:
    """Make a new project, and return the files that were written, relative to `directory`.

    The settings come last: where they are there is a project, so what was ended before can be begun again. A project
    that is there gets the lines of .gitignore and .gitattributes that it lacks.

    Raises:
        UsageError: the directory can't be written.
    """
    directory = Path(directory)
    files = {f"{DEFINITIONS}/example.toml": _EXAMPLE, SCHEMA_FILE: schema_text(build_schema()), ".taplo.toml": _TAPLO}
    added = {".gitignore": _IGNORED, ".gitattributes": _ATTRIBUTES}
    settings = _SETTINGS.format(version=".".join(__version__.split(".")[:2]))
    try:
        if (directory / SETTINGS_FILE).exists():
            return [name for name, text in added.items() if _add_lines(directory / name, text)]
        (directory / DEFINITIONS).mkdir(parents=True, exist_ok=True)
        if not (directory / DEFINITIONS).resolve().is_relative_to(directory.resolve()):
            raise UsageError(f"{directory / DEFINITIONS} is a link that leads out of the project; nothing was changed")
        written = [name for name, text in files.items() if _create_file(directory / name, text)]
        written += [name for name, text in added.items() if _add_lines(directory / name, text)]
        written += [name for name in [SETTINGS_FILE] if _create_file(directory / name, settings)]
    except OSError as error:
        raise UsageError(f"{error.filename or directory}: {error.strerror}") from None
    return written


def _create_file(path: Path, text: str) -> bool:
    if os.path.lexists(path):
        return False
    write_file(path, text, replaces=False)
    return True


def _add_lines(path: Path, text: str) -> bool:
    """Add lines to a file, or make it of them; what is there stays to the byte, whatever its encoding."""
    present = path.read_bytes() if path.exists() else b""
    added = text.encode()
    if added.splitlines()[-1] in present.splitlines():
        return False
    end = b"\r\n" if b"\r\n" in present else b"\n"
    gap = end if present and not present.endswith(b"\n") else b""
    write_file(path, present + gap + added.replace(b"\n", end))
    return True
