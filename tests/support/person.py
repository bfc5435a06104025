"""A command at a real terminal, as a person has it: what it shows, and what is typed."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field
from forkserver import WITH_TERMINAL


@define
class Terminal:
    """stdin, stdout and stderr of the process; `shown` is all that it wrote so far, with LF for CR LF."""

    process: subprocess.Popen[bytes]
    fd: int
    raw: bytearray = field(factory=bytearray)

    @property
    def shown(self) -> str:
        return self.raw.decode(errors="replace").replace("\r\n", "\n")

    def expect(self, text: str, timeout: float = 20) -> None:
        """Read until `text` was shown."""
        end = time.monotonic() + timeout
        while text not in self.shown:
            assert time.monotonic() < end, f"no {text!r} within {timeout} s in {self.shown!r}"
            assert self._read(), f"it ended without {text!r}: {self.shown!r}"

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def end(self, timeout: float = 20) -> int:
        """Read what it still shows; its exit code."""
        end = time.monotonic() + timeout
        while self._read():
            assert time.monotonic() < end, f"still running after {timeout} s: {self.shown!r}"
        return self.process.wait(timeout)

    def _read(self) -> bool:
        """False at the end, which Linux tells by EIO."""
        if not select.select([self.fd], [], [], 0.2)[0]:
            return True
        try:
            part = os.read(self.fd, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        self.raw += part
        return bool(part)


@contextmanager
def at_terminal(command: Sequence[str], cwd: Path, environ: Mapping[str, str], columns: int = 80) -> Iterator[Terminal]:
    """Start the command with a terminal of its own, so that Ctrl-C typed there is a signal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        process = subprocess.Popen(
            [*WITH_TERMINAL, *command],
            cwd=cwd,
            env=dict(environ),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
    finally:
        os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
