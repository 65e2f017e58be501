"""Reads of the system of record that return resources as they are, one or many."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import orjson
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.model import Follows, Post, PostState, Settings, Site, User, UserState
from feeds.schema import follows, mutes, posts, site, users

PIECE = 5000
"""Ids named in one query: PostgreSQL takes 32,767 parameters, and a longer list is no faster."""


def pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the ids in lists that one query takes."""
    for start in range(0, len(ids), PIECE):
        yield ids[start : start + PIECE]


async def find_users(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, User]:
    """Return those of the users that exist or did."""
    found: dict[str, User] = {}
    for piece in pieces(ids):
        rows = (await conn.execute(select(users).where(users.c.id.in_(piece)))).all()
        muted = await _mutes(conn, piece) if rows else {}
        found |= {row.id: _user(row, muted.get(row.id, [])) for row in rows}
    return found


async def find_follows(conn: AsyncConnection, user: str) -> Follows:
    """Return whom a user follows."""
    version = await conn.scalar(select(users.c.follows_version).where(users.c.id == user))
    query = select(follows.c.author).where(follows.c.user == user).order_by(follows.c.author)
    return Follows(user, tuple((await conn.execute(query)).scalars()), version or 0)


async def find_follows_versions(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, int]:
    """Return the versions of these users' follows."""
    found: dict[str, int] = {}
    for piece in pieces(ids):
        query = select(users.c.id, users.c.follows_version).where(users.c.id.in_(piece))
        found |= {row.id: row.follows_version for row in await conn.execute(query)}
    return found


async def find_posts(conn: AsyncConnection, ids: Sequence[str], *, lock: bool = False) -> dict[str, Post]:
    """Return those of the posts that exist or did; ``lock`` holds them until the transaction ends."""
    found: dict[str, Post] = {}
    for piece in pieces(ids):
        query = select(posts).where(posts.c.id.in_(piece))
        if lock:
            query = query.with_for_update()
        found |= {row.id: _post(row) for row in await conn.execute(query)}
    return found


async def find_site(conn: AsyncConnection) -> Site:
    """Return the site, or its defaults at version 0."""
    row = (await conn.execute(select(site))).one_or_none()
    if row is None:
        return Site()
    return Site(row.title, row.language, row.home_page_url, row.template_version, row.version)


async def _mutes(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    muted: dict[str, list[tuple[str, str]]] = defaultdict(list)
    query = select(mutes).where(mutes.c.user.in_(ids)).order_by(mutes.c.user, mutes.c.kind, mutes.c.value)
    for user, kind, value in await conn.execute(query):
        muted[user].append((kind, value))
    return muted


def _user(row: Row[tuple[object, ...]], muted: list[tuple[str, str]]) -> User:
    settings = Settings(
        language=row.language,
        muted_authors=tuple(value for kind, value in muted if kind == "author"),
        muted_tags=tuple(value for kind, value in muted if kind == "tag"),
        page_size=row.page_size,
        order=row.feed_order,
        feed_visibility=row.feed_visibility,
    )
    return User(row.id, row.name, row.about, UserState(row.state), settings, row.version, row.profile_version)


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
    )
