"""The installed command on a state that several machines share, in PostgreSQL and on an object store."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
import stores
from command import STATFORM, hastened, source, without_rights
from hastened import QUICK_LEASE
from person import at_terminal

from state import store
from state.places.place import find_place
from state.records import Begin

OTHER = "00000000-0000-4000-8000-000000000000"
ONE = '[assignment_source.one]\ndescription = "{}"\n'


@pytest.fixture(params=["postgres", "moto"])
def url(request, project, tmp_path):
    """Of a place of the test's own; the project's environment has what leads there, but for STATFORM_STATE."""
    server = request.getfixturevalue(request.param)
    project.environ |= server.environ
    return f"{server.url}{'#' if request.param == 'postgres' else '/'}{stores.own(tmp_path)}"


@pytest.fixture
def local(project, emulator):
    """A project with one source in a state of its own, and the emulator that has it."""
    remote = emulator(source("one", description="old"))
    project.define(ONE.format("old"))
    assert project.run("import", "assignment_source.one", "one").code == 0
    return project, remote


@pytest.fixture
def shared(local, url):
    """The same, once its state is shared and its own files are gone."""
    project, remote = local
    project.environ["STATFORM_STATE"] = url
    ran = project.run("state", "push")
    assert ran.code == 0, ran.err
    assert ran.out == f"Pushed: the state is now at {url}/statform.state.\n"
    assert ran.err.endswith("git rm -f statform.state.json statform.state.journal.jsonl\n")
    for file in project.directory.glob("statform.state.*"):
        file.unlink()
    return project, remote


def define(project, description):
    lines = (project.directory / "statform.toml").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("shared = "))
    project.define(ONE.format(description), line)


READS = (
    ("plan",),
    ("show",),
    ("state", "list"),
    ("state", "pull", "--to", "copy.json"),
    ("state", "rebuild"),
    ("history",),
    ("history", "--verify"),
    ("history", "--html", "page.html"),
    ("audit",),
    ("apply", "--auto-approve"),
    ("doctor",),
)


def test_whoever_waits_for_a_store_that_is_silent_says_so(project, emulator):
    emulator(source("one"))
    project.define("", 'shared = "5d0ba9b8-6f9d-4b5a-8f0e-1a3a2b3c4d5e"')
    url = "postgresql://nobody@127.0.0.1:9/none#wh"
    environ = project.environ | {"STATFORM_STATE": url}
    # All at once, since each waits some seconds before it says so.
    processes = {
        command: subprocess.Popen(
            [STATFORM, *command], cwd=project.directory, env=environ, stderr=subprocess.PIPE, text=True
        )
        for command in READS
    }
    for command, process in processes.items():
        with process:
            line = process.stderr.readline()
            process.kill()
        assert line.startswith(f"{url}/statform.state: no answer yet ("), (command, line)
        assert re.search(r"trying for 5\d s more …$", line), (command, line)


def test_every_command_works_on_a_shared_state(shared):
    project, remote = shared
    define(project, "new")
    assert project.run("plan", "--detailed-exitcode").code == 2
    assert project.run("apply", "--auto-approve").last == "Apply complete: 1 updated."
    assert remote.sources["one"]["description"] == "new"
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert project.run("audit").code == 0
    remote.change("one", tags=["theirs"])
    assert project.run("audit").code == 2
    assert project.run("refresh", "--auto-approve").last == "Refresh complete: 1 updated, 0 dropped."
    assert "Verified: " in project.run("history", "--verify").out
    assert project.run("history", "--html", "page.html").code == 0
    assert project.run("state", "mv", "assignment_source.one", "assignment_source.two").code == 0
    assert project.run("state", "list").out == "assignment_source.two\n"
    assert project.run("state", "rm", "assignment_source.two").code == 0
    assert project.run("import", "assignment_source.one", "one").code == 0
    assert project.run("state", "show", "assignment_source.one").code == 0
    assert project.run("state", "rebuild").out.startswith("Rebuilt: 1 resource,")
    scheme = project.environ["STATFORM_STATE"].partition("://")[0]
    assert f"\nFrom `{scheme}://" in project.run("plan", "--markdown").out
    assert project.run("plan", "--out", "saved").code == 0
    assert "no run has the state, and there is nothing to unlock" in project.run("doctor").out
    assert not list(project.directory.glob("statform.state.*"))


def test_the_quickstart_moves_to_postgresql_by_what_the_readme_says(project, postgres, tmp_path):
    root = Path(__file__).parents[2]
    section = (root / "README.md").read_text().partition("## Where the state lives")[2]
    install, export, push = section.split("```")[1].strip().splitlines()
    assert install.startswith("pip install '.[postgres]' ")
    assert "Commit that, and `git rm -f` both files" in section
    url = f"{postgres.url}#{tmp_path.name}"
    export = export.replace("postgresql://USER@HOST/DATABASE#PREFIX", url)
    assert url in export
    work = tmp_path / "quickstart"
    shutil.copytree(root / "examples" / "quickstart", work)
    port = stores.free_port()
    project.environ["STATSIG_BASE_URL"] = f"http://127.0.0.1:{port}"
    git = "git -c user.name=ana -c user.email=ana@example.com"
    moved = project.shell(
        f"""set -e; cd {work}; git init -q; git add -A; {git} commit -qm start
        statform emulator --port {port} --data emulator.json >/dev/null & trap "kill $!" EXIT
        until (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done
        {export}
        {push}
        {git} commit -qm shared statform.toml; git rm -qf statform.state.json statform.state.journal.jsonl
        {git} commit -qm moved
        statform plan --summary; statform apply --auto-approve; statform plan --detailed-exitcode
        ls"""
    )
    assert moved.code == 0, moved.err
    assert "No changes." in moved.out
    assert not {"statform.state.json", "statform.state.journal.jsonl"} & {*moved.lines}


def test_a_plan_is_made_offline_from_a_copy_of_the_state(shared, tmp_path):
    project, _ = shared
    define(project, "new")
    copy = str(tmp_path / "copy.json")
    assert project.run("state", "pull", "--to", copy).code == 0
    away = {"STATFORM_STATE": "", "HTTP_PROXY": "http://127.0.0.1:9"}
    ran = project.run("plan", "--state", copy, **away)
    assert (ran.code, ran.out) == (0, project.run("plan").out)
    assert "From `copy.json`, serial 1" in project.run("plan", "--state", copy, "--markdown", **away).out
    assert project.run("plan", "--state", copy, "--out", "saved", **away).code == 0
    assert project.run("apply", "saved").last == "Apply complete: 1 updated."
    assert not list(project.directory.glob("statform.state.*"))


def test_a_plan_from_a_copy_of_nothing_or_of_another_state_is_refused(shared, tmp_path):
    project, _ = shared
    copy = str(tmp_path / "copy.json")
    ran = project.run("plan", "--state", copy)
    assert (ran.code, ran.err) == (1, f"Error: no state is at {copy}\n")
    assert project.run("state", "pull", "--to", copy).code == 0
    lineage = (project.directory / "statform.toml").read_text().split('"')[1]
    project.define(ONE.format("old"), f"shared = '{lineage[:-12]}{'0' * 12}'")
    ran = project.run("plan", "--state", copy)
    assert ran.code == 1
    assert f"Error: {copy}: its lineage is {lineage}; this project's state has the lineage" in ran.err
    assert "--refresh needs the state itself" in project.run("plan", "--state", copy, "--refresh").err


def test_a_saved_plan_is_applied_once(shared):
    project, _ = shared
    define(project, "new")
    assert project.run("plan", "--out", "saved").code == 0
    assert project.run("apply", "saved").last == "Apply complete: 1 updated."
    assert "applied before; a plan can be applied only once" in project.run("apply", "saved").err


@pytest.fixture
def target(project, moto):
    """The project's STATFORM_STATE is a place of its own, where nothing is yet."""
    project.environ |= moto.environ | {"STATFORM_STATE": f"{moto.url}/{project.directory.parent.name}"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            'statform = { state = "statform.state.json" }\n',
            'add this line to its [statform], then push again: shared = "',
        ),
        (f'[statform]\nshared = "{OTHER}"\n', f"the settings name the lineage {OTHER}, and this state has "),
    ],
)
def test_a_push_that_the_settings_do_not_let_through_changes_nothing(local, target, settings, message):
    project, _ = local
    project.write("statform.toml", settings + ONE.format("old"))
    before = project.files
    ran = project.run("state", "push")
    assert ran.code == 1
    assert message in ran.err
    assert project.files == before
    assert project.run("state", "list", STATFORM_STATE="").code == (1 if OTHER in settings else 0)


