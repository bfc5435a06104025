"""Who asked for a run, by the variables of each CI."""

from __future__ import annotations

import pytest

from planner.apply.origin.ci import tell_run

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "ana",
    "GITHUB_TRIGGERING_ACTOR": "bo",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/infra",
    "GITHUB_RUN_ID": "42",
    "GITHUB_REF": "refs/heads/main",
}
RUN = "https://github.com/acme/infra/actions/runs/42"


def test_nobody_is_told_of_where_there_is_no_ci():
    # The names are Jenkins' and Atlantis', without what only these set.
    assert tell_run({"BUILD_USER_ID": "ana", "USER_NAME": "ana", "PULL_URL": "https://x"}) == (None, None)


def test_on_github_it_is_who_started_this_run_and_not_the_first_one():
    assert tell_run(GITHUB) == ("bo", {"url": RUN})
    of_a_pull_request = GITHUB | {"GITHUB_REF": "refs/pull/7/merge"}
    assert tell_run(of_a_pull_request)[1] == {"url": RUN, "pull_request": "https://github.com/acme/infra/pull/7"}


@pytest.mark.parametrize(
    ("environ", "actor", "run"),
    [
        (
            {
                "GITLAB_CI": "true",
                "GITLAB_USER_LOGIN": "ana",
                "CI_JOB_URL": "https://gitlab.com/acme/infra/-/jobs/9",
                "CI_MERGE_REQUEST_PROJECT_URL": "https://gitlab.com/acme/infra",
                "CI_MERGE_REQUEST_IID": "7",
            },
            "ana",
            {
                "url": "https://gitlab.com/acme/infra/-/jobs/9",
                "pull_request": "https://gitlab.com/acme/infra/-/merge_requests/7",
            },
        ),
        (
            {"ATLANTIS_TERRAFORM_VERSION": "1.9.0", "USER_NAME": "ana", "PULL_NUM": "7", "PULL_URL": "https://x/pull/7"},
            "ana",
            {"pull_request": "https://x/pull/7"},
        ),
        (
            {
                "BUILDKITE": "true",
                "BUILDKITE_BUILD_CREATOR": "ana",
                "BUILDKITE_UNBLOCKER": "bo",
                "BUILDKITE_BUILD_URL": "https://buildkite.com/acme/infra/builds/9",
                "BUILDKITE_JOB_ID": "j",
                "BUILDKITE_PULL_REQUEST": "false",
            },
            "ana",
            {"url": "https://buildkite.com/acme/infra/builds/9#j", "approved_by": "bo"},
        ),
        (
            {"CIRCLECI": "true", "CIRCLE_USERNAME": "ana", "CIRCLE_BUILD_URL": "https://circleci.com/9"},
            "ana",
            {"url": "https://circleci.com/9"},
        ),
        (
            {"JENKINS_URL": "https://ci/", "BUILD_URL": "https://ci/9", "BUILD_USER_ID": "ana", "CHANGE_URL": "https://x/7"},
            "ana",
            {"url": "https://ci/9", "pull_request": "https://x/7"},
        ),
        ({"JENKINS_URL": "https://ci/", "BUILD_URL": "https://ci/9"}, None, {"url": "https://ci/9"}),
    ],
)  # fmt: skip
def test_what_each_ci_tells(environ, actor, run):
    assert tell_run(environ) == (actor, run)


def test_what_a_job_sets_itself_goes_first_and_the_command_line_before_all():
    own = {"STATFORM_ACTOR": "cy", "STATFORM_PULL_REQUEST": "https://x/8", "STATFORM_APPROVED_BY": "di, ed"}
    assert tell_run(GITHUB | own) == ("cy", {"url": RUN, "pull_request": "https://x/8", "approved_by": "di, ed"})
    assert tell_run(GITHUB | own, "fay")[0] == "fay"
    # An empty variable is what an expression of a workflow leaves that has nothing to say.
    assert tell_run(GITHUB | {"STATFORM_ACTOR": "", "STATFORM_APPROVED_BY": " "}) == ("bo", {"url": RUN})


def test_what_is_told_is_text_of_a_bounded_length_and_no_template():
    assert tell_run(GITHUB | {"GITHUB_TRIGGERING_ACTOR": "a\udcff{GITHUB_RUN_ID}"})[0] == "a\ufffd{GITHUB_RUN_ID}"
    assert tell_run({}, "a" * 10_000)[0] == "a" * 500
