from __future__ import annotations

import json

import cost
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mistakes import SETTINGS, parsed, problems, shown, unmarked
from strategies import declared_values, nearly_definitions, strings, toml_definition

from planner.definitions.parse import parse_definitions
from planner.definitions.resources import RESOURCE_TYPES
from planner.errors import DefinitionError
from planner.escape import tell_names_apart
from state.values import Address

A, B = Address("assignment_source.a"), Address("assignment_source.b")
FIELDS = (
    "description, isVerified, tags, sql, timestampColumn, experimentIDColumn, groupIDColumn, groupNameColumn, "
    "idTypeMapping, isReadOnly, owner, team, teamID, scheduledReloadHour"
)
ONE_FIELD = f"one of name, clear, depends_on, adopt, sql_file, {FIELDS}"
ONE_TYPE = f"one of {', '.join(RESOURCE_TYPES)}"
NULLABLE = "owner, team, teamID, scheduledReloadHour"
UNIT = '{ statsigUnitID = "…", column = "…" }'
KEYED = f"a list of {UNIT}, each statsigUnitID once"
OWNER = "a table of strings: ownerID, ownerType, ownerName, ownerEmail"
SET = "a list of strings, without duplicates"
IN_TOML = 'TOML: [assignment_source.KEY] and, below it, lines such as name = "…"'
ONCE = "each table once in a file, and each field once in a table"
ONE_IN_A_LINE = "one field on each line, and after it only a comment"
NULL = 'no null, because TOML has none: clear = ["…"] sets a field to null'


