"""`statform doctor`: checks the set-up, with a line for each check.

It changes nothing, does not wait for other runs, and shows nothing of the key.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import frozen

from planner.apply.origin.git import find_commit
from planner.audit.drift import types_in_use
from planner.clock import as_timestamp
from planner.commands.common import Invocation
from planner.console.answers import UnusableAnswer, decode, http_date
from planner.console.api import AUDIT_LOGS, EXPERIMENTS, PROJECT
from planner.console.key import read_key
from planner.definitions.project import Project
from planner.definitions.resources import RESOURCE_TYPES, ResourceType
from planner.errors import KeyRefused, PlannerError, Unreachable
from planner.escape import escape
from planner.render.style import Style, format_time
from planner.version import __version__
from state import store
from state.errors import StateError
from state.places.place import LocalPlace
from state.runs import open_run

if TYPE_CHECKING:
    from planner.apply.run import Run
    from planner.console.answers import Answer
    from planner.console.client import Client
    from state.storage import Place

Level: TypeAlias = Literal["ok", "warning", "problem"]

_CLOCKS_DIFFER_BY = timedelta(seconds=60)
_COLOURS = {"ok": "32", "warning": "33", "problem": "31"}


@frozen
class Fact:
    """The result of one check; `exit_code` is the exit code if this were the only result."""

    level: Level
    subject: str
    text: str
    exit_code: int = 0


def examine(invocation: Invocation, base_url: str) -> int:
    """Look at everything and say what was found; the exit code is 1 for what is wrong here, else 3 for the API."""
    codes = [0]
    for found in _findings(invocation, base_url):
        codes.append(found.exit_code)
        invocation.output.out(_line(found, invocation.output.out_style))
    return 1 if 1 in codes else max(codes)


def _line(found: Fact, style: Style) -> str:
    level = style.paint(found.level, _COLOURS[found.level]) + " " * (9 - len(found.level))
    return f"{level}{found.subject}: {escape(found.text)}\n"


def _findings(invocation: Invocation, base_url: str) -> Iterator[Fact]:
    yield Fact("ok", "versions", _versions())
    project = None
    # A check that fails ends no other one: whoever asks the doctor may have several faults at once.
    try:
        project = invocation.open_project()
    except PlannerError as error:
        yield _failed("project", error)
    if project is not None:
        yield _definitions(project)
        yield _guarded("git", lambda: _git(project))
        yield _guarded("state", lambda: _state(invocation.find_place(project)))
        yield _guarded("lock", lambda: _lock(invocation.find_place(project)))
    yield from _remote(invocation, base_url, project)


def _versions() -> str:
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return f"statform {__version__}, {python}, httpx {importlib.metadata.version('httpx')}"


def _guarded(subject: str, look: Callable[[], Fact]) -> Fact:
    try:
        return look()
    except (PlannerError, StateError) as error:
        return _failed(subject, error)


def _failed(subject: str, error: PlannerError | StateError) -> Fact:
    return Fact("problem", subject, " ".join(str(error).split("\n")), error.exit_code)


def _definitions(project: Project) -> Fact:
    definitions = project.definitions
    where = f" in the environment {definitions.environment}" if definitions.environment else ""
    return Fact("ok", "project", f"{Path(project.directory).resolve()} defines {len(definitions.resources)}{where}")


def _git(project: Project) -> Fact:
    if shutil.which("git") is None:
        return Fact("warning", "git", "not installed; the journal can't name the commit of the definitions")
    commit = find_commit(project.directory, project.definitions.texts)
    if commit is None:
        return Fact("warning", "git", "no commit has the definitions as they are now, so the journal can't name one")
    return Fact("ok", "git", f"commit {commit[:12]} has the definitions as they are now")


def _state(place: Place) -> Fact:
    name, chain, snapshot = str(place), store.verify(place), store.read(place)
    if chain is None:
        return Fact("ok", "state", f"none yet; it will be {name}")
    told = f"{name} has {len(snapshot.resources)}, serial {snapshot.serial}, and its journal makes it"
    if snapshot.unresolved:
        unresolved = ", ".join(snapshot.unresolved)
        return Fact("warning", "state", f"{told}; the next apply finds out what happened to {unresolved}")
    return Fact("ok", "state", told)


def _lock(place: Place) -> Fact:
    if not isinstance(place, LocalPlace):
        return _shared_lock(place)
    try:
        holder = place.lock_holder()
    except StateError as error:
        return _failed("lock", error)
    if holder is not None:
        return Fact("warning", "lock", f"another run has the state: {holder}")
    return Fact("ok", "lock", "free")


def _shared_lock(place: Place) -> Fact:
    """Nothing of it is locked: a run is under way, or died, until its journal has an end."""
    chain = store.verify(place)
    if chain is None or (who := open_run(chain)) is None:
        return Fact("ok", "lock", "no run has the state, and there is nothing to unlock")
    return Fact("warning", "lock", f"a run has the state: {who}; if it died, the next run takes over by itself")


def _remote(invocation: Invocation, base_url: str, project: Project | None) -> Iterator[Fact]:
    try:
        read_key(os.environ)
    except PlannerError as error:
        yield _failed("key", error)
        return
    source = "STATSIG_API_KEY" if os.environ.get("STATSIG_API_KEY") else "the file of STATSIG_API_KEY_FILE"
    yield Fact("ok", "key", f"a Console API key is in {source}")
    if project is None:
        return
    with invocation.start_run(base_url, project) as run:
        yield from _api(run, base_url)


def _api(run: Run, base_url: str) -> Iterator[Fact]:
    try:
        client = run.connect()
    except PlannerError as error:
        yield _failed("api", error)
        return
    proxy = f"through {client.proxy}" if client.proxy else "none"
    yield Fact("ok", "proxy", f"{proxy}; the API is {base_url}")
    try:
        asked = datetime.now(timezone.utc)
        answer = client.ask(PROJECT)
    except Unreachable as error:
        yield _failed("api", error)
        return
    yield _clock(answer, asked)
    yield from _rights(client, answer, _types(run))


def _types(run: Run) -> tuple[ResourceType, ...]:
    """Those of which it matters what the key may; of a state that can't be read it was said."""
    with suppress(StateError):
        return types_in_use(run.definitions, store.read(run.place))
    return ()


