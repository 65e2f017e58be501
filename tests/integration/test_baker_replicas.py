"""Replicas agree: one artifact has one ETag, whatever each of them keeps; templates of another version say so."""

import asyncio

import httpx
import pytest
from redis.asyncio import Redis

from baker.kitchen import Config
from baker.ops import create_app
from feeds.command import EditPost, PutSettings, PutSite
from feeds.errors import RecordUnavailable
from feeds.record import Record
from tests.integration.baking import (
    Baker,
    SlowRecord,
    Turnstile,
    ada_follows_grace,
    bakes,
    before,
    config,
    follows,
    forgotten,
    late,
    ledger,
    open_bakers,
    post,
    titles,
    users,
)
from tests.integration.house import House

PATHS = [
    f"{path}{ending}"
    for path in ("/feed/ada", "/feed/ada/after/post-0020", "/author/grace", "/author/grace/after/post-0003")
    for ending in ("", "/feed.json", "/feed.atom")
] + ["/post/post-0001", "/feed/eve", "/feed/ada/after/none"]


async def etags(baker: Baker) -> list[str]:
    """Return the ETags of all paths in both encodings, and see that each names one body."""
    found = []
    for path in PATHS:
        for encoding in ("", "gzip"):
            answer, body = await baker.raw(path, accept_encoding=encoding)
            found.append(f"{path} {answer.status_code} {answer.headers['etag']} {hash(body)}")
    return found


async def test_replicas_agree_whatever_each_keeps(house: House) -> None:
    await ada_follows_grace(house, posts=30)
    await before(house, *users("bob"), *follows("bob", "grace"), post(31, content="<p>Long</p>" * 300, tags=("one",)))
    configs: list[Config] = [config(), config(memory_bytes=1), config()]
    async with open_bakers(house, *configs) as (warm, forgetful, late_comer):
        cold = await etags(warm)
        assert await etags(warm) == cold  # from memory
        await house.recorded("u-ada", "u-grace", "u-eve", "p-none")
        assert await etags(warm) == cold  # from the shelf
        await house.recorded("g")
        assert await etags(warm) == cold  # from fragments
        await forgetful.get("/feed/bob")
        assert await etags(forgetful) == cold  # every fragment rendered anew
        await forgotten(house)
        assert await etags(late_comer) == cold  # nothing in Redis
        assert await etags(warm) == cold


async def test_a_post_that_reads_as_it_did_has_the_etag_that_it_had(house: House) -> None:
    await ada_follows_grace(house)
    async with open_bakers(house, config(), config()) as (one, other):
        first = (await one.get("/feed/ada")).headers["etag"]
        await house.read(EditPost(post="post-0001", likes=5))
        await one.get("/feed/ada")
        await house.read(EditPost(post="post-0001", likes=0), PutSettings(user="grace", page_size=3))
        assert (await one.get("/feed/ada", if_none_match=first)).status_code == 304
        assert (await other.get("/feed/ada", if_none_match=first)).status_code == 304


async def test_a_baker_with_other_templates_answers_late_each_time_and_keeps_nothing(
    house: House, baker: Baker
) -> None:
    await ada_follows_grace(house)
    await house.read(PutSite(title="Ours", template_version="theirs"))
    marked, baked = late(), bakes()
    for path, status in (
        ("/feed/ada", 200),
        ("/feed/ada", 200),
        ("/feed/eve/feed.json", 404),
        ("/post/post-0001", 200),
    ):
        answer = await baker.get(path)
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "s-maxage=1, stale-while-revalidate=0, stale-if-error=0"
        assert answer.headers["edgebake-late"] == "1"
    assert (late(), bakes()) == (marked + 4, baked + 4)
    assert not await ledger(house, 0x28)


