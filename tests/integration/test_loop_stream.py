"""Streams and leases: each entry reaches a worker that handles it, and none is dropped before."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from feeds.stream import Group, hold, let_go

STREAM = "stream"


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    """A Redis that holds nothing."""
    async with Redis.from_url(valkey) as opened:
        yield opened


async def group_of(redis: Redis, name: str = "group", consumer: str = "one", lease_ms: int = 60_000) -> Group:
    """Return a consumer of a group that exists."""
    group = Group(redis, STREAM, name, consumer, lease_ms)
    await group.create()
    return group


async def add(redis: Redis, number: int) -> list[bytes]:
    """Add entries and return their names."""
    names: list[Any] = [await redis.xadd(STREAM, {"n": n}) for n in range(number)]
    return names


async def read(group: Group, count: int = 100) -> list[bytes]:
    """Take new entries and return their names."""
    return [name for name, _ in await group.read(count, 1)]


async def kept(redis: Redis) -> list[bytes]:
    """Return the names of the entries that are in the stream."""
    entries: Any = await redis.xrange(STREAM)
    return [name for name, _ in entries]


async def test_entries_from_before_the_group_are_read(redis: Redis) -> None:
    names = await add(redis, 3)
    assert await read(await group_of(redis)) == names


async def test_making_a_group_again_leaves_it_where_it_is(redis: Redis) -> None:
    names = await add(redis, 3)
    await read(await group_of(redis), 2)
    assert await read(await group_of(redis)) == names[2:]


async def test_what_all_have_acknowledged_is_trimmed(redis: Redis) -> None:
    group, names = await group_of(redis), await add(redis, 5)
    await group.done(await read(group, 3))
    await group.trim()
    assert await kept(redis) == names[2:], "the last delivered one stays: it says how far the group is"


async def test_what_a_worker_holds_is_not_trimmed(redis: Redis) -> None:
    group, names = await group_of(redis), await add(redis, 5)
    await group.done((await read(group))[1:])
    await group.trim()
    assert await kept(redis) == names


async def test_what_another_consumer_holds_is_not_trimmed(redis: Redis) -> None:
    one, two = await group_of(redis), await group_of(redis, consumer="two")
    names = await add(redis, 4)
    await read(two, 2)
    await one.done(await read(one))
    await one.trim()
    assert await kept(redis) == names


@pytest.mark.parametrize("held", [False, True], ids=["not read", "held"])
async def test_what_another_group_has_not_acknowledged_is_not_trimmed(redis: Redis, held: bool) -> None:
    one, two = await group_of(redis), await group_of(redis, "another")
    names = await add(redis, 4)
    await one.done(await read(one))
    if held:
        await read(two)
    await one.trim()
    assert await kept(redis) == names
    await two.done(await read(two) if not held else names)
    await one.trim()
    assert await kept(redis) == names[-1:]


class Meanwhile(Redis):
    """A Redis on which something happens right after each look at what is pending."""

    happens: Callable[[], Awaitable[object]]

    async def xpending(self, *args: Any, **kwargs: Any) -> Any:
        """Look, and let it happen."""
        found = await super().xpending(*args, **kwargs)
        await self.happens()
        return found


async def test_what_is_delivered_while_somebody_trims_is_not_trimmed(redis: Redis, valkey: str) -> None:
    """Delivered and not acknowledged, it is in the hands of a worker that may die."""
    worker = await group_of(redis, consumer="worker")
    names = await add(redis, 6)
    await worker.done(await read(worker, 1))
    async with cast(Meanwhile, Meanwhile.from_url(valkey)) as other:
        other.happens = lambda: worker.read(3, 1)
        await (await group_of(other, consumer="trimmer")).trim()
    assert await kept(redis) == names


async def test_ids_are_compared_as_numbers(redis: Redis) -> None:
    one, two = await group_of(redis), await group_of(redis, "another")
    for name in ("9-9", "9-10", "10-1"):
        await redis.xadd(STREAM, {"n": 1}, id=name)
    await one.done(await read(one, 2))
    await two.done(await read(two, 3))
    await one.trim()
    assert await kept(redis) == [b"9-10", b"10-1"]


async def test_a_stream_that_nobody_read_is_not_trimmed(redis: Redis) -> None:
    group, names = await group_of(redis), await add(redis, 3)
    await group.trim()
    assert await kept(redis) == names


async def test_only_what_is_left_for_a_lease_is_taken_over(redis: Redis) -> None:
    dead, alive = await group_of(redis, consumer="dead"), await group_of(redis)
    names = await add(redis, 3)
    await read(dead)
    await redis.xclaim(STREAM, "group", "dead", 0, [names[1]], idle=60_001)
    assert [name for name, _ in await alive.take_over(10)] == [names[1]]


async def test_what_is_left_behind_many_busy_ones_is_found(redis: Redis) -> None:
    busy, alive = await group_of(redis, consumer="busy"), await group_of(redis)
    names = await add(redis, 200)
    await read(busy, 200)
    await redis.xclaim(STREAM, "group", "busy", 0, [names[-1]], idle=60_001)
    assert [name for name, _ in await alive.take_over(1)] == [names[-1]]


async def test_what_is_touched_is_not_taken_over(redis: Redis) -> None:
    slow, other = await group_of(redis), await group_of(redis, consumer="other")
    names = await add(redis, 2)
    await read(slow)
    await redis.xclaim(STREAM, "group", "one", 0, list(names), idle=60_001)
    await slow.touch(names[:1])
    assert [name for name, _ in await other.take_over(10)] == names[1:]


async def test_touching_what_is_acknowledged_does_not_bring_it_back(redis: Redis) -> None:
    group, names = await group_of(redis), await add(redis, 2)
    await group.done(await read(group))
    await group.touch(names)
    assert (await redis.xpending(STREAM, "group"))["pending"] == 0


async def test_one_holds_a_lease_until_it_lets_go(redis: Redis) -> None:
    one, two = (redis.lock("lease", timeout=60, thread_local=False) for _ in range(2))
    assert [await hold(one), await hold(two), await hold(one)] == [True, False, True]
    await let_go(two)
    assert [await hold(two), await hold(one)] == [False, True]
    await let_go(one)
    assert [await hold(two), await hold(one)] == [True, False]


async def test_a_lease_that_ran_out_is_for_whoever_comes_first(redis: Redis) -> None:
    one, two = (redis.lock("lease", timeout=60, thread_local=False) for _ in range(2))
    await hold(one)
    await redis.delete("lease")
    assert [await hold(two), await hold(one)] == [True, False]
    await let_go(one)
    assert await hold(two)


@pytest.mark.parametrize("lost", ["group", "stream"])
async def test_a_group_that_redis_forgot_is_made_again_by_whoever_misses_it(redis: Redis, lost: str) -> None:
    group = Group(redis, STREAM, "readers", "one")
    await group.create()
    (entry,) = await add(redis, 1)
    await group.read(10, 1)
    for ask in (
        lambda: group.take_over(10),
        lambda: group.touch([entry]),
        group.trim,
        lambda: group.read(10, 1),
    ):
        await (redis.delete(STREAM) if lost == "stream" else redis.xgroup_destroy(STREAM, "readers"))
        await ask()
    (newest,) = await add(redis, 1)
    assert (await read(group))[-1] == newest
