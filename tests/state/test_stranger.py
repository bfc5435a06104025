"""A verifier in another language, without code of statform: it knows only what state/README.md says of both files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state import store
from state.errors import StateError
from state.records import (
    Applied,
    Begin,
    Deleted,
    Forgotten,
    Imported,
    Intent,
    Moved,
    Refreshed,
    Rejected,
    Resolved,
    Unknown,
)
from state.snapshot import decode_snapshot, encode_snapshot
from state.values import Address

VERIFIER = Path(__file__).parents[1] / "support" / "verify.pl"
QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
JOURNAL, STATE = "statform.state.journal.jsonl", "statform.state.json"


def verify(directory: Path, *expected: str) -> subprocess.CompletedProcess[str]:
    command = ["perl", VERIFIER, directory / JOURNAL, directory / STATE, *expected]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_verifies_the_example():
    ran = verify(QUICKSTART)
    assert ran.stderr == ""
    assert f'"head": "{ran.stdout.strip()}"' in (QUICKSTART / STATE).read_text()


@pytest.fixture
def copy(tmp_path):
    for file in (JOURNAL, STATE):
        (tmp_path / file).write_bytes((QUICKSTART / file).read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", [JOURNAL, STATE])
def test_it_finds_an_altered_file(copy, name):
    altered = (QUICKSTART / name).read_text().replace("Ranking", "Banking", 1)
    (copy / name).write_text(altered)
    assert re.search("not bound|digest does not match", verify(copy).stderr)


BYTES = {name: (QUICKSTART / name).read_bytes() for name in (JOURNAL, STATE)}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([JOURNAL, STATE]), st.integers(0, 10_000), st.integers(0, 255))
def test_it_and_statform_refuse_the_same_changed_or_lost_bytes(tmp_path_factory, name, at, other):
    directory, at = tmp_path_factory.mktemp("altered"), at % len(BYTES[name])
    is_lost = other == BYTES[name][at]
    altered = BYTES[name][:at] + (b"" if is_lost else bytes([other])) + BYTES[name][at + 1 :]
    for file, content in {**BYTES, name: altered}.items():
        (directory / file).write_bytes(content)
    assert verify(directory).returncode != 0
    with pytest.raises(StateError):
        store.verify(directory / STATE)


@pytest.mark.parametrize("tail", [b"", b'{"hash":"', b"\0" * 10, b"x\0\n"])
def test_both_ignore_what_a_crash_cut_short(copy, tail):
    with (copy / JOURNAL).open("ab") as file:
        file.write(tail)
    chain = store.verify(copy / STATE)
    assert verify(copy).stdout == chain.head + "\n"
    assert chain.torn == tail


def test_both_find_a_snapshot_of_another_lineage(copy):
    snapshot = decode_snapshot(BYTES[STATE], "")
    (copy / STATE).write_bytes(encode_snapshot(snapshot._replace(lineage="another")))
    assert verify(copy).stderr == "the state's lineage does not follow\n"
    with pytest.raises(StateError, match="its lineage is not the journal's"):
        store.verify(copy / STATE)


def test_files_put_back_to_an_older_state_are_whole_but_lack_the_noted_head(copy):
    path = copy / STATE
    noted = decode_snapshot(BYTES[STATE], "").head
    assert verify(copy, noted).returncode == 0
    with store.open(path, "test") as session:
        session.record(Forgotten(Address("assignment_source.checkout"), "t"))
        session.commit("ok")
    later = store.read(path).head
    assert verify(copy, noted).stdout == later + "\n"
    assert verify(QUICKSTART).returncode == 0
    assert verify(QUICKSTART, later).stderr == f"no line has the hash {later}\n"


A, B = Address("source.a"), Address("source.b")
addresses = st.sampled_from([A, B])
objects = st.dictionaries(
    st.sampled_from(["name", "tags", "size"]), st.sampled_from(["x", "é🙂", True, None, [], {"a": 1}])
)
steps = st.one_of(
    st.just("commit"),
    st.builds(
        Begin,
        *map(st.just, (None, "ana", "laptop", "0.1", None, "t")),
        base_url=st.sampled_from([None, "https://a"]),
        project=st.sampled_from([None, "p1", "p2"]),
    ),
    st.builds(
        Intent,
        addresses,
        st.sampled_from(["PATCH", "PATCH", "DELETE"]),
        st.just("n"),
        objects,
        objects,
        st.just("t1"),
        st.sampled_from([None, 60, 60]),
    ),
    st.builds(Deleted, addresses, st.just(200), objects, st.just(1), st.just("t")),
    st.builds(Applied, addresses, st.just(200), objects, objects, st.just(1), st.just("t2")),
    st.builds(Rejected, addresses, st.none(), st.just(""), st.just(True), st.none(), st.just(1), st.just("t")),
    st.builds(Unknown, addresses, st.just(""), st.just(1), st.just("t")),
    st.builds(Resolved, addresses, st.just("applied"), st.none() | objects, objects, st.just("t3")),
    st.builds(Resolved, addresses, st.just("superseded"), st.none() | objects, objects, st.just("t4")),
    st.builds(Imported, addresses, objects, st.just("t5")),
    st.builds(Refreshed, addresses, st.none() | objects, objects, st.just("t6")),
    st.builds(Moved, addresses, addresses, st.just("t")),
    st.builds(Forgotten, addresses, st.just("t")),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
