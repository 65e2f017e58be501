"""Refusing: the flag by which the API and imports take no more writes. Feeds own it; the invalidator sets it.

It goes by itself when its time is over (Redis forgets it), and when whoever set it says that there is room again.
"""

import asyncio
import logging
from dataclasses import dataclass

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from feeds import keys, scripts

LOOK_S = 1.0
"""Seconds for which a process believes what it read."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusing:
    """Why no writes are taken, and until when at the latest, in Unix milliseconds."""

    reason: str
    until_ms: int


class Flag:
    """The flag, read at most once a LOOK_S by each process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._looked = float("-inf")
        self._seen: Refusing | None = None

    async def put(self, refusing: Refusing) -> None:
        """Take no more writes until its time is over."""
        body = orjson.dumps([refusing.reason, refusing.until_ms])
        await scripts.execute(self._redis, [("SET", keys.REFUSING, body, "PXAT", refusing.until_ms)])

    async def clear(self) -> None:
        """Take writes again."""
        await scripts.execute(self._redis, [("DEL", keys.REFUSING)])

    async def read(self) -> Refusing | None:
        """Return why no writes are taken, or None where they are.

        A Redis that does not answer in time refuses nothing: the system of record takes writes without it.
        """
        now = asyncio.get_running_loop().time()
        if now - self._looked >= LOOK_S:
            self._looked = now
            try:
                async with asyncio.timeout(LOOK_S):
                    (found,) = await scripts.execute(self._redis, [("GET", keys.REFUSING)])
                self._seen = None if found is None else Refusing(*orjson.loads(found))
            except (RedisError, TimeoutError) as error:
                self._seen = None
                log.warning("Whether writes are refused is not known, so they are taken: %s", error)
        return self._seen
