"""One run on a project, with all that it needs: the API, the state, and the output."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Self

from attrs import define, evolve, field

from planner.apply.checks.project import is_project_of
from planner.apply.checks.twins import find_unmanaged_twins
from planner.apply.origin.begin import make_begin
from planner.apply.origin.git import find_commit
from planner.apply.output import NoOutput, Output
from planner.audit.drift import Remote
from planner.audit.experiments import FIELDS, Change, Touched, find_touched
from planner.audit.unit_ids import find_unknown_units, names_units
from planner.clock import Clock
from planner.console.key import ApiKey, read_key
from planner.definitions.definition import Definition, Definitions
from planner.definitions.project import Project
from planner.definitions.resources import ResourceType
from planner.errors import ApiError, DefinitionError, Diagnostic, UsageError
from planner.escape import escape
from planner.plan.build import Plan
from planner.signals import Interrupts
from planner.version import BASE_URL
from state import store
from state.errors import StateError
from state.places.place import Wait
from state.records import Begin
from state.runs import AtWork
from state.session import Session
from state.snapshot import Snapshot
from state.values import Object

if TYPE_CHECKING:
    from planner.console.client import Client
    from state.storage import Place


MAX_TWINS = 20


@define(eq=False, repr=False)
class Run:
    """A run on the project, with the API at `base_url` and the key that `environ` names.

    `asserted_project` is the ID of the Statsig project that the key is said to be of, whatever the state says.
    `actor` is who is named as the one that asks for it, where its environment does not tell or tells another.
    `patience_s` is how long it waits for another run on the state, as `state.places.place.Wait` has it.
    `log` is given each request, without headers and bodies, as the client tells.
    A signal interrupts it as it should while `interrupts.caught()` is entered; a script does without. Use it with
    `with`, or `close` it: the client that it makes has a connection and a thread.
    """

    project: Project
    base_url: str = BASE_URL
    output: Output = field(factory=NoOutput)
    is_dry_run: bool = False
    actor: str | None = None
    log: Callable[[Object], None] | None = None
    asserted_project: str | None = None
    environ: Mapping[str, str] = field(default=os.environ, repr=False)
    clock: Clock = field(factory=Clock)
    interrupts: Interrupts = field(factory=Interrupts)
    patience_s: float | None = None
    _client: Client | None = None
    _experiments: Sequence[Object] | None = None
    _experiments_at: float = 0.0
    _key: ApiKey | None = field(default=None, repr=False)
    _commit: str | None = None
    _reached: str | None = None
    _session: Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later request opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @contextmanager
    def closing_own(self) -> Iterator[None]:
        """At the end of the block the client is closed, if it was made in it."""
        had_client = self._client is not None
        try:
            yield
        finally:
            if not had_client:
                self.close()

    @property
    def definitions(self) -> Definitions:
        return self.project.definitions

    @property
    def place(self) -> Place:
        """Where the state is.

        Raises:
            WrongState: the environment and the project don't agree on that.
        """
        return self.project.place(self.environ, Wait(self.patience_s, self.output.tell_waiting))

    def open_state(self, doing: str, place: Place | None = None) -> Session:
        """The state, locked; that at `place` if it is not the project's.

        Raises:
            StateError: another process has the lock, or the files can't be trusted.
        """
        # Not when the run begins: an approval may take hours, and the repository may change in that time.
        self._commit = find_commit(self.project.directory, self.definitions.texts)
        try:
            session = store.open(place or self.place, doing, now=self.clock.timestamp)
        finally:
            self.output.count("")
        self._session, sleep = session, self.clock.sleep

        def sleep_alive(seconds: float) -> None:
            sleep(seconds)
            session.stay()

        self.clock = evolve(self.clock, sleep=sleep_alive)
        return session

    def connect(self) -> Client:
        """The client; made when it is first needed, since a plan that changes nothing needs no key.

        Raises:
            UsageError: there is no key, or the base URL or a proxy can't be used.
            DefinitionError: the key stands in a definition.
        """
        from planner.console.client import Client  # noqa: PLC0415 - httpx, which not every run needs

        if self._client is None:
            self._client = Client(
                self.base_url,
                self._read_key(),
                self.clock,
                respect_review_settings=self.definitions.settings.respect_review_settings,
                is_dry_run=self.is_dry_run,
                warn=self.output.warn,
                check=lambda: self._session.check_deadline() if self._session else None,
                stay=lambda: self._session.stay() if self._session else None,
                log=self.log,
            )
            self._tell_who_listens(self._client.proxy)
        return self._client

    def refuse_key(self) -> None:
        """Before a plan is shown: refuse definitions that hold the key, if there is one.

        Raises:
            DefinitionError: they do.
        """
        with suppress(UsageError):
            self._read_key()

    def _read_key(self) -> ApiKey:
        # Once: its file may be a pipe, and a large project takes long to look through.
        if self._key is None:
            key = read_key(self.environ)
            _refuse_in_definitions(key, self.definitions)
            self._key = key
        return self._key

    def _tell_who_listens(self, proxy: str | None) -> None:
        if proxy is not None:
            self.output.say(f"The requests go through the proxy {escape(proxy)}.")
        # A variable of OpenSSL: Python obeys it, whatever httpx is told.
        if not self.base_url.startswith("http:") and (file := self.environ.get("SSLKEYLOGFILE")):
            self.output.warn(
                f"SSLKEYLOGFILE is set: anybody who can read {file} can decrypt the traffic and get the API key."
            )

    def list_remote(self, types: Iterable[ResourceType]) -> Remote:
        """Every source of these types that the project has.

        Raises:
            ApiError: the remote can't be listed.
        """
        client = self.connect()
        with self.counting("listing the remote") as tell:
            return {type_.name: client.list(type_, tell) for type_ in types}

    def check_project(self, snapshot: Snapshot, remote: Remote) -> None:
        """Check that the key belongs to the Statsig project of this state; `begin` records the project.

        Raises:
            OtherProject: it does not, or that is unknown.
            ApiError: the API can't be asked.
        """
        if remote:
            found = self.connect().project()
            if is_project_of(snapshot, remote, found, self.asserted_project):
                self._reached = found

    def find_at_work(self, snapshot: Snapshot) -> AtWork | None:
        """The other run that may have changed what was listed since the snapshot was read, as far as it is known."""
        with suppress(StateError):
            return store.at_work(self.place, snapshot.head)
        return None

    def list_experiments(self, max_age_s: float | None = None) -> Sequence[Object]:
        """The project's experiments, listed once; again if that was more than `max_age_s` ago.

        Raises:
            ApiError: they can't be listed.
        """
        is_old = max_age_s is not None and self.clock.monotonic() - self._experiments_at > max_age_s
        if self._experiments is None or is_old:
            client = self.connect()
            with self.counting("listing the experiments") as tell:
                self._experiments = client.list_experiments(FIELDS, tell)
            self._experiments_at = self.clock.monotonic()
        return self._experiments

    def find_touched(self, changes: Iterable[Change]) -> tuple[Touched, ...]:
        """Find what reads the sources of these changes; if that can't be found out, it is marked as unknown."""
        return tuple(map(self._find_touched, changes))

    def _find_touched(self, change: Change) -> Touched:
        try:
            if change.type.metrics_path is not None:
                return Touched(change, metrics=tuple(self.connect().list_metrics(change.type, change.name)))
            return find_touched(change, self.list_experiments() if change.type.read_by else ())
        except ApiError as error:
            # Only a note: what reads a source decides nothing here.
            return Touched(change, problem=str(error).partition("\n")[0])

    def warn_of_units(self, plan: Plan) -> None:
        """Warn of unit IDs in the plan that the project does not have, if the key may list them."""
        if names_units(plan):
            with suppress(ApiError):
                for text in find_unknown_units(plan, self.connect().list_unit_ids()):
                    self.output.warn(text)

    def warn_of_twins(self, plan: Plan, snapshot: Snapshot, remote: Remote) -> None:
        """Warn of existing sources that may be the same as sources to be created."""
        for text in islice(find_unmanaged_twins(plan, self.definitions, snapshot, remote), MAX_TWINS):
            self.output.warn(text)

    def list_audit_log(self, types: Iterable[ResourceType], since: date) -> Sequence[Object]:
        """The entries of the project's audit log that can explain a drift of these types, from that day on.

        Raises:
            ApiError: it can't be read.
        """
        client = self.connect()
        from planner.console.audit_log import action_types  # noqa: PLC0415 - only who asks for authors needs it

        actions = dict.fromkeys(action for type_ in types for action in action_types(type_))
        with self.counting("reading the audit log") as tell:
            return client.list_audit_log(since, actions, tell)

    @contextmanager
    def counting(self, doing: str) -> Iterator[Callable[[int], None]]:
        """A counter for the output; `doing` is a text such as "listing the remote"."""
        try:
            yield lambda count: self.output.count(f"{doing} … {count or ''}")
        finally:
            self.output.count("")

    def begin(self, plan: str | None) -> Begin:
        """The record with which this run starts, once the state is open; `plan` is the digest of its plan."""
        return make_begin(
            plan,
            self.definitions,
            self.environ,
            self.clock.timestamp(),
            asked_by=self.actor,
            commit=self._commit,
            base_url=self.base_url if self._client is not None else None,
            project=self._reached,
        )


def _refuse_in_definitions(key: ApiKey, definitions: Definitions) -> None:
    """Refuse a key in a definition: it would be sent, shown, and committed with the journal and the state."""

    def holds(ones: Iterable[Definition]) -> bool:
        texts = [[one.name, one.values] for one in ones]
        return key.is_in(json.dumps(texts, ensure_ascii=False).encode("utf-8", "replace"))

    # All at once first: in nearly every project none of them has it.
    resources = definitions.resources
    holders = [address for address, one in resources.items() if holds([one])] if holds(resources.values()) else []
    if holders:
        # The line that is shown of a problem would show the key.
        places = {address: definitions.locate(address)._replace(text="") for address in holders}
        expected = (
            "a definition without the key. Anybody who can read the file has it: revoke the key, and create a new one"
        )
        raise DefinitionError([Diagnostic("the API key is in a definition", expected, places[a], a) for a in holders])
