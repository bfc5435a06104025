"""`statform refresh`: show what changed at the remote, ask, and update the state."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from planner.apply.looks import take_look
from planner.apply.recovery import resolve_unknown
from planner.apply.run import Run
from planner.audit.absence import Look
from planner.audit.drift import Drift, find_followed, refresh, types_in_use, without_filled
from planner.audit.rewriting import Rewrite, find_files, rewrite
from planner.definitions import project
from planner.definitions.definition import Definitions, overlay_file
from planner.definitions.document import Document, parse_file
from planner.errors import Diagnostic, TooManyGone, UsageError
from planner.escape import escape
from planner.files import read_text, write_file
from planner.output import Terminal
from planner.plan.select import select
from planner.render.drift import render_drift
from state.advice import advise
from state.fold import replay
from state.session import Session
from state.snapshot import Snapshot

_NO_DRIFT = "No drift: the remote matches the state.\n"


def refresh_state(
    run: Run,
    terminal: Terminal,
    *,
    is_approved: bool,
    allow_gone: int | None = None,
    writes: bool = False,
    only: Sequence[str] = (),
) -> int:
    """Show what moved and take it into the state, and first into the definitions if it `writes`; the exit code.

    With `only` just what these addresses, keys or patterns mean. It drops at most `allow_gone` addresses, by default
    half of them.

    Raises:
        TooManyGone: there are more to drop; nothing was written.
        UsageError: a definition file that was changed meanwhile, or can't be written; the state is as it was.
    """
    is_whole = True
    with run.interrupts.caught(), run.open_state("refresh") as session:
        resolve_unknown(run, session)
        drifts, look = _find(run, terminal, session.snapshot, only)
        if drifts:
            terminal.out(render_drift(drifts, {}, terminal.out_style))
        if drifts:
            _check_gone(drifts, session.snapshot, allow_gone)
            definitions = _Files.of(run, drifts, session.snapshot) if writes else _Files(run.project.directory)
            definitions.show(terminal)
            _take_over(run, terminal, session, drifts, definitions, is_approved=is_approved)
            is_whole = definitions.is_whole
        else:
            session.commit("ok")
            terminal.out(_NO_DRIFT if not look.undecided else "No drift in the sources whose values are certain.\n")
    return 1 if look.undecided or not is_whole else 0


@frozen
class _Files:
    """The definition files that the drift goes into, each as it is and as it will be; none unless that is asked for."""

    directory: str
    before: Mapping[str, str] = field(factory=dict)
    rewrite: Rewrite | None = None

    @classmethod
    def of(cls, run: Run, drifts: Sequence[Drift], snapshot: Snapshot) -> _Files:
        """Those that are to be written, which were read again and make valid definitions.

        Raises:
            UsageError: one was changed since the run began, or can't be read.
        """
        directory, definitions = run.project.directory, run.definitions
        before = {name: _read(directory, name, definitions) for name in find_files(definitions, drifts)}
        after = replay(snapshot, refresh(drifts, snapshot, run.clock.timestamp()))
        found = rewrite(definitions, drifts, after, before, _other_environments(directory, definitions))
        # Before anything is shown or written: a text that does not parse again must not get into a file.
        project.read_with(directory, definitions.environment, found.files)
        return cls(directory, before, found)

    @property
    def is_whole(self) -> bool:
        return self.rewrite is None or not self.rewrite.not_written

    def show(self, terminal: Terminal) -> None:
        """What is going to be written, and what can't be."""
        if self.rewrite is None:
            return
        for name in self.rewrite.files:
            lines = difflib.unified_diff(
                _lines(self.before[name]), _lines(self.rewrite.files[name]), name, name, n=1, lineterm=""
            )
            terminal.out("\n" + "".join(f"  {escape(line)}\n" for line in lines))
        for one in self.rewrite.not_written:
            what = one.address if one.field is None else f"{one.address}: {one.field}"
            terminal.warn(f"{escape(what)} is not written to the definitions: {one.reason}")

    def write(self, terminal: Terminal) -> None:
        """Raises:
        UsageError: one can't be written, or was changed meanwhile.
        """
        for name, text in (self.rewrite.files if self.rewrite else {}).items():
            path = Path(self.directory, name)
            # The person may have taken a long time to answer, with the file open in an editor.
            if read_text(path) != self.before[name]:
                raise UsageError(f"{path}: changed in the meantime; the state was not changed")
            try:
                write_file(path, text)
            except OSError as error:
                raise UsageError(f"{path}: {error.strerror}; the state was not changed") from None
            terminal.say(f"wrote {escape(name)}")


