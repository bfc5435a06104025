from __future__ import annotations

import pytest
from mistakes import SETTINGS, parsed, problems, unmarked

from planner.definitions.resources import RESOURCE_TYPES
from planner.definitions.settings import WAREHOUSES
from planner.version import __version__

ONE_TYPE = f"one of {', '.join(RESOURCE_TYPES)}"
VERSIONS = 'versions such as ">=0.1" or ">=0.1, <2"'

# The whole statform.toml with « » around what is underlined -> the summary, what is expected (None: a list of many).
OF_SETTINGS = {
    "an unknown setting": ("[statform]\n«max_change» = 1", 'unknown setting "max_change"', None),
    "patterns that are no list": (
        "[audit]\nignore = «'x'»",
        "a string instead of a list of strings",
        'a list of patterns of remote names, such as "*_legacy"',
    ),
    "an unknown key of what is audited": ("[audit]\n«ignored» = []", 'unknown setting "ignored"', None),
    "a variable in a setting": (
        "statform.state = «'${var.x}.json'»",
        "a variable in a setting",
        "the setting itself; an environment can have another",
    ),
    "settings that are no table": ("«statform» = 1", "an integer instead of a table", None),
    "settings as an array of tables": ("[[«statform»]]", "a list instead of a table", None),
    "a version that is no string": ("statform.required_version = «0.1»", "a float instead of a string", VERSIONS),
    "a version without an operator": (
        'statform.required_version = «"0.1"»',
        "a string that is not a version constraint",
        VERSIONS,
    ),
    "a version with letters": (
        'statform.required_version = «">=0.1rc1"»',
        "a string that is not a version constraint",
        VERSIONS,
    ),
    "a version with a comma too many": (
        'statform.required_version = «">=0.1,"»',
        "a string that is not a version constraint",
        VERSIONS,
    ),
    "a version after a tab": (
        'statform.required_version = «">=\\t0.1"»',
        "a string that is not a version constraint",
        VERSIONS,
    ),
    "a version in Arabic digits": (
        'statform.required_version = «">=٣"»',
        "a string that is not a version constraint",
        VERSIONS,
    ),
    "a version that is too new": (
        'statform.required_version = «">=99.1"»',
        f"this is statform {__version__}, and the project requires >=99.1",
        "a statform of that version: install it, or change required_version",
    ),
    "a version that is too old": (
        'statform.required_version = «">=0, <0.0.1"»',
        f"this is statform {__version__}, and the project requires >=0, <0.0.1",
        "a statform of that version: install it, or change required_version",
    ),
    "a warehouse that is none": (
        'statform.warehouse = «"bigqery"»',
        'unknown warehouse "bigqery"',
        "one of " + ", ".join(WAREHOUSES) + '; did you mean "bigquery"?',
    ),
    "a warehouse that is no string": ("statform.warehouse = «1»", "an integer instead of a string", "a string"),
    "a state of another ending": (
        'statform.state = «"state"»',
        "a state file without the ending .json",
        "a path in the project's folder that ends with .json",
    ),
    "a state with NUL": (
        'statform.state = «"\\u0000.json"»',
        "a state file without the ending .json",
        "a path in the project's folder that ends with .json",
    ),
    "a state that is no string": ("statform.state = «[]»", "a list instead of a string", "a string"),
    "a limit without its sign": (
        'statform.max_changes = «"30"»',
        "not a limit for changes",
        'a number such as 20, or a percentage such as "30%"',
    ),
    "a negative limit": (
        "statform.max_changes = «-1»",
        "not a limit for changes",
        'a number such as 20, or a percentage such as "30%"',
    ),
    "a limit that is a boolean": (
        "statform.max_changes = «true»",
        "not a limit for changes",
        'a number such as 20, or a percentage such as "30%"',
    ),
    "a limit in Arabic digits": (
        'statform.max_changes = «"٣%"»',
        "not a limit for changes",
        'a number such as 20, or a percentage such as "30%"',
    ),
    "review settings that are no boolean": (
        "statform.respect_review_settings = «1»",
        "an integer instead of true or false",
        "true or false",
    ),
    "pacing that is no table": (
        "statform.pacing = «5»",
        "an integer instead of a table",
        "a table [statform.pacing]",
    ),
    "an unknown window": (
        "[statform.pacing]\n«per_10_second» = 5",
        'unknown setting "per_10_second"',
        'one of per_10_seconds, per_15_minutes; did you mean "per_10_seconds"?',
    ),
    "a window of none": (
        "[statform.pacing]\nper_10_seconds = «0»",
        "0 is out of range",
        "an integer from 1 to 1000000",
    ),
    "a window that is no integer": (
        '[statform.pacing]\nper_15_minutes = «"5"»',
        "a string instead of an integer from 1 to 1000000",
        "an integer from 1 to 1000000",
    ),
    "defaults that are no table": ("«defaults» = []", "a list instead of a table", "a table [defaults]"),
    "defaults of an unknown type": ("[defaults.«gadget»]", 'unknown type "gadget"', ONE_TYPE),
    "defaults of a type that are no table": (
        "[defaults]\n«assignment_source» = 5",
        "an integer instead of a table",
        "a table [defaults.assignment_source]",
    ),
    "a default of an unknown field": (
        "[defaults.assignment_source]\n«tag» = []",
        'unknown field "tag"',
        'a field of assignment_source; did you mean "tags"?',
    ),
    "a default of a wrong type": (
        "[defaults.assignment_source]\nowner = { ownerID = «5» }",
        "an integer instead of a string",
        "a string",
    ),
    "a default of the name": (
        "[defaults.assignment_source]\n«name» = 'x'",
        '"name" can\'t have a default',
        "fields of the type",
    ),
    "a default of what is cleared": (
        "[defaults.assignment_source]\n«clear» = ['team']",
        '"clear" can\'t have a default',
        "fields of the type",
    ),
    "a default of dependencies": (
        "[defaults.assignment_source]\n«depends_on» = []",
        '"depends_on" can\'t have a default',
        "fields of the type",
    ),
}


