"""Reads of the system of record: which sources are pulled, and how far they are on the way there or back."""

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.many import among
from feeds.model import TAG, Pulled, PulledSource
from feeds.schema import pulled, tags, users

PUSH = "push"
"""The state of a source that is pulled no more: it is as if it was not there, but for its version."""


async def find_pulled(conn: AsyncConnection) -> Pulled:
    """Return the sources that are pulled, or about to be or not."""
    version = await conn.scalar(select(func.max(pulled.c.version)))
    rows = (await conn.execute(select(pulled).where(pulled.c.state != PUSH).order_by(pulled.c.source))).all()
    names = await names_of(conn, [row.source for row in rows])
    sources = {row.source: PulledSource(names[row.source], row.source >= TAG, row.state, row.since_ms) for row in rows}
    return Pulled(version or 0, sources)


async def names_of(conn: AsyncConnection, sources: Iterable[int]) -> dict[int, str]:
    """Return the authors' ids and the tags of these source numbers."""
    nums = list(sources)
    if not nums:
        return {}
    authors = select(users.c.num, users.c.id).where(among(conn, users.c.num, [num for num in nums if num < TAG]))
    named = select(tags.c.num, tags.c.tag).where(among(conn, tags.c.num, [num - TAG for num in nums if num >= TAG]))
    names = {row.num: row.id for row in await conn.execute(authors)}
    return names | {TAG | num: name for num, name in await conn.execute(named)}
