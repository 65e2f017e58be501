"""Every feed equals the reference on real follows and stories: all pages, all formats, ranked and newest first.

The demo's slice by default; with ``--long`` and ``--data FOLDER`` (Slashdot's graph and Hacker News's stories, named in
edgebake/demo/SOURCES.md) the whole. Tags, views, reactions, mutes and blocks are invented: ``population`` says how.
"""

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from feeds.command import CreatePost
from tests.integration import population
from tests.integration.population import Population
from tests.integration.reading import FORMATS, posts_on, read_pages
from tests.integration.rig import Rig, Scale
from tests.reference import Formula, World, Written, means_of

DAY_MS = 86_400_000
MOST_PAGES = 40
"""Pages of a feed that are compared: as many as a deployment serves by default."""


async def compare(rig: Rig, world: World, users: Sequence[str]) -> None:
    """Compare all pages of users' feeds, in every format."""
    for user in users:
        expected = world.pages(user, MOST_PAGES)
        for ending in FORMATS:
            assert await read_pages(rig.baker, user, ending, MOST_PAGES) == expected, f"{user}{ending}"


async def show(rig: Rig, world: World, users: Sequence[str]) -> None:
    """Let users see their first pages."""
    for user in users:
        assert posts_on(await rig.baker.get(f"/feed/{user}")) == world.pages(user, 1)[0]


def seen(world: World, users: Sequence[str]) -> None:
    """Tell the reference that these users saw their first pages, which the next recalculation finds shown."""
    for user in users:
        shown = world.readers[user].liking.shown
        shown |= {post: shown.get(post, 0) + 1 for post in world.pages(user, 1)[0]}


def storm(world: World, town: Population, count: int) -> list[CreatePost]:
    """Return new posts by whom the users who are looked at follow, some of them dated back."""
    dice = random.Random(13)
    newest = max(story.published_ms for story in town.stories)
    authors = sorted({author for reader in world.readers.values() for author in reader.authors})
    made = []
    for number in range(count):
        moment = newest + 1000 * number if number % 5 else newest - DAY_MS * number
        tags = tuple(dice.sample(population.TAGS[:9], dice.randrange(3)))
        post, author = f"new-{number:04}", dice.choice(authors)
        made.append(CreatePost(post=post, author=author, published=population.moment(moment), tags=tags))
        world.posts[post] = Written(post, author, moment, frozenset(tags))
    return made


async def check(rig: Rig, town: Population) -> None:
    """Load a population, recalculate, and compare: ranked, ranked with what was shown, newest first with new posts."""
    await town.load(rig.record)
    await rig.begin_long_ago()
    world = town.world(rig.scale.pull_followers, rig.scale.formula, rig.scale.cap)
    users = list(town.habits)
    assert await rig.pulled() == world.pulled
    assert world.pulled
    await rig.recompute("all")
    await rig.freeze(world)
    recent = {name: post for name, post in world.posts.items() if post.published_ms > town.now_ms - 30 * DAY_MS}
    assert world.means == pytest.approx(means_of(recent), rel=0.02)  # a story may grow too old meanwhile
    for reader in world.readers.values():
        reader.order = "ranked"
    world.settle()
    await compare(rig, world, users[::4])
    await show(rig, world, users[1::2])
    seen(world, users[::4])
    seen(world, users[1::2])
    await rig.recompute("all")
    await rig.freeze(world)
    await compare(rig, world, users)
    await rig.carry(storm(world, town, 200))
    await rig.carry([town.settings(user, "newest") for user in users])
    for reader in world.readers.values():
        reader.order = "newest"
    world.settle()
    await compare(rig, world, users)


async def test_every_feed_of_the_demo_equals_the_reference(valkey: str, sqlite_ready: Path, tmp_path: Path) -> None:
    town = population.demo(stories=400)
    population.look_at(town, 12)
    shutil.copy(sqlite_ready, tmp_path / "demo.db")
    scale = Scale(cap=40, fresh=127, pull_followers=150, formula=Formula())
    async with Rig.opened(valkey, tmp_path / "demo.db", scale) as rig:
        await check(rig, town)


@pytest.mark.long
async def test_every_feed_of_the_whole_graph_equals_the_reference(
    valkey: str, sqlite_ready: Path, tmp_path: Path, real_data: Path
) -> None:
    town = population.whole(real_data, tmp_path / "rows")
    population.look_at(town, 1000)
    shutil.copy(sqlite_ready, tmp_path / "whole.db")
    scale = Scale(cap=200, fresh=127, pull_followers=1000, formula=Formula())
    async with Rig.opened(valkey, tmp_path / "whole.db", scale) as rig:
        await check(rig, town)
