from __future__ import annotations

import itertools

import cost
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ModelServer, toml_definition
from work import grows_linearly

from planner.definitions.fields import Call
from planner.definitions.parse import parse_definitions
from planner.plan import verbs
from planner.plan.build import Plan, build_plan
from planner.plan.order import Request, dry_requests, find_dependencies, put_in_order
from state.snapshot import ResourceState, Snapshot
from state.values import Address

NAMES = "abcdefgh"
SWAP = "_statform_swap"


def address(key: str) -> Address:
    return Address(f"assignment_source.{key}")


def plan_of(keys, names, priors, needs=(), values=(), forgotten=(), targets=()) -> Plan:
    """A plan for definitions in the order of `keys`; the mappings are by key."""
    needs, values = dict(needs), dict(values)
    definitions = "".join(
        toml_definition(k, values.get(k, {}), names[k], [address(n) for n in needs.get(k, ())]) for k in keys
    )
    states = {address(k): ResourceState(name, {"name": name}, {}, "t") for k, name in [*priors.items(), *forgotten]}
    return build_plan(
        parse_definitions({"statform.toml": definitions.encode()}), Snapshot("l", 1, "h", 1, states, {}), targets
    )


def sent(plan: Plan) -> list[str]:
    return [f"{r.address.partition('.')[2]}: {r.name} {dict(r.body)}" for r in plan.requests]


def renamed(*names: str) -> Plan:
    """A plan that gives source a the first name, source b the second, and so on. Before it, each name is the key."""
    keys = NAMES[: len(names)]
    return plan_of(keys, dict(zip(keys, names, strict=True)), {k: k for k in keys})


def test_a_chain_of_renames_starts_with_the_one_whose_new_name_is_free():
    assert sent(renamed("b", "c", "x")) == ["c: c {'name': 'x'}", "b: b {'name': 'c'}", "a: a {'name': 'b'}"]


def test_a_swap_of_names_goes_through_a_temporary_name():
    assert sent(renamed("b", "a")) == [
        f"a: a {{'name': 'a{SWAP}'}}",
        "b: b {'name': 'a'}",
        f"a: a{SWAP} {{'name': 'b'}}",
    ]


def test_a_cycle_of_names_needs_one_temporary_name():
    assert sent(renamed("b", "c", "a")) == [
        f"a: a {{'name': 'a{SWAP}'}}",
        "c: c {'name': 'a'}",
        "b: b {'name': 'c'}",
        f"a: a{SWAP} {{'name': 'b'}}",
    ]


def test_a_source_that_steps_aside_sends_its_other_changes_with_its_own_name():
    plan = plan_of("ab", {"a": "b", "b": "a"}, {"a": "a", "b": "b"}, values={"a": {"team": "t"}})
    assert sent(plan)[0] == f"a: a {{'name': 'a{SWAP}'}}"
    assert sent(plan)[-1] == f"a: a{SWAP} {{'name': 'b', 'team': 't'}}"


def test_a_temporary_name_is_not_one_that_a_forgotten_or_untargeted_source_has():
    names, priors = {"a": "b", "b": "a"}, {"a": "a", "b": "b"}
    forgotten = plan_of("ab", names, priors, forgotten=[("c", f"a{SWAP}")])
    assert forgotten.requests[0].body == {"name": f"a{SWAP}_"}
    keys = "abcd"
    names, priors = names | {"c": f"a{SWAP}", "d": f"a{SWAP}_"}, priors | {"c": f"a{SWAP}", "d": "d"}
    targeted = plan_of(keys, names, priors, targets=[address("a")])
    assert targeted.requests[0].body == {"name": f"a{SWAP}__"}
    assert [action.address for action in targeted.actions] == [address("b"), address("a")]


