"""The applier between fakes: what it records, sends and tells, in which order, and what it makes of each outcome."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import pytest
from attrs import define, field
from command import REQUIRED
from faketime import FakeTime
from golden import snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ModelServer, toml_definition

from planner.apply.checks.conflicts import with_look
from planner.apply.report import Done, Report, Sending, Waiting
from planner.apply.sending.effects import Effects
from planner.apply.sending.send import CONNECT_ATTEMPTS, SEND_ATTEMPTS, apply_plan
from planner.apply.sending.sight import Sight
from planner.apply.sending.waits import LIMIT_BUDGET_S
from planner.audit.absence import Look
from planner.console.answers import call_of
from planner.console.listing import Listing
from planner.definitions.fields import Call
from planner.definitions.parse import parse_definitions
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.errors import DryRunIgnored, Interrupted, KeyRefused, OverLimit, Unreachable
from planner.pacing import Window
from planner.plan.build import Plan, build_plan
from planner.plan.diff import Action
from planner.plan.order import dry_requests
from state.errors import WriteFailed
from state.fold import Fold
from state.records import Applied, Deleted, Forgotten, Genesis, Imported, Intent, Moved, Rejected, Resolved, Unknown
from state.snapshot import EMPTY, ResourceState
from state.values import Address

DEFAULT = (Window(90, 10.0), Window(850, 900.0))


def address(key: str) -> Address:
    return Address(f"assignment_source.{key}")


def plan_of(state: dict[str, dict[str, Any]], *definitions: str) -> Plan:
    resources = {address(key): {"data": values} for key, values in state.items()}
    return build_plan(parse_definitions({"statform.toml": "\n".join(definitions).encode()}), snapshot(resources))


def updates(keys: str, needs: dict[str, str] | None = None) -> Plan:
    """An update of `description` for each key, in their order; `needs` are declared."""
    texts = [
        toml_definition(k, {"description": "new"}, needs=[address(n) for n in (needs or {}).get(k, "")]) for k in keys
    ]
    return plan_of({k: {"description": "old"} for k in keys}, *texts)


Fate = Any
"""What becomes of a request: a status or its absence, a class of outcome, an exception, or what to call."""


@define(slots=False)
class Api:
    """A client between this test and a model of the API; `fates` are those of the first requests, in order."""

    server: ModelServer
    time: FakeTime
    fates: list[Fate] = field(factory=list)
    log: list[str] = field(factory=list)
    took_s: Callable[[], float] = lambda: 0.0
    is_dry_run: bool = False
    sent: list[Intent] = field(factory=list)
    late: list[tuple[float, Intent]] = field(factory=list)

    def send(self, type_, intent: Intent):
        assert type_ is ASSIGNMENT_SOURCE
        self.sent.append(intent)
        self.log.append(f"send {intent.name}")
        self.time.seconds += self.took_s()
        return self.outcome(intent, self.fates.pop(0) if self.fates else "ok")

    def carry_out(self, intent: Intent) -> dict[str, Any]:
        match call_of(intent):
            case Call.CREATE:
                self.server.sources[intent.name] = dict(intent.sent)
                return dict(intent.sent)
            case Call.DELETE:
                return self.server.sources.pop(intent.name)
            case _:
                return self.server.patch(intent.name, intent.sent)

    def answered(self, intent: Intent, data: dict[str, Any]):
        a, at = intent.address, self.time.clock.timestamp()
        return Deleted(a, 200, data, 1, at) if intent.method == "DELETE" else Applied(a, 200, data, {}, 1, at)

    def settle(self) -> None:
        """Carry out what is late and due."""
        due = [intent for at, intent in self.late if at <= self.time.seconds]
        self.late = [one for one in self.late if one[1] not in due]
        for intent in due:
            with suppress(KeyError):
                self.carry_out(intent)

    def outcome(self, intent: Intent, fate: Fate):  # noqa: C901 - a line for each fate
        at, a = self.time.clock.timestamp(), intent.address
        self.settle()
        match fate:
            case "ok":
                try:
                    data = self.carry_out(intent)
                    return (
                        Deleted(a, 200, data, 1, at) if intent.method == "DELETE" else Applied(a, 200, data, {}, 1, at)
                    )
                except KeyError as error:
                    return Rejected(a, 404, str(error), False, None, 1, at)
            case "lost":
                self.carry_out(intent)
                return Unknown(a, "broke", 1, at)
            case "not sent":
                return Unknown(a, "broke", 1, at)
            case ("late", seconds):
                self.late.append((self.time.seconds + seconds, intent))
                return Unknown(a, "broke", 1, at)
            case "in review":
                return (
                    Deleted(a, 200, {}, 1, at) if intent.method == "DELETE" else Applied(a, 200, intent.sent, {}, 1, at)
                )
            case "no connection":
                return Rejected(a, None, "no connection", True, None, 1, at)
            case "bad certificate":
                return Rejected(a, None, "certificate", False, None, 1, at)
            case ("429", seconds):
                return Rejected(a, 429, "too many", True, seconds, 1, at)
            case int():
                return Rejected(a, fate, "no", False, None, 1, at)
            case dict():
                return Applied(a, 200, {"name": intent.name, **intent.sent, **fate}, {}, 1, at)
            case BaseException():
                raise fate
        return fate(intent)

    def list(self, type_):
        assert type_ is ASSIGNMENT_SOURCE
        self.log.append("list")
        self.settle()
        return dict(self.server.sources)


@define
class Bench:
    """`more` are further effects of the run."""

    plan: Plan
    api: Api
    records: list[Any] = field(factory=list)
    events: list[Any] = field(factory=list)
    fails_at: dict[int, Exception] = field(factory=dict)
    windows: tuple[Window, ...] = (Window(10**9, 1.0),)
    sent_at: list[float] = field(factory=list)
    shield: Callable[[], Any] = nullcontext
    on_event: Callable[[Any], None] = lambda _event: None
    state: Fold | None = None
    more: dict[str, Any] = field(factory=dict)

    @property
    def log(self) -> list[str]:
        return self.api.log

    def record(self, one: Any) -> None:
        number = len(self.records)
        self.records.append(one)
        if number in self.fails_at:
            self.log.append(f"fail {one.kind}")
            raise self.fails_at[number]
        if self.state:
            self.state.add(one)
        self.log.append(f"record {one.kind}")

    def notify(self, event: Any) -> None:
        self.events.append(event)
        if not isinstance(event, Waiting):
            self.log.append(f"tell {type(event).__name__}")
        self.on_event(event)

    def run(self) -> Report:
        effects = Effects(self.record, self.notify, self.shield, self.api.time.clock, self.windows, self.sent_at)
        if self.state:
            effects = effects._replace(known=self.state.resource)
        return apply_plan(self.plan, self.api, effects._replace(**self.more))  # type: ignore[arg-type]

    @property
    def waits(self) -> list[float]:
        """How long each wait was, of which an event each second tells."""
        waits, left = [], 0.0
        for event in self.events:
            if isinstance(event, Waiting) and event.seconds > left:
                waits.append(event.seconds)
            left = event.seconds if isinstance(event, Waiting) else 0.0
        return waits


def bench(plan: Plan, *fates: Fate, chance: float = 1.0, **options: Any) -> Bench:
    sources = {
        action.name: {c.field.name: c.before for c in action.changes if c.field.name != "name"}
        for action in plan.actions
    }
    return Bench(plan, Api(ModelServer(sources), FakeTime(chance=chance), list(fates)), **options)


def living(definitions: str, *sources: dict[str, Any], fates: tuple[Fate, ...] = ()) -> Bench:
    """A run on a state that is kept, of sources that are as it has them."""
    state = Fold(EMPTY)
    state.add(Genesis("l", 2, "t"))
    for one in sources:
        state.add(Imported(address(one["name"]), one, "t"))
    plan = build_plan(parse_definitions({"statform.toml": definitions.encode()}), state.snapshot("0" * 64, 1))
    server = ModelServer({one["name"]: one for one in sources})
    return Bench(plan, Api(server, FakeTime(), list(fates)), state=state)


def keys(addresses: Any) -> str:
    return "".join(str(getattr(a, "address", a)).partition(".")[2] for a in addresses)


def shape(report: Report) -> dict[str, str]:
    """The keys in each category that has any."""
    names = ("applied", "rejected", "unknown", "skipped", "not_attempted", "not_accepted")
    return {name: found for name in names if (found := keys(getattr(report, name)))}


ONE = ["record intent", "send a", "record result", "tell Done"]


# The order


def test_an_intent_is_recorded_before_it_is_sent_and_an_outcome_before_it_is_told() -> None:
    run = bench(updates("ab"))
    report = run.run()
    assert run.log == ["tell Sending", *ONE, "tell Sending", *(line.replace("send a", "send b") for line in ONE)]
    assert (shape(report), report.exit_code, report.is_complete) == ({"applied": "ab"}, 0, True)
    assert [(e.number, e.total) for e in run.events if isinstance(e, Sending)] == [(1, 2), (2, 2)]
    intent, result, *_ = run.records
    assert (intent.before, intent.sent, intent.name, intent.method) == (
        {"description": "old"},
        {"description": "new"},
        "a",
        "PATCH",
    )
    assert isinstance(result, Applied)


def test_an_unknown_outcome_is_recorded_before_the_remote_is_listed() -> None:
    run = bench(updates("a"), "lost")
    assert run.run().exit_code == 0
    assert run.log == [
        "tell Sending",
        "record intent",
        "send a",
        "record unknown",
        "list",
        "record resolved",
        "tell Done",
        # What nobody knew is looked at once more at the end.
        "list",
    ]


def test_what_did_not_happen_is_sent_again_after_an_intent_of_its_own() -> None:
    run = bench(updates("a"), "not sent")
    assert run.run().exit_code == 0
    unknown = ["record intent", "send a", "record unknown", *["list"] * 3, "record resolved", "tell Done"]
    assert run.log == ["tell Sending", *unknown, *ONE, "list"]


def test_who_watches_is_told_which_request_what_became_of_it_and_how_long_it_took() -> None:
    run = bench(updates("ab"), "no connection", "ok", "lost")
    run.api.took_s = lambda: 1.5
    run.run()
    told = [event for event in run.events if not isinstance(event, Waiting)]
    a, b = run.plan.requests
    assert [type(event) for event in told] == [Sending, Done, Done, Sending, Done]
    assert [event.request for event in told] == [a, a, a, b, b]
    outcomes = [record for record in run.records if not isinstance(record, Intent | Unknown)]
    assert [event.outcome for event in told if isinstance(event, Done)] == outcomes
    assert [event.duration_s for event in told if isinstance(event, Done)] == [1.5, 4.0, 1.5]


def test_an_intent_has_the_time_at_which_it_was_recorded() -> None:
    run = bench(updates("ab"))
    run.api.took_s = lambda: 1.5
    run.run()
    assert [intent.at for intent in run.api.sent] == ["2025-01-01T00:00:00.000Z", "2025-01-01T00:00:01.500Z"]


MOVED = Moved(address("old"), address("new"), "2025-01-01T00:00:00.000Z")


def test_what_has_another_address_now_is_taken_along_before_anything_is_sent() -> None:
    state = {"old": {"description": "x"}, "b": {"description": "old"}}
    texts = [toml_definition("b", {"description": "new"}), toml_definition("new", {"description": "x"}, "old")]
    run = bench(plan_of(state, *texts))
    report = run.run()
    assert run.log == ["record move", "tell Sending", *(line.replace("send a", "send b") for line in ONE)]
    assert run.records[0] == MOVED
    assert sorted(action.address for action in report.applied) == [address("b"), address("new")]


@pytest.mark.parametrize(("fate", "category"), [("ok", "applied"), (400, "rejected")])
def test_a_move_with_a_change_is_done_when_the_change_is(fate: Fate, category: str) -> None:
    run = bench(plan_of({"old": {"team": "t"}}, toml_definition("new", {"team": "u"}, "old")), fate)
    assert shape(run.run()) == {category: "new"}
    assert [record.kind for record in run.records[:2]] == ["move", "intent"]
    assert run.records[0] == MOVED


def test_a_plan_that_does_nothing_sends_nothing() -> None:
    run = bench(plan_of({"a": {"description": "x"}}, toml_definition("a", {"description": "x"})))
    report = run.run()
    assert (run.log, shape(report), report.exit_code) == ([], {}, 0)


def test_what_is_forgotten_is_recorded_last_and_never_sent() -> None:
    run = bench(plan_of({"a": {"description": "old"}, "z": {}}, toml_definition("a", {"description": "new"})))
    report = run.run()
    assert run.log == ["tell Sending", *ONE, "record forget"]
    assert run.records[-1] == Forgotten(address("z"), "2025-01-01T00:00:00.000Z")
    assert shape(report) == {"applied": "az"}


# The disk


def failure() -> WriteFailed:
    return WriteFailed("x.json", "append to it", OSError(28, "No space left on device"))


@pytest.mark.parametrize(
    ("at", "fates", "categories", "unstored"),
    [
        (0, [], {"not_attempted": "abz"}, None),
        (1, [], {"unknown": "a", "not_attempted": "bz"}, Applied),
        (1, [400], {"unknown": "a", "not_attempted": "bz"}, Rejected),
        (1, ["lost"], {"unknown": "a", "not_attempted": "bz"}, Unknown),
        (2, ["lost"], {"unknown": "a", "not_attempted": "bz"}, Resolved),
        (2, ["not sent"], {"unknown": "a", "not_attempted": "bz"}, Resolved),
        (2, [], {"applied": "a", "not_attempted": "bz"}, None),
        (2, [400], {"rejected": "a", "not_attempted": "bz"}, None),
        (2, ["no connection"], {"rejected": "a", "not_attempted": "bz"}, None),
        (3, [], {"applied": "a", "unknown": "b", "not_attempted": "z"}, Applied),
        (4, [], {"applied": "ab", "not_attempted": "z"}, None),
    ],
)
def test_after_the_disk_refused_nothing_is_sent_and_no_answer_is_lost(at, fates, categories, unstored) -> None:
    error = failure()
    plan = plan_of(
        {"a": {"description": "old"}, "b": {"description": "old"}, "z": {}},
        *(toml_definition(key, {"description": "new"}) for key in "ab"),
    )
    run = bench(plan, *fates, fails_at={at: error})
    report = run.run()
    assert run.log[-1].startswith("fail ")
    assert len(run.records) == at + 1
    assert report.stopped_by is error
    assert report.exit_code == 1
    assert shape(report) == categories
    assert set(report.unknown.values()) <= {"its outcome could not be written to the journal"}
    assert report.unstored is (run.records[-1] if unstored else None)
    assert isinstance(report.unstored, unstored or type(None))


# Outcomes


@pytest.mark.parametrize("status", [400, 404, 409, 422, 418])
def test_what_depends_on_a_rejected_source_is_skipped_and_the_others_go_on(status: int) -> None:
    run = bench(updates("abcde", {"b": "a", "c": "b", "d": "c"}), status)
    report = run.run()
    assert (shape(report), report.exit_code) == ({"applied": "e", "rejected": "a", "skipped": "bcd"}, 1)
    assert report.rejected == {address("a"): f"{status}: no"}
    assert report.skipped[address("b")] == "it depends on assignment_source.a"
    assert [intent.name for intent in run.api.sent] == ["a", "e"]
    assert not report.stopped_by


def test_what_depends_on_an_unknown_outcome_is_skipped() -> None:
    def meddle(intent: Intent) -> Unknown:
        run.api.server.sources["a"]["description"] = "theirs"
        return run.api.outcome(intent, "not sent")

    run = bench(updates("abc", {"b": "a"}), meddle)
    report = run.run()
    assert (shape(report), report.exit_code) == ({"applied": "c", "unknown": "a", "skipped": "b"}, 1)
    assert report.unknown[address("a")].startswith("broke; the list has neither")
    assert run.api.server.sources["a"]["description"] == "theirs"


def test_a_change_without_the_right_to_it_stops_only_what_depends_on_it() -> None:
    report = bench(updates("abc", {"b": "a"}), 403).run()
    assert (shape(report), report.exit_code) == ({"applied": "c", "rejected": "a", "skipped": "b"}, 1)


def test_a_refused_key_stops_the_run() -> None:
    status = 401
    run = bench(updates("abc", {"b": "a"}), status)
    report = run.run()
    assert isinstance(report.stopped_by, KeyRefused)
    assert str(report.stopped_by).startswith(f"the API answered {status}: no\n")
    assert (shape(report), report.exit_code) == ({"rejected": "a", "not_attempted": "bc"}, 3)
    assert len(run.api.sent) == 1


def test_a_field_that_is_not_accepted_fails_the_run_after_the_others() -> None:
    run = bench(updates("abc", {"b": "a"}), {"description": "else"})
    report = run.run()
    # The dependants do go on: the request was accepted.
    assert (shape(report), report.exit_code) == ({"applied": "abc", "not_accepted": "a"}, 1)
    assert report.not_accepted == {address("a"): ("description",)}


def test_a_value_that_only_looks_like_the_one_that_was_there_is_not_accepted_when_nothing_moved() -> None:
    plan = plan_of({"a": {"description": "old"}}, toml_definition("a", {"description": "Old "}))
    assert shape(bench(plan, {"description": "old"}).run()) == {"applied": "a", "not_accepted": "a"}
    assert shape(bench(plan, {"description": "Old"}).run()) == {"applied": "a"}


def test_a_name_that_is_not_accepted_frees_none() -> None:
    plan = plan_of({"a": {}, "b": {}, "c": {}}, *(toml_definition(k, {}, n) for k, n in ("ab", "bx", "cy")))
    run = bench(plan, {"name": "b"})
    report = run.run()
    assert shape(report) == {"applied": "bc", "not_accepted": "b", "skipped": "a"}
    assert [(i.name, i.sent) for i in run.api.sent] == [("b", {"name": "x"}), ("c", {"name": "y"})]


SWAP = plan_of({"a": {}, "b": {}}, toml_definition("a", {}, "b"), toml_definition("b", {}, "a"))


@pytest.mark.parametrize(
    ("fates", "categories", "sent"),
    [
        ([], {"applied": "ab"}, 3),
        ([400], {"rejected": "a", "skipped": "b"}, 1),
        (["ok", 400], {"rejected": "b", "skipped": "a"}, 2),
        (["ok", "ok", 400], {"applied": "b", "rejected": "a"}, 3),
        ([{"name": "a"}], {"skipped": "ab", "not_accepted": "a"}, 1),
        (["ok", 401], {"rejected": "b", "skipped": "a"}, 2),
        (["ok", Interrupted()], {"unknown": "b", "skipped": "a"}, 2),
        ([Interrupted()], {"unknown": "a", "not_attempted": "b"}, 1),
    ],
)
def test_a_swap_of_names_that_stops_halfway_says_so(fates, categories, sent: int) -> None:
    run = bench(SWAP, *fates)
    report = run.run()
    assert sorted(shape(report)) == sorted(categories)
    assert {kind: sorted(found) for kind, found in shape(report).items()} == {
        k: sorted(v) for k, v in categories.items()
    }
    assert len(run.api.sent) == sent


@pytest.mark.parametrize(
    ("fates", "skipped"),
    [
        ([{"name": "a"}], {"a": "its temporary name was not accepted", "b": "it depends on assignment_source.a"}),
        (["ok", 401], {"a": "it still has its temporary name"}),
        (["ok", 400], {"a": "it depends on assignment_source.b"}),
    ],
)
def test_what_is_left_of_a_swap_is_told_with_its_reason(fates, skipped) -> None:
    assert bench(SWAP, *fates).run().skipped == {address(key): why for key, why in skipped.items()}


def test_the_prior_of_a_renames_second_request_is_the_temporary_name() -> None:
    run = bench(SWAP)
    run.run()
    assert [(i.name, i.before, i.sent) for i in run.api.sent] == [
        ("a", {"name": "a"}, {"name": "a_statform_swap"}),
        ("b", {"name": "b"}, {"name": "a"}),
        ("a_statform_swap", {"name": "a_statform_swap"}, {"name": "b"}),
    ]


def test_a_field_without_a_known_prior_has_none_in_the_intent() -> None:
    run = bench(plan_of({}, toml_definition("a", {"description": "new", "team": "t"})))
    run.api.server.sources = {"a": {"name": "a"}}
    assert run.run().exit_code == 0
    assert run.api.sent[0].before == {}


# Again


def test_no_connection_is_tried_again_with_backoff_and_then_ends_the_run() -> None:
    run = bench(updates("ab"), *["no connection"] * 9)
    report = run.run()
    assert isinstance(report.stopped_by, Unreachable)
    assert str(report.stopped_by) == "no connection; tried 5 times"
    assert (shape(report), report.exit_code) == ({"rejected": "a", "not_attempted": "b"}, 3)
    assert len(run.api.sent) == CONNECT_ATTEMPTS == 5
    assert run.waits == [1, 2, 4, 8]


def test_each_request_has_its_own_attempts() -> None:
    run = bench(updates("ab"), *["no connection"] * 4, "ok", *["no connection"] * 4, "ok")
    assert shape(run.run()) == {"applied": "ab"}
    assert run.waits == [1, 2, 4, 8] * 2


def test_a_bad_certificate_is_not_tried_again() -> None:
    run = bench(updates("ab"), "bad certificate")
    report = run.run()
    assert (shape(report), report.exit_code) == ({"rejected": "a", "not_attempted": "b"}, 3)
    assert (len(run.api.sent), run.waits) == (1, [])
    assert str(report.stopped_by) == "certificate"
    assert report.rejected == {address("a"): "certificate"}


def test_every_wait_says_why() -> None:
    run = bench(updates("a"), "no connection", "not sent", windows=(Window(2, 60.0),))
    assert run.run().exit_code == 0
    whys = [event.why for event in run.events if isinstance(event, Waiting)]
    assert list(dict.fromkeys(whys)) == [
        "no connection",
        "it did not happen: broke",
        "to stay below the API's rate limit",
    ]


def test_what_never_happens_is_given_up_and_the_others_go_on() -> None:
    run = bench(updates("ab"), *["not sent"] * SEND_ATTEMPTS)
    report = run.run()
    assert (shape(report), report.exit_code) == ({"applied": "b", "rejected": "a"}, 1)
    assert report.rejected == {address("a"): "it did not happen: broke"}
    assert [intent.name for intent in run.api.sent] == ["a"] * 3 + ["b"]
    assert run.log.count("list") == 9


@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
def test_every_wait_is_up_to_chance_but_for_a_least_when_over_the_limit(chance: float) -> None:
    run = bench(updates("a"), "no connection", "not sent", ("429", None), chance=chance)
    assert run.run().exit_code == 0
    assert run.waits == [wait for wait in (1 * chance, 2 * chance, 5 + 10 * chance) if wait]


def test_over_the_limit_the_run_waits_longer_each_time_and_anew_for_each_request() -> None:
    run = bench(updates("ab"), *[("429", None)] * 3, "ok", ("429", None), "ok")
    assert run.run().exit_code == 0
    assert run.waits == [15, 25, 45, 15]


def test_over_the_limit_no_wait_is_longer_than_five_minutes_and_all_together_have_an_end() -> None:
    run = bench(updates("a"), *[("429", None)] * 20)
    report = run.run()
    assert run.waits == [15, 25, 45, 85, 165, 305, 305, 305, 305]
    assert isinstance(report.stopped_by, OverLimit)
    assert str(report.stopped_by) == "too many requests for the API: too many"


def test_over_the_limit_the_run_waits_as_long_as_it_is_asked() -> None:
    run = bench(updates("a"), ("429", 7.5), ("429", 0.0))
    assert run.run().exit_code == 0
    assert run.waits == [7.5, 25]
    assert {event.why for event in run.events if isinstance(event, Waiting)} == {"too many requests for the API"}


def test_a_countdown_tells_each_second_what_is_left() -> None:
    run = bench(updates("a"), ("429", 3.5))
    run.run()
    assert [event.seconds for event in run.events if isinstance(event, Waiting)] == [3.5, 2.5, 1.5, 0.5]


def test_the_waits_for_the_limit_add_up_over_the_run() -> None:
    run = bench(updates("abc"), ("429", 1000.0), "ok", ("429", 800.0), "ok", ("429", 1.0))
    report = run.run()
    assert isinstance(report.stopped_by, OverLimit)
    assert (shape(report), report.exit_code) == ({"applied": "ab", "rejected": "c"}, 3)
    assert run.api.time.seconds == LIMIT_BUDGET_S


@pytest.mark.parametrize("fate", [400, 404, 409])
def test_a_rename_that_is_refused_when_it_is_sent_again_is_looked_for(fate: int) -> None:
    def happen_late(intent: Intent) -> Rejected:
        run.api.server.patch(intent.name, intent.sent)
        return run.api.outcome(intent, fate)

    run = bench(plan_of({"a": {}}, toml_definition("a", {}, "b")), "not sent", happen_late)
    report = run.run()
    assert (shape(report), report.exit_code) == ({"applied": "a"}, 0)
    assert [r.kind for r in run.records] == ["intent", "unknown", "resolved"] * 2
    assert run.records[4] == Unknown(address("a"), f"the API answered {fate}: no", 1, run.records[3].at)
    # Refused at once, it is refused.
    run = bench(plan_of({"a": {}}, toml_definition("a", {}, "b")), fate)
    assert shape(run.run()) == {"rejected": "a"}


def test_a_rename_that_is_sent_again_with_success_is_not_looked_for() -> None:
    run = bench(plan_of({"a": {}}, toml_definition("a", {}, "b")), "not sent", "ok")
    assert shape(run.run()) == {"applied": "a"}
    assert [r.kind for r in run.records] == ["intent", "unknown", "resolved", "intent", "result"]


def test_a_rename_that_is_sent_again_over_the_limit_or_without_a_connection_is_tried_again() -> None:
    fates = ["not sent", ("429", 1.0), "no connection", "ok"]
    run = bench(plan_of({"a": {}}, toml_definition("a", {}, "b")), *fates)
    assert shape(run.run()) == {"applied": "a"}
    assert [r.kind for r in run.records][3:] == ["intent", "rejected", "intent", "rejected", "intent", "result"]


def test_a_rename_that_is_sent_again_with_a_refused_key_stops_the_run() -> None:
    report = bench(plan_of({"a": {}}, toml_definition("a", {}, "b")), "not sent", 401).run()
    assert isinstance(report.stopped_by, KeyRefused)
    assert report.rejected == {address("a"): "401: no"}


# The pace


@define
class Limiter:
    """The API's own count of requests, each at its arrival: some time between the sending and the answer."""

    windows: tuple[Window, ...]
    arrivals: list[float] = field(factory=list)

    def count(self, at: float) -> None:
        assert not self.arrivals or at >= self.arrivals[-1]
        for window in self.windows:
            recent = len(self.arrivals) - bisect_right(self.arrivals, at - window.seconds)
            assert recent < window.limit, f"request {len(self.arrivals)} at {at}"
        self.arrivals.append(at)


