"""Which files are definitions, and that nothing beside or outside of their folder is looked at."""

from __future__ import annotations

import os

import pytest
from command import source, without_rights

A, B = "[assignment_source.a]\n", "[assignment_source.b]\n"


@pytest.fixture
def folder(project):
    project.define("")
    project.write("definitions/a.toml", A)
    return project.directory / "definitions"


def test_links_to_folders_of_the_project_are_followed(project, folder):
    project.write("teams/growth/b.toml", B)
    (folder / "growth").symlink_to("../teams/growth")
    assert project.run("validate").out == "Valid: 2 definitions.\n"


def test_a_folder_with_two_names_is_read_once(project, folder):
    project.write("definitions/team/b.toml", B)
    (folder / "again").symlink_to("team")
    (folder / "team" / "all").symlink_to("..")
    assert project.run("validate").out == "Valid: 2 definitions.\n"


def test_links_to_folders_outside_of_the_project_are_not_even_listed(project, folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "private_name.toml").touch()
    (folder / "team").symlink_to(outside)
    ran = project.run("validate")
    assert ran.code == 1
    assert "can't be read: a link that leads out of the project" in ran.err
    assert "definitions/team:1:1" in ran.err
    assert "private_name" not in ran.err


@pytest.mark.parametrize("name", ["definitions/x.toml", "environments/x.toml", "statform.toml"])
def test_links_to_files_that_are_not_definitions_are_not_followed(project, folder, name):
    project.write(".env", "API_TOKEN=abc123secret\n")
    path = project.write(name, "")
    path.unlink()
    path.symlink_to(os.path.relpath(project.directory / ".env", path.parent))
    ran = project.run("validate", *(("--env", "x") if "environments" in name else ()))
    assert ran.code == 1
    assert "secret" not in ran.out + ran.err
    assert f"can't be read: a link to something that is not a .toml file\n  {name}:1:1" in ran.err


def test_environments_elsewhere_are_not_listed(project, folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "private_name.toml").touch()
    (project.directory / "environments").symlink_to(outside)
    for name in ("x", "private_name"):
        ran = project.run("validate", "--env", name)
        assert ran.code == 1
        assert "can't be read: a link that leads out of the project\n  environments:1:1" in ran.err


@pytest.mark.parametrize("name", [".#a.toml", "._a.toml", ".terraform/x.toml", "..2026_11_27/a.toml"])
def test_names_that_begin_with_a_dot_are_not_read(project, folder, name):
    project.write(f"definitions/{name}", "[x]\ny = 1\n")
    assert project.run("validate").out == "Valid: 1 definition.\n"


def test_links_into_a_hidden_folder_are_read_because_kubernetes_mounts_files_so(project, folder):
    (folder / "a.toml").unlink()
    project.write("definitions/..2026_11_27/a.toml", A)
    (folder / "..data").symlink_to("..2026_11_27")
    (folder / "a.toml").symlink_to("..data/a.toml")
    assert project.run("validate").out == "Valid: 1 definition.\n"


def dangling(folder):
    folder.symlink_to("nowhere")


def as_text(folder):
    folder.write_text("../shared/definitions")


def closed(folder):
    folder.mkdir()
    folder.chmod(0)


LOST = {
    "a link to nothing": (dangling, "No such file or directory"),
    "a folder that may not be read": (closed, "Permission denied"),
    "a link that git checked out as text": (as_text, "not a folder"),
}


# The last case is missing: a file among the definitions is just a file; only `definitions` itself must be a folder.
WHERE = [(where, *LOST[kind]) for kind in LOST for where in ("definitions", "definitions/team")][:-1]


@pytest.mark.parametrize(("where", "make", "reason"), WHERE)
def test_a_folder_that_can_not_be_read_is_never_treated_as_empty(project, where, make, reason):
    project.define("")
    folder = project.directory / where
    folder.parent.mkdir(exist_ok=True)
    make(folder)
    ran = project.run("plan", under=without_rights() if make is closed else ())
    if make is closed:
        folder.chmod(0o755)
    assert (ran.code, ran.out) == (1, "")
    assert f"Error: can't be read: {reason}" in ran.err
    assert f"  {where}:1:1" in ran.err


def test_a_project_without_a_definitions_folder_has_those_of_its_settings_file(project):
    project.define(A)
    assert project.run("validate").out == "Valid: 1 definition.\n"


def test_folders_as_deep_as_a_path_can_be_are_read(project, folder):
    ran = project.shell(
        'python3 -c \'import os; os.chdir("definitions"); [(os.mkdir("d"), os.chdir("d")) for _ in range(1500)]\';'
        # Python's own functions can't remove it.
        "(ulimit -t 2; statform validate); rm -rf definitions/d"
    )
    assert (ran.code, ran.out, ran.err) == (0, "Valid: 1 definition.\n", "")


@pytest.mark.parametrize("kind", ["files", "folders"])
def test_files_and_folders_are_counted_on_the_way(project, folder, kind):
    for n in range(10_001):
        if kind == "files":
            (folder / f"{n}.toml").touch()
        else:
            (folder / str(n)).mkdir()
    ran = project.run("validate")
    assert (ran.code, ran.out) == (1, "")
    assert f"more than 10,000 {'definition files' if kind == 'files' else 'folders'} in " in ran.err


@pytest.mark.parametrize("state", ["../other/statform.state.json", "/tmp/x.state.json", "a/../../x.json"])
def test_a_state_outside_of_the_project_is_an_error_where_it_stands(project, state):
    project.define(A, f'state = "{state}"')
    ran = project.run("plan")
    assert (ran.code, ran.out) == (1, "")
    assert "Error: a state file outside the project" in ran.err


def test_a_state_behind_a_link_out_of_the_project_is_not_read(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.state.json").write_text('{"secret": 1}')
    (project.directory / "here").symlink_to(outside)
    project.define(A, 'state = "here/x.state.json"')
    for command in ("plan", "apply", "show", "history"):
        ran = project.run(command)
        assert (ran.code, ran.out) == (1, "")
        assert 'state = "here/x.state.json" leads out of the project' in ran.err


def test_a_plan_that_forgets_all_says_so(project, emulator):
    emulator(source("a"), source("b"))
    project.define(f"{A}adopt = true\n{B}adopt = true\n")
    project.apply()
    project.define("")
    (project.directory / "definitions").mkdir()
    told = "there are no definitions, so everything in the state would be forgotten"
    assert told in project.run("plan").err
    assert told in project.run("apply", "--json", "--auto-approve").out
    # After the apply nothing is left that could be forgotten.
    assert told not in project.run("plan").err
