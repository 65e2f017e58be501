"""Activity: who has a timeline, who is a guest, who is retired, and what is left of each."""

import asyncio
from collections.abc import Sequence
from itertools import chain

import pytest

from feeds import keys, packing, scripts
from feeds.activity import Activity
from feeds.command import CreatePost, DeleteUser, Follow, PutUser
from feeds.followers import Followers
from feeds.ids import shard_of
from feeds.progress import now_ms
from feeds.record import Record
from tests.integration.house import LINGER_MS, House, until
from tests.integration.records import at

DAY_MS = 86_400_000


@pytest.fixture
async def house(house: House) -> House:
    """A house in which ada, who is not active, follows bob."""
    await house.apply(
        PutUser(user="ada", name="Ada"), PutUser(user="bob", name="Bob"), Follow(user="ada", author="bob")
    )
    await house.fan_out()
    return house


async def is_active(house: House, user: str = "ada") -> bool:
    """Tell whether a user has a timeline; whoever has one is active."""
    has = await house.redis.hexists(keys.base(user), user)
    assert has == (await house.redis.zscore(keys.active(shard_of(user)), user) is not None)
    return has


async def guests(house: House) -> list[str]:
    """Return the guests."""
    ((*found,),) = await scripts.execute(house.redis, [("ZRANGE", keys.GUESTS, 0, -1)])
    return sorted(guest.decode() for guest in found)


async def aged(house: House, days: int, user: str = "ada") -> None:
    """Let a user's last activity be so long ago."""
    await house.redis.zadd(keys.active(shard_of(user)), {user: now_ms() - days * DAY_MS})


async def of_redis(house: House, user: str = "ada") -> list[bytes]:
    """Return the keys in which something of a user is kept."""
    found = [key async for key in house.redis.scan_iter("*") if key.endswith(f":{user}".encode())]
    held = {keys.base(user): "hexists", keys.taste(user): "hexists", keys.seen(shard_of(user)): "hexists"}
    return found + [key.encode() for key in held if await house.redis.hexists(key, user)]


async def test_a_user_who_is_seen_has_a_timeline_to_be_built(house: House) -> None:
    assert await house.activity.seen("ada")
    assert await is_active(house)
    packed = await house.redis.hget(keys.base("ada"), "ada")
    assert isinstance(packed, bytes)
    assert packing.read_timeline(packed).order is None
    assert await house.record.active_users(since_ms=now_ms() - 60_000, limit=10) == ["ada"]


async def test_nobody_is_active_who_does_not_exist(house: House) -> None:
    await house.fan_out(DeleteUser(user="bob"))
    assert [await house.activity.seen(user) for user in ("bob", "nobody")] == [False, False]
    assert not await is_active(house, "bob")
    assert await house.redis.keys("*:active") == []


async def test_activity_within_an_hour_does_not_bother_the_record(house: House) -> None:
    await house.activity.seen("ada")
    house.by_hand("UPDATE activity SET active_ms = 5")
    await house.activity.seen("ada")
    before = await house.record.active_users(since_ms=6, limit=10)
    await aged(house, 1)
    await house.activity.seen("ada")
    assert await house.record.active_users(since_ms=6, limit=10) == ["ada"]
    assert before in ([], ["ada"]), "the hour may have turned"


async def test_bakes_make_active_up_to_the_ceiling_and_the_others_are_guests(house: House) -> None:
    activity = house.activity_of(per_hour=1)
    assert [await activity.admit("ada"), await activity.admit("bob")] == [True, False]
    assert [await is_active(house, "ada"), await is_active(house, "bob")] == [True, False]
    assert await guests(house) == ["bob"]
    assert await activity.admit("ada")


async def test_where_bakes_do_not_count_all_are_guests_but_those_who_are_active(house: House) -> None:
    activity = house.activity_of(per_hour=0)
    await activity.seen("bob")
    await aged(house, 3, "bob")
    assert [await activity.admit("ada"), await activity.admit("bob")] == [False, True]
    activity.viewed("bob")
    score = await house.redis.zscore(keys.active(shard_of("bob")), "bob")
    assert score is not None
    assert score < now_ms() - 2 * DAY_MS


async def test_a_view_is_noted_once_an_hour(house: House) -> None:
    await house.activity.seen("ada")
    await aged(house, 3)
    for _ in range(10):
        house.activity.viewed("ada")
    await until(lambda: _seen_since(house, now_ms() - DAY_MS))
    await aged(house, 3)
    house.activity.viewed("ada")
    await asyncio.sleep(0)
    assert not await _seen_since(house, now_ms() - DAY_MS)


async def _seen_since(house: House, ms: int) -> bool:
    return (await house.redis.zscore(keys.active(shard_of("ada")), "ada") or 0) > ms


