"""Power lost at every point of a run of three changes, and again at every point of the recovery after it.

What must hold, with the numbers by which the tests name it:
 1  every request that the server applied has an earlier durable intent
 2  the state holds no value that the server never returned
 3  after recovery state and remote agree, and another run converges
 4  the journal that survives is a prefix of the true one and holds every record that `record` returned from
 5  recovery is idempotent
 6  the snapshot is the old one or the new one
 7  what was told to be done is durable
 8  no request is sent again without having looked
 9  what `commit` returned from survives
10  no unknown outcome is dropped
"""

from __future__ import annotations

import errno
import itertools
import json
from pathlib import Path

import pytest
from simdisk import Files, SimDisk

from state import store
from state.errors import StateError
from state.records import Address, Applied, Begin, Imported, Intent, Resolved, Unknown, to_json
from state.snapshot import Snapshot, decode_snapshot

STATE, JOURNAL = "x.state.json", "x.state.journal.jsonl"
AT = "2026-01-01T00:00:00.000Z"
KEYS = ("a", "b", "c")
APPLIED, LOST_BUT_APPLIED, LOST = "applied", "lost but applied", "lost and not applied"
OUTCOMES = (APPLIED, LOST_BUT_APPLIED, LOST)
SCRIPTS = tuple(itertools.product(OUTCOMES, repeat=3))


def address(key: str) -> Address:
    return Address(f"source.{key}")


class Server:
    """Holds a description for each of three sources; `answered` is every source that it ever returned, as JSON."""

    def __init__(self, patched: frozenset[str] = frozenset()) -> None:
        self.patched = patched
        self.requests: list[str] = []
        self.answered: set[str] = set()

    def show(self, key: str) -> dict[str, object]:
        source = {"name": key, "description": desired(key) if key in self.patched else "before"}
        self.answered.add(json.dumps(source, sort_keys=True))
        return source

    def patch(self, key: str, outcome: str) -> None:
        self.requests.append(key)
        if outcome != LOST:
            self.patched |= {key}


def desired(key: str) -> str:
    return f"{key} as it shall be"


class Log:
    """What a person who watched the run would know, and what the test expects of any disk that it leaves."""

    def __init__(self, records: tuple[object, ...] = ()) -> None:
        self.records = list(records)
        self.durable = len(self.records)
        self.done: dict[Address, str] = {}

    def record(self, session: store.Session, record: object) -> None:
        self.records.append(to_json(record))
        session.record(record)
        self.durable = len(self.records)


def open_session(disk: SimDisk) -> store.Session:
    return store.open(Path(STATE), "apply", disk=disk, now=lambda: AT, new_lineage=lambda: "the-lineage")


def run(disk: SimDisk, server: Server, script: tuple[str, ...], log: Log, *, resolving: bool = True) -> None:
    """What `apply` does, less the network: changes what the state does not show as desired yet."""
    with open_session(disk) as session:
        resolve(session, server, log)
        session.probe()
        log.record(session, Begin("plan", "who", "host", "0", None, AT))
        for key, outcome in zip(KEYS, script, strict=True):
            prior = session.snapshot.resources.get(address(key))
            if prior is not None and prior.data["description"] == desired(key):
                continue
            change(session, disk, server, key, outcome, log)
            if resolving:
                resolve(session, server, log)
        session.commit("ok")


def change(session: store.Session, disk: SimDisk, server: Server, key: str, outcome: str, log: Log) -> None:
    sent = {"description": desired(key)}
    log.record(session, Intent(address(key), "PATCH", key, {"description": "before"}, sent, AT))
    disk.before()
    server.patch(key, outcome)
    disk.before()
    if outcome == APPLIED:
        log.record(session, Applied(address(key), 200, server.show(key), {}, 1, AT))
        log.done[address(key)] = desired(key)
        disk.before()
    else:
        log.record(session, Unknown(address(key), "timeout", 1, AT))


def resolve(session: store.Session, server: Server, log: Log) -> None:
    """Look, never send."""
    for where, intent in session.unresolved.items():
        listed = server.show(intent.name)
        if listed["description"] == intent.sent["description"]:
            log.record(session, Resolved(where, "applied", listed, {}, AT))
        else:
            log.record(session, Resolved(where, "not applied", None, {}, AT))


def whole_records(files: Files) -> list[object]:
    """The journal's records up to the first bytes that are no line of JSON: read without the code under test."""
    found = []
    for line in files.get(JOURNAL, b"").splitlines(keepends=True):
        try:
            found.append(json.loads(line)["record"])
        except ValueError:
            break
        if not line.endswith(b"\n"):
            found.pop()
    return found


