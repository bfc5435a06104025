"""What the definitions say, what the state says, and what is there: nothing that nobody saw is overwritten."""

from __future__ import annotations

import pytest
from command import source

A, B = "assignment_source.a", "assignment_source.b"


def defined(**values):
    lines = [f'{name} = "{value}"' for name, value in values.items()]
    return "\n".join(["[assignment_source.a]", "adopt = true", *lines, ""])


@pytest.fixture
def settled(project, emulator):
    """One source with a description and a team, and the emulator that has it."""
    remote = emulator(source("a", description="old", team="t"))
    project.define(defined(description="old", team="t"))
    project.apply()
    return project, remote


def test_an_adoption_shows_what_is_there_and_sends_just_what_differs(project, emulator):
    remote = emulator(source("a", description="Carefully written", team="t"))
    project.define(defined(description="mine", team="t"))
    assert '+ description = "mine"' in project.run("plan").out
    out = project.apply().out
    assert '~ description = "Carefully written" -> "mine"' in out
    assert "team" not in out
    (intent,) = [record for record in project.records if record["kind"] == "intent"]
    # What is declared and not sent is noted too: the answer shows whether somebody changed it since.
    noted = {"description": "Carefully written", "team": "t"}
    assert (intent["before"], intent["sent"]) == (noted, {"description": "mine"})
    assert remote.sources["a"]["description"] == "mine"


def test_an_adoption_of_what_is_as_defined_sends_nothing(project, emulator):
    remote = emulator(source("a", team="t"))
    project.define(defined(team="t"))
    tried = project.run("apply", "--dry-run")
    assert (tried.code, "not tried" in tried.err) == (0, False)
    assert project.apply().out.endswith("Apply complete: 1 adopted.\n")
    assert remote.calls() == []
    assert [record["kind"] for record in project.records] == ["genesis", "begin", "import", "end"]
    assert project.resources[A]["data"] == remote.sources["a"]
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_an_adoption_whose_query_differs_is_a_full_update_that_shows_the_old_one(project, emulator):
    remote = emulator(source("a", sql="SELECT theirs", team="t", description="d"))
    project.define(defined(sql="SELECT ours", team="t"))
    out = project.apply().out
    assert "will be adopted (full update, POST a)" in out
    assert '~ sql = "SELECT theirs" -> "SELECT ours"' in out
    (intent,) = [record for record in project.records if record["kind"] == "intent"]
    assert (intent["method"], intent["before"]["sql"]) == ("POST", "SELECT theirs")
    # What is not declared stays as it is, be it that the server resets what a full update leaves out.
    found = remote.sources["a"]
    assert (found["sql"], found["team"], found["description"]) == ("SELECT ours", "t", "d")
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_an_adoption_whose_query_is_as_defined_is_a_patch(project, emulator):
    emulator(source("a", sql="SELECT 1", team="t"))
    project.define(defined(sql="SELECT 1", team="u"))
    assert "will be adopted (PATCH a)" in project.run("apply", "--dry-run").out
    assert "will be adopted (PATCH a)" in project.apply().out
    (intent,) = [record for record in project.records if record["kind"] == "intent"]
    assert (intent["method"], intent["sent"]) == ("PATCH", {"team": "u"})


def test_a_saved_plan_that_shows_no_old_value_overwrites_none(project, emulator):
    remote = emulator(source("a", description="theirs"))
    project.define(defined(description="mine"))
    project.run("plan", "--out", "p.json")
    ran = project.run("apply", "p.json")
    assert ran.code == 1
    assert 'the plan did not show the old value of description, "theirs"' in ran.err
    assert remote.calls() == []


def test_a_declared_field_that_somebody_changed_stops_a_plan_that_leaves_it_alone(settled):
    project, remote = settled
    remote.change("a", description="theirs")
    project.define(defined(description="old", team="u"))
    count = len(remote.calls())
    ran = project.run("apply", "--auto-approve")
    assert ran.code == 1
    assert 'somebody else changed description: the remote has "theirs"' in ran.err
    assert len(remote.calls()) == count


def test_overwriting_shows_what_it_undoes(settled):
    project, remote = settled
    remote.change("a", description="theirs")
    project.define(defined(description="old", team="u"))
    out = project.apply("--overwrite", A).out
    assert '~ description = "theirs" -> "old"' in out
    assert (remote.sources["a"]["description"], remote.sources["a"]["team"]) == ("old", "u")
    assert project.run("plan", "--detailed-exitcode").code == 0
    ran = project.run("apply", "--auto-approve", "--overwrite", B)
    assert (ran.code, f"--overwrite {B}: the state has no such address" in ran.err) == (1, True)


@pytest.mark.parametrize("options", [("--auto-approve",), ("--dry-run",)])
def test_an_overwrite_of_what_is_no_address_says_which_one_is_meant(settled, options):
    project, _ = settled
    for word, guess in (("a", f"; did you mean {A}?"), ("assignment_sorce.a", f'; did you mean "{A}"?')):
        ran = project.run("apply", *options, "--overwrite", word)
        expected = f"Error: --overwrite {word}: the state has no such address{guess}\n"
        assert (ran.code, ran.err) == (1, expected)


