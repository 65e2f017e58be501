"""The pending set: what an edge has still to be told, durable in Redis until the edge reports it complete.

A batch is minted once: its items are stored under a unique id before the first call, and every retry sends those
stored items under that id. A batch with items that need a second tap stays until another batch has tapped for it.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntFlag

import orjson
from redis.asyncio import Redis

from cdn import clock, keys, scripts
from cdn.edge import Batch

MOST_CLAIMED = 3000
"""Entries that one script claims: about three milliseconds of Redis."""

TRAIL = 100
"""Batches that are remembered when they are over."""


class Flag(IntFlag):
    """What is demanded of a tag that waits. Of two reasons, tap and urgent win; patient and covered is what both are.

    ``TAP``: dropped once more after the transit time. ``URGENT``: a deletion or privacy, which always goes.
    ``PATIENT``: nobody asked for it, and it is wide, so it waits for headroom at the origin; what is urgent never does.
    ``COVERED``: a leftover reader, whose answers ``o`` reaches too.
    """

    PLAIN = 0
    TAP = 1
    URGENT = 2
    PATIENT = 4
    COVERED = 8

    def merged(self, other: "Flag") -> "Flag":
        """Return what both reasons demand together."""
        return (self | other) & (Flag.TAP | Flag.URGENT) | self & other & (Flag.PATIENT | Flag.COVERED)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A tag that waits in a shard. ``oldest`` count it waits for, ``newest`` count merged into it.

    ``at_ms``: when the newest was recorded; whatever it concerns left before. All times are those of Redis.
    """

    tag: str
    oldest: int
    newest: int
    at_ms: int = 0
    flags: Flag = Flag.PLAIN

    @property
    def merged(self) -> str:
        """What the scripts compare: unchanged, where nothing was merged since."""
        return f"{self.newest} {self.at_ms} {self.flags.value}"


@dataclass(frozen=True, slots=True)
class ShardState:
    """What waits in one shard, the urgent and then the oldest first, and up to which counts all is sent and complete.

    ``size`` is how many tags wait, ``waiting`` those of them that were asked for, ``now_ms`` the time by Redis.
    """

    count: int
    sent: int
    live: int
    size: int
    waiting: tuple[Waiting, ...]
    now_ms: int = 0


@dataclass(frozen=True, slots=True)
class Minted:
    """A stored batch: its items, the shards it has tags of, and what the edge called it once it was accepted.

    ``taps`` are those of its items that need a second tap, ``covers`` the ids of earlier batches whose second taps it
    carries. It was accepted and complete at ``accepted_ms`` and ``done_ms``, by the clock of Redis; 0: not yet.
    """

    batch: Batch
    shards: tuple[int, ...]
    invalidation: str | None = None
    taps: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    accepted_ms: int = 0
    done_ms: int = 0

    def tap_due_ms(self, transit_ms: int) -> int:
        """Return when its second tap is due: it is complete, and what was on its way when it went has arrived."""
        return max(self.done_ms, self.accepted_ms + transit_ms)

    def by(self, now_ms: int) -> "Minted":
        """Return it with no time after now: the clock of Redis stepped back since, and no tap is to wait for that."""
        if max(self.accepted_ms, self.done_ms) <= now_ms:
            return self
        return replace(self, accepted_ms=min(self.accepted_ms, now_ms), done_ms=min(self.done_ms, now_ms))


