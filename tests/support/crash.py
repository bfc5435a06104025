"""A run and its recovery on a disk that loses power, and what must hold of whatever is left.

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

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from simdisk import Files, SimDisk

from state import store
from state.records import Applied, Begin, Deleted, Imported, Intent, Resolved, Unknown, to_json
from state.snapshot import Snapshot, decode_snapshot
from state.values import Address

STATE, JOURNAL, TEMPORARY, LOCK = "x.state.json", "x.state.journal.jsonl", "x.state.tmp", "x.state.lock"
AT = "2026-01-01T00:00:00.000Z"
KEYS = ("a", "b", "c")
APPLIED, LOST_BUT_APPLIED, LOST = "applied", "lost but applied", "lost and not applied"
SUPERSEDED = "lost, and superseded by somebody else meanwhile"
OUTCOMES = (APPLIED, LOST_BUT_APPLIED, LOST)
KINDS = {"a": "create", "b": "full update", "c": "PATCH with a rename", "d": "delete"}
"""The whole life: what is asked for each key, where it is no PATCH of the description."""
METHODS = {"create": "POST", "full update": "POST", "delete": "DELETE"}


def address(key: str) -> Address:
    return Address(f"source.{key}")


class Server:
    """Holds a description for each source of `keys`; `answered` is every source that it ever returned, as JSON.

    `patched` are the keys of which the request was carried out, `theirs` those that somebody else changed, made or
    deleted before that.
    """

    def __init__(
        self,
        patched: frozenset[str] = frozenset(),
        keys: Sequence[str] = KEYS,
        kinds: Mapping[str, str] | None = None,
        theirs: frozenset[str] = frozenset(),
    ) -> None:
        self.patched, self.keys, self.kinds, self.theirs = patched, keys, kinds or {}, theirs
        self.requests: list[str] = []
        self.answered: set[str] = set()

    def copy(self) -> Server:
        """One that has the same, and was asked nothing."""
        return Server(self.patched, self.keys, self.kinds, self.theirs)

    def kind(self, key: str) -> str:
        return self.kinds.get(key, "PATCH")

    def method(self, key: str) -> str:
        return METHODS.get(self.kind(key), "PATCH")

    def find(self, key: str) -> dict[str, object] | None:
        """The source as it is there, if it is."""
        is_patched, is_theirs, kind = key in self.patched, key in self.theirs, self.kind(key)
        if (kind == "delete" and (is_patched or is_theirs)) or (kind == "create" and not (is_patched or is_theirs)):
            return None
        name = f"{key}, renamed" if is_patched and kind == "PATCH with a rename" else key
        source = {"name": name, "description": desired(key) if is_patched else "theirs" if is_theirs else "before"}
        self.answered.add(json.dumps(source, sort_keys=True))
        return source

    def show(self, key: str) -> dict[str, object]:
        source = self.find(key)
        assert source is not None, key
        return source

    def patch(self, key: str, outcome: str) -> None:
        assert key not in self.patched, "8"
        assert not (self.kind(key) == "create" and key in self.theirs), "created twice"
        self.requests.append(key)
        if outcome in (APPLIED, LOST_BUT_APPLIED):
            self.patched |= {key}
        elif outcome == SUPERSEDED:
            self.theirs |= {key}

    @property
    def lacking(self) -> list[str]:
        """The keys of which something is left to be asked for; what somebody made or deleted is no more ours to."""
        left = [key for key in self.keys if key not in self.patched]
        return [key for key in left if key not in self.theirs or self.kind(key) not in ("create", "delete")]


def desired(key: str) -> str:
    return f"{key} as it shall be"


class Log:
    """What a person who watched the run would know, and what the test expects of any disk that it leaves."""

    def __init__(self, records: Sequence[object] = ()) -> None:
        self.records = list(records)
        self.durable = len(self.records)
        self.done: dict[Address, str | None] = {}

    def record(self, session: store.Session, record: object) -> None:
        self.records.append(to_json(record))
        session.record(record)
        self.durable = len(self.records)


def open_session(disk: SimDisk) -> store.Session:
    return store.open(Path(STATE), "apply", disk=disk, now=lambda: AT, new_lineage=lambda: "the-lineage")


def run(disk: SimDisk, server: Server, script: Sequence[str], log: Log, *, resolving: bool = True) -> None:
    """What `apply` does, less the network: changes what the state does not show as desired yet."""
    with open_session(disk) as session:
        resolve(session, server, log)
        session.probe()
        log.record(session, Begin("plan", "who", "host", "0", None, AT))
        for key, outcome in zip(server.keys, script, strict=True):
            if _is_done(session, server, key):
                continue
            change(session, disk, server, key, outcome, log)
            if resolving:
                resolve(session, server, log)
        session.commit("ok")


def _is_done(session: store.Session, server: Server, key: str) -> bool:
    """Whether nothing is left to be asked for, as far as the state tells; a create looks first whether it is there."""
    prior, kind = session.snapshot.resources.get(address(key)), server.kind(key)
    if kind == "delete":
        return prior is None
    if kind == "create" and prior is None:
        return server.find(key) is not None
    return prior is not None and prior.data["description"] == desired(key)


def change(session: store.Session, disk: SimDisk, server: Server, key: str, outcome: str, log: Log) -> None:
    before, sent = _request_of(server, key)
    log.record(session, Intent(address(key), server.method(key), key, before, sent, AT))
    disk.before()
    server.patch(key, outcome)
    disk.before()
    if outcome == APPLIED and (source := server.find(key)) is None:
        log.record(session, Deleted(address(key), 200, before, 1, AT))
        log.done[address(key)] = None
        disk.before()
    elif outcome == APPLIED:
        log.record(session, Applied(address(key), 200, source, {}, 1, AT))
        log.done[address(key)] = desired(key)
        disk.before()
    else:
        log.record(session, Unknown(address(key), "timeout", 1, AT))


def _request_of(server: Server, key: str) -> tuple[dict[str, object], dict[str, object]]:
    """The values before, and what is sent."""
    before = {"description": (server.find(key) or {}).get("description", "before")}
    match server.kind(key):
        case "create":
            return {}, {"name": key, "description": desired(key)}
        case "delete":
            return {"name": key, **before}, {}
        case "PATCH with a rename":
            return {"name": key, **before}, {"name": f"{key}, renamed", "description": desired(key)}
    return before, {"description": desired(key)}


def resolve(session: store.Session, server: Server, log: Log) -> None:
    """Look, never send."""
    for where, intent in session.unresolved.items():
        listed = server.find(intent.name)
        log.record(session, Resolved(where, *_judge(intent, listed), {}, AT))


def _judge(intent: Intent, listed: dict[str, object] | None) -> tuple[str, dict[str, object] | None]:
    if intent.method == "DELETE":
        return ("not applied" if listed else "applied"), None
    if listed is not None and listed["description"] == intent.sent["description"]:
        return "applied", listed
    if listed is None or listed["description"] == intent.before.get("description"):
        return "not applied", None
    return "superseded", None if "name" in intent.sent and not intent.before else listed


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
        elif record["kind"] in {"result", "deleted", "rejected", "resolved"}:
            found.remove(record["address"])
    return found


class Left(NamedTuple):
    """What a disk holds: the journal's records but genesis and `end`s, read without the code under test; the state."""

    records: list[object]
    open_intents: set[str]
    view: Snapshot


