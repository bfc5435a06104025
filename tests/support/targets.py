"""What statform promises of bytes that somebody else wrote: one function for each kind of them, true of any bytes.

`make fuzz` drives them by coverage, and tests/fuzz/test_targets.py by what hypothesis draws, with a fixed budget; both
start from the seeds. A format that carries its own hashes is also given them: else no changed byte would get past them.
"""

from __future__ import annotations

import hashlib
import json
import re
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast
from urllib.parse import unquote_to_bytes

import httpcore
import httpx
import tomli
from attrs import define, evolve, field, frozen
from faketime import START, FakeTime
from golden import cases, snapshot, state_of
from hypothesis import strategies as st
from pages import filled_with
from simdisk import SimDisk
from strategies import json_values, nearly_definitions
from unseen import FORBIDDEN, is_safe

from planner.apply.report import Done
from planner.audit.absence import LOOKS, Look, find_doubts
from planner.audit.audit import audit_remote, find_authors, find_undone
from planner.audit.drift import Remote, refresh
from planner.audit.history import entries_of
from planner.audit.importing import import_all
from planner.console.answers import UnusableAnswer, decode, parse_retry_after
from planner.console.audit_log import parse_entry
from planner.console.base_url import check_base_url
from planner.console.client import Client
from planner.console.key import ApiKey
from planner.console.listing import LIST_PASSES, Pass, believe
from planner.console.transport import MAX_MESSAGE_LENGTH
from planner.definitions.fields import Call
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import ASSIGNMENT_SOURCE, RESOURCE_TYPES
from planner.errors import (
    ApiError,
    DefinitionError,
    Diagnostic,
    Location,
    PlanError,
    PlanRefused,
    Unreachable,
    UsageError,
)
from planner.escape import escape, format_value
from planner.plan import saved, verbs
from planner.plan.build import Plan, build_plan, digest_of
from planner.plan.order import Request
from planner.render import (
    apply_text,
    audit,
    audit_comment,
    diagnostics,
    history,
    markdown,
    plan_comment,
    plan_text,
    terraform,
)
from planner.render import state as render_state
from planner.render.line_diff import LineMatcher
from planner.render.page import document
from planner.render.page.content import Page
from planner.render.style import Style
from state import journal, reader, store
from state.chain import Chain, anchor, hash_of
from state.errors import StateError
from state.fold import replay
from state.records import JSON, Address, Applied, Genesis, Intent, Object, Rejected, Unknown
from state.snapshot import EMPTY, Snapshot, StatsigProject, decode_snapshot, encode_snapshot

T = TypeVar("T")
CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus"
EXAMPLES = Path(__file__).parents[2] / "examples"
MAX_SECONDS = 2.0
MAX_BYTES = 64 << 20
MAX_ASKED = 100
BREAK = b"\n---\n"
"""Parts the files, or the answers, that one input stands for."""

AT = "2026-11-23T10:00:00.000Z"
A, B = Address("assignment_source.a"), Address("assignment_source.b")
VALUES: Object = {
    "description": "old\nlines",
    "tags": ["x", "y"],
    "idTypeMapping": [{"statsigUnitID": "userID", "column": "user_id"}],
    "owner": {"ownerID": "u", "ownerType": "USER"},
    "team": None,
    "isVerified": False,
}
STATE = snapshot({A: {"data": VALUES}, B: {"data": {"sql": "SELECT 1"}, "unreturned": {"isVerified": True}}})
NOTHING = {name: {} for name in RESOURCE_TYPES}
DEFINED = parse_definitions(
    {"statform.toml": b'[assignment_source.a]\nadopt = true\nname = "new"\ntags = ["y"]\nteam = "t"\n'}
)
BASE_URL = "https://statsigapi.net"
PLAN = build_plan(DEFINED, STATE)
SAVED = saved.save_plan(PLAN, DEFINED, BASE_URL, ())
PLAIN, NARROW = Style(), Style(40)


def check_cost(check: Callable[[bytes], None], data: bytes) -> None:
    """That `check` holds, for so much of a processor's time and so much memory beyond that of the data at most."""
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    check(data)
    seconds = time.process_time() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert seconds < MAX_SECONDS, f"{seconds:.1f} s for {len(data)} bytes"
    assert grown < MAX_BYTES + len(data), f"{grown >> 20} MiB for {len(data)} bytes"


# Files


FILES = ("statform.toml", "definitions/x.toml", "environments/prod.toml")


def check_definitions(data: bytes) -> None:
    """Definitions, settings and environments: a plan, or diagnostics that point into the files."""
    files = dict(zip(FILES, data.split(BREAK), strict=False))
    environment = "prod" if FILES[2] in files else None
    try:
        found = parse_definitions(files, environment)
        plan = build_plan(found, STATE)
    except (DefinitionError, PlanError) as error:
        check_diagnostics(error.diagnostics, files)
        return
    assert parse_definitions(files, environment) == found
    assert build_plan(found, STATE) == plan
    check_plan(plan)
    json.dumps(terraform.plan_to_json(plan, found, STATE), allow_nan=False)
    expected = saved.SavedPlan(plan, found.digest, BASE_URL, (), (), "p")
    assert saved.load_plan(saved.save_plan(plan, found, BASE_URL, ()), "p") == expected


