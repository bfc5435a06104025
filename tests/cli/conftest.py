from __future__ import annotations

import base64

import pytest
from command import CANARY, KEY, KEY_FILE

RAW = KEY.encode()
# Of base64 only what no neighbour can change: a key may stand behind any number of other bytes.
IN_BASE64 = {base64.b64encode(b"." * before + RAW)[4:-4] for before in range(3)}
IN_HEX = {RAW.hex().encode(), RAW.hex().upper().encode()}
FORMS = {CANARY.encode(), RAW[::-1], KEY.encode("utf-16-le"), *IN_HEX, *IN_BASE64}


@pytest.fixture(autouse=True)
def no_key_leaks(tmp_path, streams):
    """Nothing that a command writes, to a stream or to a file, ever holds the API key, in whatever form."""
    yield
    written = [text.encode("utf-8", "surrogateescape") for text in streams.texts]
    written += [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.name != KEY_FILE]
    assert not [form for form in FORMS for content in written if form in content]
