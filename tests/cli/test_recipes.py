"""The recipes of examples/infra-repo: read as what they are, and their commands run in order, as the CI would."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import STATFORM, source
from served import serving

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "examples" / "infra-repo"
SHARED = ROOT / "examples" / "shared-state"
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "ana", "GIT_AUTHOR_EMAIL": "ana@example.com"}
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "ana",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/infra",
    "GITHUB_RUN_ID": "42",
}
ALWAYS = {"always()", "${{ !cancelled() }}"}
GIT |= {"GIT_COMMITTER_NAME": "ana", "GIT_COMMITTER_EMAIL": "ana@example.com"}
# Nothing is tidied up that is thrown away: each commit and each push would start two more processes to look.
GIT |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "maintenance.auto", "GIT_CONFIG_VALUE_0": "false"}
# Stands for what a runner has and this machine has not. pip has nothing to do, if what it is to install is pinned.
TOOLS = {
    name: f'#!/bin/sh\nexec "{sys.executable}" -IS "{Path(__file__).parents[1] / "support" / "forge.py"}" {name} "$@"\n'
    for name in ("gh", "curl")
}
TOOLS["pip"] = '#!/bin/sh\ncase " $* " in *" --require-hashes --requirement requirements.txt ") ;; *) exit 1 ;; esac\n'
NOTHING_YET = {"comments": [], "labels": [], "issues": [], "pulls": [], "approvals": [], "is_read_only": False}

# Those of the example: a saved plan that adopts overwrites nothing that it did not show.
COLUMNS = {"experimentIDColumn": "experiment_name", "groupIDColumn": "group_id"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_every_recipe_is_the_yaml_that_it_should_be():
    for path in WORKFLOWS:
        workflow = read(path)
        # YAML reads the key `on` as true.
        assert set(workflow) >= {"name", True, "permissions", "jobs"}, path
        for job in workflow["jobs"].values():
            assert all(("run" in step) != ("uses" in step) for step in job["steps"])
    assert set(read(REPOSITORY / ".gitlab-ci.yml")) >= {"stages", "plan", "apply", "audit"}
    assert read(REPOSITORY / "atlantis.yaml")["version"] == 3
    assert read(ROOT / ".pre-commit-hooks.yaml")[0]["entry"] == "statform validate"


def test_who_may_hold_the_key():
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            holds_key = "STATSIG_API_KEY" in json.dumps(job)
            assert holds_key == (path.stem == "audit" or (path.stem, name) == ("apply", "apply"))
    assert "STATSIG_API_KEY" not in (REPOSITORY / ".gitlab-ci.yml").read_text().split("\n", 1)[1]


OTHERS = [
    REPOSITORY / ".gitlab-ci.yml",
    REPOSITORY / "atlantis.yaml",
    REPOSITORY / ".pre-commit-config.yaml",
    SHARED / ".gitlab-ci.yml",
    *sorted((SHARED / ".github" / "workflows").glob("*.yml")),
]


def test_only_the_job_that_applies_to_a_shared_state_may_write_it_or_has_the_key():
    for name, role in (("plan", "statform-plan"), ("apply", "statform-apply")):
        workflow = read(SHARED / ".github" / "workflows" / f"{name}.yml")
        steps = workflow["jobs"][name]["steps"]
        assert [
            s["with"]["role-to-assume"].rpartition("/")[2] for s in steps if "role-to-assume" in s.get("with", {})
        ] == [role]
        assert ("STATSIG_API_KEY" in str(steps)) == (name == "apply")
        job = read(SHARED / ".gitlab-ci.yml")[name]
        assert job["variables"]["AWS_ROLE_ARN"].endswith(f":role/{role}")
    assert set(read(SHARED / ".github" / "workflows" / "plan.yml")[True]) == {"pull_request"}


@pytest.mark.parametrize("path", OTHERS, ids=str)
def test_every_command_in_the_other_recipes_is_one_of_ours(path):
    text = path.read_text()
    commands = re.findall(r"(?m)(?:^\s*- |run: |entry: |^ +)(statform .*)$", text)
    assert commands
    for command in commands:
        words = command.split()
        help_ = subprocess.run([STATFORM, words[1], "--help"], capture_output=True, text=True, check=True).stdout
        assert all(option in help_ for option in words if option.startswith("--"))


class Runner:
    """A repository with a remote, and the jobs of its workflows, run step by step."""

    def __init__(self, directory: Path, project: Any) -> None:
        self.directory, self.forge_file = directory, directory / "forge.json"
        self.forge_file.write_text(json.dumps(NOTHING_YET))
        bin_ = directory / "bin"
        bin_.mkdir()
        for name, text in TOOLS.items():
            (bin_ / name).write_text(text)
            (bin_ / name).chmod(0o755)
        path = f"{bin_}{os.pathsep}{STATFORM.parent}{os.pathsep}{project.environ['PATH']}"
        self.environ = {**project.environ, **GIT, "PATH": path, "FORGE": str(self.forge_file)}
        self.outputs: dict[str, dict[str, str]] = {}
        self.key = self.environ.pop("STATSIG_API_KEY")
        self.remote = directory / "remote.git"
        self.git(directory, "init", "--quiet", "--bare", "--initial-branch=main", str(self.remote))
        self.work = directory / "work"
        shutil.copytree(REPOSITORY, self.work)
        self.git(self.work, "init", "--quiet", "--initial-branch=main")
        self.git(self.work, "remote", "add", "origin", str(self.remote))
        self.push("main")

    def git(self, where: Path, *arguments: str) -> str:
        command = ["git", "-C", str(where), *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, check=True).stdout

    def push(self, branch: str) -> str:
        """Commit all that changed and push it; the commit."""
        self.git(self.work, "add", "--all")
        self.git(self.work, "commit", "--quiet", "--message", "a change")
        self.git(self.work, "push", "--quiet", "origin", f"HEAD:{branch}")
        return self.head

    @property
    def head(self) -> str:
        return self.git(self.work, "rev-parse", "HEAD").strip()

    def replace(self, old: str, new: str) -> None:
        """Change the definition."""
        path = self.work / "definitions" / "checkout.toml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def merge(self, branch: str) -> str:
        """Merge the branch into main, as a pull request does; the commit."""
        self.git(self.work, "checkout", "--quiet", "main")
        self.git(self.work, "pull", "--quiet", "origin", "main")
        self.git(self.work, "merge", "--quiet", "--no-ff", "--message", f"merge {branch}", f"origin/{branch}")
        self.git(self.work, "push", "--quiet", "origin", "main")
        return self.head

    def run(
        self,
        workflow: str,
        job: str,
        branch: str = "main",
        *,
        at: str = "",
        meanwhile: Callable[[], None] | None = None,
    ) -> list[int]:
        """The exit code of each step that was run, for an event `at` a commit; `meanwhile` happens as statform ends."""
        checkout, jobs = (
            self.directory / "checkout",
            read(REPOSITORY / ".github" / "workflows" / f"{workflow}.yml")["jobs"],
        )
        shutil.rmtree(checkout, ignore_errors=True)
        if "if" in jobs[job] and not self._holds(jobs[job]["if"], "needs"):
            return []
        codes, self.outputs[job] = list[int](), {}
        for file in ("github_output", "github_env"):
            (self.directory / file).write_text("")
        for step in jobs[job]["steps"]:
            if "if" in step and not self._holds(step["if"], "steps", job):
                continue
            if any(codes) and step.get("if") not in ALWAYS:
                continue
            if "actions/checkout" in step.get("uses", ""):
                self._check_out(checkout, branch, "" if "ref" in step.get("with", {}) else at)
            elif "artifact" in step.get("uses", ""):
                self._carry(step, checkout)
            elif "run" in step:
                codes.append(self._step(step, checkout))
                self.outputs[job] |= self._read("github_output")
                if meanwhile is not None and step["run"].startswith("statform"):
                    meanwhile()
        return codes

    def _holds(self, condition: str, of: str, job: str = "plan") -> bool:
        return condition in ALWAYS or (
            condition == f"{of}.plan.outputs.changes == 'true'" and self.outputs[job]["changes"] == "true"
        )

    def _check_out(self, checkout: Path, branch: str, at: str) -> None:
        shallow = ["clone", "--quiet", "--depth=1", f"--branch={branch}", f"file://{self.remote}"]
        self.git(self.directory, *shallow, str(checkout))
        if at:
            self.git(checkout, "fetch", "--quiet", "--depth=1", "origin", at)
            self.git(checkout, "reset", "--quiet", "--hard", at)

    def _carry(self, step: dict[str, Any], checkout: Path) -> None:
        own = step["with"]
        kept = self.directory / "artifacts" / own["name"]
        if "download-artifact" in step["uses"]:
            shutil.copytree(kept, checkout, dirs_exist_ok=True)
            return
        files = [checkout / name for name in own["path"].split()]
        assert own.get("if-no-files-found") == "ignore" or all(file.exists() for file in files)
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for file in filter(Path.exists, files):
            shutil.copy(file, kept)

    def _read(self, file: str) -> dict[str, str]:
        lines = (self.directory / file).read_text().splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def _step(self, step: dict[str, Any], checkout: Path) -> int:
        own = {name: self.key if "secrets." in value else "7" for name, value in step.get("env", {}).items()}
        files = {name.upper(): str(self.directory / name) for name in ("github_output", "github_env")}
        own |= {"GITHUB_WORKSPACE": str(checkout), "GITHUB_SHA": self.git(checkout, "rev-parse", "HEAD").strip()}
        environ = {**self.environ, **GITHUB, **files, **self._read("github_env"), **own}
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", step["run"]],
            cwd=checkout,
            env=environ,
            check=False,
            capture_output=True,
            text=True,
        )
        self.said = done.stdout + done.stderr
        return done.returncode

    @property
    def forge(self) -> dict[str, Any]:
        return json.loads(self.forge_file.read_text())

    def let(self, **facts: Any) -> None:
        """Let this be so on the forge."""
        self.forge_file.write_text(json.dumps(self.forge | facts))

    def refuse_pushes(self) -> None:
        hook = self.remote / "hooks" / "pre-receive"
        hook.write_text("#!/bin/sh\necho 'protected branch' >&2\nexit 1\n")
        hook.chmod(0o755)

    def artifact(self, name: str) -> set[str]:
        return {path.name for path in (self.directory / "artifacts" / name).iterdir()}


@pytest.fixture
def runner(tmp_path, project):
    found = Runner(tmp_path, project)
    with serving(tmp_path / "bin"):
        yield found


@pytest.fixture
def server(runner, emulator):
    found = emulator(source("checkout_exposures", **COLUMNS), source("other"))
    runner.environ["STATSIG_BASE_URL"] = found.url
    return found


@pytest.mark.long
def test_a_pull_request_is_planned_a_merge_applied_and_the_night_audited(runner, server):
    assert runner.run("plan", "plan") == [0, 0, 0]
    (comment,) = runner.forge["comments"]
    assert "1 to adopt" in comment["body"]

    runner.let(
        pulls=[{"html_url": "https://github.com/acme/infra/pull/7"}],
        approvals=[{"state": "approved", "user": {"login": one}} for one in ("cy", "bo")],
    )
    assert runner.run("apply", "plan") == [0, 0]
    assert runner.run("apply", "apply") == [0, 0, 0, 0]
    assert server.sources["checkout_exposures"]["description"] == "Checkout exposures"
    # The state came back into the repository, so that the next plan starts from it; and a plan is applied once.
    runner.git(runner.work, "pull", "--quiet", "origin", "main")
    assert (runner.work / "statform.state.json").exists()
    lines = (runner.work / "statform.state.journal.jsonl").read_text().splitlines()
    begun = next(record for line in lines if (record := json.loads(line)["record"])["kind"] == "begin")
    assert begun["actor"] == "ana"
    assert begun["run"] == {
        "url": "https://github.com/acme/infra/actions/runs/42",
        "pull_request": "https://github.com/acme/infra/pull/7",
        "approved_by": "bo, cy",
    }
    assert runner.run("apply", "apply")[2] == 1
    # Nobody is asked to approve what changes nothing.
    assert runner.run("apply", "plan") == [0, 0]
    assert runner.run("apply", "apply") == []

    server.delete("other")
    assert runner.run("audit", "audit") == [0, 0]
    assert runner.forge["issues"] == []
    server.change("checkout_exposures", by="Ana", description="theirs")
    assert runner.run("audit", "audit") == [0, 0]
    (issue,) = runner.forge["issues"]
    assert "description: by Ana," in issue["body"]
    assert runner.artifact("audit") == {"audit.html"}
    # The same again tells nobody; something else does; and what is clean again is closed.
    assert runner.run("audit", "audit") == [0, 0]
    assert runner.forge["issues"] == [issue]
    server.change("checkout_exposures", by="Bo", description="again")
    assert runner.run("audit", "audit") == [0, 0]
    (again,) = runner.forge["issues"]
    assert ("description: by Bo," in again["body"], len(again["comments"])) == (True, 1)
    server.change("checkout_exposures", description="Checkout exposures")
    assert runner.run("audit", "audit") == [0, 0]
    assert runner.forge["issues"][0]["state"] == "closed"


def test_the_comment_is_found_by_its_marker_and_no_other_is_touched(runner):
    others = [
        {"id": 1, "user": {"login": "github-actions[bot]"}, "body": "Another workflow's."},
        {"id": 2, "user": {"login": "ana"}, "body": "<!-- statform plan . -->\nQuoted by a person."},
    ]
    runner.let(comments=others)
    assert runner.run("plan", "plan") == [0, 0, 0]
    assert runner.forge["comments"][:2] == others
    runner.let(comments=[*runner.forge["comments"], {**others[0], "id": 4, "body": "A later one."}])
    runner.replace('"Checkout exposures"', '"Another"')
    runner.push("main")
    assert runner.run("plan", "plan") == [0, 0, 0]
    first, second, ours, last = runner.forge["comments"]
    assert [first, second] == others
    assert (ours["user"]["login"], last["body"]) == ("github-actions[bot]", "A later one.")
    assert ours["body"].startswith("<!-- statform plan . -->\n**statform plan:** 1 to adopt")


def test_a_plan_that_fails_replaces_the_comment_of_the_last_good_one(runner):
    assert runner.run("plan", "plan") == [0, 0, 0]
    runner.replace("description", "descripton")
    runner.push("main")
    assert runner.run("plan", "plan") == [0, 1, 0]
    (comment,) = runner.forge["comments"]
    assert comment["body"].startswith("<!-- statform plan . -->\n**statform plan failed:** 1 error.")


def test_a_pull_request_of_a_fork_which_may_not_comment_is_green_if_its_plan_is(runner):
    runner.let(is_read_only=True)
    assert runner.run("plan", "plan") == [0, 0, 0]
    assert "::warning title=statform::No comment could be written" in runner.said
    runner.replace("description", "descripton")
    runner.push("main")
    assert runner.run("plan", "plan") == [0, 1, 0]


def test_a_state_that_can_not_be_pushed_fails_the_job_and_is_kept(runner, server):
    assert runner.run("apply", "plan") == [0, 0]
    runner.refuse_pushes()
    assert runner.run("apply", "apply") == [0, 0, 0, 1]
    assert "::error title=statform::The state could not be pushed" in runner.said
    assert runner.artifact("state") == {"statform.state.json", "statform.state.journal.jsonl"}


def test_an_apply_that_is_refused_before_there_is_a_state_says_just_that(runner, server):
    assert runner.run("apply", "plan") == [0, 0]
    runner.key = ""
    assert runner.run("apply", "apply") == [0, 0, 1, 0]


def test_nothing_is_installed_or_run_that_is_not_pinned():
    for path in [*WORKFLOWS, *(SHARED / ".github" / "workflows").glob("*.yml")]:
        uses = [step["uses"] for job in read(path)["jobs"].values() for step in job["steps"] if "uses" in step]
        assert uses
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one) for one in uses), path
    recipes = [
        *WORKFLOWS,
        *SHARED.glob(".g*/**/*.yml"),
        SHARED / ".gitlab-ci.yml",
        REPOSITORY / ".gitlab-ci.yml",
        REPOSITORY / "Dockerfile",
    ]
    for path in recipes:
        for line in re.findall("pip install.*", path.read_text()):
            assert re.fullmatch(r"pip install( --\S+)* --require-hashes --requirement \S*requirements\.txt", line), path
    # The name is on no index of ours: what stands here for it can't be had from anywhere.
    wanted = [line for line in (REPOSITORY / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert wanted[0].startswith("statform @ https://statform.invalid/")
    assert re.fullmatch(r" +--hash=sha256:0{64}", wanted[1])


def test_the_second_of_two_branches_that_change_a_source_plans_on_the_first(runner, emulator):
    server = emulator(source("checkout_exposures", **COLUMNS))
    runner.environ["STATSIG_BASE_URL"] = server.url
    runner.replace('"Checkout exposures"', '"one"')
    runner.push("main")
    assert runner.run("apply", "plan") == [0, 0]
    runner.replace('"one"', '"two"')
    runner.push("main")
    # The first plan, approved late, is not what its commit said any more.
    assert runner.run("apply", "apply")[2] == 1
    assert server.calls() == []
    assert runner.run("apply", "plan") == [0, 0]
    assert runner.run("apply", "apply") == [0, 0, 0, 0]
    assert server.sources["checkout_exposures"]["description"] == "two"


@pytest.fixture
def branches(runner, emulator):
    """Two pull requests from one state of main, that change the same source, and their plans."""
    server = emulator(source("checkout_exposures", **COLUMNS))
    runner.environ["STATSIG_BASE_URL"] = server.url
    assert runner.run("apply", "plan") == [0, 0]
    assert runner.run("apply", "apply") == [0, 0, 0, 0]
    runner.git(runner.work, "pull", "--quiet", "origin", "main")
    for branch, old, new in (("one", '"Checkout exposures"', '"one"'), ("two", 'name = "', 'team = "two"\nname = "')):
        runner.git(runner.work, "checkout", "--quiet", "-b", branch, "main")
        runner.replace(old, new)
        runner.push(branch)
        runner.git(runner.work, "fetch", "--quiet", "origin")
        assert runner.run("plan", "plan", branch) == [0, 0, 0]
        text = (runner.directory / "checkout" / "plan.md").read_text()
        assert "\n**statform plan:** 1 to update" in text
        assert ("description" in text, "team" in text) == (branch == "one", branch == "two")
    return server


def applied(server):
    return tuple(server.sources["checkout_exposures"].get(field) for field in ("description", "team"))


def test_the_plan_of_two_branches_that_was_approved_late_is_refused_and_the_next_run_has_both(runner, branches):
    one = runner.merge("one")
    assert runner.run("apply", "plan", at=one) == [0, 0]
    two = runner.merge("two")
    assert runner.run("apply", "apply", at=one)[2] == 1
    assert applied(branches) == ("Checkout exposures", None)
    assert runner.run("apply", "plan", at=two) == [0, 0]
    assert runner.run("apply", "apply", at=two) == [0, 0, 0, 0]
    assert applied(branches) == ("one", "two")


def test_what_was_applied_is_recorded_and_planned_from_although_main_moved_meanwhile(runner, branches):
    one = runner.merge("one")
    assert runner.run("apply", "plan", at=one) == [0, 0]
    merged = []
    assert runner.run("apply", "apply", at=one, meanwhile=lambda: merged.append(runner.merge("two"))) == [0, 0, 0, 0]
    assert applied(branches) == ("one", None)
    # The commit of the second merge has not yet what the first run recorded.
    assert runner.run("apply", "plan", at=merged[0]) == [0, 0]
    plan = json.loads((runner.directory / "artifacts" / "plan" / "plan.json").read_text())["plan"]
    assert [request["body"] for request in plan["requests"]] == [{"team": "two"}]
    assert runner.run("apply", "apply", at=merged[0]) == [0, 0, 0, 0]
    assert applied(branches) == ("one", "two")


class GitLab:
    """Jobs of the pipeline, each in a checkout of its commit with no branch, as GitLab's runner makes it."""

    def __init__(self, runner: Runner) -> None:
        self.runner, self.pipeline = runner, read(REPOSITORY / ".gitlab-ci.yml")
        url = "https://statform:token@gitlab.example.com/infra/sources.git"
        self.environ = {
            **runner.environ, "STATSIG_API_KEY": runner.key, "STATE_TOKEN": "token", "COMMENT_TOKEN": "comments",
            "CI_DEFAULT_BRANCH": "main", "CI_SERVER_HOST": "gitlab.example.com", "CI_PROJECT_PATH": "infra/sources",
            "CI_API_V4_URL": "https://gitlab.example.com/api/v4", "CI_PROJECT_ID": "1", "CI_MERGE_REQUEST_IID": "7",
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{runner.remote}.insteadOf", "GIT_CONFIG_VALUE_0": url,
        }  # fmt: skip

    def run(self, name: str, at: str) -> int:
        """The exit code of the job's script, for the pipeline of a commit."""
        checkout, artifact = self.runner.directory / "checkout", self.runner.directory / "plan.json"
        shutil.rmtree(checkout, ignore_errors=True)
        self.runner.git(self.runner.directory, "clone", "--quiet", str(self.runner.remote), str(checkout))
        self.runner.git(checkout, "checkout", "--quiet", "--detach", at)
        job = self.pipeline[name]
        # GitLab takes no notice of what becomes of one.
        assert "after_script" not in job
        if name == "apply":
            shutil.copy(artifact, checkout)
        code = self._shell([*self.pipeline["before_script"], *job["script"]], checkout)
        if name == "plan":
            shutil.copy(checkout / "plan.json", artifact)
        kept = job.get("artifacts", {})
        self.kept = (
            {path for path in kept.get("paths", []) if (checkout / path).exists()}
            if not code or kept.get("when") == "always"
            else set()
        )
        return code

    def _shell(self, lines: list[Any], checkout: Path) -> int:
        flat = [one for line in lines for one in (line if isinstance(line, list) else [line])]
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(flat)],
            cwd=checkout,
            env=self.environ,
            check=False,
            capture_output=True,
            text=True,
        )
        self.said = done.stdout + done.stderr
        return done.returncode


