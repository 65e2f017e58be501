"""Parking: what becomes of a stream's entry whose handling fails.

The world's faults count for nothing. What fails by its own fault is tried again, and parked after MOST tries: its row
of the outbox says so, a cover is made (``cover``), and the entry is acknowledged, so that it holds up nobody.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from feeds import metrics
from feeds.blame import Fault, fault_of, told
from feeds.errors import RecordUnavailable
from feeds.record import Record
from feeds.stream import came
from feeds.tries import MOST, Tries

ANSWER_S = 1.0
"""Seconds in which Redis and the database answer where they are there."""
LOOK_S = 10.0

log = logging.getLogger(__name__)


class Parking:
    """Parks changes. ``work`` is what the handling of an entry of ``stream`` is called in messages."""

    def __init__(self, redis: Redis, record: Record, stream: str, work: str) -> None:
        self._redis = redis
        self._record = record
        self._work = work
        self._tries = Tries(redis, stream)

    async def tried(self, entries: Sequence[bytes]) -> dict[bytes, int]:
        """Return how often each of these entries was tried in vain."""
        return await self._tries.of(entries)

    async def handled(self, entry: bytes, change: str, handle: Callable[[], Awaitable[None]], *, again: bool) -> bool:
        """Handle an entry; return whether it is done with (handled, or its change parked), or is to be tried again.

        ``again``: it was delivered before, and so is counted before it begins. Raises what Redis and the database raise
        while that is noted.
        """
        tries = await self._tries.add(entry) if again else 0
        if tries > MOST:
            await self._park(change, MOST, f"{self._work} ended with its process each time, without an error")
        elif (error := await _caught(handle)) is not None and not await self._gives_up(entry, change, tries, error):
            return False
        return True

    async def forget(self, entry: bytes) -> None:
        """Forget the tries of an entry that is acknowledged: not before, or whoever takes it over would begin anew."""
        await self._tries.forget([entry])

    async def watch(self, stop: asyncio.Event) -> None:
        """Keep the gauge of parked changes, and cover those that wait for a cover of everything."""
        first = True
        while not stop.is_set():
            try:
                count = await self._record.parked_count()
                metrics.PARKED.set(count)
                if count and first:
                    log.error("Changes are parked, and not live: `edgebake park list` shows them (%d).", count)
                if count:
                    await self._record.cover_parked()
                first = False
            except RecordUnavailable as error:
                log.warning("How many changes are parked is not known now: %s", error)
            await came(stop, LOOK_S)

    async def _gives_up(self, entry: bytes, change: str, tries: int, error: Exception) -> bool:
        """Count a failure, and park what has failed often enough; return whether it was."""
        if not await self._is_its_own(error):
            if tries:
                await self._tries.take_back(entry)
            log.warning("%s of change %s waits, it is not its fault: %s", self._work, change, told(error))
            return False
        tries = tries or await self._tries.add(entry)
        if tries >= MOST:
            await self._park(change, tries, told(error))
            return True
        log.error("%s of change %s failed, try %d of %d: %s", self._work, change, tries, MOST, told(error))
        return False

    async def _is_its_own(self, error: Exception) -> bool:
        fault = fault_of(error)
        return fault is Fault.CHANGE or (fault is Fault.UNCLEAR and await self._all_answer())

    async def _all_answer(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._redis.ping()
                await self._record.site()
        except (RedisError, RecordUnavailable, TimeoutError, OSError):
            return False
        return True

    async def _park(self, change: str, tries: int, error: str) -> None:
        if not await self._record.park(change, tries, error):
            log.error(
                "%s of change %s failed %d times; it is parked already, live, or not in the outbox, so it is left: %s",
                *(self._work, change, tries, error),
            )
            return
        metrics.PARKED.set(await self._record.parked_count())
        log.error(
            "Change %s is parked after %d tries, and not live: %s. Its pages are dropped as wide as need be. When what "
            "is wrong is mended: `edgebake park retry %s`; `edgebake park list` shows all.",
            *(change, tries, error, change),
        )


async def _caught(handle: Callable[[], Awaitable[None]]) -> Exception | None:
    try:
        await handle()
    except Exception as error:  # whatever it is: a change that fails is tried again, and parked in the end
        return error
    return None
