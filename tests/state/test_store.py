import errno
import hashlib
import re
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simdisk import SimDisk

from state import journal, store
from state.errors import Damaged, LockHeld, LockLost, SealedState, StateError, UnknownFormat, WriteFailed
from state.fold import replay
from state.places.local import StateFiles
from state.places.place import LocalPlace
from state.records import (
    Applied,
    Begin,
    End,
    Forgotten,
    Imported,
    Intent,
    Moved,
    Refreshed,
    Rejected,
    Resolved,
    Sealed,
    Unknown,
)
from state.runs import AtWork
from state.snapshot import EMPTY, decode_snapshot, encode_snapshot
from state.values import Address

NAME, JOURNAL, LOCK, TEMPORARY = "x.json", "x.journal.jsonl", "x.state.lock", "x.state.tmp"
PATH = Path(NAME)
NOW = "2026-01-01T00:00:09.000Z"
A, B = Address("source.a"), Address("source.b")
BEGIN = Begin("plan", "who", "host", "0.1", None, "2026-01-01T00:00:00.000Z")
INTENT = Intent(A, "PATCH", "a", {}, {"description": "new"}, "2026-01-01T00:00:01.000Z")
APPLIED = Applied(A, 200, {"name": "a", "description": "new"}, {}, 5, "2026-01-01T00:00:02.000Z")


def open_session(disk, **more):
    return store.open(PATH, "apply", disk=disk, **{"now": lambda: NOW, "new_lineage": lambda: "lineage"} | more)


def disk_after(*records, commit=True, files=None, disk=None):
    disk = disk or SimDisk(files)
    with open_session(disk) as session:
        for record in records:
            session.record(record)
        if commit:
            session.commit("ok")
    return disk


def read(files):
    return store.read(PATH, disk=SimDisk(files))


def journal_kinds(disk):
    return [line.split(b'"kind":"')[1].split(b'"')[0].decode() for line in disk.files[JOURNAL].splitlines()]


def test_without_files_the_state_is_empty_and_reading_makes_no_file(tmp_path):
    assert store.read(tmp_path / NAME) == EMPTY
    with store.open(tmp_path / NAME, "apply") as session:
        assert session.snapshot == EMPTY
        session.probe()
        session.commit("ok")
    assert [p.name for p in tmp_path.iterdir()] == [LOCK]


def test_a_run_on_a_real_disk_is_read_back_by_the_next(tmp_path):
    with store.open(tmp_path / NAME, "apply") as session:
        for record in (BEGIN, INTENT, APPLIED):
            session.record(record)
            assert store.read(tmp_path / NAME) == session.snapshot
        session.commit("ok")
        written = session.snapshot
    assert written.serial == 1
    assert written.resources[A].data == APPLIED.data
    assert len(written.lineage) == 36
    assert store.read(tmp_path / NAME) == written
    assert decode_snapshot((tmp_path / NAME).read_bytes(), "") == written
    with store.open(tmp_path / NAME, "apply") as session:
        assert session.snapshot == written
    assert sorted(p.name for p in tmp_path.iterdir()) == [JOURNAL, NAME, LOCK]
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}


def test_at_work_names_the_run_that_is_open_or_that_ended_since_the_state_was_read(tmp_path):
    place, who = LocalPlace(tmp_path / NAME), "who on host, since 2026-01-01 00:00:00Z"
    assert store.at_work(place, "") is None
    with store.open(place, "apply") as session:
        assert store.at_work(place, "") is None
        session.record(BEGIN)
        assert store.at_work(place, session.snapshot.head) == AtWork(who, has_ended=False)
        session.commit("ok")
        read = session.snapshot
    assert store.at_work(place, read.head) is None
    with store.open(place, "apply") as session:
        session.record(BEGIN)
    # It died, but it may have changed something before. What it left unresolved is reported elsewhere.
    assert store.at_work(place, read.head) == AtWork(who, has_ended=True)
    assert store.at_work(place, store.read(place).head) is None


def test_a_reader_sees_what_is_recorded_but_not_committed_and_what_is_unresolved():
    disk = disk_after(BEGIN, INTENT, commit=False)
    assert store.read(PATH, disk=disk).unresolved == {A: INTENT}


