"""Rolling invalidations: everything is dropped, shard by shard, as fast as the origin can bear.

A roll is durable before the change that asked for it is acknowledged. Each shard's ``s-`` is recorded when its turn
comes, as any tag is: so the ledger says what is alive then (a shard that nobody reads costs nothing), and no other
change waits for the roll. That no bake from before leaves meanwhile is the fence's affair: the guard ``g`` was recorded
in every shard at once. The change is readable when the last shard is recorded.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson
from redis.asyncio import Redis

from cdn import clock, keys, scripts
from cdn.epoch import first_count
from cdn.ledger import ALL_SHARDS, Ledger, Tags
from cdn.load import Headroom
from cdn.tags import shard_tag
from feeds.affected import Affected
from feeds.change import Invalidated
from feeds.progress import Board
from feeds.stream import came, hold, let_go
from invalidator import metrics
from invalidator.means import Origin

LEASE_S = 5.0
IDLE_S = 1.0
LOOK_MS = 250
"""How soon a roll looks again whether the origin has headroom."""

SLOW = 4
"""Where nothing is known of the origin, or not enough (a baker may be too loaded to report), a roll takes so many times
its shortest interval."""

EASY_MS = 40
PATIENT = 16
"""A roll takes its next shard while 99 of 100 bakes are done after ``EASY_MS`` milliseconds. Where they take longer it
waits, for at most so many intervals: an origin that is never that quick is to have its new templates too."""


@dataclass(frozen=True, slots=True)
class Roll:
    """How far the roll of a change is: the shards that are left, and the counts of those that are recorded.

    ``last_ms`` is when a shard last cost an item, ``begun_ms`` when the roll began, both by the clock of Redis.
    """

    change: str
    attempt: str
    begun_ms: int
    last_ms: int = 0
    left: tuple[int, ...] = tuple(ALL_SHARDS)
    counts: Mapping[int, int] = field(default_factory=dict)

    def reached(self, shard: int, count: int, last_ms: int) -> "Roll":
        """Return the roll when a shard of it is recorded under a count."""
        left = tuple(number for number in self.left if number != shard)
        return replace(self, left=left, counts={**self.counts, shard: count}, last_ms=last_ms)

    def since(self, first: int) -> "Roll":
        """Return the roll with the shards left that were recorded under counts from before ``first``.

        Redis forgot since, and is in an epoch that begins with that count: no older one says that anything is done.
        """
        old = {shard for shard, count in self.counts.items() if count < first}
        if not old:
            return self
        left = tuple(sorted({*self.left, *old}))
        return replace(self, left=left, counts={s: count for s, count in self.counts.items() if s not in old})


def wait_ms(now_ms: int, last_ms: int, room: Headroom, interval_ms: int) -> int:
    """Return how long the next shard waits after one that cost an item at ``last_ms``; 0: it may go.

    It goes when the load that the last one brought is in the bakers' reports, they have headroom even so, and bakes are
    quick, or long have not been.
    """
    interval_ms = interval_ms if room.known else interval_ms * SLOW
    if now_ms < last_ms + interval_ms:
        return last_ms + interval_ms - now_ms
    if room.known and not (room.wide and room.at_ms > last_ms):
        return LOOK_MS
    return LOOK_MS if room.wait_ms > EASY_MS and now_ms < last_ms + PATIENT * interval_ms else 0


class Rolls:
    """The rolls that are under way, in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, parts: Sequence[Affected]) -> None:
        """Keep the rolls of these parts, each the only one of its change; one that has begun goes on."""
        now_ms = await self.now_ms()
        rolls = [Roll(part.change_id, part.attempt, now_ms) for part in parts]
        await scripts.execute(self._redis, [("HSETNX", keys.ROLLS, roll.change, _row(roll)) for roll in rolls])

    async def read(self) -> list[Roll]:
        """Return the rolls, the oldest first."""
        rows, epoch = await scripts.execute(self._redis, [("HGETALL", keys.ROLLS), ("GET", keys.EPOCH)])
        first = first_count(int(epoch.partition(b" ")[0])) if epoch else 0
        rolls = [_roll(change.decode(), row).since(first) for change, row in scripts.fields(rows).items()]
        return sorted(rolls, key=lambda roll: (roll.begun_ms, roll.change))

    async def keep(self, rolls: Sequence[Roll]) -> None:
        """Keep how far rolls are."""
        await scripts.execute(self._redis, [("HSET", keys.ROLLS, roll.change, _row(roll)) for roll in rolls])

    async def end(self, roll: Roll) -> None:
        """Forget a roll."""
        await scripts.execute(self._redis, [("HDEL", keys.ROLLS, roll.change)])

    async def now_ms(self) -> int:
        """Return the time, by the clock of Redis."""
        return await clock.now_ms(self._redis)


