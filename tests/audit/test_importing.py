from __future__ import annotations

import itertools
import re

import pytest
import tomli
from golden import snapshot
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import declared_values, json_values, strings, toml_definition

from planner.audit.importing import Import, import_all
from planner.definitions.definition import Definitions
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.definitions.writing.write import format_query, format_toml
from planner.escape import escape
from planner.plan.build import build_plan
from state import records
from state.fold import Fold
from state.snapshot import EMPTY, Snapshot

WORDS = [
    "a b",
    "a/b",
    "a_b",
    "проверка",
    "曝光",
    "تعرض",
    "é",
    "e\u0301",
    "🙂",
    "it's",
    'say "hi"',
    "back\\slash",
    "a.b",
    "A",
]
names = st.sampled_from(WORDS) | st.text(min_size=1, max_size=8)
texts = st.text(st.sampled_from("'\"\\ \n\r\t\0\x7f\u200b\u200d\ufe0f\u202e#ab🙂")) | st.text(
    st.characters(exclude_categories=["Cs"])
)


@st.composite
def sources(draw):
    """By name, as an API may list them: any field null, absent, or now and then of another type."""
    found = {}
    for name in draw(st.lists(names, max_size=6, unique=True)):
        values = draw(declared_values(with_sql=True))
        for field in ("sql", "description"):
            if draw(st.booleans()):
                values[field] = draw(texts)
        if draw(st.integers(0, 3)) == 0:
            values[draw(st.sampled_from([f.name for f in ASSIGNMENT_SOURCE.fields] + ["new"]))] = draw(json_values)
        found[name] = {"name": name, **values}
    return found


def parsed(*files: str) -> Definitions:
    return parse_definitions(
        {"statform.toml": b"", **{f"definitions/{n}.toml": text.encode() for n, text in enumerate(files)}}
    )


def after(found: Import, before: Snapshot = EMPTY) -> Snapshot:
    fold = Fold(before)
    if not before.lineage:
        fold.add(records.Genesis("l", 1, "t"))
    for one in found.imported:
        fold.add(records.Imported(one.address, one.source, "t"))
    return fold.snapshot("h", 1)


@given(sources())
def test_a_plan_right_after_an_import_of_all_has_no_changes(remote):
    found = import_all(ASSIGNMENT_SOURCE, remote, parsed(), EMPTY)
    definitions, state = parsed(*found.files), after(found)
    assert not build_plan(definitions, state).changes
    assert {one.name for one in found.imported} == {
        n for n in remote if not re.fullmatch(r"\.{1,2}|.*[\ud800-\udfff].*", n, re.DOTALL)
    }
    assert len(definitions.resources) == len(found.imported)
    assert not import_all(ASSIGNMENT_SOURCE, remote, definitions, state).imported


@given(sources(), st.sampled_from(["\n", "\r\n"]))
@example({"a": {"name": "a", "sql": "SELECT 1\r\nFROM ${var.x}\r\n"}}, "\r\n")
def test_a_plan_right_after_an_import_with_sql_files_has_no_changes(remote, line_end):
    names = itertools.count()
    found = import_all(ASSIGNMENT_SOURCE, remote, parsed(), EMPTY, name_sql=lambda _key, _text: f"{next(names)}.sql")
    files = {f"definitions/{name}": text.replace("\n", line_end).encode() for name, text in found.sql_files.items()}
    texts = {f"definitions/{n}.toml": text.encode() for n, text in enumerate(found.files)}
    definitions = parse_definitions({"statform.toml": b"", **texts}, read_sql=files.__getitem__)
    assert not build_plan(definitions, after(found)).changes
    for one in found.imported:
        sql = remote[one.name].get("sql")
        is_readable = isinstance(sql, str) and sql and escape(sql.replace("\r\n", "")) == sql.replace("\r\n", "")
        assert not is_readable or "::" in sql or "##" in sql or one.sql_file is not None


