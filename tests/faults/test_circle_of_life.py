"""Sources live at random at an API with habits that loses answers; after at most three applies all is as defined."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import toml_value
from world import FATES, Change, Checkout, Defined, Habits, World, a_world, is_value

from planner.apply.report import Report
from planner.audit.drift import find_drift
from planner.definitions.equality import normal_form
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.errors import RemoteChanged

EXAMPLES = 2_000 if os.environ.get("STATFORM_SOAK") else 30
WHO = "statform"
KEYS = ("a", "b", "c", "d")
NAMES = ("n1", "n2", "n3", "n4", "n5", "n6")
texts = st.sampled_from(["", "x", "y", " padded ", "É", "two\nlines"])
OPTIONAL: Mapping[str, st.SearchStrategy[Any]] = {
    "description": texts,
    "tags": st.lists(st.sampled_from(["p", "q", "r"]), unique=True, max_size=3),
    "isVerified": st.booleans(),
    "team": st.none() | st.sampled_from(["Growth", "Search"]),
    "timestampAsDay": st.booleans(),
    "owner": st.none() | st.sampled_from([{"ownerID": "u1"}, {"ownerID": "u2", "ownerType": "USER"}]),
}
habits = st.builds(
    Habits,
    keeps=st.booleans(),
    omits=st.sampled_from([(), ("isVerified",), ("description", "team"), ("tags", "owner"), ("sql",)]).map(frozenset),
    hides=st.sampled_from([(), ("isVerified",)]).map(frozenset),
    reverses=st.booleans(),
    tidies=st.booleans(),
)


def optional_values(type_: ResourceType) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: values for name, values in OPTIONAL.items() if name in type_.field and type_.field[name].calls}
    return st.fixed_dictionaries({}, optional=fields)


@define
class Life:
    """What is defined by now. How many queries were used: no two sources are twins.

    `unseen` are the keys whose sources got a team from somebody since the last look: that is a conflict with one that
    is declared, and keeps them from being deleted.
    """

    type: ResourceType
    data: st.DataObject
    defined: dict[str, Defined] = field(factory=dict)
    removed: tuple[str, ...] = ()
    queries: int = 0
    unseen: set[str] = field(factory=set)

    def draw(self, strategy: st.SearchStrategy[Any]) -> Any:
        return self.data.draw(strategy)

    def go_on(self) -> None:
        """Draw the next definitions: edits, renames, swaps, deletes and creates."""
        before, self.removed = dict(self.defined), ()
        fates = {key: self.draw(st.sampled_from(["stay", "edit", "ask", "rename", "both", "delete"])) for key in before}
        for key, fate in fates.items():
            if fate == "delete" and key not in self.unseen:
                del self.defined[key]
                self.removed += (key,)
            elif fate in {"edit", "ask", "both"}:
                self.defined[key] = self._edited(before[key], key in self.unseen, has_new_query=fate != "edit")
        self._rename([key for key, fate in fates.items() if fate in {"rename", "both"}], before)
        gone = {self._name(before, key) for key in self.removed}
        for key in KEYS:
            if key not in before and self.draw(st.booleans()):
                self._create(key, gone)

    def _name(self, defined: Mapping[str, Defined], key: str) -> str:
        return defined[key].name or key

    def _edited(self, one: Defined, is_unseen: bool, *, has_new_query: bool) -> Defined:
        required = {name: value for name, value in one.values.items() if name not in OPTIONAL}
        query = {"sql": self._query()} if has_new_query else {}
        values = self.draw(optional_values(self.type))
        if is_unseen:
            values.pop("team", None)
        return evolve(one, values={**required, **query, **values})

    def _query(self) -> str:
        self.queries += 1
        return f"SELECT {self.queries}"

    def _rename(self, keys: Sequence[str], before: Mapping[str, Defined]) -> None:
        """Any names that are free once all of them have moved, so that some swap, and some take a deleted one's."""
        if not self.type.renames:
            return
        taken = {self._name(self.defined, key) for key in self.defined if key not in keys}
        free = [name for name in (*NAMES, *KEYS) if name not in taken]
        # Those that move, first: they are who swaps.
        free.sort(key=lambda name: name not in {self._name(before, key) for key in keys})
        names = self.draw(st.permutations(free[: len(keys) + 2]))
        for key, name in zip(keys, names, strict=False):
            self.defined[key] = evolve(self.defined[key], name=name)

    def _create(self, key: str, gone: set[str]) -> None:
        taken = {self._name(self.defined, other) for other in self.defined} | gone
        free = [name for name in (key, *NAMES) if name not in taken]
        required = {f.name: _value_of(f.name) for f in self.type.fields if f.required}
        values = {**required, "sql": self._query(), **self.draw(optional_values(self.type))}
        self.defined[key] = Defined(self.type, values, self.draw(st.sampled_from(free)))

    def to_toml(self) -> str:
        removed = [
            f"[[removed]]\nfrom = {toml_value(f'{self.type.name}.{key}')}\ndelete = true\n" for key in self.removed
        ]
        return "\n".join(["[statform]", *removed, *(one.to_toml(key) for key, one in self.defined.items())])