def test_a_project_without_a_state_is_pushed_as_an_empty_one(project, emulator, target):
    emulator(source("one", description="old"))
    project.define(ONE.format("new"))
    assert project.run("state", "push").code == 0
    assert project.run("state", "list").out == ""
    assert project.run("import", "assignment_source.one", "one").code == 0
    for file in project.directory.glob("statform.state.*"):
        file.unlink()
    ran = project.run("state", "push")
    assert ran.code == 1
    assert "nothing to push: this project's state is shared already, and " in ran.err


def test_a_push_whose_settings_can_not_be_written_goes_on_once_they_can(local, target):
    project, _ = local
    project.define(ONE.format("old"), 'state = "state/s.json"')
    (project.directory / "state").mkdir()
    assert project.run("import", "assignment_source.one", "one", STATFORM_STATE="").code == 0
    project.directory.chmod(0o555)
    ran = project.run("state", "push", under=without_rights())
    project.directory.chmod(0o755)
    assert ran.code == 1
    assert re.search(r"statform\.toml: .*; the state was copied: push again to continue\n", ran.err)
    assert project.run("state", "push").code == 0
    assert project.run("state", "list").out == "assignment_source.one\n"


def test_nothing_is_pulled_if_there_is_no_shared_state(project, target):
    project.define("")
    ran = project.run("state", "pull")
    assert ran.code == 1
    assert "no state is there\n" in ran.err
    assert [*project.files] == ["statform.toml"]