@given(sources(), sources())
def test_a_second_import_takes_what_came_since_and_overwrites_no_key(first, second):
    once = import_all(ASSIGNMENT_SOURCE, first, parsed(), EMPTY)
    definitions, state = parsed(*once.files), after(once)
    twice = import_all(ASSIGNMENT_SOURCE, {**second, **first}, definitions, state)
    both = parsed(*once.files, *twice.files)
    assert not build_plan(both, after(twice, state)).changes


@given(sources())
def test_an_import_that_ended_after_the_definitions_is_completed_by_the_next(remote):
    definitions = parsed(*import_all(ASSIGNMENT_SOURCE, remote, parsed(), EMPTY).files)
    found = import_all(ASSIGNMENT_SOURCE, remote, definitions, EMPTY)
    assert found.files == ()
    assert not build_plan(definitions, after(found)).changes


@given(texts)
@example("trailing \nspace")
@example("\nfirst line empty")
@example("ends with '\n'")
@example("'''\n\"\"\"")
@example("a\r\nb")
@example("a\r\r\nb\r\n")
@example("${var.")
def test_a_text_is_written_so_that_it_is_read_as_it_was_but_for_cr_before_lf(text):
    found = import_all(ASSIGNMENT_SOURCE, {"a": {"name": "a", "sql": text}}, parsed(), EMPTY)
    as_lf = text.replace("\r\n", "\n")
    said = text if "\r" in as_lf else as_lf
    assert parsed(*found.files).resources[found.imported[0].address].values["sql"] == said
    # What looks like a variable is escaped in the file.
    assert tomli.loads(found.files[0])["assignment_source"]["a"]["sql"] == said.replace("${var.", "$${var.")
    assert not re.search("[\u200b\u202e\0\x7f]", found.files[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '""'),
        ("it's", '"it\'s"'),
        ('say "hi"', "'say \"hi\"'"),
        ("a\\b", "'a\\b'"),
        ('it\'s "\\x" y', "'''it's \"\\x\" y'''"),
        ("\"it's'", '"\\"it\'s\'"'),
        ("tab\tand \\", '"tab\\tand \\\\"'),
        ("\nended\n", "'''\n\nended\n'''"),
        ('it\'s\n"\\"\n', "'''\nit's\n\"\\\"\n'''"),
        ("a\n\tb", "'''\na\n\tb'''"),
        ("a\n'b'", '"""\na\n\'b\'"""'),
        ("a  \nb\t\n", '"""\na \\u0020\nb\\t\n"""'),
        ('a\r\n\t"b"', '"""\na\\r\n\t"b\\""""'),
        ('\'\'\'\n""""x"', '"""\n\'\'\'\n\\"\\"""x\\""""'),
        ("❤️ 👩‍👩‍👧 می‌خواهم", '"❤️ 👩‍👩‍👧 می‌خواهم"'),
        ("a\u200db\u202ec", '"a\\u200db\\u202ec"'),
        ("\U000e0067\x7f", '"\\U000e0067\\u007f"'),
    ],
)
def test_a_text_takes_the_form_that_needs_the_fewest_escapes(text, expected):
    assert format_toml(text) == expected
    assert tomli.loads(f"x = {expected}") == {"x": text}


@given(texts)
def test_a_file_never_shows_what_can_not_be_seen_and_says_the_same_with_other_line_ends(text):
    shown = written(description=text, sql=text, tags=[text])
    for before, character in zip(" " + shown, shown, strict=False):
        is_joined = character in "\u200c\u200d\ufe0f" and not before.isascii()
        assert character in "\n\t" or is_joined or escape(character) == character
    assert not any(line.endswith((" ", "\t")) for line in shown.split("\n"))
    assert parsed(shown.replace("\n", "\r\n")).resources == parsed(shown).resources


