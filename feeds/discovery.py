"""Discovery: the posts that a platform's readers like most, whole or of one tag, for those who follow nobody yet.

The best of the newest, by score alone. Made when somebody asks, and kept for a short time: it promises nothing.
"""

from collections.abc import Sequence

from redis.asyncio import Redis

from feeds import keys, packing, scripts
from feeds.ranking import Weights, boost_s
from feeds.record import Record

KEPT = 500
"""Posts of a list: 20 pages."""

NEWEST = 2000
"""Posts that are looked at."""


class Discovery:
    """The lists. ``ttl_s`` is how long one is kept."""

    def __init__(self, redis: Redis, record: Record, weights: Weights, *, ttl_s: int) -> None:
        self._redis = redis
        self._record = record
        self._weights = weights
        self._ttl_s = ttl_s

    async def read(self, tag: str = "") -> Sequence[int] | None:
        """Return the numbers of the best posts with a tag ("": of all), or None for a tag that nobody has used."""
        source = await self._record.tag_source(tag) if tag else 0
        if source is None:
            return None
        (kept,) = await scripts.execute(self._redis, [("GET", keys.explore(source))])
        return await self._made(source) if kept is None else packing.unpacked(kept)

    async def _made(self, source: int) -> Sequence[int]:
        if source:
            entries = await self._record.latest(source, before=None, limit=NEWEST)
        else:
            entries = await self._record.newest(NEWEST)
        epoch = await self._record.epoch()
        scored = sorted(
            (
                (entry.published_ms + 1000 * boost_s(entry, epoch, self._weights), entry.post, entry.num)
                for entry in entries
            ),
            reverse=True,
        )
        nums = [num for _, _, num in scored[:KEPT]]
        words = (keys.explore(source), packing.numbers(nums), "EX", self._ttl_s)
        await scripts.execute(self._redis, [("SET", *words)])
        return nums
