"""Commands as forks of a process that has loaded all of statform, which takes a new process longer than most commands.

`install` has `subprocess.Popen` start the installed command so. To a test such a process is as any other: its own
child, with the streams, the environment, the directory, the session and the terminal that were asked for, to be
waited for and killed; only its clock runs faster, as `hastened` says. What it does not have of a new process is the
shebang, the entry point, its own order of imports and its own hash seed, so whatever asks for another Python by its
environment or locale, or is started by something else than a test (bash, setpriv, git), stays a new process; so does
all in a test marked `real`, and everything under STATFORM_REAL=1 or where this can't be done.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import importlib
import inspect
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

STATFORM = str(Path(sys.executable).with_name("statform"))
_BECOME = "os.execv(sys.argv[1], sys.argv[1:])"
# The words before a command by which a Python does something first. Here stdin gets the controlling terminal of a
# session that has none.
WITH_TERMINAL = (
    sys.executable,
    "-c",
    f"import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {_BECOME}",
)
# It stops, so that somebody can attach to it.
STOPPED = (sys.executable, "-c", f"import os, signal, sys; os.kill(os.getpid(), signal.SIGSTOP); {_BECOME}")
# No request of before can be carried out any more.
LATER = (sys.executable, str(Path(__file__).with_name("later.py")))
_FIRST = {"terminal": WITH_TERMINAL, "stopped": STOPPED, "later": LATER}
_SYS_CLONE = {"x86_64": 56, "aarch64": 220}.get(os.uname().machine)
_CLONE_PARENT = 0x8000
_IS_POSSIBLE = sys.platform == "linux" and _SYS_CLONE is not None


class Asked(NamedTuple):
    """A process that is wanted. Its standard streams come beside it. `first` is a name of `_FIRST`, or ""."""

    argv: list[str]
    environ: dict[str, str]
    directory: str
    has_session: bool
    first: str


# The server

# What the packages load themselves only when a command gets so far.
_LATE = ("encodings.idna", "h11", "uvicorn.lifespan.off", "uvicorn.loops.asyncio", "uvicorn.protocols.http.h11_impl")


def serve(control: socket.socket) -> None:
    """Start a process for each message, and answer its id.

    Returns in each of these processes: what its caller does next is what it is for.
    """
    _load()
    # A Ctrl-C is for the tests and their commands. It stays pending in a process that is not ready for it yet.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    while True:
        message, fds, _, _ = socket.recv_fds(control, _LONGEST, 3)
        if not message:
            os._exit(0)
        pid = _fork()
        if not pid:
            control.close()
            _become(Asked(*json.loads(message)), fds)
            return
        for fd in fds:
            os.close(fd)
        control.send(str(pid).encode())


def _load() -> None:
    # Here, and not where the tests load this: they load as little of statform as they need.
    import hastened  # noqa: PLC0415
    import later  # noqa: F401, PLC0415
    import shared_tls  # noqa: PLC0415

    for name in ("planner", "state"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    assert hastened.emulators(), "no module of the emulator asks `time` for the time any more"
    hastened.hasten()
    shared_tls.share_contexts()
    # As a client of an emulator wants it: now, and not in each process.
    importlib.import_module("httpx").Client(trust_env=False).close()
    # Under `make coverage`: what was run so far is told once, and not by each process.
    if coverage := sys.modules.get("coverage"):
        coverage.Coverage.current().save()
    _place_of_id()
    gc.collect()
    gc.freeze()


def _fork() -> int:
    """0 in the child, which is a child of this process's own parent: there it can be waited for as any other."""
    api = ctypes.pythonapi
    api.syscall.restype = ctypes.c_long
    api.PyOS_BeforeFork()
    pid = api.syscall(_SYS_CLONE, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if pid:
        api.PyOS_AfterFork_Parent()
        assert pid > 0, "no process can be made"
    else:
        _tell_its_id()
        api.PyOS_AfterFork_Child()
    return pid


def _tell_its_id() -> None:
    """Let the C library know the new main thread's id, without which nobody can signal it: only its own fork does."""
    _thread()[_place_of_id()] = os.getpid()


def _thread() -> ctypes.Array[ctypes.c_int]:
    """The beginning of what the C library keeps of the running thread."""
    return (ctypes.c_int * 512).from_address(threading.get_ident())


@cache
def _place_of_id() -> int:
    """Where in it the system's id of the thread is: what two threads have there by chance is elsewhere."""
    with ThreadPoolExecutor(1) as other:
        places = _places_of_id() & other.submit(_places_of_id).result()
    (place,) = places
    return place


def _places_of_id() -> set[int]:
    own = threading.get_native_id()
    return {place for place, number in enumerate(_thread()) if number == own}


def _become(asked: Asked, fds: list[int]) -> None:
    """Be as a Python that was just started so, under the locale C.UTF-8."""
    if asked.has_session:
        os.setsid()
    for standard, fd in enumerate(fds):
        os.dup2(fd, standard)
        os.close(fd)
    if asked.first == "terminal":
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(asked.directory)
    os.environ.clear()
    os.environ.update(asked.environ)
    sys.argv, sys.path[0] = asked.argv, str(Path(asked.argv[0]).parent)
    sys.stdin = sys.__stdin__ = _stream(0, "r", "surrogateescape")
    sys.stdout = sys.__stdout__ = _stream(1, "w", "surrogateescape")
    sys.stderr = sys.__stderr__ = _stream(2, "w", "backslashreplace", buffering=1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    if asked.first == "later":
        sys.modules["later"].go_later()
    if asked.first == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)


def _stream(fd: int, mode: str, errors: str, buffering: int = -1) -> Any:
    return open(fd, mode, buffering, encoding="utf-8", errors=errors, newline="\n", closefd=False)


# The tests

# Of subprocess, which promises nothing of it: what is not found here as it was, is left to it.
_OPTIONS = [*inspect.signature(subprocess.Popen._execute_child).parameters][1:]
_PLAIN = {
    "executable": None,
    "preexec_fn": None,
    "close_fds": True,
    "pass_fds": (),
    "shell": False,
    "restore_signals": True,
    "gid": None,
    "gids": None,
    "uid": None,
    "umask": -1,
    "process_group": -1,
}
_STREAMS = ("p2cread", "c2pwrite", "errwrite")
_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
_NEEDED = {*_PLAIN, *_PIPES, "args", "cwd", "env", "start_new_session"}
# A longer message may not be taken at once, wherefore it is not sent.
_LONGEST = 100_000
_lock = threading.Lock()


class Popen(subprocess.Popen):
    """Of the installed command a fork where it can be one; of anything else what it always was."""

    is_forking = True

    def _execute_child(self, *arguments: Any) -> None:
        options = dict(zip(_OPTIONS, arguments, strict=True))
        message = _message(options) if self.is_forking else None
        if message is None:
            super()._execute_child(*arguments)
            return
        # -1 stands for ours.
        fds = [standard if (fd := options[name]) == -1 else fd for standard, name in enumerate(_STREAMS)]
        self.pid = _start(message, fds)
        self._child_created = True
        self._close_pipe_fds(*(options[name] for name in _PIPES))


def install() -> None:
    """Have `subprocess` start the command so, if that is possible here."""
    if _IS_POSSIBLE and set(_OPTIONS) >= _NEEDED:
        subprocess.Popen = Popen


def is_installed() -> bool:
    return subprocess.Popen is Popen


@contextmanager
def real_processes() -> Iterator[None]:
    """Start new processes meanwhile, with a clock that runs as ours."""
    before, Popen.is_forking = Popen.is_forking, False
    try:
        yield
    finally:
        Popen.is_forking = before


def _message(options: Mapping[str, Any]) -> bytes | None:
    """What the server is told; None if it can't make such a process."""
    args = options["args"]
    words = [args] if isinstance(args, str | bytes) else [os.fspath(word) for word in args]
    first = next((name for name, before in _FIRST.items() if words[: len(before)] == [*before]), "")
    words = words[len(_FIRST.get(first, ())) :]
    # PYTHON* of whoever runs the tests is no wish of a test.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environ = ours if options["env"] is None else dict(options["env"])
    if words[:1] != [STATFORM] or not _is_plain(options, environ):
        return None
    directory = str(Path.cwd() / (options["cwd"] or ""))
    message = json.dumps(Asked(words, environ, directory, options["start_new_session"], first)).encode()
    return message if len(message) < _LONGEST else None


def _is_plain(options: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    return (
        all(options[name] == plain for name, plain in _PLAIN.items())
        and not any(name.startswith("PYTHON") for name in environ)
        and all(environ.get(name) in {None, "C.UTF-8"} for name in ("LANG", "LC_ALL", "LC_CTYPE"))
    )


def _start(message: bytes, fds: list[int]) -> int:
    with _lock:
        control = _server().control
        socket.send_fds(control, [message], fds)
        answer = control.recv(20)
    assert answer, "the process that makes the commands is gone; what it said last is above"
    return int(answer)


class _Server(NamedTuple):
    """It ends with us: nobody holds the other end of its socket then."""

    control: socket.socket
    process: subprocess.Popen[bytes]


@cache
def _server() -> _Server:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    code = (
        f"import socket, sys; sys.path[0] = {str(Path(__file__).parent)!r}; import forkserver; "
        f"forkserver.serve(socket.socket(fileno={theirs.fileno()})); from planner.__main__ import main; main()"
    )
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    process = subprocess.Popen([sys.executable, "-c", code], env=environ, pass_fds=[theirs.fileno()], cwd="/")
    theirs.close()
    return _Server(ours, process)