def paced(
    count: int, windows: tuple[Window, ...], latencies: Iterator[tuple[float, float]], limiter: Limiter, *before: float
) -> Bench:
    """`count` requests; `latencies` are the times to the API and back, `before` those of earlier requests."""
    names = [f"s{n}" for n in range(count)]
    plan = plan_of(
        {name: {"description": "old"} for name in names},
        *(toml_definition(name, {"description": "new"}) for name in names),
    )
    run = bench(plan, windows=windows, sent_at=[*before])

    def took() -> float:
        there, back = next(latencies)
        limiter.count(run.api.time.seconds + there)
        return there + back

    run.api.took_s = took
    return run


def every(*pairs: tuple[float, float]) -> Iterator[tuple[float, float]]:
    while True:
        yield from pairs


def test_two_thousand_requests_never_exceed_a_limit_of_the_api() -> None:
    limiter = Limiter((Window(100, 10.0), Window(900, 900.0)))
    run = paced(2000, DEFAULT, every((0.01, 0.01), (0.3, 0.2), (0.0, 0.0)), limiter)
    assert run.run().exit_code == 0
    assert len(limiter.arrivals) == 2000
    # 850 in each quarter of an hour, the first at once.
    assert 1800 < run.api.time.seconds < 2200


def test_requests_of_an_earlier_run_count() -> None:
    earlier = [-100.0 + n / 10 for n in range(850)]
    limiter = Limiter((Window(100, 10.0), Window(900, 900.0)), [*earlier])
    run = paced(120, DEFAULT, every((0.0, 0.0)), limiter, *earlier)
    run.api.time.seconds = 0.0
    assert run.run().exit_code == 0
    assert run.waits[0] == 800.0