def test_two_cycles_that_would_use_the_same_temporary_name_get_two():
    names = {"a": "b", "b": "a", "c": "d", "d": "c"}
    priors = {"a": "x", "b": "y", "c": f"x{SWAP}", "d": "z"}
    plan = plan_of("abcd", {"a": "y", "b": "x", "c": "z", "d": f"x{SWAP}"}, priors)
    temporary = [r.body["name"] for r in plan.requests if r.body["name"] not in priors.values()]
    assert len(set(temporary)) == len(names) / 2
    run_all(plan, priors.values())


def test_without_dependencies_the_order_of_definition_holds():
    plan = plan_of("cab", {k: k for k in "abc"}, {k: k for k in "abc"}, values={k: {"team": "t"} for k in "abc"})
    assert [request.name for request in plan.requests] == ["c", "a", "b"]


def test_dependencies_go_through_unchanged_sources():
    plan = plan_of(
        "abc", {k: k for k in "abc"}, {k: k for k in "abc"}, {"a": "b", "b": "c"}, {k: {"team": "t"} for k in "ac"}
    )
    assert [(r.name, r.needs) for r in plan.requests] == [("c", frozenset()), ("a", {address("c")})]


def test_a_source_that_depends_on_an_unchanged_one_waits_for_all_that_is_behind_that():
    needs = {"a": ["b"], "b": ["c", "d", "e"], "c": ["f"], "d": ["g"]}
    keys = "abcdefg"
    plan = plan_of(keys, {k: k for k in keys}, {k: k for k in keys}, needs, {k: {"team": "t"} for k in "aefg"})
    assert {r.address: r.needs for r in plan.requests}[address("a")] == {address("e"), address("f"), address("g")}


def test_an_unchanged_source_is_walked_once_even_if_many_ways_lead_to_it():
    layers = [(f"l{n}", f"r{n}") for n in range(40)]
    keys = ["a", *itertools.chain(*layers), "z"]
    needs = {"a": layers[0], **{k: below for here, below in itertools.pairwise(layers) for k in here}}
    needs |= {key: ["z"] for key in layers[-1]}
    names = {k: k for k in keys}
    plan = plan_of(keys, names, names, needs, {"a": {"team": "t"}, "z": {"team": "t"}})
    assert [r.needs for r in plan.requests] == [frozenset(), {address("z")}]


def test_a_cycle_is_opened_where_no_dependency_was_declared():
    plan = plan_of("ab", {"a": "b", "b": "a"}, {"a": "a", "b": "b"}, {"a": "b"})
    assert sent(plan) == [f"a: a {{'name': 'a{SWAP}'}}", "b: b {'name': 'a'}", f"a: a{SWAP} {{'name': 'b'}}"]
    plan = plan_of("ab", {"a": "b", "b": "a"}, {"a": "a", "b": "b"}, {"b": "a"})
    assert sent(plan) == [f"b: b {{'name': 'b{SWAP}'}}", "a: a {'name': 'b'}", f"b: b{SWAP} {{'name': 'a'}}"]


@pytest.mark.parametrize("keys", ["acbd", "xacbd", "xyacbd"])
def test_of_several_cycles_the_one_that_is_defined_first_is_opened_first(keys):
    swapped = {k: k for k in keys} | {"a": "b", "b": "a", "c": "d", "d": "c"}
    others = [key for key in keys if key in "xy"]
    plan = plan_of(keys, swapped, {k: k for k in keys}, values={key: {"team": "t"} for key in others})
    assert [r.address[-1] for r in plan.requests] == [*others, "a", "b", "a", "c", "d", "c"]


def test_a_cycle_is_opened_at_the_source_that_is_defined_first():
    plan = plan_of("ba", {"a": "b", "b": "a"}, {"a": "a", "b": "b"})
    assert sent(plan) == [f"b: b {{'name': 'b{SWAP}'}}", "a: a {'name': 'b'}", f"b: b{SWAP} {{'name': 'a'}}"]


def test_a_source_steps_aside_only_after_what_it_depends_on():
    names, priors = {"a": "b", "b": "a", "c": "c"}, {k: k for k in "abc"}
    plan = plan_of("abc", names, priors, {"a": "c"}, {"c": {"team": "t"}})
    assert [r.address[-1] for r in plan.requests] == ["c", "a", "b", "a"]
    assert address("c") in plan.requests[1].needs


