"""The door: every answer leaves through here, whatever it was made from, and passes the fence as it leaves.

Memory hits, fresh bakes and the requests that waited for them alike. Two bakes that did not pass, and the third answer
leaves marked late: it lives for a second, and nothing is made pending for it.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

from baker import metrics
from baker.artifact import Artifact
from baker.bake import Bakery
from baker.freshness import LATE_S
from baker.memory import Memory
from baker.paths import Target
from baker.seen import Seen
from cdn.fence import Fence, Leaving
from feeds.tick import Tick

BAKES = 2

events = logging.getLogger("edgebake.events")


@dataclass(frozen=True, slots=True)
class Answer:
    """An artifact that may leave now. ``count`` is what it passed the fence under; None: it leaves late."""

    artifact: Artifact
    source: Literal["bake", "memory"]
    count: int | None
    bake_s: float = 0.0
    fence_s: float = 0.0


@dataclass(eq=False, slots=True)
class _Flight:
    """A bake under way. Once it is ``leaving``, its verdict may be older than whoever asks then."""

    task: asyncio.Task[Answer] = field(init=False)
    leaving: bool = False


class Door:
    """One bake for each target, however many ask; nothing leaves but through the fence."""

    def __init__(self, fence: Fence, bakery: Bakery, memory: Memory, seen: Seen) -> None:
        self._bakery = bakery
        self._seen = seen
        self._memory = memory
        self._fence: Tick[Leaving, int | None] = Tick(fence.passes)
        self._flights: dict[Target, _Flight] = {}

    async def answer(self, target: Target) -> Answer:
        """Return what leaves for a target. Raises what a bake raises.

        Who comes while a bake is on its way out waits for it, and then takes it through the fence again.
        """
        while True:
            if (flight := self._flights.get(target)) is None:
                if (kept := self._memory.get(target)) is not None:
                    if (answer := await self._again(kept)) is not None:
                        return answer
                    continue  # somebody may have begun to bake it meanwhile, or be done
                flight = self._start(target)
            in_time = not flight.leaving
            answer = await asyncio.shield(flight.task)
            if in_time:
                return answer

    async def _again(self, kept: Artifact) -> Answer | None:
        """Take what memory keeps through the fence; forget it where it does not pass."""
        started = perf_counter()
        if (count := await self._pass(kept)) is not None:
            return Answer(kept, "memory", count, fence_s=perf_counter() - started)
        metrics.NOT_PASSED.inc()
        self._memory.forget(kept)
        return None

    def _start(self, target: Target) -> _Flight:
        flight = self._flights[target] = _Flight()
        flight.task = asyncio.create_task(self._fly(target, flight))
        flight.task.add_done_callback(_see)
        return flight

    async def _fly(self, target: Target, flight: _Flight) -> Answer:
        try:
            return await self._bake(target, flight)
        finally:
            # Here and not in a callback: who comes when this is done must not find it, and wait for it without end.
            del self._flights[target]

    async def _bake(self, target: Target, flight: _Flight) -> Answer:
        for _ in range(BAKES):
            flight.leaving = False
            started = perf_counter()
            artifact = await self._bakery.bake(target)
            baked = perf_counter()
            _count(target, artifact, baked - started)
            if artifact.foreign:
                break
            flight.leaving = True
            if (count := await self._pass(artifact)) is not None:
                self._memory.put(artifact)
                if artifact.shown:
                    self._seen.note(artifact.target.subject, artifact.shown)
                return Answer(artifact, "bake", count, baked - started, perf_counter() - baked)
            metrics.NOT_PASSED.inc()
        metrics.LATE.labels("templates" if artifact.foreign else "fence").inc()
        artifact.freshness = artifact.freshness.briefly(LATE_S)
        return Answer(artifact, "bake", None, baked - started)

    async def _pass(self, artifact: Artifact) -> int | None:
        """Take an artifact through the fence; one that passed moves its count forward."""
        leaving = Leaving(
            artifact.target.shard, artifact.noted, artifact.depends, artifact.tags, artifact.freshness.horizon_ms
        )
        count = await self._fence.ask(leaving)
        if count is not None:
            artifact.noted = max(artifact.noted, count)
        return count


def _count(target: Target, artifact: Artifact, seconds: float) -> None:
    metrics.bakes(target.kind, target.format).inc()
    metrics.BAKE_SECONDS.observe(seconds)
    if events.isEnabledFor(logging.INFO):
        path = target.page + ("" if target.format == "html" else f"/feed.{target.format}")
        fields = {"path": path, "ms": round(seconds * 1000, 1), "posts": artifact.posts, "status": artifact.status}
        events.info("bake", extra={"fields": fields})


def _see(task: asyncio.Task[Answer]) -> None:
    """Look at how a bake ended, also where everybody who waited for it has gone."""
    if not task.cancelled():
        task.exception()
