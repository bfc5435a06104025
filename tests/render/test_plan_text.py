from __future__ import annotations

import re
import unicodedata

import cost
import pytest
from attrs import evolve
from golden import cases, plan_of, snapshot
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import json_values, toml_definition
from unseen import FORBIDDEN, is_safe

from planner.apply.report import Done, Report, Sending, Waiting
from planner.definitions.fields import Call
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import RESOURCE_TYPES
from planner.errors import Diagnostic, Interrupted, KeyRefused, Location
from planner.escape import (
    as_json,
    escape,
    find_in_another_form,
    format_value,
    in_one_form,
    tell_names_apart,
    without_ci_commands,
)
from planner.plan import verbs
from planner.plan.build import build_plan
from planner.plan.diff import FieldChange, element_changes
from planner.plan.order import Request
from planner.plan.verbs import Verb
from planner.render import apply_text, diagnostics, markdown, plan_text
from planner.render.changes import field_lines
from planner.render.plan_comment import plan_to_markdown
from planner.render.plan_text import render_plan, render_summary
from planner.render.style import Style, width_of
from state.records import Applied, Rejected, Resolved, Unknown
from state.snapshot import EMPTY
from state.values import Address

A, B = Address("assignment_source.a"), Address("assignment_source.b")
PLAIN, COLOURED = Style(), Style(is_coloured=True)
_SOME = sorted(FORBIDDEN - {c for c in FORBIDDEN if unicodedata.category(c) in {"Cs", "Cn"}})
nasty = st.text(st.sampled_from([*_SOME, *'[31ma \\"é名\ud800']), max_size=8) | st.text(max_size=8)
anything = st.recursive(
    nasty | json_values,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(nasty, inner, max_size=2),
    max_leaves=4,
)


def test_every_character_that_a_terminal_acts_on_is_written_out():
    for character in FORBIDDEN:
        shown = escape(f"a{character}b")
        assert is_safe(shown)
        assert re.fullmatch(r"a\\(n|r|t|u[0-9a-f]{4}|U[0-9a-f]{8})b", shown), hex(ord(character))


def test_what_people_write_is_left_as_it_is():
    written = "naïve Straße 名前 한국어 ไทย עברית عربى हिन्दी e\u0301 🙂 🇫🇷 € “x” – \\ \" '"
    assert escape(written) == written


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("::error::x", "\\u003a:error::x"),
        ("a\n \t::set-env name=x::y\nb", "a\n \t\\u003a:set-env name=x::y\nb"),
        ("##[error]x", "\\u0023#[error]x"),
        ("a ##vso[task.x]y", "a \\u0023#vso[task.x]y"),
        ("a ##TeamCity[x]", "a \\u0023#TeamCity[x]"),
        ("::x\n##[y]", "\\u003a:x\n\\u0023#[y]"),
        ("a ::b:: and ## c", "a ::b:: and ## c"),
        ("a: b # c", "a: b # c"),
    ],
)
def test_no_line_is_a_command_to_a_ci(written, shown):
    assert without_ci_commands(written) == shown


def test_json_for_tools_is_in_ascii_without_any_control_character():
    value = {"a": [1, "é\x7f\x1b\u202e"], "b": None}
    assert as_json(value) == '{"a":[1,"\\u00e9\\u007f\\u001b\\u202e"],"b":null}'
    assert as_json({"a": [1], "b": "\x7f"}, indent=2) == '{\n  "a": [\n    1\n  ],\n  "b": "\\u007f"\n}'


@settings(max_examples=200, deadline=None)
@given(anything)
def test_no_value_reaches_a_terminal_raw(value):
    assert is_safe(format_value(value))
    assert "\n" not in format_value(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (5, "5"),
        (5.0, "5.0"),
        ("", '""'),
        ('say "x"', r'"say \"x\""'),
        ("C:\\u0041", r'"C:\\u0041"'),
        ("a\nb\tc", r'"a\nb\tc"'),
        ("\x1b[2J\x9b\x7f", r'"\u001b[2J\u009b\u007f"'),
        ("\ud800", r'"\ud800"'),
        ([], "[]"),
        (["a", None], '["a", null]'),
        ({}, "{}"),
        ({"a-1": 1, "b c": [{}], "": "x"}, '{ a-1 = 1, "b c" = [{}], "" = "x" }'),
    ],
)
def test_a_value_reads_as_in_toml(value, shown):
    assert format_value(value) == shown