def test_what_is_pulled_to_another_name_needs_one_for_a_state(local, target):
    project, _ = local
    assert project.run("state", "push").code == 0
    ran = project.run("state", "pull", "--to", "copy")
    assert ran.code == 1
    assert "--to copy: the name of a state file ends with .json" in ran.err


def test_what_was_pushed_is_refused_where_it_was(local, url):
    project, _ = local
    project.environ["STATFORM_STATE"] = url
    assert project.run("state", "push").code == 0
    project.write("statform.toml", "")
    for words in (["plan"], ["apply", "--auto-approve"], ["history"], ["history", "--verify"], ["state", "list"]):
        ran = project.run(*words, STATFORM_STATE="")
        assert ran.code == 1
        assert f"this state is now shared, at {url}/statform.state\nRemove both files from version control" in ran.err


@pytest.mark.parametrize("cut", ["before the settings", "before the seal"])
def test_a_push_that_was_cut_short_goes_on(local, url, cut):
    project, _ = local
    project.environ["STATFORM_STATE"] = url
    before = {path.name: path.read_bytes() for path in project.directory.iterdir()}
    assert project.run("state", "push").code == 0
    pushed = (project.directory / "statform.toml").read_bytes()
    for name, content in before.items():
        (project.directory / name).write_bytes(content)
    if cut == "before the seal":
        (project.directory / "statform.toml").write_bytes(pushed)
    ran = project.run("state", "push")
    assert (ran.code, (project.directory / "statform.toml").read_bytes()) == (0, pushed)
    assert project.run("state", "list").out == "assignment_source.one\n"


