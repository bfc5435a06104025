"""What a network and a server can do to an apply: each ends in the class that the design gives it, the state is right.

Real sockets and a real state; the waiting between attempts takes no time.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import tempfile
import tracemalloc
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import repeat
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import trustme
from attrs import define, evolve, field
from canary import KEY
from faketime import START, FakeTime
from hypothesis import given, settings
from hypothesis import strategies as st
from rawserver import HONEST, Act, RawServer, answer, serve
from strategies import toml_value

from planner.apply.report import Event, Report, Waiting
from planner.apply.sending.effects import Effects
from planner.apply.sending.resolve import resolve
from planner.apply.sending.send import apply_plan
from planner.apply.sending.waits import LIMIT_BUDGET_S
from planner.console.client import Client
from planner.console.key import ApiKey
from planner.console.transport import MAX_ANSWER_BYTES
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.errors import KeyRefused, OverLimit, Unreachable
from planner.pacing import Window
from planner.plan.build import build_plan
from state import store
from state.records import Imported, Intent, Record, Rejected, Resolved, Unknown
from state.session import Session
from state.values import Address

DEADLINE_S = 0.4
A = Address("assignment_source.a")


def source(name: str, **fields: Any) -> dict[str, Any]:
    columns = {"timestampColumn": "ts", "experimentIDColumn": "e", "groupIDColumn": "g", "idTypeMapping": []}
    return {"name": name, "description": "before", "tags": [], "sql": "SELECT 1", **columns, **fields}


def definition(key: str, **values: Any) -> str:
    return "\n".join([f"[assignment_source.{key}]", *(f"{k} = {toml_value(v)}" for k, v in values.items()), ""])


@define
class Bench:
    """A state that agrees with a server's sources, and a client between them."""

    api: RawServer
    session: Session
    client: Client
    time: FakeTime
    records: list[Record] = field(factory=list)
    events: list[Event] = field(factory=list)
    clients: list[Client] = field(factory=list)

    def connect(self, url: str = "", **options: Any) -> Client:
        """Another client, with a connection of its own."""
        self.clients.append(Client(url or self.api.url, ApiKey(KEY), self.time.clock, **options))
        return self.clients[-1]

    def apply(self, *definitions: str, client: Client | None = None) -> Report:
        """Plan these definitions and apply the plan; `records` are those of this run."""
        plan = build_plan(parse_definitions({"statform.toml": "\n".join(definitions).encode()}), self.session.snapshot)
        self.records.clear()

        def record(one: Record) -> None:
            self.session.record(one)
            self.records.append(one)

        shield = contextlib.nullcontext
        effects = Effects(record, self.events.append, shield, self.time.clock, [Window(10**9, 1.0)], [])
        return apply_plan(plan, client or self.client, effects)

    @property
    def state(self) -> dict[str, Any]:
        """What the state says, as the server would."""
        return {one.name: dict(one.data) for one in self.session.snapshot.resources.values()}

    @property
    def outcomes(self) -> list[Record]:
        return [one for one in self.records if not isinstance(one, Intent)]

    def check(self, *, patches: int = -1) -> None:
        """State and server agree, nothing is open, and nothing was sent again without a look in between."""
        assert self.state == self.api.sources
        assert not self.session.unresolved
        pairs = zip(self.api.log, self.api.log[1:], strict=False)
        assert not [one for one, after in pairs if one.method == "PATCH" and one.raw == after.raw]
        assert KEY.removeprefix("console-") not in repr(self.session.snapshot) + repr(self.records)
        if patches >= 0:
            assert self.api.methods().count("P") == patches


@contextlib.contextmanager
def bench(directory: Path, *sources: dict[str, Any], deadline_s: float = 5.0, **tls: Any) -> Iterator[Bench]:
    time = FakeTime()
    with serve(sources, **tls) as api, store.open(directory / "x.json", "test", now=time.clock.timestamp) as session:
        for one in sources:
            session.record(Imported(Address(f"assignment_source.{one['name']}"), one, time.clock.timestamp()))
        client = Client(api.url, ApiKey(KEY), time.clock, deadline_s=deadline_s)
        made = Bench(api, session, client, time, clients=[client])
        try:
            yield made
        finally:
            for one in made.clients:
                one.close()


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path, source("a")) as made:
        yield made


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Bench]:
    """With a deadline that a test can wait for."""
    with bench(tmp_path, source("a"), deadline_s=DEADLINE_S) as made:
        yield made


