"""The CloudFront driver, and any boto3, against the API of the local edge."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cdn.cloudfront import CloudFrontEdge
from cdn.edge import Batch
from cdn.errors import EdgeBusy, EdgeDenied, EdgeMisconfigured, InvalidationUnknown
from cdn.local.app import UVICORN, LocalEdge
from cdn.local.asgi import Receive, Scope, Send
from cdn.local.config import CLOUDFRONT, LocalEdgeConfig
from tests.integration.local_edge import Answer, World, listen, local_edge, raw_origin, serving

SLOW = LocalEdgeConfig("", profile=CLOUDFRONT)


class Boto:
    """An unchanged boto3 client of the API, called in a thread."""

    def __init__(self, url: str) -> None:
        self._client: Any = boto3.client(
            "cloudfront",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
        )

    async def call(self, operation: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(getattr(self._client, operation), **arguments)

    async def create(
        self, reference: str, *items: str, quantity: int | None = None, distribution: str = "LOCALEDGE"
    ) -> Any:
        paths = {"Quantity": len(items) if quantity is None else quantity, "Items": list(items)}
        batch = {"Paths": paths, "CallerReference": reference}
        return await self.call("create_invalidation", DistributionId=distribution, InvalidationBatch=batch)

    async def wait(self, waiter: str, **arguments: Any) -> None:
        """Let boto3 poll until it sees what it waits for."""
        often = {"Delay": 0, "MaxAttempts": 10_000}
        await asyncio.to_thread(self._client.get_waiter(waiter).wait, WaiterConfig=often, **arguments)

    async def pages(self, size: int) -> list[Any]:
        pages = self._client.get_paginator("list_invalidations").paginate(
            DistributionId="LOCALEDGE", PaginationConfig={"PageSize": size}
        )
        return await asyncio.to_thread(list, pages)

    def close(self) -> None:
        self._client.close()


@contextmanager
def refused(code: str, status: int) -> Iterator[None]:
    with pytest.raises(ClientError) as raised:
        yield
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert raised.value.response["ResponseMetadata"]["RequestId"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """An instant edge that holds /feed/ada and /feed/bob."""
    async with local_edge() as started:
        for user in ("ada", "bob"):
            started.origin.will(f"/feed/{user}", Answer(user.encode(), headers={"cache-tag": f"g,u-{user}"}))
            await started.get(f"/feed/{user}")
        yield started


@pytest.fixture
async def boto(world: World) -> AsyncIterator[Boto]:
    """An unchanged boto3 client of that edge."""
    client = Boto(world.api_url)
    yield client
    client.close()


async def x_caches(world: World) -> list[str]:
    return [(await world.get(f"/feed/{user}")).x_cache for user in ("ada", "bob")]


async def test_a_tag_drops_what_carries_it_and_nothing_else(world: World, boto: Boto) -> None:
    answer = await boto.create("batch-1", "#u-ada")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    created = answer["Invalidation"]
    assert created["Status"] == "Completed"
    assert created["InvalidationBatch"] == {"Paths": {"Quantity": 1, "Items": ["#u-ada"]}, "CallerReference": "batch-1"}
    assert answer["Location"] == f"{world.api_url}/2020-05-31/distribution/LOCALEDGE/invalidation/{created['Id']}"
    assert await x_caches(world) == ["Miss", "Hit"]


async def test_an_invalidation_is_told_as_an_event(boto: Boto, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="edgebake.events")
    await boto.create("batch-1", "#u-ada", "#g")
    (told,) = [vars(record)["fields"] for record in caplog.records if record.getMessage() == "invalidation"]
    assert told == {"items": 2, "batch": "batch-1"}


async def test_paths_and_wildcards_drop_too(world: World, boto: Boto) -> None:
    await boto.create("batch-1", "/feed/ada")
    assert await x_caches(world) == ["Miss", "Hit"]
    await boto.create("batch-2", "/feed/*")
    assert await x_caches(world) == ["Miss", "Miss"]


async def test_the_same_batch_twice_is_one_invalidation(world: World, boto: Boto) -> None:
    first = await boto.create("batch-1", "#u-ada")
    await world.get("/feed/ada")
    again = await boto.create("batch-1", "#u-ada")
    assert again["Invalidation"] == first["Invalidation"]
    assert await x_caches(world) == ["Hit", "Hit"]


async def test_the_same_items_under_two_references_are_two_invalidations(world: World, boto: Boto) -> None:
    first = await boto.create("batch-1", "#u-ada")
    await world.get("/feed/ada")
    second = await boto.create("batch-2", "#u-ada")
    assert second["Invalidation"]["Id"] != first["Invalidation"]["Id"]
    assert await x_caches(world) == ["Miss", "Hit"]


async def test_a_used_reference_with_other_items_is_refused(world: World, boto: Boto) -> None:
    await boto.create("batch-1", "#u-ada")
    with refused("InvalidArgument", 400):
        await boto.create("batch-1", "#u-bob")
    assert await x_caches(world) == ["Miss", "Hit"]


@pytest.mark.parametrize("item", ["u-ada", "#", "#a,b", "/a*b", "/a b", "/caf\u00e9"])
async def test_a_bad_item_is_refused_and_nothing_of_its_batch_is_done(world: World, boto: Boto, item: str) -> None:
    with refused("InvalidArgument", 400):
        await boto.create("batch-1", "#u-ada", item)
    assert await x_caches(world) == ["Hit", "Hit"]


async def test_what_is_wrong_is_told_by_cloudfronts_codes(boto: Boto) -> None:
    with refused("InconsistentQuantities", 400):
        await boto.create("batch-1", "#u-ada", quantity=2)
    with refused("BatchTooLarge", 413):
        await boto.create("batch-1", *(f"#u-{n}" for n in range(3_001)))
    with refused("NoSuchDistribution", 404):
        await boto.create("batch-1", "#u-ada", distribution="EOTHER")
    with refused("NoSuchInvalidation", 404):
        await boto.call("get_invalidation", DistributionId="LOCALEDGE", Id="I0")
    for size in ("many", "9" * 5_000):
        with refused("InvalidArgument", 400):
            await boto.call("list_invalidations", DistributionId="LOCALEDGE", MaxItems=size)
    with refused("NoSuchResource", 404):
        await boto.call("list_distributions")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MissingBody"),
        (b"<InvalidationBatch", "MalformedXML"),
        (b"<Other/>", "MalformedXML"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa">]><InvalidationBatch>&a;</InvalidationBatch>', "MalformedXML"),
    ],
)
async def test_a_body_that_is_no_batch_is_refused(world: World, body: bytes, code: str) -> None:
    url = f"{world.api_url}/2020-05-31/distribution/LOCALEDGE/invalidation"
    async with world.session.post(url, data=body) as answer:
        assert answer.status == 400
        assert f"<Code>{code}</Code>" in await answer.text()


async def test_invalidations_are_listed_newest_first_page_by_page(boto: Boto) -> None:
    ids = [(await boto.create(f"batch-{n}", "#g"))["Invalidation"]["Id"] for n in range(5)]
    pages = [page["InvalidationList"] for page in await boto.pages(2)]
    assert [page["Quantity"] for page in pages] == [2, 2, 1]
    assert [item["Id"] for page in pages for item in page["Items"]] == ids[::-1]
    assert pages[1]["Marker"] == pages[0]["NextMarker"] == ids[3]


async def test_an_empty_list_is_a_list(boto: Boto) -> None:
    (page,) = await boto.pages(2)
    assert (page["InvalidationList"]["Quantity"], page["InvalidationList"]["IsTruncated"]) == (0, False)


async def test_the_distribution_can_be_read(boto: Boto) -> None:
    read = (await boto.call("get_distribution", Id="LOCALEDGE"))["Distribution"]
    config = await boto.call("get_distribution_config", Id="LOCALEDGE")
    assert (read["Id"], read["Status"], read["InProgressInvalidationBatches"]) == ("LOCALEDGE", "Deployed", 0)
    assert read["DistributionConfig"] == config["DistributionConfig"]
    assert config["ETag"]
    assert config["DistributionConfig"]["CacheTagConfig"] == {"HeaderName": "Cache-Tag"}
    assert config["DistributionConfig"]["Origins"]["Items"][0]["ResponseCompletionTimeout"] == 5


@asynccontextmanager
async def driver(world: World, **options: str) -> AsyncIterator[CloudFrontEdge]:
    """The driver of a world's edge, closed in the end."""
    edge = CloudFrontEdge.local("local", world.api_url, **options)
    try:
        yield edge
    finally:
        await edge.close()


