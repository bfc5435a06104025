"""Ctrl-C at a command that waits for a server that never answers: it ends at once, and says so in one line."""

from __future__ import annotations

import socket
import time

import pytest
from command import STATFORM
from person import at_terminal
from stores import S3_KEYS

DEFINITION = '[assignment_source.one]\ndescription = "x"\nadopt = true\n'


@pytest.fixture
def silent():
    """A server that takes every connection, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        yield server


def press(project, silent, words):
    """What is shown after Ctrl-C, the exit code, and how long it took to end."""
    environ = project.environ | {"TERM": "xterm", "NO_COLOR": "1"}
    with at_terminal([str(STATFORM), *words], project.directory, environ) as terminal:
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)
            terminal.type("\x03")
            started = time.monotonic()
            code = terminal.end()
    return terminal.shown.rpartition("^C")[2].replace("\r\x1b[K", ""), code, time.monotonic() - started


@pytest.mark.parametrize("words", ["audit", "audit --who", "plan --refresh", "refresh", "import --all"])
def test_a_signal_ends_a_wait_for_the_api_at_once(project, silent, words):
    project.define(DEFINITION)
    project.environ["STATSIG_BASE_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
    shown, code, took_s = press(project, silent, words.split())
    assert (shown, code) == ("Error: interrupted; running the command again is safe\n", 130)
    assert took_s < 5


@pytest.mark.parametrize("words", ["plan", "state list", "history", "audit", "apply"])
def test_a_signal_ends_a_wait_for_the_store_of_a_shared_state_at_once(project, silent, words):
    project.define(DEFINITION)
    url = f"http://127.0.0.1:{silent.getsockname()[1]}"
    project.environ |= {**S3_KEYS, "AWS_ENDPOINT_URL": url, "STATFORM_STATE": "s3://bucket/p"}
    shown, code, took_s = press(project, silent, words.split())
    assert shown in {"\nInterrupted.\n", "Error: interrupted; running the command again is safe\n"}
    assert code == 130
    assert took_s < 5


def test_a_signal_ends_the_doctor_at_once_while_it_waits_for_the_api(project, silent):
    project.define(DEFINITION)
    project.environ["STATSIG_BASE_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
    shown, code, took_s = press(project, silent, ["doctor"])
    assert (shown, code) == ("\nInterrupted.\n", 130)
    assert took_s < 5
