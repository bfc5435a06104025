from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import json_values, values_of

from planner.definitions.equality import is_satisfied, normal_form
from planner.definitions.fields import Boolean, Integer, KeyedList, String, StringSet, Table, closest
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.plan.diff import element_changes

HOUR, SET, MAP = Integer(0, 23), StringSet(), KeyedList("statsigUnitID", "column")
OWNER = Table(("ownerID", "ownerType", "ownerName", "ownerEmail"))
KINDS = [String(), Boolean(), HOUR, SET, MAP, OWNER]


def entry(key, value):
    return {"statsigUnitID": key, "column": value}


AB, BA = [entry("a", "1"), entry("b", "2")], [entry("b", "2"), entry("a", "1")]
SATISFIED = {
    "an equal string": (String(), "x", "x"),
    "null and null": (String(), None, None),
    "an integer as a float": (HOUR, 5, 5.0),
    "a set in another order": (SET, ["a", "b"], ["b", "a"]),
    "a set with a string twice": (SET, ["a", "b"], ["b", "a", "b"]),
    "an empty set": (SET, [], []),
    "a keyed list in another order": (MAP, AB, BA),
    "a keyed list with an entry twice": (MAP, AB, [*BA, entry("a", "1")]),
    "entries with more in them": (MAP, AB, [{**one, "id": 1} for one in AB]),
    "a table with more members": (OWNER, {"ownerID": "u"}, {"ownerID": "u", "ownerName": "U", "x": [1]}),
}
NOT_SATISFIED = {
    "another string": (String(), "x", "X"),
    "another form of Unicode": (String(), "\u00e9", "e\u0301"),
    "null for a string": (String(), None, "x"),
    "a string for null": (String(), "x", None),
    "an empty string for null": (String(), "", None),
    "an empty set for null": (SET, [], None),
    "an integer for a boolean": (Boolean(), True, 1),
    "a boolean for an integer": (HOUR, 1, True),
    "a boolean as a float": (Boolean(), False, 0.0),
    "a digit for an integer": (HOUR, 5, "5"),
    "a set with more": (SET, ["a"], ["a", "b"]),
    "a set with less": (SET, ["a"], []),
    "a set of other things": (SET, [], [1]),
    "a set with another thing among it": (SET, ["a"], ["a", None]),
    "a string for a set": (SET, ["a"], "a"),
    "a table for a set": (SET, ["a"], {"a": "a"}),
    "another value for a key": (MAP, AB, [entry("a", "1"), entry("b", "3")]),
    "no value for a key": (MAP, AB, [entry("a", "1"), {"statsigUnitID": "b"}]),
    "two values for a key": (MAP, AB, [entry("a", "0"), *AB]),
    "a keyed list with more": (MAP, AB, [*AB, entry("c", "3")]),
    "a keyed list of strings": (MAP, [], ["a"]),
    "an entry without a key": (MAP, [], [{"column": "x"}]),
    "another member": (OWNER, {"ownerID": "u"}, {"ownerID": "v"}),
    "a member that is null": (OWNER, {"ownerID": "u"}, {"ownerID": None}),
    "a list for a table": (OWNER, {"ownerID": "u"}, ["u"]),
}


@pytest.mark.parametrize("case", SATISFIED.values(), ids=SATISFIED.keys())
def test_a_desired_value_that_is_there_is_no_difference(case):
    kind, desired, actual = case
    assert is_satisfied(kind, desired, actual)
    # And no difference is shown.
    assert not element_changes(kind, actual, desired)


@pytest.mark.parametrize("case", NOT_SATISFIED.values(), ids=NOT_SATISFIED.keys())
def test_a_desired_value_that_is_not_there_is_a_difference(case):
    kind, desired, actual = case
    assert not is_satisfied(kind, desired, actual)
    # A difference is shown: by elements, or as a whole.
    assert element_changes(kind, actual, desired) != () or not desired


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_any_actual_value_can_be_compared(kind, data):
    desired = data.draw(st.none() | values_of(kind))
    actual = data.draw(json_values | st.lists(json_values, max_size=3))
    assert is_satisfied(kind, desired, actual) in {True, False}
    assert not kind.problems(desired) or desired is None
    element_changes(kind, actual, desired)
    normal_form(actual)
    kind.problems(actual)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_a_value_satisfies_itself_in_any_order(kind, data):
    value = data.draw(values_of(kind))
    turned = value[::-1] if isinstance(value, list) else value
    assert is_satisfied(kind, value, turned)
    assert is_satisfied(kind, normal_form(value), normal_form(turned)) or isinstance(kind, KeyedList)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_two_different_values_have_different_elements(kind, data):
    before, after = data.draw(values_of(kind)), data.draw(values_of(kind))
    changes = element_changes(kind, before, after)
    if changes is not None:
        assert bool(changes) is not is_satisfied(kind, after, before)
        merged = {**(kind.elements(before) or {}), **{c.key: c.after for c in changes}}
        assert is_satisfied(kind, after, after)
        assert {k: v for k, v in merged.items() if isinstance(v, str)}.items() >= (kind.elements(after) or {}).items()


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        ("  A \n b\t", "a b"),
        ("e\u0301", "\u00e9"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        (["A", None, 1, True], ["a", None, 1, True]),
        ({"Key": [" X "], "Other": " "}, {"Key": ["x"], "Other": None}),
        ("", None),
        (" ", None),
        ([], None),
        (["", " "], ["", ""]),
        ([{"column": ""}], [{"column": ""}]),
        (False, False),
        (0, 0),
    ],
)
def test_the_normal_form_forgets_what_a_server_tidies(value, normal):
    assert normal_form(value) == normal


@settings(max_examples=200, deadline=None)
@given(json_values)
def test_the_normal_form_is_its_own_normal_form(value):
    assert normal_form(normal_form(value)) == normal_form(value)


def test_the_closest_word_is_suggested_in_any_case():
    known = tuple(ASSIGNMENT_SOURCE.field)
    assert closest("ISVERIFIED", known) == '; did you mean "isVerified"?'
    assert closest("teamid", known) == '; did you mean "teamID"?'
    assert closest("x", known) == ""
    assert closest("", known) == ""
    assert closest("x" * 1_000_000, known) == ""
