"""`--env` and STATFORM_ENV, at any command."""

from __future__ import annotations

import pytest
from command import source

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
    assert "the state staging.json is that of the environment staging too" in ran.err
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


def test_an_advised_command_names_the_environment_without_which_it_would_act_on_another_state(staged, emulator):
    server = emulator(source("a"), source("b"))
    staged.apply("--env", "staging")
    server.change("a", description="theirs")
    staged.write(
        "environments/staging.toml", '[statform]\nstate = "staging.json"\n[assignment_source.a]\ndescription = "mine"\n'
    )
    note = "1 error; nothing was changed.\nCommands that are named here need --env staging, too.\n"
    ran = staged.run("apply", "--auto-approve", "--env", "staging")
    assert (ran.code, ran.err.endswith(note)) == (1, True)
    ran = staged.run("apply", "--auto-approve", STATFORM_ENV="staging")
    assert (ran.code, "--env staging, too" in ran.err) == (1, False)
    ran = staged.run("plan", "--env", "staging", "--refresh")
    assert "statform apply --env staging --overwrite assignment_source.a\n" in ran.out + ran.err
    ran = staged.run("apply", "none.json", "--env", "staging")
    assert "too.\n" not in ran.err
