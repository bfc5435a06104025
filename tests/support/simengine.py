"""A store in memory that several writers share, and that lies: a `state.places.engines.Engine` for tests.

The calls of all writers are counted together. What becomes of one is its `Fate`; without a fate it is carried out and
answered. Time passes with each call and in every sleep, and is the same for all; the store tells it in whole seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from state.places.engines import Unsure
from state.places.shared import SharedPlace, World

PER_CALL_S = 0.05
WRITES = ("create", "save_snapshot", "beat")


class Death(BaseException):
    """The process is gone."""


class Fate(NamedTuple):
    """What becomes of a call.

    lost: it never arrives, and no answer either.  void: it is carried out, the answer is lost.  late: no answer, and it
    is carried out right before the call that comes `calls` later.  gone: lost, and so is whatever this writer asks
    from then on.  frozen: others are at work while the writer stands still, before or after the call.
    With `dies` the writer is dead afterwards.
    """

    kind: Literal["lost", "void", "late", "gone", "frozen before", "frozen after", "done"]
    calls: int = 0
    dies: bool = False


class SimStore:
    """`fates` is by a call's number; `meanwhile` is what others do when a writer is frozen; `watch` sees each step."""

    def __init__(self, fates: Mapping[int, Fate] | None = None) -> None:
        self.fates = dict(fates or {})
        self.pieces: dict[int, tuple[bytes, float]] = {}
        self.beats: dict[str, float] = {}
        self.snapshot: bytes | None = None
        self.now = 1000.0
        self.calls: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.watch: Callable[[], None] = lambda: None
        self._landing: list[tuple[int, Callable[[], object]]] = []
        self._tokens = (f"{n:032x}" for n in itertools.count(1))

    def journal(self) -> bytes:
        return b"".join(body[46:] for _, (body, _) in sorted(self.pieces.items()))

    def place(self, *, patience_s: float | None = None, silent: bool = False) -> SharedPlace:
        """For one writer, or for a reader whose calls are not counted (`silent`)."""
        world = World(lambda: self.now, self.sleep, lambda: next(self._tokens), lambda: 0.5)
        return SharedPlace("sim://x", lambda: SimEngine(self, silent=silent), None, patience_s, world=world)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def land(self, *, all_of_it: bool = False) -> None:
        due = [one for one in self._landing if all_of_it or one[0] <= len(self.calls)]
        self._landing = [one for one in self._landing if one not in due]
        for _, do in due:
            do()

    def land_later(self, calls: int, do: Callable[[], object]) -> None:
        self._landing.append((len(self.calls) - 1 + calls, do))


class SimEngine:
    def __init__(self, store: SimStore, *, silent: bool = False) -> None:
        self._store, self._silent, self._is_gone = store, silent, False

    def _call(self, name: str, do: Callable[[], object]) -> object:
        store = self._store
        if self._silent:
            return do()
        store.land()
        number = len(store.calls)
        store.calls.append(name)
        store.now += PER_CALL_S
        fate = store.fates.get(number, Fate("done"))
        self._is_gone = self._is_gone or fate.kind == "gone"
        if fate.kind == "frozen before":
            store.meanwhile()
        answer = None if self._is_gone or fate.kind in ("lost", "late") else do()
        if fate.kind == "late":
            store.land_later(fate.calls, do)
        if fate.kind == "frozen after":
            store.meanwhile()
        store.watch()
        if fate.dies:
            raise Death
        if self._is_gone or fate.kind in ("lost", "void", "late"):
            raise Unsure("simulated")
        return answer

    def create(self, at: int, body: bytes) -> bool:
        return bool(self._call("create", lambda: self._create(at, body)))

    def _create(self, at: int, body: bytes) -> bool:
        is_new = at not in self._store.pieces
        if is_new:
            self._store.pieces[at] = body, float(int(self._store.now))
        return is_new

    def get(self, at: int) -> bytes | None:
        return self._call("get", lambda: self._store.pieces.get(at, (None, 0))[0])

    def tail(self, at: int) -> list[tuple[int, bytes]]:
        return self._call(
            "tail", lambda: [(start, body) for start, (body, _) in sorted(self._store.pieces.items()) if start >= at]
        )

    def idle(self, at: int, writer: str) -> float:
        def look() -> float:
            return int(self._store.now) - max(self._store.pieces[at][1], self._store.beats.get(writer, 0.0))

        return self._call("idle", look)

    def beat(self, writer: str) -> None:
        self._call("beat", lambda: self._store.beats.update({writer: float(int(self._store.now))}))

    def load_snapshot(self) -> bytes | None:
        return self._call("load_snapshot", lambda: self._store.snapshot)

    def save_snapshot(self, raw: bytes, end: int) -> None:
        def save() -> None:
            self._store.snapshot = raw

        self._call("save_snapshot", save)

    def prove(self) -> None:
        self._call("prove", lambda: None)

    def close(self) -> None:
        """There is nothing to let go of."""
