from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import FEW_STRINGS, ModelServer, declared_values, json_values, strings, toml_definition

from planner.apply.checks.conflicts import find_conflicts
from planner.console.answers import compare_echo
from planner.definitions.definition import Definition
from planner.definitions.fields import Call
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.plan import verbs
from planner.plan.build import Plan, build_plan
from planner.plan.diff import ABSENT, ElementChange, FieldChange, diff
from planner.render import plan_text
from planner.render.style import Style
from state.fold import Fold
from state.records import Applied, Forgotten, Genesis, Intent
from state.snapshot import EMPTY, ResourceState, Snapshot
from state.values import Address

A = Address("assignment_source.a")


def definition(name="a", **values) -> Definition:
    return Definition(A, ASSIGNMENT_SOURCE, name, values, (), "statform.toml")


def prior(data, name="a", unreturned=None) -> ResourceState:
    return ResourceState(name, {"name": name, **data}, unreturned or {}, "t")


def changes(action):
    return {change.field.name: (change.before, change.after) for change in action.changes}


def test_a_field_that_is_not_declared_is_not_changed():
    action = diff(definition(), prior({"description": "x", "tags": ["a"], "unheard of": 1}))
    assert (action.verb, action.changes) == (verbs.NO_OP, ())


def test_an_adopted_source_gets_every_declared_field():
    adopted = definition("n", sql="SELECT 1", team=None, tags=[], description="x")._replace(adopts=True)
    action = diff(adopted, None)
    assert (action.verb, action.name, action.new_name) == (verbs.ADOPT, "n", None)
    expected = {"description": "x", "tags": [], "sql": "SELECT 1", "team": None}
    assert changes(action) == {name: (ABSENT, value) for name, value in expected.items()}
    assert action.call is Call.FULL
    assert diff(definition("n", team=None)._replace(adopts=True), None).call is Call.PATCH


def test_a_source_that_the_state_lacks_is_created_with_all_declared_values():
    action = diff(definition("n", sql="SELECT 1", team=None, tags=[], description="x"), None)
    assert (action.verb, action.name, action.new_name, action.call) == (verbs.CREATE, "n", None, Call.CREATE)
    assert changes(action) == {"description": (ABSENT, "x"), "tags": (ABSENT, []), "sql": (ABSENT, "SELECT 1")}


def test_a_field_that_patch_can_not_carry_makes_the_update_a_full_one():
    state = prior({"sql": "SELECT 1", "description": "x"})
    assert diff(definition(sql="SELECT 1", description="y"), state).call is Call.PATCH
    assert diff(definition(sql="SELECT 2", description="y"), state).call is Call.FULL
    assert diff(definition(sql="SELECT 1", description="x"), state).call is None


def test_a_type_without_patch_has_only_full_updates():
    type_ = ASSIGNMENT_SOURCE._replace(has_patch=False)
    assert diff(definition(description="y")._replace(type=type_), prior({"description": "x"})).call is Call.FULL


def test_a_declared_null_equals_an_absent_field():
    for data in ({}, {"team": None}):
        assert diff(definition(team=None), prior(data)).verb is verbs.NO_OP
        assert changes(diff(definition(team="x"), prior(data)))["team"] == (data.get("team", ABSENT), "x")


def test_a_change_that_would_undo_somebody_elses_has_the_value_before_theirs():
    was = {"team": None, "description": "ours", "tags": ["x", "y"]}
    theirs = prior({"team": "theirs", "description": "theirs", "tags": ["y", "x"], "isVerified": True})
    state = theirs._replace(unconfirmed=was)
    action = diff(definition(team="t", description="new", tags=["z"], isVerified=False), state)
    told = {change.field.name: change.unconfirmed for change in action.changes}
    assert told == {"team": None, "description": "ours", "tags": ABSENT, "isVerified": ABSENT}


def test_only_line_ends_may_differ_in_a_text_without_a_change():
    state = prior({"sql": "SELECT 1\r\nFROM a"})
    assert changes(diff(definition(sql="SELECT 1\nFROM a"), state)) == {}
    assert len(changes(diff(definition(sql="SELECT 1\nFROM b"), state))) == 1
    # A definition with CR LF asks for it.
    assert len(changes(diff(definition(sql="SELECT 1\r\nFROM a"), prior({"sql": "SELECT 1\r\r\nFROM a"})))) == 1


def test_a_field_that_the_api_does_not_return_counts_as_it_was_sent():
    state = prior({"description": "tidied"}, unreturned={"isVerified": True, "description": " Tidied"})
    assert diff(definition(isVerified=True, description=" Tidied"), state).verb is verbs.NO_OP
    assert changes(diff(definition(isVerified=False), state)) == {"isVerified": (True, False)}


def test_a_rename_is_the_first_change_and_is_sent_to_the_old_name():
    action = diff(definition("new", description="x"), prior({}, "a"))
    assert (action.verb, action.name, action.new_name) == (verbs.UPDATE, "a", "new")
    assert [change.field.name for change in action.changes] == ["name", "description"]


