"""`apply --json`: what a tool reads of a run, line by line, from its first event to its report."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess

import pytest
from command import STATFORM, source
from rawserver import Act, answer, serve

FATES = ["rejected", "unknown", "skipped", "not_attempted", "not_accepted"]


def defined(**descriptions):
    return "".join(
        f'[assignment_source.{key}]\nadopt = true\ndescription = "{value}"\n' for key, value in descriptions.items()
    )


def read(out):
    """The events; each line is an object in ASCII that no terminal acts on, first the version, last a report."""
    assert out.endswith("\n")
    assert re.fullmatch("[ -~\n]*", out)
    events = [json.loads(line) for line in out.splitlines()]
    assert [one["type"] for one in (events[0], events[-1])] == ["version", "report"]
    for one in events:
        assert one["@module"] == "statform.ui"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["@timestamp"])
    assert [one["type"] for one in events].count("report") == 1
    return events


def run(project, *options, code=0):
    """The events of an apply, and the report that ends them."""
    ran = project.run("apply", "--json", *options)
    assert (ran.code, ran.err) == (code, "")
    events = read(ran.out)
    report = events[-1]["statform"]
    assert (report["exit_code"], report["complete"]) == (code, code == 0)
    return events, report


def kinds(events):
    return [one["type"] for one in events]


def of(events, type_):
    return [one for one in events if one["type"] == type_]


def diagnostics(events):
    return [one["diagnostic"] for one in of(events, "diagnostic")]


@pytest.fixture
def two(project, emulator):
    """Two sources that were adopted."""
    server = emulator(source("a"), source("b"))
    project.define(defined(a="old", b="old"))
    project.apply()
    return server


@pytest.mark.real
def test_a_run_from_its_version_to_its_report(project, emulator):
    server = emulator(source("a"), source("b"), source("gone"))
    project.define(defined(b="old", gone="x"))
    project.apply()
    project.define(defined(a="new", b="new"))
    events, report = run(project, "--auto-approve")
    assert kinds(events) == [
        "version", "planned_change", "planned_change", "planned_change", "change_summary",
        "apply_start", "apply_complete", "apply_start", "apply_complete", "change_summary", "report",
    ]  # fmt: skip
    assert {one["@level"] for one in events} == {"info"}
    assert [(one["change"]["action"], one["statform"]["verb"]) for one in of(events, "planned_change")] == [
        ("update", "adopt"), ("update", "update"), ("remove", "forget"),
    ]  # fmt: skip
    assert of(events, "planned_change")[0]["change"]["importing"] == {"id": "a"}
    assert of(events, "planned_change")[1]["statform"]["fields"] == [
        {"field": "description", "before": "old", "after": "new"}
    ]
    planned, applied = of(events, "change_summary")
    assert planned["changes"] == {"add": 0, "change": 2, "import": 1, "remove": 0, "operation": "plan"}
    assert applied["changes"] == {**planned["changes"], "operation": "apply"}
    # The texts that there are tools for.
    assert planned["@message"] == "Plan: 1 to import, 0 to add, 2 to change, 0 to destroy."
    assert applied["@message"] == "Apply complete! Resources: 1 imported, 0 added, 2 changed, 0 destroyed."
    start, complete = of(events, "apply_start")[1], of(events, "apply_complete")[1]
    resource = {
        "addr": "assignment_source.b", "module": "", "resource": "assignment_source.b", "implied_provider": "statform",
        "resource_type": "assignment_source", "resource_name": "b", "resource_key": None,
    }  # fmt: skip
    assert start["hook"] == {"resource": resource, "action": "update", "id_key": "name", "id_value": "b"}
    assert complete["hook"] == {**start["hook"], "elapsed_seconds": 0}
    assert start["@message"] == "assignment_source.b: updating b \u2026 [2/2]"
    assert report["applied"] == [
        {"address": "assignment_source.a", "verb": "adopt", "name": "a"},
        {"address": "assignment_source.b", "verb": "update", "name": "b"},
        {"address": "assignment_source.gone", "verb": "forget", "name": "gone"},
    ]
    assert not any(report[fate] for fate in FATES)
    assert server.sources["b"]["description"] == "new"


def test_nothing_to_do_is_reported_too(project, two):
    events, report = run(project, "--auto-approve")
    assert kinds(events) == ["version", "change_summary", "change_summary", "report"]
    assert report["applied"] == []


def test_nothing_is_asked(project, two):
    project.define(defined(a="new", b="old"))
    sent, before = two.calls(), project.files
    events, _ = run(project, code=1)
    assert diagnostics(events)[0]["summary"] == "--json can't ask for approval: use --auto-approve, or a saved plan"
    assert (two.calls(), project.files) == (sent, before)


def test_a_saved_plan_is_approved(project, two):
    project.define(defined(a="new", b="old"))
    project.run("plan", "--out", "p.json")
    _, report = run(project, "p.json")
    assert [one["address"] for one in report["applied"]] == ["assignment_source.a"]
    events, _ = run(project, "p.json", code=1)
    (found,) = diagnostics(events)
    assert found["summary"].startswith("p.json: applied before; a plan can be applied only once")
    assert found["detail"] == "Nothing was sent. Make a new one: statform plan --out p.json"


def test_problems_of_the_definitions_are_diagnostics_with_their_place(project):
    project.define(
        '[assignment_source.a]\ntag = 1\n[assignment_source.b]\nteam = "\\u001b[2J\\u202e\\u007f"\ntags = 1\n'
    )
    events, _ = run(project, "--auto-approve", code=1)
    assert kinds(events) == ["version", "diagnostic", "diagnostic", "report"]
    assert [one["range"]["start"] for one in diagnostics(events)] == [
        {"line": 4, "column": 1},
        {"line": 7, "column": 8},
    ]


def test_errors_before_anything_is_sent_are_diagnostics_and_keep_their_exit_codes(project, two):
    project.define(defined(a="new", b="new"))
    planned = ["assignment_source.a", "assignment_source.b"]

    def fails(code, what, *options, before):
        events, report = run(project, "--auto-approve", *options, code=code)
        assert what in diagnostics(events)[0]["summary"]
        assert [one["address"] for one in report["not_attempted"]] == ([] if before == "plan" else planned)

    sent, files = two.calls(), project.files
    with (project.directory / "statform.state.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fails(3, "the state is in use", before="plan")
    fails(1, "the plan changes 2 of 2", "--max-changes", "1", before="drift check")
    fails(3, "127.0.0.1:9", "--base-url", "http://127.0.0.1:9", before="drift check")
    key = project.environ.pop("STATSIG_API_KEY")
    fails(1, "STATSIG_API_KEY", before="drift check")
    project.environ["STATSIG_API_KEY"] = "console-forbidden"
    fails(3, "403", before="drift check")
    project.environ["STATSIG_API_KEY"] = key
    two.change("a", description="theirs")
    fails(1, "somebody else changed description: the remote has", before="drift check")
    assert (two.calls(), project.files) == ([*sent, "a"], files)


def test_what_is_rejected_errs_and_what_needs_it_is_skipped(project, emulator):
    emulator(source("a"), source("b"), source("c"))
    needs = '[assignment_source.c]\nadopt = true\ndepends_on = ["assignment_source.a"]\nteam = "x"\n'
    project.define(defined(a="x", b="x") + needs)
    project.environ["STATSIG_API_KEY"] = "console-no-update"
    events, report = run(project, "--auto-approve", code=1)
    assert kinds(events)[5:] == [
        "apply_start", "apply_errored", "apply_start", "apply_errored", "diagnostic", "diagnostic", "report",
    ]  # fmt: skip
    errored, _ = of(events, "apply_errored")
    assert errored["statform"]["outcome"] == "rejected"
    assert errored["statform"]["status"] == 403
    found, other = diagnostics(events)
    assert (found["summary"], found["address"]) == ("assignment_source.a: rejected", "assignment_source.a")
    assert found["detail"].startswith("403: ")
    assert report["rejected"] == [{"address": one["address"], "reason": one["detail"]} for one in (found, other)]
    assert report["skipped"] == [{"address": "assignment_source.c", "reason": "it depends on assignment_source.a"}]
    assert report["applied"] == []


def test_a_source_that_goes_by_way_of_a_temporary_name_begins_once_and_ends_once(project, two):
    project.define("[assignment_source.a]\nadopt = true\nname = 'b'\n[assignment_source.b]\nadopt = true\nname = 'a'\n")
    events, report = run(project, "--auto-approve")
    assert [kind for kind in kinds(events) if kind.startswith("apply_")] == [
        "apply_start", "apply_progress", "apply_start", "apply_complete", "apply_progress", "apply_complete",
    ]  # fmt: skip
    assert [one["hook"]["id_value"] for one in of(events, "apply_complete")] == ["a", "b"]
    assert [(one["address"], one["name"]) for one in report["applied"]] == [
        ("assignment_source.b", "a"), ("assignment_source.a", "b"),
    ]  # fmt: skip


def test_a_request_that_is_tried_again_is_an_error_only_after_its_last_attempt(project):
    project.define(defined(a="x", b="x"))
    with serve([source("a"), source("b")]) as api:
        busy = Act(applies=False, answer=answer(429, {"message": "slow down"}, "retry-after: 1"))
        lost = Act(applies=False, answer=b"", cut=0)
        api.patches = [busy, lost, busy, Act(), lost, lost, lost]
        events, report = run(project, "--auto-approve", "--base-url", api.url, code=1)
    assert [(one["type"], one["hook"]["resource"]["resource_name"]) for one in events if "hook" in one] == [
        ("apply_start", "a"), *[("apply_progress", "a")] * 6, ("apply_complete", "a"),
        ("apply_start", "b"), *[("apply_progress", "b")] * 4, ("apply_errored", "b"),
    ]  # fmt: skip
    told = [one["statform"] for one in of(events, "apply_progress")]
    assert (told[0]["outcome"], told[0]["status"], told[0]["reason"]) == ("rejected", 429, "slow down")
    assert told[1]["reason"] == "too many requests for the API"
    assert 0 < told[1]["waiting_seconds"] <= 1
    assert told[2]["outcome"] == "not applied"
    assert of(events, "apply_complete")[0]["hook"]["elapsed_seconds"] >= 2
    assert [one["address"] for one in report["rejected"]] == ["assignment_source.b"]


def test_another_value_that_the_api_kept_is_in_the_report(project):
    project.define(defined(a="x"))
    with serve([source("a")]) as api:
        api.patches = [Act(answer=answer(200, {"data": source("a", description="else")}))]
        events, report = run(project, "--auto-approve", "--base-url", api.url, code=1)
    reason = "the API kept another value of description"
    assert report["not_accepted"] == [{"address": "assignment_source.a", "reason": reason}]
    assert diagnostics(events)[0]["detail"] == reason


def test_a_run_that_the_api_ends_says_what_it_did_not_attempt(project):
    project.define(defined(a="x", b="x", c="x"))
    with serve([source("a"), source("b"), source("c")]) as api:
        api.patches = [Act(), Act(applies=False, answer=answer(401, {"message": "no"}))]
        events, report = run(project, "--auto-approve", "--base-url", api.url, code=3)
    assert [one["address"] for one in report["applied"]] == ["assignment_source.a"]
    assert report["rejected"] == [{"address": "assignment_source.b", "reason": "401: no"}]
    assert report["not_attempted"] == [{"address": "assignment_source.c", "reason": "the run ended before"}]
    assert [one["summary"] for one in diagnostics(events)] == [
        "assignment_source.b: rejected", "the API answered 401: no",
    ]  # fmt: skip


def test_an_outcome_that_an_earlier_run_left_unknown_is_found_out_and_reported(project):
    project.define(defined(a="x"))
    with serve([source("a")]) as api:
        gone = Act(answer=answer(500))
        api.patches, api.lists = [Act(answer=b"", cut=0)], [Act(), *[gone] * 20]
        events, report = run(project, "--auto-approve", "--base-url", api.url, code=3)
        assert [one["address"] for one in report["unknown"]] == ["assignment_source.a"]
        assert of(events, "apply_errored")[0]["statform"]["outcome"] == "unknown"
        events, _ = run(project, "--dry-run", "--base-url", api.url, code=3)
        assert [one["severity"] for one in diagnostics(events)] == ["warning", "error"]
        assert diagnostics(events)[0]["summary"].endswith(
            "the outcome of the last request for assignment_source.a is unknown."
        )
        api.lists.clear()
        events, _ = run(project, "--auto-approve", "--base-url", api.url)
    assert [one["@message"] for one in of(events, "log")] == [
        "finding out what happened to the last request for assignment_source.a …", "assignment_source.a: applied",
    ]  # fmt: skip


def test_a_dry_run_asks_nothing_and_says_of_nothing_that_it_was_applied(project, two):
    project.define(defined(a="new", b="old"))
    before = project.files
    events, report = run(project, "--dry-run")
    assert kinds(events)[3:] == ["dry_run_start", "dry_run_complete", "report"]
    assert of(events, "dry_run_complete")[0]["statform"]["outcome"] == "accepted"
    assert report["dry_run"] is True
    assert project.files == before
    assert two.sources["a"]["description"] == "old"


def test_no_string_of_a_definition_or_of_the_api_is_written_raw(project, emulator):
    evil = "\x1b[2J\u202e\x7f\u2028\U0001f600"
    emulator(source(evil))
    escaped = evil.encode("unicode-escape").decode().replace("\\x", "\\u00")
    project.define(f'[assignment_source.a]\nadopt = true\nname = "{escaped}"\ndescription = "{escaped}"\n')
    events, report = run(project, "--auto-approve")
    assert report["applied"][0]["name"] == evil
    assert "\\u001b[2J" in of(events, "apply_start")[0]["@message"]


def test_everything_that_is_reported_as_done_is_in_the_journal(project, two):
    project.define(defined(a="new", b="new"))
    command = [str(STATFORM), "apply", "--json", "--auto-approve"]
    with subprocess.Popen(
        command, cwd=project.directory, env=project.environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        done = 0
        for line in process.stdout:
            if '"type":"apply_complete"' in line:
                done += 1
                # The two that were adopted before, and these.
                assert sum(record["kind"] == "result" for record in project.records) >= 2 + done
    assert (process.returncode, done) == (0, 2)


def test_a_reader_that_closes_stdout_misses_only_the_later_events(project, two):
    project.define(defined(a="new", b="new"))
    ran = project.shell("statform apply --json --auto-approve | head -1")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["type"] == "version"
    assert {one["data"]["description"] for one in project.resources.values()} == {"new"}
    project.define(defined(a="newer", b="newer"))
    assert project.shell("statform apply --json --auto-approve >&-").code == 0
    assert {one["data"]["description"] for one in project.resources.values()} == {"newer"}


def test_a_plan_that_can_not_be_written_is_not_carried_out(project, two):
    project.define(defined(a="new", b="new"))
    sent, before = two.calls(), project.files
    ran = project.shell("statform apply --json --auto-approve >/dev/full")
    assert (ran.code, ran.err) == (1, "Error: stdout can't be written: No space left on device\n")
    assert (two.calls(), project.files) == (sent, before)


def test_stdout_that_takes_no_more_in_the_middle_loses_no_bookkeeping(project, two):
    project.define(defined(a="new", b="new"))
    planned = "".join(project.run("apply", "--json", "--dry-run").out.splitlines(keepends=True)[:4])
    assert '"type":"change_summary"' in planned.splitlines()[-1]
    limit = 64 << 10
    project.write("events", " " * (limit - len(planned) - 10))
    ran = project.shell(f"ulimit -f {limit >> 10}; statform apply --json --auto-approve >>events")
    assert (ran.code, ran.err) == (1, "Error: stdout can't be written: File too large\n")
    assert {one["data"]["description"] for one in project.resources.values()} == {"new"}
    assert project.records[-1]["status"] == "ok"
    assert {one["description"] for one in two.sources.values()} == {"new"}


def test_the_address_that_a_source_had_is_told(project, two):
    moved = '[[moved]]\nfrom = "assignment_source.b"\nto = "assignment_source.c"\n'
    project.define(moved + defined(a="old") + defined(c="new").replace("c]", 'c]\nname = "b"'))
    events, _ = run(project, "--auto-approve")
    (change,) = [one["change"] for one in of(events, "planned_change") if "previous_resource" in one["change"]]
    assert (change["previous_resource"]["addr"], change["resource"]["addr"]) == (
        "assignment_source.b",
        "assignment_source.c",
    )
