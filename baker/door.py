"""The door: every answer leaves through here, whatever it was made from, and passes the fence as it leaves.

Memory hits, fresh bakes and the requests that waited for them alike. Two bakes that did not pass, and the third answer
leaves marked late: it lives for a second, and nothing is made pending for it. Where the oven has no room, or a bake
takes too long, what was baked last leaves in its place, marked too, unless something was deleted or made private since.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

from baker import metrics
from baker.artifact import Artifact
from baker.bake import Bakery
from baker.card import in_format
from baker.freshness import LAST_S, LATE_S, Freshness
from baker.memory import Memory
from baker.oven import BAKE_SHARE, Oven, Overloaded
from baker.paths import Target
from baker.seen import Seen
from cdn import tags
from cdn.errors import RedisForgot
from cdn.fence import Fence, Leaving, Sparing
from feeds.tick import Tick

BAKES = 2

BEGINNINGS = 3
"""How often a bake begins because Redis forgot what it noted; a Redis that forgets more often is no Redis."""

events = logging.getLogger("edgebake.events")


@dataclass(frozen=True, slots=True)
class Answer:
    """An artifact that may leave now. ``count`` is what it passed the fence under.

    None: it leaves marked late, for ``late_s`` seconds.
    """

    artifact: Artifact
    source: Literal["bake", "memory"]
    count: int | None
    bake_s: float = 0.0
    fence_s: float = 0.0
    late_s: int = 0

    @property
    def freshness(self) -> Freshness:
        """How long edges may keep it."""
        kept = self.artifact.freshness
        return kept if self.count is not None else kept.briefly(self.late_s)


@dataclass(eq=False, slots=True)
class _Flight:
    """A bake under way or waiting for its turn, and what those who wait for it get.

    Once it is ``leaving``, its verdict may be older than whoever asks then.
    """

    answer: asyncio.Future[Answer]
    task: asyncio.Task[None] = field(init=False)
    timer: asyncio.TimerHandle = field(init=False)
    waiting: bool = False
    leaving: bool = False

    def expire(self) -> None:
        """Let nobody wait any longer. A bake goes on, for the next who ask; one that waits for its turn is given up."""
        self.land(Overloaded("a bake took too long"))
        if self.waiting:
            self.task.cancel()

    def land(self, outcome: Answer | Exception | None) -> None:
        """Tell those who wait, unless they were told; None where the process ends."""
        self.timer.cancel()
        if self.answer.done():
            return
        if outcome is None:
            self.answer.cancel()
        elif isinstance(outcome, Answer):
            self.answer.set_result(outcome)
        else:
            self.answer.set_exception(outcome)


class Door:
    """One bake for each target, however many ask; nothing leaves but through the fence."""

    def __init__(self, fence: Fence, bakery: Bakery, memory: Memory, seen: Seen, oven: Oven) -> None:
        self._bakery = bakery
        self._seen = seen
        self._memory = memory
        self._oven = oven
        patience_s = oven.bounds.patience_s  # half of it a trip: one may have to wait for another
        self._fence: Tick[Leaving, int | None] = Tick(fence.passes, trip_s=patience_s / 2)
        self._guards: Tick[Sparing, bool] = Tick(fence.spares, trip_s=patience_s * (1 - BAKE_SHARE) / 2)
        self._flights: dict[Target, _Flight] = {}

    async def answer(self, target: Target) -> Answer:
        """Answer from memory, from a bake under way, from one of its own, or with what was baked last.

        Who comes while a bake is on its way out waits for it, and then takes it through the fence again. Nobody waits
        for longer than an edge does: trips and bakes have their time. Raises Overloaded, or what a bake raises.
        """
        while True:
            flight = self._flights.get(target)
            if flight is None and (kept := self._memory.get(target)) is not None:
                if (answer := await self._again(kept)) is not None:
                    return answer
                continue  # somebody may have begun to bake it meanwhile, or be done
            if flight is None:
                within_s = self._oven.bounds.bake_s(instead=self._instead(target) is not None)
                if not self._oven.has_room(within_s):
                    return await self._last(target, "queue")
                flight = self._start(target, within_s)
            in_time = not flight.leaving
            try:
                answer = await asyncio.shield(flight.answer)
            except (Overloaded, TimeoutError):
                return await self._last(target, "time")
            if in_time:
                return answer

    async def close(self) -> None:
        """Give up the bakes for which nobody waits any longer."""
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _again(self, kept: Artifact) -> Answer | None:
        """Take what memory keeps through the fence; it is outdated where it does not pass."""
        started = perf_counter()
        try:
            if (count := await self._pass(kept)) is not None:
                return Answer(kept, "memory", count, fence_s=perf_counter() - started)
        except RedisForgot:
            pass  # a bake notes anew
        metrics.NOT_PASSED.inc()
        self._memory.outdate(kept)
        return None

    async def _last(self, target: Target, why: Literal["queue", "time"]) -> Answer:
        """Answer with what was baked last, unless it is private or of something deleted since. Raises Overloaded."""
        metrics.SHED.labels(why).inc()
        self._oven.shed()
        last = self._instead(target)
        if last is None or not await self._guards.ask(Sparing(target.shard, last.noted, last.depends)):
            raise Overloaded(f"{target.page} was not baked, and nothing can leave in its place")
        metrics.LATE.labels("load").inc()
        return Answer(last, "memory", None, late_s=LAST_S)

    def _instead(self, target: Target) -> Artifact | None:
        """Return what was baked last, which may leave in place of a bake; never a private thing."""
        return None if target.private else self._memory.last(target)

    def _start(self, target: Target, within_s: float) -> _Flight:
        loop = asyncio.get_running_loop()
        flight = self._flights[target] = _Flight(loop.create_future())
        flight.answer.add_done_callback(_see)
        flight.task = loop.create_task(self._fly(target, flight))
        flight.timer = loop.call_later(within_s, flight.expire)
        return flight

    async def _fly(self, target: Target, flight: _Flight) -> None:
        """Bake when it is this one's turn, and tell those who wait."""
        outcome: Answer | Exception | None = None
        try:
            outcome = await self._in_turn(target, flight)
        except Exception as error:  # whatever it is, it belongs to those who asked
            outcome = error
        finally:
            # Before anybody is told: who comes when this is done must not find it, and wait for it without end.
            del self._flights[target]
            flight.land(outcome)

    async def _in_turn(self, target: Target, flight: _Flight) -> Answer:
        asked = perf_counter()
        flight.waiting = True
        await self._oven.turn()
        flight.waiting = False
        began = perf_counter()
        try:
            return await self._bake(target, flight)
        finally:
            self._oven.done(asked, began)

    async def _bake(self, target: Target, flight: _Flight) -> Answer:
        """Bake, and begin again where Redis forgot what the bake noted."""
        for _ in range(BEGINNINGS - 1):
            with suppress(RedisForgot):
                return await self._baked(target, flight)
        return await self._baked(target, flight)

    async def _baked(self, target: Target, flight: _Flight) -> Answer:
        for before in range(BAKES):
            flight.leaving = False
            started = perf_counter()
            artifact = await self._bakery.bake(target)
            baked = perf_counter()
            _count(target, artifact, baked - started, again=before > 0)
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
        return Answer(artifact, "bake", None, baked - started, late_s=LATE_S)

    async def _pass(self, artifact: Artifact) -> int | None:
        """Take an artifact through the fence; one that passed moves its count forward."""
        leaving = Leaving(
            artifact.target.shard,
            artifact.noted,
            artifact.depends,
            artifact.tags,
            artifact.freshness.horizon_ms,
            artifact.target.user,
            artifact.carried,
        )
        count = await self._fence.ask(leaving)
        if count is not None:
            artifact.noted = max(artifact.noted, count)
        return count


def _count(target: Target, artifact: Artifact, seconds: float, *, again: bool) -> None:
    metrics.bakes(target.kind, target.format).inc()
    metrics.BAKE_SECONDS.observe(seconds)
    if events.isEnabledFor(logging.INFO):
        fields: dict[str, object] = {
            "path": in_format(target.page, target.format),
            "ms": round(seconds * 1000, 1),
            "posts": artifact.posts,
            "status": artifact.status,
        }
        if again:
            fields["again"] = True
        if artifact.shown:  # a reader's first page: what their visits showed them
            fields["shown"] = tags.posts_of(artifact.tags)[: artifact.posts]
        events.info("bake", extra={"fields": fields})


def _see(answer: asyncio.Future[Answer]) -> None:
    """Look at how a bake ended, also where everybody who waited for it has gone."""
    if not answer.cancelled():
        answer.exception()
