"""Items: how many an AWS account was billed for in a month. The record keeps the count, a hash in Redis goes before it.

Counting costs no write of the record: ``Counter.keep`` writes what Redis has, once in a while. What the record has is
the least that the count can be, so a Redis that forgot it, or went back, is raised to that with the next count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from redis.asyncio import Redis
from sqlalchemy import ColumnElement, case, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds import keys, scripts
from feeds.database import is_postgresql
from feeds.schema import items
from feeds.writes.unit import Unit


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a month (``2026-11``, UTC, as AWS bills): first items, second taps, and since when they count."""

    month: str
    first: int = 0
    taps: int = 0
    since_ms: int = 0

    @property
    def total(self) -> int:
        """What is billed."""
        return self.first + self.taps

    def raised_to(self, other: "Items") -> "Items":
        """Return the larger of both counts."""
        since_ms = min(self.since_ms or other.since_ms, other.since_ms or self.since_ms)
        return Items(self.month, max(self.first, other.first), max(self.taps, other.taps), since_ms)


def month_of(now_ms: int) -> str:
    """Return the month of a moment."""
    return f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m}"


async def find(conn: AsyncConnection, account: str) -> list[Items]:
    """Return what was counted for an account, by month."""
    c = items.c
    query = select(c.month, c.first, c.taps, c.since_ms).where(c.account == account).order_by(c.month)
    return [Items(*row) for row in await conn.execute(query)]


async def raise_to(unit: Unit, account: str, counted: Items) -> None:
    """Raise the count of a month to this one, where it is below it."""
    make = postgresql.insert if is_postgresql(unit.conn) else sqlite.insert
    row = {"first": counted.first, "taps": counted.taps, "since_ms": counted.since_ms}
    statement = make(items).values(account=account, month=counted.month, **row)

    def larger(name: str) -> ColumnElement[int]:
        there, new = items.c[name], statement.excluded[name]
        return case((new > there, new), else_=there)

    raised = {"first": larger("first"), "taps": larger("taps")}
    await unit.conn.execute(statement.on_conflict_do_update(index_elements=["account", "month"], set_=raised))


class Counter:
    """The count of one account, in Redis."""

    def __init__(self, redis: Redis, account: str) -> None:
        self._redis = redis
        self._account = account

    async def add(self, batch: str, first: int, taps: int, least: Items, now_ms: int) -> Items:
        """Count the items of a batch, once however often it is said; return the month's count."""
        where = (keys.items(self._account, least.month), keys.counted(batch))
        call = scripts.call(scripts.ITEMS, where, first, taps, least.first, least.taps, least.since_ms, now_ms)
        (reply,) = await scripts.execute(self._redis, [call])
        return _items(least.month, reply)

    async def read(self, month: str) -> Items:
        """Return the count of a month as Redis has it."""
        command = ("HMGET", keys.items(self._account, month), "first", "taps", "since")
        return _items(month, (await scripts.execute(self._redis, [command]))[0])

    async def set_limit(self, month: str, limit: int, at_limit: str) -> None:
        """Say which limit is in force."""
        command = ("HSET", keys.items(self._account, month), "limit", limit, "at_limit", at_limit)
        await scripts.execute(self._redis, [command])

    async def limit(self, month: str) -> tuple[int, str] | None:
        """Return the limit that is in force, and what happens at it; None where nobody has said so this month."""
        command = ("HMGET", keys.items(self._account, month), "limit", "at_limit")
        ((limit, at_limit),) = await scripts.execute(self._redis, [command])
        return None if limit is None else (int(limit), at_limit.decode())


def _items(month: str, reply: Sequence[bytes | None]) -> Items:
    first, taps, since_ms = (int(value or 0) for value in reply)
    return Items(month, first, taps, since_ms)
