"""Two people with a checkout each, and a console: random things in random order, and nobody's work is undone unseen.

What somebody set at the remote before the last look at its source is replaced only by a plan that showed it, and that
the checkout had agreed to: because it sent the value itself, refreshed, adopted, was told to overwrite, or got a state
that had. Else somebody said --no-check-drift.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tomli
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import toml_value
from world import FATES, Change, Checkout, Defined, World, a_world, is_value

from planner import Options, Watcher
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.errors import PlannerError, RemoteChanged
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT
from planner.plan.saved import load_plan, save_plan
from state.errors import StateError
from state.values import Address

EXAMPLES = 2_000 if os.environ.get("STATFORM_SOAK") else 60
STATE = ("statform.state.json", "statform.state.journal.jsonl")
TYPE = ASSIGNMENT_SOURCE
COLUMNS = {
    "timestampColumn": "ts",
    "experimentIDColumn": "e",
    "groupIDColumn": "g",
    "idTypeMapping": [{"statsigUnitID": "userID", "column": "user_id"}],
}
KEYS, NAMES = ("a", "b", "c"), ("a", "b", "c", "d")
Values = dict[tuple[int, str], Any]
Edit = tuple[str, str, str]
"""The name of a source, a field, and what somebody sets it to."""
fields = st.sampled_from(["description", "description", "team", "team", "sql"])
values = st.sampled_from(["one", "two", "three", "four"])


@define
class Person:
    """A checkout, what it defines, the values at the remote that it agreed to, and the plan that it keeps in a file.

    `asked` are the values that requests without an answer had.
    """

    checkout: Checkout
    defined: dict[str, Defined] = field(factory=dict)
    removed: set[str] = field(factory=set)
    agreed: Values = field(factory=dict)
    asked: list[tuple[int, str, Any]] = field(factory=list)
    has_saved: bool = False

    @property
    def directory(self) -> Path:
        return self.checkout.directory

    @property
    def world(self) -> World:
        return self.checkout.world

    def write(self) -> None:
        removed = [f"[[removed]]\nfrom = {toml_value(_address(key))}\ndelete = true\n" for key in sorted(self.removed)]
        self.checkout.write("\n".join(["[statform]", *removed, *(one.to_toml(k) for k, one in self.defined.items())]))

    def read(self) -> None:
        """What a refresh wrote."""
        tables = tomli.loads((self.directory / "statform.toml").read_text()).get(TYPE.name, {})
        self.defined = {key: _defined_by(table) for key, table in tables.items()}

    def pull(self, other: Person) -> None:
        """The other's state, as a merge that takes theirs."""
        for name in STATE:
            (self.directory / name).unlink(missing_ok=True)
            if (other.directory / name).exists():
                shutil.copy(other.directory / name, self.directory / name)
        self.agreed, self.asked = dict(other.agreed), [*other.asked]

    def refresh(self, *, writes: bool) -> None:
        if not isinstance(self.checkout.refresh(writes=writes), Exception):
            self.agreed |= self.world.project.seen
            self.read()

    def save(self, *, refreshes: bool) -> None:
        if refreshes:
            self.refresh(writes=False)
        try:
            plan, run = self.checkout.plan(), self.checkout.start()
        except (PlannerError, StateError):
            return
        (self.directory / "plan.json").write_bytes(save_plan(plan, run.definitions, run.base_url))
        self.has_saved = True

    def apply(self, options: Options, meanwhile: Mapping[int, Edit], wait_s: float) -> None:
        watcher = Approver(self, options.overwrites, wait_s, meanwhile.get(0))
        project = self.world.project
        project.changes.clear()
        project.seen.clear()
        project.sent.clear()
        project.lost.clear()
        number = project.number

        def edit(call: int, when: str) -> None:
            if when == "after" and call in meanwhile:
                console_edit(self.world, *meanwhile[call])

        project.meanwhile = edit
        self.checkout.apply(options, watcher)
        self.asked += [(ident, one, value) for _, ident, one, value in project.lost]
        shown = options.expects.plan if options.expects is not None else watcher.shown
        check(self, shown, watcher.idents, project.changes, number, checks_drift=options.checks_drift)
        self.note(project.changes)
        project.fates = []

    def note(self, changes: list[Change]) -> None:
        """What this one sent, it agreed to."""
        self.agreed |= {(one.ident, one.field): one.after for one in changes if one.by.endswith(self.checkout.who)}
        # Also what was there already by then.
        sent = self.world.project.sent
        self.agreed |= {(ident, one): value for by, ident, one, value in sent if by == self.checkout.who}


