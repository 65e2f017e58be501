"""Reads of the system of record for a recalculation: the platform's averages, its epoch, who reacted to whom."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.many import among
from feeds.model import Epoch
from feeds.schema import is_by_somebody, is_published, posts, ranking, reactions, users

VIEW = 2
"""The kind of a view: only likes and comments say whom a user cares for."""


async def averages(conn: AsyncConnection, since_ms: int) -> Epoch:
    """Return the mean counts of the published posts not older than ``since_ms``, as epoch 0."""
    means = (func.avg(column) for column in (posts.c.likes, posts.c.comments, posts.c.views))
    row = (await conn.execute(select(*means).where(is_published, posts.c.published_ms >= since_ms))).one()
    return Epoch(0, *(float(mean or 0) for mean in row))


async def is_older(conn: AsyncConnection, ms: int) -> bool:
    """Tell whether there is a published post from before a moment."""
    query = select(posts.c.num).where(is_published, posts.c.published_ms < ms).limit(1)
    return (await conn.execute(query)).first() is not None


async def find_epoch(conn: AsyncConnection) -> Epoch:
    """Return the ranking epoch, or epoch 0 before the first recalculation."""
    row = (await conn.execute(select(ranking))).one_or_none()
    return Epoch() if row is None else Epoch(row.number, row.likes, row.comments, row.views)


async def reactions_of(conn: AsyncConnection, ids: Sequence[str], since_ms: int) -> dict[str, dict[int, int]]:
    """Return how often each of these users liked or commented on whose posts, by the author's number."""
    c = reactions.c
    query = select(c.by, posts.c.author_num, func.count()).join(posts, posts.c.num == c.post)
    query = query.where(is_by_somebody, among(conn, c.by, ids), c.made_ms >= since_ms, c.kind != VIEW, c.undone == 0)
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for user, author, count in await conn.execute(query.group_by(c.by, posts.c.author_num)):
        found[user][author] = count
    return dict(found)


async def reacted_since(conn: AsyncConnection, ms: int, after: str, limit: int) -> list[str]:
    """Return the users who liked or commented at ``ms`` or later, by id, above ``after``."""
    c = reactions.c
    reacted = exists().where(is_by_somebody, c.by == users.c.id, c.made_ms >= ms, c.kind != VIEW)
    query = select(users.c.id).where(users.c.id > after, reacted).order_by(users.c.id).limit(limit)
    return list((await conn.execute(query)).scalars().all())