def test_a_session_without_a_commit_is_closed_as_recovered_by_the_next_one():
    disk = disk_after(BEGIN, INTENT, APPLIED, commit=False)
    with open_session(disk) as session:
        assert session.snapshot.resources[A].data == APPLIED.data
        assert session.snapshot.serial == 1
    assert journal_kinds(disk) == ["genesis", "begin", "intent", "result", "end"]
    assert b'"status":"recovered"' in disk.files[JOURNAL]
    assert read(disk.files) == decode_snapshot(disk.files[NAME], NAME)


def test_an_unknown_outcome_stays_unresolved_over_any_number_of_runs():
    disk = disk_after(BEGIN, INTENT, Unknown(A, "timeout", 1, "t"))
    for _ in range(3):
        with open_session(disk) as session:
            assert session.unresolved == {A: INTENT}
            session.record(BEGIN)
            session.commit("ok")
        assert read(disk.files).unresolved == {A: INTENT}
    with open_session(disk) as session:
        session.record(Resolved(A, "not applied", None, {}, "t"))
        session.commit("ok")
    assert read(disk.files).unresolved == {}


def test_a_second_intent_before_the_first_is_resolved_is_refused_without_a_trace():
    disk = disk_after(BEGIN, INTENT, Unknown(A, "timeout", 1, "t"))
    before = disk.files
    with open_session(disk) as session:
        with pytest.raises(ValueError, match="no outcome yet"):
            session.record(INTENT)
        session.commit("ok")
    assert disk.files == before


def test_a_record_that_json_can_not_hold_leaves_no_trace_and_the_session_goes_on():
    disk = disk_after(BEGIN)
    before = disk.files
    with open_session(disk) as session:
        with pytest.raises(ValueError, match="JSON"):
            session.record(Imported(A, {"x": float("nan")}, "t"))
        with pytest.raises(ValueError, match="wrong type"):
            session.record(Imported(A, ["no object"], "t"))
        assert disk.files == before
        session.record(Imported(A, {"name": "a"}, "t"))
        session.commit("ok")
    assert A in read(disk.files).resources


def test_the_state_has_what_was_written_even_if_the_caller_changes_the_record_later():
    data = {"name": "a", "tags": ("x", "y")}
    disk = SimDisk()
    with open_session(disk) as session:
        session.record(Imported(A, data, "t"))
        data["name"] = "changed"
        session.commit("ok")
        assert session.snapshot.resources[A].data == {"name": "a", "tags": ["x", "y"]}
        assert read(disk.files) == session.snapshot


def test_intents_since_a_time_are_those_of_all_runs_in_order():
    def at(minute):
        return f"2026-01-01T00:{minute:02}:00.000Z"

    disk = SimDisk()
    for minute in (1, 2, 3):
        with open_session(disk, now=lambda minute=minute: at(minute)) as session:
            session.record(attrs.evolve(BEGIN, at=at(minute)))
            session.record(attrs.evolve(INTENT, at=at(minute)))
            session.record(Rejected(A, 429, "", True, None, 1, at(minute)))
            session.commit("ok")
    with open_session(disk) as session:
        assert session.intents_since(at(0)) == (at(1), at(2), at(3))
        assert session.intents_since(at(2)) == (at(2), at(3))
        session.record(attrs.evolve(INTENT, at=at(4)))
        assert session.intents_since(at(3)) == (at(3), at(4))
        assert session.intents_since(at(10)) == ()


def test_the_second_of_two_sessions_is_told_who_has_the_lock(tmp_path):
    with store.open(tmp_path / NAME, "apply"), pytest.raises(LockHeld, match="apply"):
        store.open(tmp_path / NAME, "refresh")
    store.open(tmp_path / NAME, "refresh").close()


def test_a_refused_session_releases_the_lock(tmp_path):
    (tmp_path / NAME).touch()
    for _ in range(2):
        with pytest.raises(Damaged):
            store.open(tmp_path / NAME, "apply")


def test_no_intent_is_recorded_once_the_lock_file_is_not_ours_any_more(tmp_path):
    with store.open(tmp_path / NAME, "apply") as session:
        session.record(BEGIN)
        (tmp_path / LOCK).unlink()
        before = (tmp_path / JOURNAL).read_bytes()
        with pytest.raises(LockLost, match=LOCK):
            session.record(INTENT)
        assert (tmp_path / JOURNAL).read_bytes() == before


