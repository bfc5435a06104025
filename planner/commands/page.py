"""`--html FILE` of an audit and of a history: the page, made and written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from planner.apply.origin.git import find_top
from planner.audit.audit import Audit
from planner.audit.history import HistoryEntry
from planner.clock import Clock
from planner.escape import escape
from planner.files import write_output
from planner.output import Terminal
from planner.render.page import document
from planner.render.page.content import Page
from planner.version import __version__
from state.places.place import LocalPlace
from state.storage import Place


def make_page(
    directory: str,
    place: Place,
    audit: Audit,
    entries: Sequence[HistoryEntry],
    clock: Clock,
    *,
    base_url: str | None = None,
    selection: str = "",
) -> Page:
    """The page of the project in `directory`, whose state is at `place`."""
    state = Path(str(place)).name if isinstance(place, LocalPlace) else str(place)
    return Page(
        project=_name_of(directory),
        state=state,
        made_at=clock.timestamp(),
        version=__version__,
        audit=audit,
        entries=entries,
        base_url=base_url,
        selection=selection,
    )


def _name_of(directory: str) -> str:
    """The project's folder, after those that lead to it in its repository: the last one alone says little."""
    real = os.path.realpath(directory)
    return str(Path(real).relative_to(Path(find_top(real) or real).parent))


def write_page(out: str, page: Page, terminal: Terminal) -> None:
    """Write the page, the whole of it or nothing. It replaces an older one, which a nightly run has to.

    Raises:
        UsageError: it can't be written there.
    """
    write_output("--html", out, document.render_page(page), replaces="<!doctype html>")
    terminal.say(f"wrote {escape(out)}")
