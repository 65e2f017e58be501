"""Follower lists: whoever has a timeline is in them; they are built from the record where they are missing or old."""

import asyncio

import pytest

from feeds import keys
from feeds.activity import drawn
from feeds.command import Block, Follow, FollowTag, PutSettings, PutUser, Unfollow
from feeds.followers import MOST_JOINED, Followers
from feeds.ids import shard_of
from feeds.progress import now_ms
from tests.integration.house import Held, House

FANS = [f"fan{number}" for number in range(100)]


@pytest.fixture
async def house(house: House) -> House:
    """A house in which a hundred active fans follow bob, and ada follows nobody."""
    await house.record.import_users([PutUser(user=user, name="A user") for user in ("ada", "bob", *FANS)])
    await house.record.import_follows([Follow(user=fan, author="bob") for fan in FANS])
    await house.record.activate(FANS, now_ms())
    await house.relay.relay()
    await house.redis.delete(keys.CHANGES)
    return house


@pytest.fixture
def followers(house: House) -> Followers:
    """The follower lists."""
    return Followers(house.redis, house.record)


async def number(house: House, user: str = "bob") -> int:
    """Return a user's number."""
    return (await house.record.users([user]))[user].num


async def listed(house: House, followers: Followers, source: int | None = None) -> list[str]:
    """Return who is in a list, bob's by default."""
    wanted = await number(house) if source is None else source
    sections = (await followers.sections([wanted]))[wanted]
    return sorted(user for section in sections for user in section.decode().split("\n"))


async def test_a_missing_list_is_built_of_the_active_by_shard(house: House, followers: Followers) -> None:
    await house.apply(Follow(user="ada", author="bob"))
    bob = await number(house)
    sections = (await followers.sections([bob]))[bob]
    assert await listed(house, followers) == sorted(FANS)
    assert all(len({shard_of(user) for user in section.decode().split("\n")}) == 1 for section in sections)
    assert 0 < await house.redis.ttl(keys.followers(bob)) <= 86_400


async def test_a_list_that_is_there_is_not_built_again(house: House, followers: Followers) -> None:
    await listed(house, followers)
    house.by_hand("DELETE FROM follows")
    assert await listed(house, followers) == sorted(FANS)


async def test_an_old_generation_is_built_again(house: House, followers: Followers) -> None:
    await listed(house, followers)
    house.by_hand("DELETE FROM follows")
    await followers.forget_all()
    assert await listed(house, followers) == []


async def test_nobody_is_listed_who_was_not_active_since_the_last_purge(house: House, followers: Followers) -> None:
    await house.redis.set(keys.CUTOFF, now_ms() + 3 * 3_600_000)
    assert await listed(house, followers) == []


async def test_a_tags_readers_are_listed_under_its_number(house: House, followers: Followers) -> None:
    await house.apply(FollowTag(user="fan7", tag="Cats"), FollowTag(user="fan8", tag="cats"))
    (cats,) = (await house.record.sources("fan8")).tags
    assert await listed(house, followers, cats) == (["fan7", "fan8"] if await same(house, "fan7", "fan8") else ["fan8"])


async def same(house: House, one: str, other: str) -> bool:
    """Tell whether two users follow one tag: the record may fold its case."""
    return (await house.record.sources(one)).tags == (await house.record.sources(other)).tags


async def test_who_enters_is_listed_once(house: House, followers: Followers) -> None:
    await listed(house, followers)
    bob = await number(house)
    await followers.enter({"ada": [bob], "fan3": [bob]})
    assert await house.redis.smembers(keys.joined(bob)) == {b"ada"}
    assert await listed(house, followers) == sorted([*FANS, "ada"])


async def test_who_enters_no_list_leaves_nothing(house: House, followers: Followers) -> None:
    await followers.enter({"ada": [await number(house)]})
    assert not await house.redis.exists(keys.joined(await number(house)))


async def test_who_enters_while_a_list_is_built_is_listed(house: House, followers: Followers) -> None:
    """The list read the record before them: it exists since before that, so they are kept beside it."""
    bob = await number(house)
    held = Held(house.record, "followers")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Followers(house.redis, held).sections([bob]))
        await held.reached.wait()
        await house.apply(Follow(user="ada", author="bob"))
        await house.activity.seen("ada")
        held.go.set()
    assert await listed(house, followers) == sorted([*FANS, "ada"])


async def test_a_list_that_is_forgotten_while_it_is_built_is_built_again(house: House, followers: Followers) -> None:
    bob = await number(house)
    held = Held(house.record, "followers")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Followers(house.redis, held).sections([bob]))
        await held.reached.wait()
        await followers.forget([bob])
        held.go.set()
    assert not await house.redis.exists(keys.followers(bob))


async def test_of_two_builders_the_later_is_installed_and_both_know(house: House) -> None:
    bob = await number(house)
    held = Held(house.record, "followers")
    builders = [Followers(house.redis, held), Followers(house.redis, held)]
    async with asyncio.TaskGroup() as tasks:
        built = [tasks.create_task(builder.sections([bob])) for builder in builders]
        await held.reached.wait()
        held.go.set()
    assert built[0].result() == built[1].result()
    value = await house.redis.get(keys.followers(bob))
    assert isinstance(value, bytes)
    assert value.startswith(b"R0\n")


async def test_many_who_joined_make_a_list_be_built_again(house: House, followers: Followers) -> None:
    await listed(house, followers)
    bob = await number(house)
    await house.redis.sadd(keys.joined(bob), *(f"other{n}" for n in range(MOST_JOINED + 1)))
    assert await listed(house, followers) == sorted(FANS)
    assert not await house.redis.exists(keys.joined(bob))


async def test_who_leaves_a_small_list_is_not_told_of_the_next_post(house: House, followers: Followers) -> None:
    await listed(house, followers)
    await house.fan_out(Unfollow(user="fan5", author="bob"))
    assert "fan5" not in await listed(house, followers)


async def test_a_large_list_stays_where_somebody_leaves(house: House, followers: Followers) -> None:
    bob = await number(house)
    large = b"R0\n" + b"\n".join(b"x" * 60 for _ in range(1000)) + b"\n"
    await house.redis.set(keys.followers(bob), large)
    await house.fan_out(Unfollow(user="fan5", author="bob"))
    assert await house.redis.get(keys.followers(bob)) == large


async def test_who_follows_enters_before_their_timeline_is_dropped(house: House, followers: Followers) -> None:
    await listed(house, followers)
    await house.activity.seen("ada")
    await house.fan_out(Follow(user="ada", author="bob"))
    assert "ada" in await listed(house, followers)


async def test_who_mutes_or_blocks_does_not_draw(house: House, followers: Followers) -> None:
    await house.apply(PutSettings(user="fan1", muted_authors=("bob",)), Block(user="fan2", blocked="bob"))
    assert await listed(house, followers) == sorted(set(FANS) - {"fan1", "fan2"})
    assert drawn(await house.record.sources("fan1")) == []