# The text with « » around what is to be underlined -> the summary, what is expected, the field.
OF_A = {
    "an unknown field with a near one": (
        'team = "x"\n«timestampColum» = "ts"',
        'unknown field "timestampColum"',
        'a field of assignment_source; did you mean "timestampColumn"?',
        "timestampColum",
    ),
    "an unknown field that only differs in case": (
        "«isverified» = true",
        'unknown field "isverified"',
        'a field of assignment_source; did you mean "isVerified"?',
        "isverified",
    ),
    "an unknown field that resembles what is no field of the API": (
        "«depend_on» = []",
        'unknown field "depend_on"',
        'a field of assignment_source; did you mean "depends_on"?',
        "depend_on",
    ),
    "an unknown field without a near one": ("«zzz» = 1", 'unknown field "zzz"', ONE_FIELD, "zzz"),
    "a field that only an answer has": ("«dryRun» = true", 'unknown field "dryRun"', ONE_FIELD, "dryRun"),
    "what an environment alone has": (
        "«absent» = true",
        'unknown field "absent"',
        "absent = true in environments/NAME.toml, which removes a source from that environment",
        "absent",
    ),
    "a quoted unknown field": ('«"a b"» = 1', 'unknown field "a b"', ONE_FIELD, "a b"),
    "an empty field": ('«""» = 1', 'unknown field ""', ONE_FIELD, ""),
    "an integer for a string": ("description = «5»", "an integer instead of a string", "a string", "description"),
    "a boolean for a string": ("team = «true»", "a boolean instead of a string", "a string", "team"),
    "a float for a string": ("team = «inf» # no", "a float instead of a string", "a string", "team"),
    "a date for a string": (
        "team = «1979-05-27»",
        "a date or time instead of a string",
        "a string",
        "team",
    ),
    "a time for a string": ("sql = «07:32:00.5»", "a date or time instead of a string", "a string", "sql"),
    "a list for a string": ('description = «["x"]»', "a list instead of a string", "a string", "description"),
    "a table for a string": ("description.«x = 1»", "a table instead of a string", "a string", "description"),
    "an integer for a boolean": (
        "isVerified = «1»",
        "an integer instead of true or false",
        "true or false",
        "isVerified",
    ),
    "a string for a boolean": (
        'isReadOnly = «"true"»',
        "a string instead of true or false",
        "true or false",
        "isReadOnly",
    ),
    "a float for an integer": (
        "scheduledReloadHour = «5.0»",
        "a float instead of an integer from 0 to 23",
        "an integer from 0 to 23",
        "scheduledReloadHour",
    ),
    "a boolean for an integer": (
        "scheduledReloadHour = «false»",
        "a boolean instead of an integer from 0 to 23",
        "an integer from 0 to 23",
        "scheduledReloadHour",
    ),
    "an hour too many": (
        "scheduledReloadHour = «24»",
        "24 is out of range",
        "an integer from 0 to 23",
        "scheduledReloadHour",
    ),
    "a negative hour": (
        "scheduledReloadHour = «-1»",
        "-1 is out of range",
        "an integer from 0 to 23",
        "scheduledReloadHour",
    ),
    "an integer of 64 bits and one more": (
        "scheduledReloadHour = «9223372036854775808»",
        "the integer is out of range",
        "an integer from 0 to 23",
        "scheduledReloadHour",
    ),
    "a string for a set": ('tags = «"core"»', "a string instead of a list of strings", SET, "tags"),
    "a table for a set": ("tags = «{ a = 1 }»", "a table instead of a list of strings", SET, "tags"),
    "an integer in a set": (
        'tags = [\n  "a", # 5\n  «5»,\n]',
        "an integer instead of a string",
        "a string",
        "tags",
    ),
    "a list in a set": ('tags = ["a", «[]»]', "a list instead of a string", "a string", "tags"),
    "a duplicate in a set": ('tags = ["a", "b", «"a"»]', "a string that is listed twice", SET, "tags"),
    "a duplicate in a set, spelled differently": (
        "tags = [\"a\", «'''a'''»]",
        "a string that is listed twice",
        SET,
        "tags",
    ),
    "a string for a keyed list": (
        'idTypeMapping = «"x"»',
        "a string instead of a list of tables",
        KEYED,
        "idTypeMapping",
    ),
    "a table for a keyed list": (
        'idTypeMapping = «{ userID = "user_id" }»',
        "a table instead of a list of tables",
        KEYED,
        "idTypeMapping",
    ),
    "a string in a keyed list": (
        'idTypeMapping = [«"userID"»]',
        "a string instead of a table",
        UNIT,
        "idTypeMapping",
    ),
    "a wrong type in an entry": (
        'idTypeMapping = [\n  { statsigUnitID = "a", column = "a" },\n  { statsigUnitID = "b", column = «5» },\n]',
        "an integer instead of a string",
        "a string",
        "idTypeMapping",
    ),
    "an unknown key in an entry": (
        'idTypeMapping = [{ statsigUnitID = "a", column = "b", «columns» = "c" }]',
        'unknown key "columns"',
        'statsigUnitID and column; did you mean "column"?',
        "idTypeMapping",
    ),
    "an entry without a column": (
        'idTypeMapping = [{ statsigUnitID = "a", column = "b" }, «{ statsigUnitID = "b" }»]',
        "column is missing",
        "statsigUnitID and column",
        "idTypeMapping",
    ),
    "a repeated key of a keyed list": (
        'idTypeMapping = [{ statsigUnitID = "a", column = "b" }, { statsigUnitID = «"a"», column = "c" }]',
        "a statsigUnitID that is listed twice",
        KEYED,
        "idTypeMapping",
    ),
    "an entry written as an array of tables": (
        '[[assignment_source.a.idTypeMapping]]\nstatsigUnitID = "a"\ncolumn = «true»',
        "a boolean instead of a string",
        "a string",
        "idTypeMapping",
    ),
    "a string for a table": ('owner = «"me"»', "a string instead of a table", OWNER, "owner"),
    "an empty table": ("owner = «{}»", "an empty table", OWNER, "owner"),
    "an unknown key in a table": (
        'owner = { ownerID = "u", «ownerTyp» = "USER" }',
        'unknown key "ownerTyp"',
        'one of ownerID, ownerType, ownerName, ownerEmail; did you mean "ownerType"?',
        "owner",
    ),
    "an unknown key in a table with a header": (
        '[assignment_source.a.owner]\nownerID = "u"\n«x» = "USER"',
        'unknown key "x"',
        "one of ownerID, ownerType, ownerName, ownerEmail",
        "owner",
    ),
    "an unknown key in a dotted table": (
        'owner.ownerID = "u"\nowner.«x» = "USER"',
        'unknown key "x"',
        "one of ownerID, ownerType, ownerName, ownerEmail",
        "owner",
    ),
    "a wrong type in a table": ("owner.ownerID = «5»", "an integer instead of a string", "a string", "owner"),
    "a name that is no string": ("name = «5»", "an integer instead of a string", "a remote name", "name"),
    "an empty name": ('name = «""»', 'the name "" can\'t be in a URL', 'a name other than "", "." and ".."', "name"),
    "a dot as a name": (
        'name = «"."»',
        'the name "." can\'t be in a URL',
        'a name other than "", "." and ".."',
        "name",
    ),
    "two dots as a name": (
        "name = «'..'»",
        'the name ".." can\'t be in a URL',
        'a name other than "", "." and ".."',
        "name",
    ),
    "clear that is no list": (
        'clear = «"team"»',
        "a string instead of a list of strings",
        "a list of strings",
        "clear",
    ),
    "clear of an integer": ('clear = ["team", «1»]', "an integer instead of a string", "a string", "clear"),
    "clear of a field that can't be null": (
        'clear = ["team", «"tags"»]',
        '"tags" can\'t be cleared',
        f"one of {NULLABLE}",
        "clear",
    ),
    "clear of an unknown field": (
        'clear = [«"teamId"»]',
        '"teamId" can\'t be cleared',
        f'one of {NULLABLE}; did you mean "teamID"?',
        "clear",
    ),
    "clear of a declared field": (
        'team = "t"\nclear = ["owner", «"team"»]',
        '"team" is declared and cleared',
        "one of the two",
        "team",
    ),
    "depends_on that is no list": (
        'depends_on = «"x"»',
        "a string instead of a list of strings",
        "a list of strings",
        "depends_on",
    ),
    "depends_on of an unknown address": (
        'depends_on = [«"assignment_source.aa"»]',
        '"assignment_source.aa" is not defined',
        'an address that is defined; did you mean "assignment_source.a"?',
        "depends_on",
    ),
    "depends_on of itself": (
        'depends_on = «["assignment_source.a"]»',
        "a cycle of dependencies: assignment_source.a -> assignment_source.a",
        "dependencies without a cycle",
        "depends_on",
    ),
}


