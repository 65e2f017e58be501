"""The fan-out worker: reads the change stream in a consumer group and hands each change to fan-out."""

import asyncio
import logging

from redis.asyncio import Redis

from feeds import keys
from feeds.change import decode
from feeds.fanout import Fanout
from feeds.stream import LEASE_MS, Entry, Group

GROUP = "fanout"
AT_ONCE = 32
BLOCK_MS = 1000

log = logging.getLogger(__name__)


class Worker:
    """One fan-out worker of any number."""

    def __init__(self, redis: Redis, fanout: Fanout, consumer: str) -> None:
        self._group = Group(redis, keys.CHANGES, GROUP, consumer)
        self._fanout = fanout
        self._busy: set[bytes] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; what is under way then is finished first."""
        await self._group.create()
        keeper = asyncio.create_task(self._keep())
        try:
            while not stop.is_set():
                await self._handle(await self._group.read(AT_ONCE, BLOCK_MS))
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self) -> None:
        """Keep what is under way, take over what dead workers left, and trim what is done."""
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            await self._group.touch(list(self._busy))
            await self._handle(await self._group.take_over(AT_ONCE))
            await self._group.trim()

    async def _handle(self, entries: list[Entry]) -> None:
        entries = [entry for entry in entries if entry[0] not in self._busy]
        self._busy.update(name for name, _ in entries)
        try:
            results = await asyncio.gather(*map(self._one, entries), return_exceptions=True)
        finally:
            self._busy.difference_update(name for name, _ in entries)
        done = []
        for (name, fields), result in zip(entries, results, strict=True):
            if isinstance(result, Exception):
                change = fields[b"id"].decode()
                log.error(
                    "Fan-out of change %s failed and is tried again in %.0f s: %r", change, LEASE_MS / 1000, result
                )
            elif result is not None:
                raise result
            else:
                done.append(name)
        await self._group.done(done)

    async def _one(self, entry: Entry) -> None:
        _, fields = entry
        await self._fanout.handle(fields[b"id"].decode(), decode(fields[b"kind"].decode(), fields[b"body"]))