def read(files: Files) -> Left:
    records = whole_records(files)
    mine = [r for r in records if r["kind"] not in ("genesis", "end")]
    return Left(mine, open_intents(records), store.read(Path(STATE), disk=SimDisk(files)))


def kept(files: Files) -> Files:
    return {name: content for name, content in files.items() if name in (STATE, JOURNAL)}


class Checker:
    """Reads every disk once, settles it once with the server as it was, and remembers.

    Disks are the same to it if they differ only in what nobody reads: to read a state, any file but its own two; to
    settle it, what the temporary file holds, of which only the name counts; to settle it once more, also what was put
    aside.
    """

    def __init__(self) -> None:
        self.disks: set[int] = set()
        self.left: dict[tuple[bytes | None, bytes | None], Left] = {}
        self.settled: dict[object, tuple[int, Snapshot]] = {}
        self.settled_again: dict[tuple[bytes | None, bytes | None], Snapshot] = {}
        self.snapshots: set[bytes | None] = set()

    def check(self, disk: SimDisk, server: Server, log: Log, *, depth: int = 2) -> None:
        """All that may be left if power is lost now."""
        representative = {frozenset(files.items()) for files in disk.after_power_failure(every_cut=False)}
        for files in disk.after_power_failure():
            self.disks.add(hash(key := frozenset(files.items())))
            self.check_records(files, server, log)
            self.snapshots.add(files.get(STATE))
            self.settle(files, server, depth if key in representative else 1)

    def read(self, files: Files) -> Left:
        if (key := (files.get(STATE), files.get(JOURNAL))) not in self.left:
            self.left[key] = read(files)
        return self.left[key]

    def check_records(self, files: Files, server: Server, log: Log) -> None:
        records, unresolved, view = self.read(files)
        assert records == log.records[: len(records)], "4"
        assert len(records) >= log.durable, "4"
        intended = {r["name"] for r in records if r["kind"] == "intent"}
        assert server.patched <= intended, "1"
        for where, description in log.done.items():
            resource = view.resources.get(where)
            assert (resource and resource.data["description"]) == description, "7"
        assert view.unresolved.keys() == unresolved, "10"

    def settle(self, files: Files, server: Server, depth: int) -> Snapshot:
        """Recover and look at the remote, losing power again at every point of it; then run once more."""
        key = (
            frozenset((files | {TEMPORARY: b""} if TEMPORARY in files else files).items()),
            server.patched,
            server.theirs,
        )
        if key not in self.settled or self.settled[key][0] < depth:
            self.settled[key] = depth, self._settle(files, server, depth)
        return self.settled[key][1]

    def _settle(self, files: Files, server: Server, depth: int) -> Snapshot:
        log = Log(self.read(files).records)
        disk, remote = SimDisk(files), server.copy()
        remote.answered |= server.answered
        inner: list[Snapshot] = []
        if depth > 1:
            disk.before = lambda: self._lose_power_again(disk, remote, log, depth, inner)
        settled = recover(disk, remote, log)
        assert _is_only_replaced(disk, TEMPORARY), "its content counts, so `settle` must not leave it out of its key"
        assert not remote.requests, "8: recovery sends nothing"
        assert all(again.resources == settled.resources for again in inner), "5"
        assert_durable(disk)
        assert_agrees(settled, remote)
        self._settle_again(disk, settled, depth)
        if depth > 1:
            assert_next_run_converges(disk, remote)
        return settled

    def _settle_again(self, disk: SimDisk, settled: Snapshot, depth: int) -> None:
        key = (disk.files.get(STATE), disk.files.get(JOURNAL))
        # Of a deeper one each step is looked at.
        if depth > 1 or key not in self.settled_again:
            begun = len(disk.operations)
            assert_recovery_is_idempotent(disk, settled)
            touched = {name for _, name in disk.operations[begun:]}
            assert touched <= {STATE, JOURNAL, TEMPORARY, LOCK, "."}, "of what else is read, `key` must know"
            self.settled_again[key] = settled
        assert TEMPORARY not in disk.files
        assert self.settled_again[key] == settled, "5"

    def _lose_power_again(self, disk: SimDisk, server: Server, log: Log, depth: int, inner: list[Snapshot]) -> None:
        for files in disk.after_power_failure(every_cut=False):
            self.disks.add(hash(frozenset(files.items())))
            self.check_records(files, Server(), log)
            inner.append(self.settle(files, server, depth - 1))


