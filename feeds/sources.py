"""Reads of the system of record that say what feeds draw from: who follows whom, and which posts that proposes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.database import is_postgresql
from feeds.many import among
from feeds.model import Candidate, OrderKey
from feeds.schema import follows, is_published, mutes, post_tags, posts


async def followers(conn: AsyncConnection, author: str, tags: Sequence[str], after: str, limit: int) -> list[str]:
    """Return who follows ``author`` and mutes neither them nor one of ``tags``, by id, above ``after``."""
    unwanted = [and_(mutes.c.kind == "author", mutes.c.value == author)]
    if tags:
        unwanted.append(and_(mutes.c.kind == "tag", among(conn, mutes.c.value, tags)))
    query = (
        select(follows.c.user)
        .where(follows.c.author == author, follows.c.user > after)
        .where(~exists().where(mutes.c.user == follows.c.user, or_(*unwanted)))
        .order_by(follows.c.user)
        .limit(limit)
    )
    return list((await conn.execute(query)).scalars().all())


async def followers_of(conn: AsyncConnection, authors: Sequence[str]) -> list[str]:
    """Return everybody who follows one of ``authors``, muted or not, each once."""
    query = select(follows.c.user).where(among(conn, follows.c.author, authors))
    return sorted(set((await conn.execute(query)).scalars().all()))


async def candidates(
    conn: AsyncConnection, user: str, before: OrderKey | None, limit: int, own: bool
) -> list[Candidate]:
    """Return the newest published posts for a user's feed, strictly below ``before``, muted ones left out."""
    drawn = select(follows.c.author).where(follows.c.user == user)
    if own:
        drawn = union_all(drawn, select(literal(user)))  # type: ignore[assignment]  # both select one column
    authors = drawn.subquery()
    muted = exists().where(mutes.c.user == user, mutes.c.kind == "author", mutes.c.value == authors.c.author)
    mutes_tags = exists().where(mutes.c.user == user, mutes.c.kind == "tag")  # asked once, before any post
    newest = _newest(before, limit).where(or_(~mutes_tags, ~_has_muted_tag(user)))
    if is_postgresql(conn):
        query = _newest_of_each(newest, authors, limit).where(~muted)
    else:  # which has no LATERAL, and needs none
        query = newest.join(authors, authors.c.author == posts.c.author).where(~muted)
    return [Candidate(*row) for row in await conn.execute(query)]


async def author_posts(conn: AsyncConnection, author: str, before: OrderKey | None, limit: int) -> list[Candidate]:
    """Return an author's newest published posts, strictly below ``before``."""
    return [Candidate(*row) for row in await conn.execute(_newest(before, limit).where(posts.c.author == author))]


async def post_ids(conn: AsyncConnection, author: str, after: str, limit: int, *, hidden: bool) -> list[str]:
    """Return the ids of an author's published posts, or of all, sorted, above ``after``."""
    query = select(posts.c.id).where(posts.c.author == author, posts.c.id > after)
    if not hidden:
        query = query.where(is_published)
    return list((await conn.execute(query.order_by(posts.c.id).limit(limit))).scalars().all())


async def some_users(conn: AsyncConnection, limit: int) -> list[str]:
    """Return users who follow most authors that have posts."""
    has_posts = exists().where(posts.c.author == follows.c.author, is_published)
    query = select(follows.c.user).where(has_posts).group_by(follows.c.user)
    query = query.order_by(func.count().desc(), follows.c.user).limit(limit)
    return list((await conn.execute(query)).scalars().all())


def _newest(before: OrderKey | None, limit: int) -> Select[Any]:
    query = select(posts.c.published_ms, posts.c.id, posts.c.author).where(is_published)
    if before is not None:
        place = tuple_(literal(before.published_ms, BigInteger), literal(before.post))
        query = query.where(tuple_(posts.c.published_ms, posts.c.id) < place)
    return query.order_by(posts.c.published_ms.desc(), posts.c.id.desc()).limit(limit)


def _newest_of_each(newest: Select[Any], authors: Subquery, limit: int) -> Select[Any]:
    """Return ``newest`` of each author merged. Of a plain join PostgreSQL at times makes a scan of all posts."""
    each = newest.where(posts.c.author == authors.c.author).lateral("newest")
    query = select(each.c.published_ms, each.c.id, each.c.author).select_from(authors.join(each, true()))
    return query.order_by(each.c.published_ms.desc(), each.c.id.desc()).limit(limit)


def _has_muted_tag(user: str) -> ColumnElement[bool]:
    muted = and_(mutes.c.user == user, mutes.c.kind == "tag", mutes.c.value == post_tags.c.tag)
    tags = select(literal(1)).select_from(post_tags.join(mutes, muted)).where(post_tags.c.post == posts.c.id)
    return tags.correlate(posts).exists()
