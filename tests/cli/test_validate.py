"""`statform validate`: the definitions, checked offline."""

from __future__ import annotations

import json
import os

import pytest
from command import without_rights

DEFINED = '[assignment_source.one]\ndescription = "x"\n'


def test_valid_definitions_are_counted_on_stdout_and_nothing_is_on_stderr(project):
    project.define(DEFINED)
    project.write("definitions/deep/er/two.toml", '[assignment_source.two]\nteam = "x"\n')
    ran = project.run("validate")
    assert (ran.code, ran.out, ran.err) == (0, "Valid: 2 definitions.\n", "")


def test_a_project_without_definitions_is_valid(project):
    project.define("")
    assert project.run("validate").out == "Valid: 0 definitions.\n"


def test_every_error_of_every_file_is_shown_with_its_place_and_what_is_expected(project):
    project.define('[assignment_source.one]\ndescripton = "x"\n[assignment_source.two]\ntags = ["a", "a"]\n')
    project.write("definitions/a.toml", "[assignment_source.three]\nisVerified = 1\n")
    project.write("definitions/b.toml", '[assignment_source.one]\n[assignment_sauce.x]\nteam = "x"\n')
    project.write("definitions/c.toml", "[assignment_source.four]\nteam = null\n")
    ran = project.run("validate")
    assert (ran.code, ran.out) == (1, "")
    places = [line.strip().partition(",")[0] for line in ran.err.splitlines() if ".toml:" in line]
    assert places == [
        "statform.toml:4:1",
        "statform.toml:6:14",
        "definitions/a.toml:2:14",
        "definitions/b.toml:1:20",
        "definitions/b.toml:2:2",
        "definitions/c.toml:2:8",
    ]
    assert ran.err.count("Expected: ") == 6
    assert 'did you mean "description"?' in ran.err
    assert 'did you mean "assignment_source"?' in ran.err
    assert '  4 | descripton = "x"\n    | ^^^^^^^^^^\n' in ran.err
    assert ran.err.endswith("\n6 errors.\n")


def test_it_needs_no_key_and_no_network_and_writes_nothing(project):
    project.define(DEFINED)
    before = project.files
    del project.environ["STATSIG_API_KEY"]
    assert project.run("validate", STATSIG_BASE_URL="nonsense").code == 0
    assert project.files == before
    assert [path.name for path in project.directory.iterdir()] == ["statform.toml"]


@pytest.mark.parametrize("command", ["validate", "plan", "apply"])
def test_a_directory_without_a_project_says_what_makes_one(project, command):
    ran = project.run(command)
    assert (ran.code, ran.out) == (1, "")
    assert "no statform.toml in" in ran.err
    assert "statform init" in ran.err


@pytest.mark.parametrize("arguments", [("-C", "project", "validate"), ("validate", "-C", "project")])
def test_the_directory_can_be_given_before_the_command_and_after_it(project, arguments):
    project.define(DEFINED)
    ran = project.run(*arguments, cwd=project.directory.parent)
    assert (ran.code, ran.out) == (0, "Valid: 1 definition.\n")


def test_places_are_relative_to_the_project_wherever_it_is_run_from(project):
    project.write("statform.toml", "[statform]\n")
    project.write("definitions/a.toml", "[assignment_source.three]\nisVerified = 1\n")
    ran = project.run("-C", "project", "validate", cwd=project.directory.parent)
    assert "\n  definitions/a.toml:2:14, assignment_source.three, field isVerified\n" in ran.err


@pytest.mark.parametrize("directory", ["nowhere", "statform.toml"])
def test_a_directory_that_is_none_is_a_usage_error(project, directory):
    project.define(DEFINED)
    ran = project.run("validate", "-C", directory)
    assert (ran.code, ran.out) == (1, "")
    assert f"'{directory}'" in ran.err


def test_a_file_that_may_not_be_read_is_named_with_the_reason(project):
    project.define(DEFINED)
    project.write("definitions/a.toml", DEFINED).chmod(0)
    ran = project.run("validate", under=without_rights())
    assert ran.code == 1
    assert "can't be read: Permission denied" in ran.err
    assert "definitions/a.toml" in ran.err


