"""A command under strace, which attaches to it as it begins: what a Python does before that isn't slowed down."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from forkserver import STOPPED


def run_traced(
    strace: Sequence[str], command: Sequence[str], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """How the command ends, and what it writes, with `strace` and its options attached to it."""
    started = subprocess.Popen(
        [*STOPPED, *command], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with started as process:
        os.waitpid(process.pid, os.WUNTRACED)
        with subprocess.Popen([*strace, "-p", str(process.pid)]) as tracer:
            _wait_until_attached(process.pid, tracer)
            process.send_signal(signal.SIGCONT)
            out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _wait_until_attached(pid: int, tracer: subprocess.Popen[bytes]) -> None:
    status = Path(f"/proc/{pid}/status")
    while re.search(r"TracerPid:\s0\n", status.read_text()):
        assert tracer.poll() is None, "strace can't attach to a process; what it said is above"
        time.sleep(0.001)
