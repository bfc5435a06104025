"""`statform apply` against the emulator: what arrives there, what the state says, what a person reads."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time

import cost
import pytest
from canary import CANARY, KEY, KEY_FILE
from command import STATFORM, Project, Streams, running_emulator, source
from person import at_terminal

NOTHING = "No changes. The state matches the definitions.\n"
EVERY_FIELD = """
[assignment_source.one]
adopt = true
description = "after"
isVerified = true
tags = ["b", "a"]
timestampColumn = "t"
experimentIDColumn = "e"
groupIDColumn = "g"
groupNameColumn = "n"
idTypeMapping = [{ statsigUnitID = "userID", column = "u" }, { statsigUnitID = "stableID", column = "s" }]
isReadOnly = false
owner = { ownerID = "o", ownerType = "USER" }
team = "t"
teamID = "i"
scheduledReloadHour = 0
"""
FIELDS = [name for name in re.findall(r"(?m)^(\w+) =", EVERY_FIELD) if name != "adopt"]


def defined(**descriptions):
    """Definitions of a description each."""
    return "".join(
        f'[assignment_source.{key}]\nadopt = true\ndescription = "{value}"\n' for key, value in descriptions.items()
    )


def renamed(**names):
    return "".join(f'[assignment_source.{key}]\nadopt = true\nname = "{name}"\n' for key, name in names.items())


@pytest.fixture(scope="module")
def adopted(tmp_path_factory):
    """The files of a project whose three sources were adopted, and the sources as they are then."""
    directory = tmp_path_factory.mktemp("adopted")
    project = Project(directory / "project", Streams(), {"PATH": os.defpath, "STATSIG_API_KEY": KEY})
    sources = [source(key) for key in ("one", "two", "three")]
    with running_emulator(directory, project.streams, sources) as remote:
        project.define(defined(one="before", two="before", three="before"))
        project.apply(STATSIG_BASE_URL=remote.url)
        return project.directory, list(remote.sources.values())


@pytest.fixture
def settled(project, emulator, adopted):
    """A project of three sources that were adopted, and the emulator that has them."""
    directory, sources = adopted
    shutil.copytree(directory, project.directory, dirs_exist_ok=True)
    return project, emulator(*sources)


def terminal_environ(project):
    return project.environ | {"TERM": "xterm", "NO_COLOR": "1"}


def test_what_is_declared_arrives_and_what_is_answered_is_the_state(project, emulator):
    remote = emulator(source("one"), source("two", team="theirs"))
    project.define(EVERY_FIELD)
    ran = project.apply()
    assert ran.out.endswith("Apply complete: 1 adopted.\n")
    assert project.resources["assignment_source.one"]["data"] == remote.sources["one"]
    for field in FIELDS:
        assert remote.sources["one"][field] != source("one").get(field)
    assert remote.sources["two"] == source("two", team="theirs")
    assert remote.calls() == ["one"]


def test_a_second_plan_and_a_second_apply_find_nothing_to_do(settled):
    project, remote = settled
    assert project.run("plan", "--detailed-exitcode").out == NOTHING
    before, calls = project.files, remote.calls()
    ran = project.run("apply")
    assert (ran.code, ran.out, ran.err) == (0, NOTHING, "")
    assert project.files == before
    assert remote.calls() == calls


def test_nothing_to_do_needs_no_key(settled):
    project, _ = settled
    del project.environ["STATSIG_API_KEY"]
    assert project.run("apply").code == 0


@pytest.mark.parametrize("omitted", [*FIELDS, "sql"])
def test_a_field_that_the_answer_leaves_out_settles_all_the_same(project, emulator, omitted):
    remote = emulator(source("one"), options=("--omit", omitted))
    project.define(EVERY_FIELD)
    project.apply()
    assert project.run("plan").out == NOTHING
    assert remote.sources["one"][omitted] != source("one").get(omitted) or omitted == "sql"


def test_answers_that_leave_out_all_that_they_may_settle_after_a_second_change_too(project, emulator):
    remote = emulator(source("one"), options=[word for field in FIELDS for word in ("--omit", field)])
    project.define(EVERY_FIELD)
    project.apply()
    project.define(EVERY_FIELD.replace('team = "t"', 'team = "u"').replace('"after"', '"later"'))
    ran = project.apply()
    assert "Apply complete: 1 updated" in ran.out
    assert project.run("plan").out == NOTHING
    assert (remote.sources["one"]["team"], remote.sources["one"]["description"]) == ("u", "later")


def test_fields_that_are_left_out_are_remembered_as_they_were_sent(project, emulator):
    emulator(source("one"), options=("--omit", "isVerified", "--omit", "tags"))
    project.define(EVERY_FIELD)
    project.apply()
    state = project.resources["assignment_source.one"]
    assert state["unreturned"] == {"isVerified": True, "tags": ["b", "a"]}
    assert not {"isVerified", "tags"} & state["data"].keys()


def test_each_request_carries_just_the_fields_that_changed(settled):
    project, _ = settled
    project.define(
        '[assignment_source.one]\nadopt = true\ndescription = "before"\nteam = "x"\n'
        + defined(two="after", three="before")
    )
    count = len(project.records)
    project.apply()
    intents = [record for record in project.records[count:] if record["kind"] == "intent"]
    assert [(i["name"], i["sent"]) for i in intents] == [("one", {"team": "x"}), ("two", {"description": "after"})]


def test_a_cleared_field_becomes_null(project, emulator):
    remote = emulator(source("one", team="theirs", scheduledReloadHour=3, owner={"ownerID": "x"}))
    project.define('[assignment_source.one]\nadopt = true\nclear = ["team", "scheduledReloadHour", "owner"]\n')
    project.apply()
    assert [remote.sources["one"][name] for name in ("team", "scheduledReloadHour", "owner")] == [None] * 3
    assert project.run("plan").out == NOTHING


def test_results_are_on_stdout_and_progress_is_on_stderr(settled):
    project, _ = settled
    project.define(defined(one="after", two="before", three="after"))
    ran = project.apply()
    assert ran.out.startswith("statform will perform these actions, in this order:\n")
    assert ran.out.endswith("unchanged.\nApply complete: 2 updated.\n")
    assert [re.sub(r"\(\d+\.\d\d s\)", "(0 s)", line) for line in ran.err.splitlines()] == [
        "assignment_source.one: updated (0 s) [1/2]",
        "assignment_source.three: updated (0 s) [2/2]",
    ]


def test_requests_go_out_in_the_order_of_the_plan(settled):
    project, remote = settled
    project.define(
        '[assignment_source.one]\nadopt = true\ndescription = "after"\ndepends_on = ["assignment_source.three"]\n'
        + defined(two="after", three="after")
    )
    count = len(remote.calls())
    out = project.apply().out
    assert re.findall(r"(?m)^  ~ assignment_source\.(\w+)$", out) == ["two", "three", "one"]
    assert remote.calls()[count:] == ["two", "three", "one"]


@pytest.mark.parametrize(
    ("names", "requests"),
    [
        ({"one": "uno", "two": "two", "three": "three"}, 1),
        ({"one": "two", "two": "three", "three": "four"}, 3),
        ({"one": "two", "two": "one", "three": "three"}, 3),
        ({"one": "two", "two": "three", "three": "one"}, 4),
        ({"one": "a/b c%2F?#é", "two": "…", "three": "a+b&c=d"}, 3),
    ],
)
def test_renames_chains_and_circles_end_right(project, emulator, names, requests):
    remote = emulator(*(source(key, description=key) for key in ("one", "two", "three")))
    project.define(renamed(one="one", two="two", three="three"))
    project.apply()
    project.define(renamed(**names))
    count = len(remote.calls())
    project.apply()
    assert len(remote.calls()) == count + requests
    assert {name: one["description"] for name, one in remote.sources.items()} == {
        new: key for key, new in names.items()
    }
    assert {key: one["name"] for key, one in project.resources.items()} == {
        f"assignment_source.{key}": new for key, new in names.items()
    }
    assert project.run("plan").out == NOTHING
    # The renamed can be changed by their new names.
    project.define(
        "".join(f'[assignment_source.{key}]\nadopt = true\nname = "{new}"\nteam = "x"\n' for key, new in names.items())
    )
    project.apply()
    assert {one["team"] for one in remote.sources.values()} == {"x"}


def test_a_source_that_is_no_longer_defined_is_left_alone(settled):
    project, remote = settled
    sources = remote.sources
    project.define(defined(one="before"))
    count = len(remote.calls())
    assert project.apply().out.endswith("Apply complete: 2 forgotten.\n")
    assert list(project.resources) == ["assignment_source.one"]
    assert (remote.sources, len(remote.calls())) == (sources, count)


def test_a_target_is_applied_alone(settled):
    project, remote = settled
    project.define(defined(one="after", two="after", three="after"))
    project.apply("--target", "assignment_source.two")
    assert [one["description"] for one in remote.sources.values()] == ["before", "after", "before"]
    assert "Plan: 2 to update" in project.run("plan").out


def test_a_dry_run_asks_the_api_about_each_change_and_leaves_all_as_it_is(settled):
    project, remote = settled
    project.define(renamed(one="two", two="one", three="four"))
    before, data, count = project.files, remote.data.read_bytes(), len(remote.calls())
    ran = project.run("apply", "--dry-run")
    assert ran.code == 0, ran
    assert "Dry run complete: 3 to update" in ran.out
    assert "nothing was changed" in ran.out
    assert remote.calls()[count:] == re.findall(r"# assignment_source\.(\w+) will be updated", ran.out)
    assert sorted(remote.calls()[count:]) == ["one", "three", "two"]
    assert remote.data.read_bytes() == data
    assert project.files == before


def test_a_dry_run_tells_what_the_api_would_refuse(project, emulator):
    emulator(source("one"), source("taken"))
    project.define(renamed(one="one"))
    project.apply("--no-check-drift")
    project.define(renamed(one="taken"))
    ran = project.run("apply", "--dry-run", "--no-check-drift")
    assert (ran.code, 'the remote name "taken" is already taken' in ran.err) == (1, True)
    project.define(defined(one="after"))
    before = project.files
    ran = project.run("apply", "--dry-run", STATSIG_API_KEY="console-no-update")
    assert ran.code == 1
    assert "Dry run incomplete:" in ran.out
    assert "rejected       assignment_source.one: 403: Forbidden." in ran.out
    assert project.files == before


def test_what_somebody_else_changed_is_refused_before_anything_is_sent(settled, emulator):
    project, remote = settled
    sources = remote.sources
    sources["two"]["description"] = "theirs"
    other = emulator(*sources.values())
    project.define(defined(one="after", two="after", three="after"))
    before = project.files
    ran = project.run("apply", "--auto-approve")
    assert ran.code == 1
    told = (
        'somebody else changed description: the remote has "theirs", the state has "before", the definition has "after"'
    )
    assert told in ran.err
    assert "statform.toml:8:1, assignment_source.two, field description" in ran.err
    for way in ("refresh --write", "refresh assignment_source.two", "apply --overwrite assignment_source.two"):
        assert f"`statform {way}`" in ran.err
    assert other.calls() == []
    assert project.files == before
    assert "Apply complete: 3 updated" in project.apply("--no-check-drift").out
    assert other.sources["two"]["description"] == "after"


def test_drift_in_a_field_that_is_not_declared_or_not_changed_is_nobody_s_business(settled, emulator):
    project, remote = settled
    sources = remote.sources
    sources["two"] |= {"description": "theirs", "team": "theirs"}
    sources["one"]["team"] = "theirs"
    other = emulator(*sources.values())
    project.define(defined(one="after", two="before", three="before"))
    project.apply()
    assert other.sources["one"]["team"] == "theirs"
    assert other.sources["two"]["description"] == "theirs"


def test_a_source_that_the_remote_lacks_can_t_be_adopted_and_nothing_is_sent(project, emulator):
    remote = emulator(source("one"))
    project.define(defined(one="x", missing="x"))
    ran = project.run("apply", "--auto-approve")
    assert ran.code == 1
    assert 'the remote has no source named "missing"' in ran.err
    assert remote.calls() == []
    assert "statform.state.json" not in project.files


def test_a_change_without_the_right_to_it_does_not_stop_the_others_but_those_that_depend_on_it(project, emulator):
    emulator(source("one"), source("two"), source("three"))
    project.define(
        defined(two="x", one="x")
        + '[assignment_source.three]\nadopt = true\nteam = "x"\ndepends_on = ["assignment_source.two"]\n'
    )
    ran = project.run("apply", "--auto-approve", STATSIG_API_KEY="console-no-update")
    assert ran.code == 1
    assert "Apply incomplete: 2 rejected, 1 skipped.\n" in ran.out
    assert "rejected       assignment_source.one: 403: Forbidden." in ran.out
    assert "skipped        assignment_source.three: it depends on assignment_source.two\n" in ran.out


@pytest.mark.parametrize(
    ("limit", "is_allowed"), [(2, False), (3, True), ('"66%"', False), ('"100%"', True), (0, False)]
)
def test_a_plan_of_more_changes_than_the_project_allows_is_refused(settled, limit, is_allowed):
    project, remote = settled
    project.define(defined(one="after", two="after", three="after"), settings=f"max_changes = {limit}")
    count = len(remote.calls())
    ran = project.run("apply", "--auto-approve")
    assert ran.code == (0 if is_allowed else 1)
    assert len(remote.calls()) == count + (3 if is_allowed else 0)
    if not is_allowed:
        assert "the plan changes 3 of 3 managed resources, and max_changes is" in ran.err
        assert "statform apply --max-changes 3" in ran.err


@pytest.mark.parametrize(
    ("given", "refused"),
    [("3", ["2", "1", "0", "99%", "0%"]), ("100%", ["", "many", "-1", "1.5", "%", "3 %"])],
)
def test_the_command_line_overrides_how_many_changes_are_allowed(settled, given, refused):
    project, remote = settled
    project.define(defined(one="after", two="after", three="after"), settings="max_changes = 1")
    count = len(remote.calls())
    for one in refused:
        assert project.run("apply", "--auto-approve", f"--max-changes={one}").code == 1
    assert len(remote.calls()) == count
    project.apply(f"--max-changes={given}")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "no API key: set STATSIG_API_KEY"),
        ({"STATSIG_API_KEY": ""}, "no API key: set STATSIG_API_KEY"),
        ({"STATSIG_API_KEY": " \n"}, "STATSIG_API_KEY is empty"),
        ({"STATSIG_API_KEY": f"{KEY}\n{KEY}"}, "STATSIG_API_KEY has characters that no Console API key has"),
        ({"STATSIG_API_KEY": f"{KEY}\u00e9"}, "STATSIG_API_KEY has characters that no Console API key has"),
        (
            {"STATSIG_API_KEY_FILE": "nowhere"},
            "STATSIG_API_KEY_FILE (nowhere) can't be read: No such file or directory",
        ),
        ({"STATSIG_API_KEY_FILE": "."}, "STATSIG_API_KEY_FILE (.) can't be read: Is a directory"),
        ({"STATSIG_API_KEY_FILE": "empty"}, "STATSIG_API_KEY_FILE (empty) is empty"),
        ({"STATSIG_API_KEY_FILE": "binary"}, "STATSIG_API_KEY_FILE (binary) can't be read: not UTF-8 text"),
    ],
)
def test_a_missing_or_invalid_key_is_an_error_before_anything_is_sent(project, environ, message):
    project.define(defined(one="after"))
    project.write("empty", "")
    (project.directory / "binary").write_bytes(b"\xff\xfe")
    del project.environ["STATSIG_API_KEY"]
    with socket.create_server(("127.0.0.1", 0)) as api:
        api.settimeout(0.05)
        url = f"http://127.0.0.1:{api.getsockname()[1]}"
        ran = project.run("apply", "--auto-approve", STATSIG_BASE_URL=url, **environ)
        with pytest.raises(TimeoutError):
            api.accept()
    assert ran.code == 1
    assert message in ran.err


@pytest.mark.parametrize("end", ["", "\n", " \r\n"])
def test_a_key_can_be_in_a_file_with_a_newline_at_its_end(settled, end):
    project, remote = settled
    project.define(defined(one="after"))
    project.write(KEY_FILE, KEY + end)
    del project.environ["STATSIG_API_KEY"]
    project.apply(STATSIG_API_KEY_FILE=KEY_FILE)
    assert remote.sources["one"]["description"] == "after"


def test_a_newline_after_the_key_in_the_environment_does_not_count(settled):
    project, _ = settled
    project.define(defined(one="after"))
    project.apply(STATSIG_API_KEY=f"{KEY}\n")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (f"wrong-{CANARY}", "answered 401: This endpoint only accepts an active CONSOLE key"),
        ("console-forbidden", "403"),
    ],
)
def test_a_key_that_the_api_refuses_is_exit_code_3_and_is_not_shown(settled, key, message):
    project, remote = settled
    project.define(defined(one="after"))
    before, count = project.files, len(remote.calls())
    ran = project.run("apply", "--auto-approve", STATSIG_API_KEY=key)
    assert ran.code == 3
    assert message in ran.err
    assert key not in ran.out + ran.err
    assert (project.files, len(remote.calls())) == (before, count)


@pytest.mark.parametrize("options", [(), ("--no-check-drift",)])
def test_a_key_that_is_refused_stops_the_run(settled, options):
    project, remote = settled
    count = len(remote.calls())
    project.define(defined(one="after", two="after"))
    ran = project.run("apply", "--auto-approve", *options, STATSIG_API_KEY=f"wrong-{CANARY}")
    assert ran.code == 3
    assert CANARY not in ran.err + ran.out
    assert len(remote.calls()) == count


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.com", "the base URL must begin with https://"),
        ("http://10.0.0.1:80", "the base URL must begin with https://"),
        ("http://localhost.example.com", "the base URL must begin with https://"),
        ("http://127.0.0.1.example.com", "the base URL must begin with https://"),
        ("ftp://127.0.0.1", "the base URL must begin with https://"),
        ("http://127.0.0.1@example.com", "the base URL must have a scheme and a host"),
        ("https://example.com/?x=1", "the base URL must have a scheme and a host"),
        ("example.com", "the base URL must have a scheme and a host"),
        ("https://", "the base URL must have a scheme and a host"),
        ("http://[::1", "the base URL can't be read"),
        ("", "the base URL must have a scheme and a host"),
    ],
)
def test_a_base_url_that_could_show_the_key_to_others_is_refused(project, url, message):
    project.define(defined(one="after"))
    for arguments, environ in ((("--base-url", url), {}), ((), {"STATSIG_BASE_URL": url})):
        if url or arguments:
            ran = project.run("apply", "--auto-approve", *arguments, **environ)
            assert ran.code == 1
            assert message in ran.err


def test_the_base_url_of_the_command_line_goes_before_that_of_the_environment(settled):
    project, remote = settled
    project.define(defined(one="after"))
    project.apply("--base-url", remote.url + "/", STATSIG_BASE_URL="http://127.0.0.1:1")
    assert remote.sources["one"]["description"] == "after"


def test_an_api_that_can_t_be_reached_is_exit_code_3(settled):
    project, _ = settled
    project.define(defined(one="after"))
    before = project.files
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    ran = project.run("apply", "--auto-approve", STATSIG_BASE_URL=f"http://127.0.0.1:{port}")
    assert ran.code == 3
    assert f"http://127.0.0.1:{port}: no connection: " in ran.err
    assert "Connection refused" in ran.err
    assert project.files == before


def test_a_proxy_of_the_environment_never_sees_what_goes_to_loopback(settled):
    project, remote = settled
    project.define(defined(one="after"))
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.2)
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY")
        project.apply(**dict.fromkeys(names, url))
        with pytest.raises(TimeoutError):
            proxy.accept()
    assert remote.sources["one"]["description"] == "after"


def test_without_a_terminal_it_refuses_rather_than_waits(settled):
    project, remote = settled
    project.define(defined(one="after"))
    count = len(remote.calls())
    for stdin in ("", "yes\n"):
        ran = project.run("apply", stdin=stdin)
        assert ran.code == 1
        assert "Plan: 1 to update" in ran.out
        assert "--auto-approve" in ran.err
    assert len(remote.calls()) == count


def test_yes_at_the_terminal_is_an_approval(settled):
    project, remote = settled
    project.define(defined(one="after", two="before", three="before"))
    command = [str(STATFORM), "apply"]
    with at_terminal(command, project.directory, terminal_environ(project)) as terminal:
        terminal.expect("Enter a value: ")
        assert f"at {remote.url}?" in terminal.shown
        assert remote.sources["one"]["description"] == "before"
        terminal.type("yes\n")
        assert terminal.end() == 0
    assert "assignment_source.one: updating one … [1/1]\r\x1b[K" in terminal.shown
    assert re.search(r"\x1b\[Kassignment_source.one: updated \(\d\.\d\d s\) \[1/1\]\n", terminal.shown)
    assert terminal.shown.endswith("Apply complete: 1 updated.\n")
    assert CANARY not in terminal.shown
    assert remote.sources["one"]["description"] == "after"


@pytest.mark.parametrize(
    ("typed", "code", "message"),
    [
        ("no\n", 1, "Error: not approved; nothing was sent\n"),
        ("\n", 1, "Error: not approved; nothing was sent\n"),
        ("y\n", 1, "Error: not approved; nothing was sent\n"),
        ("YES\n", 1, "Error: not approved; nothing was sent\n"),
        ("\x04", 1, "\nError: not approved; nothing was sent\n"),
        ("\x03", 130, "\nError: interrupted; running the command again is safe\n"),
    ],
)
def test_anything_else_at_the_terminal_sends_nothing(settled, typed, code, message):
    project, remote = settled
    project.define(defined(one="after"))
    before, count = project.files, len(remote.calls())
    with at_terminal([str(STATFORM), "apply"], project.directory, terminal_environ(project)) as terminal:
        terminal.expect("Enter a value: ")
        terminal.type(typed)
        assert terminal.end() == code
    assert terminal.shown.endswith(message)
    assert (project.files, len(remote.calls())) == (before, count)


@pytest.mark.real
def test_a_wait_for_the_rate_limit_counts_down_in_one_line_of_a_terminal(project, emulator):
    emulator(source("one"), source("two"))
    project.define(defined(one="x", two="x"), settings="pacing = { per_10_seconds = 1, per_15_minutes = 100 }")
    command = [str(STATFORM), "apply", "--auto-approve"]
    with at_terminal(command, project.directory, terminal_environ(project)) as terminal:
        terminal.expect("waiting 8 s")
        terminal.type("\x03")
        assert terminal.end() == 130
    counted = re.findall(r"\r\x1b\[Kwaiting (\d+) s: to stay below the API's rate limit", terminal.shown)
    assert counted[-1] == "8"
    assert "not attempted  assignment_source.two: the run ended before" in terminal.shown
    assert terminal.shown.endswith("Error: interrupted; running the command again is safe\n")


def test_ctrl_c_lets_the_request_in_flight_end_and_says_so(project, emulator):
    remote = emulator(source("one"), source("two"), options=("--latency", "1500"))
    project.define(defined(one="x", two="x"))
    command = [str(STATFORM), "apply", "--auto-approve", "--no-check-drift"]
    with at_terminal(command, project.directory, terminal_environ(project)) as terminal:
        terminal.expect("[1/2]")
        # The intent is in the journal before the request is in flight; a signal before it ends the run at once.
        journal, end = project.directory / "statform.state.journal.jsonl", time.monotonic() + 20
        while '"kind":"intent"' not in journal.read_text():
            assert time.monotonic() < end
            time.sleep(0.01)
        terminal.type("\x03")
        assert terminal.end() == 130
    assert "Interrupted: what is under way is finished first. Press Ctrl-C again to stop now.\n" in terminal.shown
    assert "assignment_source.one: adopted" in terminal.shown
    assert "not attempted  assignment_source.two: the run ended before" in terminal.shown
    assert list(project.resources) == ["assignment_source.one"]
    assert remote.sources["two"] == source("two")
    assert "Plan: 1 to adopt, 1 unchanged." in project.run("plan").out


@pytest.mark.long
@pytest.mark.real
def test_a_rate_limit_of_the_api_is_waited_for(project, emulator):
    remote = emulator(source("one"), source("two"), options=("--per-10-seconds", "1"))
    project.define(defined(one="x", two="x"))
    started = time.monotonic()
    ran = project.apply()
    assert time.monotonic() - started > 9
    assert "too many requests for the API, 429" in ran.err
    assert "waiting" in ran.err
    assert remote.calls() == ["one", *["two"] * (len(remote.calls()) - 1)]
    assert ran.out.endswith("Apply complete: 2 adopted.\n")


def test_the_next_run_finds_out_an_unknown_outcome(settled):
    project, _ = settled
    project.define(defined(one="after", two="before", three="before"))
    with at_terminal(
        [str(STATFORM), "apply", "--auto-approve"], project.directory, terminal_environ(project)
    ) as terminal:
        assert terminal.end() == 0
    journal = project.directory / "statform.state.journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    last_intent = max(n for n, line in enumerate(lines) if '"kind":"intent"' in line)
    journal.write_text("".join(lines[: last_intent + 1]))
    (project.directory / "statform.state.json").unlink()
    ran = project.run("apply")
    assert (
        "finding out what happened to the last request for assignment_source.one …\nassignment_source.one: applied\n"
        in ran.err
    )
    assert (ran.code, ran.out) == (0, NOTHING)
    assert project.run("plan").err == ""


def test_two_applies_at_once_run_one_after_the_other(settled):
    project, _ = settled
    project.define(defined(one="after", two="before", three="before"))
    with at_terminal([str(STATFORM), "apply"], project.directory, terminal_environ(project)) as terminal:
        terminal.expect("Enter a value: ")
        ran = project.run("apply", "--auto-approve")
        assert ran.code == 3
        assert "the state is in use: " in ran.err
        assert "apply" in ran.err
        waited = project.run("apply", "--auto-approve", "--lock-timeout", "2s")
        assert waited.code == 3
        assert "; waiting for 2 s yet …\n" in waited.err
        assert project.run("plan").code == 0
        terminal.type("yes\n")
        assert terminal.end() == 0


def test_a_state_directory_that_can_t_be_written_is_found_out_before_anything_is_sent(settled):
    project, remote = settled
    project.define(defined(one="after"), settings='state = "missing/file/x.json"')
    project.write("missing/file", "")
    count = len(remote.calls())
    ran = project.run("apply", "--auto-approve")
    assert ran.code == 1
    assert "missing/file" in ran.err
    assert len(remote.calls()) == count


def test_neither_a_closed_stdout_nor_a_full_stderr_stops_an_apply(settled):
    project, remote = settled
    project.define(defined(one="after", two="after", three="after"))
    ran = project.shell("statform apply --auto-approve 2>/dev/full | head -1")
    assert ran.code == 0
    assert ran.out == "statform will perform these actions, in this order:\n"
    assert {one["description"] for one in remote.sources.values()} == {"after"}


def test_a_stdout_that_takes_nothing_is_an_error_before_anything_is_sent(settled):
    project, remote = settled
    project.define(defined(one="after"))
    count = len(remote.calls())
    ran = project.shell("statform apply --auto-approve >/dev/full")
    assert ran.code == 1
    assert "stdout can't be written: No space left on device" in ran.err
    assert len(remote.calls()) == count


def test_the_state_belongs_to_its_owner_alone(settled):
    project, _ = settled
    for name in ("statform.state.json", "statform.state.journal.jsonl"):
        assert (project.directory / name).stat().st_mode & 0o777 == 0o600


def test_a_run_is_in_the_journal_with_who_where_and_which_commit(project, emulator):
    emulator(source("one"))
    project.define(defined(one="x"))
    project.shell(
        "git init -q . && git add statform.toml && git -c user.name=a -c user.email=a@example.com commit -qm x"
    )
    project.apply(LOGNAME="ana")
    (begin,) = (record for record in project.records if record["kind"] == "begin")
    assert begin["who"] == "ana"
    assert begin["commit"] == project.shell("git rev-parse HEAD").out.strip()


def test_fifty_changes_among_a_thousand_sources_take_seconds(project):
    keys = [f"source_{n:04}" for n in range(1000)]
    unpaced = "pacing = { per_10_seconds = 100000, per_15_minutes = 100000 }"
    project.define(defined(**dict.fromkeys(keys, "before")), settings=unpaced)
    # Without a data file, which the emulator writes as a whole after each change.
    limits = ["--per-10-seconds", "100000", "--per-15-minutes", "100000"]
    command = [str(STATFORM), "emulator", *limits]
    with subprocess.Popen(command, cwd=project.directory, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            project.environ["STATSIG_BASE_URL"] = process.stdout.readline().split()[-1]
            project.apply(timeout=120)
            project.define(
                defined(**{key: "after" if n < 50 else "before" for n, key in enumerate(keys)}), settings=unpaced
            )
            with cost.at_most(10):
                ran = project.apply()
        finally:
            process.terminate()
    assert "Plan: 50 to update, 950 unchanged." in ran.out
    descriptions = [resource["data"]["description"] for resource in project.resources.values()]
    assert descriptions == ["after"] * 50 + ["before"] * 950
    assert project.run("plan").out == NOTHING


def test_an_answer_that_the_disk_refuses_is_shown_instead(project, emulator):
    query = "SELECT '" + "x" * 300_000 + "'"
    emulator(source("one", sql=query))
    project.define(defined(one="x"))
    # The request fits into the file, and the answer with the query does not.
    ran = project.run("apply", "--auto-approve", under=("prlimit", "--fsize=200000"))
    assert ran.code == 1
    told, _, rest = ran.err.partition("could not be written to the journal, so it is shown here:\n")
    assert rest, told
    shown, _ = json.JSONDecoder().raw_decode(rest)
    assert (shown["data"]["sql"], shown["data"]["description"]) == (query, "x")
    assert "statform.state.journal.jsonl" in rest
    assert project.run("plan").code == 0
