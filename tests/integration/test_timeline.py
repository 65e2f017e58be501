"""Timelines: pushed to who is active, rebuilt without a gap, dropped for good, of two the newer snapshot wins."""

import asyncio
from collections.abc import Iterable
from math import inf

import pytest

from feeds import keys, packing, scripts
from feeds.command import CreatePost, Follow, PutUser, React, Reaction
from feeds.ids import shard_of
from feeds.model import Epoch, Sources, Taste
from feeds.packing import Timeline
from feeds.ranking import Order, Weights
from feeds.timeline import CLOSED, MOST_FRESH, Timelines, pieces
from tests.integration.house import Held, House
from tests.integration.records import at

CAP = 3
NOBODY = Taste({}, {})


@pytest.fixture
def timelines(house: House) -> Timelines:
    """Timelines of at most three posts, with two fresh ones."""
    return Timelines(house.redis, house.record, cap=CAP, most_fresh=2)


async def with_posts(house: House, **ms: int) -> Sources:
    """Let ada, who is active, follow bob, who published these posts so many milliseconds after the clock's beginning.

    Nothing of it has been fanned out. Returns what ada's feed draws from.
    """
    await house.apply(
        PutUser(user="ada", name="Ada"),
        PutUser(user="bob", name="Bob"),
        Follow(user="ada", author="bob"),
        *(CreatePost(post=post, author="bob", title=post, published=at(when)) for post, when in ms.items()),
    )
    assert await house.activity.seen("ada")
    return await house.record.sources("ada")


async def numbers(house: House, *posts: str) -> list[int]:
    """Return the numbers of posts."""
    found = await house.record.posts(posts)
    return [found[post].num for post in posts]


async def base_of(house: House, user: str = "ada") -> Timeline | None:
    """Return the base of a user's timeline."""
    packed = await house.redis.hget(keys.base(user), user)
    assert packed is None or isinstance(packed, bytes)
    found = packing.read_timeline(packed) if packed else None
    return found and found._replace(nums=list(found.nums))


async def fresh_of(house: House, user: str = "ada") -> dict[int, int]:
    """Return what was pushed to a user: post number → log number."""
    (found,) = await scripts.execute(house.redis, [("LRANGE", keys.fresh(user), 0, -1)])
    return packing.read_fresh(found)


async def rebuild(timelines: Timelines, sources: Sources, order: Order = "newest") -> Timeline:
    """Rebuild a timeline as a bake does that merges no list."""
    return await timelines.rebuild(sources, order, NOBODY, Epoch(), ())


def section(*users: str) -> list[bytes]:
    """Return users as sections."""
    by_shard: dict[int, list[str]] = {}
    for user in users:
        by_shard.setdefault(shard_of(user), []).append(user)
    return ["\n".join(named).encode() for named in by_shard.values()]


async def activate(house: House, users: Iterable[str]) -> None:
    """Note that users are active who have no timeline yet."""
    for user in users:
        await house.redis.zadd(keys.active(shard_of(user)), {user: 1})


async def test_a_push_reaches_who_is_active_and_creates_nothing_for_others(house: House, timelines: Timelines) -> None:
    users = [f"user{number}" for number in range(1000)]
    await activate(house, users[::2])
    assert await timelines.push(7, 1, section(*users)) == 1000
    assert [user for user in users if await fresh_of(house, user) == {7: 1}] == users[::2]
    assert len(await house.redis.keys("*:fresh:*")) == 500


async def test_a_post_that_is_pushed_twice_is_there_once_under_the_later_number(
    house: House, timelines: Timelines
) -> None:
    await activate(house, ["ada"])
    await timelines.push(7, 1, [b"ada"])
    await timelines.push(7, 2, [b"ada"])
    assert await fresh_of(house) == {7: 2}


async def test_with_one_fresh_post_too_many_a_timeline_is_dropped(house: House, timelines: Timelines) -> None:
    sources = await with_posts(house, p1=-20)
    log = (await rebuild(timelines, sources)).snapshot
    for number in range(1, 4):
        await timelines.push(number, log + number, [b"ada"])
    assert (await fresh_of(house), await base_of(house)) == ({}, Timeline(None, log + 3, inf, []))


async def test_fresh_posts_up_to_a_bases_number_leave_without_it(house: House, timelines: Timelines) -> None:
    """Late pushes of what the base has: dropped at their number, it would be of a lower one than it was."""
    sources = await with_posts(house, p1=-20)
    for _ in range(9):
        await timelines.numbers.take()
    before = await rebuild(timelines, sources)
    for number in range(1, 4):
        await timelines.push(number, number, [b"ada"])
    assert (await fresh_of(house), await base_of(house)) == ({}, before)


