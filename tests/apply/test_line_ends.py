"""A text whose lines end in CR LF is as a definition says it: what is sent for something else leaves it alone."""

from __future__ import annotations

import pytest

from planner.apply.sending.intents import merge
from planner.definitions.resources import ASSIGNMENT_SOURCE


@pytest.mark.parametrize(
    ("there", "declared", "sent"),
    [
        ("a\r\nb", "a\nb", "a\r\nb"),
        ("a\r\nb\n", "a\nb\n", "a\r\nb\n"),
        ("a\r\nb", "a\nc", "a\nc"),
        ("a\nb", "a\r\nb", "a\r\nb"),
        ("a\r\r\nb", "a\r\nb", "a\r\nb"),
    ],
)
def test_a_full_update_changes_no_line_ends_that_no_plan_showed(there, declared, sent):
    changed = {"team", "sql"} if sent == declared != there else {"team"}
    body = merge(ASSIGNMENT_SOURCE, {"name": "a", "sql": there}, None, {"sql": declared, "team": "t"}, changed)
    assert (body["sql"], body["team"]) == (sent, "t")
