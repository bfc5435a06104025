"""Help, version and usage errors; and that the documentation has every command and every option."""

from __future__ import annotations

import re

import click
import docs
import pytest
from command import STATFORM
from declared import COMMANDS
from person import at_terminal

from planner.cli.main import cli
from planner.version import __version__

NAMED = [" ".join(path) for path, command in COMMANDS if path and not isinstance(command, click.Group)]


@pytest.mark.parametrize("path", [path for path, _ in COMMANDS], ids=" ".join)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_on_stdout_and_needs_no_project(project, path, option):
    ran = project.run(*path, option)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(('statform', *path))} ")


@pytest.mark.parametrize("columns", [50, 80])
def test_help_fits_the_terminal_and_at_80_columns_cuts_no_text(project, columns):
    for path, _ in COMMANDS:
        with at_terminal([str(STATFORM), *path, "-h"], project.directory, project.environ, columns) as terminal:
            assert terminal.end() == 0
        assert max(map(len, terminal.shown.splitlines())) <= columns
        if columns == 80:
            assert "..." not in re.sub(r"\[?(ARGS|PATTERN|ADDRESS)\]?\.\.\.", "", terminal.shown)


def test_every_command_and_every_option_has_help():
    for path, command in COMMANDS:
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)


def test_the_version_is_that_of_the_package(project):
    ran = project.run("--version")
    assert (ran.code, ran.out) == (0, f"statform {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("aply",), "No such command 'aply'"),
        (("plan", "--no-such"), "No such option"),
        (("--no-such",), "No such option"),
        (("plan", "extra"), "unexpected extra argument"),
        (("apply", "--target"), "requires an argument"),
        (("apply", "--max-changes", "many"), "'--max-changes': many is not a number such as 20"),
        (("emulator", "--port", "x"), "'x' is not a valid integer"),
        (("apply", "--yes"), "No such option '--yes'. Did you mean '--auto-approve'?"),
        (("plan", "-out=x"), "No such option '-out'. Did you mean '--out'?"),
        (("destroy",), "[[removed]] with delete = true"),
        (("fmt",), "Any TOML formatter"),
        (("version",), "`statform --version`"),
        (("help",), "`statform COMMAND --help`"),
        (("show", "assignment_source.x"), "`statform state show assignment_source.x`"),
    ],
)
def test_a_usage_error_is_exit_code_1_and_names_the_help(project, arguments, message):
    ran = project.run(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err
    assert re.search(r"^Try: statform( \w+)? --help$", ran.err, re.MULTILINE)


@pytest.mark.parametrize("path", [(), ("state",)])
def test_no_command_at_all_shows_the_help_on_stderr(project, path):
    ran = project.run(*path)
    assert (ran.code, ran.out) == (1, "")
    assert "Commands:" in ran.err


def section(name):
    """What is documented of a command."""
    return docs.section(rf"`statform {name}\b")


@pytest.mark.parametrize("name", NAMED)
def test_the_documentation_has_a_heading_for_each_command_and_each_of_its_options(name):
    command = dict(COMMANDS)[tuple(name.split())]
    common = {option for parameter in cli.params for option in parameter.opts}
    text = section(name)
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            assert str(parameter.metavar or parameter.name).upper().strip("[].") in text.splitlines()[0]
        else:
            for option in set(parameter.opts) - common:
                assert f"`{option}" in text, option


def test_the_documentation_has_the_options_of_all_commands():
    for parameter in cli.params:
        for option in parameter.opts:
            assert f"`{option}" in docs.PAGES["planner/README.md"]


def test_the_documentation_has_no_command_and_no_option_that_is_not_there():
    known = {option for _, command in COMMANDS for parameter in command.params for option in parameter.opts}
    documented = re.findall(r"(?m)^`statform ([a-z]+(?: [a-z]+)*)(?: [A-Z[][^`]*)?`$", "\n".join(docs.headings()))
    assert sorted(documented) == sorted(NAMED)
    for name in NAMED:
        for option in re.findall(r"(?m)^\| `(--?[a-z0-9-]+)", section(name)):
            assert option in known, option


def test_the_help_has_examples_the_exit_codes_and_where_the_key_goes(project):
    shown = " ".join(project.run("--help").out.split())
    for words in (
        "statform import --all",
        "130 interrupted",
        "Console API key in STATSIG_API_KEY",
        "STATSIG_API_KEY_FILE",
    ):
        assert words in shown


def test_help_that_the_disk_does_not_take_is_an_error_of_one_line(project):
    ran = project.shell("statform --help >/dev/full")
    assert (ran.code, ran.err) == (1, "Error: [Errno 28] No space left on device\n")
