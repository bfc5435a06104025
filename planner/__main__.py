"""The process around `cli.run`; `statform.py` starts it, and `python -m planner`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn

from planner.process import forbid_cores, leave_garbage


def main() -> NoReturn:
    """Run the command line that the process was started with."""
    forbid_cores()
    _open_standard_streams()
    _take_any_text()
    leave_garbage()
    from planner.cli.main import run  # noqa: PLC0415 - without looking for garbage on the way

    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        # The reader closed it, and needs no more output.
        with suppress(OSError):
            stream.flush()
    # The end of the process frees all memory at once; the interpreter would free it piece by piece.
    os._exit(code)


def _open_standard_streams() -> None:
    """Open /dev/null for each closed stream: otherwise the journal could get the descriptor of stderr, and its text."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(fd, mode, encoding="utf-8"))  # noqa: SIM115 - open until the end


def _take_any_text() -> None:
    """Escape characters that the locale can't write or read, so that they end no command."""
    for stream, errors in ((sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace"), (sys.stdin, "replace")):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)


if __name__ == "__main__":
    main()
