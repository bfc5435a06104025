"""A query of many lines in a message: where it differs, and not all of it."""

from __future__ import annotations

import pytest
from golden import snapshot

from planner.apply.checks.conflicts import find_conflicts, with_look
from planner.apply.checks.saved import check_seen
from planner.definitions.parse import parse_definitions
from planner.errors import RemoteChanged
from planner.plan.build import build_plan
from planner.plan.saved import SavedPlan
from state.snapshot import EMPTY

LINES = [f"SELECT {n} UNION ALL" for n in range(90)]
SOURCE = {"name": "a", "description": "d"}


def defined(sql: str, settings: str = ""):
    text = f"[assignment_source.a]\n{settings}sql = '''\n{sql}'''\n"
    return parse_definitions({"statform.toml": text.encode()})


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ([*LINES[:41], "SELECT x", *LINES[42:]], 'a text whose line 42 is "SELECT x"'),
        ([*LINES, "-- end"], 'a text whose line 91 is "-- end"'),
        (LINES[:80], "text that ends before line 81"),
    ],
)
def test_what_a_plan_saved_offline_did_not_show_is_told_by_its_first_line_that_differs(theirs, told):
    definitions = defined("\n".join(LINES), "adopt = true\n")
    remote = {"assignment_source": {"a": {**SOURCE, "sql": "\n".join(theirs)}}}
    plan = build_plan(definitions, EMPTY)
    saved = SavedPlan(plan, definitions.digest, "https://statsigapi.net", (), (), "p")
    with pytest.raises(RemoteChanged) as raised:
        check_seen(saved, with_look(plan, remote), definitions, ())
    (found,) = raised.value.diagnostics
    assert told in found.summary
    assert len(found.summary) < 200


def test_what_is_to_be_adopted_may_differ_in_line_ends():
    definitions = defined("\n".join(LINES), "adopt = true\n")
    remote = {"assignment_source": {"a": {**SOURCE, "sql": "\r\n".join(LINES)}}}
    looked = with_look(build_plan(definitions, EMPTY), remote)
    assert (looked.requests, looked.actions[0].changes) == ((), ())


def test_a_conflict_tells_where_three_texts_part():
    definitions = defined("\n".join([*LINES[:5], "mine", *LINES[6:]]))
    state = snapshot({"assignment_source.a": {"name": "a", "data": {**SOURCE, "sql": "\n".join(LINES)}}})
    remote = {"assignment_source": {"a": {**SOURCE, "sql": "\n".join([*LINES[:7], "theirs", *LINES[8:]])}}}
    (found,) = find_conflicts(build_plan(definitions, state), definitions, state, remote)
    assert found.summary == (
        'somebody else changed sql: the remote has a text whose line 8 is "theirs", the state has a text whose line 8 '
        'is "SELECT 7 UNION ALL", the definition has a text whose line 6 is "mine"'
    )
