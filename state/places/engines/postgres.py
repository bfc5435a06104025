"""The engine over PostgreSQL. No other file knows psycopg.

Every statement is a transaction of its own, and nothing is kept in the server's session: no lock, no prepared
statement, no setting. So a connection pooler may send each statement to another server process.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import make_conninfo

from state.errors import EngineRefused
from state.places.engines import HEADER, Unsure, reason_of

__all__ = ["PostgresEngine"]

_TABLES = (
    "create schema if not exists statform",
    "create table if not exists statform.journal (state text, start bigint, body bytea not null,"
    " at timestamptz not null default clock_timestamp(), primary key (state, start))",
    "create table if not exists statform.snapshot (state text primary key, body bytea not null)",
    "create table if not exists statform.beat (state text, writer text,"
    " at timestamptz not null default clock_timestamp(), primary key (state, writer))",
)
# Only where the journal ends, and not just where nothing is: so it also notices that a failover lost the journal's end.
_APPEND = """
insert into statform.journal (state, start, body) select %(state)s, %(at)s, %(body)s
where %(at)s = coalesce((select start + length(body) - %(header)s from statform.journal
                         where state = %(state)s order by start desc limit 1), 0)
on conflict do nothing"""
_IDLE = """
select extract(epoch from clock_timestamp() - greatest(j.at, b.at)) from statform.journal j
left join statform.beat b on b.state = j.state and b.writer = %(writer)s
where j.state = %(state)s and j.start = %(at)s"""
_BEAT = """
insert into statform.beat (state, writer) values (%(state)s, %(writer)s)
on conflict (state, writer) do update set at = clock_timestamp()"""
_SNAPSHOT = """
insert into statform.snapshot (state, body) values (%(state)s, %(body)s)
on conflict (state) do update set body = excluded.body"""
_ANSWER_S = 30.0
# With "off" a crash may lose a confirmed commit, with "local" a failover may.
_NOT_DURABLE = frozenset({"off", "local"})
# What another try would not change: it takes other credentials, other rights, or another server.
_REFUSALS = (
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
    errors.InsufficientPrivilege,
    errors.UndefinedTable,
    errors.InvalidSchemaName,
    errors.ProgrammingError,
    errors.ReadOnlySqlTransaction,
)


class PostgresEngine:
    """The state called `state` in a database; `parameters` are libpq's, and say which."""

    def __init__(self, parameters: Mapping[str, str], state: str, where: str) -> None:
        self._parameters, self._state, self._where = dict(parameters), state, where
        self._connection: psycopg.Connection[Any] | None = None

    def create(self, at: int, body: bytes) -> bool:
        if not at:
            self._make_tables()
        with self._asking() as ask:
            return ask.execute(_APPEND, self._with(at=at, body=body, header=HEADER)).rowcount == 1

    def _make_tables(self) -> None:
        # Ask first. A role that may only append could not make them, and two who start at once would hinder each other.
        if self._rows("select to_regclass('statform.beat')")[0][0] is None:
            for statement in _TABLES:
                self._make(statement)

    def _make(self, statement: str) -> None:
        with self._asking() as ask, suppress(errors.UniqueViolation, errors.DuplicateObject, errors.DuplicateTable):
            ask.execute(statement)

    def get(self, at: int) -> bytes | None:
        rows = self._rows("select body from statform.journal where state = %(state)s and start = %(at)s", at=at)
        return bytes(rows[0][0]) if rows else None

    def tail(self, at: int) -> Iterable[tuple[int, bytes]]:
        query = "select start, body from statform.journal where state = %(state)s and start >= %(at)s order by start"
        return [(start, bytes(body)) for start, body in self._rows(query, at=at)]

    def idle(self, at: int, writer: str) -> float:
        rows = self._rows(_IDLE, at=at, writer=writer)
        if not rows:
            raise Unsure("a row that was just there is missing")
        return float(rows[0][0])

    def beat(self, writer: str) -> None:
        self._execute(_BEAT, writer=writer)

    def load_snapshot(self) -> bytes | None:
        rows = self._rows("select body from statform.snapshot where state = %(state)s")
        return bytes(rows[0][0]) if rows else None

    def save_snapshot(self, raw: bytes, end: int) -> None:
        self._execute(_SNAPSHOT, body=raw)

    def prove(self) -> None:
        """Every PostgreSQL keeps a primary key; whether a commit is durable is a setting."""
        setting = self._rows("select current_setting('synchronous_commit')")[0][0]
        if setting in _NOT_DURABLE:
            raise EngineRefused(
                self._where,
                f"synchronous_commit is {setting}: the server may forget what it has confirmed",
                "Set it to on for this role: alter role … set synchronous_commit = on.",
            )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _with(self, **values: object) -> dict[str, object]:
        return {"state": self._state, **values}

    def _execute(self, query: str, **values: object) -> None:
        with self._asking() as ask:
            ask.execute(query, self._with(**values))

    def _rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """The rows; none if there are no tables, because no state was ever put there."""
        with self._asking() as ask:
            try:
                return ask.execute(query, self._with(**values)).fetchall()
            except (errors.UndefinedTable, errors.InvalidSchemaName):
                return []

    @contextmanager
    def _asking(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            connection = self._connected()
            with _no_longer_than(_ANSWER_S, connection):
                yield connection
        except _REFUSALS as error:
            self.close()
            raise EngineRefused(self._where, reason_of(error), _NEEDED) from error
        except psycopg.Error as error:
            self.close()
            if _is_refused_login(error):
                raise EngineRefused(self._where, reason_of(error), _NEEDED) from error
            raise Unsure(reason_of(error)) from error
        except BaseException:
            # Interrupted: the late answer of the server must not be read as the answer to the next statement.
            self.close()
            raise

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            conninfo = make_conninfo("", **self._parameters)
            # psycopg would prepare frequent statements; a pooler may send them to a process that does not know them.
            self._connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
        return self._connection


@contextmanager
def _no_longer_than(seconds: float, connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Shut the connection after that time: libpq would wait for ever for a server that stands still."""
    # A copy of the descriptor: libpq's own must stay open when this one is closed.
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        timer = threading.Timer(seconds, same.shutdown, [socket.SHUT_RDWR])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _is_refused_login(error: psycopg.Error) -> bool:
    """Whether the server refused the login. libpq gives no SQLSTATE for that, only the server's words."""
    words = ("authentication failed", "does not exist", "no pg_hba.conf entry", "certificate", "no password supplied")
    return error.sqlstate is None and any(word in str(error) for word in words)


_NEEDED = (
    "To read a state takes usage on the schema statform and select on its tables; to write it insert on journal, and "
    "insert and update on snapshot and beat."
)