def _is_only_replaced(disk: SimDisk, name: str) -> bool:
    """Whether the file that was there was removed before anything else was done to it."""
    done = [operation for operation, names in disk.operations if name in names.split()]
    return "read" not in done and (not done or done[0] in {"unlink", "create"})


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
        assert resource.data == server.show(where.partition(".")[2]), f"3: {where}"
    gone = {address(key) for key in server.keys if server.find(key) is None}
    assert not gone & snapshot.resources.keys(), "3: deleted"


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
    lacking = server.lacking
    disk.before = lambda: None
    run(disk, server, [APPLIED] * len(server.keys), Log())
    assert server.requests == lacking, "8"
    state = store.read(Path(STATE), disk=disk)
    there = [key for key in server.keys if server.find(key) and key in server.patched]
    assert {a: r.data["description"] for a, r in state.resources.items()} == {
        address(key): desired(key) for key in there
    }, "3"


def fresh(keys: Sequence[str] = KEYS) -> tuple[Files, Server]:
    return {}, Server(keys=keys)


def existing(keys: Sequence[str] = KEYS, kinds: Mapping[str, str] | None = None) -> tuple[Files, Server]:
    disk, server = SimDisk(), Server(keys=keys, kinds=kinds)
    with open_session(disk) as session:
        for key in keys:
            if (source := server.find(key)) is not None:
                session.record(Imported(address(key), source, AT))
        session.commit("ok")
    return disk.files, server


def living() -> tuple[Files, Server]:
    """A plan of a create, a full update, a PATCH with a rename and a delete."""
    return existing(tuple(KINDS), KINDS)


def records_of(files: Files) -> Log:
    return Log(tuple(r for r in whole_records(files) if r["kind"] not in ("genesis", "end")))