@pytest.mark.parametrize(
    ("written", "width"),
    [
        ("", 0),
        ("abc", 3),
        ("é", 1),
        ("e\u0301", 1),
        ("名前", 4),
        ("🙂", 2),
        ("ｱ", 1),
        ("Ａ", 2),
        ("か\u3099", 2),
        ("กำ", 2),
        ("กิ", 1),
        ("a\u20dd", 1),
    ],
)
def test_the_width_is_that_of_the_columns(written, width):
    assert width_of(written) == width


def state(data, unreturned=None):
    return snapshot({A: {"data": data, "unreturned": unreturned or {}}})


def planned(values, data, style=PLAIN):
    definitions = parse_definitions({"statform.toml": toml_definition("a", values).encode()})
    return plan_text.render_plan(build_plan(definitions, state(data)), style)


def body(shown: str) -> list[str]:
    """The lines of the fields, without the indentation that all have."""
    block = shown.partition("\nPlan:")[0]
    return [line[6:] for line in block.split("\n") if line.startswith(" " * 6)]


@settings(max_examples=150, deadline=None)
@given(nasty, nasty, anything, st.sampled_from([None, 1, 20, 33, 60]))
def test_no_plan_reaches_a_terminal_raw(key, name, value, width):
    data = {
        "description": value,
        "tags": [name, key],
        "idTypeMapping": [{"statsigUnitID": key, "column": value}],
        "owner": {key: value, "ownerID": value},
        "team": name,
    }
    declared = {
        "description": "x\ny",
        "tags": [],
        "idTypeMapping": [{"statsigUnitID": "userID", "column": "x"}],
        "owner": {"ownerID": "x"},
        "team": None,
    }
    definitions = parse_definitions({"statform.toml": toml_definition("a", declared).encode()})
    odd = snapshot({A: {"name": name, "data": data}, f"assignment_source.{key}{name}x": {"name": name}})
    assert is_safe(plan_text.render_plan(build_plan(definitions, odd), Style(width)))


@settings(max_examples=150, deadline=None)
@given(
    nasty, nasty, st.text(max_size=30) | nasty, st.integers(1, 40), st.integers(1, 9), st.sampled_from([None, 5, 60])
)
@example("x", "y", "\u0301" * 30, 20, 5, 20)
def test_no_diagnostic_reaches_a_terminal_raw(summary, file, line, column, length, width):
    where = Location(file, 1, min(column, len(line) + 1), length, line)
    found = Diagnostic(summary, summary, where, Address(file), summary)
    assert is_safe(diagnostics.render_diagnostics([found, found], Style(width)))


OUTCOMES = [
    Applied(A, 200, {}, {}, 1, "t"),
    Rejected(A, 400, "\x1b[31mno\n", False, None, 1, "t"),
    Unknown(A, "\u202e", 1, "t"),
    Resolved(A, "superseded", None, {}, "t"),
]


@settings(max_examples=100, deadline=None)
@given(nasty, st.sampled_from(OUTCOMES), nasty)
def test_no_progress_and_no_report_reaches_a_terminal_raw(name, outcome, address):
    at = Address(address)
    request = Request(at, Call.PATCH, name, {})
    for event in (Sending(request, 1, 2), Done(request, outcome, 1.0), Waiting(0.5, name)):
        shown = apply_text.format_event(event, {at: verbs.UPDATE}, PLAIN)
        assert is_safe(shown)
        assert "\n" not in shown
    report = Report((), {at: name}, {at: name}, {at: name}, (at,), {at: ("team",)})
    shown = apply_text.format_report(report, PLAIN)
    assert is_safe(shown)
    assert shown.count("\n") == 6


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_without_colour_there_is_no_escape_and_with_it_the_text_is_the_same(case):
    if (case / "errors.txt").exists():
        return
    plan = plan_of(case)
    for width in (None, 60):
        plain, coloured = (
            plan_text.render_plan(plan, Style(width)),
            plan_text.render_plan(plan, Style(width, is_coloured=True)),
        )
        assert "\x1b" not in plain
        assert "\x1b[" in coloured
        assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


