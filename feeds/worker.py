"""The fan-out worker: reads the change stream in a consumer group and hands each change to fan-out."""

import asyncio
import logging
from collections.abc import Iterable

from redis.asyncio import Redis

from feeds import keys, metrics
from feeds.change import decode
from feeds.fanout import Fanout
from feeds.stream import LEASE_MS, Entry, Group, came

GROUP = "fanout"
AT_ONCE = 64
"""Changes that are handled side by side: their trips are shared."""
BLOCK_MS = 1000

log = logging.getLogger(__name__)


class Worker:
    """One fan-out worker of any number. Changes are handled side by side, so that a long one holds up no other."""

    def __init__(self, redis: Redis, fanout: Fanout, consumer: str, *, lease_ms: int = LEASE_MS) -> None:
        self._group = Group(redis, keys.CHANGES, GROUP, consumer, lease_ms)
        self._fanout = fanout
        self._busy: dict[bytes, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; what is under way then is finished first."""
        await self._group.create()
        finished, block_ms = asyncio.Event(), min(BLOCK_MS, self._group.lease_ms)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(finished))
            tasks.create_task(self._sweep(stop, tasks))
            while not stop.is_set():
                self._begin(await self._group.read(await self._room(), block_ms), tasks)
            while self._busy:
                await asyncio.wait(self._busy.values())
            finished.set()

    async def _keep(self, finished: asyncio.Event) -> None:
        """Keep what is under way."""
        while not await came(finished, self._group.lease_ms / 3000):
            await self._group.touch(list(self._busy))

    async def _sweep(self, stop: asyncio.Event, tasks: asyncio.TaskGroup) -> None:
        """Take over what dead workers left or what failed, and trim what is done."""
        while not await came(stop, self._group.lease_ms / 3000):
            room, held = await self._room(), set(self._busy)  # what is done by the time the answer comes is done
            left = await self._group.take_over(room)
            self._begin([entry for entry in left if entry[0] not in held], tasks)
            await self._group.trim()

    async def _room(self) -> int:
        """Return how many changes more may be handled now; wait until that is one at least."""
        while len(self._busy) >= AT_ONCE:
            await asyncio.wait(self._busy.values(), return_when=asyncio.FIRST_COMPLETED)
        return AT_ONCE - len(self._busy)

    def _begin(self, entries: Iterable[Entry], tasks: asyncio.TaskGroup) -> None:
        for name, fields in entries:
            if name not in self._busy:
                self._busy[name] = tasks.create_task(self._handle((name, fields)))

    async def _handle(self, entry: Entry) -> None:
        name, fields = entry
        change, kind = fields[b"id"].decode(), fields[b"kind"].decode()
        try:
            with metrics.FANOUT_SECONDS.time():
                await self._fanout.handle(change, decode(kind, fields[b"body"]))
            await self._group.done([name])
            metrics.FANNED_OUT.labels(kind).inc()
        except Exception as error:  # whatever it is: the entry is not acknowledged, so it is taken over
            metrics.FANOUT_FAILURES.labels(kind).inc()
            again_s = self._group.lease_ms / 1000
            log.error("Fan-out of change %s failed and is tried again in %.0f s: %r", change, again_s, error)
        finally:
            del self._busy[name]
