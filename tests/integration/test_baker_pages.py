"""Older pages: from the first to the last, every post of a feed once, newest first, and no short page but the last."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from baker.bake import Limits
from feeds.command import Command, DeletePost, EditPost, PutSettings, Unfollow, UnpublishPost
from feeds.model import PostState
from tests.integration.baking import (
    Baker,
    ada_follows_grace,
    at,
    before,
    config,
    follows,
    next_path,
    open_bakers,
    pages,
    post,
    titles,
    users,
)
from tests.integration.house import House

ENDINGS = ("", "/feed.json", "/feed.atom")
AUTHORS = ("grace", "alan", "edsger", "barbara", "ada")


def numbered(*numbers: int) -> list[str]:
    """Return the titles of posts."""
    return [f"Title {number}" for number in numbers]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_older_pages_lead_through_the_mark_to_the_first_post(house: House, baker: Baker, ending: str) -> None:
    await ada_follows_grace(house, posts=160)
    for path in ("/feed/ada", "/author/grace"):
        found = await pages(baker, path + ending)
        assert [title for page in found for title in page] == numbered(*range(159, -1, -1))
        assert [len(page) for page in found] == [25] * 6 + [10]
        assert found == await pages(baker, path + ending)


async def test_a_full_last_page_names_no_older_one(house: House, baker: Baker) -> None:
    await ada_follows_grace(house, posts=50)
    assert [len(page) for page in await pages(baker, "/feed/ada/feed.json")] == [25, 25]


@pytest.mark.parametrize("gone", ["deleted", "unpublished", "unfollowed", "retitled"])
async def test_a_page_keeps_its_place_when_its_post_goes(house: House, baker: Baker, gone: str) -> None:
    await ada_follows_grace(house, posts=30)
    path = next_path(await baker.get("/feed/ada/feed.json"))
    assert path == "/feed/ada/after/post-0005/feed.json"
    await house.read(*users("alan"), *follows("ada", "alan"), post(99, "alan", published=at(2500)))
    change: dict[str, Command] = {
        "deleted": DeletePost(post="post-0005"),
        "unpublished": UnpublishPost(post="post-0005"),
        "unfollowed": Unfollow(user="ada", author="grace"),
        "retitled": EditPost(post="post-0005", title="New"),
    }
    await house.read(change[gone])
    expected = ["Title 99"] if gone == "unfollowed" else numbered(4, 3, 99, 2, 1, 0)
    assert titles(await baker.get(path)) == expected


async def test_an_older_page_moves_with_its_place(house: House, baker: Baker) -> None:
    await ada_follows_grace(house, posts=6)
    path = "/feed/ada/after/post-0004/feed.json"
    assert titles(await baker.get(path)) == numbered(3, 2, 1, 0)
    await house.read(EditPost(post="post-0004", published=at(1500)))
    assert titles(await baker.get(path)) == numbered(1, 0)


async def test_when_the_last_post_of_an_older_page_goes_the_page_is_not_named_any_more(
    house: House, baker: Baker
) -> None:
    await ada_follows_grace(house, posts=27)
    assert next_path(await baker.get("/feed/ada/feed.json")) is not None
    await house.read(DeletePost(post="post-0000"))
    assert next_path(await baker.get("/feed/ada/feed.json")) is not None
    await house.read(UnpublishPost(post="post-0001"))
    assert next_path(await baker.get("/feed/ada/feed.json")) is None


async def test_posts_of_one_millisecond_across_the_mark_come_once_each(house: House) -> None:
    crowd = [post(number, published=at(0)) for number in range(140)]
    await before(house, *users("ada", "grace"), *follows("ada", "grace"), *crowd)
    async with open_bakers(house, config()) as (baker,):
        found = [title for page in await pages(baker, "/feed/ada/feed.json") for title in page]
    assert found == numbered(*range(139, -1, -1))


@pytest.mark.parametrize("own", [True, False])
async def test_own_posts_are_in_a_feed_where_the_setting_says_so(house: House, own: bool) -> None:
    await ada_follows_grace(house, posts=2)
    await house.read(post(5, "ada"))
    async with open_bakers(house, config(limits=Limits(own_posts=own))) as (baker,):
        assert titles(await baker.get("/feed/ada")) == (numbered(5, 1, 0) if own else numbered(1, 0))
        assert titles(await baker.get("/author/ada")) == numbered(5)


async def test_hidden_posts_do_not_count_for_how_deep_a_page_is(house: House) -> None:
    await ada_follows_grace(house, posts=12)
    await house.read(PutSettings(user="ada", page_size=2, muted_tags=("spoiler",)))
    async with open_bakers(house, config(limits=Limits(max_pages=4))) as (baker,):
        await baker.get("/feed/ada")  # from here on its timeline is there
        await house.read(*(EditPost(post=f"post-{n:04}", tags=("spoiler",)) for n in (9, 8, 7, 6, 5)))
        found = await pages(baker, "/feed/ada/feed.json")
    assert [title for page in found for title in page] == numbered(11, 10, 4, 3, 2, 1, 0)


async def test_hidden_posts_at_the_top_make_no_page_short(house: House, baker: Baker) -> None:
    """More of them than are read of a timeline beyond what a first page needs."""
    await ada_follows_grace(house, posts=70)
    await house.read(PutSettings(user="ada", muted_tags=("spoiler",)))
    await baker.get("/feed/ada")  # from here on its timeline is there, and keeps what is muted by its tags later
    await house.read(*(EditPost(post=f"post-{number:04}", tags=("spoiler",)) for number in range(69, 59, -1)))
    found = await pages(baker, "/feed/ada/feed.json")
    assert [title for page in found for title in page] == numbered(*range(59, -1, -1))
    assert [len(page) for page in found] == [25, 25, 10]


@dataclass
class World:
    """Random posts and what somebody does to them, in the order it is done."""

    seed: int
    size: int
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        dice = random.Random(self.seed)
        followed = [author for author in AUTHORS if author != "ada" and dice.random() < 0.8]
        self.commands += follows("ada", *followed)
        for number in range(150):
            moment = at(dice.randrange(120) * 10)  # so that many posts share a millisecond
            tags = tuple(tag for tag in ("a", "b", "c") if dice.random() < 0.15)
            self.commands.append(post(number, dice.choice(AUTHORS), published=moment, tags=tags))
        self.later = [self._later(dice, number) for number in dice.sample(range(150), 20)]
        self.settings = PutSettings(
            user="ada",
            page_size=self.size,
            muted_authors=tuple(author for author in AUTHORS if dice.random() < 0.15),
            muted_tags=tuple(tag for tag in ("a", "b") if dice.random() < 0.3),
        )

    def _later(self, dice: random.Random, number: int) -> Command:
        name = f"post-{number:04}"
        deeds: list[Command] = [
            DeletePost(post=name),
            UnpublishPost(post=name),
            EditPost(post=name, published=at(dice.randrange(1200))),
            EditPost(post=name, tags=(dice.choice("abc"),)),
            EditPost(post=name, title=f"Title {number}", likes=dice.randrange(1, 9)),
        ]
        return dice.choice(deeds)


async def expected(house: House) -> list[str]:
    """Return the titles that ada's feed has, read from the record without any of the feed's own queries."""
    ada = await house.record.user("ada")
    assert ada is not None
    sources = {*(await house.record.follows("ada")).authors, "ada"} - set(ada.settings.muted_authors)
    posts = (await house.record.posts([f"post-{number:04}" for number in range(150)])).values()
    shown = [
        found
        for found in posts
        if found.state is PostState.PUBLISHED
        and found.author in sources
        and not set(found.tags) & set(ada.settings.muted_tags)
    ]
    return [found.title for found in sorted(shown, key=lambda found: found.key, reverse=True)]


@pytest.mark.parametrize("seed", range(5))
async def test_random_feeds_are_paged_without_a_hole_a_repeat_or_a_short_page(house: House, seed: int) -> None:
    dice = random.Random(seed)
    world = World(seed, dice.choice([1, 2, 3, 7, 10, 24, 25]))
    async with open_bakers(house, config(limits=Limits(max_pages=1000)), config(memory_bytes=1)) as (baker, other):
        await before(house, *users(*AUTHORS), *world.commands)
        await asyncio.gather(baker.get("/feed/ada"), other.get("/feed/ada/feed.json"))
        await house.read(world.settings)
        await baker.get("/feed/ada")  # the timeline is there when the posts change
        await house.read(*world.later)
        truth = await expected(house)
        found = await pages(baker, "/feed/ada/feed.json")
        assert [title for page in found for title in page] == truth
        assert all(len(page) == world.size for page in found[:-1])
        assert len(found) == max(1, -(-len(truth) // world.size))
        middle = found[len(found) // 2]
        assert titles(await other.get("/feed/ada")) == truth[: world.size]
        assert middle == truth[len(found) // 2 * world.size :][: world.size]
