"""What the feeds port answers where there is nothing to show, or nothing to answer from."""

import asyncio
import gc

import pytest
from redis.exceptions import ConnectionError as RedisGone

from baker.artifact import Artifact
from baker.bake import Limits
from feeds.command import (
    CreatePost,
    DeletePost,
    DeleteUser,
    EditPost,
    Follow,
    PutSettings,
    UnpublishPost,
)
from feeds.errors import RecordUnavailable
from feeds.ids import shard_of
from tests.integration.baking import (
    Baker,
    ada_follows_grace,
    at,
    bakes,
    config,
    ledger,
    next_path,
    open_bakers,
    post,
    tags_of,
    titles,
    users,
)
from tests.integration.house import House

EVE = shard_of("eve")
BRIEF = "s-maxage=5, stale-while-revalidate=0, stale-if-error=0"

IMPOSSIBLE = {
    "/feed/Ada": "upper case",
    "/feed/%61da": "percent-encoded",
    "/feed/ada%20": "a space",
    "/feed/ada%0d%0aX-Evil:%201": "an encoded line break",
    "/feed/ada\r\nX-Evil: 1": "a line break",
    "/feed/ada\n": "a line break at the end, which $ would let by",
    "/feed/ada\x00": "a control character",
    "/feed/ad\xe4": "not ASCII",
    "/feed/~ada": "paths of CloudFront cannot hold ~",
    "/feed/ada/": "a slash at the end",
    "//feed/ada": "a double slash",
    "/feed//ada": "another",
    "/feed/./ada": "a dot segment",
    "/feed/ada/../eve": "another",
    "/feed/-ada": "begins with a hyphen",
    "/feed/" + "a" * 65: "too long",
    "/feed/": "nobody",
    "/feed": "nothing",
    "/": "the edge's own",
    "/feed/ada/feed.xml": "no format of ours",
    "/feed/ada/feed.JSON": "upper case",
    "/feed/ada/after/": "no place",
    "/feed/ada/after/One": "a place outside the grammar",
    "/feed/ada/after/one/after/two": "two places",
    "/post/one/feed.json": "a post has no feed",
    "/private/ada": "not below what a signature for /private/ada/* opens",
    "/feed/ada;v=1": "a parameter",
    "/feed/ada,eve": "a comma, which would make two tags",
    "*": "no path",
}


async def test_a_path_that_can_never_be_is_404_for_a_minute_and_leaves_no_trace(house: House, baker: Baker) -> None:
    await house.read(*users("ada"))
    baked, trips = bakes(), list(baker.turnstile.passed)
    bodies: set[bytes] = set()
    for path, why in IMPOSSIBLE.items():
        answer = await baker.get(path)
        assert answer.status_code == 404, why
        assert answer.headers["cache-control"] == "s-maxage=60", why
        assert answer.headers["cache-tag"] == "g", why
        assert "x-evil" not in answer.headers, why
        assert int(answer.headers["content-length"]) == len(answer.content)
        bodies.add(answer.content)
    assert len(bodies) == 1
    assert bakes() == baked
    assert baker.turnstile.passed == trips
    assert not any([await ledger(house, shard) for shard in range(64)])


async def test_a_head_of_a_path_that_can_never_be_has_no_body(baker: Baker) -> None:
    head, whole = await baker.get("/feed/ADA", "HEAD"), await baker.get("/feed/ADA")
    assert (head.status_code, head.content) == (404, b"")
    assert head.headers == whole.headers


async def test_an_unknown_user_is_404_with_tags_so_that_creating_them_drops_it(house: House, baker: Baker) -> None:
    for path, own in {"/feed/eve": ["u-eve"], "/author/eve": ["u-eve", "a-eve"]}.items():
        for ending in ("", "/feed.json", "/feed.atom"):
            answer = await baker.get(path + ending)
            assert answer.status_code == 404
            assert answer.headers["cache-control"] == BRIEF
            assert tags_of(answer) == ["g", f"s-{EVE:02x}", *own]
            assert answer.headers["vary"] == "Accept-Encoding"
    assert {"g", f"s-{EVE:02x}", "u-eve", "a-eve"} <= await ledger(house, EVE)


