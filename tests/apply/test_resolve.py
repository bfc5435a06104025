from __future__ import annotations

from datetime import datetime, timezone

import pytest
from attrs import evolve
from faketime import FakeTime

from planner.apply.sending.resolve import READ_AFTER_S, Evidence, check_believed, find_names, judge, may_land_s, resolve
from planner.clock import Clock
from planner.console.listing import Listing
from planner.definitions.addresses import RemoteName
from planner.definitions.resources import ASSIGNMENT_SOURCE
from planner.errors import Unreachable
from state.records import Intent, Resolved
from state.snapshot import ResourceState, Snapshot
from state.values import Address

A, B = Address("assignment_source.a"), Address("assignment_source.b")


def intent(sent, before=(), name="a", address=A):
    return Intent(address, "PATCH", name, dict(before), sent, "t")


def source(name="a", **values):
    return {"name": name, **values}


RENAME = intent({"name": "b", "team": "x"}, {"name": "a", "team": "w"})
# What was sent, and what was before it; the sources as listed -> the verdict, and the name of the source that it is of.
VERDICTS = {
    "as sent": (intent({"team": "x"}, {"team": "w"}), [source(team="x")], "applied", "a"),
    "as sent, in another order": (intent({"tags": ["a", "b"]}), [source(tags=["b", "a"])], "applied", "a"),
    "as sent, tidied": (intent({"team": "X "}, {"team": "w"}), [source(team="x")], "applied", "a"),
    "as before": (intent({"team": "x"}, {"team": "w"}), [source(team="w")], "not applied", "a"),
    "as before, but for case": (intent({"team": "x"}, {"team": "W"}), [source(team="w")], "superseded", "a"),
    "as before, in another order": (
        intent({"tags": ["x"]}, {"tags": ["a", "b"]}), [source(tags=["b", "a"])], "not applied", "a",
    ),
    "as before, but for a member that is not declared": (
        intent({"owner": {"ownerID": "x"}}, {"owner": {"ownerID": "u"}}),
        [source(owner={"ownerID": "u", "ownerName": "U"})], "not applied", "a",
    ),
    "as before, which looks like what was sent": (
        intent({"team": "X"}, {"team": "x"}), [source(team="x")], "not applied", "a",
    ),
    "neither of a table": (
        intent({"owner": {"ownerID": "x"}}, {"owner": {"ownerID": "u"}}), [source(owner={"ownerID": "v"})],
        "superseded", "a",
    ),
    "neither": (intent({"team": "x"}, {"team": "w"}), [source(team="v")], "superseded", "a"),
    "half of it": (
        intent({"team": "x", "tags": ["x"]}, {"team": "w", "tags": []}), [source(team="x", tags=[])], "superseded", "a",
    ),
    "nothing of it to be seen": (intent({"isVerified": True}), [source(team="x")], "superseded", "a"),
    "as far as it can be seen": (intent({"isVerified": True, "team": "x"}), [source(team="x")], "applied", "a"),
    "all to be seen but what was to change": (
        intent({"isVerified": True, "team": "x"}, {"team": "x"}), [source(team="x")], "superseded", "a",
    ),
    "a full update of which all is to be seen but what was to change": (
        evolve(intent({"isVerified": True, "team": "x"}, {"team": "x"}), method="POST"), [source(team="x")],
        "not applied", "a",
    ),
    "a full update of which only a list in another order is to be seen": (
        evolve(intent({"isVerified": True, "tags": ["b", "a"]}, {"tags": ["a", "b"]}), method="POST"),
        [source(tags=["a", "b"])], "not applied", "a",
    ),
    "cleared and left out": (intent({"team": None}, {"team": "w"}), [source()], "applied", "a"),
    "cleared and not": (intent({"team": None}, {"team": "w"}), [source(team="w")], "not applied", "a"),
    "another value where none was known": (intent({"team": "x"}), [source(team="w")], "not applied", "a"),
    "gone": (intent({"team": "x"}, {"team": "w"}), [source("other")], "superseded", None),
    "renamed": (RENAME, [source("b", team="x")], "applied", "b"),
    "renamed, and then changed": (RENAME, [source("b", team="v")], "superseded", "b"),
    "not renamed": (RENAME, [source("a", team="w")], "not applied", "a"),
    "not renamed, but changed": (RENAME, [source("a", team="v")], "superseded", "a"),
    "not renamed, while somebody has the name": (RENAME, [source("a", team="w"), source("b")], "not applied", "a"),
    "gone under both names": (RENAME, [source("c", team="x")], "superseded", None),
    "a name only": (intent({"name": "b"}, {"name": "a"}), [source("b")], "applied", "b"),
    "malformed": (intent({"tags": ["x"]}, {"tags": []}), [source(tags={"x": [None]})], "superseded", "a"),
    "an empty request": (intent({}), [source()], "superseded", "a"),
}  # fmt: skip


