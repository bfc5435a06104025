"""What a run on a shared state is told if others were at work, or if it is not the state that was expected."""

from __future__ import annotations

import attrs
import pytest
from simengine import Fate, SimEngine, SimStore

from state import runs, store
from state.errors import LockHeld, LockLost, SealedState, StateMoved, WrongState
from state.places.shared import SharedPlace
from state.records import Begin, Imported, Intent, Sealed
from state.values import Address

AT = "2026-01-01T00:00:00.000Z"
A = Address("source.a")
BEGIN = Begin("plan", "who", "host", "0", None, AT)
INTENT = Intent(A, "PATCH", "a", {}, {"description": "new"}, AT)
BY, SHOWN = "sim://x", "2026-01-01 00:00:00Z"


def open_session(sim, **more):
    return store.open(sim.place(**more), "apply", now=lambda: AT, new_lineage=lambda: "lineage")


def recorded(sim, *records, commit=True):
    with open_session(sim) as session:
        for record in records:
            session.record(record)
        if commit:
            session.commit("ok")
    return sim


def place_of_lineage(sim, lineage):
    return SharedPlace(BY, lambda: SimEngine(sim), lineage, world=sim.place().world)


@pytest.mark.parametrize(
    ("first", "by"),
    [
        (Begin("plan", "a\x1bb", "host", "0", None, AT), f"a b on host, {SHOWN}"),
        (Imported(A, {"name": "a"}, AT), f"import, {SHOWN}"),
    ],
    ids=["a run", "another record"],
)
def test_the_slower_of_two_runs_is_told_who_was_quicker(first, by):
    sim = recorded(SimStore(), BEGIN)
    with open_session(sim) as late:
        recorded(sim, first)
        with pytest.raises(StateMoved) as raised:
            late.record(BEGIN)
    told = f"the state changed since it was read: {by}\nNothing was sent; run the command again."
    assert str(raised.value) == f"{late._storage.where('journal')}: {told}"


def test_the_later_of_two_runs_that_make_a_state_is_told_that_it_exists():
    sim = SimStore()
    with open_session(sim) as late:
        recorded(sim, BEGIN)
        with pytest.raises(StateMoved, match=f"the state changed since it was read: genesis, {SHOWN}\n"):
            late.record(BEGIN)


@pytest.mark.parametrize(
    "records",
    [(BEGIN,), (BEGIN, INTENT, attrs.evolve(INTENT, address=Address("source.b")))],
    ids=["nothing sent", "a request"],
)
def test_a_run_that_stood_still_is_told_that_another_took_over_and_what_it_left(records):
    sim = recorded(SimStore(), BEGIN)
    with open_session(sim) as late:
        for record in records:
            late.record(record)
        sim.now += 1000
        recorded(sim, BEGIN)
        with pytest.raises(LockLost) as raised:
            late.record(Imported(Address("source.c"), {"name": "c"}, AT))
    what = "source.a, source.b" if INTENT in records else "what it left"
    assert str(raised.value).startswith("sim://x/journal: ")
    assert f"another run took over, because it considered this one dead: it was closed as a dead run, {SHOWN}" in str(
        raised.value
    )
    assert f"Nothing more is sent; the next run resolves {what}. Running the command again is safe." in str(
        raised.value
    )


def test_before_a_run_is_refused_for_what_it_read_it_checks_whether_that_is_old():
    sim = recorded(SimStore(), BEGIN)
    with open_session(sim) as late:
        late.check_current()
        recorded(sim, BEGIN)
        with pytest.raises(StateMoved) as raised:
            late.check_current()
    told = f"sim://x/journal: the state changed since it was read: who on host, {SHOWN}\n"
    assert str(raised.value).startswith(told)
    with open_session(sim) as ours:
        ours.record(BEGIN)
        # After its own first record, nobody else's can be there: so it does not ask the store.
        recorded_at = len(sim.calls)
        ours.check_current()
        assert len(sim.calls) == recorded_at


def test_a_silent_store_does_not_stop_the_check_for_newer_records():
    sim = recorded(SimStore(), BEGIN)
    with open_session(sim) as session:
        sim.fates = {n: Fate("lost") for n in range(len(sim.calls), len(sim.calls) + 500)}
        session.check_current()


@pytest.mark.parametrize(
    ("records", "is_over", "who"),
    [
        ((), True, "another run"),
        ((BEGIN,), False, f"who on host, since {SHOWN}"),
        ((BEGIN, Imported(A, {"name": "a"}, AT)), False, f"who on host, since {SHOWN}"),
        ((Imported(A, {"name": "a"}, AT),), False, "another run"),
    ],
)
def test_an_open_run_at_the_end_of_a_journal_is_named(records, is_over, who):
    sim = recorded(recorded(SimStore(), BEGIN), *records, commit=False)
    chain = store.read_journal(sim.place())
    assert (runs.open_run(chain), runs.holder(chain)) == (None if is_over else who, who)
    # The run before it has ended, and counts for `last_run`.
    assert runs.last_run(chain) == f"who on host, since {SHOWN}"


def test_a_run_that_is_under_way_is_waited_for_and_then_named():
    sim = recorded(SimStore(), BEGIN)
    with open_session(sim) as first:
        first.record(BEGIN)
        with pytest.raises(LockHeld, match="who"):
            open_session(sim, patience_s=1)


def test_the_state_of_another_project_is_refused_to_readers_and_writers():
    uses = (store.read, store.read_journal, store.verify, lambda place: store.open(place, "apply"))
    for sim, found in ((recorded(SimStore(), BEGIN), "its lineage is lineage"), (SimStore(), "no state is there")):
        for use in uses:
            with pytest.raises(WrongState) as raised:
                use(place_of_lineage(sim, "another"))
            assert raised.value.what == f"{found}; this project's state has the lineage another"
            with pytest.raises(WrongState) as raised:
                use(place_of_lineage(sim, ""))
            assert raised.value.what in {"a state is there, and its lineage is lineage", "no state is there"}
    for use in uses[:3]:
        use(place_of_lineage(recorded(SimStore(), BEGIN), "lineage"))


def test_a_shared_state_that_moved_is_refused_and_says_where_it_is():
    sim = recorded(SimStore(), BEGIN, Sealed("gs://there/wh", AT), commit=False)
    for use in (store.read, store.read_journal, store.verify, lambda place: store.open(place, "apply")):
        with pytest.raises(SealedState, match="gs://there/wh"):
            use(sim.place())