@pytest.mark.parametrize("user", ["ada", "x-", "0", "a" * 64, "some_body-1"])
async def test_a_push_finds_the_bucket_of_whom_it_drops(house: House, timelines: Timelines, user: str) -> None:
    await activate(house, [user])
    await timelines.create(user)
    for number in range(1, 5):
        await timelines.push(number, 100 + number, [user.encode()])
    assert await base_of(house, user) == Timeline(None, 103, inf, [])
    assert await fresh_of(house, user) == {4: 104}


async def test_who_is_not_active_gets_no_timeline(house: House, timelines: Timelines) -> None:
    """Redis may have forgotten that they are, since it was noted; no push would ever reach the timeline."""
    await timelines.create("ada")
    assert await house.redis.hget(keys.base("ada"), "ada") is None


async def test_most_fresh_posts_are_kept_in_few_bytes(house: House) -> None:
    """One more than 128 members and Redis would take five times the memory."""
    await activate(house, ["ada"])
    for number in range(MOST_FRESH):
        await house.timelines.push(number, number, [b"ada"])
    assert await house.redis.object("ENCODING", keys.fresh("ada")) == b"listpack"


async def test_a_rebuild_of_few_posts_has_all_there_is(house: House, timelines: Timelines) -> None:
    sources = await with_posts(house, p1=-20, p2=-10)
    found = await rebuild(timelines, sources)
    assert (list(found.nums), found.mark) == (await numbers(house, "p2", "p1"), -inf)
    assert await base_of(house) == found


async def test_a_rebuild_of_many_posts_is_complete_above_the_newest_that_is_left_out(
    house: House, timelines: Timelines
) -> None:
    sources = await with_posts(house, p1=-50, p2=-40, p3=-30, p4=-20, p5=-10)
    found = await rebuild(timelines, sources)
    left_out = (await house.record.posts(["p2"]))["p2"].published_ms
    assert (list(found.nums), found.mark) == (await numbers(house, "p5", "p4", "p3"), left_out)


async def test_a_ranked_rebuild_keeps_the_best_of_twice_as_many(house: House) -> None:
    timelines = Timelines(house.redis, house.record, cap=2, weights=Weights(tau_s=3600))
    sources = await with_posts(house, **{f"p{number}": number for number in range(5)})
    reactions = tuple(Reaction(kind="like", id=f"r{number}") for number in range(9))
    await house.apply(React(post="p1", reactions=reactions), React(post="p0", reactions=reactions))
    found = await rebuild(timelines, sources, "ranked")
    assert list(found.nums) == await numbers(house, "p1", "p4"), "p0 is older than the four that are ranked"
    assert found.mark == (await house.record.posts(["p3"]))["p3"].published_ms


async def test_a_guest_is_proposed_the_same_and_nothing_is_kept(house: House, timelines: Timelines) -> None:
    sources = await with_posts(house, p1=-20)
    rebuilt = await rebuild(timelines, sources)
    await house.activity.erase("ada")
    found = await timelines.propose(sources, "newest", NOBODY, Epoch(), ())
    assert (found.nums, found.mark) == (rebuilt.nums, rebuilt.mark)
    assert (await base_of(house), await fresh_of(house)) == (None, {})


async def test_a_rebuild_creates_no_timeline(house: House, timelines: Timelines) -> None:
    sources = await with_posts(house, p1=-20)
    await house.activity.erase("ada")
    await rebuild(timelines, sources)
    assert await base_of(house) is None


async def test_a_rebuild_takes_away_what_was_pushed_up_to_its_number(house: House, timelines: Timelines) -> None:
    sources = await with_posts(house, p1=-20)
    log = await timelines.numbers.take()
    await timelines.push(8, log, [b"ada"])
    await timelines.push(9, log + 1, [b"ada"])
    await rebuild(timelines, sources)
    assert await fresh_of(house) == {9: log + 1}


class Rebuild:
    """A rebuild that has read the truth and has not installed it."""

    def __init__(self, house: House, sources: Sources) -> None:
        self._held = Held(house.record, "proposals")
        self._timelines = Timelines(house.redis, self._held, cap=CAP)
        self._sources = sources

    async def __aenter__(self) -> "Rebuild":
        self._task = asyncio.create_task(rebuild(self._timelines, self._sources))
        await self._held.reached.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.install()

    async def install(self) -> None:
        """Let it go on to its end."""
        self._held.go.set()
        await self._task


