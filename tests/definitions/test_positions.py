from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cost
import pytest
import tomli
import tomlkit
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from toml_strategies import NAMES, TOML_1_1, toml_texts

from planner.definitions.positions import Position, Span, find, line_and_column

Path = tuple[str | int, ...]
NOT_1_1 = pytest.mark.skipif(not TOML_1_1, reason="the installed tomli reads TOML 1.0")


def marked(text: str, position: Position) -> str:
    """The text with the key in « » and the value in ‹ ›; of an element of a list, both are around the element."""
    marks = [(position.key.end, "»"), (position.value.end, "›"), (position.value.start, "‹"), (position.key.start, "«")]
    for offset, mark in sorted(marks, key=lambda each: each[0], reverse=True):
        text = text[:offset] + mark + text[offset:]
    return text


# Each case is the whole document with the expected marks, and the path that is looked for.
PAIRS = {
    "a bare key": ("«key» = ‹1›\n", ("key",)),
    "a key of digits and dashes": ("«1-_» = ‹1›", ("1-_",)),
    "no white space": ("«a»=‹1›#c", ("a",)),
    "white space around everything": ("\n \t«a»\t =  ‹1› \t \n\n", ("a",)),
    "a basic key": ('«"a.b"» = ‹1›', ("a.b",)),
    "a literal key": (r"«'\u0041'» = ‹1›", (r"\u0041",)),
    "an empty key": ('a = 1\n«""» = ‹2›', ("",)),
    "escapes in a key": (r'«"\"\\\b\t\n\f\r\u00e9\U0001F642"» = ‹1›', ('"\\\b\t\n\f\ré🙂',)),
    "an escaped backslash before the closing quote": (r'"a" = 1' + "\n" + r'«"a\\"» = ‹2›', ("a\\",)),
    "a key that looks like a header": ('"[x]" = 1\n[x]\n"[[y]]" = 2\n«y» = ‹3›', ("x", "y")),
    "a key with a number sign and an equals sign": ("«'# = '» = ‹1› # = 2", ("# = ",)),
    "the second of two keys with a common beginning": ("ab = 1\n«a» = ‹2›", ("a",)),
    "a key after a comment that looks like it": ("# a = 0\n#[a]\n«a» = ‹1›", ("a",)),
    "a key after a string that looks like it": ("s = '''\na = 0\n[t]\n'''\n«a» = ‹1›", ("a",)),
    "a key of the same name in another table": ("[t]\na = 1\n[u]\n«a» = ‹2›", ("u", "a")),
    "CR LF": ("a = 1\r\n\r\n[t]\r\n«b» = ‹2›\r\nc = 3\r\n", ("t", "b")),
    "no line end": ("«a» = ‹1›", ("a",)),
}
DOTTED = {
    "the last part": ("a.b.«c» = ‹1›", ("a", "b", "c")),
    "a middle part": ("a.«b».‹c = 1›", ("a", "b")),
    "the first part": ("«a».‹b.c = 1› # c", ("a",)),
    "parts of one name": ("a.«a».‹a = 1›", ("a", "a")),
    "white space around dots": ("a . «b»\t.  ‹c = 1›", ("a", "b")),
    "quoted parts": ("""a."b.c".«'d'» = ‹1›""", ("a", "b.c", "d")),
    "a number that is two keys": ("3.«14» = ‹159›", ("3", "14")),
    "a later pair of the same table": ("a.b = 1\na.«c» = ‹2›", ("a", "c")),
    "the first of two pairs of the same table": ("«a».‹b = 1›\na.c = 2", ("a",)),
    "below a header": ("[t]\na.«b».‹c = 1›", ("t", "a", "b")),
    "a table that a header extends": ("[t]\na.b = 1\n[t.a.c]\n«d» = ‹2›", ("t", "a", "c", "d")),
    "a table that a header extends, first mentioned in the pair": ("[t]\n«a».‹b = 1›\n[t.a.c]\nd = 2", ("t", "a")),
}
HEADERS = {
    "a table": ("[a]\n‹[«b»]›\n[c]", ("b",)),
    "a nested table": ("[a]\n‹[a.«b»]›", ("a", "b")),
    "an implied table": ("‹[a.«b».c]›\nx = 1", ("a", "b")),
    "an implied table that follows": ("‹[«a».b]›\n[a]\nx = 1", ("a",)),
    "a key of a table that was implied before": ("[a.b]\nx = 1\n[a]\n«x» = ‹2›", ("a", "x")),
    "a table reopened for a sub-table": ("[a]\n[b]\n[a.c]\n«x» = ‹1›", ("a", "c", "x")),
    "parts of one name": ("‹[a.«a».a]›", ("a", "a")),
    "white space within": ("  ‹[ a\t. «b» ]›  # [c]", ("a", "b")),
    "quoted parts": ("""‹["]".«'[b]'»]›""", ("]", "[b]")),
    "a key of a quoted table": ('["a]"]\n«b» = ‹1›', ("a]", "b")),
    "a comment behind": ("‹[«a»]›# [b]\n", ("a",)),
}
LISTS_OF_TABLES = {
    "the list": ("‹[[«a»]]›\n[[a]]", ("a",)),
    "the first table": ("«‹[[a]]›»\n[[a]]", ("a", 0)),
    "the second table": ("[[a]]\nx = 1\n«‹[[ a ]]›»\nx = 2", ("a", 1)),
    "a key of the first table": ("[[a]]\n«x» = ‹1›\n[[a]]\nx = 2", ("a", 0, "x")),
    "a key of the second table": ("[[a]]\nx = 1\n[[a]]\n«x» = ‹2›", ("a", 1, "x")),
    "a key of only the second table": ("[[a]]\n[[a]]\n«x» = ‹2›\n[[a]]", ("a", 1, "x")),
    "a sub-table of the second table": ("[[a]]\n[a.b]\n[[a]]\n‹[a.«b»]›", ("a", 1, "b")),
    "a key of the second table's sub-table": ("[[a]]\n[a.b]\nx=1\n[[a]]\n[a.b]\n«x» = ‹2›", ("a", 1, "b", "x")),
    "a dotted key of the second table": ("[[a]]\nb.c = 1\n[[a]]\nb.«c» = ‹2›", ("a", 1, "b", "c")),
    "a list in the second table of a list": (
        "[[a]]\n[[a.b]]\n[[a]]\n[[a.b]]\n[[a.b]]\n«x» = ‹1›",
        ("a", 1, "b", 1, "x"),
    ),
    "an inner list counts anew": ("[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]\n«‹[[a.b]]›»", ("a", 1, "b", 0)),
    "a table between": ("[[a]]\n[b]\n[[a]]\n[b.c]\n[a.d]\n«x» = ‹1›", ("a", 1, "d", "x")),
    "a list below a table": ("[t]\n[[t.a]]\n[[t.a]]\n«x» = ‹1›", ("t", "a", 1, "x")),
}
INLINE = {
    "a table": ("«a» = ‹{ b = 1, c = 2 }› # }", ("a",)),
    "a key": ("a = { b = 1, «c» = ‹2› }", ("a", "c")),
    "a key without white space": ("a={b=1,«c»=‹2›}", ("a", "c")),
    "a table in a table": ("a = {b = {«c» = ‹1›}, c = 2}", ("a", "b", "c")),
    "a key after a table of the same keys": ("a = {b = {c = 1}, «c» = ‹2›}", ("a", "c")),
    "a dotted key": ("a = {b.«c».‹d = 1›, b.e = 2}", ("a", "b", "c")),
    "a later dotted key": ("a = {b.c = 1, b.«e» = ‹2›}", ("a", "b", "e")),
    "an empty table": ("«a» = ‹{ }›", ("a",)),
    "an array": ("«a» = ‹[ 1, [2] ]› # ]", ("a",)),
    "an element": ("a = [1, «‹22›», 3]", ("a", 1)),
    "an element without white space": ("a=[1,«‹22›»,3]", ("a", 1)),
    "the last element, after a comma": ("a = [1, «‹2›» , ]", ("a", 1)),
    "an element of an array in an array": ("a = [[1, 2], [3, «‹4›»]]", ("a", 1, 1)),
    "an array in an array": ("a = [[1, 2], «‹[3, 4]›»]", ("a", 1)),
    "a table in an array": ("a = [{x = 1}, «‹{x = 2}›»]", ("a", 1)),
    "a key of a table in an array": ("a = [{x = 1}, {«x» = ‹2›}]", ("a", 1, "x")),
    "an element behind brackets and commas in strings": ("""a = ["],[", '],[{', «‹3›»]""", ("a", 2)),
    "an element behind comments": ("a = [ # 0, ]\n  1, # 2, '\n  # ]\"\n  «‹2›» # 3\n]", ("a", 1)),
    "an array over several lines": ("«a» = ‹[ # ]\n  1,\n]›\nb = 2", ("a",)),
    "a key behind an array over several lines": ("a = [\n  [1], # b = 1\n]\n«b» = ‹2›", ("b",)),
    "CR LF in an array": ("a = [\r\n  1, # c\r\n  «‹2›»\r\n]\r\n", ("a", 1)),
    "the readme's way to a column": (
        "[assignment_source.checkout]\nidTypeMapping = [\n  { column = 'a' },\n  { type = 't', «column» = ‹'b'› },\n]",
        ("assignment_source", "checkout", "idTypeMapping", 1, "column"),
    ),
}
VALUES = [
    *("true", "+1_000", "0xDEAD_beef", "-0.5e-3", "inf", "-nan", "1979-05-27", "07:32:00.999", "1979-05-27T07:32:00Z"),
    *("1979-05-27 07:32:00", "1979-05-27 07:32:00.5-07:00"),
    *('""', "''", '""""""', "''''''", '"a # b"', r'"\""', r'"\\"', r'"\\\""', "'\\'", "'\"'", '"\'"'),
    *(
        '"""a"b""c"""',
        '"""a""""',
        '"""a"""""',
        "'''a''''",
        "'''a'''''",
        '"""\n[x]\n# a\na = 1"""',
        "'''\n]}\n\"\"\"'''",
    ),
    *(r'"""\""""', r'"""\\"""', r'"""a\"""b"""', '"""a\\\n   b"""', '"""a\\\r\n   b"""', '"""\'\'\'"""', '"""""\\""""'),
    *("[]", "{}", "[[], [[]]]", "[{}, {}]", "{a = [{b = ']'}]}", '["]", "}"]', "[ # ]\n]"),
]
ONLY_1_1 = {
    "a table over several lines": ("«a» = ‹{\n  b = 1, # }\n  c = 2,\n}›\nd = 3", ("a",)),
    "a key in a table over several lines": ("a = {\n  # c = 0\n  b = 1, # }\n  «c» = ‹2›,\n}", ("a", "c")),
    "escapes in a key": (r'«"\x41\e"» = ‹1›', ("A\x1b",)),
    "a time without seconds": ("a = [«‹1979-05-27 07:32›»]", ("a", 0)),
}
ABSENT = {
    "an unknown key": ("a = 1", ("b",)),
    "the empty path": ("a = 1", ()),
    "the empty document": ("", ("a",)),
    "a key in a scalar": ("a = 1", ("a", "b")),
    "a key in a string": ("a = 'b = 1'", ("a", "b")),
    "a key in a comment": ("a = 1 # b = 1\n# b = 1", ("b",)),
    "a key in an array": ("a = [1]", ("a", "b")),
    "a key behind an inline table": ("a = {b = 1}\nx = 2", ("a", "x")),
    "a key behind an inline table in another": ("a = {b = {c = 1}, x = 2}", ("a", "b", "x")),
    "an element behind an array in another": ("a = [[1], 2]", ("a", 0, 1)),
    "an index in a table": ("a = {b = 1}", ("a", 0)),
    "an index behind the end": ("a = [1, 2,]", ("a", 2)),
    "a negative index": ("a = [1, 2]", ("a", -1)),
    "an index behind the last header": ("[[a]]\n[[a]]", ("a", 2)),
    "a key of a list of tables without an index": ("[[a]]\nb = 1", ("a", "b")),
    "an index of a table": ("[a]\nb = 1", ("a", 0)),
    "a key of another table": ("[a]\nx = 1\n[b]\ny = 1", ("b", "x")),
    "a key that a later header follows": ("[a.b]\n[c]\nx = 1", ("a", "b", "x")),
    "a key of the document below a header": ("[a]\nb = 1", ("b",)),
    "a table's name in the table": ("[a]\na = 1", ("a", "a", "a")),
    "a quoted index": ("a = [1]", ("a", "0")),
    "the index of a key": ("0 = 1", (0,)),
}


