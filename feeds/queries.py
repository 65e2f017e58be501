"""Reads of the system of record that return resources as they are, one or many."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import BigInteger, Row, Select, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.database import is_postgresql
from feeds.many import among, is_of_these, these
from feeds.model import TAG, Follows, Post, PostState, Settings, Site, User, UserState
from feeds.schema import follows, mutes, posts, site, tag_follows, tags, users


async def find_users(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, User]:
    """Return those of the users that exist or did."""
    rows = (await conn.execute(_users(is_postgresql(conn)), these(conn, ids))).all()
    muted = await _mutes(conn, ids) if rows else {}
    return {row.id: _user(row, muted.get(row.id, [])) for row in rows}


async def find_follows(conn: AsyncConnection, user: str) -> Follows:
    """Return whom and what a user follows."""
    version = await conn.scalar(select(users.c.follows_version).where(users.c.id == user))
    query = select(follows.c.author).where(follows.c.user == user).order_by(follows.c.author)
    authors = (await conn.execute(query)).scalars().all()
    named = select(tags.c.tag).join(tag_follows, tag_follows.c.tag == tags.c.num + literal(TAG, BigInteger))
    found = (await conn.execute(named.where(tag_follows.c.user == user))).scalars().all()
    return Follows(user, tuple(authors), version or 0, tuple(sorted(found)))


async def find_posts(conn: AsyncConnection, ids: Sequence[str], *, lock: bool = False) -> dict[str, Post]:
    """Return those of the posts that exist or did; ``lock`` holds them until the transaction ends."""
    query = _posts(is_postgresql(conn), lock)
    return {row.id: _post(row) for row in await conn.execute(query, these(conn, ids))}


async def find_posts_by_num(conn: AsyncConnection, nums: Sequence[int]) -> dict[int, Post]:
    """Return those of the posts of these numbers that exist or did."""
    query = select(posts).where(among(conn, posts.c.num, nums))
    return {row.num: _post(row) for row in await conn.execute(query)}


async def find_site(conn: AsyncConnection) -> Site:
    """Return the site, or its defaults at version 0."""
    row = (await conn.execute(select(site))).one_or_none()
    if row is None:
        return Site()
    return Site(row.title, row.language, row.home_page_url, row.template_version, row.version)


async def _mutes(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    muted: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for user, kind, value in await conn.execute(_muted(is_postgresql(conn)), these(conn, ids)):
        muted[user].append((kind, value))
    return muted


@cache
def _users(postgresql: bool) -> Select[Any]:
    return select(users).where(is_of_these(postgresql, users.c.id))


@cache
def _posts(postgresql: bool, lock: bool) -> Select[Any]:
    query = select(posts).where(is_of_these(postgresql, posts.c.id))
    return query.with_for_update() if lock else query


@cache
def _muted(postgresql: bool) -> Select[Any]:
    query = select(mutes).where(is_of_these(postgresql, mutes.c.user))
    return query.order_by(mutes.c.user, mutes.c.kind, mutes.c.value)


def _user(row: Row[tuple[object, ...]], muted: list[tuple[str, str]]) -> User:
    settings = Settings(
        language=row.language,
        muted_authors=tuple(value for kind, value in muted if kind == "author"),
        muted_tags=tuple(value for kind, value in muted if kind == "tag"),
        page_size=row.page_size,
        order=row.feed_order,
        feed_visibility=row.feed_visibility,
    )
    return User(row.id, row.name, row.about, UserState(row.state), settings, row.version, row.profile_version, row.num)


def _post(row: Row[tuple[object, ...]]) -> Post:
    return Post(
        id=row.id,
        author=row.author,
        title=row.title,
        url=row.url,
        content=row.content,
        content_type=row.content_type,
        tags=tuple(orjson.loads(row.tags)),
        published_ms=row.published_ms,
        edited_ms=row.edited_ms,
        state=PostState(row.state),
        likes=row.likes,
        comments=row.comments,
        views=row.views,
        version=row.version,
        num=row.num,
        author_num=row.author_num,
        tag_nums=tuple(orjson.loads(row.tag_nums)),
    )