def check_message(of: Exception) -> None:
    assert str(of)


def check_diagnostics(of: Sequence[Diagnostic], files: Mapping[str, bytes]) -> None:
    assert of
    for one in of:
        assert one.location is not None
        check_location(one.location, files[one.location.file])
    for style in (PLAIN, NARROW, Style(1)):
        assert is_safe(diagnostics.render_diagnostics(of, style))
    commands = diagnostics.format_annotations(of, ".")
    assert is_safe(commands)
    assert len(re.findall("(?m)^::error [^\n]*::", commands)) == commands.count("\n") == len(of)
    json.dumps(terraform.validation_to_json(of), allow_nan=False)


def check_location(of: Location, content: bytes) -> None:
    lines = content.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    assert of.text.strip("\ufeff\r") == lines[of.line - 1].strip("\ufeff\r")
    assert 1 <= of.column <= len(of.text) + 1
    assert 1 <= of.length <= max(1, len(of.text) - of.column + 1)


def check_plan(of: Plan) -> None:
    for style in (PLAIN, NARROW):
        assert is_safe(plan_text.render_plan(of, style))
    told = plan_comment.plan_to_markdown(of)
    assert is_safe(told)
    assert len(told) <= markdown.LIMIT
    assert len(plan_comment.plan_to_markdown(of, limit=2000)) <= 2000 or len(of.changes) == 0


# Answers


Answer: TypeAlias = tuple[int, list[tuple[bytes, bytes]], bytes]
"""A status, headers and content."""


@frozen
class Server:
    """A client whose every request gets the next of `answers`, and the last one for ever."""

    answers: Sequence[Answer]
    asked: list[httpx.Request] = field(factory=list)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        status, headers, content = self.answers[min(len(self.asked), len(self.answers)) - 1]
        # As a stream, which is how a network gives it.
        return httpx.Response(status, headers=headers, content=iter([content]))

    def client(self, clock: FakeTime) -> Client:
        client = _client()
        client._clock = clock.clock
        client._transport._http = httpx.Client(transport=httpx.MockTransport(self._answer))
        return client


@cache
def _client() -> Client:
    """Only one: to load the certificates, of which it uses none, takes longer than all that is checked with it."""
    return Client("http://127.0.0.1:8000/base", ApiKey("console-canary5b1f0c9d7e"), FakeTime().clock)


def answers_of(data: bytes) -> list[Answer]:
    """Each a status, then headers, then an empty line, then the content; a status that is none is 200."""
    return [_answer(one) for one in data.split(BREAK)]


