"""Timelines: written where they exist, capped, complete above their mark, rebuilt without a gap."""

import asyncio
from math import inf

import pytest

from feeds import keys
from feeds.command import CreatePost, Follow, PutUser, UnpublishPost
from feeds.ids import shard_of
from feeds.model import Post, PostState
from feeds.timeline import Timelines, parse
from tests.integration.house import Held, House
from tests.integration.records import at

KEY = keys.timeline("feed", "ada")
CAP = 3


def a_post(name: str, score: int, version: int = 1) -> Post:
    """Return a published post by bob; only place and version matter."""
    return Post(name, "bob", "", None, "", "html", (), score, 0, PostState.PUBLISHED, 0, 0, 0, version)


@pytest.fixture
def timelines(house: House) -> Timelines:
    """Timelines of at most three posts."""
    return Timelines(house.redis, house.record, cap=CAP)


async def with_posts(house: House, **scores: int) -> None:
    """Let ada follow bob, who published these posts so many milliseconds after the beginning of the clock."""
    await house.apply(
        PutUser(user="ada", name="Ada"),
        PutUser(user="bob", name="Bob"),
        Follow(user="ada", author="bob"),
        *(CreatePost(post=post, author="bob", title=post, published=at(score)) for post, score in scores.items()),
    )


async def push(timelines: Timelines, post: Post, *, present: bool = True) -> bool:
    """Write a post into ada's timeline, or take it out."""
    return await timelines.push(post, {"feed": ["ada"]}, present=present)


async def posts_in(timelines: Timelines) -> list[str]:
    """Return the posts in ada's timeline."""
    return [candidate.post for candidate in await timelines.entries("feed", "ada")]


async def complete(house: House, *entries: tuple[str, int], mark: float = -inf) -> None:
    """Lay out ada's timeline."""
    await house.redis.zadd(KEY, {"!": mark, **{f"{post} bob": score for post, score in entries}})


async def mark_of(house: House) -> float | None:
    """Return the mark of ada's timeline."""
    mark: float | None = await house.redis.zscore(KEY, "!")
    return mark


async def test_a_push_never_creates_a_timeline(house: House, timelines: Timelines) -> None:
    assert await push(timelines, a_post("p1", 1))
    assert not await house.redis.exists(KEY)


async def test_a_push_reaches_every_timeline_that_exists(house: House, timelines: Timelines) -> None:
    users = [f"user{number}" for number in range(200)]
    for user in users[::2]:
        await house.redis.zadd(keys.timeline("feed", user), {"!": -inf})
    await timelines.push(a_post("p1", 1), {"feed": users, "author": ["bob"]}, present=True)
    found = [user for user in users if await timelines.entries("feed", user)]
    assert found == users[::2]


async def test_a_post_is_written_once_under_its_newest_time(house: House, timelines: Timelines) -> None:
    await complete(house)
    await push(timelines, a_post("p1", 1, version=1))
    await push(timelines, a_post("p1", 5, version=2))
    assert [tuple(entry) for entry in await timelines.entries("feed", "ada")] == [(5, "p1", "bob")]


async def test_an_older_version_that_comes_last_is_refused(house: House, timelines: Timelines) -> None:
    await complete(house)
    assert await push(timelines, a_post("p1", 5, version=2))
    assert not await push(timelines, a_post("p1", 1, version=1))
    assert not await push(timelines, a_post("p1", 1, version=1), present=False)
    assert await posts_in(timelines) == ["p1"]


async def test_the_newest_version_wins_in_a_timeline_that_was_not_there(house: House, timelines: Timelines) -> None:
    """What was written is known of the post, not of the timeline: a rebuild may have read the newer version."""
    assert await push(timelines, a_post("p1", 5, version=2))
    await complete(house)
    assert not await push(timelines, a_post("p1", 1, version=1))


async def test_what_was_written_yesterday_still_counts(house: House, timelines: Timelines) -> None:
    await push(timelines, a_post("p1", 5, version=2))
    applied = keys.applied(shard_of("ada"))
    (today,) = [key async for key in house.redis.scan_iter(f"{applied}:*")]
    day = int(today.decode().rpartition(":")[2])
    await house.redis.rename(today, f"{applied}:{day - 1}")
    assert not await push(timelines, a_post("p1", 1, version=1))


async def test_what_was_written_is_forgotten_by_itself(house: House, timelines: Timelines) -> None:
    await push(timelines, a_post("p1", 5))
    (applied,) = await house.redis.keys("*:applied:*")
    assert 86_400 < await house.redis.ttl(applied) <= 2 * 86_400