def test_a_source_with_the_name_none_waits_for_nothing():
    plan = plan_of("ab", {"a": "a", "b": "None"}, {"a": "a", "b": "None"}, values={k: {"team": "t"} for k in "ab"})
    assert [(r.name, r.needs) for r in plan.requests] == [("a", frozenset()), ("None", frozenset())]


def test_every_target_comes_with_all_that_it_needs():
    needs = {"a": "b", "b": "c", "d": "e"}
    plan = plan_of("abcdef", {k: k for k in "abcdef"}, {}, needs, targets=[address("a"), address("d")])
    assert [action.address[-1] for action in plan.actions] == ["c", "b", "a", "e", "d"]


def test_cycles_that_share_a_source_are_opened_one_after_the_other():
    names, priors = {"a": "d", "b": "c", "c": "b", "d": "a"}, {k: k for k in "abcd"}
    plan = plan_of("abcd", names, priors, {"a": "c", "c": "d"})
    run_all(plan, priors.values())
    assert len(plan.requests) <= 6


def test_a_cycle_with_a_declared_dependency_across_it_needs_one_temporary_name():
    names, priors = {"b": "d", "c": "b", "d": "c"}, {"b": "b", "c": "c", "d": "d"}
    for keys in ("bcd", "cdb", "dbc", "dcb", "cbd", "bdc"):
        plan = plan_of(keys, names, priors, {"b": "c"})
        assert sent(plan)[0] == f"b: b {{'name': 'b{SWAP}'}}"
        assert [r.address[-1] for r in plan.requests] == ["b", "c", "d", "b"]


def run_all(plan: Plan, names, failing: frozenset[int] = frozenset()) -> tuple[ModelServer, set[Address], list[int]]:
    """Send the requests one after the other, and refuse those at `failing`: the server, who failed, what was sent."""
    server = ModelServer({name: {} for name in names})
    failed: set[Address] = set()
    attempted = []
    for n, request in enumerate(plan.requests):
        if {request.address, *request.needs} & failed:
            failed.add(request.address)
            continue
        attempted.append(n)
        if n in failing:
            failed.add(request.address)
        else:
            server.patch(request.name, request.body)
    return server, failed, attempted


@st.composite
def rearrangements(draw):
    """Keys in some order, their desired and prior names, a `depends_on` without cycles, and who has other changes."""
    count = draw(st.integers(1, 8))
    keys = NAMES[:count]
    pool = [*"abcdefgh", "x", "y", f"a{SWAP}"]
    priors = dict(zip(keys, draw(st.permutations(pool)), strict=False))
    among = draw(st.sampled_from([list(priors.values()), pool]))
    names = dict(zip(keys, draw(st.permutations(among)), strict=False))
    rank = dict(zip(keys, draw(st.permutations(keys)), strict=True))
    edges = draw(st.lists(st.tuples(st.sampled_from(keys), st.sampled_from(keys)), max_size=8))
    needs: dict[str, list[str]] = {}
    for one, other in edges:
        if rank[one] > rank[other]:
            needs.setdefault(one, []).append(other)
    values = {key: {"team": "t"} for key in draw(st.sets(st.sampled_from(keys)))}
    return draw(st.permutations(keys)), names, priors, needs, values


@settings(max_examples=150, deadline=None)
@given(rearrangements())
def test_no_request_takes_a_name_in_use_and_all_sources_end_with_their_own(case):
    keys, names, priors, _needs, values = case
    plan = plan_of(*case)
    server, failed, _ = run_all(plan, priors.values())
    assert not failed
    assert set(server.sources) == set(names.values())
    for key in keys:
        assert server.sources[names[key]].get("team") == values.get(key, {}).get("team")