latencies = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0625, 1.5]), st.sampled_from([0.0, 0.0625, 1.5])), min_size=1, max_size=9
)


@settings(max_examples=60, deadline=None)
@given(latencies, st.integers(1, 6), st.integers(1, 9))
def test_no_latency_makes_a_run_exceed_the_very_limit_that_it_keeps(pairs, short: int, long: int) -> None:
    windows = (Window(short, 2.0), Window(long, 7.0))
    limiter = Limiter(windows)
    run = paced(15, windows, every(*pairs), limiter)
    assert run.run().exit_code == 0
    assert len(limiter.arrivals) == 15


def test_attempts_that_fail_count_too() -> None:
    run = bench(updates("a"), *["no connection"] * 4, windows=(Window(1, 100.0),), chance=0.0)
    assert run.run().exit_code == 0
    assert run.waits == [100.0] * 4


# Signals


@define
class Shield:
    """What interrupts.Interrupts does, with signals that come at chosen moments."""

    is_up: bool = False
    is_pending: bool = False

    @contextmanager
    def up(self) -> Iterator[None]:
        self.is_up = True
        try:
            yield
        finally:
            self.is_up = False
        if self.is_pending:
            self.is_pending = False
            raise Interrupted

    def signal(self) -> None:
        if not self.is_up or self.is_pending:
            self.is_pending = False
            raise Interrupted
        self.is_pending = True


