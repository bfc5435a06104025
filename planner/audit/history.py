"""The journal as a history: who changed which field, from which value to which, when, and with which outcome.

Pure: `state.store` reads and verifies the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from attrs import evolve, field, frozen

from planner.audit.field_changes import changes_between, is_known_field, moved_fields
from planner.console.answers import call_of, compare_echo
from planner.console.outcomes import outcome_reason, outcome_word
from planner.definitions.addresses import known_type_of
from planner.definitions.fields import Call
from planner.plan import verbs
from planner.plan.diff import FieldChange
from planner.plan.verbs import VerbWord
from state.advice import advise
from state.errors import Damaged
from state.fold import Fold
from state.journal import Chain, entries
from state.records import (
    Applied,
    Begin,
    Deleted,
    End,
    Forgotten,
    Genesis,
    Imported,
    Intent,
    Moved,
    Record,
    Refreshed,
    Rejected,
    Resolved,
    Sealed,
    Unknown,
)
from state.snapshot import EMPTY, ResourceState
from state.values import Address, Object

NoVerb: TypeAlias = Literal["drift", "import", "refresh", "move"]
"""What changes in the state, or was changed by others, without a verb of a plan."""
ChangeKind: TypeAlias = VerbWord | NoVerb
HistoryOutcome: TypeAlias = Literal[
    "applied",
    "not accepted",
    "rejected",
    "retried",
    "unknown",
    "resolved as applied",
    "not applied",
    "superseded",
    "recorded",
]


STILL_THERE = "the last look of its run still shows the source"
NEVER_THERE = "the last look of its run does not show the source"


@frozen
class HistoryEntry:
    """One change, or one attempt at it.

    `at` is when it began, RFC 3339 in UTC; `who`, `host`, `commit` and `version` are those of its run, None where a run
    has none; `actor` is who its environment or its command line names, `run` what a CI tells of it (`url`,
    `pull_request`, `approved_by`): claims, all of them. `changes` lead from what was known before to what was sent or,
    if the API kept something else, to that; `refused` then has what was sent. `hash` is that of the journal's last
    record on it, `run_hash` that of the first of its run; `seconds` how long the API took, None without a request.
    `moved_to` is the address that a move gave the source.

    A request that was rejected at first and sent again in the same run is `retried`: that is not a failure.

    A `drift` is what an answer showed changed besides what was sent: somebody else's doing or the API's own, so that it
    has no `who`.
    """

    at: str
    who: str | None
    host: str | None
    commit: str | None
    version: str | None
    kind: ChangeKind
    address: Address
    name: str
    changes: tuple[FieldChange, ...]
    outcome: HistoryOutcome
    reason: str | None
    seconds: float | None
    hash: str
    moved_to: Address | None = None
    refused: Object = field(factory=dict)
    actor: str | None = None
    run: Mapping[str, str] = field(factory=dict)
    run_hash: str | None = None


def read_history(records: Iterable[tuple[str, Record]]) -> list[HistoryEntry]:
    """An entry for each change in the records, which come with their hashes, in the order in which they began.

    An unknown outcome that was resolved later, in another run even, is one entry with the request. What an answer shows
    changed besides is an entry of its own.

    Raises:
        ValueError: the records make no sense.
    """
    reader = _HistoryReader()
    for hash_, record in records:
        reader.add(hash_, record)
    return reader.entries


def entries_of(chain: Chain | None) -> list[HistoryEntry]:
    """The history of a whole journal; none when there is no journal.

    Raises:
        StateError: its records, though each follows from the one before, can't be those of a state.
    """
    if chain is None:
        return []
    try:
        return read_history(entries(chain))
    except (ValueError, OverflowError) as error:
        what = f"its records contradict each other: {error}"
        raise Damaged(chain.path, None, what, f"`{advise('history', '--verify')}` says where.") from error


class _HistoryReader:
    def __init__(self) -> None:
        self.entries: list[HistoryEntry] = []
        # The state at each record is what the change of that record starts from.
        self._fold = Fold(EMPTY)
        self._run: Begin | None = None
        self._run_hash: str | None = None
        # Indexes of `entries`: of requests without an outcome, of those that may be sent again in this run, and of the
        # creates and deletes of this run, which its last look may take back.
        self._open: dict[Address, tuple[int, Intent]] = {}
        self._put_off: dict[Address, int] = {}
        self._ended: dict[Address, int] = {}

    def add(self, hash_: str, record: Record) -> None:
        # Before the fold has the record: afterwards it knows the new values only.
        prior = None if isinstance(record, Genesis | Begin | Sealed | End) else self._fold.resource(record.address)
        self._fold.add(record)
        match record:
            case Genesis() | Sealed():
                pass
            case Begin():
                self._run, self._run_hash = record, hash_
                # A request of another run is no second attempt, and another run's look takes nothing back. Requests
                # without an outcome stay open: a later run resolves them.
                self._put_off.clear()
                self._ended.clear()
            case End():
                self._run = self._run_hash = None
            case Intent():
                if (index := self._put_off.pop(record.address, None)) is not None:
                    self.entries[index] = evolve(self.entries[index], outcome="retried")
                self._open[record.address] = (len(self.entries), record)
                self.entries.append(self._begun(hash_, record, prior))
            case Applied() | Deleted() | Rejected() | Unknown() | Resolved():
                self._end(hash_, record, prior)
            case Imported() | Refreshed() | Moved() | Forgotten():
                self.entries.append(self._arranged(hash_, record, prior))
                if (index := self._ended.pop(record.address, None)) is not None:
                    self._undo(index, STILL_THERE if isinstance(record, Imported) else NEVER_THERE)

    def _end(
        self, hash_: str, record: Applied | Deleted | Rejected | Unknown | Resolved, prior: ResourceState | None
    ) -> None:
        index, intent = self._open[record.address]
        self.entries[index] = _ended(self.entries[index], intent, hash_, record)
        match record:
            case Rejected(retryable=True):
                self._put_off[record.address] = index
            case Deleted() | Resolved(verdict="applied", data=None):
                self._ended[record.address] = index
            # Of a create nothing else can have changed: there was no source before.
            case Applied() | Resolved(verdict="applied") if call_of(intent) is Call.CREATE:
                self._ended[record.address] = index
            case Applied() | Resolved() if prior is not None:
                self._find_drift(hash_, record, intent, prior)
            case _:
                pass

    def _undo(self, index: int, reason: str) -> None:
        """The state took back what was deleted or created in this run: the run's last look did not show it."""
        self.entries[index] = evolve(self.entries[index], outcome="not accepted", reason=reason)
        self.entries[-1] = evolve(self.entries[-1], reason=reason)

    def _begun(self, hash_: str, intent: Intent, prior: ResourceState | None) -> HistoryEntry:
        before, after = intent.before, intent.sent
        match call_of(intent):
            case Call.CREATE:
                verb, after = verbs.CREATE, {name: value for name, value in after.items() if name != "name"}
            case Call.DELETE:
                verb, after = verbs.DELETE, dict.fromkeys(name for name in before if name != "name")
            case Call.FULL:
                # All of a source is sent; what is told is what was meant to change.
                verb, after = verbs.UPDATE, {n: v for n, v in after.items() if n not in before or before[n] != v}
            case Call.PATCH:
                verb = verbs.ADOPT if prior is None else verbs.UPDATE
        entry = self._entry(hash_, intent, verb.word, intent.name, changes_between(intent.address, before, after))
        # A run that was killed leaves no outcome: then this is what stays.
        return evolve(entry, outcome="unknown", reason="its outcome is unknown")

    def _entry(
        self,
        hash_: str,
        record: Intent | Applied | Resolved | Imported | Refreshed | Moved | Forgotten,
        kind: ChangeKind,
        name: str,
        changes: tuple[FieldChange, ...] = (),
    ) -> HistoryEntry:
        run = self._run
        return HistoryEntry(
            at=record.at,
            who=run.who if run else None,
            host=run.host if run else None,
            commit=run.commit if run else None,
            version=run.version if run else None,
            kind=kind,
            address=record.address,
            name=name,
            changes=changes,
            outcome="recorded",
            reason=None,
            seconds=None,
            hash=hash_,
            actor=run.actor if run else None,
            run=told_of(run),
            run_hash=self._run_hash,
        )

    def _find_drift(self, hash_: str, record: Applied | Resolved, intent: Intent, prior: ResourceState) -> None:
        """What the state took from an answer in addition to the sent fields."""
        after = self._fold.resource(record.address)
        is_ours = not isinstance(record, Resolved) or record.verdict == "applied"
        if after is None or after is prior:
            return
        # What the API never returned can't be seen to have moved.
        unseen = {name: value for name, value in prior.unreturned.items() if name not in prior.data}
        moved = moved_fields(record.address, prior, {**unseen, **after.values}, intent.sent if is_ours else {})
        # What statform does not know may move with each answer, such as the time of the last change.
        if changes := tuple(change for change in moved if is_known_field(record.address, change.field.name)):
            reason = f"seen in {'the answer' if isinstance(record, Applied) else 'the list'}, but not sent"
            entry = self._entry(hash_, record, "drift", prior.name, changes)
            # The run only saw it: its people and its commit would stand for what they did not do.
            nobody = evolve(entry, who=None, host=None, commit=None, version=None, actor=None, run={})
            self.entries.append(evolve(nobody, reason=reason))

    def _arranged(
        self, hash_: str, record: Imported | Refreshed | Moved | Forgotten, prior: ResourceState | None
    ) -> HistoryEntry:
        name = prior.name if prior else ""
        match record:
            case Imported(address, data) if prior is not None:
                return self._entry(hash_, record, "import", name, moved_fields(address, prior, data))
            case Imported(address, data):
                taken = {field: value for field, value in data.items() if field != "name"}
                return self._entry(
                    hash_, record, "import", str(data.get("name", name)), changes_between(address, {}, taken)
                )
            case Refreshed(address, None):
                return evolve(self._entry(hash_, record, "refresh", name), reason="the source is gone")
            case Refreshed(address, dict(data), unreturned):
                changes = () if prior is None else moved_fields(address, prior, {**data, **unreturned})
                return self._entry(hash_, record, "refresh", name, changes)
            case Moved(_, to):
                return evolve(self._entry(hash_, record, "move", name), reason=f"to {to}", moved_to=to)
            case _:
                return self._entry(hash_, record, verbs.FORGET.word, name)


