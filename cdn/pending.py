"""The pending set: what an edge has still to be told, durable in Redis until the edge reports it complete.

A batch is minted once: its items are stored under a unique id before the first call, and every retry sends those
stored items under that id.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson
from redis.asyncio import Redis

from cdn import keys, scripts
from cdn.edge import Batch


@dataclass(frozen=True, slots=True)
class Waiting:
    """A tag that waits in a shard. ``oldest`` count it waits for, ``newest`` count merged into it."""

    tag: str
    oldest: int
    newest: int


@dataclass(frozen=True, slots=True)
class ShardState:
    """What waits in one shard, oldest first, and the counts up to which all is sent, and all is complete.

    ``size`` is how many tags wait, ``waiting`` those of them that were asked for.
    """

    count: int
    sent: int
    live: int
    size: int
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True, slots=True)
class Minted:
    """A stored batch: its items, the shards it has tags of, and what the edge called it once it was accepted."""

    batch: Batch
    shards: tuple[int, ...]
    invalidation: str | None


class PendingSet:
    """The pending set of one edge."""

    def __init__(self, redis: Redis, edge: str) -> None:
        self._redis = redis
        self._edge = edge
        self._batches = keys.batches(edge)

    async def read(self, shards: Sequence[int], limit: int) -> dict[int, ShardState]:
        """Return the state of shards, with at most ``limit`` waiting tags of each."""
        replies = await scripts.execute(self._redis, [self._pending(shard, limit) for shard in shards])
        return {shard: _state(reply) for shard, reply in zip(shards, replies, strict=True)}

    async def mint(self, tags: Sequence[str], waiting: Mapping[int, Sequence[Waiting]]) -> Minted:
        """Store a batch of tags, then take from each shard the entries that they cover, unless something newer merged.

        ``waiting`` holds these entries as the planner saw them, by shard.
        """
        minted = Minted(Batch(uuid.uuid4().hex, tuple(tags)), tuple(waiting), None)
        await self._store(minted)
        claims = [self._claim(shard, minted.batch.id, entries) for shard, entries in waiting.items()]
        await scripts.execute(self._redis, claims)
        return minted

    async def accepted(self, minted: Minted, invalidation: str) -> Minted:
        """Note that the edge accepted a batch under this name."""
        flying = Minted(minted.batch, minted.shards, invalidation)
        await self._store(flying)
        await scripts.execute(
            self._redis,
            [scripts.call(scripts.FLY, self._keys(shard)[2:4], minted.batch.id) for shard in minted.shards],
        )
        return flying

    async def unknown(self, minted: Minted) -> Minted:
        """Note that the edge does not know a batch that it accepted once: the same bytes are to be sent again."""
        unsent = Minted(minted.batch, minted.shards, None)
        await self._store(unsent)
        return unsent

    async def completed(self, minted: Minted) -> None:
        """Note that a batch is complete everywhere, and forget it."""
        drops: list[scripts.Command] = []
        for shard in minted.shards:
            _, _, claimed, flying = self._keys(shard)
            drops += [("ZREM", claimed, minted.batch.id), ("ZREM", flying, minted.batch.id)]
        await scripts.execute(self._redis, [*drops, ("HDEL", self._batches, minted.batch.id)])

    async def stored(self) -> list[Minted]:
        """Return the batches that are not complete: what a new drain loop takes up."""
        (rows,) = await scripts.execute(self._redis, [("HGETALL", self._batches)])
        return [_minted(batch.decode(), row) for batch, row in scripts.fields(rows).items()]

    async def ids(self) -> set[str]:
        """Return the ids of the batches that are not complete."""
        (found,) = await scripts.execute(self._redis, [("HKEYS", self._batches)])
        return {batch.decode() for batch in found}

    async def _store(self, minted: Minted) -> None:
        row = orjson.dumps([minted.batch.tags, minted.shards, minted.invalidation])
        await self._redis.hset(self._batches, minted.batch.id, row)

    def _keys(self, shard: int) -> tuple[str, str, str, str]:
        return keys.pending(shard, self._edge)

    def _pending(self, shard: int, limit: int) -> scripts.Command:
        return scripts.call(scripts.PENDING, (keys.count(shard), *self._keys(shard)), limit)

    def _claim(self, shard: int, batch: str, entries: Iterable[Waiting]) -> scripts.Command:
        words = [word for entry in entries for word in (entry.tag, entry.newest)]
        return scripts.call(scripts.CLAIM, self._keys(shard)[:3], batch, *words)


def _state(reply: Sequence[bytes]) -> ShardState:
    count = int(reply[0])
    unsent, claimed, flying = (int(oldest) - 1 if oldest else count for oldest in reply[1:4])
    waiting = tuple(Waiting(reply[i].decode(), int(reply[i + 1]), int(reply[i + 2])) for i in range(5, len(reply), 3))
    sent = min(count, unsent, claimed)
    return ShardState(count, sent, min(sent, flying), int(reply[4]), waiting)


def _minted(batch: str, row: bytes) -> Minted:
    tags, shards, invalidation = orjson.loads(row)
    return Minted(Batch(batch, tuple(tags)), tuple(shards), invalidation)


class CallBudget:
    """One call an interval for all edges of one account, whoever calls."""

    def __init__(self, redis: Redis, account: str, interval_ms: int) -> None:
        self._redis = redis
        self._key = keys.last_call(account)
        self._interval_ms = interval_ms

    async def spend(self) -> int:
        """Take a call out of the budget and return 0, or return the milliseconds to wait."""
        call = scripts.call(scripts.SPEND, (self._key,), self._interval_ms)
        return int((await scripts.execute(self._redis, [call]))[0])
