"""A create, a full update, a rename and a delete, cut short at every record, whatever becomes of each request.

The process ends right before or right after a record is on the disk, and answers are lost, or superseded by somebody;
the next runs find out, and nothing is made twice, deleted unseen or overwritten.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from world import Checkout, Defined, World, a_world

from planner.definitions.resources import ASSIGNMENT_SOURCE
from state.session import Session

TYPE = ASSIGNMENT_SOURCE
COLUMNS: dict[str, Any] = {
    "timestampColumn": "ts",
    "experimentIDColumn": "e",
    "groupIDColumn": "g",
    "idTypeMapping": [{"statsigUnitID": "userID", "column": "user_id"}],
}
FATES = ("answered", "lost after applying", "lost before applying", "late", "superseded")
# Begin, four intents with their outcomes, and what is found out of some; the last are never reached by most.
CUTS = tuple(itertools.product(range(1, 13), ("before", "after")))
CASES = [(number, fate, cut) for number in range(4) for fate in FATES for cut in (None, *CUTS)]
# The others are left to a soak.
SAMPLE = CASES if os.environ.get("STATFORM_SOAK") else CASES[::11]


class Died(BaseException):
    """The process is no more."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


def whole(sql: str, **values: Any) -> dict[str, Any]:
    return {**COLUMNS, "sql": sql, **values}


def define(checkout: Checkout, *, is_after: bool) -> None:
    if not is_after:
        defined = {key: Defined(TYPE, whole(f"{key} 1", description="before")) for key in ("full", "named", "gone")}
        checkout.write("[statform]\n" + "".join(one.to_toml(key) for key, one in defined.items()))
        return
    defined = {
        "made": Defined(TYPE, whole("made 1")),
        "full": Defined(TYPE, whole("full 2", description="before")),
        "named": Defined(TYPE, whole("named 1", description="after"), "renamed"),
    }
    removed = '[[removed]]\nfrom = "assignment_source.gone"\ndelete = true\n'
    checkout.write(f"[statform]\n{removed}" + "".join(one.to_toml(key) for key, one in defined.items()))


def supersede(world: World, number: int) -> None:
    """Somebody does something else to the source of that request."""
    project = world.project
    match number:
        case 0:
            project.by_hand("POST", TYPE, None, {"name": "made", **whole("theirs")})
        case 1:
            project.by_hand("POST", TYPE, "full", whole("theirs"))
        case 2:
            project.by_hand("PATCH", TYPE, "named", {"description": "theirs"})
        case 3:
            project.by_hand("PATCH", TYPE, "gone", {"description": "theirs"})


@pytest.mark.parametrize(("number", "fate", "cut"), SAMPLE)
def test_a_later_apply_completes_what_was_cut_short(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    fate: str,
    cut: tuple[int, str] | None,
) -> None:
    world.begin()
    checkout = Checkout("statform", tmp_path, world)
    define(checkout, is_after=False)
    assert getattr(checkout.apply(), "exit_code", 1) == 0
    world.wait(400)
    define(checkout, is_after=True)
    world.project.changes.clear()
    world.project.created.clear()
    with monkeypatch.context() as patch:
        end_at(patch, cut)
        run_into(world, checkout, number, fate)
    world.wait(400)
    theirs = fate == "superseded" and was_superseded(world)
    assert theirs or fate != "superseded" or cut is not None
    for _ in range(3):
        last = checkout.apply()
        world.wait(400)
    if theirs:
        check_theirs(world, number)
    else:
        assert getattr(last, "exit_code", last) == 0
        assert not checkout.plan().changes
        check_remote(world)
    check_once(world)


def end_at(patch: pytest.MonkeyPatch, cut: tuple[int, str] | None) -> None:
    """Let the process end at that record of the next run."""
    record, count = Session.record, itertools.count(1)

    def recording(session: Session, one: Any) -> None:
        is_last = cut is not None and next(count) == cut[0]
        if is_last and cut[1] == "before":
            raise Died
        record(session, one)
        if is_last:
            raise Died

    patch.setattr(Session, "record", recording)


def run_into(world: World, checkout: Checkout, number: int, fate: str) -> None:
    project, fates = world.project, ["answered"] * number
    if fate == "superseded":
        project.fates = [*fates, "lost before applying"]
        sent = itertools.count()

        def meanwhile(_call: int, when: str) -> None:
            if when == "after" and next(sent) >= 0 and len(project.fates) == 0 and not was_superseded(world):
                supersede(world, number)

        project.meanwhile = meanwhile
    else:
        project.fates = [*fates, fate]
    with suppress(Died):
        checkout.apply()
    project.fates = []


def was_superseded(world: World) -> bool:
    return any(change.by == "the console" for change in world.project.changes)


def check_theirs(world: World, number: int) -> None:
    """What somebody did is as they left it, and nobody said to undo it; all else may be done."""
    sources = world.sources[TYPE.name]
    name, field, value = [
        ("made", "sql", "theirs"),
        ("full", "sql", "theirs"),
        ("named", "description", "theirs"),
        ("gone", "description", "theirs"),
    ][number]
    assert sources[name][field] == value


def check_remote(world: World) -> None:
    sources = world.sources[TYPE.name]
    assert {name: (one["sql"], one["description"]) for name, one in sources.items()} == {
        "made": ("made 1", ""),
        "full": ("full 2", "before"),
        "renamed": ("named 1", "after"),
    }


def check_once(world: World) -> None:
    """No source was made twice, and none deleted but the one that is removed."""
    made: Sequence[tuple[str, str, str]] = world.project.created
    assert len(made) == len({*made}) <= 1 + sum(by == "the console" for by, *_ in made)
    deleted = {change.name for change in world.project.changes if change.method == "DELETE"}
    assert deleted <= {"gone"}