def test_a_long_value_is_broken_at_spaces_and_stands_below_the_one_before():
    shown = planned({"description": "one two three four five six seven"}, {"description": "zero"}, Style(45))
    assert body(shown) == [
        '~ description = "zero"',
        '             -> "one two three four ',
        '                five six seven"',
    ]


def test_a_value_that_fits_stays_in_its_line():
    for width in range(20, 50):
        shown = body(planned({"team": "x" * 8}, {"team": "y" * 8}, Style(width)))
        line = f'~ team = "{"y" * 8}" -> "{"x" * 8}"'
        assert (shown == [line]) is (width >= 6 + len(line))


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from('ab 名🙂é\u0301\\"\x07 '), max_size=80), st.integers(50, 80))
def test_folding_loses_and_adds_nothing(value, width):
    shown = body(planned({"team": "new" + value}, {}, Style(width)))
    assert all(width_of(line) <= width - 6 for line in shown)
    first, *rest = shown
    assert first.removeprefix("+ team = ") + "".join(line[9:] for line in rest) == format_value("new" + value)


def test_the_elements_of_a_set_flow():
    shown = planned({"tags": ["aaaa", "bbbb", "cccc", "x" * 40]}, {"tags": ["dddd"]}, Style(40))
    assert body(shown) == [
        '~ tags = + "aaaa"  + "bbbb"',
        '         + "cccc"',
        f'         + "{"x" * 22}',
        f'           {"x" * 18}"',
        '         - "dddd"',
    ]


def test_a_text_of_lines_shows_the_lines_that_differ():
    before, after = "\n".join("abcdefghij"), "\n".join("abcdEfghij")
    shown = planned({"description": after}, {"description": before})
    assert body(shown) == [
        "~ description",
        *(f"    {line}" for line in ["@@ line 2 @@", "  b", "  c", "  d", "- e", "+ E", "  f", "  g", "  h"]),
    ]


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("a\n", "a", ["  a", "-"]),
        ("a\n", "b\n", ["- a", "+ b"]),
        ("a", "a\n", ["  a", "+"]),
        ("a\nb ", "a\nb", ["  a", "- b\\u0020", "+ b"]),
        ("a\r\nb", "a\nc", ["- a\\r", "- b", "+ a", "+ c"]),
        ("", "a\n", ["+ a"]),
        ("a\nb", "", ["- a", "- b"]),
        (None, "a\nb", ["+ a", "+ b"]),
        ("- a\n+ b", "+ b\n- a", ["+ + b", "  - a", "- + b"]),
        ("a\n\nb", "a\nb", ["  a", "-", "  b"]),
    ],
)
def test_every_difference_of_lines_can_be_seen(before, after, lines):
    shown = planned({"description": after}, {"description": before})
    assert body(shown)[1:] == ["    " + line for line in lines]


def test_long_texts_take_little_time():
    with cost.at_most(10):
        before = "\n".join(f"line {n % 7}" for n in range(1500))
        after = "\n".join(f"line {n % 5}" for n in range(1500))
        assert planned({"description": after}, {"description": before}, Style(60))
        assert planned({"team": "x" * 300_000}, {"team": "名" * 100_000}, Style(60))
        assert planned({"tags": [f"tag {n}" for n in range(3000)]}, {"tags": []}, Style(60))


