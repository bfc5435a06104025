"""The record with which a run begins."""

from __future__ import annotations

import getpass
import os

import pytest

from planner.apply.origin.begin import make_begin
from planner.definitions.definition import Definitions
from planner.definitions.parse import parse_definitions


@pytest.fixture
def definitions() -> Definitions:
    return parse_definitions({"statform.toml": b""})


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 54321"), OSError("No username set")])
def test_who_has_no_name_where_it_runs_as_in_a_container_is_told_by_number(monkeypatch, definitions, error):
    def refuse() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", refuse)
    begin = make_begin(None, definitions, {}, "", asked_by=None, commit=None, base_url=None, project=None)
    assert begin.who == f"uid {os.getuid()}"


def test_a_name_that_is_no_text_is_told_as_far_as_it_is(monkeypatch, definitions):
    monkeypatch.setattr(getpass, "getuser", lambda: os.fsdecode(b"z\xf6e"))
    begin = make_begin(None, definitions, {}, "", asked_by=None, commit=None, base_url=None, project=None)
    assert begin.who == "z\ufffde"
