"""Fan-out: after each kind of change copies and timelines are as they should be, and whom it affects is reported."""

from collections.abc import Iterable, Sequence
from math import inf

import pytest

from feeds import copies, keys, packing
from feeds.affected import Affected
from feeds.change import Invalidated, PostPublished
from feeds.command import (
    Block,
    CreatePost,
    DeletePost,
    DeleteUser,
    EditPost,
    Follow,
    Invalidate,
    PublishPost,
    PutSettings,
    PutSite,
    PutUser,
    RenameUser,
    Unfollow,
    UnpublishPost,
)
from feeds.delivery import PART
from feeds.fanout import Fanout
from feeds.ids import shard_of
from feeds.latest import Latest
from feeds.model import Epoch, Post, PostState, Taste, User, UserState
from feeds.parts import chunks
from feeds.progress import now_ms
from feeds.timeline import Timelines
from tests.integration.house import LINGER_MS, House
from tests.integration.records import at

MINUTE = 60_000
USERS = ("ada", "bob", "eve", "zoe")


@pytest.fixture
async def house(house: House) -> House:
    """A house in which ada and eve follow bob, who has two posts, and all have been read: timelines exist."""
    await house.fan_out(
        *(PutUser(user=user, name=user.title()) for user in USERS),
        *(Follow(user=user, author="bob") for user in ("ada", "eve")),
        *(a_post(post, minute) for post, minute in (("p1", -20), ("p2", -10))),
    )
    await was_read(house, *USERS)
    return house


async def was_read(house: House, *users: str) -> None:
    """Let users be active and build their timelines and lists, as their first readers make bakers do."""
    for user in users:
        assert await house.activity.admit(user)
        sources = await house.truth.sources(user)
        await house.timelines.rebuild(sources, "newest", Taste({}, {}), Epoch(), ())
        await Latest(house.redis, house.record).read([sources.num])


def a_post(post: str, minute: int = -5, tags: Sequence[str] = (), title: str = "A title") -> CreatePost:
    """Return the command that creates a post by bob."""
    return CreatePost(post=post, author="bob", title=title, published=at(minute * MINUTE), tags=tuple(tags))


async def feed(house: House, user: str) -> list[str] | None:
    """Return the published posts that a user's timeline proposes; None where it is not there or dropped."""
    packed = await house.redis.hget(keys.base(user), user)
    assert packed is None or isinstance(packed, bytes)
    if packed is None or packing.read_timeline(packed).order is None:
        return None
    return await published(house, await house.timelines.members(user))


async def by_bob(house: House) -> list[str] | None:
    """Return the published posts in the list of bob's newest; None where there is none."""
    bob = (await house.record.users(["bob"]))["bob"].num
    posts = (await Latest(house.redis, house.record).kept([bob]))[bob]
    return None if posts.mark == inf else await published(house, posts.nums)


def fanout_of(house: House, *, own_posts: bool = True, linger_ms: int = LINGER_MS) -> Fanout:
    """Return fan-out as it is set otherwise."""
    timelines = Timelines(house.redis, house.record, own_posts=own_posts)
    return Fanout(house.redis, house.record, timelines, house.activity, own_posts=own_posts, linger_ms=linger_ms)


async def published(house: House, nums: Sequence[int]) -> list[str]:
    """Return those of the posts that are published, newest first, as the catalogue knows them."""
    entries = await house.truth.catalogue.get(nums)
    return [entry.post for entry in sorted(entries.values(), key=lambda e: e.key, reverse=True) if entry.live]


async def body(house: House, key: str) -> bytes | None:
    """Return the JSON of a copy, None where Redis has none."""
    value, generation = await house.redis.mget(key, keys.generation(keys.shard_in(key)))
    assert value is None or isinstance(value, bytes)
    assert generation is None or isinstance(generation, bytes)
    return copies.body_of(value) if value is not None and copies.counts(value, generation or b"0") else None


async def post_copy(house: House, post: str) -> Post | None:
    """Return a post as its copy has it."""
    found = await body(house, keys.post(post))
    return copies.read_post(found) if found else None


