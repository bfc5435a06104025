"""A shared state with one change to apply, and what must be so once it is applied."""

from __future__ import annotations

from collections.abc import Callable

from command import Emulator, Project, Ran, hastened, source

DEFINED = '[assignment_source.one]\ndescription = "{}"\n'


def share(project: Project, emulator: Callable[..., Emulator]) -> Emulator:
    """Move the project's state to where STATFORM_STATE says, and define the change; the emulator that lacks it."""
    remote = emulator(source("one", description="old"))
    project.define(DEFINED.format("old"))
    assert project.run("import", "assignment_source.one", "one", STATFORM_STATE="").code == 0
    ran = project.run("state", "push")
    assert ran.code == 0, ran.err
    lineage = (project.directory / "statform.toml").read_text().split('"')[1]
    project.define(DEFINED.format("new"), f'shared = "{lineage}"')
    return remote


def apply(project: Project) -> Ran:
    """An apply at the clock of the tests."""
    return project.run("apply", "--auto-approve", under=hastened())


def is_settled(project: Project, remote: Emulator) -> None:
    """The change is made, and the state and its journal know of it."""
    assert remote.sources["one"]["description"] == "new"
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert "together they give the state" in project.run("history", "--verify").out
