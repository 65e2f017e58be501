"""The fence: what was noted before a record of something it depends on does not leave as if it were fresh."""

import asyncio

import pytest

from cdn import epoch, keys, scripts
from cdn.errors import RedisForgot
from cdn.fence import Leaving
from cdn.ledger import LOG, Tags
from tests.integration.ground import MINUTE_MS, Ground


async def test_an_answer_noted_before_a_record_of_what_it_depends_on_does_not_pass(ground: Ground) -> None:
    noted = await ground.note(5)
    await ground.recorded("p-1", shards=[5])
    assert await ground.leave(5, "u-ada", "p-1", noted=noted) is None


async def test_an_answer_noted_after_the_record_passes(ground: Ground) -> None:
    await ground.recorded("p-1", shards=[5])
    assert await ground.leave(5, "u-ada", "p-1") == 1


async def test_unrelated_records_let_an_answer_pass_and_move_its_count_forward(ground: Ground) -> None:
    noted = await ground.note(5)
    await ground.recorded("p-2", shards=[5])
    await ground.recorded("p-3", shards=[5])
    moved = await ground.leave(5, "u-ada", "p-1", noted=noted)
    assert (noted, moved) == (0, 2)
    await ground.recorded("p-1", shards=[5])
    assert await ground.leave(5, "u-ada", "p-1", noted=moved) is None


async def test_a_dependency_that_an_answer_has_no_room_for_as_a_tag_holds_it_back(ground: Ground) -> None:
    noted = await ground.note(5)
    await ground.recorded("a-bob", shards=[5])
    leaving = Leaving(5, noted, {"u-ada", "a-bob"}, ["u-ada"], MINUTE_MS)
    assert await ground.fence.passes([leaving]) == [None]


async def test_a_guard_holds_an_answer_back_and_makes_nothing_pending(ground: Ground) -> None:
    await ground.leave(5, "a-bob")
    noted = await ground.note(5)
    await ground.ledger.record({5: Tags(guards={"a-bob"})})
    assert await ground.leave(5, "a-bob", noted=noted) is None
    assert await ground.waiting() == {}


async def test_an_answer_older_than_the_logs_floor_does_not_pass(ground: Ground) -> None:
    noted = await ground.note(5)
    await ground.recorded(*(f"p-{number}" for number in range(LOG + 1)), shards=[5])
    assert await ground.redis.zcard(keys.fence(5)[1]) == 0
    assert await ground.leave(5, "u-ada", noted=noted) is None
    assert await ground.leave(5, "u-ada") == 1


async def test_the_log_forgets_its_oldest_counts_whole(ground: Ground) -> None:
    await ground.recorded(*(f"p-{number}" for number in range(10)), shards=[5])
    await ground.recorded(*(f"q-{number}" for number in range(LOG)), shards=[5])
    assert await ground.redis.zcard(keys.fence(5)[1]) == LOG
    assert int(await ground.redis.get(keys.fence(5)[2]) or 0) == 1


async def test_a_redis_that_lost_its_last_second_says_so_to_who_saw_it(ground: Ground) -> None:
    for number in range(5):
        await ground.recorded(f"p-{number}", shards=[5])
    assert await ground.note(5) == 5
    await ground.redis.set(keys.count(5), 3)
    with pytest.raises(RedisForgot):
        await ground.note(5)
    with pytest.raises(RedisForgot):
        await ground.leave(5, "u-ada", noted=5)
    assert not await ground.redis.exists(*keys.fence(5)[3:])


async def test_a_redis_that_forgot_all_answers_nobody(ground: Ground) -> None:
    await ground.redis.flushall()
    for trip in (
        ground.note(5),
        ground.leave(5, "u-ada", noted=0),
        ground.recorded("p-1", shards=[5]),
        ground.waiting(),
    ):
        with pytest.raises(RedisForgot):
            await trip
    assert await ground.redis.dbsize() == 0


