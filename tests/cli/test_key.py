"""What of a run can hold the API key, and does not. What commands write is searched after every test, by `conftest`."""

from __future__ import annotations

import base64
import signal
import subprocess
import time
from pathlib import Path

import pytest
from canary import CANARY, KEY, KEY_FILE, STREAM, leaks
from command import STATFORM, Project, source
from rawserver import Act, answer, serve

DEFINITION = '[assignment_source.checkout]\nadopt = true\ndescription = "after"\n'


@pytest.mark.parametrize("form", [str, str.upper, lambda key: key[8:], lambda key: key.encode().hex()])
def test_the_search_finds_the_key_in_other_forms(form, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(form(KEY))
    (tmp_path / KEY_FILE).write_text(KEY)
    assert {where for _, where in leaks([], tmp_path.iterdir())} == {str(tmp_path / "x")}
    assert {where for _, where in leaks(["", None, form(KEY), KEY.encode()])} == {STREAM}
    (tmp_path / "x").unlink()


@pytest.mark.parametrize("before", range(3))
def test_the_search_finds_the_key_in_base64_wherever_it_begins(before: int) -> None:
    assert leaks([base64.b64encode(b"u:p"[:before] + KEY.encode() + b"!")])
    assert not leaks([CANARY[:7], "no key", KEY[:10]])


@pytest.mark.real
def test_no_process_has_the_key_in_its_title(project: Project, emulator) -> None:
    emulator(source("checkout"), options=["--latency", "100"])
    project.define(DEFINITION)
    words = [str(STATFORM), "apply", "--auto-approve"]
    with subprocess.Popen(
        words, cwd=project.directory, env=project.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        titles = set()
        while process.poll() is None:
            titles |= {Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("cmdline", "comm", "maps")}
            time.sleep(0.02)
        out, _ = process.communicate(timeout=30)
    assert b"1 adopted" in out
    assert any(b"apply" in title for title in titles)
    assert not leaks(titles)


def test_git_gets_an_environment_of_its_own(project: Project, emulator) -> None:
    emulator(source("checkout"))
    project.define(DEFINITION)
    project.write(".git/HEAD", "")
    dump = project.directory / "environment"
    project.write("bin/git", f"#!/bin/sh\nenv > {dump}\n").chmod(0o755)
    project.apply(PATH=f"{project.directory}/bin:{project.environ['PATH']}", STATSIG_API_KEY_FILE="/nowhere")
    names = {line.partition("=")[0] for line in dump.read_text().splitlines()}
    assert {name for name in names if not name.startswith("GIT_")} <= {"PATH", "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD"}


def test_a_key_in_the_variable_of_its_file_is_not_shown(project: Project) -> None:
    project.define(DEFINITION)
    ran = project.run("apply", "--auto-approve", STATSIG_API_KEY="", STATSIG_API_KEY_FILE=KEY)
    assert (ran.code, ran.err) == (
        1,
        "Error: STATSIG_API_KEY_FILE (***) can't be read: No such file or directory\n",
    )


WORDS = [["apply", "--auto-approve"], ["refresh", "--auto-approve"], ["audit", "--who"], ["import", "--all"],
         ["plan", "--refresh"]]  # fmt: skip
NO_KEYS = [f"Bearer {KEY}", f"{KEY}\nx", f'"{KEY}"', f"{KEY}é", f"{KEY}\x7f", f"{KEY}\\", f"{KEY}\x1b[31m", f"{KEY},"]


@pytest.mark.parametrize(
    ("key", "words"), [*((key, WORDS[0]) for key in NO_KEYS), *((NO_KEYS[0], words) for words in WORDS[1:])]
)
def test_what_can_be_no_key_is_refused_before_anything_is_sent(project: Project, key: str, words: list[str]) -> None:
    project.define(DEFINITION)
    with serve([source("checkout")]) as api:
        ran = project.run(*words, STATSIG_BASE_URL=api.url, STATSIG_API_KEY=key)
        assert api.connections == 0
    assert ran.code == 1
    assert ran.err.startswith("Error: STATSIG_API_KEY "), ran.err


@pytest.mark.parametrize(("prefix", "kind"), [("secret-", "a server key"), ("client-", "a client key")])
def test_a_key_of_another_kind_is_refused_here_by_its_name(project: Project, prefix: str, kind: str) -> None:
    project.define(DEFINITION)
    with serve([source("checkout")]) as api:
        ran = project.run("apply", "--auto-approve", STATSIG_BASE_URL=api.url, STATSIG_API_KEY=prefix + KEY[8:])
        assert api.connections == 0
    assert ran.code == 1
    assert ran.err.startswith(f"Error: STATSIG_API_KEY begins with {prefix}, so it is {kind}; a Console API key")


@pytest.mark.real
def test_a_warning_that_others_may_read_the_key_is_shown_once(project: Project) -> None:
    project.define(DEFINITION)
    environ = {"HTTPS_PROXY": "http://user:hunter2@127.0.0.1:9", "SSLKEYLOGFILE": f"{project.directory}/k\x1b[31m"}
    environ |= {**project.environ, "STATSIG_BASE_URL": "https://statsigapi.net"}
    words, written = [STATFORM, "apply", "--auto-approve"], project.directory / "written"
    with (
        written.open("wb") as file,
        subprocess.Popen(words, cwd=project.directory, env=environ, stdout=file, stderr=file) as process,
    ):
        while b"traffic" not in written.read_bytes():
            assert process.poll() is None, written.read_text()
            time.sleep(0.02)
        # Nobody listens there, and nobody has to be waited for.
        process.send_signal(signal.SIGINT)
        process.wait(20)
    err = written.read_text()
    assert err.count("The requests go through the proxy http://127.0.0.1:9.\n") == 1
    assert err.count("Warning: SSLKEYLOGFILE is set: anybody who can read ") == 1
    assert "/k\\u001b[31m can decrypt the traffic" in err
    assert "hunter2" not in err
    assert "user" not in err


def test_plain_http_to_loopback_needs_no_warning(project: Project, emulator) -> None:
    emulator(source("checkout"))
    project.define(DEFINITION)
    ran = project.apply(HTTPS_PROXY="http://127.0.0.1:9", SSLKEYLOGFILE=f"{project.directory}/keys")
    assert "proxy" not in ran.err
    assert "SSLKEYLOGFILE" not in ran.err


@pytest.mark.parametrize("words", [["validate"], ["plan"], ["show"], ["state", "list"]], ids=" ".join)
def test_a_command_that_sends_nothing_does_not_warn_of_listeners(project: Project, words: list[str]) -> None:
    project.define(DEFINITION)
    ran = project.run(*words, HTTPS_PROXY="http://127.0.0.1:9", SSLKEYLOGFILE=f"{project.directory}/keys")
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("more", ["u:hunter2@x.example", "x.example?token=hunter2", "x.example#hunter2"])
def test_a_saved_plan_has_no_secret_of_a_base_url(project: Project, more: str) -> None:
    project.define(DEFINITION)
    ran = project.run("plan", "--out", "saved", "--base-url", f"https://{more}")
    assert ran.code == 1
    assert "the base URL must have a scheme and a host, and may have a port and a path" in ran.err
    assert "hunter2" not in ran.err + "".join(map(str, project.files))


ECHOES = [(200, "data"), (200, "message"), (302, "location"), (307, "message"), (401, "message"), (401, "location"),
          (403, "data"), (404, "message"), (409, "message"), (429, "message"), (500, "message")]  # fmt: skip


@pytest.mark.parametrize(("status", "where"), ECHOES)
def test_an_echo_of_the_key_is_in_nothing_that_is_written(project: Project, status: int, where: str) -> None:
    project.define(DEFINITION)
    body = {"data": source("checkout", description=KEY)} if where == "data" else {"message": f"Key: {KEY[:16]}… {KEY}"}
    headers = [f"location: https://{KEY}.example/{KEY}"] if where == "location" else []
    with serve([source("checkout")]) as api:
        api.patches = [Act(answer=answer(status, body, *headers, "retry-after: 9999"))] * 9
        ran = project.run("apply", "--auto-approve", STATSIG_BASE_URL=api.url)
        assert ran.code != 0 or api.sources["checkout"]["description"] == "after"
        # What nobody knew is found out, and neither is the key kept then.
        project.run("apply", "--auto-approve", STATSIG_BASE_URL=api.url)
    assert project.files["statform.state.journal.jsonl"]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_source_that_holds_the_key_is_taken_nowhere(project: Project, words: list[str]) -> None:
    project.define(DEFINITION)
    with serve([source("checkout"), source("pasted", description=f"curl -H {KEY}")]) as api:
        ran = project.run(*words, STATSIG_BASE_URL=api.url)
    assert ran.code == 3
    assert "answered with the API key in pasted: remove the key there, and use a new one" in ran.err


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
@pytest.mark.parametrize(
    "text", [f'description = "see {KEY}"', f'description = "see \\u0063{KEY[1:]}"', f'name = "{KEY}"']
)
def test_a_key_that_was_pasted_into_a_definition_is_neither_sent_nor_kept(
    project: Project, emulator, words: list[str], text: str
) -> None:
    server = emulator(source("checkout"))
    project.define(f"[assignment_source.checkout]\nadopt = true\n{text}\n")
    ran = project.run(*words)
    project.define(DEFINITION)
    assert (ran.code, ran.out) == (1, "")
    assert "Error: the API key is in a definition\n  statform.toml:3:" in ran.err
    assert "revoke the key" in ran.err
    assert server.calls() == []
    assert project.run(*words).code in {0, 2}