async def user_copy(house: House, user: str) -> User | None:
    """Return a user as their copy has them."""
    found = await body(house, keys.user(user))
    return copies.read_user(found) if found else None


async def follows_copy(house: House, user: str) -> set[str] | None:
    """Return whom a user follows as the copy of their sources has it."""
    value = await house.redis.get(keys.sources(user))
    assert value is None or isinstance(value, bytes)
    if value is None:
        return None
    authors = copies.read_sources(user, value).authors
    names = {known.num: known.id for known in (await house.record.users(USERS)).values()}
    return {names[author] for author in authors}


def named(parts: Iterable[Affected]) -> dict[str, list[str]]:
    """Return what parts name, by kind, each sorted; the change's own subject is not among it."""
    found: dict[str, set[str]] = {"users": set(), "posts": set(), "authors": set(), "guarded": set(), "topics": set()}
    for part in parts:
        found["users"].update(user for section in part.sections for user in section.split("\n"))
        for kind, names in found.items():
            names.update(getattr(part, kind))
    return {kind: sorted(names) for kind, names in found.items() if names}


def parts_are_whole(parts: Sequence[Affected]) -> bool:
    """Tell whether the parts of one change are numbered without a gap, and the last alone says so."""
    return (
        [part.part for part in parts] == list(range(len(parts)))
        and [part.parts for part in parts] == [None] * (len(parts) - 1) + [len(parts)]
        and [part.shared for part in parts] == [False] * (len(parts) - 1) + [True]
        and len({part.attempt for part in parts}) == 1
    )


async def test_a_published_post_is_in_the_timelines_and_its_readers_are_affected(house: House) -> None:
    parts = await house.fan_out(a_post("p3"))
    assert [await feed(house, user) for user in ("ada", "eve", "bob")] == [["p3", "p2", "p1"]] * 3
    assert await by_bob(house) == ["p3", "p2", "p1"]
    assert await feed(house, "zoe") == []
    assert await post_copy(house, "p3") == await house.record.post("p3")
    assert named(parts) == {"users": ["ada", "bob", "eve"]}
    assert parts_are_whole(parts)


async def test_without_own_posts_an_authors_feed_is_left_alone(house: House) -> None:
    house.fanout = fanout_of(house, own_posts=False)
    parts = await house.fan_out(a_post("p3"))
    assert await feed(house, "bob") == ["p2", "p1"]
    assert named(parts) == {"users": ["ada", "eve"]}


async def test_an_author_without_followers_is_affected_alone(house: House) -> None:
    parts = await house.fan_out(CreatePost(post="z1", author="zoe", title="Zoe's", published=at(-1)))
    assert named(parts) == {"users": ["zoe"]}
    assert await feed(house, "zoe") == ["z1"]


async def test_a_scheduled_post_affects_nobody(house: House) -> None:
    (outcome,) = await house.apply(
        CreatePost(post="p3", author="bob", title="Later", published="2999-01-01T00:00:00Z")  # type: ignore[arg-type]  # as JSON says it
    )
    assert outcome.change is None
    assert await feed(house, "ada") == ["p2", "p1"]


async def test_an_edited_post_has_a_new_copy_and_affects_no_user(house: House) -> None:
    parts = await house.fan_out(EditPost(post="p1", title="Two"))
    copy = await post_copy(house, "p1")
    assert copy is not None
    assert copy.title == "Two"
    assert named(parts) == {}
    assert parts_are_whole(parts)


async def test_a_post_that_moved_is_at_its_new_place_and_affects_its_readers(house: House) -> None:
    parts = await house.fan_out(EditPost(post="p1", published=at(-1 * MINUTE)))
    assert [await feed(house, user) for user in ("ada", "eve", "bob")] == [["p1", "p2"]] * 3
    assert named(parts) == {"users": ["ada", "bob", "eve"]}


async def test_an_unpublished_post_leaves_the_timelines_and_comes_back_when_published(house: House) -> None:
    parts = await house.fan_out(UnpublishPost(post="p1"))
    assert [await feed(house, user) for user in ("ada", "eve", "bob")] == [["p2"]] * 3
    assert named(parts) == {}
    value = await house.redis.get(keys.post("p1"))
    assert isinstance(value, bytes)
    assert not copies.is_live(value)
    await house.fan_out(PublishPost(post="p1"))
    assert await feed(house, "ada") == ["p2", "p1"]
    assert await by_bob(house) == ["p2", "p1"]


