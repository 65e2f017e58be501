"""What feeds draw from: followers, candidates, an author's posts."""

import pytest

from feeds.command import CreatePost, DeletePost, DeleteUser, EditPost, PutSettings, UnpublishPost
from feeds.model import Candidate, OrderKey
from feeds.record import Record
from tests.integration.records import NOW, a_post, at, with_follows, with_users


@pytest.fixture(autouse=True)
async def people(record: Record) -> None:
    """Ada follows bob and eve, and so does bob eve."""
    await with_users(record, "ada", "bob", "eve", "zoe")
    await with_follows(record, "ada", "bob", "eve")
    await with_follows(record, "bob", "eve")


async def ids(record: Record, user: str = "ada", *, own: bool = True) -> list[str]:
    """Return the ids of the posts that a user's feed proposes."""
    return [candidate.post for candidate in await record.candidates(user, before=None, limit=100, own=own)]


async def test_candidates_are_the_posts_of_followed_authors_newest_first(record: Record) -> None:
    await record.apply([a_post("b-1", "bob", ms=-30), a_post("e-1", "eve", ms=-10), a_post("z-1", "zoe", ms=-20)])
    found = await record.candidates("ada", before=None, limit=10, own=False)
    assert found == [Candidate(NOW - 10, "e-1", "eve"), Candidate(NOW - 30, "b-1", "bob")]


async def test_own_posts_are_candidates_if_asked_for(record: Record) -> None:
    await record.apply([a_post("a-1", "ada", ms=-30), a_post("e-1", "eve", ms=-10)])
    assert await ids(record, own=True) == ["e-1", "a-1"]
    assert await ids(record, own=False) == ["e-1"]
    assert await ids(record, "zoe") == []


async def test_posts_of_one_time_are_ordered_by_the_bytes_of_their_ids(record: Record) -> None:
    mixed = ["a-b", "a_b", "ab", "a1", "a-1", "b", "a"]
    await record.apply([a_post(post, "eve") for post in mixed])
    assert await ids(record) == sorted(mixed, reverse=True)


async def test_pages_below_a_place_have_every_post_once(record: Record) -> None:
    await record.apply([a_post(f"e-{n}", "eve", ms=-(n // 3) * 10) for n in range(20)])
    seen: list[str] = []
    before: OrderKey | None = None
    while page := await record.candidates("ada", before=before, limit=4, own=True):
        seen += [candidate.post for candidate in page]
        before = page[-1].key
    assert seen == await ids(record)
    assert len(seen) == 20


@pytest.mark.parametrize(
    "hide",
    [
        CreatePost(post="d", author="eve", draft=True),
        a_post("d", "eve", ms=1000),
        UnpublishPost(post="e-1"),
        DeletePost(post="e-1"),
        EditPost(post="e-1", published=at(1000)),
        DeleteUser(user="eve"),
    ],
)
async def test_only_published_posts_are_candidates(
    record: Record, hide: CreatePost | UnpublishPost | DeletePost | EditPost | DeleteUser
) -> None:
    await record.apply([a_post("e-1", "eve"), a_post("b-1", "bob"), hide])
    assert await ids(record) == (["e-1", "b-1"] if isinstance(hide, CreatePost) else ["b-1"])


async def test_muted_authors_and_tags_are_left_out(record: Record) -> None:
    tagged = a_post("b-2", "bob", ms=-10).model_copy(update={"tags": ("cats", "dogs")})
    await record.apply([a_post("b-1", "bob", ms=-20), tagged, a_post("e-1", "eve", ms=-30)])
    await record.apply([PutSettings(user="ada", muted_tags=("dogs",))])
    assert await ids(record) == ["b-1", "e-1"]
    await record.apply([PutSettings(user="ada", muted_authors=("bob",))])
    assert await ids(record) == ["e-1"]
    await record.apply([PutSettings(user="ada")])
    assert await ids(record) == ["b-2", "b-1", "e-1"]


async def test_a_post_whose_tags_were_edited_is_muted_by_those_it_has(record: Record) -> None:
    await record.apply([CreatePost(post="b-1", author="bob", tags=("cats",))])
    await record.apply([PutSettings(user="ada", muted_tags=("dogs",)), EditPost(post="b-1", tags=("dogs",))])
    assert await ids(record) == []
    await record.apply([EditPost(post="b-1", tags=("cats",))])
    assert await ids(record) == ["b-1"]


async def test_followers_are_sorted_by_bytes_and_come_in_pages(record: Record) -> None:
    users = ["u-b", "u_b", "ub", "u1"]
    await with_users(record, *users)
    for user in users:
        await with_follows(record, user, "zoe")
    assert await record.followers("zoe") == sorted(users)
    assert await record.followers("zoe", limit=2) == sorted(users)[:2]
    assert await record.followers("zoe", after=sorted(users)[1], limit=2) == sorted(users)[2:]


async def test_followers_who_mute_the_author_or_a_tag_are_left_out(record: Record) -> None:
    assert await record.followers("eve") == ["ada", "bob"]
    await record.apply([PutSettings(user="ada", muted_tags=("dogs",)), PutSettings(user="bob", muted_authors=("eve",))])
    assert await record.followers("eve") == ["ada"]
    assert await record.followers("eve", tags=["cats"]) == ["ada"]
    assert await record.followers("eve", tags=["cats", "dogs"]) == []


async def test_a_deleted_follower_is_none(record: Record) -> None:
    await record.apply([DeleteUser(user="bob")])
    assert await record.followers("eve") == ["ada"]


async def test_followers_of_many_authors_are_named_once(record: Record) -> None:
    await record.apply([PutSettings(user="bob", muted_authors=("eve",))])
    assert await record.followers_of(["eve", "bob"]) == ["ada", "bob"]
    assert await record.followers_of([]) == []


async def test_versions_of_many_follows_are_read_at_once(record: Record) -> None:
    versions = await record.follows_versions(["ada", "zoe", "who"])
    assert versions == {"ada": (await record.follows("ada")).version, "zoe": (await record.follows("zoe")).version}


async def test_an_authors_posts_come_newest_first_below_a_place(record: Record) -> None:
    await record.apply([a_post(f"e-{n}", "eve", ms=-n) for n in range(5)] + [a_post("b-1", "bob")])
    first = await record.author_posts("eve", before=None, limit=2)
    assert first == [Candidate(NOW, "e-0", "eve"), Candidate(NOW - 1, "e-1", "eve")]
    rest = await record.author_posts("eve", before=first[-1].key, limit=10)
    assert [candidate.post for candidate in rest] == ["e-2", "e-3", "e-4"]


async def test_an_authors_post_ids_are_sorted_and_come_in_pages(record: Record) -> None:
    await record.apply([a_post(post, "eve") for post in ("c", "a", "b")] + [CreatePost(author="eve", draft=True)])
    assert await record.post_ids("eve", limit=2) == ["a", "b"]
    assert await record.post_ids("eve", after="b") == ["c"]


async def test_users_worth_reading_follow_most_authors_with_posts(record: Record) -> None:
    assert await record.some_users(5) == []
    await record.apply([a_post("e-1", "eve"), a_post("b-1", "bob")])
    assert await record.some_users(5) == ["ada", "bob"]
    assert await record.some_users(1) == ["ada"]