@define
class Approver(Watcher):
    """Agrees to what it is shown after a while; what is adopted and overwritten, it takes as the look had it."""

    person: Person
    overwrites: tuple[Address, ...]
    wait_s: float
    meanwhile: Edit | None = None
    shown: Plan | None = None
    idents: dict[Address, int] = field(factory=dict)

    def plan(self, plan: Plan, seconds: float) -> None:
        del seconds
        project = self.person.world.project
        self.shown = plan
        self.idents = {one.address: project.idents.get((TYPE.name, one.name), -1) for one in plan.actions}
        adopted = {one.address for one in plan.actions if one.verb is verbs.ADOPT}
        agreed = {self.idents[address] for address in {*adopted, *self.overwrites} & self.idents.keys()}
        self.person.agreed |= {key: value for key, value in project.seen.items() if key[0] in agreed}

    def approve(self, where: str) -> None:
        del where
        if self.meanwhile is not None:
            console_edit(self.person.world, *self.meanwhile)
        self.person.world.clock.sleep(self.wait_s)


def _address(key: str) -> str:
    return f"{TYPE.name}.{key}"


def _defined_by(table: Mapping[str, Any]) -> Defined:
    own = {name: value for name, value in table.items() if name not in {"name", "adopt", "clear"}}
    cleared = dict.fromkeys(table.get("clear", ()))
    return Defined(TYPE, {**own, **cleared}, table.get("name"), table.get("adopt", False))


def console_edit(world: World, name: str, one: str, value: str) -> None:
    """Somebody sets the field of that source, if it is there; a query by a full update that keeps all else."""
    source = world.sources[TYPE.name].get(name)
    if source is not None and one == "sql":
        world.project.by_hand("POST", TYPE, name, {**_without_name(source), "sql": value})
    elif source is not None:
        world.project.by_hand("PATCH", TYPE, name, {one: value})


def _without_name(source: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in source.items() if name != "name"}


def check(
    person: Person,
    shown: Plan | None,
    idents: Mapping[Address, int],
    changes: list[Change],
    begun: int,
    *,
    checks_drift: bool,
) -> None:
    """The one thing that must hold, of what this person's apply changed; what it began with is call `begun`."""
    created = {one.ident for one in changes if one.field == "name" and one.before is None}
    agreed = dict(person.agreed)
    for one in changes:
        is_own = one.set_by == person.checkout.who and one.set_at > begun
        if one.by == person.checkout.who and one.ident not in created and not is_own and one.set_at <= one.looked_at:
            assert shown is not None, one
            action = next((a for a in shown.actions if idents.get(a.address) == one.ident), None)
            assert action is not None, ("not in the plan", one)
            if one.method == "DELETE":
                assert action.verb is verbs.DELETE, one
                is_agreed = one.field in {"name", "owner"} or _is_agreed(person, agreed, one)
            else:
                befores = [change.before for change in action.changes if change.field.name == one.field]
                assert befores, ("the plan does not show the field", one)
                is_shown = any(is_value(TYPE, one.field, _known(before), one.before) for before in befores)
                # Who sets back what a request without an answer had set makes it look as if it had not happened: it is
                # sent again, over the value that the plan showed.
                is_set_back = _is_agreed(person, person.agreed, one)
                is_agreed = not checks_drift or (is_shown and (is_set_back or _is_agreed(person, agreed, one)))
            assert is_agreed, ("nobody agreed to replace it", one)
        if one.by.endswith(person.checkout.who):
            agreed[one.ident, one.field] = one.after


def _known(before: Any) -> Any:
    return None if before is ABSENT else before


def _is_agreed(person: Person, agreed: Values, one: Change) -> bool:
    """A value that nobody ever looked at is none.

    Where somebody sets what a request without an answer asked for, nobody can tell the two apart.
    """
    asked = [value for ident, name, value in person.asked if (ident, name) == (one.ident, one.field)]
    return any(is_value(TYPE, one.field, v, one.before) for v in (agreed.get((one.ident, one.field)), *asked))


