"""Fan-out and the pull line: who is over it is not pushed, and crossing it loses nothing; guests are told; scores."""

from collections.abc import AsyncIterator, Sequence

import pytest

from feeds import copies, keys, packing, scripts
from feeds.affected import Affected
from feeds.change import PostScored, SourceCrossed
from feeds.command import CreatePost, EditPost, Follow, FollowTag, PutUser, React, Reaction, Unfollow, UnfollowTag
from feeds.fanout import Fanout
from feeds.model import Epoch, Taste
from feeds.record import Record
from tests.integration.house import House
from tests.integration.records import at

LINE = 3
FANS = ("ada", "eve", "max")


@pytest.fixture
async def house(house: House) -> AsyncIterator[House]:
    """A house where three followers make a source pulled. Nobody follows bob yet; ada, eve and max are active."""
    record = await Record.open(f"sqlite:///{house.file}", pull_followers=LINE, rescore=0.5)
    opened = House(house.redis, record, house.file)
    await opened.fan_out(*(PutUser(user=user, name=user.title()) for user in ("bob", "zoe", *FANS)))
    for user in FANS:
        await opened.activity.seen(user)
    yield opened
    await record.close()


def crossing(house: House, *, linger_ms: int = 0) -> House:
    """Return the house with a fan-out for which answers live so long."""
    house.fanout = Fanout(house.redis, house.record, house.timelines, house.activity, linger_ms=linger_ms)
    return house


async def rise(house: House, *, linger_ms: int = 0) -> list[Affected]:
    """Let all fans follow bob, and bob be pulled alone as soon as the record may; return what was reported."""
    await crossing(house, linger_ms=linger_ms).fan_out(*(Follow(user=fan, author="bob") for fan in FANS))
    await house.record.cross_due(2**50, 0)
    return await house.fan_out()


async def published(house: House, post: str, tags: Sequence[str] = ()) -> list[Affected]:
    """Let bob publish a post; return what was reported."""
    return await house.fan_out(CreatePost(post=post, author="bob", title=post, published=at(-1), tags=tuple(tags)))


def users(parts: Sequence[Affected]) -> list[str]:
    """Return the users that parts name."""
    named = {user for part in parts for user in part.users}
    return sorted(named | {user for part in parts for section in part.sections for user in section.split("\n")})


async def pushed(house: House, post: str) -> list[str]:
    """Return to which of the fans a post was pushed since their base was made."""
    num = (await house.record.posts([post]))[post].num
    reads: list[scripts.Command] = [("LRANGE", keys.fresh(fan), 0, -1) for fan in FANS]
    found = await scripts.execute(house.redis, reads)
    return [fan for fan, fresh in zip(FANS, found, strict=True) if num in packing.read_fresh(fresh)]


async def in_bases(house: House, post: str) -> list[str]:
    """Return the fans whose rebuilt base has a post. Bakes merge what the copy says is pulled."""
    num = (await house.record.posts([post]))[post].num
    found = []
    for fan in FANS:
        merged = await house.truth.pulled()
        sources = await house.truth.sources(fan)
        timeline = await house.timelines.rebuild(sources, "newest", Taste({}, {}), Epoch(), list(merged))
        found += [fan] if num in timeline.nums else []
    return found


async def test_a_source_that_rises_is_pushed_and_merged_until_old_answers_are_gone(house: House) -> None:
    await crossing(house, linger_ms=1_000_000).fan_out(*(Follow(user=fan, author="bob") for fan in FANS))
    bob = (await house.record.users(["bob"]))["bob"].num
    assert await house.truth.pulled() == {bob: ("bob", "rising")}
    parts = await published(house, "p1")
    assert (users(parts), parts[-1].overflow) == (sorted(["bob", *FANS]), False)
    assert await pushed(house, "p1") == list(FANS)


async def test_a_source_over_the_line_writes_no_timeline_and_names_no_follower(house: House) -> None:
    await rise(house)
    parts = await published(house, "p1")
    assert (users(parts), parts[-1].overflow) == (["bob"], True)
    assert await pushed(house, "p1") == []
    assert await in_bases(house, "p1") == []


async def test_what_bakes_have_not_known_for_long_enough_is_pushed_though_the_record_says_pull(house: House) -> None:
    """Fan-out was away when it rose: answers from before may still be at an edge without the source's tag."""
    await rise(house, linger_ms=1_000_000)
    bob = (await house.record.users(["bob"]))["bob"].num
    assert await house.truth.pulled() == {bob: ("bob", "pull")}
    parts = await published(house, "p1")
    assert users(parts) == sorted(["bob", *FANS])
    assert await pushed(house, "p1") == list(FANS)


async def test_a_source_that_falls_is_in_every_timeline_before_bakes_cease_to_merge_it(house: House) -> None:
    await rise(house)
    await published(house, "p1")
    assert await in_bases(house, "p1") == []
    await house.fan_out(Unfollow(user="max", author="bob"))
    await house.fan_out()
    assert await house.truth.pulled() == {}
    assert await in_bases(house, "p1") == ["ada", "eve"]
    parts = await published(house, "p2")
    assert (users(parts), parts[-1].overflow) == (["ada", "bob", "eve"], False)
    assert await pushed(house, "p2") == ["ada", "eve"]


