"""What feeds draw from, who draws from a source, and a source's newest posts."""

import pytest

from feeds.command import (
    Block,
    CreatePost,
    DeleteUser,
    EditPost,
    FollowTag,
    PutSettings,
    PutUser,
    Unblock,
    UnfollowTag,
    UnpublishPost,
)
from feeds.model import TAG, Entry, Sources
from feeds.record import Record
from tests.integration.records import NOW, a_post, number, tag_number, with_follows, with_users


@pytest.fixture(autouse=True)
async def people(record: Record) -> None:
    """Ada follows bob and eve, and so does bob eve."""
    await with_users(record, "ada", "bob", "eve", "zoe")
    await with_follows(record, "ada", "bob", "eve")
    await with_follows(record, "bob", "eve")


async def test_numbers_are_given_once_and_are_never_zero(record: Record) -> None:
    nums = [await number(record, user) for user in ("ada", "bob", "eve", "zoe")]
    assert nums == [1, 2, 3, 4]
    await record.apply([DeleteUser(user="zoe"), PutUser(user="new", name="N"), PutUser(user="zoe", name="Z")])
    assert await number(record, "zoe") == 4
    assert await number(record, "new") == 5


async def test_a_post_knows_its_number_its_authors_and_its_tags(record: Record) -> None:
    await record.apply([CreatePost(post="e-1", author="eve", tags=("dogs", "cats")), a_post("e-2", "eve")])
    await record.apply([EditPost(post="e-2", tags=("cats",), title="New")])
    posts = await record.posts(["e-1", "e-2"])
    assert [post.num for post in posts.values()] == [1, 2]
    assert posts["e-1"].author_num == await number(record, "eve")
    dogs, cats = posts["e-1"].tag_nums
    assert posts["e-2"].tag_nums == (cats,)
    assert {dogs, cats} == {TAG | 1, TAG | 2}
    assert await record.posts_by_num([1, 2, 99]) == {1: posts["e-1"], 2: posts["e-2"]}


async def test_sources_are_numbers_of_what_a_user_follows_mutes_and_blocks(record: Record) -> None:
    await record.apply([FollowTag(user="ada", tag="Dogs"), Block(user="zoe", blocked="ada")])
    settings = PutSettings(user="ada", muted_authors=("eve", "never-there"), muted_tags=("cats",))
    await record.apply([settings])
    dogs, cats = await tag_number(record, "dogs"), await tag_number(record, "cats")
    found = await record.sources("ada")
    assert found == Sources("ada", 1, (2, 3), (dogs,), (3,), (cats,), (4,), found.version, ("bob", "eve", "dogs"))
    assert (await record.sources("zoe")).blocked == (1,)
    assert await record.sources("who") == Sources("who", 0, (), (), (), (), (), 0)


async def test_the_version_of_sources_rises_with_each_thing_that_they_hold(record: Record) -> None:
    versions = [(await record.sources("ada")).version]
    for command in (
        FollowTag(user="ada", tag="dogs"),
        UnfollowTag(user="ada", tag="dogs"),
        Block(user="zoe", blocked="ada"),
        Unblock(user="zoe", blocked="ada"),
        PutSettings(user="ada", muted_tags=("cats",)),
        DeleteUser(user="eve"),
        PutUser(user="eve", name="Back"),
        Block(user="eve", blocked="ada"),
        DeleteUser(user="eve"),
    ):
        await record.apply([command])
        versions.append((await record.sources("ada")).version)
    assert versions[7] == versions[6]  # a user's return changes nobody else
    assert len(set(versions)) == 9
    assert versions == sorted(versions)


async def test_a_user_who_is_deleted_draws_from_nothing(record: Record) -> None:
    await record.apply([FollowTag(user="ada", tag="dogs"), Block(user="ada", blocked="zoe"), DeleteUser(user="ada")])
    found = await record.sources("ada")
    assert found == Sources("ada", 1, (), (), (), (), (), found.version)


async def test_sources_of_many_are_read_at_once(record: Record) -> None:
    found = await record.sources_of(["ada", "bob", "who"])
    assert found == {user: await record.sources(user) for user in ("ada", "bob", "who")}
    assert await record.sources_of([]) == {}