@pytest.mark.parametrize("case", OF_A.values(), ids=OF_A.keys())
def test_a_mistake_in_a_definition_is_shown_where_it_stands(case):
    marked, summary, expected, field = case
    text, line, column, underlined = unmarked(f"# é\n[assignment_source.a]\n{marked}\n")
    (found,) = problems(d=text)
    assert (found.summary, found.expected, found.address, found.field) == (summary, expected, A, field)
    where = found.location
    assert where is not None
    assert (where.file, where.line, where.column) == ("definitions/d.toml", line, column)
    assert where.text[column - 1 : column - 1 + where.length] == underlined
    assert where.text == text.split("\n")[line - 1]


# The whole statform.toml, or another file, with « » around what is underlined -> the summary, what is expected.
OF_A_FILE = {
    "an unknown type": (
        "[«assignment_sorce».a]",
        'unknown type "assignment_sorce"',
        f'{ONE_TYPE}; did you mean "assignment_source"?',
    ),
    "an unknown type far from all": ("[«x».a]\ny = 1", 'unknown type "x"', ONE_TYPE),
    "a pair before all tables": ("«name» = 1", 'unknown type "name"', ONE_TYPE),
    "a type that is no table": (
        "«assignment_source» = 1",
        "an integer instead of a table",
        "a table [assignment_source]",
    ),
    "a definition that is no table": (
        "[assignment_source]\n«a» = 1",
        "an integer instead of a table",
        "a table [assignment_source.a]",
    ),
    "a field where a key belongs": (
        '[assignment_source]\n«description» = "x"',
        "a string instead of a table",
        "a table [assignment_source.description]",
    ),
    "types as an array of tables": (
        "[[«assignment_source»]]",
        "a list instead of a table",
        "a table [assignment_source]",
    ),
    "definitions as an array of tables": (
        "[[assignment_source.«a»]]\nname = 'x'",
        "a list instead of a table",
        "a table [assignment_source.a]",
    ),
    "a key with a dot": (
        '[assignment_source.«"a.b"»]',
        'the key "a.b" can\'t be in an address',
        "letters, digits, _ and -",
    ),
    "a key with a space": (
        "[assignment_source.«'a b'»]",
        'the key "a b" can\'t be in an address',
        "letters, digits, _ and -",
    ),
    "a key that is not ASCII": (
        '[assignment_source.«"é"»]',
        'the key "é" can\'t be in an address',
        "letters, digits, _ and -",
    ),
    "an empty key": (
        '[assignment_source.«""»]',
        'the key "" can\'t be in an address',
        "letters, digits, _ and -",
    ),
    "a key with a line end": (
        '[assignment_source.«"a\\n"»]',
        'the key "a\n" can\'t be in an address',
        "letters, digits, _ and -",
    ),
    "a key twice": (
        '[assignment_source.a]\nteam = "x"\nteam = "y"«\n»',
        "not TOML: cannot overwrite a value",
        ONCE,
    ),
    "a table twice": (
        "[assignment_source.a]\n[assignment_source.a«]»",
        "not TOML: cannot declare ('assignment_source', 'a') twice",
        ONCE,
    ),
    "null": ("[assignment_source.a]\nteam = «n»ull", "not TOML: invalid value", NULL),
    "a control character": (
        '[assignment_source.a]\nteam = "«\x01»"',
        "not TOML: illegal character '\\x01'",
        "TOML 1.0",
    ),
    "NUL": ("«\0»", "not TOML: invalid statement", IN_TOML),
    "a lone CR": (
        "[assignment_source.a]«\r»team = 1",
        "not TOML: expected newline or end of document after a statement",
        ONE_IN_A_LINE,
    ),
    "a CR before a CR LF": (
        "[assignment_source.a]«»\r\r\nteam = 1",
        "not TOML: expected newline or end of document after a statement",
        ONE_IN_A_LINE,
    ),
    "a file that ends too early": (
        '[assignment_source.a]\nteam = «"»x',
        "not TOML: a string that is not closed on its line",
        '" at its end; a text of several lines stands between """ and """',
    ),
    "a file that is no TOML": ('«{»"a": 1}', "not TOML: invalid statement", IN_TOML),
}


