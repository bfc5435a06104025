"""What is said about a text that is not TOML: what was meant, and where the mistake is."""

from __future__ import annotations

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st
from mistakes import shown
from toml_strategies import toml_texts

from planner.definitions.document import parse_file
from planner.definitions.toml_errors import explain
from planner.errors import Diagnostic

IN_TOML = 'TOML: [assignment_source.KEY] and, below it, lines such as name = "…"'
CONFLICT = "one of the two sides, without the lines that begin with <<<<<<<, ======= and >>>>>>>"
LIST = "] at its end, and a comma between two of its elements"


def said(text: str) -> str:
    found = parse_file("x.toml", f"[assignment_source.a]\n{text}".encode())
    assert isinstance(found, Diagnostic)
    return shown(found)


@pytest.mark.parametrize(
    ("text", "place", "summary", "expected"),
    [
        ("name = checkout_exposures", "2:8", "invalid value", 'a string in quotes: "checkout_exposures"'),
        ("name = check out # c", "2:8", "invalid value", 'a string in quotes: "check out"'),
        ("name = ${var.x}", "2:8", "invalid value", 'a string in quotes: "${var.x}"'),
        ("name = “x”", "2:8", "invalid value", 'a string in straight quotes: "…"'),
        ("name = 2024-checkout", "2:12", "expected newline or end of document after a statement",
         'a string in quotes: "2024-checkout"'),
        ("tags = [a, b]", "2:9", "invalid value", 'a string in quotes: "a"'),
        ("isVerified = True", "2:14", "invalid value", "true, in lower case and without quotes"),
        ("isReadOnly = no", "2:14", "invalid value", "false, in lower case and without quotes"),
        ("team = None", "2:8", "invalid value", 'no null, because TOML has none: clear = ["…"] sets a field to null'),
        ("name =", "2:7", "no value", 'a value: "a string", true or false, a number, a list or a table'),
        ("<<<<<<< HEAD\n", "2:1", "a merge conflict that git left here", CONFLICT),
        ('tags = [\n"a",\n=======\n]', "4:1", "a merge conflict that git left here", CONFLICT),
        ('resource "assignment_source" "a" {\n}', "2:1", "this is HCL, as Terraform reads it", IN_TOML),
        ("name: checkout", "2:1", "this is YAML", IN_TOML),
        ("name", "2:5", "expected '=' after a key in a key/value pair", IN_TOML),
        ('tags = ["a"', "2:8", "a list without its end, or without a comma", LIST),
        ('tags = ["a", "]"\n[assignment_source.b]\n', "2:8", "a list without its end, or without a comma",
         LIST),
        ("tags = [\n[assignment_source.b]\n", "2:8", "a list without its end, or without a comma", LIST),
        ("owner = { ownerID = 'x' # }", "2:9", "a table without its end, or without a comma",
         "} at its end, and a comma between two of its elements"),
        ("[x", "2:3", "expected ']' at the end of a table declaration",
         "a table's name in brackets, such as [assignment_source.checkout]"),
        ('sql = """\nSELECT 1\n', "2:7", "a string that is not closed", '""" at its end'),
        ("sql = '''\nSELECT 1\n", "2:7", "a string that is not closed", "''' at its end"),
        ("sql = 'SELECT 1\n", "2:7", "a string that is not closed on its line",
         "' at its end; a text of several lines stands between ''' and '''"),
        (
            r'sql = "r\d"',
            "2:9",
            "a backslash before a character that it can't escape",
            r"\\ for a backslash, or the string in '…'",
        ),
    ],
)  # fmt: skip
def test_the_error_says_what_was_meant_where_the_mistake_is(text, place, summary, expected):
    found = said(text)
    assert found.startswith(f"x.toml:{place}: not TOML: {summary}")
    assert found.endswith(expected)


@given(toml_texts(), st.data())
def test_the_error_of_a_cut_text_is_inside_the_text(whole, data):
    text = whole[: data.draw(st.integers(0, len(whole)))].replace("\r\n", "\n") + data.draw(
        st.sampled_from(["", "x", '"'])
    )
    try:
        tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        found = explain(text, error)
        assert 0 <= found.offset <= len(text)
        assert found.summary.startswith("not TOML: ")
        assert found.expected
