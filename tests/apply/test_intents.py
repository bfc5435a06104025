"""What is sent for a request, and what is noted as its prior, made of the source as it was seen and of the state."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from planner.apply.sending.intents import find_reset, find_unasked, make_intent, merge
from planner.definitions.fields import Call
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.plan import verbs
from planner.plan.diff import ABSENT, NAME, Action, FieldChange
from planner.plan.order import Request
from state.records import Intent
from state.snapshot import ResourceState
from state.values import Address

A = Address("assignment_source.a")


def state(data: dict[str, Any], **unreturned: Any) -> ResourceState:
    return ResourceState("a", {"name": "a", **data}, unreturned, "t")


def intent(
    call: Call,
    body: dict[str, Any],
    changes: dict[str, tuple[Any, Any]],
    prior: ResourceState | None = None,
    source: dict[str, Any] | None = None,
) -> Intent:
    """That of a request with this body; `changes` are the values before and after of each field."""
    fields = {"name": NAME, **ASSIGNMENT_SOURCE.field}
    changed = tuple(FieldChange.of(fields[name], before, after) for name, (before, after) in changes.items())
    action = Action(A, ASSIGNMENT_SOURCE, verbs.UPDATE, "a", changed)
    return make_intent(Request(A, call, "a", body), action, prior, source, "t")


# The body of a full update


def test_a_full_update_sends_what_nobody_declares_as_it_is() -> None:
    there = {"name": "a", "sql": "SELECT 1", "description": "theirs", "isVerified": True}
    body = merge(ASSIGNMENT_SOURCE, there, None, {"sql": "SELECT 2"}, {"sql"})
    assert body == {"sql": "SELECT 2", "description": "theirs", "isVerified": True}


def test_a_full_update_sends_what_the_list_leaves_out_as_the_state_has_it() -> None:
    prior = state({"sql": "SELECT 0", "team": "t"}, teamID="t1")
    body = merge(ASSIGNMENT_SOURCE, {"sql": "SELECT 1"}, prior, {"description": "new"}, {"description"})
    assert body == {"sql": "SELECT 1", "team": "t", "teamID": "t1", "description": "new"}


def test_a_full_update_sends_null_only_where_a_field_can_be_null() -> None:
    there = {"sql": "SELECT 1", "team": None, "description": None, "teamID": "t1"}
    assert merge(ASSIGNMENT_SOURCE, there, None, {}, ()) == {"sql": "SELECT 1", "team": None, "teamID": "t1"}


def test_a_full_update_sends_a_declared_value_that_no_plan_changes_only_where_nothing_is_there() -> None:
    there = {"sql": "select 1", "team": "theirs"}
    declared = {"sql": "SELECT 1", "team": "ours", "description": "d"}
    body = merge(ASSIGNMENT_SOURCE, there, None, declared, {"team"})
    assert body == {"sql": "select 1", "team": "ours", "description": "d"}


def test_a_full_update_is_laid_over_the_source_and_the_state() -> None:
    changes = {"sql": ("SELECT 1", "SELECT 2")}
    there = {"name": "a", "sql": "SELECT 1", "description": "theirs"}
    found = intent(Call.FULL, {"sql": "SELECT 2"}, changes, state(there, team="t"), there)
    assert found.sent == {"sql": "SELECT 2", "description": "theirs", "team": "t"}
    assert (found.method, found.name, found.at, found.deadline_s) == ("POST", "a", "t", 300)


# The prior


def test_what_the_answer_to_a_full_update_shows_and_nobody_asked_for_is_found() -> None:
    sent = Intent(A, "POST", "a", {}, {"sql": "SELECT 2", "description": "d"}, "t")
    data = {"name": "a", "sql": "SELECT 2", "description": "e", "team": "x", "owner": {"ownerID": "u"}, "new": 1}
    assert find_unasked(ASSIGNMENT_SOURCE, sent, {**data, "isVerified": False, "tags": []}) == ("team",)
    assert find_unasked(ASSIGNMENT_SOURCE, sent, {**data, "tags": ["x"]}) == ("tags", "team")
    assert find_unasked(ASSIGNMENT_SOURCE, evolve(sent, method="PATCH"), data) == ()
    assert find_unasked(ASSIGNMENT_SOURCE, evolve(sent, sent={"name": "a"}), data) == ()


def test_the_prior_of_a_full_update_is_the_source_as_it_was_seen() -> None:
    changes = {"sql": ("SELECT 1 ", "SELECT 2"), "team": (ABSENT, "t"), "description": ("d", "e")}
    body = {"sql": "SELECT 2", "team": "t", "description": "e"}
    found = intent(Call.FULL, body, changes, None, {"name": "a", "sql": "SELECT 1", "isVerified": True})
    assert found.before == {"sql": "SELECT 1", "isVerified": True}


@pytest.mark.parametrize(("was", "before"), [("Select 1", "Select 1"), (ABSENT, "select 1")])
def test_the_prior_of_a_value_that_is_there_already_is_the_one_that_was_sent_before(was: Any, before: str) -> None:
    changes = {"sql": (was, "select 1"), "team": ("t", "u")}
    there = {"name": "a", "sql": "select 1", "team": "T"}
    found = intent(Call.FULL, {"sql": "select 1", "team": "u"}, changes, None, there)
    assert found.before == {"sql": before, "team": "T"}


def test_the_prior_of_a_patch_is_as_the_api_told_it_and_else_as_it_was_sent() -> None:
    changes = {"team": ("T ", "u"), "teamID": ("t1", "u1"), "description": (ABSENT, "d")}
    body = {"team": "u", "teamID": "u1", "description": "d"}
    found = intent(Call.PATCH, body, changes, state({"team": "t"}, team="T ", teamID="t1"))
    assert (found.before, found.sent) == ({"team": "t", "teamID": "t1"}, body)
    assert intent(Call.PATCH, body, changes).before == {"team": "T ", "teamID": "t1"}


def test_a_create_has_no_prior() -> None:
    body = {"name": "a", "team": "t"}
    assert intent(Call.CREATE, body, {"team": (ABSENT, "t")}).before == {}


def test_the_prior_of_a_delete_is_all_of_the_source_and_of_one_that_is_gone_what_the_state_has() -> None:
    prior = state({"team": "t"}, teamID="t1")
    there = {"name": "a", "team": "theirs"}
    assert intent(Call.DELETE, {}, {}, prior, there).before == there
    assert intent(Call.DELETE, {}, {}, prior).before == {"name": "a", "team": "t", "teamID": "t1"}
    assert intent(Call.DELETE, {}, {}).before == {"name": "a"}


# A field that statform does not know


@pytest.mark.parametrize(
    ("was", "now", "reset"),
    [
        ({"loadingWindow": 7}, {}, ("loadingWindow",)),
        ({"loadingWindow": 7}, {"loadingWindow": None}, ("loadingWindow",)),
        ({"loadingWindow": 7}, {"loadingWindow": 8}, ()),
        ({"loadingWindow": None}, {}, ()),
        ({"team": "t", "name": "a"}, {}, ()),
    ],
)
def test_an_unknown_field_that_had_a_value_and_has_none_was_reset(
    was: dict[str, Any], now: dict[str, Any], reset: tuple[str, ...]
) -> None:
    assert find_reset(ASSIGNMENT_SOURCE, was, now) == reset


# An adoption


def test_the_intent_of_an_adoption_has_all_declared_fields_as_they_were_seen() -> None:
    there = {"name": "a", "description": "old", "team": "t", "tags": ["x"]}
    change = FieldChange.of(ASSIGNMENT_SOURCE.field["description"], "old", "new")
    action = Action(A, ASSIGNMENT_SOURCE, verbs.ADOPT, "a", (change,))
    request, declared = Request(A, Call.PATCH, "a", {"description": "new"}), {"description", "team"}
    made = make_intent(request, action, None, there, "t", declared=declared)
    assert made.before == {"description": "old", "team": "t"}
    prior = state({"description": "old", "team": "t"})
    assert make_intent(request, action, prior, there, "t", declared=declared).before == {"description": "old"}