@pytest.mark.parametrize("is_settings", [True, False])
@pytest.mark.parametrize("case", OF_A_FILE.values(), ids=OF_A_FILE.keys())
def test_a_mistake_in_a_file_is_shown_where_it_stands(case, is_settings):
    marked, summary, expected = case
    text, line, column, underlined = unmarked("\n" + marked)
    (found,) = problems(text) if is_settings else problems(d=text)
    assert (found.summary, found.expected, found.address, found.field) == (summary, expected, None, None)
    where = found.location
    assert where is not None
    assert (where.file, where.line, where.column) == (SETTINGS if is_settings else "definitions/d.toml", line, column)
    assert where.text[column - 1 : column - 1 + where.length] == underlined.rstrip("\n")


def test_settings_and_moves_are_allowed_only_in_the_settings_file():
    found = problems(d="[statform]\n[[moved]]\n")
    assert [shown(d) for d in found] == [
        "definitions/d.toml:1:2: [statform] outside statform.toml «statform»; [statform] in statform.toml",
        "definitions/d.toml:2:3: [moved] outside statform.toml «moved»; [moved] in statform.toml",
    ]


def test_a_key_in_two_files_is_reported_in_the_second_with_the_mistakes_there():
    assert [shown(d) for d in problems(x="[assignment_source.a]", y="[assignment_source.a]\nteam = 5")] == [
        "definitions/y.toml:1:20 assignment_source.a: "
        "assignment_source.a is defined in definitions/x.toml already «a»; one definition for each address",
        "definitions/y.toml:2:8 assignment_source.a team: an integer instead of a string «5»; a string",
    ]


def test_two_addresses_with_one_remote_name_are_refused():
    assert [shown(d) for d in problems(x="[assignment_source.a]", y='[assignment_source.b]\nname = "a"')] == [
        "definitions/y.toml:2:8 assignment_source.b name: "
        'the remote name "a" is already used by assignment_source.a «"a"»; one address for each remote name'
    ]


def test_a_name_that_another_source_has_by_its_key_is_refused_at_that_key():
    assert [shown(d) for d in problems(x='[assignment_source.a]\nname = "b"', y="[assignment_source.b]")] == [
        "definitions/y.toml:1:20 assignment_source.b name: "
        'the remote name "b" is already used by assignment_source.a «b»; one address for each remote name'
    ]


def test_a_cycle_of_dependencies_is_printed_alike_in_any_order_of_definition():
    needs = {"a": "c", "b": "a", "c": "b", "d": "a"}
    for keys in ("abcd", "dcba", "cabd"):
        text = "".join(toml_definition(k, {}, needs=[f"assignment_source.{needs[k]}"]) for k in keys)
        (found,) = problems(d=text)
        cycle = " -> ".join(f"assignment_source.{k}" for k in "acba")
        assert found.summary == f"a cycle of dependencies: {cycle}"
        assert (found.address, found.field) == (A, "depends_on")


def test_a_wrong_element_does_not_move_the_marks_of_later_ones():
    text = '[assignment_source.a]\nclear = [1, "tags"]\ndepends_on = [2, "x"]\n'
    assert [shown(d) for d in problems(text)] == [
        "statform.toml:2:10 assignment_source.a clear: an integer instead of a string «1»; a string",
        f'statform.toml:2:13 assignment_source.a clear: "tags" can\'t be cleared «"tags"»; one of {NULLABLE}',
        "statform.toml:3:15 assignment_source.a depends_on: an integer instead of a string «2»; a string",
        'statform.toml:3:18 assignment_source.a depends_on: "x" is not defined «"x"»; an address that is defined',
    ]


