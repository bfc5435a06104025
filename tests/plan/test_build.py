from __future__ import annotations

import json
import subprocess
import sys

import pytest
from golden import cases, plan_of, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import declared_values, toml_definition

from planner.definitions.addresses import parts
from planner.definitions.definition import Definitions
from planner.definitions.fields import Call
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import ASSIGNMENT_SOURCE, RESOURCE_TYPES
from planner.errors import PlanError, TooManyChanges, UsageError
from planner.plan import verbs
from planner.plan.build import Plan, build_plan
from planner.plan.refusals import check_limit, check_twins
from state.snapshot import EMPTY
from state.values import Address


def address(key: str) -> Address:
    return Address(f"assignment_source.{key}")


def definitions(*texts: str) -> Definitions:
    return parse_definitions({"statform.toml": "\n".join(texts).encode()})


def state(**sources):
    return snapshot({address(key): {"data": {}, **source} for key, source in sources.items()})


def team(key: str, needs=()) -> str:
    return toml_definition(key, {"team": "t"}, needs=[address(k) for k in needs])


def shown(plan: Plan) -> list[tuple[str, str]]:
    return [(action.address.partition(".")[2], action.verb.word) for action in plan.actions]


def problems(found: Definitions, of, targets=()) -> list[tuple[str, str, str | None, int, str]]:
    with pytest.raises(PlanError) as caught:
        build_plan(found, of, targets)
    places = [(d, d.location) for d in caught.value.diagnostics]
    return [(d.summary, d.address or "", d.field, w.line, w.text) for d, w in places if w is not None]


def test_a_plan_updates_adopts_forgets_and_leaves_alone():
    plan = build_plan(
        definitions(team("new"), team("changed"), toml_definition("same", {})), state(changed={}, same={}, gone={})
    )
    assert shown(plan) == [("new", "adopt"), ("changed", "update"), ("same", "no-op"), ("gone", "forget")]
    assert plan.counts == {verbs.UPDATE: 1, verbs.ADOPT: 1, verbs.FORGET: 1, verbs.NO_OP: 1}
    assert [action.address for action in plan.changes] == [address(k) for k in ("new", "changed", "gone")]
    assert plan.managed == 4


def test_without_definitions_and_state_the_plan_does_nothing():
    plan = build_plan(definitions(), EMPTY)
    assert (plan.actions, plan.requests, plan.changes, plan.managed) == ((), (), (), 0)


def test_an_empty_definition_is_adopted_with_an_empty_request():
    plan = build_plan(definitions(toml_definition("a", {})), EMPTY)
    assert [(r.name, r.body) for r in plan.requests] == [("a", {})]


REQUIRED = """
sql = "SELECT 1"
timestampColumn = "ts"
experimentIDColumn = "e"
groupIDColumn = "g"
idTypeMapping = [{ statsigUnitID = "userID", column = "u" }]
"""


def whole(key: str, more: str = "") -> str:
    """A definition that can be created."""
    return f"[assignment_source.{key}]{REQUIRED}{more}"


def removed(key: str, *, delete: bool) -> str:
    return f'[[removed]]\nfrom = "assignment_source.{key}"\ndelete = {str(delete).lower()}'


def test_a_source_that_the_state_lacks_is_created_with_its_own_request():
    plan = build_plan(definitions(whole("a", 'name = "A"\nclear = ["team"]')), EMPTY)
    assert shown(plan) == [("a", "create")]
    (request,) = plan.requests
    assert (request.call, request.name, request.body["name"], "team" in request.body) == (Call.CREATE, "A", "A", False)


def test_a_create_comes_before_what_depends_on_it_and_after_the_rename_that_frees_its_name():
    found = definitions(toml_definition("b", {}, "old"), whole("a", 'name = "n"'), whole("c"), team("d", "c"))
    plan = build_plan(found, state(b={"name": "n"}, d={}))
    assert [(r.address.partition(".")[2], r.call) for r in plan.requests] == [
        ("b", Call.PATCH), ("a", Call.CREATE), ("c", Call.CREATE), ("d", Call.PATCH)
    ]  # fmt: skip
    assert plan.requests[1].needs == {address("b")}


