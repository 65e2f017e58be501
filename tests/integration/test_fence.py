"""The fence: what was noted before a record of something it depends on does not leave as if it were fresh."""

import asyncio

import pytest

from cdn import keys
from cdn.fence import Leaving
from cdn.ledger import LOG, Tags
from tests.integration.house import MINUTE_MS, House


async def test_an_answer_noted_before_a_record_of_what_it_depends_on_does_not_pass(house: House) -> None:
    noted = await house.note(5)
    await house.recorded("p-1", shards=[5])
    assert await house.leave(5, "u-ada", "p-1", noted=noted) is None


async def test_an_answer_noted_after_the_record_passes(house: House) -> None:
    await house.recorded("p-1", shards=[5])
    assert await house.leave(5, "u-ada", "p-1") == 1


async def test_unrelated_records_let_an_answer_pass_and_move_its_count_forward(house: House) -> None:
    noted = await house.note(5)
    await house.recorded("p-2", shards=[5])
    await house.recorded("p-3", shards=[5])
    moved = await house.leave(5, "u-ada", "p-1", noted=noted)
    assert (noted, moved) == (0, 2)
    await house.recorded("p-1", shards=[5])
    assert await house.leave(5, "u-ada", "p-1", noted=moved) is None


async def test_a_dependency_that_an_answer_has_no_room_for_as_a_tag_holds_it_back(house: House) -> None:
    noted = await house.note(5)
    await house.recorded("a-bob", shards=[5])
    leaving = Leaving(5, noted, {"u-ada", "a-bob"}, ["u-ada"], MINUTE_MS)
    assert await house.fence.passes([leaving]) == [None]


async def test_a_guard_holds_an_answer_back_and_makes_nothing_pending(house: House) -> None:
    await house.leave(5, "a-bob")
    noted = await house.note(5)
    await house.ledger.record({5: Tags(guards={"a-bob"})})
    assert await house.leave(5, "a-bob", noted=noted) is None
    assert await house.waiting() == {}


async def test_an_answer_older_than_the_logs_floor_does_not_pass(house: House) -> None:
    noted = await house.note(5)
    await house.recorded(*(f"p-{number}" for number in range(LOG + 1)), shards=[5])
    assert await house.redis.zcard(keys.fence(5)[1]) == 0
    assert await house.leave(5, "u-ada", noted=noted) is None
    assert await house.leave(5, "u-ada") == 1


async def test_the_log_forgets_its_oldest_counts_whole(house: House) -> None:
    await house.recorded(*(f"p-{number}" for number in range(10)), shards=[5])
    await house.recorded(*(f"q-{number}" for number in range(LOG)), shards=[5])
    assert await house.redis.zcard(keys.fence(5)[1]) == LOG
    assert int(await house.redis.get(keys.fence(5)[2]) or 0) == 1


async def test_a_redis_that_forgot_passes_nothing_that_was_noted_before(house: House) -> None:
    for number in range(5):
        await house.recorded(f"p-{number}", shards=[5])
    notes = range(6)
    assert await house.note(5) == 5
    await house.redis.set(keys.count(5), 3)  # it lost its last second
    assert [await house.leave(5, "u-ada", noted=noted) for noted in notes] == [None] * 6


async def test_after_a_redis_forgot_a_new_note_passes(house: House) -> None:
    await house.recorded("p-1", shards=[5])
    await house.note(5)
    await house.redis.flushall()
    assert await house.leave(5, "u-ada") is not None


async def test_a_note_of_another_process_is_refused_too_once_one_has_seen_that_redis_forgot(house: House) -> None:
    for number in range(5):
        await house.recorded(f"p-{number}", shards=[5])
    other = House(house.redis, house.record)
    noted = await other.note(5)
    await house.note(5)
    await house.redis.set(keys.count(5), 3)
    await house.note(5)
    assert await other.leave(5, "u-ada", noted=noted) is None


async def test_a_refused_answer_is_in_the_ledger_all_the_same(house: House) -> None:
    noted = await house.note(5)
    await house.recorded("p-1", shards=[5])
    assert await house.leave(5, "p-1", noted=noted) is None
    assert await house.recorded("p-1", shards=[5]) == {5: 1}


async def test_an_answer_of_the_shortest_life_is_in_the_ledger(house: House) -> None:
    await house.leave(5, "u-ada", horizon_ms=1)
    assert await house.recorded("u-ada", shards=[5]) == {5: 1}


async def test_the_answers_of_a_tick_are_judged_each_on_its_own_in_one_trip(house: House) -> None:
    before = {shard: await house.note(shard) for shard in range(4)}
    await house.recorded("p-1", shards=[0, 1])
    leaving = [
        Leaving(shard, before[shard], {f"u-{number}", f"p-{number}"}, [f"u-{number}"], MINUTE_MS)
        for shard in range(4)
        for number in range(3)
    ]
    calls = (await house.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    passed = await house.fence.passes(leaving)
    assert (await house.redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == calls + 4
    assert [count is None for count in passed] == [False, True, False] * 2 + [False] * 6


async def test_an_answer_with_more_tags_than_lua_can_unpack_is_registered_whole(house: House) -> None:
    await house.leave(5, *(f"p-{number}" for number in range(30_000)))
    assert await house.recorded("p-0", "p-29999", shards=[5]) == {5: 2}


async def test_trips_under_way_at_once_judge_alike(house: House) -> None:
    """Two trips that began at one cursor bring the same records; none is missed, none is taken for a loss."""
    noted = await house.note(5)
    for number in range(3):
        await house.recorded(f"p-{number}", shards=[5])

    async def leave(tag: str) -> int | None:
        return (await house.fence.passes([Leaving(5, noted, {tag}, [tag], MINUTE_MS)]))[0]

    passed = await asyncio.gather(*(leave(f"p-{number}") for number in range(6)))
    assert passed == [None, None, None, 3, 3, 3]
    assert await house.leave(5, "p-2", noted=3) == 3


@pytest.mark.parametrize("shard", [0, 63])
async def test_shards_count_apart(house: House, shard: int) -> None:
    await house.recorded("p-1", shards=[shard])
    assert await house.note(shard) == 1
    assert await house.note(31) == 0
