"""A name has more than one form in Unicode: what looks the same is not made twice, and the difference is written out.

"é" is one character (NFC), or an "e" with an accent behind it (NFD).
"""

from __future__ import annotations

from urllib.parse import quote

import pytest
from command import Project
from lossy import LossyApi, serve

from planner.emulator.data import sources_for

NFC, NFD = "caf\u00e9", "cafe\u0301"
A = "assignment_source.a"
COLUMNS = {
    "timestampColumn": "ts",
    "experimentIDColumn": "e",
    "groupIDColumn": "g",
    "idTypeMapping": [{"statsigUnitID": "userID", "column": "u"}],
}
PATH = "/console/v1/experiments/assignment_source"


def whole(key: str, name: str, sql: str = "SELECT 1", more: str = "") -> str:
    columns = "".join(f'{field} = "{value}"\n' for field, value in COLUMNS.items() if isinstance(value, str))
    mapping = 'idTypeMapping = [{ statsigUnitID = "userID", column = "u" }]\n'
    return f'[assignment_source.{key}]\nname = "{name}"\nsql = "{sql}"\n{columns}{mapping}{more}\n'


@pytest.fixture
def api(project: Project):
    with serve(sources_for([])) as api:
        project.environ["STATSIG_BASE_URL"] = api.url
        yield api


def make(api: LossyApi, name: str, sql: str = "SELECT 9") -> None:
    assert api.by_hand("POST", f"{PATH}s", {"name": name, "sql": sql, **COLUMNS}) == 201


def apply(project: Project, *words: str):
    return project.run("apply", "--auto-approve", *words)


@pytest.mark.parametrize("name", [NFC, NFD])
def test_no_source_is_created_beside_one_whose_name_looks_the_same(project, api, name):
    other = NFD if name == NFC else NFC
    make(api, other)
    project.define(whole("a", name))
    shown, others = [ascii(one)[1:-1].replace("\\xe9", "\\u00e9") for one in (name, other)]
    for ran in (project.run("plan", "--refresh"), apply(project)):
        assert ran.code == 1
        assert f'the remote name "{shown}" is already taken in another Unicode form, "{others}"' in ran.err
        assert f'Expected: name = "{others}" and adopt = true in its table, if both are the same source' in ran.err
    assert [*api.sources()] == [other]
    project.define(whole("a", others, more="adopt = true\n"))
    assert apply(project).code == 0
    assert (api.sources()[other]["sql"], project.run("plan", "--detailed-exitcode").code) == ("SELECT 1", 0)


def test_no_two_sources_are_created_whose_names_look_the_same(project, api):
    project.define(whole("a", NFC) + whole("b", NFD, "SELECT 2"))
    ran = apply(project)
    assert ran.code == 1
    assert 'the remote name "cafe\\u0301" is already taken in another Unicode form, "caf\\u00e9"' in ran.err
    assert "Expected: a name that no source has yet" in ran.err
    assert api.sources() == {}


def test_a_source_is_not_renamed_beside_one_whose_name_looks_the_same_but_into_its_own_name(project, api):
    project.define(whole("a", "a"))
    assert apply(project).code == 0
    project.age()
    make(api, NFD)
    project.define(whole("a", NFC))
    ran = apply(project)
    assert ran.code == 1
    assert 'the remote name "caf\\u00e9" is already taken in another Unicode form, "cafe\\u0301"' in ran.err
    assert api.by_hand("DELETE", f"{PATH}/{quote(NFD)}") == 200
    assert apply(project).code == 0
    project.age()
    project.define(whole("a", NFD))
    assert 'name = "caf\\u00e9" -> "cafe\\u0301"' in project.run("plan").out
    assert (apply(project).code, [*api.sources()]) == (0, [NFD])