class PendingSet:
    """The pending set of one edge."""

    def __init__(self, redis: Redis, edge: str) -> None:
        self._redis = redis
        self._edge = edge
        self._batches = keys.batches(edge)

    async def read(self, shards: Sequence[int], limit: int) -> dict[int, ShardState]:
        """Return the state of shards, with at most ``limit`` waiting tags of each."""
        if not shards:
            return {}
        replies = await scripts.execute(self._redis, [self._pending(shard, limit) for shard in shards])
        return {shard: _state(reply) for shard, reply in zip(shards, replies, strict=True)}

    async def look(self, shards: Sequence[int], limit: int) -> tuple[set[str], dict[int, ShardState]]:
        """Return the ids of the stored batches, and the state of shards, in one trip."""
        calls = [self._pending(shard, limit) for shard in shards]
        ids, *replies = await scripts.execute(self._redis, [("HKEYS", self._batches), *calls])
        states = {shard: _state(reply) for shard, reply in zip(shards, replies, strict=True)}
        return {batch.decode() for batch in ids}, states

    async def mint(
        self,
        tags: Sequence[str],
        waiting: Mapping[int, Sequence[Waiting]],
        *,
        taps: Sequence[str] = (),
        covers: Sequence[str] = (),
    ) -> Minted:
        """Store a batch of tags, then take from each shard the entries that they cover, unless something newer merged.

        ``waiting`` holds these entries as the planner saw them, by shard. ``tags`` are the items of the call, second
        taps included; ``taps`` those that are to be tapped after it, ``covers`` the batches whose taps it carries.
        """
        minted = Minted(Batch(uuid.uuid4().hex, tuple(tags)), tuple(waiting), taps=tuple(taps), covers=tuple(covers))
        await self._store(minted)
        await self._claim(minted.batch.id, waiting)
        return minted

    async def release(self, waiting: Mapping[int, Sequence[Waiting]]) -> int:
        """Forget entries that nobody has to be told of any more, unless something newer merged; return how many."""
        return await self._claim("", waiting)

    async def accepted(self, minted: Minted, invalidation: str) -> Minted:
        """Note that the edge accepted a batch under this name."""
        flying = replace(minted, invalidation=invalidation, accepted_ms=await clock.now_ms(self._redis))
        await scripts.execute(self._redis, [self._kept(flying), *self._fly(minted)])
        return flying

    async def unknown(self, minted: Minted) -> Minted:
        """Note that the edge does not know a batch that it accepted once: the same bytes are to be sent again."""
        unsent = replace(minted, invalidation=None, accepted_ms=0)
        await self._store(unsent)
        return unsent

    async def completed(self, minted: Minted) -> Minted | None:
        """Note that a batch is complete everywhere. Forget those whose taps it carried, then itself if it needs none.

        Its ``done_ms`` may be set: then it was complete as soon as it was accepted, which nobody has noted.

        Returns what is stored of it now: None, or a batch that awaits its second tap. Before that is stored, it is not
        known to be complete, so whoever dies in between leaves it to be asked after again.
        """
        stored = await self.stored() if minted.covers else []
        covered = [command for each in stored if each.batch.id in minted.covers for command in self._drops(each)]
        awaits = replace(minted, done_ms=minted.done_ms or await clock.now_ms(self._redis)) if minted.taps else None
        last = self._drops(minted) if awaits is None else [*self._fly(minted), self._kept(awaits)]
        await scripts.execute(self._redis, [*covered, *last])
        return awaits

    async def stored(self) -> list[Minted]:
        """Return the batches that are not complete, or await their second tap: what a new drain loop takes up."""
        (rows,) = await scripts.execute(self._redis, [("HGETALL", self._batches)])
        return [_minted(batch.decode(), row) for batch, row in scripts.fields(rows).items()]

    async def forget_lost(self) -> None:
        """Take out of the shards what is of no stored batch, or nothing there would ever be sent again.

        A loop that stood still for longer than its lease claimed for a batch that another had completed, and died. A
        batch is stored before it is claimed, so what is claimed is read before what is stored.
        """
        places = [key for shard in range(keys.SHARDS) for key in self._keys(shard)[3:5]]
        asked = [*(("ZRANGE", key, 0, -1) for key in places), ("HKEYS", self._batches)]
        *found, stored = await scripts.execute(self._redis, asked)
        lost = {key: set(there) - set(stored) for key, there in zip(places, found, strict=True)}
        if gone := [("ZREM", key, *batches) for key, batches in lost.items() if batches]:
            await scripts.execute(self._redis, gone)

    async def trail(self) -> list[Minted]:
        """Return the last batches that left the store, the newest first: for people and the audit, nothing needs it."""
        (rows,) = await scripts.execute(self._redis, [("LRANGE", keys.trail(self._edge), 0, -1)])
        return [_minted(batch.decode(), row) for batch, _, row in (line.partition(b" ") for line in rows)]

    async def _store(self, minted: Minted) -> None:
        await scripts.execute(self._redis, [self._kept(minted)])

    def _kept(self, minted: Minted) -> scripts.Command:
        return ("HSET", self._batches, minted.batch.id, _row(minted))

    async def _claim(self, batch: str, waiting: Mapping[int, Sequence[Waiting]]) -> int:
        calls = [
            self._claim_some(shard, batch, entries[start : start + MOST_CLAIMED])
            for shard, entries in waiting.items()
            for start in range(0, len(entries), MOST_CLAIMED)
        ]
        return sum(await scripts.execute(self._redis, calls)) if calls else 0

    def _claim_some(self, shard: int, batch: str, entries: Iterable[Waiting]) -> scripts.Command:
        words = [word for entry in entries for word in (entry.tag, entry.merged)]
        return scripts.call(scripts.CLAIM, self._keys(shard)[:4], batch, *words)

    def _fly(self, minted: Minted) -> list[scripts.Command]:
        return [scripts.call(scripts.FLY, self._keys(shard)[3:5], minted.batch.id) for shard in minted.shards]

    def _drops(self, minted: Minted) -> list[scripts.Command]:
        """Return what takes a batch out of its shards, and only then out of the store into the trail."""
        places = [key for shard in minted.shards for key in self._keys(shard)[3:5]]
        trail = keys.trail(self._edge)
        return [
            *(("ZREM", key, minted.batch.id) for key in places),
            ("HDEL", self._batches, minted.batch.id),
            ("LPUSH", trail, minted.batch.id + " " + _row(minted).decode()),
            ("LTRIM", trail, 0, TRAIL - 1),
        ]

    def _keys(self, shard: int) -> tuple[str, str, str, str, str]:
        return keys.pending(shard, self._edge)

    def _pending(self, shard: int, limit: int) -> scripts.Command:
        return scripts.call(scripts.PENDING, (keys.count(shard), *self._keys(shard)), limit)


def _state(reply: Sequence[bytes]) -> ShardState:
    count = int(reply[0])
    unsent, claimed, flying = (int(oldest) - 1 if oldest else count for oldest in reply[1:4])
    waiting = tuple(_waiting(*reply[i : i + 3]) for i in range(6, len(reply), 3))
    sent = min(count, unsent, claimed)
    return ShardState(count, sent, min(sent, flying), int(reply[4]), waiting, int(reply[5]))


def _waiting(tag: bytes, oldest: bytes, merged: bytes) -> Waiting:
    newest, at_ms, flags = map(int, merged.split())
    return Waiting(tag.decode(), int(oldest), newest, at_ms, Flag(flags))


def _row(minted: Minted) -> bytes:
    batch, times = minted.batch, (minted.accepted_ms, minted.done_ms)
    return orjson.dumps([batch.tags, minted.shards, minted.invalidation, minted.taps, minted.covers, *times])


def _minted(batch: str, row: bytes) -> Minted:
    tags, shards, invalidation, taps, covers, accepted_ms, done_ms = orjson.loads(row)
    return Minted(
        Batch(batch, tuple(tags)), tuple(shards), invalidation, tuple(taps), tuple(covers), accepted_ms, done_ms
    )


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