def _answer(data: bytes) -> Answer:
    head, _, content = data.partition(b"\n\n") if re.match(rb"[1-5][0-9]{2}\n", data) else (b"200", b"", data)
    status, *lines = head.split(b"\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    return int(status), headers, content


def check_answer(data: bytes) -> None:
    """An answer to a PATCH: an outcome, which the journal and the snapshot can hold, and anybody can be shown."""
    intent = Intent(A, "PATCH", "a", {"team": "x"}, {"team": "t", "tags": ["x"], "name": "new"}, AT)
    outcome = Server(answers_of(data)).client(FakeTime()).send(ASSIGNMENT_SOURCE, intent)
    match outcome:
        case Applied():
            assert outcome.data["name"]
        case Rejected():
            assert len(outcome.message) <= MAX_MESSAGE_LENGTH
            assert outcome.retry_after_s is None or 0 <= outcome.retry_after_s < float("inf")
        case Unknown():
            assert len(outcome.reason) <= MAX_MESSAGE_LENGTH + len("the API answered 500: ")
    line, _ = journal.encode(outcome, "0" * 64)
    assert journal.parse(line) == outcome
    after = replay(EMPTY, [Genesis("l", 1, AT), intent, outcome])._replace(serial=1, head="0" * 64, journal_bytes=1)
    assert decode_snapshot(encode_snapshot(after), "s") == after
    shown = apply_text.format_event(Done(Request(A, Call.PATCH, "a", {}), outcome, 1.0), {A: verbs.UPDATE}, PLAIN)
    assert is_safe(shown)
    assert "\n" not in shown
    check_state(after)


def check_sources(data: bytes) -> None:
    """The list of sources: an error, or what an audit, an import and a refresh can take whatever it holds."""
    listed = _list(data, lambda client: client.list(ASSIGNMENT_SOURCE))
    if listed is None:
        return
    remote = {**NOTHING, ASSIGNMENT_SOURCE.name: listed}
    found = audit_remote(STATE, _looked(STATE, remote))
    check_audit(evolve(found, undone=find_undone(DEFINED, found.drifts, STATE)))
    # What a list that contradicts itself lacks is never gone, nor is what it shows in two ways.
    assert not found.undecided or listed.problem
    assert not listed.problem or all(one.source is not None for one in found.drifts)
    refreshed = replay(STATE, refresh(found.drifts, STATE, AT))
    assert not audit_remote(refreshed, _looked(refreshed, remote)).drifts
    imported = import_all(ASSIGNMENT_SOURCE, listed, DEFINED, EMPTY)
    assert is_safe("\n".join(map(escape, imported.warnings)))
    check_written(imported.files, {one.address: one.name for one in imported.imported if one.toml is not None})


def _looked(state: Snapshot, remote: Remote) -> Look:
    doubts = find_doubts(state, remote, {}, LOOKS)
    return Look(remote, {address: doubt.reason for address, doubt in doubts.items()})


def check_written(files: Sequence[str], names: Mapping[Address, str]) -> None:
    content = {f"definitions/{number}.toml": file.encode() for number, file in enumerate(files)}
    written = parse_definitions({"statform.toml": b"", **content})
    assert {address: one.name for address, one in written.resources.items()} == names


def check_pages(data: bytes) -> None:
    """The pages of a list, read several times while they change: it ends, and what it lacks unsaid it never showed."""
    pages = [_page(part) for part in data.split(BREAK)]
    readings: list[list[Object]] = []

    def read() -> Pass:
        found = Pass(lambda entry: entry.get("name"))
        readings.append([])
        for number in range(1, MAX_ASKED):
            readings[-1].append(pages[min(sum(map(len, readings)), len(pages) - 1)])
            if found.add(number, readings[-1][-1], lambda entry: entry):
                return found
        raise Unreachable("it does not end")

    try:
        listed = believe(read)
    except Unreachable as error:
        check_message(error)
        return
    assert len(readings) <= LIST_PASSES
    entries = [entry for page in readings[-1] for entry in cast(list[Any], page["data"])]
    told = [page.get("pagination") for page in readings[-1]]
    totals = {one["totalItems"] for one in told if isinstance(one, dict) and type(one.get("totalItems")) is int}
    if listed.problem is None:
        assert [entry.get("name") for entry in entries] == list(listed)
        assert totals <= {len(listed)}
    assert listed.doubtful <= set(listed)


def _page(data: bytes) -> Object:
    with suppress(UnusableAnswer):
        return decode(data)
    return {}


def check_two_answers(data: bytes) -> None:
    """All that a server sends at once, as the answer to the first of two requests on a connection that is kept.

    What it sent before it was asked is never the second one's answer.
    """
    backend = _Backend(data)
    with closing(Client("http://127.0.0.1:8000", ApiKey("console-canary5b1f0c9d7e"), FakeTime().clock)) as client:
        cast(Any, client._transport._http)._transport._pool._network_backend = backend
        outcomes = [client.send(ASSIGNMENT_SOURCE, Intent(A, "PATCH", "a", {}, {"team": t}, AT)) for t in "xy"]
    for outcome in outcomes:
        line, _ = journal.encode(outcome, "0" * 64)
        assert journal.parse(line) == outcome
    # On a connection of its own each gets the first that is sent there.
    assert backend.connections > 1 or not isinstance(outcomes[1], Applied)


@define
class _Backend(httpcore.NetworkBackend):
    """A network in which every connection has the same to read, all of it at once."""

    data: bytes
    connections: int = 0

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        self.connections += 1
        return httpcore.MockStream([self.data])


def check_audit_log(data: bytes) -> None:
    """The project's audit log: an error, or who did it as far as it can be told."""
    log = _list(data, lambda client: client.list_audit_log(START.date(), ["x"]))
    if log is None:
        return
    entries = [parse_entry(entry) for entry in log]
    remote = {"assignment_source": {"a": {"name": "a", "team": "t"}, "made": {"name": "made"}}}
    found = audit_remote(STATE, Look(remote))
    check_audit(evolve(found, authors=find_authors(found, entries)))


def _list(data: bytes, ask: Callable[[Client], T]) -> T | None:
    clock = FakeTime()
    server = Server(answers_of(data))
    try:
        return ask(server.client(clock))
    except ApiError as error:
        check_message(error)
        return None
    finally:
        assert len(server.asked) < MAX_ASKED
        assert clock.seconds < 600


def check_audit(of: Any) -> None:
    for style in (PLAIN, NARROW):
        assert is_safe(audit.render_audit(of, style))
    told = audit_comment.audit_to_markdown(of)
    assert is_safe(told)
    assert len(told) <= markdown.LIMIT
    json.dumps(audit.audit_to_json(of), allow_nan=False)
    check_page(Page("p", "s.json", AT, "0.1.0", of, (), BASE_URL, ""))


def check_page(of: Page) -> None:
    page = document.render_page(of)
    assert escape(page.replace("\n", "")) == page.replace("\n", "")
    page.encode()


def check_retry_after(data: bytes) -> None:
    """Lines of Retry-After, and of Date behind an empty line: seconds that can be waited and recorded, or none."""
    asked, _, since = data.partition(b"\n\n")
    lines = [(b"Retry-After", one) for one in asked.split(b"\n")] + [(b"Date", one) for one in since.split(b"\n")]
    seconds = parse_retry_after(httpx.Headers(lines), START)
    assert seconds is None or 0 <= seconds < float("inf")


# Names and texts


def _text(data: bytes) -> str:
    """The bytes as text, in which any half of a surrogate pair can be too."""
    return data.decode("utf-8", "surrogatepass" if b"\xed" in data else "replace") if _is_text(data) else str(data)


def _is_text(data: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        data.decode("utf-8", "surrogatepass")
        return True
    return False


def check_name(data: bytes) -> None:
    """A remote name: the request goes to its own path on the same host, or nowhere."""
    name = _text(data)
    server = Server([(200, [], b'{"data": {"name": "x"}}')])
    outcome = server.client(FakeTime()).send(ASSIGNMENT_SOURCE, Intent(A, "PATCH", name, {}, {"team": "t"}, AT))
    if not server.asked:
        assert isinstance(outcome, Rejected)
        assert not outcome.retryable
        return
    (request,) = server.asked
    url = request.url
    assert (url.scheme, url.host, url.port, request.headers["host"]) == ("http", "127.0.0.1", 8000, "127.0.0.1:8000")
    before, _, after = ASSIGNMENT_SOURCE.path.partition("{name}")
    path = url.raw_path.decode("ascii")
    encoded = path.removeprefix(f"/base{before}").removesuffix(after)
    assert path == f"/base{before}{encoded}{after}"
    assert re.fullmatch(r"(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})+", encoded)
    assert encoded not in {".", ".."}
    assert unquote_to_bytes(encoded) == name.encode()


def check_url(data: bytes) -> None:
    """A base URL: one that a key may travel to, or an error."""
    given = _text(data)
    try:
        found = check_base_url(given)
    except UsageError:
        return
    url = httpx.URL(found + "/x")
    assert url.host
    assert not url.userinfo
    assert (url.query, url.fragment, url.path[-2:]) == (b"", "", "/x")
    assert url.scheme == "https" or url.host in {"localhost", "::1"} or re.match(r"127\.|0*:[0:.]*:", url.host)
    assert check_base_url(found) == found


def check_text(data: bytes) -> None:
    """Somebody's text at a terminal, in Markdown, HTML and a workflow's log: shown, in one line, and nothing more."""
    given = _text(data)
    for shown in (escape(given), format_value(given), format_value([given, {given: given}]), markdown.code(given)):
        assert is_safe(shown)
        assert "\n" not in shown
    _check_markdown(given)
    found = Diagnostic(given, given, Location(given, 1, 1, len(given) or 1, given), Address(given), given)
    (command,) = diagnostics.format_annotations([found], given).splitlines()
    head, _, said = command[2:].partition("::")
    assert command.startswith("::error title=statform,file=")
    assert head.count(",") == 4
    assert "%0AExpected: " in said
    assert is_safe(diagnostics.render_diagnostics([found], NARROW))
    _check_html(given)
    if not re.search("[\ud800-\udfff]", given):
        imported = import_all(ASSIGNMENT_SOURCE, {"a": {"name": "a", "sql": given, "tags": [given]}}, DEFINED, EMPTY)
        ((table,),) = (tomli.loads(file)["assignment_source"].values() for file in imported.files)
        # In a definition a line ends in LF, which is the same as one that ends in CR LF at Statsig.
        assert (table["sql"], table["tags"]) in [(sql, [given]) for sql in (given, given.replace("\r\n", "\n"))]


def _check_markdown(given: str) -> None:
    span = markdown.code(given)
    fence = re.match("`+", span)
    assert fence is not None
    inner = span[len(fence[0]) : -len(fence[0])]
    assert span == f"{fence[0]}{inner}{fence[0]}"
    assert not re.search(rf"(?<!`){fence[0]}(?!`)", inner)
    block = markdown.fenced([escape(given)], "diff").split("\n")
    assert not block[1].lstrip(" ").startswith(block[-1])
    assert len(re.findall(r"(?:\\[!-/:-@\[-`{-~]|[^|\r\n])+", markdown.row([span, span]))) == 2


def _check_html(given: str) -> None:
    assert _Tags.of(document.render_page(filled_with(given[:2000]))) <= _usual_tags()


class _Tags(HTMLParser):
    """The tags of a document, each with the names of its attributes."""

    @classmethod
    def of(cls, page: str) -> set[tuple[str, ...]]:
        parser = cls()
        parser.found: set[tuple[str, ...]] = set()
        parser.feed(page)
        parser.close()
        return parser.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, *(name for name, _ in attrs)))

    def handle_decl(self, decl: str) -> None:
        self.found.add((f"!{decl}",))

    handle_comment = handle_pi = unknown_decl = handle_decl