@define
class Story:
    """What the two and the console do, step by step; with one `is_shared` state nobody has to pull."""

    world: World
    people: tuple[Person, Person]
    is_shared: bool
    draw: Callable[[st.SearchStrategy[Any]], Any]

    def tell(self) -> None:
        steps = {
            "change": self._change,
            "edit": self._edit,
            "apply": self._apply,
            "console": self._console,
            "refresh": lambda who: who.refresh(writes=self.draw(st.booleans())),
            "save": lambda who: who.save(refreshes=self.draw(st.booleans())),
            "apply saved": self._apply_saved,
            "save and apply": self._save_and_apply,
            "pull": lambda who: who.pull(self._other(who)),
            "merge": self._merge,
            "wait": lambda _who: self.world.wait(self.draw(st.sampled_from([20.0, 70.0, 400.0]))),
            "add": self._add,
            "drop": self._drop,
            "rename": self._rename,
        }
        weighted = ["change", "change", "change", "console", "console", "console", *steps]
        for _ in range(self.draw(st.integers(2, 12))):
            who = self.people[self.draw(st.integers(0, 1))]
            if self.is_shared:
                who.pull(self._last) if self._last is not who else None
            steps[self.draw(st.sampled_from(weighted))](who)
            who.write()
            self._last = who

    def _other(self, who: Person) -> Person:
        return self.people[0] if who is self.people[1] else self.people[1]

    def _change(self, who: Person) -> None:
        self._edit(who)
        self._apply(who)

    def _edit(self, who: Person) -> None:
        if who.defined:
            key = self.draw(st.sampled_from(sorted(who.defined)))
            one, name = who.defined[key], self.draw(fields)
            nothing = [None] if name == "team" else []
            value = self.draw(values | st.sampled_from([*nothing, "four"]))
            who.defined[key] = evolve(one, values={**one.values, name: value})

    def _add(self, who: Person) -> None:
        key, name = self.draw(st.sampled_from(KEYS)), self.draw(st.sampled_from(NAMES))
        if key not in who.defined and name not in {one.name for one in who.defined.values()}:
            adopts = self.draw(st.booleans())
            own = {"description": self.draw(values)}
            whole = own if adopts else {**COLUMNS, "sql": f"{key} {self.draw(values)}", **own}
            who.defined[key] = Defined(TYPE, whole, name, adopts)
            who.removed.discard(key)

    def _drop(self, who: Person) -> None:
        if who.defined:
            key = self.draw(st.sampled_from(sorted(who.defined)))
            del who.defined[key]
            if self.draw(st.booleans()):
                who.removed.add(key)

    def _rename(self, who: Person) -> None:
        if who.defined:
            key, name = self.draw(st.sampled_from(sorted(who.defined))), self.draw(st.sampled_from(NAMES))
            if name not in {one.name for one in who.defined.values()}:
                who.defined[key] = evolve(who.defined[key], name=name)

    def _merge(self, who: Person) -> None:
        other = self._other(who)
        who.defined, who.removed = dict(other.defined), set(other.removed)

    def _apply(self, who: Person) -> None:
        known = [Address(_address(key)) for key in sorted(who.defined)]
        overwrites = tuple(self.draw(st.lists(st.sampled_from(known), max_size=1))) if known else ()
        self._run(who, Options(allow_deletes=None, overwrites=overwrites, checks_drift=self.draw(rarely)))

    def _apply_saved(self, who: Person) -> None:
        path = who.directory / "plan.json"
        if who.has_saved:
            self._run(who, Options(allow_deletes=None, expects=load_plan(path.read_bytes(), str(path))))

    def _save_and_apply(self, who: Person) -> None:
        who.write()
        who.save(refreshes=self.draw(st.booleans()))
        if self.draw(st.booleans()):
            self._console(who)
        self._apply_saved(who)

    def _run(self, who: Person, options: Options) -> None:
        who.write()
        self.world.project.fates = self.draw(st.lists(st.sampled_from(FATES), max_size=3) | st.just([]))
        edits = st.tuples(st.sampled_from(NAMES[:2]), fields, values)
        meanwhile = self.draw(st.dictionaries(st.integers(0, 5), edits, max_size=2) | st.just({}))
        # What is under 0 happens while the plan waits for an answer.
        who.apply(options, meanwhile, self.draw(st.sampled_from([0.0, 0.0, 40.0])))

    def _console(self, _who: Person) -> None:
        project, name = self.world.project, self.draw(st.sampled_from(sorted(self.world.sources[TYPE.name]) or NAMES))
        match self.draw(st.sampled_from(["edit"] * 5 + ["rename", "delete", "create"])):
            case "edit":
                console_edit(self.world, name, self.draw(fields), self.draw(values))
            case "rename":
                project.by_hand("PATCH", TYPE, name, {"name": self.draw(st.sampled_from(NAMES))})
            case "delete":
                project.by_hand("DELETE", TYPE, name)
            case "create":
                made = {**COLUMNS, "name": self.draw(st.sampled_from(NAMES)), "sql": f"console {self.draw(values)}"}
                project.by_hand("POST", TYPE, None, made)

    _last: Person = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._last = self.people[0]


