"""A real Ceph with its S3 server, on loopback and in memory: one monitor, one store of objects, one gateway.

It is for the long runs: it takes ten seconds to start, and half a gigabyte.
"""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import stores

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "ceph")
SETTINGS = """[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{monitor}
auth cluster required = none
auth service required = none
auth client required = none
ms bind msgr2 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {folder}
log file = {folder}/$name.log
admin socket = {folder}/$name.asok
pid file =
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd crush chooseleaf type = 0
osd objectstore = memstore
mon allow pool size one = true
mon max pg per osd = 1000
mon data = {folder}/mon
osd data = {folder}/osd
rgw data = {folder}/rgw
[client.rgw]
ms mon client mode = crc
auth client required = none
rgw frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
"""


@contextmanager
def ceph(folder: Path) -> Iterator[stores.Server]:
    if not all(stores.program(name, "/usr/sbin") for name in PROGRAMS):
        pytest.skip("needs Ceph: ceph-mon, ceph-osd, radosgw and ceph-common")
    monitor, gateway, fsid = stores.free_port(), stores.free_port(), str(uuid.uuid4())
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    file = folder / "ceph.conf"
    file.write_text(SETTINGS.format(fsid=fsid, monitor=monitor, gateway=gateway, folder=folder))
    with ExitStack() as running:
        _run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v1:127.0.0.1:{monitor}]", f"{folder}/monmap")
        _run("ceph-mon", "-c", file, "--mkfs", "-i", "a", "--monmap", f"{folder}/monmap")
        command = ["ceph-mon", "-c", str(file), "-f", "-i", "a", "--public-addr", f"127.0.0.1:{monitor}"]
        running.enter_context(stores.serving(command, monitor, folder / "mon"))
        osd = str(uuid.uuid4())
        _run("ceph", "-c", file, "--connect-timeout", "30", "osd", "new", osd)
        _run("ceph-osd", "-c", file, "-i", "0", "--mkfs", "--osd-uuid", osd)
        # It has no port that is known; the gateway waits for it.
        osd_process = subprocess.Popen(
            ["ceph-osd", "-c", str(file), "-f", "-i", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        running.callback(osd_process.wait)
        running.callback(osd_process.kill)
        time.sleep(1)
        command = ["radosgw", "-c", str(file), "-f", "-n", "client.rgw"]
        pid = running.enter_context(stores.serving(command, gateway, folder / "rgw"))
        keys = [
            "--access-key",
            stores.S3_KEYS["AWS_ACCESS_KEY_ID"],
            "--secret",
            stores.S3_KEYS["AWS_SECRET_ACCESS_KEY"],
        ]
        _run("radosgw-admin", "-c", file, "user", "create", "--uid", "a", "--display-name", "a", *keys)
        endpoint = f"http://127.0.0.1:{gateway}"
        server = stores.Server("s3://bucket", {**stores.S3_KEYS, "AWS_ENDPOINT_URL": endpoint}, pid)
        make_bucket(server)
        yield server


def _run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=120)


def make_bucket(server: stores.Server) -> None:
    """Signed as S3 wants it: the gateway lets nobody in without."""
    # A quarter of a second, which only a long run should pay.
    import botocore.auth  # noqa: PLC0415
    import botocore.awsrequest  # noqa: PLC0415
    import botocore.credentials  # noqa: PLC0415

    url = f"{server.environ['AWS_ENDPOINT_URL']}/bucket"
    request = botocore.awsrequest.AWSRequest(method="PUT", url=url, data=b"")
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    credentials = botocore.credentials.Credentials(*(server.environ[name] for name in names))
    botocore.auth.S3SigV4Auth(credentials, "s3", server.environ["AWS_REGION"]).add_auth(request)
    httpx.put(url, headers=dict(request.headers), trust_env=False, timeout=60).raise_for_status()
