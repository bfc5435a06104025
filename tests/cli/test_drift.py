"""`statform audit`, `plan --refresh` and `refresh`: what somebody else changed, shown and taken over."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from command import STATFORM, source, without_rights
from person import at_terminal

from planner.clock import Clock
from planner.render.style import format_time
from state import store
from state.records import Intent
from state.values import Address

A, B = "assignment_source.a", "assignment_source.b"
NO_CHANGES = "No changes. The state matches the definitions.\n"
NOT_CLEAN = "Audit: not clean. 2 managed, 1 drifted, 0 gone, 0 unmanaged, 0 unknown.\n"
DRIFT = """\
Drift: the remote differs from the state.

  # assignment_source.a has drifted (the source a)
  ~ assignment_source.a
      ~ description = "mine" -> "theirs"
"""


@pytest.fixture
def server(project, emulator):
    """Two sources, adopted."""
    project.define(
        '[assignment_source.a]\nadopt = true\ndescription = "mine"\n[assignment_source.b]\nadopt = true\nteam = "t"\n'
    )
    found = emulator(source("a"), source("b"))
    project.apply()
    project.age()
    return found


def test_an_audit_is_clean_if_nothing_changed(project, server):
    ran = project.run("audit")
    assert (ran.code, ran.err) == (0, "")
    head = json.loads(project.files["statform.state.json"])["head"]
    begin = next(record for record in project.records if record["kind"] == "begin")
    assert ran.out == (
        f"Journal: intact, {len(project.records)} records, head {head}.\n"
        f"Last run: {format_time(begin['at'])}, {begin['who']}@{begin['host']}.\n"
        "Audit: clean. 2 managed, 0 drifted, 0 gone, 0 unmanaged, 0 unknown.\n"
    )
    assert project.run("refresh").out == "No drift: the remote matches the state.\n"
    assert project.run("plan", "--refresh").out == NO_CHANGES


def test_drift_is_audited_planned_from_and_taken_over(project, server):
    server.change("a", description="theirs")
    before = project.files
    audit = project.run("audit")
    assert (audit.code, audit.err) == (2, "")
    assert audit.out.startswith(DRIFT)
    assert audit.out.endswith(NOT_CLEAN)
    assert project.run("plan").out == NO_CHANGES

    plan = project.run("plan", "--refresh", "--detailed-exitcode")
    assert (plan.code, plan.err) == (2, "")
    assert plan.out.startswith(
        DRIFT + "\nThe plan below starts from the remote as it is now; the state stays as it is.\n"
    )
    assert '~ description = "theirs" -> "mine"' in plan.out
    assert project.files == before

    refreshed = project.run("refresh", "--auto-approve")
    assert (refreshed.code, refreshed.err) == (0, "")
    assert refreshed.out.startswith(DRIFT)
    assert refreshed.out.endswith("Refresh complete: 1 updated, 0 dropped.\n")
    assert [record["kind"] for record in project.records[-3:]] == ["begin", "refresh", "end"]
    assert project.records[-3]["plan"] is None
    assert project.resources[A]["data"]["description"] == "theirs"
    assert project.run("audit").code == 0
    assert '~ description = "theirs" -> "mine"' in project.run("plan").out
    project.apply()
    assert server.sources["a"]["description"] == "mine"


def test_what_drifted_is_in_a_plan_for_tools_and_for_a_comment_too(project, server):
    server.change("a", description="theirs")
    server.delete("b")
    before = project.files
    ran = project.run("plan", "--refresh", "--json")
    assert (ran.code, ran.err.startswith('Error: the remote has no source named "b"\n')) == (1, True)
    found = json.loads(ran.out)
    drifted, gone = found["resource_drift"]
    assert (drifted["address"], drifted["change"]["actions"]) == (A, ["update"])
    values = [drifted["change"][side] for side in ("before", "after")]
    assert [one.pop("description") for one in values] == ["mine", "theirs"]
    assert values[0] == values[1]
    assert drifted["statform"]["fields"] == [{"field": "description", "before": "mine", "after": "theirs"}]
    assert (gone["address"], gone["change"]["actions"], gone["change"]["after"]) == (B, ["delete"], None)
    assert gone["change"]["before"]["team"] == "t"
    assert [one["statform"]["verb"] for one in found["resource_changes"]] == ["update", "adopt"]
    assert "resource_drift" not in json.loads(project.run("plan", "--json").out)
    comment = project.run("plan", "--refresh", "--markdown").out
    assert comment.startswith(
        "<!-- statform plan . -->\n**statform drift:** 1 drifted, 1 gone. The plan below starts from the remote.\n\n"
        f"<details><summary>drifted <code>{A}</code>: description</summary>\n\n"
        '```diff\n! description = "mine" -> "theirs"\n```\n\n</details>\n'
        f"\n- gone <code>{B}</code>\n\n**statform plan:** 1 to update, 1 to adopt"
    )
    assert project.files == before


def test_a_refresh_that_nobody_approves_changes_nothing(project, server):
    server.change("a", description="theirs")
    before = project.files
    ran = project.run("refresh")
    assert ran.code == 1
    assert "Use --auto-approve" in ran.err
    with at_terminal([str(STATFORM), "refresh"], project.directory, project.environ | {"TERM": "xterm"}) as terminal:
        terminal.expect("The remote stays as it is.\n  Only 'yes' is accepted.")
        terminal.type("no\n")
        assert terminal.end() == 1
    assert "not approved; the state was not changed" in terminal.shown
    assert project.files == before


def test_a_refresh_asks_at_a_terminal_before_it_takes_over_a_change(project, server):
    server.change("a", description="theirs")
    with at_terminal([str(STATFORM), "refresh"], project.directory, project.environ | {"TERM": "xterm"}) as terminal:
        terminal.expect("Enter a value: ")
        terminal.type("yes\n")
        assert terminal.end() == 0
    assert project.resources[A]["data"]["description"] == "theirs"


def test_ctrl_c_at_the_question_ends_without_a_change(project, server):
    server.change("a", description="theirs")
    before = project.files
    with at_terminal([str(STATFORM), "refresh"], project.directory, project.environ | {"TERM": "xterm"}) as terminal:
        terminal.expect("Enter a value: ")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert project.files == before


def test_a_source_that_was_renamed_is_gone_and_looks_like_the_new_one(project, server):
    server.change("b", name="b_new")
    ran = project.run("audit")
    assert ran.code == 2
    gone = (
        "  # assignment_source.b is gone: the remote has no source b; b_new is unmanaged and "
        "has the same fields: probably renamed\n"
    )
    assert gone in ran.out
    assert "Unmanaged: sources at the remote that the state does not have.\n\n  assignment_source b_new\n" in ran.out
    refused = project.run("apply", "--auto-approve")
    assert refused.code == 0

    refreshed = project.run("refresh", "--auto-approve")
    assert '  ~ assignment_source.b\n      ~ name = "b" -> "b_new"\n' in refreshed.out
    assert refreshed.out.endswith("Refresh complete: 1 updated, 0 dropped.\n")
    assert project.resources[B]["name"] == "b_new"
    assert '~ name = "b_new" -> "b"' in project.run("plan").out
    project.define('[assignment_source.a]\ndescription = "mine"\n[assignment_source.b]\nname = "b_new"\nteam = "t"\n')
    assert project.run("plan").out == NO_CHANGES
    assert project.run("audit").code == 0


def test_a_refresh_says_what_a_renamed_source_needs(project, server):
    server.delete("b")
    ran = project.run("refresh", "--auto-approve")
    assert ran.out.endswith("Refresh complete: 0 updated, 1 dropped.\n")
    assert ran.err == "If a source was renamed and also changed, add it again with `statform import ADDRESS NAME`.\n"


def test_definitions_tell_what_a_plan_would_undo_and_what_it_would_leave(project, server):
    server.change("a", description="theirs", team="Growth")
    ran = project.run("audit", "--definitions")
    assert ran.code == 2
    assert "A plan would undo:\n\n  assignment_source.a: description\n" in ran.out
    assert "A plan would not change:\n\n  assignment_source.a: team\n" in ran.out


def test_the_json_of_an_audit_has_everything_that_the_text_has(project, server):
    server.change("a", description="theirs", team="Growth")
    server.delete("b")
    ran = project.run("audit", "--json", "--definitions")
    assert ran.code == 2
    found = json.loads(ran.out)
    assert found["drift"] == [
        {
            "address": A,
            "name": "a",
            "fields": [
                {"field": "description", "prior": "mine", "remote": "theirs", "undone_by_plan": True},
                {"field": "team", "remote": "Growth", "undone_by_plan": False},
            ],
        }
    ]
    assert found["gone"] == [{"address": B, "name": "b", "looks_renamed_to": None}]
    assert found["journal"] == {
        "intact": True,
        "records": len(project.records),
        "head": json.loads(project.files["statform.state.json"])["head"],
    }
    assert (found["format_version"], found["clean"], found["managed"]) == ("1.0", False, 2)
    assert (found["unmanaged"], found["unknown"], found["not_compared"]) == ([], [], [])


def test_what_nobody_manages_is_told(project, emulator):
    project.define('[assignment_source.b]\nadopt = true\nteam = "t"\n')
    emulator(source("z"), source("a\x1b[2J"))
    ran = project.run("audit")
    assert ran.code == 2
    assert "\n  assignment_source a\\u001b[2J\n  assignment_source z\n" in ran.out
    assert json.loads(project.run("audit", "--json").out)["unmanaged"] == [
        {"type": "assignment_source", "name": "a\x1b[2J"},
        {"type": "assignment_source", "name": "z"},
    ]
    assert "Journal: none yet.\n" in ran.out


def test_a_type_that_the_project_does_not_use_is_not_listed(project, emulator):
    project.define("")
    server = emulator(source("z"))
    assert project.run("audit").code == 0
    assert server.calls("GET") == []


def test_a_damaged_journal_is_told_with_what_can_still_be_compared(project, server):
    path = project.directory / "statform.state.journal.jsonl"
    raw = bytearray(path.read_bytes())
    raw[300] ^= 1
    path.write_bytes(raw)
    server.change("a", description="theirs")
    ran = project.run("audit")
    assert ran.code == 1
    assert DRIFT in ran.out
    assert "Journal: damaged. " in ran.out
    found = json.loads(project.run("audit", "--json").out)["journal"]
    assert found["intact"] is False
    assert "statform.state.journal.jsonl" in found["damage"]


def test_an_unknown_outcome_is_told_and_is_no_drift(project, server):
    journal = project.directory / "statform.state.journal.jsonl"
    server.change("a", description="theirs")
    with store.open(project.directory / "statform.state.json", "test") as session:
        sent = {"description": "theirs"}
        session.record(Intent(Address(A), "PATCH", "a", {"description": "mine"}, sent, Clock().timestamp()))
    before = journal.read_bytes()
    ran = project.run("audit")
    assert ran.code == 2
    assert (
        "Unknown: the outcome of the last request for these addresses; the next apply finds it out.\n\n"
        "  assignment_source.a\n" in ran.out
    )
    assert "0 drifted, 0 gone, 0 unmanaged, 1 unknown" in ran.out
    assert journal.read_bytes() == before
    assert "finding out what happened to the last request for assignment_source.a" in project.run("refresh").err
    assert project.run("audit").code == 0


@pytest.mark.parametrize("command", [["audit"], ["refresh"], ["plan", "--refresh"]])
def test_an_api_that_can_not_be_used_ends_with_3(project, server, command):
    ran = project.run(*command, STATSIG_BASE_URL="http://127.0.0.1:9")
    assert ran.code == 3
    assert "http://127.0.0.1:9" in ran.err


def test_markdown_is_safe_in_an_issue(project, server):
    server.change("a", description="a | b `c` <b>@all</b>\n# d")
    ran = project.run("audit", "--markdown")
    assert ran.code == 2
    block = ran.out[ran.out.index("<details>") : ran.out.index("</details>")]
    assert block.splitlines()[2] == "```diff"
    assert block.splitlines()[-2] == "```"
    assert "-     mine\n+     a | b `c` <b>@all</b>\n+     # d\n" in block


ANA = "Ana Ruiz <ana@example.com>"


def test_who_changed_what_is_told_from_the_audit_log(project, server):
    server.change("a", by="Bob", description="bob's")
    server.change("a", by=ANA, description="theirs", team="Growth")
    server.delete("b", by="Eve\x07")
    ran = project.run("audit", "--who")
    assert ran.code == 2
    assert re.search(rf"(?m)^  assignment_source\.a: description, by {ANA}, 20\S+ \S+Z$", ran.out)
    assert re.search(rf"(?m)^  assignment_source\.a: team, by {ANA}, 20\S+ \S+Z$", ran.out)
    assert re.search(r"(?m)^  assignment_source\.b: gone, by Eve\\u0007, 20\S+ \S+Z$", ran.out)
    found = json.loads(project.run("audit", "--who", "--json").out)
    who = found["drift"][0]["fields"][0]["who"]
    assert (who["by"], who["email"], who["sure"]) == ("Ana Ruiz", "ana@example.com", True)
    assert found["gone"][0]["who"]["by"] == "Eve\x07"
    assert found["audit_log"] == {"problem": None}
    comment = project.run("audit", "--who", "--markdown", "--definitions").out
    assert re.search(rf"(?m)^# team: by {ANA}, 20\S+ \S+Z; a plan would not change it$", comment)


def test_who_set_the_hour_of_the_reload_is_told_by_a_name_as_it_was_sent(project, server):
    project.define("[assignment_source.a]\nscheduledReloadHour = 3\n[assignment_source.b]\n")
    project.apply("--overwrite", A)
    headers = {"STATSIG-API-KEY": "console-somebody", "X-Emulator-User": "Zoé <z@example.com>".encode()}
    url = f"{server.url}/console/v1/experiments/assignment_source/a"
    assert httpx.patch(url, json={"scheduledReloadHour": 4}, headers=headers).status_code == 200
    ran = project.run("audit", "--who")
    assert "scheduledReloadHour = 3 -> 4" in ran.out
    assert "by Zoé" in ran.out


def test_who_renamed_a_source_and_who_made_one_is_told(project, server):
    server.change("b", by=ANA, name="b\u202e", description="so that it does not look renamed")
    server.create("c", by="Bob")
    found = json.loads(project.run("audit", "--who", "--json").out)
    gone, (b, c) = found["gone"][0], found["unmanaged"]
    assert (gone["looks_renamed_to"], gone["who"]["by"], gone["who"]["renamed_to"]) == (None, "Ana Ruiz", "b\u202e")
    assert (b["name"], b["who"]["by"], b["who"]["renamed_from"]) == ("b\u202e", "Ana Ruiz", "b")
    assert (c["name"], c["who"]["by"]) == ("c", "Bob")
    text = project.run("audit", "--who").out
    assert re.search(rf"(?m)^  assignment_source\.b: gone, renamed to b\\u202e by {ANA}, 20\S+ \S+Z$", text)
    assert re.search(rf"(?m)^  assignment_source b\\u202e: renamed from b by {ANA}, 20\S+ \S+Z$", text)
    assert re.search(r"(?m)^  assignment_source c: created, by Bob, 20\S+ \S+Z$", text)
    markdown = project.run("audit", "--who", "--markdown").out
    assert re.search(rf"(?m)^\| `{B}` \| `b` \|  \| `renamed to b\\u202e by {ANA}, 20\S+ \S+Z` \|$", markdown)
    assert re.search(r"(?m)^\| `c` \| assignment_source \| `by Bob, 20\S+ \S+Z` \|$", markdown)


def test_an_audit_says_so_if_the_log_does_not_have_a_change(project, server, emulator):
    emulator(source("a", description="theirs"), source("c"))
    ran = project.run("audit", "--who")
    assert (ran.code, ran.err) == (2, "")
    assert f"  {A}: description, not in the audit log\n" in ran.out
    assert f"  {B}: gone, not in the audit log\n" in ran.out
    assert "  assignment_source c: created, not in the audit log\n" in ran.out


def test_a_clean_audit_does_not_read_the_audit_log(project, server):
    ran = project.run("audit", "--who")
    assert (ran.code, ran.out) == (0, project.run("audit").out)
    assert "audit_logs" not in server.calls("GET")
    assert json.loads(project.run("audit", "--who", "--json").out)["audit_log"] == {"problem": None}


def test_an_audit_goes_on_and_says_so_if_the_key_may_not_read_the_log(project, emulator):
    project.define('[assignment_source.a]\nadopt = true\ndescription = "mine"\n')
    server = emulator(source("a"), options=["--hide-log"])
    project.apply()
    server.change("a", description="theirs")
    ran = project.run("audit", "--who")
    assert (ran.code, ran.err) == (2, "")
    assert "Who, by the project's audit log:\n\n  It can't be read: " in ran.out
    assert "answered 403" in ran.out
    assert "403" in json.loads(project.run("audit", "--who", "--json").out)["audit_log"]["problem"]
    assert "audit log can't be read" in project.run("audit", "--who", "--markdown").out


def test_what_the_project_ignores_is_neither_unmanaged_nor_imported(project, emulator):
    emulator(source("a"), source("old_legacy"), source("my_legacy"), source("x"))
    project.define(
        "[audit]\nignore = ['*_legacy', '[xyz]']\n"
        "[assignment_source.a]\nadopt = true\n[assignment_source.my_legacy]\nadopt = true\n"
    )
    ran = project.run("import", "--all")
    assert (ran.code, ran.lines[-1].partition(". ")[0]) == (0, "Imported 2 sources")
    assert set(project.resources) == {A, "assignment_source.my_legacy"}
    assert project.run("audit").code == 0
    project.define(
        "[audit]\nignore = []\n[assignment_source.a]\nadopt = true\n[assignment_source.my_legacy]\nadopt = true\n"
    )
    assert "0 gone, 2 unmanaged" in project.run("audit").out


def test_what_moved_is_written_to_the_definitions_and_then_to_the_state(project, server):
    text = "# ours\r\n[assignment_source.a]\r\ndescription = 'mine' # keep\r\nname = 'a'\r\n"
    project.define("")
    (project.directory / "definitions").mkdir()
    (project.directory / "definitions/a.toml").write_bytes(f"{text}[assignment_source.b]\r\nteam = 't'\r\n".encode())
    server.change("a", description="theirs")
    server.change("b", team=None)
    ran = project.run("refresh", "--write", "--auto-approve")
    assert (ran.code, ran.err) == (0, "wrote definitions/a.toml\n")
    assert "Refresh: 2 to update in the state, 0 to remove from it, 2 to write to the definitions.\n" in ran.out
    assert "  -description = 'mine' # keep\n  +description = \"theirs\" # keep\n" in ran.out
    written = text.replace("'mine'", '"theirs"') + '[assignment_source.b]\r\nclear = ["team"]\r\n'
    assert project.files["definitions/a.toml"].decode() == written
    assert project.run("plan").out == NO_CHANGES
    assert project.run("refresh", "--write").out == "No drift: the remote matches the state.\n"


def test_a_query_that_moved_is_written_to_its_file_and_a_plan_is_empty(project, emulator):
    remote = emulator(source("a", sql="SELECT 1\r\nFROM ${var.t}\r\n"), source("b"))
    project.define("")
    assert project.run("import", "--all", "--sql-files").code == 0
    project.age()
    path = project.directory / "definitions/sql/a.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    remote.replace("a", sql="SELECT 2\nFROM ${var.t}\n")
    remote.replace("b", sql="SELECT 3")
    ran = project.run("refresh", "--write", "--auto-approve")
    assert (ran.code, ran.err) == (0, "wrote definitions/sql/a.sql\nwrote definitions/sql/b.sql\n")
    assert "  -SELECT 1\n  +SELECT 2\n   FROM $${var.t}\n" in ran.out
    assert path.read_bytes() == b"SELECT 2\r\nFROM $${var.t}\r\n\r\n"
    assert project.run("plan").out == NO_CHANGES


def test_a_query_that_another_environment_has_too_is_not_written(project, emulator):
    remote = emulator(source("a"))
    project.define("")
    assert project.run("import", "--all", "--sql-files").code == 0
    project.age()
    project.write("environments/broken.toml", "[")
    project.write("environments/staging.toml", '[assignment_source.b]\nsql_file = "../definitions/sql/a.sql"\n')
    remote.replace("a", sql="SELECT 2")
    before = project.files["definitions/sql/a.sql"]
    ran = project.run("refresh", "--write", "--auto-approve")
    assert ran.code == 1
    assert "assignment_source.a: sql is not written to the definitions: " in ran.err
    assert project.files["definitions/sql/a.sql"] == before


def test_what_an_answer_showed_of_others_changes_is_written_to_the_definitions(project, server):
    server.change("a", description="theirs")
    project.define('[assignment_source.a]\ndescription = "mine"\nteam = "u"\n[assignment_source.b]\nteam = "t"\n')
    assert project.run("apply", "--auto-approve", "--no-check-drift").code == 1
    assert project.resources[A]["unconfirmed"] == {"description": "mine"}
    ran = project.run("refresh", "--write", "--auto-approve")
    assert (ran.code, ran.err) == (0, "wrote statform.toml\n")
    assert b'description = "theirs"\nteam = "u"\n' in project.files["statform.toml"]
    assert project.resources[A]["unconfirmed"] == {}
    assert project.run("plan").out == NO_CHANGES


def test_a_refresh_names_what_can_not_be_written_and_writes_the_rest(project, server):
    project.define(
        '[variables]\nx = "mine"\n[assignment_source.a]\ndescription = "${var.x}"\n[assignment_source.b]\nteam = "t"\n'
    )
    server.change("a", description="theirs")
    server.change("b", team="u")
    ran = project.run("refresh", "--write", "--auto-approve")
    assert ran.code == 1
    assert (
        "Warning: assignment_source.a: description is not written to the definitions: its value in the definition has "
        in ran.err
    )
    assert 'description = "${var.x}"\n[assignment_source.b]\nteam = "u"\n' in project.files["statform.toml"].decode()
    assert project.run("plan").last == "Plan: 1 to update, 1 unchanged."


def test_a_comment_on_an_audit_tells_what_nobody_knows_and_what_is_damaged(project, server):
    with store.open(project.directory / "statform.state.json", "apply") as session:
        session.record(Intent(Address(A), "PATCH", "a", {}, {"team": "x"}, Clock().timestamp()))
        session.commit("failed")
    assert f"| outcome unknown |\n| --- |\n| `{A}` |\n" in project.run("audit", "--markdown").out
    journal = project.directory / "statform.state.journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"failed"', b'"Failed"'))
    ran = project.run("audit", "--markdown")
    assert ran.code == 1
    assert ran.out.splitlines()[-1].startswith("Journal: **damaged**, `")


def test_a_definition_that_changed_while_the_question_stood_is_not_written(project, server):
    server.change("a", description="theirs")
    before = project.files
    command = [str(STATFORM), "refresh", "--write"]
    with at_terminal(command, project.directory, project.environ | {"TERM": "xterm"}) as terminal:
        terminal.expect("Enter a value: ")
        project.define("# somebody else's\n")
        terminal.type("yes\n")
        assert terminal.end() == 1
    assert "changed in the meantime; the state was not changed" in " ".join(terminal.shown.split())
    now = project.files
    assert now.pop("statform.toml") == b"[statform]\n\n# somebody else's\n"
    assert now == {name: content for name, content in before.items() if name != "statform.toml"}


def test_definitions_that_can_not_be_written_leave_the_state_as_it_was(project, server):
    project.define("")
    project.write("definitions/a.toml", '[assignment_source.a]\ndescription = "mine"\n[assignment_source.b]\n')
    server.change("a", description="theirs")
    before = project.files
    (project.directory / "definitions").chmod(0o555)
    ran = project.run("refresh", "--write", "--auto-approve", under=without_rights())
    (project.directory / "definitions").chmod(0o755)
    assert ran.code == 1
    assert re.search(r"definitions/a\.toml: .*; the state was not changed\n", ran.err)
    assert project.files == before


def test_nothing_is_written_without_approval(project, server):
    server.change("a", description="theirs")
    before = project.files
    ran = project.run("refresh", "--write")
    assert ran.code == 1
    assert project.files == before