async def test_a_deleted_post_leaves_a_tombstone_and_all_feeds(house: House) -> None:
    await house.fan_out(DeletePost(post="p1"))
    copy = await post_copy(house, "p1")
    assert copy is not None
    assert (copy.state, copy.title) == (PostState.DELETED, "")
    assert [await feed(house, user) for user in ("ada", "eve", "bob")] == [["p2"]] * 3


async def test_a_publish_that_comes_after_its_own_deletion_changes_nothing(house: House) -> None:
    await house.fan_out(DeletePost(post="p1"))
    await house.fanout.handle("late", PostPublished("p1", "bob"))
    assert await feed(house, "ada") == ["p2"]


async def test_changes_of_one_post_in_any_order_end_at_the_truth(house: House) -> None:
    await house.apply(a_post("p3"), EditPost(post="p3", title="Two"), UnpublishPost(post="p3"))
    await house.apply(PublishPost(post="p3"), EditPost(post="p3", published=at(-15 * MINUTE)))
    rows = await house.record.outbox_take(100)
    for row in reversed(rows):
        await house.fanout.handle(row.id, PostPublished("p3", "bob"))
    assert await feed(house, "ada") == ["p2", "p3", "p1"]


async def test_who_mutes_the_author_is_not_affected_and_affected_again_when_they_do_not(house: House) -> None:
    await house.fan_out(PutSettings(user="ada", muted_authors=("bob",)))
    assert named(await house.fan_out(a_post("p3"))) == {"users": ["bob", "eve"]}
    await house.fan_out(PutSettings(user="ada", muted_authors=()))
    assert named(await house.fan_out(a_post("p4"))) == {"users": ["ada", "bob", "eve"]}


async def test_a_mute_drops_the_timeline_and_the_rebuilt_one_is_without_it(house: House) -> None:
    await house.fan_out(PutSettings(user="ada", muted_authors=("bob",)))
    assert await feed(house, "ada") is None
    copy = await user_copy(house, "ada")
    assert copy is not None
    assert copy.settings.muted_authors == ("bob",)
    await was_read(house, "ada")
    assert await feed(house, "ada") == []
    assert await feed(house, "eve") == ["p2", "p1"]


@pytest.mark.parametrize("follows", [True, False], ids=["follow", "unfollow"])
async def test_a_follow_or_unfollow_has_a_new_copy_and_drops_the_timeline(house: House, follows: bool) -> None:
    user = "zoe" if follows else "ada"
    parts = await house.fan_out((Follow if follows else Unfollow)(user=user, author="bob"))
    assert await follows_copy(house, user) == ({"bob"} if follows else set())
    assert await feed(house, user) is None
    assert parts_are_whole(parts)
    await was_read(house, user)
    assert await feed(house, user) == (["p2", "p1"] if follows else [])


async def test_a_block_ends_the_follows_of_both(house: House) -> None:
    await house.fan_out(Follow(user="bob", author="ada"))
    await was_read(house, "bob")
    await house.fan_out(Block(user="bob", blocked="ada"))
    assert [await follows_copy(house, user) for user in ("ada", "bob")] == [set(), set()]
    assert [await feed(house, user) for user in ("ada", "bob", "eve")] == [None, None, ["p2", "p1"]]


async def test_a_new_user_has_a_copy(house: House) -> None:
    parts = await house.fan_out(PutUser(user="max", name="Max"))
    copy = await user_copy(house, "max")
    assert copy is not None
    assert copy.name == "Max"
    assert parts_are_whole(parts)


async def test_a_renamed_author_has_a_new_copy_and_all_their_posts_are_affected(house: House) -> None:
    await house.fan_out(UnpublishPost(post="p2"))
    parts = await house.fan_out(RenameUser(user="bob", name="Robert"))
    copy = await user_copy(house, "bob")
    assert copy is not None
    assert copy.name == "Robert"
    assert named(parts) == {"posts": ["p1"], "authors": ["bob"]}
    assert parts_are_whole(parts)


