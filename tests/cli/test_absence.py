"""What a list does not show is gone only when it is sure: `audit`, `refresh` and `plan` against lists that err."""

from __future__ import annotations

import json

import pytest
from command import source
from rawserver import Act, answer, serve

A, B, C = (f"assignment_source.{key}" for key in "abc")
ALL = [source(name) for name in "abc"]


@pytest.fixture
def api(project):
    """Three sources, imported a while ago."""
    project.define("")
    with serve(ALL) as server:
        server.project = "its own"
        project.environ["STATSIG_BASE_URL"] = server.url
        assert project.run("import", "--all", "--type", "assignment_source").code == 0
        project.age()
        yield server


def listing(*names: str, **pagination) -> Act:
    entries = [source(name) for name in names]
    return Act(answer=answer(200, {"data": entries, "pagination": {"nextPage": None, **pagination}}))


@pytest.fixture
def lists(api):
    """The next lists, in place of true ones."""

    def script(*acts: Act) -> None:
        api.lists[:] = acts

    return script


def test_a_source_that_one_list_lacks_is_looked_for_again_before_it_counts_as_gone(project, lists):
    lists(listing("a", "b"), listing("a", "b", "c"))
    assert project.run("audit").code == 0
    lists(listing("a", "b"), listing("a", "b"))
    ran = project.run("audit")
    assert (ran.code, ran.err) == (2, "")
    assert "1 gone, 0 unmanaged, 0 unknown" in ran.out


def test_sources_that_are_each_missing_from_only_one_of_two_lists_exist(project, lists):
    lists(listing("a", "b"), listing("b", "c"))
    assert project.run("audit").code == 0


def test_an_apply_lists_again_what_one_list_lacks(project, api, lists):
    project.write("definitions/imported.toml", "")
    project.define(f'[{A}]\ndescription = "new"\n[{B}]\n[{C}]\n')
    lists(listing("b", "c"), listing("a", "b", "c"))
    assert project.run("apply", "--auto-approve").code == 0
    project.age()
    project.define(f'[{A}]\ndescription = "newer"\n[{B}]\n[{C}]\n')
    lists(listing("b", "c"), listing("b", "c"))
    ran = project.run("apply", "--auto-approve")
    assert (ran.code, 'the remote has no source named "a"' in ran.err) == (1, True)
    assert api.methods().count("P") == 1


def change_a(project) -> None:
    project.write("definitions/imported.toml", "")
    project.define(f'[{A}]\ndescription = "new"\n[{B}]\n[{C}]\n')
    project.apply()


CONTRADICTIONS = {
    "a total of more than it shows": listing("a", totalItems=3),
    "no entry at all": listing(totalItems=3),
    "a page of another number": listing("a", pageNumber=2),
    "an entry twice": listing("a", "a"),
    "an entry without a name": Act(answer=answer(200, {"data": [None, source("a")], "pagination": {"nextPage": None}})),
}