def test_a_query_with_cr_lf_is_written_as_lines():
    sql = "SELECT 1\r\nFROM t\r\n"
    assert written(sql=sql).endswith("sql = '''\nSELECT 1\nFROM t\n'''\n")
    found = import_all(ASSIGNMENT_SOURCE, {"a": {"name": "a", "sql": sql}}, parsed(), EMPTY)
    assert not build_plan(parsed(*found.files), after(found)).changes


@pytest.mark.parametrize(
    ("sql", "before", "text"),
    [
        ("SELECT 1", "", "SELECT 1\n"),
        ("SELECT 1\n", "", "SELECT 1\n\n"),
        ("SELECT 2", "SELECT 1", "SELECT 2"),
        ("SELECT 2\n", "SELECT 1", "SELECT 2\n\n"),
        ("a\nB\nc", "a\r\nb\nc\r\n", "a\r\nB\r\nc\r\n"),
        ("a\nb\nc\nd", "a\nb\r\nc\n", "a\nb\r\nc\nd\r\n"),
        ("x", "\ufeffy\n", "\ufeffx\n"),
        ("${var.x}", "", "$${var.x}\n"),
        ("", "", None),
        ("a\rb", "", None),
        ("a\u200bb", "", None),
        ("a\u200bb\nc", "a\u200bb\nd\n", "a\u200bb\nc\n"),
        ("::set-output", "", None),
        ("-" * (1 << 20), "", None),
    ],
)
def test_a_query_in_a_file_keeps_the_lines_that_stay(sql, before, text):
    assert format_query(sql, before) == text


def written(**fields) -> str:
    return import_all(ASSIGNMENT_SOURCE, {"a": {"name": "a", **fields}}, parsed(), EMPTY).files[0]


def test_a_definition_is_as_a_person_would_have_written_it():
    source = {
        "name": "Checkout (v2)",
        "sql": "SELECT *\nFROM exposures\nWHERE name <> 'x'\n",
        "description": 'Says "hi"',
        "tags": ["core", "growth"],
        "timestampColumn": "ts",
        "isVerified": True,
        "isReadOnly": False,
        "groupNameColumn": "",
        "idTypeMapping": [{"column": "user_id", "statsigUnitID": "userID"}],
        "owner": {"ownerType": "USER", "ownerID": "u1", "seenBy": "the server"},
        "team": None,
        "scheduledReloadHour": 0,
    }
    (text,) = import_all(ASSIGNMENT_SOURCE, {"Checkout (v2)": source}, parsed(), EMPTY).files
    assert text == (
        "[assignment_source.checkout_v2]\n"
        'name = "Checkout (v2)"\n'
        "description = 'Says \"hi\"'\n"
        "isVerified = true\n"
        'tags = ["core", "growth"]\n'
        'timestampColumn = "ts"\n'
        "idTypeMapping = [\n"
        '  { statsigUnitID = "userID", column = "user_id" },\n'
        "]\n"
        'owner = { ownerID = "u1", ownerType = "USER" }\n'
        "scheduledReloadHour = 0\n"
        "sql = '''\n"
        "SELECT *\n"
        "FROM exposures\n"
        "WHERE name <> 'x'\n"
        "'''\n"
    )


def test_keys_are_made_of_the_names_and_none_is_taken_twice():
    listed = [
        "a b",
        "a/b",
        "a_b",
        "曝光",
        "проверка",
        "…",
        "—",
        "it's 🚀",
        "Ünï ß",
        "e\u0301",
        "--x--",
        " " + "x" * 100,
    ]
    taken = parsed("[assignment_source.a_b_2]\nname = 'z'\n")
    found = import_all(ASSIGNMENT_SOURCE, {n: {"name": n} for n in listed}, taken, EMPTY).imported
    keys = {one.name: one.address.partition(".")[2] for one in found}
    assert keys["a_b"] == "a_b"
    assert (keys["a b"], keys["a/b"]) == ("a_b_3", "a_b_4")
    assert (keys["—"], keys["…"]) == ("source", "source_2")
    assert (keys["曝光"], keys["проверка"], keys["it's 🚀"], keys["e\u0301"]) == (
        "pu_guang",
        "proverka",
        "its_rocket",
        "e",
    )
    assert (keys["Ünï ß"], keys["--x--"], keys[" " + "x" * 100]) == ("uni_ss", "x", "x" * 60)


