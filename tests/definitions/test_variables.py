"""`[variables]`, who sets their values, and where `${var.NAME}` can be used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.definitions.definition import Definitions, overlay_file
from planner.definitions.optional.variables import MAX_INSERTED, Variables, quote_references
from planner.definitions.parse import parse_definitions
from planner.errors import DefinitionError
from state.values import Address

A = Address("assignment_source.a")
STAGING = overlay_file("staging")
BASE = """\
[variables]
database = "analytics"
suffix = ""
[defaults.assignment_source]
sql = "SELECT * FROM ${var.database}.exposures WHERE ts > {statsig_start_date}"
[assignment_source.a]
name = "checkout${var.suffix}"
tags = ["${var.database}", "core"]
idTypeMapping = [{ statsigUnitID = "userID", column = "${var.database}_id" }]
owner = { ownerName = "${var.database} team" }
"""


def read(base: str, overlay: str | None = None, **files: str) -> Definitions:
    sources = {"statform.toml": base, **{f"definitions/{name}.toml": text for name, text in files.items()}}
    if overlay is None:
        return parse_definitions({name: text.encode() for name, text in sources.items()})
    sources[STAGING] = overlay
    return parse_definitions({name: text.encode() for name, text in sources.items()}, "staging")


def problems(base: str, overlay: str | None = None, **files: str) -> list[tuple[str, str, int, str | None]]:
    """The summary, the file, the line and the address of each problem."""
    with pytest.raises(DefinitionError) as raised:
        read(base, overlay, **files)
    found = raised.value.diagnostics
    return [(d.summary, d.location.file, d.location.line, d.address) for d in found if d.location]


def test_a_variable_can_be_used_in_names_values_and_defaults():
    one = read(BASE).resources[A]
    assert one.name == "checkout"
    assert one.values["sql"] == "SELECT * FROM analytics.exposures WHERE ts > {statsig_start_date}"
    assert one.values["tags"] == ["analytics", "core"]
    assert one.values["idTypeMapping"] == [{"statsigUnitID": "userID", "column": "analytics_id"}]
    assert one.values["owner"] == {"ownerName": "analytics team"}


def test_an_environment_can_set_declared_variables():
    one = read(BASE, '[variables]\nsuffix = "_staging"\n[assignment_source.a]\nteam = "${var.database}"\n').resources[A]
    assert (one.name, one.values["team"]) == ("checkout_staging", "analytics")
    assert problems(BASE, '[variables]\nsufix = "x"\n') == [('unknown variable "sufix"', STAGING, 2, None)]
    assert problems(BASE, "[variables]\nsuffix = { required = true }\n")[0][0] == "a table instead of a string"


def test_a_required_variable_has_to_be_set():
    base = "[variables]\nx = { required = true }\n[assignment_source.a]\nteam = '${var.x}'\n"
    assert problems(base) == [('the variable "x" is required, but not set', "statform.toml", 2, None)]
    assert read(base, "[variables]\nx = 'X'\n").resources[A].values["team"] == "X"


def test_two_dollars_stand_for_the_text_itself():
    base = "[variables]\nx = 'X'\n[assignment_source.a]\ndescription = '$${var.x} $x ${x} $$ ${var.x}'\n"
    assert read(base).resources[A].values["description"] == "${var.x} $x ${x} $$ X"


def test_a_reference_that_is_written_with_escapes_is_replaced_too():
    base = '[variables]\nx = "X"\n[assignment_source.a]\nteam = "\\u0024{var.x}"\n'
    assert read(base).resources[A].values["team"] == "X"


def test_a_variable_that_is_not_declared_is_an_error_where_it_stands():
    base = "[variables]\ndatabase = 'd'\n[defaults.assignment_source]\nteam = '${var.y}'\n"
    one = "[assignment_source.a]\nname = '${var.databse}'\ntags = ['x', '${var.z}']\ndescription = '${var.}'\n"
    assert problems(base, one=one) == [
        ('unknown variable "y"', "statform.toml", 4, None),
        ('unknown variable "databse"', "definitions/one.toml", 2, A),
        ('unknown variable "z"', "definitions/one.toml", 3, A),
        ("${var. without a name and }", "definitions/one.toml", 4, A),
    ]


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("[statform]\nstate = '${var.x}.json'\n", "a variable in a setting"),
        ("[variables]\n'x y' = ''\n", 'the variable "x y" can\'t be referred to'),
        ("[variables]\nx = 1\n", "an integer instead of a string"),
        ("[variables]\nx = { required = false }\n", "a table instead of a string"),
        ("[variables]\nx = '${var.y}'\n", 'the variable "x" refers to a variable'),
        ("variables = 1\n", "an integer instead of a table"),
    ],
)
def test_an_invalid_variable_is_an_error(text: str, summary: str):
    assert [found[0] for found in problems(text)] == [summary]


def test_variables_are_declared_only_in_statform_toml():
    assert problems("", one="[variables]\nx = ''\n")[0][0] == "[variables] outside statform.toml"


def test_no_variable_is_called_unknown_if_a_file_can_not_be_read():
    broken = problems(
        BASE.replace('database = "analytics"', "database = "), one="[assignment_source.b]\nteam = '${var.x}'"
    )
    assert [found[0].partition(":")[0] for found in broken] == ["not TOML"]


def test_variables_can_not_fill_the_memory():
    text = "${var.x}" * 100
    made, found = Variables({"x": "x" * (MAX_INSERTED // 50)}).expand([text])
    assert [problem.path for problem in found] == [(0,)]
    assert isinstance(made, list)
    assert len(str(made[0])) <= MAX_INSERTED


@given(st.lists(st.sampled_from(["$", "{", "var.", "x", "}", "${var.x}", "$$", "y"])).map("".join))
def test_a_quoted_text_reads_back_unchanged(text: str):
    assert Variables({"x": "X"}).expand(quote_references(text)) == (text, ())
