"""`plan --refresh --out FILE` and `apply FILE`: what others changed is shown, agreed to, and undone as it was shown."""

from __future__ import annotations

import json

import pytest
from command import source

A = "assignment_source.a"


def adopted(**values):
    lines = [f'{name} = "{value}"' for name, value in values.items()]
    return "\n".join(["[assignment_source.a]", 'name = "a"', "adopt = true", *lines, ""])


@pytest.fixture
def drifted(project, emulator):
    """A source whose description somebody changed, and a definition that changes its team too."""
    remote = emulator(source("a", description="old", team="t"), source("b"))
    project.define(adopted(description="old", team="t"))
    project.apply()
    project.age()
    remote.change("a", description="theirs")
    project.define(adopted(description="old", team="u"))
    return project, remote


def save(project):
    ran = project.run("plan", "--refresh", "--out", "p.json")
    assert (ran.code, ran.err) == (0, "wrote p.json\n")
    return ran


def test_what_it_shows_to_be_undone_is_taken_as_seen_and_undone(drifted):
    project, remote = drifted
    ran = save(project)
    assert '~ description = "theirs" -> "old"\n' in ran.out
    assert "somebody else" not in ran.out
    assert json.loads(project.files["p.json"])["listed"][A]["data"]["description"] == "theirs"
    shown = project.run("show", "p.json").out
    assert ran.out.endswith(shown)
    (one,) = json.loads(project.run("show", "p.json", "--json").out)["resource_changes"]
    assert one["change"]["before"]["description"] == "theirs"
    count = len(project.records)
    ran = project.run("apply", "p.json")
    assert (ran.code, ran.out) == (0, f"{shown}Apply complete: 1 updated.\n")
    assert [record["kind"] for record in project.records[count:]] == ["begin", "refresh", "intent", "result", "end"]
    assert (remote.sources["a"]["description"], remote.sources["a"]["team"]) == ("old", "u")
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert "applied before" in project.run("apply", "p.json").err


@pytest.mark.parametrize("change", [{}, {"name": "c", "description": "old"}, {"team": None}])
def test_tools_are_told_of_the_drift_by_the_file_as_by_the_plan(drifted, change):
    project, remote = drifted
    remote.change("a", **change)
    told = json.loads(project.run("plan", "--refresh", "--json", "--out", "p.json").out)
    assert told["resource_drift"]
    assert json.loads(project.run("show", "p.json", "--json").out) == told
    project.run("plan", "--out", "q.json")
    assert "resource_drift" not in json.loads(project.run("show", "q.json", "--json").out)


def test_tools_are_told_by_the_file_of_a_source_that_is_gone(drifted):
    project, remote = drifted
    remote.delete("a")
    project.define("")
    told = json.loads(project.run("plan", "--refresh", "--json", "--out", "p.json").out)
    (one,) = told["resource_drift"]
    assert one["change"]["actions"] == ["delete"]
    assert json.loads(project.run("show", "p.json", "--json").out) == told


@pytest.mark.parametrize(
    ("change", "what"),
    [({"description": "again"}, "description"), ({"description": "old"}, "description"), ({"tags": ["x"]}, "tags")],
)
def test_any_other_remote_is_refused(drifted, change, what):
    project, remote = drifted
    save(project)
    remote.change("a", **change)
    before, sent = project.files, len(remote.calls())
    ran = project.run("apply", "p.json")
    assert ran.code == 1
    assert f"Error: p.json: made before the remote changed: {A}: {what}\n" in ran.err
    assert ran.err.endswith("Make a new one: statform plan --refresh --out p.json\n")
    assert (len(remote.calls()), project.files) == (sent, before)