@pytest.mark.parametrize("name", ["", ".", "..", "\ud800"])
def test_a_name_that_no_definition_can_have_is_skipped_with_the_reason(name):
    found = import_all(ASSIGNMENT_SOURCE, {name: {"name": name}}, parsed(), EMPTY)
    assert not found.imported
    (warning,) = found.warnings
    assert "name that" in warning
    assert warning.startswith("assignment_source ")


def test_values_that_no_definition_can_have_are_left_out_with_the_reason():
    odd = {"tags": ["a", "a"], "isVerified": "yes", "description": "\ud800", "team": "Growth"}
    found = import_all(ASSIGNMENT_SOURCE, {"a": {"name": "a", **odd}}, parsed(), EMPTY)
    assert found.files == ('[assignment_source.a]\nname = "a"\nteam = "Growth"\n',)
    assert found.warnings == (
        "assignment_source.a: description is left out: UTF-8 can't hold it",
        "assignment_source.a: isVerified is left out: a string instead of true or false",
        "assignment_source.a: tags is left out: a string that is listed twice",
    )


def test_a_default_that_a_source_does_not_have_is_cleared_or_told():
    defaults = parse_definitions({"statform.toml": b"[defaults.assignment_source]\nteam = 'x'\nisVerified = true\n"})
    found = import_all(ASSIGNMENT_SOURCE, {"a": {"name": "a", "team": None}}, defaults, EMPTY)
    assert found.files == ('[assignment_source.a]\nname = "a"\nclear = ["team"]\n',)
    assert found.warnings == ("assignment_source.a: isVerified has a default; a plan will set it",)


def test_what_equals_a_default_of_the_file_that_it_goes_to_is_left_out():
    text = (
        b"[defaults.assignment_source]\ntags = ['a', 'b']\nteam = 'x'\nowner = { ownerID = 'u' }\nisVerified = true\n"
    )
    defaults = parse_definitions({"statform.toml": text})
    remote = {
        "a": {"name": "a", "tags": ["b", "a"], "team": "x", "owner": {"ownerID": "u", "ownerName": "U"}},
        "b": {"name": "b", "tags": ["b"], "team": "x", "owner": {"ownerID": "v"}, "isVerified": False},
    }
    for one in remote.values():
        one.setdefault("isVerified", True)
    found = import_all(ASSIGNMENT_SOURCE, remote, defaults, EMPTY)
    assert found.files == (
        '[assignment_source.a]\nname = "a"\n\n'
        '[assignment_source.b]\nname = "b"\nisVerified = false\ntags = ["b"]\nowner = { ownerID = "v" }\n',
    )
    whole = parse_definitions({"statform.toml": text, "definitions/a.toml": found.files[0].encode()})
    assert not build_plan(whole, after(found)).changes


def test_a_text_that_looks_like_a_variable_is_written_as_the_text_that_it_is():
    found = import_all(ASSIGNMENT_SOURCE, {"${var.x}": {"name": "${var.x}", "sql": "a\n$${var.y}"}}, parsed(), EMPTY)
    (one,) = parsed(*found.files).resources.values()
    assert (one.name, one.values["sql"]) == ("${var.x}", "a\n$${var.y}")


def test_sources_are_grouped_by_team_or_first_tag():
    remote = {n: {"name": n, "team": t, "tags": tags} for n, t, tags in (("a", "X", []), ("b", None, ["q", "r"]))}
    found = import_all(ASSIGNMENT_SOURCE, remote, parsed(), EMPTY)
    assert [*found.files_by("team")] == ["", "X"]
    by_tag = found.files_by("tag")
    assert [*by_tag] == ["", "q"]
    assert not build_plan(parsed(*(text for texts in by_tag.values() for text in texts)), after(found)).changes


