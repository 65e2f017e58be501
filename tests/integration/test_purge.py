"""The purge: what is old leaves Redis, what is not stays, and the system of record keeps all."""

import asyncio
import logging

import pytest

from feeds import keys
from feeds.command import CreatePost, PutUser
from feeds.ids import shard_of
from feeds.progress import now_ms
from feeds.purge import Purge, Purged
from feeds.truth import Truth
from tests.integration.house import Held, House, until
from tests.integration.records import at

DAY_MS = 86_400_000


def a_purge(house: House, *, every_s: int = 0) -> Purge:
    """Return a purge of posts that are older than ten days."""
    return Purge(house.redis, house.activity, post_days=10, every_s=every_s)


async def with_posts(house: House, **days: int) -> None:
    """Let ada publish posts, so many days ago."""
    begun = (now_ms() - at(0).timestamp() * 1000) / DAY_MS
    await house.fan_out(
        PutUser(user="ada", name="Ada"),
        *(
            CreatePost(
                post=post, author="ada", title=post, published=at(round((begun - age) * DAY_MS)), tags=("a", "b")
            )
            for post, age in days.items()
        ),
    )


async def kept(house: House) -> list[str]:
    """Return the posts that Redis has entries and copies of."""
    nums = [post.num for post in (await house.record.posts([f"p{n}" for n in range(9)])).values()]
    entries = sorted(entry.post for entry in (await house.truth.catalogue.kept(nums)).values())
    assert entries == [post for post in entries if await house.redis.exists(keys.post(post))]
    assert len(await house.redis.keys("*:post:*")) == len(entries)
    return entries


async def test_posts_over_their_age_leave_redis_and_stay_in_the_record(house: House) -> None:
    await with_posts(house, p1=1, p2=9, p3=11, p4=4000)
    assert await a_purge(house).purge() == Purged(timelines=0, posts=2, leftovers=0)
    assert await kept(house) == ["p1", "p2"]
    assert len(await house.record.posts(["p3", "p4"])) == 2
    assert await a_purge(house).purge() == Purged(0, 0, 0)


async def test_a_slow_reader_does_not_bring_a_purged_post_back_as_it_was(house: House) -> None:
    await with_posts(house, p1=11)
    held = Held(house.record, "posts")
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(Truth(house.redis, held).posts(["p1"]))
        await held.reached.wait()
        house.by_hand("UPDATE posts SET title = 'Two', version = 9 WHERE id = 'p1'")
        await a_purge(house).purge()
        held.go.set()
    assert reading.result()["p1"].title == "Two"


async def test_what_is_kept_of_who_has_no_timeline_leaves(house: House) -> None:
    await with_posts(house)
    await house.activity.seen("ada")
    for user in ("ada", "eve"):
        await house.redis.hset(keys.taste(user), user, b"taste")
        await house.redis.hset(keys.seen(shard_of(user)), user, b"seen")
    assert await a_purge(house).purge() == Purged(timelines=0, posts=0, leftovers=2)
    assert await house.redis.hexists(keys.taste("ada"), "ada")
    assert await house.redis.hexists(keys.seen(shard_of("ada")), "ada")


async def test_inactive_timelines_leave(house: House) -> None:
    await with_posts(house)
    await house.activity.seen("ada")
    await house.redis.zadd(keys.active(shard_of("ada")), {"ada": now_ms() - 31 * DAY_MS})
    purged = await a_purge(house).purge()
    assert purged.timelines == 1
    assert "1 timelines" in str(purged)
    assert not await house.redis.hexists(keys.base("ada"), "ada")


async def test_one_of_many_workers_purges_when_it_is_time(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="feeds.purge")
    await with_posts(house, p1=11)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(a_purge(house, every_s=3600).run(stop))
        await until(lambda: _gone(house))
        stop.set()
    assert [record.getMessage()[:7] for record in caplog.records] == ["purged:"]


async def _gone(house: House) -> bool:
    """Tell whether copies and entries are gone; between the two there is only one of them."""
    return not await house.redis.keys("*:post:*") and not await house.redis.keys("*:posts:*")
