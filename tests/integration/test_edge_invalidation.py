"""What an invalidation names and what it does not, by boto3, at an edge whose cache key has query strings in it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from cdn.distribution import plain
from cdn.local.config import CLOUDFRONT, LocalEdgeConfig
from tests.integration.local_edge import Answer, World, local_edge
from tests.integration.test_cloudfront import Boto, refused

CONFIG = LocalEdgeConfig("", plain(tag_header="Cache-Tag"))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with local_edge(CONFIG) as started:
        yield started


@pytest.fixture
async def boto(world: World) -> AsyncIterator[Boto]:
    client = Boto(world.api_url)
    yield client
    client.close()


@pytest.mark.parametrize(
    ("path", "item", "is_dropped"),
    [
        ("/a", "/a", True),
        ("/A", "/a", False),  # case counts
        ("/a/", "/a", False),  # two paths
        ("/a/b", "/a", False),
        ("/a/b", "/a*", True),
        ("/ab", "/a*", True),
        ("/ab", "/a/*", False),
        ("/a?x=1", "/a", False),  # what is in the key is in the path
        ("/a?x=1", "/a?x=1", True),
        ("/a?x=1", "/a?x=2", False),
        ("/a?x=1", "/a*", True),
        ("/a?x=1", "/*", True),
        ("/caf%C3%A9", "/caf%C3%A9", True),
        ("/a%62", "/ab", False),  # as it was spelt, no character more or less encoded
        ("/~a", "/~a", False),  # never works
        ("/~a", "/%7Ea", False),
        ("/~a", "/*", True),
    ],
)
async def test_a_path_drops_what_was_asked_for_in_its_spelling(
    world: World, boto: Boto, path: str, item: str, is_dropped: bool
) -> None:
    world.origin.will(path, Answer())
    await world.get(path)
    await boto.create("batch-1", item)
    assert (await world.get(path)).x_cache == ("Miss" if is_dropped else "Hit")


async def test_a_path_drops_every_variant_by_encoding_and_header(world: World, boto: Boto) -> None:
    world.origin.will("/a", Answer())
    variants: list[dict[str, str]] = [{}, {"Accept_Encoding": "gzip"}, {"Origin": "http://x"}, {"Authorization": "y"}]
    for headers in variants:
        await world.get("/a", **headers)
    await boto.create("batch-1", "/a")
    assert [(await world.get("/a", **headers)).x_cache for headers in variants] == ["Miss"] * 4


async def test_a_tag_drops_every_variant_whatever_its_case_and_no_wildcard_is_in_it(world: World, boto: Boto) -> None:
    world.origin.will("/a", Answer(headers={"cache-tag": "U-Ada, g"}))
    world.origin.will("/b", Answer(headers={"cache-tag": "u-adam"}))
    for path in ("/a", "/b"):
        await world.get(path)
    await boto.create("batch-1", "#u-*")
    assert [(await world.get(path)).x_cache for path in ("/a", "/b")] == ["Hit", "Hit"]
    await boto.create("batch-2", "#u-ADA")
    assert [(await world.get(path)).x_cache for path in ("/a", "/b")] == ["Miss", "Hit"]


async def test_the_51st_tag_of_an_object_drops_nothing(world: World, boto: Boto) -> None:
    world.origin.will("/a", Answer(headers={"cache-tag": ",".join(f"t-{n}" for n in range(51))}))
    await world.get("/a")
    await boto.create("batch-1", "#t-50")
    assert (await world.get("/a")).x_cache == "Hit"
    await boto.create("batch-2", "#t-49")
    assert (await world.get("/a")).x_cache == "Miss"


async def test_without_a_cache_tag_config_tags_are_taken_and_drop_nothing() -> None:
    async with local_edge(LocalEdgeConfig("", plain(tag_header=""))) as world:
        boto = Boto(world.api_url)
        world.origin.will("/a", Answer(headers={"cache-tag": "u-ada"}))
        await world.get("/a")
        assert (await boto.create("batch-1", "#u-ada"))["Invalidation"]["Status"] == "Completed"
        assert (await world.get("/a")).x_cache == "Hit"
        boto.close()


async def test_tags_and_paths_go_in_one_batch_and_a_sixteenth_wildcard_does_not() -> None:
    async with local_edge(LocalEdgeConfig("", CONFIG.distribution, CLOUDFRONT)) as world:
        boto = Boto(world.api_url)
        await boto.create("batch-1", "#u-ada", "/a", *(f"/{n}/*" for n in range(15)))
        with refused("TooManyInvalidationsInProgress", 400):
            await boto.create("batch-2", "/*")
        await boto.create("batch-3", "#u-bob")
        world.clock.now += 25
        await boto.create("batch-4", "/*")
        boto.close()


async def test_boto3s_waiter_returns_when_an_invalidation_is_complete_and_not_before() -> None:
    async with local_edge(LocalEdgeConfig("", profile=CLOUDFRONT)) as world:
        boto = Boto(world.api_url)
        taken = (await boto.create("batch-1", "#u-ada"))["Invalidation"]
        assert taken["Status"] == "InProgress"
        known = {"DistributionId": "LOCALEDGE", "Id": taken["Id"]}
        waiting = asyncio.create_task(boto.wait("invalidation_completed", **known))
        assert (await boto.call("get_invalidation", **known))["Invalidation"]["Status"] == "InProgress"
        assert (await boto.call("get_distribution", Id="LOCALEDGE"))["Distribution"][
            "InProgressInvalidationBatches"
        ] == 1
        assert not waiting.done()
        world.clock.now += 25
        await waiting
        assert (await boto.call("get_distribution", Id="LOCALEDGE"))["Distribution"][
            "InProgressInvalidationBatches"
        ] == 0
        boto.close()