def kinds(records: list[Record]) -> list[str]:
    return [r.verdict if isinstance(r, Resolved) else r.kind for r in records]


def settled(bench: Bench, act: Act, *expected: str) -> Report:
    """An update whose first answer is `act`, and then the outcomes, and agreement."""
    bench.api.patches = [act]
    report = bench.apply(definition("a", description="after"))
    assert (kinds(bench.outcomes), report.exit_code) == ([*expected], 0), (bench.outcomes, report)
    assert bench.api.sources["a"]["description"] == "after"
    bench.check(patches=2 if "not applied" in expected or expected[0] == "rejected" else 1)
    return report


def unknown_either_way(bench: Bench, act: Act, applies: bool) -> None:
    """It may have happened, or not: a look tells, and what did not happen is sent again."""
    outcomes = ["applied"] if applies else ["not applied", "result"]
    settled(bench, evolve(act, applies=applies), "unknown", *outcomes)


either_way = pytest.mark.parametrize("applies", [True, False], ids=["applied", "not applied"])


# The connection


@either_way
def test_a_connection_cut_at_any_byte_of_the_answer(one: Bench, applies: bool) -> None:
    for cut in range(1000):
        one.api.log.clear()
        one.api.patches = [Act(cut=cut, applies=applies)]
        report = one.apply(definition("a", description=f"{cut % 10}"))
        assert report.exit_code == 0, report
        if kinds(one.outcomes) == ["result"]:
            break
        assert kinds(one.outcomes) == (["unknown", "applied"] if applies else ["unknown", "not applied", "result"])
        assert one.api.sources["a"]["description"] == f"{cut % 10}"
        one.check(patches=1 if applies else 2)
    # The whole answer arrived, and no byte less than that was taken for it.
    data = one.session.snapshot.resources[A].data
    assert cut == len(answer(200, {"message": "Assignment Source updated successfully", "data": dict(data)}))


WHOLE = {**source("a"), "idTypeMapping": [{"statsigUnitID": "userID", "column": "user_id"}]}
REMOVED = '[[removed]]\nfrom = "assignment_source.gone"\ndelete = true\n'
# What is defined, and the sources that there are then.
LIFE = {
    "a create": (definition("b", **{k: v for k, v in WHOLE.items() if k != "name"}), {"a", "gone", "b"}),
    "a full update": (definition("a", sql="SELECT 2"), {"a", "gone"}),
    "a rename": (definition("a", description="after", name="c"), {"c", "gone"}),
    "a delete": (REMOVED, {"a"}),
}
ACTS = [*(Act(cut=cut) for cut in (0, 1, 40, 110)), Act(cut=20, resets=True), Act(answer=answer(502))]
NOT_READ = [Act(reads=reads) for reads in ("nothing", "head", "half")]


@pytest.mark.parametrize("act", [*ACTS, *(evolve(act, applies=False) for act in ACTS), *NOT_READ], ids=repr)
@pytest.mark.parametrize(("changed", "there"), LIFE.values(), ids=LIFE.keys())
def test_a_connection_cut_in_a_create_a_full_update_a_rename_or_a_delete(
    tmp_path: Path, changed: str, there: set[str], act: Act
) -> None:
    """It is known at once or when its deadline is over, and carried out once."""
    kept = "".join(definition(key) for key in ("a", "gone") if f"source.{key}" not in changed)
    with bench(tmp_path, source("a"), source("gone")) as made:
        made.api.patches = [act]
        made.apply(kept + changed)
        assert not made.api.patches
        made.time.seconds += 400
        recover(made)
        made.apply(kept + changed)
        assert (made.state, {*made.api.sources}) == (made.api.sources, there)
        assert not made.session.unresolved
        plan = build_plan(parse_definitions({"statform.toml": (kept + changed).encode()}), made.session.snapshot)
        assert not plan.changes
        refused = [one for one in made.records if isinstance(one, Rejected)]
        assert not refused


@pytest.mark.parametrize("reads", ["nothing", "head", "half"])
def test_a_connection_cut_while_the_request_is_read(one: Bench, reads: Any) -> None:
    settled(one, Act(reads=reads), "unknown", "not applied", "result")


