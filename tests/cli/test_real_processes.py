"""Each command once as a new process, where most tests fork one: it starts, finds its files, and ends right."""

from __future__ import annotations

import signal
import subprocess
from contextlib import nullcontext
from pathlib import Path

import click
import pytest
from command import STATFORM, source
from declared import COMMANDS
from forkserver import is_installed, real_processes

ONE = "assignment_source.one"
# What each prints, of a project whose state has `one`, and whose remote has `two` as well.
PRINTED = {
    ("init",): "wrote statform.toml\n",
    ("validate",): "Valid: 1 definition.\n",
    ("plan",): "Plan: 1 to update.\n",
    ("apply", "--auto-approve"): "Apply complete: 1 updated.\n",
    ("show",): f"# {ONE}: the source one, as of ",
    ("import", "assignment_source.two", "two"): "assignment_source.two",
    ("refresh", "--auto-approve"): "No drift: the remote matches the state.\n",
    ("audit",): "Audit: not clean. 1 managed, 0 drifted, 0 gone, 1 unmanaged, 0 unknown.\n",
    ("history",): '~ description = "" -> "before"\n',
    ("doctor",): "key",
    ("state", "push"): "STATFORM_STATE must be a URL",
    ("state", "pull"): "the state is not shared",
    ("state", "list"): f"{ONE}\n",
    ("state", "show", ONE): f"# {ONE}: the source one, as of ",
    ("state", "mv", ONE, "assignment_source.uno"): f"Moved {ONE} to assignment_source.uno.\n",
    ("state", "rm", ONE): f"Removed {ONE}.\n",
    ("state", "rebuild"): "Rebuilt: 1 resource, serial ",
    ("schema",): '"title": "statform"',
    ("completion", "bash"): "_statform_completion()",
}


@pytest.fixture
def adopted(project, emulator):
    emulator(source("one"), source("two"))
    project.define(f'[{ONE}]\nadopt = true\ndescription = "before"\n')
    project.apply()
    return project


@pytest.mark.parametrize("arguments", PRINTED, ids=" ".join)
def test_each_command_does_its_work_in_a_new_process(adopted, arguments):
    if arguments[0] in {"plan", "apply"}:
        adopted.define(f'[{ONE}]\ndescription = "after"\n')
    where = adopted.directory if arguments != ("init",) else adopted.directory / "elsewhere"
    where.mkdir(exist_ok=True)
    with real_processes():
        ran = adopted.run(*arguments, cwd=where)
    # An audit finds `two`, which is in no state.
    # Without a place for it, a state can be moved nowhere.
    expected = {("audit",): 2, ("state", "push"): 1, ("state", "pull"): 1}.get(arguments, 0)
    assert ran.code == expected, ran
    assert PRINTED[arguments] in ran.out + ran.err


def test_the_emulator_serves_in_a_new_process_until_it_is_told_to_end(tmp_path):
    with (
        real_processes(),
        subprocess.Popen([str(STATFORM), "emulator"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout.readline().startswith("Console API on http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_no_command_is_left_out_here():
    leaves = {path for path, command in COMMANDS if not isinstance(command, click.Group)}
    assert leaves == {arguments[: 2 if arguments[0] == "state" else 1] for arguments in [*PRINTED, ("emulator",)]}


@pytest.mark.parametrize("is_forking", [True, False])
def test_a_command_is_a_fork_if_that_is_possible_and_nobody_minds(project, is_forking):
    with nullcontext() if is_forking else real_processes():
        process = subprocess.Popen([str(STATFORM), "emulator"], cwd=project.directory, stdout=subprocess.PIPE)
    with process:
        process.stdout.readline()
        title = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.terminate()
    assert (b"forkserver" in title) == (is_forking and is_installed())


LOCALES = [
    {"PYTHONIOENCODING": "iso-8859-1"},
    {"LANG": "C", "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_what_a_locale_can_not_write_is_escaped_and_ends_nothing(project, emulator, locale):
    remote = emulator(source("one", description="K\u00e4se"))
    project.define('[assignment_source.one]\nadopt = true\ndescription = "Caf\u00e9 \u2013 \u5b9f\u9a13"\n')
    with real_processes():
        for words in (["plan"], ["plan", "--json"], ["apply", "--auto-approve"], ["show"], ["history"], ["audit"]):
            ran = subprocess.run(
                [STATFORM, *words],
                cwd=project.directory,
                env=project.environ | locale,
                capture_output=True,
                check=False,
            )
            assert ran.returncode == 0, ran
            assert b"Traceback" not in ran.stderr
            assert words[0] == "audit" or rb"\u5b9f" in ran.stdout.lower()
    assert remote.sources["one"]["description"] == "Caf\u00e9 \u2013 \u5b9f\u9a13"


@pytest.mark.parametrize("name", ["state.py", "state/__init__.py", "planner.py", "planner/__init__.py"])
def test_a_module_that_has_the_name_of_ours_is_named_in_one_sentence(project, name):
    project.define("[assignment_source.one]\n")
    path, package = project.write(f"lib/{name}", ""), name.split("/")[0].removesuffix(".py")
    environ = project.environ | {"PYTHONPATH": str(project.directory / "lib")}
    with real_processes():
        ran = subprocess.run(
            [STATFORM, "validate"], cwd=project.directory, env=environ, capture_output=True, text=True, check=False
        )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines() == [
        f"Error: {path} stands in the place of statform's own package `{package}`",
        "PYTHONPATH or the folder puts it there. Run statform without: env -u PYTHONPATH statform",
    ]