def _other_environments(directory: str, definitions: Definitions) -> Mapping[str, Document]:
    """The files of all environments but this one, as far as they are TOML; by name."""
    found: dict[str, Document] = {}
    for environment, content in project.read_other_environments(directory, definitions.environment).items():
        name = overlay_file(environment)
        parsed = parse_file(name, content)
        if not isinstance(parsed, Diagnostic):
            found[name] = parsed[1]
    return found


def _read(directory: str, name: str, definitions: Definitions) -> str:
    text = read_text(Path(directory, name))
    # The definitions were read without a byte order mark and with plain line ends; the file keeps both.
    if text.removeprefix("\ufeff").replace("\r\n", "\n") != definitions.texts[name]:
        raise UsageError(f"{name}: changed in the meantime; nothing was written")
    return text


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _check_gone(drifts: tuple[Drift, ...], snapshot: Snapshot, allow_gone: int | None) -> None:
    gone, managed = sum(drift.source is None for drift in drifts), len(snapshot.resources)
    # So many are more likely a key of another project than deleted: to follow that list would empty the state.
    limit = managed // 2 if allow_gone is None else allow_gone
    if gone > limit:
        raise TooManyGone(gone, managed, limit)


def _find(run: Run, terminal: Terminal, snapshot: Snapshot, only: Sequence[str] = ()) -> tuple[tuple[Drift, ...], Look]:
    """What moved, and the look that showed it; with `only` of what that means."""
    wanted = select("ADDRESS", only, tuple(snapshot.resources)) if only else snapshot.resources.keys()
    look = take_look(run, types_in_use(run.definitions, snapshot), snapshot)
    found = find_followed(snapshot, look.remote, look.undecided)
    drifts = tuple(drift for drift in found if drift.address in wanted)
    undecided = {address: reason for address, reason in look.undecided.items() if address in wanted}
    for address, reason in undecided.items():
        terminal.warn(f"{escape(address)} was not changed in the state: {reason}")
    return drifts, Look(look.remote, undecided)


def _take_over(
    run: Run, terminal: Terminal, session: Session, drifts: Sequence[Drift], files: _Files, *, is_approved: bool
) -> None:
    gone = sum(drift.source is None for drift in drifts)
    values = f", {files.rewrite.values} to write to the definitions" if files.rewrite else ""
    text = f"\nRefresh: {len(drifts) - gone} to update in the state, {gone} to remove from it{values}.\n"
    terminal.out(terminal.out_style.wrap_lines(text))
    if not is_approved:
        terminal.ask("Do you want to update the state? The remote stays as it is.", "the state was not changed")
    # A disk that takes nothing has to show before the definitions are changed, not after.
    session.probe()
    with run.interrupts.shield():
        # First the definitions: what is interrupted between the two is drift still, and is written by the next one.
        files.write(terminal)
        session.record(run.begin(None))
        for record in refresh(drifts, session.snapshot, run.clock.timestamp()):
            session.record(record)
        session.commit("ok")
    terminal.out(f"Refresh complete: {len(drifts) - gone} updated, {gone} dropped.\n")
    if gone:
        command = advise("import", "ADDRESS", "NAME")
        terminal.say(escape(f"If a source was renamed and also changed, add it again with `{command}`."))


def start_from_remote(
    run: Run, terminal: Terminal, snapshot: Snapshot, *, is_shown: bool
) -> tuple[Snapshot, tuple[Drift, ...], Look]:
    """The snapshot that a refresh would make, what moved, as text too if it `is_shown`, and the look.

    Nothing is written.
    """
    drifts, look = _find(run, terminal, snapshot)
    if is_shown and (shown := without_filled(drifts)):
        terminal.out(render_drift(shown, {}, terminal.out_style))
        text = "\nThe plan below starts from the remote as it is now; the state stays as it is.\n\n"
        terminal.out(terminal.out_style.wrap_lines(text))
    return replay(snapshot, refresh(drifts, snapshot, run.clock.timestamp())), drifts, look