def test_a_changed_query_is_a_full_update_with_all_declared_fields():
    found = definitions('[assignment_source.a]\nsql = "2"\nteam = "t"\nname = "new"')
    (request,) = build_plan(found, state(a={"data": {"sql": "1", "team": "t", "description": "kept"}})).requests
    assert (request.call, request.name) == (Call.FULL, "a")
    assert request.body == {"sql": "2", "team": "t", "name": "new"}


def test_removed_sources_are_deleted_last_in_the_order_of_their_entries_or_forgotten():
    found = definitions(removed("y", delete=True), removed("x", delete=True), removed("z", delete=False), team("a"))
    plan = build_plan(found, state(a={}, w={}, x={}, y={}, z={}))
    assert shown(plan) == [("a", "update"), ("y", "delete"), ("x", "delete"), ("w", "forget"), ("z", "forget")]
    assert [(r.call, r.name, r.body) for r in plan.requests[1:]] == [(Call.DELETE, "y", {}), (Call.DELETE, "x", {})]
    assert not build_plan(found, state(a={"data": {"team": "t"}})).changes


def test_a_delete_comes_before_the_rename_that_takes_its_name():
    found = definitions(removed("z", delete=True), toml_definition("a", {}, "z"))
    assert shown(build_plan(found, state(a={}, z={}))) == [("z", "delete"), ("a", "update")]


def refusal(found, snapshot):
    """The one error of a plan that there can't be."""
    with pytest.raises(PlanError) as caught:
        build_plan(found, snapshot)
    (one,) = caught.value.diagnostics
    return one


def test_a_name_that_is_deleted_can_not_be_created_by_the_same_plan():
    found = definitions(removed("z", delete=True), whole("a", 'name = "z"'))
    one = refusal(found, state(z={}))
    assert one.summary == 'the remote name "z" belongs to assignment_source.z in the state, which this plan deletes'
    assert one.expected.startswith('[[moved]] from "assignment_source.z" to "assignment_source.a"')
    assert shown(build_plan(found, state())) == [("a", "create")]


def test_a_name_of_what_is_forgotten_is_not_said_to_become_free():
    found = definitions(removed("z", delete=False), whole("a", 'name = "z"'))
    one = refusal(found, state(z={}))
    assert one.summary == 'the remote name "z" belongs to assignment_source.z in the state, which this plan forgets'
    assert one.expected == (
        '[[moved]] from "assignment_source.z" to "assignment_source.a", or another name: what is forgotten stays in '
        "Statsig, and keeps its name"
    )


def test_a_source_that_was_moved_and_then_removed_is_known_by_its_last_address():
    moved = '[[moved]]\nfrom = "assignment_source.a"\nto = "assignment_source.b"'
    plan = build_plan(definitions(moved, removed("b", delete=True)), state(a={"name": "n"}))
    assert [(a.address, a.verb.word, a.name, a.moved_from) for a in plan.actions] == [
        (address("b"), "delete", "n", address("a"))
    ]


def test_twins_are_reported_and_refused_until_somebody_says_what_is_meant():
    values = {"sql": "SELECT 1", "timestampColumn": "ts", "experimentIDColumn": "e", "groupIDColumn": "g",
              "idTypeMapping": [{"statsigUnitID": "userID", "column": "u"}]}  # fmt: skip
    before = state(old={"data": values}, other={"data": {**values, "sql": "SELECT 2"}})
    plan = build_plan(definitions(whole("new")), before)
    assert plan.twins == ((address("old"), address("new")),)
    of_two = build_plan(definitions(whole("new") + whole("newer")), before).twins
    assert of_two == ((address("old"), address("new")), (address("old"), address("newer")))
    as_crlf = state(old={"data": {**values, "sql": "a\r\nb"}})
    assert build_plan(definitions(whole("new").replace('"SELECT 1"', '"a\\nb"')), as_crlf).twins
    with pytest.raises(PlanError, match=r"would be created with the query and the columns of assignment_source.old"):
        check_twins(plan, definitions(whole("new")))
    assert not build_plan(definitions(whole("new"), removed("old", delete=False)), before).twins
    moved = '[[moved]]\nfrom = "assignment_source.old"\nto = "assignment_source.new"'
    assert not build_plan(definitions(whole("new"), moved), before).twins


