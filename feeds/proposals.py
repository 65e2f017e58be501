"""Reads of the system of record that propose posts for feeds: the newest of many sources, of one, or of all.

The newest posts of many sources are found in two steps, for a plain join of 500 authors would look at all they ever
wrote: first a few of each, then more of those few sources whose every post was new enough to be among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    bindparam,
    exists,
    func,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.database import is_postgresql
from feeds.many import is_of_these, numbers, these
from feeds.model import TAG, Entry, OrderKey, PostState, Sources
from feeds.schema import is_published, post_tags, posts, tags
from feeds.sources import find_sources

FEW = 8
"""Posts of each source that are looked at first: of 500 sources at most 400 / 8 can have more among the newest 400."""

Found = dict[int, OrderKey]
"""Posts by number, and their places."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Which posts are looked for: below ``before``, none by ``not_by``, none with a tag of ``without_tags``."""

    before: OrderKey | None
    not_by: Collection[int] = ()
    without_tags: Collection[int] = ()


async def proposals(
    conn: AsyncConnection, user: str, before: OrderKey | None, limit: int, *, own: bool, without: Collection[int]
) -> list[Entry]:
    """Return the newest published posts for a user's feed, strictly below ``before``, each once."""
    sources = (await find_sources(conn, [user]))[user]
    left_out = {*sources.muted_authors, *sources.blocked}
    drawn = _Drawn(before, left_out, sources.muted_tags)
    wanted = _wanted(sources, own) - left_out - set(sources.muted_tags) - set(without)
    found, rows = await _newest_of_each(conn, wanted, drawn, FEW, limit)
    # A source with all its few among them may have more.
    busy = [source for source, count in Counter(rows).items() if count >= FEW]
    if busy and limit > FEW:
        found |= (await _newest_of_each(conn, busy, drawn, limit, limit))[0]
    nums = sorted(found, key=found.__getitem__, reverse=True)[:limit]
    entries = await entries_of(conn, nums)
    return [entries[num] for num in nums]


async def latest(conn: AsyncConnection, source: int, before: OrderKey | None, limit: int) -> list[Entry]:
    """Return the newest published posts of one source, strictly below ``before``."""
    drawn = _Drawn(before)
    words = _words(conn, drawn) | {"source": source, "take": limit}
    nums = [row.num for row in await conn.execute(_latest(_Shape.of(conn, drawn), source >= TAG), words)]
    found = await entries_of(conn, nums)
    return [found[num] for num in nums]


async def newest(conn: AsyncConnection, limit: int) -> list[Entry]:
    """Return the newest published posts of all."""
    query = select(posts.c.num).where(is_published).order_by(posts.c.published_ms.desc(), posts.c.id.desc())
    nums = list((await conn.execute(query.limit(limit))).scalars().all())
    found = await entries_of(conn, nums)
    return [found[num] for num in nums]


async def tag_source(conn: AsyncConnection, tag: str) -> int | None:
    """Return a tag's source number, or None where nobody has used it."""
    num = await conn.scalar(select(tags.c.num).where(tags.c.tag == tag))
    return None if num is None else TAG | num


async def entries(conn: AsyncConnection, since_ms: int, after: int, limit: int) -> list[Entry]:
    """Return the published posts not older than ``since_ms``, by number, above ``after``."""
    query = _entries().where(posts.c.num > after, is_published, posts.c.published_ms >= since_ms)
    return [_entry(row) for row in await conn.execute(query.order_by(posts.c.num).limit(limit))]


async def entries_of(conn: AsyncConnection, nums: Iterable[int]) -> dict[int, Entry]:
    """Return the posts of these numbers, whatever their state."""
    rows = await conn.execute(_entries_of(is_postgresql(conn)), these(conn, nums))
    return {row.num: _entry(row) for row in rows}


def _wanted(sources: Sources, own: bool) -> set[int]:
    return {*sources.authors, *sources.tags} | ({sources.num} if own and sources.num else set())


async def _newest_of_each(
    conn: AsyncConnection, wanted: Collection[int], drawn: _Drawn, few: int, limit: int
) -> tuple[Found, list[int]]:
    """Return the newest ``limit`` of the ``few`` newest posts of each source, and the source of each row of them."""
    authors, topics = [source for source in wanted if source < TAG], [source for source in wanted if source >= TAG]
    if not wanted:
        return {}, []
    query = _each(_Shape.of(conn, drawn), bool(authors), bool(topics))
    words = _words(conn, drawn) | these(conn, authors, "authors") | these(conn, topics, "topics")
    take = limit * (bool(authors) + bool(topics))  # some are drawn by several sources, most by an author or a tag alone
    while True:
        rows = (await conn.execute(query, {**words, "few": few, "before_last": few - 1, "take": take})).all()
        found = {row.num: OrderKey(row.published_ms, row.id) for row in rows}
        if len(found) >= limit or len(rows) < take:
            return found, [row.source for row in rows]
        take *= 4


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a statement depends on. There are few, and each statement is made once (see ``many``)."""

    postgresql: bool
    before: bool
    not_by: bool = False
    without_tags: bool = False

    @classmethod
    def of(cls, conn: AsyncConnection, drawn: _Drawn) -> Self:
        """Return the shape of what looks for such posts."""
        return cls(is_postgresql(conn), drawn.before is not None, bool(drawn.not_by), bool(drawn.without_tags))


def _words(conn: AsyncConnection, drawn: _Drawn) -> dict[str, Any]:
    """Return the parameters of a statement's conditions."""
    words = these(conn, drawn.not_by, "not_by") | these(conn, drawn.without_tags, "without_tags")
    if drawn.before is not None:
        words |= {"before_ms": drawn.before.published_ms, "before_post": drawn.before.post}
    return words


