"""A connection to SQLite: transactions are what they are with aiosqlite's own."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from feeds.database import READERS, Database, connect
from feeds.errors import RecordUnavailable


async def opened(path: Path) -> Database:
    """Return a database with a table of two rows."""
    database = connect(f"sqlite:///{path}", 10.0)
    await database.write(lambda conn: conn.execute(text("CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT)")))
    await database.write(
        lambda conn: conn.execute(text("INSERT INTO rows (name) VALUES (:name)"), [{"name": "a"}, {"name": "b"}])
    )
    return database


async def test_a_read_sees_one_moment_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    database = await opened(tmp_path / "rows.db")
    count = text("SELECT count(*) FROM rows")
    async with database.read() as conn:
        before = await conn.scalar(count)
        await database.write(lambda conn: conn.execute(text("DELETE FROM rows")))
        assert await conn.scalar(count) == before == 2
    async with database.read() as conn:
        assert await conn.scalar(count) == 0
    await database.close()


async def test_what_a_statement_did_is_told(tmp_path: Path) -> None:
    database = await opened(tmp_path / "rows.db")
    changed = await database.write(lambda conn: conn.execute(text("UPDATE rows SET name = 'c'")))
    assert changed.rowcount == 2
    added = await database.write(lambda conn: conn.scalar(text("INSERT INTO rows (name) VALUES ('d') RETURNING id")))
    assert added == 3
    await database.close()


async def test_a_statement_that_fails_leaves_its_connection_usable(tmp_path: Path) -> None:
    database = await opened(tmp_path / "rows.db")
    for _ in range(20):  # more than there are connections
        with pytest.raises((OperationalError, RecordUnavailable), match="no such table"):
            async with database.read() as conn:
                await conn.execute(text("SELECT * FROM nowhere"))
    async with database.read() as conn:
        assert (await conn.execute(text("SELECT name FROM rows ORDER BY id"))).scalars().all() == ["a", "b"]
    await database.close()


async def test_readers_at_once_each_get_their_rows(tmp_path: Path) -> None:
    database = await opened(tmp_path / "rows.db")

    async def read(number: int) -> int:
        async with database.read() as conn:
            found: int = (await conn.execute(text("SELECT :number"), {"number": number})).scalar_one()
            return found

    opened_now: list[object] = []
    event.listen(database.reads.sync_engine, "connect", lambda connection, _: opened_now.append(connection))
    assert await asyncio.gather(*map(read, range(100))) == list(range(100))
    assert await asyncio.gather(*map(read, range(100))) == list(range(100))
    assert len(opened_now) <= READERS, "connections were opened for a crowd, and closed after it"
    await database.close()
