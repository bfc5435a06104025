"""Who asked for a run, and its URLs, as a CI says in its environment variables.

Pure: the environment is an argument, and only the variables that are named here are read. None of it is proved, and
every output that shows it says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from state.values import Object

_LONGEST = 500
"""Characters of one value that are kept."""


class _Ci(NamedTuple):
    """One CI: `sign` is a variable that nothing else sets. The rest are texts with the names of variables in braces.

    If there are several texts, the first one whose variables are all set is used.
    """

    sign: str
    actor: tuple[str, ...]
    url: tuple[str, ...] = ()
    pull_request: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()


_GITHUB = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}"
_CIS = (
    # First: a person set these, so they win over the CI's own.
    _Ci(
        sign="",
        actor=("{STATFORM_ACTOR}",),
        url=("{STATFORM_RUN_URL}",),
        pull_request=("{STATFORM_PULL_REQUEST}",),
        approved_by=("{STATFORM_APPROVED_BY}",),
    ),
    # https://www.runatlantis.io/docs/custom-workflows: the environment of a `run` step.
    _Ci(sign="ATLANTIS_TERRAFORM_VERSION", actor=("{USER_NAME}",), pull_request=("{PULL_URL}", "{PULL_NUM}")),
    # https://docs.github.com/en/actions/reference/workflows-and-actions/variables
    _Ci(
        sign="GITHUB_ACTIONS",
        actor=("{GITHUB_TRIGGERING_ACTOR}", "{GITHUB_ACTOR}"),
        url=(f"{_GITHUB}/actions/runs/{{GITHUB_RUN_ID}}",),
        pull_request=(f"{_GITHUB}/pull/{{PULL_OF_GITHUB_REF}}",),
    ),
    # https://docs.gitlab.com/ci/variables/predefined_variables/: of a manual job, the login is of who started it.
    _Ci(
        sign="GITLAB_CI",
        actor=("{GITLAB_USER_LOGIN}",),
        url=("{CI_JOB_URL}",),
        pull_request=("{CI_MERGE_REQUEST_PROJECT_URL}/-/merge_requests/{CI_MERGE_REQUEST_IID}",),
    ),
    # https://buildkite.com/docs/pipelines/configure/environment-variables
    _Ci(
        sign="BUILDKITE",
        actor=("{BUILDKITE_BUILD_CREATOR}", "{BUILDKITE_BUILD_AUTHOR}"),
        url=("{BUILDKITE_BUILD_URL}#{BUILDKITE_JOB_ID}", "{BUILDKITE_BUILD_URL}"),
        pull_request=("{BUILDKITE_PULL_REQUEST}",),
        approved_by=("{BUILDKITE_UNBLOCKER}",),
    ),
    # https://circleci.com/docs/reference/variables/
    _Ci(
        sign="CIRCLECI",
        actor=("{CIRCLE_USERNAME}",),
        url=("{CIRCLE_BUILD_URL}",),
        pull_request=("{CIRCLE_PULL_REQUEST}",),
    ),
    # The names of people come from the plugin "build user vars", those of changes from multibranch pipelines.
    _Ci(
        sign="JENKINS_URL",
        actor=("{BUILD_USER_ID}", "{BUILD_USER}"),
        url=("{BUILD_URL}",),
        pull_request=("{CHANGE_URL}",),
    ),
)


def tell_run(environ: Mapping[str, str], actor: str | None = None) -> tuple[str | None, Object | None]:
    """Who asked for the run, and `url`, `pull_request` and `approved_by` of it as far as they are told; None: nothing.

    `actor` is whom the command line names, before all others.
    """
    known = {name: text for name, text in environ.items() if text.strip() and text != "false"}
    if pull := re.fullmatch(r"refs/pull/(\d+)/.*", known.get("GITHUB_REF", "")):
        known["PULL_OF_GITHUB_REF"] = pull[1]
    told: dict[str, str] = {} if actor is None else {"actor": _as_text(actor)}
    for ci in (ci for ci in _CIS if not ci.sign or ci.sign in known):
        for fact in ("actor", "url", "pull_request", "approved_by"):
            if fact not in told and (text := _first_filled(getattr(ci, fact), known)):
                told[fact] = text
    who = told.pop("actor", None)
    return who, {**told} or None


def _first_filled(texts: tuple[str, ...], known: Mapping[str, str]) -> str | None:
    for text in texts:
        if all(name in known for name in re.findall(r"{(\w+)}", text)):
            return _as_text(text.format_map(known))
    return None


def _as_text(text: str) -> str:
    """As the journal can hold it: an environment may have bytes that are no text."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()[:_LONGEST]
