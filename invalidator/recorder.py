"""The recorder: takes what fan-out reports, records its tags in fence and ledger, and notes how far each change is.

In this order: record (fence, ledger, pending set, in one step a shard), note the progress, acknowledge. Only then is
a change *readable*. Any number of recorders may run.
"""

import asyncio
from collections.abc import Callable, Sequence

from redis.asyncio import Redis

from cdn.ledger import Ledger
from feeds import affected, keys
from feeds.affected import Affected
from feeds.progress import Board
from feeds.stream import LEASE_MS, Entry, Group
from invalidator.tagging import by_shard

GROUP = "invalidator"
AT_ONCE = 500
BLOCK_MS = 1000


class Recorder:
    """Records what is affected."""

    def __init__(
        self,
        redis: Redis,
        ledger: Ledger,
        board: Board,
        consumer: str,
        *,
        wake: Callable[[], None],
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._group = Group(redis, keys.AFFECTED, GROUP, consumer, lease_ms)
        self._ledger = ledger
        self._board = board
        self._wake = wake

    async def run(self, stop: asyncio.Event) -> None:
        """Record until ``stop`` is set."""
        await self._group.create()
        loop = asyncio.get_running_loop()
        swept = loop.time()
        while not stop.is_set():
            await self._take(await self._group.read(AT_ONCE, min(BLOCK_MS, self._group.lease_ms)))
            if loop.time() - swept > self._group.lease_ms / 3000:
                swept = loop.time()
                await self._take(await self._group.take_over(AT_ONCE))
                await self._group.trim()

    async def _take(self, entries: Sequence[Entry]) -> None:
        if entries:
            await self.record([affected.read(fields) for _, fields in entries])
            await self._group.done([name for name, _ in entries])
            self._wake()

    async def record(self, parts: Sequence[Affected]) -> None:
        """Record parts and note them with their changes."""
        recorded = await self._ledger.record(by_shard(parts))
        counts = {shard: result.count for shard, result in recorded.items()}
        await self._board.recorded([(part, _of(part, counts)) for part in parts])


def _of(part: Affected, counts: dict[int, int]) -> dict[int, int]:
    """Return those counts that a part must wait for: of the shards that its tags went to."""
    return {shard: counts[shard] for shard in by_shard([part])}
