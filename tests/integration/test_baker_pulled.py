"""Pulled sources: written into no timeline, merged by every bake, and reached by the tags that artifacts carry."""

import shutil
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from baker.bake import Limits
from baker.kitchen import Audience
from cdn.tags import MAX_TAGS, OVERFLOW, topic_tag
from feeds import keys, scripts
from feeds.command import (
    Command,
    DeletePost,
    EditPost,
    FollowTag,
    PutSettings,
    RenameUser,
    Unfollow,
    UnfollowTag,
    UnpublishPost,
)
from feeds.fanout import Fanout
from feeds.packing import read_fresh, read_timeline
from feeds.progress import now_ms
from feeds.ranking import Order, Weights
from feeds.record import Record
from tests.integration.baking import (
    Baker,
    before,
    config,
    during,
    follows,
    next_path,
    open_bakers,
    pages,
    post,
    tags_of,
    titles,
    users,
)
from tests.integration.house import LINGER_MS, House

LINE = 4
READERS = ("ada", "bob", "cay", "dan", "eve", "fay")
FEED = "/feed/ada/feed.json"


@pytest.fixture
async def house(valkey: str, sqlite_ready: Path, tmp_path: Path) -> AsyncIterator[House]:
    """A house where few followers are many, and where a source that has risen is pulled as soon as somebody looks."""
    shutil.copy(sqlite_ready, tmp_path / "house.db")
    redis = Redis.from_url(valkey, protocol=2, socket_timeout=None)
    record = await Record.open(f"sqlite:///{tmp_path}/house.db", pull_followers=LINE)
    await record.replay(1, margin_ms=0)  # what a test says was relayed long ago is not relayed again
    house = House(redis, record, tmp_path / "house.db")
    house.fanout = Fanout(redis, record, house.timelines, house.activity, linger_ms=0)
    yield house
    await record.close()
    await redis.aclose()


async def cross(house: House) -> None:
    """Let sources arrive where they are going."""
    await house.record.cross_due(now_ms(), 0)
    await house.read()
    await house.read()


async def states(house: House) -> dict[str, str]:
    """Return the states of the sources that are not simply pushed, by name."""
    return {source.name: source.state for source in (await house.record.pulled()).sources.values()}


async def grace_is_pulled(house: House, *more: Command, posts: int = 3) -> None:
    """Make readers who all follow grace, who wrote posts and is pulled; alan is followed by ada alone."""
    crowd = [follow for reader in READERS for follow in follows(reader, "grace")]
    await before(house, *users(*READERS, "grace", "alan"), *crowd, *follows("ada", "alan"), *more)
    await before(house, *(post(number) for number in range(posts)))
    await cross(house)
    assert (await states(house))["grace"] == "pull"


async def timeline(house: House, user: str) -> set[int]:
    """Return the numbers of the posts in a user's timeline."""
    reads: list[scripts.Command] = [("HGET", keys.base(user), user), ("LRANGE", keys.fresh(user), 0, -1)]
    base, fresh = await scripts.execute(house.redis, reads)
    return {*read_timeline(base).nums, *read_fresh(fresh)}


def numbered(*numbers: int) -> list[str]:
    """Return the titles of posts."""
    return [f"Title {number}" for number in numbers]


async def test_a_post_is_on_every_readers_next_page_and_in_no_timeline(house: House, baker: Baker) -> None:
    await grace_is_pulled(house)
    for reader in READERS:
        assert titles(await baker.get(f"/feed/{reader}/feed.json")) == numbered(2, 1, 0)
    await house.read(post(3))
    async with open_bakers(house, config()) as (other,):
        for reader in READERS:
            for one in (baker, other):
                assert titles(await one.get(f"/feed/{reader}/feed.json")) == numbered(3, 2, 1, 0)
            assert await timeline(house, reader) == set()


async def test_one_item_reaches_every_reader_and_none_is_named(house: House, baker: Baker) -> None:
    await grace_is_pulled(house)
    for reader in (*READERS, "grace"):
        answer = await baker.get(f"/feed/{reader}")
        assert ("a-grace" in tags_of(answer), OVERFLOW in tags_of(answer)) == (True, False)
    await house.loop(post(3))
    assert house.edge.items == ["a-grace"]


async def test_a_pulled_author_sees_their_own_posts_where_the_setting_says_so(house: House) -> None:
    await grace_is_pulled(house)
    limits = [Limits(), Limits(own_posts=False)]
    async with open_bakers(house, *(config(limits=each, memory_bytes=1) for each in limits)) as bakers:
        found = [titles(await one.get("/feed/grace/feed.json")) for one in bakers]
    assert found == [numbered(2, 1, 0), []]


