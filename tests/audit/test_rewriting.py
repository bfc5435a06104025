"""What moved at the remote, taken into the definitions."""

from __future__ import annotations

import pytest
from golden import snapshot
from hypothesis import given
from hypothesis import strategies as st
from strategies import declared_values, toml_definition

from planner.audit.drift import find_drift, refresh
from planner.audit.rewriting import Rewrite, find_files, rewrite
from planner.definitions.definition import Definitions, overlay_file
from planner.definitions.parse import parse_definitions
from planner.plan.diff import diff
from state.fold import replay
from state.snapshot import Snapshot
from state.values import Address

A = Address("assignment_source.a")
STAGING = overlay_file("staging")


def read(files: dict[str, str], environment: str | None = None) -> Definitions:
    contents = {name: text.encode() for name, text in files.items()}
    toml = {name: content for name, content in contents.items() if name.endswith(".toml")}
    return parse_definitions(toml, environment, None, contents.__getitem__)


def rewritten(
    files: dict[str, str], state: Snapshot, sources: dict, environment: str | None = None, others: dict | None = None
):
    """What a rewrite makes of the files, the fields that moved and differ still, and the files."""
    definitions = read(files, environment)
    drifts = find_drift(state, {"assignment_source": sources})
    after = replay(state, refresh(drifts, state, "t"))
    texts = {name: files[name] for name in find_files(definitions, drifts)}
    found = rewrite(definitions, drifts, after, texts, others)
    new = {**files, **found.files}
    moved = {(drift.address, change.field.name) for drift in drifts for change in drift.changes}
    left = {
        (address, change.field.name)
        for address, one in read(new, environment).resources.items()
        if address in after.resources
        for change in diff(one, after.resources[address]).changes
    }
    return found, left & moved, new


def of_a(text: str, prior: dict, remote: dict | None, *, defaults: str = "", overlay: str | None = None):
    files = {"statform.toml": defaults, "definitions/a.toml": text}
    if overlay is not None:
        files[STAGING] = overlay
    state = snapshot({A: {"name": "a", "data": {"name": "a", **prior}}})
    sources = {} if remote is None else {"a": {"name": "a", **remote}}
    return rewritten(files, state, sources, None if overlay is None else "staging")


def reasons(found: Rewrite) -> list[tuple[str | None, str]]:
    return [(one.field, one.reason) for one in found.not_written]


def test_a_value_goes_to_where_it_is_declared_and_all_else_stays():
    text = "# ours\n[assignment_source.a]\n  description = 'old' # why\ntags = ['b', 'a']\n\n# end\n"
    found, left, files = of_a(
        text, {"description": "old", "tags": ["a", "b"]}, {"description": "new", "tags": ["c", "a"]}
    )
    assert files["definitions/a.toml"] == text.replace("'old'", '"new"').replace("['b', 'a']", '["a", "c"]')
    assert (found.values, found.not_written, left) == (2, (), set())


def test_what_is_not_declared_and_what_only_the_definition_changes_is_left_alone():
    text = "[assignment_source.a]\ndescription = 'mine'\n"
    found, left, _ = of_a(text, {"description": "old", "team": "t"}, {"description": "old", "team": "u"})
    assert (found.files, found.not_written, left) == ({}, (), set())


def test_a_cleared_field_is_declared_and_a_declared_one_cleared():
    text = "[assignment_source.a]\nclear = ['team']\nteamID = 'x'\n"
    _, left, files = of_a(text, {"team": None, "teamID": "x"}, {"team": "t", "teamID": None})
    assert files["definitions/a.toml"] == '[assignment_source.a]\nclear = ["teamID"]\nteam = "t"\n'
    assert not left


def test_a_default_is_never_changed_but_declared_over():
    defaults = "[defaults.assignment_source]\nteam = 't'\nteamID = 'x'\n"
    _, left, files = of_a(
        "[assignment_source.a]\n", {"team": "t", "teamID": "x"}, {"team": "u", "teamID": None}, defaults=defaults
    )
    assert files["statform.toml"] == defaults
    assert files["definitions/a.toml"] == '[assignment_source.a]\nteam = "u"\nclear = ["teamID"]\n'
    assert not left


def test_an_environment_gets_values_of_its_own():
    text = "[assignment_source.a]\nteam = 't'\nclear = ['teamID']\n"
    _, left, files = of_a(text, {"team": "t"}, {"team": "u", "teamID": "x"}, overlay="# staging\n")
    assert files["definitions/a.toml"] == text
    assert files[STAGING] == '# staging\n\n[assignment_source.a]\nteam = "u"\nteamID = "x"\n'
    assert not left


def test_only_the_declared_members_of_a_table_are_written():
    text = "[assignment_source.a]\nowner = { ownerID = 'u' }\n"
    _, left, files = of_a(text, {"owner": {"ownerID": "u"}}, {"owner": {"ownerID": "v", "ownerName": "V"}})
    assert files["definitions/a.toml"] == '[assignment_source.a]\nowner = { ownerID = "v" }\n'
    assert not left


@pytest.mark.parametrize(
    ("text", "prior", "remote", "reason"),
    [
        ("team = '${var.x}'", {"team": "X"}, {"team": "u"}, ("team", "its value in the definition has variables")),
        (
            "description = 'd'", {"description": "d"}, {"description": None},
            ("description", "it has no value at the remote, and a definition can't clear it"),
        ),
        (
            "tags = ['x']", {"tags": ["x"]}, {"tags": ["y", "y"]},
            ("tags", "a definition can't have its value at the remote"),
        ),
        (
            "tags = [\n'x', # the first\n]", {"tags": ["x"]}, {"tags": ["y"]},
            ("tags", "it has comments inside, which would be lost"),
        ),
        ("team = 't'", {"team": "t"}, None, (None, "the source is gone, and its definition stays")),
    ],
)  # fmt: skip
def test_what_can_not_be_written_is_said_and_stays(text, prior, remote, reason):
    variables = "[variables]\nx = 'X'\n"
    text = f"[assignment_source.a]\n{text}\n"
    found, _, _ = of_a(text, prior, remote, defaults=variables)
    assert (found.files, reasons(found)) == ({}, [reason])