@cache
def _usual_tags() -> set[tuple[str, ...]]:
    """Those of pages with short, long and tall texts, and with an address of a known type and of none."""
    texts = ("x", "x" * 60, "x" * 500, "x " * 500, "x\n" * 40, "x\nx", ".", "", "x" * 30 + "\n" + "x" * 300)
    return set().union(*(_Tags.of(document.render_page(filled_with(one))) for one in texts))


# The state


def sealed_journal(bodies: Iterable[bytes]) -> bytes:
    """The journal of these records, each of whose lines has the hash that it must have."""
    lines = list(bodies)
    lineage: Any = ""
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        lineage = json.loads(lines[0])["lineage"]
    head = anchor(lineage if isinstance(lineage, str) and lineage.isascii() else "").encode()
    sealed = []
    for body in lines:
        head = hash_of(head, body)
        sealed.append(b'{"hash":"%b","record":%b}\n' % (head, body))
    return b"".join(sealed)


def check_journal(data: bytes) -> None:
    """Bytes as a journal, and lines as its records: a state that goes on from there, or a StateError."""
    _check_files({"s.journal.jsonl": data})
    _check_files({"s.journal.jsonl": sealed_journal(data.removesuffix(b"\n").split(b"\n"))})


def check_snapshot(data: bytes) -> None:
    """Bytes as a state file, as they are and with the digest that they must have."""
    _check_files({"s.json": data, "s.journal.jsonl": sealed_journal([b"{}"])})
    for raw in (data, sealed_snapshot(data, 1), sealed_snapshot(data, 2)):
        try:
            found = decode_snapshot(raw, "s.json")
        except StateError as error:
            check_message(error)
            continue
        assert decode_snapshot(encode_snapshot(found), "s.json") == found
        check_state(found)