def test_a_name_that_the_server_tidied_is_no_rename_and_still_names_the_source():
    state = prior({}, "foo", {"name": "Foo "})
    assert diff(definition("Foo "), state).verb is verbs.NO_OP
    assert diff(definition("Foo ", team="x"), state).name == "foo"


def test_a_source_whose_answer_had_no_name_keeps_the_name_of_the_request():
    state = ResourceState("foo", {"team": "x"}, {}, "t")
    assert diff(definition("foo", team="x"), state).verb is verbs.NO_OP
    assert changes(diff(definition("bar", team="x"), state)) == {"name": ("foo", "bar")}


def test_elements_are_those_that_were_changed_added_and_removed():
    before = [{"statsigUnitID": k, "column": k} for k in "abc"]
    after = [{"statsigUnitID": k, "column": v} for k, v in ("dd", "bx", "aa")]
    (change,) = diff(definition(idTypeMapping=after), prior({"idTypeMapping": before})).changes
    assert change.elements == (
        ElementChange("d", ABSENT, "d"),
        ElementChange("b", "b", "x"),
        ElementChange("c", "c", ABSENT),
    )


def test_a_change_can_have_the_value_that_nobody_agreed_to_give_up():
    one = FieldChange.of(ASSIGNMENT_SOURCE.field["team"], "a", "b", "before")
    assert (one.before, one.after, one.elements, one.unconfirmed) == ("a", "b", None, "before")


def test_a_member_that_is_not_declared_is_not_managed():
    (change,) = diff(definition(owner={"ownerID": "v"}), prior({"owner": {"ownerID": "u", "ownerName": "U"}})).changes
    assert change.elements == (ElementChange("ownerID", "u", "v"),)


@settings(max_examples=200, deadline=None)
@given(
    declared_values(with_sql=True), st.dictionaries(st.sampled_from([*ASSIGNMENT_SOURCE.field, "name"]), json_values)
)
def test_any_prior_can_be_planned_from(values, data):
    state = ResourceState("a", data, {}, "t")
    action = diff(definition("a", **values), state)
    assert all(change.before == data.get(change.field.name, ABSENT) for change in action.changes if action.name != "a")
    plan = Plan("l", 1, "h", (action,), (), 1)
    for style in (Style(), Style(40, is_coloured=True)):
        assert plan_text.render_plan(plan, style).endswith("\n")


ECHOES = {
    "as sent": ({}, {"description": "x"}, {"description": "x"}, {}, ()),
    "left out": ({}, {"isVerified": True}, {}, {"isVerified": True}, ()),
    "null left out": ({"team": "x"}, {"team": None}, {}, {}, ()),
    "null as null": ({"team": "x"}, {"team": None}, {"team": None}, {}, ()),
    "null that did not happen": ({"team": "x"}, {"team": None}, {"team": "x"}, {}, ("team",)),
    "null kept as empty": ({"team": "x"}, {"team": None}, {"team": ""}, {"team": None}, ()),
    "empty kept as null": ({"tags": ["x"]}, {"tags": []}, {"tags": None}, {"tags": []}, ()),
    "a set with an empty string, reversed and tidied": (
        {},
        {"tags": ["", "A"]},
        {"tags": ["a", ""]},
        {"tags": ["", "A"]},
        (),
    ),
    "null for what was sent": ({}, {"team": "x"}, {"team": None}, {}, ("team",)),
    "tidied": ({}, {"description": " X  y "}, {"description": "x y"}, {"description": " X  y "}, ()),
    "looking tidied, but as it was": ({"team": "x"}, {"team": "X"}, {"team": "x"}, {}, ("team",)),
    "another value": ({}, {"team": "x"}, {"team": "y"}, {}, ("team",)),
    "a set in another order": ({}, {"tags": ["a", "b"]}, {"tags": ["b", "a"]}, {}, ()),
    "a set that was tidied": ({}, {"tags": ["A", "b "]}, {"tags": ["b", "a"]}, {"tags": ["A", "b "]}, ()),
    "a set cut short": ({}, {"tags": ["a", "b"]}, {"tags": ["a"]}, {}, ("tags",)),
    "a set of another shape": ({}, {"tags": []}, {"tags": [1]}, {}, ("tags",)),
    "a table with more": ({}, {"owner": {"ownerID": "u"}}, {"owner": {"ownerID": "u", "ownerName": "U"}}, {}, ()),
    "a table with less": (
        {"owner": {"ownerID": "t"}},
        {"owner": {"ownerID": "u", "ownerName": "U"}},
        {"owner": {"ownerID": "u"}},
        {"owner": {"ownerID": "u", "ownerName": "U"}},
        (),
    ),
    "a table with nothing of it": ({}, {"owner": {"ownerID": "u"}}, {"owner": {}}, {}, ("owner",)),
    "a field of a newer statform": ({}, {"new": [1]}, {"new": [1]}, {}, ()),
    "1 for true": ({}, {"isVerified": True}, {"isVerified": 1}, {}, ("isVerified",)),
    "5.0 for 5": ({}, {"scheduledReloadHour": 5}, {"scheduledReloadHour": 5.0}, {}, ()),
    "a name as sent": ({"name": "a"}, {"name": "b"}, {"name": "b"}, {}, ()),
    "a name that was tidied": ({"name": "a"}, {"name": "B "}, {"name": "b"}, {"name": "B "}, ()),
    "a name that stayed": ({"name": "a"}, {"name": "b"}, {"name": "a"}, {}, ("name",)),
}


