"""A file of an environment, laid over the definitions field by field."""

from __future__ import annotations

import pytest
from golden import snapshot
from hypothesis import given
from hypothesis import strategies as st
from strategies import declared_values, toml_definition

from planner.definitions.definition import Definitions, overlay_file
from planner.definitions.parse import parse_definitions
from planner.errors import DefinitionError
from planner.plan.build import build_plan
from planner.render import plan_text
from planner.render.style import Style
from state.values import Address

ABSENT = (
    "absent beside fields, or not true",
    "absent = true and nothing else: it removes the source from the environment",
)
A, B = Address("assignment_source.a"), Address("assignment_source.b")
BASE = """\
[statform]
max_changes = 5
[defaults.assignment_source]
timestampColumn = "ts"
groupIDColumn = "group"
[assignment_source.a]
name = "source_a"
description = "x"
tags = ["a"]
clear = ["team"]
[assignment_source.b]
depends_on = ["assignment_source.a"]
"""
STAGING = overlay_file("staging")


def laid_over(overlay: str, base: str = BASE) -> Definitions:
    return parse_definitions({"statform.toml": base.encode(), STAGING: overlay.encode()}, "staging")


def problems(overlay: str, base: str = BASE) -> list[tuple[str, str, str, int]]:
    """The summary, what is expected, the file and the line of each problem."""
    with pytest.raises(DefinitionError) as raised:
        laid_over(overlay, base)
    return [(d.summary, d.expected, d.location.file, d.location.line) for d in raised.value.diagnostics if d.location]


def test_an_environment_changes_what_it_declares_and_nothing_else():
    found = laid_over('[assignment_source.a]\ndescription = "y"\n').resources
    base = parse_definitions({"statform.toml": BASE.encode()}).resources
    assert found[A].values == {**base[A].values, "description": "y"}
    assert (found[A].name, found[B]) == ("source_a", base[B])
    assert list(found) == list(base)


def test_implied_values_of_the_base_are_dropped_if_the_environment_says_otherwise():
    base = '[metric_source.m]\nsourceType = "table"\ntableName = "t"\n'
    one = laid_over("", base).resources[Address("metric_source.m")]
    assert one.values["sql"] == ""
    overlay = '[metric_source.m]\nsourceType = "query"\n'
    one = laid_over(overlay, base).resources[Address("metric_source.m")]
    assert "sql" not in one.values
    one = laid_over(f'{overlay}sql = "SELECT 1"\n', base).resources[Address("metric_source.m")]
    assert one.values["sql"] == "SELECT 1"
    one = laid_over('[metric_source.m]\nsourceType = "table"\n', base.replace('"table"', '"query"'))
    assert one.resources[Address("metric_source.m")].values["sql"] == ""


def test_an_environment_can_clear_declared_fields_and_declare_cleared_ones():
    found = laid_over('[assignment_source.a]\nteam = "Growth"\n').resources[A].values
    assert found["team"] == "Growth"
    base = BASE.replace('clear = ["team"]', 'team = "Growth"')
    assert laid_over('[assignment_source.a]\nclear = ["team"]\n', base).resources[A].values["team"] is None


def test_an_environment_can_change_names_and_dependencies():
    found = laid_over('[assignment_source.a]\nname = "other"\n[assignment_source.b]\ndepends_on = []\n').resources
    assert (found[A].name, found[B].name, found[B].depends_on) == ("other", "b", ())


def test_a_source_that_is_absent_in_an_environment_is_left_out():
    assert list(laid_over("[assignment_source.b]\nabsent = true\n").resources) == [A]


def states(base: str, overlay: str, **others: str) -> tuple[str, list[tuple[str, str, int]]]:
    """The state of the environment, or what is wrong with it: summary, file, line."""
    files = {"statform.toml": base.encode(), STAGING: overlay.encode()}
    try:
        found = parse_definitions(files, "staging", {name: text.encode() for name, text in others.items()})
    except DefinitionError as error:
        return "", [(d.summary, d.location.file, d.location.line) for d in error.diagnostics if d.location]
    return found.settings.state, []


