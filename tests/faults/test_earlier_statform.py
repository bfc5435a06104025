"""What a statform of before does with a state of today: its own code, out of the repository's history."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command import Ran, source

ROOT = Path(__file__).parents[2]
MAIN = "import sys; sys.argv[0] = 'statform'; from planner.__main__ import main; main()"
DEFINED = '[assignment_source.one]\ndescription = "{}"\n'


def git(*words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """The folder of the last statform that knew format 1 alone."""
    commits = git("log", "--format=%H", "-SFORMAT = 2", "--", "state/snapshot.py").split()
    archive = git("archive", f"{commits[-1].decode()}~1", "state", "planner") if commits else b""
    if not archive:
        pytest.skip("needs the repository's history")
    folder = tmp_path_factory.mktemp("earlier")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder


def test_a_released_statform_refuses_a_newer_state_and_says_what_to_do(project, emulator, earlier):
    emulator(source("one", description="old"))
    project.define(DEFINED.format("old"))
    assert project.run("import", "assignment_source.one", "one").code == 0
    project.define(DEFINED.format("new"))
    files = {path: path.read_bytes() for path in project.directory.glob("statform.state.j*")}
    assert len(files) == 2
    for words in (["plan"], ["apply", "--auto-approve"], ["audit"], ["history", "--verify"], ["state", "rebuild"]):
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *words],
            cwd=project.directory,
            env=project.environ | {"PYTHONPATH": str(earlier)},
            capture_output=True,
            text=True,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert (ran.code, ran.out) == (1, ""), words
        assert "format 2; this statform knows format 1\nUse the statform that wrote it, or a newer one." in ran.err
    assert {path: path.read_bytes() for path in files} == files


def test_what_it_wrote_is_read_and_goes_on_in_the_format_of_today(project, emulator, earlier):
    remote = emulator(source("one", description="old"))
    project.define(DEFINED.format("old"))
    environ = project.environ | {"PYTHONPATH": str(earlier)}
    words = [sys.executable, "-c", MAIN, "import", "assignment_source.one", "one"]
    subprocess.run(words, cwd=project.directory, env=environ, check=True, capture_output=True)
    state = project.directory / "statform.state.json"
    assert '"format": 1,' in state.read_text()
    assert project.run("plan", "--detailed-exitcode").code == 0
    project.define(DEFINED.format("new"))
    assert project.run("apply", "--auto-approve").last == "Apply complete: 1 updated."
    assert remote.sources["one"]["description"] == "new"
    assert '"format": 2,' in state.read_text()
    assert "Verified: " in project.run("history", "--verify").out
    stranger = ["perl", str(ROOT / "tests/support/verify.pl"), str(state.with_suffix(".journal.jsonl")), str(state)]
    subprocess.run(stranger, check=True, capture_output=True)
