from __future__ import annotations

import pytest
from golden import IS_REWRITING, ROOT, cases, plan_of, results

from planner.errors import DefinitionError, PlanError
from planner.render import diagnostics, plan_text
from planner.render.style import Style, width_of

CASES = cases()
RESULTS = {"plan.txt", "plan-60.txt", "plan.json", "requests.jsonl", "errors.txt"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_folder_of_definitions_and_state_gives_what_the_folder_expects(case):
    found = results(case)
    if IS_REWRITING:
        for name in RESULTS - found.keys():
            (case / name).unlink(missing_ok=True)
        for name, content in found.items():
            (case / name).write_bytes(content.encode())
    expected = {name: (case / name).read_bytes().decode() for name in RESULTS if (case / name).exists()}
    assert found == expected


def test_there_are_cases_of_plans_and_of_errors():
    assert len(CASES) >= 15
    assert len(list(ROOT.glob("*/errors.txt"))) >= 3


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_narrow_plan_is_as_narrow_as_its_terminal_where_it_can_be(case):
    for line in results(case).get("plan-60.txt", "").splitlines():
        assert line.startswith("  statform ") or width_of(line) <= 60, line


@pytest.mark.parametrize("width", [1, 20, 23, 27, 30, 40, 60])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_terminal_is_too_narrow_for_a_plan_or_an_error(case, width):
    try:
        shown = plan_text.render_plan(plan_of(case), Style(width, is_coloured=True))
    except (DefinitionError, PlanError) as error:
        shown = diagnostics.render_diagnostics(error.diagnostics, Style(width, is_coloured=True))
    assert shown.endswith("\n")
    assert shown.count("\x1b[0m") == shown.count("\x1b[") / 2
