from __future__ import annotations

import re

import pytest
from golden import snapshot
from hypothesis import given
from hypothesis import strategies as st
from strategies import declared_values, toml_definition

from planner.audit.drift import find_drift
from planner.definitions.parse import parse_definitions
from planner.errors import DefinitionError, Diagnostic
from planner.plan.build import build_plan
from planner.render import diagnostics, plan_comment

HOSTILE = "`` ``` </details> <script> @all | # x\n```\n::set-output::\n- not removed\n+ not added"


def plan(*definitions: str, **prior):
    found = parse_definitions({"statform.toml": "\n".join(definitions).encode()})
    return build_plan(found, snapshot({f"assignment_source.{k}": {"data": v} for k, v in prior.items()}))


def test_a_plan_as_a_comment():
    definitions = (
        toml_definition("a", {"description": "new", "tags": ["x"]}),
        toml_definition("b", {"sql": "one\n- two\nthree\n"}),
        toml_definition("moved", {}, "old"),
    )
    found = plan(*definitions, a={"description": "old", "tags": []}, old={}, gone={})
    assert plan_comment.plan_to_markdown(found) == (
        "**statform plan:** 1 to update, 1 to adopt, 1 to forget, 1 unchanged, 1 moved.\n"
        "\nA full update replaces the whole source: settings that the API does not show, such as a loading window or "
        "reviewers, may be reset.\n\n1 to adopt: old values unknown; `statform plan --refresh` shows them.\n"
        "\n<details><summary>update <code>assignment_source.a</code>: description, tags</summary>\n\n"
        '```diff\n! description = "old" -> "new"\n! tags        = + "x"\n```\n\n</details>\n'
        "\n<details><summary>adopt <code>assignment_source.b</code>: sql (full update)</summary>\n\n"
        "```diff\n+ sql\n+     one\n+     - two\n+     three\n```\n\n</details>\n"
        "\n- move <code>assignment_source.moved</code>, was <code>assignment_source.old</code>\n"
        "\n- forget <code>assignment_source.gone</code>; the source <code>gone</code> stays as it is\n"
    )


def test_nothing_to_do_is_one_line():
    assert (
        plan_comment.plan_to_markdown(plan("")) == "**statform plan:** no changes. The state matches the definitions.\n"
    )


def test_signs_stand_first_and_a_line_that_looks_like_one_stays_as_it_is():
    found = plan(
        toml_definition("a", {"description": "- one\n+ 2\nthree\n"}), a={"description": "- one\n- two\nthree\n"}
    )
    lines = plan_comment.plan_to_markdown(found).splitlines()
    assert [line for line in lines if "one" in line or "2" in line or "three" in line or "two" in line] == [
        "      - one",
        "-     - two",
        "+     + 2",
        "      three",
    ]


@given(st.sampled_from([HOSTILE, "`", "~~~", "a\rb"]) | st.text(st.sampled_from("`<>&@|\n ~+-")), st.text())
def test_nothing_in_a_value_ends_its_block(before, after):
    text = plan_comment.plan_to_markdown(
        plan(toml_definition("a", {"description": after, "team": before}), a={"description": before})
    )
    blocks = re.findall(r"(?ms)^(`{3,})diff\n(.*?)\n\1\n\n</details>\n", text)
    outside = re.sub(r"(?ms)^(`{3,})diff\n.*?\n\1$", "", text)
    assert len(blocks) == text.count("<summary>")
    for fence, inner in blocks:
        assert fence not in inner
        assert all(line[:2] in {"! ", "+ ", "- ", "  "} for line in inner.split("\n"))
    assert "@" not in outside
    assert "<script" not in outside


@pytest.mark.parametrize("count", [1, 100, 500, 5000])
def test_whatever_its_size_a_comment_fits_and_counts_every_change(count):
    definitions = [
        toml_definition(f"source_{n}", {"description": f"d{n} " * 20, "tags": ["a", "b"]}) for n in range(count)
    ]
    prior = {f"source_{n}": {"description": f"old {n}\n" * 5, "tags": []} for n in range(count)}
    text = plan_comment.plan_to_markdown(plan(*definitions, **prior))
    assert len(text) <= 65_536
    listed = len(re.findall("(?m)^(?:- |<details><summary>)update ", text))
    left = re.search("… and ([0-9,]+) more; `statform plan` shows all of them", text)
    assert listed + (int(left[1].replace(",", "")) if left else 0) == count
    assert text.startswith(f"**statform plan:** {count} to update")
    assert (left is None) == (count <= 500)


def test_drift_takes_a_third_of_a_comment_at_most():
    drifts = find_drift(
        snapshot({f"assignment_source.source_{n}": {"data": {"description": "old"}} for n in range(5000)}),
        {"assignment_source": {f"source_{n}": {"description": "theirs"} for n in range(5000)}},
    )
    text = plan_comment.plan_to_markdown(
        plan(toml_definition("a", {"description": "new"}), a={"description": "old"}), drifts
    )
    assert len(text) <= 65_536
    drift, _, rest = text.partition("\n\n**statform plan:** 1 to update")
    assert 15_000 < len(drift) <= 65_536 // 3
    assert "`statform plan --refresh` shows all of them" in drift
    assert "<details>" in rest


def test_an_error_is_a_command_of_the_workflow_that_nothing_in_it_can_change():
    with pytest.raises(DefinitionError) as raised:
        parse_definitions({"statform.toml": b'[assignment_source.a]\nadopt = true\n"x\\n::error::%0A" = 1\n'})
    assert diagnostics.format_annotations(raised.value.diagnostics, "infra/sources") == (
        "::error title=statform,file=infra/sources/statform.toml,line=3,col=1,endColumn=18::"
        'unknown field "x\\n::error::%250A"%0AExpected: one of name, clear, depends_on, adopt, sql_file, '
        "description, isVerified, tags, sql, timestampColumn, experimentIDColumn, groupIDColumn, "
        "groupNameColumn, idTypeMapping, isReadOnly, owner, team, teamID, scheduledReloadHour\n"
    )
    assert diagnostics.format_annotations([Diagnostic("a", "b")], ".") == "::error title=statform::a%0AExpected: b\n"


@given(declared_values(), declared_values())
def test_every_plan_has_a_comment(desired, prior):
    text = plan_comment.plan_to_markdown(plan(toml_definition("a", desired), a=prior))
    assert text.startswith("**statform plan:** ")
    assert "\x00" not in text