def test_a_name_whose_address_has_another_source_still_is_left_alone():
    definitions = parsed(toml_definition("a", {}, "new"))
    state = after(
        import_all(ASSIGNMENT_SOURCE, {"old": {"name": "old"}}, parsed(toml_definition("a", {}, "old")), EMPTY)
    )
    found = import_all(ASSIGNMENT_SOURCE, {"old": {"name": "old"}, "new": {"name": "new"}}, definitions, state)
    assert not found.imported
    assert found.warnings == (
        'assignment_source "new" is left out: assignment_source.a gets this name, but is still "old"',
    )


def test_names_that_can_be_keys_are_theirs_before_others_are_numbered():
    taken = parsed("[assignment_source.a_b]\nname = 'z'\n")
    found = import_all(ASSIGNMENT_SOURCE, {n: {"name": n} for n in ("a b", "a_b", "a_b_2")}, taken, EMPTY).imported
    assert {one.name: one.address.partition(".")[2] for one in found} == {
        "a b": "a_b_3",
        "a_b": "a_b_4",
        "a_b_2": "a_b_2",
    }


def test_what_the_state_has_and_nothing_defines_is_defined_at_its_address_as_it_is_there():
    state = snapshot({"assignment_source.k": {"name": "n", "data": {"team": "t"}, "unreturned": {"isVerified": True}}})
    found = import_all(ASSIGNMENT_SOURCE, {"n": {"name": "n", "team": "theirs"}}, parsed(), state)
    assert found.files == ('[assignment_source.k]\nname = "n"\nisVerified = true\nteam = "t"\n',)
    assert [one.source for one in found.imported] == [None]
    assert not build_plan(parsed(*found.files), state).changes


@pytest.mark.parametrize(
    "text", [toml_definition("new", {}, "n"), '[[moved]]\nfrom = "assignment_source.k"\nto = "assignment_source.new"\n'
             + toml_definition("new", {}, "other")]
)  # fmt: skip
def test_what_the_state_has_and_a_plan_moves_is_left_alone(text):
    definitions = parse_definitions({"statform.toml": text.encode()})
    state = snapshot({"assignment_source.k": {"name": "n"}})
    assert import_all(ASSIGNMENT_SOURCE, {"n": {"name": "n"}}, definitions, state) == Import()


def test_members_that_are_not_known_hide_no_mapping_that_is():
    mapping = [{"statsigUnitID": "userID", "column": "user_id", "since": 5}]
    assert '{ statsigUnitID = "userID", column = "user_id" },' in written(idTypeMapping=mapping)
    (found,) = import_all(ASSIGNMENT_SOURCE, {"a": {"name": "a", "idTypeMapping": mapping}}, parsed(), EMPTY).imported
    assert found.warnings == ()


def test_many_definitions_are_parted_into_files_that_can_be_read():
    many = {f"s{n:04}": {"name": f"s{n:04}", "sql": "x = y,\n" * 400} for n in range(1200)}
    files = import_all(ASSIGNMENT_SOURCE, many, parsed(), EMPTY).files
    assert len(files) > 2
    assert len(parsed(*files).resources) == 1200


def test_a_source_that_no_file_can_hold_is_skipped():
    found = import_all(ASSIGNMENT_SOURCE, {"a": {"name": "a", "sql": "x" * (5 << 20)}}, parsed(), EMPTY)
    assert not found.imported
    assert found.warnings == ('assignment_source "a" is left out: larger than a definition file may be',)


@given(strings)
def test_what_is_shown_of_a_source_is_one_line(name):
    for warning in import_all(ASSIGNMENT_SOURCE, {name: {"name": name, "tags": 1}}, parsed(), EMPTY).warnings:
        assert "\n" not in warning
