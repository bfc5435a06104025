"""`statform show` and `statform state list | show | mv | rm`; and keys that change."""

from __future__ import annotations

import json
import re

import pytest
from command import source

from state import store
from state.records import Intent
from state.values import Address

A, B, C = "assignment_source.a", "assignment_source.b", "assignment_source.c"
NO_CHANGES = "No changes. The state matches the definitions.\n"


def two(first="a", second="b"):
    return (
        f'[assignment_source.{first}]\nadopt = true\nname = "a"\nisVerified = true\n'
        f'[assignment_source.{second}]\nadopt = true\nname = "b"\n'
    )


@pytest.fixture
def server(project, emulator):
    """Two sources, adopted; of them the API never returns `isVerified`."""
    project.define(two())
    found = emulator(source("a", sql="SELECT 1\n  FROM t"), source("b"), options=["--omit", "isVerified"])
    project.apply()
    return found


def test_addresses_are_listed(project, server):
    assert project.run("state", "list").out == f"{A}\n{B}\n"
    assert project.run("state", "list", "*.b", "*.b*").out == f"{B}\n"


def test_a_pattern_that_no_address_is_like_is_an_error(project, server):
    ran = project.run("state", "list", "*.b", "assignment_source.q")
    assert (ran.code, ran.out) == (1, "")
    assert "assignment_source.q: no address in the state matches; did you mean" in ran.err


def test_a_resource_is_shown_field_by_field(project, server):
    ran = project.run("state", "show", A)
    assert (ran.code, ran.err) == (0, "")
    at = project.resources[A]["updated_at"]
    assert ran.out == (
        f"# assignment_source.a: the source a, as of {at[:10]} {at[11:19]}Z\n"
        '  name               = "a"\n'
        '  description        = ""\n'
        "  tags               = []\n"
        "  sql                =\n"
        "      SELECT 1\n"
        "        FROM t\n"
        '  timestampColumn    = "ts"\n'
        '  experimentIDColumn = "experiment"\n'
        '  groupIDColumn      = "group"\n'
        "  idTypeMapping      =\n"
        '      userID = "user_id"\n'
        "# accepted, but returned differently or not at all:\n"
        "  isVerified = true\n"
    )
    assert project.run("show").out == ran.out + "\n" + project.run("state", "show", B).out


def test_a_project_without_a_state_file_has_an_empty_state(project):
    project.define("")
    assert project.run("show").out == "The state is empty.\n"
    assert project.run("state", "list").out == ""


def test_an_unknown_address_is_an_error_with_the_nearest_one(project, server):
    for command in (["show"], ["mv", "--dry-run"], ["rm"]):
        arguments = [*command, "assignment_source.aa", *([C] if "mv" in command else [])]
        ran = project.run("state", *arguments)
        assert (ran.code, ran.out) == (1, "")
        assert 'assignment_source.aa is not in the state; did you mean "assignment_source.a"?' in ran.err


def test_a_move_keeps_all_that_is_known_and_there_and_back_is_the_same(project, server):
    before, records, calls = project.resources, len(project.records), server.calls()
    assert project.run("state", "mv", A, C).out == f"Moved {A} to {C}.\n"
    assert project.resources == {B: before[B], C: before[A]}
    assert [record["kind"] for record in project.records[records:]] == ["begin", "move", "end"]
    project.define(two("c"))
    assert project.run("plan").out == NO_CHANGES
    project.run("state", "mv", C, A)
    assert project.resources == before
    assert server.calls() == calls


def test_what_is_removed_is_adopted_anew(project, server):
    ran = project.run("state", "rm", A, A)
    assert (ran.out, ran.err) == (f"Removed {A}.\n", "The remote stays as it is.\n")
    assert list(project.resources) == [B]
    assert "1 to adopt" in project.run("plan").out
    before = project.files
    assert project.run("state", "rm", B, A).code == 1
    assert project.files == before


def test_a_dry_run_changes_nothing(project, server):
    before = project.files
    assert project.run("state", "mv", "--dry-run", A, C).out == f"Would move {A} to {C}.\n"
    assert project.run("state", "rm", "--dry-run", A).out == f"Would remove {A}.\n"
    assert project.files == before


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (B, "the state already has assignment_source.b; `statform state rm assignment_source.b` removes it"),
        (A, "the state already has assignment_source.a"),
        ("entity_property.a", "entity_property.a is of another type than assignment_source.a"),
        ("a", '"a" is not an address: TYPE.KEY'),
        ("metric.a", '"metric.a" is not an address: TYPE.KEY'),
        ("assignment_source.a b", '"assignment_source.a b" is not an address: TYPE.KEY'),
    ],
)
def test_an_address_that_can_not_be_taken_is_refused(project, server, new, message):
    before = project.files
    ran = project.run("state", "mv", A, new)
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err
    assert project.files == before


@pytest.mark.parametrize("words", [["mv", A, C], ["rm", A]])
def test_an_address_with_an_unknown_outcome_is_neither_moved_nor_removed(project, server, words):
    with store.open(project.directory / "statform.state.json", "apply") as session:
        session.record(Intent(Address(A), "PATCH", "a", {}, {"team": "x"}, project.records[-1]["at"]))
        session.commit("failed")
    before = project.files
    ran = project.run("state", *words)
    assert (ran.code, ran.out) == (1, "")
    assert f"{A}: the outcome of its last request is unknown; the next apply, refresh or import" in ran.err
    assert project.files == before


