"""The recipes of examples/infra-repo: read as what they are, and their commands run in order, as the CI would."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import STATFORM, source

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "examples" / "infra-repo"
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "ana", "GIT_AUTHOR_EMAIL": "ana@example.com"}
GIT |= {"GIT_COMMITTER_NAME": "ana", "GIT_COMMITTER_EMAIL": "ana@example.com"}
# Stands for what a runner has and this machine has not: gh says what it was asked, and pip has nothing to do.
GH = '#!/bin/sh\nprintf \'gh\' >>"$GH_LOG"\nprintf \' %s\' "$@" >>"$GH_LOG"\necho >>"$GH_LOG"\n'


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


@pytest.mark.parametrize("name", [".gitlab-ci.yml", "atlantis.yaml", ".pre-commit-config.yaml"])
def test_every_command_in_the_other_recipes_is_one_of_ours(name):
    text = (REPOSITORY / name).read_text()
    commands = re.findall(r"(?m)(?:^\s*- |run: |entry: |^ +)(statform .*)$", text)
    assert commands
    for command in commands:
        words = command.split()
        help_ = subprocess.run([STATFORM, words[1], "--help"], capture_output=True, text=True, check=True).stdout
        assert all(option in help_ for option in words if option.startswith("--"))


class Runner:
    """A repository with a remote, and the jobs of its workflows, run step by step."""

    def __init__(self, directory: Path, project: Any) -> None:
        self.directory, self.log = directory, directory / "gh.log"
        bin_ = directory / "bin"
        bin_.mkdir()
        for name, text in (("gh", GH), ("pip", "#!/bin/sh\n")):
            (bin_ / name).write_text(text)
            (bin_ / name).chmod(0o755)
        path = f"{bin_}{os.pathsep}{STATFORM.parent}{os.pathsep}{project.environ['PATH']}"
        self.environ = {**project.environ, **GIT, "PATH": path, "GH_LOG": str(self.log), "GITHUB_ACTIONS": "true"}
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
        checkout = self.directory / "checkout"
        shutil.rmtree(checkout, ignore_errors=True)
        artifact, codes = self.directory / "plan.json", []
        for step in read(REPOSITORY / ".github" / "workflows" / f"{workflow}.yml")["jobs"][job]["steps"]:
            if "actions/checkout" in step.get("uses", ""):
                shallow = ["clone", "--quiet", "--depth=1", f"--branch={branch}", f"file://{self.remote}"]
                self.git(self.directory, *shallow, str(checkout))
                if at and "ref" not in step.get("with", {}):
                    self.git(checkout, "fetch", "--quiet", "--depth=1", "origin", at)
                    self.git(checkout, "reset", "--quiet", "--hard", at)
            elif "download-artifact" in step.get("uses", ""):
                shutil.copy(artifact, checkout)
            elif "upload-artifact" in step.get("uses", ""):
                shutil.copy(checkout / step["with"]["path"], artifact)
            elif "run" in step and (not any(codes) or step.get("if") == "always()"):
                codes.append(self._step(step, checkout))
                if meanwhile is not None and step["run"].startswith("statform"):
                    meanwhile()
        return codes

    def _step(self, step: dict[str, Any], checkout: Path) -> int:
        own = {name: self.key if "secrets." in value else "7" for name, value in step.get("env", {}).items()}
        environ = {**self.environ, **own, "GITHUB_WORKSPACE": str(checkout)}
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], cwd=checkout, env=environ, check=False)
        return done.returncode

    @property
    def gh(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def runner(tmp_path, project):
    return Runner(tmp_path, project)


def test_a_pull_request_a_merge_and_a_night(runner, emulator):
    server = emulator(source("checkout_exposures"), source("other"))
    runner.environ["STATSIG_BASE_URL"] = runner.environ.get("STATSIG_BASE_URL", server.url)
    assert runner.run("plan", "plan") == [0, 0, 0]
    assert runner.gh == ["gh pr comment 7 --edit-last --create-if-none --body-file plan.md"]
    assert "1 to adopt" in (runner.directory / "checkout" / "plan.md").read_text()

    assert runner.run("apply", "plan") == [0, 0]
    assert runner.run("apply", "apply") == [0, 0, 0]
    assert server.sources["checkout_exposures"]["description"] == "Checkout exposures"
    # The state came back into the repository, so that the next plan starts from it; and a plan is applied once.
    runner.git(runner.work, "pull", "--quiet", "origin", "main")
    assert (runner.work / "statform.state.json").exists()
    assert runner.run("apply", "apply")[1] == 1

    server.delete("other")
    assert runner.run("audit", "audit") == [0, 0]
    assert len(runner.gh) == 1
    server.change("checkout_exposures", by="Ana", description="theirs")
    assert runner.run("audit", "audit") == [0, 0]
    assert runner.gh[-1].startswith("gh issue create --title statform audit")
    assert "`by Ana," in (runner.directory / "checkout" / "audit.md").read_text()


def test_of_two_branches_that_change_the_same_source_the_second_plans_on_the_first(runner, emulator):
    server = emulator(source("checkout_exposures"))
    runner.environ["STATSIG_BASE_URL"] = server.url
    definition = runner.work / "definitions" / "checkout.toml"
    definition.write_text(definition.read_text().replace("Checkout exposures", "one"))
    runner.push("main")
    assert runner.run("apply", "plan") == [0, 0]
    definition.write_text(definition.read_text().replace('"one"', '"two"'))
    runner.push("main")
    # The first plan, approved late, is not what its commit said any more.
    assert runner.run("apply", "apply")[1] == 1
    assert server.calls() == []
    assert runner.run("apply", "plan") == [0, 0]
    assert runner.run("apply", "apply") == [0, 0, 0]
    assert server.sources["checkout_exposures"]["description"] == "two"


@pytest.fixture
def branches(runner, emulator):
    """Two pull requests from one state of main, that change the same source, and their plans."""
    server = emulator(source("checkout_exposures"))
    runner.environ["STATSIG_BASE_URL"] = server.url
    assert runner.run("apply", "plan") == [0, 0]
    assert runner.run("apply", "apply") == [0, 0, 0]
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


def test_of_two_branches_the_plan_that_was_approved_late_is_refused_and_the_next_run_has_both(runner, branches):
    one = runner.merge("one")
    assert runner.run("apply", "plan", at=one) == [0, 0]
    two = runner.merge("two")
    assert runner.run("apply", "apply", at=one)[1] == 1
    assert applied(branches) == ("Checkout exposures", None)
    assert runner.run("apply", "plan", at=two) == [0, 0]
    assert runner.run("apply", "apply", at=two) == [0, 0, 0]
    assert applied(branches) == ("one", "two")


def test_what_was_applied_is_recorded_and_planned_from_although_main_moved_meanwhile(runner, branches):
    one = runner.merge("one")
    assert runner.run("apply", "plan", at=one) == [0, 0]
    merged = []
    assert runner.run("apply", "apply", at=one, meanwhile=lambda: merged.append(runner.merge("two"))) == [0, 0, 0]
    assert applied(branches) == ("one", None)
    # The commit of the second merge has not yet what the first run recorded.
    assert runner.run("apply", "plan", at=merged[0]) == [0, 0]
    plan = json.loads((runner.directory / "plan.json").read_text())["plan"]
    assert [request["body"] for request in plan["requests"]] == [{"team": "two"}]
    assert runner.run("apply", "apply", at=merged[0]) == [0, 0, 0]
    assert applied(branches) == ("one", "two")


class GitLab:
    """Jobs of the pipeline, each in a checkout of its commit with no branch, as GitLab's runner makes it."""

    def __init__(self, runner: Runner) -> None:
        self.runner, self.pipeline = runner, read(REPOSITORY / ".gitlab-ci.yml")
        url = "https://statform:token@gitlab.example.com/infra/sources.git"
        self.environ = {
            **runner.environ, "STATSIG_API_KEY": runner.key, "STATE_TOKEN": "token",
            "CI_DEFAULT_BRANCH": "main", "CI_SERVER_HOST": "gitlab.example.com", "CI_PROJECT_PATH": "infra/sources",
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{runner.remote}.insteadOf", "GIT_CONFIG_VALUE_0": url,
        }  # fmt: skip

    def run(self, name: str, at: str) -> int:
        """The exit code of the job's script, for the pipeline of a commit."""
        checkout, artifact = self.runner.directory / "checkout", self.runner.directory / "plan.json"
        shutil.rmtree(checkout, ignore_errors=True)
        self.runner.git(self.runner.directory, "clone", "--quiet", str(self.runner.remote), str(checkout))
        self.runner.git(checkout, "checkout", "--quiet", "--detach", at)
        job = self.pipeline[name]
        if name == "apply":
            shutil.copy(artifact, checkout)
        codes = [self._shell(job[key], checkout) for key in ("script", "after_script") if key in job]
        if name == "plan":
            shutil.copy(checkout / "plan.json", artifact)
        assert codes[1:] in ([], [0])
        return codes[0]

    def _shell(self, lines: list[Any], checkout: Path) -> int:
        flat = [one for line in lines for one in (line if isinstance(line, list) else [line])]
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(flat)], cwd=checkout, env=self.environ, check=False
        ).returncode


def test_gitlab_records_what_was_applied_for_the_pipelines_of_older_commits_too(runner, emulator):
    server = emulator(source("checkout_exposures"))
    runner.environ["STATSIG_BASE_URL"] = server.url
    gitlab, first = GitLab(runner), runner.head
    assert gitlab.run("show", first) == 0
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
    assert gitlab.run("audit", "origin/main") == 0
