"""`plan --out FILE`, `show FILE` and `apply FILE`: a plan that was looked at is applied, that one and once."""

from __future__ import annotations

import json

import pytest
from command import source

DEFINED = '[assignment_source.a]\nadopt = true\ndescription = "{}"\n'


@pytest.fixture
def server(project, emulator):
    """A source that was adopted, and a saved plan for it."""
    found = emulator(source("a"), source("b"))
    project.define(DEFINED.format("one"))
    project.apply()
    project.define(DEFINED.format("two"))
    ran = project.run("plan", "--out", "p.json")
    assert (ran.code, ran.err) == (0, "wrote p.json\n")
    return found


def refused(project, server, message, *options, path="p.json"):
    before, sent = project.files, server.calls()
    ran = project.run("apply", path, *options)
    assert (ran.code, ran.out) == (1, "")
    assert f"Error: {path}: {message}" in ran.err
    assert "Nothing was sent. Make a new one: statform " in ran.err
    assert ran.err.endswith(f" plan --out {path}\n")
    assert server.calls() == sent
    assert {n: c for n, c in project.files.items() if "state" in n} == {n: c for n, c in before.items() if "state" in n}


def test_it_is_shown_and_applied_without_a_question_and_once(project, server):
    shown = project.run("show", "p.json")
    assert (shown.code, shown.out) == (0, project.run("plan").out)
    ran = project.run("apply", "p.json")
    assert ran.code == 0
    assert ran.out == shown.out + "Apply complete: 1 updated.\n"
    assert server.sources["a"]["description"] == "two"
    refused(project, server, "applied before; a plan can be applied only once: at 20")


def test_it_is_shown_for_tools_as_the_plan_was_and_not_when_it_is_not_that_any_more(project, server):
    plan = project.run("plan", "--json").out
    shown = project.run("show", "p.json", "--json")
    assert (shown.code, shown.out, shown.err) == (0, plan, "")
    project.run("plan", "--target", "assignment_source.a", "--out", "q.json")
    assert project.run("show", "q.json", "--json").out == plan
    project.apply()
    shown = project.run("show", "p.json", "--json")
    assert (shown.code, shown.out) == (1, "")
    assert "Error: p.json: made before the state changed" in shown.err
    assert project.run("show", "p.json").code == 0


def test_it_is_readable_by_its_owner_alone_and_holds_no_key(project, server):
    assert (project.directory / "p.json").stat().st_mode & 0o777 == 0o600
    assert sorted(json.loads(project.files["p.json"])) == [
        "base_url", "definitions", "digest", "environment", "excludes", "format",
        "listed", "plan", "targets", "version",
    ]  # fmt: skip


def test_a_plan_from_before_the_state_changed_is_stale(project, server):
    project.run("import", "assignment_source.b", "b")
    refused(project, server, "made before the state changed")


def test_a_plan_for_another_state_is_foreign(project, server):
    for name in ("statform.state.json", "statform.state.journal.jsonl"):
        (project.directory / name).unlink()
    project.apply()
    refused(project, server, "made for another state")


def test_a_plan_from_other_definitions_is_refused_even_if_it_is_the_same_plan(project, server):
    project.define(DEFINED.format("two") + "# a comment\n")
    refused(project, server, "made from other definitions")
    project.define("[assignment_source.a]\nadopt = true\ndescription = 1\n")
    assert project.run("apply", "p.json").code == 1


def test_a_plan_for_another_api_is_refused(project, server):
    url = project.environ["STATSIG_BASE_URL"]
    message = f"made for another base URL: {url}, and this is http://127.0.0.1:9"
    refused(project, server, message, "--base-url", "http://127.0.0.1:9")


def test_a_plan_for_another_environment_is_refused(project, server):
    project.write("environments/staging.toml", "")
    refused(project, server, "made for another environment: none", "--env", "staging")


def test_an_edited_plan_is_refused(project, server):
    text = project.files["p.json"].decode()
    project.write("q.json", text.replace('"two"', '"evil"'))
    refused(project, server, "not as statform wrote it", path="q.json")


@pytest.mark.parametrize("content", ["", "{}", "[]", "{", "statform"])
def test_a_file_that_is_not_a_plan_is_refused(project, server, content):
    project.write("q.json", content)
    refused(project, server, "not a saved plan, or a damaged one", path="q.json")
    assert project.run("show", "q.json").code == 1


def test_a_file_that_is_not_there_is_an_error(project, server):
    ran = project.run("apply", "nowhere.json")
    assert (ran.code, ran.err) == (1, "Error: nowhere.json: No such file or directory\n")


def test_a_run_that_failed_used_its_plan_up(project, server):
    ran = project.run("apply", "p.json", STATSIG_API_KEY="console-no-update")
    assert ran.code == 1
    refused(project, server, "applied before")


def test_a_plan_that_was_refused_by_the_drift_check_can_be_applied_later(project, server):
    server.change("a", description="theirs")
    assert project.run("apply", "p.json").code == 1
    server.change("a", description="one")
    assert project.run("apply", "p.json").code == 0


def test_targets_are_saved_with_the_plan(project, server):
    project.define(DEFINED.format("two") + "[assignment_source.b]\nadopt = true\n")
    project.run("plan", "--target", "assignment_source.a", "--out", "p.json")
    assert project.run("apply", "p.json").code == 0
    assert list(project.resources) == ["assignment_source.a"]


@pytest.mark.parametrize("options", [["--target", "assignment_source.a"], ["--dry-run"]])
def test_options_that_would_make_it_another_plan_are_refused(project, server, options):
    ran = project.run("apply", "p.json", *options)
    assert ran.code == 1
    assert "A saved PLAN has its own targets, and can't be a dry run." in ran.err


def test_a_plan_that_changes_nothing_can_be_saved_and_applied_any_time(project, server):
    project.apply()
    project.run("plan", "--out", "p.json")
    for _ in range(2):
        assert project.run("apply", "p.json").out == "No changes. The state matches the definitions.\n"


def test_where_it_can_not_be_written_is_an_error(project, server):
    (project.directory / "folder").mkdir()
    ran = project.run("plan", "--out", "folder")
    assert ran.code == 1
    assert "Error: --out folder: not a regular file" in ran.err


@pytest.mark.parametrize("words", [("plan", "--out"), ("history", "--html")])
def test_what_a_command_writes_replaces_an_earlier_one_and_no_file_of_another_kind(project, emulator, words):
    emulator(source("a"))
    project.define("[assignment_source.a]\nadopt = true\n")
    project.apply()
    assert [project.run(*words, "mine").code for _ in range(2)] == [0, 0]
    before = project.files
    for name in ("statform.toml", "statform.state.json", "statform.state.journal.jsonl", "statform.state.lock"):
        ran = project.run(*words, name)
        kept = "a file of another kind is there, and is not replaced; choose another name, or remove that file"
        told = f"{words[1]} {name}: {kept}"
        assert (ran.code, told in ran.err) == (1, True)
    assert project.files == before
