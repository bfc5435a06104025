"""`plan --markdown` and `--github`, as a workflow runs them."""

from __future__ import annotations

import re

from command import source

WORKFLOW = {"GITHUB_ACTIONS": "true"}


def test_a_plan_is_a_comment_and_in_the_job_s_summary(project):
    project.define('[assignment_source.a]\nadopt = true\ndescription = "x"\n')
    summary = project.write("summary.md", "before\n")
    ran = project.run("plan", "--markdown", "--github", **WORKFLOW, GITHUB_STEP_SUMMARY=str(summary))
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[:2] == [
        "<!-- statform plan . -->",
        "**statform plan:** 1 to adopt.",
    ]
    assert summary.read_text() == "before\n" + ran.out
    plain = project.run("plan", "--github", **WORKFLOW, GITHUB_STEP_SUMMARY=str(summary))
    assert plain.out.startswith("statform will perform these actions")
    assert summary.read_text().count("**statform plan:**") == 2


def test_errors_are_shown_beside_their_lines(project):
    project.define("[assignment_source.a]\ntag = 1\n")
    where = {**WORKFLOW, "GITHUB_WORKSPACE": str(project.directory.parent)}
    for command in ("plan", "validate"):
        ran = project.run(command, "--github", **where)
        assert ran.code == 1
        assert "\n::error title=statform,file=project/statform.toml,line=4,col=1,endColumn=4::unknown field" in ran.err
    assert "file=statform.toml" in project.run("plan", "--github", **WORKFLOW).err


def test_a_workspace_that_is_named_through_a_link_is_the_same_one(project, tmp_path):
    project.define("[assignment_source.a]\ntag = 1\n")
    link = tmp_path / "link"
    link.symlink_to(project.directory.parent, target_is_directory=True)
    for directory, workspace in ((project.directory, link), (link / "project", project.directory.parent)):
        ran = project.run("plan", "-C", str(directory), "--github", **WORKFLOW, GITHUB_WORKSPACE=str(workspace))
        assert "file=project/statform.toml," in ran.err


def test_the_github_option_does_nothing_outside_of_github_actions(project):
    project.define("[assignment_source.a]\ntag = 1\n")
    assert "::error" not in project.run("plan", "--github").err
    assert "::error" not in project.run("plan", **WORKFLOW).err


def test_a_comment_says_what_it_was_made_from_and_is_found_again(project, emulator):
    emulator(source("a"))
    project.define('[assignment_source.a]\nadopt = true\ndescription = "x"\n')
    assert "There is no state yet; it will be `statform.state.json`. Offline:" in project.run("plan", "--markdown").out
    project.apply()
    project.write("environments/prod--x.toml", "[statform]\nstate = 'prod.json'\n")
    first, _, _, origin = project.run("plan", "--markdown").lines
    assert re.fullmatch(
        r"From `statform\.state\.json`, serial 1, last changed \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\. "
        r"Offline: changes that others made in Statsig since then are not included\.",
        origin,
    )
    assert "Offline" not in project.run("plan", "--markdown", "--refresh").out
    other = project.run("plan", "--markdown", "--env", "prod--x").lines[0]
    assert (first, other) == ("<!-- statform plan . -->", "<!-- statform plan . prod-&#45;x -->")
    in_git = project.shell(
        "git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -q -m m && statform plan --markdown"
    )
    assert re.search(r"Definitions of commit `[0-9a-f]{12}`\.", in_git.out)


def test_a_plan_that_failed_is_a_comment_too(project):
    project.define("[assignment_source.a]\ntag = 1\n")
    ran = project.run("plan", "--markdown")
    assert ran.code == 1
    assert ran.lines[:6] == [
        "<!-- statform plan . -->",
        "**statform plan failed:** 1 error.",
        "",
        "```text",
        'Error: unknown field "tag"',
        "  statform.toml:4:1, assignment_source.a, field tag",
    ]
    assert ran.err.startswith('Error: unknown field "tag"\n')
    project.write("statform.state.json", "")
    project.define("")
    ran = project.run("plan", "--markdown")
    assert ran.code == 1
    assert ran.lines[1] == "**statform plan failed.**"
    assert ran.lines[-1] == "```"


def test_errors_of_any_number_fit_into_a_comment(project):
    project.define("".join(f"[assignment_source.a{n}]\n{'x' * 200} = {n}\n" for n in range(400)))
    ran = project.run("plan", "--markdown")
    assert (ran.code, len(ran.out) < 65_536) == (1, True)
    assert re.fullmatch(r"… and [\d,]+ more lines\.", ran.last)