@pytest.fixture
def gitlab(runner, server):
    return GitLab(runner)


def test_gitlab_records_what_was_applied_for_the_pipelines_of_older_commits_too(runner, server, gitlab):
    first = runner.head
    assert (gitlab.run("plan", first), gitlab.run("apply", first)) == (0, 0)
    assert applied(server) == ("Checkout exposures", None)
    runner.replace('"Checkout exposures"', '"one"')
    runner.git(runner.work, "pull", "--quiet", "--rebase", "--autostash", "origin", "main")
    second = runner.push("main")
    assert gitlab.run("plan", second) == 0
    assert gitlab.run("apply", first) == 0
    assert applied(server) == ("one", None)
    assert gitlab.run("apply", second) == 1
    assert gitlab.run("plan", second) == 0
    assert json.loads((runner.directory / "plan.json").read_text())["plan"]["requests"] == []
    # A schedule has the branch as it is.
    server.delete("other")
    assert (gitlab.run("audit", "origin/main"), gitlab.kept) == (0, {"audit.html"})


def test_on_gitlab_a_state_that_can_not_be_pushed_fails_the_job_and_is_kept(runner, server, gitlab):
    assert gitlab.run("plan", runner.head) == 0
    runner.refuse_pushes()
    assert gitlab.run("apply", runner.head) == 1
    assert applied(server) == ("Checkout exposures", None)
    assert "The state could not be pushed." in gitlab.said
    assert gitlab.kept == {"statform.state.json", "statform.state.journal.jsonl"}


