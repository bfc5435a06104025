"""What keeps others from reading this process, which has the API key: no core, and no look into it through /proc."""

from __future__ import annotations

import resource
import sys

_PR_SET_DUMPABLE = 4


def forbid_cores() -> None:
    """Leave no core behind, which would hold the environment, whatever ends the process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def forbid_looks() -> None:
    """Keep processes of the same user, those that this one starts among them, from its memory and its environment.

    See prctl(2), PR_SET_DUMPABLE. Only Linux has it; elsewhere nothing is done.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - 8 ms, which only a command that reads the key pays

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