@pytest.mark.parametrize("case", ECHOES.values(), ids=ECHOES.keys())
def test_an_echo_says_what_the_api_kept_of_what_was_sent(case):
    before, sent, data, unreturned, not_accepted = case
    echo = compare_echo(ASSIGNMENT_SOURCE, before, sent, data)
    assert (echo.unreturned, echo.not_accepted) == (unreturned, not_accepted)


def apply_all(plan: Plan, server: ModelServer, before: Snapshot) -> Snapshot:
    """Carry out the plan as `apply` does, with the records that it and the client write."""
    fold = Fold(before)
    if not before.lineage:
        fold.add(Genesis("l", 1, "t"))
    actions = {action.address: action for action in plan.actions}
    for request in plan.requests:
        changed = actions[request.address].changes
        known = {c.field.name: c.before for c in changed if c.field.name in request.body and c.before is not ABSENT}
        known |= {"name": request.name} if "name" in request.body else {}
        fold.add(Intent(request.address, "PATCH", request.name, known, request.body, "t"))
        data = server.patch(request.name, request.body)
        echo = compare_echo(ASSIGNMENT_SOURCE, known, request.body, data)
        assert not echo.not_accepted
        fold.add(Applied(request.address, 200, data, echo.unreturned, 1, "t"))
    for action in plan.actions:
        if action.verb is verbs.FORGET:
            fold.add(Forgotten(action.address, "t"))
    return fold.snapshot("h", 1)


KEYS = "abc"
names = st.permutations(["a", "b", "c", "d"])
projects = st.tuples(names, st.lists(declared_values(), min_size=3, max_size=3))


def project(desired):
    files = [toml_definition(k, values, name) for k, name, values in zip(KEYS, *desired, strict=False)]
    return parse_definitions({"statform.toml": "\n".join(files).encode()})


@settings(max_examples=150, deadline=None)
@given(
    projects,
    projects,
    st.fixed_dictionaries({}, optional={"description": strings, "tags": st.lists(strings, unique=True)}),
    st.sets(st.sampled_from(["isVerified", "isReadOnly", "groupNameColumn", "owner", "team", "scheduledReloadHour"])),
    st.booleans(),
)
def test_after_a_faithful_apply_there_is_nothing_left_to_do(first, second, source, omitted, reverses):
    server = ModelServer(dict.fromkeys("abcd", source))
    server.omitted, server.reverses = frozenset(omitted), reverses
    snapshot = EMPTY
    for desired in (first, second):
        definitions = project((desired[0], desired[1]) if snapshot is not EMPTY else (KEYS, desired[1]))
        plan = build_plan(definitions, snapshot)
        if len({d.name for d in definitions.resources.values()} | {"d"}) < 4:
            # One of the three sources takes the name of d, which no definition has.
            server.sources.pop("d", None)
        remote = {"assignment_source": server.sources}
        assert find_conflicts(plan, definitions, snapshot, remote) == ()
        snapshot = apply_all(plan, server, snapshot)
        again = build_plan(definitions, snapshot)
        assert again.changes == ()
        assert again.requests == ()
        assert {s.name for s in snapshot.resources.values()} == {d.name for d in definitions.resources.values()}


TIDY = st.sampled_from([value for value in FEW_STRINGS if value.isascii()])


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {}, optional={"description": TIDY, "team": TIDY, "tags": st.lists(TIDY, unique_by=lambda s: s.strip().lower())}
    )
)
def test_a_value_that_a_server_tidied_leaves_nothing_to_do(values):
    server = ModelServer({"a": {"description": "was", "team": "was", "tags": ["was"]}})
    server.tidies = True
    definitions = parse_definitions({"statform.toml": toml_definition("a", values).encode()})
    snapshot = apply_all(build_plan(definitions, EMPTY), server, EMPTY)
    plan = build_plan(definitions, snapshot)
    assert plan.changes == ()
    changed = parse_definitions({"statform.toml": toml_definition("a", {**values, "team": "other"}).encode()})
    snapshot = apply_all(build_plan(changed, snapshot), server, snapshot)
    assert build_plan(changed, snapshot).changes == ()


def test_a_conflict_is_seen_against_the_value_as_it_was_sent_or_tidied():
    definitions = parse_definitions({"statform.toml": toml_definition("a", {"description": "new"}).encode()})
    state = prior({"description": "tidy"}, unreturned={"description": " Tidy"})
    snapshot = EMPTY._replace(resources={A: state})
    plan = build_plan(definitions, snapshot)
    for remote, count in (
        ({"description": "tidy"}, 0),
        ({"description": "new"}, 0),
        ({"description": "x"}, 1),
        # The API always returns this field, so if it is missing, somebody cleared it.
        ({}, 1),
    ):
        listed = {"assignment_source": {"a": {"name": "a", **remote}}}
        assert len(find_conflicts(plan, definitions, snapshot, listed)) == count
