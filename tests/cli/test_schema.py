"""What editors are told, checked by the tool that they use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from docs import section

from planner.render.schemas.outputs import OUTPUTS, output_schema

TAPLO = Path(sys.executable).with_name("taplo")


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TAPLO, "lint"], cwd=directory, capture_output=True, text=True, check=False)


def test_what_it_prints_is_what_init_writes(project):
    project.run("init")
    printed = project.run("schema")
    assert (printed.code, printed.err) == (0, "")
    assert printed.out.encode() == project.files["statform.schema.json"]
    assert json.loads(printed.out)["$schema"].endswith("2020-12/schema")


def test_taplo_takes_a_new_project_and_refuses_an_unknown_field(project):
    project.run("init")
    assert lint(project.directory).returncode == 0
    project.write("definitions/growth.toml", "[assignment_source.a]\ntimestampcolumn = 'ts'\n")
    refused = lint(project.directory)
    assert refused.returncode == 1
    assert "timestampcolumn" in refused.stderr


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_schema_of_an_output_is_printed_by_its_name(project, name):
    ran = project.run("schema", name)
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == output_schema(name)
    assert f"{name}" in project.run("schema", "--help").out
    assert f"`{name}`" in section("`statform schema")
    assert project.run("schema", "nothing").code == 1


@pytest.mark.parametrize(
    ("table", "is_taken"),
    [
        ("absent = true", True),
        ('description = "staged"\nclear = ["owner"]', True),
        ("absent = false", False),
        ("absent = true\nteam = 'x'", False),
        ("absnt = true", False),
    ],
)
def test_taplo_checks_environments_as_validate_does(project, table, is_taken):
    project.run("init")
    project.write("definitions/b.toml", "[assignment_source.example]\n")
    project.write("environments/staging.toml", f"[statform]\nstate = 's.json'\n[assignment_source.example]\n{table}\n")
    assert (lint(project.directory).returncode == 0) is is_taken
    assert (project.run("validate", "--env", "staging").code == 0) is is_taken


def test_taplo_s_own_settings_are_left_alone(project):
    project.write(".taplo.toml", "# mine\n")
    assert "taplo" not in project.run("init").err
    assert project.files[".taplo.toml"] == b"# mine\n"
