"""Edge locations before a shield, on a clock that the bench sets: the decisions of the local edge, in as many tiers.

Each tier keeps ``cdn.local.objects`` and decides with ``cdn.local.decision``; requests and answers take their time from
tier to tier, and whatever arrives is stored, however old the request is. An invalidation comes to each tier in its own
time, to a location perhaps before the shield, which then refills it with what is old.
"""

import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import count
from random import Random

from bench.timed import Clock
from cdn.local.decision import (
    NOT_MODIFIED,
    FallBack,
    Fetch,
    Head,
    Life,
    Pass,
    Renew,
    Rules,
    Serve,
    ServeAndRefresh,
    Store,
    Tell,
    on_answer,
    on_request,
)
from cdn.local.objects import Key, Object, Objects
from cdn.local.results import Result

RULES = Rules(max_ttl=3600)
WAY_S = (0.01, 0.03)
"""Seconds from a location to the shield and from there to the origin, one way: at least, at most."""

EFFECT_S = (0.5, 5.0)
"""Seconds until an invalidation comes to a tier."""

Reply = Callable[[Object, Result], None]
"""Takes an answer when it arrives: the object, and how it came about."""

Above = Callable[[Key, Reply], None]
"""Asks the tier above, or the origin."""


class Events:
    """What is to happen, in the order of its time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], Awaitable[None] | None]]] = []
        self._numbers = count()

    def after(self, seconds: float, act: Callable[[], Awaitable[None] | None]) -> None:
        """Let something happen so many seconds from now."""
        heapq.heappush(self._heap, (self._clock.now + seconds, next(self._numbers), act))

    @property
    def due(self) -> float:
        """When the next is to happen."""
        return self._heap[0][0] if self._heap else float("inf")

    async def until(self, when: float) -> None:
        """Let everything happen up to a time, and move the clock there."""
        while self._heap and self._heap[0][0] <= when:
            self._clock.now, _, act = heapq.heappop(self._heap)
            if (waiting := act()) is not None:
                await waiting
        self._clock.now = max(self._clock.now, when)


class Kept(Objects):
    """Objects without a bound. ``on_drop`` is told each that an item drops."""

    def __init__(self) -> None:
        super().__init__(1 << 60)
        self.on_drop: Callable[[Object], None] | None = None
        self._dropping = False

    def drop(self, item: str) -> int:
        """Drop what an item names."""
        self._dropping = True
        try:
            return super().drop(item)
        finally:
            self._dropping = False

    def remove(self, key: Key) -> None:
        """Forget an object."""
        if self._dropping and self.on_drop is not None and (dropped := self.get(key)) is not None:
            self.on_drop(dropped)
        super().remove(key)


class Tier:
    """One cache."""

    def __init__(self, clock: Clock, events: Events, draw: Random, above: Above) -> None:
        self.objects = Kept()
        self.fetches = 0
        self._clock = clock
        self._events = events
        self._draw = draw
        self._above = above
        self._flights: dict[Key, list[Reply]] = {}

    def ask(self, key: Key, reply: Reply) -> None:
        """Answer a request: now, or when the tier above has answered."""
        held = self.objects.get(key)
        match on_request(held, self._clock.now):
            case Serve(held):
                reply(held, Result.HIT)
            case ServeAndRefresh(held):
                reply(held, Result.HIT)
                self._fetch(key, held, [])
            case Fetch():
                self._fetch(key, held, [reply])

    def drop(self, items: Sequence[str]) -> None:
        """Drop what items name."""
        for item in items:
            self.objects.drop(item)

    def _fetch(self, key: Key, held: Object | None, waiters: list[Reply]) -> None:
        """Ask above, once for all who wait."""
        if key in self._flights:
            self._flights[key] += waiters
            return
        self._flights[key] = waiters
        self.fetches += 1
        arrived: Reply = lambda got, _: self._events.after(self._way(), lambda: self._land(key, held, got))  # noqa: E731
        self._events.after(self._way(), lambda: self._above(key, arrived))

    def _land(self, key: Key, held: Object | None, got: Object) -> None:
        """Keep what may be kept, and answer whoever waits."""
        same = held is not None and held.etag == got.etag
        head = Head(NOT_MODIFIED if same else got.status, got.cache_control)
        result = Result.MISS
        match on_answer(held, head, self._clock.now, RULES):
            case Store(life=life):
                got = self._put(got, life)
            case Renew(held=held, life=life):  # it keeps the tags that it had
                result = Result.REFRESH_HIT
                got = held if life is None else self._put(held, life)
            case Pass() | FallBack() | Tell():
                pass
        for number, reply in enumerate(self._flights.pop(key)):
            reply(got, result if number == 0 else result.for_followers())

    def _put(self, stored: Object, life: Life) -> Object:
        kept = replace(stored, life=life)
        self.objects.put(kept)
        return kept

    def _way(self) -> float:
        return self._draw.uniform(*WAY_S)


class Cdn:
    """Edge locations, and a shield before the origin where there is one."""

    def __init__(
        self, clock: Clock, events: Events, draw: Random, origin: Above, *, locations: int, shield: bool
    ) -> None:
        self._events = events
        self._draw = draw
        self.shield = Tier(clock, events, draw, origin) if shield else None
        above = self.shield.ask if self.shield else origin
        self.locations = [Tier(clock, events, draw, above) for _ in range(locations)]

    @property
    def tiers(self) -> list[Tier]:
        """All caches, the locations first."""
        return [*self.locations, self.shield] if self.shield else self.locations

    def invalidate(self, items: Sequence[str]) -> None:
        """Tell every tier, each of which hears it in its own time."""
        for tier in self.tiers:
            self._events.after(self._draw.uniform(*EFFECT_S), lambda tier=tier: tier.drop(items))  # type: ignore[misc]
