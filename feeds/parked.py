"""Parked changes: those that always fail. They stay in the outbox, with their error, until they are retried or dropped.

What a parked change is about is covered in the same transaction, by a change of its own that is simpler
(``covering``): no edge keeps the page from before, though the parked change itself is never live.
"""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.change import kind_of, subject_of
from feeds.cover import EVERYTHING, cover_of
from feeds.outbox import ParkedRow
from feeds.schema import is_parked, outbox
from feeds.writes.unit import Unit

WIDE_MS = 600_000
"""Milliseconds from one cover of everything to the next: wide is dangerous, and waiting for the horizon is right."""


async def park(unit: Unit, change: str, tries: int, error: str) -> bool:
    """Park a change and cover what it is about; return False where it is live, parked already or not there."""
    c = outbox.c
    values = {"tries": tries, "parked_ms": unit.now_ms, "error": error}
    statement = update(outbox).where(c.id == change, c.live_ms.is_(None), c.parked_ms.is_(None)).values(values)
    row = (await unit.conn.execute(statement.returning(c.kind, c.body))).one_or_none()
    if row is None:
        return False
    cover = cover_of(change, row.kind, row.body)
    if cover == EVERYTHING:
        await cover_everything(unit)
    elif cover is not None:
        unit.note(cover)
    return True


async def cover_everything(unit: Unit) -> bool:
    """Cover with everything, once for all parked changes that nothing less covers, unless that was done lately.

    Return whether it was due.
    """
    c = outbox.c
    rows = await unit.conn.execute(select(c.id, c.kind, c.body, c.parked_ms).where(is_parked))
    since_ms = max((row.parked_ms for row in rows if cover_of(row.id, row.kind, row.body) == EVERYTHING), default=None)
    wide = (c.kind == kind_of(EVERYTHING)) & (c.subject == subject_of(EVERYTHING))
    last_ms = (await unit.conn.execute(select(func.max(c.accepted_ms)).where(wide))).scalar() or 0
    is_due = since_ms is not None and last_ms < since_ms and last_ms <= unit.now_ms - WIDE_MS
    if is_due:
        unit.note(EVERYTHING)
    return is_due


async def find(conn: AsyncConnection, limit: int) -> list[ParkedRow]:
    """Return the parked changes, the longest parked first."""
    c = outbox.c
    columns = (c.id, c.kind, c.subject, c.accepted_ms, c.parked_ms, c.tries, c.error)
    query = select(*columns).where(is_parked).order_by(c.parked_ms, c.row).limit(limit)
    return [ParkedRow(*row) for row in await conn.execute(query)]


async def count(conn: AsyncConnection) -> int:
    """Return how many changes are parked."""
    return (await conn.execute(select(func.count()).where(is_parked))).scalar_one()


async def retry(unit: Unit, changes: Sequence[str] | None) -> list[str]:
    """Let these parked changes, or all, be relayed anew; return those that were parked."""
    values = {"tries": 0, "parked_ms": None, "error": None, "relayed_ms": None}
    statement = update(outbox).where(is_parked).values(values).returning(outbox.c.id)
    if changes is not None:
        statement = statement.where(outbox.c.id.in_(changes))
    return sorted((await unit.conn.execute(statement)).scalars())


async def drop(unit: Unit, change: str) -> bool:
    """Forget a parked change; return whether there was one."""
    statement = delete(outbox).where(is_parked, outbox.c.id == change)
    return (await unit.conn.execute(statement)).rowcount > 0
