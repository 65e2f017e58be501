"""Progress: a change is readable when all parts of one attempt are recorded, and what it was is kept."""

from collections.abc import Mapping

import pytest

from feeds import keys
from feeds.affected import Affected
from feeds.change import SiteChanged
from feeds.command import PutUser
from feeds.progress import Board
from tests.integration.house import House


async def accepted(house: House) -> str:
    """Let the record accept a change, and the relay take it; return its id."""
    (outcome,) = await house.apply(PutUser(user="ada", name="Ada"))
    await house.relay.relay()
    assert outcome.change is not None
    return outcome.change


async def recorded(
    house: House,
    change: str,
    part: int,
    parts: int | None = None,
    *,
    counts: Mapping[int, int] | None = None,
    attempt: str = "a",
) -> None:
    """Note a part as recorded."""
    await house.board.recorded([(Affected(change, SiteChanged(), attempt, part, parts), counts or {})])


async def test_an_unknown_change_has_no_progress(house: House) -> None:
    assert await house.board.of("nothing") is None


async def test_an_accepted_change_says_when_and_what(house: House) -> None:
    change = await accepted(house)
    progress = await house.board.of(change)
    assert progress is not None
    assert (progress.change, progress.kind, progress.subject) == (change, "user-created", "user ada")
    assert (progress.state, list(progress.at)) == ("accepted", ["accepted"])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
async def test_a_change_is_readable_when_all_its_parts_are_recorded_in_any_order(
    house: House, order: tuple[int, ...]
) -> None:
    change = await accepted(house)
    states = []
    for part in order:
        await recorded(house, change, part, 3 if part == 2 else None)
        states.append(await house.state(change))
    assert states == ["accepted", "accepted", "readable"]


async def test_parts_of_two_attempts_do_not_make_one_whole(house: House) -> None:
    """A worker died after its first part, and another cut the change into fewer."""
    change = await accepted(house)
    await recorded(house, change, 0, attempt="a")
    await recorded(house, change, 1, 2, attempt="b")
    assert await house.state(change) == "accepted"
    await recorded(house, change, 0, attempt="b")
    assert await house.state(change) == "readable"


async def test_a_change_waits_for_the_newest_count_of_each_shard(house: House) -> None:
    change = await accepted(house)
    await recorded(house, change, 0, counts={1: 5, 2: 7})
    await recorded(house, change, 1, 2, counts={2: 6, 3: 1})
    (waiting,) = await house.board.waiting(10)
    assert (waiting.change, waiting.counts, waiting.sent) == (change, {1: 5, 2: 7, 3: 1}, False)


async def test_what_was_recorded_before_redis_forgot_makes_nothing_readable(house: House) -> None:
    """The recorder may be slow to say so: the relay has begun the change anew meanwhile, in the next epoch."""
    change = await accepted(house)
    await house.redis.set(keys.EPOCH, "2 another redis")
    await recorded(house, change, 0, 1, counts={3: 7})
    assert await house.state(change) == "accepted"
    await recorded(house, change, 0, 1, counts={3: 2**32 + 7}, attempt="b")
    assert await house.state(change) == "readable"


async def test_the_longest_waiting_come_first_and_no_more_than_asked_for(house: House) -> None:
    await house.redis.zadd(keys.WAITING, {"c1": 1, "c3": 3, "c2": 2})
    for change in ("c1", "c2", "c3"):
        await house.redis.hset(keys.change(change), "readable", 1)
    assert [waiting.change for waiting in await house.board.waiting(2)] == ["c1", "c2"]


async def test_a_change_is_live_in_the_outbox_too_and_waits_no_longer(house: House) -> None:
    change = await accepted(house)
    await recorded(house, change, 0, 1)
    await house.board.live([change])
    row = await house.record.change(change)
    assert row is not None
    assert row.live_ms is not None
    assert await house.state(change) == "live"
    assert await house.board.waiting(10) == []


async def test_the_first_time_counts(house: House) -> None:
    change = await accepted(house)
    await recorded(house, change, 0, 1)
    await house.board.live([change])
    first = await house.board.of(change)
    await house.redis.hset(keys.change(change), "sent", 1)
    await house.board.sent([change])
    await house.board.live([change])
    again = await house.board.of(change)
    assert first is not None
    assert again is not None
    assert again.at == {**first.at, "sent": 1}


async def test_a_live_change_that_comes_again_does_not_wait_again(house: House) -> None:
    change = await accepted(house)
    await recorded(house, change, 0, 1)
    await house.board.live([change])
    await recorded(house, change, 0, 1, attempt="b")
    assert await house.board.waiting(10) == []
    assert await house.state(change) == "live"


async def test_after_a_day_the_outbox_alone_knows_that_a_change_is_live(house: House) -> None:
    change = await accepted(house)
    await recorded(house, change, 0, 1)
    assert await house.redis.ttl(keys.change(change)) == -1
    await house.board.live([change])
    assert 0 < await house.redis.ttl(keys.change(change)) <= 86_400
    await house.redis.delete(keys.change(change))
    progress = await house.board.of(change)
    assert progress is not None
    assert (progress.state, list(progress.at)) == ("live", ["accepted", "live"])


async def test_who_waits_for_a_change_is_told_when_it_is_live(house: House) -> None:
    change = await accepted(house)
    async with house.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(keys.WAKE_PROGRESS)
        await pubsub.get_message(timeout=1)
        await house.board.live([change])
        message = await pubsub.get_message(timeout=1)
    assert message is not None
    assert message["data"] == change.encode()


async def test_nothing_to_note_is_no_trip(house: House) -> None:
    board = Board(house.redis, house.record)
    await board.recorded([])
    await board.sent([])
    await board.live([])
    assert await board.waiting(10) == []