@pytest.mark.parametrize("fates", [[], ["answered", "lost after applying"]])
def test_two_sources_whose_names_look_the_same_can_swap_them(project, api, fates):
    for name, sql in ((NFC, "SELECT 1"), (NFD, "SELECT 2")):
        make(api, name, sql)
    project.define(whole("a", NFC, "SELECT 1", "adopt = true") + whole("b", NFD, "SELECT 2", "adopt = true"))
    assert apply(project).code == 0
    project.age()
    project.define(whole("a", NFD, "SELECT 1") + whole("b", NFC, "SELECT 2"))
    api.fates = fates
    assert apply(project).code == 0
    assert {name: one["sql"] for name, one in api.sources().items()} == {NFD: "SELECT 1", NFC: "SELECT 2"}
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_a_source_that_is_there_in_another_form_is_named_to_who_adopts_or_imports_it(project, api):
    make(api, NFD)
    project.define(whole("a", NFC, more="adopt = true\n"))
    guess = 'did you mean "cafe\\u0301", which is "caf\\u00e9" in another Unicode form?'
    for ran in (project.run("plan", "--refresh"), apply(project), project.run("import", A, NFC)):
        assert (ran.code, guess in ran.err) == (1, True)


def test_an_import_takes_no_source_that_is_defined_in_another_form(project, api):
    make(api, NFD)
    project.define(whole("a", NFC))
    ran = project.run("import", "--all")
    told = '"cafe\\u0301": assignment_source.a is defined as "caf\\u00e9", the same name in another Unicode form'
    told += ': write name = "cafe\\u0301" there, if it is that source'
    assert (ran.code, told in ran.err) == (0, True)
    ran = project.run("import", "assignment_source.b", NFD)
    assert (ran.code, f"{A} is defined with the name" in ran.err) == (1, True)
    # Who says that it is that one is asked nothing.
    assert project.run("import", A, NFD).code == 0
    assert 'name = "cafe\\u0301" -> "caf\\u00e9"' in project.run("plan").out


def test_a_key_that_changed_along_with_the_form_of_its_name_makes_no_second_source(project, api):
    project.define(whole("a", NFC))
    assert apply(project).code == 0
    project.age()
    for removed in ("", f'[[removed]]\nfrom = "{A}"\ndelete = true\n'):
        project.define(removed + whole("b", NFD, "SELECT 2"))
        ran = project.run("plan")
        assert ran.code == 1
        assert (
            'assignment_source.a in the state has the remote name "cafe\\u0301" in another Unicode form, "caf\\u00e9"'
            in ran.err
        )
        assert '[[moved]] from "assignment_source.a" to "assignment_source.b"' in ran.err
    project.define(f'[[moved]]\nfrom = "{A}"\nto = "assignment_source.b"\n' + whole("b", NFD, "SELECT 2"))
    assert (apply(project).code, [*api.sources()]) == (0, [NFD])


def test_what_is_to_be_deleted_or_changed_and_has_another_form_by_now_is_told_apart(project, api):
    project.define(whole("a", NFC))
    assert apply(project).code == 0
    project.age()
    assert api.by_hand("PATCH", f"{PATH}/{quote(NFC)}", {"name": NFD}) == 200
    project.define(f'[[removed]]\nfrom = "{A}"\ndelete = true\n')
    ran = apply(project, "--allow-deletes", "1")
    assert (ran.code, [*api.sources()]) == (1, [NFD])
    assert 'the remote has no "caf\\u00e9", but "cafe\\u0301" has the same fields' in ran.err
    project.define(whole("a", NFC, more='description = "new"\n'))
    ran = apply(project)
    assert (ran.code, 'did you mean "cafe\\u0301"' in ran.err) == (1, True)
    assert "| `caf\\u00e9` | `cafe\\u0301` |" in project.run("audit", "--markdown").out
    assert "no source caf\\u00e9; cafe\\u0301 is unmanaged and has the same fields" in project.run("audit").out


def test_a_create_without_an_answer_is_found_in_the_form_that_the_api_gave_it(project, api):
    project.define(whole("a", NFC))
    api.fates = ["superseded"]
    api.somebody = lambda _call: make(api, NFD, "SELECT 1")
    assert apply(project).code in {0, 1}
    assert (project.resources[A]["name"], [*api.sources()]) == (NFD, [NFD])


def test_values_that_are_no_names_keep_their_form(project, api):
    project.define(whole("a", "a", f"SELECT '{NFD}'", f'description = "{NFC}"\n'))
    assert apply(project).code == 0
    project.define(whole("a", "a", f"SELECT '{NFC}'", f'description = "{NFD}"\n'))
    ran = project.run("plan")
    assert "1 to update" in ran.out
    assert apply(project).code == 0
    assert (api.sources()["a"]["sql"], api.sources()["a"]["description"]) == (f"SELECT '{NFC}'", NFD)
