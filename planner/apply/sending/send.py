"""Carries a plan out: one request after the other, each in the journal before it is sent and before anyone is told.

A dry run is this same loop with a client that asks the API to change nothing and a `record` that keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import define, field

from planner.apply.checks.conflicts import changed_unseen, moved_of, tell_moved, tell_renamed
from planner.apply.checks.late import without_late
from planner.apply.report import Done, Report, Sending
from planner.apply.sending.arrange import forget, move, take_over
from planner.apply.sending.doubts import doubt_again, doubt_gone, doubt_name, tell_superseded
from planner.apply.sending.effects import Effects
from planner.apply.sending.intents import find_unasked, make_intent
from planner.apply.sending.last_look import find_all_reset, look_at_last
from planner.apply.sending.remembered import remember
from planner.apply.sending.resolve import may_land_s, resolve
from planner.apply.sending.sight import Glimpsing, Sight
from planner.apply.sending.tally import Tally
from planner.apply.sending.waits import Waits
from planner.audit.absence import Look
from planner.audit.drift import Remote
from planner.console.answers import call_of, compare_echo
from planner.console.client import Client
from planner.console.outcomes import outcome_reason
from planner.definitions.fields import Call
from planner.definitions.resources import ResourceType
from planner.errors import ApiError, DryRunIgnored, Interrupted, KeyRefused, Unreachable
from planner.plan import verbs
from planner.plan.build import Plan
from planner.plan.diff import Action
from planner.plan.order import Request
from state.errors import StateError
from state.records import Applied, Deleted, Intent, Outcome, Rejected, Resolved, Unknown
from state.snapshot import ResourceState
from state.values import Address, Object

CONNECT_ATTEMPTS = 5
SEND_ATTEMPTS = 3


def apply_plan(plan: Plan, client: Client, effects: Effects) -> Report:
    """Send the plan's requests in order, one at a time, and forget what the plan forgets.

    Never raises for what the API, the network, the disk or a signal does: the report says it.
    """
    sender = _Sender(plan, client, effects)
    try:
        sender.arrange(move, take_over)
        for number, request in enumerate(plan.requests, start=1):
            sender.carry_out(request, number)
        sender.arrange(forget)
        sender.look_again()
        sender.look_at_last()
    except (ApiError, StateError, Interrupted, DryRunIgnored) as error:
        return sender.tally.report(error)
    return sender.tally.report(None)


@define(eq=False, repr=False)
class _Sender:
    plan: Plan
    client: Client
    effects: Effects
    actions: dict[Address, Action] = field(init=False)
    tally: Tally = field(init=False)
    waits: Waits = field(init=False)
    sight: Sight = field(init=False)
    lister: Glimpsing = field(init=False)
    number: int = 0
    started: float = 0.0
    open: dict[Address, tuple[Request, Intent]] = field(factory=dict)
    unsure: set[Address] = field(factory=set)
    deleted: dict[Address, Object] = field(factory=dict)
    tried: set[Call] = field(factory=set)
    replaced: dict[Address, Object] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        effects = self.effects
        self.actions = {action.address: action for action in self.plan.actions}
        self.tally = Tally(self.plan, self._untried())
        self.waits = Waits(effects.clock, effects.notify, effects.windows, effects.sent_at)
        self.sight = effects.sight or Sight(effects.clock, lambda types, _addresses: Look(self._list(types)))
        self.lister = Glimpsing(self.client, self.sight)

    def _list(self, types: Iterable[ResourceType]) -> Remote:
        return {type_.name: self.client.list(type_) for type_ in types}

    def _untried(self) -> frozenset[Address]:
        if not self.client.is_dry_run:
            return frozenset()
        asked = {request.address for request in self.plan.requests}
        return frozenset(a.address for a in self.plan.changes if a.verb.sends and a.address not in asked)

    def carry_out(self, request: Request, number: int) -> None:
        """Send the request until it has a final outcome; send it again if that can help.

        Raises:
            ApiError: the run can't continue.
        """
        if self.tally.is_skipped(request):
            return
        self.number = number
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
                    self.waits.back_off(connects, outcome.message, base=0.5)
                case Rejected(status=429):
                    limits += 1
                    self.waits.wait_for_limit(outcome, limits)
                case Resolved(verdict="not applied") if (sends := sends + 1) < SEND_ATTEMPTS:
                    self.waits.back_off(sends, self.tally.rejected[request.address], base=1.0)
                case Rejected(status=None):
                    raise Unreachable(outcome.message)
                case Rejected(status=401):
                    raise KeyRefused(f"the API answered {outcome_reason(outcome)}")
                case _:
                    return

    def arrange(self, *steps: Callable[[Plan, Effects], Iterator[Address]]) -> None:
        """What the plan changes only in the state."""
        for step in steps:
            for address in step(self.plan, self.effects):
                self.tally.arranged.add(address)

    def _prepare(self, request: Request) -> Intent | None:
        """Wait for the API's limit, and list; return what to send, or None if the address is skipped."""
        has_waited = self.waits.keep_pace()
        action, prior = self.actions[request.address], self.effects.known(request.address)
        goes_by_sight = request.call in {Call.FULL, Call.DELETE} or self.effects.checks_drift
        if goes_by_sight and request.call is not Call.CREATE:
            if self.sight.is_too_old_for(request, action.type, has_waited=has_waited):
                self.sight.renew([action.type], self._pending())
            reason = self._why_not(request, action, prior)
            if reason is None and request.call is Call.DELETE:
                reason = self.effects.why_kept(action)
            if reason is not None:
                self.tally.skip(request.address, reason)
                return None
        source, declared = self.sight.source(request, action.type), self.effects.declared(request.address)
        if request.call is Call.FULL:
            self.replaced[request.address] = source or {}
        return make_intent(request, action, prior, source, self.effects.clock.timestamp(), declared=declared)

    def _pending(self) -> frozenset[Address]:
        return frozenset(request.address for request in self.plan.requests[max(0, self.number - 1) :])

    def _why_not(self, request: Request, action: Action, prior: ResourceState | None) -> str | None:
        """What somebody did to the source since the plan was approved, as far as the last list shows."""
        if (doubt := self.sight.doubt(request, action.type)) is not None:
            return f"it is unknown whether somebody changed it: {doubt}"
        source = self.sight.source(request, action.type)
        if source is None and request.call is Call.DELETE:
            # If the source is gone, nobody can change it: send the delete anyway, and the API answers 404.
            alike = self.sight.find_alike(action.type, prior.data if prior else {})
            return tell_renamed(request.name, alike) if alike else None
        if source is None:
            return f'somebody renamed or deleted it: the remote has no source named "{request.name}"'
        declared = self.effects.declared(action.address)
        moved = moved_of(action, declared, prior, source, self.sight.shown(action.type))
        return tell_moved(without_late(moved, action.type, action.address, self.effects.late))

    def _attempt(self, request: Request, intent: Intent, *, is_again: bool) -> Outcome | Resolved:
        with self.effects.shield():
            self._note_intent(intent)
            outcome = self.client.send(self.actions[request.address].type, intent)
            self.waits.note_sent()
            outcome = self._doubted(request, intent, outcome, is_again=is_again)
            self._note(request, intent, outcome)
        return self._look_up(request, intent) or outcome if isinstance(outcome, Unknown) else outcome

    def _doubted(self, request: Request, intent: Intent, outcome: Outcome, *, is_again: bool) -> Outcome:
        """The outcome, after a list where the answer does not say enough."""
        type_ = self.actions[request.address].type
        match outcome:
            case _ if is_again and "name" in request.body:
                return doubt_again(outcome)
            case Applied() if not self.client.is_dry_run:
                return doubt_name(intent, outcome, lambda: self.lister.list(type_), self.waits)
            case Deleted(status=404):
                self.unsure.add(intent.address)
                self.sight.renew([type_], self._pending())
                return doubt_gone(intent, outcome, type_, self.sight)
            case _:
                return outcome

    def _look_up(self, request: Request, intent: Intent) -> Resolved | None:
        """The outcome of a request without a clear answer; None while it may still be carried out."""
        self.unsure.add(request.address)
        resolved = self._resolve(intent)
        if resolved.verdict == "not applied" and not self.client.is_dry_run:
            if request.call is not Call.PATCH:
                # It may still be carried out: do not send it again in this run, and look again at the end.
                self.open[request.address] = (request, intent)
                return None
            if (seconds := may_land_s(intent, self.effects.clock)) > 0:
                self.waits.wait(seconds, "the API may still carry out the rename")
                resolved = self._resolve(intent)
        with self.effects.shield():
            self._note(request, intent, resolved)
        return resolved

    def _resolve(self, intent: Intent) -> Resolved:
        (resolved,) = resolve([intent], self.lister, self.effects.clock, may_be_its=self.sight.is_new)
        if resolved.verdict == "superseded" and resolved.data is None and call_of(intent) in {Call.CREATE, Call.DELETE}:
            # The message names the new name.
            self.sight.renew([self.actions[intent.address].type], self._pending())
        return resolved

    def look_again(self) -> None:
        """Look once more for requests that may have been carried out since.

        Raises:
            ApiError: the remote can't be listed; what is unknown stays so.
        """
        for request, intent in tuple(self.open.values()):
            resolved = self._resolve(intent)
            if resolved.verdict != "not applied":
                with self.effects.shield():
                    self._note(request, intent, resolved)
                del self.open[request.address]

    def look_at_last(self) -> None:
        """Report what was created, deleted or looked up, and is not as the API answered; and what was reset.

        Raises:
            ApiError: the remote can't be listed.
        """
        answered = [action for action in self.plan.changes if self._is_to_be_seen(action)]
        if answered:
            parts = self.plan, answered, self.effects, self.waits, self._list
            unlike = look_at_last(*parts, deleted=self.deleted, may_be=self._may_be)
            self.tally.unknown.update(unlike)
        if not self.client.is_dry_run:
            replaced = {a: source for a, source in self.replaced.items() if self.tally.is_answered(a)}
            for address, fields in find_all_reset(replaced, self.effects.known, self._list).items():
                self.tally.not_accepted[address] = (*self.tally.not_accepted.get(address, ()), *fields)

    def _may_be(self, action: Action, name: str) -> bool:
        """Whether a source of this name may be what was to be deleted, since no answer says that it is."""
        return action.address in self.unsure and self.sight.is_new(action.type, name)

    def _is_to_be_seen(self, action: Action) -> bool:
        is_risky = action.verb in {verbs.CREATE, verbs.DELETE} or action.address in self.unsure
        return is_risky and self.tally.is_answered(action.address) and not self.client.is_dry_run

    def _note_intent(self, intent: Intent) -> None:
        # Before the journal has it: if a second signal comes in between, the answer is kept here.
        self.tally.unknown[intent.address] = "the run ended before the answer came"
        try:
            self.effects.record(intent)
        except StateError:
            del self.tally.unknown[intent.address]
            raise

    def _note(self, request: Request, intent: Intent, outcome: Outcome | Resolved) -> None:
        """Make the outcome durable, then count it and report it."""
        outcome = remember(outcome, intent, self.effects.known(intent.address))
        try:
            self.effects.record(outcome)
        except StateError:
            self.tally.unstored = outcome
            self.tally.unknown[request.address] = "its outcome could not be written to the journal"
            raise
        address, tally = request.address, self.tally
        reason = tally.unknown.pop(address)
        tally.rejected.pop(address, None)
        match outcome:
            case Applied(data=data) | Resolved(verdict="applied", data=dict() as data):
                tally.done[address] += 1
                self._compare(intent, data)
                self._learn(intent, data, intent.sent if isinstance(outcome, Applied) else None)
            case Deleted() | Resolved(verdict="applied"):
                tally.done[address] += 1
                self.deleted[address] = intent.before
                self._learn(intent, None)
            case Rejected():
                tally.rejected[address] = outcome_reason(outcome) or ""
            case Unknown():
                tally.unknown[address] = outcome.reason
                return
            case Resolved(verdict="not applied"):
                tally.rejected[address] = f"it did not happen: {reason}"
            case Resolved(data=None) if request.call is Call.DELETE:
                told = tell_superseded(intent, outcome, self.actions[address].type, self.sight)
                tally.rejected[address] = f"it did not happen: {reason}; {told}"
            case Resolved(data=data):
                told = tell_superseded(intent, outcome, self.actions[address].type, self.sight)
                tally.unknown[address] = f"{reason}; {told}"
                if request.call is not Call.CREATE:
                    self._learn(intent, data)
        self.effects.notify(Done(request, outcome, self.effects.clock.monotonic() - self.started))

    def _learn(self, intent: Intent, data: Object | None, sent: Object | None = None) -> None:
        """Learn from an answer to `sent`, or from a list, the values of the source and the changes of others."""
        if self.client.is_dry_run:
            return
        address = intent.address
        self.sight.learn(address, intent.name, data, sent)
        if data is not None and (state := self.effects.known(address)) is not None:
            changed = changed_unseen(self.actions[address].type, state)
            if moved := tuple(name for name in changed if name in self.effects.declared(address)):
                self.tally.drifted[address] = moved

    def _compare(self, intent: Intent, data: Object) -> None:
        # It is not documented whether a dry run answers with the current or with the new values.
        if not self.client.is_dry_run:
            type_ = self.actions[intent.address].type
            refused = compare_echo(type_, intent.before, intent.sent, data).not_accepted
            if refused := (*refused, *find_unasked(type_, intent, data)):
                self.tally.not_accepted[intent.address] = refused

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