def sealed_snapshot(data: bytes, format_: int = 1) -> bytes:
    """`data`, as it may be written by hand, is all of a state file behind its first line, which is `{`."""
    rest = re.sub(rb'(?m)^  "(?:digest|format)": [^\n]*\n', b"", data.removeprefix(b"{\n"))
    body = b'{\n  "format": %d,\n' % format_ + rest
    digest = hashlib.sha256(body).hexdigest().encode()
    return body.replace(b",\n", b',\n  "digest": "%b",\n' % digest, 1)


def _check_files(files: Mapping[str, bytes]) -> None:
    path = Path("s.json")
    disk = SimDisk(files)
    try:
        before = reader.read(path, disk=disk)
        found = store.verify(path, disk=disk)
    except StateError as error:
        check_message(error)
        with suppress(StateError):
            check_history(store.read_journal(path, disk=disk))
        with suppress(StateError), store.open(path, "a test", disk=disk):
            pass
        assert {name: content for name, content in disk.files.items() if name in files} == dict(files)
        return
    check_state(before)
    check_history(found)
    with store.open(path, "a test", disk=disk) as session:
        assert session.snapshot.resources == before.resources
    disk.restart()
    assert store.verify(path, disk=disk) is not None
    assert reader.read(path, disk=disk).resources == before.resources


def check_state(of: Snapshot) -> None:
    """That a state can be shown, planned from and compared, whatever it holds."""
    assert is_safe(render_state.render_state(of, PLAIN))
    json.dumps(terraform.state_to_json(of), allow_nan=False)
    with suppress(PlanError):
        plan = build_plan(DEFINED, of)
        check_plan(plan)
        json.dumps(terraform.plan_to_json(plan, DEFINED, of), allow_nan=False)
    with suppress(PlanError):
        assert is_safe(
            audit.render_audit(
                audit_remote(of, Look({**NOTHING, "assignment_source": {"a": {"name": "a", **VALUES}}})), NARROW
            )
        )


def check_versions(data: bytes) -> None:
    """Two versions of a text: the lines that are said to be the same are, and what differs is shown in bounded time."""
    before, _, after = (part.decode("utf-8", "replace") for part in data.partition(BREAK))
    lines = before.split("\n"), after.split("\n")
    at = (0, 0)
    for a, b, size in LineMatcher(*lines).get_matching_blocks():
        assert lines[0][a : a + size] == lines[1][b : b + size]
        assert (a, b) >= at
        at = (a + size, b + size)
    text = f"[assignment_source.a]\ndescription = {json.dumps(after, ensure_ascii=False)}\n"
    if "\x7f" not in after:
        check_plan(build_plan(parse_definitions({"statform.toml": text.encode()}), _described(before)))


def _described(text: str) -> Snapshot:
    return snapshot({A: {"data": {"description": text}}})


def check_history(found: Chain | None) -> None:
    assert found is not None
    for _, record in journal.decode(found.lines, "j"):
        assert journal.parse(journal.encode(record, "0" * 64)[0]) == record
    entries = entries_of(found)
    for entry in entries:
        assert is_safe(history.render_entry(entry, NARROW))
        json.loads(history.entry_to_line(entry))
    told = history.history_to_markdown(entries)
    assert is_safe(told)
    assert len(told) <= markdown.LIMIT
    check_page(Page("p", "s.json", AT, "0.1.0", audit_remote(EMPTY, Look({})), entries, None, ""))


# A saved plan