@pytest.mark.parametrize("act", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_what_a_list_that_contradicts_itself_lacks_is_undecided(project, lists, act):
    before = project.files
    lists(*[act] * 9)
    audit = project.run("audit")
    assert audit.code == 2
    assert f"  {B}: the list does not have it, and contradicts itself\n" in audit.out
    assert " 0 gone, 0 unmanaged, " in audit.out
    assert audit.err.startswith("Warning: the list of assignment_source contradicts itself: ")

    lists(*[act] * 9)
    found = json.loads(project.run("audit", "--json").out)
    assert {"address": B, "reason": "the list does not have it, and contradicts itself"} in found["undecided"]
    assert (found["clean"], found["gone"]) == (False, [])

    lists(*[act] * 9)
    assert f"| `{B}` | the list does not have it, and contradicts itself |\n" in project.run("audit", "--markdown").out

    lists(*[act] * 9)
    refreshed = project.run("refresh", "--auto-approve")
    assert refreshed.code == 1
    assert (
        f"Warning: {B} was not changed in the state: the list does not have it, and contradicts itself\n"
        in refreshed.err
    )
    assert refreshed.out == "No drift in the sources whose values are certain.\n"

    lists(*[act] * 9)
    planned = project.run("plan", "--refresh")
    assert planned.out == "No changes. The state matches the definitions.\n"
    assert f"Warning: {B} was not changed in the state" in planned.err
    assert project.files == before


def test_what_is_shown_in_two_ways_is_left_alone(project, lists):
    def two(description: str) -> Act:
        entries = [source("a", description=description), source("b"), source("c"), source("c")]
        return Act(answer=answer(200, {"data": entries, "pagination": {"nextPage": None}}))

    lists(two("x"), two("y"), two("z"))
    ran = project.run("refresh", "--auto-approve")
    assert ran.code == 1
    assert (
        f"{A} was not changed in the state: the list contradicts itself, and shows it in more than one way" in ran.err
    )
    assert "It shows these in more than one way, so they are not changed" in ran.err


def test_what_is_shown_in_two_ways_is_not_changed(project, api, lists):
    def two(description: str) -> Act:
        entries = [source("a", description=description), source("b"), source("c"), source("c")]
        return Act(answer=answer(200, {"data": entries, "pagination": {"nextPage": None}}))

    project.write("definitions/imported.toml", "")
    project.define(f'[{A}]\ndescription = "new"\n[{B}]\n[{C}]\n')
    lists(two("x"), two("new"), two(""))
    ran = project.run("apply", "--auto-approve")
    assert ran.code == 1
    doubt = "the list contradicts itself, and shows it in more than one way"
    assert f'the values of "a" at the remote are unknown: {doubt}' in ran.err
    assert "P" not in api.methods()
    lists(two(""), two(""))
    assert project.run("apply", "--auto-approve").code == 0


def test_a_source_that_was_just_answered_for_is_never_gone(project, api, lists):
    change_a(project)
    lists(*[listing("b", "c")] * 3)
    ran = project.run("refresh", "--auto-approve")
    assert ran.code == 1
    assert f"{A} was not changed in the state: the list does not have it, but may be late" in ran.err
    assert A in project.resources

    # As it was before the answer is no drift either: who took it into the state would send the change once more.
    lists(*[listing("a", "b", "c")] * 3)
    ran = project.run("audit")
    assert ran.code == 2
    assert f"{A}: the list has its old values, but may be late: the API answered a change of it" in ran.out
    lists(listing("a", "b", "c"))
    assert project.run("audit").code == 0

    project.age()
    lists(listing("b", "c"), listing("b", "c"))
    assert "1 gone" in project.run("audit").out
    lists(*[listing("a", "b", "c")] * 3)
    assert "1 drifted" in project.run("audit").out


def test_an_answer_with_a_time_in_the_future_does_not_count_as_recent(project, lists):
    change_a(project)
    project.age(-3600)
    lists(listing("b", "c"), listing("b", "c"))
    assert "1 gone" in project.run("audit").out


def test_a_refresh_drops_no_more_than_half_of_the_state(project, api):
    api.sources = {"a": source("a")}
    before = project.files
    ran = project.run("refresh", "--auto-approve")
    assert ran.code == 1
    assert ran.err == (
        "Error: 2 of 3 managed resources are gone, and a refresh removes at most 1: "
        "does the key belong to another project, or does it have fewer rights?\n"
        "Nothing was written. If they were deleted: statform refresh --allow-gone 2\n"
    )
    assert project.files == before
    assert project.run("refresh", "--auto-approve", "--allow-gone", "1").code == 1
    assert project.run("refresh", "--auto-approve", "--allow-gone", "2").code == 0
    assert set(project.resources) == {A}


def test_two_equal_sources_that_are_gone_are_not_matched_with_one_new_source(project, api):
    api.sources = {"a": source("a"), "new": source("new")}
    ran = project.run("refresh", "--auto-approve", "--allow-gone", "2")
    assert ran.out.endswith("Refresh complete: 0 updated, 2 dropped.\n")
    assert set(project.resources) == {A}


def test_a_server_without_a_type_is_no_error_if_nobody_named_that_type(project):
    project.define("")
    missing = Act(answer=answer(404, {"status": 404, "message": "Not Found"}))
    with serve(ALL) as server:
        project.environ["STATSIG_BASE_URL"] = server.url
        server.lists = [Act(), missing, missing, missing]
        ran = project.run("import", "--all")
        assert (ran.code, set(project.resources)) == (0, {A, B, C})
        assert "Warning: entity_property is left out: " in ran.err
        server.lists = [missing] * 4
        assert project.run("import", "--all", "--type", "entity_property").code == 3
