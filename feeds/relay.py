"""The relay: takes rows out of the outbox that were not relayed yet and numbers them into the change stream.

One process relays at a time, by a lease; two would do no harm but double work. Where Redis forgot, and is in a new
epoch, what it may have forgotten is taken again before anything else. The relay also sees to it that a post appears
when its time has come and that a source that rose over the pull line is pulled, and forgets rows that were live for a
week.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from math import inf

from redis.asyncio import Redis

from feeds import keys, metrics, scripts, trace
from feeds.outbox import OutboxRow
from feeds.progress import now_ms, number_of
from feeds.record import Record
from feeds.stream import came, hold, let_go, renewed

BATCH = 500
POLL_S = 0.25
LOOK_MS = 500
LEASE_S = 3.0
LISTEN_S = 1.0
KEEP_MS = 7 * 86_400_000
PRUNE_EVERY_S = 3600.0
CROSS_EVERY_S = 5.0
REPLAY_MS = 3_600_000
KEPT_EVERY_MS = 1000
NO_EPOCH = -1

OLD = (
    "Redis came back as it was at %.0f (Unix seconds), but the outbox keeps changes for a week: older ones cannot be "
    "replayed. Empty that Redis (FLUSHALL): everything in it is made anew."
)

log = logging.getLogger(__name__)
events = logging.getLogger("edgebake.events")


class Relay:
    """Moves changes from the outbox into the stream."""

    def __init__(self, redis: Redis, record: Record, *, linger_ms: int = 0, replay_ms: int = REPLAY_MS) -> None:
        """``linger_ms`` is how long an answer may live that was baked before a source rose over the pull line.

        ``replay_ms``: how long before the newest live change others became live that a Redis that forgot is told again.
        """
        self._redis = redis
        self._record = record
        self._linger_ms = linger_ms
        self._replay_ms = replay_ms
        self._epoch = NO_EPOCH
        self._due_ms = 0
        self._crossed = self._pruned = -inf
        self._lease = redis.lock(keys.RELAY_LEASE, timeout=LEASE_S, thread_local=False)
        self._ours = False

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until ``stop`` is set, woken by pub/sub and, where a message is lost, by a poll."""
        self._ours = False
        async with wakes(self._redis, keys.WAKE_RELAY) as woken:
            while not stop.is_set():
                woken.clear()  # before the work, so that a wake during it is not lost
                await self._turn()
                await came(woken, POLL_S)
        await let_go(self._lease)

    async def _turn(self) -> None:
        """Relay, where the lease is ours. Rows are read while it is renewed: as long as it is, nobody relays them."""
        rows: Sequence[OutboxRow] | None = None
        if self._ours:
            self._ours, rows = await asyncio.gather(renewed(self._lease), self._record.outbox_take(BATCH))
        if not self._ours:
            self._ours, rows = await hold(self._lease), None
        if self._ours:
            await self.relay(rows)
            await self._tidy()

    async def relay(self, rows: Sequence[OutboxRow] | None = None) -> int:
        """Relay all that is in the outbox now; return how many changes that were. ``rows`` were just read there.

        Raises ResponseError where Redis came into another epoch meanwhile: then rows are to be read anew.
        """
        if not await self._replayed():
            return 0
        await self._publish_due()
        total = 0
        began = trace.began()
        while rows := await self._record.outbox_take(BATCH) if rows is None else rows:
            await scripts.execute(self._redis, [_entry(row, self._epoch) for row in rows])
            await self._record.outbox_relayed([row.row for row in rows])
            total += len(rows)
            for row in rows:
                _tell(row)
                trace.step("relay", row.id, began, epoch=self._epoch)
            if len(rows) < BATCH:  # whoever commits now wakes the relay
                break
            began, rows = trace.began(), None
        return total

    async def _replayed(self) -> bool:
        """See to it that the outbox was replayed for the epoch of Redis; False where that is in none, or an old one.

        Then connections are opened anew, which compares (``edgebake.epochs``).
        """
        ((known, kept),) = await scripts.execute(self._redis, [("MGET", keys.EPOCH, keys.KEPT)])
        number, now = number_of(known), now_ms()
        if number != self._epoch:
            if number < (await self._record.redis_epoch()).replayed or number == 0:
                log.warning("Redis is in epoch %d, which is over: its connections are opened anew.", number)
                await self._redis.connection_pool.disconnect(inuse_connections=False)
                return False
            await self._replay(number, int(kept or 0))
            self._epoch = number
        if now - int(kept or 0) > KEPT_EVERY_MS:
            await self._redis.set(keys.KEPT, now)
        return True

    async def _replay(self, number: int, kept_ms: int) -> None:
        """Take again what Redis may have forgotten, up to the moment from which it says that it has everything."""
        count = await self._record.replay(number, margin_ms=self._replay_ms, kept_ms=kept_ms or None)
        if count:
            metrics.REPLAYED.inc(count)
            log.warning("Redis may have forgotten something (epoch %d): %d changes are replayed.", number, count)
        if kept_ms and kept_ms - self._replay_ms < now_ms() - KEEP_MS:
            log.error(OLD, kept_ms / 1000)

    async def _tidy(self) -> None:
        """Pull what has risen for long enough, and forget what was live for long, each once in a while."""
        now = asyncio.get_running_loop().time()
        if now - self._crossed > CROSS_EVERY_S:
            self._crossed = now
            await self._record.cross_due(now_ms(), self._linger_ms)
        if now - self._pruned > PRUNE_EVERY_S:
            self._pruned = now
            await self._record.outbox_prune(now_ms() - KEEP_MS)

    async def _publish_due(self) -> None:
        """Publish what is due; look for posts that were scheduled since at least once a LOOK_MS."""
        now = now_ms()
        while now >= self._due_ms:
            found, due = await self._record.publish_due(now, BATCH)
            later = now + LOOK_MS
            # What is due and was not found is in somebody else's transaction: asked again, but not at once.
            self._due_ms = now if found == BATCH else max(now + 1, min(later, due or later))


def _entry(row: OutboxRow, epoch: int) -> scripts.Command:
    """Return what begins a change's progress, anew where it was relayed before, and numbers it into the stream."""
    names = (keys.change(row.id), keys.WAITING, keys.CHANGES, keys.EPOCH)
    return scripts.call(scripts.RELAY, names, epoch, row.id, row.accepted_ms, row.kind, row.body)


def _tell(row: OutboxRow) -> None:
    metrics.RELAYED.labels(row.kind).inc()
    if events.isEnabledFor(logging.INFO):
        fields = {"change": row.id, "kind": row.kind, "subject": row.subject}
        events.info("publish", extra={"fields": fields})


@contextlib.asynccontextmanager
async def wakes(redis: Redis, channel: str) -> AsyncIterator[asyncio.Event]:
    """Set an event whenever somebody publishes on a channel. It only wakes: nothing depends on a message."""
    woken = asyncio.Event()
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(channel)

        left = asyncio.Event()

        async def listen() -> None:
            while not left.is_set():  # with a time-out of its own, or the connection's would end it in a quiet minute
                if await pubsub.get_message(ignore_subscribe_messages=True, timeout=LISTEN_S):
                    woken.set()

        listener = asyncio.create_task(listen())
        try:
            yield woken
        finally:
            left.set()
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