async def test_a_guest_sees_them_too(house: House) -> None:
    await grace_is_pulled(house)
    async with open_bakers(house, config(audience=Audience(per_hour=0))) as (baker,):
        assert titles(await baker.get(FEED)) == numbered(2, 1, 0)
        await house.read(post(3), post(4, "alan"))
        assert titles(await baker.get(FEED)) == numbered(4, 3, 2, 1, 0)
    assert not await house.redis.exists(keys.base("ada"))


async def test_a_page_from_before_its_source_was_pulled_is_named_for_as_long_as_it_may_live(
    house: House, baker: Baker
) -> None:
    house.fanout = Fanout(house.redis, house.record, house.timelines, house.activity, linger_ms=LINGER_MS)
    """Whose tag finds no room before it is pulled, and then comes first."""
    await before(house, *users(*READERS, "grace", *AUTHORS), *follows("ada", "grace", *AUTHORS))
    await before(house, *(post(number, author) for number, author in enumerate(AUTHORS, 1)))
    page = await baker.get("/feed/ada")
    assert "grace" not in carried(page)
    await house.read(*(follow for reader in READERS[1:] for follow in follows(reader, "grace")))
    await cross(house)
    assert await states(house) == {"grace": "pull"}
    await house.loop(post(99))
    assert set(tags_of(page)) & set(house.edge.items) == {"u-ada"}
    again = await baker.get("/feed/ada")
    assert (titles(again)[0], carried(again)[0]) == ("Title 99", "grace")


@pytest.mark.parametrize("order", ["newest", "ranked"])
async def test_a_source_that_crosses_the_line_and_comes_back_loses_and_doubles_nothing(
    house: House, order: Order
) -> None:
    limits = Limits(order=order, weights=Weights(in_a_row=100))
    numbers = count()
    published: list[int] = []
    await house.read(*users(*READERS, "grace", "alan"), *follows("ada", "alan", "grace"))
    async with open_bakers(house, config(limits=limits), config(limits=limits, memory_bytes=1)) as bakers:

        async def everything_is_there(state: str | None) -> None:
            assert (await states(house)).get("grace") == state
            for author in ("grace", "alan"):
                published.insert(0, next(numbers))
                await house.read(post(published[0], author))
                for one in bakers:
                    assert titles(await one.get(FEED)) == numbered(*published), state

        await everything_is_there(None)
        for reader in READERS[1:]:
            await house.read(*follows(reader, "grace"))
            await bakers[0].get(f"/feed/{reader}")
        await everything_is_there("rising")
        await cross(house)
        await everything_is_there("pull")
        await house.apply(*(Unfollow(user=reader, author="grace") for reader in READERS[2:]))
        await everything_is_there("falling")
        await cross(house)
        await everything_is_there(None)
        await house.read(*(follow for reader in READERS[2:] for follow in follows(reader, "grace")))
        await everything_is_there("rising")
        assert titles(await bakers[1].get("/feed/bob/feed.json")) == numbered(*published[::-1][::2][::-1])


async def test_a_pulled_tag_is_merged_under_its_own_tag(house: House, baker: Baker) -> None:
    tagged = [FollowTag(user=reader, tag="c++") for reader in READERS]
    await house.read(*users(*READERS, "alan"), *tagged, *follows("ada", "alan"), post(0, "alan", tags=("c++",)))
    await cross(house)
    assert await states(house) == {"c++": "pull"}
    await house.read(post(1, "alan"))
    for reader, shown in (("ada", (1, 0)), ("bob", (0,))):
        answer = await baker.get(f"/feed/{reader}/feed.json")
        assert titles(answer) == numbered(*shown)
        assert topic_tag("c++") in tags_of(answer)
    await house.loop(post(2, "alan", tags=("c++",)))
    assert topic_tag("c++") in house.edge.items
    assert titles(await baker.get(FEED)) == numbered(2, 1, 0)  # drawn by two sources, shown once
    assert titles(await baker.get("/feed/bob/feed.json")) == numbered(2, 0)
    await house.read(UnfollowTag(user="ada", tag="c++"), EditPost(post="post-0000", tags=()))
    assert titles(await baker.get(FEED)) == numbered(2, 1, 0)
    assert titles(await baker.get("/feed/bob/feed.json")) == numbered(2)


GONE: dict[str, tuple[Command, list[int]]] = {
    "muted": (PutSettings(user="ada", muted_authors=("grace",)), []),
    "unfollowed": (Unfollow(user="ada", author="grace"), []),
    "a post deleted": (DeletePost(post="post-0001"), [2, 0]),
    "a post unpublished": (UnpublishPost(post="post-0001"), [2, 0]),
    "a post moved": (EditPost(post="post-0002", published=post(0).published), [1, 2, 0]),
}