async def test_a_deleted_user_is_erased_and_followed_by_nobody(house: House) -> None:
    await house.truth.sources("ada")
    parts = await house.fan_out(DeleteUser(user="bob"))
    copy = await user_copy(house, "bob")
    assert copy is not None
    assert (copy.state, copy.name) == (UserState.DELETED, "")
    found = [await post_copy(house, post) for post in ("p1", "p2")]
    assert [post and (post.state, post.title) for post in found] == [(PostState.DELETED, "")] * 2
    assert await follows_copy(house, "ada") is None
    assert (await house.truth.sources("ada")).authors == ()
    assert await follows_copy(house, "ada") == set()
    assert (await feed(house, "bob"), await by_bob(house)) == (None, None)
    assert not await house.redis.zscore(keys.active(shard_of("bob")), "bob")
    assert named(parts) == {"posts": ["p1", "p2"], "authors": ["bob"]}
    assert parts_are_whole(parts)


async def test_a_user_who_comes_back_begins_with_nothing(house: House) -> None:
    await house.fan_out(DeleteUser(user="bob"))
    await house.fan_out(PutUser(user="bob", name="Bob again"))
    copy = await user_copy(house, "bob")
    assert copy is not None
    assert (copy.state, copy.name) == (UserState.LIVE, "Bob again")
    await was_read(house, "bob")
    assert (await feed(house, "bob"), await by_bob(house)) == ([], [])


async def test_the_site_has_a_new_copy(house: House) -> None:
    parts = await house.fan_out(PutSite(title="News"))
    found = await body(house, keys.SITE)
    assert found is not None
    assert copies.read_site(found).title == "News"
    assert (named(parts), parts_are_whole(parts)) == ({}, True)


async def test_imported_users_are_affected_and_new_names_reach_their_posts(house: House) -> None:
    await house.truth.users(["ada"])
    await house.record.import_users([PutUser(user="bob", name="Robert"), PutUser(user="max", name="Max")])
    parts = await house.fan_out()
    assert await user_copy(house, "bob") is None
    assert await user_copy(house, "ada") is not None
    assert (await house.truth.users(["bob"]))["bob"].name == "Robert"
    assert named(parts) == {"users": ["bob", "max"], "posts": ["p1", "p2"], "authors": ["bob"]}
    assert parts_are_whole(parts)


async def test_imported_follows_have_new_copies_and_drop_the_followers_timelines(house: House) -> None:
    await house.truth.sources("zoe")
    await house.record.import_follows([Follow(user="zoe", author="bob"), Follow(user="ada", author="bob")])
    parts = await house.fan_out()
    assert (await follows_copy(house, "zoe"), await feed(house, "zoe")) == ({"bob"}, None)
    assert await feed(house, "ada") == ["p2", "p1"]
    assert named(parts) == {"users": ["zoe"]}
    await was_read(house, "zoe")
    assert (await follows_copy(house, "zoe"), await feed(house, "zoe")) == ({"bob"}, ["p2", "p1"])


async def test_imported_posts_drop_the_timelines_of_all_their_readers(house: House) -> None:
    await house.record.import_posts([a_post("p1", -20, title="Changed"), a_post("p3")])
    parts = await house.fan_out()
    assert [await feed(house, user) for user in ("ada", "eve", "bob", "zoe")] == [None, None, None, []]
    assert await by_bob(house) is None
    assert (await post_copy(house, "p1"), (await post_copy(house, "p2")) is None) == (None, False)
    assert named(parts) == {"users": ["ada", "bob", "eve"], "posts": ["p1"], "authors": ["bob"]}
    assert parts_are_whole(parts)
    await was_read(house, "ada", "bob")
    assert await feed(house, "ada") == await by_bob(house) == ["p3", "p2", "p1"]


async def test_an_import_creates_no_timeline(house: House) -> None:
    await house.activity.erase("ada")
    await house.record.import_posts([a_post("p3")])
    await house.record.import_follows([Follow(user="ada", author="zoe")])
    await house.fan_out()
    assert await house.redis.hexists(keys.base("ada"), "ada") is False


