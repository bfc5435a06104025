"""statform as a library: its public names, the example that is a script, and an apply that is watched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from command import source
from docs import section

import planner
from planner import Options, Run, Watcher, apply_definitions, build_plan, open_project
from planner.apply.report import Done, Sending
from planner.clock import Clock
from planner.errors import PlannerError, PlanRefused, TooManyChanges, UsageError
from planner.plan.saved import Refusal

EXAMPLE = Path(__file__).parents[2] / "examples" / "apply_descriptions.py"
RUNS = 2_000 if os.environ.get("STATFORM_SOAK") else 12
DEFINED = '[assignment_source.a]\nadopt = true\ndescription = "new"\n'


@pytest.fixture
def settled(project, emulator):
    """A source that is in the state as the remote has it."""
    emulator(source("a", description="old", team="Growth"))
    project.define('[assignment_source.a]\nadopt = true\ndescription = "old"\n')
    assert project.run("apply", "--auto-approve").code == 0
    return project


def run_of(project, **more):
    opened = open_project(project.directory)
    return Run(opened, project.environ["STATSIG_BASE_URL"], environ=project.environ, **more)


def script(project):
    command = [sys.executable, str(EXAMPLE), str(project.directory)]
    return subprocess.run(command, env=project.environ, capture_output=True, text=True, check=False)


def test_every_public_name_is_there_and_documented():
    documented = section("As a library$")
    for name in planner.__all__:
        assert getattr(planner, name) is not None
        assert f"`{name}" in documented, name


def test_a_name_that_the_library_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'aply'"):
        _ = planner.aply


def test_the_example_applies_what_is_harmless(settled):
    settled.define(DEFINED)
    ran = script(settled)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "1 changes, of description\nassignment_source.a: update\n"
    assert settled.run("plan", "--detailed-exitcode").code == 0


def test_the_example_leaves_everything_else_to_a_person(settled):
    settled.define('[assignment_source.a]\nadopt = true\nteam = "Search"\n')
    ran = script(settled)
    assert ran.returncode == 1
    assert ran.stdout == "1 changes, of team\nSomebody has to look at this: statform apply\n"
    assert settled.run("plan", "--detailed-exitcode").code == 2


def test_the_example_shows_an_error_as_one(settled):
    settled.define("[assignment_source.a]\nadopt = true\nteam = 5\n")
    ran = script(settled)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "Error: an integer instead of a string\n"


def test_who_watches_sees_the_plan_approves_and_is_told_what_happens(settled, capfd):
    settled.define(DEFINED)
    seen = []

    class Recorder(Watcher):
        def plan(self, plan, seconds):
            seen.append(("plan", len(plan.changes), seconds))

        def approve(self, where):
            seen.append(("approve", where))

        def event(self, event):
            seen.append(type(event))

    report = apply_definitions(run_of(settled), watcher=Recorder())
    assert seen == [("plan", 1, 0.0), ("approve", settled.environ["STATSIG_BASE_URL"]), Sending, Done]
    assert [action.address for action in report.applied] == ["assignment_source.a"]
    assert (report.exit_code, report.errors, report.is_complete) == (0, (), True)
    # A script prints what it wants to.
    assert capfd.readouterr() == ("", "")


def test_a_watcher_that_refuses_lets_nothing_be_sent(settled):
    settled.define(DEFINED)

    with pytest.raises(UsageError, match="not today"):
        apply_definitions(run_of(settled), watcher=Refuser())
    assert settled.run("plan", "--detailed-exitcode").code == 2
    assert settled.run("audit").code == 0


def test_an_older_plan_is_not_applied_to_a_state_that_changed_since(settled):
    settled.define(DEFINED)
    run = run_of(settled)
    plan = build_plan(run.definitions, run.project.read_state())
    assert settled.run("apply", "--auto-approve").code == 0
    settled.define('[assignment_source.a]\nadopt = true\ndescription = "newer"\n')
    with pytest.raises(PlanRefused) as refused:
        apply_definitions(run_of(settled), Options(expects=plan))
    assert refused.value.reason is Refusal.STALE
    assert str(refused.value) == "the plan was made before the state changed\nNothing was sent. Make a new one."


def test_the_limit_of_changes_holds_for_a_script_too(settled):
    settled.define(DEFINED)
    with pytest.raises(TooManyChanges):
        apply_definitions(run_of(settled), Options(max_changes=0))


def test_without_changes_the_report_is_empty_and_needs_no_key(settled):
    del settled.environ["STATSIG_API_KEY"]
    report = apply_definitions(run_of(settled))
    assert (report.exit_code, report.applied) == (0, ())


def test_a_dry_run_reports_what_the_api_would_do_and_changes_nothing(settled):
    settled.define(DEFINED)
    report = apply_definitions(run_of(settled, is_dry_run=True))
    assert [action.address for action in report.applied] == ["assignment_source.a"]
    assert settled.run("plan", "--detailed-exitcode").code == 2


def held() -> tuple[object, ...]:
    """What a process holds that a run could forget to let go."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    return len([*Path("/proc/self/fd").iterdir()]), threading.active_count(), handlers, dict(os.environ), Path.cwd()


class Refuser(Watcher):
    def approve(self, where):
        raise UsageError("not today")


# How a run ends, by what it is given.
ENDS = {
    "applied": ({}, {}),
    "tried": ({"is_dry_run": True}, {}),
    "refused": ({}, {"watcher": Refuser()}),
    "limited": ({}, {"options": Options(max_changes=0)}),
    "without a key": ({"environ": {}}, {}),
    "unreachable": ({"base_url": "http://127.0.0.1:9"}, {}),
}


@pytest.mark.parametrize("kind", ENDS)
def test_however_often_a_process_runs_it_holds_no_more_than_before(settled, kind):
    given, more = ENDS[kind]
    given = {"base_url": settled.environ["STATSIG_BASE_URL"], "environ": settled.environ, **given}
    given["clock"] = Clock(sleep=lambda _seconds: None)

    def run_once(number: int) -> None:
        settled.define(f'[assignment_source.a]\ndescription = "{number}"\n')
        with suppress(PlannerError):
            apply_definitions(Run(open_project(settled.directory), **given), **more)

    run_once(0)
    before = held()
    for number in range(1, RUNS + 1):
        run_once(number)
    assert held() == before


def test_a_run_that_is_left_is_closed_and_one_that_a_script_opened_stays_open(settled):
    before = held()
    settled.define(DEFINED)
    with run_of(settled) as run:
        client = run.connect()
        apply_definitions(run)
        assert run.connect() is client
    assert held() == before


def test_neither_the_key_nor_the_environment_is_in_the_text_of_a_run(settled):
    with run_of(settled) as run:
        run.connect()
        assert "console-" not in repr(run)


def test_what_the_documentation_shows_runs(settled):
    settled.write("environments/production.toml", "")
    for path in settled.directory.glob("statform.state.j*"):
        path.rename(path.with_name(path.name.replace(".state.", ".production.state.")))
    shown = section("As a library$").partition("```python\n")[2].partition("```\n")[0]
    (settled.directory.parent / "infra").symlink_to(settled.directory)
    command = [sys.executable, "-c", shown]
    ran = subprocess.run(
        command, cwd=settled.directory.parent, env=settled.environ, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "() {} {}\n", "")