def test_an_environment_has_its_own_state_even_if_the_project_names_one():
    named = "[statform]\nstate = 'prod.json'\n"
    assert states(named, "") == ("statform.staging.state.json", [])
    assert states(named, "[statform]\nstate = 's.json'\n") == ("s.json", [])
    assert parse_definitions({"statform.toml": named.encode()}).settings.state == "prod.json"


@pytest.mark.parametrize(
    ("base", "overlay", "others", "holder"),
    [
        ("", "state = 'statform.state.json'", {}, "the project without an environment"),
        ("[statform]\nstate = 's.json'", "state = './S.json'", {}, "the project without an environment"),
        ("", "state = 'x/../s.json'", {"qa": "[statform]\nstate = 's.json'"}, "the environment qa"),
        ("", "state = 'statform.qa.state.json'", {"qa": ""}, "the environment qa"),
        ("", "", {"qa": "[statform]\nstate = 'statform.staging.state.json'"}, "the environment qa"),
    ],
)
def test_two_environments_with_the_same_state_are_an_error(
    base: str, overlay: str, others: dict[str, str], holder: str
):
    _, found = states(base, f"[statform]\n{overlay}\n", **others)
    assert [(summary.partition(" is ")[2], file) for summary, file, _ in found] == [(f"also used by {holder}", STAGING)]


def test_a_broken_environment_does_not_stop_work_in_another_one():
    assert states("", "", qa="[statform", dev="statform = 1", x="[statform]\nstate = 1\n")[1] == []


def test_defaults_of_a_file_win_over_the_projects_and_lose_to_the_environments():
    base = "[defaults.assignment_source]\ntimestampColumn = 'ts'\ngroupIDColumn = 'group'\nteam = 'base'\n"
    file = (
        "[assignment_source.a]\nisVerified = true\n[defaults.assignment_source]\nteam = 'file'\ngroupIDColumn = 'g'\n"
    )
    files = {"statform.toml": base, "definitions/a.toml": file, "definitions/b.toml": "[assignment_source.b]\n"}
    overlay = "[defaults.assignment_source]\nteam = 'staging'\n"
    found = parse_definitions({name: text.encode() for name, text in files.items()})
    a = {"timestampColumn": "ts", "groupIDColumn": "g", "team": "file", "isVerified": True}
    b = {"timestampColumn": "ts", "groupIDColumn": "group", "team": "base"}
    assert (found.resources[A].values, found.resources[B].values) == (a, b)
    assert [found.locate(A, name).file for name in ("team", "timestampColumn")] == [
        "definitions/a.toml",
        "statform.toml",
    ]
    staged = parse_definitions({name: text.encode() for name, text in {**files, STAGING: overlay}.items()}, "staging")
    assert [staged.resources[one].values for one in (A, B)] == [{**a, "team": "staging"}, {**b, "team": "staging"}]
    assert staged.locate(A, "team").file == STAGING


def test_an_environment_can_change_settings_and_defaults():
    found = laid_over('[statform]\nstate = "s.json"\n[defaults.assignment_source]\ntimestampColumn = "staging_ts"\n')
    assert (found.settings.state, found.settings.max_changes) == ("s.json", 5)
    assert found.resources[A].values["timestampColumn"] == "staging_ts"
    assert found.resources[A].values["groupIDColumn"] == "group"
    assert found.locate(A, "timestampColumn").file == STAGING
    assert found.locate(A, "groupIDColumn").file == "statform.toml"


def test_an_environment_can_not_declare_moves():
    moved = '[[moved]]\nfrom = "assignment_source.old"\nto = "assignment_source.a"\n'
    assert problems(moved) == [("[moved] outside statform.toml", "[moved] in statform.toml", STAGING, 1)]


