"""Discovery: the platform's posts by score, whole and by tag, for anybody; short-lived and nobody's own."""

from collections.abc import Sequence

import pytest

from baker.bake import Limits
from feeds import keys
from feeds.command import Command, CreatePost, DeletePost, EditPost, FollowTag, PutSettings, PutSite, UnpublishPost
from feeds.ids import map_id, shard_of
from feeds.ranking import Weights
from tests.integration.baking import (
    Baker,
    before,
    config,
    follows,
    ledger,
    next_path,
    open_bakers,
    pages,
    post,
    tags_of,
    titles,
    users,
)
from tests.integration.house import House

ENDINGS = ("", "/feed.json", "/feed.atom")
LIKED = {0: 500, 1: 3, 3: 40}
BEST = ["Title 0", "Title 3", "Title 1", "Title 5", "Title 4", "Title 2"]


def liked(number: int, author: str = "grace", tags: Sequence[str] = ()) -> CreatePost:
    """Return the command that creates a post with the likes that it has here."""
    return post(number, author, likes=LIKED.get(number, 0), tags=tuple(tags))


async def platform(house: House, *more: Command) -> None:
    """Make six posts of two authors, of which the first is liked best and the last is newest."""
    posts = [liked(number, ("grace", "alan")[number % 2], ["lisp"] if number < 4 else ["c++"]) for number in range(6)]
    await before(house, *users("ada", "grace", "alan"), *posts, *more)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_everybody_finds_what_readers_like_most(house: House, baker: Baker, ending: str) -> None:
    await platform(house)
    answer = await baker.get(f"/feed/explore{ending}")
    assert (answer.status_code, titles(answer)) == (200, BEST)


async def test_with_every_weight_at_zero_it_is_newest_first(house: House) -> None:
    await platform(house)
    weights = Weights(likes=0, comments=0, views=0)
    async with open_bakers(house, config(limits=Limits(weights=weights))) as (baker,):
        found = titles(await baker.get("/feed/explore"))
    assert found == [f"Title {number}" for number in range(5, -1, -1)]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_tag_has_a_page_of_its_own(house: House, baker: Baker, ending: str) -> None:
    await platform(house)
    answer = await baker.get(f"/feed/explore/tag/lisp{ending}")
    assert titles(answer) == ["Title 0", "Title 3", "Title 1", "Title 2"]
    assert "lisp" in answer.text


@pytest.mark.parametrize("tag", ["c++", "explore", "x-ray", "große katzen"])
async def test_a_tag_of_any_characters_is_found_under_its_mapped_id(house: House, baker: Baker, tag: str) -> None:
    await platform(house, post(7, "alan", tags=(tag,)))
    assert "Title 7" in titles(await baker.get(f"/feed/explore/tag/{map_id(tag)}"))


async def test_a_tag_that_nobody_used_is_not_there_and_one_without_posts_is_empty(house: House, baker: Baker) -> None:
    await platform(house, FollowTag(user="ada", tag="forth"))
    assert (await baker.get("/feed/explore/tag/cobol")).status_code == 404
    assert (await baker.get("/feed/explore/tag/x-1")).status_code == 404  # what no tag is mapped to
    answer = await baker.get("/feed/explore/tag/forth/feed.json")
    assert (answer.status_code, titles(answer)) == (200, [])


async def test_an_empty_platform_and_an_empty_feed_have_something_to_say(house: House, baker: Baker) -> None:
    await before(house, *users("ada"))
    assert "Posts appear here" in (await baker.get("/feed/explore")).text
    assert 'href="/feed/explore"' in (await baker.get("/feed/ada")).text


async def test_older_pages_lead_through_the_best_five_hundred_once_each(house: House, baker: Baker) -> None:
    await before(house, *users("grace"), *(post(number, likes=number % 7) for number in range(520)))
    found = await pages(baker, "/feed/explore/feed.json")
    assert [len(page) for page in found] == [25] * 20
    best = sorted(range(520), key=lambda number: (number % 7, number), reverse=True)[:500]
    assert [title for page in found for title in page] == [f"Title {number}" for number in best]


async def test_a_place_that_is_no_more_among_the_best_ends_the_list(house: House, baker: Baker) -> None:
    await platform(house)
    answer = await baker.get("/feed/explore/tag/lisp/after/post-0004/feed.json")  # of another tag
    assert (answer.status_code, titles(answer), next_path(answer)) == (200, [], None)
    assert (await baker.get("/feed/explore/after/nothing")).status_code == 404


async def test_it_lives_shortly_and_hangs_on_nobody(house: House) -> None:
    await platform(house)
    async with open_bakers(house, config(limits=Limits(explore_ttl=7))) as (baker,):
        answer = await baker.get("/feed/explore")
    assert answer.headers["cache-control"].startswith("s-maxage=7,")
    shown = {f"p-post-{number:04}" for number in range(6)}
    assert set(tags_of(answer)) == {"g", f"s-{shard_of('explore'):02x}", *shown}
    assert await ledger(house, shard_of("explore")) == set(tags_of(answer))


@pytest.mark.parametrize("command", [DeletePost(post="post-0000"), UnpublishPost(post="post-0000")])
async def test_a_post_that_is_withdrawn_is_gone_from_it_at_once(house: House, baker: Baker, command: Command) -> None:
    await platform(house)
    assert titles(await baker.get("/feed/explore/feed.json")) == BEST
    await house.read(command)
    for path in ("/feed/explore", "/feed/explore/feed.json", "/feed/explore/tag/lisp"):
        assert "Title 0" not in (await baker.get(path)).text
    assert titles(await baker.get("/feed/explore")) == BEST[1:]


async def test_an_edited_post_is_shown_as_it_is(house: House, baker: Baker) -> None:
    await platform(house)
    await baker.get("/feed/explore")
    await house.read(EditPost(post="post-0003", title="Better"))
    assert titles(await baker.get("/feed/explore"))[1] == "Better"


async def test_a_new_post_comes_with_the_next_list(house: House, baker: Baker) -> None:
    await platform(house)
    assert len(titles(await baker.get("/feed/explore/feed.json"))) == 6
    await house.read(post(9))
    assert await house.redis.ttl(keys.explore(0)) in range(1, 61)
    await house.redis.delete(keys.explore(0))  # its time is over
    async with open_bakers(house, config()) as (other,):
        assert "Title 9" in titles(await other.get("/feed/explore/feed.json"))


async def test_nobody_becomes_active_by_exploring_and_nobodys_settings_count(house: House, baker: Baker) -> None:
    await platform(house, *follows("ada", "grace"), PutSettings(user="ada", muted_authors=("alan",), page_size=1))
    assert titles(await baker.get("/feed/explore")) == BEST
    names = [name async for name in house.redis.scan_iter("*")]
    assert not [name for name in names if b"active" in name or b"guests" in name or b"base" in name]


async def test_it_speaks_the_language_of_the_site(house: House, baker: Baker) -> None:
    await platform(house, PutSite(title="Posts", language="de"))
    assert '<html lang="de"' in (await baker.get("/feed/explore")).text