async def test_a_rebuild_under_way_when_a_source_falls_leaves_no_gap(house: House) -> None:
    """Its caller merges the source still and leaves it out; its log number is of before the drop, so it is refused."""
    await rise(house)
    await published(house, "p1")
    merged = list(await house.truth.pulled())
    sources = await house.truth.sources("ada")
    await house.fan_out(Unfollow(user="max", author="bob"))
    timeline = await house.timelines.rebuild(sources, "newest", Taste({}, {}), Epoch(), merged)
    num = (await house.record.posts(["p1"]))["p1"].num
    assert num in timeline.nums, "what it leaves out is what is not pushed now, not what its caller merges"


async def test_a_pulled_tag_is_named_and_others_are_pushed(house: House) -> None:
    await crossing(house).fan_out(*(FollowTag(user=fan, tag="cats") for fan in FANS), Follow(user="ada", author="bob"))
    await house.record.cross_due(2**50, 0)
    await house.fan_out()
    parts = await published(house, "p1", tags=["cats"])
    assert (users(parts), parts[-1].topics, parts[-1].overflow) == (["ada", "bob"], ("cats",), True)
    assert await pushed(house, "p1") == ["ada"]
    await house.fan_out(UnfollowTag(user="max", tag="cats"))
    await house.fan_out()
    parts = await published(house, "p2", tags=["cats"])
    assert (users(parts), parts[-1].topics, parts[-1].overflow) == (["ada", "bob", "eve"], ("cats",), False)


async def test_guests_are_told_of_posts_by_whom_they_follow(house: House) -> None:
    await house.fan_out(Follow(user="zoe", author="bob"), PutUser(user="ann", name="Ann"))
    for guest in ("zoe", "ann"):
        assert not await house.activity_of(per_hour=0).admit(guest)
    assert users(await published(house, "p1")) == ["bob", "zoe"]
    assert users(await house.fan_out(EditPost(post="p1", published=at(-2)))) == ["bob", "zoe"]
    assert not await house.redis.exists(keys.fresh("zoe"))


async def test_each_part_of_a_publish_or_a_move_says_of_which_sources_its_users_are_readers(house: House) -> None:
    await house.fan_out(FollowTag(user="ada", tag="cats"), Follow(user="zoe", author="bob"))
    assert not await house.activity_of(per_hour=0).admit("zoe")
    parts = await published(house, "p1", tags=["cats", "dogs"])
    (post,) = (await house.record.posts(["p1"])).values()
    sources = (post.author_num, *post.tag_nums)
    assert {(part.sources, part.topics) for part in parts} == {(sources, ("cats", "dogs"))}
    assert len(parts) > 1  # the guest's is one of its own
    parts = await house.fan_out(EditPost(post="p1", tags=("cats",)))
    assert {(part.sources, part.topics) for part in parts} == {(sources[:2], ("cats",))}
    parts = await house.fan_out(EditPost(post="p1", title="New"), Follow(user="eve", author="bob"))
    assert {(part.sources, part.topics, users([part]) != []) for part in parts} == {((), (), False)}


async def test_a_post_with_a_followed_tag_reaches_its_readers_once(house: House) -> None:
    await house.fan_out(FollowTag(user="ada", tag="cats"), Follow(user="ada", author="bob"))
    parts = await published(house, "p1", tags=["cats", "dogs"])
    assert users(parts) == ["ada", "bob"]
    assert await pushed(house, "p1") == ["ada"]
    assert len(await house.timelines.members("ada")) == 1


async def test_a_post_that_is_scored_anew_has_a_new_copy_and_entry_and_is_guarded(house: House) -> None:
    await published(house, "p1")
    parts = await house.fan_out(React(post="p1", reactions=(Reaction(kind="like", by="ada"),)))
    assert isinstance(parts[-1].change, PostScored)
    assert ([part.guarded for part in parts], users(parts)) == ([("p1",)], [])
    post = (await house.record.posts(["p1"]))["p1"]
    assert (await house.truth.catalogue.kept([post.num]))[post.num].likes == 1
    value = await house.redis.get(keys.post("p1"))
    assert isinstance(value, bytes)
    assert copies.read_post(copies.body_of(value)).likes == 1
    assert await pushed(house, "p1") == []


async def test_a_crossing_that_comes_again_and_late_ends_at_the_truth(house: House) -> None:
    await rise(house)
    bob = (await house.record.users(["bob"]))["bob"].num
    for state in ("falling", "rising", "push", "pull"):
        await house.fanout.handle("late", SourceCrossed(bob, "bob", is_tag=False, state=state))
    assert await house.truth.pulled() == {bob: ("bob", "pull")}
    assert users(await published(house, "p1")) == ["bob"]
