"""One contract for every engine: the simulation, obstore's local store, and real servers."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ceph as real_ceph
import psycopg
import pytest
import stores
from obstore.store import LocalStore
from simengine import Fate, SimEngine, SimStore

from state import store
from state.errors import EngineRefused, EngineUnreachable, LockHeld, StateError, StateMoved
from state.places.engines import HEADER, Unsure
from state.places.engines.objects import ObjectEngine
from state.places.place import find_place
from state.places.shared import SharedPlace, Times
from state.places.urls import shared_place
from state.records import Begin, Imported
from state.snapshot import EMPTY
from state.storage import Silent
from state.values import Address

HEAD = b'{"writer":"%s"}\n' % (b"0" * 32)
OTHER = b'{"writer":"%s"}\n' % (b"1" * 32)


@pytest.fixture(scope="module")
def ceph():
    with stores.a_folder() as folder, real_ceph.ceph(folder) as server:
        yield server


KINDS = ["simulation", "local store", "postgres", "pgbouncer", "moto", "azurite"]
if os.environ.get("STATFORM_SOAK"):
    KINDS.append("ceph")


@pytest.fixture(params=KINDS)
def connect(request, tmp_path, monkeypatch):
    """Makes engines of one new state."""
    match request.param:
        case "simulation":
            sim = SimStore()
            return lambda: SimEngine(sim)
        case "local store":
            return lambda: ObjectEngine(LocalStore(str(tmp_path)), "p/x", "here")
        case kind:
            server = request.getfixturevalue(kind)
            for name, value in server.environ.items():
                monkeypatch.setenv(name, value)
            return place(server, f"{stores.own(tmp_path)}/x").connect


def place(server, name) -> SharedPlace:
    return shared_place(server.url, name, os.environ)


@pytest.fixture
def engine(connect):
    found = connect()
    yield found
    found.close()


def test_a_new_store_has_no_piece_and_no_snapshot(engine):
    assert engine.get(0) is None
    assert list(engine.tail(0)) == list(engine.tail(46)) == []
    assert engine.load_snapshot() is None


def test_a_piece_is_made_once_and_never_changes(engine, connect):
    first, second = HEAD + b"one\n", HEAD + b"two\n"
    assert engine.create(0, first)
    assert not engine.create(0, second)
    assert not engine.create(0, first)
    other = connect()
    assert other.get(0) == first
    assert other.create(4, second)
    assert list(engine.tail(0)) == [(0, first), (4, second)]
    assert list(engine.tail(4)) == [(4, second)]
    assert list(engine.tail(8)) == []
    other.close()


def test_of_all_who_make_the_same_piece_one_succeeds(connect):
    writers, at, count = [connect() for _ in range(6)], 0, 12
    writers[0].create(0, HEAD + b"first\n")
    for n in range(count):
        at = 6 + 2 * n
        start = threading.Barrier(len(writers))

        def race(number, at=at, start=start):
            start.wait()
            body = b'{"writer":"%032d"}\n' % number + b"x\n"
            try:
                return (body, writers[number].create(at, body))
            except Unsure:
                return (body, writers[number].get(at) == body)

        with ThreadPoolExecutor(len(writers)) as pool:
            results = list(pool.map(race, range(len(writers))))
        winners = [body for body, is_mine in results if is_mine]
        assert [writers[-1].get(at)] == winners
    assert len(list(writers[1].tail(0))) == count + 1
    for one in writers:
        one.close()


def test_a_snapshot_replaces_the_one_before(engine):
    engine.create(0, HEAD + b"line\n")
    for raw in (b"first", b"second \xff\0"):
        engine.save_snapshot(raw, 5)
        assert engine.load_snapshot() == raw


def test_idle_is_the_time_since_the_piece_or_the_last_beat_by_the_store_s_clock(engine):
    writer = "a" * 32
    engine.create(0, HEAD + b"line\n")
    assert -1 <= engine.idle(0, writer) < 3
    passed = 2.5
    engine._store.sleep(passed) if isinstance(engine, SimEngine) else time.sleep(passed)
    idle = engine.idle(0, writer)
    assert 1 < idle < 10
    engine.beat("b" * 32)
    assert engine.idle(0, writer) >= idle
    engine.beat(writer)
    assert engine.idle(0, writer) < idle
    engine.beat(writer)


def test_a_store_that_keeps_the_condition_passes_the_proof(engine):
    engine.create(0, HEAD + b"line\n")
    for _ in range(2):
        engine.prove()


def test_a_run_is_read_back_and_the_next_one_is_told_who_is_at_work(connect):
    where = SharedPlace("there", connect, times=Times(poll=0.1))
    begin = Begin(None, "deploy", "runner-7", "0", None, "2026-01-01T10:33:00.000Z")
    assert store.read(where) == EMPTY
    with store.open(where, "import") as session:
        session.probe()
        session.record(begin)
        for n in range(70):
            session.record(Imported(Address(f"source.{n}"), {"name": f"ä{n}"}, "t"))
        assert store.read(where) == session.snapshot
        with pytest.raises(LockHeld, match=r"deploy on runner-7, since 2026-01-01 10:33:00Z, last heard of"):
            store.open(where._replace(patience_s=0), "apply")
        session.commit("ok")
        written = session.snapshot
    assert store.read(where) == written
    assert store.verify(where).record_count == 73
    for _ in range(3):
        with store.open(where, "apply") as session:
            assert session.snapshot.resources == written.resources
            session.record(begin)
            session.commit("ok")
    assert store.rebuild(where).serial == 4
    assert store.verify(where).record_count == 79


def test_a_run_about_to_be_refused_is_told_that_the_state_changed_since_it_was_read():
    sim = SimStore()
    begin = Begin(None, "deploy", "runner-7", "0", None, "2026-01-01T10:33:00.000Z")
    with store.open(sim.place(), "apply") as first:
        first.record(begin)
        first.commit("ok")
    with store.open(sim.place(), "apply") as late:
        late.check_current()
        with store.open(sim.place(), "apply") as other:
            other.record(begin)
            with pytest.raises(StateMoved, match="deploy on runner-7, 2026-01-01 10:33:00Z"):
                late.check_current()
            other.check_current()
            other.commit("ok")
    with store.open(sim.place(), "apply") as late:
        sim.fates = {number: Fate("lost") for number in range(len(sim.calls), len(sim.calls) + 200)}
        late.check_current()


def test_packs_have_the_lines_of_their_pieces_and_are_read_instead_of_them(tmp_path):
    objects = LocalStore(str(tmp_path))
    where = SharedPlace("there", lambda: ObjectEngine(objects, "p/x", "there"))
    for run in range(5):
        with store.open(where, "import") as session:
            for n in range(70 if run % 2 == 0 else 3):
                session.record(Imported(Address(f"source.{n}"), {"name": f"{run}"}, "t"))
            session.commit("ok")
    packs = sorted((tmp_path / "p/x/pack").iterdir())
    assert len(packs) == 3
    chain = store.verify(where)
    pieces = sorted((tmp_path / "p/x/journal").iterdir())
    assert b"".join(piece.read_bytes()[HEADER:] for piece in pieces) == chain.lines
    start, end = map(int, packs[-1].name.split("-"))
    assert packs[-1].read_bytes()[HEADER:] == chain.lines[start:end]
    for piece in pieces[:150]:
        piece.unlink()
    assert store.verify(where) == chain
    for pack in packs[:1]:
        pack.unlink()
    with pytest.raises(StateError, match="missing, but"):
        store.verify(where)


def test_many_packs_are_put_into_one(tmp_path, monkeypatch):
    monkeypatch.setattr("state.places.engines.objects._PACKED_FROM", 2)
    monkeypatch.setattr("state.places.engines.objects._FEW_PACKS", 4)
    where = SharedPlace("there", lambda: ObjectEngine(LocalStore(str(tmp_path)), "p/x", "there"))
    for run in range(12):
        with store.open(where, "import") as session:
            session.record(Imported(Address("source.a"), {"name": f"{run}"}, "t"))
            session.commit("ok")
    chain = store.verify(where)
    whole = [one.name for one in (tmp_path / "p/x/pack").iterdir() if one.name.startswith("0" * 20)]
    assert max(int(name.split("-")[1]) for name in whole) > chain.end // 3
    engine = ObjectEngine(LocalStore(str(tmp_path)), "p/x", "there")
    assert len(list(engine.tail(0))) <= 6


def test_a_store_that_ignores_the_condition_is_refused_before_anything_is_recorded(monkeypatch):
    with stores.a_folder() as folder, stores.rclone(folder) as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        where = place(server, "x")
        with (
            store.open(where, "apply") as session,
            pytest.raises(EngineRefused, match="ignores If-None-Match") as raised,
        ):
            session.probe()
        assert "two runs could write at once" in str(raised.value)
        with store.open(where, "import") as session, pytest.raises(EngineRefused, match="ignores If-None-Match"):
            session.record(Begin(None, "who", "host", "0", None, "t"))
        assert store.read(where) == EMPTY
        assert not list(Path(folder).rglob("journal/*"))


def test_a_missing_bucket_is_refused_at_once(moto, monkeypatch):
    for name, value in moto.environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EngineRefused, match="no such bucket"):
        store.read(place(moto._replace(url="s3://another"), "x"))


def test_a_missing_database_or_user_is_refused_at_once(postgres):
    for url in (postgres.url.replace("/postgres", "/nothing"), postgres.url.replace("statform@", "nobody@")):
        with pytest.raises(EngineRefused, match="does not exist"):
            store.read(place(postgres._replace(url=url), "x"))


def test_a_role_that_may_only_read_can_read_and_is_told_what_a_record_needs(postgres, tmp_path):
    name = f"{stores.own(tmp_path)}/x"
    with store.open(place(postgres, name), "import") as session:
        session.record(Begin(None, "who", "host", "0", None, "t"))
        session.commit("ok")
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("create role looker login")
        connection.execute("grant usage on schema statform to looker")
        connection.execute("grant select on all tables in schema statform to looker")
    reading = place(postgres._replace(url=postgres.url.replace("statform@", "looker@")), name)
    assert store.read(reading).serial == 1
    with store.open(reading, "apply") as session, pytest.raises(EngineRefused, match="permission denied") as raised:
        session.record(Begin(None, "who", "host", "0", None, "t"))
    assert "insert on journal" in str(raised.value)


def test_a_server_that_may_forget_what_it_confirmed_is_refused(postgres, tmp_path):
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("create role hasty superuser login")
        connection.execute("alter role hasty set synchronous_commit = off")
    where = place(postgres._replace(url=postgres.url.replace("statform@", "hasty@")), f"{stores.own(tmp_path)}/x")
    with store.open(where, "apply") as session, pytest.raises(EngineRefused, match="synchronous_commit is off"):
        session.probe()


def test_a_tail_that_a_failover_lost_is_noticed_by_the_next_append(postgres, tmp_path):
    name = f"{stores.own(tmp_path)}/x"
    where = place(postgres, name)._replace(times=Times(answer=0.5))
    with store.open(where, "import") as session:
        session.record(Begin(None, "who", "host", "0", None, "t"))
        session.record(Imported(Address("source.a"), {"name": "a"}, "t"))
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("delete from statform.journal where state = %s and start > 0", (name,))
        with pytest.raises(EngineUnreachable, match="it is not there"):
            session.record(Imported(Address("source.b"), {"name": "b"}, "t"))


def test_a_wait_for_a_server_that_stands_still_ends_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr("state.places.engines.postgres._ANSWER_S", 0.5)
    with stores.a_folder() as folder, stores.postgres(folder) as server:
        where = place(server._replace(url=f"{server.url}?connect_timeout=2"), "x")._replace(times=Times(answer=1.0))
        with store.open(where, "import") as session:
            session.record(Begin(None, "who", "host", "0", None, "t"))
            for pid in stores.family(server.pid):
                os.kill(pid, signal.SIGSTOP)
            try:
                with pytest.raises(EngineUnreachable, match="no answer for 1 s") as raised:
                    session.record(Imported(Address("source.b"), {"name": "b"}, "t"))
            finally:
                for pid in stores.family(server.pid):
                    os.kill(pid, signal.SIGCONT)
        assert "The next run finds out whether the last record is there" in str(raised.value)
        assert raised.value.exit_code == 3


def test_a_store_that_does_not_answer_is_reported_once_before_the_run_gives_up():
    sim, told = SimStore({number: Fate("lost") for number in range(200)}), []
    with pytest.raises(EngineUnreachable, match="no answer for 60 s: simulated\nNothing was changed"):
        store.read(sim.place()._replace(told=told.append))
    assert [(one.where, one.reason, 50 < one.left_s < 58) for one in told] == [("sim://x", "simulated", True)]
    assert isinstance(told[0], Silent)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://me:secret@host/db", "there is a password in the URL"),
        ("postgresql://me@host/db?password=secret", "there is a password in the URL"),
        ("ftp://host/secret", "not an absolute folder, and not a known kind of URL"),
        ("states/secret", "not an absolute folder, and not a known kind of URL"),
        ("s3://key:secret@bucket/x", "there is a password in the URL"),
        ("s3://key@bucket/secret", "it must have only a bucket and a prefix"),
        ("s3:///secret", "it must have only a bucket and a prefix"),
        ("s3://bucket/x?secret", "it must have only a bucket and a prefix"),
        ("postgresql://[secret/x", "not a URL"),
    ],
)
def test_an_unusable_url_is_refused_and_not_shown(url, message):
    with pytest.raises(StateError, match=message) as raised:
        find_place("project", "x.state.json", None, {"STATFORM_STATE": url})
    assert "secret" not in str(raised.value)


PROVEN = {"sslmode": "verify-full", "require_auth": "scram-sha-256"}


@pytest.mark.parametrize(
    ("url", "environ", "asked"),
    [
        ("postgresql://me@db.example/d", {}, {**PROVEN, "user": "me", "dbname": "d", "sslrootcert": "system"}),
        ("postgresql://db.example:6543/d?sslrootcert=ca.pem", {}, {**PROVEN, "port": "6543", "sslrootcert": "ca.pem"}),
        ("postgresql://db.example/d", {"PGSSLROOTCERT": "ca.pem"}, {**PROVEN, "sslrootcert": None}),
        ("postgresql:///d", {"PGHOST": "db.example"}, PROVEN),
        ("postgresql://localhost/d?hostaddr=192.0.2.1", {}, PROVEN),
        ("postgresql://db.example/d?sslmode=disable", {}, {"sslmode": "disable"}),
        ("postgresql://127.0.0.1/d", {}, {"sslmode": None, "require_auth": None}),
        ("postgresql:///d", {"PGHOST": "/run/postgresql"}, {"sslmode": None, "require_auth": None}),
    ],
)
def test_a_postgresql_on_another_machine_has_to_prove_its_identity(monkeypatch, url, environ, asked):
    def connect(conninfo, **_):
        seen.update(psycopg.conninfo.conninfo_to_dict(conninfo))
        raise psycopg.OperationalError("nobody is there")

    seen = {}
    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(Unsure):
        shared_place(url, "x.state", environ).connect().tail(0)
    assert {name: seen.get(name) for name in asked} == asked


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("s3://b/p", "objects", "s3"),
        ("gs://b/p", "objects", "gcs"),
        ("az://b/p", "objects", "azure"),
        ("postgresql://h/d", "postgres", "postgres"),
    ],
)
def test_the_error_of_a_missing_driver_names_its_extra(monkeypatch, url, module, extra):
    monkeypatch.setitem(sys.modules, f"state.places.engines.{module}", None)
    place = find_place("project", "x.state.json", "lineage", {"STATFORM_STATE": url})
    with pytest.raises(
        StateError, match=rf"statform\[{extra}\] is not installed: .*\npip install 'statform\[{extra}\]'"
    ):
        store.read(place)


def test_plain_http_is_allowed_only_on_this_machine(monkeypatch):
    environ = {"STATFORM_STATE": "s3://bucket/x", "AWS_ENDPOINT_URL": "http://example.com", "AWS_ALLOW_HTTP": "true"}
    with pytest.raises(StateError, match="AWS_ENDPOINT_URL is plain http"):
        store.read(find_place("project", "x.state.json", "lineage", environ))


def test_the_environment_says_where_a_state_is_and_the_project_says_which_one():
    assert str(find_place("project", "x.state.json", None, {})) == "project/x.state.json"
    assert str(find_place("project", "x.state.json", None, {"STATFORM_STATE": "/states"})) == "/states/x.state.json"
    for url, shown in (
        ("s3://acme/wh/", "s3://acme/wh/x.state"),
        ("gs://acme", "gs://acme/x.state"),
        ("postgresql://me@host:1/db#wh", "postgresql://me@host:1/db#wh/x.state"),
    ):
        assert str(find_place("project", "x.state.json", "lineage", {"STATFORM_STATE": url})) == shown
    for environ in ({}, {"STATFORM_STATE": "/states"}):
        with pytest.raises(StateError, match="shared, with the lineage fb23") as raised:
            find_place("project", "x.state.json", "fb23", environ)
        assert "STATFORM_STATE" in str(raised.value)


def test_a_state_of_another_project_is_refused_to_readers_and_writers():
    sim = SimStore()
    for lineage, message in (
        ("", "no state is there\n`statform state push`"),
        ("mine", "no state is there; this project's state has the lineage mine"),
    ):
        check_refused(sim.place()._replace(lineage=lineage), message)
    with store.open(sim.place(), "import", new_lineage=lambda: "theirs") as session:
        session.record(Begin(None, "who", "host", "0", None, "t"))
        session.commit("ok")
    for lineage, message in (
        (
            "",
            'its lineage is theirs\nIf it is this project\'s, say so in [statform] of statform.toml: shared = "theirs"',
        ),
        ("mine", "its lineage is theirs; this project's state has the lineage mine"),
    ):
        check_refused(sim.place()._replace(lineage=lineage), message)
    assert store.read(sim.place()._replace(lineage="theirs")).serial == 1


def check_refused(where, message):
    for use in (store.read, store.verify, store.read_journal, lambda where: store.open(where, "apply")):
        with pytest.raises(StateError) as raised:
            use(where)
        assert message in str(raised.value)
