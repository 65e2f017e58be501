"""Latest: a source's newest posts in Redis, for an author's page and for the sources that bakes merge.

Kept for an hour after somebody asked for it; fan-out writes into what is kept. Like a timeline it proposes: posts that
are gone or have moved are found out with the catalogue.
"""

import uuid
from collections.abc import Collection, Iterable, Sequence
from math import inf
from typing import NamedTuple

from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.model import Entry
from feeds.record import Record

CAP = 127
"""Posts a source keeps. With the mark that is 128 entries: up to there Redis keeps a sorted set as a listpack
(``zset-max-listpack-entries``)."""

KEEP_S = 3600
"""Seconds after which a source's newest posts are read again, if anybody asks."""

SCANNED = 1000
"""Keys that Redis looks at in one step of a scan."""


class Posts(NamedTuple):
    """Post numbers, newest first. All that the source has above ``mark`` milliseconds is among them."""

    nums: Sequence[int]
    mark: float


class Latest:
    """The newest posts of sources."""

    def __init__(self, redis: Redis, record: Record, *, cap: int = CAP) -> None:
        self._redis = redis
        self._record = record
        self._cap = cap

    async def read(self, sources: Collection[int]) -> dict[int, Posts]:
        """Return the newest posts of each source, from the system of record where Redis has none."""
        found = await self.kept(sources)
        for source in [source for source, posts in found.items() if posts.mark == inf]:
            found[source] = await self._rebuild(source)
        return found

    async def kept(self, sources: Collection[int]) -> dict[int, Posts]:
        """Return what Redis has of each source, complete or not."""
        listed = list(dict.fromkeys(sources))
        reads: list[scripts.Command] = [("ZRANGE", keys.latest(s), 0, -1, "REV", "WITHSCORES") for s in listed]
        replies = await scripts.execute(self._redis, reads)
        return {source: _posts(entries) for source, entries in zip(listed, replies, strict=True)}

    async def push(self, entry: Entry, sources: Iterable[int]) -> None:
        """Write a post into the newest posts of its sources, where these are kept."""
        await scripts.execute(self._redis, [self.pushed(entry, source) for source in sources])

    def pushed(self, entry: Entry, source: int) -> scripts.Command:
        """Return the command that writes a post into the newest posts of a source, where these are kept."""
        words = (entry.num, entry.published_ms, self._cap)
        return scripts.call(scripts.LATEST_PUSH, (keys.latest(source),), *words)

    async def drop(self, sources: Iterable[int]) -> None:
        """Drop what is kept of sources; a rebuild that is under way is refused."""
        await scripts.execute(self._redis, [("UNLINK", keys.build(s), keys.latest(s)) for s in sources])

    async def drop_all(self) -> None:
        """Drop what is kept of every source; a rebuild that is under way finds its own gone and is refused."""
        found: list[bytes] = [key async for key in self._redis.scan_iter("{*}:latest:*", count=SCANNED)]
        for start in range(0, len(found), SCANNED):
            await scripts.execute(self._redis, [("UNLINK", key) for key in found[start : start + SCANNED]])

    async def _rebuild(self, source: int) -> Posts:
        """Read a source's newest posts from the system of record and merge them into Redis.

        In this order: it exists, the truth is read, it is installed. So nothing published meanwhile is lost.
        """
        token, names = uuid.uuid4().hex, (keys.latest(source), keys.build(source))
        (begun,) = await scripts.execute(self._redis, [scripts.call(scripts.LATEST_BEGIN, names, token)])
        newest = await self._record.latest(source, before=None, limit=self._cap + 1)
        mark = newest[self._cap].published_ms if len(newest) > self._cap else -inf
        found = [entry for entry in newest[: self._cap] if entry.published_ms > mark]  # what reading it back gives
        if begun:
            words = [word for entry in found for word in (entry.published_ms, entry.num)]
            floor = "-inf" if mark == -inf else mark
            install = scripts.call(scripts.LATEST_INSTALL, names, token, floor, self._cap, KEEP_S, *words)
            await scripts.execute(self._redis, [install])
        return Posts([entry.num for entry in found], mark)


def _posts(entries: Sequence[bytes]) -> Posts:
    """Return what Redis has of a source; complete nowhere where that is nothing, or not installed yet."""
    pairs = list(zip(entries[::2], entries[1::2], strict=True))
    mark = next((float(score) for member, score in pairs if member == b"!"), inf)
    return Posts([int(member) for member, _ in pairs if member != b"!"], mark)
