"""A model of an edge with two tiers, as unkind as CloudFront's documents allow.

Two outer locations refill from one inner cache, and that from the origin. Whatever arrives is stored, however old the
request is; a tier counts an answer's life from when it got it; a revalidated answer keeps the tags that it had. An
invalidation comes to each location in its own time, to the outer ones perhaps before the inner one.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from cdn.edge import Batch, Receipt
from cdn.errors import EdgeBusy, EdgeDenied, InvalidationUnknown
from tests.simulation.loop import Loop

_control = re.compile(r"(s-maxage|stale-while-revalidate|stale-if-error)=(\d+)").findall


class Unreachable(Exception):
    """The tier above did not answer, or not in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the origin answered. ``lives`` are seconds: fresh, and how much longer where stale is allowed."""

    status: int
    body: bytes
    tags: frozenset[str]
    etag: str
    lives: Mapping[str, int]
    late: bool = False

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes) -> "Answer":
        """Read an answer."""
        tags = frozenset(filter(None, headers.get("cache-tag", "").lower().split(",")))
        lives = {name: int(seconds) for name, seconds in _control(headers.get("cache-control", ""))}
        return cls(status, body, tags, headers.get("etag", ""), lives, "edgebake-late" in headers)


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer in a cache, and until when it is fresh, may be served stale, and may be served for an error."""

    answer: Answer
    fresh: float
    stale: float
    error: float

    @property
    def end(self) -> float:
        """Until when it may be served at all."""
        return max(self.fresh, self.stale, self.error)


@dataclass(slots=True)
class Whims:
    """How an edge behaves: seconds, and shares of calls. ``mean_s``: what a call takes, in each direction."""

    cut_s: float
    takes_s: float = 1.0
    slow_s: float = 0.0
    refused: float = 0.0
    unanswered: float = 0.0
    mean_s: float = 0.05
    max_items: int = 50


class Tier:
    """One cache. ``above`` is asked for what it has not, with the ETag of what it had; ``on_store`` is told."""

    def __init__(
        self,
        loop: Loop,
        name: str,
        above: Callable[[str, str], Awaitable[Answer]],
        on_store: Callable[[str, str, Stored], None],
    ) -> None:
        self.name = name
        self.kept: dict[str, Stored] = {}
        self._loop = loop
        self._above = above
        self._on_store = on_store
        self._flights: dict[str, asyncio.Task[Stored]] = {}

    async def get(self, path: str) -> Stored:
        """Return what is served for a path. Raises Unreachable."""
        found, now = self.kept.get(path), self._loop.time()
        if found is not None and now < found.fresh:
            return found
        flight = self._flights.get(path)
        if flight is None:
            flight = self._flights[path] = self._loop.begin(self._fetch(path))
            flight.add_done_callback(_look)
        if found is not None and now < found.stale:
            return found
        return await asyncio.shield(flight)

    def drop(self, tags: frozenset[str]) -> int:
        """Drop what carries any of these tags; return how much that was."""
        gone = [path for path, stored in self.kept.items() if stored.answer.tags & tags]
        for path in gone:
            del self.kept[path]
        return len(gone)

    async def _fetch(self, path: str) -> Stored:
        before = self.kept.get(path)
        try:
            answer = await self._above(path, before.answer.etag if before else "")
        except Unreachable:
            if before is not None and self._loop.time() < before.error:
                return before
            raise
        finally:
            del self._flights[path]
        if answer.status == 304 and before is not None:
            answer = replace(before.answer, lives=answer.lives, late=answer.late)
        return self._store(path, answer)

    def _store(self, path: str, answer: Answer) -> Stored:
        now, lives = self._loop.time(), answer.lives
        fresh = now + lives.get("s-maxage", 0)
        stale, error = lives.get("stale-while-revalidate", 0), lives.get("stale-if-error", 0)
        stored = Stored(answer, fresh, fresh + stale, fresh + error)
        if answer.status in (200, 404, 410) and stored.end > now:
            self.kept[path] = stored
            self._on_store(self.name, path, stored)
        return stored


@dataclass(slots=True)
class Invalidation:
    """An invalidation that the edge took: its batch, and how many locations have still to drop it."""

    batch: Batch
    left: int
    at: float
    complete: bool = False


@dataclass(slots=True)
class Calls:
    """What the edge's API was asked, for the oracle: when it took which batches, each once."""

    taken: list[tuple[float, Batch]] = field(default_factory=list)


