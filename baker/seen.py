"""What was shown: the first pages that left are noted for the next recalculation.

A bake writes nothing else to ranking. Nobody waits for it, and what is lost here lowers a post a little later.
"""

import asyncio
import logging
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from feeds import keys, scripts
from feeds.ids import shard_of
from feeds.packing import numbers

log = logging.getLogger(__name__)


class Seen:
    """Notes what was shown, what came together in one trip."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._noted: dict[str, Sequence[int]] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, user: str, posts: Sequence[int]) -> None:
        """Note the posts (their numbers) that a user's first page shows."""
        self._noted[user] = posts
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def _write(self) -> None:
        while self._noted:
            noted, self._noted = self._noted, {}
            by_shard: dict[int, list[bytes | str]] = {}
            for user, posts in noted.items():
                by_shard.setdefault(shard_of(user), []).extend((user, numbers(posts)))
            calls = [scripts.call(scripts.SEEN, (keys.seen(shard),), *words) for shard, words in by_shard.items()]
            try:
                await scripts.execute(self._redis, calls)
            except (RedisError, OSError) as error:
                log.warning("What %d users were shown was not noted: %r", len(noted), error)
