"""Options that choose, that exclude each other, and that match nothing."""

from __future__ import annotations

import json

import pytest
from command import source

TWO = '[assignment_source.a]\nadopt = true\nteam = "t"\n[assignment_source.b]\nadopt = true\nteam = "t"\n'
PARTIAL = "This plan is partial: --target and --exclude leave out 1 of 2 addresses.\n"


@pytest.fixture
def two(project, emulator):
    project.define(TWO)
    emulator(source("a"), source("b"))
    return project


@pytest.mark.parametrize("options", [("--target", "a"), ("--exclude", "b"), ("--exclude", "*.b")])
def test_a_partial_plan_says_so_in_every_form(two, options):
    assert f"\nPlan: 1 to adopt.\n{PARTIAL}" in two.run("plan", *options).out
    assert f"\n\n{PARTIAL}" in two.run("plan", "--markdown", *options).out
    found = json.loads(two.run("plan", "--json", *options).out)
    assert (found["complete"], found["statform"]["left_out"]) == (False, 1)
    two.run("plan", "--out", "p.json", *options)
    assert PARTIAL in two.run("show", "p.json").out
    events = [json.loads(line) for line in two.run("apply", "--json", "p.json").lines]
    assert [e["statform"]["left_out"] for e in events if "left_out" in e.get("statform", {})] == [1]
    assert set(two.resources) == {"assignment_source.a"}
    assert two.run("plan", *options).out.endswith(PARTIAL)


def test_a_whole_plan_does_not_say_that_it_is_partial(two):
    assert "partial" not in two.run("plan", "--target", "*").out
    found = json.loads(two.run("plan", "--json").out)
    assert (found["complete"], "left_out" in found["statform"]) == (True, False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("plan --json --markdown", "--json and --markdown can't be used together"),
        ("plan --json --summary", "--summary and --json can't be used together"),
        ("plan --summary --markdown", "--summary and --markdown can't be used together"),
        ("audit --markdown --json", "--json and --markdown can't be used together"),
        ("history --json --markdown", "--json and --markdown can't be used together"),
        ("history --verify --json", "--verify takes no other option than --expect"),
        ("history --verify --field team", "--verify takes no other option than --expect"),
        ("apply p.json --exclude a", "A saved PLAN has its own targets"),
    ],
)
def test_options_that_exclude_each_other_are_an_error(two, words, message):
    ran = two.run(*words.split())
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--field taem", '--field taem: the history does not have it; did you mean "team"?'),
        (
            "--address assignment_source.aa",
            "--address assignment_source.aa: the history does not have it; did you mean",
        ),
        ("--address a", "--address a: the history does not have it; did you mean assignment_source.a?"),
        ("--who nobody-of-this-name", "--who nobody-of-this-name: the history does not have it"),
    ],
)
def test_a_filter_that_nothing_can_match_is_an_error(two, words, message):
    two.apply()
    ran = two.run("history", *words.split())
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err
    assert two.run("history", "--field", "sql").code == 0