@pytest.mark.parametrize("case", OF_SETTINGS.values(), ids=OF_SETTINGS.keys())
def test_a_mistake_in_the_settings_is_shown_where_it_stands(case):
    marked, summary, expected = case
    text, line, column, underlined = unmarked(marked)
    (found,) = problems(text)
    where = found.location
    assert where is not None
    assert found.summary == summary
    assert expected is None or found.expected == expected
    assert (where.file, where.line, where.column, found.address) == (SETTINGS, line, column, None)
    assert where.text[column - 1 : column - 1 + where.length] == underlined


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 20])
def test_a_version_of_many_digits_is_a_mistake_like_any_other(digits):
    (found,) = problems(f'statform.required_version = ">={digits}"')
    assert found.summary == "a string that is not a version constraint"


@pytest.mark.parametrize("constraint", [">=0.1", " >= 0.1.0 ,<2", "==0.1.0", "!=9", ">0", "<=0.1"])
def test_constraints_that_this_version_meets_are_accepted(constraint):
    assert parsed(f'statform.required_version = "{constraint}"')


def test_settings_are_read():
    found = parsed(
        '[statform]\nstate = "x/y.json"\nmax_changes = "30%"\nrespect_review_settings = true\n'
        "[statform.pacing]\nper_10_seconds = 7\nper_15_minutes = 8"
    ).settings
    assert (found.state, found.max_changes, found.respect_review_settings) == ("x/y.json", "30%", True)
    assert [(w.limit, w.seconds) for w in found.windows] == [(7, 10.0), (8, 900.0)]


def test_without_settings_there_are_defaults():
    assert parsed("").settings.state == "statform.state.json"
    assert parsed("").settings.max_changes is None
    assert parsed("").resources == {}