async def test_a_global_invalidation_drops_every_copy_and_every_timeline(house: House) -> None:
    parts = await house.fan_out(Invalidate(scope="global"))
    assert [await post_copy(house, post) for post in ("p1", "p2")] == [None, None]
    assert [await user_copy(house, user) for user in ("ada", "bob")] == [None, None]
    assert [await feed(house, user) for user in ("ada", "bob", "eve", "zoe")] == [None] * 4
    assert (named(parts), parts_are_whole(parts)) == ({}, True)


async def test_a_row_changed_behind_our_back_is_read_after_the_users_invalidation(house: House) -> None:
    house.by_hand("UPDATE posts SET title = 'By hand' WHERE id = 'p1'")
    await house.truth.posts(["p1"])
    copy = await post_copy(house, "p1")
    assert copy is not None
    assert copy.title == "A title", "its version is the same, so nobody knows"
    parts = await house.fan_out(Invalidate(scope="user", user="bob"))
    assert await post_copy(house, "p1") is None
    await house.truth.posts(["p1"])
    copy = await post_copy(house, "p1")
    assert copy is not None
    assert copy.title == "By hand"
    assert named(parts) == {"posts": ["p1", "p2"], "authors": ["bob"]}


@pytest.mark.parametrize(
    "statement",
    ["UPDATE posts SET state = 'unpublished' WHERE id = 'p1'", "DELETE FROM posts WHERE id = 'p1'"],
    ids=["hidden", "removed"],
)
async def test_a_post_that_left_behind_our_back_is_forgotten_with_its_author(house: House, statement: str) -> None:
    house.by_hand(statement)
    parts = await house.fan_out(Invalidate(scope="user", user="bob"))
    assert await post_copy(house, "p1") is None
    assert named(parts)["posts"] == ["p1", "p2"]


async def test_an_invalidated_users_feed_is_read_again_with_all_that_it_shows(house: House) -> None:
    await house.truth.sources("ada")
    parts = await house.fan_out(Invalidate(scope="user", user="ada"))
    assert (await user_copy(house, "ada"), await follows_copy(house, "ada"), await feed(house, "ada")) == (None,) * 3
    assert [await post_copy(house, post) for post in ("p1", "p2")] == [None, None]
    assert await user_copy(house, "bob") is None
    assert await feed(house, "eve") == ["p2", "p1"]
    assert named(parts) == {"guarded": ["p1", "p2"], "authors": ["bob"]}


async def test_an_invalidation_of_nobody_harms_nothing(house: House) -> None:
    parts = await house.fan_out(Invalidate(scope="user", user="nobody"))
    assert (named(parts), parts_are_whole(parts)) == ({}, True)
    assert await feed(house, "ada") == ["p2", "p1"]


async def test_a_change_handled_twice_reports_twice_under_two_attempts(house: House) -> None:
    for _ in range(2):
        await house.fanout.handle("c1", Invalidated(None))
    parts = await house.fan_out()
    assert len({part.attempt for part in parts}) == 2
    assert [part.change_id for part in parts] == ["c1", "c1"]


async def test_more_followers_than_one_part_takes_are_reported_in_several(
    house: House,
) -> None:
    fans = [f"fan{number}" for number in range(100)]
    await house.record.import_users([PutUser(user=fan, name="A fan") for fan in fans])
    await house.record.import_follows([Follow(user=fan, author="zoe") for fan in fans])
    await house.fan_out()
    await house.record.activate(fans, now_ms())
    parts = await house.fan_out(CreatePost(post="z1", author="zoe", title="Zoe's", published=at(-1)))
    sections = [len(part.sections) for part in parts]
    assert len(sections) > 1
    assert max(sections) == PART
    assert named(parts) == {"users": sorted([*fans, "zoe"])}
    assert parts_are_whole(parts)


def test_chunks_leave_nothing_out() -> None:
    assert list(chunks(map(str, range(5)), 2)) == [["0", "1"], ["2", "3"], ["4"]]
    assert list(chunks([], 2)) == []