def test_a_dry_run_tries_what_an_overwrite_would_send(settled):
    project, remote = settled
    remote.change("a", description="theirs")
    project.define(defined(description="old", team="u"))
    before = project.resources
    ran = project.run("apply", "--dry-run", "--overwrite", A)
    assert (ran.code, '~ description = "theirs" -> "old"' in ran.out) == (0, True)
    assert (project.resources, remote.sources["a"]["description"]) == (before, "theirs")


def test_what_an_answer_shows_of_others_changes_is_told_and_not_undone(settled):
    project, remote = settled
    remote.change("a", description="theirs")
    project.define(defined(description="old", team="u"))
    ran = project.run("apply", "--auto-approve", "--no-check-drift")
    assert ran.code == 1
    told = "1 field was changed by somebody else in the meantime (description); a plan would now undo it"
    assert f"drifted        {A}: {told}\n" in ran.out
    assert project.resources[A]["unconfirmed"] == {"description": "old"}

    refused = project.run("apply", "--auto-approve")
    assert (refused.code, "`statform apply --overwrite assignment_source.a`" in refused.err) == (1, True)
    assert remote.sources["a"]["description"] == "theirs"
    project.apply("--overwrite", A)
    assert remote.sources["a"]["description"] == "old"
    assert project.resources[A]["unconfirmed"] == {}


def test_a_refresh_agrees_to_what_an_answer_showed(settled):
    project, remote = settled
    remote.change("a", description="theirs")
    project.define(defined(description="old", team="u"))
    project.run("apply", "--auto-approve", "--no-check-drift")
    assert '~ description = "old" -> "theirs"' in project.run("refresh", "--auto-approve").out
    assert project.resources[A]["unconfirmed"] == {}
    project.apply()
    assert remote.sources["a"]["description"] == "old"


def test_a_key_of_another_project_is_refused_by_whatever_looks_or_sends(settled, emulator):
    project, _ = settled
    assert project.run("audit").code == 0
    other = emulator(source("a", description="old", team="t"), options=("--project", "another"))
    project.define(defined(description="new", team="t"))
    before = project.files
    words = (["apply", "--auto-approve"], ["plan", "--refresh"], ["refresh", "--auto-approve"], ["audit"])
    for one in (*words, ["import", "--all"]):
        ran = project.run(*one)
        assert ran.code == 1, ran
        assert "the state belongs to the Statsig project emulated, reached at http://127.0.0.1" in ran.err
        assert "the ID of the key's project is another" in ran.err
    ran = project.run("audit", STATSIG_API_KEY="console-no-project")
    assert (ran.code, "the ID of the key's project can't be read with this key" in ran.err) == (1, True)
    assert project.run("audit", "--project", "mine").code == 1
    assert (other.calls(), project.files) == ([], before)
    assert project.run("plan", "--refresh", "--project", "another").code == 0
    assert project.run("audit", "--project", "emulated", STATSIG_API_KEY="console-no-project").code == 0


def test_where_no_id_is_known_few_of_the_state_s_names_are_another_project(project, emulator):
    project.environ["STATSIG_API_KEY"] = "console-no-project"
    emulator(source("a"), source("b"), source("c"))
    project.define("")
    project.run("import", "--all")
    emulator(source("a"), source("z"))
    ran = project.run("audit")
    assert (ran.code, "the remote has only 1 of the 3 sources of the state" in ran.err) == (1, True)
    assert project.run("audit", "--project", "it").code == 2


def test_a_refresh_of_an_address_takes_over_just_that(project, emulator):
    server = emulator(source("a"), source("b"))
    project.define("")
    assert project.run("import", "--all").code == 0
    project.age()
    for name in "ab":
        server.change(name, description="theirs")
    ran = project.run("refresh", "--auto-approve", "assignment_source.a")
    assert (ran.code, "assignment_source.b" in ran.out) == (0, False), ran
    assert project.resources["assignment_source.a"]["data"]["description"] == "theirs"
    assert project.resources["assignment_source.b"]["data"]["description"] == ""
    ran = project.run("refresh", "--auto-approve", "assignment_source.zzz")
    assert (ran.code, "zzz" in ran.err) == (1, True)
    assert project.run("refresh", "--auto-approve", "b").code == 0
    assert project.resources["assignment_source.b"]["data"]["description"] == "theirs"


@pytest.mark.parametrize("options", [(), ("--overwrite", A)])
def test_a_dry_run_of_nothing_tries_nothing(settled, options):
    project, remote = settled
    before, sent = project.files, len(remote.calls())
    ran = project.run("apply", "--dry-run", *options)
    assert (ran.code, ran.out.startswith("No changes.")) == (0, True)
    assert (project.files, len(remote.calls())) == (before, sent)
