"""The whole life of a source: created, its query changed, renamed, deleted; and what keeps each from going wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Project, source

A = "assignment_source.a"
COLUMNS = """
timestampColumn = "ts"
experimentIDColumn = "experiment"
groupIDColumn = "group"
idTypeMapping = [{ statsigUnitID = "userID", column = "user_id" }]
"""


def whole(key: str, sql: str = "SELECT 1", more: str = "") -> str:
    return f'[assignment_source.{key}]\nsql = "{sql}"{COLUMNS}{more}\n'


def removed(key: str) -> str:
    return f'[[removed]]\nfrom = "assignment_source.{key}"\ndelete = true\n'


def apply(project: Project, *words: str):
    return project.run("apply", "--auto-approve", *words)


def test_a_source_is_created_changed_renamed_and_deleted(project, emulator):
    emulator = emulator()
    project.define(whole("a", more='description = "first"'))
    assert "will be created (POST a)" in project.run("plan").out
    ran = apply(project)
    assert (ran.code, ran.last) == (0, "Apply complete: 1 created.")
    assert emulator.sources["a"]["description"] == "first"
    emulator.change("a", team="Growth")
    project.define(whole("a", "SELECT 2", 'description = "first"\nname = "b"'))
    plan = project.run("plan").out
    assert "A full update replaces the whole source: what the API does not carry" in plan
    ran = apply(project)
    assert (ran.code, ran.last) == (0, "Apply complete: 1 updated.")
    found = emulator.sources["b"]
    # The server gives up what a full update leaves out: so that nothing was.
    assert (found["sql"], found["team"], found["description"]) == ("SELECT 2", "Growth", "first")
    assert project.run("plan", "--detailed-exitcode").code == 0
    project.define(removed("a"))
    assert "to DELETE" in project.run("plan").out
    ran = apply(project, "--allow-deletes", "1")
    assert (ran.code, ran.last) == (0, "Apply complete: 1 deleted.")
    assert emulator.sources == {}
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert project.run("history", "--verify").code == 0
    assert [json.loads(line)["action"] for line in project.run("history", "--json").lines] == [
        "create", "update", "delete",
    ]  # fmt: skip


def test_a_create_whose_name_is_taken_is_refused_before_anything_is_sent(project, emulator):
    emulator = emulator()
    emulator.create("a")
    emulator.create("b")
    project.define(whole("a") + whole("c"))
    ran = apply(project)
    assert ran.code == 1
    assert 'the remote has a source named "a" already' in ran.err
    assert 'Expected: `statform import assignment_source.a "a"`, or adopt = true in its table' in ran.err
    assert set(emulator.sources) == {"a", "b"}


def test_a_query_that_somebody_changed_meanwhile_is_not_overwritten(project, emulator):
    emulator = emulator()
    project.define(whole("a"))
    assert apply(project).code == 0
    emulator.replace("a", sql="SELECT 9")
    project.define(whole("a", "SELECT 2"))
    ran = apply(project)
    assert ran.code == 1
    assert emulator.sources["a"]["sql"] == "SELECT 9"
    ran = apply(project, "--no-check-drift")
    assert ran.code == 1
    assert 'somebody changed its sql, which is "SELECT 9" now' in ran.out
    assert emulator.sources["a"]["sql"] == "SELECT 9"


def test_what_drifted_is_not_deleted(project, emulator):
    emulator = emulator()
    project.define(whole("a"))
    assert apply(project).code == 0
    emulator.change("a", description="still needed")
    project.define(removed("a"))
    ran = apply(project, "--allow-deletes", "1")
    assert ran.code == 1
    assert 'somebody changed its description, which is "still needed" now' in ran.out + ran.err
    assert set(emulator.sources) == {"a"}


def test_what_is_gone_already_is_deleted(project, emulator):
    emulator = emulator()
    project.define(whole("a"))
    assert apply(project).code == 0
    emulator.delete("a")
    project.define(removed("a"))
    ran = apply(project, "--allow-deletes", "1")
    # A list may be behind an answer of less than a minute ago.
    assert (ran.code, 'how "a" is at the remote can\'t be told: the list lacks it' in ran.err) == (1, True)
    project.age()
    ran = apply(project, "--allow-deletes", "1")
    assert (ran.code, ran.last) == (0, "Apply complete: 1 deleted.")
    assert project.resources == {}


@pytest.mark.parametrize(("words", "code"), [((), 1), (("--allow-deletes", "0"), 1), (("--allow-deletes", "1"), 0)])
def test_an_apply_that_is_not_asked_has_to_be_allowed_to_delete(project, emulator, words, code):
    emulator = emulator()
    project.define(whole("a"))
    assert apply(project).code == 0
    project.define(removed("a"))
    ran = apply(project, *words)
    assert ran.code == code
    assert ("a" in emulator.sources) is bool(code)
    if code:
        assert "1 source would be DELETED, and --auto-approve needs --allow-deletes 1 for that" in ran.err


def test_what_experiments_read_is_not_deleted(project, emulator):
    reader = {"id": "e", "name": "cta", "status": "setup", "assignmentSourceName": "a"}
    emulator = emulator(source("a"), experiments=[reader, {**reader, "id": "f", "status": "archived"}])
    project.define("[assignment_source.a]\nadopt = true")
    assert apply(project).code == 0
    project.define(removed("a"))
    ran = apply(project, "--allow-deletes", "1")
    assert ran.code == 1
    assert "a is read by 1 experiment: cta (setup)" in ran.err
    assert set(emulator.sources) == {"a"}


def test_a_key_that_may_not_list_experiments_deletes_only_when_it_is_told_not_to_look(project, emulator):
    emulator = emulator()
    project.define(whole("a"))
    assert apply(project).code == 0
    project.define(removed("a"))
    project.environ["STATSIG_API_KEY"] = "console-no-experiments"
    ran = apply(project, "--allow-deletes", "1")
    assert ran.code == 1
    assert "which experiments read what is deleted can't be read" in ran.err
    ran = apply(project, "--allow-deletes", "1", "--no-check-experiments")
    assert ran.code == 0
    assert emulator.sources == {}


def test_a_dry_run_tries_creates_and_full_updates_and_says_that_it_tries_no_delete(project, emulator):
    emulator = emulator()
    project.define(whole("a") + whole("gone"))
    assert apply(project).code == 0
    project.define(removed("gone") + whole("a", "SELECT 2") + whole("new"))
    before = emulator.sources
    ran = project.run("apply", "--dry-run")
    assert ran.code == 0
    assert emulator.sources == before
    assert "not tried: assignment_source.gone" in ran.out + ran.err


def test_twins_are_refused(project, emulator):
    emulator = emulator()
    project.define(whole("a"))
    assert apply(project).code == 0
    project.define(whole("b"))
    ran = apply(project)
    assert ran.code == 1
    assert "assignment_source.b would be created with the query and the columns of assignment_source.a" in ran.err
    project.define(
        whole("b", more='name = "b"') + '[[moved]]\nfrom = "assignment_source.a"\nto = "assignment_source.b"'
    )
    assert apply(project).code == 0
    assert set(emulator.sources) == {"b"}


def test_a_query_in_a_file_of_its_own_is_sent(project, emulator):
    emulator = emulator()
    project.write("a.sql", "SELECT\n  7\n")
    project.define(whole("a").replace('sql = "SELECT 1"', 'sql_file = "a.sql"'))
    assert apply(project).code == 0
    assert emulator.sources["a"]["sql"] == "SELECT\n  7"
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert Path(project.directory, "a.sql").exists()