def test_after_a_failed_write_the_session_never_writes_again():
    sync = len(disk_after(BEGIN, INTENT, commit=False).operations) - 2
    disk = SimDisk(faults={sync: errno.EIO})
    with open_session(disk) as session:
        session.record(BEGIN)
        with pytest.raises(WriteFailed) as first:
            session.record(INTENT)
        before = len(disk.operations)
        for again in (lambda: session.record(APPLIED), lambda: session.commit("ok"), session.probe):
            with pytest.raises(WriteFailed) as raised:
                again()
            assert raised.value is first.value
        assert len(disk.operations) == before


def test_after_an_interrupt_during_a_write_the_session_never_writes_again():
    def interrupt():
        raise KeyboardInterrupt

    disk = SimDisk()
    with open_session(disk) as session:
        session.record(BEGIN)
        disk.before = interrupt
        with pytest.raises(KeyboardInterrupt):
            session.record(INTENT)
        disk.before = lambda: None
        with pytest.raises(WriteFailed, match="interrupted"):
            session.commit("interrupted")
    assert open_session(disk).snapshot.serial == 1


def test_a_torn_end_is_kept_aside_and_the_same_one_only_once():
    torn = b'{"hash":"half a li'
    files = disk_after(BEGIN, INTENT, APPLIED).files
    files[JOURNAL] += torn
    disk = SimDisk(files)
    open_session(disk).close()
    assert disk.files["x.journal.torn-1"] == torn
    assert disk.files[JOURNAL] + torn == files[JOURNAL]
    assert disk.files[NAME] == files[NAME]
    for more, kept in ((torn, 1), (b"another", 2)):
        disk = SimDisk({**disk.files, JOURNAL: disk.files[JOURNAL] + more})
        open_session(disk).close()
        assert sum("torn" in name for name in disk.files) == kept


def test_a_half_written_file_is_removed():
    disk = SimDisk({**disk_after(BEGIN).files, TEMPORARY: b"half"})
    open_session(disk).close()
    assert TEMPORARY not in disk.files


def test_a_missing_or_old_snapshot_is_made_again():
    first = disk_after(BEGIN, INTENT, APPLIED).files
    second = disk_after(Imported(B, {"name": "b"}, "t"), files=first).files
    for files in ({JOURNAL: second[JOURNAL]}, {**second, NAME: first[NAME]}):
        assert read(files) == decode_snapshot(second[NAME], NAME)
        disk = SimDisk(files)
        open_session(disk).close()
        assert disk.files == second


SMALL = disk_after(BEGIN, INTENT, Unknown(A, "an @ and a space", 1, "t"), Imported(B, {"name": "b c"}, "t")).files
TAIL = disk_after(BEGIN, Resolved(A, "applied", {"name": "an @ b"}, {}, "t"), commit=False, files=SMALL).files
ENDED = read(SMALL), read(TAIL)


@pytest.mark.parametrize("name", [NAME, JOURNAL])
@pytest.mark.parametrize("files", [SMALL, TAIL], ids=["clean", "after a crash"])
def test_every_flipped_bit_is_refused_or_harmless(files, name):
    raw, state = files[name], read(files)
    for at in range(len(raw)):
        for bit in range(8):
            flipped = {**files, name: raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]}
            with pytest.raises((Damaged, UnknownFormat)):
                open_session(SimDisk(flipped))
            try:
                assert read(flipped) == state
            except StateError:
                continue


@pytest.mark.parametrize("name", [NAME, JOURNAL])
@pytest.mark.parametrize("files", [SMALL, TAIL], ids=["clean", "after a crash"])
def test_every_truncation_is_refused_or_gives_an_earlier_state(files, name):
    seen = set()
    for length in range(len(files[name])):
        cut = {**files, name: files[name][:length]}
        try:
            state = read(cut)
        except Damaged:
            with pytest.raises(Damaged):
                open_session(SimDisk(cut))
            continue
        assert name == JOURNAL
        assert files is TAIL
        assert state.resources in (ENDED[0].resources, ENDED[1].resources)
        assert open_session(SimDisk(cut)).snapshot.resources == state.resources
        seen.add(bool(state.unresolved))
    assert (True in seen) == (name == JOURNAL and files is TAIL)


def test_refusing_changes_nothing():
    for name in (NAME, JOURNAL):
        files = {**SMALL, name: SMALL[name].replace(b"b c", b"b d"), TEMPORARY: b"half"}
        disk = SimDisk(files)
        with pytest.raises(Damaged):
            open_session(disk)
        assert disk.files == files


