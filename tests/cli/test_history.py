"""`statform history`: the journal of real runs, and the proof that it is whole."""

from __future__ import annotations

import json
import re

import pytest
from command import source

DEFINED = '[assignment_source.a]\ndescription = "{}"\n'


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
    assert re.findall(r"description = (.*)", ran.out) == ['"one"', '"one" -> "theirs"', '"theirs" -> "two"']
    assert ran.err == "3 of 3 changes.\n"


def test_filters_choose(lived):
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
        f"Verified: {len(heads)} records, each bound to the one before; they make the state.\n"
        f"Expected: found, record 5; nothing up to it was altered or dropped, {len(heads) - 5} came later.\n"
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
    assert f"no record has the head {head}: what was there when it was noted was altered or dropped" in ran.err


def test_a_byte_that_changed_is_found_with_its_place(lived):
    path = lived.directory / "statform.state.journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"theirs", b"heirst", 1))
    for arguments in (["history"], ["history", "--verify"]):
        ran = lived.run(*arguments)
        assert (ran.code, ran.out) == (1, "")
        assert re.search(r"statform\.state\.journal\.jsonl.*byte \d+", ran.err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "foo"], "--since foo: neither a date as 2026-11-01, nor a time, nor an age as 7d"),
        (["--verify", "--expect", "abc"], "--expect abc: a head is 64 hexadecimal digits; the first 12 are enough"),
        (["--expect", "0" * 64], "--expect goes with --verify."),
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


def test_who_has_seen_enough_ends_it_quietly(lived):
    ran = lived.shell("statform history | head -1; test ${PIPESTATUS[0]} = 0")
    assert ran.code == 0
    assert "Traceback" not in ran.err
