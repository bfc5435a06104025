"""Two and three writers of one shared state, for a run of three changes: every single call is lost, loses its answer,
or is carried out late, and a writer dies or stands still at every point.

What must hold, with the word that a failure shows:
    chain       the journal is one valid chain, and its records make sense in their order
    kept        all that a writer was told to be recorded is in the journal
    intent      a request arrives only while its record is the journal's last, so while nobody has taken over
    one writer  the records of a run are from one writer, except the `end` of a run that died
    agrees      in the end state and remote agree, nothing is unresolved, and another run sends nothing
    snapshot    it is what the journal's records make, up to its own place
    reader      reading never fails, and never shows an older state than before
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence

import pytest
from crash import APPLIED, KEYS, LOST, LOST_BUT_APPLIED, OUTCOMES, Server, address, desired
from remembered import remembering
from simengine import WRITES, Death, Fate, SimStore

from state import journal, store
from state.errors import LockHeld, LockLost, StateError, StateMoved
from state.fold import replay
from state.places.shared import Times
from state.records import Applied, Begin, End, Imported, Intent, Resolved, Unknown
from state.snapshot import EMPTY, decode_snapshot

AT = "2026-01-01T00:00:00.000Z"
_READ: dict[int, tuple[int, int]] = {}


@pytest.fixture(autouse=True, scope="module")
def each_thing_is_computed_once() -> Iterator[None]:
    with remembering():
        yield


class Watched:
    """A store, the remote, and what all writers were told."""

    def __init__(self, fates=None):
        self.sim, self.server = SimStore(), Server()
        self.kept: list[str] = []
        self.numbers = itertools.count(1)
        self.views = [(0, 0)]
        self.journals = [b""]
        # Pieces are only added: as long as their number is the same, a reader finds the same as last time.
        self.looked_at = (0, None)
        with store.open(self.sim.place(), "import", now=self.now, new_lineage=lambda: "lineage") as session:
            self.record(session, Begin(None, "who", "host", "0", None, self.now()))
            for key in KEYS:
                self.record(session, Imported(address(key), self.server.show(key), self.now()))
            session.commit("ok")
        self.sim.calls.clear()
        self.sim.fates = dict(fates or {})
        self.sim.watch = self.look

    def now(self) -> str:
        """A time that is never the same, so that no two records are equal."""
        return f"2026-01-01T00:00:00.{next(self.numbers):06}Z"

    def record(self, session, record) -> None:
        session.record(record)
        self.kept.append(record.at)

    def look(self) -> None:
        shown = (len(self.sim.pieces), self.sim.snapshot)
        if shown == self.looked_at:
            return
        self.looked_at = shown
        self.views.append(self.read())
        assert self.views[-1] >= self.views[-2], "reader"
        now = self.sim.journal()
        assert now.startswith(self.journals[-1]), "chain"
        self.journals.append(now)

    def read(self) -> tuple[int, int]:
        """The journal's bytes and the serial, as a reader finds them; it must not need anything but what is there."""
        key = hash((self.sim.snapshot, *sorted((at, body) for at, (body, _) in self.sim.pieces.items())))
        if key not in _READ:
            seen = store.read(self.sim.place(silent=True))
            _READ[key] = seen.journal_bytes, seen.serial
        return _READ[key]

    def run(self, script: Sequence[str] = (APPLIED,) * 3, *, patience_s=None, point=lambda _: None) -> None:
        """What `apply` does, without the network; `point` is called where no call of the engine is near."""
        with store.open(self.sim.place(patience_s=patience_s), "apply", now=self.now) as session:
            if session.unresolved:
                self.record(session, Begin(None, "who", "host", "0", None, self.now()))
                self.resolve(session)
                session.commit("ok")
            wanted = [
                key for key in KEYS if session.snapshot.resources[address(key)].data["description"] != desired(key)
            ]
            if not wanted:
                return
            session.probe()
            self.record(session, Begin("plan", "who", "host", "0", None, self.now()))
            for key, outcome in zip(wanted, script, strict=False):
                self.change(session, key, outcome, point)
                self.resolve(session)
                session.stay()
            session.commit("ok")

    def change(self, session, key, outcome, point) -> None:
        intent = Intent(address(key), "PATCH", key, {}, {"description": desired(key)}, self.now())
        self.record(session, intent)
        point("before the request")
        session.check_deadline()
        last, _ = max(self.sim.pieces.items())
        assert intent.at.encode() in self.sim.pieces[last][0], "intent"
        point("in flight")
        assert max(self.sim.pieces) == last, "intent"
        self.server.patch(key, outcome)
        if outcome == APPLIED:
            self.record(session, Applied(address(key), 200, self.server.show(key), {}, 1, self.now()))
        else:
            self.record(session, Unknown(address(key), "timeout", 1, self.now()))

    def resolve(self, session) -> None:
        for where, intent in session.unresolved.items():
            listed = self.server.show(intent.name)
            is_there = listed["description"] == intent.sent["description"]
            verdict = ("applied", listed) if is_there else ("not applied", None)
            self.record(session, Resolved(where, *verdict, {}, self.now()))

    def attempt(self, *arguments, **more) -> BaseException | None:
        """A run that may be stopped, or die."""
        try:
            self.run(*arguments, **more)
        except (StateError, Death) as error:
            return error
        return None

    def check(self) -> None:
        """A run without a fault, after whatever happened before; then all of it must hold."""
        self.sim.fates.clear()
        self.sim.land(all_of_it=True)
        self.run()
        requests = len(self.server.requests)
        self.run()
        assert len(self.server.requests) == requests, "agrees"
        raw = self.sim.journal()
        _, chain = journal.verify_all(raw, "sim")
        records = [record for _, record in journal.entries(chain)]
        assert not chain.torn, "chain"
        made = replay(EMPTY, iter(records))
        assert set(self.kept) <= {record.at for record in records}, "kept"
        self.check_runs()
        state = store.read(self.sim.place(silent=True))
        assert (state.resources, state.unresolved) == (made.resources, {}), "agrees"
        for key in KEYS:
            assert state.resources[address(key)].data == self.server.show(key), "agrees"
            assert state.resources[address(key)].data["description"] == desired(key), "agrees"
        assert store.verify(self.sim.place(silent=True)).lines == raw, "snapshot"
        assert decode_snapshot(self.sim.snapshot, "sim").journal_bytes <= len(raw), "snapshot"

    def check_runs(self) -> None:
        writer = None
        for _, (body, _) in sorted(self.sim.pieces.items()):
            mine = body[:46]
            for line in body[46:].splitlines():
                record = json.loads(line)["record"]
                if record["kind"] == "end":
                    assert writer == mine or record["status"] == "recovered", "one writer"
                    writer = None
                elif record["kind"] != "genesis":
                    assert writer in (None, mine), "one writer"
                    writer = mine