def test_on_gitlab_a_merge_request_has_one_comment_and_the_plan_that_failed_is_in_it(runner, gitlab):
    other = {"id": 1, "user": {"login": "ana"}, "body": "<!-- statform plan . -->\nQuoted by a person."}
    runner.let(comments=[other])
    assert gitlab.run("show", runner.head) == 0
    runner.replace("description", "descripton")
    assert gitlab.run("show", runner.push("main")) == 1
    first, ours = runner.forge["comments"]
    assert first == other
    assert ours["body"].startswith("<!-- statform plan . -->\n**statform plan failed:** 1 error.")


def test_on_gitlab_a_comment_that_can_not_be_written_fails_no_job(runner, gitlab):
    runner.let(is_read_only=True)
    assert gitlab.run("show", runner.head) == 0
    assert "The comment could not be written; the plan is above." in gitlab.said
    del gitlab.environ["COMMENT_TOKEN"]
    assert gitlab.run("show", runner.head) == 0
    assert runner.forge["comments"] == []


def test_on_atlantis_a_state_that_can_not_be_pushed_fails_the_apply(runner, server):
    steps = {
        name: stage["steps"][0]["run"]
        for name, stage in read(REPOSITORY / "atlantis.yaml")["workflows"]["statform"].items()
    }
    own = {"PLANFILE": str(runner.directory / "planfile"), "HEAD_BRANCH_NAME": "main", "STATSIG_API_KEY": runner.key}

    def run(step: str) -> subprocess.CompletedProcess[str]:
        words = ["sh", "-c", steps[step]]
        return subprocess.run(
            words, cwd=runner.work, env=runner.environ | own, check=False, capture_output=True, text=True
        )

    assert run("plan").returncode == 0
    runner.refuse_pushes()
    done = run("apply")
    assert (done.returncode, applied(server)) == (1, ("Checkout exposures", None))
    assert "The state could not be pushed." in done.stdout
    # What a new push finds is what was committed.
    (runner.remote / "hooks" / "pre-receive").unlink()
    runner.replace('"Checkout exposures"', '"two"')
    runner.push("main")
    assert (run("plan").returncode, run("apply").returncode) == (0, 0)
    assert "Record what was applied" in runner.git(runner.remote, "log", "-1", "--format=%s", "main")
