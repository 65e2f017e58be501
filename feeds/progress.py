"""How far a change has come: accepted → readable → sent → live. Kept in Redis; the end is kept with the outbox row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import time
from typing import Literal

import orjson
from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.affected import Affected
from feeds.parking import Parking
from feeds.record import ParkedRow, Record

KEEP_S = 86_400
"""Seconds for which Redis keeps the times of a live change; the outbox keeps the row for a week."""

State = Literal["accepted", "readable", "sent", "live"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a change is, and when it came there, in Unix milliseconds.

    ``shards_left``: how many shards a rolling invalidation has still to reach; None where nothing rolls.
    """

    change: str
    kind: str
    subject: str
    state: State
    at: Mapping[State, int]
    shards_left: int | None = None
    parked: ParkedRow | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A readable change that is not live: the counts under which its tags were recorded, by shard.

    ``accepted_ms`` is when the system of record took it, 0 where Redis has forgotten; ``epoch`` that of Redis.
    ``readable_ms`` is when the last of its tags was recorded.
    """

    change: str
    counts: Mapping[int, int]
    sent: bool
    accepted_ms: int = 0
    epoch: int = 0
    readable_ms: int = 0


def now_ms() -> int:
    """Return the time, in Unix milliseconds."""
    return int(time() * 1000)


class Board:
    """The progress of all changes."""

    def __init__(self, redis: Redis, record: Record) -> None:
        self._redis = redis
        self._record = record

    def parking(self, stream: str, work: str) -> Parking:
        """Return what parks the changes whose entries in a stream always fail."""
        return Parking(self._redis, self._record, stream, work)

    async def recorded(self, parts: Sequence[tuple[Affected, Mapping[int, int]]]) -> None:
        """Note parts as recorded, each with the counts that its tags were recorded under, by shard."""
        commands = [
            scripts.call(
                scripts.PROGRESS,
                (keys.change(part.change_id), keys.WAITING, keys.EPOCH),
                *(part.attempt, part.part, "" if part.parts is None else part.parts),
                *(min(counts.values(), default=""), orjson.dumps(list(counts.items()))),
            )
            for part, counts in parts
        ]
        await scripts.execute(self._redis, commands)

    async def rolling(self, change: str, shards_left: int) -> None:
        """Note how many shards a rolling invalidation has still to reach; it is readable when it has reached all."""
        await scripts.execute(self._redis, [("HSET", keys.change(change), "left", shards_left)])

    async def waiting(self, limit: int) -> list[Waiting]:
        """Return readable changes that are not live, the longest waiting first.

        Not those that the relay has still to take again, for Redis forgot since they were readable.
        """
        names, epoch = await scripts.execute(self._redis, [("ZRANGE", keys.WAITING, 0, limit - 1), ("GET", keys.EPOCH)])
        changes = [name.decode() for name in names]
        rows = await scripts.execute(self._redis, [("HGETALL", keys.change(change)) for change in changes])
        found = [
            _waiting(change, scripts.fields(row), number_of(epoch)) for change, row in zip(changes, rows, strict=True)
        ]
        return [waiting for waiting in found if waiting is not None]

    async def sent(self, changes: Sequence[str]) -> None:
        """Note that every edge has taken these changes' first batches."""
        now = now_ms()
        await scripts.execute(self._redis, [("HSETNX", keys.change(change), "sent", now) for change in changes])

    async def live(self, changes: Sequence[str], epoch: int | None = None) -> None:
        """Note that these changes are live: with the outbox first, so that none is forgotten there.

        ``epoch`` is the one under which they were seen waiting; where Redis has forgotten since, they wait on: before
        the outbox has it, and also between that and here.
        """
        if not changes:
            return
        now = now_ms()
        if not await self._record.outbox_live(dict.fromkeys(changes, now), epoch):
            return
        seen = "" if epoch is None else epoch
        noted = [
            scripts.call(scripts.LIVE, (keys.change(change), keys.WAITING), seen, now, KEEP_S, change)
            for change in changes
        ]
        await scripts.execute(self._redis, [*noted, ("PUBLISH", keys.WAKE_PROGRESS, " ".join(changes))])

    async def of(self, change: str) -> Progress | None:
        """Return where a change is, or None where there is no such change."""
        row = await self._record.change(change)
        if row is None:
            return None
        (found,) = await scripts.execute(self._redis, [("HGETALL", keys.change(change))])
        kept = scripts.fields(found) if row.relayed else {}  # what is relayed again begins again
        at: dict[State, int] = {"accepted": row.accepted_ms}
        state: State = "accepted"
        for step in ("readable", "sent", "live"):
            moment = row.live_ms if step == "live" else int(kept.get(step.encode(), 0))
            if moment:
                at[step], state = moment, step
        left = int(kept[b"left"]) if b"left" in kept and state == "accepted" else None
        return Progress(change, row.kind, row.subject, state, at, left, row.parked)


def number_of(epoch: bytes | None) -> int:
    """Return the number of an epoch as Redis keeps it; 0 where there is none."""
    return int(epoch.partition(b" ")[0]) if epoch else 0


def counts_of(row: Mapping[bytes, bytes]) -> Mapping[int, int]:
    """Return the counts under which a change's tags were recorded, by shard: the newest of all its parts.

    Of changes that have one part and were recorded together it is one and the same, and is not to be changed.
    """
    packed = [value for field, value in row.items() if field.startswith(b"part:")]
    if len(packed) == 1:
        return _unpacked(packed[0])
    found: dict[int, int] = {}
    for counts in map(_unpacked, packed):
        found |= {shard: max(count, found.get(shard, 0)) for shard, count in counts.items()}
    return found


@lru_cache(maxsize=256)
def _unpacked(counts: bytes) -> Mapping[int, int]:
    return dict(orjson.loads(counts))


def _waiting(change: str, row: Mapping[bytes, bytes], epoch: int) -> Waiting | None:
    """Return a change that waits; None where it was relayed under another epoch, or is being relayed again."""
    if b"readable" not in row or int(row.get(b"epoch", epoch)) != epoch:
        return None
    return Waiting(change, counts_of(row), b"sent" in row, int(row.get(b"accepted", 0)), epoch, int(row[b"readable"]))
