"""`statform state push` and `pull`: the state moves to a place that several machines share, and a copy comes back."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import tomli

from planner.apply.run import Run
from planner.commands.common import Invocation
from planner.definitions.definition import overlay_file
from planner.definitions.settings import SETTINGS_FILE
from planner.errors import UsageError
from planner.escape import escape
from planner.files import write_file
from planner.output import Terminal
from state import moving
from state.errors import WrongState
from state.places.place import LocalPlace
from state.records import Sealed

_HEADER = re.compile(r"(?m)^[ \t]*\[[ \t]*statform[ \t]*\][^\n]*\n")


def push(run: Run, terminal: Terminal, environment: str | None) -> int:
    """Move the project's state to where STATFORM_STATE says, and let the settings say so; the exit code.

    Raises:
        UsageError: STATFORM_STATE is no URL, or the settings can't be written.
        StateError: another state is there, or one of the places refuses.
    """
    to, shared = run.place, run.definitions.settings.shared
    if isinstance(to, LocalPlace):
        raise UsageError("STATFORM_STATE must be a URL such as s3://BUCKET/PREFIX: it says where the state goes")
    file = Path(run.project.directory) / (SETTINGS_FILE if environment is None else overlay_file(environment))
    local = LocalPlace(run.project.state_path, patience_s=run.patience_s or 0.0, told=run.output.tell_waiting)
    with run.interrupts.caught(), run.open_state("state push", local) as session:
        if not session.snapshot.head:
            if shared is not None:
                raise UsageError(f"nothing to push: this project's state is shared already, and {local} does not exist")
            session.record(run.begin(None))
            session.commit("ok")
        lineage = session.snapshot.lineage
        if shared not in (None, lineage):
            what = f"the settings name the lineage {shared}, and this state has {lineage}"
            raise WrongState(str(local), what, "Nothing was changed. It is the state of another project.")
        text = _with_lineage(file, lineage)
        with run.interrupts.shield():
            moving.push(session, local, to)
            _write(file, text)
            session.record(Sealed(str(to), run.clock.timestamp()))
    state = run.definitions.settings.state
    sealed = shlex.join(["git", "rm", "-f", state, f"{state.removesuffix('.json')}.journal.jsonl"])
    terminal.out(f"Pushed: the state is now at {escape(str(to))}.\n")
    terminal.say(f"Commit {file.name}: it now says where the state is. The two files here are sealed: {escape(sealed)}")
    return 0


def _with_lineage(file: Path, lineage: str) -> str:
    """The settings as text, with the lineage in them; nothing else of them is another."""
    line = f'shared = "{lineage}"\n'
    try:
        text = file.read_text("utf-8")
        before = tomli.loads(text)
        if before.get("statform", {}).get("shared") == lineage:
            return text
        ended = text if text.endswith("\n") or not text else text + "\n"
        header = _HEADER.search(ended)
        at = header.end() if header else len(ended)
        made = ended[:at] + ("" if header else "\n[statform]\n") + line + ended[at:]
        if tomli.loads(made) == before | {"statform": {"shared": lineage} | before.get("statform", {})}:
            return made
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; nothing was changed") from None
    except ValueError:
        """Its [statform] is written in another way."""
    raise UsageError(f"{file}: add this line to its [statform], then push again: {line.strip()}")


def _write(file: Path, text: str) -> None:
    try:
        write_file(file, text)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; the state was copied: push again to continue") from None


def pull(invocation: Invocation, to: str | None) -> int:
    """Copy the shared state into files, those of the project unless `to` names another; the exit code.

    Raises:
        UsageError: the state is not shared, or `to` is no name for one.
        StateError: it can't be read or trusted, or the files are not an older copy of it.
    """
    project, place = invocation.open_settings(), invocation.find_place()
    if isinstance(place, LocalPlace):
        raise UsageError(f"the state is not shared: it is {place}")
    if to is not None and not to.endswith(".json"):
        raise UsageError(f"--to {to}: the name of a state file ends with .json")
    path = project.state_path if to is None else to
    count = moving.pull(place, LocalPlace(path))
    invocation.output.out(f"Pulled: {count} records, from {escape(str(place))} to {escape(path)} and its journal.\n")
    if to is None:
        invocation.output.say("It is a copy: the project uses the shared state as long as the settings have `shared`.")
    return 0