def _value_of(name: str) -> Any:
    return [{"statsigUnitID": "userID", "column": "user_id"}] if name == "idTypeMapping" else "column"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


@pytest.mark.long
@settings(max_examples=EXAMPLES)
@given(st.data())
def test_after_at_most_three_applies_the_remote_is_what_is_defined_and_nothing_else_has_changed(
    world: World, data: st.DataObject
) -> None:
    life = Life(RESOURCE_TYPES[data.draw(st.sampled_from([*RESOURCE_TYPES]))], data)
    world.begin(habits=data.draw(habits))
    with TemporaryDirectory() as directory:
        checkout = Checkout(WHO, Path(directory), world)
        for _ in range(data.draw(st.integers(1, 4))):
            life.go_on()
            live_through(world, checkout, life, data.draw(st.lists(st.sampled_from(FATES), max_size=8)))
            somebody_writes_what_nobody_declares(world, life)
            if not data.draw(st.booleans()):
                assert checkout.refresh() == 0
                life.unseen.clear()


def live_through(world: World, checkout: Checkout, life: Life, fates: Sequence[str]) -> None:
    project = world.project
    checkout.write(life.to_toml())
    project.changes.clear()
    project.created.clear()
    for attempt in range(3):
        project.fates = list(fates[:4] if attempt == 0 else fates[4:] if attempt == 1 else [])
        done = checkout.apply()
        world.wait(400)
        if not checkout.plan().changes and getattr(done, "exit_code", 1) == 0:
            break
    assert not checkout.plan().changes, _told(done)
    assert getattr(done, "exit_code", 1) == 0, _told(done)
    check_remote(world, checkout, life)
    check_changes(project.changes, life)
    made = Counter(project.created)
    assert set(made.values()) <= {1}, "created twice"


def _told(done: Report | Exception) -> object:
    """Why it was not complete."""
    if isinstance(done, Exception):
        return done
    kinds = (done.rejected, done.unknown, done.skipped, done.not_accepted, done.drifted, done.stopped_by)
    return [kind for kind in kinds if kind]


def check_remote(world: World, checkout: Checkout, life: Life) -> None:
    sources = world.sources[life.type.name]
    assert {one.name or key for key, one in life.defined.items()} == {*sources}
    for key, one in life.defined.items():
        source = sources[one.name or key]
        for name, value in one.values.items():
            actual = source.get(name)
            tidied = [normal_form(one) for one in (value, actual)]
            is_there = is_value(life.type, name, value, actual) or is_value(life.type, name, *tidied)
            assert is_there, (key, name, value, actual)
    with checkout.acting(), checkout.start() as run:
        remote = run.list_remote([life.type])
    drifts = find_drift(run.project.read_state(), remote)
    moved = {(one.address, change.field.name) for one in drifts for change in one.changes}
    assert {one for one in moved if one[1] != "team"} == set()


