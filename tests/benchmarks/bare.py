"""The least of a client that loses nothing: requests over one httpx connection, a synced line before and after each.

    bare.py URL REQUESTS FILE BYTES

REQUESTS is JSON: pairs of a path and a body. FILE, on the file system on which it is, gets lines of BYTES bytes, synced
one by one among the requests, where a sync takes longer than right after another one. Prints seconds per request and
per line, as JSON.
"""

import json
import os
import sys
import time
from pathlib import Path

import httpx

url, requests, file, size = sys.argv[1:]
pending = json.loads(Path(requests).read_text(encoding="utf-8"))
headers = {
    "STATSIG-API-KEY": "console-benchmark",
    "STATSIG-API-VERSION": "20240601",
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
}
fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
line = b"x" * (int(size) - 1) + b"\n"


def append() -> float:
    started = time.perf_counter()
    os.write(fd, line)
    os.fdatasync(fd)
    return time.perf_counter() - started


# The first sync of a new file writes more than its bytes.
append()
requests_s = lines_s = 0.0
with httpx.Client(headers=headers) as client:
    for number, (path, body) in enumerate(pending):
        before = append()
        started = time.perf_counter()
        client.patch(url + path, content=json.dumps(body).encode()).raise_for_status()
        took = time.perf_counter() - started
        after = append()
        # The first request makes the connection.
        if number:
            requests_s, lines_s = requests_s + took, lines_s + before + after
count = len(pending) - 1
print(json.dumps({"patch_s": requests_s / count, "sync_s": lines_s / (2 * count)}))  # noqa: T201
