from __future__ import annotations

import json

import pytest
from golden import IS_REWRITING, cases, plan_of, snapshot
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values, toml_definition
from targets import sealed_plan

from planner.definitions.parse import parse_definitions
from planner.errors import DefinitionError, PlanError, PlanRefused
from planner.plan import saved
from planner.plan.build import build_plan, digest_of
from planner.plan.saved import Refusal, SavedPlan
from state.records import Address

A = Address("assignment_source.a")
DEFINITIONS = parse_definitions(
    {"statform.toml": toml_definition("a", {"description": "new", "tags": ["x"]}, "renamed").encode()}
)
STATE = snapshot({"assignment_source.a": {"data": {"description": "old"}}, "assignment_source.b": {}})
PLAN = build_plan(DEFINITIONS, STATE)
SAVED = saved.save_plan(PLAN, DEFINITIONS, "https://statsigapi.net", ())


def refused(raw: bytes) -> Refusal | None:
    try:
        saved.load_plan(raw, "p.json")
    except PlanRefused as error:
        return error.reason
    return None


def test_a_saved_plan_is_read_back_unchanged():
    assert saved.load_plan(SAVED, "p") == SavedPlan(PLAN, DEFINITIONS.digest, "https://statsigapi.net", (), (), "p")
    assert saved.save_plan(PLAN, DEFINITIONS, "https://statsigapi.net", ()) == SAVED


@pytest.mark.skipif(IS_REWRITING, reason="the folders are being written")
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_every_plan_can_be_saved_and_read_back(case):
    try:
        plan = plan_of(case)
    except (DefinitionError, PlanError):
        return
    assert saved.load_plan(saved.save_plan(plan, DEFINITIONS, "u", ()), "p").plan == plan


def test_every_changed_byte_is_refused_or_means_the_same():
    for at in range(len(SAVED)):
        for bit in (1, 32):
            changed = SAVED[:at] + bytes([SAVED[at] ^ bit]) + SAVED[at + 1 :]
            if refused(changed) is None:
                assert json.loads(changed) == json.loads(SAVED)


@given(st.binary(max_size=60) | json_values.map(lambda v: json.dumps(v).encode()))
def test_a_file_that_is_not_a_plan_is_refused_as_such(raw):
    assert refused(raw) is Refusal.NO_PLAN


def test_every_cut_of_a_plan_is_refused():
    assert {refused(SAVED[:end]) for end in range(len(SAVED) - 1)} == {Refusal.NO_PLAN}


def resigned(**changes) -> bytes:
    """The plan with a right digest, as somebody can make it who has read the docs."""
    content = {**json.loads(SAVED), **changes}
    del content["digest"]
    return json.dumps({"digest": digest_of(content), **content}).encode()


def test_a_plan_that_was_put_together_by_hand_is_refused():
    plan = json.loads(SAVED)["plan"]
    plan["requests"][0]["body"]["description"] = "evil"
    assert refused(resigned(plan=plan)) is Refusal.TAMPERED
    assert refused(resigned(plan={})) is Refusal.TAMPERED
    assert refused(resigned(plan=1)) is Refusal.TAMPERED
    assert refused(resigned(targets=1)) is Refusal.TAMPERED
    assert refused(resigned()) is None


@pytest.mark.parametrize("changes", [{"format": 2}, {"version": "0.0.9"}])
def test_a_plan_of_another_version_is_refused_as_such(changes):
    assert refused(resigned(**changes)) is Refusal.VERSION


@pytest.mark.parametrize(
    "path",
    ["environment", "definitions", "base_url", "plan.lineage", "plan.serial", "plan.head", "plan.managed",
     "plan.actions.0.address", "plan.actions.0.name", "plan.actions.0.moved_from", "plan.requests.0.name",
     "plan.requests.0.body", "plan.requests.0.needs.0", "plan.likely_moves.0.0", "plan.max_changes",
     "targets.0", "excludes.0"],
)  # fmt: skip
def test_a_plan_with_a_value_of_another_type_is_refused_even_with_right_digests(path):
    content = json.loads(SAVED)
    content["targets"], content["excludes"] = [A], [A]
    content["plan"]["requests"][0]["needs"], content["plan"]["likely_moves"] = [A], [[A, A]]
    holder, *inner, last = (content, *(int(part) if part.isdigit() else part for part in path.split(".")))
    for part in inner:
        holder = holder[part]
    assert refused(sealed_plan(json.dumps(content).encode())) is None
    for value in (1.5, True, [[]]):
        holder[last] = value
        assert refused(sealed_plan(json.dumps(content).encode())) is Refusal.TAMPERED
