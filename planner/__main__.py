"""The command `statform`, and `python -m planner`: the process around `cli.run`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.machinery import PathFinder
from io import TextIOWrapper
from typing import NoReturn

from planner.process import forbid_cores, leave_garbage

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main() -> NoReturn:
    """Run the command line that the process was started with."""
    forbid_cores()
    _open_standard_streams()
    _take_any_text()
    _refuse_shadow()
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


def _refuse_shadow() -> None:
    """End with one sentence where another module has the name of our other package, and would be loaded for it."""
    found = PathFinder.find_spec("state")
    # Not samefile: in an archive there is no file.
    if found and found.origin and os.path.realpath(os.path.dirname(found.origin)) != os.path.realpath(f"{_HERE}/state"):
        where = ascii(found.origin)[1:-1]
        sys.stderr.write(f"Error: {where} stands in the place of statform's own package `state`\n")
        sys.stderr.write("PYTHONPATH or the folder puts it there. Run statform without: env -u PYTHONPATH statform\n")
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
