"""The promises of tests/support/targets.py, on what hypothesis draws and on everything that once broke one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from targets import TARGETS, check_cost, kept


@pytest.mark.parametrize(("name", "target"), TARGETS.items(), ids=TARGETS)
def test_whatever_the_bytes_the_promise_holds(name, target):
    @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs())
    def holds(data):
        check_cost(target.check, data)

    holds()


@pytest.mark.parametrize(
    ("target", "data"),
    [
        pytest.param(target, data, id=f"{name}-{number}")
        for name, target in TARGETS.items()
        for number, data in enumerate([*target.seeds(), *(path.read_bytes() for path in kept(name))])
    ],
)
def test_what_is_usual_and_what_once_failed_does_not_fail(target, data):
    check_cost(target.check, data)