def test_what_can_not_be_written_keeps_nothing_else_from_being_written():
    text = "[assignment_source.a]\ntags = [\n'x', # the first\n]\nteam = 't'\nisVerified = true\n"
    found, left, files = of_a(
        text, {"tags": ["x"], "team": "t", "isVerified": True}, {"tags": ["y"], "team": "u", "isVerified": False}
    )
    assert files["definitions/a.toml"] == text.replace("'t'", '"u"').replace("true", "false")
    assert [field for field, _ in reasons(found)] == ["tags"]
    assert left == {(A, "tags")}


IN_FILE = "[assignment_source.a]\nsql_file = 'a.sql'\nteam = 't'\n"


def of_query(before: str, now: str, *, text: str = IN_FILE, overlay: str | None = None, others=None, **more: str):
    """As `of_a`, of a source whose query, which was what the file has, is `now` another one; `__` is a folder's end."""
    files = {"statform.toml": "[variables]\nx = 'X'\n", "definitions/a.toml": text, "definitions/a.sql": before}
    files |= {name.replace("__", "/") + ".toml": content for name, content in more.items()}
    if overlay is not None:
        files[STAGING] = overlay
    environment = None if overlay is None else "staging"
    sql = read(files, environment).resources[A].values["sql"]
    state = snapshot({A: {"name": "a", "data": {"name": "a", "team": "t", "sql": sql}}})
    return rewritten(files, state, {"a": {"name": "a", "team": "t", "sql": now}}, environment, others)


def test_a_query_goes_to_its_file_where_the_lines_that_stay_keep_their_bytes():
    found, left, files = of_query("SELECT 1\r\nFROM t -- $${var.x}\r\n", "SELECT 2\nFROM t -- ${var.x}")
    assert dict(found.files) == {"definitions/a.sql": "SELECT 2\r\nFROM t -- $${var.x}\r\n"}
    assert files["definitions/a.toml"] == IN_FILE
    assert (found.values, found.not_written, left) == (1, (), set())


def test_a_query_of_an_environment_goes_to_the_file_that_it_names_or_into_its_table():
    found, left, _ = of_query("SELECT 1", "SELECT 2", overlay="[assignment_source.a]\nteam = 't'\n")
    assert dict(found.files) == {STAGING: "[assignment_source.a]\nteam = 't'\nsql = \"SELECT 2\"\n"}
    assert not left
    text = "[assignment_source.a]\nsql = 'SELECT 0'\n"
    overlay = "[assignment_source.a]\nsql_file = '../definitions/a.sql'\n"
    found, left, _ = of_query("SELECT 1", "SELECT 2", text=text, overlay=overlay)
    assert (dict(found.files), left) == ({"definitions/a.sql": "SELECT 2"}, set())


@pytest.mark.parametrize(
    ("before", "now", "more", "reason"),
    [
        ("SELECT ${var.x}", "SELECT Y", {}, "its value in the definition has variables"),
        ("SELECT 1", "SELECT 2\r3", {}, "a .sql file can't have its value at the remote, or not so that a person"),
        ("SELECT 1", "SELECT 2", {"definitions__b": "[assignment_source.b]\nsql_file = 'a.sql'\n"}, "more than one"),
        (
            "SELECT 1", "SELECT 2",
            {"others": {STAGING: {"metric_source": {"b": {"sql_file": "../definitions/a.sql"}}}}}, "more than one",
        ),
        (
            "SELECT 1", "SELECT 2",
            {"overlay": "[assignment_source.a]\nsql_file = '../definitions/a.sql'\n"}, "more than one",
        ),
    ],
)  # fmt: skip
def test_a_query_that_can_not_go_to_its_file_is_said_and_stays(before, now, more, reason):
    found, _, _ = of_query(before, now, **more)
    assert found.files == {}
    ((field, said),) = reasons(found)
    assert (field, reason in said) == ("sql", True)


def test_a_query_that_moved_only_in_its_line_ends_is_as_the_file_says_it():
    found, left, _ = of_query("SELECT 1\nFROM t\n", "SELECT 1\r\nFROM t")
    assert (found.files, found.not_written, left) == ({}, (), set())


@given(st.data())
def test_a_plan_after_a_rewrite_changes_nothing_but_what_was_not_written(data):
    line_end = data.draw(st.sampled_from(["\n", "\r\n"]))
    priors = {key: data.draw(declared_values(with_sql=True)) for key in ("a", "b")}
    remotes = {key: data.draw(declared_values(with_sql=True)) for key in ("a", "b")}
    text = "# ours\n" + "# between\n".join(toml_definition(key, values) for key, values in priors.items())
    files = {"statform.toml": "", "definitions/a.toml": text.replace("\n", line_end)}
    data_of = {key: {"name": key, **values} for key, values in priors.items()}
    state = snapshot({f"assignment_source.{key}": {"name": key, "data": one} for key, one in data_of.items()})
    sources = {key: {"name": key, **values} for key, values in remotes.items()}
    found, left, new = rewritten(files, state, sources)
    assert left <= {(one.address, one.field) for one in found.not_written}
    shown = new["definitions/a.toml"]
    assert shown.startswith("# ours" + line_end)
    assert f"# between{line_end}" in shown
    assert ("\r\n" in shown) == (line_end == "\r\n")