def test_a_source_that_was_renamed_is_followed(drifted):
    project, remote = drifted
    remote.change("a", description="old", name="c")
    ran = save(project)
    assert '~ name = "c" -> "a"' in ran.out
    assert project.run("apply", "p.json").code == 0
    assert {"a", "b"} == remote.sources.keys()
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_a_source_that_is_gone_is_created_anew(project, emulator):
    remote = emulator(source("a"))
    fields = "".join(f'{name} = "x"\n' for name in ("sql", "timestampColumn", "experimentIDColumn", "groupIDColumn"))
    unit = 'idTypeMapping = [{ statsigUnitID = "userID", column = "user_id" }]\n'
    project.define(f"[assignment_source.a]\nadopt = true\n{fields.replace('sql', '#')}{unit}")
    project.apply()
    project.age()
    remote.delete("a")
    project.define(f"[assignment_source.a]\n{fields}{unit}")
    assert "1 to create" in save(project).out
    assert project.run("apply", "p.json").code == 0
    assert remote.sources["a"]["sql"] == "x"
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_what_it_adopts_is_overwritten_as_it_was_shown_and_not_otherwise(project, emulator):
    remote = emulator(source("a", description="Carefully written", team="t"))
    project.define(adopted(description="mine", team="t"))
    assert '~ description = "Carefully written" -> "mine"' in save(project).out
    remote.change("a", team="u")
    ran = project.run("apply", "p.json")
    assert (ran.code, f"made before the remote changed: {A}: team" in ran.err) == (1, True)
    remote.change("a", team="t")
    assert project.run("apply", "p.json").out.endswith("Apply complete: 1 adopted.\n")
    assert (remote.calls(), remote.sources["a"]["description"]) == (["a", "a", "a"], "mine")


def test_what_is_as_defined_is_adopted_without_a_request(project, emulator):
    remote = emulator(source("a", team="t"))
    project.define(adopted(team="t"))
    save(project)
    assert project.run("apply", "p.json").out.endswith("Apply complete: 1 adopted.\n")
    assert (remote.calls(), list(project.resources)) == ([], [A])


def test_what_a_plan_of_the_state_would_overwrite_unseen_is_overwritten_where_that_is_said(project, emulator):
    remote = emulator(source("a", description="theirs"))
    project.define(adopted(description="mine"))
    project.run("plan", "--out", "p.json")
    ran = project.run("apply", "p.json")
    assert (ran.code, f"`statform apply p.json --overwrite {A}`" in ran.err) == (1, True)
    assert "`statform plan --refresh --out p.json`" in ran.err
    ran = project.run("apply", "p.json", "--overwrite", A)
    assert (ran.code, '~ description = "theirs" -> "mine"' in ran.out) == (0, True)
    assert remote.sources["a"]["description"] == "mine"


def test_overwriting_what_a_saved_plan_does_not_adopt_is_refused_with_the_way_to_do_it(drifted):
    project, remote = drifted
    project.run("plan", "--out", "p.json")
    ran = project.run("apply", "p.json", "--overwrite", A)
    assert ran.code == 1
    assert f"Error: --overwrite {A}: with a saved plan it is for what the plan adopts; to undo" in ran.err
    assert "statform plan --refresh --out FILE\n" in ran.err
    assert len(remote.calls()) == 1


def test_a_plan_that_apply_would_refuse_is_not_saved(project, emulator):
    emulator(source("b"))
    project.define(adopted(description="mine"))
    ran = project.run("plan", "--refresh", "--out", "p.json")
    assert (ran.code, "p.json is not written: apply would refuse the plan.\n" in ran.err) == (1, True)
    assert "p.json" not in project.files


def test_an_edited_list_is_refused(drifted):
    project, _ = drifted
    save(project)
    saved = json.loads(project.files["p.json"])
    saved["listed"][A]["data"]["description"] = "never"
    project.write("q.json", json.dumps(saved))
    assert "q.json: not as statform wrote it" in project.run("apply", "q.json").err


@pytest.mark.parametrize(("is_gone", "told"), [(False, "it is gone"), (True, "it exists again")])
def test_a_source_that_came_or_went_since_is_told(drifted, is_gone, told):
    project, remote = drifted
    if is_gone:
        remote.delete("a")
        # What is sent is for another source; what has no request is not looked at.
        project.define(adopted(description="new").replace('"a"', '"b"').replace("e.a]", "e.b]"))
    save(project)
    if is_gone:
        remote.create("a")
    else:
        remote.delete("a")
    ran = project.run("apply", "p.json", "--auto-approve")
    assert (ran.code, f"made before the remote changed: {A}: {told}\n" in ran.err) == (1, True)