def test_all_errors_of_all_files_are_reported_in_order_of_place():
    found = problems(
        "[statform]\nmax_changes = -1\n[assignment_source.z]\nteam = 1\n",
        b='[assignment_source.b]\nteam = 1\nname = "."\ndepends_on = ["x"]\n',
        a="[assignment_source.a]\ntags = [1, 2]\nclear = ['x']\n",
        c='[assignment_source.b]\n[assignment_source.c]\nname = "a"',
    )
    assert [f"{d.location.file}:{d.location.line}:{d.location.column}" for d in found if d.location] == [
        "statform.toml:2:15",
        "statform.toml:4:8",
        "definitions/a.toml:2:9",
        "definitions/a.toml:2:12",
        "definitions/a.toml:3:10",
        "definitions/b.toml:2:8",
        "definitions/b.toml:3:8",
        "definitions/b.toml:4:15",
        "definitions/c.toml:1:20",
        "definitions/c.toml:3:8",
    ]


def test_a_file_that_is_not_toml_hides_no_error_of_another_and_adds_none():
    found = problems(
        a="[assignment_source.a", b='[assignment_source.b]\ndepends_on = ["assignment_source.a"]\nteam = 5'
    )
    assert [(d.location.file, d.summary) for d in found if d.location] == [
        ("definitions/a.toml", "not TOML: expected ']' at the end of a table declaration"),
        ("definitions/b.toml", "an integer instead of a string"),
    ]


def test_a_byte_that_is_not_utf_8_is_shown_where_it_stands():
    (found,) = problems('[assignment_source.a]\nteam = "é'.encode() + b'\xff\xfe"\n')
    assert shown(found) == "statform.toml:2:10: not UTF-8: byte 0xff «\ufffd»; a file in UTF-8"
    (found,) = problems("[assignment_source.a]".encode("utf-16"))
    assert found.summary == "not UTF-8: byte 0xff"


def test_line_ends_and_a_byte_order_mark_move_no_position():
    text = "\ufeff# one\r\n[assignment_source.a]\r\ndescription = '''\r\nx\r\n'''\r\nteam = 5\r\n"
    assert [shown(d) for d in problems(text)] == [
        "statform.toml:6:8 assignment_source.a team: an integer instead of a string «5»; a string"
    ]
    (found,) = problems("\ufeffa b\r\n")
    assert found.location is not None
    assert (found.location.line, found.location.column, found.location.text) == (1, 3, "a b")


def test_an_integer_that_python_does_not_read_is_shown_where_it_stands():
    text = f'# {"1" * 5000}\n[assignment_source.a]\nteam = "{"2" * 5000}"\nscheduledReloadHour = {"9" * 5000} # x\n'
    (found,) = problems(text)
    assert found.location is not None
    assert (found.summary, found.location.line, found.location.column) == ("an integer of too many digits", 4, 23)


def test_an_integer_of_many_hexadecimal_digits_is_out_of_range():
    (found,) = problems(f"[assignment_source.a]\nscheduledReloadHour = 0x{'f' * 10_000}")
    assert found.summary == "the integer is out of range"


DEEP_VALUES = {
    "lists": "a = " + "[" * 10_000 + "]" * 10_000,
    "tables": "a = " + "{a=" * 10_000 + "1" + "}" * 10_000,
    "dotted keys": ".".join(["a"] * 10_000) + " = 1",
    "a header": "[" + ".".join(["a"] * 10_000) + "]",
    "lists that never close": "a = " + "[" * 100_000,
}


@pytest.mark.parametrize("text", DEEP_VALUES.values(), ids=DEEP_VALUES.keys())
def test_deep_nesting_is_an_error_in_its_line(text):
    found = problems("[assignment_source.a]\n\n" + text)
    assert {d.location.line for d in found if d.location} == {3}


