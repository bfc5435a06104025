from __future__ import annotations

import json

import pytest

from planner.console.answers import (
    DEADLINE_S,
    SQL_DEADLINE_S,
    Answer,
    UnusableAnswer,
    call_of,
    deadline_of,
    parse_data,
)
from planner.definitions.fields import Call
from state.records import Intent
from state.values import Address


@pytest.mark.parametrize(
    ("method", "sent", "call"),
    [
        ("POST", {"name": "a", "sql": "SELECT 1"}, Call.CREATE),
        ("POST", {"name": "renamed", "sql": "SELECT 1"}, Call.FULL),
        ("POST", {"sql": "SELECT 1"}, Call.FULL),
        ("PATCH", {"name": "a"}, Call.PATCH),
        ("DELETE", {}, Call.DELETE),
    ],
)
def test_what_an_intent_calls_is_told_by_its_method_and_whether_it_has_its_own_name(method, sent, call):
    assert call_of(Intent(Address("source.a"), method, "a", {}, sent, "t")) is call


def test_a_request_with_a_query_may_take_longer():
    assert deadline_of({"name": "a", "sql": "SELECT 1"}) == SQL_DEADLINE_S
    assert deadline_of({"SQL": "", "name": "a"}) == DEADLINE_S < SQL_DEADLINE_S


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "its data is not an object"),
        ({"data": [], "more": "x"}, "its data is not an object"),
        ({"message": "No."}, "its data is not an object; it says: No."),
        ({"error": "No."}, "its data is not an object; it says: No."),
        ({"errors": ["No."]}, "its data is not an object; it says: No."),
    ],
)
def test_an_answer_without_data_is_told_with_the_error_that_it_has(document, told):
    asked = Intent(Address("source.a"), "PATCH", "a", {}, {}, "t")
    with pytest.raises(UnusableAnswer) as raised:
        parse_data(Answer(200, {}, json.dumps(document).encode()), asked)
    assert str(raised.value) == told