async def test_a_flood_of_unknown_names_takes_no_more_than_the_memory_and_every_known_feed_survives(
    house: House,
) -> None:
    await ada_follows_grace(house)
    async with open_bakers(house, config(memory_bytes=100_000)) as (baker,):
        await baker.get("/feed/ada")
        gc.collect()
        artifacts = sum(isinstance(kept, Artifact) for kept in gc.get_objects())
        for start in range(0, 400, 100):
            flood = await asyncio.gather(*(baker.get(f"/feed/nobody-{start + number}") for number in range(100)))
            assert {answer.status_code for answer in flood} == {404}
        del flood
        gc.collect()
        assert sum(isinstance(kept, Artifact) for kept in gc.get_objects()) <= artifacts + 25
        assert len(titles(await baker.get("/feed/ada"))) == 3


async def test_an_unknown_user_who_is_created_is_answered_next(house: House, baker: Baker) -> None:
    unknown = await baker.get("/feed/eve")
    await house.read(*users("eve"))
    known = await baker.get("/feed/eve", if_none_match=unknown.headers["etag"])
    assert (unknown.status_code, known.status_code) == (404, 200)


async def test_a_missing_one_never_matches_a_validator_and_a_head_of_it_has_no_body(baker: Baker) -> None:
    whole = await baker.get("/feed/eve")
    assert (await baker.get("/feed/eve", if_none_match=whole.headers["etag"])).status_code == 404
    assert (await baker.get("/feed/eve", if_none_match="*")).status_code == 404
    head = await baker.get("/feed/eve", "HEAD")
    assert (head.status_code, head.content) == (404, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]


