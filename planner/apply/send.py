"""Carries a plan out: one request after the other, each in the journal before it is sent and before anyone is told.

A dry run is this same loop with a client that asks the API to change nothing and a `record` that keeps nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from attrs import define, field, frozen

from planner.apply.report import Done, Event, Report, Sending, Waiting
from planner.apply.resolve import resolve
from planner.apply.sight import Sight
from planner.apply.whole import find_drift, find_overwritten, merge
from planner.clock import Clock
from planner.console.answers import compare_echo, deadline_of
from planner.console.client import Client
from planner.console.outcomes import outcome_reason
from planner.definitions.fields import Call, is_same
from planner.definitions.resources import ResourceType
from planner.errors import ApiError, DryRunIgnored, Interrupted, KeyRefused, OverLimit, PlannerError, Unreachable
from planner.pacing import Window, trim, wait_s
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import ABSENT, Action
from planner.plan.order import Request
from state.errors import StateError
from state.records import (
    Applied,
    Deleted,
    Forgotten,
    Imported,
    Intent,
    Moved,
    Outcome,
    Record,
    Rejected,
    Resolved,
    Unknown,
)
from state.snapshot import ResourceState
from state.values import Address, Object

CONNECT_ATTEMPTS = 5
SEND_ATTEMPTS = 3
LIMIT_BUDGET_S = 30 * 60.0
MAX_AGE_S = 10.0
"""Of a look at a source that is overwritten whole, or deleted."""


@frozen
class Effects:
    """What a run needs besides the API.

    `record` makes a record durable before it returns. `sent_at` holds the monotonic times of the requests that the
    windows still count, ascending. `shield` is entered around each request and its records: a signal in there waits for
    its end, one at another time raises Interrupted. `known` is what the state has of an address by now, `listed` the
    source that an action adopts; without `sight` no request looks again.
    """

    record: Callable[[Record], None]
    notify: Callable[[Event], None]
    shield: Callable[[], AbstractContextManager[None]]
    clock: Clock
    windows: Sequence[Window]
    sent_at: list[float]
    known: Callable[[Address], ResourceState | None] = lambda _address: None
    listed: Callable[[Action], Object] = lambda _action: {}
    declared: Callable[[Address], Object] | None = None
    sight: Sight | None = None


def apply_plan(plan: Plan, client: Client, effects: Effects) -> Report:
    """Send the plan's requests in their order, one in flight, and forget what it forgets.

    Never raises for what the API, the network, the disk or a signal does: the report tells.
    """
    sender = _Sender(plan, client, effects)
    try:
        sender.move()
        sender.take_over()
        for number, request in enumerate(plan.requests, start=1):
            sender.carry_out(request, number)
        sender.forget()
        sender.look_again()
    except (ApiError, StateError, Interrupted, DryRunIgnored) as error:
        return sender.report(error)
    return sender.report(None)


@define
class Look:
    """The sources of a type by name, as a list that ended at the monotonic time `at` has them."""

    at: float
    sources: dict[str, Object]


@define
class _Sender:
    plan: Plan
    client: Client
    effects: Effects
    actions: dict[Address, Action] = field(init=False)
    done: Counter[Address] = field(factory=Counter)
    arranged: set[Address] = field(factory=set)
    rejected: dict[Address, str] = field(factory=dict)
    unknown: dict[Address, str] = field(factory=dict)
    skipped: dict[Address, str] = field(factory=dict)
    not_accepted: dict[Address, tuple[str, ...]] = field(factory=dict)
    drifted: dict[Address, tuple[str, ...]] = field(factory=dict)
    unstored: Outcome | Resolved | None = None
    started: float = 0.0
    limit_wait_s: float = 0.0
    looks: dict[str, Look] = field(factory=dict)
    open: dict[Address, tuple[Request, Intent]] = field(factory=dict)
    tried: set[Call] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.actions = {action.address: action for action in self.plan.actions}

    def carry_out(self, request: Request, number: int) -> None:
        """Send the request, again where that can help, until it has an outcome that stays.

        Raises:
            ApiError: there is no use in going on with the run.
        """
        if self._is_skipped(request):
            return
        self.effects.notify(Sending(request, number, len(self.plan.requests)))
        self.started = self.effects.clock.monotonic()
        connects = sends = limits = 0
        while True:
            if (intent := self._prepare(request)) is None:
                return
            outcome = self._attempt(request, intent, is_again=sends > 0)
            self._check_dry_run(request, intent)
            match outcome:
                case Rejected(status=None, retryable=True):
                    connects += 1
                    if connects == CONNECT_ATTEMPTS:
                        raise Unreachable(f"{outcome.message}; tried {connects} times")
                    self._wait(self.effects.clock.backoff_s(connects, base=0.5, cap=8.0), outcome.message)
                case Rejected(status=429):
                    limits += 1
                    self._wait_for_limit(outcome, limits)
                case Resolved(verdict="not applied") if (sends := sends + 1) < SEND_ATTEMPTS:
                    why = self.rejected[request.address]
                    self._wait(self.effects.clock.backoff_s(sends, base=1.0, cap=8.0), why)
                case Rejected(status=None):
                    raise Unreachable(outcome.message)
                case Rejected(status=401):
                    raise KeyRefused(f"the API answered {outcome_reason(outcome)}")
                case _:
                    return

    def move(self) -> None:
        """Take along, in the state, what has another address now, before anything is sent for it."""
        for action in self.plan.actions:
            if action.moved_from is not None:
                with self.effects.shield():
                    self.effects.record(Moved(action.moved_from, action.address, self.effects.clock.timestamp()))
                    if not action.verb.is_change:
                        self.arranged.add(action.address)

    def take_over(self) -> None:
        """Take what is adopted just as it is into the state; there is nothing to send."""
        requested = {request.address for request in self.plan.requests}
        for action in self.plan.actions:
            if action.verb is verbs.ADOPT and action.address not in requested:
                with self.effects.shield():
                    source = self.effects.listed(action)
                    self.effects.record(Imported(action.address, source, self.effects.clock.timestamp()))
                    self.arranged.add(action.address)

    def _is_moved(self, request: Request, *, has_waited: bool) -> bool:
        """Whether somebody changed the source since the plan was agreed to, as far as the last look tells."""
        if self.effects.sight is None:
            return False
        reason = self.effects.sight.find_moved(request, self.actions[request.address], has_waited=has_waited)
        if reason is not None:
            self.rejected.pop(request.address, None)
            self.skipped[request.address] = reason
        return reason is not None

    def forget(self) -> None:
        """Drop from the state what the plan forgets; the remote is not asked."""
        for action in self.plan.actions:
            if action.verb is verbs.FORGET:
                with self.effects.shield():
                    self.effects.record(Forgotten(action.address, self.effects.clock.timestamp()))
                    self.arranged.add(action.address)

    def _is_skipped(self, request: Request) -> bool:
        """Whether something that the request needs failed; the reason is noted then."""
        own = request.address
        if self._is_failed(own):
            # An earlier request of its own. That its name was not accepted is no category yet.
            if own not in self.rejected and own not in self.unknown:
                self.skipped.setdefault(own, "its temporary name was not accepted")
            return True
        failed = [address for address in sorted(request.needs) if self._is_failed(address)]
        if failed:
            self.skipped[own] = f"it needs {failed[0]}"
        return bool(failed)

    def _is_failed(self, address: Address) -> bool:
        is_renamed = "name" not in self.not_accepted.get(address, ())
        return not is_renamed or any(address in kind for kind in (self.rejected, self.unknown, self.skipped))

    def _prepare(self, request: Request) -> Intent | None:
        """Wait for the API's limit and look; what is to be sent, or None, and the address is skipped."""
        has_waited = self._pace()
        # A create has nothing that could have moved; what overwrites all or deletes looks for itself, just before.
        if request.call is Call.PATCH and self._is_moved(request, has_waited=has_waited):
            return None
        return self._make_intent(request)

    def _make_intent(self, request: Request) -> Intent | None:
        """What is sent now; None, and the address is skipped, if that would overwrite what somebody changed."""
        address, at = request.address, self.effects.clock.timestamp()
        if request.call is Call.PATCH:
            return Intent(
                address, "PATCH", request.name, self._before(request), request.body, at, deadline_of(request.body)
            )
        if request.call is Call.CREATE:
            return Intent(address, "POST", request.name, {}, request.body, at, deadline_of(request.body))
        type_, prior = self.actions[address].type, self.effects.known(address)
        base = self._look(type_).get(request.name)
        if request.call is Call.DELETE:
            # What is not there can't be changed any more: the API is asked all the same, and answers 404.
            why = None if base is None else find_drift(type_, base, prior)
        else:
            why = "it is not there any more" if base is None else find_overwritten(type_, base, prior, request.body)
        if why is not None:
            self.skipped[address] = why
            return None
        if request.call is Call.DELETE:
            was = base or {**(prior.values if prior else {}), "name": request.name}
            return Intent(address, "DELETE", request.name, was, {}, at, deadline_of({}))
        body = merge(type_, base or {}, prior, request.body)
        before = {name: value for name, value in (base or {}).items() if name in body}
        return Intent(address, "POST", request.name, before, body, at, deadline_of(body))

    def _look(self, type_: ResourceType) -> dict[str, Object]:
        """The sources of the type as they are now, or were `MAX_AGE_S` ago, with our own answers since."""
        look, now = self.looks.get(type_.name), self.effects.clock.monotonic()
        if look is None or now - look.at > MAX_AGE_S:
            listed = dict(self.client.list(type_))
            look = self.looks[type_.name] = Look(self.effects.clock.monotonic(), listed)
        return look.sources

    def _attempt(self, request: Request, intent: Intent, *, is_again: bool) -> Outcome | Resolved:
        with self.effects.shield():
            self._note_intent(intent)
            outcome = self.client.send(self.actions[request.address].type, intent)
            # The API counted it some time before it answered: the latest is the safe one.
            self.effects.sent_at.append(self.effects.clock.monotonic())
            if is_again and "name" in request.body:
                outcome = _doubted(outcome)
            self._note(request, intent, outcome)
        if not isinstance(outcome, Unknown):
            return outcome
        (resolved,) = resolve([intent], self.client, self.effects.clock)
        if request.call is not Call.PATCH and resolved.verdict == "not applied":
            # It may still land: it is never sent again in this run, and looked for once more at its end.
            self.open[request.address] = (request, intent)
            return outcome
        with self.effects.shield():
            self._note(request, intent, resolved)
        return resolved

    def look_again(self) -> None:
        """Look once more for what may have landed since.

        Raises:
            ApiError: the remote can't be listed; what is unknown stays so.
        """
        for request, intent in tuple(self.open.values()):
            (resolved,) = resolve([intent], self.client, self.effects.clock)
            if resolved.verdict != "not applied":
                with self.effects.shield():
                    self._note(request, intent, resolved)
                del self.open[request.address]

    def _before(self, request: Request) -> Object:
        """The prior values of what is sent; as the API told them where it did, for others compare with those."""
        changes = self.actions[request.address].changes
        before = {c.field.name: c.before for c in changes if c.field.name in request.body and c.before is not ABSENT}
        if (prior := self.effects.known(request.address)) is not None:
            before |= {name: prior.data[name] for name in before if name in prior.data}
        return {**before, "name": request.name} if "name" in request.body else before

    def _note_intent(self, intent: Intent) -> None:
        # Before it is in the journal: a second signal in between leaves it there.
        self.unknown[intent.address] = "ended before the answer came"
        try:
            self.effects.record(intent)
        except StateError:
            del self.unknown[intent.address]
            raise

    def _note(self, request: Request, intent: Intent, outcome: Outcome | Resolved) -> None:
        """Make the outcome durable, then count it and tell of it."""
        try:
            self.effects.record(outcome)
        except StateError:
            self.unstored = outcome
            self.unknown[request.address] = "the journal could not take what became of it"
            raise
        address = request.address
        if self.effects.sight is not None:
            self.effects.sight.answered(address)
        reason = self.unknown.pop(address)
        self.rejected.pop(address, None)
        match outcome:
            case Applied(data=data) | Resolved(verdict="applied", data=dict() as data):
                self.done[address] += 1
                self._compare(intent, data)
                self._note_drift(address)
                self._learn(intent, data)
            case Deleted() | Resolved(verdict="applied"):
                self.done[address] += 1
                self._learn(intent, None)
            case Rejected():
                self.rejected[address] = outcome_reason(outcome) or ""
            case Unknown():
                self.unknown[address] = outcome.reason
                return
            case Resolved(verdict="not applied"):
                self.rejected[address] = f"it did not happen: {reason}"
            case Resolved():
                seen = "the list shows neither what was sent nor what was there before: plan again"
                self.unknown[address] = f"{reason}; {seen}"
        self.effects.notify(Done(request, outcome, self.effects.clock.monotonic() - self.started))

    def _note_drift(self, address: Address) -> None:
        """What the answer shows that somebody else changed, of the fields that the definition declares."""
        if (state := self.effects.known(address)) is None or self.effects.declared is None:
            return
        fields, declared = self.actions[address].type.field, self.effects.declared(address)
        moved = tuple(
            name
            for name, before in state.unconfirmed.items()
            if name in declared and name in fields and not is_same(fields[name].kind, before, state.values.get(name))
        )
        if moved:
            self.drifted[address] = moved

    def _learn(self, intent: Intent, data: Object | None) -> None:
        """Our own answer is a look at its source."""
        if self.client.is_dry_run:
            return
        address = intent.address
        if (look := self.looks.get(self.actions[address].type.name)) is not None:
            look.sources.pop(intent.name, None)
            if data is not None:
                look.sources[str(data.get("name", intent.name))] = data

    def _compare(self, intent: Intent, data: Object) -> None:
        # What a dry run answers with, the source as it is or as it would be, is not published.
        if not self.client.is_dry_run:
            type_ = self.actions[intent.address].type
            if refused := compare_echo(type_, intent.before, intent.sent, data).not_accepted:
                self.not_accepted[intent.address] = refused

    def _pace(self) -> bool:
        """Keep to the API's limits; whether that took any time."""
        now = self.effects.clock.monotonic()
        trim(self.effects.windows, self.effects.sent_at, now)
        seconds = wait_s(self.effects.windows, self.effects.sent_at, now)
        self._wait(seconds, "keeping to the API's rate limit")
        return seconds > 0

    def _wait_for_limit(self, refused: Rejected, times: int) -> None:
        """Wait as long as the API asks, else longer each of the `times` that it refused this request.

        Raises:
            OverLimit: that would be more than a run waits in all.
        """
        asked = refused.retry_after_s
        # Jitter alone could be next to nothing, and the API's shorter window is 10 s.
        seconds = asked or 5.0 + self.effects.clock.backoff_s(times, base=5.0, cap=300.0)
        self.limit_wait_s += seconds
        if self.limit_wait_s > LIMIT_BUDGET_S:
            raise OverLimit(f"the API is over its rate limit: {refused.message}")
        self._wait(seconds, "the API is over its rate limit")

    def _wait(self, seconds: float, why: str) -> None:
        """Sleep, telling once a second how much of it is left."""
        clock = self.effects.clock
        end = clock.monotonic() + seconds
        while (left := end - clock.monotonic()) > 0:
            self.effects.notify(Waiting(left, why))
            clock.sleep(min(left, 1.0))

    def _is_untried(self, action: Action, total: Counter[Address]) -> bool:
        """Whether a dry run has no request for it, which was said before."""
        return self.client.is_dry_run and action.verb.sends and not total[action.address]

    def _check_dry_run(self, request: Request, intent: Intent) -> None:
        """Look at the remote after the first of each kind of request that would be hard to undo.

        Raises:
            DryRunIgnored: it was carried out.
        """
        is_risky = self.client.is_dry_run and request.call in {Call.CREATE, Call.FULL}
        if not is_risky or request.call in self.tried:
            return
        self.tried.add(request.call)
        there = self.client.list(self.actions[request.address].type).get(intent.name)
        moved = there is not None and any(there.get(name) != value for name, value in intent.before.items())
        if moved or (there is None) is not (request.call is Call.CREATE):
            raise DryRunIgnored(request.address)

    def report(self, stopped_by: PlannerError | StateError | None) -> Report:
        total = Counter(request.address for request in self.plan.requests)
        failed = self.rejected.keys() | self.unknown.keys() | self.skipped.keys()
        applied, not_attempted = [], []
        for action in self.plan.changes:
            address = action.address
            if address in self.arranged or (0 < total[address] == self.done[address]):
                applied.append(action)
            elif address not in failed and self.done[address]:
                self.skipped[address] = "it has its temporary name only"
            elif address not in failed and not self._is_untried(action, total):
                not_attempted.append(address)
        return Report(
            tuple(applied),
            self.rejected,
            self.unknown,
            self.skipped,
            tuple(not_attempted),
            self.not_accepted,
            stopped_by,
            self.unstored,
            drifted=self.drifted,
        )


def _doubted(outcome: Outcome) -> Outcome:
    """What a rename that is sent again has for an outcome, when the first one may have been applied late after all.

    Then the old name is gone, or the new one is taken by this very source, and the API refuses the second one.
    """
    if isinstance(outcome, Rejected) and outcome.status not in {None, 401, 403, 429}:
        reason = f"answered {outcome_reason(outcome)}"
        return Unknown(outcome.address, reason, outcome.duration_ms, outcome.at)
    return outcome