SCRIPTS = tuple(itertools.permutations(OUTCOMES))


def calls_of(script) -> list[str]:
    watched = Watched()
    watched.run(script)
    return watched.sim.calls


def test_without_faults_a_run_of_three_changes_sends_few_requests():
    assert calls_of((APPLIED,) * 3) == ["load_snapshot", "tail", "prove", *["create"] * 8, "save_snapshot"]
    Watched().check()


@pytest.mark.parametrize("dies", [False, True], ids=["and goes on", "and dies"])
@pytest.mark.parametrize("kind", ["lost", "void", "gone", "done"])
@pytest.mark.parametrize("script", SCRIPTS, ids=", ".join)
def test_any_call_may_be_lost_or_lose_its_answer(script, kind, dies):
    for number in range(len(calls_of(script))):
        watched = Watched({number: Fate(kind, dies=dies)})
        stopped = watched.attempt(script)
        assert (stopped is not None) == (dies or kind == "gone")
        watched.check()


@pytest.mark.parametrize("dies", [False, True], ids=["and goes on", "and dies"])
@pytest.mark.parametrize("script", [SCRIPTS[0], (APPLIED,) * 3], ids=", ".join)
def test_any_call_may_be_carried_out_late_before_any_later_call_of_any_writer(script, dies):
    calls = calls_of(script)
    for number in (n for n, name in enumerate(calls) if name in WRITES):
        for later in range(1, len(calls) + 14):
            watched = Watched({number: Fate("late", later, dies)})
            watched.attempt(script)
            watched.attempt(script)
            watched.check()


@pytest.mark.parametrize("kind", ["frozen before", "frozen after"])
@pytest.mark.parametrize("script", SCRIPTS, ids=", ".join)
def test_a_writer_that_stands_still_at_any_call_is_taken_over_and_sends_nothing_more(script, kind):
    calls = calls_of(script)
    last = len(calls) - 1 - calls[::-1].index("create")
    # Before all is read, and after its `end`, a writer that stands still loses nothing to the others.
    loses = range(1, last) if kind == "frozen after" else range(2, last + 1)
    for number in range(len(calls)):
        watched = Watched({number: Fate(kind)})
        watched.sim.meanwhile = watched.run
        error = watched.attempt(script)
        has_begun = number > (calls.index("create") if kind == "frozen before" else calls.index("create") - 1)
        assert type(error) is ((LockLost if has_begun else StateMoved) if number in loses else type(None))
        watched.check()


