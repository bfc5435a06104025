"""What a query returns, for a corpus of queries whose answers were written by hand."""

from __future__ import annotations

from pathlib import Path

import cost
import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.definitions.queries.check import Column, Flaw, FlawKind, check_query
from planner.definitions.settings import WAREHOUSES as DIALECTS

DATES = frozenset({"statsig_start_date", "statsig_end_date"})
CORPUS = [
    pytest.param(file.stem, query, id=f"{file.stem}: {query['name']}")
    for file in sorted(Path(__file__).with_name("queries").glob("*.toml"))
    for query in tomli.loads(file.read_text())["query"]
]


def check(text: str, dialect: str, *columns: str, macros: frozenset[str] = DATES) -> tuple[Flaw, ...]:
    return check_query(text, dialect, [Column(name, name) for name in columns], macros)


def words(text: str, found: Flaw) -> str:
    """The finding in the words of the corpus."""
    subject = " ".join(found.fields) or text[found.offset : found.offset + found.length]
    return f"{found.kind.name.lower()} {subject}"


@pytest.mark.parametrize(("dialect", "query"), CORPUS)
def test_each_query_of_the_corpus_gets_the_right_answer(dialect, query):
    text = query["sql"]
    found = check(text, dialect, *query["columns"])
    assert sorted(words(text, one) for one in found) == sorted(query["expect"]), found
    if at := query.get("at"):
        assert text[found[0].offset :].startswith(at), found


def test_the_corpus_has_many_shapes_and_dialects():
    dialects = [case.values[0] for case in CORPUS]
    assert len(CORPUS) >= 40
    assert len(set(dialects)) >= 4


def test_a_finding_says_what_is_wrong_what_is_expected_and_where():
    text = "SELECT\n  stable_id,\n  ts\nFROM e"
    (found,) = check_query(text, "bigquery", [Column("idTypeMapping[0].column", "stable_ids")], DATES)
    assert found == Flaw(
        FlawKind.MISSING,
        'the query returns no column "stable_ids"',
        'one of stable_id, ts; did you mean "stable_id"?',
        ("idTypeMapping[0].column",),
        offset=9,
        length=9,
        line=2,
        column=3,
    )
    (found,) = check("SELECT ts\nFROM e WHERE ts > {statsig_start_dat}", "bigquery", "ts")
    assert found.summary == "{statsig_start_dat} is not a macro of this type of source"
    assert found.expected.endswith('did you mean "{statsig_start_date}"?')
    assert (found.line, found.column, found.length) == (2, 19, 19)


def test_a_macro_of_the_type_is_not_a_finding():
    text = "SELECT ts FROM e WHERE ts > {statsig_experiment_start_timestamp}"
    assert check(text, "bigquery", "ts")
    assert check(text, "bigquery", "ts", macros=DATES | {"statsig_experiment_start_timestamp"}) == ()


def test_the_columns_of_a_query_are_found_in_each_dialect_of_the_parser():
    for dialect in DIALECTS:
        (found,) = check("SELECT a.ts FROM a", dialect, "zzzzzz")
        assert found.kind is FlawKind.MISSING, dialect


WORDS = (
    "SELECT FROM WITH AS ( ) , * . t a b JOIN ON USING CROSS LATERAL UNNEST VALUES UNION ALL BY NAME EXCEPT EXCLUDE "
    "REPLACE RENAME CASE WHEN THEN END CAST :: : [ ] { } {{ }} {% %} {# #} {statsig_end_date} ' \" ` -- /* */ # $$ "
    "; |> QUALIFY OVER PIVOT NOT IN - 1 'x' \"Q\" `q` RECURSIVE SEMI DISTINCT STRUCT ARRAY < > = $1 @s TABLE \n"
)


@given(
    text=st.text(max_size=80) | st.lists(st.sampled_from(WORDS.split(" ")), max_size=40).map(" ".join), data=st.data()
)
@settings(deadline=None)
def test_no_text_raises_an_error_and_each_finding_is_inside_the_text(text, data):
    dialect = data.draw(st.sampled_from(DIALECTS))
    for found in check(text, dialect, "ts", "a"):
        assert 0 <= found.offset <= len(text)
        assert found.length >= 1
        assert text.count("\n", 0, found.offset) + 1 == found.line


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "(" * 20_000 + "1",
        "SELECT * FROM " + "(SELECT * FROM " * 20_000,
        "SELECT * FROM t " + "JOIN t " * 40,
        "SELECT * FROM t " + "JOIN t " * 5_000,
        "SELECT a" + "[1]" * 3_000,
        "SELECT a" + "[1].b" * 2_000,
        "SELECT " + "NOT " * 9_000 + "1",
        "FROM " * 9_000,
        "SELECT CAST(a AS " + "ARRAY<" * 4_000 + "INT" + ">" * 4_000 + ")",
        "SELECT " + "{{" * 90_000,
        "SELECT " + "{% a " * 30_000,
        "SELECT " + "x" * 300_000,
        "SELECT " + "a, " * 4_900 + "b FROM t",
        "WITH "
        + ", ".join(f"c{n} AS (SELECT *, {n} AS x{n} FROM c{n - 1})" for n in range(1, 700))
        + "SELECT * FROM c699",
        "SELECT 1 AS a " + "UNION ALL SELECT 1 " * 2_000,
    ],
    ids=lambda text: text[:30],
)
@pytest.mark.parametrize("dialect", ["bigquery", "clickhouse"])
def test_a_text_that_no_parser_should_get_is_answered_in_seconds(dialect, text):
    with cost.at_most(10):
        check(text, dialect, "ts")
