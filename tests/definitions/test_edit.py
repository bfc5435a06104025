"""Values changed in a TOML text: everything else keeps its bytes."""

from __future__ import annotations

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st
from strategies import declared_values, toml_definition

from planner.definitions.writing.edit import CanNotEdit, Changes, edit_tables

A = ("assignment_source", "a")


def edit_table(text, table, sets, removes=()):
    return edit_tables(text, {table: Changes(sets, removes)})


TEXT = """\
# ours
[assignment_source.a]   # the first
name  =  'source a'
description = "old" # why
tags = [ 'x',  'y' ]

clear = ["team"]
# the end of a

[assignment_source.b]
description = 'old'
"""


def test_a_value_is_replaced_and_a_new_one_comes_after_the_last():
    found = edit_table(TEXT, A, {"description": "new", "isVerified": True})
    assert found == TEXT.replace('"old" # why', '"new" # why').replace(
        'clear = ["team"]\n', 'clear = ["team"]\nisVerified = true\n'
    )


def test_a_removed_field_takes_its_line_along_and_leaves_its_comment():
    assert edit_table(TEXT, A, {"team": "t"}, ["clear"]) == TEXT.replace('clear = ["team"]\n', 'team = "t"\n')
    assert edit_table(TEXT, A, {}, ["description"]) == TEXT.replace('description = "old" # why', "# why")


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "# c"])
def test_a_missing_table_is_added_at_the_end(end):
    text = f"[statform]\nstate = 's.json'{end}" if end != "# c" else "# c"
    found = edit_table(text, A, {"team": "t", "tags": ["x"]})
    assert found.startswith(text)
    assert tomli.loads(found)["assignment_source"] == {"a": {"team": "t", "tags": ["x"]}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("assignment_source.a.team = 'x'", "assignment_source.a.team = \"y\"\nassignment_source.a.tags = [\"z\"]"),
        ("[assignment_source]\n  a.team = 'x'\n", "[assignment_source]\n  a.team = \"y\"\n  a.tags = [\"z\"]\n"),
        ("[assignment_source]\na = { team = 'x' }\n", "[assignment_source]\na = { tags = [\"z\"], team = \"y\" }\n"),
        ("[assignment_source.'a']\nteam='x'", "[assignment_source.'a']\nteam=\"y\"\ntags = [\"z\"]"),
        ("[assignment_source.a]\r\nteam = 'x'\r\n", "[assignment_source.a]\r\nteam = \"y\"\r\ntags = [\"z\"]\r\n"),
    ],
)  # fmt: skip
def test_a_table_may_be_written_in_any_way(before, after):
    assert edit_table(before, A, {"team": "y", "tags": ["z"]}) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # tomlkit 0.15 moves all of [[moved]] before the table, even if nothing is changed.
        (
            "[[moved]]\nfrom='x'\n\n[assignment_source.a]\nteam='x'\n\n[[moved]]\nfrom='y'\n",
            "[[moved]]\nfrom='x'\n\n[assignment_source.a]\nteam=\"y\"\n\n[[moved]]\nfrom='y'\n",
        ),
        # It can't read a byte order mark.
        ("\ufeff[assignment_source.a]\nteam='x'\n", '\ufeff[assignment_source.a]\nteam="y"\n'),
        # It ends the new line in LF.
        ("[assignment_source.a]\r\nx='x'\r\n", "[assignment_source.a]\r\nx='x'\r\nteam = \"y\"\r\n"),
        ("[assignment_source.a]\nx='x'\r\n", "[assignment_source.a]\nx='x'\r\nteam = \"y\"\r\n"),
        # It adds the new line without the indent, or in the middle of the others.
        ("[assignment_source]\n  a.x='x'\n", "[assignment_source]\n  a.x='x'\n  a.team = \"y\"\n"),
        (
            "assignment_source.a.x='x'\nassignment_source.a.y='y'\n",
            "assignment_source.a.x='x'\nassignment_source.a.y='y'\nassignment_source.a.team = \"y\"\n",
        ),
    ],
)
def test_text_that_a_library_would_also_change_keeps_its_bytes(before, after):
    assert edit_table(before, A, {"team": "y"}) == after