async def test_followers_are_sorted_by_bytes_and_come_in_pages(record: Record) -> None:
    users = ["u-b", "u_b", "ub", "u1"]
    await with_users(record, *users)
    for user in users:
        await with_follows(record, user, "zoe")
    zoe = await number(record, "zoe")
    assert await record.followers(zoe) == sorted(users)
    assert await record.followers(zoe, limit=2) == sorted(users)[:2]
    assert await record.followers(zoe, after=sorted(users)[1], limit=2) == sorted(users)[2:]


async def test_followers_who_mute_the_author_are_left_out_but_not_those_who_mute_a_tag(record: Record) -> None:
    eve = await number(record, "eve")
    assert await record.followers(eve) == ["ada", "bob"]
    await record.apply([PutSettings(user="ada", muted_tags=("eve",)), PutSettings(user="bob", muted_authors=("eve",))])
    assert await record.followers(eve) == ["ada"]


async def test_a_tag_has_followers_too(record: Record) -> None:
    tags = [FollowTag(user=user, tag="dogs") for user in ("ada", "bob", "zoe")]
    await record.apply([*tags, PutSettings(user="bob", muted_tags=("dogs",)), UnfollowTag(user="zoe", tag="dogs")])
    assert await record.followers(await tag_number(record, "dogs")) == ["ada"]


async def test_a_deleted_follower_is_none(record: Record) -> None:
    await record.apply([FollowTag(user="bob", tag="dogs"), DeleteUser(user="bob")])
    assert await record.followers(await number(record, "eve")) == ["ada"]
    assert await record.followers(await tag_number(record, "dogs")) == []


async def test_active_followers_are_those_active_since(record: Record) -> None:
    eve = await number(record, "eve")
    await record.activate(["ada"], NOW)
    await record.activate(["bob"], NOW - 10_000_000)
    assert await record.followers(eve, active_since_ms=NOW) == ["ada"]
    assert await record.followers(eve, active_since_ms=NOW - 10_000_000) == ["ada", "bob"]


async def test_followers_among_users_are_found_by_author_and_by_tag(record: Record) -> None:
    await record.apply([FollowTag(user="zoe", tag="dogs"), PutSettings(user="bob", muted_authors=("eve",))])
    nums = [await number(record, "eve"), await tag_number(record, "dogs")]
    assert await record.followers_among(nums, ["ada", "bob", "zoe", "who"]) == ["ada", "zoe"]
    assert await record.followers_among(nums, ["bob"]) == []
    assert await record.followers_among([], ["ada"]) == []


async def test_followers_of_many_sources_are_named_once(record: Record) -> None:
    await record.apply([PutSettings(user="bob", muted_authors=("eve",)), FollowTag(user="zoe", tag="dogs")])
    nums = [await number(record, "eve"), await number(record, "bob"), await tag_number(record, "dogs")]
    assert await record.followers_of_sources(nums) == ["ada", "bob", "zoe"]
    assert await record.followers_of_sources([]) == []


async def test_an_authors_posts_come_newest_first_below_a_place(record: Record) -> None:
    await record.apply([a_post(f"e-{n}", "eve", ms=-n) for n in range(5)] + [a_post("b-1", "bob")])
    eve = await number(record, "eve")
    first = await record.latest(eve, before=None, limit=2)
    assert first == [
        Entry(1, "e-0", eve, NOW, 0, 0, 0, (), live=True, version=1),
        Entry(2, "e-1", eve, NOW - 1, 0, 0, 0, (), live=True, version=1),
    ]
    rest = await record.latest(eve, before=first[-1].key, limit=10)
    assert [entry.post for entry in rest] == ["e-2", "e-3", "e-4"]