async def test_an_invalidation_is_in_progress_then_takes_effect_then_completes() -> None:
    async with local_edge(SLOW) as world, driver(world) as edge:
        world.origin.will("/feed/ada", Answer(b"ada", headers={"cache-tag": "u-ada"}))
        await world.get("/feed/ada")
        receipt = await edge.invalidate(Batch("batch-1", ("u-ada",)))
        assert not receipt.complete
        assert (await world.get("/feed/ada")).x_cache == "Hit"
        world.clock.now += 5
        assert (await world.get("/feed/ada")).x_cache == "Miss"
        assert not await edge.is_complete(receipt.invalidation)
        world.clock.now += 20
        assert await edge.is_complete(receipt.invalidation)


async def test_calls_in_a_row_are_throttled_and_the_driver_calls_that_busy() -> None:
    async with local_edge(SLOW) as world, driver(world) as edge:
        for n in range(CLOUDFRONT.call_burst):
            await edge.invalidate(Batch(f"batch-{n}", ("g",)))
        with pytest.raises(EdgeBusy, match=r"refused batch late \(1 items\): Throttling: Rate exceeded"):
            await edge.invalidate(Batch("late", ("g",)))
        world.clock.now += 2
        assert not (await edge.invalidate(Batch("late", ("g",)))).complete


