"""Whose turn it is to write into a SQLite file: who waits is next, however often others write."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.database import Database, connect
from feeds.errors import RecordUnavailable
from feeds.turn import Turn


def opened(path: Path, patience: float = 10.0) -> Database:
    """Return the database as one more process has it open."""
    return connect(f"sqlite:///{path}", patience)


async def is_free(path: Path) -> bool:
    """Tell whether nobody is next to write."""
    turn = Turn(str(path))
    try:
        async with turn.next(asyncio.get_running_loop().time()):
            return True
    except RecordUnavailable:
        return False
    finally:
        turn.close()


async def test_who_writes_one_transaction_after_the_other_lets_who_waits_between(tmp_path: Path) -> None:
    path, order, begun, free = tmp_path / "turn.db", list[str](), asyncio.Event(), asyncio.Event()
    greedy, patient = opened(path), opened(path)

    async def note(conn: AsyncConnection, name: str) -> None:
        await conn.execute(text("SELECT 1"))
        if name == "first":
            begun.set()
            await free.wait()
        order.append(name)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(greedy.write(lambda conn: note(conn, "first")))
        for number in range(5):
            tasks.create_task(greedy.write(lambda conn, number=number: note(conn, f"later {number}")))  # type: ignore[misc]
        await begun.wait()
        tasks.create_task(patient.write(lambda conn: note(conn, "patient")))
        while await is_free(path):  # noqa: ASYNC110  # a lock of the kernel's wakes nobody
            await asyncio.sleep(0.001)
        free.set()
    assert order.index("patient") == 1
    assert order[2:] == [f"later {number}" for number in range(5)]
    await greedy.close()
    await patient.close()


async def test_a_turn_that_does_not_come_in_time_is_said(tmp_path: Path) -> None:
    path = tmp_path / "turn.db"
    holder, database = Turn(str(path)), opened(path, patience=0.05)
    async with holder.next(asyncio.get_running_loop().time() + 1):
        with pytest.raises(RecordUnavailable, match="others have been writing for too long"):
            await database.write(lambda conn: conn.execute(text("SELECT 1")))
    assert (await database.write(lambda conn: conn.scalar(text("SELECT 1")))) == 1
    holder.close()
    await database.close()


async def test_a_transaction_that_fails_lets_the_next_one_begin(tmp_path: Path) -> None:
    database = opened(tmp_path / "turn.db")

    async def fail(conn: AsyncConnection) -> None:
        await conn.execute(text("CREATE TABLE lost (id)"))
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await database.write(fail)
    assert await is_free(tmp_path / "turn.db")
    tables = await database.write(lambda conn: conn.scalar(text("SELECT count(*) FROM sqlite_master")))
    assert tables == 0
    await database.close()
