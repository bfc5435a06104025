"""The content of a page, as values: `sections` makes a table of each part, and `document` makes the whole page."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from planner.audit.audit import Audit
from planner.audit.drift import Drift
from planner.audit.history import HistoryEntry


@frozen
class Page:
    """All that a page says about a project. `entries` end with the newest; `state` is the name of the state file.

    `base_url` is where the remote was listed; None: it was not, and `audit` has only state and journal.
    `selection` says in words which entries are here; it is empty if all are.
    """

    project: str
    state: str
    made_at: str
    version: str
    audit: Audit
    entries: Sequence[HistoryEntry]
    base_url: str | None = None
    selection: str = ""

    @property
    def drifted(self) -> tuple[Drift, ...]:
        """What is still at the remote, with other values."""
        return tuple(one for one in self.audit.drifts if one.source is not None)

    @property
    def gone(self) -> tuple[Drift, ...]:
        """What is no longer at the remote under its name."""
        return tuple(one for one in self.audit.drifts if one.source is None)
