"""A state that a newer statform, or a hostile one, left."""

from __future__ import annotations

from pathlib import Path

import pytest
from lossy import serve
from three_changes import SOURCES, make, statform

from state import store
from state.records import Intent
from state.values import Address

AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make(tmp_path)


def test_an_open_request_of_an_unknown_type_is_told_of_without_acting_on_its_address(directory: Path) -> None:
    with store.open(directory / "statform.state.json", "a test") as session:
        session.record(Intent(Address("metric.\x1b[31mx"), "PATCH", "x", {}, {"unit": "s"}, AT))
    with serve(SOURCES) as api:
        code, output = statform(directory, api, "plan")
        assert code == 0
        assert r"what became of the last request for metric.\u001b[31mx" in output
        code, output = statform(directory, api, "apply", "--auto-approve")
        assert code == 1
        assert r"Error: the state has metric.\u001b[31mx, of an unknown type" in output
        assert "\x1b" not in output
        assert "Traceback" not in output
        assert not [call for call in api.calls if call.startswith("PATCH")]
