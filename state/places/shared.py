"""The state that several machines share: a storage over an engine, without a lock that somebody must break.

The journal is the lock. Every append creates the piece that starts where the journal ends, and only one of several
writers succeeds. So a run whose record is in the journal knows that no other run began before. A run is open from its
first record to its `end`. A run without a sign of life for a lease is dead. The next run records that in the journal;
if the dead run wakes up, its next append fails, because the place is taken.

The API knows nothing of runs, so each request has a time limit: it may start only if it is over before another run may
consider this one dead.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from state import journal
from state.advice import advise
from state.chain import RESTORE, Chain
from state.errors import Damaged, EngineUnreachable, LockHeld, LockLost, WrongState
from state.places.engines import HEADER, Engine, Unsure
from state.records import End, Intent, Record
from state.runs import holder
from state.storage import InUse, Silent, Taken

if TYPE_CHECKING:
    from state.storage import Part, Told

__all__ = ["SharedPlace", "SharedStorage", "Times", "World"]

_T = TypeVar("_T")
_NOTHING_CHANGED = "Nothing was changed. Running the command again is safe."
_NEXT_RUN_SEES = (
    "Nothing more is sent. The next run finds out whether the last record is there; running it again is safe."
)
_WRONG_PLACE = "It is the wrong place, or the state was lost: check STATFORM_STATE, and `shared` in statform.toml."
_TAKEOVER = (
    "Wait for it to end, then run the command again. One that died is taken over by the next run, two minutes after it "
    "was last heard of (six, if a request with SQL was under way): there is nothing to force."
)


class Times(NamedTuple):
    """All in seconds. A run is dead `lease` after its last sign of life; while it waits it gives one every `beat`.

    A request takes at most `request`, unless its record says otherwise. Clocks are wrong by less than `margin`, and a
    store's clock has steps of `grain`. A run ends after `answer` without any answer, and says so after `silence`. While
    it waits for another run, it looks every `poll`.
    """

    lease: float = 120.0
    request: float = 60.0
    margin: float = 10.0
    grain: float = 1.0
    beat: float = 20.0
    answer: float = 60.0
    silence: float = 2.0
    poll: float = 5.0

    @property
    def start(self) -> float:
        """How late a request may start, counted from the start of its record's append, to be over within the lease."""
        return self.lease - self.request - self.margin

    def lease_after(self, last: Record) -> float:
        """How long after the record `last` its run counts as alive: a request may be under way."""
        if isinstance(last, Intent):
            return self.lease + max(0.0, (last.deadline_s or 0.0) - self.request)
        return self.lease


def _elapsed() -> float:
    """Seconds since some moment, including those in which the machine sleeps: the lease goes on meanwhile."""
    # On Linux, CLOCK_MONOTONIC stops in sleep. On macOS it goes on, and there is no CLOCK_BOOTTIME.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _random() -> float:
    return secrets.randbelow(1000) / 1000


class World(NamedTuple):
    """What a test replaces to make a run repeatable: the clock, the wait, 32 hex digits, a number between 0 and 1."""

    elapsed: Callable[[], float] = _elapsed
    sleep: Callable[[float], None] = time.sleep
    token: Callable[[], str] = lambda: secrets.token_hex(16)
    random: Callable[[], float] = _random


class SharedPlace(NamedTuple):
    """A state known as `url`, on the engine that `connect` gives.

    `lineage` is that of the expected state: "" if the project names none, None if it may be any. `patience_s`: how many
    seconds a run waits for one that is alive; None: until that gives a sign of life. `told` hears of the wait.
    """

    url: str
    connect: Callable[[], Engine]
    lineage: str | None = None
    patience_s: float | None = None
    told: Callable[[Told], None] = lambda _: None
    times: Times = Times()
    world: World = World()

    def __str__(self) -> str:
        return self.url

    def reader(self) -> SharedStorage:
        return SharedStorage(self, self.connect())

    def writer(self, *, makes: bool) -> SharedStorage:
        return self.reader()