def other_lineage():
    disk = SimDisk()
    with store.open(PATH, "x", disk=disk, new_lineage=lambda: "other", now=lambda: "t") as session:
        session.record(BEGIN)
        session.commit("ok")
    return disk.files


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({NAME: SMALL[NAME]}, "missing"),
        ({NAME: SMALL[NAME], JOURNAL: b""}, "not made from this journal|no complete line"),
        ({NAME: SMALL[NAME], JOURNAL: b"\n".join(SMALL[JOURNAL].split(b"\n")[:-2]) + b"\n"}, "not made from"),
        ({NAME: SMALL[NAME], JOURNAL: other_lineage()[JOURNAL]}, "not made from this journal"),
        ({NAME: other_lineage()[NAME], JOURNAL: SMALL[JOURNAL]}, "not made from this journal"),
    ],
    ids=["journal lost", "journal empty", "journal's end lost", "another journal", "another snapshot"],
)
def test_a_snapshot_and_a_journal_that_do_not_belong_together_are_refused_with_what_to_do(files, what):
    for use in (read, lambda files: open_session(SimDisk(files))):
        with pytest.raises(Damaged, match=what) as raised:
            use(files)
        assert "Restore" in str(raised.value)


def test_records_that_contradict_each_other_are_damage_at_their_place():
    head = journal.hash_before(SMALL[JOURNAL], len(SMALL[JOURNAL]))
    line, _ = journal.encode(Applied(B, 200, {}, {}, 1, "t"), head)
    files = {**SMALL, JOURNAL: SMALL[JOURNAL] + line}
    for use in (read, lambda files: open_session(SimDisk(files))):
        with pytest.raises(Damaged, match="contradict") as raised:
            use(files)
        assert raised.value.offset == len(SMALL[JOURNAL])


def test_the_latest_records_are_those_since_a_time_up_to_the_last_whole_line():
    times = ["2026-01-01T00:00:03.000Z", "2026-01-01T00:00:02.000Z", "2026-01-01T00:00:04.000Z"]
    files = disk_after(*(Imported(A, {"name": "a"}, at) for at in times), commit=False).files
    torn = {**files, JOURNAL: files[JOURNAL] + b'{"hash'}
    for since, found in ((times[1], times), (times[0], times[2:]), ("2026-01-01T00:00:05.000Z", [])):
        assert [one.at for one in store.read_latest(PATH, since, disk=SimDisk(torn))][-len(times) :] == found
    assert len(store.read_latest(PATH, "", disk=SimDisk(files))) == 4
    assert store.read_latest(PATH, "", disk=SimDisk({})) == ()


def test_the_error_of_a_state_without_its_journal_names_the_missing_journal():
    with pytest.raises(Damaged, match=rf"^sim/{JOURNAL}: missing"):
        store.read_journal(PATH, disk=SimDisk({NAME: SMALL[NAME]}))


def test_a_session_tells_what_it_knows_of_an_address():
    with open_session(disk_after(BEGIN, INTENT, APPLIED)) as session:
        assert session.resource(A).data == APPLIED.data
        assert session.resource(B) is None


def test_without_a_folder_nothing_is_read_and_a_rebuild_makes_no_folder(tmp_path):
    at = tmp_path / "none" / NAME
    assert store.read_latest(at, "") == ()
    assert store.read_journal(at) is store.verify(at) is None
    with pytest.raises(StateError):
        store.rebuild(at)
    assert not at.parent.exists()
    assert str(LocalPlace(at)) == str(at)


def test_all_files_of_a_state_are_named_after_the_state_file():
    own, other = StateFiles("a/x.state.json"), StateFiles("x.json")
    assert (own.state, own.journal) == ("x.state.json", "x.state.journal.jsonl")
    assert (own.lock, own.temporary) == ("x.state.lock", "x.state.tmp")
    assert (other.lock, other.temporary, other.torn, other.damaged) == (LOCK, TEMPORARY, "x.journal.torn-", "x.torn-")