def cases(*tables: dict[str, tuple[str, Path]]) -> Any:
    named = [(title, case) for table in tables for title, case in table.items()]
    return pytest.mark.parametrize(("text", "path"), [case for _, case in named], ids=[title for title, _ in named])


def find_marked(text_with_marks: str, path: Path) -> str:
    text = text_with_marks.translate(dict.fromkeys(map(ord, "«»‹›")))
    tomli.loads(text)
    position = find(text, path)
    assert position is not None
    return marked(text, position)


@cases(PAIRS, DOTTED, HEADERS, LISTS_OF_TABLES, INLINE)
def test_a_key_and_its_value_are_found_where_they_stand(text, path):
    assert find_marked(text, path) == text


@NOT_1_1
@cases(ONLY_1_1)
def test_additions_of_toml_1_1_are_found_where_they_stand(text, path):
    assert find_marked(text, path) == text


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("after", ["", " ", " # '\"]}", "\t#", "\nb = 2", "\r\n[t]"])
def test_a_value_ends_where_its_text_ends(value, after):
    text = f"«a» = ‹{value}›{after}"
    assert find_marked(text, ("a",)) == text


@pytest.mark.parametrize("value", VALUES)
def test_a_key_after_any_value_is_found(value):
    text = f"a = {value}\n«b» = ‹[{value}, {value} ]›"
    assert find_marked(text, ("b",)) == text
    text = f"a = [{value},{value} , «‹3›»]"
    assert find_marked(text, ("a", 2)) == text
    text = f"a = {{a = {value}, «b»=‹{value}›}}"
    assert find_marked(text, ("a", "b")) == text


