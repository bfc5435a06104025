"""`--env` and STATFORM_ENV, at any command."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from command import source

import planner

TWO = "[assignment_source.a]\nadopt = true\n[assignment_source.b]\nadopt = true\n"


@pytest.fixture
def staged(project):
    project.define(TWO)
    project.write(
        "environments/staging.toml",
        '[statform]\nstate = "staging.json"\n[assignment_source.a]\ndescription = "staged"\n'
        "[assignment_source.b]\nabsent = true\n",
    )
    project.write("environments/production.toml", "")
    return project


def test_each_environment_has_its_state(staged, emulator):
    server = emulator(source("a"), source("b"))
    staged.apply("--env", "staging")
    assert server.sources["a"]["description"] == "staged"
    assert {"staging.json", "staging.journal.jsonl"} <= staged.files.keys()
    assert "statform.state.json" not in staged.files
    ran = staged.run("plan", STATFORM_ENV="staging")
    assert ran.out == "No changes. The state matches the definitions in the environment staging.\n"
    assert "2 to adopt" in staged.run("plan").out


def test_an_environment_that_names_no_state_has_one_of_its_own(staged, emulator):
    emulator(source("a"), source("b"))
    staged.apply("--env", "production")
    assert "statform.production.state.json" in staged.files
    assert "statform.state.json" not in staged.files


def test_an_environment_with_the_state_of_another_is_refused(staged):
    staged.write("environments/qa.toml", '[statform]\nstate = "staging.json"\n')
    ran = staged.run("plan", "--env", "qa")
    assert (ran.code, ran.out) == (1, "")
    assert "the state staging.json is also used by the environment staging" in ran.err
    assert "environments/qa.toml:2:9" in ran.err


def test_the_option_goes_before_the_variable_and_may_stand_before_the_command(staged):
    assert staged.run("--env", "staging", "validate", STATFORM_ENV="production").out == "Valid: 1 definition.\n"
    assert staged.run("validate", "--env", "staging", STATFORM_ENV="nowhere").out == "Valid: 1 definition.\n"
    assert staged.run("validate", STATFORM_ENV="").out == "Valid: 2 definitions.\n"


@pytest.mark.parametrize("name", ["stagin", "../environments/staging", "staging.toml", "/", "\x1b"])
def test_an_environment_that_is_not_there_is_an_error_that_names_the_others(staged, name):
    ran = staged.run("plan", "--env", name)
    assert (ran.code, ran.out) == (1, "")
    assert "no environment" in ran.err
    assert "\x1b" not in ran.err


def test_a_project_without_environments_says_where_they_belong(project):
    project.define(TWO)
    ran = project.run("validate", "--env", "staging")
    assert "no environment staging in" in ran.err
    assert "environments are files environments/NAME.toml" in ran.err


@pytest.fixture
def overwritten(staged, emulator):
    """Somebody changed what the definitions of the environment staging declare otherwise."""
    server = emulator(source("a"), source("b"))
    staged.apply("--env", "staging")
    server.change("a", description="theirs")
    staged.write(
        "environments/staging.toml", '[statform]\nstate = "staging.json"\n[assignment_source.a]\ndescription = "mine"\n'
    )
    return staged


UNDO = "statform --env staging apply --overwrite assignment_source.a"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_advised_command_names_the_environment_without_which_it_would_act_on_another_state(overwritten, options):
    ran = overwritten.run("apply", "--auto-approve", "--env", "staging", *options)
    assert (ran.code, f"`{UNDO}`" in ran.out + ran.err) == (1, True)
    # What is advised may be typed in another shell, and what is in a comment anywhere.
    ran = overwritten.run("apply", "--auto-approve", *options, STATFORM_ENV="staging")
    assert (ran.code, f"`{UNDO}`" in ran.out + ran.err) == (1, True)


@pytest.mark.parametrize("options", [(), ("--json",), ("--markdown",)])
def test_a_plan_advises_commands_that_name_the_environment_in_every_form(overwritten, options):
    ran = overwritten.run("plan", "--env", "staging", "--refresh", *options)
    assert UNDO in ran.out


def test_an_advised_command_names_the_directory_that_was_given(overwritten):
    there = overwritten.directory.name
    ran = overwritten.run("-C", there, "apply", "--auto-approve", "--env", "staging", cwd=overwritten.directory.parent)
    assert f"`statform -C {there} --env staging apply --overwrite assignment_source.a`" in ran.err
    ran = overwritten.run("-C", ".", "apply", "--auto-approve", "--env", "staging")
    assert f"`{UNDO}`" in ran.err


def test_what_is_advised_is_quoted_for_a_shell(project, emulator):
    emulator(source("it's $HOME"))
    project.define("""[assignment_source.a]\nname = "it's $HOME"\n""")
    command = "statform import assignment_source.a 'it'\"'\"'s $HOME'"
    assert f"is imported (`{command}`)" in " ".join(project.run("plan").err.split())
    assert project.shell(command).code == 0
    (project.directory / "new one").mkdir()
    assert "\n  statform -C 'new one' import --all\n" in project.run("-C", "new one", "init").out


def test_a_refused_plan_is_made_again_with_the_options_that_it_was_made_with(project, emulator):
    emulator(source("a"), source("b"))
    project.define(TWO)
    project.run("plan", "--refresh", "--exclude", "b*", "--target", "a", "--out", "my plan.json")
    project.apply()
    ran = project.run("apply", "my plan.json")
    assert ran.err.endswith("Make a new one: statform plan --refresh --target a --exclude 'b*' --out 'my plan.json'\n")


def test_no_text_names_a_command_to_type_but_as_it_is_advised():
    """What `init` writes into a file, and who wrote what a setting has, is nothing to type."""
    top = Path(planner.__file__).parents[1]
    files = [path for wing in ("planner", "state") for path in sorted((top / wing).rglob("*.py"))]
    found = {(path.relative_to(top).as_posix(), command) for path in files for command in commands_in(path)}
    assert found == {("planner/commands/init.py", "schema"), ("planner/definitions/settings.py", "state push")}


def commands_in(path):
    """The commands that the texts in a module name for somebody to type, docstrings aside."""
    tree = ast.parse(path.read_text("utf-8"))
    docstrings = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    for one in ast.walk(tree):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in docstrings:
            yield from re.findall("(?:`|: )statform ([a-z]+(?: [a-z]+)?)", one.value)
