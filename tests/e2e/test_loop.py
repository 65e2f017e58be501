"""The loop: a browser reads at the edge, something changes, the next read is fresh, and nothing else was touched."""

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from redis import Redis

from tests.e2e.running import Running, is_alive, until, up
from tests.integration.varnish import MISSING, is_installed

if TYPE_CHECKING:
    from types_boto3_cloudfront import CloudFrontClient

PAGE, MAX_PAGES = 25, 40
FORMATS = ("", "/feed.json", "/feed.atom")


@pytest.fixture(scope="module")
def over_varnish(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An `edgebake up` with Varnish as its edge, and nobody in it."""
    if not is_installed():
        pytest.skip(MISSING)
    with up(tmp_path_factory.mktemp("varnish") / "data", "--edge", "varnish") as running:
        yield running


@pytest.fixture(scope="module", params=["demo", "over_varnish"])
def either(request: pytest.FixtureRequest) -> Running:
    """The loop over each edge."""
    running: Running = request.getfixturevalue(request.param)
    return running


def invalidations(running: Running) -> list[dict[str, Any]]:
    """Return what CloudFront's API at the local edge has been asked for, oldest first."""
    client: CloudFrontClient = boto3.client(
        "cloudfront",
        endpoint_url=running.found["edge_api"],
        region_name="us-east-1",
        aws_access_key_id="made",
        aws_secret_access_key="up",
    )
    pages = client.get_paginator("list_invalidations").paginate(DistributionId="LOCALEDGE")
    names = [row["Id"] for page in pages for row in page["InvalidationList"].get("Items", [])]
    found = [client.get_invalidation(DistributionId="LOCALEDGE", Id=name)["Invalidation"] for name in names]
    return [dict(invalidation["InvalidationBatch"]) for invalidation in reversed(found)]


def cache_of(running: Running, path: str) -> str:
    """Read a path at the edge and return how the edge came by it."""
    return running.read(path).headers["x-cache"].partition(" ")[0]


def make_users(running: Running, users: list[str], follows: list[str]) -> None:
    """Create users who all follow the same authors, and wait until that is live."""
    commands: list[dict[str, str]] = [{"kind": "put_user", "user": user, "name": user.title()} for user in users]
    commands += [{"kind": "follow", "user": user, "author": author} for user in users for author in follows]
    changes: list[str] = []
    for at in range(0, len(commands), 1000):
        answer = running.api.post("/api/changes", json={"commands": commands[at : at + 1000]})
        assert answer.status_code == 202, answer.text
        changes += [result["change"] for result in answer.json()["results"] if result["change"]]
    running.until_live(*changes)


def bakes(running: Running) -> float:
    """Return how many artifacts the baker has baked."""
    lines = running.ops.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("edgebake_bakes_total"))


def walk(running: Running, path: str) -> Iterator[str]:
    """Yield the ids of all posts of a JSON feed, page after page."""
    url: str | None = path
    while url:
        feed = running.read(httpx.URL(url).raw_path.decode()).json()
        yield from (item["id"] for item in feed["items"])
        url = feed.get("next_url")