@either_way
@pytest.mark.parametrize("cut", [0, 5, 40, 200])
def test_a_connection_that_is_reset(one: Bench, cut: int, applies: bool) -> None:
    unknown_either_way(one, Act(cut=cut, resets=True), applies)


SLOW = {
    "no byte in time": Act(delay_s=1.0),
    "a status line by the drop": Act(drips=range(9), pause_s=0.05),
    "headers by the drop": Act(drips=range(30, 60), pause_s=0.02),
    "a body by the drop": Act(drips=range(100, 200), pause_s=0.02),
    "a head without an end": Act(cut=None, answer=b"HTTP/1.1 200 OK\r\nx: y\r\n"),
    "a body without its last byte": Act(answer=lambda honest: honest[:-1]),
    "nothing but 100 Continue": Act(answer=lambda _: repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
}


@either_way
@pytest.mark.parametrize("act", SLOW.values(), ids=SLOW.keys())
def test_an_answer_that_takes_too_long(hasty: Bench, act: Act, applies: bool, request: pytest.FixtureRequest) -> None:
    unknown_either_way(hasty, act, applies)
    unknown = next(one for one in hasty.outcomes if isinstance(one, Unknown))
    # The one is said of an exchange, the other of a read, and nothing else makes these end.
    assert unknown.reason in {f"no whole answer within {DEADLINE_S} s", "no answer in time: timed out"}
    assert "drop" not in request.node.callspec.id or unknown.reason.startswith("no whole answer")


def test_a_connection_that_is_made_too_late_is_not_waited_for(hasty: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection

    def connect_late(*args: Any, **kwargs: Any) -> socket.socket:
        sleep(1.5 * DEADLINE_S)
        monkeypatch.undo()
        return connect(*args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", connect_late)
    assert hasty.apply(definition("a", description="after")).exit_code == 0
    assert kinds(hasty.outcomes) == ["unknown", "not applied", "result"]
    hasty.check(patches=1)


@either_way
def test_an_idle_connection_that_the_server_closed(tmp_path: Path, applies: bool) -> None:
    with bench(tmp_path, source("a"), source("b"), source("c")) as three:
        # All of the first answer, and then the end.
        three.api.patches = [Act(cut=10_000)] if applies else [Act(), Act(reads="nothing")]
        report = three.apply(*(definition(key, description="t") for key in "abc"))
        assert report.exit_code == 0
        three.check()
        assert three.api.connections > 1


def test_a_port_where_nobody_listens_is_tried_again_and_ends_the_run(tmp_path: Path) -> None:
    with bench(tmp_path, source("a"), source("b")) as two:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            url = f"http://127.0.0.1:{gone.getsockname()[1]}"
        client = two.connect(url)
        report = two.apply(definition("a", description="t"), definition("b", description="t"), client=client)
        check_unreachable(two, report, "no connection", attempts=5)
        assert report.not_attempted == ("assignment_source.b",)
        # Full jitter, at its most.
        assert two.time.seconds == 1 + 2 + 4 + 8
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+: no connection"):
            client.list(ASSIGNMENT_SOURCE)


def check_unreachable(bench: Bench, report: Report, why: str, attempts: int) -> None:
    assert isinstance(report.stopped_by, Unreachable)
    assert (report.exit_code, why in str(report.stopped_by)) == (3, True), report.stopped_by
    assert kinds(bench.outcomes) == ["rejected"] * attempts
    assert why in report.rejected[A]
    bench.check(patches=0)


def test_a_host_name_that_can_not_be_resolved(one: Bench) -> None:
    client = one.connect("https://statform.invalid")
    report = one.apply(definition("a", description="t"), client=client)
    check_unreachable(one, report, "no connection", attempts=5)


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


def test_a_certificate_of_a_trusted_authority(trusted: trustme.CA, tmp_path: Path) -> None:
    with bench(tmp_path, source("a"), tls=tls(trusted.issue_cert("localhost"))) as one:
        settled(one, HONEST, "result")
        assert one.api.connections == 1


@either_way
def test_the_deadline_holds_under_tls_too(trusted: trustme.CA, tmp_path: Path, applies: bool) -> None:
    certificate = tls(trusted.issue_cert("localhost"))
    with bench(tmp_path, source("a"), tls=certificate, deadline_s=DEADLINE_S) as one:
        unknown_either_way(one, Act(drips=range(100, 200), pause_s=0.02), applies)


PAST = datetime(2020, 1, 1, tzinfo=timezone.utc)
BAD_CERTIFICATES = {
    "expired": ({"not_before": PAST - timedelta(days=9), "not_after": PAST}, "localhost", "has expired"),
    "of another host": ({}, "example.invalid", "mismatch"),
}


@pytest.mark.parametrize(("validity", "host", "why"), BAD_CERTIFICATES.values(), ids=BAD_CERTIFICATES.keys())
def test_a_bad_certificate_is_said_plainly_and_not_tried_again(
    trusted: trustme.CA, tmp_path: Path, validity: dict[str, datetime], host: str, why: str
) -> None:
    with bench(tmp_path, source("a"), tls=tls(trusted.issue_cert(host, **validity))) as one:
        check_certificate(one, why)


def test_a_certificate_of_an_unknown_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with bench(tmp_path, source("a"), tls=tls(trustme.CA().issue_cert("localhost"))) as one:
        check_certificate(one, "unable to get local issuer")


def check_certificate(bench: Bench, why: str) -> None:
    report = bench.apply(definition("a", description="t"))
    check_unreachable(bench, report, "certificate verify failed", attempts=1)
    assert why in str(report.stopped_by)
    with pytest.raises(Unreachable, match="certificate verify failed"):
        bench.client.list(ASSIGNMENT_SOURCE)
    assert (bench.api.connections, bench.api.log, bench.time.slept) == (2, [], [])


def test_a_server_that_does_not_speak_tls(hasty: Bench) -> None:
    client = hasty.connect(hasty.api.url.replace("http:", "https:"), deadline_s=DEADLINE_S)
    report = hasty.apply(definition("a", description="t"), client=client)
    check_unreachable(hasty, report, "no connection in time", attempts=5)


# The status


@either_way
@pytest.mark.parametrize(
    "status", [500, 501, 502, 503, 504, 520, 599, 999, 408, 300, 301, 302, 303, 304, 307, 308, 101]
)
def test_a_status_after_which_nobody_knows(one: Bench, status: int, applies: bool) -> None:
    unknown_either_way(one, Act(answer=answer(status)), applies)


@either_way
@pytest.mark.parametrize("status", [500, 503, 408])
def test_a_server_that_fails_for_ever_is_given_up(tmp_path: Path, status: int, applies: bool) -> None:
    with bench(tmp_path, source("a"), source("b")) as two:
        two.api.patches = [Act(answer=answer(status, {"message": "m"}), applies=applies)] * 3
        report = two.apply(definition("a", description="t"), definition("b", description="t"))
        if applies:
            assert report.exit_code == 0
        else:
            assert kinds(two.outcomes) == ["unknown", "not applied"] * 3 + ["result"]
            assert report.rejected == {A: f"it did not happen: the API answered {status}: m"}
            assert [action.address for action in report.applied] == ["assignment_source.b"]
            assert report.exit_code == 1
        two.check()


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 410, 412, 413, 415, 418, 422, 423, 431, 451, 499])
def test_a_status_that_refuses_is_final_and_the_others_go_on(tmp_path: Path, status: int) -> None:
    with bench(tmp_path, source("a"), source("b")) as two:
        two.api.patches = [Act(answer=answer(status, {"status": status, "message": "no"}), applies=False)]
        report = two.apply(definition("a", description="t"), definition("b", description="t"))
        assert kinds(two.outcomes) == ["rejected", "result"]
        assert (report.rejected, report.exit_code) == ({A: f"{status}: no"}, 1)
        assert two.state == two.api.sources
        assert two.api.methods() == "PP"


def test_a_key_that_is_refused_ends_the_run(tmp_path: Path) -> None:
    with bench(tmp_path, source("a"), source("b")) as two:
        message = f"This endpoint only accepts an active CONSOLE key, but an invalid key was sent. Key: {KEY}"
        two.api.patches = [Act(answer=answer(401, {"message": message}), applies=False)]
        report = two.apply(definition("a", description="t"), definition("b", description="t"))
        assert isinstance(report.stopped_by, KeyRefused)
        assert report.exit_code == 3
        assert KEY not in str(report.stopped_by)
        assert report.not_attempted == ("assignment_source.b",)
        two.check(patches=1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["{}/console/v1", "//{}/x", "\x01", "http://[", "ftp://{}", "/elsewhere"])
def test_no_redirect_is_followed_since_the_key_would_travel(one: Bench, status: int, location: str) -> None:
    with serve() as other:
        header = f"location: {location.format(other.url if location[0] == '{' else other.url.partition('//')[2])}"
        one.api.lists = [Act(answer=answer(status, None, header))]
        one.api.patches = [Act(answer=answer(status, None, header))]
        report = one.apply(definition("a", description="t"))
        # The list is redirected too: what became of the request stays unknown.
        assert kinds(one.outcomes)[0] == "unknown"
        assert "\x01" in location or isinstance(report.stopped_by, Unreachable)
        assert other.connections == 0
        assert {seen.target.partition("?")[0].rpartition("/")[0] for seen in one.api.log} <= {
            "/console/v1/experiments", "/console/v1/experiments/assignment_source",
        }  # fmt: skip


LATER = format_datetime(START + timedelta(seconds=107), usegmt=True)
ASKED = {
    "seconds": (["retry-after: 7"], 7),
    "a date": ([f"retry-after: {LATER}"], 107),
    "a date, by the server's own clock": (
        [f"retry-after: {LATER}", f"date: {format_datetime(START + timedelta(seconds=98), usegmt=True)}"], 9,
    ),
    "a date, and one of the server's that is none": ([f"retry-after: {LATER}", "date: yesterday"], 107),
    "several": (["retry-after: 3", "retry-after: 8", "retry-after: 5"], 8),
    "several, of which one is usable": (["retry-after: soon", "retry-after: 8"], 8),
    "nothing": ([], 15),
    "a date that is over": ([f"retry-after: {format_datetime(START - timedelta(days=1), usegmt=True)}"], 15),
    "no time at all": (["retry-after: 0"], 15),
    "a time before now": (["retry-after: -5"], 15),
    "a fraction": (["retry-after: 1.5"], 15),
    "garbage": (["retry-after: \x7f soon \xe9"], 15),
    "several in one": (["retry-after: 5, 6"], 15),
    "digits that are not ASCII's": (["retry-after: \u0665".encode().decode("latin-1")], 15),
    "an empty value": (["retry-after:"], 15),
}  # fmt: skip


@pytest.mark.parametrize(("headers", "seconds"), ASKED.values(), ids=ASKED.keys())
def test_over_the_limit_the_run_waits_as_long_as_it_is_asked_to(one: Bench, headers: list[str], seconds: float) -> None:
    act = Act(answer=answer(429, {"message": "Too many"}, *headers), applies=False)
    one.api.patches = [act]
    report = one.apply(definition("a", description="after"))
    assert (kinds(one.outcomes), report.exit_code) == (["rejected", "result"], 0)
    assert one.time.seconds == seconds
    assert one.state == one.api.sources
    shown = [event.seconds for event in one.events if isinstance(event, Waiting)]
    assert shown == pytest.approx([seconds - done for done in range(int(seconds))])


@pytest.mark.parametrize("asked", ["1801", "999999999999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_limit_that_lasts_too_long_ends_the_run(one: Bench, asked: str) -> None:
    one.api.patches = [Act(answer=answer(429, {"message": "Too many"}, f"retry-after: {asked}"), applies=False)]
    report = one.apply(definition("a", description="t"))
    assert isinstance(report.stopped_by, OverLimit)
    assert (report.exit_code, one.time.seconds) == (3, 0)
    one.check(patches=1)


def test_a_limit_without_an_end_ends_the_run(one: Bench) -> None:
    one.api.patches = [Act(answer=answer(429), applies=False)] * 1000
    report = one.apply(definition("a", description="t"))
    assert isinstance(report.stopped_by, OverLimit)
    assert LIMIT_BUDGET_S * 0.8 < one.time.seconds <= LIMIT_BUDGET_S
    assert one.state == one.api.sources
    assert not one.session.unresolved


# The content


def of(**members: Any) -> bytes:
    return answer(200, {"message": "m", **members})


def text(body: str | bytes, *headers: str) -> bytes:
    return answer(200, body if isinstance(body, bytes) else body.encode(), *headers)


def data(members: str) -> bytes:
    return text(f'{{"message": "m", "data": {{"name": "a", {members}}}}}')


def utf(encoding: str) -> bytes:
    return json.dumps({"data": source("a")}).encode(encoding)


UNUSABLE = {
    "201 without content": answer(201),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "205": answer(205),
    "206 with half of it": answer(206, b'{"data": {"name": "a"'),
    "200 without content": answer(200),
    "HTML": text("<!DOCTYPE html><title>Please log in</title>", "content-type: text/html"),
    "no data": of(),
    "data is null": of(data=None),
    "data is a list": of(data=[source("a")]),
    "data is a string": of(data="a"),
    "data is true": of(data=True),
    "data without a name": of(data={"description": "x"}),
    "a name that is no string": of(data=source("a") | {"name": 1}),
    "the data of another source": of(data=source("b")),
    "a list": answer(200, [{"data": source("a")}]),
    "a string": answer(200, "data"),
    "a key twice": data('"description": "x", "description": "y"'),
    "data twice": text('{"data": {"name": "a"}, "data": {"name": "a"}}'),
    "a key twice, far down": data('"x": [{"y": {"z": 1, "z": 1}}]'),
    "half a character in the name": text(r'{"message": "m", "data": {"name": "a\ud800"}}'),
    "half a character in bytes": text(b'{"data": {"name": "a", "x": "\xed\xa0\x80"}}'),
    "bytes that are no UTF-8": text(b'{"data": {"name": "a", "x": "\xff"}}'),
    "NaN": data('"x": NaN'),
    "an infinity": data('"x": -Infinity'),
    "1e400": data('"x": 1e400'),
    "an integer of 5,000 digits": data(f'"x": {"9" * 5000}'),
    "10,000 levels": data('"x": ' + "[" * 10_000 + "]" * 10_000),
    "10,000 levels of objects": data('"x": ' + '{"x":' * 10_000 + "0" + "}" * 10_000),
    "200 levels": data('"x": ' + "[" * 200 + "]" * 200),
    "a byte order mark": text(b"\xef\xbb\xbf" + utf("utf-8")),
    "UTF-16": text(utf("utf-16"), "content-type: application/json; charset=utf-16"),
    "UTF-32": text(utf("utf-32")),
    "two documents": text(utf("utf-8") * 2),
    "NUL after the end": text(utf("utf-8") + b"\0"),
    "an encoding that was not asked for": text(gzip.compress(utf("utf-8")), "content-encoding: gzip"),
    "an encoding that is unsaid": text(gzip.compress(utf("utf-8"))),
    "an encoding that nobody knows": text(utf("utf-8"), f"content-encoding: {KEY}"),
    "a bomb": text(gzip.compress(bytes(2**24)), "content-encoding: gzip"),
    "1 MB of headers": answer(200, {"data": source("a")}, *(f"x-{n}: {'y' * 1000}" for n in range(1000))),
    "a header of 1 MB": answer(200, {"data": source("a")}, f"x: {'y' * 2**20}"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "no HTTP, with the key in it": f"HTTP/1.1 {KEY}\r\n\r\n".encode(),
    "a header that is none, with the key in it": answer(200, None, f"\x01{KEY}"),
    "two lengths": answer(200, {"data": source("a")}, "content-length: 1"),
    "a length that is none": b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n{}",
    "a negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
    "a chunk that is none": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
}  # fmt: skip


@either_way
@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_success_that_says_nothing_usable(one: Bench, content: bytes, applies: bool) -> None:
    unknown_either_way(one, Act(answer=content, cut=2**30), applies)
    unknown = next(one for one in one.outcomes if isinstance(one, Unknown))
    assert 0 < len(unknown.reason) < 1000


ENDLESS = {
    "by its length": b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
    "to the end of the connection": b"HTTP/1.1 200 OK\r\n\r\n",
    "in chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("head", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_body_without_end_is_cut_at_the_cap_and_costs_no_memory(one: Bench, head: bytes) -> None:
    sent = 0

    def endless(_: bytes) -> Iterator[bytes]:
        nonlocal sent
        yield head
        piece = b"[" * 2**16
        while True:
            yield b"10000\r\n" + piece + b"\r\n" if b"chunked" in head else piece
            sent += len(piece)

    tracemalloc.start()
    try:
        unknown_either_way(one, Act(answer=endless), applies=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert MAX_ANSWER_BYTES <= sent < 2 * MAX_ANSWER_BYTES
    assert peak < MAX_ANSWER_BYTES + 2**25
    assert "more than 8 MiB" in repr(one.outcomes)


@pytest.mark.parametrize("depth", [1, 50, 98, 99, 150, 330, 480])
def test_what_is_taken_can_be_written(tmp_path: Path, depth: int) -> None:
    with bench(tmp_path, source("a")) as one:
        nested = json.loads("[" * depth + "]" * depth)
        one.api.sources["a"]["x"] = nested
        one.apply(definition("a", description="after"))
        one.session.commit("ok")
        read = store.read(tmp_path / "x.json")
        if depth < 99:
            assert read.resources[A].data == one.api.sources["a"]
        else:
            assert kinds(one.outcomes) == ["unknown"]
            assert A in read.unresolved


@pytest.mark.parametrize("fields", [{"description": "else"}, {"team": "u"}, {"extra": {"x": [1.5, None]}}])
def test_the_state_has_what_the_server_answered_and_not_what_was_sent(one: Bench, fields: dict[str, Any]) -> None:
    changed = source("a", description="after", team="t") | fields
    one.api.patches = [Act(answer=of(data=changed))]
    report = one.apply(definition("a", description="after", team="t"))
    assert one.state == {"a": changed}
    assert report.not_accepted == ({} if "extra" in fields else {A: tuple(fields)})
    assert report.exit_code == (0 if "extra" in fields else 1)


def test_an_answer_that_comes_twice_is_not_taken_for_the_next_one(tmp_path: Path) -> None:
    with bench(tmp_path, source("a"), source("b")) as two:
        two.api.patches = [Act(answer=lambda honest: honest * 2)]
        wanted = [definition("a", name="b"), definition("b", name="a")]
        report = two.apply(*wanted)
        if report.exit_code:
            recover(two)
            two.apply(*wanted)
        two.check()


def recover(bench: Bench) -> None:
    """What the next run does first, over a connection of its own."""
    client = bench.connect()
    for one in resolve(tuple(bench.session.unresolved.values()), client, bench.time.clock):
        bench.session.record(one)


PIECES = [b"\r\n", b"\r\n\r\n", b"\0", b"\xff", b"{", b"}", b'"', b"\\", b"transfer-encoding: chunked\r\n", b"1e999",
          b"location: x\r\n", b"set-cookie: a=b\r\n", b"\\ud800", b"HTTP/1.1 100 x\r\n\r\n"]  # fmt: skip
EDITS = st.tuples(st.integers(0, 300), st.sampled_from([0, 1, 2, 10]), st.binary(max_size=3) | st.sampled_from(PIECES))


def edited(honest: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """The bytes with others instead of so many from there on."""
    made = bytearray(honest)
    for at, length, piece in edits:
        start = at % len(made)
        made[start : start + length] = piece
    return bytes(made)


@settings(max_examples=250, deadline=None)
@given(st.lists(EDITS, min_size=1, max_size=4))
def test_no_answer_whatever_its_bytes_ends_otherwise_than_in_a_report(edits: list[tuple[int, int, bytes]]) -> None:
    # A server and a state for each: what one answer left in the state decides what the next plan sends, if anything.
    with tempfile.TemporaryDirectory() as directory, bench(Path(directory), source("a")) as one:
        one.api.patches = [Act(answer=edited(of(data=source("a", description="after")), edits), cut=2**30)]
        report = one.apply(definition("a", description="after"))
        assert report.stopped_by is None
        assert not one.session.unresolved
        assert one.api.methods() == "P" or kinds(one.outcomes)[0] in {"unknown", "rejected"}


# The moment


@pytest.mark.parametrize("late", range(6))
@pytest.mark.parametrize("fate", [Act(cut=0), Act(answer=answer(504))], ids=["cut", "504"])
def test_a_change_that_is_made_after_we_gave_up_waiting(one: Bench, fate: Act, late: int) -> None:
    one.api.patches = [evolve(fate, applies=late)]
    report = one.apply(definition("a", description="after"))
    one.api.settle()
    assert report.exit_code == 0
    one.check(patches=1 if late < 3 else 2)


@pytest.mark.parametrize("late", range(2, 14))
def test_changes_that_are_all_made_late(one: Bench, late: int) -> None:
    one.api.patches = [Act(cut=0, applies=late)] * 3
    report = one.apply(definition("a", description="after"))
    one.api.settle()
    if report.exit_code:
        # Later than anybody waited: the next run finds what is desired there.
        assert one.apply(definition("a", description="after")).exit_code == 0
    one.check()


@pytest.mark.parametrize("late", range(6))
def test_a_rename_that_happens_late_is_not_taken_for_a_refusal(one: Bench, late: int) -> None:
    one.api.patches = [Act(cut=0, applies=late)]
    report = one.apply(definition("a", name="b", description="after"))
    one.api.settle()
    assert report.exit_code == 0, report
    assert list(one.api.sources) == ["b"]
    one.check()


def test_a_source_that_is_not_there_to_be_renamed_is_looked_for(one: Bench) -> None:
    # As after a run that died: its rename was applied, and its recovery saw a list from before.
    one.api.patch("a", {"name": "b"})
    report = one.apply(definition("a", name="b"))
    assert (kinds(one.outcomes), report.exit_code) == (["unknown", "applied"], 0)
    one.check(patches=1)


FATES = {
    "lost after it was applied": [Act(cut=0)],
    "lost before it was applied": [Act(cut=0, applies=False)],
    "lost twice": [Act(cut=0, applies=False), Act(cut=0)],
    "late": [Act(cut=0, applies=3)],
    "503": [Act(answer=answer(503), applies=False)],
    "429": [Act(answer=answer(429), applies=False)],
    "another's data": [Act(answer=of(data=source("z")))],
    "cut while it was read": [Act(reads="half")],
}


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("fate", FATES.values(), ids=FATES.keys())
def test_a_swap_of_names_ends_right_whatever_becomes_of_one_request(
    tmp_path: Path, fate: list[Act], number: int
) -> None:
    with bench(tmp_path, source("a", team="A"), source("b", team="B"), source("c")) as three:
        three.api.patches = [*[HONEST] * number, *fate]
        report = three.apply(definition("a", name="b"), definition("b", name="a"), definition("c", description="C"))
        three.api.settle()
        assert report.exit_code == 0, report
        assert {name: one.get("team") for name, one in three.api.sources.items()} == {"a": "B", "b": "A", "c": None}
        assert three.state == three.api.sources
        assert not three.session.unresolved


def test_somebody_else_who_changes_the_source_meanwhile_is_not_overwritten(one: Bench) -> None:
    def meddle(_: bytes) -> bytes:
        one.api.sources["a"]["description"] = "theirs"
        return b""

    one.api.patches = [Act(applies=False, answer=meddle, cut=0)]
    report = one.apply(definition("a", description="after"))
    assert kinds(one.outcomes) == ["unknown", "superseded"]
    assert (report.exit_code, list(report.unknown)) == (1, [A])
    assert one.api.sources["a"]["description"] == "theirs"
    one.check(patches=1)


@pytest.mark.parametrize("status", [500, 429, 403, 302])
def test_while_the_remote_can_not_be_listed_an_unknown_outcome_stays_open(one: Bench, status: int) -> None:
    one.api.patches = [Act(cut=0)]
    one.api.lists = [Act(answer=answer(status))] * 5
    report = one.apply(definition("a", description="after"))
    assert (report.exit_code, list(report.unknown)) == (3, [A])
    assert list(one.session.unresolved) == [A]
    one.api.lists.clear()
    recover(one)
    one.check(patches=1)


def test_a_dry_run_that_is_lost_changes_nothing(one: Bench) -> None:
    client = one.connect(is_dry_run=True)
    before = deepcopy(one.api.sources)
    one.api.patches = [Act(cut=0)]
    plan = build_plan(
        parse_definitions({"statform.toml": definition("a", description="t").encode()}), one.session.snapshot
    )
    effects = Effects(lambda _: None, one.events.append, contextlib.nullcontext, one.time.clock, [Window(9, 1.0)], [])
    report = apply_plan(plan, client, effects)
    assert report.exit_code == 0
    assert one.api.sources == before
    assert [seen.body["dryRun"] for seen in one.api.log if seen.method == "PATCH"] == [True, True]