@pytest.mark.parametrize(
    ("count", "seconds", "line"),
    [
        (2, 0.0, ""),
        (2, 9.2, "2 requests: at least 10 s (the API's rate limit).\n"),
        (2, 60.0, "2 requests: at least 1 min 0 s (the API's rate limit).\n"),
        (2, 3661.0, "2 requests: at least 61 min 1 s (the API's rate limit).\n"),
    ],
)
def test_a_plan_says_how_long_it_takes(count, seconds, line):
    definitions = parse_definitions(
        {"statform.toml": b"[assignment_source.a]\nadopt = true\n[assignment_source.b]\nadopt = true"}
    )
    shown = plan_text.render_plan(build_plan(definitions, EMPTY), PLAIN, seconds)
    assert shown.endswith(f"Plan: {count} to adopt.\n{line}")


REQUEST = Request(A, Call.PATCH, "a\x1bb", {})


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Sending(REQUEST, 3, 12), "assignment_source.a: updating a\\u001bb … [3/12]"),
        (Done(REQUEST, evolve(OUTCOMES[0], duration_ms=126), 9), "assignment_source.a: updated (0.13 s)"),
        (Done(REQUEST, OUTCOMES[1], 9), "assignment_source.a: rejected, 400: \\u001b[31mno\\n (0.00 s)"),
        (
            Done(REQUEST, evolve(OUTCOMES[1], status=429), 9),
            "assignment_source.a: too many requests for the API, 429 (0.00 s)",
        ),
        (
            Done(REQUEST, evolve(OUTCOMES[1], status=None), 1),
            "assignment_source.a: rejected, \\u001b[31mno\\n (0.00 s)",
        ),
        (Done(REQUEST, OUTCOMES[2], 1), "assignment_source.a: unknown, \\u202e (0.00 s)"),
        (Done(REQUEST, Resolved(A, "applied", {}, {}, "t"), 1), "assignment_source.a: updated (1.00 s)"),
        (Done(REQUEST, Resolved(A, "not applied", None, {}, "t"), 1), "assignment_source.a: not applied (1.00 s)"),
        (
            Done(REQUEST, OUTCOMES[3], 1),
            "assignment_source.a: superseded, somebody else renamed or deleted the source (1.00 s)",
        ),
        (Waiting(0.2, "why"), "waiting 1 s: why"),
        (Waiting(61.0, "why"), "waiting 61 s: why"),
    ],
)
def test_progress_is_a_line_an_event(event, line):
    assert apply_text.format_event(event, {A: verbs.UPDATE}, PLAIN) == line
    assert re.sub(r"\x1b\[\d+m", "", apply_text.format_event(event, {A: verbs.UPDATE}, COLOURED)) == line


def actions(*which: Verb):
    definitions = parse_definitions({"statform.toml": b"[assignment_source.a]\nadopt = true"})
    (action,) = build_plan(definitions, EMPTY).actions
    return tuple(action._replace(verb=verb) for verb in which)


REPORTS = [
    (Report(), False, "Apply complete: nothing to do.\n"),
    (
        Report(actions(verbs.UPDATE, verbs.ADOPT, verbs.ADOPT, verbs.FORGET)),
        False,
        "Apply complete: 1 updated, 2 adopted, 1 forgotten.\n",
    ),
    (
        Report(actions(verbs.UPDATE)),
        True,
        "Dry run complete: 1 to update; the API would accept all of it, and nothing was changed.\n",
    ),
    (
        Report(
            actions(verbs.UPDATE),
            {A: "400: bad\nrequest"},
            {B: "no answer"},
            {Address("assignment_source.c"): "it depends on assignment_source.a"},
            (Address("assignment_source.d"),),
            {Address("assignment_source.e"): ("team", "tags")},
        ),
        False,
        "Apply incomplete: 1 updated, 1 rejected, 1 unknown, 1 skipped, 1 not attempted, "
        "1 not accepted.\n"
        "  rejected       assignment_source.a: 400: bad\\nrequest\n"
        "  unknown        assignment_source.b: no answer\n"
        "  skipped        assignment_source.c: it depends on assignment_source.a\n"
        "  not attempted  assignment_source.d: the run ended before\n"
        "  not accepted   assignment_source.e: the API kept another value of team, tags\n",
    ),
    (Report(stopped_by=Interrupted()), False, "Apply incomplete: nothing was done.\n"),
]


