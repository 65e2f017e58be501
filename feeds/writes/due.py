"""Scheduled posts: their time comes."""

from dataclasses import replace

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.model import PostState
from feeds.queries import find_posts
from feeds.schema import is_scheduled, posts
from feeds.writes import locks
from feeds.writes.posts import change_between, write_posts
from feeds.writes.unit import Unit


async def next_due(conn: AsyncConnection) -> int | None:
    """Return when the next scheduled post is due, or None where none is scheduled."""
    found: int | None = await conn.scalar(select(func.min(posts.c.published_ms)).where(is_scheduled))
    return found


async def publish_due(unit: Unit, now_ms: int, limit: int) -> int:
    """Publish the posts whose time has come, each under a change of its own; return how many."""
    await locks.hold(unit.conn, ())  # no import meanwhile
    # Rows that another process is at are its own to publish.
    query = select(posts.c.id).where(is_scheduled, posts.c.published_ms <= now_ms)
    query = query.order_by(posts.c.published_ms).limit(limit).with_for_update(skip_locked=True)
    ids = list((await unit.conn.execute(query)).scalars().all())
    found = await find_posts(unit.conn, ids)
    after = [replace(found[i], state=PostState.PUBLISHED, version=found[i].version + 1) for i in ids]
    await write_posts(unit, found, after)
    for post in after:
        if change := change_between(found[post.id], post):
            unit.note(change)
    return len(after)
