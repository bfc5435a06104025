"""What several commands share: their project, where they write, a run, a saved plan."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import planner
from planner import process
from planner.errors import DefinitionError, UsageError
from planner.escape import as_json, escape
from planner.output import Terminal
from planner.version import BASE_URL
from state.errors import StateError
from state.places.place import Wait
from state.values import JSON, Object

if TYPE_CHECKING:
    from planner.apply.run import Run
    from planner.definitions.project import Project
    from planner.plan.saved import SavedPlan
    from state.snapshot import Snapshot
    from state.storage import Place


class Invocation:
    """One call of a command: the project's directory, the environment, where to write, whether GitHub runs it.

    `actor` is who asks for it, `asserted_project` the ID of the key's project, if the command line tells; `patience_s`
    is how long it waits for another run. A command
    that has another `output` than text for people says so as it begins: errors are written there too.
    """

    def __init__(
        self,
        directory: str,
        environment: str | None,
        output: Terminal,
        *,
        is_in_workflow: bool = False,
        actor: str | None = None,
        patience_s: float | None = None,
        asserted_project: str | None = None,
    ) -> None:
        self.directory, self.environment = directory, environment
        self.output, self.is_in_workflow, self.actor = output, is_in_workflow, actor
        self.patience_s, self.asserted_project = patience_s, asserted_project

    def open_project(self) -> Project:
        """Raises:
        UsageError, DefinitionError: as the library's `open_project`.
        """
        return planner.open_project(self.directory, self.environment)

    def open_settings(self) -> Project:
        """The project without its definitions: what needs the state alone works while somebody edits them.

        Raises:
            UsageError, DefinitionError: there is no project, or its settings can't be read.
        """
        from planner.definitions.project import open_settings  # noqa: PLC0415 - a plan opens all of it

        return open_settings(self.directory, self.environment)

    def open_what_can_be_read(self) -> Project:
        """The project; without its definitions, and with a warning, where they are wrong.

        Raises:
            UsageError, DefinitionError: there is no project, or its settings can't be read.
        """
        try:
            return self.open_project()
        except DefinitionError as error:
            project, first = self.open_settings(), error.diagnostics[0]
            where = f"{first.location.file}:{first.location.line}: " if first.location else ""
            self.output.warn(
                f"the definitions are ignored, because they have an error: {escape(where + first.summary)}"
            )
            return project

    def find_place(self, project: Project | None = None) -> Place:
        """Where the project's state is; who waits for it is told.

        Raises:
            UsageError, DefinitionError: there is no project, or its settings can't be read.
            WrongState: the environment and the project don't agree on that.
        """
        return (project or self.open_settings()).place(wait=Wait(self.patience_s, self.output.tell_waiting))

    def read_state(self, project: Project | None = None) -> Snapshot:
        """The project's state; warns of requests whose outcome is unknown.

        Raises:
            UsageError, DefinitionError: there is no project, or its settings can't be read.
            StateError: the state can't be read or trusted.
        """
        project = project or self.open_settings()
        try:
            snapshot = project.read_state(Wait(self.patience_s, self.output.tell_waiting))
        finally:
            self.output.count("")
        if snapshot.unresolved:
            self.output.warn_of_unresolved(snapshot, self._find_open_run(project, snapshot))
        return snapshot

    def _find_open_run(self, project: Project, snapshot: Snapshot) -> str | None:
        """Who began the run that is in progress, as far as it is known."""
        from state import store  # noqa: PLC0415 - only an unknown outcome asks for it

        with suppress(StateError):
            found = store.at_work(self.find_place(project), snapshot.head)
            return None if found is None or found.has_ended else found.who
        return None

    def start_run(self, base_url: str = BASE_URL, project: Project | None = None, *, is_dry_run: bool = False) -> Run:
        """A run of this process, which from here on nobody else can look into: it has the key, and starts programs."""
        process.forbid_looks()
        project = project or self.open_project()
        return planner.Run(
            project,
            base_url,
            self.output,
            is_dry_run=is_dry_run,
            log=_log(),
            actor=self.actor,
            asserted_project=self.asserted_project,
            patience_s=self.patience_s,
        )

    def print_json(self, value: JSON) -> None:
        """Write the value to stdout, in one line and in ASCII."""
        self.output.out(as_json(value) + "\n")


def _log() -> Callable[[Object], None] | None:
    """What writes each request to stderr, a JSON object a line, where STATFORM_LOG asks for it."""
    if os.environ.get("STATFORM_LOG") != "debug":
        return None

    def write(request: Object) -> None:
        # Whether anybody reads it changes nothing.
        with suppress(OSError):
            sys.stderr.write(as_json(request) + "\n")
            sys.stderr.flush()

    return write


def load_plan(path: str) -> SavedPlan:
    """The plan that was saved in the file.

    Raises:
        UsageError: the file can't be read.
        PlanRefused: it has no plan of this version.
    """
    from planner.plan import saved  # noqa: PLC0415 - attrs, which a plan that nobody saves does without

    try:
        with open(path, "rb") as file:
            return saved.load_plan(file.read(saved.MAX_BYTES), path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