def open_intents(records: list[object]) -> set[str]:
    found: set[str] = set()
    for record in records:
        if record["kind"] == "intent":
            found.add(record["address"])
        elif record["kind"] in {"result", "rejected", "resolved"}:
            found.remove(record["address"])
    return found


def kept(files: Files) -> Files:
    return {name: content for name, content in files.items() if name in (STATE, JOURNAL)}


class Checker:
    """Settles every disk once, with the server as it was, and remembers."""

    def __init__(self) -> None:
        self.disks: set[int] = set()
        self.settled: dict[object, Snapshot] = {}
        self.snapshots: set[bytes | None] = set()

    def check(self, disk: SimDisk, server: Server, log: Log, *, depth: int = 2) -> None:
        """All that may be left if power is lost now."""
        representative = {frozenset(files.items()) for files in disk.after_power_failure(every_cut=False)}
        for files in disk.after_power_failure():
            self.disks.add(hash(key := frozenset(files.items())))
            self.check_records(files, server, log)
            self.snapshots.add(files.get(STATE))
            self.settle(files, server, depth if key in representative else 1)

    def check_records(self, files: Files, server: Server, log: Log) -> None:
        records = whole_records(files)
        mine = [r for r in records if r["kind"] not in ("genesis", "end")]
        assert mine == log.records[: len(mine)], "4"
        assert len(mine) >= log.durable, "4"
        intended = {r["name"] for r in mine if r["kind"] == "intent"}
        assert server.patched <= intended, "1"
        view = store.read(Path(STATE), disk=SimDisk(files))
        for where, description in log.done.items():
            assert view.resources[where].data["description"] == description, "7"
        assert view.unresolved.keys() == open_intents(records), "10"

    def settle(self, files: Files, server: Server, depth: int) -> Snapshot:
        """Recover and look at the remote, losing power again at every point of it; then run once more."""
        key = frozenset(files.items()), server.patched, depth
        if key not in self.settled:
            self.settled[key] = self._settle(files, server, depth)
        return self.settled[key]

    def _settle(self, files: Files, server: Server, depth: int) -> Snapshot:
        log = Log(tuple(r for r in whole_records(files) if r["kind"] not in ("genesis", "end")))
        disk, remote = SimDisk(files), Server(server.patched)
        remote.answered |= server.answered
        inner: list[Snapshot] = []
        if depth > 1:
            disk.before = lambda: self._lose_power_again(disk, remote, log, depth, inner)
        settled = recover(disk, remote, log)
        assert not remote.requests, "8: recovery sends nothing"
        assert all(again.resources == settled.resources for again in inner), "5"
        assert_durable(disk)
        assert_agrees(settled, remote)
        assert_recovery_is_idempotent(disk, settled)
        if depth > 1:
            assert_next_run_converges(disk, remote)
        return settled

    def _lose_power_again(self, disk: SimDisk, server: Server, log: Log, depth: int, inner: list[Snapshot]) -> None:
        for files in disk.after_power_failure(every_cut=False):
            self.disks.add(hash(frozenset(files.items())))
            self.check_records(files, Server(), log)
            inner.append(self.settle(files, server, depth - 1))


def recover(disk: SimDisk, server: Server, log: Log) -> Snapshot:
    with open_session(disk) as session:
        resolve(session, server, log)
        session.commit("ok")
        return session.snapshot


def assert_durable(disk: SimDisk) -> None:
    """9: whatever power failure follows, state and journal are as they are now."""
    assert all(kept(files) == kept(disk.files) for files in disk.after_power_failure()), "9"


def assert_agrees(snapshot: Snapshot, server: Server) -> None:
    assert not snapshot.unresolved
    for where, resource in snapshot.resources.items():
        assert json.dumps(resource.data, sort_keys=True) in server.answered, "2"
        assert resource.data == server.show(resource.name), f"3: {where}"


def assert_recovery_is_idempotent(disk: SimDisk, settled: Snapshot) -> None:
    before = disk.files
    with open_session(disk) as session:
        assert session.snapshot == settled, "5"
        session.commit("ok")
    assert disk.files == before, "5"
    assert store.read(Path(STATE), disk=disk) == settled
    if STATE in before:
        assert decode_snapshot(before[STATE], STATE) == settled