def test_a_source_whose_type_has_fixed_names_can_not_be_renamed(monkeypatch):
    monkeypatch.setitem(RESOURCE_TYPES, "assignment_source", ASSIGNMENT_SOURCE._replace(renames=False))
    found = definitions(toml_definition("a", {}, "new"))
    ((summary, *_),) = problems(found, state(a={}))
    assert summary == "assignment_sources can't be renamed: the API accepts no new name"


def test_a_source_that_can_not_be_created_is_an_error_that_offers_import_and_adoption():
    found = definitions("[assignment_source.a]\nname = 'A b'", "[assignment_source.b]\nadopt = false")
    missing = "sql, timestampColumn, experimentIDColumn, groupIDColumn, idTypeMapping"
    assert problems(found, EMPTY) == [
        (
            f"{address(key)} is not in the state, and can't be created without {missing}",
            address(key),
            None,
            line,
            f"[assignment_source.{key}]",
        )
        for key, line in (("a", 1), ("b", 3))
    ]
    with pytest.raises(PlanError) as caught:
        build_plan(found, EMPTY, [address("a")])
    expected = (
        f"{missing} too; a source that already exists is imported "
        "(`statform import assignment_source.a 'A b'`), or adopted (adopt = true)"
    )
    assert [d.expected for d in caught.value.diagnostics] == [expected]
    assert shown(build_plan(found, state(a={"name": "A b"}, b={}))) == [("a", "no-op"), ("b", "no-op")]


def test_a_target_comes_with_what_it_depends_on_and_nothing_else():
    found = definitions(team("a", "b"), team("b", "c"), team("c"), team("d", "a"), team("e"))
    plan = build_plan(found, state(gone={}), [address("b")])
    assert shown(plan) == [("c", "adopt"), ("b", "adopt")]
    assert plan.managed == 6


def test_a_target_comes_with_the_sources_that_free_its_name():
    found = definitions(toml_definition("a", {}, "b"), toml_definition("b", {}, "c"), toml_definition("c", {}, "d"))
    plan = build_plan(found, state(a={}, b={}, c={}), [address("b")])
    assert shown(plan) == [("c", "update"), ("b", "update")]


@pytest.mark.parametrize(
    ("targets", "excludes", "left"),
    [
        (["b"], [], "cb"),
        (["*"], [], "cbadef"),
        (["assignment_source.[ef]"], [], "ef"),
        (["?", "b"], [], "cbadef"),
        ([], ["c"], "ef"),
        ([], ["assignment_source.d", "e*"], "cbaf"),
        (["a", "e"], ["b"], "e"),
    ],
)
def test_targets_and_excludes_are_addresses_keys_or_patterns(targets, excludes, left):
    found = definitions(team("a", "b"), team("b", "c"), team("c"), team("d", "a"), team("e"), team("f"))
    plan = build_plan(found, EMPTY, targets, excludes)
    assert sorted(parts(action.address)[1] for action in plan.actions) == sorted(left)
    assert plan.left_out == 6 - len(left)


def test_an_exclude_that_matches_nothing_is_an_error():
    with pytest.raises(UsageError, match=r"--exclude chekout: neither .*; did you mean \"checkout\"\?"):
        build_plan(definitions(team("checkout")), EMPTY, (), ["chekout"])


def test_an_address_that_will_be_forgotten_can_be_a_target():
    assert shown(build_plan(definitions(team("a")), state(b={}, c={}), [address("c")])) == [("c", "forget")]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "assignment_source.chekout",
            "--target assignment_source.chekout: neither defined nor in the state; "
            'did you mean "assignment_source.checkout"?',
        ),
        ("x", "--target x: neither defined nor in the state"),
        ("", "--target : neither defined nor in the state"),
    ],
)
def test_an_unknown_target_is_an_error(target, message):
    with pytest.raises(UsageError) as caught:
        build_plan(definitions(team("checkout")), state(gone={}), [address("checkout"), Address(target)])
    assert str(caught.value) == message