def test_tables_are_changed_together():
    b, c, d = (("assignment_source", key) for key in "bcd")
    team = Changes({"team": "t"})
    changes = {A: Changes({"isVerified": True}), d: team, b: team, c: team}
    found = tomli.loads(edit_tables(TEXT, changes))["assignment_source"]
    assert (found["a"]["isVerified"], found["b"]["team"], found["c"]["team"]) == (True, "t", "t")


def test_members_that_are_pairs_of_their_own_are_changed_one_by_one():
    text = "[assignment_source.a]\nowner.ownerID = 'u' # who\nowner.ownerType = 'USER'\n"
    found = edit_table(text, A, {"owner": {"ownerID": "v", "ownerType": "USER"}})
    assert found == text.replace("'u'", '"v"')


@pytest.mark.parametrize(
    "text",
    [
        "[assignment_source.a]\ntags = [\n  'x', # the first\n]\n",
        "[[assignment_source.a.tags]]\n",
        "[assignment_source]\na = {}\n",
        "[assignment_source.a.owner]\nownerID = 'u'\n",
        "assignment_source = {}\n",
    ],
)
def test_an_edit_that_would_lose_something_is_refused(text):
    with pytest.raises(CanNotEdit):
        edit_table(text, A, {"tags": ["y"]})


@pytest.mark.parametrize(
    ("text", "sets", "removes", "why"),
    [
        (
            "[assignment_source.a]\nowner.ownerID = 'u'\n[assignment_source.a.owner.more]\nx = 1\n",
            {"owner": {"ownerID": "v", "more": {"x": 2}}}, (), "it is written in several parts",
        ),
        (
            "[assignment_source.a]\ntags = [\n'x', # the first\n]\n", {}, ("tags",),
            "it is written in several parts, or has comments inside",
        ),
        (
            "[assignment_source]\na = { team = 't', tags = ['x'] }\n", {}, ("tags",),
            "it shares its line with other fields",
        ),
    ],
)  # fmt: skip
def test_who_has_to_write_it_by_hand_is_told_why(text, sets, removes, why):
    with pytest.raises(CanNotEdit, match=f"^{why}$"):
        edit_table(text, A, sets, removes)


def test_a_text_of_many_lines_has_the_line_ends_of_the_file():
    text = "[assignment_source.a]\r\nsql = '''\r\nSELECT 1\r\n'''\r\n"
    found = edit_table(text, A, {"sql": "SELECT 2\n-- '''\n"})
    assert "\n" not in found.replace("\r\n", "")
    assert tomli.loads(found)["assignment_source"]["a"]["sql"] == "SELECT 2\n-- '''\n"


@given(declared_values(with_sql=True), declared_values(with_sql=True), st.sampled_from(["\n", "\r\n"]))
def test_every_line_outside_of_the_changed_values_keeps_its_bytes(before, after, line_end):
    drop_null = {key: value for key, value in after.items() if value is not None}
    text = f"# é\n\n{toml_definition('a', before)}# c\n\n[assignment_source.z] # z\nname='z'\n".replace("\n", line_end)
    old = tomli.loads(text)
    try:
        found = edit_table(text, A, drop_null)
    except CanNotEdit:
        return
    new = tomli.loads(found)
    assert new["assignment_source"]["z"] == old["assignment_source"]["z"]
    assert new["assignment_source"]["a"] == {**old["assignment_source"]["a"], **drop_null}
    assert found.startswith("# é\n\n[assignment_source.a]\n".replace("\n", line_end))
    assert found.endswith("# c\n\n[assignment_source.z] # z\nname='z'\n".replace("\n", line_end))
