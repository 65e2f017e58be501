"""What was shown: first pages of ranked feeds that left are noted for the next recalculation, and nothing else is."""

import asyncio

import pytest

from baker.kitchen import Audience
from feeds import keys, scripts
from feeds.command import EditPost, PutSettings
from feeds.ids import shard_of
from feeds.packing import unpacked
from tests.integration.baking import (
    Baker,
    ada_follows_grace,
    before,
    config,
    during,
    meanwhile,
    open_bakers,
    titles,
)
from tests.integration.house import House

RANKED = PutSettings(user="ada", order="ranked", page_size=2)
FEED = "/feed/ada/feed.json"


async def shown(house: House, baker: Baker) -> list[str]:
    """Return the posts that ada was shown, as far as it was noted."""
    await baker.app.close()
    return [post.id for post in (await house.record.posts_by_num(unpacked(await _noted(house)))).values()]


async def _noted(house: House) -> bytes:
    (noted,) = await scripts.execute(house.redis, [("HGET", keys.seen(shard_of("ada")), "ada")])
    return bytes(noted or b"")


async def test_the_first_page_of_a_ranked_feed_is_noted_once(house: House, baker: Baker) -> None:
    await ada_follows_grace(house, posts=6)
    await before(house, RANKED)
    await baker.get(FEED)  # makes ada active
    assert await shown(house, baker) == []
    for ending in ("", "/feed.json", "/feed.atom"):
        await house.recorded("u-ada")
        await baker.get(f"/feed/ada{ending}")
    assert sorted(await shown(house, baker)) == ["post-0004", "post-0005"]
    assert len(await _noted(house)) == 2 * 4  # the same page three times is one


@pytest.mark.parametrize("path", ["/feed/ada/after/post-0004", "/author/grace", "/feed/explore", "/post/post-0001"])
async def test_no_other_page_is_noted(house: House, baker: Baker, path: str) -> None:
    await ada_follows_grace(house, posts=6)
    await before(house, RANKED)
    await baker.get("/author/ada")
    await house.activity.seen("ada")
    assert (await baker.get(path)).status_code == 200
    assert await shown(house, baker) == []


async def test_who_reads_newest_first_or_as_a_guest_leaves_no_note(house: House) -> None:
    await ada_follows_grace(house)
    async with open_bakers(house, config(), config(audience=Audience(per_hour=0))) as (baker, guests):
        for _ in range(2):
            await house.recorded("u-ada")
            await guests.get(FEED)
        await before(house, RANKED)
        for _ in range(2):
            await house.recorded("u-ada")
            await guests.get(FEED)
        assert await shown(house, guests) == []
        await before(house, PutSettings(user="ada"))
        for ending in ("", "/feed.json"):
            await baker.get(f"/feed/ada{ending}")
        assert await shown(house, baker) == []


async def test_an_answer_that_did_not_pass_shows_nothing(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    await before(house, RANKED)
    await baker.get(FEED)
    await house.recorded("u-ada")
    first, second = baker.hold("before fence"), baker.hold("before fence")
    again = baker.hold("before fence")

    async def late() -> None:
        for number, hold in enumerate((first, second, again)):
            await meanwhile(house, hold, EditPost(post="post-0001", title=f"New {number}"))

    answer, _ = await asyncio.gather(baker.get(FEED), late())
    assert answer.headers["edgebake-late"] == "1"
    assert await shown(house, baker) == []


async def test_what_was_baked_again_is_noted_as_it_left(house: House, baker: Baker) -> None:
    await ada_follows_grace(house, posts=2)
    await before(house, RANKED)
    await baker.get("/feed/ada")
    edit = EditPost(post="post-0000", title="New")
    answer = await during(house, baker.hold("before fence"), baker.get(FEED), edit)
    assert "New" in titles(answer)
    assert sorted(await shown(house, baker)) == ["post-0000", "post-0001"]