def test_a_run_waits_for_the_lock_until_its_patience_ends_and_says_so(monkeypatch):
    disk, clock, told = SimDisk({}), [100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    with open_session(disk), pytest.raises(LockHeld):
        store.open(LocalPlace(PATH, disk, patience_s=2.5, told=told.append), "plan")
    assert [(one.idle_s, one.left_s) for one in told] == [(None, 2.5), (None, 1.5), (None, 0.5)]
    assert all("apply" in one.holder for one in told)
    assert clock == [102.5]
    told.clear()
    with open_session(disk), pytest.raises(LockHeld):
        store.open(LocalPlace(PATH, disk, told=told.append), "plan")
    assert not told


def test_a_state_that_moved_is_refused_to_readers_and_writers_and_says_where_it_is():
    files = disk_after(BEGIN, INTENT, APPLIED, Sealed("s3://acme/wh", NOW), commit=False).files
    for use in (read, lambda files: open_session(SimDisk(files))):
        with pytest.raises(SealedState) as raised:
            use(files)
        assert str(raised.value) == str(SealedState(f"sim/{NAME}", "s3://acme/wh", f"sim/{JOURNAL}"))


def test_a_snapshot_with_another_lineage_than_its_journal_is_refused():
    forged = encode_snapshot(decode_snapshot(SMALL[NAME], NAME)._replace(lineage="other"))
    with pytest.raises(Damaged, match="lineage"):
        open_session(SimDisk({**SMALL, NAME: forged}))


@pytest.mark.parametrize("damage", [b"", b"<<<<<<< HEAD\n", SMALL[NAME][:100], None])
def test_rebuild_makes_the_snapshot_from_the_journal_alone(damage):
    files = {JOURNAL: SMALL[JOURNAL], **({} if damage is None else {NAME: damage})}
    disk = SimDisk(files)
    assert store.rebuild(PATH, disk=disk, now=lambda: "t") == read(SMALL)
    # A person may still need the damaged file.
    assert disk.files == SMALL | ({} if damage is None else {"x.torn-1": damage})


def test_rebuild_keeps_a_whole_snapshot_that_is_ahead_of_the_journal_or_of_another_one():
    """As after a restore of only the journal from a backup."""
    longer = disk_after(BEGIN, disk=SimDisk(SMALL)).files
    with open_session(disk := SimDisk(), new_lineage=lambda: "other") as session:
        session.record(BEGIN)
        session.commit("ok")
    for files in ({**longer, JOURNAL: SMALL[JOURNAL]}, {**SMALL, NAME: disk.files[NAME]}):
        disk = SimDisk(files)
        with pytest.raises(
            Damaged, match=rf"^sim/{NAME}: undamaged, with the serial \d; the journal is of another state"
        ) as raised:
            store.rebuild(PATH, disk=disk)
        assert str(raised.value).endswith("If it is the journal that is right, move the state file away first.")
        assert disk.files == files


def test_rebuild_replaces_a_snapshot_that_is_behind_its_journal():
    files = disk_after(BEGIN, disk=SimDisk(SMALL)).files
    disk = SimDisk({**files, NAME: SMALL[NAME]})
    store.rebuild(PATH, disk=disk)
    assert disk.files == files


def test_rebuild_needs_a_whole_journal():
    for files in ({NAME: SMALL[NAME]}, {}, {**SMALL, JOURNAL: SMALL[JOURNAL].replace(b"b c", b"b d")}):
        disk = SimDisk(files)
        with pytest.raises(Damaged, match=JOURNAL):
            store.rebuild(PATH, disk=disk)
        assert disk.files == files


def test_a_reader_reads_only_the_tail_of_a_long_journal():
    disk = SimDisk()
    with open_session(disk) as session:
        for n in range(200):
            session.record(Imported(Address(f"source.{n}"), {"name": "n" * 50}, "t"))
        session.commit("ok")
    damaged = disk.files[JOURNAL].replace(b'"address":"source.7"', b'"address":"source.9"')
    assert damaged != disk.files[JOURNAL]
    assert len(read({**disk.files, JOURNAL: damaged}).resources) == 200


@pytest.mark.parametrize("files", [{}, SMALL, TAIL], ids=["new", "clean", "after a crash"])
def test_a_run_between_the_two_reads_of_a_reader_is_seen_completely(files):
    class Disk(SimDisk):
        is_first = True

        def read(self, name, offset=0):
            found = super().read(name, offset)
            if self.is_first:
                self.is_first = False
                disk_after(BEGIN, Imported(B, {"name": "between"}, "t"), disk=self)
            return found

    disk = Disk(files)
    assert store.read(PATH, disk=disk) == read(disk.files)


def test_a_reader_beside_a_writer_always_sees_a_state_that_was_true_once(tmp_path):
    path, count, seen, failed = tmp_path / NAME, 150, [], []

    def write():
        for n in range(count):
            with store.open(path, "apply") as session:
                session.record(Imported(Address(f"source.{n}"), {"name": f"{n}"}, "t"))
                if n % 3:
                    session.commit("ok")

    def look():
        try:
            while writer.is_alive():
                seen.append(len(store.read(path).resources))
        except StateError as error:
            failed.append(error)

    writer, reader = threading.Thread(target=write), threading.Thread(target=look)
    writer.start()
    reader.start()
    writer.join()
    reader.join()
    assert not failed
    assert seen == sorted(seen)
    assert len(store.read(path).resources) == count


def test_a_verified_journal_is_read_whole_with_the_hash_of_each_record():
    disk = disk_after(BEGIN, INTENT, APPLIED)
    chain = store.verify(PATH, disk=disk)
    assert chain == store.read_journal(PATH, disk=disk)
    found = list(journal.entries(chain))
    assert [record.kind for _, record in found] == journal_kinds(disk)
    assert found[-1][0] == chain.head
    assert disk.files[JOURNAL].splitlines()[1][9:73].decode() == found[1][0]


def test_without_files_there_is_nothing_to_verify(tmp_path):
    assert store.verify(tmp_path / NAME) is store.read_journal(tmp_path / "no" / NAME) is None


def test_a_snapshot_that_its_journal_does_not_make_is_refused_even_with_a_right_digest():
    disk = disk_after(BEGIN, INTENT, APPLIED)
    honest = decode_snapshot(disk.files[NAME], NAME)
    forged = encode_snapshot(honest._replace(resources={}))
    other = SimDisk({**disk.files, NAME: forged})
    assert store.read(PATH, disk=other).resources == {}
    with pytest.raises(Damaged, match="not what the records of its journal give"):
        store.verify(PATH, disk=other)


def test_a_journal_that_goes_on_after_its_snapshot_is_verified_to_its_end():
    disk = disk_after(BEGIN, INTENT, APPLIED)
    with open_session(disk) as session:
        session.record(BEGIN)
        session.record(INTENT)
        chain = store.verify(PATH, disk=disk)
        assert chain.head == session.snapshot.head
    assert b"intent" in chain.lines.splitlines()[-1]


addresses = st.sampled_from([A, B, Address("source.c")])
objects = st.dictionaries(st.sampled_from(["name", "tags", "size"]), st.sampled_from(["x", "y", 1, None, []]))
steps = st.one_of(
    st.just(BEGIN),
    st.just("commit"),
    st.just("die"),
    st.builds(Intent, addresses, st.just("PATCH"), st.just("n"), objects, objects, st.just("t")),
    st.builds(Applied, addresses, st.just(200), objects, objects, st.just(1), st.just("t")),
    st.builds(Rejected, addresses, st.none(), st.just(""), st.just(True), st.none(), st.just(1), st.just("t")),
    st.builds(Unknown, addresses, st.just(""), st.just(1), st.just("t")),
    st.builds(Resolved, addresses, st.just("applied"), objects, objects, st.just("t")),
    st.builds(
        Resolved, addresses, st.sampled_from(["superseded", "not applied"]), st.none() | objects, objects, st.just("t")
    ),
    st.builds(Imported, addresses, objects, st.just("t")),
    st.builds(Refreshed, addresses, st.none() | objects, objects, st.just("t")),
    st.builds(Moved, addresses, addresses, st.just("t")),
    st.builds(Forgotten, addresses, st.just("t")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=25))
def test_the_state_is_the_replay_of_the_journal(history):
    disk, records = SimDisk(), []
    session = open_session(disk)
    for step in history:
        if step == "commit":
            session.commit("ok")
        elif step == "die":
            disk.restart()
            session = open_session(disk)
        else:
            try:
                session.record(step)
            except ValueError:
                continue
            records.append(step)
        assert store.read(PATH, disk=disk) == session.snapshot
    disk.restart()
    session = open_session(disk)
    files = disk.files
    assert files.keys() <= {NAME, JOURNAL}
    assert read({name: raw for name, raw in files.items() if name == JOURNAL}) == session.snapshot
    assert not files or store.verify(PATH, disk=disk).head == session.snapshot.head
    if records:
        assert decode_snapshot(files[NAME], NAME) == session.snapshot
    base = EMPTY._replace(lineage="lineage")
    expected = replay(base, records)
    assert (expected.resources, expected.unresolved) == (session.snapshot.resources, session.snapshot.unresolved)
    assert session.snapshot.serial == files.get(JOURNAL, b"").count(b'"kind":"end"')


def test_the_cost_of_a_change_does_not_grow_with_the_state():
    def operations_of(count):
        disk = disk_after(*(Imported(Address(f"source.{n}"), {"name": "n"}, "t") for n in range(count)))
        with open_session(disk) as session:
            session.record(BEGIN)
            before = len(disk.operations), len(disk.files[JOURNAL])
            session.record(INTENT)
            session.record(APPLIED)
            return len(disk.operations) - before[0], len(disk.files[JOURNAL]) - before[1]

    assert operations_of(1) == operations_of(300)


def test_a_run_ends_with_the_status_that_it_was_given():
    disk = disk_after(BEGIN, commit=False)
    with open_session(disk) as session:
        session.record(BEGIN)
        session.commit("interrupted")
        session.commit("ok")
    assert disk.files[JOURNAL].count(b'"status":"recovered"') == 1
    assert disk.files[JOURNAL].splitlines()[-1].endswith(b'"status":"interrupted"}}')
    assert End("interrupted", "t").kind == "end"


def test_a_missing_directory_has_no_state_and_is_made_for_a_new_one(tmp_path):
    path = tmp_path / "states" / "of" / "x.state.json"
    assert store.read(path) == EMPTY
    with store.open(path, "apply") as session:
        session.record(Imported(Address("source.a"), {"name": "a"}, "2026-01-01T00:00:00.000Z"))
        session.commit("ok")
    assert store.read(path).resources.keys() == {"source.a"}


def test_the_error_names_a_directory_that_can_not_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteFailed, match="file/states"):
        store.open(tmp_path / "file" / "states" / "x.state.json", "apply")


