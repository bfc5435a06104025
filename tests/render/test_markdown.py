from __future__ import annotations

import re

import cost
from hypothesis import given
from hypothesis import strategies as st

from planner.render import markdown

texts = st.text(st.sampled_from("`|\\\n a<@#*")) | st.text()


@given(texts)
def test_a_code_span_ends_where_it_should_and_is_one_line(text):
    span = markdown.code(text)
    assert "\n" not in span
    fence = re.match("`+", span)
    assert fence is not None
    inner = span[len(fence[0]) : -len(fence[0])]
    assert span.endswith(fence[0])
    assert not re.search(rf"(?<!`){fence[0]}(?!`)", inner)
    assert inner[:1] != "`"
    assert inner[-1:] != "`"


# A row as GitHub's parser takes it apart: a backslash takes the punctuation behind it along.
CELL = re.compile(r"(?:\\[!-/:-@\[-`{-~]|[^|\r\n])+")


@given(st.lists(texts, min_size=1, max_size=4))
def test_a_row_has_the_cells_that_it_was_given(cells):
    row = markdown.row(map(markdown.code, cells))
    assert row[:2] + row[-2:] == "|  |"
    assert len(CELL.findall(row)) == len(cells)


@given(st.lists(texts.map(markdown.code), max_size=300), st.integers(300, 3000))
def test_what_is_bounded_fits_and_tells_what_is_left_out(lines, limit):
    text = markdown.bounded(lines, "lines", limit)
    assert len(text) <= limit
    left = re.search(r"… and ([0-9,]+) more lines\.", text)
    shown = text.count("\n") - (2 if left else 0)
    assert shown + (int(left[1].replace(",", "")) if left else 0) in {len(lines), max(1, len(lines))}


def test_a_long_value_is_shown_by_its_beginning():
    assert markdown.code("x" * 1000) == "`" + "x" * 200 + "…`"


def test_a_long_run_of_backslashes_takes_no_longer():
    with cost.at_most(2):
        assert markdown.row(["\\" * 100_000]) == f"| {chr(92) * 100_000} |"
