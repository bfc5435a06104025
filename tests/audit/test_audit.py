from __future__ import annotations

import pytest
from golden import snapshot
from hypothesis import given
from hypothesis import strategies as st
from strategies import declared_values, toml_definition

from planner.apply.checks.conflicts import find_conflicts
from planner.audit.drift import find_drift, find_unmanaged, refresh, without_filled
from planner.definitions.parse import parse_definitions
from planner.plan.build import build_plan
from planner.plan.diff import ABSENT
from state.fold import replay
from state.values import Address

A = "assignment_source.a"


def conflicts(definitions: str, state, remote: dict[str, dict], targets=()):
    """(field, summary, line) of each; `remote` is by name."""
    found = parse_definitions({"statform.toml": definitions.encode()})
    known = snapshot({f"assignment_source.{key}": one for key, one in state.items()})
    plan = build_plan(found, known, targets)
    sources = {name: {"name": name, **source} for name, source in remote.items()}
    return [
        (d.field, d.summary, d.location.line)
        for d in find_conflicts(plan, found, known, {"assignment_source": sources})
        if d.location
    ]


def of_a(desired, prior, remote):
    return conflicts(toml_definition("a", desired), {"a": {"data": prior}}, {"a": remote})


def test_a_remote_value_that_is_neither_prior_nor_desired_is_a_conflict():
    assert of_a({"description": "new"}, {"description": "old"}, {"description": "else"}) == [
        (
            "description",
            'somebody else changed description: the remote has "else", the state has "old", the definition has "new"',
            2,
        )
    ]