rarely = st.sampled_from([True, True, True, True, False])


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_what_somebody_set_is_replaced_only_by_who_saw_it_and_agreed(world: World, data: st.DataObject) -> None:
    world.begin({TYPE.name: [{**COLUMNS, "name": name, "sql": f"first {name}"} for name in ("a", "b")]})
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        people = tuple(Person(Checkout(who, Path(where), world)) for who, where in (("Ann", one), ("Bob", two)))
        for person in people:
            person.defined = {
                key: Defined(TYPE, {"description": "one", "team": "one"}, key, adopt=True) for key in ("a", "b")
            }
            person.write()
        ann, bob = people
        if data.draw(st.booleans()):
            ann.apply(Options(), {}, 0.0)
            bob.pull(ann)
        Story(world, people, data.draw(st.booleans()), data.draw).tell()


def test_what_a_look_for_a_lost_answer_shows_of_another_source_is_not_replaced(world: World, tmp_path: Path) -> None:
    world.begin({TYPE.name: [{**COLUMNS, "name": name, "sql": f"first {name}"} for name in ("a", "b")]})
    person = Person(Checkout("Ann", tmp_path, world))
    person.defined = {key: Defined(TYPE, {"description": "mine"}, adopt=True) for key in ("a", "b")}
    person.write()
    world.project.fates = ["lost after applying"]
    person.apply(Options(), {0: ("b", "description", "theirs")}, 0.0)
    assert [world.sources[TYPE.name][name]["description"] for name in ("a", "b")] == ["mine", "theirs"]


def an_adopter(world: World, directory: Path, description: str) -> Person:
    world.begin({TYPE.name: [{**COLUMNS, "name": "a", "sql": "first a", "description": description}]})
    person = Person(Checkout("Ann", directory, world))
    person.defined = {"a": Defined(TYPE, {"description": "one", "team": "one"}, adopt=True)}
    person.write()
    return person


def test_what_a_lost_adoption_finds_in_a_field_that_was_empty_is_not_replaced(world: World, tmp_path: Path) -> None:
    person = an_adopter(world, tmp_path, "two")
    world.project.fates = ["lost before applying"]
    # While the plan waits for an answer, and while the lost one is looked for.
    person.apply(Options(), {0: ("a", "team", "theirs"), 4: ("a", "description", "theirs")}, 0.0)
    console_edit(world, "a", "description", "one")
    assert isinstance(person.checkout.apply(), RemoteChanged)
    assert world.sources[TYPE.name]["a"]["team"] == "theirs"


def test_what_the_answer_to_an_adoption_shows_besides_is_not_replaced(world: World, tmp_path: Path) -> None:
    person = an_adopter(world, tmp_path, "one")
    person.apply(Options(), {0: ("a", "description", "theirs")}, 0.0)
    assert isinstance(person.checkout.apply(), RemoteChanged)
    source = world.sources[TYPE.name]["a"]
    assert (source["description"], source["team"]) == ("theirs", "one")


def test_what_somebody_changes_of_an_adoption_while_its_plan_waits_for_an_answer_is_not_replaced(
    world: World, tmp_path: Path
) -> None:
    person = an_adopter(world, tmp_path, "one")
    # After 40 s it looks again: of the description, which was as defined, the plan showed nothing.
    person.apply(Options(), {0: ("a", "description", "theirs")}, 40.0)
    source = world.sources[TYPE.name]["a"]
    assert (source["description"], source.get("team")) == ("theirs", None)