RESTORE = "Restore the journal and the state file beside it, both from the same commit or backup."
BROKEN = "this line does not follow from the one before it: one was changed or removed"
END = len(SMALL[JOURNAL])


def with_record(files, body):
    """The files, with one more line in the journal, whose hash is right."""
    before = files[JOURNAL].splitlines()[-1][9:73]
    digest = hashlib.sha256(before + b"\n" + body).hexdigest().encode()
    return {**files, JOURNAL: files[JOURNAL] + b'{"hash":"%s","record":%s}\n' % (digest, body)}


REFUSED = {
    "no journal": (
        {NAME: SMALL[NAME]},
        f"sim/{JOURNAL}: missing: it has every change that was ever made to the state\n{RESTORE}",
    ),
    "another journal": (
        {NAME: SMALL[NAME], JOURNAL: other_lineage()[JOURNAL]},
        f"sim/{JOURNAL}, byte {END}: {NAME} was not made from this journal, or the journal's end is missing\n{RESTORE}",
    ),
    "an empty state": ({**SMALL, NAME: b""}, f"sim/{NAME}: empty; statform never leaves it empty\n"),
    "a line that is none": (
        {**SMALL, JOURNAL: SMALL[JOURNAL] + b"x\n"},
        f"sim/{JOURNAL}, byte {END}: {BROKEN}\n{RESTORE}",
    ),
    "a journal alone that is none": (
        {JOURNAL: b"x\n"},
        f"sim/{JOURNAL}, byte 0: {BROKEN}\n{RESTORE}",
    ),
    "a contradiction": (
        with_record(SMALL, b'{"address":"source.b","at":"t","duration_ms":1,"kind":"unknown","reason":""}'),
        f"sim/{JOURNAL}, byte {END}: its records contradict each other: "
        f"a unknown for source.b without an intent\n{RESTORE}",
    ),
    "a newer record": (
        with_record(SMALL, b'{"kind":"surrender"}'),
        f"sim/{JOURNAL}: a record of an unknown kind, at byte {END}; this statform knows ",
    ),
}