@cases(ABSENT)
def test_a_path_that_is_not_in_the_text_is_not_found(text, path):
    tomli.loads(text)
    assert find(text, path) is None


def test_a_path_may_be_a_list():
    assert find("a = [1]", ["a", 0]) == Position(Span(5, 6), Span(5, 6))


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("", 0, (1, 1, "")),
        ("ab", 0, (1, 1, "ab")),
        ("ab", 2, (1, 3, "ab")),
        ("ab\ncd\nef", 4, (2, 2, "cd")),
        ("ab\ncd", 2, (1, 3, "ab")),
        ("ab\n", 3, (2, 1, "")),
        ("ab\r\ncd\r\nef", 5, (2, 2, "cd")),
        ("ab\r\n", 0, (1, 1, "ab")),
        ("ab\r\r\n", 0, (1, 1, "ab\r")),
        ("a\rb\ncd", 2, (1, 3, "a\rb")),
        ("a\r", 0, (1, 1, "a\r")),
        ("a\x0bb\u2028c\x85d", 6, (1, 7, "a\x0bb\u2028c\x85d")),
        ("é🙂x\n", 2, (1, 3, "é🙂x")),
        ("\tx", 1, (1, 2, "\tx")),
    ],
)
def test_line_and_column_count_characters_from_one(text, offset, expected):
    assert line_and_column(text, offset) == expected