class Cdn:
    """The edge: its locations and its API. ``origin`` answers what the inner tier has not."""

    def __init__(
        self,
        loop: Loop,
        random: Random,
        whims: Whims,
        origin: Callable[[str, str], Awaitable[Answer]],
        on_store: Callable[[str, str, Stored], None],
        *,
        tiers: int,
    ) -> None:
        self.loop = loop
        self.whims = whims
        self.is_up = True
        self.calls = Calls()
        self._random = random
        self._origin = origin
        self.inner = Tier(loop, "inner", self._from_origin, on_store)
        above = self._from_inner if tiers > 1 else self._from_origin
        self.outer = [Tier(loop, f"outer-{n}", above, on_store) for n in range(2)]
        self._taken: dict[str, Invalidation] = {}

    @property
    def tiers(self) -> list[Tier]:
        """All caches."""
        return [*self.outer, self.inner]

    def take(self, batch: Batch) -> str:
        """Take a batch; the same reference again is the same invalidation. Raises EdgeDenied."""
        if (known := self._taken.get(batch.id)) is not None:
            if known.batch.tags != batch.tags:
                raise EdgeDenied(f"the reference {batch.id} was used for other items")
            return batch.id
        self._taken[batch.id] = taken = Invalidation(batch, len(self.tiers), self.loop.time())
        self.calls.taken.append((self.loop.time(), batch))
        tags = frozenset(tag.lower() for tag in batch.tags)
        for tier in self.tiers:
            delay = self._random.uniform(0, self.whims.takes_s) + self._random.random() * self.whims.slow_s
            self.loop.outside_later(delay, self._drop, tier, tags, taken)
        return batch.id

    def forget(self) -> None:
        """Start again, as a local edge does: with empty caches, and no memory of invalidations."""
        self._taken.clear()
        for tier in self.tiers:
            tier.kept.clear()

    def is_complete(self, invalidation: str) -> bool:
        """Tell whether every location has dropped it. Raises InvalidationUnknown."""
        if invalidation not in self._taken:
            raise InvalidationUnknown(f"no invalidation {invalidation}")
        return self._taken[invalidation].complete

    def _drop(self, tier: Tier, tags: frozenset[str], taken: Invalidation) -> None:
        tier.drop(tags)
        taken.left -= 1
        if not taken.left:
            taken.complete = True

    async def _from_origin(self, path: str, etag: str) -> Answer:
        """Ask the origin; what takes longer than the completion timeout is cut off."""
        try:
            async with asyncio.timeout(self.whims.cut_s):
                return await self._origin(path, etag)
        except TimeoutError:
            raise Unreachable(path) from None

    async def _from_inner(self, path: str, etag: str) -> Answer:
        stored = await self.inner.get(path)
        await asyncio.sleep(self._random.uniform(0, self.whims.cut_s / 10))
        return stored.answer


class Api:
    """The port to the edge, as one process has it: ``cdn.edge.Edge``."""

    def __init__(self, cdn: Cdn, random: Random) -> None:
        self.name = "main"
        self.max_items = cdn.whims.max_items
        self._cdn = cdn
        self._random = random

    async def check(self) -> None:
        """Nothing is missing."""

    async def close(self) -> None:
        """Nothing is held."""

    async def invalidate(self, batch: Batch) -> Receipt:
        """Tell the edge to drop a batch."""
        await self._pause()
        if not self._cdn.is_up or self._random.random() < self._cdn.whims.refused:
            raise EdgeBusy("Throttling")
        invalidation = self._cdn.take(batch)
        await self._pause()
        if self._random.random() < self._cdn.whims.unanswered:
            raise EdgeBusy("no answer")
        return Receipt(invalidation, self._cdn.is_complete(invalidation))

    async def is_complete(self, invalidation: str) -> bool:
        """Ask whether it is complete."""
        await self._pause()
        if not self._cdn.is_up or self._random.random() < self._cdn.whims.refused:
            raise EdgeBusy("ServiceUnavailable")
        return self._cdn.is_complete(invalidation)

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.expovariate(1 / self._cdn.whims.mean_s))


def _look(task: asyncio.Task[Stored]) -> None:
    """Look at how a fetch ended, also where nobody waits for it any more."""
    if not task.cancelled():
        task.exception()