def create(**more):
    return Intent(A, "POST", "a", {}, {"name": "a", "sql": "S", **more}, AT, 300)


AT = "2025-01-01T00:00:00.000Z"
FULL = Intent(A, "POST", "a", {"sql": "S", "team": "x"}, {"sql": "T", "team": "x"}, AT, 300)
DELETE = Intent(A, "DELETE", "a", source(team="x"), {}, AT, 60)
VERDICTS |= {
    "created": (create(), [source(sql="S")], "applied", "a"),
    "created, as far as it can be seen": (create(isVerified=True), [source(sql="S", tags=[])], "applied", "a"),
    "created, tidied": (create(team="X "), [source(sql="S", team="x")], "applied", "a"),
    "not created": (create(), [source("other", sql="S")], "not applied", None),
    "created by somebody else": (create(), [source(sql="theirs")], "superseded", None),
    "created with nothing to be seen": (create(), [source()], "superseded", None),
    "updated in full": (FULL, [source(sql="T", team="x")], "applied", "a"),
    "not updated in full": (FULL, [source(sql="S", team="x")], "not applied", "a"),
    "updated in full by somebody else": (FULL, [source(sql="U", team="x")], "superseded", "a"),
    "deleted": (DELETE, [], "applied", None),
    "not deleted": (DELETE, [source(team="x")], "not applied", None),
}


def test_a_source_that_goes_by_another_name_was_not_deleted_if_that_name_may_be_its():
    intent_ = Intent(A, "DELETE", "a", source(team="x"), {}, "t")
    listed = {"b": source("b", team="x"), "c": source("c", team="y")}
    for may_be, verdict in ((["b"], "superseded"), (["c"], "applied")):
        found = judge(ASSIGNMENT_SOURCE, intent_, listed, lambda _type, name, may_be=may_be: name in may_be)
        assert found == Evidence(verdict, None)
    (found,) = resolve([intent_], FakeClient([*listed.values()]), FakeTime().clock, may_be_its=lambda *_: True)
    assert (found.verdict, found.data) == ("superseded", None)


def test_a_lost_create_is_found_by_its_name_in_another_form_and_by_what_else_it_has_by_another_name():
    asked = evolve(create(), name="caf\u00e9", sent={"name": "caf\u00e9", "sql": "S"})
    other_form = source("cafe\u0301", sql="S")
    assert judge(ASSIGNMENT_SOURCE, asked, {"cafe\u0301": other_form}) == Evidence("applied", other_form)
    gone = evolve(DELETE, name="caf\u00e9")
    assert judge(ASSIGNMENT_SOURCE, gone, {"cafe\u0301": other_form}) == Evidence("applied", None)
    assert judge(ASSIGNMENT_SOURCE, asked, {"cafe": source("cafe", sql="S")}) == Evidence("not applied", None)
    asked_of = []

    def may_be_its(type_, name):
        asked_of.append((type_, name))
        return name == "theirs"

    listed = {name: source(name, **values) for name, values in (("theirs", {"sql": "S"}), ("other", {"sql": "T"}))}
    assert judge(ASSIGNMENT_SOURCE, asked, listed, may_be_its) == Evidence("superseded", None)
    assert asked_of == [(ASSIGNMENT_SOURCE, "theirs")]
    assert judge(ASSIGNMENT_SOURCE, asked, {"theirs": source("theirs", team="x")}, may_be_its).verdict == "not applied"


