"""The runner of recalculations: takes jobs that nobody works on, and begins one by itself when it is time."""

import asyncio
import logging
from concurrent.futures import BrokenExecutor

from redis.asyncio import Redis
from redis.exceptions import RedisError

from feeds import keys, metrics, scripts
from feeds.errors import FeedsError
from feeds.jobs import Job, Jobs
from feeds.progress import now_ms
from feeds.recompute import KIND, Recompute
from feeds.stream import came

LOOK_S = 1.0
TRIES = 3
"""How often a job is tried that fails before it counts as failed."""

log = logging.getLogger(__name__)


class Runner:
    """One runner of any number: a job is run by one at a time. ``every_s``: 0 for no recalculation by itself."""

    def __init__(self, redis: Redis, recompute: Recompute, *, every_s: int = 0) -> None:
        self._redis = redis
        self._recompute = recompute
        self._jobs = Jobs(redis)
        self._every_s = every_s

    async def run(self, stop: asyncio.Event) -> None:
        """Run jobs until ``stop`` is set; another runner goes on with what is under way then."""
        while not stop.is_set():
            if self._every_s:
                await self.schedule(now_ms())
            for job in await self._jobs.waiting([KIND]):
                if not stop.is_set():
                    await self.perform(job, stop)
            await came(stop, LOOK_S)

    async def schedule(self, now: int) -> None:
        """Queue a recalculation of active users where the last one was begun long enough ago, once for all runners."""
        await self._redis.set(keys.RECOMPUTED, now, nx=True)
        last = int(await self._redis.get(keys.RECOMPUTED) or now)
        if now - last >= 1000 * self._every_s and not await self._jobs.waiting([KIND]):
            await self._jobs.create(KIND, {"users": "active"}, name=f"{KIND}-{last}")
            await scripts.execute(self._redis, [scripts.call(scripts.RAISE, (keys.RECOMPUTED,), now)])

    async def perform(self, job: str, stop: asyncio.Event, *, here: bool = False) -> Job | None:
        """Run a job unless somebody else does or it is over; return it as it then stands.

        Where ``stop`` ends it ``here``, it is stopped for everybody, while nobody else can have taken it.
        """
        async with self._jobs.held(job) as held:
            if held is None:
                return await self._jobs.get(job)
            log.info("recalculation %s: %d of its shards are done already", job, held.job.done)
            try:
                done = await self._recompute.run(held, stop)
                if not done and held.cancelled:
                    await self._jobs.finish(job, "cancelled")
            except* (FeedsError, RedisError, TimeoutError, ValueError, OSError, BrokenExecutor) as errors:
                await self._failed(held.job, _first(errors))
            if here and stop.is_set() and not held.stop.is_set():
                await self._stopped(job)
        found = await self._jobs.get(job)
        if found is not None and found.finished_ms is not None:
            metrics.RECOMPUTES.labels(found.state).inc()
            log.info("recalculation %s is %s: %s", job, found.state, dict(found.result) or found.error)
        return found

    async def _stopped(self, job: str) -> None:
        """End a job that is held and not over until somebody resumes it."""
        found = await self._jobs.get(job)
        if found is not None and found.state == "running":
            await self._jobs.finish(job, "stopped")

    async def _failed(self, job: Job, error: BaseException) -> None:
        """Note that a job failed: it is tried again, but not for ever."""
        tries = int(job.notes.get("tries", 0)) + 1
        log.error("Recalculation %s failed, try %d of %d: %r", job.id, tries, TRIES, error)
        if tries >= TRIES:
            await self._jobs.finish(job.id, "failed", error=str(error))
        else:
            await self._jobs.note(job.id, tries=tries)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
