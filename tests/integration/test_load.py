"""The reports of bakers, in Redis: by its own clock, and gone with who made them."""

from cdn import keys
from cdn.load import Load, Report
from tests.integration.house import House

EASY = Report(baking=1, wait_ms=12.5, shed=0, capacity=64)


async def test_what_two_bakers_report_is_one_answer(house: House) -> None:
    load = Load(house.redis)
    assert not (await load.headroom()).known
    await load.report("one", EASY, 60_000)
    first = await load.headroom()
    assert (first.wide, first.wait_ms, first.known) == (True, 12.5, True)
    await load.report("two", Report(shed=3), 60_000)
    second = await load.headroom()
    assert (second.wide, second.known, second.at_ms) == (False, True, first.at_ms)


async def test_a_report_takes_the_place_of_the_one_before(house: House) -> None:
    load = Load(house.redis)
    await load.report("one", Report(shed=3), 60_000)
    before = await load.headroom()
    await load.report("one", EASY, 60_000)
    after = await load.headroom()
    assert (before.wide, after.wide) == (False, True)
    assert after.at_ms >= before.at_ms


async def test_a_baker_that_left_is_not_asked_for(house: House) -> None:
    load = Load(house.redis)
    await load.report("one", EASY, 60_000)
    await load.report("two", Report(shed=3), 60_000)
    await load.leave("two")
    assert (await load.headroom()).wide


async def test_a_report_holds_as_long_as_it_says_and_is_forgotten_later(house: House) -> None:
    load = Load(house.redis)
    await load.report("slow", EASY, -1)
    assert (await load.headroom()).known is False
    await load.report("gone", EASY, -60_000)
    await load.report("here", EASY, 60_000)
    assert set(await house.redis.hkeys(keys.ORIGIN_LOAD)) == {b"slow", b"here"}