class SharedStorage:
    """A `Storage` over `engine`, for one session. Its pieces begin with a line that no other session writes."""

    def __init__(self, place: SharedPlace, engine: Engine) -> None:
        self._place, self._engine, self._times, self._world = place, engine, place.times, place.world
        self._where = place.url
        self._writer = place.world.token()
        self._last = (0, "")
        self._end = 0
        self._waiting_since: float | None = None
        self._is_alive = False
        self._is_proven = self._is_closed = False
        self._appended_at = self._sign_at = place.world.elapsed()

    def where(self, part: Part) -> str:
        return {"state": f"{self._where}/snapshot.json", "journal": f"{self._where}/journal", "lock": self._where}[part]

    def snapshot(self) -> bytes | None:
        return self._asked(self._engine.load_snapshot)

    def tail(self, at: int, head: str) -> bytes | None:
        """Does not check `head`: `verify` refuses a tail that does not follow it, and an empty tail proves nothing."""
        end, lines = at, []
        for start, body in self._asked(lambda: list(self._engine.tail(at))):
            if start != end:
                raise Damaged(f"{self._where}/journal", end, f"missing, but {start:020} exists", RESTORE)
            lines.append(self._lines_of(start, body))
            end += len(lines[-1])
            self._last = start, _writer_of(body)
        self._end = end
        return b"".join(lines) if lines or at else None

    def _lines_of(self, start: int, body: bytes) -> bytes:
        lines = body[HEADER:]
        if body[:HEADER] != _header(_writer_of(body)) or not lines.endswith(b"\n") or b"\0" in lines:
            raise Damaged(
                f"{self._where}/journal", start, "not complete lines after the line with their writer", RESTORE
            )
        return lines

    def check_lineage(self, lineage: str) -> None:
        expected = self._place.lineage
        if expected is None or (lineage and lineage == expected):
            return
        # "" comes from a project whose settings name no shared state: each message says how to name one.
        if not expected:
            if not lineage:
                raise WrongState(
                    self._where, "no state is there", f"`{advise('state', 'push')}` moves this project's state there."
                )
            remedy = f'If it is this project\'s, say so in [statform] of statform.toml: shared = "{lineage}"'
            raise WrongState(self._where, f"a state is there, and its lineage is {lineage}", remedy)
        what = f"its lineage is {lineage}" if lineage else "no state is there"
        raise WrongState(self._where, f"{what}; this project's state has the lineage {expected}", _WRONG_PLACE)

    def close(self) -> None:
        self._is_closed = True
        self._engine.close()

    def acquire(self, doing: str, since: str) -> None:
        """Nothing to do: the first record is the lock. It is refused if somebody else's came first."""

    def is_free(self, chain: Chain) -> bool:
        last = next(journal.read_backwards(chain.lines, chain.path))
        if isinstance(last, End):
            return True
        if self._waiting_since is None:
            self._waiting_since = self._world.elapsed()
        else:
            # Asked again because the journal has grown: the other run is alive.
            self._is_alive = True
        return self._watch(holder(chain), self._times.lease_after(last))

    def _watch(self, holder: str, lease: float) -> bool:
        """Wait until the run is dead (True), goes on (False) or is known to be alive."""
        idle = self._idle()
        while idle < lease:
            self._refuse_if_alive(holder, idle)
            pause = min(self._times.poll, lease - idle)
            self._pass(pause, InUse(holder, self._patience_left(), idle, lease - idle))
            if self._asked(lambda: self._engine.get(self._end)) is not None:
                return False
            before, idle = idle, self._idle()
            # Less idle than after the pause without a sign of life. A store tells its times in whole seconds.
            self._is_alive = self._is_alive or idle < before + pause - self._times.grain
        return True

    def _pass(self, seconds: float, waiting: InUse) -> None:
        """Wait so many seconds, and count them down for `told`."""
        while seconds > 0:
            self._place.told(waiting)
            step = min(1.0, seconds)
            self._world.sleep(step)
            seconds -= step
            waiting = _later(waiting, step)

    def _refuse_if_alive(self, holder: str, idle: float) -> None:
        left = self._patience_left()
        if self._is_alive if left is None else left <= 0:
            raise LockHeld(f"{holder}, last heard of {max(0.0, idle):.0f} s ago", _TAKEOVER)

    def _patience_left(self) -> float | None:
        if self._place.patience_s is None:
            return None
        return self._place.patience_s - (self._world.elapsed() - (self._waiting_since or 0.0))

    def _idle(self) -> float:
        return self._asked(lambda: self._engine.idle(*self._last))

    def tidy(self) -> None:
        """Nothing to do: a piece or a snapshot is never half made."""

    def recover(self, chain: Chain) -> None:
        """Nothing to do: a piece that can be read is durable and whole."""

    def keep(self, old: bytes) -> None:
        """Nothing to do: the journal, from which it follows, stays."""

    def probe(self) -> None:
        if not self._is_proven:
            self._asked(self._engine.prove)
        self._is_proven = True

    def check_lock(self) -> None:
        """Nothing to do: the append itself is refused if somebody else took over."""

    def append(self, at: int, lines: bytes) -> None:
        """A try that lands late does no harm: at one place, this session only ever creates the same bytes."""
        self.probe()
        # Time counts from before the append. Others count from the time of the piece, which can only be later.
        body, started = _header(self._writer) + lines, self._world.elapsed()
        for one in self._tries():
            with one:
                if self._engine.create(at, body) or self._is_ours(at, body):
                    break
        self._last, self._end = (at, self._writer), at + len(lines)
        self._appended_at = self._sign_at = started

    def _is_ours(self, at: int, body: bytes) -> bool:
        """Whether an earlier try made the piece, and only its answer was lost. False: there is none, or none yet."""
        found = self._engine.get(at)
        if found is not None and found != body:
            raise Taken(found[HEADER:])
        return found is not None

    def appended_by_others(self, at: int) -> bytes | None:
        found = self._asked(lambda: self._engine.get(at))
        return None if found is None else found[HEADER:]

    def check_deadline(self) -> None:
        late = self._world.elapsed() - self._appended_at
        if late > self._times.start:
            raise LockLost(
                self._where,
                f"{late:.0f} s went by between a request's record and the request, so that it could end after another "
                "run has taken this one for dead",
                "Nothing more is sent; the next run finds out what happened. Running the command again is safe.",
            )

    def stay(self) -> None:
        """Others wait less if they see that this run is alive. Whether one took over, only the next append tells."""
        now = self._world.elapsed()
        if now - self._sign_at >= self._times.beat and not self._is_closed:
            self._sign_at = now
            try:
                self._engine.beat(self._writer)
            except Unsure:
                return

    def save_snapshot(self, raw: bytes, at: int) -> None:
        self._asked(
            lambda: self._engine.save_snapshot(raw, at), "The snapshot may be the previous one; all records are there."
        )

    def _asked(self, ask: Callable[[], _T], known: str = _NOTHING_CHANGED) -> _T:
        """What the engine answers; it is asked until it does."""
        for one in self._tries(known):
            with one:
                return ask()
        raise AssertionError

    def _tries(self, known: str = _NEXT_RUN_SEES) -> Iterator[_Try]:
        """Try again and again, with longer and longer pauses.

        Raises:
            EngineUnreachable: it has taken too long.
        """
        since, pause, one, has_told = self._world.elapsed(), 0.1, _Try(), False
        while True:
            yield one
            left = self._times.answer - (self._world.elapsed() - since)
            if left <= 0:
                raise EngineUnreachable(self._where, self._times.answer, one.reason, known)
            if not has_told and left < self._times.answer - self._times.silence:
                self._place.told(Silent(self._where, one.reason, left))
                has_told = True
            # Random, so that runs which failed together do not all come back together.
            self._world.sleep(pause * (0.5 + self._world.random()))
            pause = min(pause * 2, 5.0)


class _Try:
    """One try, as a block of `with`. It swallows an `Unsure`: then `_tries` gives the next one."""

    # What is true if a try ends without an `Unsure` and without success.
    reason = "a record is refused as there already, and it is not there: a part of the journal may be lost"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, Unsure):
            self.reason = str(error)
        return isinstance(error, Unsure)


def _later(waiting: InUse, seconds: float) -> InUse:
    left, idle, dead_in = waiting.left_s, waiting.idle_s or 0.0, waiting.dead_in_s or 0.0
    return InUse(waiting.holder, None if left is None else left - seconds, idle + seconds, dead_in - seconds)


def _header(writer: str) -> bytes:
    return b'{"writer":"%s"}\n' % writer.encode()


def _writer_of(body: bytes) -> str:
    return body[11 : HEADER - 3].decode("ascii", "replace")
