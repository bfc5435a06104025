"""The journal's record of who runs what, where, and with which definitions."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping

from planner.apply.origin.ci import tell_run
from planner.definitions.definition import Definitions
from planner.version import __version__
from state.records import Begin


def make_begin(
    plan: str | None,
    definitions: Definitions,
    environ: Mapping[str, str],
    at: str,
    *,
    asked_by: str | None,
    commit: str | None,
    base_url: str | None,
    project: str | None,
) -> Begin:
    """The record with which a run starts at the time `at`; `plan` is the digest of its plan.

    `project` is the ID of the Statsig project that it reached at `base_url`, `asked_by` who is named on its command
    line.
    """
    try:
        who = getpass.getuser()
    except (KeyError, OSError):
        who = f"uid {os.getuid()}"
    # Any JSON reader must be able to read the journal, but an environment may have bytes that are not text.
    who, host = (os.fsencode(text).decode("utf-8", "replace") for text in (who, os.uname().nodename))
    actor, run = tell_run(environ, asked_by)
    return Begin(
        plan,
        who,
        host,
        __version__,
        commit,
        at,
        actor=actor,
        run=run,
        base_url=base_url,
        project=project,
        environment=definitions.environment,
        definitions=definitions.digest,
    )
