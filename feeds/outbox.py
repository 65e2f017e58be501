"""The outbox: the changes, committed with the data that they changed, until a week after they are live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.many import among
from feeds.schema import is_waiting, outbox, redis_epoch


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A change for the relay. ``row`` numbers it in the order of writing, which is not the order of commits."""

    row: int
    id: str
    kind: str
    body: bytes
    accepted_ms: int
    subject: str


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A parked change: since when, after how many tries, and the last error."""

    change: str
    kind: str
    subject: str
    accepted_ms: int
    parked_ms: int
    tries: int
    error: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """What the outbox knows of a change's progress."""

    id: str
    kind: str
    subject: str
    accepted_ms: int
    relayed: bool
    live_ms: int | None
    parked: ParkedRow | None = None


async def take(conn: AsyncConnection, limit: int) -> list[OutboxRow]:
    """Return rows not yet relayed, by row number."""
    c = outbox.c
    query = select(c.row, c.id, c.kind, c.body, c.accepted_ms, c.subject).where(is_waiting).order_by(c.row).limit(limit)
    return [OutboxRow(*row) for row in await conn.execute(query)]


async def mark_relayed(conn: AsyncConnection, rows: Sequence[int], now_ms: int) -> None:
    """Note that rows are in the change stream."""
    statement = update(outbox).where(outbox.c.row == bindparam("number"), is_waiting).values(relayed_ms=now_ms)
    await conn.execute(statement, [{"number": row} for row in rows])


async def mark_live(conn: AsyncConnection, live: Mapping[str, int], epoch: int | None) -> set[str]:
    """Note when changes became live, and return which are; the first time counts.

    None, where that was seen under an older epoch of Redis than the one that the outbox was replayed for.
    """
    c = outbox.c
    if epoch is not None and ((await conn.execute(select(redis_epoch.c.replayed))).scalar() or 0) > epoch:
        return set()
    statement = update(outbox).where(c.id == bindparam("change"), c.live_ms.is_(None)).values(live_ms=bindparam("at"))
    await conn.execute(statement, [{"change": change, "at": at} for change, at in live.items()])
    found = await conn.execute(select(c.id).where(among(conn, c.id, live), c.live_ms.is_not(None)))
    return set(found.scalars())


async def prune(conn: AsyncConnection, before_ms: int) -> int:
    """Forget the changes that were live before ``before_ms``; what never became live stays."""
    return (await conn.execute(delete(outbox).where(outbox.c.live_ms < before_ms))).rowcount


async def find(conn: AsyncConnection, change: str) -> ChangeRow | None:
    """Return what the outbox knows of a change."""
    c = outbox.c
    columns = (c.id, c.kind, c.subject, c.accepted_ms, c.parked_ms, c.tries, c.error)
    query = select(*columns, c.relayed_ms, c.live_ms).where(c.id == change)
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        return None
    parked = ParkedRow(*row[:7]) if row.parked_ms is not None and row.live_ms is None else None
    return ChangeRow(row.id, row.kind, row.subject, row.accepted_ms, row.relayed_ms is not None, row.live_ms, parked)