def test_a_directory_named_as_a_definition_file_is_no_definition_file(project):
    project.define(DEFINED)
    (project.directory / "definitions" / "x.toml").mkdir(parents=True)
    assert project.run("validate").out == "Valid: 1 definition.\n"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("missing.toml", "No such file or directory"),
        ("/dev/zero", "a link that leads out of the project"),
        ("pipe", "not a regular"),
    ],
)
def test_what_is_no_regular_file_of_the_project_is_refused_not_read(project, target, reason):
    project.define(DEFINED)
    link = project.directory / "definitions" / "a.toml"
    link.parent.mkdir()
    if target == "pipe":
        os.mkfifo(link)
    else:
        link.symlink_to(target)
    ran = project.run("validate", timeout=10)
    assert ran.code == 1
    assert f"can't be read: {reason}" in ran.err


def test_settings_that_are_a_directory_are_no_project(project):
    (project.directory / "statform.toml").mkdir()
    assert project.run("validate").code == 1


def test_bytes_that_are_not_utf_8_are_an_error_with_their_place(project):
    project.define(DEFINED)
    (project.directory / "statform.toml").write_bytes(b'[assignment_source.one]\nteam = "\xff"\n')
    ran = project.run("validate")
    assert ran.code == 1
    assert "not UTF-8: byte 0xff" in ran.err
    assert "statform.toml:2:9" in ran.err


def test_what_a_terminal_would_act_on_is_shown_escaped(project):
    project.define('[assignment_source.one]\n"\\u001b[2Jevil\\u202e" = "x"\n')
    ran = project.run("validate")
    assert ran.code == 1
    assert "\x1b" not in ran.err
    assert "\u202e" not in ran.err
    assert "\\u001b[2Jevil\\u202e" in ran.err


def test_a_project_that_requires_a_newer_statform_is_refused(project):
    project.define("", settings='required_version = ">=99"')
    ran = project.run("validate")
    assert ran.code == 1
    assert "the project requires >=99" in ran.err


def test_a_name_in_a_locale_without_utf_8_is_no_traceback(project):
    project.define('[assignment_source.one]\nname = "Käse"\nteam = 5\n')
    ran = project.shell("LANG=C LC_ALL=POSIX PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 statform validate")
    assert ran.code == 1
    assert "Traceback" not in ran.err


def test_json_is_as_terraform_validate_prints_it(project):
    project.define(DEFINED)
    assert json.loads(project.run("validate", "--json").out) == {
        "format_version": "1.0",
        "valid": True,
        "error_count": 0,
        "warning_count": 0,
        "diagnostics": [],
    }
    project.define("[assignment_source.a]\ntags = 1\n")
    ran = project.run("validate", "--json")
    assert (ran.code, ran.err) == (1, "")
    (found,) = json.loads(ran.out)["diagnostics"]
    assert found == {
        "severity": "error",
        "summary": "an integer instead of a list of strings",
        "detail": "Expected: a list of strings, without duplicates",
        "address": "assignment_source.a",
        "range": {
            "filename": "statform.toml",
            "start": {"line": 4, "column": 8},
            "end": {"line": 4, "column": 9},
        },
        "snippet": {"code": "tags = 1", "start_line": 4, "highlight_start_offset": 7, "highlight_end_offset": 8},
    }


def test_in_a_folder_of_a_project_the_project_is_named(project):
    project.define("")
    (project.directory / "definitions/growth").mkdir(parents=True)
    ran = project.run("plan", cwd=project.directory / "definitions/growth")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith(f"growth; {project.directory} has one: `statform -C ../..`\n")
    ran = project.run("plan", cwd=project.directory.parent)
    assert ran.err.endswith("; `statform init` creates a project there\n")


def test_an_integer_that_the_environment_lets_python_not_read_is_told_where_it_stands(project):
    project.define(f"[assignment_source.a]\ndescription = 5\nteam = {'9' * 641}\n")
    ran = project.run("validate", PYTHONINTMAXSTRDIGITS="640")
    assert ran.code == 1
    assert "an integer of too many digits" in ran.err
    assert "statform.toml:5:8" in ran.err