def check_saved_plan(data: bytes) -> None:
    """A plan file: refused, or the one that was saved; with digests made to fit, one that can be shown."""
    try:
        found = saved.load_plan(data, "p")
    except PlanRefused as error:
        check_message(error)
    else:
        assert is_safe(plan_text.render_plan(found.plan, PLAIN))
        assert found != saved.load_plan(SAVED, "p") or json.loads(data) == json.loads(SAVED)
    if (raw := sealed_plan(data)) is None:
        return
    try:
        found = saved.load_plan(raw, "p")
        assert is_safe(plan_text.render_plan(found.plan, PLAIN))
        saved.check_origin(found, STATE, DEFINED, BASE_URL)
        saved.check_equal(found, PLAN)
    except PlanRefused as error:
        check_message(error)
    else:
        assert saved._plan_to_json(found.plan) == saved._plan_to_json(PLAN)


def sealed_plan(data: bytes) -> bytes | None:
    """The plan with both of its digests made to fit, as somebody makes them who has read the source."""
    with suppress(Exception):
        content = json.loads(data)
        content.pop("digest", None)
        plan = content["plan"]
        contents = (
            [plan["lineage"], plan["serial"], plan["head"]],
            [
                [one["address"], one["verb"], one.get("moved_from")]
                for one in plan["actions"]
                if one["verb"] != "no-op" or one.get("moved_from")
            ],
            [[one["address"], one["call"], one["name"], one["body"]] for one in plan["requests"]],
        )
        plan["digest"] = digest_of(contents)
        return json.dumps({"digest": digest_of(content), **content}).encode()
    return None


# What they start from


def _golden_files() -> Iterator[bytes]:
    for case in (*cases(), EXAMPLES / "quickstart", EXAMPLES / "infra-repo"):
        rest = b"\n".join(path.read_bytes() for path in sorted((case / "definitions").rglob("*.toml")))
        settings = (case / "statform.toml").read_bytes()
        yield BREAK.join([settings, rest])
        yield BREAK.join([settings, rest, b"[assignment_source.a]\nadopt = true\nabsent = true\n"])


def _golden_sources() -> Iterator[bytes]:
    for case in cases():
        found: list[JSON] = [dict(one.data) for one in state_of(case).resources.values()]
        page = {"message": "m", "data": found, "pagination": {"nextPage": None}}
        yield json.dumps(page).encode()
    yield b"429\nRetry-After: 5\n\n{}" + BREAK + b'{"data": [{"name": "a"}]}' + BREAK + b'{"data": []}'
    yield b'401\n\n{"status": 401, "message": "no console-x"}'


def _pages() -> Iterator[bytes]:
    def page(names: str, number: int, total: int, following: JSON = "x") -> bytes:
        told = {"pageNumber": number, "totalItems": total, "nextPage": following}
        return json.dumps({"data": [{"name": name} for name in names], "pagination": told}).encode()

    yield BREAK.join([page("ab", 1, 4), page("cd", 2, 4, None)])
    yield BREAK.join([page("ab", 1, 4), page("d", 2, 3, None), page("bc", 1, 3), page("d", 2, 3, None)])
    yield BREAK.join([page("ab", 1, 4), page("ab", 1, 4), page("cd", 2, 4, None)])
    yield BREAK.join([b'{"data": [{"name": "a"}]}', b'{"data": [{"name": "b"}]}', b'{"data": []}'])
    yield BREAK.join([page("", 1, 3, None), b'{"data": [null, {"name": "a", "team": "t"}], "pagination": {}}'])


def _two_answers() -> Iterator[bytes]:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    for team in (b"x", b"y"):
        body = b'{"data": {"name": "a", "team": "%b"}}' % team
        one = head % len(body) + body
        yield one
        yield one * 2
        yield one + b"HTTP/1.1 204 No Content\r\n\r\n" + one
        yield b"HTTP/1.1 100 Continue\r\n\r\n" + one + one[:40]
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        yield chunked * 2


def _versions() -> Iterator[bytes]:
    yield b"a\nb\nc" + BREAK + b"a\nx\nc"
    yield b"SELECT 1\n\n" * 40 + BREAK + b"SELECT 2\n\n" * 40
    yield b"same\n" * 50 + BREAK + b"same\r\n" * 49


def _one_answers() -> Iterator[bytes]:
    for data in ({"name": "a", **VALUES}, {"name": "NEW ", "team": "t"}, {"name": "new", "tags": ["x"], "team": "x"}):
        yield json.dumps({"message": "m", "data": data}).encode()
    yield b'429\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\n\n{"errors": [{"property": "name", "errorMessage": "e"}]}'
    yield b'404\n\n{"message": "Not Found.", "error": "x"}'
    yield b"500\nContent-Encoding: gzip\n\n<html>"


def _audit_logs() -> Iterator[bytes]:
    entry = {
        "name": "a",
        "actionType": "update_echidna_assignment_source",
        "date": "Mon Nov 23 2026",
        "time": "23:46:14 GMT+0000 (Coordinated Universal Time)",
        "updatedBy": "Ana",
        "modifierEmail": "ana@example.com",
        "changes": {"team": {"old": None, "new": "t"}},
    }
    renamed = {
        **entry,
        "actionType": "update_echidna_assignment_source_name",
        "changes": {"name": {"old": "b", "new": "made"}},
    }
    yield json.dumps({"data": [entry, renamed], "pagination": {"nextPage": None}}).encode()
    for action, name in (("create", "made"), ("delete", "b")):
        one = {**entry, "actionType": f"{action}_echidna_assignment_source", "name": name, "changes": {}}
        yield json.dumps({"data": [one]}).encode() + BREAK + b'{"data": []}'