def check_changes(changes: Sequence[Change], life: Life) -> None:
    """Nothing that no definition declares was changed, and nothing was deleted that is not to be."""
    removed = sum(one.method == "DELETE" and one.field == "name" for one in changes)
    assert removed <= len(life.removed)
    declared = {one.name or key: {*one.values, "name"} for key, one in life.defined.items()}
    idents = {one.ident for one in changes if one.method == "DELETE" or (one.before is None and one.field == "name")}
    for one in changes:
        if one.ident not in idents and not is_value(one.type, one.field, one.before, one.after):
            final = next((c.after for c in reversed(changes) if (c.ident, c.field) == (one.ident, "name")), one.name)
            assert one.field in declared[final], one


def somebody_writes_what_nobody_declares(world: World, life: Life) -> None:
    """Into fields that no definition has: statform has to leave them as they are from now on."""
    for key, one in life.defined.items():
        if "team" not in one.values and "team" in life.type.field:
            name = one.name or key
            source = world.sources[life.type.name][name]
            if life.type.has_patch:
                status = world.project.by_hand("PATCH", life.type, name, {"team": "theirs"})
            else:
                body = {k: v for k, v in source.items() if k != "name"}
                status = world.project.by_hand("POST", life.type, name, {**body, "team": "theirs"})
            assert status == 200
            life.unseen.add(key)


METRIC_SOURCE, ENTITY_PROPERTY = RESOURCE_TYPES["metric_source"], RESOURCE_TYPES["entity_property"]
WHOLE = {f.name: _value_of(f.name) for f in METRIC_SOURCE.fields if f.required}
PATCHED = {f.name: _value_of(f.name) for f in ENTITY_PROPERTY.fields if f.required}


@pytest.fixture
def checkout(world: World, tmp_path: Path) -> Checkout:
    return Checkout(WHO, tmp_path, world)


def applied(checkout: Checkout, fates: Sequence[str] = (), **values: Any) -> object:
    """Why an apply of this one source, of a type without PATCH, was not complete; no time is left for what is late."""
    return applied_to(METRIC_SOURCE, checkout, fates, {**WHOLE, **values})


def patched(checkout: Checkout, fates: Sequence[str] = (), **values: Any) -> object:
    """As `applied`, of a type with PATCH."""
    return applied_to(ENTITY_PROPERTY, checkout, fates, {**PATCHED, **values})


def applied_to(type_: ResourceType, checkout: Checkout, fates: Sequence[str], values: Mapping[str, Any]) -> object:
    checkout.write("[statform]\n" + Defined(type_, values).to_toml("a"))
    checkout.world.project.fates = list(fates)
    done = checkout.apply()
    checkout.world.wait(400)
    return _told(done)


def test_a_full_update_says_nothing_of_a_text_that_the_api_tidied_before(world: World, checkout: Checkout) -> None:
    world.begin(habits=Habits(tidies=True))
    assert applied(checkout, sql="SELECT 1", description=" padded ") == []
    assert applied(checkout, sql="SELECT 2", description=" padded ") == []
    assert not checkout.plan().changes
    # Nor is anything left to be done for who then declares it as it is.
    assert applied(checkout, sql="SELECT 2", description="padded") == []
    assert not checkout.plan().changes


def test_a_lost_full_update_is_not_taken_for_carried_out_by_what_it_left_as_it_was(
    world: World, checkout: Checkout
) -> None:
    world.begin()
    assert applied(checkout, sql="SELECT 1") == []
    # No list shows this field of a source that never had it.
    assert applied(checkout, ["lost before applying"], sql="SELECT 1", timestampAsDay=True, owner=None) != []
    assert applied(checkout, sql="SELECT 1", timestampAsDay=True, owner=None) == []
    assert world.sources["metric_source"]["a"]["timestampAsDay"] is True


def test_a_lost_full_update_is_not_taken_for_carried_out_by_the_fields_that_it_kept(
    world: World, checkout: Checkout
) -> None:
    world.begin(habits=Habits(hides=frozenset({"isVerified"})))
    assert applied(checkout, sql="SELECT 1", isVerified=True) == []
    # No list ever shows this field, and false is as good as nothing.
    assert applied(checkout, ["lost before applying"], sql="SELECT 1", isVerified=False) != []
    assert applied(checkout, sql="SELECT 1", isVerified=False) == []
    assert world.sources["metric_source"]["a"]["isVerified"] is False