TIDIED = {
    "created": (create(), [source("A ", sql="S")], "applied", "A "),
    "created by somebody else": (create(), [source("A ", sql="T")], "not applied", None),
    "created by one of two": (create(), [source("A", sql="S"), source("A ", sql="S")], "superseded", None),
    "renamed": (RENAME, [source(" B", team="x")], "applied", " B"),
    "renamed by somebody else": (RENAME, [source(" B", team="y")], "superseded", None),
    "not renamed": (RENAME, [source("a", team="w"), source("B", team="x")], "not applied", "a"),
    "renamed, and not tidied": (RENAME, [source("b", team="x"), source("B", team="x")], "applied", "b"),
}


@pytest.mark.parametrize(("asked", "listed", "verdict", "name"), TIDIED.values(), ids=[*TIDIED])
def test_a_name_that_the_api_tidied_is_the_one_that_was_asked_for_if_all_else_is_as_sent(asked, listed, verdict, name):
    sources = {one["name"]: one for one in listed}
    found = judge(ASSIGNMENT_SOURCE, asked, sources, lambda *_: True)
    assert found == Evidence(verdict, None if name is None else sources[name])
    if verdict == "applied" and name != "b":
        # A source that was there before, or that somebody manages, is another one.
        assert judge(ASSIGNMENT_SOURCE, asked, sources).verdict != "applied"


def test_what_may_still_be_carried_out_is_looked_for_by_its_other_names_also_after_the_wait():
    time, waited = FakeTime(), []
    asked = evolve(create(), at=time.clock.timestamp())

    def wait(seconds):
        waited.append(seconds)
        time.clock.sleep(seconds)

    (found,) = resolve([asked], FakeClient([source("theirs", sql="S")]), time.clock, wait, lambda *_: True)
    assert (found.verdict, found.data, len(waited)) == ("superseded", None, 1)


def test_the_names_that_are_managed_are_those_of_the_state_and_those_that_an_open_request_gives():
    kept = ResourceState("n", {"name": "n"}, {}, "t")
    open_ones = {A: RENAME, B: evolve(create(), address=B, name="made", sent={})}
    found = find_names(Snapshot("l", 1, "h", 0, {Address("assignment_source.c"): kept}, open_ones))
    assert found == {RemoteName("assignment_source", name) for name in ("n", "b", "made")}


@pytest.mark.parametrize("case", VERDICTS.values(), ids=VERDICTS.keys())
def test_a_list_tells_what_became_of_a_request(case):
    asked, listed, verdict, name = case
    found = judge(ASSIGNMENT_SOURCE, asked, {one["name"]: one for one in listed})
    assert (found.verdict, found.source and found.source["name"]) == (verdict, name)


class FakeClient:
    """Answers each list with the next of `lists`, the last for ever; None: it can't be had."""

    def __init__(self, *lists):
        self.lists = list(lists)
        self.reads = 0

    def list(self, type_):
        assert type_ is ASSIGNMENT_SOURCE
        listed = self.lists[min(self.reads, len(self.lists) - 1)]
        self.reads += 1
        if listed is None:
            raise Unreachable("no")
        return {one["name"]: one for one in listed}


def resolved(intents, client):
    slept: list[float] = []
    clock = Clock(now=lambda: datetime(2025, 1, 1, tzinfo=timezone.utc), sleep=slept.append)
    found = resolve(intents, client, clock)
    assert slept == list(READ_AFTER_S[: client.reads])
    return found