async def test_a_post_at_or_below_the_mark_is_not_written_and_one_that_moved_there_leaves(
    house: House, timelines: Timelines
) -> None:
    await complete(house, ("p1", 9), mark=5)
    await push(timelines, a_post("p2", 5))
    await push(timelines, a_post("p3", 4))
    await push(timelines, a_post("p1", 5, version=2))
    assert await posts_in(timelines) == []
    assert await mark_of(house) == 5


async def test_over_its_cap_a_timeline_drops_its_lowest_and_says_so(house: House, timelines: Timelines) -> None:
    await complete(house, ("p1", 1), ("p2", 2), ("p3", 3))
    await push(timelines, a_post("p4", 4))
    assert await posts_in(timelines) == ["p4", "p3", "p2"]
    assert await mark_of(house) == 1


async def test_posts_of_one_time_are_dropped_together(house: House, timelines: Timelines) -> None:
    """One of them alone would leave the mark at a time of which it has not all."""
    await complete(house, ("p1", 1), ("p2", 1), ("p3", 3))
    await push(timelines, a_post("p4", 4))
    assert await posts_in(timelines) == ["p4", "p3"]
    assert await mark_of(house) == 1


async def test_a_post_taken_out_leaves_the_mark_where_it_is(house: House, timelines: Timelines) -> None:
    await complete(house, ("p1", 7), mark=5)
    await push(timelines, a_post("p1", 7, version=2), present=False)
    assert (await posts_in(timelines), await mark_of(house)) == ([], 5)


async def test_a_rebuild_of_few_posts_is_complete_to_the_end(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-20, p2=-10)
    found = await timelines.rebuild("feed", "ada")
    assert [candidate.post for candidate in found.complete] == ["p2", "p1"]
    assert (await posts_in(timelines), await mark_of(house)) == (["p2", "p1"], -inf)


async def test_a_rebuild_of_many_posts_is_complete_above_the_last_that_fits(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-50, p2=-40, p3=-30, p4=-20, p5=-10)
    found = await timelines.rebuild("feed", "ada")
    assert [candidate.post for candidate in found.complete] == ["p5", "p4"]
    assert found.mark == await mark_of(house) == found.candidates[-1].published_ms
    assert await posts_in(timelines) == ["p5", "p4"]


async def test_an_authors_own_posts_are_rebuilt_alike(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-20, p2=-10)
    await timelines.rebuild("author", "bob")
    assert [candidate.post for candidate in await timelines.entries("author", "bob")] == ["p2", "p1"]


async def test_a_rebuild_of_nothing_is_a_timeline_that_is_complete(house: House, timelines: Timelines) -> None:
    await timelines.rebuild("feed", "nobody")
    await timelines.push(a_post("p1", 1), {"feed": ["nobody"]}, present=True)
    assert [candidate.post for candidate in await timelines.entries("feed", "nobody")] == ["p1"]


async def test_a_rebuild_of_what_is_complete_leaves_it(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-20)
    await complete(house, ("p9", 9), mark=5)
    found = await timelines.rebuild("feed", "ada")
    assert [candidate.post for candidate in found.candidates] == ["p1"]
    assert await posts_in(timelines) == ["p9"]


class Rebuild:
    """A rebuild that has read the truth and has not installed it."""

    def __init__(self, house: House) -> None:
        self._held = Held(house.record, "candidates")
        self._timelines = Timelines(house.redis, self._held, cap=CAP)

    async def __aenter__(self) -> "Rebuild":
        self._task = asyncio.create_task(self._timelines.rebuild("feed", "ada"))
        await self._held.reached.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.install()

    async def install(self) -> None:
        """Let it go on to its end."""
        self._held.go.set()
        await self._task


async def test_what_is_published_while_the_truth_is_read_is_in_the_rebuilt_timeline(
    house: House, timelines: Timelines
) -> None:
    """Interleaving 5a: a timeline that came to be with its installation would miss it."""
    await with_posts(house, p1=-20)
    await house.fan_out()
    async with Rebuild(house):
        await house.fan_out(CreatePost(post="p2", author="bob", title="p2", published=at(-10)))
    assert (await posts_in(timelines), await mark_of(house)) == (["p2", "p1"], -inf)


async def test_what_moves_while_the_truth_is_read_is_where_it_moved_to(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-20, p2=-10)
    async with Rebuild(house):
        await push(timelines, a_post("p1", 9_000_000_000_000, version=2))
    assert await posts_in(timelines) == ["p1", "p2"]