def test_a_state_that_went_on_after_its_push_is_not_pushed_again(local, url):
    project, _ = local
    project.environ["STATFORM_STATE"] = url
    before = {path.name: path.read_bytes() for path in project.directory.iterdir()}
    assert project.run("state", "push").code == 0
    for name, content in before.items():
        (project.directory / name).write_bytes(content)
    assert project.run("state", "rm", "assignment_source.one", STATFORM_STATE="").code == 0
    ran = project.run("state", "push")
    assert ran.code == 1
    assert "this state is there already, but the files here have newer records" in ran.err
    project.define("")
    for file in project.directory.glob("statform.state.*"):
        file.unlink()
    assert "another state is there" in project.run("state", "push").err


def test_what_was_pulled_can_be_pushed_again_and_an_older_copy_is_told_to_be_one(local, url):
    project, _ = local
    project.environ["STATFORM_STATE"] = url
    alone = (project.directory / "statform.toml").read_bytes()
    assert project.run("state", "push").code == 0
    named = (project.directory / "statform.toml").read_bytes()
    assert project.run("state", "rm", "assignment_source.one").code == 0
    assert project.run("state", "pull").code == 0
    pulled = {path: path.read_bytes() for path in project.directory.glob("statform.state.*")}
    (project.directory / "statform.toml").write_bytes(alone)
    assert project.run("state", "push").code == 0
    assert project.run("import", "assignment_source.one", "one").code == 0
    for path, content in pulled.items():
        path.write_bytes(content)
    assert (project.directory / "statform.toml").read_bytes() == named
    (project.directory / "statform.toml").write_bytes(alone)
    ran = project.run("state", "push")
    assert ran.code == 1
    assert "this state is there already, with newer records: the files here are an older copy" in ran.err


def test_what_is_pulled_is_the_same_and_can_be_pulled_again(shared, tmp_path):
    project, _ = shared
    define(project, "new")
    copy = tmp_path / "copy"
    copy.mkdir()
    for _ in range(2):
        assert project.run("state", "pull", "--to", str(copy / "x.json")).code == 0
        (copy / "statform.toml").write_text('[statform]\nstate = "x.json"\n')
        mine, theirs = (
            project.run("history", "--verify"),
            project.run("history", "--verify", cwd=copy, STATFORM_STATE=""),
        )
        assert mine.out == theirs.out
        assert project.run("apply", "--auto-approve").code == 0
    (copy / "x.journal.jsonl").write_bytes((copy / "x.journal.jsonl").read_bytes().replace(b"one", b"two"))
    ran = project.run("state", "pull", "--to", str(copy / "x.json"))
    assert ran.code == 1
    assert "another state is there, not an older copy of this one" in ran.err


def test_a_state_comes_back_to_its_files(shared):
    project, _ = shared
    assert project.run("state", "pull").code == 0
    project.define(ONE.format("old"))
    del project.environ["STATFORM_STATE"]
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_where_environment_and_settings_do_not_agree_nothing_is_read(shared, url):
    project, _ = shared
    lineage = (project.directory / "statform.toml").read_text().split('"')[1]

    def refused(what, *words, **environ):
        ran = project.run(*(words or ("plan",)), **environ)
        assert (ran.code, ran.out) == (1, "")
        assert what in ran.err

    refused("STATFORM_STATE does not say where it is", STATFORM_STATE="")
    refused("no state is there; this project's state has the lineage", STATFORM_STATE=f"{url}-other")
    project.define(ONE.format("old"), f"shared = '{lineage[:-12]}{'0' * 12}'")
    refused(f"its lineage is {lineage}; this project's state has the lineage")
    refused(f"its lineage is {lineage}; this project's state has the lineage", "apply", "--auto-approve")
    project.define(ONE.format("old"))
    refused(f'shared = "{lineage}"')
    refused("no state is there\n`statform state push` moves", STATFORM_STATE=f"{url}-other")
    refused("no state is there\n`statform state push` moves", "apply", "--auto-approve", STATFORM_STATE=f"{url}-other")


