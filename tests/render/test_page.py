from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import date
from html.parser import HTMLParser
from typing import get_args

import cost
import pytest
from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pages import COMMIT, HEAD, audit, change, drift, entry, filled_with, many, page, snapshot

from planner.audit.authors import Author, Authors
from planner.audit.history import HistoryOutcome
from planner.definitions.addresses import RemoteName
from planner.escape import escape, format_value
from planner.plan.diff import ABSENT
from planner.render.page import document, plot, timeline
from state.records import Intent
from state.snapshot import EMPTY
from state.values import Address

VOID = {"meta", "input", "wbr"}
A, B = "assignment_source.a", "assignment_source.b"
SQL = "SELECT ts\nFROM exposures\nWHERE env = 'prod'\n"


class Document(HTMLParser):
    """The elements of a page: `tags` in their order with their attributes' names; `texts` of each class and element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value for _, value in attrs if value]
        names = [tag, *(dict(attrs).get("class") or "").split()]
        for name in names:
            self.texts.setdefault(name, []).append("")
        if tag not in VOID:
            self.open.append(names)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for name in {name for names in self.open for name in names}:
            self.texts[name][-1] += data


def shown(of) -> Document:
    return Document(document.render_page(of))


def test_the_same_page_has_the_same_bytes():
    assert document.render_page(many(50)) == document.render_page(many(50))


def test_the_policy_allows_the_one_style_and_the_one_script_that_are_there_and_nothing_else():
    text = document.render_page(filled_with("x"))
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ")
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"; {source} 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    # The policy holds only for what comes after it.
    assert text.index("Content-Security-Policy") < text.index("<style>") < text.index("<script>")


def test_nothing_in_the_page_leads_out_of_it():
    found = shown(filled_with("x"))
    names = {name for _, attributes in found.tags for name in attributes}
    assert not names & {"src", "style", "action", "srcset", "xlink:href", "poster", "data", "formaction"}
    assert not [name for name in names if name.startswith("on")]
    assert not {tag for tag, _ in found.tags} & {"link", "img", "iframe", "object", "embed", "base", "use", "image"}
    assert set(re.findall(r'href="([^"]*)"', document.render_page(filled_with("x")))) == {
        "#drift", "#timeline", "#managed", "#verify",
    }  # fmt: skip


HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style></title></textarea><img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "&lt;b&gt; &amp; &#60;",
    "<!-- --><![CDATA[ x ]]><?php ?>",
    "\u202egnp.exe\u2066 \u200b\ufeff",
    "\x00\x07\x1b[31m\x7f\x9b",
    "::error file=x::y",
    "{{7*7}} ${7*7} %s {0}",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup_wherever_it_stands(text):
    # A dot parts an address.
    harmless = re.sub(r"[^.]", "x", escape(text))
    found, expected = shown(filled_with(text)), shown(filled_with(harmless))
    assert Counter(found.tags) == Counter(expected.tags)
    assert escape(text) in found.texts["h1"][0]
    assert escape(text) in found.texts["title"][0]
    assert format_value(text) in found.texts["code"]


@settings(max_examples=60, deadline=None)
@example("'\"<>&")
@given(st.text(max_size=8))
def test_what_nobody_would_see_is_written_out_everywhere(text):
    written = document.render_page(filled_with(text))
    assert escape(written.replace("\n", "")) == written.replace("\n", "")
    assert written.encode("utf-8")
    assert Document(written).texts["h1"] == [escape(text)]


def test_the_verdict_counts_what_is_wrong():
    lost = Intent(Address(A), "PATCH", "a", {}, {"team": "x"}, "2026-11-23T10:00:00.000Z")
    drifts = (drift(A, change("team", "x", None)), drift(B))
    found = shown(page(of=audit(snapshot([A, B], unresolved=[lost]), *drifts, unmanaged=("c", "d")), is_audit=True))
    assert found.texts["strong"] == [
        "1 source drifted, 1 source is gone, 2 sources are unmanaged, 1 outcome is unknown."
    ]
    assert found.texts["verdict"] == found.texts["bad"][:1]
    assert found.texts["dt"][:6] == ["managed", "drifted", "gone", "unmanaged", "changes", "outcomes unknown"]
    assert found.texts["dd"][:6] == ["2", "1", "1", "2", "0", "1"]


def test_without_drift_the_verdict_says_so():
    found = shown(page(entry(A), is_audit=True))
    assert found.texts["good"] == [
        "No drift: the remote matches the state.The journal is intact: 4,038 records, each follows from the one before."
    ]
    assert "No field of a managed source differs from the state." in found.texts["p"]


def test_unmanaged_sources_alone_are_not_drift_but_not_clean_either():
    found = shown(page(of=audit(snapshot([A]), unmanaged=("c",)), is_audit=True))
    assert found.texts["open"] == found.texts["verdict"]
    assert found.texts["strong"] == ["1 source is unmanaged."]


def test_without_a_listing_the_page_says_nothing_of_drift():
    found = shown(page(entry(A)))
    assert "drift" not in found.texts["main"][0].lower()
    assert found.texts["good"] == ["The journal is intact: 4,038 records, each follows from the one before."]
    assert found.texts["kind"] == ["statform history"]


def test_a_damaged_journal_is_reported_first_and_nothing_from_it_is_shown_as_true():
    damage = "statform.state.journal.jsonl is damaged at byte 17"
    found = shown(page(of=audit(snapshot([A]), drift(A), damage=damage), is_audit=True))
    assert found.texts["bad"][0] == f"The journal is damaged. 1 source is gone.{damage}"
    assert "The history is not shown, because the journal is damaged." in found.texts["p"]
    assert f"The journal can't be verified: {damage}" in found.texts["p"]
    assert "intact" not in found.texts["body"][0]
    assert "--expect" not in found.texts["body"][0]


def test_a_project_without_a_state_has_a_page_too():
    found = shown(page(of=audit(EMPTY)))
    assert found.texts["verdict"] == ["There is no journal yet."]
    assert "The journal has no change yet." in found.texts["p"]
    assert "There is no state yet, so there is nothing to verify." in found.texts["p"]


def test_drift_tells_prior_and_remote_and_what_a_plan_would_do():
    moved = drift(A, change("team", "x", None), change("isVerified", ABSENT, True))
    found = shown(
        page(
            of=audit(snapshot([A]), moved, undone={(A, "team")}, unseen=(("assignment_source", "owner"),)),
            is_audit=True,
        )
    )
    assert found.texts["drift"][0] == (
        "SourceFieldIn the stateAt the remoteA plan would"
        'assignment_source.ateam"x"nullundo itisVerifiednot settrueleave it'
    )
    assert "2 fields of 1 source" in found.texts["h2"][0]
    assert (
        "Not compared, because the remote lists no source with them: assignment_source.owner." in found.texts["soft"][0]
    )
    without = shown(page(of=audit(snapshot([A]), moved), is_audit=True))
    assert "A plan would" not in without.texts["main"][0]


def test_a_source_that_is_gone_is_shown_with_its_probable_new_name():
    found = shown(page(of=audit(snapshot([A]), drift(A), renamed={A: "z"}), is_audit=True))
    assert found.texts["gone"][0].endswith("assignment_source.az2026-11-01 10:00:00Z")


def test_what_is_managed_says_who_changed_it_last_and_how_often():
    before = entry(A, who="bo"), entry(A), entry(A, outcome="rejected", who="ci"), entry(B, who="ci")
    found = shown(page(*before))
    assert found.texts["managed"][0] == (
        f"SourceLast changeByChanges{A}{A}2026-11-01 10:00:00Zana laptop2{B}{B}2026-11-01 10:00:00Zci laptop1"
    )


def test_a_page_of_selected_changes_concludes_nothing_about_all_changes():
    found = shown(page(entry(A), selection="changes since 2026-11-01"))
    assert found.texts["managed"][0] == f"SourceLast change{A}{A}2026-11-01 10:00:00Z"
    assert "Only changes since 2026-11-01." in found.texts["soft"]
    assert "Only changes by bo. There is none." in shown(page(selection="changes by bo")).texts["p"]


def test_the_head_comes_with_the_command_that_verifies_it():
    assert f"statform history --verify --expect {HEAD}" in shown(page(entry(A))).texts["code"]


def test_the_timeline_tells_each_change_newest_first():
    found = shown(
        page(
            entry(A, change("team", "x", None), change("isVerified", False, True)),
            entry(A, change("sql", "old", "new"), outcome="rejected", at="2026-11-21T10:11:12.345Z", reason="422: no"),
        )
    )
    second, later, first, earlier = found.texts["tbody"][1:5]
    assert second == f"2026-11-21 10:11:12Zana laptopcommit {COMMIT}"
    assert later == f'10:11:12Z{A}sql"old""new"rejectedupdate, 0.04 s422: no'
    assert first == f"2026-11-20 09:00:00Zana laptopcommit {COMMIT}"
    assert earlier == f'09:00:00Z{A}team"x"nullappliedupdate, 0.04 sisVerifiedfalsetrue'
    assert found.texts["from"][1:] == ['"old"', '"x"', "false"]
    assert found.texts["to"][1:] == ['"new"', "null", "true"]


def test_what_a_run_does_not_record_stays_empty_in_the_timeline():
    nobody = entry(A, who=None, host=None, commit=None, seconds=None, kind="move", outcome="recorded", reason="to b")
    assert shown(page(nobody)).texts["tbody"][1:3] == ["2026-11-20 09:00:00Zunknown", f"09:00:00Z{A}recordedmoveto b"]


def test_the_fields_of_an_import_are_folded_because_it_takes_every_field():
    fields = [change(name, ABSENT, value) for name, value in (("sql", SQL), ("team", None), ("tags", ["a"]))]
    many_fields = [*fields, change("description", ABSENT, "x"), change("isVerified", ABSENT, True)]
    found = shown(page(entry(A, *many_fields, kind="import", outcome="recorded")))
    assert found.texts["summary"][0] == " 5 fields"
    assert found.texts["pre"][0].splitlines() == [
        f"sql = {format_value(SQL)}", "team = null", 'tags = ["a"]', 'description = "x"', "isVerified = true",
    ]  # fmt: skip
    assert "pre" not in shown(page(entry(A, *fields[1:], kind="import", outcome="recorded"))).texts


@pytest.mark.parametrize(
    ("outcome", "part"),
    [
        ("applied", "applied"),
        ("resolved as applied", "applied"),
        ("recorded", "recorded"),
        ("unknown", "unknown"),
        ("superseded", "unknown"),
        ("not accepted", "failed"),
        ("rejected", "failed"),
        ("retried", "retried"),
        ("not applied", "failed"),
    ],
)
def test_every_outcome_has_its_part_of_a_bar(outcome, part):
    assert outcome in get_args(HistoryOutcome)
    found = shown(page(entry(A, outcome=outcome)))
    # What was sent again is counted there.
    assert found.texts.get("legend") == (None if part == "retried" else [f"{part} 1"])
    assert outcome in found.texts[part]


def test_only_the_latest_entries_are_shown_if_there_are_too_many_for_a_browser_but_all_are_counted(monkeypatch):
    monkeypatch.setattr(timeline, "MAX_ENTRIES", 20)
    found = shown(many(1_100, sources=3))
    assert len([time for time in found.texts["when"] if re.fullmatch("..:..:..Z", time)]) == 20
    assert "The latest 20 of 1,100 are here; statform history shows all." in found.texts["soft"]
    assert found.texts["legend"] == ["applied 770recorded 110unknown 110failed 110"]


def test_as_many_entries_as_there_can_be_make_a_page_that_can_be_sent():
    assert len(document.render_page(many(timeline.MAX_ENTRIES)).encode()) < 5_000_000


def cells(before, after, field="sql"):
    return shown(page(entry(A, change(field, before, after))))


def test_the_lines_that_differ_are_marked_in_a_text_of_several_lines():
    found = cells(SQL, SQL.replace("prod", "test"))
    assert found.texts["del"] == ["WHERE env = 'prod'\n"]
    assert found.texts["ins"] == ["WHERE env = 'test'\n"]
    assert found.texts["from"][1] == SQL


def test_a_line_end_that_is_missing_is_a_difference():
    assert cells(SQL, SQL.rstrip()).texts["del"] == ["\n"]


@pytest.mark.parametrize(
    ("field", "before", "after", "gone", "come"),
    [
        ("tags", ["core", "search"], ["growth", "core"], ['"search"\n'], ['"growth"\n']),
        ("owner", {"ownerID": "a", "x": "U"}, {"ownerID": "b", "x": "U"}, ['ownerID = "a"\n'], ['ownerID = "b"\n']),
        (
            "idTypeMapping",
            [{"statsigUnitID": "u", "column": "a"}],
            [{"statsigUnitID": "u", "column": "b"}, {"statsigUnitID": "v", "column": "c"}],
            ['u = "a"\n'],
            ['u = "b"\n', 'v = "c"\n'],
        ),
        ("tags", [], ["growth"], None, None),
        ("tags", ["growth"], [], None, None),
        ("tags", "no list", ["growth"], None, None),
    ],
)  # fmt: skip
def test_the_elements_that_differ_are_marked_in_a_value_with_elements(field, before, after, gone, come):
    found = cells(before, after, field)
    assert (found.texts.get("del"), found.texts.get("ins")) == (gone, come)
    if gone is None:
        assert (found.texts["from"][1], found.texts["to"][1]) == (format_value(before), format_value(after))


@pytest.mark.parametrize(
    ("field", "after", "shown_as"),
    [
        ("idTypeMapping", [{"statsigUnitID": u, "column": "c"} for u in "uv"], 'u = "c"\nv = "c"\n'),
        ("owner", {"ownerID": "a"}, 'ownerID = "a"\n'),
        ("owner", {}, "{}"),
        ("tags", ["b", "a"], '["b", "a"]'),
        ("team", None, "null"),
    ],
)  # fmt: skip
def test_a_first_value_is_all_new_and_not_marked(field, after, shown_as):
    found = cells(ABSENT, after, field)
    assert (found.texts["from"][1], found.texts["to"][1]) == ("not set", shown_as)
    assert "ins" not in found.texts


def test_a_long_value_is_folded_and_whole():
    long = "x" * 500
    found = cells("short", long, "description")
    assert found.texts["summary"][1].endswith("502 characters")
    assert format_value(long) in found.texts["pre"]


def test_two_tall_texts_are_folded_together_and_say_how_much_differs():
    tall = "\n".join(f"line {n}" for n in range(30))
    found = cells(tall, tall + "\nmore")
    assert found.texts["summary"][1:3] == ["line 0… 30 lines", "line 0… 31 lines, 1 differ"]


@pytest.mark.parametrize(
    "huge", ["x" * 100_000, "x\n" * 50_000, "\n" * 100_000], ids=["a line", "lines", "empty lines"]
)
def test_a_huge_value_is_cut_and_says_so(huge):
    with cost.at_most(20):
        found = cells(huge, huge + "y", "sql")
    assert max(map(len, found.texts["pre"])) < 21_000
    assert "cut here: 100,00" in found.texts["em"][0]


def test_an_invalid_time_is_shown_as_it_is():
    found = shown(page(entry(A, at="yesterday"), entry(A, at="2026-13-45T99:00:00.000Z")))
    assert found.texts["when"][1:5] == ["2026-13-45 99:00:00Z", "99:00:00Z", "yesterday", "yesterday"]
    assert "svg" not in found.texts


days = st.dates(date(1, 1, 1), date(9999, 12, 31))
near = st.dates(date(2026, 1, 1), date(2026, 3, 1))


@given(st.lists(st.tuples(days | near, st.sampled_from("ab")), min_size=1, max_size=20))
@example([(date(1, 1, 1), "a")])
@example([(date(1, 1, 1), "a"), (date(9999, 12, 31), "a")])
@example([(date(2026, 1, 1), "a"), (date(2026, 3, 1), "a")])
def test_every_moment_is_in_one_bar_and_the_bars_are_without_a_gap(moments):
    bars = plot.count(moments)
    assert sum((Counter(one) for one in bars.counts), Counter()) == Counter(part for _, part in moments)
    assert len(bars.labels) == len(set(bars.labels)) == len(bars.counts) <= plot.MAX_BARS
    assert list(bars.labels) == sorted(bars.labels, key=lambda label: [int(n) for n in re.findall(r"\d+", label)])


@pytest.mark.parametrize(
    ("first", "last", "unit", "bars", "label"),
    [
        (date(2026, 11, 23), date(2026, 11, 23), "day", 7, "2026-11-23"),
        (date(2026, 10, 1), date(2026, 11, 29), "day", 60, "2026-11-29"),
        (date(2026, 10, 1), date(2026, 11, 30), "week", 10, "2026-11-30"),
        (date(2025, 10, 13), date(2026, 11, 29), "week", 59, "2026-11-23"),
        (date(2024, 1, 31), date(2026, 12, 31), "month", 36, "2026-12"),
        (date(2000, 1, 1), date(2026, 1, 1), "year", 27, "2026"),
        (date(1900, 1, 1), date(2026, 1, 1), "10 years", 13, "2020–2029"),
        (date(1, 1, 1), date(9999, 1, 1), "200 years", 50, "9800–9999"),
    ],
)
def test_the_unit_is_the_shortest_that_needs_few_bars(first, last, unit, bars, label):
    found = plot.count([(first, "a"), (last, "a")])
    assert (found.unit, len(found.counts), found.labels[-1]) == (unit, bars, label)


def test_the_plot_ends_today_and_leaves_imports_out():
    at = "2026-11-01T10:00:00.000Z"
    imports = [entry(f"assignment_source.i{n}", change("team", ABSENT, "x"), kind="import", at=at) for n in range(300)]
    old = "2026-11-02T10:00:00.000Z"
    found = str(document.render_page(page(*imports, entry(A, change("team", "x", "y"), at=old))))
    assert "<title>2026-11-02: 1 applied</title>" in found
    assert "<title>2026-11-23: none</title>" in found
    assert "Changes per day</strong><small> without 300 imports</small>" in found
    assert "2026-11-01: " not in found
    assert "<svg" not in str(document.render_page(page(*imports)))


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=1, max_size=20))
def test_the_parts_of_a_bar_stand_on_each_other_as_tall_as_their_counts(pairs):
    counts = tuple(Counter(a=a, b=b) for a, b in [*pairs, (1, 0)])
    svg = ET.fromstring(str(plot.draw_bars(plot.Bars("day", ("x",) * len(counts), counts), ["a", "b"], "label")))
    ground = plot.HEIGHT + 8
    top = max(int(text.text.replace(",", "")) for text in svg.iterfind("text[@text-anchor='end']") if text.text != "x")
    for group, count in zip(svg.iterfind("g"), counts, strict=True):
        y = ground
        for part in "ab":
            for rect in group.iterfind(f"rect[@class='{part}']"):
                y -= int(rect.get("height"))
                assert int(rect.get("y")) == y >= 0
                assert abs(int(rect.get("height")) - plot.HEIGHT * count[part] / top) <= 2
        assert (y < ground) == (count.total() > 0)
        assert group.find("title").text.startswith("x: ")


def test_the_author_is_shown_if_the_audit_log_was_asked():
    ana = Author("Ana", "ana@example.com", "2026-11-20T09:00:00Z", is_sure=True)
    authors = Authors({(A, "team"): ana}, {B: ana}, {RemoteName("assignment_source", "new"): ana})
    of = audit(snapshot([A, B]), drift(A, change("team", "x", None)), drift(B))
    of = evolve(of, authors=authors, unmanaged=(RemoteName("assignment_source", "new"),))
    found = shown(page(of=of, is_audit=True)).texts["main"][0]
    assert found.count("by Ana <ana@example.com>, 2026-11-20 09:00:00Z") == 3
    unread = shown(page(of=evolve(of, authors=Authors(problem="403 <b>")), is_audit=True)).texts["main"][0]
    assert "The project's audit log can't be read: 403 <b>" in unread
    assert "not told" in unread


RUN = {"url": "https://ci.example/runs/7", "pull_request": "https://git.example/pull/418", "approved_by": "bo"}


def test_the_changes_of_a_run_stand_below_one_head_that_tells_who_asked_and_how_it_went():
    told = {"run_hash": "a", "who": "runner", "host": "ci", "actor": "ana", "run": RUN}
    run = [entry(f"assignment_source.s{n}", change("team", "x", "y"), **told) for n in range(41)]
    run[3] = evolve(run[3], outcome="rejected", reason="422")
    seen = entry(A, change("team", "x", "z"), kind="drift", run_hash="a", who=None, host=None, commit=None)
    alone = entry(B, change("team", "x", "y"), at="2026-11-21T10:00:00.000Z", run_hash="b")
    found = shown(page(*run, seen, alone))
    other, head = found.texts["run"]
    assert "change" not in other
    assert head.startswith("2026-11-20 09:00:00Zana told by runner@ci pull request git.example/pull/418 approved by bo")
    assert head.endswith("42 changes: 40 applied, 1 failed, 1 drift")
    assert found.texts["legend"] == ["applied 41failed 1drift 1"]


def test_each_time_of_a_run_over_midnight_is_shown_with_its_day():
    late, early = (entry(A, at=at, run_hash="a") for at in ("2026-11-20T23:59:59.000Z", "2026-11-21T00:00:01.000Z"))
    found = shown(page(late, early))
    assert found.texts["when"][1:4] == ["2026-11-20 23:59:59Z", "2026-11-21 00:00:01Z", "23:59:59Z"]


def alike(count):
    """As many sources that drifted in the same way, and two that did not."""
    addresses = [f"assignment_source.s{n}" for n in range(count)]
    same = [drift(one, change("team", "x", "y"), change("tags", [], ["a"])) for one in addresses]
    others = [drift(A, change("team", "x", "z")), drift(B, change("team", "w", "y"))]
    return page(of=audit(snapshot([A, B, *addresses]), *same[:1], *others, *same[1:]), is_audit=True)


def test_sources_that_drifted_in_the_same_way_stand_below_one_head():
    found = shown(alike(3))
    assert len(found.texts["run"]) == 1
    assert found.texts["run"][0].startswith("3 sources drifted in the same way")
    assert [*found.texts["prior"]].count('"x"') == 2
    assert found.texts["drift"][0].count("as above") == 3
    assert [text for text in found.texts["address"] if text.startswith("assignment_source.")][:5] == [
        A,
        B,
        "assignment_source.s0",
        "assignment_source.s1",
        "assignment_source.s2",
    ]
    assert "run" not in shown(alike(2)).texts


def test_a_page_of_thousands_of_drifts_costs_little():
    many_drifts = [drift(f"assignment_source.s{n}", change("team", "x", f"y{n}")) for n in range(5_000)]
    told = page(of=audit(snapshot([one.address for one in many_drifts]), *many_drifts), is_audit=True)
    with cost.at_most(10):
        document.render_page(told)


def test_the_plot_has_drift_where_the_log_tells_it_else_on_the_day_of_the_audit():
    ana = Author("Ana", None, "2026-11-19T09:00:00Z", is_sure=True)
    of = audit(snapshot([A, B]), drift(A, change("team", "x", None), change("tags", [], ["a"])), drift(B))
    of = evolve(of, authors=Authors({(A, "team"): ana}, {}, {}))
    found = document.render_page(page(entry(A, change("team", "w", "x")), of=of, is_audit=True))
    assert "<title>2026-11-19: 1 drift</title>" in found
    assert "<title>2026-11-23: 2 drift</title>" in found
    assert "drift" not in shown(page(entry(A, change("team", "w", "x")))).texts["legend"][0]


def test_sources_are_grouped_by_type_and_a_single_type_is_told_once():
    one = shown(page(entry(A)))
    assert ("body", ("class",)) in one.tags
    assert "all sources have the type assignment_source" in one.texts["facts"][0]
    of = audit(snapshot([A, "metric_source.m", *(f"entity_property.p{n}" for n in range(30))]))
    found = shown(page(entry(A), of=of))
    assert ("body", ()) in found.tags
    groups = [text for text in found.texts["summary"] if re.fullmatch(r"\w+ \d+", text)]
    assert groups == ["assignment_source 1", "entity_property 30", "metric_source 1"]
    assert [names for tag, names in found.tags if tag == "details"].count(("class", "open")) == 2


def test_a_long_name_breaks_between_its_words():
    written = document.render_page(page(entry("assignment_source.two_factor-signUp", change("idTypeMapping", [], []))))
    assert "two_<wbr>factor-<wbr>sign<wbr>Up" in written
    assert "<code>id<wbr>Type<wbr>Mapping</code>" in written
