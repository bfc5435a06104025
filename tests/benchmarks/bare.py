"""The least that a client can do: the same requests over one httpx connection, one after the other; then the syncs.

    bare.py URL REQUESTS FILE BYTES

REQUESTS is JSON: pairs of a path and a body. FILE gets lines of BYTES bytes, appended and synced one by one, two for
each request, on the file system on which it is. Prints seconds per request and per line, as JSON.
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
times = []
with httpx.Client(headers=headers) as client:
    for path, body in pending:
        times.append(time.perf_counter())
        client.patch(url + path, content=json.dumps(body).encode()).raise_for_status()
fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
line = b"x" * (int(size) - 1) + b"\n"
# The first sync of a new file writes more than its bytes.
os.write(fd, line)
os.fdatasync(fd)
started = time.perf_counter()
for _ in range(2 * len(pending)):
    os.write(fd, line)
    os.fdatasync(fd)
per_line = (time.perf_counter() - started) / (2 * len(pending))
# From start to start, so that the connection, which the first request makes, is not in it.
print(json.dumps({"patch_s": (times[-1] - times[1]) / (len(times) - 2), "sync_s": per_line}))  # noqa: T201
