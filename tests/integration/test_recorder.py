"""The recorder: recorded, noted, acknowledged, in this order; a part that came twice is recorded twice."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from cdn import keys as cdn_keys
from cdn.ledger import Recorded, Tags
from feeds import keys, scripts
from feeds.affected import Affected, entry
from feeds.change import PostEdited, PostPublished, SiteChanged
from feeds.command import PutUser
from feeds.ids import shard_of
from feeds.progress import counts_of
from invalidator.recorder import LONGEST_REST_S, MANY, TAGS_A_TRIP, Recorder, portions
from tests.integration.house import House, kill, until

LEASE_MS = 60


def recorder(house: House, name: str = "recorder", woken: list[bool] | None = None) -> Recorder:
    """Return a recorder; it tells whom it wakes."""
    told: list[bool] = [] if woken is None else woken
    return Recorder(house.redis, house.ledger, house.board, name, wake=lambda: told.append(True), lease_ms=LEASE_MS)


@asynccontextmanager
async def recording(house: House, name: str = "recorder") -> AsyncIterator[list[bool]]:
    """Let a recorder run until the block ends; yield how often it woke the drain loop."""
    stop, woken = asyncio.Event(), list[bool]()
    task = asyncio.create_task(recorder(house, name, woken).run(stop))
    try:
        yield woken
    finally:
        stop.set()
        await asyncio.wait([task], timeout=5)
        await kill(task)
    task.result()


async def report(house: House, *parts: Affected) -> None:
    """Report parts as fan-out does, all of them at once: a recorder that waits takes them in one reading."""
    await scripts.execute(house.redis, [("MULTI",), *(entry(part) for part in parts), ("EXEC",)])


def edit(change: str = "c1", post: str = "p1") -> Affected:
    """Return the only part of an edit of a post."""
    return Affected(change, PostEdited(post, "ada", moved=False), "a", 0, 1, shared=True)


async def open_entries(house: House) -> int:
    """Return how many parts were taken and not acknowledged."""
    pending: int = (await house.redis.xpending(keys.AFFECTED, "invalidator"))["pending"]
    return pending


async def is_readable(house: House, change: str) -> bool:
    """Tell whether a change is readable."""
    return bool(await house.redis.hexists(keys.change(change), "readable"))


async def test_what_is_reported_is_recorded_and_the_drain_loop_is_woken(house: House) -> None:
    await house.leave(5, "p-p1")
    async with recording(house) as woken:
        await report(house, edit())
        await until(lambda: is_readable(house, "c1"))
    assert await house.waiting() == {"p-p1": [5]}
    assert woken
    assert await open_entries(house) == 0


async def test_the_drain_loop_is_woken_by_what_waits_before_the_progress_is_noted(house: House) -> None:
    await house.leave(5, "p-p1")
    await house.redis.set(keys.WAITING, "no sorted set")
    await report(house, edit())
    async with recording(house) as woken:
        await until(lambda: house.redis.hlen(keys.TRIES))
        assert woken
        assert await house.waiting() == {"p-p1": [5]}
        await house.redis.delete(keys.WAITING)
        await until(lambda: _is_empty(house))
    (waiting,) = await house.board.waiting(1)
    assert waiting.change == "c1"


async def test_a_change_waits_for_the_counts_of_the_shards_its_own_tags_went_to(house: House) -> None:
    users = ("ada", "eve")
    parts = [
        Affected("c1", SiteChanged(), "a", 0, None, users=("ada",)),
        Affected("c2", SiteChanged(), "b", 0, None, users=("eve",)),
    ]
    await house.recorder.record(parts)
    rows = await scripts.execute(house.redis, [("HGETALL", keys.change(change)) for change in ("c1", "c2")])
    assert [counts_of(scripts.fields(row)) for row in rows] == [{shard_of(user): 1} for user in users]


async def test_parts_of_one_reading_are_recorded_under_one_count(house: House) -> None:
    await house.recorder.record([edit(f"c{number}") for number in range(100)])
    assert await house.redis.get(cdn_keys.count(5)) == b"1"


async def test_after_many_parts_it_rests_so_that_more_gather_and_not_after_a_few(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, rests = list[int](), list[float]()
    resting, rested = asyncio.Event(), asyncio.Event()
    record = house.ledger.record

    async def counted(tags: Mapping[int, Tags]) -> dict[int, Recorded]:
        recorded.append(len({tag for need in tags.values() for tag in need.dropped}))
        return await record(tags)

    async def rest(stop: asyncio.Event, seconds: float) -> bool:
        rests.append(seconds)
        resting.set()
        await rested.wait()
        return stop.is_set()

    monkeypatch.setattr(house.ledger, "record", counted)
    monkeypatch.setattr("invalidator.recorder.came", rest)
    await report(house, *(edit(f"a{n}", f"a{n}") for n in range(MANY - 1)))
    async with recording(house):
        await until(lambda: is_readable(house, f"a{MANY - 2}"))
        assert rests == []
        await report(house, *(edit(f"b{n}", f"b{n}") for n in range(MANY)))
        await asyncio.wait_for(resting.wait(), 10)
        for n in range(MANY - 1):
            await report(house, edit(f"c{n}", f"c{n}"))
        assert len(recorded) == 2
        rested.set()
        await until(lambda: is_readable(house, f"c{MANY - 2}"))
    assert recorded == [MANY - 1, MANY, MANY - 1]
    assert 0 < rests[0] <= LONGEST_REST_S


async def test_a_failure_before_the_record_leaves_the_part_to_be_taken_over(house: House) -> None:
    await house.redis.set(cdn_keys.fence(7)[1], "no sorted set")
    await report(house, edit())
    async with recording(house):
        await until(lambda: house.redis.hlen(keys.TRIES))
        assert not await is_readable(house, "c1")
        await house.redis.delete(cdn_keys.fence(7)[1])
        await until(lambda: is_readable(house, "c1"))
        await until(lambda: _is_empty(house))
    assert await house.redis.hlen(keys.TRIES) == 0


async def _is_empty(house: House) -> bool:
    return await open_entries(house) == 0


async def test_a_part_recorded_twice_is_waited_for_under_its_newer_count(house: House) -> None:
    for _ in range(2):
        await house.recorder.record([edit()])
    (waiting,) = await house.board.waiting(10)
    assert waiting.counts == dict.fromkeys(range(64), 2)


async def test_two_recorders_share_the_parts(house: House) -> None:
    async with recording(house, "one"), recording(house, "two"):
        await report(house, *(edit(f"c{number}") for number in range(50)))
        await until(lambda: is_readable(house, "c49"))
        await until(lambda: _is_empty(house))
    assert all([await is_readable(house, f"c{number}") for number in range(50)])


async def test_recorded_parts_leave_the_stream(house: House) -> None:
    async with recording(house):
        await report(house, *(edit(f"c{number}") for number in range(20)))
        await until(lambda: _is_short(house))


async def _is_short(house: House) -> bool:
    return await house.redis.xlen(keys.AFFECTED) == 1


def test_parts_are_recorded_in_portions_that_leave_none_out_and_none_too_large() -> None:
    users = tuple(f"user{number}" for number in range(5000))
    posts = tuple(f"post{number}" for number in range(200))
    parts = [
        (b"%d" % number, Affected("c1", SiteChanged(), "a", number, None, users=users, posts=posts))
        for number in range(20)
    ]
    found = list(portions(parts))
    assert [part for portion in found for part in portion] == parts
    largest = 5000 + 200 * 64
    assert all(len(portion) * largest < TAGS_A_TRIP + largest for portion in found)
    assert [len(portion) for portion in portions(parts[:2])] == [2]
    assert list(portions([])) == []


async def test_a_part_says_what_fan_out_said(house: House) -> None:
    part = Affected("c1", PostPublished("p1", "ada"), "a", 3, None, ("eve",), ("p2",), ("bob",), ("p3",), shared=False)
    await report(house, part, edit())
    assert await house.fan_out() == [part, edit()]


async def test_a_change_that_names_nobody_is_readable_and_live(house: House) -> None:
    (change,) = await house.loop(PutUser(user="ada", name="Ada"))
    assert await house.state(change) == "live"
