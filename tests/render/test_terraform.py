from __future__ import annotations

import json

from golden import snapshot
from hypothesis import given
from strategies import declared_values, toml_definition

from planner.definitions.equality import is_satisfied
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.plan.build import build_plan
from planner.render import terraform


def plan(definitions: str, **prior):
    found = parse_definitions({"statform.toml": definitions.encode()})
    state = snapshot({f"assignment_source.{key}": one for key, one in prior.items()})
    return terraform.plan_to_json(build_plan(found, state), found, state)


def test_actions_are_terraform_s():
    definitions = toml_definition("a", {"team": "new"}) + toml_definition("new", {}, "n") + toml_definition("b", {})
    found = plan(definitions, a={"data": {"team": "old"}}, moved={"name": "n"}, gone={})
    changes = {one["address"].partition(".")[2]: one for one in found["resource_changes"]}
    actions = {key: one["change"]["actions"] for key, one in changes.items()}
    assert actions == {"a": ["update"], "new": ["no-op"], "b": ["update"], "gone": ["forget"]}
    assert changes["a"]["change"]["before"] == {"name": "a", "team": "old"}
    assert changes["a"]["change"]["after"] == {"name": "a", "team": "new"}
    assert changes["new"]["previous_address"] == "assignment_source.moved"
    assert changes["b"]["change"]["importing"] == {"id": "b"}
    assert changes["gone"]["change"]["after"] is None
    assert [one["name"] for one in found["planned_values"]["root_module"]["resources"]] == ["a", "b", "new"]
    assert found["statform"]["counts"] == {"create": 0, "update": 1, "adopt": 1, "delete": 0, "forget": 1, "no-op": 1}


@given(declared_values(), declared_values())
def test_after_is_before_with_what_is_declared(desired, prior):
    found = plan(toml_definition("a", desired), a={"data": prior})
    (one,) = found["resource_changes"]
    before, after = one["change"]["before"], one["change"]["after"]
    assert before == {**prior, "name": "a"}
    for name, value in desired.items():
        assert is_satisfied(ASSIGNMENT_SOURCE.field[name].kind, value, after.get(name))
    moved = {change["field"] for change in one["statform"]["fields"]}
    assert {name for name in after if after[name] != before.get(name)} <= moved
    assert json.loads(json.dumps(found)) == found
