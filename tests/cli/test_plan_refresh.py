"""`plan --refresh`: what an apply would see and refuse, shown before anybody applies."""

from __future__ import annotations

import json

import pytest
from command import source

A = "assignment_source.a"


def adopted(name="a", **values):
    lines = [f'{field} = "{value}"' for field, value in values.items()]
    return "\n".join(["[assignment_source.a]", f'name = "{name}"', "adopt = true", *lines, ""])


@pytest.fixture
def settled(project, emulator):
    """One source with a description and a team, and the emulator that has it."""
    remote = emulator(source("a", description="old", team="t"))
    project.define(adopted(description="old", team="t"))
    project.apply()
    return project, remote


def test_it_shows_the_old_values_of_what_is_adopted_and_leaves_out_what_is_equal(project, emulator):
    emulator(source("a", description="Carefully written", team="t"))
    project.define(adopted(description="mine", team="t"))
    offline = project.run("plan")
    assert '+ description = "mine"\n' in offline.out
    assert "1 to adopt: old values unknown; `statform plan --refresh` shows them.\n" in offline.out
    assert "\n1 to adopt: old values unknown" in project.run("plan", "--markdown").out
    looked = project.run("plan", "--refresh")
    assert looked.code == 0
    assert '~ description = "Carefully written" -> "mine"\n' in looked.out
    assert "team" not in looked.out
    assert "old values unknown" not in looked.out
    assert '! description = "Carefully written" -> "mine"' in project.run("plan", "--refresh", "--markdown").out
    (one,) = json.loads(project.run("plan", "--refresh", "--json").out)["resource_changes"]
    assert (one["change"]["before"]["description"], one["change"]["after"]["description"]) == (
        "Carefully written",
        "mine",
    )
    assert (one["change"]["before"]["team"], one["change"]["before"]["sql"]) == ("t", "SELECT 1")
    assert one["statform"]["fields"] == [{"field": "description", "before": "Carefully written", "after": "mine"}]


def test_a_name_that_is_not_there_is_the_error_of_apply_with_the_nearest_one(project, emulator):
    emulator(source("example_exposures"))
    project.define(adopted("exampel_exposures", description="mine"))
    message = 'Error: the remote has no source named "exampel_exposures"\n'
    assert project.run("plan").code == 0
    for ran in (project.run("plan", "--refresh"), project.run("apply", "--auto-approve")):
        assert (ran.code, message in ran.err) == (1, True)
        assert "old values unknown" not in ran.out
        assert 'Expected: the name of an existing source; did you mean "example_exposures"?' in ran.err
    comment = project.run("plan", "--refresh", "--markdown")
    assert comment.code == 1
    assert "\n**apply refuses this plan:** 1 error.\n\n```text\n" + message in comment.out
    tools = project.run("plan", "--refresh", "--json")
    found = json.loads(tools.out)
    assert (tools.code, found["errored"], found["applyable"]) == (1, True, False)
    assert [one["summary"] for one in found["statform"]["problems"]] == [message[7:-1]]


def test_a_name_that_is_taken_is_the_error_of_apply(project, emulator):
    emulator(source("a"))
    fields = "".join(f'{name} = "x"\n' for name in ("sql", "timestampColumn", "experimentIDColumn", "groupIDColumn"))
    unit = 'idTypeMapping = [{ statsigUnitID = "userID", column = "user_id" }]\n'
    project.define(f"[assignment_source.a]\n{fields}{unit}")
    assert project.run("plan").code == 0
    for ran in (project.run("plan", "--refresh"), project.run("apply", "--auto-approve")):
        assert (ran.code, 'Error: the remote already has a source named "a"\n' in ran.err) == (1, True)
        assert f"`statform import {A} " in ran.err


