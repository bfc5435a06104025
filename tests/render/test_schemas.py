from __future__ import annotations

import json

import jsonschema
import pytest
from golden import ROOT
from published import check, strict

from planner.render.schemas.outputs import OUTPUTS, output_schema

PLANS = sorted(ROOT.glob("*/plan.json"))


@pytest.mark.parametrize("name", OUTPUTS)
def test_each_is_a_schema_that_names_its_output_and_leaves_room_for_keys(name):
    schema = output_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:statform:{name}:1"
    assert '"additionalProperties": false' not in json.dumps(schema)
    assert '"additionalProperties": false' in json.dumps(strict(schema))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.parent.name)
def test_every_plan_is_as_its_schema_says(path):
    plan = json.loads(path.read_text())
    check("plan", plan)
    with pytest.raises(AssertionError, match="'something'"):
        check("plan", {**plan, "something": 1})
    newer = {**plan, "something": 1, "statform": {**plan["statform"], "more": 1}}
    jsonschema.validate(newer, output_schema("plan"))


@pytest.mark.parametrize("key", ["statform", "resource_changes", "format_version"])
def test_a_plan_that_lacks_a_required_key_does_not_match_its_schema(key):
    plan = json.loads(PLANS[0].read_text())
    del plan[key]
    assert not jsonschema.Draft202012Validator(output_schema("plan")).is_valid(plan)
