"""A remote with habits, people with checkouts, and a clock that nobody waits for, all in this process.

The API is the emulator's, over real sockets; what it lies about, and how it loses answers, is drawn by the test. The
clock goes on when somebody sleeps, and at no other time: a deadline of minutes is over at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

from attrs import define, evolve, field, frozen
from canary import KEY
from lossy import LossyApi, serve
from strategies import toml_value

from planner import Options, Run, Watcher, apply_definitions, build_plan, open_project
from planner.apply.looks import read_late, take_look
from planner.apply.preview import Preview, preview
from planner.apply.report import Report
from planner.audit.drift import find_drift, refresh, types_in_use
from planner.clock import Clock
from planner.commands.refresh import refresh_state
from planner.definitions.equality import is_same
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.emulator.api import EmulatedAnswer, EmulatedCall, EmulatedProject, EmulatorOptions, Source, Sources
from planner.errors import PlannerError
from planner.output import Terminal
from planner.plan.build import Plan
from state.errors import StateError
from state.fold import replay

Fate = Literal["answered", "lost after applying", "lost before applying", "late", "refused"]
FATES: tuple[Fate, ...] = ("answered", "lost after applying", "lost before applying", "late", "refused")
START = datetime(2026, 11, 1, tzinfo=timezone.utc)
CONSOLE, LATE = "the console", "late"


@frozen
class Habits:
    """What an API may do that is not published. `keeps`: of a full update, what it leaves out; `omits`: fields that
    answers to changes lack; `hides`: fields that nothing shows; `reverses` sets and lists; `tidies` texts.
    """

    keeps: bool = False
    omits: frozenset[str] = frozenset()
    hides: frozenset[str] = frozenset()
    reverses: bool = False
    tidies: bool = False


@frozen
class Change:
    """A field of a source, from a value to another, None for none; `set_by` whom and when it had the one before, and
    when its changer had the last list: ordinals of calls. `ident` stays when the name changes.
    """

    by: str
    method: str
    type: ResourceType = field(repr=lambda type_: type_.name)
    ident: int
    name: str
    field: str
    before: Any
    after: Any
    set_by: str
    set_at: int
    looked_at: int


@define(init=False, slots=False)
class WatchedProject(EmulatedProject):
    """The emulated project with its habits, and a memory of who changed what.

    `fates` are those of the next changes by statform; `meanwhile` is called with the number of each of its requests in
    this run, before and after it was carried out.
    """

    habits: Habits
    changes: list[Change]
    fates: list[Fate]
    meanwhile: Callable[[int, str], None] | None

    def __init__(self, options: EmulatorOptions, sources: Sources, seconds: Callable[[], float]) -> None:
        super().__init__(options, sources)
        self.habits, self.changes, self.fates, self.meanwhile = Habits(), [], [], None
        self.by, self.seconds, self.number, self.calls = CONSOLE, seconds, 0, 0
        self.idents: dict[tuple[str, str], int] = {}
        self.looked_at: dict[str, int] = {}
        self.set_by: dict[tuple[int, str], tuple[str, int]] = {}
        self.seen: dict[tuple[int, str], Any] = {}
        self.sent: list[tuple[str, int, str, Any]] = []
        self.lost: list[tuple[str, int, str, Any]] = []
        self.late: list[tuple[float, str, EmulatedCall]] = []
        self.created: list[tuple[str, str, str]] = []

    # What comes from statform, over the socket.

    def answer(self, call: EmulatedCall, now: float) -> EmulatedAnswer:
        del now
        self.land_late()
        self.calls += 1
        if self.meanwhile is not None:
            self.meanwhile(self.calls, "before")
        answer = self._carry_out(call)
        if self.meanwhile is not None:
            self.meanwhile(self.calls, "after")
        return answer

    def _carry_out(self, call: EmulatedCall) -> EmulatedAnswer:
        fate = self.fates.pop(0) if call.method != "GET" and self.fates else "answered"
        lost = EmulatedAnswer(500, {"status": 500, "message": "lost"})
        if fate in {"lost before applying", "late"}:
            # If somebody sets the same value meanwhile, nobody can tell whose it is.
            self.lost += self._sent_by(call)
        match fate:
            case "lost before applying":
                return lost
            case "refused":
                return EmulatedAnswer(403, {"status": 403, "message": "not today"})
            case "late" if call.method == "PATCH" and b'"name"' in call.body:
                # What a rename that comes a minute late does is a limit that the documentation tells.
                return lost
            case "late":
                # Whatever has no query may land for a minute, else for five; see `deadline_of`.
                due = self.seconds() + (250 if b'"sql"' in call.body else 50)
                self.late.append((due, f"{LATE} {self.by}", call))
                return lost
        answer = self._change(call)
        if call.method == "GET":
            self._note_look(call)
        return lost if fate == "lost after applying" else answer

    def land_late(self) -> None:
        """Carry out what is late, as far as its time has come."""
        due = [one for one in self.late if one[0] <= self.seconds()]
        self.late = [one for one in self.late if one not in due]
        for _, by, call in due:
            self._change_by(by, call)

    # What somebody does in the console.

    def by_hand(self, method: str, type_: ResourceType, name: str | None, body: Source | None = None) -> int:
        path = type_.create_path if name is None else type_.path.replace("{name}", name)
        headers = {"statsig-api-key": "console-x", "content-type": "application/json"}
        return self._change_by(CONSOLE, EmulatedCall(method, path, {}, headers, json.dumps(body or {}).encode())).status

    def _change_by(self, by: str, call: EmulatedCall) -> EmulatedAnswer:
        self.by, before = by, self.by
        try:
            return self._change(call)
        finally:
            self.by = before

    def _change(self, call: EmulatedCall) -> EmulatedAnswer:
        before = deepcopy(self.sources)
        habits = self.habits
        self.sent += self._sent_by(call)
        self._keeps = habits.keeps
        self._omit = habits.hides | (habits.omits if call.method != "GET" else frozenset())
        if call.method in {"PATCH", "POST"} and self.by != CONSOLE:
            call = evolve(call, body=json.dumps(self._kept(json.loads(call.body or b"{}"))).encode())
        answer = super().answer(call, self.seconds())
        if call.method != "GET":
            self.number += 1
            self._note_changes(call.method, before)
        return answer

    def _sent_by(self, call: EmulatedCall) -> list[tuple[str, int, str, Any]]:
        """Who sends which value of which field to which source."""
        return [
            (self.by, ident, one, value)
            for (type_name, name), ident in self.idents.items()
            if call.method in {"PATCH", "POST"} and call.path == RESOURCE_TYPES[type_name].path.replace("{name}", name)
            for one, value in json.loads(call.body).items()
        ]

    def _kept(self, body: Source) -> Source:
        return {name: value if name == "name" else self._as_kept(value) for name, value in body.items()}

    def _as_kept(self, value: Any) -> Any:
        if isinstance(value, str) and self.habits.tidies:
            return value.strip()
        if isinstance(value, list) and self.habits.reverses:
            return [self._as_kept(one) for one in reversed(value)]
        return value

    def _note_look(self, call: EmulatedCall) -> None:
        self.number += 1
        for type_ in RESOURCE_TYPES.values():
            if call.path.startswith((type_.list_path, type_.path.partition("{")[0])):
                self.looked_at[type_.name] = self.number
                for name, source in self.sources[type_.name].items():
                    ident = self.idents[type_.name, name]
                    self.seen |= {(ident, one): source.get(one) for one in ("name", *type_.field)}

    def _note_changes(self, method: str, before: Sources) -> None:
        for type_name, type_ in RESOURCE_TYPES.items():
            old, new = before[type_name], self.sources[type_name]
            if old == new:
                continue
            gone, come = [n for n in old if n not in new], [n for n in new if n not in old]
            if gone and come:
                self._note_source(method, type_, gone[0], come[0], old[gone[0]], new[come[0]])
            elif come:
                self.idents[type_name, come[0]] = self.number
                self.created.append((self.by, type_name, come[0]))
                self._note_source(method, type_, come[0], come[0], {}, new[come[0]])
            elif gone:
                self._note_source(method, type_, gone[0], None, old[gone[0]], {})
            for name in old:
                if name in new and old[name] != new[name]:
                    self._note_source(method, type_, name, name, old[name], new[name])

    def _note_source(
        self, method: str, type_: ResourceType, name: str, now: str | None, old: Source, new: Source
    ) -> None:
        ident = self.idents.pop((type_.name, name), 0)
        if now is not None:
            self.idents[type_.name, now] = ident
        for one in {**old, **new}:
            if old.get(one) != new.get(one):
                set_by, set_at = self.set_by.get((ident, one), (CONSOLE, 0))
                looked_at, values = self.looked_at.get(type_.name, 0), (old.get(one), new.get(one))
                self.changes.append(
                    Change(self.by, method, type_, ident, name, one, *values, set_by, set_at, looked_at)
                )
                self.set_by[ident, one] = self.by, self.number


@define
class World:
    """The remote at `url`, and the time."""

    seconds: float = 0.0
    api: LossyApi = field(init=False)

    @property
    def project(self) -> WatchedProject:
        project = self.api.project
        assert isinstance(project, WatchedProject)
        return project

    @property
    def sources(self) -> Sources:
        return self.project.sources

    @property
    def clock(self) -> Clock:
        return Clock(
            now=lambda: START + timedelta(seconds=self.seconds),
            monotonic=lambda: self.seconds,
            sleep=self.wait,
            chance=lambda: 0.5,
        )

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.project.land_late()

    def begin(self, sources: Mapping[str, Sequence[Source]] | None = None, habits: Habits | None = None) -> None:
        """Another remote, with these sources, that nobody has changed yet."""
        self.seconds = 0.0
        self.api.project = self._make(EmulatorOptions(per_10_seconds=10**6, per_15_minutes=10**6), empty())
        for type_name, listed in (sources or {}).items():
            for source in listed:
                type_ = RESOURCE_TYPES[type_name]
                assert self.project.by_hand("POST", type_, None, source) == 201, source
        self.project.habits = habits or Habits()

    def _make(self, options: EmulatorOptions, sources: Sources) -> WatchedProject:
        return WatchedProject(options, sources, lambda: self.seconds)


def empty() -> Sources:
    return {name: {} for name in RESOURCE_TYPES}


@contextmanager
def a_world() -> Iterator[World]:
    world = World()
    with serve(empty(), project=world._make) as api:
        world.api = api
        yield world


class Mute(Terminal):
    """Nobody reads it."""

    def out(self, text: str) -> None:
        pass

    def say(self, text: str, end: str = "\n") -> None:
        pass


@define
class Checkout:
    """The project's files as one person has them; `who` is its name."""

    who: str
    directory: Path
    world: World

    def write(self, text: str) -> None:
        (self.directory / "statform.toml").write_text(text, encoding="utf-8")

    def start(self) -> Run:
        return Run(
            open_project(self.directory), self.world.api.url, environ={"STATSIG_API_KEY": KEY}, clock=self.world.clock
        )

    def plan(self) -> Plan:
        project = open_project(self.directory)
        return build_plan(project.definitions, project.read_state())

    def preview(self) -> Preview:
        """What `plan --refresh` finds."""
        with self.acting(), self.start() as run:
            before = run.project.read_state()
            look = take_look(run, types_in_use(run.definitions, before), before)
            drifts = find_drift(before, look.remote, look.undecided)
            after = replay(before, refresh(drifts, before, ""))
            return preview(run.definitions, before, after, drifts, look, late=read_late(run))

    @contextmanager
    def acting(self) -> Iterator[None]:
        """What the remote is asked in here, this one asks."""
        project = self.world.project
        project.by, project.calls, project.looked_at = self.who, 0, {}
        try:
            yield
        finally:
            project.by, project.meanwhile = CONSOLE, None

    def refresh(self, *, writes: bool = False) -> int | PlannerError | StateError:
        """The exit code of a refresh that asks nobody, or why there was none."""
        with self.acting(), self.start() as run:
            try:
                return refresh_state(run, Mute(), is_approved=True, writes=writes)
            except (PlannerError, StateError) as error:
                return error

    def apply(
        self, options: Options | None = None, watcher: Watcher | None = None
    ) -> Report | PlannerError | StateError:
        """Its report, or why there was none."""
        with self.acting(), self.start() as run:
            try:
                return apply_definitions(run, options or Options(allow_deletes=None), watcher)
            except (PlannerError, StateError) as error:
                return error


@frozen
class Defined:
    """What a definition says of a source; None of a field: it is cleared. `name` None: the key."""

    type: ResourceType = field(repr=lambda type_: type_.name)
    values: Mapping[str, Any]
    name: str | None = None
    adopt: bool = False
    needs: tuple[str, ...] = ()

    def to_toml(self, key: str) -> str:
        lines = [f"[{self.type.name}.{key}]"]
        lines += [f"{name} = {toml_value(value)}" for name, value in self.values.items() if value is not None]
        if cleared := [name for name, value in self.values.items() if value is None]:
            lines.append(f"clear = {toml_value(cleared)}")
        if self.name is not None:
            lines.append(f"name = {toml_value(self.name)}")
        if self.adopt:
            lines.append("adopt = true")
        if self.needs:
            lines.append(f"depends_on = {toml_value(list(self.needs))}")
        return "\n".join(lines) + "\n"


def is_value(type_: ResourceType, name: str, one: Any, other: Any) -> bool:
    """Whether these are the same value of the field."""
    return one == other if name == "name" else is_same(type_.field[name].kind, one, other)