def test_a_text_that_only_lists_show_and_that_the_api_tidied_is_nobody_else_s(world: World, checkout: Checkout) -> None:
    world.begin(habits=Habits(tidies=True, omits=frozenset({"description"})))
    assert patched(checkout, description=" padded ") == []
    assert patched(checkout, ["lost after applying"], description=" padded ", tags=["p"]) == []
    assert not checkout.plan().changes
    assert world.project.by_hand("PATCH", ENTITY_PROPERTY, "a", {"description": "PADDED"}) == 200
    assert isinstance(patched(checkout, description=" padded ", tags=["q"]), RemoteChanged)


LATE_PATCH = ["late", "refused"]


def test_a_change_that_was_carried_out_late_and_tidied_is_nobody_else_s(world: World, checkout: Checkout) -> None:
    world.begin(habits=Habits(tidies=True))
    assert patched(checkout, description="x") == []
    assert patched(checkout, LATE_PATCH, description=" padded ") != []
    assert world.sources["entity_property"]["a"]["description"] == "padded"
    assert checkout.preview().conflicts == ()
    assert patched(checkout, description=" padded ") == []
    assert not checkout.plan().changes


def test_a_change_that_was_carried_out_late_and_tidied_can_be_followed_by_another(
    world: World, checkout: Checkout
) -> None:
    world.begin(habits=Habits(tidies=True))
    assert patched(checkout, description="x") == []
    assert patched(checkout, LATE_PATCH, description=" padded ") != []
    # A full update looks again right before it is sent.
    assert patched(checkout, description=" padded ", sql="SELECT 2") == []
    assert not checkout.plan().changes


@pytest.mark.parametrize("method", ["create", "full update"])
def test_a_whole_source_that_was_written_late_and_tidied_is_our_own(
    world: World, checkout: Checkout, method: str
) -> None:
    world.begin(habits=Habits(tidies=True))
    if method == "full update":
        assert patched(checkout, sql="SELECT 1", description="x") == []
    assert patched(checkout, ["late"], sql=" SELECT 2 ", description=" padded ") != []
    assert patched(checkout, sql=" SELECT 2 ", description=" padded ") == []
    assert not checkout.plan().changes


def test_what_somebody_else_writes_after_a_late_change_is_a_conflict(world: World, checkout: Checkout) -> None:
    world.begin(habits=Habits(tidies=True))
    assert patched(checkout, description="x") == []
    assert patched(checkout, LATE_PATCH, description=" padded ") != []
    assert world.project.by_hand("PATCH", ENTITY_PROPERTY, "a", {"description": "theirs"}) == 200
    assert checkout.preview().conflicts != ()
    assert isinstance(patched(checkout, description=" padded "), RemoteChanged)
    assert world.sources["entity_property"]["a"]["description"] == "theirs"


def test_a_late_change_explains_nothing_once_the_state_has_what_came_of_it(world: World, checkout: Checkout) -> None:
    world.begin(habits=Habits(tidies=True))
    assert patched(checkout, description="x") == []
    assert patched(checkout, LATE_PATCH, description=" padded ") != []
    assert patched(checkout, description=" padded ") == []
    assert world.project.by_hand("PATCH", ENTITY_PROPERTY, "a", {"description": "PADDED"}) == 200
    assert isinstance(patched(checkout, description=" padded ", tags=["p"]), RemoteChanged)
    assert checkout.refresh() == 0
    assert world.project.by_hand("PATCH", ENTITY_PROPERTY, "a", {"description": "Padded"}) == 200
    assert isinstance(patched(checkout, description=" padded "), RemoteChanged)


def test_a_late_change_that_the_definition_no_longer_has_is_a_conflict(world: World, checkout: Checkout) -> None:
    world.begin(habits=Habits(tidies=True))
    assert patched(checkout, description="x") == []
    assert patched(checkout, LATE_PATCH, description=" padded ") != []
    refused = patched(checkout, description="y")
    assert isinstance(refused, RemoteChanged)
    told = "somebody else, or an earlier request of yours that got no answer, changed description"
    assert [one.summary.startswith(told) for one in refused.diagnostics] == [True]
