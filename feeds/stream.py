"""A consumer group on a Redis stream: each entry is handled at least once, by one worker at a time where all goes well.

An entry is acknowledged after what it caused is durable. One that a dead worker left is taken over once it has been
idle for LEASE_MS; a live worker that is not done keeps its entries with ``touch``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, ResponseError

LEASE_MS = 5000
Entry = tuple[bytes, Mapping[bytes, bytes]]


@dataclass(slots=True)
class Group:
    """One consumer of one group of one stream."""

    redis: Redis
    stream: str
    group: str
    consumer: str

    async def create(self) -> None:
        """Make the group, from the stream's beginning, where it is not there."""
        try:
            await self.redis.xgroup_create(self.stream, self.group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Return new entries, waiting up to ``block_ms`` for the first."""
        reply: Any = await self.redis.xreadgroup(
            self.group, self.consumer, {self.stream: ">"}, count=count, block=block_ms
        )
        return [entry for _, entries in reply for entry in entries]

    async def take_over(self, count: int) -> list[Entry]:
        """Return entries that a worker took and left for LEASE_MS: it is dead, or it failed."""
        reply = await self.redis.xautoclaim(
            self.stream, self.group, self.consumer, min_idle_time=LEASE_MS, start_id="0-0", count=count
        )
        return [entry for entry in reply[1] if entry[1]]

    async def touch(self, entries: Sequence[bytes]) -> None:
        """Keep entries for another LEASE_MS."""
        if entries:
            await self.redis.xclaim(self.stream, self.group, self.consumer, 0, list(entries), justid=True)

    async def done(self, entries: Sequence[bytes]) -> None:
        """Acknowledge entries."""
        if entries:
            await self.redis.xack(self.stream, self.group, *entries)

    async def trim(self) -> None:
        """Drop what every worker has acknowledged from the stream's beginning."""
        pending = await self.redis.xpending(self.stream, self.group)
        lowest = pending["min"] or await self._delivered()
        await self.redis.xtrim(self.stream, minid=lowest, approximate=False)

    async def _delivered(self) -> bytes:
        for group in await self.redis.xinfo_groups(self.stream):
            if group["name"] == self.group.encode():
                last: bytes = group["last-delivered-id"]
                return last
        return b"0-0"


async def hold(lease: Lock) -> bool:
    """Take or renew a lease (a Redis lock with a time-out); tell whether it is ours."""
    try:
        return bool(await lease.reacquire())
    except LockError:
        return bool(await lease.acquire(blocking=False))
