"""A consumer group on a Redis stream: each entry is handled at least once, by one worker at a time where all goes well.

An entry is acknowledged after what it caused is durable. One that a dead worker left is taken over once it has been
idle for its lease; a live worker that is not done keeps its entries with ``touch``.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, ResponseError

T = TypeVar("T")

LEASE_MS = 5000
Entry = tuple[bytes, Mapping[bytes, bytes]]


@dataclass(slots=True)
class Group:
    """One consumer of one group of one stream."""

    redis: Redis
    stream: str
    group: str
    consumer: str
    lease_ms: int = LEASE_MS

    async def create(self) -> None:
        """Make the group, from the stream's beginning, where it is not there."""
        try:
            await self.redis.xgroup_create(self.stream, self.group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Return new entries, waiting up to ``block_ms`` for the first."""
        reply: Any = await self._known(
            lambda: self.redis.xreadgroup(self.group, self.consumer, {self.stream: ">"}, count=count, block=block_ms)
        )
        return [entry for _, entries in reply for entry in entries]

    async def take_over(self, count: int) -> list[Entry]:
        """Return entries that a worker took and left for a lease: it is dead, or it failed."""
        return await self._known(lambda: self._left(count))

    async def touch(self, entries: Sequence[bytes]) -> None:
        """Keep entries for another lease."""
        if entries:
            await self._known(
                lambda: self.redis.xclaim(self.stream, self.group, self.consumer, 0, list(entries), justid=True)
            )

    async def done(self, entries: Sequence[bytes]) -> None:
        """Acknowledge entries."""
        if entries:
            await self.redis.xack(self.stream, self.group, *entries)

    async def _left(self, count: int) -> list[Entry]:
        found: list[Entry] = []
        cursor: bytes | None = None
        while cursor != b"0-0" and len(found) < count:  # Redis looks at some entries a call, busy ones among them
            cursor, entries, *_ = await self.redis.xautoclaim(
                self.stream, self.group, self.consumer, self.lease_ms, start_id=cursor or "0-0", count=count
            )
            found += [entry for entry in entries if entry[1]]
        return found

    async def _known(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask something of the group; make it anew where Redis has forgotten it."""
        try:
            return await ask()
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "no such key")):
                raise
        await self.create()
        return await ask()

    async def trim(self) -> None:
        """Drop from the stream's beginning what every group has acknowledged."""
        await self._known(self._trim)

    async def _trim(self) -> None:
        """How far each group was delivered is read first.

        Whatever is delivered after that lies above it, so nothing that a worker holds is dropped under its hands.
        """
        lowest: list[bytes] = []
        for group in await self.redis.xinfo_groups(self.stream):
            waiting = await self.redis.xpending(self.stream, group["name"])
            delivered: bytes = group["last-delivered-id"]
            lowest.append(min(delivered, waiting["min"] or delivered, key=_number))
        if lowest:
            await self.redis.xtrim(self.stream, minid=min(lowest, key=_number), approximate=False)


def _number(entry: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry.partition(b"-")
    return int(milliseconds), int(sequence)


async def came(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event so many seconds at most; tell whether it came.

    Loops that talk to Redis are ended by an event, not cancelled: redis-py sends with ``asyncio.wait_for``, which in
    Python 3.11 drops a cancellation that comes as it ends (python/cpython#86296).
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def hold(lease: Lock) -> bool:
    """Take or renew a lease (a Redis lock with a time-out); tell whether it is ours."""
    return await renewed(lease) or bool(await lease.acquire(blocking=False))


async def renewed(lease: Lock) -> bool:
    """Renew a lease where it is ours still; tell whether it was, all the time since it was taken or renewed."""
    try:
        return bool(await lease.reacquire())
    except LockError:
        return False


async def let_go(lease: Lock) -> None:
    """Give a lease back where it is ours, so that the next process need not wait for its time-out."""
    if lease.local.token is not None:
        with contextlib.suppress(LockError):
            await lease.release()
