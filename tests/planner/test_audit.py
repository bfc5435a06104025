from __future__ import annotations

import pytest
from golden import snapshot
from strategies import toml_definition

from planner.audit import find_conflicts
from planner.definitions import parse
from planner.plan import build_plan

A = "assignment_source.a"


def conflicts(definitions: str, state, remote: dict[str, dict], targets=()):
    """(field, summary, line) of each; `remote` is by name."""
    found = parse({"statform.toml": definitions.encode()})
    plan = build_plan(found, snapshot({f"assignment_source.{key}": one for key, one in state.items()}), targets)
    sources = {name: {"name": name, **source} for name, source in remote.items()}
    return [
        (d.field, d.summary, d.location.line)
        for d in find_conflicts(plan, found, {"assignment_source": sources})
        if d.location
    ]


def of_a(desired, prior, remote):
    return conflicts(toml_definition("a", desired), {"a": {"data": prior}}, {"a": remote})


def test_a_remote_value_that_is_neither_prior_nor_desired_is_a_conflict():
    assert of_a({"description": "new"}, {"description": "old"}, {"description": "else"}) == [
        ("description", 'the remote\'s description is "else": neither the prior "old" nor the desired "new"', 2)
    ]


@pytest.mark.parametrize(
    ("desired", "prior", "remote"),
    [
        ({"description": "new"}, {"description": "old"}, {"description": "old"}),
        ({"description": "new"}, {"description": "old"}, {"description": "new"}),
        ({"description": "new"}, {"description": "old"}, {}),
        ({"description": "new"}, {"description": " Old"}, {"description": "old"}),
        ({"description": "new"}, {"description": "old"}, {"description": "old", "team": "another"}),
        ({"isVerified": True}, {}, {"isVerified": False}),
        ({"tags": ["x"]}, {"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
        ({"team": None}, {"team": "t"}, {"team": None}),
        ({"team": None}, {"team": "t"}, {}),
        ({"owner": {"ownerID": "v"}}, {"owner": {"ownerID": "u"}}, {"owner": {"ownerID": "u", "ownerName": "U"}}),
        ({}, {"description": "old"}, {"description": "else"}),
        ({"description": "old"}, {"description": "old"}, {"description": "else"}),
    ],
)
def test_what_nobody_moved_or_nobody_sends_is_no_conflict(desired, prior, remote):
    assert of_a(desired, prior, remote) == []


@pytest.mark.parametrize(
    ("desired", "prior", "remote"),
    [
        ({"team": None}, {"team": "t"}, {"team": "u"}),
        ({"team": "x"}, {"team": None}, {"team": "u"}),
        ({"tags": ["x"]}, {"tags": ["a"]}, {"tags": ["a", "b"]}),
        ({"tags": ["x"]}, {"tags": ["a"]}, {"tags": [1, {}]}),
        ({"isVerified": True}, {"isVerified": False}, {"isVerified": 0}),
        ({"owner": {"ownerID": "v"}}, {"owner": {"ownerID": "u"}}, {"owner": {"ownerID": "w"}}),
        ({"owner": {"ownerID": "v"}}, {"owner": {"ownerID": "u"}}, {"owner": None}),
    ],
)
def test_what_somebody_else_moved_is_a_conflict(desired, prior, remote):
    (found,) = of_a(desired, prior, remote)
    assert found[0] == next(iter(desired))


def test_every_field_that_moved_is_reported_in_plan_order():
    found = conflicts(
        toml_definition("b", {"team": "x"}) + toml_definition("a", {"team": "x", "description": "x"}),
        {"a": {"data": {"team": "1", "description": "1"}}, "b": {"data": {"team": "1"}}},
        {"a": {"team": "2", "description": "2"}, "b": {"team": "2"}},
    )
    assert [(field, line) for field, _, line in found] == [("team", 2), ("description", 5), ("team", 4)]


def test_a_source_that_is_not_there_is_a_conflict():
    text = toml_definition("a", {}, "x") + toml_definition("b", {"team": "t"})
    assert conflicts(text, {"b": {}}, {}) == [
        (None, 'the remote has no source named "x"', 2),
        (None, 'the remote has no source named "b"', 3),
    ]


def test_an_adopted_source_may_have_any_value_but_another_sql():
    text = toml_definition("a", {"sql": "SELECT 1", "team": "t"})
    assert conflicts(text, {}, {"a": {"sql": "SELECT 1", "team": "u"}}) == []
    assert conflicts(text, {}, {"a": {"sql": "SELECT 2"}}) == [
        ("sql", 'sql differs from the remote\'s "SELECT 2", and PATCH does not take it', 2)
    ]
    assert len(conflicts(text, {}, {"a": {}})) == 1


def test_a_new_name_that_somebody_has_is_a_conflict():
    text = toml_definition("a", {}, "x")
    assert conflicts(text, {"a": {}}, {"a": {}, "x": {}}) == [("name", 'the remote name "x" is taken', 2)]
    assert conflicts(text, {"a": {}}, {"a": {}}) == []


def test_names_that_the_plan_frees_before_are_free():
    swap = toml_definition("a", {}, "b") + toml_definition("b", {}, "a")
    assert conflicts(swap, {"a": {}, "b": {}}, {"a": {}, "b": {}}) == []
    chain = toml_definition("a", {}, "b") + toml_definition("b", {}, "c")
    assert conflicts(chain, {"a": {}, "b": {}}, {"a": {}, "b": {}}) == []
    assert [line for _, _, line in conflicts(chain, {"a": {}, "b": {}}, {"a": {}, "b": {}, "c": {}})] == [4]


def test_a_temporary_name_that_somebody_has_is_a_conflict():
    swap = toml_definition("a", {}, "b") + toml_definition("b", {}, "a")
    found = conflicts(swap, {"a": {}, "b": {}}, {"a": {}, "b": {}, "a_statform_swap": {}})
    assert [summary for _, summary, _ in found] == ['the remote name "a_statform_swap" is taken']


def test_what_is_forgotten_or_left_alone_may_be_anything():
    assert conflicts(toml_definition("a", {}), {"a": {}, "gone": {}}, {}) == []
