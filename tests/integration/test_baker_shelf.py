"""Slow readers: what was read before a change comes back after it, and neither Redis, shelf nor answer keeps it."""

import asyncio

import pytest

from feeds import copies, keys
from feeds.command import Command, DeletePost, EditPost, Invalidate, RenameUser, UnpublishPost
from tests.integration.baking import (
    Baker,
    ada_follows_grace,
    before,
    config,
    during,
    follows,
    held,
    open_bakers,
    titles,
    users,
)
from tests.integration.house import House

FEED = "/feed/ada/feed.json"

GONE: dict[str, tuple[Command, list[str]]] = {
    "edited": (EditPost(post="post-0001", title="New"), ["Title 2", "New", "Title 0"]),
    "unpublished": (UnpublishPost(post="post-0001"), ["Title 2", "Title 0"]),
    "deleted": (DeletePost(post="post-0001"), ["Title 2", "Title 0"]),
}


@pytest.mark.parametrize("what", GONE)
async def test_a_slow_read_through_brings_no_old_copy_back(house: House, what: str) -> None:
    command, shown = GONE[what]
    await ada_follows_grace(house)
    async with open_bakers(house, config(), config()) as (slow, other):
        answer = await during(house, slow.hold("posts"), slow.get(FEED), command)
        assert titles(answer) == titles(await slow.get(FEED)) == titles(await other.get(FEED)) == shown
    truth = await house.record.post("post-0001")
    assert truth is not None
    assert await house.redis.get(keys.post("post-0001")) == copies.of_post(truth).value(b"0")


async def test_a_slow_read_through_brings_nothing_back_that_was_asked_to_be_forgotten(house: House) -> None:
    await ada_follows_grace(house)
    async with open_bakers(house, config(), config()) as (slow, other):
        hold = slow.hold("posts")
        reading = asyncio.ensure_future(slow.get(FEED))
        await held(hold)
        await before(house, EditPost(post="post-0001", title="Behind"))
        await house.read(Invalidate(scope="user", user="ada"))
        hold.go.set()
        assert titles(await reading)[1] == "Behind"
        assert titles(await other.get(FEED))[1] == "Behind"


@pytest.mark.parametrize("where", ["proposals", "before copies", "after copies", "after first"])
@pytest.mark.parametrize("scope", ["user", "global"])
async def test_what_was_read_before_an_invalidation_is_on_no_page_after_it(
    house: House, baker: Baker, where: str, scope: str
) -> None:
    """The database changed behind our back; the page of another merged the record meanwhile, in another shard."""
    await ada_follows_grace(house)
    await before(house, *users("bob"), *follows("bob", "grace"))
    async with open_bakers(house, config()) as (other,):
        await other.get(FEED)  # copies are in Redis now
    await house.timelines.drop(["ada"])
    hold = baker.hold(where)
    reading = asyncio.ensure_future(baker.get(FEED))
    await held(hold)
    await before(house, EditPost(post="post-0001", title="Behind"), RenameUser(user="grace", name="Admiral"))
    for user in ("ada", "grace") if scope == "user" else (None,):
        await house.read(Invalidate(scope="global" if user is None else "user", user=user))
    assert "Behind" in (await baker.get("/feed/bob")).text
    hold.go.set()
    assert titles(await reading)[1] == "Behind"
    await house.recorded("u-ada")
    again = await baker.get(FEED)
    assert titles(again)[1] == "Behind"
    assert "Admiral" in again.text
    assert titles(await baker.get("/feed/bob/feed.json"))[1] == "Behind"


@pytest.mark.parametrize(("format", "other"), [("", "/feed.json"), ("/feed.json", "/feed.atom"), ("/feed.atom", "")])
async def test_a_row_read_before_a_change_is_not_put_on_the_shelf_after_another_page_merged_its_record(
    house: House, baker: Baker, format: str, other: str
) -> None:
    await ada_follows_grace(house)
    async with open_bakers(house, config()) as (first,):
        await first.get(FEED)  # copies are in Redis now
    hold = baker.hold("after copies")
    reading = asyncio.ensure_future(baker.get(f"/feed/ada{format}"))
    await held(hold)
    await house.read(EditPost(post="post-0001", title="New"), RenameUser(user="grace", name="Admiral"))
    merged = await baker.get(f"/feed/ada{other}")  # its tail brings the records, once and for all of this shard
    hold.go.set()
    for answer in (merged, await reading, await baker.get(f"/author/grace{format}")):
        assert "New" in answer.text
        assert "Admiral" in answer.text
        assert "Title 1" not in answer.text


async def test_a_feed_with_an_old_name_does_not_leave_while_the_posts_of_a_renamed_author_are_looked_for(
    house: House, baker: Baker
) -> None:
    """Their tags are recorded in parts; the guard that comes with the first holds back what the last will drop."""
    await ada_follows_grace(house, posts=230)
    assert "Admiral" not in (await baker.get(FEED)).text
    parts = await house.fan_out(RenameUser(user="grace", name="Admiral"))
    assert not {f"post-{number:04}" for number in range(204, 230)} & set(parts[0].posts)
    await house.recorder.record(parts[:1])
    assert "Admiral" in (await baker.get(FEED)).text


async def test_a_page_in_a_shard_that_was_never_read_takes_no_row_that_changed(house: House, baker: Baker) -> None:
    names = [f"user-{number}" for number in range(8)]
    await ada_follows_grace(house)
    await before(house, *users(*names), *(follow for name in names for follow in follows(name, "grace")))
    await baker.get(FEED)
    for number, name in enumerate(names):
        await house.read(EditPost(post="post-0001", title=f"New {number}"))
        assert titles(await baker.get(f"/feed/{name}/feed.json"))[1] == f"New {number}"


async def test_posts_that_are_on_the_shelf_cost_no_second_trip(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    await before(house, *users("bob"), *follows("bob", "grace"))
    await baker.get(FEED)
    await baker.get("/feed/bob")  # from here on its shard's tail is known
    await baker.get("/feed/bob/feed.atom")  # and the copies of an active user are there
    await baker.get(FEED)
    await house.recorded("u-ada", "u-bob")
    await baker.get(FEED)
    baker.turnstile.passed.clear()
    assert len(titles(await baker.get("/feed/bob/feed.json"))) == 3
    assert "before copies" not in baker.turnstile.passed
