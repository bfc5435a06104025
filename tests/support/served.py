"""The installed command for what a shell runs: a fork of the tests' own there too, and no new process each time."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forkserver import STATFORM, is_installed

# Has the streams, the environment and the directory of whoever runs it passed on, and ends as the command ends.
_SCRIPT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
    asked.connect({address!r})
    message = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()])
    socket.send_fds(asked, [message.encode()], [0, 1, 2])
    code = int(asked.recv(20))
os._exit(code if code >= 0 else 128 - code)
"""
_LONGEST = 100_000
_numbers = itertools.count(1)


@contextmanager
def serving(directory: Path) -> Iterator[None]:
    """Put a `statform` into the directory, which works as long as the context lasts; none where there are no forks."""
    if not is_installed():
        yield
        return
    # It has no path, which could be too long for a socket.
    address = f"\0statform-{os.getpid()}-{next(_numbers)}"
    script = directory / "statform"
    script.write_text(_SCRIPT.format(python=sys.executable, address=address))
    script.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(address)
        listening.listen()
        thread = threading.Thread(target=_serve, args=(listening,), daemon=True)
        thread.start()
        yield
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listening: socket.socket) -> None:
    while True:
        try:
            asked, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(asked,), daemon=True).start()


def _answer(asked: socket.socket) -> None:
    with asked:
        message, fds, _, _ = socket.recv_fds(asked, _LONGEST, 3)
        arguments, environ, directory = json.loads(message)
        try:
            stdin, stdout, stderr = fds
            streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
            process = subprocess.Popen([STATFORM, *arguments], env=environ, cwd=directory, **streams)
        finally:
            for fd in fds:
                os.close(fd)
        asked.send(str(process.wait()).encode())