@pytest.mark.parametrize(("report", "is_dry_run", "shown"), REPORTS)
def test_a_report_says_what_was_done_and_what_was_not(report, is_dry_run, shown):
    assert apply_text.format_report(report, PLAIN, is_dry_run=is_dry_run) == shown


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (Report(), 0),
        (Report(rejected={A: ""}), 1),
        (Report(unknown={A: ""}), 1),
        (Report(skipped={A: ""}), 1),
        (Report(not_attempted=(A,)), 1),
        (Report(not_accepted={A: ("team",)}), 1),
        (Report(rejected={A: ""}, stopped_by=KeyRefused("")), 3),
        (Report(stopped_by=Interrupted()), 130),
    ],
)
def test_a_report_knows_its_exit_code(report, code):
    assert report.exit_code == code


def marked(line: str, column: int, length: int = 1, width: int | None = None) -> tuple[str, str]:
    """What of the line stands above the marks, and the whole line that is shown."""
    where = Location("f.toml", 7, column, length, line)
    shown = diagnostics.render_diagnostics([Diagnostic("s", "e", where)], Style(width)).split("\n")
    margin = "  7 | "
    assert shown[2].startswith(margin)
    assert shown[3].startswith("    | ")
    above, line_of_marks = shown[2].removeprefix(margin), shown[3].removeprefix("    | ")
    columns = [character for character in above for _ in range(width_of(character))]
    marks = [n for n, mark in enumerate(line_of_marks) if mark == "^"]
    assert set(line_of_marks[marks[0] :]) == {"^"}
    pointed = [columns[n] if n < len(columns) else "" for n in marks]
    return "".join(c for n, c in enumerate(pointed) if width_of(c) < 2 or n % 2 == 0), above


@pytest.mark.parametrize(
    ("line", "column", "length", "above"),
    [
        ("team = 5", 8, 1, "5"),
        ("\tteam = 5", 9, 1, "5"),
        ("a\tb\tteam = 5", 12, 1, "5"),
        ("名前 = 🙂5", 7, 1, "5"),
        ("e\u0301e\u0301 = 5", 8, 1, "5"),
        ("\x1b\u202e = 5", 6, 1, "5"),
        ("x = 名前", 5, 2, "名前"),
        ("x = \x01y", 5, 2, "\\u0001y"),
        ("x =", 4, 1, ""),
        ("x" * 500 + "5" + "y" * 500, 501, 1, "5"),
        ("名" * 500 + "5" + "名" * 500, 501, 1, "5"),
    ],
)
@pytest.mark.parametrize("width", [None, 10, 20, 40, 60, 100])
def test_the_marks_stand_below_what_they_mark(line, column, length, above, width):
    found, shown = marked(line, column, length, width)
    assert found == above
    assert width_of(shown) <= max(20, (width or 120) - 20) + 2


def test_a_diagnostic_without_a_place_or_a_line_shows_what_it_has():
    found = [Diagnostic("s", "e", None, A, "team"), Diagnostic("s", "e", Location("f", 1, 1, 1, " "))]
    assert diagnostics.render_diagnostics(found, PLAIN) == (
        "Error: s\n  assignment_source.a, field team\n  Expected: e\n\nError: s\n  f:1:1\n  Expected: e\n"
    )
    assert diagnostics.render_diagnostics([], PLAIN) == ""


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("café", "cafe\u0301", '"caf\\u00e9" -> "cafe\\u0301"'),
        ("Beta\u00a0exposures", "Beta exposures", '"Beta\\u00a0exposures" -> "Beta exposures"'),
        ("a\u2800b", "a b", '"a\\u2800b" -> "a b"'),
        ("ﬁx 名", "fix 名", '"\\ufb01x 名" -> "fix 名"'),
        ("café", "thé", '"café" -> "thé"'),
    ],
)
def test_two_values_that_look_the_same_are_told_apart(before, after, shown):
    change = FieldChange(RESOURCE_TYPES["assignment_source"].field["team"], before, after, None)
    assert field_lines([change], PLAIN) == [f"      ~ team = {shown}"]
    assert [*markdown.format_change(change)] == [f"`{one}`" for one in shown.split(" -> ")]
    texts = change._replace(before=f"1\n{before}\n", after=f"1\n{after}\n")
    one, other = (part.strip('"') for part in shown.split(" -> "))
    assert [line.strip() for line in field_lines([texts], PLAIN)][-2:] == [f"- {one}", f"+ {other}"]


