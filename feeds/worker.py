"""The fan-out worker: reads the change stream in a consumer group and hands each change to fan-out."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from redis.asyncio import Redis

from feeds import keys, metrics, trace
from feeds.blame import told
from feeds.change import decode
from feeds.fanout import Fanout
from feeds.parking import Parking
from feeds.stream import LEASE_MS, Entry, Group, came
from feeds.tick import Tick

GROUP = "fanout"
AT_ONCE = 64
"""Changes that are handled side by side: their trips are shared."""
BLOCK_MS = 1000

log = logging.getLogger(__name__)


class Worker:
    """One fan-out worker of any number. Changes are handled side by side, so that a long one holds up no other.

    Those that were tried in vain before are handled one after the other, the least tried first: if one of them kills
    its worker, it is known which, and it is parked in the end and not those beside it.
    """

    def __init__(self, redis: Redis, fanout: Fanout, consumer: str, *, lease_ms: int = LEASE_MS) -> None:
        self._group = Group(redis, keys.CHANGES, GROUP, consumer, lease_ms)
        self._fanout = fanout
        self._parking = Parking(redis, fanout.record, keys.CHANGES, "Fan-out")
        self._suspects = asyncio.Lock()
        self._done: Tick[bytes, None] = Tick(self._acknowledge, at_once=1)
        self._busy: dict[bytes, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; what is under way then is finished first."""
        await self._group.create()
        finished, block_ms = asyncio.Event(), min(BLOCK_MS, self._group.lease_ms)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(finished))
            tasks.create_task(self._sweep(stop, tasks))
            tasks.create_task(self._parking.watch(stop))
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
            left = [entry for entry in await self._group.take_over(room) if entry[0] not in held]
            tried = await self._parking.tried([name for name, _ in left])
            self._begin(sorted(left, key=lambda entry: tried[entry[0]]), tasks, tried)
            await self._group.trim()

    async def _room(self) -> int:
        """Return how many changes more may be handled now; wait until that is one at least."""
        while len(self._busy) >= AT_ONCE:
            await asyncio.wait(self._busy.values(), return_when=asyncio.FIRST_COMPLETED)
        return AT_ONCE - len(self._busy)

    def _begin(
        self, entries: Sequence[Entry], tasks: asyncio.TaskGroup, tried: Mapping[bytes, int] | None = None
    ) -> None:
        for name, fields in entries:
            if name not in self._busy:
                again = None if tried is None else tried[name]
                self._busy[name] = tasks.create_task(self._handle((name, fields), again))

    async def _handle(self, entry: Entry, tried: int | None) -> None:
        """Handle an entry and acknowledge it. ``tried`` is how often it was in vain, None at its first delivery."""
        name, fields = entry
        try:
            async with self._suspects if tried else nullcontext():
                if not await self._is_done(name, fields, again=tried is not None):
                    return
                await self._done.ask(name)
                if tried is not None:
                    await self._parking.forget(name)
        except Exception as error:  # Redis or the database went away meanwhile: the entry is taken over
            log.warning("Fan-out of entry %s is left for another try: %s", name.decode(), told(error))
        finally:
            del self._busy[name]

    async def _acknowledge(self, names: list[bytes]) -> list[None]:
        """Acknowledge what is done by the end of a turn of the loop."""
        await self._group.done(names)
        return [None] * len(names)

    async def _is_done(self, name: bytes, fields: Mapping[bytes, bytes], *, again: bool) -> bool:
        """Handle an entry; return whether it may be acknowledged."""
        if b"id" not in fields:
            log.error("Entry %s of %s names no change and is left: only the relay writes there.", name, keys.CHANGES)
            return True
        change, kind = fields[b"id"].decode(), fields.get(b"kind", b"").decode()

        async def handle() -> None:
            began = trace.began()
            try:
                with metrics.FANOUT_SECONDS.time():
                    await self._fanout.handle(change, decode(kind, fields.get(b"body", b"")))
            except Exception as error:
                metrics.FANOUT_FAILURES.labels(kind).inc()
                trace.step("fan-out", change, began, error=told(error), kind=kind)
                raise
            metrics.FANNED_OUT.labels(kind).inc()
            trace.step("fan-out", change, began, kind=kind)

        return await self._parking.handled(name, change, handle, again=again)
