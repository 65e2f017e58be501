"""Shared trips: each asker has its own replies, in one round trip, and nobody else's refusal."""

import asyncio

import pytest
from redis.exceptions import ResponseError

from baker.reads import Reads
from feeds import keys
from feeds.trips import Trips
from tests.integration.house import House


async def test_what_is_asked_in_one_turn_is_answered_to_each(house: House) -> None:
    trips = Trips(house.redis)
    asked = [[("SET", f"key{n}", n), ("GET", f"key{n}")] for n in range(50)]
    found = await asyncio.gather(*map(trips.execute, asked))
    assert found == [[b"OK", b"%d" % n] for n in range(50)]


async def test_the_commands_of_each_are_done_in_their_order(house: House) -> None:
    trips = Trips(house.redis)
    found = await asyncio.gather(*(trips.execute([("INCR", keys.LOG), ("INCR", keys.LOG)]) for _ in range(20)))
    assert all(second == first + 1 for first, second in found)
    assert sorted(number for pair in found for number in pair) == list(range(1, 41))


async def test_a_refusal_is_for_the_one_who_asked(house: House) -> None:
    await house.redis.set("text", "a")
    trips = Trips(house.redis)
    fine, refused = trips.execute([("SET", "other", 1)]), trips.execute([("LPUSH", "text", 1)])
    found = await asyncio.gather(fine, refused, return_exceptions=True)
    assert found[0] == [b"OK"]
    assert isinstance(found[1], ResponseError)
    with pytest.raises(ResponseError):
        await trips.execute([("LPUSH", "text", 1)])


async def test_a_bake_has_the_copies_that_it_asked_for_and_not_what_another_found_missing(house: House) -> None:
    """It may have read one through that was dropped since, and would lose it again."""
    await house.redis.set("one", "1")
    reads = Reads(house.redis, house.fence)
    one, both = await asyncio.gather(reads.copies.ask(["one"]), reads.copies.ask(["one", "two"]))
    assert one == {"one": b"1"}
    assert both == {"one": b"1", "two": None}