ASKED, OLD, NEW = intent({"team": "x"}, {"team": "w"}), source(team="w"), source(team="x")


def test_what_is_applied_is_believed_at_once():
    client = FakeClient([NEW])
    assert resolved([ASKED], client) == (Resolved(A, "applied", NEW, {}, "2025-01-01T00:00:00.000Z"),)
    assert client.reads == 1


@pytest.mark.parametrize("stale", [1, 2])
def test_a_list_that_is_stale_at_first_does_not_deceive(stale):
    client = FakeClient(*[[OLD]] * stale, [NEW])
    (found,) = resolved([ASKED], client)
    assert (found.verdict, found.data, client.reads) == ("applied", NEW, stale + 1)


def test_what_is_not_applied_has_to_stand_through_all_reads():
    client = FakeClient([OLD])
    (found,) = resolved([ASKED], client)
    assert (found.verdict, found.data, client.reads) == ("not applied", None, 3)


def test_what_somebody_else_changed_becomes_the_state():
    other = source(team="v")
    (found,) = resolved([ASKED], FakeClient([OLD], [other]))
    assert (found.verdict, found.data, found.unreturned) == ("superseded", other, {})


def test_no_field_of_a_superseded_request_counts_as_accepted():
    asked = intent({"isVerified": True, "team": "x"}, {"team": "w"})
    (found,) = resolved([asked], FakeClient([source(team="v")]))
    assert (found.verdict, found.unreturned) == ("superseded", {})


def test_a_source_that_is_gone_leaves_no_state():
    (found,) = resolved([ASKED], FakeClient([]))
    assert (found.verdict, found.data) == ("superseded", None)


def test_what_the_list_does_not_echo_is_kept():
    asked = intent({"isVerified": True, "team": " X"}, {"team": "w"})
    (found,) = resolved([asked], FakeClient([source(team="x")]))
    assert (found.verdict, found.unreturned) == ("applied", {"isVerified": True, "team": " X"})


def test_each_request_has_its_own_answer_in_its_order():
    asked = [intent({"team": "x"}, {"team": "w"}, "b", B), ASKED]
    client = FakeClient([source("b", team="w"), NEW], [source("b", team="x"), OLD])
    found = resolved(asked, client)
    assert [(one.address, one.verdict) for one in found] == [(B, "applied"), (A, "applied")]


@pytest.mark.parametrize(
    "listed",
    [
        Listing({}, "it has an entry without a name"),
        Listing({"c": source("c")}, "it shows 1"),
        Listing({"a": source("a")}, "x", frozenset("a")),
    ],
)
def test_what_a_list_that_contradicts_itself_lacks_proves_nothing(listed):
    with pytest.raises(Unreachable, match="because the list contradicts itself"):
        check_believed(RENAME, listed)


def test_a_source_with_the_name_none_says_nothing_about_another_source():
    with pytest.raises(Unreachable, match="it is unknown"):
        check_believed(ASKED, Listing({"None": source("None")}, "it shows 1"))


def test_what_a_list_that_contradicts_itself_shows_for_certain_is_believed():
    check_believed(RENAME, Listing({"b": source("b", team="x")}, "it shows 1"))


def test_a_cut_list_leaves_an_unknown_outcome_unknown():
    class Cut(FakeClient):
        def list(self, type_):
            return Listing({}, "it tells of 3 entries, and shows 0")

    with pytest.raises(Unreachable):
        resolved([intent({"team": "x"}, {"team": "w"})], Cut([]))


NAME_ONLY = Intent(A, "PATCH", "a", {"name": "a"}, {"name": "b"}, AT, 60)


