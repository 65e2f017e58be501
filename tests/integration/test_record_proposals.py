"""The posts that the system of record proposes for feeds."""

import random

import pytest

from feeds.command import (
    Block,
    CreatePost,
    DeletePost,
    DeleteUser,
    EditPost,
    FollowTag,
    PutSettings,
    UnpublishPost,
)
from feeds.model import TAG, Entry, OrderKey
from feeds.record import Record
from tests.integration.records import NOW, a_post, at, number, tag_number, with_follows, with_users


@pytest.fixture(autouse=True)
async def people(record: Record) -> None:
    """Ada follows bob and eve, and so does bob eve."""
    await with_users(record, "ada", "bob", "eve", "zoe")
    await with_follows(record, "ada", "bob", "eve")
    await with_follows(record, "bob", "eve")


async def ids(record: Record, user: str = "ada", *, own: bool = True, without: tuple[int, ...] = ()) -> list[str]:
    """Return the ids of the posts that are proposed for a user's feed."""
    return [entry.post for entry in await record.proposals(user, before=None, limit=100, own=own, without=without)]


def tagged(post: str, author: str, *tags: str, ms: int = -1000) -> CreatePost:
    """Return the command that creates a post with tags."""
    return a_post(post, author, ms=ms).model_copy(update={"tags": tags})


async def test_posts_of_followed_authors_are_proposed_newest_first(record: Record) -> None:
    await record.apply([a_post("b-1", "bob", ms=-30), tagged("e-1", "eve", "dogs", ms=-10), a_post("z-1", "zoe")])
    found = await record.proposals("ada", before=None, limit=10, own=False)
    bob, eve = await number(record, "bob"), await number(record, "eve")
    assert found == [
        Entry(2, "e-1", eve, NOW - 10, 0, 0, 0, (TAG | 1,), live=True, version=1),
        Entry(1, "b-1", bob, NOW - 30, 0, 0, 0, (), live=True, version=1),
    ]


async def test_own_posts_are_proposed_if_asked_for(record: Record) -> None:
    await record.apply([a_post("a-1", "ada", ms=-30), a_post("e-1", "eve", ms=-10)])
    assert await ids(record, own=True) == ["e-1", "a-1"]
    assert await ids(record, own=False) == ["e-1"]
    assert await ids(record, "zoe") == []
    assert await ids(record, "who") == []


async def test_posts_with_a_followed_tag_are_proposed_once_whoever_wrote_them(record: Record) -> None:
    await record.apply([FollowTag(user="ada", tag="dogs"), FollowTag(user="ada", tag="cats")])
    await record.apply([tagged("z-1", "zoe", "cats", "dogs", ms=-1), tagged("e-1", "eve", "dogs", ms=-2)])
    await record.apply([tagged("z-2", "zoe", "birds"), tagged("a-1", "ada", "cats", ms=-3)])
    assert await ids(record) == ["z-1", "e-1", "a-1"]
    assert await ids(record, own=False) == ["z-1", "e-1", "a-1"]
    assert await ids(record, "bob") == ["e-1"]


async def test_sources_that_are_left_out_are_not_drawn_from(record: Record) -> None:
    await record.apply([FollowTag(user="ada", tag="dogs"), a_post("b-1", "bob", ms=-1)])
    await record.apply([tagged("e-1", "eve", "dogs", ms=-2), a_post("e-2", "eve", ms=-3), tagged("z-1", "zoe", "dogs")])
    eve, dogs = await number(record, "eve"), await tag_number(record, "dogs")
    assert await ids(record, without=(eve,)) == ["b-1", "e-1", "z-1"]
    assert await ids(record, without=(dogs,)) == ["b-1", "e-1", "e-2"]
    assert await ids(record, without=(eve, dogs)) == ["b-1"]


async def test_posts_of_one_time_are_ordered_by_the_bytes_of_their_ids(record: Record) -> None:
    mixed = ["a-b", "a_b", "ab", "a1", "a-1", "b", "a", *(f"c{n}" for n in range(30))]
    await record.apply([a_post(post, "eve") for post in mixed])
    assert await ids(record) == sorted(mixed, reverse=True)
    first = await record.proposals("ada", before=None, limit=20, own=False)
    assert [entry.post for entry in first] == sorted(mixed, reverse=True)[:20]