SPELLINGS = {
    "a header": '[assignment_source.a]\nname = "n"\ntags = ["x"]\nowner = { ownerID = "u" }\n',
    "dotted keys": (
        'assignment_source.a.name = "n"\nassignment_source.a.tags = ["x"]\nassignment_source.a.owner.ownerID = "u"'
    ),
    "an inline table": 'assignment_source = { a = { name = "n", tags = ["x"], owner = { ownerID = "u" } } }',
    "quoted keys": (
        '["assignment_source".\'a\']\n"name" = \'n\'\n\'tags\' = [\n "x", # x\n]\nowner."ownerID" = """u"""\n'
    ),
    "tables apart": '[assignment_source.a.owner]\nownerID = "u"\n[assignment_source.a]\nname = "n"\ntags = ["x"]\n',
    "CR LF": '[assignment_source.a]\r\nname = "n"\r\ntags = ["x"]\r\nowner = { ownerID = "u" }\r\n',
    "a byte order mark": '\ufeff[assignment_source.a]\nname = "n"\ntags = ["x"]\nowner = { ownerID = "u" }',
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_every_way_to_write_a_definition_means_the_same(text):
    definition = parsed(d=text).resources[A]
    assert (definition.name, definition.values) == ("n", {"tags": ["x"], "owner": {"ownerID": "u"}})


def test_an_empty_definition_manages_nothing_and_has_its_key_as_name():
    definition = parsed("[assignment_source.a-B_1]").resources[Address("assignment_source.a-B_1")]
    assert (definition.name, definition.values, definition.depends_on) == ("a-B_1", {}, ())


def test_cleared_fields_are_null_and_undeclared_ones_absent():
    assert parsed('[assignment_source.a]\nclear = ["team", "owner"]').resources[A].values == {
        "team": None,
        "owner": None,
    }


def test_a_definition_overrides_a_default_and_may_clear_it():
    defaults = '[defaults.assignment_source]\nteam = "default"\ntags = ["d"]\ntimestampColumn = "ts"\n'
    own = '[assignment_source.a]\nteam = "own"\n[assignment_source.b]\nclear = ["team"]\ntags = []\n'
    found = parsed(defaults, d=own).resources
    assert found[A].values == {"team": "own", "tags": ["d"], "timestampColumn": "ts"}
    assert found[B].values == {"team": None, "tags": [], "timestampColumn": "ts"}


def test_a_default_is_located_where_it_was_declared():
    found = parsed('[defaults.assignment_source]\nsql = "x"\nteam = "t"\n', d='[assignment_source.a]\nteam = "u"\n')
    assert [(w.file, w.line) for w in (found.locate(A, "sql"), found.locate(A, "team"), found.locate(A, "tags"))] == [
        ("statform.toml", 2),
        ("definitions/d.toml", 2),
        ("definitions/d.toml", 1),
    ]


def test_definitions_are_in_the_order_of_the_files_statform_toml_first():
    found = parsed("[assignment_source.z]", b="[assignment_source.y]\n[assignment_source.x]", a="[assignment_source.w]")
    assert [address[-1] for address in found.resources] == ["z", "w", "y", "x"]


def test_files_with_another_name_or_text_have_another_digest():
    same, other = {SETTINGS: b"", "definitions/a.toml": b"# x"}, {SETTINGS: b"", "definitions/a.toml": b"# y"}
    odd = {SETTINGS: b"", "definitions/\udcff.toml": b"# x"}
    assert parse_definitions(same).digest == parse_definitions(dict(reversed(same.items()))).digest
    assert len({parse_definitions(files).digest for files in (same, other, odd)}) == 3


def test_many_errors_take_little_time():
    text = "".join(f'[assignment_source.k{n}]\nteam = 5\ndepends_on = ["assignment_source.z{n}"]\n' for n in range(150))
    with cost.at_most(5):
        assert len(problems(d=text)) == 300


def check_refusal(diagnostics, files):
    places = []
    for where in (diagnostic.location for diagnostic in diagnostics):
        assert where is not None
        assert where.file in files
        assert 1 <= where.column <= len(where.text) + 1
        assert where.length >= 1
        places.append((where.file != SETTINGS, where.file, where.line, where.column))
    assert places == sorted(places)
    assert places


def check_definitions(found):
    assert len({(d.type.name, d.name) for d in found.resources.values()}) == len(found.resources)
    for address, definition in found.resources.items():
        assert found.locate(address).file == definition.file
        for name, value in definition.values.items():
            field = definition.type.field[name]
            assert field.nullable if value is None else not field.kind.problems(value)


def accepted_or_refused(files):
    try:
        found = parse_definitions(files)
    except DefinitionError as error:
        check_refusal(error.diagnostics, files)
    else:
        check_definitions(found)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=60) | st.text(st.sampled_from("a.[]{}=\"'\\#,\n\r\t\0 1é_-\ufeff"), max_size=40).map(str.encode)
)
@example(b"\xef\xbb\xbf\xff")
@example(b"a = '''\r")
@example(b"\r\r\n\x00")
@example(b'"\\')
def test_no_bytes_raise_anything_but_a_definition_error(content):
    accepted_or_refused({SETTINGS: content, "definitions/d.toml": content})


