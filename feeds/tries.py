"""Tries: how often a stream's entries were handled in vain, and whose lane they wait in.

A try that failed counts, unless the world was to blame. One that ended with its worker counts from the second delivery
on, for then the entry is handled alone: of what was under way when a worker died, nobody knows which killed it. So it
is counted before it begins, and taken back where the world was to blame.
"""

from collections.abc import Sequence

from redis.asyncio import Redis

from feeds import keys, scripts

MOST = 5
"""Tries after which a change is parked."""


class Tries:
    """The tries of one stream's entries."""

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis = redis
        self._stream = stream

    async def of(self, entries: Sequence[bytes]) -> dict[bytes, int]:
        """Return how often each of these was tried in vain."""
        if not entries:
            return {}
        command = ("HMGET", keys.TRIES, *map(self._field, entries))
        (found,) = await scripts.execute(self._redis, [command])
        return {entry: int(tries or 0) for entry, tries in zip(entries, found, strict=True)}

    async def add(self, entry: bytes) -> int:
        """Count a try; return how many there were."""
        return int((await scripts.execute(self._redis, [("HINCRBY", keys.TRIES, self._field(entry), 1)]))[0])

    async def take_back(self, entry: bytes) -> None:
        """Do not count the last try: nothing is wrong with the entry."""
        await scripts.execute(self._redis, [("HINCRBY", keys.TRIES, self._field(entry), -1)])

    async def forget(self, entries: Sequence[bytes]) -> None:
        """Forget entries that are acknowledged."""
        if entries:
            await scripts.execute(self._redis, [("HDEL", keys.TRIES, *map(self._field, entries))])

    def _field(self, entry: bytes) -> str:
        return f"{self._stream}:{entry.decode()}"