async def test_what_is_published_while_the_truth_is_read_stays_with_the_rebuilt_timeline(house: House) -> None:
    """Interleaving 5a: a timeline that came to be with its installation would miss it."""
    sources = await with_posts(house, p1=-20)
    await house.fan_out()
    async with Rebuild(house, sources):
        await house.fan_out(CreatePost(post="p2", author="bob", title="p2", published=at(-10)))
    base = await base_of(house)
    assert base is not None
    assert list(base.nums) == await numbers(house, "p1")
    assert list(await fresh_of(house)) == await numbers(house, "p2")


async def test_a_timeline_dropped_while_the_truth_is_read_stays_dropped(house: House, timelines: Timelines) -> None:
    sources = await with_posts(house, p1=-20)
    async with Rebuild(house, sources):
        await timelines.drop(["ada"])
    base = await base_of(house)
    assert base is not None
    assert base.order is None
    await rebuild(timelines, sources)
    assert await base_of(house) != base


async def test_of_two_rebuilds_the_newer_snapshot_stays(house: House, timelines: Timelines) -> None:
    sources = await with_posts(house, p1=-20)
    async with Rebuild(house, sources):
        await timelines.numbers.take()
        newer = await rebuild(timelines, sources)
    base = await base_of(house)
    assert base is not None
    assert base.snapshot == newer.snapshot


async def test_a_drop_leaves_what_is_pushed_under_a_higher_number(house: House, timelines: Timelines) -> None:
    sources = await with_posts(house, p1=-20)
    await rebuild(timelines, sources)
    await timelines.push(9, 1_000_000, [b"ada"])
    await timelines.drop(["ada", "eve"])
    assert (await fresh_of(house), await base_of(house, "eve")) == ({9: 1_000_000}, None)


async def test_nothing_is_installed_in_a_timeline_that_is_being_created(house: House, timelines: Timelines) -> None:
    """Its creator has no log number yet, so a push may have missed it that the rebuild does not have."""
    sources = await with_posts(house, p1=-20)
    await house.redis.hset(keys.base("ada"), "ada", CLOSED)
    installs = asyncio.create_task(rebuild(timelines, sources))
    await installs
    base = await base_of(house)
    assert base is not None
    assert base.order is None
    assert base.snapshot < 1000, "opened by who found it closed, for its creator may have died"
    await rebuild(timelines, sources)
    base = await base_of(house)
    assert base is not None
    assert base.order == "newest"


async def test_a_drop_that_finds_a_timeline_closed_is_not_below_its_number_when_it_opens(
    house: House, timelines: Timelines
) -> None:
    sources = await with_posts(house, p1=-20)
    await house.redis.hset(keys.base("ada"), "ada", CLOSED)
    taken = await timelines.numbers.take()
    async with Rebuild(house, sources):
        await timelines.drop(["ada"])
        opened = scripts.call(scripts.CREATE, (keys.base("ada"),), "ada", CLOSED, taken)
        assert await scripts.execute(house.redis, [opened]) == [1]
    assert await base_of(house) == Timeline(None, taken + 1, inf, [])


async def test_too_many_pushes_to_a_closed_timeline_are_not_below_its_number_when_it_opens(
    house: House, timelines: Timelines
) -> None:
    await with_posts(house)
    await house.redis.hset(keys.base("ada"), "ada", CLOSED)
    for number in range(1, 5):
        await timelines.push(number, 500 + number, [b"ada"])
    await timelines.create("ada")
    assert (await base_of(house), await fresh_of(house)) == (Timeline(None, 503, inf, []), {4: 504})


async def test_a_timeline_that_is_there_is_not_created_again(house: House, timelines: Timelines) -> None:
    sources = await with_posts(house, p1=-20)
    before = await rebuild(timelines, sources)
    await timelines.create("ada")
    base = await base_of(house)
    assert base is not None
    assert base.snapshot == before.snapshot


async def test_all_timelines_are_dropped(house: House, timelines: Timelines) -> None:
    users = [f"user{number}" for number in range(300)]
    await activate(house, users)
    for user in users:
        await timelines.create(user)
    await timelines.drop_all()
    found = {str(await base_of(house, user)) for user in users}
    assert len(found) == 1
    assert found == {str(Timeline(None, await timelines.numbers.take() - 1, inf, []))}


def test_pieces_are_of_about_the_size_and_lose_nobody() -> None:
    users = [f"user{number}" for number in range(1005)]
    cut = pieces("\n".join(users).encode(), 100)
    assert b"\n".join(cut).decode().split("\n") == users
    assert all(piece.count(b"\n") < 130 for piece in cut)
    assert pieces(b"ada", 100) == [b"ada"]
    assert pieces(b"", 100) == []
