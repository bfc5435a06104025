from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest
from declared import COMMANDS

import planner.errors
import state.errors

HEAVY = {
    "httpx",
    "httpcore",
    "starlette",
    "uvicorn",
    "tomlkit",
    "htpy",
    "markupsafe",
    "obstore",
    "psycopg",
    "state.places.shared",
    "sqlglot",
}


def documented(module) -> list[tuple[int, str, int]]:
    """The classes that the module's docstring draws: depth, name, exit code; a branch inherits its exit code."""
    found: list[tuple[int, str, int]] = []
    for line in (module.__doc__ or "").splitlines():
        if drawn := re.match(r"( *)([A-Z]\w+) {2,}(?:exit code )?(\d+)?(?: |$)", line):
            code = int(drawn[3]) if drawn[3] else found[0][2]
            found.append((len(drawn[1]), drawn[2], code))
        elif drawn := re.match(r"( *)([A-Z]\w+) {2,}\S", line):
            found.append((len(drawn[1]), drawn[2], found[0][2]))
    least = min(indent for indent, _, _ in found)
    return [((indent - least) // 2, name, code) for indent, name, code in found]


def is_private(cls: type) -> bool:
    return cls.__name__.startswith("_")


def existing(root: type, depth: int = 0) -> set[tuple[int, str, int]]:
    """The public classes below `root`; a private one stands for nothing between."""
    found = {(depth, root.__name__, root.exit_code)}
    children = root.__subclasses__()
    for child in (c for one in children for c in (one.__subclasses__() if is_private(one) else [one])):
        found |= existing(child, depth + 1)
    return found


@pytest.mark.parametrize(
    ("module", "root"), [(planner.errors, planner.errors.PlannerError), (state.errors, state.errors.StateError)]
)
def test_the_tree_of_errors_is_the_one_that_its_module_draws(module, root):
    drawn = documented(module)
    assert set(drawn) == existing(root)
    assert len(drawn) == len(set(drawn)) > 5
    parents = {}
    for depth, name, _ in drawn:
        parents[depth] = name
        if depth:
            bases = [
                b for one in getattr(module, name).__bases__ for b in (one.__bases__ if is_private(one) else [one])
            ]
            assert [base.__name__ for base in bases] == [parents[depth - 1]]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("project")
    (directory / "statform.toml").write_text('[assignment_source.a]\nadopt = true\nteam = "x"\n')
    (directory / "broken").mkdir()
    (directory / "broken" / "statform.toml").write_text("[assignment_source.a]\nadopt = true\nteam = 5\n")
    return directory


def loaded_by(directory: Path, *arguments: str) -> tuple[int, set[str]]:
    """The exit code of the command, and the modules that its process has loaded."""
    program = (
        "import json, sys\n"
        "from planner.cli.main import run\n"
        f"code = run({list(arguments)!r})\n"
        "print('\\n' + json.dumps([code, sorted(sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=directory, capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    return code, set(modules)


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["plan"], 0),
        (["plan", "--detailed-exitcode", "--color", "always"], 2),
        (["plan", "--target", "assignment_source.a"], 0),
        (["history"], 0),
        (["validate"], 0),
        (["validate", "-C", "broken"], 1),
        (["plan", "-C", "broken"], 1),
        (["plan", "--target", "x"], 1),
    ],
)
def test_what_works_offline_loads_no_client(project, arguments, code):
    found, modules = loaded_by(project, *arguments)
    assert found == code
    assert "tomli" in modules
    assert not modules & (HEAVY | {"ssl", "subprocess"})


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["plan", "--help"], ["apply", "-h"], ["state", "rebuild", "-h"]]
)
def test_help_loads_nothing_but_the_command_line(project, arguments):
    found, modules = loaded_by(project, *arguments)
    assert found == 0
    assert not modules & (HEAVY | {"tomli", "ssl", "asyncio"})
    ours = {m for m in modules if m.split(".")[0] in {"planner", "state"}}
    declared = {m for m in ours if m.startswith("planner.cli")}
    assert ours - declared == {"planner", "planner.version"}
    own = {f"planner.cli.{argument}" for argument in arguments[:-1] if argument != "rebuild"}
    assert declared == {"planner.cli", "planner.cli.main", "planner.cli.options", *own}


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) or "statform" for path, _ in COMMANDS])
def test_every_command_and_every_option_has_help(path, command):
    assert command.help
    assert command.help.rstrip().endswith(".")
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert {"--chdir", "--color"} <= {name for one in options for name in one.opts}
    assert [one.name for one in options if not one.help or not one.help.rstrip().endswith(".")] == []


def test_the_list_of_commands_tells_of_each_the_first_sentence_of_its_help():
    statform = next(command for path, command in COMMANDS if not path)
    listed = click.Context(statform, max_content_width=200).get_help()
    first = {path[0]: command.get_short_help_str(200) for path, command in COMMANDS if len(path) == 1}
    assert dict(re.findall(r"(?m)^  (\w+)  +(.+)$", listed.partition("Commands:\n")[2])) == first


def test_no_command_has_lost_its_name():
    names = {" ".join(path) for path, _ in COMMANDS}
    assert names >= {"init", "validate", "plan", "apply", "state", "state rebuild", "emulator"}


LEAVES = [(path, one) for path, one in COMMANDS if path and not isinstance(one, click.Group)]


def unexplained(file: Path) -> list[str]:
    """The imports inside functions, which ruff has marked, without a reason behind them or above their block."""
    found, is_said = [], False
    for above, line in pairwise(["", *file.read_text().splitlines()]):
        if "noqa: PLC0415" in line:
            is_said = "noqa: PLC0415 - " in line or above.lstrip().startswith("#") or ("PLC0415" in above and is_said)
            found += [] if is_said else [line.strip()]
    return found


def test_every_import_inside_a_function_says_why():
    files = [file for package in (planner, state) for file in Path(str(package.__file__)).parent.rglob("*.py")]
    assert sum("PLC0415" in file.read_text() for file in files) > 20
    assert [line for file in files for line in unexplained(file)] == []
