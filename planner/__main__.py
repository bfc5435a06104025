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
        # Who closed it has seen enough.
        with suppress(OSError):
            stream.flush()
    # The end frees everything at once; the interpreter would do it one by one.
    os._exit(code)


def _open_standard_streams() -> None:
    """Put /dev/null where a stream is closed: else the journal could get the number of stderr, and its text."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(fd, mode, encoding="utf-8"))  # noqa: SIM115 - open until the end


def _take_any_text() -> None:
    """Let no character end a command that the locale can't write, or an answer that is none in it."""
    for stream, errors in ((sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace"), (sys.stdin, "replace")):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)


if __name__ == "__main__":
    main()