@pytest.mark.parametrize(
    ("desired", "prior", "remote"),
    [
        ({"description": "new"}, {"description": "old"}, {"description": "old"}),
        ({"description": "new"}, {"description": "old"}, {"description": "new"}),
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
        ({"description": "new"}, {"description": "old"}, {}),
        ({"description": "new"}, {"description": " Old"}, {"description": "old"}),
        ({"description": "new"}, {"description": "e\u0301"}, {"description": "\u00e9"}),
        ({"description": "new"}, {"description": "a\nb"}, {"description": "a\r\nb"}),
        ({"tags": ["x"]}, {"tags": ["core"]}, {"tags": ["Core"]}),
        (
            {"owner": {"ownerID": "v"}},
            {"owner": {"ownerID": "u", "ownerType": "USER"}},
            {"owner": {"ownerID": "u"}},
        ),
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


def test_a_declared_field_that_the_plan_leaves_alone_is_a_conflict_as_well():
    found = of_a(
        {"description": "old", "team": "t"}, {"description": "old", "team": "s"}, {"description": "else", "team": "s"}
    )
    assert [field for field, _, _ in found] == ["description"]


def test_what_was_sent_and_shown_tidied_is_no_conflict():
    state = {"a": {"data": {"description": "old"}, "unreturned": {"description": " Old"}}}
    assert conflicts(toml_definition("a", {"description": "new"}), state, {"a": {"description": "old"}}) == []


def test_what_nobody_agreed_to_yet_is_a_conflict_until_the_remote_is_as_it_was():
    state = {"a": {"data": {"description": "theirs"}, "unconfirmed": {"description": "old"}}}
    text = toml_definition("a", {"description": "new"})
    assert [field for field, _, _ in conflicts(text, state, {"a": {"description": "theirs"}})] == ["description"]
    assert conflicts(text, state, {"a": {"description": "new"}}) == []


def test_every_field_that_moved_is_reported_in_plan_order():
    found = conflicts(
        toml_definition("b", {"team": "x"}) + toml_definition("a", {"team": "x", "description": "x"}),
        {"a": {"data": {"team": "1", "description": "1"}}, "b": {"data": {"team": "1"}}},
        {"a": {"team": "2", "description": "2"}, "b": {"team": "2"}},
    )
    assert [(field, line) for field, _, line in found] == [("team", 2), ("description", 6), ("team", 5)]


def test_a_source_that_is_not_there_is_a_conflict():
    text = toml_definition("a", {}, "x") + toml_definition("b", {"team": "t"})
    assert conflicts(text, {"b": {}}, {}) == [
        (None, 'the remote has no source named "x"', 2),
        (None, 'the remote has no source named "b"', 4),
    ]


def test_an_adopted_source_may_have_any_value():
    text = toml_definition("a", {"sql": "SELECT 1", "team": "t"})
    assert conflicts(text, {}, {"a": {"sql": "SELECT 1", "team": "u"}}) == []
    assert conflicts(text, {}, {"a": {"sql": "SELECT 2"}}) == []
    assert conflicts(text, {}, {"a": {}}) == []


def test_a_new_name_that_the_state_has_elsewhere_is_told_with_its_address():
    text = toml_definition("a", {}, "x") + toml_definition("b", {}, "x2")
    found = conflicts(text, {"a": {}, "c": {"name": "x"}, "b": {}}, {"a": {}, "x": {}, "b": {}})
    assert found == [("name", 'the remote name "x" is already taken, at assignment_source.c', 2)]


def test_a_new_name_that_somebody_has_is_a_conflict():
    text = toml_definition("a", {}, "x")
    assert conflicts(text, {"a": {}}, {"a": {}, "x": {}}) == [("name", 'the remote name "x" is already taken', 2)]
    assert conflicts(text, {"a": {}}, {"a": {}}) == []


def test_names_that_the_plan_frees_before_are_free():
    swap = toml_definition("a", {}, "b") + toml_definition("b", {}, "a")
    assert conflicts(swap, {"a": {}, "b": {}}, {"a": {}, "b": {}}) == []
    chain = toml_definition("a", {}, "b") + toml_definition("b", {}, "c")
    assert conflicts(chain, {"a": {}, "b": {}}, {"a": {}, "b": {}}) == []
    assert [line for _, _, line in conflicts(chain, {"a": {}, "b": {}}, {"a": {}, "b": {}, "c": {}})] == [5]


def test_a_temporary_name_that_somebody_has_is_a_conflict():
    swap = toml_definition("a", {}, "b") + toml_definition("b", {}, "a")
    found = conflicts(swap, {"a": {}, "b": {}}, {"a": {}, "b": {}, "a_statform_swap": {}})
    assert [summary for _, summary, _ in found] == [
        'the remote name "a_statform_swap" is already taken, and assignment_source.a needs it for a moment, because '
        "names are swapped"
    ]


def test_what_is_forgotten_or_left_alone_may_be_anything():
    assert conflicts(toml_definition("a", {}), {"a": {}, "gone": {}}, {}) == []


def drift(prior: dict, remote: dict | None, *others: dict):
    """Field -> (prior, remote) of the source `a`; None: it is gone."""
    listed = {f"other{n}": one for n, one in enumerate(others)} | ({} if remote is None else {"a": remote})
    found = find_drift(snapshot({A: prior}), {"assignment_source": listed})
    if not found:
        return {}
    (only,) = found
    assert only.address == A
    assert (only.source is None) == (remote is None)
    return None if only.source is None else {c.field.name: (c.before, c.after) for c in only.changes}


@pytest.mark.parametrize(
    ("prior", "remote"),
    [
        ({"data": {"description": "x", "tags": ["a", "b"]}}, {"description": "x", "tags": ["b", "a"]}),
        ({"data": {"team": None}}, {}),
        ({"data": {}}, {"team": None, "isVerified": False, "tags": [], "description": ""}),
        ({"data": {}, "unreturned": {"isVerified": True}}, {"isVerified": True}),
        ({"data": {}, "unreturned": {"isVerified": True}}, {}),
        ({"data": {}, "unreturned": {"team": " Growth "}}, {"team": "growth"}),
        ({"data": {"description": "x"}, "unreturned": {"description": " X"}}, {"description": "x"}),
        ({"data": {"isVerified": True}}, {}),
        ({"data": {"lastScan": 1}}, {"lastScan": 2}),
    ],
)
def test_what_did_not_move_or_can_not_be_seen_is_no_drift(prior, remote):
    assert drift(prior, remote) == {}


@pytest.mark.parametrize(
    ("prior", "remote", "expected"),
    [
        ({"data": {"description": "x"}}, {"description": "y"}, {"description": ("x", "y")}),
        ({"data": {"team": "x"}, "unreturned": {"team": " X"}}, {"team": "X"}, {"team": ("x", "X")}),
        ({"data": {}, "unreturned": {"isVerified": True}}, {"isVerified": False}, {"isVerified": (True, False)}),
        ({"data": {}}, {"team": "Growth"}, {"team": (ABSENT, "Growth")}),
        ({"data": {"scheduledReloadHour": 0}}, {"scheduledReloadHour": None}, {"scheduledReloadHour": (0, None)}),
        ({"data": {"isVerified": True}}, {"isVerified": 1}, {"isVerified": (True, 1)}),
        ({"data": {"owner": {"ownerID": "u"}}}, {"owner": {"ownerID": "u", "ownerName": "U"}},
         {"owner": ({"ownerID": "u"}, {"ownerID": "u", "ownerName": "U"})}),
        ({"data": {"description": "x"}}, {}, {"description": ("x", None)}),
    ],
)  # fmt: skip
def test_what_moved_is_drift_from_prior_to_remote(prior, remote, expected):
    assert drift(prior, remote) == expected


def test_a_field_that_the_list_leaves_out_was_cleared_if_it_shows_it_of_another_source():
    prior = {"data": {"team": "Growth"}}
    assert drift(prior, {}) == {}
    assert drift(prior, {}, {"team": "Search"}) == {"team": ("Growth", None)}
    assert drift({"data": {}, "unreturned": {"team": "Growth"}}, {}, {"team": "Search"}) == {}


def test_an_owner_of_whom_the_state_knows_nothing_is_filled_in_by_the_api_and_no_drift():
    prior = snapshot({A: {"data": {"description": "d"}}})

    def found(**fields):
        drifts = find_drift(prior, {"assignment_source": {"a": {"name": "a", **fields}}})
        return [change.field.name for drift in without_filled(drifts) for change in drift.changes]

    assert found(description="d", owner={"ownerType": "SDK_KEY"}) == []
    assert found(description="e", owner={"ownerType": "SDK_KEY"}, team="t") == ["description", "team"]
    assert without_filled(find_drift(prior, {"assignment_source": {}}))[0].source is None


def test_a_source_that_is_gone_is_drift_and_one_that_nobody_manages_is_told_apart():
    assert drift({"data": {}}, None, {}) is None
    state = snapshot({A: {"data": {}}})
    assert find_unmanaged(state, {"assignment_source": {"z": {}, "a": {}, "b": {}}}) == (
        ("assignment_source", "b"),
        ("assignment_source", "z"),
    )


@given(st.data())
def test_after_a_refresh_nothing_drifts(data):
    def draw_source():
        return data.draw(declared_values(with_sql=True))

    prior = {f"assignment_source.{k}": {"data": draw_source(), "unreturned": draw_source()} for k in "abc"}
    kept = data.draw(st.sets(st.sampled_from("abcd")))
    remote = {"assignment_source": {key: draw_source() for key in kept}}
    before = snapshot(prior)
    found = find_drift(before, remote)
    after = replay(before, refresh(found, before, "t"))
    assert find_drift(after, remote) == ()
    assert {d.address for d in found if d.source is None} == {Address(a) for a in prior if a[-1] not in kept}
    moved = {d.address for d in found}
    assert all(after.resources[a] == before.resources[a] for a in before.resources if a not in moved)