@pytest.mark.parametrize("kind", ["frozen before", "frozen after"])
def test_while_two_writers_stand_still_at_any_of_their_calls_a_third_one_goes_on(kind):
    script = SCRIPTS[0]
    for first in range(len(calls_of(script))):
        for second in range(first + 1, first + 24):
            watched = Watched({first: Fate(kind), second: Fate(kind)})
            others = iter([lambda w=watched: w.attempt(script), lambda w=watched: w.run()])
            watched.sim.meanwhile = lambda others=others: next(others)()
            watched.attempt(script)
            watched.check()


def test_a_late_put_of_a_dead_writer_may_arrive_while_a_second_stands_still_and_a_third_works():
    script = (APPLIED,) * 3
    calls = calls_of(script)
    for number in (n for n, name in enumerate(calls) if name == "create"):
        for frozen in range(number + 1, number + 40, 4):
            for later in range(1, 40, 7):
                watched = Watched({number: Fate("late", later, dies=True), frozen: Fate("frozen before")})
                watched.sim.meanwhile = lambda watched=watched: watched.attempt(script)
                watched.attempt(script)
                watched.attempt(script)
                watched.check()


@pytest.mark.parametrize("nth", range(3))
def test_a_writer_may_stand_still_between_its_record_and_the_request_for_any_time(nth):
    watched, seen = Watched(), itertools.count()

    def point(name):
        if name == "before the request" and next(seen) == nth:
            watched.run()

    error = watched.attempt(point=point)
    assert "between a request's record and the request" in str(error)
    assert len(watched.server.requests) == len(KEYS)
    watched.check()


@pytest.mark.parametrize("nth", range(3))
def test_while_a_request_is_under_way_nobody_takes_over(nth):
    """The others come when the request starts as late as is allowed, and takes as long as is allowed."""
    watched, seen = Watched(), itertools.count()

    def point(name):
        number = next(seen)
        if number == 2 * nth:
            watched.sim.sleep(Times().start - 1)
        elif number == 2 * nth + 1:
            with pytest.raises(LockHeld, match=r"who on host, since .*, last heard of"):
                watched.run(patience_s=Times().request)

    assert watched.attempt(point=point) is None
    watched.check()


def test_a_run_that_comes_while_another_is_at_work_is_told_so_and_changes_nothing():
    for patience_s in (0, 5, 30):
        for number in range(4, 10):
            watched = Watched({number: Fate("frozen before")})
            told = []

            def come(watched=watched, told=told, patience_s=patience_s):
                told.append(watched.attempt(patience_s=patience_s))

            watched.sim.meanwhile = come
            assert watched.attempt() is None
            assert isinstance(told[0], LockHeld)
            watched.check()


def test_a_writer_that_waits_long_gives_signs_of_life_so_that_others_wait_less():
    watched, waited = Watched(), []

    def come():
        since = watched.sim.now
        error = watched.attempt()
        waited.append((watched.sim.now - since, type(error)))

    with store.open(watched.sim.place(), "apply", now=watched.now) as session:
        session.record(Begin(None, "who", "host", "0", None, watched.now()))
        real_sleep = watched.sim.sleep

        def sleep(seconds):
            real_sleep(seconds)
            session.stay()

        for _ in range(30):
            sleep(10)
        watched.sim.sleep = sleep
        come()
        watched.sim.sleep = real_sleep
        session.commit("ok")
    assert waited[0][1] is LockHeld
    assert waited[0][0] < 30
    watched.check()


def test_after_many_dead_runs_no_unknown_outcome_is_dropped():
    for script in itertools.product((LOST, LOST_BUT_APPLIED), repeat=3):
        watched = Watched()
        for number in range(6):
            watched.sim.fates = {len(watched.sim.calls) + 5 + number: Fate("done", dies=True)}
            watched.attempt(script)
        watched.check()


def test_an_end_that_two_runs_record_at_once_is_recorded_only_once():
    """Two find the same dead run at the same time: one closes it, the other reads again and begins after it."""
    calls = calls_of((APPLIED,) * 3)
    for number in range(len(calls), len(calls) + 60):
        watched = Watched({8: Fate("done", dies=True), number: Fate("frozen before")})
        watched.sim.meanwhile = watched.run
        assert isinstance(watched.attempt(), Death)
        assert isinstance(watched.attempt(), StateMoved | LockLost | None)
        watched.check()
        ends = [r for _, r in journal.entries(store.read_journal(watched.sim.place(silent=True))) if isinstance(r, End)]
        assert sum(end.status == "recovered" for end in ends) in (1, 2)
