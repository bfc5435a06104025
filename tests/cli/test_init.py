"""`statform init`: a new project."""

from __future__ import annotations

import re

import pytest
from command import source, without_rights

from planner.definitions.resources import RESOURCE_TYPES


def take_the_example(project):
    """Take the # off its lines, as it says."""
    path = project.directory / "definitions/example.toml"
    path.write_text(re.sub(r"(?m)^#(?=\S|  )", "", path.read_text()))


def test_it_names_what_it_wrote_on_stderr_and_what_to_do_next_on_stdout(project):
    ran = project.run("init")
    assert ran.code == 0
    names = ["definitions/example.toml", "statform.schema.json", ".taplo.toml", ".gitignore", ".gitattributes"]
    names += ["statform.toml"]
    assert ran.err == "".join(f"wrote {name}\n" for name in names)
    assert "  statform import --all\n" in ran.out
    assert "  statform validate\n  statform plan\n" in ran.out


def test_what_it_makes_defines_nothing_so_that_an_import_of_all_leaves_nothing_to_plan(project, emulator):
    project.run("init")
    assert project.run("validate").out == "Valid: 0 definitions.\n"
    emulator(source("a"), source("b"))
    assert project.run("import", "--all").last == "Imported 2 sources. `statform plan` now shows no changes."
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_its_example_is_valid_and_can_be_planned(project):
    project.run("init")
    take_the_example(project)
    assert project.run("validate").out == "Valid: 1 definition.\n"
    ran = project.run("plan")
    assert ran.code == 0
    assert "Plan: 1 to create." in ran.out


@pytest.mark.parametrize("name", RESOURCE_TYPES)
def test_it_makes_an_example_of_each_type_that_is_named(project, name):
    project.run("init", "--type", name)
    take_the_example(project)
    assert project.run("validate").out == "Valid: 1 definition.\n"
    assert project.run("plan").out.startswith("statform will perform these actions, in this order:\n\n  # " + name)


def test_a_type_that_there_is_not_is_an_error_with_the_nearest(project):
    ran = project.run("init", "--type", "metric_sorce")
    assert (ran.code, project.files) == (1, {})
    assert "--type metric_sorce: no such type; expected one of assignment_source, " in ran.err
    assert 'did you mean "metric_source"?' in ran.err


def test_apply_creates_its_example_in_the_emulator(project):
    project.run("init")
    take_the_example(project)
    ran = project.shell("""
        mkfifo line; statform emulator --data sources.json >line & exec 3<line; read -r line <&3
        export STATSIG_BASE_URL=${line##* }
        statform apply --auto-approve && statform plan --detailed-exitcode; code=$?
        kill %1; wait %1; exit $code
    """)
    assert ran.code == 0, ran
    assert "Apply complete: 1 created." in ran.out
    assert ran.out.endswith("No changes. The state matches the definitions.\n")


def test_a_second_time_changes_nothing_and_says_so(project):
    project.run("init")
    project.write("definitions/example.toml", "# mine\n")
    (project.directory / ".taplo.toml").unlink()
    before = project.files
    ran = project.run("init")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "statform.toml exists already, and was not changed\n"
    assert project.files == before


def test_a_project_that_is_there_gets_what_git_has_to_know(project):
    project.define("")
    ran = project.run("init")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("wrote .gitignore\nwrote .gitattributes\n")
    assert sorted(project.files) == [".gitattributes", ".gitignore", "statform.toml"]


def test_a_directory_that_is_not_there_is_not_made(project):
    ran = project.run("init", "-C", "new")
    assert (ran.code, ran.out) == (1, "")
    assert "Directory 'new' does not exist." in ran.err
    assert project.files == {}


def test_files_that_are_there_stay_as_they_are(project):
    project.write("definitions/example.toml", "# mine\n")
    project.write(".gitignore", "*.log")
    ran = project.run("init")
    assert ran.code == 0
    assert "example" not in ran.err
    assert project.files["definitions/example.toml"] == b"# mine\n"
    ignored = project.files[".gitignore"].decode().splitlines()
    assert ignored[0] == "*.log"
    assert "*.state.lock" in ignored