def test_a_name_that_another_address_still_has_can_not_be_adopted():
    found = definitions(toml_definition("a", {}, "new"), toml_definition("b", {}, "old"))
    assert problems(found, state(a={"name": "old"})) == [
        (
            'the remote name "old" belongs to assignment_source.a in the state, which this plan would rename',
            address("b"),
            "name",
            6,
            'name = "old"',
        )
    ]
    # After a is renamed, b can have the name.
    assert build_plan(found, state(a={"name": "new"})).counts[verbs.ADOPT] == 1
    assert build_plan(found, state(a={"name": "old"}), [address("a")]).counts[verbs.UPDATE] == 1


@pytest.mark.parametrize("unknown", ["gadget.x", "x", "", ".", "assignment_sources.x"])
def test_a_state_with_an_unknown_type_gives_no_plan(unknown):
    with pytest.raises(PlanError) as caught:
        build_plan(definitions(team("a")), snapshot({unknown: {}}))
    (found,) = caught.value.diagnostics
    assert (found.summary, found.address) == (f"the state has {unknown}, of an unknown type", unknown)


LIMITS = [
    (None, 10, 10, False),
    (3, 3, 10, False),
    (2, 3, 10, True),
    (0, 1, 10, True),
    (0, 0, 10, False),
    ("30%", 3, 10, False),
    ("30%", 4, 10, True),
    ("33%", 1, 3, True),
    ("34%", 1, 3, False),
    ("0%", 1, 3, True),
    ("100%", 3, 3, False),
    ("1%", 0, 0, False),
]


@pytest.mark.parametrize(("limit", "changes", "managed", "is_refused"), LIMITS)
def test_a_plan_that_changes_more_than_the_limit_is_refused(limit, changes, managed, is_refused):
    files = [team(f"k{n}") if n < changes else toml_definition(f"k{n}", {}) for n in range(managed)]
    plan = build_plan(definitions(*files), state(**{f"k{n}": {} for n in range(managed)}))
    if not is_refused:
        check_limit(plan, limit)
        return
    with pytest.raises(TooManyChanges) as caught:
        check_limit(plan, limit)
    assert (caught.value.count, caught.value.managed, caught.value.limit) == (changes, managed, str(limit))
    assert f"the plan changes {changes} of {managed} managed resources, and max_changes is {limit}\n" in str(
        caught.value
    )


def test_a_share_is_of_all_managed_addresses_even_with_a_target():
    keys = [f"k{n}" for n in range(10)]
    plan = build_plan(definitions(*map(team, keys)), state(**{key: {} for key in keys}), [address("k3")])
    check_limit(plan, "10%")
    with pytest.raises(TooManyChanges):
        check_limit(plan, "9%")


def test_a_forgotten_address_counts_as_a_change():
    with pytest.raises(TooManyChanges):
        check_limit(build_plan(definitions(), state(a={}, b={})), 1)


def test_the_digest_covers_what_is_done_and_where_it_starts():
    found, start = definitions(team("a"), toml_definition("b", {})), state(a={}, b={})
    plan = build_plan(found, start)
    assert plan.digest == build_plan(definitions(team("a"), toml_definition("b", {}), "# other"), start).digest
    assert plan.digest == build_plan(definitions(team("a"), toml_definition("b", {"tags": []})), state(
        a={}, b={"data": {"tags": []}}
    )).digest  # fmt: skip
    others = [
        build_plan(definitions(team("b"), toml_definition("a", {})), start),
        build_plan(found, start._replace(serial=2)),
        build_plan(found, start._replace(head="1" * 64)),
        build_plan(found, start._replace(lineage="other")),
        build_plan(found, state(a={}, b={}, c={})),
        build_plan(found, state(a={"name": "x"}, b={})),
        build_plan(definitions(toml_definition("a", {"team": "u"}), toml_definition("b", {})), start),
        build_plan(definitions(toml_definition("a", {"teamID": "t"}), toml_definition("b", {})), start),
    ]
    assert len({plan.digest, *(other.digest for other in others)}) == len(others) + 1