def _clock(answer: Answer, asked: datetime) -> Fact:
    if (theirs := http_date(answer.headers.get("date", ""))) is None:
        return Fact("warning", "clock", "the API does not send the time, so this machine's clock can't be checked")
    behind, now = theirs - asked, format_time(as_timestamp(asked, "seconds"))
    if abs(behind) > _CLOCKS_DIFFER_BY:
        seconds = round(abs(behind).total_seconds())
        where = "behind" if behind > timedelta(0) else "ahead of"
        return Fact(
            "warning", "clock", f"{now} here, {seconds:,} s {where} the API's; the journal uses this machine's time"
        )
    return Fact("ok", "clock", f"{now}, the same as the API's")


def _rights(client: Client, project: Answer, types: tuple[ResourceType, ...]) -> Iterator[Fact]:
    if project.status == 401:
        text = f"refused (401) by the API: {client.message(project)}"
        yield Fact("problem", "key", text, KeyRefused.exit_code)
        return
    yield _project_id(client, project)
    # One entry is enough: what is asked is whether the key may, and a page costs the API less.
    for type_ in types or tuple(RESOURCE_TYPES.values()):
        may = _may(client, f"{type_.list_path}?limit=1&page=1", f"list sources of the type {type_.name}")
        # Without this nothing works; the others are for what a change touches, and for who made it.
        yield Fact("problem", may.subject, may.text, KeyRefused.exit_code) if may.level == "warning" else may
    yield _may(client, f"{EXPERIMENTS}?limit=1&page=1", "read experiments, for what a change touches")
    yield _may(client, f"{AUDIT_LOGS}?limit=1&page=1", "read the project's audit log, for `audit --who`")


def _project_id(client: Client, answer: Answer) -> Fact:
    if answer.status != 200:
        text = f"the Statsig project's ID can't be read ({answer.status}): {client.message(answer)}"
        return Fact("warning", "key", text)
    with suppress(UnusableAnswer):
        data = decode(answer.content).get("data")
        if isinstance(data, dict) and isinstance(id_ := data.get("id"), str):
            return Fact("ok", "key", f"the key belongs to the Statsig project {id_}")
    return Fact("warning", "key", "the API does not say the ID of the Statsig project")


def _may(client: Client, path: str, what: str) -> Fact:
    try:
        answer = client.ask(path)
    except Unreachable as error:
        return _failed("key", error)
    if answer.status == 200:
        return Fact("ok", "key", f"may {what}")
    return Fact("warning", "key", f"may not {what} ({answer.status}): {client.message(answer)}")