async def test_two_hundred_first_reads_are_one_bake(either: Running) -> None:
    make_users(either, ["speaker"], [])
    make_users(either, ["crowd"], ["speaker"])
    before = bakes(either)
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=either.found["edge"], limits=limits, timeout=30) as client:
        answers = await asyncio.gather(*(client.get("/feed/crowd") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert [answer.headers["x-cache"].partition(" ")[0] for answer in answers].count("Miss") == 1
    assert bakes(either) - before == 1


def test_a_post_is_fresh_in_all_formats_once_live_and_a_stranger_still_hits(either: Running) -> None:
    make_users(either, ["scribe", "hermit"], [])
    make_users(either, ["fan"], ["scribe"])
    make_users(either, ["stranger"], ["hermit"])
    for user in ("fan", "stranger"):
        for ending in FORMATS:
            either.read(f"/feed/{user}{ending}")
    either.until_live(either.publish("scribe", "Straight from the press"))
    assert ["Straight from the press" in either.read(f"/feed/fan{ending}").text for ending in FORMATS] == [True] * 3
    assert [cache_of(either, f"/feed/stranger{ending}") for ending in FORMATS] == ["Hit"] * 3


def test_a_row_changed_behind_our_back_is_fresh_after_a_message_on_the_channel(either: Running) -> None:
    make_users(either, ["columnist"], [])
    either.until_live(either.publish("columnist", "As it was"))
    for ending in FORMATS:
        assert "As it was" in either.read(f"/feed/columnist{ending}").text
    with sqlite3.connect(either.found["database"].partition("///")[2], timeout=30) as database:
        database.execute("UPDATE posts SET title = 'As it is' WHERE title = 'As it was'")
    database.close()
    message = json.dumps({"scope": "user", "user": "columnist", "id": "deploy-42"})
    with Redis.from_url(either.found["redis"]) as redis:
        redis.publish("edgebake:invalidate", message)
        until(lambda: either.api.get("/api/changes/deploy-42").status_code == 200, "the message became a change")
        either.until_live("deploy-42")
        assert ["As it is" in either.read(f"/feed/columnist{ending}").text for ending in FORMATS] == [True] * 3
        redis.publish("edgebake:invalidate", message)
        redis.publish("edgebake:invalidate", "{this is no JSON")
        redis.publish("edgebake:invalidate", json.dumps({"scope": "user", "user": "columnist", "id": "deploy-43"}))
    until(lambda: either.api.get("/api/changes/deploy-43").status_code == 200, "what is malformed harms nothing")


def test_an_edit_of_a_post_in_many_feeds_is_one_item_and_one_second_tap(demo: Running) -> None:
    readers = [f"reader-{number}" for number in range(500)]
    make_users(demo, ["novelist"], [])
    make_users(demo, readers, ["novelist"])
    post = demo.api.post("/api/posts", json={"author": "novelist", "title": "Chapter one"}).json()
    demo.until_live(post["change"])
    assert all("Chapter one" in demo.read(f"/feed/{reader}").text for reader in readers)
    before = len(invalidations(demo))
    demo.until_live(demo.write("PATCH", f"/api/posts/{post['id']}", {"title": "Chapter 1"}))
    first, tap = (batch["Paths"]["Items"] for batch in invalidations(demo)[before:])
    assert first == tap == [f"#p-{post['id']}"], "some of the feeds were on their way a moment before"
    assert all("Chapter 1" in demo.read(f"/feed/{reader}").text for reader in readers)


def test_an_unknown_users_feed_is_there_once_they_are_created(either: Running) -> None:
    assert either.edge.get("/feed/latecomer").status_code == 404
    make_users(either, ["latecomer"], [])
    assert either.read("/feed/latecomer").status_code == 200


def test_the_same_user_invalidated_again_is_a_second_invalidation(demo: Running) -> None:
    make_users(demo, ["again"], [])
    before = len(invalidations(demo))
    for _ in range(2):
        demo.read("/feed/again")
        demo.until_live(demo.write("POST", "/api/invalidations", {"scope": "user", "user": "again"}))
    sent = [batch for batch in invalidations(demo)[before:] if "#u-again" in batch["Paths"]["Items"]]
    assert len(sent) == 4, "each is tapped once more: the feed had just been read"
    assert len({tuple(batch["Paths"]["Items"]) for batch in sent}) == 1
    assert len({batch["CallerReference"] for batch in sent}) == 4


@pytest.mark.parametrize("at", [0, 1])
def test_following_next_url_gives_every_post_once(demo: Running, at: int) -> None:
    user = demo.found["users"][at]
    found = list(walk(demo, f"/feed/{user}/feed.json"))
    assert len(found) == len(set(found))
    path = Path(demo.found["database"].partition("///")[2])
    with sqlite3.connect(path, timeout=30) as database:
        wanted = database.execute(
            "SELECT count(*) FROM posts WHERE state = 'published'"
            " AND (author = ?1 OR author IN (SELECT author FROM follows WHERE user = ?1))",
            [user],
        ).fetchone()[0]
    database.close()
    assert len(found) == min(wanted, MAX_PAGES * PAGE)


def test_varnish_is_told_once_more_what_may_have_been_on_its_way(over_varnish: Running) -> None:
    def second_taps() -> float:
        lines = httpx.get(over_varnish.found["metrics"]["invalidator"]).text.splitlines()
        told = [line for line in lines if line.startswith("edgebake_items_total{") and 'tap="second"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in told)

    make_users(over_varnish, ["courier"], [])
    before = second_taps()
    over_varnish.read("/feed/courier")
    over_varnish.until_live(over_varnish.publish("courier", "On its way"))
    assert second_taps() > before, "the feed left the origin a moment before"


def test_a_varnish_that_dies_is_started_again_with_nothing_in_it(over_varnish: Running) -> None:
    make_users(over_varnish, ["survivor"], [])
    first = over_varnish.pids()["edge"]
    assert [cache_of(over_varnish, "/feed/survivor") for _ in range(2)] == ["Miss", "Hit"]
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_alive(first) and over_varnish.pids()["edge"] not in (first, None), "it runs again")
    over_varnish.until_live(over_varnish.publish("survivor", "After the crash"))
    assert "After the crash" in over_varnish.read("/feed/survivor").text
