"""The documentation hangs together: its links, the files that it names, and its front page."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from posixpath import normpath

import pytest
from docs import FRONT, PAGES, ROOT, anchors, links, section

from planner.definitions.resources import ASSIGNMENT_SOURCE, RESOURCE_TYPES

needs_checkout = pytest.mark.skipif(
    not (ROOT / "planner" / "__init__.py").is_file(), reason="the checkout is elsewhere"
)


def test_the_front_page_is_read_in_minutes():
    assert len(FRONT.splitlines()) <= 200


def test_the_first_screen_has_the_two_commands_a_plan_and_what_statform_does_not_do():
    makefile = (ROOT / "Makefile").read_text()
    first_screen = "\n".join(FRONT.splitlines()[:50])
    for target in ("demo", "test"):
        assert f"make {target}" in first_screen
        assert re.search(rf"(?m)^{target}:", makefile)
    assert "$ statform plan\n" in first_screen
    assert "What it does not do" in first_screen


@needs_checkout
@pytest.mark.parametrize("name", PAGES)
def test_every_link_between_the_pages_leads_somewhere(name):
    for target in links(PAGES[name]):
        path, _, anchor = target.partition("#")
        found = normpath(PurePosixPath(name).parent / path) if path else name
        assert (ROOT / found).exists(), target
        if anchor:
            assert anchor in anchors((ROOT / found).read_text(encoding="utf-8")), target


@needs_checkout
@pytest.mark.parametrize("name", PAGES)
def test_every_file_of_this_repository_that_a_page_names_is_there(name):
    for path in re.findall(r"`((?:planner|state|tests|examples)/[\w./-]*)`", PAGES[name]):
        assert (ROOT / path).exists(), path


@needs_checkout
def test_the_map_has_every_wing_and_no_other():
    documented = set(re.findall(r"(?m)^\| `((?:planner|state)/(?:\w+/)?)` \|", FRONT))
    folders = [ROOT / "planner", ROOT / "state", *(ROOT / "planner").iterdir()]
    assert documented == {f"{p.relative_to(ROOT)}/" for p in folders if (p / "__init__.py").is_file()}


@pytest.mark.parametrize("type_", RESOURCE_TYPES.values(), ids=lambda type_: type_.name)
def test_every_field_of_a_type_is_in_its_table_and_no_other(type_):
    heads = {ASSIGNMENT_SOURCE.name: (FRONT, "field")}
    page, head = heads.get(type_.name, (PAGES["planner/README.md"], f"`{type_.name}`"))
    rows = re.search(rf"(?m)^\| (?:`\w+`, )?{head}(?:, `\w+`)? \| value .*\n((?:\|.*\n)*)", page)
    assert rows is not None
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1].splitlines()[1:]]
    documented = {name: cell[-1] for cell in cells for name in re.findall(r"`(\w+)`", cell[0])}
    documented.pop("name", None)
    assert documented == {field.name: "yes" if field.nullable else "no" for field in type_.declarable}
    if type_ is not ASSIGNMENT_SOURCE:
        starred = {name for cell in cells if cell[0].endswith("*") for name in re.findall(r"`(\w+)`", cell[0])}
        assert starred == {field.name for field in type_.fields if field.required}


HELD = re.findall(r"(?m)^\| (.*?) \| (.*?) \|$", section("Which test holds which promise"))


def test_every_promise_names_the_tests_that_hold_it():
    promises = re.findall(
        r"(?m)^- \*\*(.*?)\*\*",
        FRONT.partition("## What apply promises")[2].partition("\n## ")[0] + section("Promised$"),
    )
    promises += re.findall(r"(?m)^\| (.*?) \|", section("What it was tested with"))[2:]
    assert len(promises) > 20
    assert [one for one in promises if not any(one.startswith(promise) for promise, _ in HELD)] == []


def test_every_test_that_holds_a_promise_is_there():
    named = [test for _, tests in HELD for test in re.findall(r"`([\w/]+\.py)::(\w+)`", tests)]
    assert len(named) > 30
    for path, name in named:
        assert f"\ndef {name}(" in (ROOT / "tests" / path).read_text(), name


def test_every_test_that_a_table_names_is_there():
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    rows = [line for line in (ROOT / "tests/README.md").read_text().splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[-1]) if name.count("_") > 2}
    assert len(named) > 80
    assert {name for name in named if f"def test_{name}(" not in tests} == set()
