"""The README's words on both files, taken at their word by a verifier in another language that shares no code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state import store
from state.records import (
    Address,
    Applied,
    Begin,
    Forgotten,
    Imported,
    Intent,
    Moved,
    Refreshed,
    Rejected,
    Resolved,
    Unknown,
)

VERIFIER = Path(__file__).parents[1] / "support" / "verify.pl"
QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
JOURNAL, STATE = "statform.state.journal.jsonl", "statform.state.json"


def verify(directory: Path) -> subprocess.CompletedProcess[str]:
    command = ["perl", VERIFIER, directory / JOURNAL, directory / STATE]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_verifies_the_example():
    ran = verify(QUICKSTART)
    assert ran.stderr == ""
    assert f'"head": "{ran.stdout.strip()}"' in (QUICKSTART / STATE).read_text()


@pytest.mark.parametrize("name", [JOURNAL, STATE])
def test_it_finds_what_was_altered(tmp_path, name):
    for file in (JOURNAL, STATE):
        (tmp_path / file).write_bytes((QUICKSTART / file).read_bytes())
    altered = (QUICKSTART / name).read_text().replace("Ranking", "Banking", 1)
    (tmp_path / name).write_text(altered)
    assert re.search("not bound|does not follow", verify(tmp_path).stderr)


A, B = Address("source.a"), Address("source.b")
addresses = st.sampled_from([A, B])
objects = st.dictionaries(
    st.sampled_from(["name", "tags", "size"]), st.sampled_from(["x", "é🙂", True, None, [], {"a": 1}])
)
steps = st.one_of(
    st.just("commit"),
    st.just(Begin(None, "ana", "laptop", "0.1", None, "t")),
    st.builds(Intent, addresses, st.just("PATCH"), st.just("n"), objects, objects, st.just("t1")),
    st.builds(Applied, addresses, st.just(200), objects, objects, st.just(1), st.just("t2")),
    st.builds(Rejected, addresses, st.none(), st.just(""), st.just(True), st.none(), st.just(1), st.just("t")),
    st.builds(Unknown, addresses, st.just(""), st.just(1), st.just("t")),
    st.builds(Resolved, addresses, st.just("applied"), objects, objects, st.just("t3")),
    st.builds(Resolved, addresses, st.just("superseded"), st.none() | objects, objects, st.just("t4")),
    st.builds(Imported, addresses, objects, st.just("t5")),
    st.builds(Refreshed, addresses, st.none() | objects, objects, st.just("t6")),
    st.builds(Moved, addresses, addresses, st.just("t")),
    st.builds(Forgotten, addresses, st.just("t")),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=1, max_size=25))
def test_it_agrees_on_every_history(tmp_path_factory, history):
    directory = tmp_path_factory.mktemp("state")
    with store.open(directory / STATE, "test") as session:
        for step in [*history, Imported(A, {"name": "a"}, "t"), "commit"]:
            if step == "commit":
                session.commit("ok")
            else:
                try:
                    session.record(step)
                except ValueError:
                    continue
        head = session.snapshot.head
    ran = verify(directory)
    assert (ran.stderr, ran.stdout) == ("", head + "\n")
