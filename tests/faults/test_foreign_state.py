"""A state that a newer statform, or a hostile one, left."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lossy import serve
from three_changes import SOURCES, make, statform

from state import journal, store
from state.records import Applied, End, Genesis, Imported, Intent
from state.snapshot import ResourceState, Snapshot, encode_snapshot
from state.values import Address

A = Address("assignment_source.a")

AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make(tmp_path)


def test_an_open_request_of_an_unknown_type_is_told_of_without_acting_on_it(directory: Path) -> None:
    with store.open(directory / "statform.state.json", "a test") as session:
        session.record(Intent(Address("metric.x"), "PATCH", "x", {}, {"unit": "s"}, AT))
    with serve(SOURCES) as api:
        code, output = statform(directory, api, "plan")
        assert code == 0
        assert "the outcome of the last request for metric.x" in output
        code, output = statform(directory, api, "apply", "--auto-approve")
        assert code == 1
        assert "Error: the state has metric.x, of an unknown type" in output
        assert "Traceback" not in output
        assert not [call for call in api.calls if call.startswith("PATCH")]


# To a terminal, to what renders Markdown, and to a shell.
ADDRESSES = ["metric.\x1b[31mx", "a.<img src=x>", "a.[x](http://evil)", "a.$(id)", "a.x\n", "", "a.b.c", "ab"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("is_snapshot", [True, False])
def test_an_address_that_statform_never_writes_is_damage(directory: Path, address: str, is_snapshot: bool) -> None:
    head, lines = journal.anchor("l"), b""
    for record in (Genesis("l", 2, AT), Imported(Address(address), {"name": "x"}, AT), End("ok", AT)):
        line, head = journal.encode(record, head)
        lines += line
    (directory / "statform.state.journal.jsonl").write_bytes(lines)
    (directory / "statform.state.json").unlink()
    if is_snapshot:
        known = {Address(address): ResourceState("x", {"name": "x"}, {}, AT)}
        forged = encode_snapshot(Snapshot("l", 1, head, len(lines), known, {}))
        (directory / "statform.state.json").write_bytes(forged)
    with serve(SOURCES) as api:
        for command in (["plan", "--markdown"], ["state", "list"], ["show"], ["apply", "--auto-approve"]):
            code, output = statform(directory, api, *command)
            assert code == 1
            assert "is not an address" in output
            assert not {"\x1b", "<img"} & set(re.findall("\x1b|<img", output.replace(repr(address), "")))
            assert "Traceback" not in output
    with (
        store.open(directory / "other.state.json", "a test") as session,
        pytest.raises(ValueError, match="not an address"),
    ):
        session.record(Imported(Address(address), {}, AT))


@pytest.mark.parametrize("at", ["zzz", "2999-01-01", "2999-01-01T00:00:00.000Z", "~"])
def test_a_request_with_an_invalid_time_is_not_counted(directory: Path, at: str) -> None:
    with store.open(directory / "statform.state.json", "a test") as session:
        session.record(Intent(A, "PATCH", "a", {}, {"team": "s"}, at))
        session.record(Applied(A, 200, {"name": "a"}, {}, 1, at))
        session.commit("ok")
    with serve(SOURCES) as api:
        output = statform(directory, api, "apply", "--auto-approve")[1]
        assert "Traceback" not in output
        assert [call for call in api.calls if call.startswith("PATCH")], output