async def test_a_tags_posts_are_those_published_with_it(record: Record) -> None:
    tagged = [a_post(f"e-{n}", "eve", ms=-n).model_copy(update={"tags": ("dogs", "cats")}) for n in range(5)]
    await record.apply([*tagged, a_post("b-1", "bob"), CreatePost(post="d", author="eve", draft=True, tags=("dogs",))])
    await record.apply([UnpublishPost(post="e-1"), EditPost(post="e-2", tags=("cats",)), EditPost(post="e-3", likes=1)])
    await record.apply([DeleteUser(user="bob")])
    dogs = await record.latest(await tag_number(record, "dogs"), before=None, limit=10)
    cats = await record.latest(await tag_number(record, "cats"), before=None, limit=10)
    assert [entry.post for entry in dogs] == ["e-0", "e-3", "e-4"]
    assert [entry.post for entry in cats] == ["e-0", "e-2", "e-3", "e-4"]
    assert dogs[1].likes == 1


async def test_a_post_that_moves_in_time_moves_under_its_tags(record: Record) -> None:
    tagged = [a_post(f"e-{n}", "eve", ms=-10 - n).model_copy(update={"tags": ("dogs",)}) for n in range(2)]
    await record.apply(tagged)
    await record.apply([EditPost(post="e-1", published=a_post("x", ms=-5).published)])
    found = await record.latest(await tag_number(record, "dogs"), before=None, limit=10)
    assert [(entry.post, entry.published_ms) for entry in found] == [("e-1", NOW - 5), ("e-0", NOW - 10)]


async def test_a_sweep_finds_published_posts_by_number(record: Record) -> None:
    await record.apply([a_post(f"e-{n}", "eve", ms=-n * 1000) for n in range(5)])
    await record.apply([UnpublishPost(post="e-1")])
    found = await record.entries(since_ms=NOW - 3000, after=0, limit=2)
    assert [entry.post for entry in found] == ["e-0", "e-2"]
    rest = await record.entries(since_ms=NOW - 3000, after=found[-1].num, limit=2)
    assert [entry.post for entry in rest] == ["e-3"]


async def test_ids_of_an_authors_posts_come_in_pages(record: Record) -> None:
    await record.apply([a_post(f"e-{n}", "eve") for n in range(5)] + [CreatePost(post="e-9", author="eve", draft=True)])
    assert await record.post_ids("eve", limit=2) == ["e-0", "e-1"]
    assert await record.post_ids("eve", after="e-1") == ["e-2", "e-3", "e-4"]
    assert await record.post_ids("eve", after="e-3", hidden=True) == ["e-4", "e-9"]
    assert await record.post_ids("who") == []


async def test_the_users_worth_reading_follow_most_authors_with_posts(record: Record) -> None:
    await record.apply([a_post("b-1", "bob"), a_post("e-1", "eve")])
    assert await record.some_users(5) == ["ada", "bob"]
    assert await record.some_users(1) == ["ada"]


async def test_users_are_listed_all_or_active(record: Record) -> None:
    await record.apply([DeleteUser(user="bob")])
    assert await record.all_users() == ["ada", "eve", "zoe"]
    assert await record.all_users(after="ada", limit=1) == ["eve"]
    await record.activate(["zoe", "ada", "bob", "who"], NOW)
    assert await record.active_users(since_ms=NOW) == ["ada", "zoe"]
    assert await record.active_users(since_ms=NOW, after="ada") == ["zoe"]
    assert await record.active_users(since_ms=NOW + 1) == []


async def test_an_activity_is_written_once_an_hour(record: Record) -> None:
    await record.activate(["ada"], NOW)
    await record.activate(["ada"], NOW + 3_599_999)
    assert await record.active_users(since_ms=NOW + 1) == []
    await record.activate(["ada"], NOW + 3_600_000)
    assert await record.active_users(since_ms=NOW + 1) == ["ada"]
    await record.activate(["ada"], NOW)
    assert await record.active_users(since_ms=NOW + 1) == ["ada"]


async def test_everybody_is_made_active_but_those_who_are(record: Record) -> None:
    await record.activate(["ada"], NOW)
    assert await record.activate_all(NOW + 1) == 3
    assert await record.active_users(since_ms=NOW + 1) == ["bob", "eve", "zoe"]
    await record.apply([DeleteUser(user="zoe")])
    assert await record.active_users(since_ms=NOW) == ["ada", "bob", "eve"]
