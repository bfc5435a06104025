from __future__ import annotations

import itertools

import pytest
from command import REQUIRED
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import declared_values, toml_definition
from work import grows_linearly

from planner.definitions.equality import is_satisfied
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import RESOURCE_TYPES
from planner.plan import moves
from planner.plan.build import build_plan
from planner.plan.moves import find_likely_moves, find_moves
from state.snapshot import ResourceState, Snapshot
from state.values import Address

FIELDS = RESOURCE_TYPES["assignment_source"].field


class Counted(str):
    """A text whose comparison is a call, so that a profiler can count it."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def address(key: str) -> Address:
    return Address(f"assignment_source.{key}")


def definitions(texts):
    return parse_definitions({"statform.toml": "\n".join(texts).encode()})


def snapshot(sources) -> Snapshot:
    states = {address(key): ResourceState(key, {"name": key, **data}, {}, "t") for key, data in sources.items()}
    return Snapshot("l", 1, "h", 1, states, {})


def likely(new, old):
    found, state = definitions([toml_definition(k, v) for k, v in new.items()]), snapshot(old)
    return {o.partition(".")[2]: n.partition(".")[2] for o, n in build_plan(found, state).likely_moves}


@settings(max_examples=200, deadline=None)
@given(st.lists(declared_values(), min_size=1, max_size=4), st.data())
def test_a_likely_move_is_the_only_pair_with_all_declared_values(declared, data):
    new = {f"new{n}": values for n, values in enumerate(declared)}
    sources = data.draw(st.lists(st.sampled_from(declared), max_size=4))
    old = {f"old{n}": {**values, "isReadOnly": False} for n, values in enumerate(sources)}
    pairs = [
        (o, n)
        for (o, prior), (n, values) in itertools.product(old.items(), new.items())
        if len(values) > 1 and all(is_satisfied(FIELDS[f].kind, v, prior.get(f)) for f, v in values.items())
    ]
    only = {o: n for o, n in pairs if sum(o == p for p, _ in pairs) == sum(n == p for _, p in pairs) == 1}
    assert likely(new, old) == only


def test_only_the_declared_members_of_a_table_are_compared():
    new = {"new": {"owner": {"ownerID": "1"}, "team": "t"}}
    assert likely(new, {"old": {"owner": {"ownerID": "1", "ownerName": "Ana"}, "team": "t"}}) == {"old": "new"}
    assert not likely(new, {"old": {"owner": {"ownerID": "2"}, "team": "t"}})


def test_sets_and_keyed_lists_are_the_same_in_any_order():
    mapping = [{"statsigUnitID": "userID", "column": "u"}, {"statsigUnitID": "stableID", "column": "s"}]
    new = {"new": {"tags": ["a", "b"], "idTypeMapping": mapping}}
    assert likely(new, {"old": {"tags": ["b", "a"], "idTypeMapping": mapping[::-1]}}) == {"old": "new"}
    assert not likely(new, {"old": {"tags": ["b", "c"], "idTypeMapping": mapping}})


def test_likely_moves_are_not_looked_for_beyond_a_million_comparisons(monkeypatch):
    new, old = {"new": {"team": "t", "description": "d"}}, {"old": {"team": "t", "description": "d"}}
    monkeypatch.setattr(moves, "MAX_LOOK_UPS", 1)
    assert likely(new, old) == {"old": "new"}
    assert not likely(new, {**old, "other": {}})


def test_a_declared_move_is_not_given_to_another_address_with_its_name():
    told = f'[[moved]]\nfrom = "{address("a")}"\nto = "{address("n")}"'
    found = definitions([toml_definition("n", {}, "x"), told])
    assert find_moves(found, snapshot({"a": {}, "x": {}})) == {address("n"): address("a")}


def test_a_chain_of_moves_may_be_declared_from_its_end():
    told = [f'[[moved]]\nfrom = "{address(old)}"\nto = "{address(new)}"' for old, new in ("bc", "ab")]
    assert find_moves(definitions([toml_definition("c", {}), *told]), snapshot({"a": {}})) == {
        address("c"): address("a")
    }


def test_twins_have_the_same_query_and_columns_and_need_nothing_else():
    columns = {"timestampColumn": "ts", "idTypeMapping": [{"statsigUnitID": "userID", "column": "u"}]}
    one = {"sourceType": "table", "tableName": "t", **columns}

    def twins(new, old):
        text = toml_definition("new", new).replace("assignment_source", "metric_source").replace("adopt = true", "")
        at = Address("metric_source.old")
        state = Snapshot("l", 1, "h", 1, {at: ResourceState("old", {"name": "old", "sql": "", **old}, {}, "t")}, {})
        return build_plan(definitions([text]), state).twins

    assert twins(one, {**one, "description": "another"}) == (
        (Address("metric_source.old"), Address("metric_source.new")),
    )
    assert not twins(one, {**one, "tableName": "another"})


def test_what_fits_two_new_addresses_is_no_likely_move_of_either():
    old = {"a": {"description": "d", "team": "t", "tags": ["x"]}}
    new = {"b": {"description": "d", "team": "t"}, "c": {"description": "d", "tags": ["x"]}}
    assert likely(new, old) == {}
    assert likely({"b": new["b"]}, old) == {"a": "b"}


@pytest.mark.parametrize(
    ("olds", "news", "pairs"),
    [("abc", "x", ["ax", "bx", "cx"]), ("abcd", "xyz", ["ax", "by", "cz", "dz"]), ("a", "xyz", ["ax", "ay", "az"])],
)
def test_each_of_several_twins_is_in_a_pair(olds, news, pairs):
    found = definitions([toml_definition(key, REQUIRED).replace("adopt = true", "") for key in news])
    plan = build_plan(found, snapshot(dict.fromkeys(olds, REQUIRED)))
    assert [(o + n).replace("assignment_source.", "") for o, n in plan.twins] == pairs


@pytest.mark.parametrize("differs", [True, False], ids=["each its own", "all the same"])
def test_likely_moves_are_found_in_time(differs):
    def work(size):
        values = [{"team": f"t{n * differs}", "tags": ["x"]} for n in range(size)]
        found = definitions(toml_definition(f"new{n}", one) for n, one in enumerate(values))
        state = snapshot({f"old{n}": one for n, one in enumerate(values)})
        actions = build_plan(found, state).actions
        return lambda: find_likely_moves(found, state, actions)

    assert grows_linearly(work, 100)
    assert len(work(50)()) == 50 * differs


def test_moves_by_the_name_and_long_chains_of_moves_are_found_in_time():
    def work(size):
        chain = [f'[[moved]]\nfrom = "assignment_source.a{n}"\nto = "assignment_source.a{n + 1}"' for n in range(size)]
        named = [toml_definition(f"n{n}", {}, f"o{n}") for n in range(size)]
        found = definitions([*chain, *named, toml_definition(f"a{size}", {})])
        state = snapshot({"a0": {}, **{f"o{n}": {} for n in range(size)}})
        counted = {Counted(at): one for at, one in state.resources.items()}
        return lambda: find_moves(found, state._replace(resources=counted))

    assert grows_linearly(work, 100)
    assert len(work(50)()) == 51
