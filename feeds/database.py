"""The database under the system of record: its connections, its transactions, and which failures are tried again."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import URL, event, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from feeds import sqlite
from feeds.errors import RecordUnavailable
from feeds.turn import Turn

T = TypeVar("T")

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
BUSY_MS = 250
"""How long SQLite itself waits for a lock where it is read."""
BUSY_WRITE_MS = 20
"""How long it waits for the lock of those who write: soon it would look every 100 ms only. Then it is asked anew."""
LOOK_S = 0.005
READERS = 5
"""Connections that read SQLite. Each is a thread, and takes longer to open than a read does: crowds wait for these."""

_RETRIED_STATES = frozenset({"40001", "40P01", "55P03"})  # PostgreSQL: serialization failure, deadlock, lock time-out
_RETRIED_CODES = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -32768",
    "PRAGMA temp_store = MEMORY",  # a statement that writes many rows keeps a journal of its own
    "PRAGMA wal_autocheckpoint = 8000",  # 32 MB: an import touches the whole index of followers with every chunk
)


def database_url(url: str) -> URL:
    """Return the URL with its async driver. Raises ValueError for a database that is not supported."""
    parsed = make_url(url)
    if parsed.drivername not in DRIVERS:
        raise ValueError(f"database URL starts with {parsed.drivername!r}: it must be sqlite:/// or postgresql://")
    if parsed.drivername.startswith("sqlite") and parsed.database in (None, "", ":memory:"):
        raise ValueError(f"database URL is {url!r}: it must name a file, for several processes share it")
    return parsed.set(drivername=DRIVERS[parsed.drivername])


def is_postgresql(conn: AsyncConnection | Connection) -> bool:
    """Tell whether a connection leads to PostgreSQL."""
    return conn.dialect.name == "postgresql"


@dataclass(frozen=True, slots=True)
class Database:
    """One pool for writes and one for reads, so that reads never wait for SQLite's write lock.

    ``notes`` is for bookkeeping that may be lost with the power: it holds SQLite's lock without waiting for the disk,
    so that writers of data do not wait for it.
    """

    writes: AsyncEngine
    notes: AsyncEngine
    reads: AsyncEngine
    patience: float
    """Seconds after which a write that is still refused a lock is given up."""
    turn: Turn | None = None
    """Whose turn it is to write, where the database has one writer at a time and does not say who is next."""

    async def close(self) -> None:
        """Close all connections."""
        if self.turn is not None:
            self.turn.close()
        await self.reads.dispose()
        await self.notes.dispose()
        await self.writes.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that sees one moment of the database."""
        try:
            async with self.reads.connect() as conn:
                yield conn
        except (DBAPIError, PoolTimeout, OSError) as error:
            raise _translated(error) from error

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]], *, durable: bool = True) -> T:
        """Do ``work`` in a transaction of its own, again from its beginning where the database asks for it."""
        engine = self.writes if durable else self.notes
        deadline = asyncio.get_running_loop().time() + self.patience
        pause = 0.005
        while True:
            try:
                async with self._begun(engine, deadline) as conn:
                    return await work(conn)
            except (DBAPIError, PoolTimeout, OSError) as error:
                if not _is_retried(error) or asyncio.get_running_loop().time() + pause > deadline:
                    raise _translated(error) from error
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 0.25)

    @asynccontextmanager
    async def _begun(self, engine: AsyncEngine, deadline: float) -> AsyncIterator[AsyncConnection]:
        """Yield a connection in a transaction, which is committed at the end."""
        if self.turn is None:
            async with engine.begin() as conn:
                yield conn
            return
        async with self.turn.transaction(deadline), AsyncExitStack() as stack:
            async with self.turn.next(deadline):
                conn = await _locked(stack, engine, deadline)
            yield conn


def connect(url: str, patience: float) -> Database:
    """Return the database of a URL; nothing is opened yet."""
    parsed = database_url(url)
    if parsed.drivername == DRIVERS["sqlite"]:
        return _sqlite(parsed, patience)
    common: dict[str, Any] = {"pool_pre_ping": True, "pool_timeout": patience}
    writes = create_async_engine(parsed, pool_size=5, max_overflow=5, **common)
    return Database(
        writes=writes,
        notes=writes,
        reads=create_async_engine(parsed, pool_size=5, max_overflow=10, isolation_level="REPEATABLE READ", **common),
        patience=patience,
    )


def _sqlite(url: URL, patience: float) -> Database:
    _check_file(str(url.database))
    common: dict[str, Any] = {"pool_timeout": patience, "async_creator": lambda: sqlite.connect(url)}
    writes = create_async_engine(url, pool_size=1, max_overflow=0, **common)
    reads = create_async_engine(url, pool_size=READERS, max_overflow=0, pool_use_lifo=True, **common)
    notes = create_async_engine(url, pool_size=1, max_overflow=0, **common)
    soon = f"PRAGMA busy_timeout = {BUSY_WRITE_MS}"
    _begin_with(writes, "BEGIN IMMEDIATE", soon)
    _begin_with(notes, "BEGIN IMMEDIATE", soon, "PRAGMA synchronous = NORMAL")
    _begin_with(reads, sqlite.BEGIN)
    return Database(writes=writes, notes=notes, reads=reads, patience=patience, turn=Turn(str(url.database)))


async def _locked(stack: AsyncExitStack, engine: AsyncEngine, deadline: float) -> AsyncConnection:
    """Return a connection with SQLite's lock as soon as whoever has it lets go of it."""
    while True:
        try:
            return await stack.enter_async_context(engine.begin())
        except DBAPIError as error:
            if not _is_retried(error) or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(LOOK_S)


def _check_file(path: str) -> None:
    # The driver opens files in a thread, which outlives the failure to.
    try:
        sqlite3.connect(path).close()
    except sqlite3.Error as error:
        raise RecordUnavailable(f"the system of record does not answer: {error}: {path!r}") from error


def _begin_with(engine: AsyncEngine, statement: str, *pragmas: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # or the driver would begin by itself, deferred, at the first write
        cursor = connection.cursor()
        for pragma in (*_PRAGMAS, *pragmas):
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(conn: Connection) -> None:
        conn.exec_driver_sql(statement)


def _is_retried(error: Exception) -> bool:
    cause = getattr(error, "orig", None)
    code = getattr(getattr(cause, "__cause__", None), "sqlite_errorcode", getattr(cause, "sqlite_errorcode", 0))
    return (code & 0xFF) in _RETRIED_CODES or getattr(cause, "sqlstate", None) in _RETRIED_STATES


def _translated(error: Exception) -> Exception:
    is_away = isinstance(error, (OperationalError, InterfaceError, PoolTimeout, OSError)) or _is_retried(error)
    is_broken = isinstance(error, DBAPIError) and (error.connection_invalidated or type(error) is DatabaseError)
    if is_away or is_broken:
        cause = getattr(error, "orig", None) or error
        return RecordUnavailable(f"the system of record does not answer: {cause}. Try again")
    return error
