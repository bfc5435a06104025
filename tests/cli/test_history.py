"""`statform history`: the journal of real runs, and the proof that it is whole."""

from __future__ import annotations

import json
import re

import pytest
from command import STATFORM, source
from person import at_terminal

from planner.render.style import format_time, width_of
from state import journal, store
from state.chain import hash_of
from state.records import Applied, Genesis, Imported, Intent, Unknown
from state.values import Address

DEFINED = '[assignment_source.a]\nadopt = true\ndescription = "{}"\n'


@pytest.fixture
def lived(project, emulator):
    """A source that was adopted, changed behind our back, taken over, and changed again."""
    server = emulator(source("a"), source("b"))
    project.define(DEFINED.format("one"))
    project.apply()
    server.change("a", description="theirs")
    project.run("refresh", "--auto-approve")
    project.define(DEFINED.format("two"))
    project.apply()
    return project


def test_it_tells_what_changed_in_order(lived):
    ran = lived.run("history")
    assert ran.code == 0
    assert re.findall(r"(?m)^\d.*Z  \S+  (.*?)(?:  \d\.\d\d s)?$", ran.out) == [
        "assignment_source.a  adopt a  applied",
        "assignment_source.a  refresh a  recorded",
        "assignment_source.a  update a  applied",
    ]
    assert re.findall(r"description = (.*)", ran.out) == ['"" -> "one"', '"one" -> "theirs"', '"theirs" -> "two"']
    assert ran.err == "3 of 3 changes.\n"


def test_what_was_rejected_and_what_was_renamed_is_there(project, emulator):
    server = emulator(source("a"), source("b"))
    project.define(DEFINED.format("one"))
    project.apply()
    server.change("a", team="Theirs")
    project.define('[assignment_source.a]\nadopt = true\nname = "a2"\ndescription = "one"\n')
    project.apply()
    project.define('[assignment_source.a]\nadopt = true\nname = "c"\ndescription = "one"\n')
    assert project.run("apply", "--auto-approve", STATSIG_API_KEY="console-no-update").code == 1
    found = [json.loads(line) for line in project.run("history", "--json").out.splitlines()]
    assert [(one["action"], one["outcome"], one["fields"]) for one in found[1:]] == [
        ("update", "applied", [{"field": "name", "from": "a", "to": "a2"}]),
        ("drift", "recorded", [{"field": "team", "to": "Theirs"}]),
        ("update", "rejected", [{"field": "name", "from": "a2", "to": "c"}]),
    ]
    assert re.match(r"4\d\d: ", found[3]["reason"])
    assert (found[2]["who"], found[2]["hash"]) == (None, found[1]["hash"])
    assert project.run("history", "--verify").code == 0


def test_after_a_move_the_new_address_has_the_whole_story(lived):
    assert lived.run("state", "mv", "assignment_source.a", "assignment_source.z").code == 0
    asked = lived.run("history", "--address", "assignment_source.z", "--json")
    found = [json.loads(line) for line in asked.out.splitlines()]
    assert [(one["action"], one["moved_to"]) for one in found] == [
        ("adopt", None),
        ("refresh", None),
        ("update", None),
        ("move", "assignment_source.z"),
    ]


def test_a_run_that_is_at_work_or_died_can_be_read_and_verified(lived):
    path = lived.directory / "statform.state.json"
    with store.open(path, "test") as session:
        session.record(
            Intent(Address("assignment_source.a"), "PATCH", "a", {}, {"team": "x"}, "2026-11-01T00:00:00.000Z")
        )
        session.record(Unknown(Address("assignment_source.a"), "timeout", 60000, "2026-11-01T00:01:00.000Z"))
        with path.with_name("statform.state.journal.jsonl").open("ab") as file:
            file.write(b'{"hash":"')
        assert "unknown: timeout  60.00 s" in lived.run("history").out
        ran = lived.run("history", "--verify")
    assert ran.code == 0
    assert "After them: 9 bytes of an incomplete line, which is not a record;" in ran.out