@pytest.mark.parametrize("present", [b"# caf\xe9\n.env\n", "# x\n.env\n".encode("utf-16"), b"# x\r\n.env\r\n", b"x"])
def test_what_is_ignored_already_stays_to_the_byte(project, present):
    path = project.directory / ".gitignore"
    path.write_bytes(present)
    assert project.run("init").code == 0
    now = path.read_bytes()
    assert now.startswith(present)
    assert b"*.state.lock" in now[len(present) :].splitlines()
    assert (b"\r\n" in present) == (b"*.state.lock\r\n" in now)


def test_what_was_ended_on_the_way_can_be_begun_again(project):
    """On a full disk, say: settings that are there are those of a project, and the rest is not made again."""
    folder = project.directory / ".gitattributes"
    folder.mkdir()
    ran = project.run("init")
    assert ran.code == 1
    assert ".gitattributes: " in ran.err
    assert "statform.toml" not in project.files
    folder.rmdir()
    assert project.run("init").err == "wrote .gitattributes\nwrote statform.toml\n"


def test_git_keeps_the_state_to_the_byte_and_a_checkout_that_did_not_is_told_how(project, emulator):
    emulator()
    project.run("init")
    take_the_example(project)
    project.apply()
    git = "git -c user.name=a -c user.email=a@example.com -c core.autocrlf=true"
    checkout = f"{git} add -A && {git} commit -qm x && rm *.json *.jsonl && {git} checkout -q ."
    assert project.shell(f"git init -q . && {checkout} && statform plan").code == 0
    for name, command in (("statform.state.json", "plan"), ("statform.state.journal.jsonl", "history")):
        path = project.directory / name
        before = path.read_bytes()
        path.write_bytes(before.replace(b"\n", b"\r\n"))
        ran = project.run(command)
        assert ran.code == 1
        assert name in ran.err
        assert "its line ends are CR LF, which statform never writes\ngit changes them where core.autocrlf" in ran.err
        path.write_bytes(before)


def test_ignored_files_are_the_ones_that_an_apply_leaves_beside_the_state(project, emulator):
    emulator()
    project.run("init")
    take_the_example(project)
    project.apply()
    ran = project.shell("git init -q . && git add -A && git ls-files")
    assert ran.out.split() == [
        ".gitattributes",
        ".gitignore",
        ".taplo.toml",
        "definitions/example.toml",
        "statform.schema.json",
        "statform.state.journal.jsonl",
        "statform.state.json",
        "statform.toml",
    ]


def test_no_link_is_followed_out_of_the_project(project, tmp_path):
    outside = tmp_path / "outside"
    (project.directory / ".taplo.toml").symlink_to(outside)
    assert project.run("init").code == 0
    assert not outside.exists()
    (project.directory / "statform.toml").unlink()
    (project.directory / ".gitignore").unlink()
    (project.directory / ".gitignore").symlink_to(outside)
    ran = project.run("init")
    assert ran.code == 1
    assert ".gitignore: a link to" in ran.err
    assert not outside.exists()


def test_definitions_outside_of_the_project_are_not_written(project, tmp_path):
    (project.directory / "definitions").symlink_to(tmp_path)
    before = sorted(tmp_path.iterdir())
    ran = project.run("init")
    assert (ran.code, ran.out) == (1, "")
    assert "definitions is a link that leads out of the project; nothing was changed" in ran.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_directory_that_may_not_be_written_is_an_error_with_the_reason(project):
    project.directory.chmod(0o500)
    ran = project.run("init", under=without_rights())
    assert (ran.code, ran.out) == (1, "")
    assert "Permission denied" in ran.err


def test_a_file_in_the_way_of_the_definitions_is_an_error_with_the_reason(project):
    project.write("definitions", "")
    ran = project.run("init")
    assert (ran.code, ran.out) == (1, "")
    assert "definitions: File exists" in ran.err
    assert list(project.files) == ["definitions"]
