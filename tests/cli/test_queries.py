"""`statform validate` over what the definitions' queries yield, and over values that say nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

BIGQUERY = 'warehouse = "bigquery"'
FIELDS = 'timestampColumn = "ts"\nidTypeMapping = [{ statsigUnitID = "userID", column = "user_ids" }]\n'
WRONG = f'[assignment_source.a]\n{FIELDS}sql = """\nSELECT\n  ts,\n  user_id\nFROM e"""\n'
RIGHT = WRONG.replace("user_ids", "user_id")


def test_a_column_that_the_query_lacks_is_a_warning_at_its_line_of_the_query(project):
    project.define(WRONG, BIGQUERY)
    ran = project.run("validate")
    assert (ran.code, ran.out) == (0, "Valid: 1 definition.\n")
    assert ran.err == (
        'Warning: the query returns no column "user_ids"\n'
        "  statform.toml:9:3, assignment_source.a, field idTypeMapping[0].column\n"
        "  9 |   user_id\n"
        "    |   ^^^^^^^\n"
        '  Expected: one of ts, user_id; did you mean "user_id"?\n'
        "\n"
    )


def test_a_query_that_yields_every_column_has_no_warning(project):
    project.define(RIGHT, BIGQUERY)
    ran = project.run("validate", "--strict")
    assert (ran.code, ran.out, ran.err) == (0, "Valid: 1 definition.\n", "")


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ('"SELECT ts, user_id FROM e -- it\'s"', "5:19"),
        ("'SELECT ts, user_id FROM e'", "5:19"),
        ("'''SELECT ts,\nuser_id FROM e'''", "6:1"),
        ('"""\nSELECT ts,\n\n  user_id\nFROM e"""', "8:3"),
        # With escapes between it is the key's place.
        ('"SELECT ts,\\n  user_id FROM e"', "5:1"),
        ('"""\nSELECT ts, \\\n  user_id FROM e"""', "5:1"),
    ],
)
def test_the_place_is_that_in_the_string_however_it_is_quoted(project, sql, place):
    project.define(f"[assignment_source.a]\nsql = {sql}\n{FIELDS}".replace("[a", "\n[a", 1), BIGQUERY)
    ran = project.run("validate")
    assert f"statform.toml:{place}, assignment_source.a" in ran.err


def test_a_query_of_another_file_of_an_environment_and_of_the_defaults_is_found_there(project):
    project.define('[defaults.assignment_source]\nsql = "SELECT 1 AS ts"\n', BIGQUERY)
    project.write("definitions/a.toml", f"[assignment_source.a]\n{FIELDS}")
    assert "statform.toml:4:8, assignment_source.a" in project.run("validate").err
    project.write("environments/dev.toml", 'assignment_source.a.sql = "SELECT ts FROM dev"\n')
    assert "environments/dev.toml:1:28, assignment_source.a" in project.run("validate", "--env", "dev").err


def test_strict_lets_the_warnings_be_errors(project):
    project.define(WRONG, BIGQUERY)
    ran = project.run("validate", "--strict")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith('Error: the query returns no column "user_ids"\n')
    assert ran.err.endswith("\n1 error.\n")


def test_json_has_the_warnings_and_with_strict_the_errors(project):
    project.define(WRONG, BIGQUERY)
    ran = project.run("validate", "--json")
    told = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert (told["valid"], told["error_count"], told["warning_count"]) == (True, 0, 1)
    (found,) = told["diagnostics"]
    assert (found["severity"], found["address"]) == ("warning", "assignment_source.a")
    assert found["range"]["start"] == {"line": 9, "column": 3}
    ran = project.run("validate", "--json", "--strict")
    told = json.loads(ran.out)
    assert (ran.code, told["valid"], told["error_count"], told["diagnostics"][0]["severity"]) == (1, False, 1, "error")


def test_a_macro_of_another_type_a_template_a_star_and_an_unreadable_query_are_warnings(project):
    queries = {
        "macro": "SELECT ts, user_ids FROM e WHERE ts > {statsig_experiment_start_timestamp}",
        "jinja": "SELECT ts, user_ids FROM {{ ref('e') }}",
        "star": "SELECT * FROM e",
        "riddle": "SELECT ts, FROM WHERE",
    }
    project.define("".join(f'[assignment_source.{k}]\nsql = "{q}"\n{FIELDS}' for k, q in queries.items()), BIGQUERY)
    ran = project.run("validate")
    assert ran.code == 0
    said = [line.removeprefix("Warning: ") for line in ran.err.splitlines() if line.startswith("Warning: ")]
    assert said == [
        "{statsig_experiment_start_timestamp} is not a macro of this type of source",
        "{{ ref('e') }} is a template, and nothing fills it in",
        'can\'t find out whether the query returns "ts", "user_ids": SELECT * does not name the columns',
        "can't find out what the query returns: the parser can't read it as bigquery",
    ]


def test_case_counts_as_the_warehouse_says(project):
    project.define(RIGHT, 'warehouse = "snowflake"')
    ran = project.run("validate")
    assert 'the query returns "TS", not "ts"' in ran.err
    assert 'the query returns "USER_ID", not "user_id"' in ran.err
    assert "in upper case, unless it is quoted" in ran.err


def test_without_a_warehouse_it_says_once_that_the_queries_are_not_read(project):
    project.define(WRONG + WRONG.replace("source.a", "source.b"))
    ran = project.run("validate", "--strict")
    assert (ran.code, ran.out) == (0, "Valid: 2 definitions.\n")
    assert ran.err == "The queries are not checked: set `warehouse` in [statform] to say which SQL they use.\n"
    project.define('[assignment_source.a]\nteam = "x"\n')
    assert project.run("validate").err == ""


def test_without_the_parser_it_says_once_what_brings_it(project, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sqlglot.py").write_text("raise ModuleNotFoundError('sqlglot', name='sqlglot')")
    project.define(WRONG + WRONG.replace("source.a", "source.b"), BIGQUERY)
    ran = project.run("validate", PYTHONPATH=str(hidden))
    assert (ran.code, ran.out) == (0, "Valid: 2 definitions.\n")
    assert ran.err.startswith(
        "Warning: the queries can't be checked: the parser is not installed\n  statform.toml:2:1\n"
    )
    assert ran.err.endswith("  Expected: statform with its extra sql: pip install 'statform[sql]'\n\n")
    assert ran.err.count("Warning") == 1
    assert project.run("validate", "--strict", PYTHONPATH=str(hidden)).code == 1


def test_an_unknown_warehouse_is_an_error_with_the_nearest(project):
    project.define(RIGHT, 'warehouse = "bigqery"')
    ran = project.run("validate")
    assert ran.code == 1
    assert 'unknown warehouse "bigqery"' in ran.err
    assert 'did you mean "bigquery"?' in ran.err


def test_values_that_say_nothing_are_warnings_without_a_warehouse(project):
    project.define(
        '[assignment_source.a]\ntimestampColumn = ""\nidTypeMapping = []\ntags = ["x", ""]\ngroupNameColumn = ""\n'
        '[assignment_source.b]\nsql = " "\nidTypeMapping = [{ statsigUnitID = "", column = "" }]\n'
    )
    ran = project.run("validate")
    assert ran.code == 0
    places = [line.split(", ", 1)[1] for line in ran.err.splitlines() if line.startswith("  statform.toml:")]
    assert places == [
        "assignment_source.a, field tags[1]",
        "assignment_source.a, field timestampColumn",
        "assignment_source.a, field idTypeMapping",
        "assignment_source.b, field sql",
        "assignment_source.b, field idTypeMapping[0].statsigUnitID",
        "assignment_source.b, field idTypeMapping[0].column",
    ]
    assert project.run("validate", "--strict").code == 1


def test_the_number_of_warnings_is_limited(project):
    project.define("".join(f"[assignment_source.a{n}]\nidTypeMapping = []\n" for n in range(600)))
    ran = project.run("validate", "--json")
    assert json.loads(ran.out)["warning_count"] == 500
    assert ran.err == "There may be more warnings than these 500; they are not shown.\n"


def test_nothing_loads_the_parser_but_queries_that_are_read(project):
    program = "import sys\nfrom planner.cli.main import run\nrun(sys.argv[1:])\nprint('sqlglot' in sys.modules)"
    loads = {}
    for command, settings in [("validate", BIGQUERY), ("plan", BIGQUERY), ("validate", "")]:
        project.define(RIGHT, settings)
        done = subprocess.run(
            [sys.executable, "-c", program, command], cwd=project.directory, capture_output=True, text=True, check=True
        )
        loads[command, settings] = done.stdout.splitlines()[-1]
    assert loads == {("validate", BIGQUERY): "True", ("plan", BIGQUERY): "False", ("validate", ""): "False"}