@pytest.mark.parametrize("what", GONE)
async def test_what_is_gone_is_merged_no_more(house: House, baker: Baker, what: str) -> None:
    command, shown = GONE[what]
    await grace_is_pulled(house)
    assert titles(await baker.get(FEED)) == numbered(2, 1, 0)
    await house.read(command)
    async with open_bakers(house, config()) as (other,):
        for one in (baker, other):
            assert titles(await one.get(FEED)) == numbered(*shown)


async def test_a_renamed_author_is_shown_by_their_name(house: House, baker: Baker) -> None:
    await grace_is_pulled(house)
    assert "Admiral" not in (await baker.get(FEED)).text
    await house.read(RenameUser(user="grace", name="Admiral"))
    assert "Admiral" in (await baker.get(FEED)).text


@pytest.mark.parametrize(("order", "in_order"), [("newest", 400), ("ranked", 150)])
async def test_older_pages_lead_on_below_what_a_list_has(house: House, order: Order, in_order: int) -> None:
    """A list has the newest 127 posts of its source. What of it is ranked stands above what is not."""
    await grace_is_pulled(house, *(post(number, "alan") for number in range(0, 400, 5)), posts=0)
    await before(house, *(post(number) for number in range(400) if number % 5))
    limits = Limits(max_pages=1000, order=order, weights=Weights(in_a_row=1000))
    async with open_bakers(house, config(limits=limits)) as (baker,):
        found = await pages(baker, FEED)
    shown = [title for page in found for title in page]
    assert shown[:in_order] == numbered(*range(399, 399 - in_order, -1))
    assert sorted(shown) == sorted(numbered(*range(400)))
    assert {len(page) for page in found} == {25}


async def test_a_list_that_was_read_before_a_post_is_not_kept_after_it(house: House, baker: Baker) -> None:
    await grace_is_pulled(house)
    answer = await during(house, baker.hold("before copies"), baker.get(FEED), post(3))
    assert titles(answer) == numbered(3, 2, 1, 0)
    assert titles(await baker.get("/feed/bob/feed.json")) == numbered(3, 2, 1, 0)


async def test_a_process_reads_a_list_once_for_all_readers(house: House, baker: Baker) -> None:
    await grace_is_pulled(house)
    await baker.get("/feed/bob")  # from here on its shard's tail is known
    await baker.get(FEED)
    grace = await house.record.user("grace")
    assert grace is not None
    assert await house.redis.delete(keys.latest(grace.num)) == 1
    assert titles(await baker.get("/feed/bob/feed.json")) == numbered(2, 1, 0)
    assert not await house.redis.exists(keys.latest(grace.num))


AUTHORS = [f"author-{number:02}" for number in range(30)]


async def everybody_is_pulled(house: House) -> None:
    """Make readers who follow thirty authors, who are all pulled; each wrote one post."""
    crowd = [follow for reader in READERS for follow in follows(reader, *AUTHORS)]
    await before(house, *users(*READERS, *AUTHORS), *crowd)
    await before(house, *(post(number, author) for number, author in enumerate(AUTHORS)))
    await cross(house)
    assert len(await states(house)) == len(AUTHORS)


def carried(answer: httpx.Response) -> list[str]:
    """Return the authors whose tags an answer carries."""
    return [tag.removeprefix("a-") for tag in tags_of(answer) if tag.startswith("a-")]


async def test_a_page_whose_sources_do_not_all_find_room_says_so(house: House, baker: Baker) -> None:
    await everybody_is_pulled(house)
    answer = await baker.get("/feed/ada")
    assert (len(tags_of(answer)), len(carried(answer)), OVERFLOW in tags_of(answer)) == (MAX_TAGS, 20, True)
    path = next_path(answer)
    assert path is not None
    older = await baker.get(path)  # shows five posts, so that there is room, for the reader too
    assert (len(carried(older)), OVERFLOW in tags_of(older)) == (31, False)


@pytest.mark.parametrize("found_room", [True, False])
async def test_whoever_publishes_is_on_a_page_that_has_too_many_sources(
    house: House, baker: Baker, found_room: bool
) -> None:
    await everybody_is_pulled(house)
    first = await baker.get("/feed/ada")
    author = next(author for author in AUTHORS if (author in carried(first)) == found_room)
    await house.loop(post(99, author))
    assert set(house.edge.items) & set(tags_of(first))
    assert f"u-{READERS[0]}" not in house.edge.items
    assert titles(await baker.get("/feed/ada"))[0] == "Title 99"


async def test_a_post_by_somebody_who_is_pushed_leaves_other_pages_alone(house: House, baker: Baker) -> None:
    await everybody_is_pulled(house)
    await house.read(*users("alan"), *follows("ada", "alan"))
    await baker.get("/feed/ada")
    await baker.get("/feed/bob")
    await house.loop(post(99, "alan"))
    assert house.edge.items == ["u-ada"]
