"""Reads of the system of record that say what feeds draw from, and who draws from a source."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, exists, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.database import is_postgresql
from feeds.many import among, is_of_these, these
from feeds.model import TAG, Sources
from feeds.schema import activity, blocks, follows, is_published, mutes, posts, tag_follows, tags, users

KINDS = ("authors", "tags", "muted_authors", "muted_tags", "blocked")
Drawn = dict[tuple[str, str], dict[int, str]]
"""By user and kind: source numbers and their names."""


async def find_sources(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, Sources]:
    """Return what these users' feeds draw from; number 0, version 0 and nothing for an unknown one."""
    postgresql = is_postgresql(conn)
    rows = await conn.execute(_known(postgresql), these(conn, ids))
    known = {id_: (num, version) for id_, num, version in rows}
    drawn: Drawn = defaultdict(dict)
    if known:
        for user, kind, num, name in await conn.execute(_drawn(postgresql), these(conn, known)):
            drawn[user, kind][num] = name
    return {user: _sources(user, *known.get(user, (0, 0)), drawn) for user in ids}


async def followers(
    conn: AsyncConnection, source: int, after: str, limit: int, active_since_ms: int | None
) -> list[str]:
    """Return who draws from ``source`` and does not mute it, by id, above ``after``."""
    user, query = _drawing(source)
    query = query.where(user > after)
    if active_since_ms is not None:
        query = query.where(exists().where(activity.c.user == user, activity.c.active_ms >= active_since_ms))
    return list((await conn.execute(query.order_by(user).limit(limit))).scalars().all())


async def followers_among(conn: AsyncConnection, nums: Sequence[int], ids: Sequence[str]) -> list[str]:
    """Return those of the users that draw from one of these sources and do not mute it, sorted."""
    found: set[str] = set()
    for source in nums:
        user, query = _drawing(source)
        found |= set((await conn.execute(query.where(among(conn, user, ids)))).scalars().all())
    return sorted(found)


async def followers_of_sources(conn: AsyncConnection, nums: Sequence[int]) -> list[str]:
    """Return everybody who follows one of these sources, muted or not, each once."""
    authors = select(users.c.id).where(among(conn, users.c.num, [num for num in nums if num < TAG]))
    by_author = select(follows.c.user).where(follows.c.author.in_(authors))
    by_tag = select(tag_follows.c.user).where(among(conn, tag_follows.c.tag, [num for num in nums if num >= TAG]))
    return sorted((await conn.execute(by_author.union(by_tag))).scalars().all())


async def post_ids(conn: AsyncConnection, author: str, after: str, limit: int, *, hidden: bool) -> list[str]:
    """Return the ids of an author's published posts, or of all, sorted, above ``after``."""
    query = select(posts.c.id).where(posts.c.author_num == number_of(author), posts.c.id > after)
    if not hidden:
        query = query.where(is_published)
    return list((await conn.execute(query.order_by(posts.c.id).limit(limit))).scalars().all())


def number_of(user: str) -> ColumnElement[int]:
    """Return the number of a user as an expression; null for an unknown one."""
    return select(users.c.num).where(users.c.id == user).scalar_subquery()


@cache
def _known(postgresql: bool) -> Any:
    """Return the query of these users' ids, numbers and versions."""
    query = select(users.c.id, users.c.num, users.c.version + users.c.follows_version)
    return query.where(is_of_these(postgresql, users.c.id))


@cache
def _drawn(postgresql: bool) -> Any:
    """Return the query of all that these users draw from and leave out: user, which list, source number and name."""
    author, source = (users.c.num, users.c.id), (tags.c.num + literal(TAG, BigInteger), tags.c.tag)
    followed = select(follows.c.user, literal("authors"), *author).join(users, users.c.id == follows.c.author)
    tagged = select(tag_follows.c.user, literal("tags"), *source).join(tags, tags.c.num == tag_follows.c.tag - TAG)
    unwanted = select(mutes.c.user, literal("muted_authors"), *author).join(users, users.c.id == mutes.c.value)
    untagged = select(mutes.c.user, literal("muted_tags"), *source).join(tags, tags.c.tag == mutes.c.value)
    blocked = select(blocks.c.user, literal("blocked"), *author).join(users, users.c.id == blocks.c.blocked)
    blocking = select(blocks.c.blocked, literal("blocked"), *author).join(users, users.c.id == blocks.c.user)
    return union_all(
        followed.where(is_of_these(postgresql, follows.c.user)),
        tagged.where(is_of_these(postgresql, tag_follows.c.user)),
        unwanted.where(is_of_these(postgresql, mutes.c.user), mutes.c.kind == "author"),
        untagged.where(is_of_these(postgresql, mutes.c.user), mutes.c.kind == "tag"),
        blocked.where(is_of_these(postgresql, blocks.c.user)),
        blocking.where(is_of_these(postgresql, blocks.c.blocked)),
    )


def _sources(user: str, num: int, version: int, drawn: Drawn) -> Sources:
    authors, tagged, muted_authors, muted_tags, blocked = (
        dict(sorted(drawn.get((user, kind), {}).items())) for kind in KINDS
    )
    lists = (tuple(authors), tuple(tagged), tuple(muted_authors), tuple(muted_tags), tuple(blocked))
    return Sources(user, num, *lists, version, (*authors.values(), *tagged.values()))


def _drawing(source: int) -> tuple[ColumnElement[str], Select[Any]]:
    """Return the query of those who draw from a source and do not mute it, and its column."""
    if source >= TAG:
        name = select(tags.c.tag).where(tags.c.num == source - TAG).scalar_subquery()
        user, draws, kind = tag_follows.c.user, tag_follows.c.tag == source, "tag"
    else:
        name = select(users.c.id).where(users.c.num == source).scalar_subquery()
        user, draws, kind = follows.c.user, follows.c.author == name, "author"
    muted = exists().where(and_(mutes.c.user == user, mutes.c.kind == kind, mutes.c.value == name))
    return user, select(user).where(draws, ~muted)