def told_of(run: Begin | None) -> dict[str, str]:
    """What a CI told of the run: of `url`, `pull_request` and `approved_by` those that are known, in this order."""
    told = (run.run if run else None) or {}
    found = {name: told.get(name) for name in ("url", "pull_request", "approved_by")}
    return {name: text for name, text in found.items() if isinstance(text, str) and text}


def _ended(
    entry: HistoryEntry, intent: Intent, hash_: str, record: Applied | Deleted | Rejected | Unknown | Resolved
) -> HistoryEntry:
    outcome, reason = _fate(record)
    # What resolves a request looked at a list, and tells nothing of how long the request took.
    seconds = entry.seconds if isinstance(record, Resolved) else record.duration_ms / 1000
    entry = evolve(entry, outcome=outcome, reason=reason, seconds=seconds, hash=hash_)
    match record:
        case Applied(data=data) | Resolved(verdict="applied", data=dict() as data):
            return _as_kept(entry, intent, data)
        case _:
            return entry


def _fate(record: Applied | Deleted | Rejected | Unknown | Resolved) -> tuple[HistoryOutcome, str | None]:
    match record:
        case Resolved(verdict="applied"):
            # Unlike one that was answered: it was only seen in the list later.
            return "resolved as applied", None
        case _:
            return outcome_word(record), outcome_reason(record)


def _as_kept(entry: HistoryEntry, intent: Intent, data: Object) -> HistoryEntry:
    """The entry with what the API kept, where that is not what was sent."""
    type_ = known_type_of(intent.address)
    names = () if type_ is None else compare_echo(type_, intent.before, intent.sent, data).not_accepted
    if not names:
        return entry
    refused = {name: intent.sent[name] for name in names}
    kept = {name: data[name] if name in refused else value for name, value in intent.sent.items()}
    changes = changes_between(intent.address, intent.before, kept)
    reason = f"the API kept another value of {', '.join(names)}"
    return evolve(entry, changes=changes, outcome="not accepted", reason=reason, refused=refused)
