"""Reads of the system of record that propose posts for feeds: the newest of many sources, of one, or of all.

The newest posts of many sources are found in two steps, for a plain join of 500 authors would look at all they ever
wrote: first a few of each, then more of those few sources whose every post was new enough to be among them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    exists,
    func,
    literal,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.database import is_postgresql
from feeds.many import among, listed
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
    place = _Place.of_tags() if source >= TAG else _Place.of_authors()
    newest = _newest(conn, place, literal(source, BigInteger), _Drawn(before))
    nums = [row.num for row in await conn.execute(newest.limit(limit))]
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
    return {row.num: _entry(row) for row in await conn.execute(_entries().where(among(conn, posts.c.num, nums)))}


def _wanted(sources: Sources, own: bool) -> set[int]:
    return {*sources.authors, *sources.tags} | ({sources.num} if own and sources.num else set())


async def _newest_of_each(
    conn: AsyncConnection, wanted: Collection[int], drawn: _Drawn, few: int, limit: int
) -> tuple[Found, list[int]]:
    """Return the newest ``limit`` of the ``few`` newest posts of each source, and the source of each row of them."""
    kinds = [[source for source in wanted if source < TAG], [source for source in wanted if source >= TAG]]
    each = [_few_of_each(conn, sources, drawn, few) for sources in kinds if sources]
    if not each:
        return {}, []
    newest = union_all(*each).subquery() if len(each) > 1 else each[0].subquery()
    query = select(newest).order_by(newest.c.published_ms.desc(), newest.c.id.desc())
    take = limit * len(each)  # a post may be drawn by several sources, though most by an author or a tag alone
    while True:
        rows = (await conn.execute(query.limit(take))).all()
        found = {row.num: OrderKey(row.published_ms, row.id) for row in rows}
        if len(found) >= limit or len(rows) < take:
            return found, [row.source for row in rows]
        take *= 4


def _few_of_each(conn: AsyncConnection, sources: Sequence[int], drawn: _Drawn, few: int) -> Select[Any]:
    """Return the query of at least the ``few`` newest posts of each source, all authors or all tags."""
    each = listed(conn, sources)
    place = _Place.of_tags() if sources[0] >= TAG else _Place.of_authors()
    newest = _newest(conn, place, each.c.value, drawn)
    if is_postgresql(conn):
        found = newest.limit(few).lateral("found")
        query = select(found.c.published_ms, found.c.id, found.c.num, each.c.value.label("source"))
        return query.select_from(each.join(found, true()))
    # SQLite has no LATERAL: it looks for the time of the last of the few, and reads down to that.
    edge = newest.with_only_columns(place.published_ms).limit(1).offset(few - 1).scalar_subquery()
    here = _Place.of_tags() if sources[0] >= TAG else _Place.of_authors()
    query = select(here.published_ms, here.id.label("id"), here.num, each.c.value.label("source"))
    query = query.select_from(each.join(here.table, here.source == each.c.value))
    return query.where(here.published_ms >= func.coalesce(edge, -1), *_conditions(conn, here, drawn))


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


def _newest(conn: AsyncConnection, place: _Place, source: ColumnElement[int], drawn: _Drawn) -> Select[int, str, int]:
    query = select(place.published_ms, place.id.label("id"), place.num)
    query = query.where(place.source == source, *_conditions(conn, place, drawn))
    return query.order_by(place.published_ms.desc(), place.id.desc())


def _conditions(conn: AsyncConnection, place: _Place, drawn: _Drawn) -> list[ColumnElement[bool]]:
    conditions = [place.is_published]
    if drawn.before is not None:
        below = tuple_(literal(drawn.before.published_ms, BigInteger), literal(drawn.before.post))
        conditions.append(tuple_(place.published_ms, place.id) < below)
    if drawn.not_by:
        conditions.append(~among(conn, place.author, drawn.not_by))
    if drawn.without_tags:
        tagged = post_tags.alias()
        muted = exists().where(tagged.c.num == place.num, among(conn, tagged.c.tag, drawn.without_tags))
        conditions.append(~muted)
    return conditions


def _entries() -> Select[Any]:
    c = posts.c
    counts = (c.likes, c.comments, c.views)
    return select(c.num, c.id, c.author_num, c.published_ms, *counts, c.tag_nums, c.state, c.version)


def _entry(row: Sequence[Any]) -> Entry:
    num, post, author, published_ms, likes, comments, views, tags, state, version = row
    live = state == PostState.PUBLISHED.value
    return Entry(num, post, author, published_ms, likes, comments, views, tuple(orjson.loads(tags)), live, version)
