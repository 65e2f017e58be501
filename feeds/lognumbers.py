"""The numbers of the fan-out log: counted in Redis, reserved in the system of record before they are used.

A Redis that forgets counts on from where they were reserved to, so a number is never below one that somebody holds who
began before: a rebuild's snapshot, or the push of a post.
"""

import asyncio

from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.record import Record
from feeds.redis_epoch import AHEAD

NEXT: scripts.Command = ("INCR", keys.LOG)
"""The command that takes the next number; what it replies is for ``LogNumbers.reserved``."""


class LogNumbers:
    """Takes log numbers; a process looks at the record once for some hundred thousand of them."""

    def __init__(self, redis: Redis, record: Record) -> None:
        self._redis = redis
        self._record = record
        self._ceiling = 0
        self._reserving = asyncio.Lock()

    async def take(self) -> int:
        """Take the next number."""
        (number,) = await scripts.execute(self._redis, [NEXT])
        return await self.reserved(number)

    async def reserved(self, number: int) -> int:
        """Return a number that was taken, once it is reserved: only then it may be used."""
        if number + AHEAD // 4 > self._ceiling:
            async with self._reserving:  # for all who take numbers meanwhile, and would each wait for a turn to write
                if number + AHEAD // 4 > self._ceiling:
                    self._ceiling = await self._record.reserve_log(number)
        return number