def test_elements_that_look_the_same_are_told_apart():
    tags = RESOURCE_TYPES["assignment_source"].field["tags"]
    before, after = ["café"], ["cafe\u0301", "é"]
    change = FieldChange(tags, before, after, element_changes(tags.kind, before, after))
    assert field_lines([change], PLAIN) == ['      ~ tags = + "cafe\\u0301"  + "é"  - "caf\\u00e9"']


def test_what_is_the_same_for_three_beside_each_other_is_shown_once():
    names = ("a", "b", "c")
    definitions = [toml_definition(name, {"name": f"{name}_v1", "team": "Growth"}) for name in names]
    other = toml_definition("d", {"team": "Other"})
    prior = {f"assignment_source.{name}": {"name": f"{name}_v1", "data": {"team": "Old"}} for name in names}
    prior["assignment_source.d"] = {"data": {"team": "Old"}}
    found = build_plan(parse_definitions({"statform.toml": "\n".join([*definitions, other]).encode()}), snapshot(prior))
    assert render_plan(found, Style()) == (
        "statform will perform these actions, in this order:\n\n"
        "  # 3 to update, all in the same way\n"
        "  ~ assignment_source.a (a_v1)\n"
        "  ~ assignment_source.b (b_v1)\n"
        "  ~ assignment_source.c (c_v1)\n"
        '      ~ team = "Old" -> "Growth"\n\n'
        "  # assignment_source.d will be updated (PATCH d)\n"
        "  ~ assignment_source.d\n"
        '      ~ team = "Old" -> "Other"\n\n'
        "Plan: 4 to update.\n"
    )
    assert render_summary(found, Style()) == "Plan: 4 to update.\n  ~ 4 to update: team\n"
    assert (
        "\n<details><summary>update 3 in the same way: team</summary>\n\n"
        "```diff\n# assignment_source.a (a_v1)\n# assignment_source.b (b_v1)\n# assignment_source.c (c_v1)\n"
        '! team = "Old" -> "Growth"\n```\n\n</details>\n'
    ) in plan_to_markdown(found)


def test_two_changes_are_no_group_and_neither_are_changes_that_differ_in_a_value():
    definitions = [toml_definition(name, {"team": team}) for name, team in (("a", "x"), ("b", "x"), ("c", "y"))]
    prior = {f"assignment_source.{name}": {"data": {"team": "Old"}} for name in "abc"}
    found = build_plan(parse_definitions({"statform.toml": "\n".join(definitions).encode()}), snapshot(prior))
    assert render_plan(found, Style()).count("will be updated") == 3
    nothing = build_plan(parse_definitions({"statform.toml": b""}), snapshot({}))
    assert render_summary(nothing, Style()) == "No changes. The state matches the definitions.\n"


def test_a_name_in_another_unicode_form_is_found_and_both_are_written_out():
    name, other = "caf\u00e9", "cafe\u0301"
    assert in_one_form(other) == name
    assert find_in_another_form(name, ["cafe", name, other]) == other
    assert find_in_another_form(other, [name]) == name
    assert find_in_another_form(name, ["cafe", name]) is None
    assert find_in_another_form("cafe", [name, other]) is None
    assert [*tell_names_apart(name, other)] == ['"caf\\u00e9"', '"cafe\\u0301"']
    assert [*tell_names_apart("a", "b")] == ['"a"', '"b"']
