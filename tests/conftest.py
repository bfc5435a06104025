from __future__ import annotations

import os
from contextlib import ExitStack

import pytest
from command import KEY, Project, Streams, running_emulator
from hypothesis import settings

# CI judges a change, not the luck of a day: there every run has the same examples.
settings.register_profile("same", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("same")


@pytest.fixture
def streams():
    return Streams()


@pytest.fixture
def project(tmp_path, streams):
    """An empty directory, and the installed command to be run in it, with nothing of our environment."""
    directory, home = tmp_path / "project", tmp_path / "home"
    directory.mkdir()
    home.mkdir()
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "STATSIG_API_KEY": KEY}
    return Project(directory, streams, environ)


@pytest.fixture
def emulator(tmp_path, project, streams):
    """Starts `statform emulator` with these sources and options; the project's commands go there from then on."""
    with ExitStack() as running:

        def start(*sources, options=()):
            found = running.enter_context(running_emulator(tmp_path, streams, sources, *options))
            project.environ["STATSIG_BASE_URL"] = found.url
            return found

        yield start