@settings(max_examples=300, deadline=None)
@given(nearly_definitions(), nearly_definitions())
def test_no_document_like_a_definition_raises_anything_but_a_definition_error(one, other):
    accepted_or_refused({SETTINGS: one.encode(), "definitions/d.toml": other.encode()})


@settings(max_examples=100, deadline=None)
@given(declared_values(with_sql=True), strings.filter(lambda s: s not in {"", ".", ".."}))
def test_written_definitions_are_read_back_unchanged(values, name):
    definition = parsed(d=toml_definition("a", values, name)).resources[A]
    assert (definition.values, definition.name) == (values, name)


MOVES = {
    "no list": ("moved = «1»", "an integer instead of a list of tables"),
    "no table": ("moved = [«1»]", "not a move"),
    "a key too many": ('moved = [«{ from = "x.a", to = "x.b", why = "" }»]', "not a move"),
    "a key too few": ("[[moved]]\nfrom = 'assignment_source.b'", "not a move"),
    "no address": ('[[moved]]\nfrom = «"a"»\nto = "assignment_source.b"', '"a" is not an address'),
    "no string": ('[[moved]]\nfrom = «1»\nto = "assignment_source.b"', "an integer instead of an address"),
    "a key that is none": (
        '[[moved]]\nfrom = "assignment_source.b"\nto = «"assignment_source.b c"»',
        '"assignment_source.b c" is not an address',
    ),
    "to another type": (
        '[[moved]]\nfrom = "assignment_source.b"\nto = «"entity_property.b"»',
        "entity_property.b is of another type than assignment_source.b",
    ),
    "still defined": (
        '[[moved]]\nfrom = «"assignment_source.a"»\nto = "assignment_source.b"\n[assignment_source.a]',
        "assignment_source.a is still defined",
    ),
    "twice from": (
        'moved = [{ from = "assignment_source.b", to = "assignment_source.c" }, '
        '«{ from = "assignment_source.b", to = "assignment_source.d" }»]',
        "assignment_source.b is in another move already",
    ),
    "twice to": (
        'moved = [{ from = "assignment_source.b", to = "assignment_source.c" }, '
        '«{ from = "assignment_source.d", to = "assignment_source.c" }»]',
        "assignment_source.c is in another move already",
    ),
    "a cycle": (
        'moved = «[{ from = "assignment_source.b", to = "assignment_source.c" }, '
        '{ from = "assignment_source.c", to = "assignment_source.b" }]»',
        "a cycle of moves through assignment_source.b",
    ),
    "to itself": (
        'moved = «[{ from = "assignment_source.b", to = "assignment_source.b" }]»',
        "a cycle of moves through assignment_source.b",
    ),
}


@pytest.mark.parametrize("case", MOVES.values(), ids=MOVES.keys())
def test_moves_that_make_no_sense_are_errors(case):
    marked, summary = case
    text, line, column, underlined = unmarked(marked)
    (found,) = problems(text)
    assert found.summary == summary
    assert found.location is not None
    if "«" in marked:
        assert (found.location.line, found.location.column) == (line, column)
        assert found.location.text[column - 1 : column - 1 + found.location.length] == underlined


def test_moves_are_read_only_from_the_settings_file():
    (found,) = problems("", more="[[moved]]\nfrom = 'assignment_source.b'\nto = 'assignment_source.c'\n")
    assert found.summary == "[moved] outside statform.toml"


def test_a_long_chain_of_moves_takes_little_time():
    moves = ",".join(
        f'{{ from = "assignment_source.k{n}", to = "assignment_source.k{n + 1}" }}' for n in reversed(range(10_000))
    )
    with cost.at_most(2):
        assert len(parsed(f"moved = [{moves}]").moved) == 10_000


REMOVALS = {
    "no list": ("removed = «1»", "an integer instead of a list of tables"),
    "no table": ("removed = [«1»]", "not a removal"),
    "no delete": ('removed = [«{ from = "assignment_source.b" }»]', "not a removal"),
    "no address": ('[[removed]]\nfrom = «"b"»\ndelete = true', '"b" is not an address'),
    "no boolean": (
        '[[removed]]\nfrom = "assignment_source.b"\ndelete = «"yes"»',
        "a string instead of a boolean",
    ),
    "still defined": (
        '[[removed]]\nfrom = «"assignment_source.a"»\ndelete = true\n[assignment_source.a]',
        "assignment_source.a is still defined",
    ),
    "not the last of a move": (
        'moved = [{ from = "assignment_source.b", to = "assignment_source.c" }]\n'
        '[[removed]]\nfrom = «"assignment_source.b"»\ndelete = true',
        "assignment_source.b was moved to assignment_source.c",
    ),
    "twice": (
        'removed = [{ from = "assignment_source.b", delete = true }, '
        '{ from = «"assignment_source.b"», delete = false }]',
        "assignment_source.b is in another removal already",
    ),
}