async def test_what_is_taken_out_while_the_truth_is_read_does_not_come_back(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-20, p2=-10)
    await house.fan_out()
    async with Rebuild(house):
        await house.fan_out(UnpublishPost(post="p1"))
    assert await posts_in(timelines) == []
    await timelines.rebuild("feed", "ada")
    assert await posts_in(timelines) == ["p2"]


async def test_what_is_published_below_the_mark_while_the_truth_is_read_is_left_out(
    house: House, timelines: Timelines
) -> None:
    await with_posts(house, p1=-50, p2=-40, p3=-30)
    async with Rebuild(house):
        await push(timelines, a_post("p4", 5))
        await push(timelines, a_post("p5", 6))
    assert await posts_in(timelines) == ["p3", "p2"]
    await push(timelines, a_post("p6", 9_000_000_000_000))
    await push(timelines, a_post("p7", 9_000_000_000_001))
    assert await posts_in(timelines) == ["p7", "p6", "p3"]


async def test_more_than_fits_published_while_the_truth_is_read_is_capped(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-20)
    async with Rebuild(house):
        for number in range(5):
            await push(timelines, a_post(f"q{number}", 9_000_000_000_000 + number))
    assert await posts_in(timelines) == ["q4", "q3", "q2"]
    assert await mark_of(house) == 9_000_000_000_001


async def test_a_timeline_dropped_while_the_truth_is_read_stays_dropped(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-20)
    async with Rebuild(house):
        await timelines.drop({"feed": ["ada"]})
    assert not await house.redis.exists(KEY)


async def test_a_rebuild_from_before_a_drop_is_not_installed_into_the_rebuild_after_it(
    house: House, timelines: Timelines
) -> None:
    await with_posts(house, p1=-20)
    async with Rebuild(house) as before:
        await timelines.drop({"feed": ["ada"]})
        await house.apply(UnpublishPost(post="p1"))
        async with Rebuild(house):
            await before.install()
    assert (await posts_in(timelines), await mark_of(house)) == ([], -inf)


async def test_of_two_rebuilds_at_once_the_later_is_installed(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-20)
    async with Rebuild(house), Rebuild(house):
        assert await mark_of(house) == inf
    assert (await posts_in(timelines), await mark_of(house)) == (["p1"], -inf)


async def test_a_rebuild_that_is_never_installed_goes_away_by_itself(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-20)
    async with Rebuild(house):
        assert 0 < await house.redis.ttl(KEY) <= 60
    assert await house.redis.ttl(KEY) == -1


async def test_all_timelines_are_dropped_and_nothing_else(house: House, timelines: Timelines) -> None:
    await with_posts(house, p1=-20)
    await house.fan_out()
    for user in (f"user{number}" for number in range(50)):
        await timelines.rebuild("feed", user)
        await timelines.rebuild("author", user)
    kept = {key for key in await house.redis.keys("*") if b":feed:" not in key and b":author:" not in key}
    async with Rebuild(house):
        await timelines.drop_all()
    assert set(await house.redis.keys("*")) == kept


async def test_a_follow_and_a_publish_at_once_leave_the_post_in_the_timeline(house: House) -> None:
    """Interleaving 6b: the publish read followers before the follow; the follow's rebuild reads the posts after it."""
    await house.apply(PutUser(user="ada", name="Ada"), PutUser(user="bob", name="Bob"))
    await house.fan_out()
    await house.timelines.rebuild("feed", "ada")
    publisher = House(house.redis, Held(house.record, "followers"))
    assert isinstance(publisher.record, Held)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publisher.fan_out(CreatePost(post="p1", author="bob", title="p1", published=at(-10))))
        await publisher.record.reached.wait()
        await house.fan_out(Follow(user="ada", author="bob"))
        await house.timelines.rebuild("feed", "ada")
        publisher.record.go.set()
    assert [candidate.post for candidate in await house.timelines.entries("feed", "ada")] == ["p1"]


async def test_a_follow_between_a_publish_and_its_followers_leaves_the_post_in_the_timeline(house: House) -> None:
    """The other order: the rebuild read before the publish was committed, and the publish finds the follower."""
    await house.apply(PutUser(user="ada", name="Ada"), PutUser(user="bob", name="Bob"))
    await house.fan_out(Follow(user="ada", author="bob"))
    async with Rebuild(house):
        await house.fan_out(CreatePost(post="p1", author="bob", title="p1", published=at(-10)))
    assert [candidate.post for candidate in await house.timelines.entries("feed", "ada")] == ["p1"]


def test_the_mark_is_no_candidate() -> None:
    assert parse([b"p1 ada", b"5", b"!", b"-inf"]) == [(5, "p1", "ada")]
