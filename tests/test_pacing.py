from __future__ import annotations

import cost
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.pacing import Window, duration_s, trim, wait_s

ONE = (Window(2, 10.0),)
BOTH = (Window(90, 10.0), Window(850, 900.0))


@pytest.mark.parametrize(
    ("times", "now", "wait"),
    [
        ([], 0.0, 0.0),
        ([0.0], 0.0, 0.0),
        ([0.0, 0.0], 0.0, 10.0),
        ([0.0, 4.0], 5.0, 5.0),
        ([0.0, 4.0], 10.0, 0.0),
        ([0.0, 4.0], 11.0, 0.0),
        ([-5.0, 0.0, 4.0], 5.0, 5.0),
        ([100.0, 200.0], 5.0, 10.0),
        ([0.0, 200.0], 5.0, 5.0),
    ],
)
def test_one_more_waits_until_the_oldest_that_counts_has_left_the_window(times, now, wait):
    assert wait_s(ONE, times, now) == wait


def test_the_longest_wait_of_all_windows_holds():
    assert wait_s((Window(2, 10.0), Window(3, 60.0)), [0.0, 1.0, 2.0], 3.0) == 57.0
    assert wait_s((Window(2, 10.0), Window(4, 60.0)), [0.0, 1.0, 2.0], 3.0) == 8.0


windows = st.lists(
    st.builds(Window, st.integers(1, 4), st.integers(1, 8).map(float)), min_size=1, max_size=3
).map(tuple)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(windows, st.lists(st.integers(0, 6), max_size=40), st.booleans())
def test_sending_only_when_there_is_nothing_to_wait_for_never_exceeds_a_window(limits, pauses, trims):
    now, times, sent = 0.0, [], []
    for pause in pauses:
        now += pause
        if trims:
            trim(limits, times, now)
        wait = wait_s(limits, times, now)
        assert 0.0 <= wait <= max(window.seconds for window in limits)
        if wait and pause % 2:
            continue
        now += wait
        assert wait_s(limits, times, now) == 0.0
        times.append(now)
        sent.append(now)
    for window in limits:
        for start in sent:
            assert sum(start <= at < start + window.seconds for at in sent) <= window.limit


@settings(max_examples=200, deadline=None)
@given(windows, st.lists(st.integers(-20, 20), max_size=8).map(sorted), st.integers(0, 9))
def test_times_in_the_future_stop_nobody_for_longer_than_a_window(limits, times, now):
    assert 0.0 <= wait_s(limits, times, float(now)) <= max(window.seconds for window in limits)


@settings(max_examples=200, deadline=None)
@given(windows, st.lists(st.integers(-20, 0), max_size=8).map(sorted))
def test_what_is_trimmed_was_not_counted(limits, times):
    kept = [float(at) for at in times]
    trim(limits, kept, 0.0)
    assert wait_s(limits, kept, 0.0) == wait_s(limits, times, 0.0)
    assert all(at > -max(window.seconds for window in limits) for at in kept)


@settings(max_examples=100, deadline=None)
@given(windows, st.lists(st.integers(-20, 5), max_size=8).map(sorted), st.integers(5, 9), st.integers(0, 12))
def test_the_duration_is_that_of_sending_as_soon_as_possible(limits, times, start, count):
    now, sent = float(start), list(map(float, times))
    for _ in range(count):
        now += wait_s(limits, sent, now)
        sent.append(now)
    assert duration_s(limits, times, float(start), count) == now - start


def test_a_thousand_changes_take_a_quarter_of_an_hour_at_the_default_pace():
    with cost.at_most(1):
        assert duration_s(BOTH, (), 0.0, 90) == 0.0
        assert duration_s(BOTH, (), 0.0, 91) == 10.0
        assert duration_s(BOTH, (), 0.0, 850) == 90.0
        assert duration_s(BOTH, (), 0.0, 1000) == 910.0
