from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work import grows_linearly

from planner.definitions.resources import RESOURCE_TYPES
from planner.plan.diff import FieldChange
from planner.render import line_diff
from planner.render.changes import field_lines
from planner.render.line_diff import LineMatcher
from planner.render.page import cells
from planner.render.style import Style

LINES = st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=30)
DESCRIPTION = RESOURCE_TYPES["assignment_source"].field["description"]


def union_all(table):
    return lambda n: [line for i in range(n) for line in ("SELECT", f"  '{i}' AS id", f"FROM {table}_{i}", "UNION ALL")]


TEXTS = {
    "every other line the same": (
        lambda n: [f"x{i}" * (i % 2) for i in range(n)],
        lambda n: [f"y{i}" * (i % 2) for i in range(n)],
    ),
    "all lines the same": (lambda n: ["x"] * n, lambda n: ["y", *["x"] * n, "z"]),
    "a table renamed in blocks": (union_all("old"), union_all("new")),
    "no line the same": (lambda n: [f"x{i}" for i in range(n)], lambda n: [f"y{i}" for i in range(n)]),
}


@given(LINES, LINES)
def test_the_matches_make_one_text_of_the_other(before, after):
    made = []
    for tag, a_start, a_end, b_start, b_end in LineMatcher(before, after).get_opcodes():
        assert tag != "equal" or before[a_start:a_end] == after[b_start:b_end]
        made += before[a_start:a_end] if tag == "equal" else after[b_start:b_end]
    assert made == after


@given(LINES, LINES)
def test_the_matches_follow_each_other_also_where_difflib_would_take_too_long(before, after):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_diff, "MAX_STEPS", 10)
        test_the_matches_make_one_text_of_the_other.hypothesis.inner_test(before, after)


def test_two_changed_lines_of_a_long_text_are_found():
    before = [f"line {n % 3000}" for n in range(4000)]
    after = [f"{line} changed" if n in {100, 2500} else line for n, line in enumerate(before)]
    change = FieldChange(DESCRIPTION, "\n".join(before), "\n".join(after), None)
    lines = [line.strip() for line in field_lines([change], Style())]
    assert [line for line in lines if line.startswith(("-", "+"))] == [
        *("- line 100", "+ line 100 changed", "- line 2500", "+ line 2500 changed")
    ]


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS.keys())
def test_texts_whose_lines_repeat_are_compared_in_time(texts):
    def work(size):
        before, after = (make(size) for make in texts)
        change = FieldChange(DESCRIPTION, "\n".join(before), "\n".join(after), None)
        return lambda: (field_lines([change], Style()), cells.show_sides(change))

    assert grows_linearly(work, 1500)


def test_texts_that_take_too_long_are_compared_by_their_equal_head_and_tail():
    before, after = (["head", *(line for i in range(2000) for line in (f"{c}{i}", "")), "tail"] for c in "xy")
    change = FieldChange(DESCRIPTION, "\n".join(before), "\n".join(after), None)
    lines = [line.strip() for line in field_lines([change], Style())]
    assert (lines[1], lines[2], lines[-2], lines[-1]) == ("head", "- x0", "", "tail")
    assert len(lines) == 1 + 2 + 3999 * 2 + 1
