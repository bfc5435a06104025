"""`sql_file`: what a .sql file means, and what is said about one that can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from mistakes import shown

from planner.definitions.definition import Definitions
from planner.definitions.project import open_project
from planner.definitions.validate_warnings import find_warnings
from planner.errors import DefinitionError
from state.values import Address

A = Address("assignment_source.a")
DEFINITION = '[assignment_source.a]\nsql_file = "a.sql"\n'


def project(root: Path, environment: str | None = None, **files: str | bytes) -> Definitions:
    """A project; `__` in a name stands for a slash, and a name without an ending is a .toml file."""
    for name, content in {"statform": "", **files}.items():
        path = root / name.replace("__", "/")
        path = path if path.suffix else path.with_suffix(".toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_project(root, environment).definitions


def problem(root: Path, environment: str | None = None, **files: str | bytes) -> str:
    with pytest.raises(DefinitionError) as caught:
        project(root, environment, **files)
    (one,) = caught.value.diagnostics
    return shown(one)


def sql(text: str | bytes) -> dict[str, str | bytes]:
    return {"definitions__d": DEFINITION, "definitions__a.sql": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT 1\n", "SELECT 1"),
        ("SELECT 1\n\n", "SELECT 1\n"),
        ("\ufeffSELECT\r\n1\r\n", "SELECT\n1"),
        ("", ""),
        ("SELECT 'é {statsig_start_date}'", "SELECT 'é {statsig_start_date}'"),
    ],
)
def test_the_text_of_the_file_is_the_query(tmp_path, text, value):
    found = project(tmp_path, **sql(text))
    assert found.resources[A].values["sql"] == value
    assert found.locate(A, "sql").file == "definitions/a.sql"


@pytest.mark.parametrize("length", [(1 << 16) - 1, 1 << 16, (1 << 16) + 1, 1 << 20])
def test_a_long_query_is_read_whole(tmp_path, length):
    text = f"{'x' * (length - 1)}y"
    assert project(tmp_path, **sql(text)).resources[A].values["sql"] == text


def test_the_digest_covers_the_sql_file(tmp_path):
    first = project(tmp_path, **sql("SELECT 1")).digest
    assert project(tmp_path, **sql("SELECT 2")).digest != first
    assert project(tmp_path, **sql("SELECT 1\r\n")).texts["definitions/a.sql"] == "SELECT 1\n"


def test_variables_are_replaced_and_an_unknown_one_is_shown_in_its_line(tmp_path):
    settings = '[variables]\ndb = "prod"\n'
    found = project(tmp_path, statform=settings, **sql("SELECT *\nFROM ${var.db}.t -- $${var.db}"))
    assert found.resources[A].values["sql"] == "SELECT *\nFROM prod.t -- ${var.db}"
    assert problem(tmp_path, statform=settings, **sql("SELECT *\nFROM ${var.dbx}.t")) == (
        'definitions/a.sql:2:6 assignment_source.a sql: unknown variable "dbx" «${var.dbx}»; '
        'a variable that [variables] in statform.toml declares; did you mean "db"?'
    )


def test_the_later_layer_wins(tmp_path):
    files = {**sql("SELECT 1"), "environments__e": '[assignment_source.a]\nsql = "SELECT 2"\n'}
    definition = project(tmp_path, "e", **files).resources[A]
    assert (definition.values["sql"], definition.sql_file) == ("SELECT 2", None)
    files = {
        "definitions__d": '[assignment_source.a]\nsql = "SELECT 2"\n',
        "environments__e": '[assignment_source.a]\nsql_file = "../definitions/a.sql"\n',
    }
    definition = project(tmp_path, "e", **files).resources[A]
    assert (definition.values["sql"], definition.sql_file) == ("SELECT 1", "definitions/a.sql")


PLACE = "definitions/d.toml:2:12 assignment_source.a sql_file: "
EXPECTED = "the path of a .sql file of the project, relative to this file"


@pytest.mark.parametrize(
    ("value", "summary"),
    [
        ("1", "an integer instead of a string «1»"),
        ('"/etc/passwd"', 'not the path of a .sql file «"/etc/passwd"»'),
        ('"/x/a.sql"', 'a path that leads out of the project «"/x/a.sql"»'),
        ('"../../a.sql"', 'a path that leads out of the project «"../../a.sql"»'),
        ('"b.sql"', 'definitions/b.sql can\'t be read: No such file or directory «"b.sql"»'),
        ('"folder.sql"', 'definitions/folder.sql can\'t be read: Is a directory «"folder.sql"»'),
        ('"large.sql"', 'definitions/large.sql can\'t be read: more than 1 MiB «"large.sql"»'),
        ('"out.sql"', 'definitions/out.sql can\'t be read: a link that leads out of the project «"out.sql"»'),
        ('"../hole/x.sql"', 'hole/x.sql can\'t be read: a link that leads out of the project «"../hole/x.sql"»'),
    ],
)
def test_a_file_that_can_not_be_used_is_an_error_where_it_is_named(tmp_path, value, summary):
    root = tmp_path / "project"
    (root / "definitions" / "folder.sql").mkdir(parents=True)
    (root / "definitions" / "large.sql").write_bytes(b"-" * (1 + (1 << 20)))
    (tmp_path / "x.sql").write_text("secret")
    (root / "definitions" / "out.sql").symlink_to(tmp_path / "x.sql")
    (root / "hole").symlink_to(tmp_path)
    with pytest.raises(DefinitionError) as caught:
        project(root, definitions__d=f"[assignment_source.a]\nsql_file = {value}\n")
    mine = [shown(one) for one in caught.value.diagnostics if one.address]
    assert mine == [f"{PLACE}{summary}; {EXPECTED}"]


def test_sql_and_sql_file_in_one_table_are_an_error(tmp_path):
    files = {"definitions__d": DEFINITION + 'sql = "SELECT 1"\n', "definitions__a.sql": ""}
    assert problem(tmp_path, **files) == (
        "definitions/d.toml:2:1 assignment_source.a sql_file: sql and sql_file in one table «sql_file»; one of the two"
    )


def test_a_byte_that_is_not_utf_8_is_shown_in_the_sql_file(tmp_path):
    assert problem(tmp_path, **sql(b"SELECT\n 1\xff")) == (
        "definitions/a.sql:2:3: not UTF-8: byte 0xff «\ufffd»; a file in UTF-8"
    )


def test_a_warning_about_the_query_is_shown_in_the_sql_file(tmp_path):
    pytest.importorskip("sqlglot")
    settings = '[statform]\nwarehouse = "bigquery"\n'
    more = {**sql("SELECT a\nFROM t"), "definitions__d": DEFINITION + 'timestampColumn = "ts"\n'}
    (warning,) = find_warnings(project(tmp_path, statform=settings, **more))
    assert warning.location is not None
    assert warning.location.file == "definitions/a.sql"
