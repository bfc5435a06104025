"""`--html FILE` of `statform audit` and `statform history`: what gets into the page, and how the file is written."""

from __future__ import annotations

import json
import os
import re

import pytest
from command import source, without_rights

DEFINED = '[assignment_source.a]\nadopt = true\ndescription = "{}"\n'
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e"
ESCAPED = "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;\\u202e"


@pytest.fixture
def server(project, emulator):
    """A source that was adopted, and then changed behind our back."""
    found = emulator(source("a"), source(HOSTILE))
    project.define(DEFINED.format("mine"))
    project.apply()
    found.change("a", description=HOSTILE)
    return found


def page(project, name="report.html") -> str:
    return (project.directory / name).read_text(encoding="utf-8")


def tables(project) -> list[str]:
    """The text of each table, cells parted by a bar."""
    found = re.findall(r"<table.*?</table>", page(project), re.DOTALL)
    cells = [re.findall(r"<t[dh].*?>(.*?)</t[dh]>", table, re.DOTALL) for table in found]
    return ["|".join(re.sub(r"<.*?>", "", cell) for cell in row) for row in cells]


def test_an_audit_writes_the_page_besides_what_it_shows(project, server):
    shown = project.run("audit")
    ran = project.run("audit", "--html", "report.html", "--definitions")
    assert ran.code == shown.code == 2
    assert ran.out.startswith(shown.out[: shown.out.index("Unmanaged:")])
    assert ran.err == "wrote report.html\n"
    drift, unmanaged, _plot, timeline, managed = tables(project)
    assert drift.endswith(f"assignment_source.a|description|&#34;mine&#34;|&#34;{ESCAPED}&#34;|undo it")
    assert unmanaged == f"Name|Type|{ESCAPED}|assignment_source"
    assert "|assignment_source.a|description|&#34;&#34;|&#34;mine&#34;|appliedadopt, 0." in timeline
    assert managed.endswith("|1")
    head = json.loads(project.files["statform.state.json"])["head"]
    assert f"statform history --verify --expect {head}" in page(project)
    assert server.url in page(project)
    assert project.run("history", "--verify", "--expect", head).code == 0


def test_a_form_for_tools_goes_to_stdout_all_the_same(project, server):
    ran = project.run("audit", "--json", "--html", "report.html")
    assert ran.code == 2
    assert json.loads(ran.out)["clean"] is False
    ran = project.run("history", "--json", "--html", "report.html")
    assert (ran.code, len(ran.out.splitlines())) == (0, 1)


def test_a_history_writes_the_page_instead_of_the_lines_and_needs_no_key(project, server):
    ran = project.run("history", "--html", "report.html", STATSIG_API_KEY="", STATSIG_BASE_URL="")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "wrote report.html\n1 of 1 change.\n"
    _plot, timeline, managed = tables(project)
    assert timeline.startswith("Time|Source|Field|From|To|Outcome|")
    assert managed.startswith("Source|Last change|By|Changes|assignment_source.a|")
    assert "drift" not in re.sub(r"(?s)<(style|script)>.*?</\1>", "", page(project)).lower()


def test_the_page_is_called_as_the_project_is_in_its_repository(project, server):
    (project.directory / ".git").mkdir()
    project.write("sources/statform.toml", "")
    assert project.run("-C", "sources", "history", "--html", "report.html").code == 0
    title = f"{project.directory.name}/sources"
    assert f"<h1>{title}</h1>" in page(project)
    assert f"<title>statform history of {title}, " in page(project)


def test_a_selection_is_named_in_the_page(project, server):
    ran = project.run("history", "--since", "2026-01-01", "--until", "2026-01-02", "--html", "report.html")
    assert (ran.code, ran.err) == (0, "wrote report.html\n0 of 1 change.\n")
    assert "Only changes since 2026-01-01 00:00:00Z, before 2026-01-03 00:00:00Z. There is none." in page(project)


def test_a_project_without_a_state_has_a_page(project):
    project.define("")
    ran = project.run("history", "--html", "report.html")
    assert (ran.code, ran.out) == (0, "")
    assert "There is no state yet, so there is nothing to verify." in page(project)


def test_a_newer_page_replaces_an_older_one_whole(project, server):
    project.write("report.html", "<!doctype html>" + "x" * 1_000_000)
    assert project.run("audit", "--html", "report.html").code == 2
    assert page(project).startswith("<!doctype html>")
    assert page(project).endswith("</html>\n")
    assert [name for name in project.files if name.endswith(".tmp")] == []


def test_the_page_goes_where_a_link_leads(project, server):
    (project.directory / "reports").mkdir()
    (project.directory / "report.html").symlink_to("reports/latest.html")
    assert project.run("history", "--html", "report.html").code == 0
    assert (project.directory / "report.html").is_symlink()
    assert page(project, "reports/latest.html").startswith("<!doctype html>")


def test_the_file_is_named_from_where_the_command_runs(project, server, tmp_path):
    ran = project.run("-C", str(project.directory), "history", "--html", "here.html", cwd=tmp_path)
    assert ran.code == 0
    assert (tmp_path / "here.html").exists()
    assert f"<h1>{project.directory.name}</h1>" in (tmp_path / "here.html").read_text()


def test_what_can_not_be_written_is_an_error_and_leaves_the_old_page(project, server):
    project.write("sub/report.html", "<!doctype html>old")
    (project.directory / "sub").chmod(0o555)
    os.mkfifo(project.directory / "pipe")
    for name, why in (
        ("no/report.html", "No such file or directory"),
        ("pipe", "not a regular file"),
        ("sub/report.html", "Permission denied"),
        ("statform.toml/x", "Not a directory"),
    ):
        ran = project.run("history", "--html", name, under=without_rights())
        assert (ran.code, ran.out, ran.err) == (1, "", f"Error: --html {name}: {why}\n")
    assert page(project, "sub/report.html") == "<!doctype html>old"
    assert project.run("history", "--html", "sub").code == 1


def test_of_a_damaged_journal_an_audit_tells_and_a_history_makes_no_page(project, server):
    path = project.directory / "statform.state.journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"mine"', b'"yore"', 1))
    ran = project.run("audit", "--html", "report.html")
    assert ran.code == 1
    assert "<strong>The journal is damaged. " in page(project)
    assert "--expect" not in page(project)
    (project.directory / "report.html").unlink()
    ran = project.run("history", "--html", "report.html")
    assert ran.code == 1
    assert "report.html" not in project.files


def test_a_page_is_no_proof_and_a_proof_no_page(project, server):
    ran = project.run("history", "--verify", "--html", "report.html")
    assert (ran.code, ran.out) == (1, "")
    assert "--html can't be used with --verify" in ran.err
    assert "report.html" not in project.files