@cache
def _each(shape: _Shape, authors: bool, topics: bool) -> Select[Any]:
    """Return the query of the newest of the few newest posts of each source."""
    each = [_few_of_each(shape, _Place.of_authors, "authors")] if authors else []
    each += [_few_of_each(shape, _Place.of_tags, "topics")] if topics else []
    newest = union_all(*each).subquery() if len(each) > 1 else each[0].subquery()
    query = select(newest).order_by(newest.c.published_ms.desc(), newest.c.id.desc())
    return query.limit(bindparam("take", type_=Integer))


def _few_of_each(shape: _Shape, of: Callable[[], _Place], name: str) -> Select[Any]:
    """Return the query of at least the few newest posts of each source, all authors or all tags."""
    each, place = numbers(shape.postgresql, name), of()
    newest = _newest(shape, place, each.c.value)
    if shape.postgresql:
        found = newest.limit(bindparam("few", type_=Integer)).lateral("found")
        query = select(found.c.published_ms, found.c.id, found.c.num, each.c.value.label("source"))
        return query.select_from(each.join(found, true()))
    # SQLite has no LATERAL: it looks for the time of the last of the few, and reads down to that.
    last = newest.with_only_columns(place.published_ms).limit(1).offset(bindparam("before_last", type_=Integer))
    here = of()
    query = select(here.published_ms, here.id.label("id"), here.num, each.c.value.label("source"))
    query = query.select_from(each.join(here.table, here.source == each.c.value))
    return query.where(here.published_ms >= func.coalesce(last.scalar_subquery(), -1), *_conditions(shape, here))


@cache
def _latest(shape: _Shape, topic: bool) -> Select[int, str, int]:
    """Return the query of the newest posts of a source."""
    place = _Place.of_tags() if topic else _Place.of_authors()
    newest = _newest(shape, place, bindparam("source", type_=BigInteger))
    return newest.limit(bindparam("take", type_=Integer))


@dataclass(frozen=True, slots=True)
class _Place:
    """An index of published posts by source and time, under a name of its own."""

    table: FromClause
    source: ColumnElement[int]
    author: ColumnElement[int]
    id: ColumnElement[str]
    is_published: ColumnElement[bool]

    @classmethod
    def of_authors(cls) -> Self:
        """Return the posts themselves, by author."""
        by = posts.alias()
        return cls(by, by.c.author_num, by.c.author_num, by.c.id, by.c.state == PostState.PUBLISHED.value)

    @classmethod
    def of_tags(cls) -> Self:
        """Return the index by tag."""
        by = post_tags.alias()
        return cls(by, by.c.tag, by.c.author, by.c.post, true())

    @property
    def published_ms(self) -> ColumnElement[int]:
        """When the post was published."""
        return self.table.c.published_ms

    @property
    def num(self) -> ColumnElement[int]:
        """The post's number."""
        return self.table.c.num


def _newest(shape: _Shape, place: _Place, source: ColumnElement[int]) -> Select[int, str, int]:
    query = select(place.published_ms, place.id.label("id"), place.num)
    query = query.where(place.source == source, *_conditions(shape, place))
    return query.order_by(place.published_ms.desc(), place.id.desc())


def _conditions(shape: _Shape, place: _Place) -> list[ColumnElement[bool]]:
    conditions = [place.is_published]
    if shape.before:
        below = tuple_(bindparam("before_ms", type_=BigInteger), bindparam("before_post", type_=String))
        conditions.append(tuple_(place.published_ms, place.id) < below)
    if shape.not_by:
        conditions.append(~is_of_these(shape.postgresql, place.author, "not_by"))
    if shape.without_tags:
        tagged = post_tags.alias()
        muted = is_of_these(shape.postgresql, tagged.c.tag, "without_tags")
        conditions.append(~exists().where(tagged.c.num == place.num, muted))
    return conditions


def _entries() -> Select[Any]:
    c = posts.c
    counts = (c.likes, c.comments, c.views)
    return select(c.num, c.id, c.author_num, c.published_ms, *counts, c.tag_nums, c.state, c.version)


@cache
def _entries_of(postgresql: bool) -> Select[Any]:
    return _entries().where(is_of_these(postgresql, posts.c.num))


def _entry(row: Sequence[Any]) -> Entry:
    num, post, author, published_ms, likes, comments, views, tags, state, version = row
    live = state == PostState.PUBLISHED.value
    return Entry(num, post, author, published_ms, likes, comments, views, tuple(orjson.loads(tags)), live, version)
