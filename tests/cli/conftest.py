from __future__ import annotations

import pytest
from command import CANARY, KEY_FILE


@pytest.fixture(autouse=True)
def no_key_leaks(tmp_path, streams):
    """Nothing that a command writes, to a stream or to a file, ever holds the API key."""
    yield
    for text in streams.texts:
        assert CANARY not in text
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != KEY_FILE:
            assert CANARY.encode() not in path.read_bytes(), path
