"""The epochs of Redis in the system of record: one number a loss, log numbers reserved, the outbox replayed once."""

import asyncio

from feeds.command import PutUser
from feeds.lognumbers import LogNumbers
from feeds.record import Record
from feeds.redis_epoch import AHEAD, RedisEpoch
from tests.integration.connections import connected
from tests.integration.records import NOW

HOUR = 3_600_000


async def relayed(record: Record, *users: str) -> list[str]:
    """Create users, and say that the relay took their changes; return these."""
    await record.apply([PutUser(user=user, name=user) for user in users])
    rows = await record.outbox_take(100)
    await record.outbox_relayed([row.row for row in rows])
    return [row.id for row in rows]


async def again(record: Record) -> list[str]:
    """Return the changes that wait for the relay."""
    return [row.id for row in await record.outbox_take(100)]


async def test_a_loss_has_one_number_whoever_names_it(record: Record) -> None:
    assert await record.redis_epoch() == RedisEpoch()
    assert (await record.next_redis_epoch("first", 0)).number == 1
    assert (await record.next_redis_epoch("first", 0)).number == 1
    assert (await record.next_redis_epoch("second", 1)).number == 2
    assert (await record.redis_epoch()).token == "second"


async def test_many_who_name_it_at_once_have_one_number(record: Record) -> None:
    await record.next_redis_epoch("before", 0)
    found = await asyncio.gather(*(record.next_redis_epoch("loss", 1) for _ in range(8)))
    assert {epoch.number for epoch in found} == {2}


async def test_a_number_is_above_the_one_that_redis_names(record: Record) -> None:
    assert (await record.next_redis_epoch("restored", 6)).number == 7


async def test_log_numbers_are_reserved_ahead_and_seldom(record: Record) -> None:
    ceiling = await record.reserve_log(1)
    assert ceiling == 1 + AHEAD
    assert await record.reserve_log(AHEAD // 4) == ceiling
    assert await record.reserve_log(ceiling) == ceiling + AHEAD
    assert (await record.next_redis_epoch("loss", 0)).log == ceiling + AHEAD


async def test_what_is_not_live_is_replayed_and_what_became_so_lately(record: Record) -> None:
    old, late, newest, never = await relayed(record, "ada", "bob", "eve", "zoe")
    await record.outbox_live({old: NOW, late: NOW + HOUR, newest: NOW + HOUR + 9})
    assert await record.replay(1, margin_ms=HOUR) == 3
    assert await again(record) == [late, newest, never]
    row = await record.change(late)
    assert row is not None
    assert (row.relayed, row.live_ms) == (False, None)
    row = await record.change(old)
    assert row is not None
    assert (row.relayed, row.live_ms) == (True, NOW)


async def test_an_epoch_is_replayed_for_once(record: Record) -> None:
    await relayed(record, "ada")
    assert await record.replay(2, margin_ms=HOUR) == 1
    await relayed(record)
    assert await record.replay(2, margin_ms=HOUR) == 0
    assert await record.replay(1, margin_ms=HOUR) == 0
    assert await record.replay(3, margin_ms=HOUR) == 1
    assert (await record.redis_epoch()).replayed == 3


async def test_a_redis_that_is_as_it_was_long_ago_is_told_what_was_live_since(record: Record) -> None:
    changes = await relayed(record, "ada", "bob", "eve")
    await record.outbox_live({change: NOW + hours * HOUR for change, hours in zip(changes, (0, 5, 9), strict=True)})
    assert await record.replay(1, margin_ms=HOUR, kept_ms=NOW + 4 * HOUR) == 2
    assert await again(record) == changes[1:]


async def test_what_was_seen_before_a_loss_makes_nothing_live_after_its_replay(record: Record) -> None:
    (change,) = await relayed(record, "ada")
    await record.replay(2, margin_ms=HOUR)
    assert await record.outbox_live({change: NOW}, epoch=1) == set()
    row = await record.change(change)
    assert row is not None
    assert row.live_ms is None
    assert await record.outbox_live({change: NOW, "c-unknown": NOW}, epoch=2) == {change}


async def test_an_empty_outbox_has_nothing_to_replay(record: Record) -> None:
    assert await record.replay(1, margin_ms=HOUR, kept_ms=NOW) == 0


class Reserving(Record):
    """The system of record, and how often log numbers were reserved in it."""

    times = 0

    async def reserve_log(self, number: int) -> int:
        """Reserve, and count it."""
        self.times += 1
        return await super().reserve_log(number)


async def test_many_who_take_log_numbers_at_once_reserve_them_together(record_url: str, valkey: str) -> None:
    record = await Reserving.open(record_url)
    assert isinstance(record, Reserving)
    async with connected(valkey) as redis:
        numbers = LogNumbers(redis, record)
        assert sorted(await asyncio.gather(*(numbers.take() for _ in range(64)))) == list(range(1, 65))
    assert record.times == 1
    await record.close()