async def test_in_a_new_epoch_nothing_passes_that_was_noted_before(ground: Ground) -> None:
    for number in range(5):
        await ground.recorded(f"p-{number}", shards=[5])
    other = Ground(ground.redis)
    noted = await other.note(5)
    await scripts.execute(ground.redis, epoch.raised(2))
    assert [await ground.leave(5, "u-ada", noted=old) for old in range(6)] == [None] * 6
    assert await other.leave(5, "u-ada", noted=noted) is None
    assert await other.leave(5, "u-ada") == epoch.first_count(2)


@pytest.mark.parametrize("number", [2, 2_000_000])
async def test_counts_of_any_epoch_are_exact(ground: Ground, number: int) -> None:
    await scripts.execute(ground.redis, epoch.raised(number))
    begun = epoch.first_count(number)
    noted = await ground.note(5)
    await ground.leave(5, "p-1")
    await ground.recorded("p-1", shards=[5])
    await ground.recorded("p-2", shards=[5])
    assert [await ground.leave(5, f"p-{post}", noted=noted) for post in (1, 2, 3)] == [None, None, begun + 2]
    assert await ground.leave(5, "p-1", noted=begun + 1) == begun + 2
    state = (await ground.pending.read([5], 9))[5]
    assert [(entry.oldest, entry.newest) for entry in state.waiting] == [(begun + 1, begun + 1)]
    assert (state.count, state.sent) == (begun + 2, begun)
    minted = await ground.pending.mint(["p-1"], {5: state.waiting})
    assert await ground.waiting() == {}
    await ground.pending.accepted(minted, "I1")
    state = (await ground.pending.read([5], 9))[5]
    assert (state.count, state.sent, state.live) == (begun + 2, begun + 2, begun)


async def test_a_refused_answer_is_in_the_ledger_all_the_same(ground: Ground) -> None:
    noted = await ground.note(5)
    await ground.recorded("p-1", shards=[5])
    assert await ground.leave(5, "p-1", noted=noted) is None
    assert await ground.recorded("p-1", shards=[5]) == {5: 1}


async def test_an_answer_of_the_shortest_life_is_in_the_ledger(ground: Ground) -> None:
    await ground.leave(5, "u-ada", horizon_ms=1)
    assert await ground.recorded("u-ada", shards=[5]) == {5: 1}


async def test_the_answers_of_a_tick_are_judged_each_on_its_own_in_one_trip(ground: Ground) -> None:
    before = {shard: await ground.note(shard) for shard in range(4)}
    await ground.recorded("p-1", shards=[0, 1])
    leaving = [
        Leaving(shard, before[shard], {f"u-{number}", f"p-{number}"}, [f"u-{number}"], MINUTE_MS)
        for shard in range(4)
        for number in range(3)
    ]
    calls = (await ground.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    passed = await ground.fence.passes(leaving)
    assert (await ground.redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == calls + 4
    assert [count is None for count in passed] == [False, True, False] * 2 + [False] * 6


async def test_an_answer_with_more_tags_than_lua_can_unpack_is_registered_whole(ground: Ground) -> None:
    await ground.leave(5, *(f"p-{number}" for number in range(30_000)))
    assert await ground.recorded("p-0", "p-29999", shards=[5]) == {5: 2}


async def test_trips_under_way_at_once_judge_alike(ground: Ground) -> None:
    """Two trips that began at one cursor bring the same records; none is missed, none is taken for a loss."""
    noted = await ground.note(5)
    for number in range(3):
        await ground.recorded(f"p-{number}", shards=[5])

    async def leave(tag: str) -> int | None:
        return (await ground.fence.passes([Leaving(5, noted, {tag}, [tag], MINUTE_MS)]))[0]

    passed = await asyncio.gather(*(leave(f"p-{number}") for number in range(6)))
    assert passed == [None, None, None, 3, 3, 3]
    assert await ground.leave(5, "p-2", noted=3) == 3


@pytest.mark.parametrize("shard", [0, 63])
async def test_shards_count_apart(ground: Ground, shard: int) -> None:
    await ground.recorded("p-1", shards=[shard])
    assert await ground.note(shard) == 1
    assert await ground.note(31) == 0