@settings(max_examples=150, deadline=None)
@given(rearrangements())
def test_a_source_is_changed_after_those_that_it_depends_on(case):
    needs = case[3]
    plan = plan_of(*case)
    done = {request.address: n for n, request in enumerate(plan.requests)}
    changing = {action.address for action in plan.changes}
    assert changing == done.keys()
    shown = [action.address for action in plan.actions]
    for key, others in needs.items():
        for other in others:
            assert shown.index(address(other)) < shown.index(address(key))
            if {address(key), address(other)} <= changing:
                assert done[address(other)] < done[address(key)]
    finals = sorted(done, key=done.__getitem__)
    assert finals == [a for a in shown if a in changing]


@settings(max_examples=150, deadline=None)
@given(rearrangements(), st.randoms(use_true_random=False))
def test_the_same_input_in_any_dict_order_gives_the_same_plan(case, random):
    keys, names, priors, needs, values = case
    shuffled = list(priors.items())
    random.shuffle(shuffled)
    again = plan_of(keys, names, dict(shuffled), dict(reversed(list(needs.items()))), values)
    assert again == plan_of(*case)


@settings(max_examples=150, deadline=None)
@given(rearrangements(), st.data())
def test_after_a_failure_no_name_in_use_is_taken_and_only_dependants_are_left_out(case, data):
    priors, needs = case[2:4]
    plan = plan_of(*case)
    if not plan.requests:
        return
    failing = data.draw(st.sets(st.integers(0, len(plan.requests) - 1), min_size=1, max_size=2))
    _server, failed, attempted = run_all(plan, priors.values(), frozenset(failing))
    culprits = {plan.requests[n].address for n in failing & set(attempted)}
    dependants = closure(plan, needs, priors, culprits)
    assert failed <= dependants
    assert {plan.requests[n].address for n in range(len(plan.requests)) if n not in attempted} <= failed
    # A source that depends on a failed one never gets its last request.
    finals = {request.address: n for n, request in enumerate(plan.requests)}
    for key, others in needs.items():
        if any(address(other) in failed for other in others) and address(key) in finals:
            assert address(key) in failed
            assert finals[address(key)] not in attempted


def closure(plan: Plan, needs, priors, culprits: set[Address]) -> set[Address]:
    """The culprits and all that wait for them, directly or not: because of a declaration or a name."""
    holders = {name: address(key) for key, name in priors.items()}
    waits = {address(key): {address(other) for other in others} for key, others in needs.items()}
    for action in plan.actions:
        if action.new_name in holders:
            waits.setdefault(action.address, set()).add(holders[action.new_name])
    found = set(culprits)
    while more := {a for a, others in waits.items() if others & found} - found:
        found |= more
    return found


@settings(max_examples=150, deadline=None)
@given(rearrangements())
def test_a_dry_run_asks_once_for_each_change_and_for_no_name_that_is_taken(case):
    priors = case[2]
    plan = plan_of(*case)
    asked = dry_requests(plan.actions, plan.requests)
    assert [request.address for request in asked] == [action.address for action in plan.changes]
    for request in asked:
        assert request.name == priors[request.address.partition(".")[2]]
        assert request.body.get("name") not in priors.values()


def test_a_dry_run_asks_for_a_name_that_is_free():
    plan = renamed("b", "x")
    assert dry_requests(plan.actions, plan.requests) == (
        Request(address("b"), Call.PATCH, "b", {"name": "x"}),
        Request(address("a"), Call.PATCH, "a", {}),
    )


def test_a_dry_run_asks_about_what_comes_after_a_delete():
    text = toml_definition("a", {"team": "t"}, "b") + f'[[removed]]\nfrom = "{address("b")}"\ndelete = true\n'
    states = {address(k): ResourceState(k, {"name": k}, {}, "t") for k in "ab"}
    plan = build_plan(parse_definitions({"statform.toml": text.encode()}), Snapshot("l", 1, "h", 1, states, {}))
    assert [action.verb for action in plan.actions] == [verbs.DELETE, verbs.UPDATE]
    assert dry_requests(plan.actions, plan.requests) == (Request(address("a"), Call.PATCH, "a", {"team": "t"}),)


