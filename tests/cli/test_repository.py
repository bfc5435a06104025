"""The git repository around a project: which commit the journal names, and that nothing of the repository ever runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from command import source

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")


@pytest.fixture
def one(project, emulator):
    emulator(source("one"))
    project.define('[assignment_source.one]\nadopt = true\ndescription = "x"\n')
    return project


def git(project, *words, cwd=None):
    done = subprocess.run(
        [*GIT, *words], cwd=cwd or project.directory, env=project.environ, check=True, capture_output=True
    )
    return done.stdout.decode().strip()


def commit_all(project, cwd=None):
    git(project, "init", "-q", ".", cwd=cwd)
    git(project, "add", "--all", ".", cwd=cwd)
    git(project, "commit", "-qm", "x", cwd=cwd)
    return git(project, "rev-parse", "HEAD", cwd=cwd)


def commit_in_journal(project):
    (begin,) = (record for record in project.records if record["kind"] == "begin")
    return begin["commit"]


@pytest.fixture
def loot(one, tmp_path):
    """What a program of the repository would write: that it ran, and the key of whoever started it."""
    found = tmp_path / "loot"
    hook = one.write(
        "hook.sh",
        f"#!/bin/sh\necho ran >>{found}\np=$PPID\nfor level in 1 2 3; do\n"
        f"  grep -a -o STATSIG_API_KEY= /proc/$p/environ >>{found}\n"
        "  p=$(awk '/PPid/ { print $2 }' /proc/$p/status)\ndone\nexit 1\n",
    )
    hook.chmod(0o755)
    return found


# What git's configuration can make git start, by the setting; each is set to the script.
PROGRAMS = (
    "core.fsmonitor",
    "core.sshCommand",
    "core.pager",
    "core.editor",
    "core.askPass",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "diff.external",
    "diff.evil.textconv",
    "diff.evil.command",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "merge.evil.driver",
    "gpg.program",
    "credential.helper",
    "pager.rev-parse",
    "pager.cat-file",
    "uploadpack.packObjectsHook",
    "remote.origin.uploadpack",
    "sequence.editor",
)
ALIASES = ("alias.rev-parse", "alias.cat-file", "alias.describe", "alias.status")


def set_programs(project, hook, file):
    for name in PROGRAMS:
        git(project, "config", "--file", str(file), name, f"sh {hook}")
    for name in ALIASES:
        git(project, "config", "--file", str(file), name, f"!sh {hook}")


@pytest.mark.parametrize("way", ["configured", "included", "hooks", "hooks path"])
def test_nothing_that_a_repository_names_runs_beside_the_key(way, one, loot):
    one.write(".gitattributes", "* filter=evil diff=evil merge=evil\n")
    commit = commit_all(one)
    inside, hook = one.directory / ".git", one.directory / "hook.sh"
    match way:
        case "configured":
            set_programs(one, hook, inside / "config")
        case "included":
            set_programs(one, hook, one.directory / "included")
            git(one, "config", "include.path", str(one.directory / "included"))
        case "hooks":
            for name in ("post-index-change", "reference-transaction", "fsmonitor-watchman", "post-checkout"):
                (inside / "hooks").mkdir(exist_ok=True)
                (inside / "hooks" / name).symlink_to(hook)
        case _:
            git(one, "config", "core.hooksPath", str(one.directory))
    one.apply()
    assert not loot.exists()
    assert commit_in_journal(one) == commit


@pytest.mark.parametrize("place", ["the project itself", "the folder above it"])
def test_a_folder_that_looks_like_a_bare_repository_is_none(place, one, loot):
    top = one.directory
    inner = top / "infra"
    inner.mkdir()
    (top / "statform.toml").rename(inner / "statform.toml")
    bare = inner if place == "the project itself" else top
    for name, text in {"HEAD": "ref: refs/heads/main\n", "objects/info/x": "", "refs/heads/x": ""}.items():
        file = bare / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (bare / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n")
    set_programs(one, one.directory / "hook.sh", bare / "config")
    commit = commit_all(one) if place == "the project itself" else None
    ran = one.run("-C", str(inner), "apply", "--auto-approve")
    assert ran.code == 0, ran
    assert not loot.exists()
    one.directory = inner
    assert commit_in_journal(one) == commit


def test_a_partial_clone_fetches_nothing(one, loot):
    commit_all(one)
    git(one, "config", "extensions.partialClone", "origin")
    git(one, "config", "core.repositoryFormatVersion", "1")
    for url in ("ext::sh ./hook.sh", f"file://{one.directory}", "ssh://nowhere/x"):
        git(one, "config", "remote.origin.url", url)
        git(one, "config", "remote.origin.promisor", "true")
        git(one, "config", "protocol.allow", "always")
        set_programs(one, one.directory / "hook.sh", one.directory / ".git" / "config")
        for objects in (one.directory / ".git" / "objects").glob("??"):
            if objects.name != commit_prefix(one):
                objects.rename(objects.with_name(f"lost-{objects.name}"))
        one.apply()
        assert not loot.exists()
    assert commit_in_journal(one) is None


def commit_prefix(project):
    head = project.directory / ".git" / "refs" / "heads" / "main"
    return head.read_text()[:2]


def test_a_program_named_git_within_the_repository_is_not_run(one, loot):
    commit_all(one)
    (one.directory / "git").symlink_to(one.directory / "hook.sh")
    one.apply(PATH=f".:{one.environ['PATH']}")
    assert not loot.exists()


def test_a_submodule_and_a_worktree_have_their_commit(one, tmp_path):
    commit = commit_all(one)
    git(one, "worktree", "add", "-q", str(tmp_path / "second"))
    one.directory = tmp_path / "second"
    one.apply()
    assert commit_in_journal(one) == commit


def test_a_definition_that_is_in_no_commit_leaves_the_commit_out(one):
    commit_all(one)
    one.write("definitions/two.toml", "")
    one.apply()
    assert commit_in_journal(one) is None


def test_the_repository_that_a_git_hook_works_on_is_not_taken_for_the_projects(one, tmp_path):
    commit = commit_all(one)
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("x")
    commit_all(one, cwd=other)
    one.apply(GIT_DIR=str(other / ".git"), GIT_WORK_TREE=str(other), GIT_INDEX_FILE=str(other / ".git" / "index"))
    assert commit_in_journal(one) == commit


def test_a_checkout_with_other_line_ends_has_the_commit_all_the_same(one):
    commit = commit_all(one)
    file = one.directory / "statform.toml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    one.apply()
    assert commit_in_journal(one) == commit


def test_git_that_is_not_there_or_fails_leaves_the_commit_out(one, tmp_path):
    commit_all(one)
    (one.directory / ".git" / "HEAD").write_bytes(b"\xe9 is no head")
    one.apply()
    assert commit_in_journal(one) is None


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")
def test_a_run_leaves_no_core_file_and_no_other_process_can_read_its_memory(one):
    script = (
        "from planner import process; import os, resource; process.forbid_cores(); process.forbid_looks()\n"
        "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))"
    )
    ran = one.shell(f"$(dirname $(command -v statform))/python -c '{script}'")
    assert ran.out == "0 (0, 0)\n"


def test_the_commit_is_the_one_at_which_the_definitions_were_read(one):
    commit = commit_all(one)
    pull = "printf %s '#' >> statform.toml; git -c user.name=a -c user.email=a@example.com commit -qam two"
    # The question waits for a person, and meanwhile somebody pulls.
    script = f"(sleep 2; {pull}; echo yes) | script -qec 'statform apply' /dev/null"
    assert one.shell(script).code == 0
    assert git(one, "rev-parse", "HEAD") != commit
    assert commit_in_journal(one) == commit
