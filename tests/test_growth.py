"""Costs grow as the input does: the work of each command's core on inputs of n, 2n and 4n of every kind.

Work is what no other load of the machine changes: the calls of functions, Python's own and those in C. What a single
call in C does with a long text is not seen by that; where texts grow, the processor's time is compared as well.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import pytest
from command import source
from golden import snapshot

from planner.apply.checks.conflicts import find_conflicts
from planner.audit.absence import LOOKS, Look, find_doubts
from planner.audit.audit import audit_remote
from planner.audit.drift import find_followed, refresh
from planner.audit.history import read_history
from planner.audit.importing import import_all
from planner.console.listing import Pass
from planner.definitions.definition import Definitions
from planner.definitions.parse import parse_definitions
from planner.definitions.problems import location
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.definitions.validate_warnings import find_warnings
from planner.errors import DefinitionError, PlanError
from planner.plan.build import build_plan
from planner.render import audit as render_audit
from planner.render import audit_comment, diagnostics, plan_comment, plan_text, terraform
from planner.render.style import Style
from state import journal
from state.fold import replay
from state.records import Applied, Genesis, Intent
from state.snapshot import EMPTY, Snapshot, decode_snapshot, encode_snapshot

T = "assignment_source"
AT = "2025-01-01T00:00:00.000Z"
WIDE = Style()
NARROW = Style(width=80)
SIZE = 150
# A diff of lines takes more than its share up to a bound, which is beyond these.
LARGER = {"lines of a text": 2400}
MARGIN = 1.35
"""How many times more than double the work may be: a list that is sorted, a dictionary that grows."""


def table(key: str, *lines: str) -> str:
    return "\n".join([f"[{T}.{key}]", *lines, ""])


def parsed(text: str) -> Definitions:
    return parse_definitions({"statform.toml": text.encode()})


def of(resources: dict[str, dict[str, Any]]) -> Snapshot:
    return snapshot({f"{T}.{key}": {"data": {**source(key), **data}} for key, data in resources.items()})


def planned(text: str, state: Snapshot = EMPTY) -> Callable[[], object]:
    """A plan and all its forms, of definitions and a state."""

    def run() -> None:
        definitions = parsed(text)
        find_warnings(definitions)
        with suppress(PlanError):
            plan = build_plan(definitions, state)
            for style in (WIDE, NARROW):
                plan_text.render_plan(plan, style)
            plan_comment.plan_to_markdown(plan)
            json.dumps(terraform.plan_to_json(plan, definitions, state))

    return run


def refused(text: str) -> Callable[[], object]:
    """Definitions that are wrong, and what is said of them."""

    def run() -> None:
        with pytest.raises(DefinitionError) as caught:
            parsed(text)
        diagnostics.render_diagnostics(caught.value.diagnostics, WIDE)

    return run


def in_case(number: int) -> str:
    return "".join(c.upper() if number >> k & 1 else c for k, c in enumerate("abcdefghijklmnop"))


def moved(n: int) -> Callable[[], object]:
    rows = "".join(f'[[moved]]\nfrom = "{T}.a{i}"\nto = "{T}.a{i + 1}"\n' for i in range(n))
    return planned(rows + table(f"a{n}"), of({"a0": {}}))


def moved_each(n: int) -> Callable[[], object]:
    rows = "".join(f'[[moved]]\nfrom = "{T}.a{i}"\nto = "{T}.b{i}"\n' for i in range(n))
    return planned(rows + "".join(table(f"b{i}") for i in range(n)), of({f"a{i}": {} for i in range(n)}))


def forgotten_and_adopted(n: int) -> Callable[[], object]:
    text = "".join(table(f"new{i}", 'description = "d"', 'timestampColumn = "ts"') for i in range(n))
    return planned(text, of({f"old{i}": {"description": "d"} for i in range(n)}))


def updated(n: int) -> Callable[[], object]:
    text = "".join(table(f"a{i}", 'description = "new"', 'tags = ["x"]') for i in range(n))
    return planned(text, of({f"a{i}": {"description": "old"} for i in range(n)}))


def swapped(n: int) -> Callable[[], object]:
    needs = ",".join(f'"{T}.s{i}"' for i in range(2 * n))
    text = table("a", f"depends_on = [{needs}]", 'description = "x"')
    text += "".join(table(f"s{i}", f'name = "s{i ^ 1}"') for i in range(2 * n))
    return planned(text, of({f"s{i}": {} for i in range(2 * n)} | {"a": {}}))


def rotated(n: int) -> Callable[[], object]:
    text = "".join(table(f"s{i}", f'name = "s{(i + 1) % n}"') for i in range(n))
    return planned(text, of({f"s{i}": {} for i in range(n)}))


def chained(n: int) -> Callable[[], object]:
    text = table("a0", 'description = "x"')
    text += "".join(table(f"a{i}", f'depends_on = ["{T}.a{i - 1}"]', 'description = "x"') for i in range(1, n))
    return planned(text, of({f"a{i}": {} for i in range(n)}))


def chained_behind_changes(n: int) -> Callable[[], object]:
    text = "".join(table(f"c{i}", 'description = "new"') for i in range(n))
    text += table("z0", "depends_on = [" + ",".join(f'"{T}.c{i}"' for i in range(n)) + "]")
    text += "".join(table(f"z{i}", f'depends_on = ["{T}.z{i - 1}"]') for i in range(1, n))
    return planned(text, of({key: {} for i in range(n) for key in (f"z{i}", f"c{i}")}))


def in_a_circle(n: int) -> Callable[[], object]:
    return refused("".join(table(f"a{i}", f'depends_on = ["{T}.a{(i + 1) % n}"]') for i in range(n)))


def tagged(n: int) -> Callable[[], object]:
    return planned(table("a", f"tags = {json.dumps([f't{i}' for i in range(n)])}"), of({"a": {"tags": ["t"]}}))


def long_text(n: int) -> Callable[[], object]:
    lines = "".join(f"line {i}\n" * (i % 3) for i in range(n))
    state = of({"a": {"description": "".join(f"line {i}\n" * (i % 2) for i in range(n))}})
    return planned(table("a", f"description = {json.dumps(lines)}"), state)


def alike(n: int) -> Callable[[], object]:
    return planned("".join(table(f"a{i}", f'name = "{in_case(i)}"') for i in range(n)))


def with_problems(n: int) -> Callable[[], object]:
    return refused("".join(table(f"a{i}", f"tagz = {i}", "description = 1") for i in range(n)))


def with_problems_in_one_line(n: int) -> Callable[[], object]:
    return refused(table("a", f"tags = [{', '.join(map(str, range(n)))}]"))


def with_conflicts(n: int) -> Callable[[], object]:
    definitions = parsed("".join(table(f"a{i}", 'description = "new"') for i in range(n)))
    snapshot = of({f"a{i}": {"description": "old"} for i in range(n)})
    plan = build_plan(definitions, snapshot)
    remote = {T: {f"a{i}": source(f"a{i}", description="else") for i in range(n)}}

    def run() -> None:
        found = find_conflicts(plan, definitions, snapshot, remote)
        assert len(found) == n
        diagnostics.render_diagnostics(found, WIDE)

    return run


def audited(n: int) -> Callable[[], object]:
    """A third drifted, a third renamed, a third gone."""
    state = of({f"a{i}": {"description": f"d{i}"} for i in range(n)})
    names = [(f"a{i}" if i % 3 == 0 else f"new{i}", i) for i in range(n) if i % 3 != 1]
    remote = {T: {name: source(name, description=f"d{i}" if i % 3 else "else") for name, i in names}}

    def run() -> None:
        doubts = find_doubts(state, remote, {}, LOOKS)
        found = audit_remote(state, Look(remote, {address: one.reason for address, one in doubts.items()}))
        render_audit.render_audit(found, WIDE)
        audit_comment.audit_to_markdown(found)
        json.dumps(render_audit.audit_to_json(found))
        replay(state, refresh(find_followed(state, remote), state, AT))

    return run


def gone_and_alike(n: int) -> Callable[[], object]:
    state = of({f"a{i}": {} for i in range(n)})
    remote = {T: {f"b{i}": source(f"b{i}") for i in range(n)}}
    return lambda: audit_remote(state, Look(remote))


def listed(n: int) -> Callable[[], object]:
    entries = [source(f"a{i}") for i in range(n)]

    def run() -> None:
        found = Pass(lambda entry: entry["name"])
        for page in range(1, n // 10 + 1):
            pagination = {"nextPage": None if page == n // 10 else "x", "totalItems": n, "pageNumber": page}
            document = {"data": entries[page * 10 - 10 : page * 10], "pagination": pagination}
            assert found.add(page, document, lambda entry: entry) == (page == n // 10)
        assert found.problem is None

    return run


def imported(n: int) -> Callable[[], object]:
    sources = {name: source(name) for i in range(n) for name in (f"a {i}", f"a_{i}", f"A/{i}")}
    return lambda: import_all(ASSIGNMENT_SOURCE, sources, parsed(""), EMPTY).files


def journaled(n: int) -> Callable[[], object]:
    """A journal of changes of few and of many addresses, read back."""

    def run() -> None:
        records: list[Any] = [Genesis("l", 1, AT)]
        for i in range(n):
            for address in (f"{T}.a", f"{T}.a{i}"):
                records.append(Intent(address, "PATCH", "a", {"team": "t"}, {"team": f"t{i}"}, AT))
                records.append(Applied(address, 200, {"name": "a", "team": f"t{i}"}, {}, 1, AT))
        head, lines = journal.anchor("l"), []
        for record in records:
            line, head = journal.encode(record, head)
            lines.append(line)
        _, chain = journal.verify_all(b"".join(lines), "j")
        made = replay(EMPTY, (record for _, record in journal.entries(chain)))._replace(head=head, journal_bytes=1)
        decode_snapshot(encode_snapshot(made._replace(serial=1)), "s")
        read_history(journal.entries(chain))

    return run


KINDS: dict[str, Callable[[int], Callable[[], object]]] = {
    "a chain of [[moved]]": moved,
    "many [[moved]]": moved_each,
    "forgotten and adopted": forgotten_and_adopted,
    "updates": updated,
    "swapped names that one needs": swapped,
    "a circle of names": rotated,
    "a chain of dependencies": chained,
    "a chain behind many changes": chained_behind_changes,
    "a circle of dependencies": in_a_circle,
    "tags": tagged,
    "lines of a text": long_text,
    "names that look alike": alike,
    "problems": with_problems,
    "problems in one line": with_problems_in_one_line,
    "conflicts": with_conflicts,
    "an audit": audited,
    "gone ones that were alike": gone_and_alike,
    "a list of many pages": listed,
    "an import of keys that collide": imported,
    "a journal": journaled,
}


def calls(run: Callable[[], object]) -> int:
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    forget()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def forget() -> None:
    """Let no run profit of what another one kept."""
    for name, module in list(sys.modules.items()):
        if name.startswith("planner"):
            for value in vars(module).values():
                if isinstance(value, type(lru_cache(lambda: None))):
                    value.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_twice_as_much_is_twice_the_work(kind: str) -> None:
    make, size = KINDS[kind], LARGER.get(kind, SIZE)
    make(8)()
    one, two, four = (calls(make(size * times)) for times in (1, 2, 4))
    assert two < 2 * MARGIN * one, (one, two, four)
    assert four < 2 * MARGIN * two, (one, two, four)


def places(n: int) -> Callable[[], object]:
    """Something is wrong in each line of a file."""
    text = "a line of some length, as they are\n" * n
    return lambda: [location("f", text, offset) for offset in range(0, len(text), 35)]


def shown_tags(n: int) -> Callable[[], object]:
    tags = [f"tag {i}" for i in range(3 * n)]
    plan = build_plan(parsed(table("a", f"tags = {json.dumps(tags)}")), of({"a": {"tags": ["t"]}}))
    return lambda: plan_text.render_plan(plan, WIDE)


LONG = {"places in a file": places, "tags that are shown": shown_tags, "a chain of [[moved]]": moved}


def seconds(run: Callable[[], object]) -> float:
    """Of the processor, the least of two."""
    took = []
    for _ in range(2):
        forget()
        started = time.process_time()
        run()
        took.append(time.process_time() - started)
    return min(took)


@pytest.mark.parametrize("make", LONG.values(), ids=LONG.keys())
def test_eight_times_as_long_a_text_takes_no_time_that_grows_with_its_square(
    make: Callable[[int], Callable[[], object]],
) -> None:
    make(8)()
    one, eight = seconds(make(3000)), seconds(make(24_000))
    # Eight times by a straight line, sixty-four times by a square; the rest is for a machine that is busy.
    assert eight < 24 * one, (one, eight)