def test_a_key_that_changed_moves_the_state_along_and_sends_nothing(project, server):
    project.define(two("c"))
    ran = project.run("plan", "--detailed-exitcode")
    assert ran.code == 2
    assert "# assignment_source.c was assignment_source.a; its state moves to this address\n" in ran.out
    assert "Plan: 2 unchanged, 1 moved.\n" in ran.out
    before, calls = project.resources, server.calls()
    ran = project.apply()
    assert "Apply complete: 1 moved.\n" in ran.out
    assert project.resources == {B: before[B], C: before[A]}
    assert server.calls() == calls
    assert project.run("plan").out == NO_CHANGES


def test_a_declared_move_with_a_new_name_renames_the_source(project, server):
    moved = f'[[moved]]\nfrom = "{A}"\nto = "{C}"\n'
    project.define(moved + two("c").replace('name = "a"', 'name = "a2"'))
    ran = project.run("plan")
    assert (
        "# assignment_source.c was assignment_source.a; its state moves to this address; it will be updated (PATCH a)"
        in ran.out
    )
    calls = server.calls()
    project.apply()
    assert server.calls() == [*calls, "a"]
    assert set(server.sources) == {"a2", "b"}
    assert project.run("plan").out == NO_CHANGES


def test_a_key_and_a_name_that_changed_together_are_told_how_to_keep_the_state(project, emulator):
    server = emulator(source("old", tags=["x"]), source("new"))
    project.define('[assignment_source.old]\nadopt = true\ndescription = "d"\ntags = ["x"]\n')
    project.apply()
    project.define('[assignment_source.new]\nadopt = true\ndescription = "d"\ntags = ["x"]\n')
    ran = project.run("plan")
    hint = (
        "If assignment_source.new is the same source as assignment_source.old, "
        "add this to statform.toml before you apply:\n"
        '  [[moved]]\n  from = "assignment_source.old"\n  to = "assignment_source.new"\n'
        'And add this line to its own table, to keep its remote name:\n  name = "old"\n'
    )
    assert hint in ran.out
    moved = '[[moved]]\nfrom = "assignment_source.old"\nto = "assignment_source.new"\n[assignment_source.new]\n'
    project.define(f'{moved}name = "old"\ndescription = "d"\ntags = ["x"]\n')
    assert project.run("plan").last == "Plan: 1 unchanged, 1 moved."
    server.delete("new")
    project.define(f'{moved}description = "d"\ntags = ["x"]\n')
    project.apply()
    assert set(server.sources) == {"new"}


@pytest.mark.parametrize("command", ["history", "history --verify", "show", "state list", "state rebuild"])
def test_what_needs_the_state_alone_works_while_a_definition_is_broken(project, server, command):
    project.apply()
    project.write("definitions/merge.toml", "<<<<<<< HEAD\n")
    assert project.run("plan").code == 1
    ran = project.run(*command.split())
    assert (ran.code, "rror" in ran.err) == (0, False)
    assert re.search("assignment_source.a|[Hh]ead", ran.out)
    project.define("<<<<<<< HEAD\n")
    assert "statform.toml:3:1" in project.run(*command.split()).err


def test_an_audit_of_broken_definitions_goes_by_the_state_and_says_so(project, server):
    project.apply()
    project.write("definitions/merge.toml", "<<<<<<< HEAD\n")
    ran = project.run("audit")
    assert ran.code == 0
    assert ran.err == (
        "Warning: the definitions are ignored, because they have an error: "
        "definitions/merge.toml:1: not TOML: a merge conflict that git left here\n"
    )
    assert project.run("audit", "--definitions").code == 1


def test_another_environment_s_state_is_refused_by_what_reads_the_state_alone(project, server):
    project.write("environments/staging.toml", '[statform]\nstate = "statform.state.json"\n')
    ran = project.run("--env", "staging", "state", "list")
    assert (ran.code, "is also used by the project without an environment" in ran.err) == (1, True)


def test_a_key_alone_is_an_error_that_names_the_address(project, server):
    project.define(two())
    project.apply()
    ran = project.run("state", "show", "a")
    assert (ran.code, ran.err) == (1, "Error: a is not in the state; did you mean assignment_source.a?\n")


def test_a_dry_run_of_a_move_leaves_the_state(project, server):
    project.define(two("c"))
    before = project.files
    ran = project.run("apply", "--dry-run")
    assert ran.code == 0
    assert "1 to move" in ran.out
    assert project.files == before


def test_the_state_is_json_in_terraform_s_shape(project, server):
    found = json.loads(project.run("show", "--json").out)
    resources = found["values"]["root_module"]["resources"]
    assert [one["address"] for one in resources] == [A, B]
    assert resources[0]["values"]["isVerified"] is True
    assert resources[0]["statform"]["unreturned"] == {"isVerified": True}
    assert json.loads(project.run("state", "show", "--json", A).out) == resources[0]
    assert project.run("show", "--json", "x").code == 1


def test_no_record_of_a_run_is_from_before_it(project, emulator):
    emulator(source("a"))
    project.define('[assignment_source.a]\nadopt = true\ndescription = "x"\n')
    project.apply()
    assert project.run("state", "mv", "assignment_source.a", "assignment_source.b").code == 0
    assert project.run("state", "rm", "assignment_source.b").code == 0
    times = [record["at"] for record in project.records]
    assert times == sorted(times)
