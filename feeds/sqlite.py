"""A connection to SQLite that goes to its thread once a statement.

aiosqlite goes there for each step of one: a cursor, the statement, its rows, the cursor's end. Each of these ways takes
some 0.2 ms of CPU there and back, where the statement takes 0.02; a read of one row is 8 of them, and 2 here. Rows are
fetched with their statement, for SQLAlchemy asks for all of them at once anyway.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy import URL

BEGIN = "BEGIN"
"""Begins nothing before the next statement, so it goes with that. Not so ``BEGIN IMMEDIATE``, which takes the lock."""


class Cursor:
    """What SQLAlchemy asks of a cursor. Nothing stays open: a statement's rows are here when it returns."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> "Cursor":
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> "Cursor":
        """Execute a statement, and fetch its rows."""
        if statement == BEGIN:
            self._connection.begins = True
        else:
            await self._connection.do(partial(self._execute, statement, parameters))
        return self

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> "Cursor":
        """Execute a statement with each of the parameters."""
        await self._connection.do(partial(self._execute_many, statement, parameters))
        return self

    async def fetchall(self) -> list[Any]:
        """Return the rows."""
        return self._rows

    async def close(self) -> None:
        """Let go of the rows."""
        self._rows = []

    def _execute(self, statement: str, parameters: Sequence[Any], connection: sqlite3.Connection) -> None:
        cursor = connection.execute(statement, parameters)
        self._rows = cursor.fetchall()
        self._keep(cursor)

    def _execute_many(
        self, statement: str, parameters: Sequence[Sequence[Any]], connection: sqlite3.Connection
    ) -> None:
        self._keep(connection.executemany(statement, parameters))

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid


class Connection(aiosqlite.Connection):
    """A connection in a thread of its own. ``begins``: a transaction begins with the next statement."""

    begins = False

    def cursor(self) -> Any:  # not awaited by SQLAlchemy, which enters what it gets
        """Return a cursor."""
        return Cursor(self)

    async def do(self, work: "partial[None]") -> None:
        """Do something in the connection's thread, in the transaction that was to begin."""
        begins, self.begins = self.begins, False
        await self._execute(self._begun, work, begins)  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped

    async def rollback(self) -> None:
        """Roll back, where anything was begun."""
        self.begins = False
        if self.in_transaction:
            await super().rollback()

    def _begun(self, work: "partial[None]", begins: bool) -> None:
        if begins:
            self._conn.execute(BEGIN)
        work(self._conn)


async def connect(url: URL) -> Connection:
    """Return an open connection to the file of a URL."""
    words, options = url.get_dialect()().create_connect_args(url)
    connection = Connection(partial(sqlite3.connect, *words, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy sets it: a process that ends does not wait for it
    await connection
    return connection
