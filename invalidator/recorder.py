"""The recorder: takes what fan-out reports, records its tags in fence and ledger, and notes how far each change is.

In this order: record (fence, ledger, pending set, in one step a shard), note the progress, acknowledge. Only then is
a change *readable*; one that drops everything shard by shard is when its roll is over. Any number of recorders may run.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from redis.asyncio import Redis

from cdn.ledger import ALL_SHARDS, Ledger
from feeds import affected, keys, trace
from feeds.affected import Affected
from feeds.blame import Fault, fault_of
from feeds.progress import Board
from feeds.stream import LEASE_MS, Entry, Group, came
from invalidator.rolling import Rolls
from invalidator.tagging import by_shard, rolls, shards_in

GROUP = "invalidator"
AT_ONCE = 500
BLOCK_MS = 1000
MANY = 8
"""Parts of one reading from which on the recorder rests, so that more gather: a trip to 64 shards costs one part as
much as it costs a hundred."""
REST = 3
"""How many times as long as the recording took; so it takes a quarter of the time at the most."""
LONGEST_REST_S = 0.25
TAGS_A_TRIP = 50_000
"""Tags, once for each shard they go to, from which on a trip is full: it takes Redis about half a second."""

log = logging.getLogger(__name__)


def _nobody() -> None:
    """Nobody rolls here: whoever does looks once in a while."""


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
        roll: Callable[[], None] = _nobody,
        lease_ms: int = LEASE_MS,
    ) -> None:
        """``wake`` is called when tags are pending and again when changes are readable, ``roll`` when a roll begins."""
        self._group = Group(redis, keys.AFFECTED, GROUP, consumer, lease_ms)
        self._ledger = ledger
        self._board = board
        self._rolls = Rolls(redis)
        self._wake = wake
        self._roll = roll
        self._parking = board.parking(keys.AFFECTED, "Recording")

    async def run(self, stop: asyncio.Event) -> None:
        """Record until ``stop`` is set."""
        await self._group.create()
        loop = asyncio.get_running_loop()
        swept = loop.time()
        while not stop.is_set():
            entries = await self._group.read(AT_ONCE, min(BLOCK_MS, self._group.lease_ms))
            began = loop.time()
            await self._take(entries)
            if len(entries) >= MANY:
                await came(stop, min(LONGEST_REST_S, REST * (loop.time() - began)))
            if loop.time() - swept > self._group.lease_ms / 3000:
                swept = loop.time()
                await self._take_one_by_one(await self._group.take_over(AT_ONCE), again=True)
                await self._group.trim()
                await self._ledger.trim()

    async def _take(self, entries: Sequence[Entry]) -> None:
        """Take new entries together; where some cannot be recorded, each by itself."""
        try:
            parts = [(name, affected.read(fields)) for name, fields in entries]
            for portion in portions(parts):
                await self.record([part for _, part in portion])
                await self._group.done([name for name, _ in portion])
        except Exception as error:
            if fault_of(error) is not Fault.CHANGE:
                raise
            await self._take_one_by_one(entries, again=False)

    async def _take_one_by_one(self, entries: Sequence[Entry], *, again: bool) -> None:
        """Take each entry by itself: a part that always fails is parked, and the others are recorded."""
        for name, fields in entries:
            if (change := affected.change_of(fields)) is None:
                log.error("Entry %s of %s names no change and is left: only fan-out writes there.", name, keys.AFFECTED)
            elif not await self._parking.handled(name, change, partial(self._record_entry, fields), again=again):
                continue
            await self._group.done([name])
            await self._parking.forget(name)

    async def _record_entry(self, fields: Mapping[bytes, bytes]) -> None:
        await self.record([affected.read(fields)])

    async def record(self, parts: Sequence[Affected]) -> None:
        """Record parts and note them with their changes, each with the counts of the shards that its tags went to."""
        began = trace.began()
        recorded = await self._ledger.record(by_shard(parts))
        self._wake()
        await self._begin_rolls([part for part in parts if _begins(part)])
        noted = [
            (part, {shard: recorded[shard].count for shard in shards_in(part)}) for part in parts if not _begins(part)
        ]
        await self._board.recorded(noted)
        self._wake()
        for part, counts in noted:
            trace.step("record", part.change_id, began, part=part.part, shards=len(counts))

    async def _begin_rolls(self, parts: Sequence[Affected]) -> None:
        if parts:
            await self._rolls.begin(parts)
            self._roll()


def _begins(part: Affected) -> bool:
    return part.shared and rolls(part.change)


def portions(parts: Iterable[tuple[bytes, Affected]]) -> Iterator[list[tuple[bytes, Affected]]]:
    """Yield parts, with their entries' names, in portions that one trip records."""
    portion: list[tuple[bytes, Affected]] = []
    size = 0
    for entry, part in parts:
        names = len(part.posts) + len(part.authors) + len(part.guarded)
        portion.append((entry, part))
        named = len(part.users) + sum(section.count("\n") + 1 for section in part.sections)
        size += named + names * len(ALL_SHARDS)
        if size >= TAGS_A_TRIP:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