def paths(value: object, prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every path in a parsed document, with the value that it leads to."""
    match value:
        case dict():
            children: Any = value.items()
        case list():
            children = enumerate(value)
        case _:
            children = ()
    for step, child in children:
        yield (*prefix, step), child
        yield from paths(child, (*prefix, step))


def parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError:
        return None


def keys(dotted: str) -> list[str]:
    """The decoded parts of a dotted key."""
    (path, _), *rest = paths(tomli.loads(f"{dotted} = 0"))
    return [str(part) for part in (rest[-1][0] if rest else path)]


def is_mention_by_value(text: str, path: Path, value: object, found: Position) -> bool:
    """`key = value`, or an element: the text is parsed to the value, and only an equals sign stands before it."""
    between = text[found.key.end : found.value.start].strip(" \t")
    is_beside = found.key == found.value if isinstance(path[-1], int) else between == "="
    return is_beside and parsed(f"x = {text[found.value.start : found.value.end]}") == {"x": value}


def is_mention_by_header(text: str, path: Path, found: Position) -> bool:
    """The header up to the key names just `path`, and the document has `path` from this header on, not before."""
    header = text[found.value.start : found.value.end]
    up_to_key = text[found.value.start : found.key.end].strip("[]" if found.key == found.value else "[")
    return (
        header.startswith("[")
        and keys(up_to_key) == [part for part in path if isinstance(part, str)]
        and path not in dict(paths(tomli.loads(text[: found.value.start])))
        and path in dict(paths(tomli.loads(text[: found.value.end])))
    )


def is_mention_by_dotted_key(text: str, value: object, found: Position) -> bool:
    """A dot is between the key and the rest of the pair, which holds what the table got first."""
    rest = parsed(text[found.value.start : found.value.end])
    is_beside = text[found.key.end : found.value.start].strip(" \t") == "."
    while is_beside and isinstance(rest, dict) and rest != value:
        (name,) = rest
        is_beside = isinstance(value, dict) and next(iter(value)) == name
        rest, value = rest[name], value[name] if isinstance(value, dict) else None
    return is_beside and rest == value


def assert_every_path_is_found(text: str) -> None:
    for path, value in paths(tomli.loads(text)):
        found = find(text, path)
        assert found is not None, path
        if isinstance(path[-1], str):
            assert keys(text[found.key.start : found.key.end]) == [path[-1]]
        assert (
            is_mention_by_value(text, path, value, found)
            or (isinstance(value, dict | list) and is_mention_by_header(text, path, found))
            or (isinstance(value, dict) and is_mention_by_dotted_key(text, value, found))
        ), (path, marked(text, found))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(toml_texts())
@example("a = {b.c = 1, b.d = {e = [[], [1]]}}\n[[t]]\n[t.a]\n[[t]]\nx.y.z = '''\n'''\n[t.a]\n")
def test_every_path_of_a_parsed_document_is_found(text):
    assert_every_path_is_found(text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(toml_texts(), st.data())
def test_no_path_that_a_parsed_document_lacks_is_found(text, data):
    document = tomli.loads(text)
    path, value = data.draw(st.sampled_from([((), document), *paths(document)]))
    lacking: Path = tuple(name for name in NAMES if not isinstance(value, dict) or name not in value)
    lacking += (len(value), -1) if isinstance(value, list) else (0,)
    assert [step for step in lacking if find(text, (*path, step))] == []


JSON = st.recursive(
    st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.\"'[]# \\", max_size=3), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("ab.\"'[]# \\", max_size=3), JSON, max_size=4))
def test_every_path_of_a_document_written_by_tomlkit_is_found(tree):
    assert_every_path_is_found(tomlkit.dumps(tree))


def test_every_path_of_a_document_built_with_tomlkit_is_found():
    document = tomlkit.document()
    document.add(tomlkit.comment("[source.checkout] # not yet"))
    source = tomlkit.table(is_super_table=True)
    checkout = tomlkit.table()
    checkout.add("sql", tomlkit.string('SELECT "a" -- [x]\nFROM b\n', multiline=True))
    checkout.add("description", tomlkit.string("C:\\", literal=True)).comment("'''")
    mapping = tomlkit.array().multiline(multiline=True)
    mapping.append(tomlkit.inline_table().append("column", "user_id").append("type", "userID"))
    mapping.append(tomlkit.inline_table().append("column", "]").append("type", "stableID"))
    checkout.add("mapping", mapping)
    checkout.add(tomlkit.key(["limits", "per day"]), 3)
    source.add("checkout", checkout)
    document.add("source", source)
    runs = tomlkit.aot()
    runs.extend([tomlkit.item({"at": n}) for n in range(3)])
    document.add("runs", runs)
    text = tomlkit.dumps(document)
    assert '"""' in text
    assert "limits.'per day'" in text or 'limits."per day"' in text
    assert "[[runs]]" in text
    assert_every_path_is_found(text)


MEGABYTE = 1_000_000
HOSTILE = {
    "pairs": ("".join(f"k{n} = 1\n" for n in range(MEGABYTE // 11)), ("x",), True),
    "lists of tables": ("[[a]]\n[a.b]\n" * (MEGABYTE // 12), ("a", MEGABYTE // 12 - 1, "b", "x"), True),
    "one array": ("a = [" + "1," * (MEGABYTE // 2) + "]", ("a", MEGABYTE // 2 - 1), False),
    "one string of escapes": ('a = "' + '\\"' * (MEGABYTE // 2) + '"', ("a",), False),
    "one string of quotes": ('a = """' + '""x' * (MEGABYTE // 3) + '"""', ("a",), False),
    "comments": ("a = [" + "1#\n," * (MEGABYTE // 4) + "]", ("a", "x"), True),
    "white space": ("\n" * MEGABYTE + "a = 1", ("a",), False),
    "nested arrays": ("".join(f"k{n} = {'[' * 300}{']' * 300}\n" for n in range(MEGABYTE // 610)), ("x",), True),
    "one wide array in many": (
        "a = " + "[" * 300 + "1," * (MEGABYTE // 2) + "]" * 300,
        ("a", *[0] * 299, 400_000),
        False,
    ),
    "long keys": ("".join(f"{'a.' * 500}k{n} = 1\n" for n in range(MEGABYTE // 1010)), (*"a" * 500, "x"), True),
}


@pytest.mark.parametrize(("text", "path", "is_absent"), HOSTILE.values(), ids=HOSTILE)
def test_a_megabyte_takes_no_more_than_seconds(text, path, is_absent):
    # Each takes up to about a second; a scanner that is quadratic in one of them takes minutes.
    with cost.at_most(30):
        found = find(text, path)
    assert (found is None) == is_absent


def test_nesting_may_be_deeper_than_the_call_stack():
    depth = 10_000
    arrays = find("x = " + "[" * depth + "]" * depth, ("x", *[0] * (depth - 1)))
    assert arrays == Position(Span(depth + 3, depth + 5), Span(depth + 3, depth + 5))
    tables = find("x = " + "{a=" * depth + "1" + "}" * depth + "\ny = 1", ("x", *"a" * depth))
    assert tables == Position(Span(3 * depth + 2, 3 * depth + 3), Span(3 * depth + 4, 3 * depth + 5))


@given(st.text("a.=[]{}\"'#\n ,1", max_size=20))
@example("a = [")
@example("a = {b")
@example("[[a")
@example("a = '''")
@example("=")
def test_a_text_that_no_parser_accepts_still_ends_the_scan(text):
    find(text, ("a", 0))