def test_a_source_that_only_an_environment_has_needs_a_whole_definition():
    whole = "[assignment_source.c]\nsql = ''\nexperimentIDColumn = ''\nidTypeMapping = []\n"
    c = laid_over(whole).resources[Address("assignment_source.c")]
    assert (c.name, c.file, c.values["timestampColumn"]) == ("c", STAGING, "ts")


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        (
            "[assignment_source.aa]\ntags = []\n",
            ("assignment_source.aa is defined nowhere else",
             'an address that is defined; did you mean "assignment_source.a"?; to define it only here, it also needs '
             "sql, experimentIDColumn, idTypeMapping", STAGING, 1),
        ),
        (
            "[assignment_source.c]\nabsent = true\n",
            ("assignment_source.c is defined nowhere else",
             'an address that is defined; did you mean "assignment_source.b"?', STAGING, 1),
        ),
        (
            "[assignment_source.a]\nabsent = true\ntags = []\n",
            (*ABSENT, STAGING, 2),
        ),
        (
            "[assignment_source.a]\nabsent = false\n",
            (*ABSENT, STAGING, 2),
        ),
        (
            "[assignment_source.a]\nabsent = true\n",
            ('"assignment_source.a" is not defined',
             'an address that is defined; did you mean "assignment_source.b"?', "statform.toml", 12),
        ),
        (
            '[assignment_source.b]\nname = "source_a"\n',
            ('the remote name "source_a" is already used by assignment_source.a',
             "one address for each remote name", STAGING, 2),
        ),
        (
            '[assignment_source.b]\ndepends_on = ["assignment_source.b"]\n',
            ("a cycle of dependencies: assignment_source.b -> assignment_source.b",
             "dependencies without a cycle", STAGING, 2),
        ),
        (
            "[assignment_source.a]\ntags = 1\n",
            ("an integer instead of a list of strings", "a list of strings, without duplicates", STAGING, 2),
        ),
        ("[statform]\nstate = 1\n", ("an integer instead of a string", "a string", STAGING, 2)),
        (
            "[defaults]\nassignment_source = 1\n",
            ("an integer instead of a table", "a table [defaults.assignment_source]", STAGING, 2),
        ),
    ],
)  # fmt: skip
def test_mistakes_in_an_environment_are_shown_where_they_stand(overlay, expected):
    assert problems(overlay) == [expected]


def test_definitions_in_a_file_that_is_not_toml_are_not_reported_as_missing():
    assert [summary for summary, *_ in problems("[assignment_source.c]\ntags = []\n", "[assignment_source.c]\nx")] == [
        "not TOML: expected '=' after a key in a key/value pair"
    ]


def test_the_digest_covers_the_environment():
    assert laid_over("").digest != laid_over("#").digest


@pytest.mark.parametrize("is_adopted", [True, False])
def test_an_environment_says_whether_a_source_is_adopted(is_adopted):
    base = f"[assignment_source.a]\nadopt = {str(not is_adopted).lower()}\n"
    overlay = f"[assignment_source.a]\nadopt = {str(is_adopted).lower()}\n"
    assert laid_over("", base).resources[A].adopts is not is_adopted
    assert laid_over(overlay, base).resources[A].adopts is is_adopted


def test_a_plan_names_its_environment():
    adopted = "[assignment_source.a]\nadopt = true\n[assignment_source.b]\nadopt = true\n"
    plan = build_plan(laid_over(adopted), snapshot({}))
    assert plan_text.render_plan(plan, Style()).startswith(
        "statform will perform these actions in the environment staging, in this order:\n"
    )
    same = build_plan(parse_definitions({"statform.toml": b"", STAGING: b""}, "staging"), snapshot({}))
    assert (
        plan_text.render_plan(same, Style())
        == "No changes. The state matches the definitions in the environment staging.\n"
    )


@given(declared_values(), declared_values())
def test_a_field_is_what_the_environment_says_or_else_what_the_definition_says(base, overlay):
    found = laid_over(toml_definition("a", overlay), toml_definition("a", base))
    assert found.resources[A].values == {**base, **overlay}


@given(st.data())
def test_every_field_is_located_in_the_file_that_declares_it(data):
    base, overlay = data.draw(declared_values()), data.draw(declared_values())
    found = laid_over(toml_definition("a", overlay), toml_definition("a", base))
    for field, value in found.resources[A].values.items():
        if value is not None:
            assert found.locate(A, field).file == (STAGING if field in overlay else "statform.toml")
