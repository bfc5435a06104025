"""Who reads a source, and what of it a change takes away: of the list of experiments alone."""

from __future__ import annotations

from typing import Any

import pytest

from planner.audit.experiments import Change, Touched, find_touched, names_read
from planner.definitions.resources import ASSIGNMENT_SOURCE, ENTITY_PROPERTY, QUALIFYING_EVENT, RESOURCE_TYPES
from planner.plan.diff import FieldChange
from state.values import Address


def change(before: str, after: str) -> Change:
    found = FieldChange.of(ASSIGNMENT_SOURCE.field["sql"], before, after)
    return Change(Address("assignment_source.a"), ASSIGNMENT_SOURCE, "a", (found,))


def reader(**fields: Any) -> dict[str, Any]:
    return {"id": "1", "name": "x", "status": "active", "assignmentSourceName": "a", **fields}


@pytest.mark.parametrize(
    "experiment",
    [
        {"identityResolutionSource": "p"},
        {"preComputedUserDimensions": [{"propertySource": "o"}, {"propertySource": "p"}]},
        {"stratifiedSampling": {"entityPropertySource": {"propertySourceName": "p"}}},
    ],
)
def test_an_entity_property_is_named_by_three_fields(experiment):
    assert "p" in names_read(experiment, ENTITY_PROPERTY)
    assert names_read(experiment, ASSIGNMENT_SOURCE) == frozenset()


@pytest.mark.parametrize(
    "value", [None, 1, "p", [], {}, [None, 1, "p"], {"propertySource": "p"}, [{"propertySource": 1}]]
)
def test_a_field_of_another_shape_names_nothing(value):
    fields = ("assignmentSourceFilters", "preComputedUserDimensions", "stratifiedSampling")
    experiment = dict.fromkeys(fields, value)
    assert all(names_read(experiment, type_) == frozenset() for type_ in RESOURCE_TYPES.values())
    find_touched(change("a", "b"), [reader(**experiment)])


@pytest.mark.parametrize(
    ("before", "after", "loses"),
    [
        ("SELECT a, country FROM t", "SELECT a FROM t", ("its filter by country",)),
        ("SELECT a, COUNTRY FROM t", "SELECT a FROM t", ("its filter by country",)),
        ("SELECT a, country FROM t", "SELECT a, country FROM u", ()),
        ("SELECT a, country_id FROM t", "SELECT a FROM t", ()),
        ("SELECT a, country FROM t", "SELECT * FROM t", ()),
        ("SELECT * FROM t", "SELECT a FROM t", ("its filter by country",)),
    ],
)
def test_a_filter_is_lost_where_the_new_query_can_not_yield_its_column(before, after, loses):
    filters = [{"column": "country", "condition": "is", "values": ["NZ"]}]
    (found,) = find_touched(change(before, after), [reader(assignmentSourceFilters=filters)]).readers
    assert found.broken == loses


def test_no_experiment_at_all_is_none_and_a_list_that_tells_nothing_is_unknown():
    of = change("SELECT 1", "SELECT 2")
    assert find_touched(of, []) == Touched(of)
    assert find_touched(of, [{"id": "1", "name": "x", "status": "active"}]).problem is not None
    assert find_touched(of, [reader(assignmentSourceName="b")]) == Touched(of, listed=1)


def test_who_reads_a_qualifying_event_is_unknown():
    of = Change(Address("qualifying_event.q"), QUALIFYING_EVENT, "q")
    assert find_touched(of, [reader()]).problem == "the API has no list of what reads a qualifying_event"