DIGESTS = (
    "import golden, json; from planner.errors import PlannerError\n"
    "def of(case):\n"
    "    try: return golden.plan_of(case).digest\n"
    "    except PlannerError: return None\n"
    "print(json.dumps([[case.name, of(case), golden.results(case)] for case in golden.cases()]))"
)


def test_the_same_input_gives_the_same_plan_to_the_byte_in_every_process():
    found = [
        subprocess.run(
            [sys.executable, "-c", DIGESTS],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(json.loads(found[0])) == len(cases())


@settings(max_examples=50, deadline=None)
@given(st.lists(declared_values(), min_size=1, max_size=3), st.data())
def test_the_order_of_fields_and_of_the_state_changes_nothing(values, data):
    keys = [f"k{n}" for n in range(len(values))]
    turned = [{field: one[field] for field in data.draw(st.permutations(list(one)))} for one in values]
    plans = [
        build_plan(definitions(*map(toml_definition, keys, each)), state(**{key: {} for key in order}))
        for each, order in ((values, keys), (turned, keys[::-1]))
    ]
    assert plans[0] == plans[1]
    assert plans[0].digest == plans[1].digest
    assert [list(r.body) for r in plans[0].requests] == [list(r.body) for r in plans[1].requests]


def test_the_same_input_gives_equal_plans_with_equal_digests():
    case = next(case for case in cases() if case.name == "every-field")
    assert plan_of(case) == plan_of(case)
    assert len({plan_of(case).digest, plan_of(case).digest}) == 1


MOVED = '[[moved]]\nfrom = "assignment_source.a"\nto = "assignment_source.b"\n'


def moved_from(plan):
    return {action.address: action.moved_from for action in plan.actions if action.moved_from}


def test_a_changed_key_with_the_same_name_is_the_same_source():
    plan = build_plan(
        definitions(toml_definition("b", {"team": "other"}, "n")), state(a={"name": "n", "data": {"team": "b's"}})
    )
    assert moved_from(plan) == {address("b"): address("a")}
    assert [action.verb for action in plan.actions] == [verbs.UPDATE]
    assert [(r.address, r.name) for r in plan.requests] == [(address("b"), "n")]


def test_a_declared_move_wins_over_one_found_by_the_name():
    plan = build_plan(definitions(MOVED + toml_definition("b", {}, "new")), state(a={"name": "old"}))
    assert moved_from(plan) == {address("b"): address("a")}
    assert [(r.name, r.body) for r in plan.requests] == [("old", {"name": "new"})]


def test_a_move_that_changes_nothing_else_is_a_change_that_sends_nothing():
    plan = build_plan(definitions(toml_definition("b", {}, "n")), state(a={"name": "n"}))
    assert len(plan.changes) == 1
    assert not plan.requests
    stayed = build_plan(definitions(toml_definition("a", {}, "n")), state(a={"name": "n"}))
    assert plan.digest != stayed.digest


def test_moves_are_followed_and_finished_moves_have_no_effect():
    chain = MOVED + '[[moved]]\nfrom = "assignment_source.b"\nto = "assignment_source.c"\n'
    found = definitions(chain + toml_definition("c", {}))
    assert moved_from(build_plan(found, state(a={}))) == {address("c"): address("a")}
    assert moved_from(build_plan(found, state(b={}))) == {address("c"): address("b")}
    assert not build_plan(found, state(c={})).changes
    assert [(a.address, a.verb) for a in build_plan(found, state(a={"name": "x"}, c={})).changes] == [
        (address("a"), verbs.FORGET)
    ]


def test_a_name_that_changed_with_its_key_is_shown_as_a_likely_move():
    same = {"description": "d", "tags": ["x"]}
    found = definitions(toml_definition("new", same))
    plan = build_plan(found, state(old={"data": same}))
    assert plan.likely_moves == ((address("old"), address("new")),)
    assert (plan.counts[verbs.ADOPT], plan.counts[verbs.FORGET]) == (1, 1)
    assert not build_plan(found, state(old={"data": same}, older={"data": same})).likely_moves
    assert not build_plan(found, state(old={"data": {**same, "tags": []}})).likely_moves
    assert not build_plan(definitions(toml_definition("new", {"tags": ["x"]})), state(old={"data": same})).likely_moves
