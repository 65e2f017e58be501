"""Collapse: many requests, one bake, and what becomes of those who wait when it fails or somebody leaves."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisGone

from feeds.errors import RecordUnavailable
from tests.integration.baking import Baker, ada_follows_grace, bakes, held, titles, turns
from tests.integration.house import House

FEED = "/feed/ada/feed.json"


async def test_two_hundred_first_reads_of_one_feed_are_one_bake(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    baked = bakes()
    answers = await asyncio.gather(*(baker.get(FEED) for _ in range(200)))
    assert bakes() == baked + 1
    assert {answer.content for answer in answers} == {answers[0].content}
    assert len(titles(answers[0])) == 3


async def test_reads_in_every_encoding_and_method_share_one_bake(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    baked = bakes()
    ways = [("GET", ""), ("GET", "gzip"), ("HEAD", ""), ("HEAD", "gzip")]
    answers = await asyncio.gather(*(baker.get(FEED, method, accept_encoding=coding) for method, coding in ways * 5))
    assert bakes() == baked + 1
    assert len({answer.headers["etag"] for answer in answers}) == 2


async def test_each_page_and_format_is_a_bake_of_its_own(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    baked = bakes()
    paths = ["/feed/ada", FEED, "/feed/ada/feed.atom", "/feed/ada/after/post-0002", "/author/grace", "/post/post-0000"]
    await asyncio.gather(*(baker.get(path) for path in paths * 3))
    assert bakes() == baked + len(paths)


async def test_bakes_of_one_tick_share_their_trips(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    await asyncio.gather(*(baker.get(f"/feed/user-{number}") for number in range(50)))
    assert baker.turnstile.passed.count("before first") <= 2
    baker.turnstile.passed.clear()
    await asyncio.gather(*(baker.get(f"/feed/user-{number}") for number in range(50)))
    assert set(baker.turnstile.passed) == {"before fence", "after fence"}
    assert baker.turnstile.passed.count("before fence") <= 2


async def test_a_memory_that_no_longer_passes_is_baked_once_however_many_ask(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    await baker.get(FEED)
    await house.recorded("u-ada")
    baked = bakes()
    hold = baker.hold("before fence")  # the other trip of those who ask may overtake this one
    first = asyncio.ensure_future(baker.get(FEED))
    await held(hold)
    others = [asyncio.ensure_future(baker.get(FEED)) for _ in range(20)]
    await asyncio.gather(*others)
    hold.go.set()
    assert (await first).headers["server-timing"].startswith("memory;")
    assert bakes() == baked + 1


@pytest.mark.parametrize(
    ("what", "error"), [("proposals", RecordUnavailable("away")), ("before fence", RedisGone("gone"))]
)
async def test_a_bake_that_fails_fails_for_all_who_wait_and_for_nobody_after(
    house: House, baker: Baker, what: str, error: Exception
) -> None:
    await ada_follows_grace(house)
    baked = bakes()
    with baker.turnstile.refuse(what, error):
        failed = await asyncio.gather(*(baker.get(FEED) for _ in range(20)))
    assert {answer.status_code for answer in failed} == {503}
    assert {(answer.headers["retry-after"], answer.headers["cache-control"]) for answer in failed} == {
        ("1", "no-store")
    }
    assert len(titles(await baker.get(FEED))) == 3
    assert bakes() <= baked + 2


async def test_whoever_comes_at_any_moment_of_a_landing_is_answered(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    hold = baker.hold("after fence")
    readers = [asyncio.ensure_future(baker.get(FEED))]
    await held(hold)
    hold.go.set()
    baked = bakes()
    for _ in range(60):  # one in each turn of the loop, from before its verdict to long after it left
        readers.append(asyncio.ensure_future(baker.get(FEED)))
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*readers)
    assert {answer.content for answer in answers} == {answers[0].content}
    assert bakes() == baked


async def test_a_client_who_goes_takes_nobodys_bake_along(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    baked, hold = bakes(), baker.hold("proposals")
    readers = [asyncio.ensure_future(baker.get(FEED)) for _ in range(5)]
    await held(hold)
    for reader in readers[:4]:  # the one who began it too
        reader.cancel()
    gone = await asyncio.gather(*readers[:4], return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in gone)
    hold.go.set()
    assert len(titles(await readers[4])) == 3
    assert bakes() == baked + 1


async def test_a_bake_that_everybody_left_is_kept_for_the_next(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    hold = baker.hold("proposals")
    reader = asyncio.ensure_future(baker.get(FEED))
    await held(hold)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    baked = bakes()
    hold.go.set()
    assert len(titles(await baker.get(FEED))) == 3
    assert bakes() == baked + 1


async def test_a_failure_that_nobody_waits_for_complains_to_nobody(house: House, baker: Baker) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    await ada_follows_grace(house)
    hold = baker.hold("proposals")
    reader = asyncio.ensure_future(baker.get(FEED))
    await held(hold)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    refused = baker.hold("before copies")
    hold.go.set()
    await held(refused)
    refused.error = RedisGone("gone")
    refused.go.set()
    await turns()
    assert len(titles(await baker.get(FEED))) == 3
    assert not complaints