@pytest.mark.parametrize("name", ["None", "name"])
def test_a_dry_run_works_with_any_name_of_a_source(name):
    plan = plan_of("a", {"a": name}, {"a": name}, values={"a": {"team": "t"}})
    assert dry_requests(plan.actions, plan.requests) == (Request(address("a"), Call.PATCH, name, {"team": "t"}),)


def test_forgotten_addresses_come_last_and_send_nothing():
    plan = plan_of("a", {"a": "x"}, {"a": "a"}, forgotten=[("0", "0"), ("z", "z")])
    assert [action.verb for action in plan.actions] == [verbs.UPDATE, verbs.FORGET, verbs.FORGET]
    assert sent(plan) == ["a: a {'name': 'x'}"]


SHAPES = {
    "swaps": lambda n: n ^ 1,
    "one cycle": lambda n: (n + 1) % 2000,
    "one chain": lambda n: n + 1,
    "cycles of five": lambda n: n - n % 5 + (n + 1) % 5,
}


@pytest.mark.parametrize("takes", SHAPES.values(), ids=SHAPES.keys())
def test_thousands_of_renames_are_ordered_in_time(takes):
    keys = [f"k{n}" for n in range(2000)]
    names = {f"k{n}": f"k{takes(n)}" for n in range(2000)}
    with cost.at_most(2):
        plan = plan_of(keys, names, {k: k for k in keys})
    server, failed, _ = run_all(plan, keys)
    assert set(server.sources) == set(names.values())
    assert not failed


def _swaps_below_one(n):
    keys = [f"k{i}" for i in range(2 * n)]
    return ["a", *keys], {f"k{i}": f"k{i ^ 1}" for i in range(2 * n)}, {"a": keys}


def _swaps_below_a_chain(n):
    keys, chain = [f"k{i}" for i in range(2 * n)], [f"a{i}" for i in range(n)]
    needs = {one: [other] for one, other in itertools.pairwise(chain)} | {chain[-1]: keys}
    return [*chain, *keys], {f"k{i}": f"k{i ^ 1}" for i in range(2 * n)}, needs


def _unchanged_in_a_chain(n):
    keys, chain = [f"k{i}" for i in range(n)], [f"z{i}" for i in range(n)]
    needs = {one: [other] for one, other in itertools.pairwise(chain)} | {chain[-1]: keys}
    return [*keys, *chain], {key: f"{key}_" for key in keys}, needs


@pytest.mark.parametrize("shape", [_swaps_below_one, _swaps_below_a_chain, _unchanged_in_a_chain])
def test_the_work_of_ordering_grows_in_proportion_to_the_plan(shape):
    def work(size):
        keys, renames, needs = shape(size)
        actions = plan_of(keys, {k: renames.get(k, k) for k in keys}, {k: k for k in keys}).actions
        by_key = {action.address: action for action in actions}
        declared = {address(k): [address(n) for n in others] for k, others in needs.items()}
        in_order = [by_key[address(k)] for k in keys]
        return lambda: put_in_order(in_order, find_dependencies(in_order, declared))

    assert grows_linearly(work, 50)


def test_all_that_wait_for_one_chain_share_one_set_of_needs():
    _, _, needs = _unchanged_in_a_chain(50)
    keys, last = [f"k{i}" for i in range(50)], [f"x{i}" for i in range(50)]
    needs |= {key: [f"z{i}"] for i, key in enumerate(last)}
    everything = [*keys, *(f"z{i}" for i in range(50)), *last]
    same = {key: key for key in everything}
    plan = plan_of(everything, same, same, needs, {key: {"team": "t"} for key in [*keys, *last]})
    behind = [request.needs for request in plan.requests if request.name in last]
    assert all(one is behind[0] for one in behind)
    assert behind[0] == {address(key) for key in keys}