async def test_a_deleted_user_is_gone_and_their_posts_with_them(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    assert len(titles(await baker.get("/feed/ada"))) == 3
    await house.read(DeleteUser(user="grace"))
    for path in ("/feed/grace", "/author/grace/feed.json", "/author/grace/after/post-0001", "/post/post-0001"):
        answer = await baker.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (410, BRIEF), path
    assert titles(await baker.get("/feed/ada")) == []


async def test_a_private_feed_is_404_in_the_public_tree_and_its_authors_posts_stay(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    assert (await baker.get("/feed/grace")).status_code == 200
    await house.read(PutSettings(user="grace", feed_visibility="private"))
    for ending in ("", "/feed.json", "/after/post-0001", "/after/post-0001/feed.atom"):
        answer = await baker.get(f"/feed/grace{ending}")
        assert (answer.status_code, answer.headers["cache-control"]) == (404, BRIEF)
        assert b"Grace" not in answer.content
    author = await baker.get("/author/grace")
    assert (author.status_code, len(titles(author))) == (200, 3)
    assert b'href="/feed/grace"' not in author.content


async def test_a_feed_made_public_again_is_answered_next(house: House, baker: Baker) -> None:
    await house.read(*users("ada"), PutSettings(user="ada", feed_visibility="private"))
    assert (await baker.get("/feed/ada")).status_code == 404
    await house.read(PutSettings(user="ada"))
    assert (await baker.get("/feed/ada")).status_code == 200


async def test_an_empty_feed_says_how_to_fill_it(house: House, baker: Baker) -> None:
    await house.read(*users("ada"))
    answer = await baker.get("/feed/ada")
    assert answer.status_code == 200
    assert "edgebake follow ada" in answer.text
    assert titles(await baker.get("/feed/ada/feed.json")) == []
    assert titles(await baker.get("/feed/ada/feed.atom")) == []


@pytest.mark.parametrize(
    ("hidden", "status"), [("draft", 404), ("future", 404), ("unpublished", 404), ("deleted", 410)]
)
async def test_a_hidden_post_has_no_page_and_its_text_is_in_no_answer(
    house: House, baker: Baker, hidden: str, status: int
) -> None:
    await ada_follows_grace(house, posts=0)
    published = at(10**13) if hidden == "future" else at(0)
    await house.read(post(1, title="Secret", draft=hidden == "draft", published=published))
    match hidden:
        case "unpublished":
            await house.read(UnpublishPost(post="post-0001"))
        case "deleted":
            await house.read(DeletePost(post="post-0001"))
    answer = await baker.get("/post/post-0001")
    assert answer.status_code == status
    assert tags_of(answer) == ["g", "s-00", "p-post-0001"]
    for path in ("/post/post-0001", "/feed/ada", "/author/grace", "/feed/ada/after/post-0001"):
        assert b"Secret" not in (await baker.get(path)).content


async def test_a_post_that_comes_to_be_is_answered_next(house: House, baker: Baker) -> None:
    await house.read(*users("grace"))
    assert (await baker.get("/post/one")).status_code == 404
    await house.read(CreatePost(post="one", author="grace", title="First"))
    assert "First" in (await baker.get("/post/one")).text


async def test_a_place_that_never_was_is_404_until_it_is(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    missing = await baker.get("/feed/ada/after/post-0007")
    assert (missing.status_code, missing.headers["cache-control"]) == (404, BRIEF)
    assert tags_of(missing) == ["g", "s-28", "u-ada", "p-post-0007"]
    await house.read(post(7))
    assert titles(await baker.get("/feed/ada/after/post-0007")) == ["Title 2", "Title 1", "Title 0"]


async def test_what_is_deeper_than_the_most_pages_is_404_and_is_not_linked(house: House) -> None:
    await ada_follows_grace(house, posts=8)
    await house.read(PutSettings(user="ada", page_size=2), Follow(user="ada", author="grace"))
    async with open_bakers(house, config(limits=Limits(max_pages=3))) as (baker,):
        second = await baker.get("/feed/ada/after/post-0006/feed.json")
        third = await baker.get("/feed/ada/after/post-0004/feed.json")
        fourth = await baker.get("/feed/ada/after/post-0002/feed.json")
    assert titles(second) == ["Title 5", "Title 4"]
    assert next_path(second) == "/feed/ada/after/post-0004/feed.json"
    assert titles(third) == ["Title 3", "Title 2"]
    assert next_path(third) is None
    assert fourth.status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
async def test_other_methods_are_refused_by_name(house: House, baker: Baker, method: str) -> None:
    answer = await baker.get("/feed/ada", method)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert not await ledger(house, 0x28)


@pytest.mark.parametrize("trip", ["before first", "after first", "before copies", "before fence", "after fence"])
async def test_without_redis_the_answer_is_503_and_the_next_one_is_fine(house: House, baker: Baker, trip: str) -> None:
    await ada_follows_grace(house)
    for ending, kind in {"": "text/html", "/feed.json": "application/problem+json", "/feed.atom": "text/plain"}.items():
        with baker.turnstile.refuse(trip, RedisGone("gone")):
            answer = await baker.get(f"/feed/ada{ending}")
            head = await baker.get(f"/feed/ada{ending}", "HEAD")
        assert (answer.status_code, head.status_code, head.content) == (503, 503, b"")
        assert answer.headers["content-type"].startswith(kind)
        assert (answer.headers["cache-control"], answer.headers["retry-after"]) == ("no-store", "1")
        assert "etag" not in answer.headers
        assert len(titles(await baker.get(f"/feed/ada{ending}"))) == 3


@pytest.mark.parametrize("read", ["users", "sources", "proposals", "site"])
async def test_without_the_record_what_redis_lacks_is_503_and_the_next_one_is_fine(
    house: House, baker: Baker, read: str
) -> None:
    await house.apply(*users("ada"))
    with baker.turnstile.refuse(read, RecordUnavailable("away")):
        assert (await baker.get("/feed/ada")).status_code == 503
    assert (await baker.get("/feed/ada")).status_code == 200


async def test_what_redis_has_is_answered_without_the_record(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    await baker.get("/feed/ada/feed.json")
    await house.read(EditPost(post="post-0001", title="New"))
    with baker.turnstile.refuse("posts", RecordUnavailable("away")):
        assert titles(await baker.get("/feed/ada")) == ["Title 2", "New", "Title 0"]


async def test_memory_alone_does_not_answer_without_redis(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    assert (await baker.get("/feed/ada")).status_code == 200
    with baker.turnstile.refuse("before fence", OSError("gone")):
        assert (await baker.get("/feed/ada")).status_code == 503