@pytest.mark.parametrize("case", REMOVALS.values(), ids=REMOVALS.keys())
def test_removals_that_make_no_sense_are_errors(case):
    marked, summary = case
    text, line, column, underlined = unmarked(marked)
    (found,) = problems(text)
    assert found.summary == summary
    assert found.location is not None
    assert (found.location.line, found.location.column) == (line, column)
    assert found.location.text[column - 1 : column - 1 + found.location.length] == underlined


def test_removals_are_read_in_order():
    text = (
        "removed = [{ from = 'assignment_source.b', delete = true }, { from = 'assignment_source.a', delete = false }]"
    )
    assert list(parsed(text).removed.items()) == [(B, True), (A, False)]


def test_removals_are_read_from_the_settings_and_the_environment():
    (found,) = problems(d="removed = [{ from = 'assignment_source.b', delete = true }]")
    assert found.summary == "[removed] outside statform.toml"


def test_moves_are_read():
    text = "[[moved]]\nfrom = 'assignment_source.a'\nto = 'assignment_source.b'\n[assignment_source.b]\n"
    assert parsed(text).moved == {A: B}


TWINS = [
    ("Checkout", "checkout"), ("caf\u00e9", "cafe\u0301"), ("CAF\u00c9", "cafe\u0301"), ("a b", "a  b"), ("a", "a "),
    ("a", "a\u200b"), ("a", "\u2060a"), ("\ufb01x", "fix"), ("\uff41", "a"), ("stra\u00dfe", "STRASSE"),
    ("\u2764", "\u2764\ufe0f"), ("\u212a", "k"),
    ("a", "a\u034f"), ("a", "\u115fa"), ("a", "a\u3164"), ("a", "a\u17b4"), ("a", "a\U000e0100"), ("a b", "a\u2800b"),
    ("a b", "a\xa0b"),
]  # fmt: skip
APART = [("a", "b"), ("cafe", "caf\u00e9"), ("a_b", "a-b"), ("a b", "ab"), ("\u540d", "\u524d"), ("v1", "v2")]
LENGTHS = [("a", 7_500, True), ("a", 7_501, False), ("\u540d", 833, True), ("\u540d", 834, False), ("%", 2_500, True),
           ("%", 2_501, False), ("a", 100_000, False)]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), [*TWINS, *APART])
def test_remote_names_that_look_alike_are_warned_about(one: str, other: str) -> None:
    text = "".join(
        f"[assignment_source.{key}]\nname = {json.dumps(name, ensure_ascii=False)}\n"
        for key, name in (("x", one), ("y", other))
    )
    twins = parse_definitions({"statform.toml": text.encode()}).confusable_names
    assert len(twins) == ((one, other) in TWINS)
    for found in twins:
        assert found.is_warning
        assert (found.address, found.location.line) == ("assignment_source.y", 4)
        shown, shown_other = tell_names_apart(one, other)
        assert shown != shown_other
        assert found.summary == f"the remote name {shown_other} looks like {shown}, that of assignment_source.x"
    if (one, other) == ("caf\u00e9", "cafe\u0301"):
        assert 'name "cafe\\u0301" looks like "caf\\u00e9"' in twins[0].summary


@pytest.mark.parametrize(("character", "count", "fits"), LENGTHS)
def test_a_name_that_is_too_long_for_a_url_is_an_error_where_it_stands(character: str, count: int, fits: bool) -> None:
    name = character * count
    text = f"[assignment_source.x]\nname = {json.dumps(name)}\n"
    if fits:
        assert parse_definitions({"statform.toml": text.encode()}).resources["assignment_source.x"].name == name
        return
    with pytest.raises(DefinitionError) as caught:
        parse_definitions({"statform.toml": text.encode()})
    (found,) = caught.value.diagnostics
    assert found.summary == f"a name of {len(name):,} characters, which can't be in a URL"
    assert found.expected.startswith("a name of at most 7,500 bytes in a URL")
    assert (found.location.line, found.location.column, found.address) == (2, 8, "assignment_source.x")