def test_filters_choose_the_entries_that_are_shown(lived):
    assert lived.run("history", "--address", "assignment_source.b").out == ""
    assert lived.run("history", "--since", "1h", "--json").out.count("\n") == 3
    assert lived.run("history", "--until", "2020-01-01").err == "0 of 3 changes.\n"
    assert lived.run("history", "--who", "nobody").out == ""
    assert json.loads(lived.run("history", "--json").out.splitlines()[1])["fields"] == [
        {"field": "description", "from": "one", "to": "theirs"}
    ]
    assert lived.run("history", "--markdown").out.count("\n| ") >= 4


def test_the_journal_is_verified_and_a_head_that_was_noted_is_found(lived):
    heads = [json.loads(line)["hash"] for line in lived.files["statform.state.journal.jsonl"].splitlines()]
    ran = lived.run("history", "--verify", "--expect", heads[4])
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        f"Verified: {len(heads)} records, each follows from the one before; together they give the state.\n"
        f"From {format_time(lived.records[0]['at'])} to {format_time(lived.records[-1]['at'])}.\n"
        f"Expected: found, record 5; nothing up to it was changed or removed; {len(heads) - 5} came later.\n"
        f"Head: {heads[-1]}\n"
    )
    assert lived.run("history", "--verify", "--expect", heads[4][:12]).code == 0


def test_a_head_that_is_not_there_any_more_is_an_error(lived):
    (lived.directory / "statform.state.json").unlink()
    path = lived.directory / "statform.state.journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    head = json.loads(lines[-1])["hash"]
    path.write_bytes(b"".join(lines[:-4]))
    lived.run("state", "rebuild")
    assert lived.run("history", "--verify").code == 0
    ran = lived.run("history", "--verify", "--expect", head)
    assert ran.code == 1
    assert f"no record has the head {head}: records were changed or removed since it was noted" in ran.err


def test_a_byte_that_changed_is_found_with_its_place(lived):
    path = lived.directory / "statform.state.journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"theirs", b"heirst", 1))
    for arguments in (["history"], ["history", "--verify"]):
        ran = lived.run(*arguments)
        assert (ran.code, ran.out) == (1, "")
        assert re.search(r"statform\.state\.journal\.jsonl.*byte \d+", ran.err)


def forge(project, *records):
    """A journal in which each line follows from the one before, whatever it says, and no state file."""
    head, lines = journal.anchor("l"), b""
    for record in (Genesis("l", 1, "2026-11-01T00:00:00.000Z"), *records):
        line, head = journal.encode(record, head)
        lines += line
    project.define("")
    (project.directory / "statform.state.journal.jsonl").write_bytes(lines)
    return lines


def test_records_that_can_not_follow_each_other_are_damage_and_the_verification_says_where(project):
    lines = forge(project, Applied(Address("assignment_source.a"), 200, {}, {}, 1, "t"))
    ran = project.run("history")
    assert (ran.code, ran.out) == (1, "")
    assert "statform.state.journal.jsonl: its records contradict each other: a result for" in ran.err
    assert ran.err.endswith("\n`statform history --verify` says where.\n")
    ran = project.run("history", "--verify")
    assert (ran.code, ran.out) == (1, "")
    assert f"journal.jsonl, byte {lines.index(10) + 1}: its records contradict" in ran.err


def test_a_record_of_a_newer_version_is_named_with_the_file_that_has_it(project):
    lines = forge(project, Imported(Address("assignment_source.a"), {}, "t"))
    first, second = lines.splitlines()
    body = second[84:-1].replace(b'"import"', b'"conjure"')
    hash_ = hash_of(first[9:73], body)
    path = project.directory / "statform.state.journal.jsonl"
    path.write_bytes(first + b'\n{"hash":"' + hash_ + b'","record":' + body + b"}\n")
    for arguments in (["history"], ["history", "--verify"]):
        ran = project.run(*arguments)
        assert ran.code == 1
        assert f"statform.state.journal.jsonl: a record of an unknown kind, at byte {len(first) + 1}" in ran.err


