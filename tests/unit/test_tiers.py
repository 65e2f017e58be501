"""The replay's tiers: who fetches, who waits, what is revalidated, and how an inner tier refills an outer one."""

from collections import Counter
from random import Random

import pytest

from bench.realdata import ceiling, zipf
from bench.tiers import EFFECT_S, Cdn, Events, Reply, Tier
from bench.timed import Clock
from cdn.local.decision import Life
from cdn.local.objects import Key, Object
from cdn.local.results import Result

KEY = Key("/feed/ada", "gzip")
CONTROL = "s-maxage=300, stale-while-revalidate=30, stale-if-error=30"
Got = tuple[bytes, Result]


class World:
    """Tiers before an origin that answers with its ``body``, and what viewers got."""

    def __init__(self, *, locations: int = 1, shield: bool = False) -> None:
        self.clock = Clock()
        self.events = Events(self.clock)
        self.asked = 0
        self.body = b"1"
        self.got: list[Got] = []
        self.cdn = Cdn(self.clock, self.events, Random(1), self.origin, locations=locations, shield=shield)

    def origin(self, key: Key, reply: Reply) -> None:
        """Answer at once."""
        self.asked += 1
        etag, tags = b'"' + self.body + b'"', frozenset(("a-grace",))
        reply(Object(200, CONTROL, etag, Life(0, 0, 0, 0), key, self.body, (), (), tags), Result.MISS)

    async def read(self, tier: Tier | None = None, times: int = 1) -> list[Got]:
        """Read at a location so often at once, and let everything arrive; return what was got."""
        self.got = []
        for _ in range(times):
            (tier or self.cdn.locations[0]).ask(KEY, lambda got, result: self.got.append((got.body, result)))
        await self.events.until(self.clock.now + 1)
        return self.got


async def test_who_waits_shares_one_fetch_and_counts_as_a_hit() -> None:
    world = World()
    assert await world.read(times=3) == [(b"1", Result.MISS), (b"1", Result.HIT), (b"1", Result.HIT)]
    assert world.asked == 1


async def test_what_expired_is_served_while_it_is_refreshed() -> None:
    world = World()
    await world.read()
    await world.events.until(world.clock.now + 310)
    assert await world.read() == [(b"1", Result.HIT)]
    assert world.asked == 2
    await world.events.until(world.clock.now + 340)
    assert await world.read() == [(b"1", Result.REFRESH_HIT)], "over its stale window, and still the same"


async def test_a_location_asks_the_shield_and_the_origin_is_asked_once() -> None:
    world = World(locations=2, shield=True)
    await world.read(world.cdn.locations[0])
    assert await world.read(world.cdn.locations[1]) == [(b"1", Result.MISS)]
    assert world.asked == 1


async def test_a_location_that_hears_it_first_is_refilled_with_what_is_old() -> None:
    """Why everything is told twice where there are several tiers."""
    world = World(shield=True)
    assert world.cdn.shield is not None
    await world.read()
    world.body = b"2"
    world.cdn.locations[0].drop(["#a-grace"])
    assert await world.read() == [(b"1", Result.MISS)]
    world.cdn.shield.drop(["#a-grace"])
    assert await world.read() == [(b"1", Result.HIT)], "and keeps it"
    world.cdn.invalidate(["#a-grace"])
    await world.events.until(world.clock.now + EFFECT_S[1])
    assert await world.read() == [(b"2", Result.MISS)]


async def test_what_an_item_drops_is_told_and_what_is_replaced_is_not() -> None:
    world, dropped = World(), Counter[bytes]()
    tier = world.cdn.locations[0]
    tier.objects.on_drop = lambda stored: dropped.update([stored.body])
    await world.read()
    world.body = b"2"
    await world.events.until(world.clock.now + 400)
    await world.read()
    assert not dropped
    tier.drop(["#a-grace", "#a-grace"])
    assert dropped == {b"2": 1}


def test_a_cache_that_is_never_told_misses_each_feed_once() -> None:
    assert ceiling(["a", "b", "a", "a"]) == pytest.approx(0.5)
    drawn = Counter(zipf(["first", "second", "third"], 600, seed=1))
    assert drawn["first"] > drawn["second"] > drawn["third"] > 0