def interrupted(moment: str, times: int, *fates: Fate) -> Bench:
    """A run of three, with this many signals when the log first shows `moment`."""
    shield = Shield()
    run = bench(updates("abc", {"b": "a"}), *fates, shield=shield.up)

    class Log(list[str]):
        def append(self, line: str) -> None:
            super().append(line)
            if line == moment and self.count(line) == 1:
                for _ in range(times):
                    shield.signal()

    run.api.log = Log()
    return run


REST = {"not_attempted": "bc"}
APPLIED, REJECTED, UNKNOWN = {"applied": "a", **REST}, {"rejected": "a", **REST}, {"unknown": "a", **REST}
MOMENTS = [
    # The moment, the fates of the requests; what one signal then leaves, and what two leave.
    ("tell Sending", [], {"not_attempted": "abc"}, {"not_attempted": "abc"}),
    ("record intent", [], APPLIED, UNKNOWN),
    ("send a", [], APPLIED, UNKNOWN),
    ("record result", [], APPLIED, UNKNOWN),
    ("tell Done", [], APPLIED, APPLIED),
    ("send a", [400], REJECTED, UNKNOWN),
    ("send a", ["lost"], UNKNOWN, UNKNOWN),
    ("record unknown", ["lost"], UNKNOWN, UNKNOWN),
    ("list", ["lost"], UNKNOWN, UNKNOWN),
    ("record resolved", ["lost"], APPLIED, UNKNOWN),
    ("record resolved", ["not sent"], REJECTED, UNKNOWN),
    ("send b", [], {"applied": "ab", "not_attempted": "c"}, {"applied": "a", "unknown": "b", "not_attempted": "c"}),
    (
        "send c", [400],
        {"applied": "c", "rejected": "a", "skipped": "b"}, {"unknown": "c", "rejected": "a", "skipped": "b"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("moment", "fates", "once", "twice"), MOMENTS)
def test_a_signal_at_any_moment_ends_in_a_true_report(moment, fates, once, twice, times: int) -> None:
    run = interrupted(moment, times, *fates)
    report = run.run()
    assert isinstance(report.stopped_by, Interrupted)
    assert report.exit_code == 130
    assert shape(report) == (once if times == 1 else twice)
    assert set(report.unknown.values()) <= {"the run ended before the answer came", "broke"}
    # Whatever was sent is in the journal, and what the report calls known has an outcome there.
    intents = keys(r for r in run.records if isinstance(r, Intent))
    assert len(intents) == len(run.api.sent) or (moment, times) == ("record intent", 2)
    known = {r.address for r in run.records if isinstance(r, Applied | Rejected | Resolved)}
    assert {a.address for a in report.applied} | report.rejected.keys() <= known


def test_a_signal_while_waiting_ends_the_wait() -> None:
    def interrupt(event: Any) -> None:
        if isinstance(event, Waiting) and event.seconds < 10:
            raise Interrupted

    run = bench(updates("ab"), ("429", 100.0), on_event=interrupt)
    report = run.run()
    assert (shape(report), report.exit_code) == ({"rejected": "a", "not_attempted": "b"}, 130)
    assert 90 < run.api.time.seconds < 100
    assert not any(isinstance(event, Done) and isinstance(event.outcome, Applied) for event in run.events)


def test_a_list_that_fails_ends_the_run_and_leaves_the_outcome_open() -> None:
    run = bench(updates("ab"), "lost")
    run.api.list = lambda _type: (_ for _ in ()).throw(Unreachable("gone"))  # type: ignore[method-assign]
    report = run.run()
    assert (shape(report), report.exit_code) == ({"unknown": "a", "not_attempted": "b"}, 3)
    assert report.unknown == {address("a"): "broke"}
    assert [r.kind for r in run.records] == ["intent", "unknown"]


# The dry run


def test_a_dry_run_compares_nothing_with_what_the_api_answers() -> None:
    plan = updates("ab")
    plan = Plan(
        plan.lineage, plan.serial, plan.head, plan.actions, dry_requests(plan.actions, plan.requests), plan.managed
    )
    run = bench(plan, {"description": "old"}, 422)
    run.api.is_dry_run = True
    report = run.run()
    assert (shape(report), report.exit_code) == ({"applied": "a", "rejected": "b"}, 1)
    run.api.is_dry_run = False
    run.api.fates = [{"description": "old"}]
    assert shape(run.run()) == {"applied": "ab", "not_accepted": "a"}


def test_a_dry_run_that_stops_tells_only_of_what_it_would_have_tried() -> None:
    run = living(GONE + toml_definition("b", {"team": "new"}), {"name": "a"}, {"name": "b"}, fates=(401,))
    run.plan = run.plan._replace(requests=dry_requests(run.plan.actions, run.plan.requests))
    run.api.is_dry_run = True
    assert shape(run.run()) == {"rejected": "b"}
    run.on_event = lambda _event: (_ for _ in ()).throw(Interrupted())
    assert shape(run.run()) == {"not_attempted": "b"}


def test_a_dry_run_tries_a_create_again_that_did_not_happen() -> None:
    run = living(WHOLE, fates=("not sent", "in review"))
    run.api.is_dry_run = True
    assert (shape(run.run()), len(run.api.sent)) == ({"applied": "a"}, 2)


def test_what_a_superseded_request_finds_changed_besides_is_reported() -> None:
    run = bench(updates("a"))

    def superseded(intent: Intent) -> Unknown:
        run.api.server.sources["a"] |= {"description": "theirs", "team": "theirs"}
        return Unknown(intent.address, "broke", 1, intent.at)

    run.api.fates = [superseded]
    state = ResourceState("a", {"name": "a", "team": "theirs"}, {}, "", {"team": "ours", "teamID": "t"})
    clock = run.api.time.clock
    known, declared = {address("a"): state}.get, {address("a"): {"team": "ours"}}.__getitem__
    effects = Effects(run.record, run.notify, nullcontext, clock, run.windows, [], known=known, declared=declared)
    report = apply_plan(run.plan, run.api, effects)  # type: ignore[arg-type]
    assert (shape(report), report.drifted) == ({"unknown": "a"}, {address("a"): ("team",)})


# Late, and in another form


@pytest.mark.parametrize("seconds", [1.5, 8.0, 59.0])
def test_a_name_that_is_given_late_hits_no_other_source(seconds: float) -> None:
    swap = toml_definition("a", {}, "b") + toml_definition("b", {}, "a")
    run = living(swap, {"name": "a", "team": "A"}, {"name": "b", "team": "B"}, fates=(("late", seconds),))
    assert shape(run.run()) == {"applied": "ba"}
    assert {name: one["team"] for name, one in run.api.server.sources.items()} == {"a": "B", "b": "A"}
    assert [intent.name for intent in run.api.sent] == ["a", "b", "a_statform_swap"]


def test_a_name_that_may_be_given_for_less_than_a_second_is_waited_for() -> None:
    run = living(toml_definition("a", {}, "b"), {"name": "a"}, fates=(("late", 3.25),))
    run.api.took_s = lambda: 56.5
    assert shape(run.run()) == {"applied": "a"}
    assert [(one.seconds, one.why) for one in run.events if isinstance(one, Waiting)] == [
        (0.5, "the API may still carry out the rename")
    ]
    assert len(run.api.sent) == 1


def test_what_the_list_shows_at_once_is_not_waited_for() -> None:
    run = living(toml_definition("a", {}, "b"), {"name": "a"}, fates=("lost",))
    assert (shape(run.run()), run.waits) == ({"applied": "a"}, [])


def test_a_create_that_nobody_answered_is_looked_for_at_once_and_at_the_end() -> None:
    run = living(WHOLE + B, fates=("lost",))
    assert shape(run.run()) == {"applied": "ab"}
    assert [one.kind for one in run.records[:3]] == ["intent", "unknown", "resolved"]
    late = living(WHOLE + B, fates=(("late", 5.0),))
    late.api.took_s = lambda: 5.0
    assert shape(late.run()) == {"applied": "ab"}
    assert [one.kind for one in late.records] == ["intent", "unknown", "intent", "result", "resolved"]
    told = [event for event in late.events if isinstance(event, Done)]
    assert [(event.request.address, event.outcome.kind) for event in told] == [
        (address("b"), "result"),
        (address("a"), "resolved"),
    ]
    never = living(WHOLE, fates=("not sent",))
    assert (shape(never.run()), len(never.api.sent)) == ({"unknown": "a"}, 1)


def test_a_delete_that_nobody_answered_and_that_happened_is_done() -> None:
    run = living(GONE, {"name": "a", "team": "x"}, fates=("lost",))
    assert (shape(run.run()), run.state.resource(address("a"))) == ({"applied": "a"}, None)


def test_what_was_rejected_after_an_unknown_outcome_is_not_looked_at_again() -> None:
    run = bench(SWAP, "lost", "ok", 400)
    assert (shape(run.run())["rejected"], run.log.count("list")) == ("a", 1)


def test_what_becomes_of_a_source_after_an_unknown_outcome_is_seen_at_the_end() -> None:
    run = living(toml_definition("a", {"team": "new"}), {"name": "a", "team": "old"}, fates=("not sent",))

    def meddle(_event: Any) -> None:
        if run.records and isinstance(run.records[-1], Applied):
            run.api.server.sources["a"]["team"] = "old again"

    run.on_event = meddle
    report = run.run()
    assert (shape(report), report.exit_code) == ({"unknown": "a"}, 1)
    assert "the last list has another team" in report.unknown[address("a")]


@pytest.mark.parametrize("told", ["CAFE\u0301", "cafe\u0301 "])
def test_a_name_that_the_answer_has_in_another_form_than_the_list_stays_as_the_list_has_it(told: str) -> None:
    name = "caf\u00e9"
    run = living(toml_definition("a", {"team": "new"}, name), {"name": "a", "team": "old"})
    assert run.run().exit_code == 0
    run.plan = build_plan(
        parse_definitions({"statform.toml": toml_definition("a", {"team": "newer"}, name).encode()}),
        run.state.snapshot("0" * 64, 1),
    )

    def in_another_form(intent: Intent) -> Applied:
        return Applied(intent.address, 200, {**run.api.carry_out(intent), "name": told}, {}, 1, intent.at)

    run.api.fates = [in_another_form]
    report = run.run()
    assert (shape(report), report.exit_code) == ({"applied": "a"}, 0)
    assert run.state.resource(address("a")).name == name
    reason = "the API answered 200, with the name in another form than in the list"
    (unknown,) = (one for one in run.records if isinstance(one, Unknown))
    assert unknown == Unknown(address("a"), reason, 1, "2025-01-01T00:00:00.000Z")


def test_a_new_name_that_the_answer_has_as_it_was_asked_for_is_not_looked_for() -> None:
    run = living(toml_definition("a", {}, "b"), {"name": "a"})
    assert (shape(run.run()), run.log.count("list")) == ({"applied": "a"}, 0)


def test_a_name_in_another_form_counts_where_the_list_shows_neither() -> None:
    run = living(toml_definition("a", {"team": "new"}), {"name": "a", "team": "old"})
    run.api.list = lambda _type: {}  # type: ignore[method-assign]
    run.api.fates = [{"name": "A"}]
    assert run.run().exit_code == 0
    assert [one.kind for one in run.records] == ["intent", "result"]


# What somebody changed meanwhile


def watched(definitions: str, *sources: dict[str, Any], fates: tuple[Fate, ...] = ()) -> Bench:
    """A run that looks for what somebody changed, as one does that nobody told otherwise."""
    run = living(definitions, *sources, fates=fates)
    values = {a: one.values for a, one in parse_definitions({"statform.toml": definitions.encode()}).resources.items()}
    run.more = {"checks_drift": True, "declared": lambda a: values.get(a, {})}
    return run


TEAM, DESCRIBED = toml_definition("a", {"team": "new"}), toml_definition("a", {"team": "new", "description": "d"})
OLD = {"name": "a", "team": "old", "description": "d"}


def test_a_source_of_which_anything_that_is_declared_was_changed_is_skipped() -> None:
    run = watched(DESCRIBED, OLD)
    run.api.server.sources["a"]["description"] = "theirs"
    report = run.run()
    assert (shape(report), run.api.sent) == ({"skipped": "a"}, [])
    assert report.skipped == {
        address("a"): 'somebody changed its description, which is now "theirs": nothing was sent. '
        "`statform refresh` accepts the change"
    }


def test_a_source_of_which_only_what_is_not_declared_was_changed_is_not_skipped() -> None:
    run = watched(TEAM, OLD)
    run.api.server.sources["a"]["description"] = "theirs"
    assert shape(run.run()) == {"applied": "a"}


def test_a_field_that_the_list_shows_of_another_source_only_was_cleared() -> None:
    run = watched(toml_definition("a", {"team": "t", "description": "new"}), {"name": "a", "team": "t"})
    run.api.server.sources = {"a": {"name": "a"}, "other": {"name": "other", "team": "t"}}
    assert run.run().skipped[address("a")].startswith("somebody changed its team, which is now null")
    run.api.server.sources["other"] = {"name": "other"}
    assert shape(run.run()) == {"applied": "a"}


def test_a_source_that_is_gone_is_skipped() -> None:
    run = watched(TEAM, OLD)
    run.api.server.sources = {}
    assert run.run().skipped == {address("a"): 'somebody renamed or deleted it: the remote has no source named "a"'}


def test_what_was_changed_while_a_refused_request_waited_is_skipped_and_no_more_rejected() -> None:
    run = watched(TEAM, OLD)

    def meddle(intent: Intent) -> Rejected:
        run.api.server.sources["a"]["team"] = "theirs"
        return run.api.outcome(intent, ("429", 31.0))

    run.api.fates = [meddle]
    assert (shape(run.run()), len(run.api.sent)) == ({"skipped": "a"}, 1)


def test_a_list_that_is_behind_gives_no_source_the_values_of_the_one_that_had_its_name() -> None:
    """Of a swap the last request is lost, and the list still shows the name that it asks for: that of the other one."""
    swap = toml_definition("a", {}, "b") + toml_definition("b", {}, "a")
    run = watched(swap, {"name": "a", "team": "A"}, {"name": "b", "team": "B"}, fates=("ok", "ok", "not sent"))
    true, behind = run.api.list, {"b": {"name": "b", "team": "B"}}
    run.api.list = lambda type_: true(type_) if len(run.api.sent) != 3 else [run.log.append("list"), dict(behind)][1]
    report = run.run()
    teams = {key: run.state.resource(address(key)).data["team"] for key in "ab"}
    assert (shape(report), report.exit_code, teams) == ({"applied": "b", "unknown": "a"}, 1, {"a": "A", "b": "B"})


def test_what_an_answer_leaves_out_is_in_a_full_update_as_it_was_listed() -> None:
    """Of a swap the first request is a PATCH to a temporary name, whose answer may have little more than that."""
    swap = toml_definition("a", {"sql": "new", "team": None}, "b") + toml_definition("b", {}, "a")
    sources = [{"name": name, "sql": name, "team": name, "description": name} for name in "ab"]
    run = watched(swap, *sources, fates=(lambda intent: run.api.carry_out(intent) and run.api.outcome(intent, {}),))
    run.api.server.sources["a"]["groupNameColumn"] = run.api.server.sources["b"]["groupNameColumn"] = "theirs"
    assert shape(run.run()) == {"applied": "ba"}
    (full,) = [intent for intent in run.api.sent if intent.method == "POST"]
    assert (full.sent["groupNameColumn"], full.sent["description"], full.sent["team"]) == ("theirs", "a", None)


@pytest.mark.parametrize("fates", [(), ("lost",), ("ok", "lost")])
def test_our_own_answer_is_a_look_at_its_source_by_its_new_name(fates: tuple[Fate, ...]) -> None:
    swap = toml_definition("a", {}, "b") + toml_definition("b", {}, "a")
    run = watched(swap, {"name": "a", "team": "A"}, {"name": "b", "team": "B"}, fates=fates)
    assert shape(run.run()) == {"applied": "ba"}


@pytest.mark.parametrize(
    ("took_s", "window_s", "looks"), [(20.0, 0.0, 1), (31.0, 0.0, 2), (20.0, 0.5, 2), (20.0, 5.0, 2), (5.0, 1.0, 1)]
)
def test_a_look_that_is_ten_seconds_old_is_made_anew_where_a_request_waits_all_the_same(
    took_s: float, window_s: float, looks: int
) -> None:
    run = watched(TEAM + toml_definition("b", {"team": "new"}), OLD, {"name": "b", "team": "old"})
    run.windows = (Window(1, window_s),) if window_s else run.windows
    run.api.took_s = lambda: took_s
    assert (shape(run.run()), run.log.count("list")) == ({"applied": "ab"}, looks)


def test_a_look_is_for_the_request_and_for_those_after_it() -> None:
    texts = [toml_definition(key, {"team": "new"}) for key in "bcd"]
    run = watched(GONE + "\n".join(texts), *({"name": key, "team": "old"} for key in "abcd"))
    looked = []

    def look(types: Any, addresses: Any) -> Look:
        looked.append("".join(sorted(keys(addresses))))
        return Look({type_.name: run.api.list(type_) for type_ in types})

    def not_there(intent: Intent) -> Deleted:
        return Deleted(intent.address, 404, run.api.server.sources.pop("a"), 1, intent.at)

    run.more["sight"] = Sight(run.api.time.clock, look)
    run.api.took_s = lambda: 40.0
    run.api.fates = ["ok", "ok", "ok", not_there]
    assert shape(run.run()) == {"applied": "bcda"}
    assert looked == ["abcd", "acd", "ad", "a", "a"]


MAY_BE_RENAMED = (
    'the list has no "a", but no answer says that it is deleted, and "kept" is new: perhaps somebody renamed and '
    "changed it; look at it in Statsig"
)


@pytest.mark.parametrize("team", ["x", "y"])
def test_what_is_to_be_deleted_and_was_renamed_is_skipped_and_what_is_gone_is_asked_for_all_the_same(team: str) -> None:
    run = living(GONE, {"name": "a", "team": "x"})
    sight = Sight(run.api.time.clock, lambda types, _: Look({type_.name: run.api.list(type_) for type_ in types}))
    sight.renew([ASSIGNMENT_SOURCE], ())
    run.more["sight"] = sight
    run.api.server.sources = {"kept": {"name": "kept", "team": team}}
    run.api.time.seconds = 11.0
    run.api.fates = [lambda intent: Deleted(intent.address, 404, intent.before, 1, intent.at)]
    report = run.run()
    if team == "x":
        told = 'somebody renamed it in the meantime: "kept" has the same fields; run `statform refresh`'
        assert (report.skipped, run.api.sent) == ({address("a"): told}, [])
    else:
        assert report.unknown == {address("a"): MAY_BE_RENAMED}
        assert [intent.before for intent in run.api.sent] == [{"name": "a", "team": "x"}]


def test_a_source_that_is_gone_and_that_the_state_does_not_have_is_asked_for_all_the_same() -> None:
    run = bench(plan_of({"a": {}}, GONE), lambda intent: Deleted(intent.address, 404, intent.before, 1, intent.at))
    run.api.server.sources = {}
    assert shape(run.run()) == {"applied": "a"}


def test_what_is_adopted_as_it_is_is_taken_over_without_a_request() -> None:
    run = living(toml_definition("a", {"team": "old"}))
    run.plan = with_look(run.plan, {"assignment_source": {"a": OLD}})
    run.more = {"listed": lambda _action: OLD}
    assert (shape(run.run()), run.api.sent) == ({"applied": "a"}, [])
    assert run.state.resource(address("a")).data == OLD


def test_what_somebody_changes_of_an_adoption_that_waits_for_another_is_skipped() -> None:
    run = watched(TEAM + toml_definition("b", {"team": "new", "description": "d"}), OLD)
    run.api.server.sources["b"] = {"name": "b", "team": "old", "description": "d"}
    run.plan = with_look(run.plan, {"assignment_source": run.api.server.sources})

    def slow(intent: Intent) -> Applied:
        run.api.server.sources["b"]["description"] = "theirs"
        run.api.time.seconds += 40.0
        return run.api.outcome(intent, "ok")

    run.api.fates = [slow]
    report = run.run()
    assert (shape(report), len(run.api.sent)) == ({"applied": "a", "skipped": "b"}, 1)
    assert report.skipped[address("b")].startswith('somebody changed its description, which is now "theirs"')


# The last look


WHOLE = """
[assignment_source.a]
sql = "SELECT 1"
timestampColumn = "ts"
experimentIDColumn = "experiment"
groupIDColumn = "group"
idTypeMapping = [{ statsigUnitID = "userID", column = "user_id" }]
"""
GONE = '[[removed]]\nfrom = "assignment_source.a"\ndelete = true\n'


def test_what_is_answered_as_created_and_is_not_there_is_told() -> None:
    run = living(WHOLE, fates=("in review",))
    report = run.run()
    assert (shape(report), report.exit_code) == ({"unknown": "a"}, 1)
    told = (
        'the API answered, but no list of a minute has "a": perhaps a review is pending; the state does not have it, '
    )
    assert report.unknown[address("a")] == f"{told}so that the next plan creates it again"
    # A list may be a minute late.
    assert (run.log.count("list"), sum(run.waits)) == (4, 60.0)
    assert run.state.resource(address("a")) is None
    run = living(WHOLE)
    assert (shape(run.run()), run.log.count("list")) == ({"applied": "a"}, 1)


@pytest.mark.parametrize("seconds", [4.0, 9.0, 59.0])
def test_what_is_created_and_listed_within_a_minute_stays_in_the_state(seconds: float) -> None:
    run = living(WHOLE)
    true = run.api.list
    run.api.list = lambda type_: true(type_) if run.api.time.seconds >= seconds else {}
    assert (shape(run.run()), run.state.resource(address("a")) is not None) == ({"applied": "a"}, True)


def test_what_a_list_that_contradicts_itself_lacks_stays_in_the_state() -> None:
    run = living(WHOLE, fates=("in review",))
    run.api.list = lambda _type: Listing({}, "it has fewer sources than it says")
    report = run.run()
    assert report.unknown[address("a")] == 'the API answered, but the last list has no "a": perhaps a review is pending'
    assert run.state.resource(address("a")) is not None


def test_what_somebody_else_created_while_the_answer_to_its_create_was_lost_is_told() -> None:
    run = living(WHOLE)

    def made(intent: Intent) -> Unknown:
        run.api.server.sources["a"] = {"name": "a", "sql": "theirs"}
        return Unknown(intent.address, "broke", 1, intent.at)

    run.api.fates = [made]
    report = run.run()
    told = 'broke; somebody else created "a" in the meantime: run `statform import`'
    assert (report.exit_code, report.unknown) == (1, {address("a"): told})


@pytest.mark.parametrize("query", ["SELECT 2", "SELECT 1"])
@pytest.mark.parametrize("is_carried_out", [True, False])
def test_a_rename_that_is_answered_with_the_old_name_is_what_later_lists_show(
    query: str, *, is_carried_out: bool
) -> None:
    renamed = WHOLE.replace("SELECT 1", query) + 'name = "b"\nteam = "new"\n'
    old = {"name": "a", "team": "old", **REQUIRED}
    run = living(renamed, old)
    true = run.api.list

    def answer(intent: Intent) -> Applied:
        if is_carried_out:
            run.api.carry_out(intent)
        return Applied(intent.address, 200, old, {}, 1, intent.at)

    run.api.fates = [answer]
    run.api.list = lambda type_: true(type_) if run.api.time.seconds > 2 else {"a": old}
    report, state = run.run(), run.state.resource(address("a"))
    if is_carried_out:
        assert (shape(report), report.exit_code, state.name) == ({"applied": "a"}, 0, "b")
        assert "unknown" in [one.kind for one in run.records]
        assert state.data == {**old, "name": "b", "team": "new", "sql": query}
    else:
        assert (shape(report), report.exit_code, state.name) == ({"applied": "a", "not_accepted": "a"}, 1, "a")


def test_what_is_answered_as_deleted_and_is_there_is_told_and_deleted_by_a_later_plan() -> None:
    run = living(GONE, {"name": "a", "team": "x"}, fates=("in review",))
    report = run.run()
    assert (shape(report), report.exit_code) == ({"unknown": "a"}, 1)
    told = "the API answered that it is deleted, but it is still there: perhaps a review is pending"
    told += "; the state has it again"
    assert report.unknown[address("a")] == told
    assert run.state.resource(address("a")).data == {"name": "a", "team": "x"}
    run = living(GONE, {"name": "a", "team": "x"})
    assert (shape(run.run()), run.state.resource(address("a"))) == ({"applied": "a"}, None)


@pytest.mark.parametrize("answered", [{}, {"owner": {"ownerType": "SDK_KEY"}}])
def test_what_the_answer_to_a_create_left_out_is_not_missed(answered) -> None:
    run = living(WHOLE, fates=(lambda intent: [run.api.carry_out(intent), run.api.outcome(intent, answered)][1],))
    true, filled = run.api.list, {"team": None, "owner": {"ownerType": "SDK_KEY", "ownerName": "CI"}, "description": ""}
    run.api.list = lambda type_: {name: {**one, **filled, "teamID": "t"} for name, one in true(type_).items()}
    assert (shape(run.run()), run.log.count("list")) == ({"applied": "a"}, 1)


@pytest.mark.parametrize(
    ("fields", "is_same"), [({"team": "x"}, True), ({"team": "x", "owner": {}}, True), ({}, False)]
)
def test_another_source_that_somebody_made_of_a_name_that_was_deleted_is_not_taken_for_it(fields, is_same) -> None:
    run = living(GONE, {"name": "a", "team": "x"})

    def make(event: Any) -> None:
        if isinstance(event, Done):
            run.api.server.sources["a"] = {"name": "a", "team": None, **fields}

    run.on_event = make
    report = run.run()
    assert (shape(report), report.exit_code) == ({"unknown": "a"}, 1)
    told = 'it was deleted, and somebody created another "a", which the state does not have'
    assert (report.unknown[address("a")] == told) is not is_same
    assert (run.state.resource(address("a")) is not None) is is_same


def test_a_list_that_is_behind_at_the_end_does_not_deceive() -> None:
    run = living(WHOLE)
    true, behind = run.api.list, [{}]
    run.api.list = lambda type_: behind.pop() if behind else true(type_)
    assert shape(run.run()) == {"applied": "a"}


def test_a_name_that_a_delete_frees_for_a_rename_is_not_taken_for_the_one_deleted() -> None:
    text = GONE + toml_definition("b", {}, "a")
    run = living(text, {"name": "a", "team": "x"}, {"name": "b", "team": "y"})
    assert shape(run.run()) == {"applied": "ab"}


@pytest.mark.parametrize("name", ["kept", "a"])
def test_what_is_answered_as_not_there_and_is_by_any_name_is_not_deleted(name: str) -> None:
    run = living(GONE, {"name": "a", "team": "x"}, {"name": "twin", "team": "x"})

    def not_there(intent: Intent) -> Deleted:
        run.api.server.sources[name] = {**run.api.server.sources.pop("a"), "name": name}
        return Deleted(intent.address, 404, intent.before, 1, intent.at)

    run.api.fates = [not_there]
    report = run.run()
    assert (report.exit_code, keys(report.applied)) == (1, "twin")
    told = {**report.rejected, **report.unknown}[address("a")]
    assert told in {
        '404: somebody renamed it in the meantime: "kept" has the same fields; run `statform refresh`',
        "the API answered 404, but the list has it",
    }
    assert run.state.resource(address("a")) is not None
    noted = next(one for one in run.records if isinstance(one, Rejected | Unknown))
    assert noted in {
        Rejected(address("a"), 404, told.removeprefix("404: "), False, None, 1, noted.at),
        Unknown(address("a"), told, 1, noted.at),
    }


def test_what_is_answered_as_not_there_and_is_not_is_deleted() -> None:
    run = living(GONE, {"name": "a", "team": "x"}, {"name": "twin", "team": "x"})

    def not_there(intent: Intent) -> Deleted:
        return Deleted(intent.address, 404, run.api.server.sources.pop("a"), 1, intent.at)

    run.api.fates = [not_there]
    assert (shape(run.run()), run.state.resource(address("a"))) == ({"applied": "atwin"}, None)


# A dry run


CHANGED = WHOLE.replace("SELECT 1", "SELECT 2")
B = WHOLE.replace("source.a", "source.b")


@pytest.mark.parametrize(("first", "sources"), [(WHOLE, []), (CHANGED, [{"name": "a", **REQUIRED}])])
def test_a_dry_run_that_the_api_carries_out_stops_at_its_first_request(first: str, sources: list[dict]) -> None:
    run = living(first + B, *sources)
    run.api.is_dry_run = True
    report = run.run()
    assert isinstance(report.stopped_by, DryRunIgnored)
    assert (report.exit_code, len(run.api.sent)) == (1, 1)
    assert str(report.stopped_by).startswith(
        "this API ignores dryRun: instead of only checking it, it carried out the change of assignment_source.a\n"
    )


@pytest.mark.parametrize(("first", "sources"), [(WHOLE, []), (CHANGED, [{"name": "a", **REQUIRED}])])
def test_a_dry_run_looks_once_at_each_kind_of_request_whether_it_was_carried_out(
    first: str, sources: list[dict]
) -> None:
    run = living(first + B, *sources, fates=("in review", "in review"))
    run.api.is_dry_run = True
    before = dict(run.api.server.sources)
    assert run.run().exit_code == 0
    assert run.api.server.sources == before
    looked = len({call_of(intent) for intent in run.api.sent})
    # A full update lists what it is laid over.
    assert run.log.count("list") == looked + bool(sources)


@pytest.mark.parametrize("definitions", [WHOLE, GONE])
def test_what_somebody_renames_while_its_answer_is_lost_is_told_by_its_new_name(definitions: str) -> None:
    run = living(definitions, *([] if definitions is WHOLE else [{"name": "a", "team": "x"}]))
    sight = Sight(run.api.time.clock, lambda types, _: Look({type_.name: run.api.list(type_) for type_ in types}))
    sight.renew([ASSIGNMENT_SOURCE], ())
    run.more["sight"] = sight

    def renamed(intent: Intent) -> Unknown:
        if intent.method != "DELETE":
            run.api.carry_out(intent)
        run.api.server.sources["kept"] = {**run.api.server.sources.pop("a"), "name": "kept"}
        return Unknown(intent.address, "broke", 1, intent.at)

    run.api.fates = [renamed]
    report = run.run()
    told = 'somebody renamed it in the meantime: "kept" has the same fields; run `statform '
    if definitions is WHOLE:
        assert report.unknown == {address("a"): f"broke; {told}import`"}
    else:
        assert report.rejected == {address("a"): f"it did not happen: broke; {told}refresh`"}
    assert [(one.kind, getattr(one, "verdict", None)) for one in run.records[-1:]] == [("resolved", "superseded")]
    assert len(run.api.sent) == 1


@pytest.mark.parametrize("is_new", [True, False])
def test_what_may_have_been_renamed_and_changed_while_its_delete_had_no_answer_is_told(*, is_new: bool) -> None:
    run = living(GONE, {"name": "a", "team": "x"})
    if not is_new:
        run.api.server.sources["kept"] = {"name": "kept", "team": "y"}
    sight = Sight(run.api.time.clock, lambda types, _: Look({type_.name: run.api.list(type_) for type_ in types}))
    sight.renew([ASSIGNMENT_SOURCE], ())
    run.more["sight"] = sight

    def renamed(intent: Intent) -> Unknown:
        run.api.server.sources.pop("a")
        run.api.server.sources["kept"] = {"name": "kept", "team": "y"}
        return Unknown(intent.address, "broke", 1, intent.at)

    run.api.fates = [renamed]
    report = run.run()
    assert report.unknown == ({address("a"): MAY_BE_RENAMED} if is_new else {})
    assert (report.exit_code, run.state.resource(address("a"))) == (int(is_new), None)
    # It is told once, and waits for nothing.
    assert run.waits == []


# What is asked right before a delete, and what a full update resets


@pytest.mark.parametrize(("why", "left"), [("it is read by x: nothing was sent", ["a"]), (None, [])])
def test_what_has_to_stay_by_now_is_not_deleted(why: str | None, left: list[str]) -> None:
    run, asked = living(GONE, {"name": "a", "team": "x"}), list[str]()

    def why_kept(action: Action) -> str | None:
        asked.append(action.name)
        return why

    run.more = {"why_kept": why_kept}
    report = run.run()
    assert (asked, [*run.api.server.sources]) == (["a"], left)
    assert report.skipped == ({address("a"): why} if why else {})


def test_only_before_a_delete_is_asked_what_has_to_stay() -> None:
    run = living(CHANGED, {"name": "a", **REQUIRED})
    run.more = {"why_kept": lambda _action: "it has to stay"}
    assert shape(run.run()) == {"applied": "a"}


def test_unknown_fields_that_a_full_update_reset_are_not_accepted() -> None:
    there = {"name": "a", **REQUIRED, "loadingWindow": 7}
    run = living(CHANGED, there)

    def resets(intent: Intent) -> Applied:
        run.api.server.sources["a"] = {"name": "a", **intent.sent}
        return Applied(intent.address, 200, {"name": "a", **intent.sent}, {}, 1, intent.at)

    run.api.fates = [resets]
    assert run.run().not_accepted == {address("a"): ("loadingWindow",)}
    kept = living(CHANGED, there)
    assert kept.run().not_accepted == {}


def test_an_unknown_field_that_was_reset_is_named_beside_what_the_api_kept() -> None:
    run = living(CHANGED, {"name": "a", **REQUIRED, "loadingWindow": 7})

    def keeps(intent: Intent) -> Applied:
        run.api.server.sources["a"] = {"name": "a", **intent.sent, "sql": "SELECT 1"}
        return Applied(intent.address, 200, run.api.server.sources["a"], {}, 1, intent.at)

    run.api.fates = [keeps]
    assert run.run().not_accepted == {address("a"): ("sql", "loadingWindow")}


def test_an_adoption_notes_what_is_declared_as_it_was_seen() -> None:
    run = living(toml_definition("a", {"description": "new", "team": "t"}))
    there = {"name": "a", "description": "old", "team": "t"}
    run.api.server.sources["a"] = there
    clock = run.api.time.clock
    sight = Sight(clock, lambda *_: Look({"assignment_source": Listing({"a": there})}))
    sight.take(sight.look((), ()))
    run.more = {"sight": sight, "declared": lambda _address: {"description": "new", "team": "t"}}
    assert run.run().exit_code == 0
    assert next(one for one in run.records if isinstance(one, Intent)).before == {"description": "old", "team": "t"}