def test_a_state_without_its_journal_is_damage_and_no_empty_history(lived):
    (lived.directory / "statform.state.journal.jsonl").unlink()
    for arguments in (["history"], ["history", "--verify"]):
        ran = lived.run(*arguments)
        assert (ran.code, ran.out) == (1, "")
        assert "missing: it has every change that was ever made to the state" in ran.err


@pytest.mark.parametrize("columns", [40, 80])
def test_at_a_terminal_lines_are_as_narrow_as_it_is(lived, columns):
    with at_terminal([str(STATFORM), "history"], lived.directory, lived.environ, columns) as terminal:
        assert terminal.end() == 0
    assert max(width_of(re.sub(r"\x1b\[\d*m", "", line)) for line in terminal.shown.splitlines()) <= columns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "foo"], "--since foo: not a date such as 2026-11-01, a time, or an age such as 7d"),
        (["--verify", "--expect", "abc"], "--expect abc: a head has 64 hexadecimal digits; the first 12 are enough"),
        (["--expect", "0" * 64], "--expect needs --verify."),
    ],
)
def test_what_can_not_be_asked_is_an_error_that_says_why(lived, arguments, message):
    ran = lived.run("history", *arguments)
    assert ran.code == 1
    assert message in ran.err


def test_without_a_journal_there_is_no_history(project):
    project.define("")
    ran = project.run("history")
    assert (ran.code, ran.out, ran.err) == (0, "", "No history: nothing was ever changed.\n")
    assert project.run("history", "--verify").out == "Nothing to verify: there is neither a state nor a journal.\n"
    ran = project.run("history", "--verify", "--expect", "0" * 64)
    assert ran.code == 1
    assert "there is no journal" in ran.err


def test_a_reader_that_closes_stdout_ends_the_history_quietly(lived):
    ran = lived.shell("statform history | head -1; test ${PIPESTATUS[0]} = 0")
    assert ran.code == 0
    assert "Traceback" not in ran.err


def test_who_asked_for_a_run_is_told_by_its_environment(project, emulator):
    server = emulator(source("a"))
    project.define(DEFINED.format("one"))
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": "ana",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "acme/infra",
        "GITHUB_RUN_ID": "42",
        "STATFORM_PULL_REQUEST": "https://github.com/acme/infra/pull/7",
        "STATFORM_APPROVED_BY": "bo, cy",
    }
    project.apply(**github)
    begun = next(record for record in project.records if record["kind"] == "begin")
    run = {
        "url": "https://github.com/acme/infra/actions/runs/42",
        "pull_request": "https://github.com/acme/infra/pull/7",
        "approved_by": "bo, cy",
    }
    assert (begun["actor"], begun["run"]) == ("ana", run)
    line = project.run("history").out.splitlines()[0]
    account = f"{begun['who']}@{begun['host']}"
    assert f"  ana (told by {account})  pull request {run['pull_request']}  approved by bo, cy  " in project.run(
        "history"
    ).out.replace("\n    ", "  "), line
    found = json.loads(project.run("history", "--json", "--who", "ana").out)
    assert (found["actor"], found["run"]) == ("ana", run)
    assert (
        f"| `ana (told by {account})`; `pull request {run['pull_request']}`; `approved by bo, cy` |"
        in project.run("history", "--markdown").out
    )

    server.change("a", description="theirs")
    assert project.run("refresh", "--auto-approve", "--actor", "di").code == 0
    audit = json.loads(project.run("audit", "--json").out)
    assert (audit["last_run"]["actor"], audit["last_run"]["run"]) == ("di", {})
    assert f"di (told by {account}).\n" in project.run("audit").out


def test_a_run_without_a_pull_request_is_named_by_its_own_page(project, emulator):
    emulator(source("a"))
    project.define(DEFINED.format("one"))
    url = "https://buildkite.com/acme/infra/builds/9"
    project.apply(BUILDKITE="true", BUILDKITE_BUILD_CREATOR="ana", BUILDKITE_BUILD_URL=url)
    assert f"run {url}" in " ".join(project.run("history").out.split())
