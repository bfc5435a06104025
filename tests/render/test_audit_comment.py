"""An audit as an issue of a tracker, and its text at a terminal."""

from __future__ import annotations

import re

import pytest
from attrs import evolve
from pages import audit, change, drift, snapshot

from planner.audit.authors import Author, Authors
from planner.render import markdown
from planner.render.audit import render_audit
from planner.render.audit_comment import audit_to_markdown
from planner.render.style import Style
from state import advice

ADDRESSES = [f"assignment_source.s{n}" for n in range(116)]
UNITS = [{"statsigUnitID": unit, "column": column} for unit, column in (("userID", "user_id"), ("stableID", "stable"))]
MOVED = change("idTypeMapping", UNITS, [{"column": "stable_v2", "statsigUnitID": "stableID"}, UNITS[0]])
OWNER = change("owner", {"ownerID": "a", "ownerType": "USER"}, {"ownerType": "USER", "ownerID": "b"})


def test_what_has_elements_is_compared_element_by_element():
    told = audit_to_markdown(audit(snapshot(ADDRESSES[:1]), drift(ADDRESSES[0], MOVED, OWNER)))
    block = told[told.index("```diff\n") : told.rindex("```")]
    assert '!     stableID = "stable" -> "stable_v2"\n' in block
    assert '!     ownerID = "a" -> "b"\n' in block
    assert "user_id" not in block
    assert "ownerType" not in block


def test_what_drifted_in_the_same_way_is_told_once():
    other = drift("assignment_source.z", change("team", "x", None))
    of = audit(snapshot(ADDRESSES), *(drift(one, OWNER) for one in ADDRESSES), other)
    told = audit_to_markdown(of)
    assert told.count("<details>") == 2
    assert "<summary>116 drifted in the same way: owner</summary>" in told
    assert [line for line in told.splitlines() if line.startswith("# ")] == [f"# {one}" for one in ADDRESSES]
    text = render_audit(of, Style())
    assert text.count("  # ") == 2
    assert "  # 116 have drifted in the same way\n  ~ assignment_source.s0\n" in text
    assert text.count("ownerID") == 1


def test_what_two_people_changed_alike_stays_apart():
    ana, bo = (Author(name, None, "2026-11-19T09:00:00Z", is_sure=True) for name in ("Ana", "Bo"))
    drifts = [drift(one, OWNER) for one in ADDRESSES[:6]]
    by = {(one, "owner"): ana if n < 3 else bo for n, one in enumerate(ADDRESSES[:6])}
    of = evolve(audit(snapshot(ADDRESSES), *drifts, undone={(ADDRESSES[0], "owner")}), authors=Authors(by, {}, {}))
    told = audit_to_markdown(of)
    assert "3 drifted in the same way: owner</summary>" in told
    assert "# owner: by Ana, 2026-11-19 09:00:00Z; a plan would undo it\n" in told
    assert "# owner: by Bo, 2026-11-19 09:00:00Z; a plan would not change it\n" in told


@pytest.mark.parametrize("directory", ["", "/a/deep/folder" * 20])
def test_it_fits_an_issue_and_says_what_it_leaves_out(directory, monkeypatch):
    monkeypatch.setattr(advice.given, "directory", directory)
    drifts = [drift(one, change("description", "x", f"{n} " * 400)) for n, one in enumerate(ADDRESSES * 10)]
    told = audit_to_markdown(audit(snapshot(ADDRESSES), *drifts, unmanaged=[f"name {n}" for n in range(5_000)]))
    assert len(told) <= markdown.LIMIT
    command = r"`statform -C \S+`" if directory else "`statform audit`"
    assert re.search(rf"(?m)^… and [\d,]+ more; {command} shows all of them\.$", told)
    assert re.search(rf"(?m)^… and [\d,]+ more lines; {command} shows all of them\.$", told)
    assert told.splitlines()[-1].startswith("Journal: intact")


@pytest.mark.parametrize("width", [44, 80])
def test_at_a_terminal_no_sentence_is_wider_than_a_line(width):
    ana = Author("Ana Ruiz", "ana@example.com", "2026-11-19T09:00:00Z", is_sure=True)
    of = audit(snapshot(ADDRESSES[:2]), drift(ADDRESSES[0], OWNER), drift(ADDRESSES[1]), unmanaged=["x"])
    of = evolve(of, authors=Authors({(ADDRESSES[0], "owner"): ana}, {}, {}), undone={(ADDRESSES[0], "owner")})
    of = evolve(of, unseen=(("assignment_source", "groupNameColumn"),), undecided={ADDRESSES[1]: "a reason " * 9})
    lines = render_audit(of, Style(width)).splitlines()
    # A head is a word: it is copied.
    assert [line for line in lines if len(line) > width and not re.fullmatch("[0-9a-f]{64}\\.", line)] == []
    words, whole = ([word for word in render_audit(of, one).split() if word != "#"] for one in (Style(width), Style()))
    assert words == whole