@pytest.mark.parametrize(("asked", "seconds"), [(create(), 300), (FULL, 300), (DELETE, 60), (NAME_ONLY, 60)])
def test_what_may_still_be_carried_out_is_waited_for_and_looked_for_again(asked, seconds):
    there = [] if asked.sent.get("name") == "a" else [asked.before | source()]
    time = FakeTime()
    (found,) = resolve([asked], FakeClient(there), time.clock)
    assert (found.verdict, time.seconds) == ("not applied", sum(READ_AFTER_S))
    time = FakeTime()
    (found,) = resolve([asked], FakeClient(there), time.clock, time.sleep)
    assert (found.verdict, time.seconds) == ("not applied", seconds + sum(READ_AFTER_S))
    # It is late, and lands while that is waited for.
    after = {"DELETE": [], "PATCH": [source("b")]}.get(asked.method, [source(**asked.sent)])
    late = FakeTime()
    (found,) = resolve([asked], FakeClient(*[there] * 3, after), late.clock, late.sleep)
    assert found.verdict == "applied"


def test_a_clock_that_was_set_back_makes_nobody_wait_for_longer_than_the_deadline():
    time = FakeTime(seconds=-86_400)
    resolve([create()], FakeClient([]), time.clock, time.sleep)
    assert sum(time.slept) == 300 + 2 * sum(READ_AFTER_S)


def test_a_change_that_says_the_same_when_it_is_sent_again_is_not_waited_for():
    time = FakeTime()
    asked = Intent(A, "PATCH", "a", {"team": "w"}, {"team": "x"}, AT, 60)
    (found,) = resolve([asked], FakeClient([OLD]), time.clock, time.sleep)
    assert (found.verdict, time.seconds) == ("not applied", sum(READ_AFTER_S))


def test_what_is_applied_is_not_waited_for():
    time = FakeTime()
    (found,) = resolve([NAME_ONLY], FakeClient([source("b")]), time.clock, time.sleep)
    assert (found.verdict, time.seconds) == ("applied", 0.0)


def test_what_may_be_carried_out_for_less_than_a_second_is_waited_for():
    time = FakeTime(seconds=56.5)
    (found,) = resolve([NAME_ONLY], FakeClient(*[[source()]] * 3, [source("b")]), time.clock, time.sleep)
    assert (found.verdict, time.seconds) == ("applied", 60.0)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (create(), 300.0),
        (NAME_ONLY, 60.0),
        (evolve(ASKED, at=AT, deadline_s=60), 0.0),
        # It is from before requests had a deadline.
        (evolve(create(), deadline_s=None), 0.0),
    ],
)
def test_a_request_may_do_harm_until_its_deadline(asked, seconds):
    assert may_land_s(asked, FakeTime().clock) == seconds


def test_without_a_request_nothing_is_read():
    client = FakeClient([])
    assert resolved([], client) == ()
    assert client.reads == 0


def test_when_the_remote_can_not_be_listed_nothing_is_known():
    with pytest.raises(Unreachable):
        resolved([ASKED], FakeClient([OLD], None))


def test_a_rename_by_a_tidied_name_counts_only_where_nobody_manages_that_name():
    listed, asked_of = {"B": source("B", team="x")}, []

    def may_be_its(type_, name):
        asked_of.append((type_, name))
        return True

    found = judge(ASSIGNMENT_SOURCE, RENAME, listed, may_be_its)
    assert (found, asked_of) == (Evidence("applied", listed["B"]), [(ASSIGNMENT_SOURCE, "B")])
    assert judge(ASSIGNMENT_SOURCE, RENAME, listed, lambda _type, _name: False).verdict != "applied"


def test_a_change_that_keeps_the_name_is_found_by_that_name_in_another_case():
    asked, anybodys = intent({"team": "x"}, {"team": "w"}), lambda _type, _name: True
    upper = {"A": source("A", team="x")}
    assert judge(ASSIGNMENT_SOURCE, asked, upper, anybodys) == Evidence("applied", upper["A"])
    assert judge(ASSIGNMENT_SOURCE, asked, {"None": source("None", team="x")}, anybodys).verdict == "superseded"