def _journals() -> Iterator[bytes]:
    whole = (EXAMPLES / "quickstart" / "statform.state.journal.jsonl").read_bytes()
    yield whole
    yield b"\n".join(line[84:-1] for line in whole.splitlines())
    kinds = (
        '{"at":"t","format":1,"kind":"genesis","lineage":"l"}',
        '{"address":"assignment_source.a","at":"t","data":{"name":"a","tags":["x"]},"kind":"import"}',
        '{"address":"assignment_source.a","at":"t","before":{"team":"x"},"kind":"intent","method":"PATCH","name":"a","sent":{"team":"y"}}',
        '{"address":"assignment_source.a","at":"t","duration_ms":1,"kind":"unknown","reason":"r"}',
        '{"address":"assignment_source.a","at":"t","data":{"name":"b"},"kind":"resolved","unreturned":{},"verdict":"superseded"}',
        '{"address":"assignment_source.a","at":"t","data":{"name":"c"},"kind":"refresh","unreturned":{"team":"y"}}',
        '{"address":"assignment_source.a","at":"t","kind":"move","to":"assignment_source.b"}',
        '{"address":"assignment_source.b","at":"t","kind":"forget"}',
        '{"address":"b","at":"t","before":{},"kind":"intent","method":"PATCH","name":"a","sent":{}}',
        '{"address":"b","at":"t","duration_ms":1,"kind":"rejected","message":"m","retry_after_s":5,"retryable":true,"status":429}',
        '{"at":"t","kind":"end","status":"ok"}',
    )
    yield "\n".join(kinds).encode()


def _snapshots() -> Iterator[bytes]:
    yield (EXAMPLES / "quickstart" / "statform.state.json").read_bytes()
    intent = Intent(A, "PATCH", "a", {"team": "x"}, {"team": "y"}, AT)
    yield encode_snapshot(STATE._replace(unresolved={A: intent}))
    learned = {A: STATE.resources[A]._replace(unconfirmed={"team": "t"})}
    yield encode_snapshot(STATE._replace(resources=learned, project=StatsigProject("p", BASE_URL)))
    for case in cases():
        if (found := state_of(case)) is not EMPTY:
            yield encode_snapshot(found)


def _texts() -> Iterator[bytes]:
    yield from map(str.encode, ("checkout", "曝光 🙂", "a/b?c#d%2e", "..", 'it\'s "x" \\', "`` ``` | <b> &amp; @all"))
    yield "\u202egnp.exe\u2066\u200b\ufeff\x1b[31m\x00\x9b".encode()
    yield b"::error file=x::y\r\n::set-output"
    yield "\ud800".encode("utf-8", "surrogatepass")


# How hypothesis varies them


