import jsonschema
import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st
from strategies import declared_values, nearly_definitions, toml_definition, toml_value

from planner.definitions.definition import overlay_file
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import RESOURCE_TYPES
from planner.definitions.schema import build_schema
from planner.errors import DefinitionError

VALIDATOR = jsonschema.Draft202012Validator(build_schema())
# Problems that need two values, or the whole project, to be found.
ONLY_THE_VALIDATOR = (
    'unknown field "absent"',
    "is defined nowhere else",
    "[moved] outside statform.toml",
    "is declared and cleared",
    "already",
    "is not defined",
    "a cycle of dependencies",
    "the project requires",
    "not TOML",
    "a float where",
)


def test_the_schema_is_a_valid_json_schema():
    jsonschema.Draft202012Validator.check_schema(build_schema())


def problems(text: str, overlay: str | None = None) -> list[str]:
    files = {"statform.toml": text.encode()}
    try:
        if overlay is None:
            parse_definitions(files)
        else:
            parse_definitions({**files, overlay_file("staging"): overlay.encode()}, "staging")
    except DefinitionError as error:
        return [f"{d.summary} {d.expected}" for d in error.diagnostics]
    return []


@given(nearly_definitions())
def test_the_schema_and_the_validator_agree_on_every_value(text):
    found = problems(text)
    if any("not TOML" in one for one in found):
        return
    is_valid = VALIDATOR.is_valid(tomli.loads(text))
    assert is_valid or found
    assert not is_valid or all(any(reason in one for reason in ONLY_THE_VALIDATOR) for one in found)


@given(nearly_definitions(), st.booleans())
def test_the_schema_knows_all_that_an_environment_may_say(text, is_defined):
    found = problems("[assignment_source.a]\n[assignment_source.b]\n" if is_defined else "", text)
    if any("not TOML" in one for one in found):
        return
    is_valid = VALIDATOR.is_valid(tomli.loads(text))
    assert is_valid or found
    assert not is_valid or all(any(reason in one for reason in ONLY_THE_VALIDATOR) for one in found)


@given(declared_values(with_sql=True))
def test_the_schema_accepts_every_valid_value_of_a_field(values):
    assert VALIDATOR.is_valid(tomli.loads(toml_definition("a", values)))


@pytest.mark.parametrize("type_", RESOURCE_TYPES.values(), ids=RESOURCE_TYPES)
def test_every_field_is_described_and_refuses_what_it_does_not_expect(type_):
    fields = build_schema()["properties"][type_.name]["additionalProperties"]["properties"]
    for field in type_.declarable:
        assert fields[field.name]["description"].endswith(".")
        wrong = {type_.name: {"a": {field.name: {"no": "such member"}}}}
        assert not VALIDATOR.is_valid(wrong)
    own = [f.name for f in type_.declarable]
    assert list(fields) == ["name", *own, "clear", "depends_on", "sql_file", "adopt", "absent"]


@pytest.mark.parametrize(
    ("table", "is_valid"),
    [
        ({"required_version": ">=0.1, <2"}, True),
        ({"required_version": "0.1"}, False),
        ({"required_version": ">=99"}, True),
        ({"state": "x.json"}, True),
        ({"state": "x.toml"}, False),
        ({"max_changes": "30%"}, True),
        ({"max_changes": 0}, True),
        ({"max_changes": -1}, False),
        ({"max_changes": True}, False),
        ({"pacing": {"per_10_seconds": 0}}, False),
        ({"pacing": 1}, False),
        ({"pace": 1}, False),
    ],
)
def test_settings(table, is_valid):
    assert VALIDATOR.is_valid({"statform": table}) is is_valid
    is_taken = not [p for p in problems(f"statform = {toml_value(table)}") if "the project requires" not in p]
    assert is_taken is is_valid