async def test_a_guest_leaves_nothing_but_their_name_for_a_while(house: House) -> None:
    before = set(await house.redis.keys("*"))
    await house.activity_of(per_hour=0).admit("ada")
    assert set(await house.redis.keys("*")) - before == {keys.GUESTS.encode()}
    until_ms = await house.redis.zscore(keys.GUESTS, "ada")
    assert until_ms is not None
    assert 0 < until_ms - now_ms() <= LINGER_MS


async def test_a_crawler_leaves_a_bounded_state(house: House) -> None:
    activity = house.activity_of(per_hour=10)
    users = [f"user{number}" for number in range(200)]
    await house.record.import_users([PutUser(user=user, name="A user") for user in users])
    await house.fan_out()
    before = await house.redis.dbsize()
    for user in users:
        await activity.admit(user)
    assert len(await guests(house)) == 190
    assert await house.redis.dbsize() - before < 10 * 2 + 5, "a base and an active user each, at most, and a few more"


async def test_who_was_not_active_for_too_long_is_retired_and_a_guest_for_a_while(house: House) -> None:
    await house.activity.seen("ada")
    await house.truth.sources("ada")
    await house.redis.hset(keys.taste("ada"), "ada", b"taste")
    await house.redis.hset(keys.seen(shard_of("ada")), "ada", b"seen")
    await house.fan_out(CreatePost(post="p1", author="bob", title="One", published=at(-1)))
    assert await house.activity.purge() == 0
    await aged(house, 31)
    assert await house.activity.purge() == 1
    assert [key for key in await of_redis(house) if b":user:" not in key] == []
    assert await guests(house) == ["ada"]


async def test_who_returns_is_not_retired_and_has_what_was_published_meanwhile(house: House) -> None:
    await house.activity.seen("ada")
    await aged(house, 31)
    await house.activity.purge()
    await house.fan_out(CreatePost(post="p1", author="bob", title="One", published=at(-1)))
    assert await house.timelines.members("ada") == []
    assert await house.activity.admit("ada")
    assert await house.activity.purge() == 0
    await house.fan_out(CreatePost(post="p2", author="bob", title="Two", published=at(-1)))
    num = (await house.record.posts(["p2"]))["p2"].num
    assert await house.timelines.members("ada") == [num]


async def test_who_returns_as_they_are_to_be_retired_is_in_a_list_that_was_built_without_them(house: House) -> None:
    """The purge's cutoff had passed them, so the list has them not; their timeline is there, and complete no more."""
    await house.activity.seen("ada")
    await aged(house, 31)
    house.by_hand("UPDATE activity SET active_ms = 5")
    await house.redis.set(keys.CUTOFF, now_ms() - 30 * DAY_MS)
    await house.fan_out(CreatePost(post="p1", author="bob", title="One", published=at(-1)))
    assert await house.timelines.members("ada") == []
    assert await house.activity.seen("ada")
    packed = await house.redis.hget(keys.base("ada"), "ada")
    assert isinstance(packed, bytes)
    assert packing.read_timeline(packed).order is None
    await house.fan_out(CreatePost(post="p2", author="bob", title="Two", published=at(-1)))
    assert await house.timelines.members("ada") == [(await house.record.posts(["p2"]))["p2"].num]


async def test_a_deleted_user_leaves_nothing_but_a_tombstone(house: House) -> None:
    await house.activity.seen("ada")
    await house.activity_of(per_hour=0).admit("bob")
    await house.fan_out(DeleteUser(user="ada"), DeleteUser(user="bob"))
    assert [await of_redis(house, user) for user in ("ada", "bob")] == [
        [keys.user(user).encode()] for user in ("ada", "bob")
    ]
    assert await guests(house) == []
    assert not await is_active(house)


async def test_guests_are_forgotten_when_nothing_of_them_is_left(house: House) -> None:
    await house.redis.zadd(keys.GUESTS, {"ada": now_ms() - LINGER_MS - 1, "bob": now_ms()})
    await house.activity.purge()
    assert await guests(house) == ["bob"]


class Noting(Record):
    """The system of record, and whose activity was noted in it together."""

    def __init__(self, record: Record) -> None:
        super().__init__(record._database)
        self.noted: list[Sequence[str]] = []

    async def activate(self, users: Sequence[str], now_ms: int) -> None:
        """Note activity, and whose."""
        self.noted.append(users)
        await super().activate(users, now_ms)


async def test_users_who_begin_at_once_are_noted_together_and_each_gets_a_timeline(house: House) -> None:
    await house.apply(*(PutUser(user=f"reader-{number}", name="R") for number in range(20)))
    users = [f"reader-{number}" for number in range(20)]
    record, followers = Noting(house.record), Followers(house.redis, house.record)
    activity = Activity(house.redis, record, followers, house.timelines, days=30, per_hour=100, linger_ms=LINGER_MS)
    assert all(await asyncio.gather(*(activity.admit(user) for user in users)))
    assert sorted(chain.from_iterable(record.noted)) == sorted(users)
    assert len(record.noted) < len(users)
    assert await house.record.active_users(since_ms=0) == sorted(users)
    assert all([await house.redis.hexists(keys.base(user), user) for user in users])
