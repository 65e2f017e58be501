"""The purge: what is old leaves Redis, never the system of record.

Timelines of who is not active any more, posts over an age, and what is left of either. Follower lists and the newest
posts of sources go by themselves, a day or an hour after they were built.
"""

import asyncio
import logging
from dataclasses import dataclass

from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.activity import DAY_MS, Activity
from feeds.copies import Copies
from feeds.ids import BUCKETS
from feeds.progress import now_ms
from feeds.stream import came

CHUNKS_A_TRIP = 16
BUCKETS_A_TRIP = 64
LOOK_S = 1.0
SCANNED = 1000
FIELDS = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge removed: timelines of who was not active, old posts, tastes and first pages of who has none."""

    timelines: int
    posts: int
    leftovers: int

    def __str__(self) -> str:
        return (
            f"{self.timelines} timelines of users who were not active, {self.posts} old posts, "
            f"{self.leftovers} leftovers of users without a timeline"
        )


class Purge:
    """Purges what is old. ``post_days``: the age of a post that goes. ``every_s``: 0 for never by itself."""

    def __init__(self, redis: Redis, activity: Activity, *, post_days: int, every_s: int = 0) -> None:
        self._redis = redis
        self._activity = activity
        self._copies = Copies(redis)
        self._post_days = post_days
        self._every_s = every_s

    async def run(self, stop: asyncio.Event) -> None:
        """Purge whenever it is time and no other process has, until ``stop`` is set."""
        while self._every_s and not await came(stop, min(LOOK_S, self._every_s)):
            if await self._redis.set(keys.PURGE_LEASE, 1, nx=True, ex=self._every_s):
                log.info("purged: %s", await self.purge())

    async def purge(self) -> Purged:
        """Remove what is old; say how much that was."""
        timelines = await self._activity.purge()
        posts = await self._posts(now_ms() - self._post_days * DAY_MS)
        return Purged(timelines, posts, await self._leftovers())

    async def _posts(self, before_ms: int) -> int:
        """Remove the entries and copies of posts from before a moment."""
        removed = 0
        cursor = 0
        while True:
            scan = ("SCAN", cursor, "MATCH", "{*}:posts:*", "COUNT", SCANNED)
            ((at, found),) = await scripts.execute(self._redis, [scan])
            cursor, chunks = int(at), [key.decode() for key in found]
            for start in range(0, len(chunks), CHUNKS_A_TRIP):
                removed += await self._expire(chunks[start : start + CHUNKS_A_TRIP], before_ms)
            if not cursor:
                return removed

    async def _expire(self, chunks: list[str], before_ms: int) -> int:
        calls = [scripts.call(scripts.EXPIRE, (chunk, keys.floor(keys.shard_in(chunk))), before_ms) for chunk in chunks]
        ids = [id_.decode() for found in await scripts.execute(self._redis, calls) for id_ in found]
        await self._copies.drop(map(keys.post, ids))
        return len(ids)

    async def _leftovers(self) -> int:
        """Remove tastes and first pages of who has no timeline: a recalculation or a bake wrote them as it went."""
        removed = 0
        for shard in keys.ALL_SHARDS:
            held = [keys.taste_of(shard, bucket) for bucket in range(BUCKETS)] + [keys.seen(shard)]
            for start in range(0, len(held), BUCKETS_A_TRIP):
                removed += await self._orphans(shard, dict.fromkeys(held[start : start + BUCKETS_A_TRIP], b"0"))
        return removed

    async def _orphans(self, shard: int, cursors: dict[str, bytes]) -> int:
        removed = 0
        while cursors:
            step = [
                scripts.call(scripts.ORPHANS, (key, keys.active(shard)), cursor, FIELDS)
                for key, cursor in cursors.items()
            ]
            replies = await scripts.execute(self._redis, step)
            removed += sum(found for _, found in replies)
            after = zip(cursors, replies, strict=True)
            cursors = {key: cursor for key, (cursor, _) in after if cursor != b"0"}
        return removed