async def test_a_baker_whose_templates_become_current_answers_for_long(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    kept = await baker.get("/feed/ada")
    await house.read(PutSite(title="Edgebake", template_version="theirs"))
    assert "edgebake-late" in (await baker.get("/feed/ada")).headers
    await house.read(PutSite(title="Edgebake", template_version=baker.version))
    again = await baker.get("/feed/ada")
    assert "edgebake-late" not in again.headers
    assert again.headers["etag"] == kept.headers["etag"]


async def test_a_site_that_changes_is_on_every_page_next(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    paths = ["/feed/ada", "/author/grace", "/post/post-0001", "/feed/eve"]
    for path in paths:
        assert "Ours" not in (await baker.get(path)).text
    await house.read(PutSite(title="Ours"))
    for path in paths:
        assert "Ours" in (await baker.get(path)).text, path


async def test_a_language_that_changes_is_on_the_page_next_and_one_unknown_is_english(
    house: House, baker: Baker
) -> None:
    await ada_follows_grace(house)
    english = await baker.get("/feed/ada")
    await house.read(PutSettings(user="ada", language="de"))
    assert '<html lang="de"' in (await baker.get("/feed/ada")).text
    assert len(titles(await baker.get("/feed/ada/feed.json"))) == 3
    await house.read(PutSettings(user="ada", language="tlh"))
    assert (await baker.get("/feed/ada")).content == english.content


async def ready(redis: Redis, record: Record, version: str) -> httpx.Response:
    """Ask the ops port whether it is ready."""
    transport = httpx.ASGITransport(app=create_app(redis, record, version))
    async with httpx.AsyncClient(transport=transport, base_url="http://ops.example") as http:
        return await http.get("/readyz")


async def test_readiness_says_whose_templates_are_current(house: House, baker: Baker) -> None:
    assert (await ready(house.redis, house.record, baker.version)).status_code == 200
    await house.read(PutSite(title="Ours", template_version=baker.version))
    assert (await ready(house.redis, house.record, baker.version)).status_code == 200
    await house.read(PutSite(title="Ours", template_version="theirs"))
    other = await ready(house.redis, house.record, baker.version)
    assert other.status_code == 503
    assert "'theirs'" in other.json()["database"]
    assert (await ready(house.redis, house.record, "")).status_code == 200


async def test_readiness_names_what_does_not_answer(house: House) -> None:
    turnstile = Turnstile()
    nobody = Redis.from_url("redis://127.0.0.1:1")
    with turnstile.refuse("site", RecordUnavailable("away")):
        answer = await ready(nobody, SlowRecord(house.record, turnstile), "")
    await nobody.aclose()
    assert answer.status_code == 503
    assert answer.json()["redis"].startswith("does not answer")
    assert "away" in answer.json()["database"]


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
async def test_health_and_metrics_touch_nothing(path: str, house: House) -> None:
    nobody = Redis.from_url("redis://127.0.0.1:1")
    transport = httpx.ASGITransport(app=create_app(nobody, house.record, ""))
    async with httpx.AsyncClient(transport=transport, base_url="http://ops.example") as http:
        answer = await http.get(path)
    await nobody.aclose()
    assert answer.status_code == 200
    assert path == "/healthz" or "edgebake_bakes_total" in answer.text


async def test_reads_and_changes_at_once_end_fresh_in_every_format(house: House) -> None:
    """Readers of two replicas never stop while posts change; when all is recorded, each answer is the truth."""
    await ada_follows_grace(house, posts=5)
    done = asyncio.Event()

    async def read(baker: Baker, path: str) -> None:
        while not done.is_set():
            assert (await baker.get(path)).status_code == 200

    async with open_bakers(house, config(), config(memory_bytes=1)) as replicas:
        paths = [f"/feed/ada{ending}" for ending in ("", "/feed.json", "/feed.atom")] + ["/author/grace"]
        readers = [asyncio.ensure_future(read(baker, path)) for baker in replicas for path in paths]
        for number in range(6):
            await house.read(EditPost(post=f"post-{number % 5:04}", title=f"New {number}"), post(50 + number))
            for baker in replicas:
                newest = titles(await baker.get("/feed/ada/feed.json"))
                assert f"New {number}" in newest
                assert newest[0] == f"Title {50 + number}"
        done.set()
        await asyncio.gather(*readers)
