"""The budget over a real Redis and a system of record: counted once, kept, never back; the flag at the limit."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from feeds import keys
from feeds.items import Items
from feeds.record import Record
from feeds.refusing import Flag
from invalidator.budget import AtLimit, Budget
from tests.integration.records import Clock

NOVEMBER = int(datetime(2026, 11, 10, tzinfo=UTC).timestamp() * 1000)
DAY = 86_400_000


@pytest.fixture
def clock() -> Clock:
    """A clock that begins on the tenth of November 2026."""
    made = Clock()
    made.ms = NOVEMBER
    return made


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    """A Redis that holds nothing."""
    client = Redis.from_url(valkey, protocol=2)
    yield client
    await client.aclose()


@pytest.fixture
async def kept(record_url: str) -> AsyncIterator[Record]:
    """A system of record that holds nothing."""
    opened = await Record.open(record_url)
    yield opened
    await opened.close()


def budget(redis: Redis, kept: Record, clock: Clock, limit: int = 0, at_limit: AtLimit = "ttl") -> Budget:
    return Budget(redis, kept, "acme", limit=limit, at_limit=at_limit, clock=clock)


async def test_a_batch_counts_once_however_often_it_is_said(redis: Redis, kept: Record, clock: Clock) -> None:
    ours, theirs = budget(redis, kept, clock), budget(redis, kept, clock)
    await ours.spent(3, 0, "b-1")
    await theirs.spent(3, 0, "b-1")
    await theirs.spent(1, 2, "b-2")
    assert await ours.counted() == Items("2026-11", 4, 2, NOVEMBER)


async def test_a_count_costs_no_write_of_the_record_until_it_is_kept(redis: Redis, kept: Record, clock: Clock) -> None:
    ours = budget(redis, kept, clock)
    for batch in range(50):
        await ours.spent(1, 1, f"b-{batch}")
    assert await kept.items("acme") == []
    await ours.keep()
    assert await kept.items("acme") == [Items("2026-11", 50, 50, NOVEMBER)]


async def test_a_redis_that_forgot_is_raised_to_what_the_record_has(redis: Redis, kept: Record, clock: Clock) -> None:
    ours = budget(redis, kept, clock, limit=100)
    await ours.spent(40, 5, "b-1")
    await ours.keep()
    await redis.flushall()
    assert await ours.left() == 55
    assert await budget(redis, kept, clock, limit=100).left() == 55
    await ours.spent(1, 0, "b-2")
    await ours.keep()
    assert await kept.items("acme") == [Items("2026-11", 41, 5, NOVEMBER)]


async def test_a_redis_that_went_back_is_counted_on_from_the_record(redis: Redis, kept: Record, clock: Clock) -> None:
    ours = budget(redis, kept, clock)
    await ours.spent(40, 5, "b-1")
    await ours.keep()
    await redis.hset(keys.items("acme", "2026-11"), "first", "33")
    await ours.spent(2, 0, "b-2")
    assert (await ours.counted()).first == 42


async def test_what_was_counted_in_a_months_last_second_is_kept_in_its_row(
    redis: Redis, kept: Record, clock: Clock
) -> None:
    ours = budget(redis, kept, clock, limit=10)
    clock.ms = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000) - 1
    await ours.spent(10, 0, "b-1")
    assert await ours.left() == 0
    clock.ms += 2
    assert await ours.left() == 10
    await ours.spent(1, 0, "b-2")
    await ours.keep()
    assert [(items.month, items.first) for items in await kept.items("acme")] == [("2026-11", 10), ("2026-12", 1)]


async def test_the_forecast_goes_on_at_the_rate_so_far(redis: Redis, kept: Record, clock: Clock) -> None:
    ours = budget(redis, kept, clock)
    await ours.spent(600, 400, "b-1")
    clock.ms = NOVEMBER + 10 * DAY
    forecast = await ours.forecast()
    assert (forecast.items_at_end, forecast.cost, forecast.cost_at_end) == (2100, 0.0, 5.5)
    assert forecast.left is None


async def test_a_month_that_was_not_the_first_has_a_rate_from_its_beginning(
    redis: Redis, kept: Record, clock: Clock
) -> None:
    await kept.raise_items("acme", Items("2026-10", 5, 0, 1))
    ours = budget(redis, kept, clock)
    await ours.spent(900, 0, "b-1")  # on the tenth: nine days are over
    assert (await ours.forecast()).items_at_end == 3000


async def test_the_first_minutes_are_no_rate(redis: Redis, kept: Record, clock: Clock) -> None:
    ours = budget(redis, kept, clock)
    await ours.spent(5, 0, "b-1")
    clock.ms += 60_000
    assert (await ours.forecast()).items_at_end == 5 + round(5 / DAY * (21 * DAY - 60_000))


async def test_at_the_limit_refuse_sets_the_flag_at_once_and_says_so_loudly(
    redis: Redis, kept: Record, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.ms = int(datetime.now(UTC).timestamp() * 1000)  # Redis forgets the flag by its own clock
    ours = budget(redis, kept, clock, limit=5, at_limit="refuse")
    await ours.spent(4, 0, "b-1")
    assert await Flag(redis).read() is None
    await ours.spent(2, 0, "b-2")
    refusing = await Flag(redis).read()
    assert refusing is not None
    assert "EDGEBAKE_MONTHLY_ITEMS" in refusing.reason
    assert refusing.until_ms > clock.ms
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    await ours.look()
    assert len(caplog.records) == 1, "said once, not with every look"


async def test_what_pays_for_no_second_tap_is_as_good_as_nothing(redis: Redis, kept: Record, clock: Clock) -> None:
    clock.ms = int(datetime.now(UTC).timestamp() * 1000)
    ours = Budget(redis, kept, "acme", limit=5, at_limit="refuse", least=2, clock=clock)
    await ours.spent(1, 1, "b-1")
    assert await Flag(redis).read() is None
    await ours.spent(1, 1, "b-2")
    assert await Flag(redis).read() is not None, "one item is left, and nothing costs less than two"


@pytest.mark.parametrize(
    ("limit", "at_limit"),
    [(0, "refuse"), (7, "refuse"), (5, "ttl")],
    ids=["the limit is gone", "the limit is raised", "it lets items wait instead"],
)
async def test_the_flag_goes_where_there_is_room_again(
    redis: Redis, kept: Record, clock: Clock, limit: int, at_limit: AtLimit
) -> None:
    clock.ms = int(datetime.now(UTC).timestamp() * 1000)
    await budget(redis, kept, clock, limit=5, at_limit="refuse").spent(6, 0, "b-1")
    assert await Flag(redis).read() is not None
    await budget(redis, kept, clock, limit, at_limit).look()
    assert await Flag(redis).read() is None


async def test_whoever_looks_sees_the_limit_that_is_in_force(redis: Redis, kept: Record, clock: Clock) -> None:
    looking = budget(redis, kept, clock, 3, "ttl")
    await looking.adopt()
    assert (await looking.forecast()).limit == 3, "nobody has said"
    await budget(redis, kept, clock, 7, "refuse").look()
    await looking.adopt()
    forecast = await looking.forecast()
    assert (forecast.limit, forecast.left, forecast.at_limit) == (7, 7, "refuse")


async def test_without_a_limit_nothing_is_ever_left_to_count(redis: Redis, kept: Record, clock: Clock) -> None:
    ours = budget(redis, kept, clock)
    await ours.spent(10_000, 0, "b-1")
    assert await ours.left() is None
    assert await Flag(redis).read() is None
