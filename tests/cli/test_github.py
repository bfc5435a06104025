"""`plan --markdown` and `--github`, as a workflow runs them."""

from __future__ import annotations

WORKFLOW = {"GITHUB_ACTIONS": "true"}


def test_a_plan_is_a_comment_and_in_the_job_s_summary(project):
    project.define('[assignment_source.a]\ndescription = "x"\n')
    summary = project.write("summary.md", "before\n")
    ran = project.run("plan", "--markdown", "--github", **WORKFLOW, GITHUB_STEP_SUMMARY=str(summary))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("**statform plan:** 1 to adopt")
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


def test_elsewhere_it_does_nothing(project):
    project.define("[assignment_source.a]\ntag = 1\n")
    assert "::error" not in project.run("plan", "--github").err
    assert "::error" not in project.run("plan", **WORKFLOW).err
