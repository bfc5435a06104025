"""A list that was put together from pages while others changed what it lists, or by a server that errs."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from planner.console.listing import LIST_PASSES, Listing, Pass, believe

NAMES = [f"s{n}" for n in range(7)]
SIZE = 3


def source(name: str, version: int = 0) -> dict[str, Any]:
    return {"name": name, "version": version}


def page(there: list[Any], number: int, **pagination: Any) -> dict[str, Any]:
    last = number * SIZE >= len(there)
    told = {"pageNumber": number, "totalItems": len(there), "nextPage": None if last else "x"}
    return {"data": there[(number - 1) * SIZE : number * SIZE], "pagination": {**told, **pagination}}


def name_of(entry: Any) -> Any:
    return entry.get("name")


def read(serve) -> Listing:
    """What is made of a list whose pages `serve` gives by the number of the reading and that of the page."""
    readings = 0

    def one() -> Pass:
        nonlocal readings
        readings += 1
        found = Pass(name_of)
        for number in range(1, 50):
            if found.add(number, serve(readings, number), lambda entry: entry):
                return found
        raise AssertionError("it does not end")

    return believe(one)


ALL = [source(name) for name in NAMES]


def test_a_list_that_agrees_with_itself_is_read_once():
    listed = read(lambda reading, number: page(ALL, number) if reading == 1 else None)
    assert (list(listed), listed.problem, listed.doubtful) == (NAMES, None, frozenset())


def test_a_total_that_is_more_than_what_is_shown_makes_nothing_gone():
    def cut(_reading, number):
        return page(ALL[:SIZE], number, totalItems=7)

    assert read(cut).problem == "it says that it has 7 entries, and shows 3"
    assert read(lambda *_: {"data": [], "pagination": {"nextPage": None, "totalItems": 7}}).problem is not None


def test_what_contradicts_itself_is_read_three_times_at_most_and_what_two_show_alike_is_believed():
    asked = []

    def serve(reading, number):
        asked.append(reading)
        there = [source("a", reading), source("b"), *([source("c")] if reading == 2 else [])]
        return page(there, number, totalItems=9)

    listed = read(serve)
    assert set(asked) == set(range(1, LIST_PASSES + 1))
    assert listed == {"a": source("a", 3), "b": source("b"), "c": source("c")}
    assert listed.doubtful == {"a", "c"}


def test_one_that_stands_there_twice_in_two_ways_is_doubtful():
    listed = read(lambda _, number: page([source("a"), source("b"), source("a", 1)], number))
    assert (listed.doubtful, listed.problem) == ({"a"}, 'it shows "a" twice')


happenings = st.dictionaries(st.integers(0, 12), st.sampled_from(["delete", "edit"]), max_size=6)


@given(happenings)
def test_what_was_there_all_the_time_is_in_the_list_or_the_list_says_that_it_lacks_some(happens):
    """Others delete sources, or edit them, which brings them to the front, between any two requests."""
    there, calm, requests = list(ALL), set(NAMES), 0

    def serve(_reading, number):
        nonlocal requests
        if (what := happens.get(requests)) and there:
            name = there.pop(len(there) // 2)["name"]
            calm.discard(name)
            if what == "edit":
                there.insert(0, source(name, requests + 1))
        requests += 1
        return page(there, number)

    listed = read(serve)
    assert listed.problem or calm <= set(listed)


@given(st.lists(st.sampled_from(["cut", "nameless", "renumbered", "repeated"]), min_size=1, max_size=3))
def test_a_page_that_errs_in_whatever_way_never_makes_a_source_gone_unsaid(errors):
    def serve(reading, number):
        honest = page(ALL, number)
        match errors[reading - 1] if reading <= len(errors) and number == 2 else None:
            case "cut":
                return {**honest, "data": honest["data"][1:]}
            case "nameless":
                return {**honest, "data": [None, *honest["data"][1:]]}
            case "renumbered":
                return page(ALL, 3, pageNumber=3)
            case "repeated":
                return page(ALL, 1)
        return honest

    listed = read(serve)
    assert listed.problem or list(listed) == NAMES
    # Two readings that err in the same way will not be told apart by a third.
    assert (listed.problem is None) == (len(errors) == len(set(errors)) < LIST_PASSES)