def _edited(seeds: Sequence[bytes], words: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A seed in which a few places were cut out, doubled, or overwritten by a word of the format or by any byte."""
    pieces = st.sampled_from(
        [*words, b"", b"\x00", b"\xff", b"\r", b"\n", b"\xef\xbb\xbf", b"\xed\xa0\x80"]
    ) | st.binary(max_size=4)

    @st.composite
    def edited(draw: Any) -> bytes:
        data = draw(st.sampled_from(seeds))
        for _ in range(draw(st.integers(1, 4))):
            start = draw(st.integers(0, len(data)))
            end = min(len(data), start + draw(st.integers(0, 40)))
            data = data[:start] + draw(pieces | st.just(data[start:end] * 2)) + data[end:]
        return data

    return edited()


@st.composite
def _nearly(draw: Any, seeds: Sequence[bytes]) -> bytes:
    """A seed of JSON documents, in one of which a part is another value, or is named otherwise."""
    data = draw(st.sampled_from(seeds))
    parts = re.split(rb"(\n)" if data.startswith(b'{"a') and b"\n{" in data else rb"(\n---\n|(?<=\d)\n\n)", data)
    index = draw(st.integers(0, len(parts) - 1))
    with suppress(ValueError):
        parts[index] = json.dumps(
            _varied(draw, json.loads(parts[index])), indent=2 if b"\n  " in parts[index] else None
        ).encode()
    return b"".join(parts)


def _varied(draw: Any, value: Any) -> Any:
    inner = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not inner or draw(st.integers(0, 4)) == 0:
        return draw(_odd | json_values)
    key = draw(st.sampled_from(inner))
    varied = dict(value) if isinstance(value, dict) else list(value)
    match draw(st.integers(0, 7)):
        case 0:
            del varied[key]
        case 1 if isinstance(varied, dict):
            varied[draw(_odd_texts)] = varied.pop(key)
        case 2 if isinstance(varied, list):
            varied.append(varied[key])
        case _:
            varied[key] = _varied(draw, value[key])
    return varied


_odd_texts = st.text(
    st.sampled_from([*sorted(FORBIDDEN - {chr(c) for c in range(0xD800, 0xE000)})[:80], *'`|<"\\é🙂']), max_size=5
)
_odd = st.one_of(
    _odd_texts,
    st.sampled_from(
        ["a", "b", "new", "name", A, B, "unknown.a", "", AT, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"]
    ),
    st.sampled_from([10**400, -1, 0, 2**63, 1e308, True, None, [], {}, [[]], [None]]),
)


@frozen
class Target:
    """`check` holds for any bytes. `seeds` are some that mean something, `words` what they are made of."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: Sequence[bytes] = ()
    shapes: Callable[[Sequence[bytes]], st.SearchStrategy[bytes]] | None = None

    def inputs(self) -> st.SearchStrategy[bytes]:
        seeds = list(self.seeds())
        ways = [_edited(seeds, self.words), st.binary(max_size=100)]
        return st.one_of(*ways, *([self.shapes(seeds)] * 2 if self.shapes else []))


def kept(name: str) -> list[Path]:
    """The inputs that once failed a target."""
    return sorted((CORPUS / name).glob("*"))


_TOML = b"[ ] [[ ]] { } = , . # \" ' \"\"\" ''' \\u0041 \\ true inf nan 1979-05-27 0x1 1_0 1e400 \r\n".split(b" ")
_FIELDS = [one.name.encode() for one in ASSIGNMENT_SOURCE.fields]
_KEYS = [
    b"statform",
    b"defaults",
    b"moved",
    b"assignment_source",
    b"name",
    b"clear",
    b"depends_on",
    b"absent",
    b"pacing",
    b"per_10_seconds",
    b"from",
    b"to",
]
_JSON = b'{ } [ ] , : "" "\\ud800" null true NaN Infinity 1e400 -0 1E5 "name" "data" "pagination" "nextPage"'.split(
    b" "
)
_RECORD = (
    b'"kind" "at" "address" "sent" "before" "unreturned" "genesis" "intent" "result" "resolved" "move" "end"'.split(
        b" "
    )
)
_MARKS = ["`", "|", "<", "&", "%0A", "::", "\u202e", "\u200b", "\x1b[", "\ufeff", "'''", '"""', "..", "/", "\\", "%2e"]


def _shaped_definitions(_seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(nearly_definitions(), min_size=1, max_size=3).map(lambda texts: BREAK.join(map(str.encode, texts)))


def _shaped_texts(_seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    marked = st.text(st.sampled_from([*"`|<>&\"'\\ab.%:,=@\n\r\t ~-+é🙂\u0301", *sorted(FORBIDDEN)[::40]]), max_size=30)
    return marked.map(lambda given: given.encode("utf-8", "surrogatepass"))


_DATES = (
    b"5",
    b"Wed, 21 Oct 2015 07:28:00 GMT\n\nWed, 21 Oct 2015 07:27:00 GMT",
    b"1" * 400,
    b"Mon, 01 Jan 0001 00:00:00 +2359",
)

TARGETS: Mapping[str, Target] = {
    "definitions": Target(check_definitions, _golden_files, [*_TOML, *_FIELDS, *_KEYS], _shaped_definitions),
    "answers": Target(check_answer, _one_answers, [*_JSON, *_FIELDS, b"message", b"errors"], _nearly),
    "sources": Target(check_sources, _golden_sources, [*_JSON, *_FIELDS], _nearly),
    "pages": Target(check_pages, _pages, [*_JSON, b"pageNumber", b"totalItems", b"nextPage", BREAK], _nearly),
    "two-answers": Target(check_two_answers, _two_answers, [b"\r\n\r\n", b"HTTP/1.1 200 OK", b"Content-Length: 1"]),
    "versions": Target(check_versions, _versions, [b"\n", b"\r\n", b"same", BREAK]),
    "audit-log": Target(check_audit_log, _audit_logs, [*_JSON, *_FIELDS, b"changes", b"GMT-"], _nearly),
    "retry-after": Target(check_retry_after, lambda: _DATES, [b"GMT", b"Jan", b"+2359", b"-", b"9999", b"\n\n"]),
    "names": Target(check_name, _texts, [mark.encode() for mark in _MARKS], _shaped_texts),
    "base-urls": Target(
        check_url, lambda: [b"https://x:1/a", b"http://[::1]", b"http://127.0.0.1"], [b"@", b"xn--", b"%"]
    ),
    "texts": Target(check_text, _texts, [mark.encode() for mark in _MARKS], _shaped_texts),
    "journals": Target(check_journal, _journals, [*_JSON, *_RECORD], _nearly),
    "snapshots": Target(check_snapshot, _snapshots, [*_JSON, *_RECORD, b'"resources"', b'"unresolved"'], _nearly),
    "plans": Target(check_saved_plan, lambda: [SAVED], [*_JSON, b'"verb"', b'"changes"', b'"requests"'], _nearly),
}