def test_only_one_of_eight_applies_from_eight_folders_sends(shared, tmp_path):
    project, remote = shared
    define(project, "new")
    folders = [tmp_path / f"checkout-{n}" for n in range(8)]
    for folder in folders:
        shutil.copytree(project.directory, folder)
    words = [str(STATFORM), "apply", "--auto-approve"]
    running = [
        subprocess.Popen(words, cwd=folder, env=project.environ, stdout=-1, stderr=-1, text=True) for folder in folders
    ]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert {process.returncode for process in running} <= {0, 3}, errors
    assert 0 in {process.returncode for process in running}
    assert remote.calls() == ["one"]
    for process, error in zip(running, errors, strict=True):
        if process.returncode:
            assert "the state is in use: " in error or "the state changed since it was read: " in error
    assert "Verified: " in project.run("history", "--verify").out


def cancel(process, how):
    """As a forge does it: SIGINT, 7.5 s, SIGTERM, 2.5 s, SIGKILL, on the tests' fast clock; or only a part of that."""
    for number, pause in ((signal.SIGINT, 0.4), (signal.SIGTERM, 0.2), (signal.SIGKILL, 0)):
        if number in how:
            process.send_signal(number)
            time.sleep(pause)


@pytest.mark.long
@pytest.mark.parametrize("how", [(signal.SIGKILL,), (signal.SIGINT, signal.SIGTERM, signal.SIGKILL), (signal.SIGINT,)])
def test_after_a_cancelled_job_the_next_one_goes_on_by_itself(project, emulator, url, how):
    remote = emulator(source("one"), options=["--sql-latency", "1500"])
    project.define(ONE.format(""))
    assert project.run("import", "assignment_source.one", "one").code == 0
    project.environ["STATFORM_STATE"] = url
    assert project.run("state", "push").code == 0
    define(project, '"\nsql = "SELECT 2')
    words = [*hastened(), str(STATFORM), "apply", "--auto-approve"]
    process = subprocess.Popen(words, cwd=project.directory, env=project.environ, stdout=-1, stderr=-1, text=True)
    while "the outcome of the last request for" not in project.run("plan").err:
        assert process.poll() is None
    cancel(process, how)
    process.communicate(timeout=60)
    # Nobody else is at work, who could be taken for dead too early.
    project.environ |= QUICK_LEASE
    ran = project.run("apply", "--auto-approve", under=hastened())
    assert ran.code == 0, ran.err
    assert remote.sources["one"]["sql"] == "SELECT 2"
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert "Verified: " in project.run("history", "--verify").out


def test_with_the_least_rights_in_postgresql_one_plans_and_another_applies(local, postgres, tmp_path):
    project, _ = local
    place = f"#{stores.own(tmp_path)}"
    assert project.run("state", "push", STATFORM_STATE=postgres.url + place).code == 0
    readme = (Path(__file__).parents[2] / "state" / "README.md").read_text()
    granted = readme.partition("```sql\n")[2].partition("```")[0]
    reads = granted.replace("statform_apply", "statform_plan").replace(", insert, update", "").replace(", insert", "")
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("create role statform_apply login; create role statform_plan login")
        connection.execute(granted)
        connection.execute(reads)
    project.environ["STATFORM_STATE"] = postgres.url.replace("statform@", "statform_plan@") + place
    define(project, "new")
    assert project.run("plan", "--detailed-exitcode").code == 2
    refused = project.run("apply", "--auto-approve")
    assert (refused.code, "permission denied" in refused.err) == (1, True)
    applied = project.run(
        "apply", "--auto-approve", STATFORM_STATE=postgres.url.replace("statform@", "statform_apply@") + place
    )
    assert (applied.code, applied.last) == (0, "Apply complete: 1 updated.")


