"""Where the command `statform` starts: it sees that nothing else has the names of the packages `planner` and `state`.

A module of its own, since it has to be ours already when `planner` is somebody else's.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from typing import NoReturn

_HERE = os.path.dirname(os.path.abspath(__file__))


def main() -> NoReturn:
    """Run the command line that the process was started with."""
    for name in ("planner", "state"):
        _refuse_shadow(name)
    from planner.__main__ import main as run  # noqa: PLC0415 - now it is ours

    run()


def _refuse_shadow(name: str) -> None:
    """End with one sentence where another module has the name of our package, and would be loaded for it."""
    found, own = PathFinder.find_spec(name), os.path.join(_HERE, name)
    if not found or not found.origin or (there := os.path.dirname(found.origin)) == own:
        return
    # It may be reached by a link. Not samefile: in an archive there is no file.
    if os.path.realpath(there) != os.path.realpath(own):
        shown = ascii(found.origin)[1:-1]
        sys.stderr.write(f"Error: {shown} stands in the place of statform's own package `{name}`\n")
        sys.stderr.write("PYTHONPATH or the folder puts it there. Run statform without: env -u PYTHONPATH statform\n")
        sys.stderr.flush()
        os._exit(1)