async def test_a_full_quota_is_busy_until_something_completes() -> None:
    async with local_edge(SLOW) as world, driver(world) as edge:
        await edge.invalidate(Batch("batch-1", tuple(f"u-{n}" for n in range(3_000))))
        with pytest.raises(EdgeBusy, match="TooManyInvalidationsInProgress"):
            await edge.invalidate(Batch("batch-2", ("g",)))
        world.clock.now += 25
        await edge.invalidate(Batch("batch-2", ("g",)))


async def test_a_batch_sent_again_returns_the_same_receipt(world: World) -> None:
    async with driver(world) as edge:
        first = await edge.invalidate(Batch("batch-1", ("u-ada", "u-bob")))
        assert first.complete
        assert await x_caches(world) == ["Miss", "Miss"]
        assert await edge.invalidate(Batch("batch-1", ("u-ada", "u-bob"))) == first
        assert await x_caches(world) == ["Hit", "Hit"]


async def test_an_edge_that_takes_our_tags_passes_the_check_whatever_the_case(world: World) -> None:
    async with driver(world, tag_header="cache-TAG") as edge:
        await edge.check()


async def test_an_edge_with_another_tag_header_is_refused_with_what_to_set(world: World) -> None:
    async with driver(world, tag_header="X-Tags") as edge:
        with pytest.raises(
            EdgeMisconfigured, match=r"from the header 'Cache-Tag'.*set CacheTagConfig.HeaderName to 'X-Tags'"
        ):
            await edge.check()


async def test_an_edge_without_tags_is_refused_with_what_to_set() -> None:
    body = (
        b'<DistributionConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Comment/></DistributionConfig>'
    )
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with raw_origin(answer) as url:
        edge = CloudFrontEdge.local("local", url)
        with pytest.raises(EdgeMisconfigured, match="has no CacheTagConfig"):
            await edge.check()
        await edge.close()


async def test_a_wrong_distribution_is_denied_with_what_to_do(world: World) -> None:
    async with driver(world, distribution="EOTHER") as edge:
        with pytest.raises(EdgeDenied, match="set the id of a distribution"):
            await edge.invalidate(Batch("batch-1", ("g",)))


async def test_an_invalidation_from_before_a_restart_is_unknown(world: World) -> None:
    async with driver(world) as edge:
        with pytest.raises(InvalidationUnknown, match="Send its batch again"):
            await edge.is_complete("I0")


@pytest.mark.parametrize(
    "answer",
    [
        b"",  # nothing, and the connection closed
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\n<html",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html",
        b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",  # XML, but of a proxy
        b"HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n<I><CreateTime>soon</CreateTime></I>",
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_what_is_no_answer_of_cloudfront_is_busy(answer: bytes) -> None:
    async with raw_origin(answer) as url:
        edge = CloudFrontEdge.local("local", url)
        with pytest.raises(EdgeBusy):
            await edge.invalidate(Batch("batch-1", ("g",)))
        with pytest.raises(EdgeBusy):
            await edge.is_complete("I1")
        await edge.close()


async def test_no_edge_at_all_is_busy() -> None:
    async with raw_origin(b"") as url:
        pass
    edge = CloudFrontEdge.local("local", url)
    with pytest.raises(EdgeBusy, match="could not be asked for batch batch-1"):
        await edge.invalidate(Batch("batch-1", ("g",)))
    await edge.close()


async def test_nothing_of_this_machines_credentials_reaches_the_local_edge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poison = tmp_path / "config"
    poison.write_text("this is not a configuration file")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(poison))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "THE-MACHINES")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "THE-MACHINES")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    seen: list[dict[bytes, bytes]] = []
    api = LocalEdge(LocalEdgeConfig("http://127.0.0.1:1")).api

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope["headers"]))
        await api(scope, receive, send)

    listening, url = listen()
    async with serving((listening, note, UVICORN)):
        edge = CloudFrontEdge.local("local", url)
        await edge.check()
        await edge.close()
    assert b"Credential=LOCALEDGE/" in seen[0][b"authorization"]
    assert "THE-MACHINES" not in str(seen)


def test_boto3_is_not_imported_before_the_first_call() -> None:
    code = "import sys, cdn.cloudfront; cdn.cloudfront.CloudFrontEdge('a', 'E1'); print('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
