"""`statform init`: a new project, made of a few files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from planner.commands.common import Invocation
from planner.definitions.fields import KeyedList
from planner.definitions.project import DEFINITIONS
from planner.definitions.resources import RESOURCE_TYPES, ResourceType, named_types
from planner.definitions.schema import build_schema, schema_text
from planner.definitions.settings import SETTINGS_FILE
from planner.errors import UsageError
from planner.escape import escape
from planner.files import write_file
from planner.version import __version__
from state.advice import advise
from state.places.disk import StrPath

SCHEMA_FILE = "statform.schema.json"
FIRST_TYPE = tuple(RESOURCE_TYPES.values())[:1]
"""Of which a new project has an example, unless others are named."""
_SETTINGS = """\
[statform]
required_version = ">={version}"
# state = "statform.state.json"
# max_changes = "30%"                # apply refuses a plan that changes more
# respect_review_settings = true     # the project's review rules apply to its changes
"""

_EXAMPLE = """\
# One table for each source: [TYPE.KEY]. You choose the key; the name is the source's in Statsig.
# A field that is not declared is not managed. This is an example: remove the # from its lines to try it.

"""

_TAPLO = f"""\
# Taplo, and editors that use it, check and complete the files with the schema that `statform schema` prints.
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
# statform: git changes no byte of state and journal, and never merges them line by line.
*.state.json -text -merge linguist-generated
*.journal.jsonl -text -merge linguist-generated
"""


def init(invocation: Invocation, type_names: Sequence[str] = ()) -> int:
    """Make a project in the directory, and say what comes next; the exit code.

    It has an example of each of the types, or of the first one. In an existing project, only the lines for git are
    added, so it is safe to run this again.
    """
    is_new = not (Path(invocation.directory) / SETTINGS_FILE).exists()
    for name in create(invocation.directory, named_types(type_names) or FIRST_TYPE):
        invocation.output.say(f"wrote {name}")
    if not is_new:
        invocation.output.say(f"{SETTINGS_FILE} exists already, and was not changed")
        return 0
    invocation.output.out(_next_steps())
    return 0


def _next_steps() -> str:
    return f"""
Next: import the sources that are in Statsig, and write their definitions:
  {escape(advise("import", "--all"))}
Or describe sources in {DEFINITIONS}/ as {DEFINITIONS}/example.toml does, then:
  {escape(advise("validate"))}
  {escape(advise("plan"))}
"""


def create(directory: StrPath, types: Sequence[ResourceType] = FIRST_TYPE) -> list[str]:
    """Make a new project with an example of each type, and return the files that were written, relative to `directory`.

    The settings are written last: only then it is a project, so an interrupted run can be repeated. A project
    that is there gets the lines of .gitignore and .gitattributes that it lacks.

    Raises:
        UsageError: the directory can't be written.
    """
    directory = Path(directory)
    example = _EXAMPLE + "\n".join(map(_example, types))
    files = {f"{DEFINITIONS}/example.toml": example, SCHEMA_FILE: schema_text(build_schema()), ".taplo.toml": _TAPLO}
    added = {".gitignore": _IGNORED, ".gitattributes": _ATTRIBUTES}
    settings = _SETTINGS.format(version=".".join(__version__.split(".")[:2])) + "".join(map(_defaults, types))
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


def _defaults(type_: ResourceType) -> str:
    """The columns that most sources of a project have by the same names."""
    lines = [f"{f.name} = {json.dumps(f.example)}" for f in type_.fields if f.required and isinstance(f.example, str)]
    head = f"\n# Fields that every {type_.name} gets unless it declares its own.\n"
    return head + "".join(f"# {line}\n" for line in (f"[defaults.{type_.name}]", *lines))


def _example(type_: ResourceType) -> str:
    """A definition with all that a create requires, as comments: so a project can begin with an import."""
    read: list[str] = []
    lines: list[str] = []
    for field in type_.fields:
        if field.required and isinstance(field.example, str):
            read.append(field.example)
            lines.append(f"{field.name} = {json.dumps(field.example)}")
        elif isinstance(field.kind, KeyedList) and isinstance(field.example, dict):
            units = [(key, str(column)) for key, column in field.example.items()]
            read += [column for _, column in units]
            rows = [f'  {{ {field.kind.key} = "{key}", {field.kind.value} = "{column}" }},' for key, column in units]
            lines += [f"{field.name} = [", *rows, "]"]
    head = [f"[{type_.name}.example]", 'description = "An example"', 'tags = ["example"]']
    query = f'sql = "SELECT {", ".join(read)} FROM analytics.examples"'  # noqa: S608 - an example, which nothing runs
    return "".join(f"#{line}\n" for line in (*head, query, *lines))


def _create_file(path: Path, text: str) -> bool:
    # lexists: also a link that leads nowhere is somebody's, and stays.
    if os.path.lexists(path):
        return False
    write_file(path, text, replaces=False)
    return True


def _add_lines(path: Path, text: str) -> bool:
    """Add lines to a file, or make it of them; what is there stays to the byte, whatever its encoding."""
    present = path.read_bytes() if path.exists() else b""
    added = text.encode()
    # The last line stands for the block: who edited the lines above it gets no second copy.
    if added.splitlines()[-1] in present.splitlines():
        return False
    end = b"\r\n" if b"\r\n" in present else b"\n"
    gap = end if present and not present.endswith(b"\n") else b""
    write_file(path, present + gap + added.replace(b"\n", end))
    return True