def test_a_conflict_is_the_error_of_apply_and_marked_in_the_plan(settled):
    project, remote = settled
    remote.change("a", description="theirs")
    project.define(adopted(description="old", team="u"))
    ran = project.run("plan", "--refresh")
    assert (ran.code, 'Error: somebody else changed description: the remote has "theirs", ' in ran.err) == (1, True)
    assert '~ description = "theirs" -> "old"\n          ! somebody else changed it from "old"\n' in ran.out
    assert '~ team        = "t" -> "u"\n\nPlan:' in ran.out
    assert "1 field was changed by somebody else, and nobody has agreed to that." in ran.out
    assert f"statform apply --overwrite {A}\n" in ran.out
    comment = project.run("plan", "--refresh", "--markdown").out
    assert '! description = "theirs" -> "old"\n!     somebody else changed it from "old"\n' in comment
    (one,) = json.loads(project.run("plan", "--refresh", "--json").out)["resource_changes"]
    assert one["statform"]["fields"][0]["unconfirmed"] == "old"
    # What a plan of the state leaves alone is drift that a refresh would have it undo, and nothing that apply refuses.
    project.define(adopted(description="old", team="t"))
    ran = project.run("plan", "--refresh", "--detailed-exitcode")
    assert (ran.code, ran.err, "somebody else" in ran.out) == (2, "", False)


def test_what_an_answer_showed_of_others_changes_is_marked_in_every_plan(settled):
    project, remote = settled
    remote.change("a", description="theirs")
    project.define(adopted(description="old", team="u"))
    project.run("apply", "--auto-approve", "--no-check-drift")
    ran = project.run("plan")
    assert ran.code == 0
    assert '~ description = "theirs" -> "old"\n          ! somebody else changed it from "old"\n' in ran.out
    assert f"statform refresh {A}\n" in ran.out
    (one,) = json.loads(project.run("plan", "--json").out)["resource_changes"]
    assert one["statform"]["fields"] == [
        {"field": "description", "before": "theirs", "after": "old", "unconfirmed": "old"}
    ]
    assert "!     somebody else changed it from" in project.run("plan", "--markdown").out
    assert project.run("plan", "--refresh").code == 1
    project.run("plan", "--out", "p.json")
    assert project.run("show", "p.json").out == ran.out
    refused = project.run("apply", "p.json")
    assert (refused.code, "somebody else changed " in refused.err) == (1, True)
    project.run("refresh", "--auto-approve")
    assert "somebody else" not in project.run("plan").out


def test_what_others_changed_and_a_plan_leaves_so_is_shown_until_a_refresh_agrees_to_it(project, emulator):
    remote = emulator(source("a", description="old", team="t"))
    project.define(adopted(description="old"))
    project.apply()
    project.define(adopted(description="new"))
    remote.change("a", team="theirs")
    project.apply()
    note = (
        "Somebody else changed these fields, and this plan does not touch them. `statform refresh` accepts the changes:"
    )
    note += f"\n  {A}: "
    assert f"{note}team\n" in project.run("plan").out
    assert project.run("plan").out.startswith("No changes.")
    assert f"accepts the changes:  \n`{A}: team`\n" in project.run("plan", "--markdown").out
    found = json.loads(project.run("plan", "--json").out)["statform"]["unconfirmed"]
    assert found == [{"address": A, "fields": ["team"]}]
    project.define(adopted(description="newer"))
    assert f"{note}team\n" in project.run("plan").out
    project.run("plan", "--out", "p.json")
    assert project.run("show", "p.json").out == project.run("plan").out
    project.run("refresh", "--auto-approve")
    assert "Somebody else" not in project.run("plan").out


def test_a_source_that_was_renamed_is_followed_and_told_to_be_refused_without_a_refresh(settled):
    project, remote = settled
    remote.change("a", name="b")
    project.age()
    project.define(adopted(description="new", team="t"))
    ran = project.run("plan", "--refresh")
    assert (ran.code, 'the remote has no source named "a"' in ran.err) == (1, True)
    assert '~ name        = "b" -> "a"\n' in ran.out