class Roller:
    """Takes rolls from shard to shard; of many, the one that holds the lease.

    ``interval_ms`` is the least from one shard that costs an item to the next. After ``forgotten_ms`` no edge has
    anything from before the roll, so the shards that are left need none.
    """

    def __init__(
        self,
        redis: Redis,
        ledger: Ledger,
        board: Board,
        origin: Origin,
        *,
        interval_ms: int,
        forgotten_ms: int,
        wake: Callable[[], None],
    ) -> None:
        self._rolls = Rolls(redis)
        self._ledger = ledger
        self._board = board
        self._origin = origin
        self._interval_ms = interval_ms
        self._forgotten_ms = forgotten_ms
        self._wake = wake
        self._lease = redis.lock(keys.ROLLS_LEASE, timeout=LEASE_S, thread_local=False)
        self.woken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Roll until ``stop`` is set."""
        while not stop.is_set():
            self.woken.clear()
            wait = await self.step() if await hold(self._lease) else IDLE_S
            if wait > 0:
                await came(self.woken, wait)
        await let_go(self._lease)

    async def step(self) -> float:
        """Take the oldest roll to its next shard, if it may go there; return how many seconds the loop may sleep."""
        rolls = await self._rolls.read()
        metrics.ROLLING.set(max((len(roll.left) for roll in rolls), default=0))
        if not rolls:
            return IDLE_S
        now_ms = await self._rolls.now_ms()
        for roll in rolls:
            if not roll.left or roll.begun_ms + self._forgotten_ms <= now_ms:
                await self._end(roll)
                return 0.0
        last_ms = max((roll.last_ms for roll in rolls if roll.last_ms <= now_ms), default=0)  # the clock may step back
        if wait := wait_ms(now_ms, last_ms, await self._origin.headroom(), self._interval_ms):
            return min(IDLE_S, wait / 1000)
        await self._reach(rolls[0].left[0], rolls, now_ms)
        return 0.0

    async def _reach(self, shard: int, rolls: Sequence[Roll], now_ms: int) -> None:
        """Record a shard's tag, for all rolls that have not been there."""
        recorded = (await self._ledger.record({shard: _dropping(shard)}))[shard]
        there = [roll for roll in rolls if shard in roll.left]
        moved = [roll.reached(shard, recorded.count, now_ms if recorded.pending else roll.last_ms) for roll in there]
        await self._rolls.keep(moved)
        for roll in moved:
            await self._board.rolling(roll.change, len(roll.left))
        self._wake()

    async def _end(self, roll: Roll) -> None:
        """Note the change as recorded, then forget the roll."""
        part = Affected(roll.change, Invalidated(None, rolling=True), roll.attempt, 0, 1, shared=True)
        await self._board.recorded([(part, roll.counts)])
        await self._rolls.end(roll)
        self._wake()


def _dropping(shard: int) -> Tags:
    need = Tags()
    need.drop(shard_tag(shard))
    return need


def _row(roll: Roll) -> bytes:
    return orjson.dumps([roll.attempt, roll.begun_ms, roll.last_ms, roll.left, list(roll.counts.items())])


def _roll(change: str, row: bytes) -> Roll:
    attempt, begun_ms, last_ms, left, counts = orjson.loads(row)
    return Roll(change, attempt, begun_ms, last_ms, tuple(left), dict(counts))