@pytest.mark.parametrize(("files", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_each_refusal_names_the_file_the_place_and_what_to_do(files, message):
    for use in (
        read,
        lambda files: open_session(SimDisk(files)),
        lambda files: store.verify(PATH, disk=SimDisk(files)),
    ):
        with pytest.raises(StateError) as raised:
            use(files)
        assert str(raised.value).startswith(message)


def test_a_forged_snapshot_is_refused_with_its_name_and_what_to_do():
    honest = decode_snapshot(SMALL[NAME], NAME)
    with pytest.raises(Damaged) as raised:
        store.verify(PATH, disk=SimDisk({**SMALL, NAME: encode_snapshot(honest._replace(serial=7))}))
    assert str(raised.value).startswith(f"sim/{NAME}: not what the records of its journal give\nIf the journal beside")
    with pytest.raises(Damaged) as raised:
        store.verify(PATH, disk=SimDisk({**SMALL, NAME: encode_snapshot(honest._replace(lineage="other"))}))
    assert str(raised.value) == f"sim/{NAME}: its lineage is not the journal's\n{RESTORE}"


def test_a_missing_journal_is_an_error_only_if_there_is_a_state():
    assert store.read_journal(PATH, disk=SimDisk()) is store.verify(PATH, disk=SimDisk()) is None
    with pytest.raises(Damaged, match="missing"):
        store.read_journal(PATH, disk=SimDisk({NAME: SMALL[NAME]}))
    alone = SimDisk({JOURNAL: SMALL[JOURNAL]})
    assert store.read_journal(PATH, disk=alone) == store.verify(PATH, disk=alone)


def test_in_a_missing_directory_there_is_nothing_to_verify(tmp_path):
    assert store.verify(tmp_path / "no" / NAME) is None


def test_the_times_are_in_utc_with_milliseconds(tmp_path):
    before = datetime.now(timezone.utc)
    with store.open(tmp_path / NAME, "apply") as session:
        session.record(BEGIN)
        session.commit("ok")
    *_, end = (record for _, record in journal.entries(store.read_journal(tmp_path / NAME)))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", end.at)
    told = datetime.fromisoformat(end.at.replace("Z", "+00:00"))
    assert before - timedelta(milliseconds=1) <= told <= datetime.now(timezone.utc)


def test_during_a_rebuild_the_lock_says_who_has_it_and_since_when(tmp_path):
    for name, raw in SMALL.items():
        (tmp_path / name).write_bytes(raw)
    assert store.rebuild(tmp_path / NAME, now=lambda: NOW) == read(SMALL)
    holder = (tmp_path / LOCK).read_text()
    assert re.search(r"\bstate rebuild\b", holder)
    assert "2026-01-01 00:00:09Z" in holder


def test_a_crash_is_recovered_on_a_real_disk(tmp_path):
    for name, raw in TAIL.items():
        (tmp_path / name).write_bytes(raw)
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"hash":"half')
    with store.open(tmp_path / NAME, "apply") as session:
        assert session.snapshot.resources == ENDED[1].resources
    assert sorted(p.name for p in tmp_path.iterdir()) == [JOURNAL, "x.journal.torn-1", NAME, LOCK]
    assert (tmp_path / "x.journal.torn-1").read_bytes() == b'{"hash":"half'


def test_a_journal_that_can_not_be_closed_is_no_error_because_it_is_synced():
    operations = [name for name, _ in disk_after(BEGIN, INTENT, commit=False).operations]
    last = len(operations) - 1 - operations[::-1].index("close")
    disk = disk_after(BEGIN, INTENT, commit=False, disk=SimDisk(faults={last: errno.EIO}))
    assert len(disk.operations) == len(operations)
    assert journal_kinds(disk) == ["genesis", "begin", "intent"]


def interrupted_while(disk, session, do):
    def interrupt():
        raise KeyboardInterrupt

    disk.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        do()
    disk.before = lambda: None
    with pytest.raises(WriteFailed) as raised:
        session.commit("interrupted")
    return str(raised.value).splitlines()[0]


def test_after_an_interrupt_each_further_record_says_what_was_interrupted():
    for begin, do, doing in (
        ([], lambda s: s.probe(), "write beside the state"),
        ([], lambda s: s.record(BEGIN), "create it"),
        ([BEGIN], lambda s: s.record(BEGIN), "append to it"),
        ([BEGIN], lambda s: s._write_snapshot(), "replace it"),
    ):
        disk = SimDisk()
        with open_session(disk) as session:
            for record in begin:
                session.record(record)
            told = interrupted_while(disk, session, lambda do=do, session=session: do(session))
        assert told == f"sim/{JOURNAL}: can't {doing}: interrupted"


def test_the_error_names_a_journal_that_can_not_be_written():
    appends = [n for n, one in enumerate(disk_after(BEGIN, commit=False).operations) if one[0] == "write"]
    with open_session(SimDisk(faults={appends[-1]: errno.ENOSPC})) as session, pytest.raises(WriteFailed) as raised:
        session.record(BEGIN)
    assert str(raised.value).startswith(f"sim/{JOURNAL}: can't ")