async def test_pages_below_a_place_have_every_post_once(record: Record) -> None:
    await record.apply([FollowTag(user="ada", tag="dogs")])
    await record.apply([tagged(f"e-{n}", "eve", "dogs", ms=-(n // 3) * 10) for n in range(20)])
    seen: list[str] = []
    before: OrderKey | None = None
    while page := await record.proposals("ada", before=before, limit=4, own=True):
        seen += [entry.post for entry in page]
        before = page[-1].key
    assert seen == await ids(record)
    assert len(seen) == 20


@pytest.mark.parametrize("limit", [1, 7, 8, 9, 40, 500])
async def test_the_newest_are_found_however_unevenly_authors_write(record: Record, limit: int) -> None:
    chance = random.Random(limit)  # a mix, not a secret
    authors = [f"u{n}" for n in range(12)]
    await with_users(record, *authors)
    await with_follows(record, "zoe", *authors)
    await record.apply([FollowTag(user="zoe", tag="t1"), FollowTag(user="zoe", tag="t2")])
    posts = [
        tagged(
            f"p{n}",
            chance.choice([*authors[: 1 + n % 12], "eve"]),
            *chance.sample(["t1", "t2", "t3"], n % 3),
            ms=-chance.randrange(100),
        )
        for n in range(300)
    ]
    await record.apply(posts)
    written = (await record.posts([str(post.post) for post in posts])).values()
    wanted = [post for post in written if post.author in authors or {"t1", "t2"} & set(post.tags)]
    found = await record.proposals("zoe", before=None, limit=limit, own=True)
    assert found == [post.entry for post in sorted(wanted, key=lambda post: post.key, reverse=True)[:limit]]


@pytest.mark.parametrize(
    "hide",
    [
        CreatePost(post="d", author="eve", draft=True, tags=("dogs",)),
        tagged("d", "eve", "dogs", ms=1000),
        UnpublishPost(post="e-1"),
        DeletePost(post="e-1"),
        EditPost(post="e-1", published=at(1000)),
        DeleteUser(user="eve"),
    ],
)
async def test_only_published_posts_are_proposed(
    record: Record, hide: CreatePost | UnpublishPost | DeletePost | EditPost | DeleteUser
) -> None:
    await record.apply([FollowTag(user="ada", tag="dogs")])
    await record.apply([tagged("e-1", "eve", "dogs"), a_post("b-1", "bob"), hide])
    assert await ids(record) == (["e-1", "b-1"] if isinstance(hide, CreatePost) else ["b-1"])


async def test_muted_authors_and_tags_are_left_out(record: Record) -> None:
    await record.apply([a_post("b-1", "bob", ms=-20), tagged("b-2", "bob", "cats", "dogs", ms=-10)])
    await record.apply([tagged("e-1", "eve", "cats", ms=-30)])
    await record.apply([PutSettings(user="ada", muted_tags=("dogs",))])
    assert await ids(record) == ["b-1", "e-1"]
    await record.apply([PutSettings(user="ada", muted_authors=("bob",)), FollowTag(user="ada", tag="cats")])
    assert await ids(record) == ["e-1"]
    await record.apply([PutSettings(user="ada", muted_tags=("cats",))])
    assert await ids(record) == ["b-1"]
    await record.apply([PutSettings(user="ada")])
    assert await ids(record) == ["b-2", "b-1", "e-1"]


@pytest.mark.parametrize(("user", "blocked"), [("ada", "zoe"), ("zoe", "ada")])
async def test_a_tag_brings_nothing_by_whom_one_blocks_or_is_blocked_by(
    record: Record, user: str, blocked: str
) -> None:
    await record.apply([FollowTag(user="ada", tag="dogs"), tagged("z-1", "zoe", "dogs"), tagged("a-1", "ada", "dogs")])
    assert await ids(record) == ["z-1", "a-1"]
    await record.apply([Block(user=user, blocked=blocked)])
    assert await ids(record) == ["a-1"]


async def test_a_post_whose_tags_were_edited_is_drawn_and_muted_by_those_it_has(record: Record) -> None:
    await record.apply([tagged("b-1", "bob", "cats"), FollowTag(user="zoe", tag="cats")])
    await record.apply([PutSettings(user="ada", muted_tags=("dogs",)), EditPost(post="b-1", tags=("dogs",))])
    assert await ids(record) == []
    assert await ids(record, "zoe") == []
    await record.apply([EditPost(post="b-1", tags=("cats",))])
    assert await ids(record) == ["b-1"]
    assert await ids(record, "zoe") == ["b-1"]
