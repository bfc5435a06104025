"""Moves a state to a place that several machines share, and copies it back.

The whole journal goes to the shared place in one piece, with the same lineage and hashes: it is there completely or not
at all. The journal that stays behind gets `sealed` as its last record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from state import journal, store
from state.errors import WrongState
from state.reader import opened
from state.records import Sealed
from state.snapshot import encode_snapshot
from state.storage import Taken

if TYPE_CHECKING:
    from state.session import Session
    from state.storage import Place

__all__ = ["pull", "push"]


def push(session: Session, local: Place, to: Place) -> None:
    """Copy the state of the session, whose place is `local`, to a place that has none, or has just this one.

    Cut short, it can be done again. Nothing at `local` changes: `Session.record(Sealed(…))` is for the caller, once the
    settings name the place's state.

    Raises:
        WrongState: another state is there, or this one went on after it was pushed.
        StateError: one of the places can't be read or refuses.
    """
    chain = store.read_journal(local)
    lines = chain.lines if chain else b""
    storage = to.writer(makes=True)
    try:
        try:
            storage.append(0, lines)
        except Taken as taken:
            # It was pushed before if the first piece there is ours. Runs there may have added more since.
            if lines not in (taken.lines, theirs := storage.tail(0, "") or b""):
                raise _taken(to, lines, theirs) from None
        # A push that was cut short lacks the snapshot. One that is there may be from a later run, and newer than ours.
        if storage.snapshot() is None:
            storage.save_snapshot(encode_snapshot(session.snapshot), len(lines))
    finally:
        storage.close()


def _taken(to: Place, ours: bytes, theirs: bytes) -> WrongState:
    if theirs.startswith(ours):
        what = "this state is there already, with newer records: the files here are an older copy"
        remedy = "Nothing was changed. `shared` in the settings says which state there is this project's."
        return WrongState(str(to), what, remedy)
    if theirs.startswith(ours[: ours.find(b"\n") + 1]):
        what = "this state is there already, but the files here have newer records"
        return WrongState(
            str(to), what, "Nothing was changed. Only the files here have what was applied since the push."
        )
    what = "another state is there"
    return WrongState(
        str(to), what, "Nothing was changed. Choose another prefix in STATFORM_STATE, or another `state`."
    )


def pull(place: Place, to: Place) -> int:
    """Copy the state at `place` into the local files at `to`, byte for byte, and return the number of its records.

    An older copy of the same state is replaced.

    Raises:
        WrongState: nothing is at `place`, or what is at `to` is no older copy of it.
        StateError: one of them can't be read or trusted, or refuses.
    """
    # All of it is verified before anything here is touched.
    if store.verify(place) is None:
        raise WrongState(str(place), "no state is there", "There is nothing to pull.")
    with opened(place) as storage:
        # The snapshot first: if it was read after the journal, it could know a record that these lines lack.
        snapshot = storage.snapshot() if storage else None
        lines = (storage.tail(0, "") or b"") if storage else b""
    _write(to, lines, snapshot)
    made = store.verify(to)
    return made.record_count if made else 0


def _write(to: Place, lines: bytes, snapshot: bytes | None) -> None:
    storage = to.writer(makes=True)
    try:
        storage.acquire("state pull", "")
        kept = storage.tail(0, "") or b""
        if not lines.startswith(_without_seal(kept)) or (not kept and storage.snapshot() is not None):
            what = "another state is there, not an older copy of this one"
            raise WrongState(str(to), what, "Nothing was changed. Move it away, or pull `--to` another file.")
        # Not before this: a pull that is refused changes nothing.
        storage.tidy()
        # A reader finds the old snapshot with either journal, since the new one only goes on from the old.
        storage.append(0, lines)
        if snapshot is not None:
            storage.save_snapshot(snapshot, len(lines))
    finally:
        storage.close()


def _without_seal(lines: bytes) -> bytes:
    last = lines[lines.rfind(b"\n", 0, -1) + 1 :]
    try:
        is_seal = isinstance(journal.parse(last), Sealed)
    except ValueError:
        return lines
    return lines[: len(lines) - len(last)] if is_seal else lines
