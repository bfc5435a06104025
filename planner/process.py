"""The process itself: what keeps others from reading it, since it has the API key, and when it looks for garbage."""

from __future__ import annotations

import gc
import resource
import sys

_PR_SET_DUMPABLE = 4


def leave_garbage() -> None:
    """Look for none: what a command loads lives until its end.

    To look for it on the way, in what is imported too, would be a tenth of a small plan's time and a fifth of a large
    one's.
    """
    gc.disable()


def collect_garbage() -> None:
    """Look for it from here on: a run can take hours, and each request leaves some. What is loaded already is none."""
    gc.freeze()
    gc.enable()


def forbid_cores() -> None:
    """Write no core file, which would have the environment, whatever ends the process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def forbid_looks() -> None:
    """Keep processes of the same user, those that this one starts among them, from its memory and its environment.

    See prctl(2), PR_SET_DUMPABLE. Only Linux has it; elsewhere nothing is done.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - 8 ms, which only a command that reads the key pays

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