def test_a_plan_that_is_looked_at_locks_nothing_and_who_was_faster_is_named(shared):
    project, remote = shared
    define(project, "new")
    environ = project.environ | {"TERM": "xterm", "NO_COLOR": "1"}
    with at_terminal([str(STATFORM), "apply"], project.directory, environ, columns=200) as terminal:
        terminal.expect("Enter a value: ")
        assert project.run("apply", "--auto-approve").last == "Apply complete: 1 updated."
        terminal.type("yes\n")
        terminal.expect("the state changed since it was read: ")
        assert terminal.end() == 3
    assert remote.calls() == ["one"]


@pytest.fixture
def others_run(shared, monkeypatch):
    """The project, with a run in its state that somebody else began just now, and of which nothing more is heard."""
    project, _ = shared
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    lineage = (project.directory / "statform.toml").read_text().split('"')[1]
    where = find_place(str(project.directory), "statform.state.json", lineage)
    with store.open(where, "apply") as session:
        session.record(Begin(None, "deploy", "runner-7", "0", None, "2026-01-01T10:33:00.000Z"))
    define(project, "new")
    return project


def test_who_waits_at_a_terminal_sees_for_whom_and_how_long(others_run):
    environ = others_run.environ | {"TERM": "xterm", "NO_COLOR": "1"}
    words = [*hastened(), str(STATFORM), "apply", "--auto-approve"]
    with at_terminal(words, others_run.directory, environ) as terminal:
        terminal.expect("the state is in use: deploy on runner-7, since 2026-01-01 10:33:00Z, last heard of ")
        for left in (10, 9):
            terminal.expect(f"\r\x1b[Ktaking over in {left} s unless it gives a sign of life …")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert terminal.shown.count("the state is in use") == 1


def test_who_waits_in_a_log_is_told_once_and_for_no_longer_than_it_was_told(others_run):
    ran = others_run.run("apply", "--auto-approve", "--lock-timeout", "1s", under=hastened())
    assert ran.code == 3
    waits, refused, *_ = ran.err.splitlines()
    told = r"the state is in use: deploy on runner-7, since 2026-01-01 10:33:00Z, last heard of \d s ago"
    assert re.fullmatch(told + r"; taking over in 1\d s unless it gives a sign of life, giving up in 1 s …", waits)
    assert re.fullmatch("Error: " + told, refused)
    assert "\r" not in ran.err
    told = "a run has the state: deploy on runner-7, since 2026-01-01 10:33:00Z; if it died, the next run takes over"
    assert told in others_run.run("doctor").out
    at_once = others_run.run("apply", "--auto-approve", "--lock-timeout", "0", under=hastened())
    assert (at_once.code, at_once.err.startswith("Error: the state is in use: ")) == (3, True)


def test_a_state_may_lie_in_a_folder_of_this_machine_outside_of_the_project(project, emulator, tmp_path):
    emulator(source("one"))
    project.define(ONE.format(""))
    project.environ["STATFORM_STATE"] = str(tmp_path / "elsewhere")
    assert project.run("import", "assignment_source.one", "one").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert (tmp_path / "elsewhere" / "statform.state.json").exists()
    assert not list(project.directory.glob("statform.state.*"))
    ran = project.run("state", "push")
    assert ran.code == 1
    assert "STATFORM_STATE must be a URL" in ran.err
    assert "the state is not shared" in project.run("state", "pull").err


def test_who_presses_a_key_waits_for_no_store(local):
    project, _ = local
    project.define(ONE.format("").replace(".one", ".two"))
    asked = {"_STATFORM_COMPLETE": "bash_complete", "COMP_WORDS": "statform plan --target ", "COMP_CWORD": "3"}
    assert project.run(**asked).out == "plain,assignment_source.one\nplain,assignment_source.two\n"
    # Nobody is there.
    ran = project.run(**asked, STATFORM_STATE="postgresql://127.0.0.1:9/nothing")
    assert (ran.out, ran.err) == ("plain,assignment_source.two\n", "")