def assert_next_run_converges(disk: SimDisk, server: Server) -> None:
    lacking = [key for key in KEYS if key not in server.patched]
    disk.before = lambda: None
    run(disk, server, (APPLIED,) * 3, Log())
    assert server.requests == lacking, "8"
    state = store.read(Path(STATE), disk=disk)
    assert {a: r.data["description"] for a, r in state.resources.items()} == {address(k): desired(k) for k in KEYS}, "3"


def fresh() -> tuple[Files, Server]:
    return {}, Server()


def existing() -> tuple[Files, Server]:
    disk, server = SimDisk(), Server()
    with open_session(disk) as session:
        for key in KEYS:
            session.record(Imported(address(key), server.show(key), AT))
        session.commit("ok")
    return disk.files, server


def records_of(files: Files) -> Log:
    return Log(tuple(r for r in whole_records(files) if r["kind"] not in ("genesis", "end")))


@pytest.mark.parametrize(
    ("scripts", "resolving", "at_least"),
    [(SCRIPTS, True, 11_000), (tuple(itertools.permutations(OUTCOMES)), False, 2_500)],
    ids=["the remote is listed", "the remote can't be listed"],
)
@pytest.mark.parametrize("start", [fresh, existing])
def test_power_may_fail_at_any_point_of_a_run_and_of_the_recovery_after_it(start, scripts, resolving, at_least):
    checker = Checker()
    for script in scripts:
        files, server = start()
        log, disk = records_of(files), SimDisk(files)
        checker.snapshots.clear()
        disk.before = lambda disk=disk, server=server, log=log: checker.check(disk, server, log)
        run(disk, server, script, log, resolving=resolving)
        checker.check(disk, server, log)
        assert checker.snapshots == {files.get(STATE), disk.files[STATE]}, "6"
        assert_durable(disk)
    assert len(checker.disks) >= at_least


@pytest.mark.parametrize("start", [fresh, existing])
def test_after_a_sync_that_failed_no_later_loss_of_power_loses_what_was_told_to_be_done(start):
    checker = Checker()
    for number in numbers_of(start, "sync", "sync_data", "sync_directory"):
        disk, server, log = run_into(start, {number: errno.EIO})
        assert {operation for operation, _ in disk.operations[number + 1 :]} <= {"close"}
        checker.check(disk, server, log)
        seen = records_of(disk.files)
        seen.durable, seen.done = log.durable, log.done
        disk.before = lambda disk=disk, server=server, seen=seen: checker.check(disk, server, seen)
        settled = recover(disk, server, seen)
        assert_durable(disk)
        assert_agrees(settled, server)
    assert len(checker.disks) >= 500


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("longest_write", [None, 7])
@pytest.mark.parametrize("start", [fresh, existing])
def test_an_error_at_any_operation_stops_the_run_and_the_next_one_puts_all_right(start, longest_write, number):
    for at in numbers_of(start, longest_write=longest_write):
        disk, server, log = run_into(start, {at: number}, longest_write)
        sent = len(server.requests)
        failed = disk.operations[at][0]
        assert {operation for operation, _ in disk.operations[at + 1 :]} <= {"close"}, failed
        seen = records_of(disk.files)
        seen.durable, seen.done = log.durable, log.done
        settled = recover(disk, server, seen)
        assert len(server.requests) == sent
        assert_durable(disk)
        assert_agrees(settled, server)
        assert_next_run_converges(disk, Server(server.patched))


def test_an_error_on_closing_the_journal_comes_after_all_is_durable_and_fails_nothing():
    disk = SimDisk()
    run(disk, Server(), OUTCOMES, Log())
    closing = disk.operations.index(("close", JOURNAL))
    disk = SimDisk(faults={closing: errno.EIO})
    run(disk, Server(), OUTCOMES, Log())
    assert_durable(disk)
    open_session(disk).close()


def numbers_of(start, *operations: str, longest_write: int | None = None) -> list[int]:
    files, server = start()
    disk = SimDisk(files, longest_write=longest_write)
    run(disk, server, OUTCOMES, Log())
    wanted = operations or {operation for operation, _ in disk.operations}
    return [n for n, step in enumerate(disk.operations) if step[0] in wanted and step != ("close", JOURNAL)]


def run_into(start, faults: dict[int, int], longest_write: int | None = None) -> tuple[SimDisk, Server, Log]:
    """A run that a failing operation stops, and the machine after it."""
    files, server = start()
    disk, log = SimDisk(files, faults=faults, longest_write=longest_write), records_of(files)
    with pytest.raises(StateError):
        run(disk, server, OUTCOMES, log)
    disk.restart()
    return disk, server, log
