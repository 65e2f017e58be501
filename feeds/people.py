"""Reads of the system of record that name users: all, those who are active, those worth reading in a demo."""

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.model import UserState
from feeds.schema import activity, follows, is_published, posts, users


async def all_users(conn: AsyncConnection, after: str, limit: int) -> list[str]:
    """Return live users, by id, above ``after``."""
    query = select(users.c.id).where(users.c.id > after, users.c.state == UserState.LIVE.value)
    return list((await conn.execute(query.order_by(users.c.id).limit(limit))).scalars().all())


async def active_users(conn: AsyncConnection, since_ms: int, after: str, limit: int) -> list[str]:
    """Return the users who were active at ``since_ms`` or later, by id, above ``after``."""
    query = select(activity.c.user).where(activity.c.user > after, activity.c.active_ms >= since_ms)
    return list((await conn.execute(query.order_by(activity.c.user).limit(limit))).scalars().all())


async def some_users(conn: AsyncConnection, limit: int) -> list[str]:
    """Return users who follow most authors that have posts."""
    writers = select(users.c.id).where(exists().where(posts.c.author_num == users.c.num, is_published))
    query = select(follows.c.user).where(follows.c.author.in_(writers)).group_by(follows.c.user)
    query = query.order_by(func.count().desc(), follows.c.user).limit(limit)
    return list((await conn.execute(query)).scalars().all())