READER = {"id": "1", "name": "cta", "status": "active", "assignmentSourceName": "a", "idType": "userID"}


def test_a_delete_that_apply_would_refuse_is_its_error_and_so_is_one_of_what_somebody_changed(project, emulator):
    remote = emulator(source("a"), source("b"), experiments=[READER])
    project.define("")
    assert project.run("import", "--all").code == 0
    project.age()
    project.write("definitions/imported.toml", "")
    project.define('[[removed]]\nfrom = "assignment_source.a"\ndelete = true\n')
    for ran in (project.run("plan", "--refresh"), project.run("apply", "--auto-approve", "--allow-deletes", "1")):
        assert (ran.code, f"Error: {A}: a is read by 1 experiment: cta (active)\n" in ran.err) == (1, True), ran
    assert project.run("plan", "--refresh", "--no-check-experiments").code == 0
    remote.change("a", description="theirs")
    ran = project.run("plan", "--refresh", "--no-check-experiments")
    message = (
        'Error: description of a source that this plan deletes was changed: the remote has "theirs", the state has ""\n'
        f"  {A}, field description\n"
        f"  Expected: `statform refresh {A}`, and then a new plan\n"
        "\n1 error; nothing was changed.\n"
    )
    assert (ran.code, ran.err.endswith(message)) == (1, True), ran


def test_a_source_that_would_be_there_twice_is_told_in_every_form(project, emulator):
    emulator(source("a"))
    project.define("")
    assert project.run("import", "--all").code == 0
    text = project.files["definitions/imported.toml"].decode()
    project.write("definitions/imported.toml", text.replace("source.a]", "source.z]").replace('"a"', '"z"'))
    told = f"apply refuses this plan: assignment_source.z would be created with the query and the columns of {A}, "
    ran = project.run("plan")
    assert (ran.code, told in ran.out) == (0, True)
    assert f'  [[moved]]\n  from = "{A}"\n  to = "assignment_source.z"\n' in ran.out
    comment = project.run("plan", "--markdown").out
    assert "apply refuses this plan: `assignment_source.z` would be created" in comment
    assert f'`[[moved]]`  \n`from = "{A}"`  \n`to = "assignment_source.z"`' in comment
    refused = "Error: assignment_source.z would be created with the query and the columns of assignment_source.a"
    for command in (["plan", "--refresh"], ["apply", "--auto-approve"]):
        ran = project.run(*command)
        assert (ran.code, refused in ran.err) == (1, True), ran


def test_a_plan_over_the_limit_says_so_in_every_form_and_names_the_way_on(project, emulator):
    emulator(source("a"))
    project.define(adopted(description="x"), settings="max_changes = 0")
    told = "This plan changes 1 of 1 managed resources, and max_changes is 0: apply refuses it without --max-changes 1."
    for form in ([], ["--summary"], ["--markdown"]):
        assert told in project.run("plan", *form).out
    assert json.loads(project.run("plan", "--json").out)["statform"]["over_max_changes"] is True
    project.run("plan", "--refresh", "--out", "p.json")
    refused = project.run("apply", "p.json")
    assert (refused.code, "statform apply p.json --max-changes 1\n" in refused.err) == (1, True)
    ran = project.run("apply", "p.json", "--max-changes", "1")
    assert (ran.code, "--max-changes" in ran.out) == (0, False)


def test_only_the_first_ten_of_many_sources_that_others_changed_are_listed(project, emulator):
    names = [f"s{number:02}" for number in range(12)]
    remote = emulator(*(source(name, description="old", team="t") for name in names))
    define = "".join(f'[assignment_source.{name}]\nadopt = true\ndescription = "%s"\n' for name in names)
    project.define(define.replace("%s", "old"))
    project.apply()
    project.define(define.replace("%s", "new"))
    for name in names:
        remote.change(name, team="theirs")
    project.apply()
    shown = project.run("plan").out
    assert "  assignment_source.s09: team\n  and 2 more\n" in shown
    assert "s10" not in shown
