"""The whole life of a source: created, its query changed, renamed, deleted; and what keeps each from going wrong."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from command import REQUIRED, STATFORM, Project, source
from lossy import serve
from person import at_terminal

from planner.emulator.api import EmulatedProject
from planner.emulator.calls import EmulatedAnswer
from planner.emulator.data import sources_for

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
    assert "A full update replaces the whole source: settings that the API does not show" in plan
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
    assert 'the remote already has a source named "a"' in ran.err
    assert "Expected: `statform import assignment_source.a a`, or adopt = true in its table" in ran.err
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
    assert 'somebody changed its sql, which is now "SELECT 9"' in ran.out
    assert emulator.sources["a"]["sql"] == "SELECT 9"


def test_what_drifted_is_not_deleted(project, emulator):
    emulator = emulator()
    project.define(whole("a"))
    assert apply(project).code == 0
    emulator.change("a", description="still needed")
    project.define(removed("a"))
    ran = apply(project, "--allow-deletes", "1")
    assert ran.code == 1
    was = 'the remote has "still needed", the state has ""'
    assert f"description of a source that this plan deletes was changed: {was}" in ran.err
    assert "Expected: `statform refresh assignment_source.a`, and then a new plan" in ran.err
    assert (set(emulator.sources), "DELETE" in str(emulator.calls())) == ({"a"}, False)


def test_what_was_renamed_is_not_taken_for_gone(project, emulator):
    emulator = emulator()
    project.define(whole("a"))
    assert apply(project).code == 0
    project.age()
    emulator.change("a", name="kept")
    project.define(removed("a"))
    ran = apply(project, "--allow-deletes", "1")
    assert ran.code == 1
    assert (
        'a source that this plan deletes was renamed: the remote has no "a", but "kept" has the same fields' in ran.err
    )
    assert set(project.resources) == {A}
    assert project.run("refresh", "--auto-approve").code == 0
    ran = apply(project, "--allow-deletes", "1")
    assert (ran.code, emulator.sources) == (0, {})


def test_a_source_that_is_gone_already_counts_as_deleted(project, emulator):
    emulator = emulator()
    project.define(whole("a"))
    assert apply(project).code == 0
    emulator.delete("a")
    project.define(removed("a"))
    ran = apply(project, "--allow-deletes", "1")
    # A list may be behind an answer of less than a minute ago.
    assert (ran.code, 'the values of "a" at the remote are unknown: the list does not have it' in ran.err) == (1, True)
    project.age()
    ran = apply(project, "--allow-deletes", "1")
    assert (ran.code, ran.last) == (0, "Apply complete: 1 deleted.")
    assert project.resources == {}


@pytest.mark.parametrize("fate", ["superseded", "applied and superseded"])
def test_what_somebody_renames_while_the_answer_to_its_delete_is_lost_does_not_count_as_deleted(project, fate):
    with serve(sources_for([])) as api:
        project.environ["STATSIG_BASE_URL"] = api.url
        project.define(whole("a") + whole("b"))
        assert apply(project).code == 0
        project.age()
        api.fates = [fate]
        # When the delete was carried out there is nothing left to be renamed.
        rename = ("PATCH", "/console/v1/experiments/assignment_source/a", {"name": "kept"})
        api.somebody = lambda _call: api.by_hand(*rename)
        project.define(whole("b") + removed("a"))
        ran = apply(project, "--allow-deletes", "1")
        if fate != "superseded":
            assert (ran.code, [*api.sources()], [*project.resources]) == (0, ["b"], ["assignment_source.b"])
            return
        told = 'somebody renamed it in the meantime: "kept" has the same fields; run `statform refresh`'
        assert (ran.code, "it did not happen: the connection broke" in ran.out, told in ran.out) == (1, True, True)
        assert ([*api.sources()], set(project.resources)) == (["kept", "b"], {A, "assignment_source.b"})
        assert "delete a  superseded" in project.run("history").out
        assert "somebody else renamed or deleted the source" in project.run("history").out
        ran = apply(project, "--allow-deletes", "1")
        assert (ran.code, [*api.sources()]) == (1, ["kept", "b"])
        assert (
            'a source that this plan deletes was renamed: the remote has no "a", but "kept" has the same fields'
            in ran.err
        )
        assert "`statform state rm assignment_source.a`" in ran.err


def apply_after_a_lost_delete(project, api, **changes):
    """The apply after one whose delete of `a` lost its answer; in between somebody made these `changes` to it."""
    project.environ["STATSIG_BASE_URL"] = api.url
    project.define(whole("a") + whole("same"))
    assert apply(project).code == 0
    project.age()
    project.define(whole("same") + removed("a"))
    api.fates = ["lost before applying"]
    # It is there until the last look of the run: unknown, for it may be deleted still.
    assert apply(project, "--allow-deletes", "1").code == 1
    assert api.by_hand("PATCH", "/console/v1/experiments/assignment_source/a", changes) == 200
    project.age()
    return apply(project, "--allow-deletes", "1")


def test_what_somebody_renames_while_a_recovery_looks_for_its_delete_does_not_count_as_deleted(project):
    with serve(sources_for([])) as api:
        ran = apply_after_a_lost_delete(project, api, name="kept")
        assert "assignment_source.a: superseded, somebody else renamed or deleted the source" in ran.err
        assert 'the remote has no "a", but "kept" has the same fields' in ran.err
        assert (ran.code, [*api.sources()]) == (1, ["kept", "same"])


@pytest.mark.parametrize(("field", "is_told"), [("description", True), ("timestampColumn", False)])
def test_what_somebody_renames_and_changes_before_a_recovery_looks_for_its_delete_is_named(project, field, is_told):
    with serve(sources_for([])) as api:
        ran = apply_after_a_lost_delete(project, api, **{"name": "kept", field: "other"})
        told = (
            'assignment_source.a counts as deleted, because no list has "a". But "kept" has the same query and '
            "columns: perhaps somebody renamed and changed it. Look at it in Statsig"
        )
        assert (ran.code, told in ran.err, [*api.sources()]) == (0, is_told, ["kept", "same"])


def test_a_log_says_for_how_long_a_recovery_waits(project):
    with serve(sources_for([])) as api:
        project.environ["STATSIG_BASE_URL"] = api.url
        project.define(whole("a"))
        api.fates = ["lost before applying"]
        assert apply(project).code == 1
        ran = apply(project)
        assert (ran.code, [*api.sources()]) == (0, ["a"])
        assert re.search(r"^the API may still carry it out: looking again in \d+ s$", ran.err, re.MULTILINE)


def test_a_plan_that_deletes_what_was_moved_says_so_in_its_title(project, emulator):
    emulator()
    project.define(whole("a"))
    project.apply()
    project.define('[[moved]]\nfrom = "assignment_source.a"\nto = "assignment_source.b"\n' + removed("b"))
    moved = "assignment_source.b was assignment_source.a; its state moves to this address"
    assert f"  # {moved}; it will be DELETED (DELETE a)\n" in project.run("plan").out


class Keeping(EmulatedProject):
    """Answers that it deletes, and does not."""

    def answer(self, call, now):
        return EmulatedAnswer(200, {"message": "deleted"}) if call.method == "DELETE" else super().answer(call, now)


def test_what_is_answered_as_deleted_and_is_there_is_told_wherever_anybody_looks(project):
    with serve(sources_for([]), project=Keeping) as api:
        project.environ["STATSIG_BASE_URL"] = api.url
        project.define(whole("a"))
        assert apply(project).code == 0
        project.age()
        project.define(removed("a"))
        ran = apply(project, "--allow-deletes", "1")
        told = "but it is still there: perhaps a review is pending; the state has it again"
        assert (ran.code, told in ran.out) == (1, True)
        history = project.run("history").out
        still = "the last look of its run still shows the source"
        assert "delete a  not accepted" in history
        assert "import a  recorded" in history
        assert history.count(still) == 2
        assert f"not accepted: `{still}`" in project.run("history", "--markdown").out
        *_, deleted, taken = map(json.loads, project.run("history", "--json").lines)
        assert [deleted["outcome"], taken["outcome"]] == ["not accepted", "recorded"]
        assert [deleted["reason"], taken["reason"]] == [still, still]
        assert "1 to DELETE" in project.run("plan").out


class Promising(EmulatedProject):
    """Answers that it creates, and does not."""

    def answer(self, call, now):
        before = {type_: dict(sources) for type_, sources in self.sources.items()}
        answer = super().answer(call, now)
        if answer.status == 201:
            self.sources.update(before)
        return answer


def test_what_is_answered_as_created_and_never_is_there_is_created_by_the_next_plan(project):
    with serve(sources_for([]), project=Promising) as api:
        project.environ["STATSIG_BASE_URL"] = api.url
        project.define(whole("a"))
        ran = apply(project)
        told = 'no list of a minute has "a": perhaps a review is pending; the state does not have it, so that the next'
        assert (ran.code, told in ran.out, project.resources) == (1, True, {})
        assert "1 to create" in project.run("plan").out
        never = "the last look of its run does not show the source"
        created, taken = map(json.loads, project.run("history", "--json").lines)
        assert [created["outcome"], taken["outcome"]] == ["not accepted", "recorded"]
        assert [created["reason"], taken["reason"]] == [never, never]


def test_what_somebody_renames_while_the_answer_to_its_create_is_lost_is_not_made_a_second_time_unseen(project):
    with serve(sources_for([])) as api:
        project.environ["STATSIG_BASE_URL"] = api.url
        api.fates = ["applied and superseded"]
        rename = ("PATCH", "/console/v1/experiments/assignment_source/a", {"name": "theirs"})
        api.somebody = lambda _call: api.by_hand(*rename)
        project.define(whole("a"))
        ran = apply(project)
        told = 'somebody renamed it in the meantime: "theirs" has the same fields; run `statform import`'
        assert (ran.code, told in ran.out, [*api.sources()]) == (1, True, ["theirs"])


def test_what_somebody_renames_before_a_recovery_looks_for_its_create_is_not_made_a_second_time_unseen(project):
    with serve(sources_for([])) as api:
        project.environ["STATSIG_BASE_URL"] = api.url
        api.fates = ["lost before applying"]
        project.define(whole("a"))
        # It may still be created: the run leaves that open.
        assert apply(project).code == 1
        assert (
            api.by_hand(
                "POST",
                "/console/v1/experiments/assignment_sources",
                {"description": "", **REQUIRED, "name": "theirs"},
            )
            == 201
        )
        project.age()
        ran = apply(project)
        assert (ran.code, [*api.sources()]) == (1, ["theirs"])
        assert "assignment_source.a: superseded, somebody else renamed or deleted the source" in ran.err
        assert 'no answer came to an earlier create of "a", and "theirs" has the same fields' in ran.err
        assert (
            "`statform import assignment_source.a theirs`, if somebody renamed it; `statform apply` once more"
            in ran.err
        )
        # Who says that it is another one has said so.
        assert (apply(project).code, [*api.sources()]) == (0, ["theirs", "a"])


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
    assert "can't find out which experiments read the sources to delete" in ran.err
    ran = apply(project, "--allow-deletes", "1", "--no-check-experiments")
    assert ran.code == 0
    assert emulator.sources == {}


def test_what_may_have_either_of_two_names_now_is_not_taken_for_gone(project, emulator):
    emulator = emulator(source("a"), source("one"))
    project.define("[assignment_source.a]\nadopt = true")
    assert apply(project).code == 0
    project.age()
    emulator.change("a", name="two")
    project.define(removed("a"))
    ran = apply(project, "--allow-deletes", "1")
    assert (ran.code, '"one" and "two" have the same fields' in ran.err) == (1, True)
    assert set(emulator.sources) == {"one", "two"}
    assert project.run("refresh", "--auto-approve", "--allow-gone", "1").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_experiments_that_do_not_tell_what_they_read_stop_a_delete(project, emulator):
    emulator = emulator(source("a"), experiments=[{"id": "e", "name": "cta", "status": "active"}])
    project.define("[assignment_source.a]\nadopt = true")
    assert apply(project).code == 0
    project.age()
    project.define(removed("a"))
    ran = apply(project, "--allow-deletes", "1")
    assert ran.code == 1
    assert "it is unknown what reads it: the list of experiments does not say what they read" in ran.err
    assert set(emulator.sources) == {"a"}
    assert apply(project, "--allow-deletes", "1", "--no-check-experiments").code == 0


def test_a_metric_source_that_metrics_are_made_of_is_not_deleted(project):
    with serve(sources_for([])) as api:
        project.environ["STATSIG_BASE_URL"] = api.url
        api.project.sources["metric_source"]["m"] = rows("m")
        api.project.others["metrics"] = [{"name": "revenue", "id": "r", "metricSourceName": "m"}]
        project.define("[metric_source.m]\nadopt = true")
        assert apply(project).code == 0
        project.age()
        project.define('[[removed]]\nfrom = "metric_source.m"\ndelete = true\n')
        ran = apply(project, "--allow-deletes", "1")
        assert ran.code == 1
        assert "metric_source.m: m is read by 1 metric: revenue" in ran.err
        api.project.others["metrics"] = []
        assert apply(project, "--allow-deletes", "1").code == 0
        assert api.project.sources["metric_source"] == {}


def test_who_reads_a_qualifying_event_is_left_to_the_api(project):
    with serve(sources_for([])) as api:
        project.environ["STATSIG_BASE_URL"] = api.url
        api.project.sources["qualifying_event"]["q"] = rows("q")
        project.define("[qualifying_event.q]\nadopt = true")
        assert apply(project).code == 0
        project.age()
        project.define('[[removed]]\nfrom = "qualifying_event.q"\ndelete = true\n')
        ran = apply(project, "--allow-deletes", "1")
        assert (ran.code, api.project.sources["qualifying_event"]) == (0, {})
        assert (
            "The API has no list of what reads a qualifying_event. Only the API itself can refuse the delete."
            in ran.err
        )


def rows(name):
    mapping = [{"statsigUnitID": "userID", "column": "user_id"}]
    return {"name": name, "sql": "SELECT 1", "timestampColumn": "ts", "idTypeMapping": mapping}


def test_how_to_delete_is_said_of_what_is_only_forgotten(project, emulator):
    emulator(source("a"), source("b"))
    project.define("[assignment_source.a]\nadopt = true\n[assignment_source.b]\nadopt = true")
    assert apply(project).code == 0
    project.define("")
    hint = "To delete a source instead of only forgetting it"
    assert hint in project.run("plan").out
    project.define((removed("a") + removed("b")).replace("true", "false"))
    assert hint not in project.run("plan").out


def test_a_dry_run_tries_creates_and_full_updates_and_says_that_it_tries_no_delete(project, emulator):
    emulator = emulator()
    project.define(whole("a") + whole("gone"))
    assert apply(project).code == 0
    project.define(removed("gone") + whole("a", "SELECT 2") + whole("new"))
    before = emulator.sources
    ran = project.run("apply", "--dry-run")
    assert ran.code == 0
    assert emulator.sources == before
    assert "not checked: assignment_source.gone" in ran.out + ran.err


def test_a_plan_that_forgets_a_source_and_creates_its_twin_is_refused(project, emulator):
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


@pytest.mark.parametrize(
    ("there", "what"),
    [
        (source("A"), "has the same name in another case, white space or Unicode form"),
        (source("other"), "has the same query and columns"),
    ],
)
def test_what_nobody_manages_and_looks_like_what_is_created_is_named_before_it_is_asked(project, emulator, there, what):
    emulator(there, source("managed"), source("unlike", sql="SELECT 7"))
    project.define("[assignment_source.managed]\nadopt = true")
    assert apply(project).code == 0
    project.define("[assignment_source.managed]\nadopt = true\n" + whole("a"))
    for words in (["plan", "--refresh"], ["apply", "--dry-run"], ["apply", "--auto-approve"]):
        ran = project.run(*words)
        assert ran.code == 0, ran
        told = f'{A} will be created, but an unmanaged source, "{there["name"]}", {what}'
        assert told in " ".join(ran.err.split())
        assert ran.err.count("an unmanaged source") == 1


def test_each_one_that_is_created_and_looks_like_what_nobody_manages_is_named(project, emulator):
    emulator(source("other"), source("A", sql="SELECT 7"))
    project.define(whole("a") + whole("b") + whole("c", "SELECT 8"))
    ran = project.run("plan", "--refresh")
    told = " ".join(ran.err.split())
    for address, name, what in (
        ("a", "A", "has the same name in another case"),
        ("a", "other", "has the same query and columns"),
        ("b", "other", "has the same query and columns"),
    ):
        assert f'assignment_source.{address} will be created, but an unmanaged source, "{name}", {what}' in told
    assert (ran.code, ran.err.count("an unmanaged source")) == (0, 3)


def test_a_query_in_a_file_of_its_own_is_sent(project, emulator):
    emulator = emulator()
    project.write("a.sql", "SELECT\n  7\n")
    project.define(whole("a").replace('sql = "SELECT 1"', 'sql_file = "a.sql"'))
    assert apply(project).code == 0
    assert emulator.sources["a"]["sql"] == "SELECT\n  7"
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert Path(project.directory, "a.sql").exists()


def at_prompt(project: Project):
    environ = project.environ | {"TERM": "xterm", "NO_COLOR": "1"}
    return at_terminal([str(STATFORM), "apply"], project.directory, environ)


def test_who_is_asked_is_told_first_how_many_will_be_deleted(project, emulator):
    remote = emulator()
    project.define(whole("a") + whole("b"))
    apply(project)
    project.age()
    project.define(removed("a") + whole("b", more='description = "new"'))
    for typed, code, left in (("no\n", 1, ["a", "b"]), ("yes\n", 0, ["b"])):
        with at_prompt(project) as terminal:
            terminal.expect("Enter a value: ")
            assert "1 will be DELETED. Do you want to perform these actions at http" in terminal.shown.replace(
                "\n", " "
            )
            terminal.type(typed)
            assert terminal.end() == code
        assert [*remote.sources] == left


def test_what_is_adopted_is_shown_again_if_somebody_changes_it_before_the_answer(project, emulator):
    remote = emulator(source("a", description="old"))
    project.define('[assignment_source.a]\nadopt = true\ndescription = "ours"\n')
    with at_prompt(project) as terminal:
        terminal.expect("Enter a value: ")
        assert '~ description = "old" -> "ours"' in terminal.shown
        remote.change("a", description="theirs")
        # A look may be 30 s old; the clock of a command that is a fork is 20 times as fast.
        time.sleep(2)
        terminal.type("yes\n")
        assert terminal.end() == 1
    assert "shown, and the remote changed before the answer" in " ".join(terminal.shown.split())
    assert (remote.sources["a"]["description"], remote.calls()) == ("theirs", ["a"])


class Resetting(EmulatedProject):
    """A full update, or only its answer, has no value of a field that statform does not know."""

    keeps = False

    def answer(self, call, now):
        answer = super().answer(call, now)
        if call.method == "POST" and call.path.endswith("/a"):
            kept = {"loadingWindow": 7} if self.keeps else {}
            self.sources["assignment_source"]["a"] |= kept
            shown = {name: value for name, value in answer.body["data"].items() if name != "loadingWindow"}
            return EmulatedAnswer(answer.status, {**answer.body, "data": shown}, answer.change)
        return answer


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("fate", ["answered", "lost after applying"])
def test_a_field_of_an_unknown_name_that_a_full_update_resets_is_reported(project, keeps, fate):
    with serve(sources_for([]), project=Resetting) as api:
        api.project.sources["assignment_source"]["a"] = source("a", sql="SELECT 0", loadingWindow=7)
        api.project.keeps = keeps
        project.environ["STATSIG_BASE_URL"] = api.url
        project.define('[assignment_source.a]\nadopt = true\nsql = "SELECT 1"\n')
        api.fates = [fate]
        ran = apply(project)
        told = "not accepted   assignment_source.a: the API kept another value of loadingWindow"
        assert (ran.code, told in ran.out) == ((0, False) if keeps else (1, True))
        assert api.sources()["a"]["sql"] == "SELECT 1"
        assert project.run("plan", "--detailed-exitcode").code == 0
