"""What ``cdn.edge.Edge`` promises, of every driver: CloudFront's on the local edge, Varnish's on a real Varnish.

A further driver gets a line in ``WORLDS``.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytest

from cdn.cloudfront import CloudFrontEdge
from cdn.edge import Batch, Edge
from cdn.errors import EdgeBusy, EdgeMisconfigured
from cdn.varnish import VarnishEdge
from edgebake.valkey import free_port
from tests.integration import local_edge, varnish
from tests.integration.local_edge import Answer, Origin, Reply
from tests.integration.varnish import SECRET, TIMEOUT_S

LOOKS = 600


class Viewer(Protocol):
    """What reads at an edge."""

    async def get(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """Read a path; an underscore in the name of a header stands for a dash."""


@dataclass(frozen=True)
class World:
    """An edge with its driver and its origin. ``number`` makes users new, for an edge may remember those of others."""

    edge: Edge
    viewer: Viewer
    origin: Origin
    number: int
    elsewhere: Callable[[], Edge]
    """Makes a driver for where nobody listens."""
    other_header: Callable[[], Edge]
    """Makes one whose tags are in a header that the edge does not read."""

    def tag(self, user: str) -> str:
        return f"u-{user}-{self.number}"

    def will(self, user: str, *answers: Answer) -> None:
        """Answer for a user's feed, with their tag."""
        tagged = [replace(a, headers=a.headers | {"cache-tag": f"g,{self.tag(user)}"}) for a in answers]
        self.origin.will(self.path(user), *(tagged or [self.answer(user)]))

    def answer(self, user: str) -> Answer:
        return Answer(user.encode(), headers={"cache-tag": f"g,{self.tag(user)}"})

    def path(self, user: str) -> str:
        return f"/feed/{user}-{self.number}"

    async def word(self, user: str, method: str = "GET", **headers: str) -> str:
        """Read a user's feed and return how the edge came by it."""
        reply = await self.viewer.get(self.path(user), method, **headers)
        return reply.headers["x-cache"].partition(" ")[0]

    async def words(self, *users: str) -> list[str]:
        return [await self.word(user) for user in users]

    async def drop(self, name: str, *tags: str) -> None:
        """Let the edge drop a batch, and return when it is complete."""
        receipt = await self.edge.invalidate(Batch(f"{name}-{self.number}", tags))
        for _ in range(LOOKS):
            if receipt.complete or await self.edge.is_complete(receipt.invalidation):
                return
            await asyncio.sleep(0.05)
        pytest.fail(f"{receipt} is not complete")


@asynccontextmanager
async def of_cloudfront(_: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with local_edge.local_edge() as world:
        edge = CloudFrontEdge.local("main", world.api_url)

        def elsewhere() -> Edge:
            return CloudFrontEdge.local("main", f"http://127.0.0.1:{free_port()}")

        def other_header() -> Edge:
            return CloudFrontEdge.local("main", world.api_url, tag_header="X-Tags")

        yield World(edge, world, world.origin, 1, elsewhere, other_header)
        await edge.close()


@asynccontextmanager
async def of_varnish(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    server: varnish.Server = request.getfixturevalue("varnish_server")
    async with varnish.before_an_origin(server) as world:
        edge = world.driver()

        def elsewhere() -> Edge:
            return VarnishEdge("main", [server.url, f"http://127.0.0.1:{free_port()}"], SECRET)

        def other_header() -> Edge:
            return VarnishEdge("main", [server.url], SECRET, tag_header="X-Tags", origin_timeout_s=TIMEOUT_S)

        yield World(edge, world, world.origin, world.number, elsewhere, other_header)
        await edge.close()


WORLDS: dict[str, Any] = {"cloudfront": of_cloudfront, "varnish": of_varnish}


@pytest.fixture(params=WORLDS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Each edge, with its driver."""
    async with WORLDS[request.param](request) as opened:
        yield opened


async def test_an_edge_that_is_set_up_as_we_need_it_passes_the_check(world: World) -> None:
    await world.edge.check()
    assert world.edge.name
    assert world.edge.max_items >= 1


async def test_a_tag_drops_what_carries_it_and_nothing_else(world: World) -> None:
    world.will("ada")
    world.will("bob")
    assert await world.words("ada", "bob", "ada", "bob") == ["Miss", "Miss", "Hit", "Hit"]
    await world.drop("first", world.tag("ada"))
    assert await world.words("ada", "bob", "ada") == ["Miss", "Hit", "Hit"]
    assert world.origin.requests == [f"GET {world.path(user)}" for user in ("ada", "bob", "ada")]


async def test_a_tag_that_nothing_carries_drops_nothing(world: World) -> None:
    world.will("ada")
    await world.word("ada")
    await world.drop("first", world.tag("ad"), world.tag("ada") + "-x", f"p-{world.number}")
    assert await world.word("ada") == "Hit"


async def test_tags_ignore_case(world: World) -> None:
    world.origin.will(world.path("ada"), Answer(b"ada", headers={"cache-tag": world.tag("ADA").upper()}))
    await world.word("ada")
    await world.drop("first", world.tag("ada"))
    assert await world.word("ada") == "Miss"


async def test_all_tags_of_the_largest_batch_are_dropped(world: World) -> None:
    world.will("first")
    world.will("last")
    await world.words("first", "last")
    tags = [world.tag(f"nobody-{number}") for number in range(world.edge.max_items - 2)]
    await world.drop("large", world.tag("first"), *tags, world.tag("last"))
    assert await world.words("first", "last") == ["Miss", "Miss"]


async def test_every_variant_is_dropped(world: World) -> None:
    packed = Answer(gzip.compress(b"ada " * 50), headers={"content-encoding": "gzip", "vary": "Accept-Encoding"})
    world.will("ada", packed)
    for _ in range(2):
        await world.word("ada", Accept_Encoding="gzip")
        await world.word("ada")
    asked = len(world.origin.requests)
    await world.drop("first", world.tag("ada"))
    assert await world.word("ada", Accept_Encoding="gzip") == "Miss"
    await world.word("ada")
    assert len(world.origin.requests) == 2 * asked, "all that was asked for is asked for again"


async def test_a_404_is_dropped_too(world: World) -> None:
    world.will("ada", Answer(b"nobody", status=404), Answer(b"ada"))
    for _ in range(2):
        assert (await world.viewer.get(world.path("ada"))).status == 404
    await world.drop("first", world.tag("ada"))
    assert (await world.viewer.get(world.path("ada"))).body == b"ada"
    assert len(world.origin.requests) == 2


async def test_the_same_batch_again_has_the_same_receipt_and_harms_nothing(world: World) -> None:
    world.will("ada")
    batch = Batch(f"same-{world.number}", (world.tag("ada"),))
    first = await world.edge.invalidate(batch)
    await world.word("ada")
    assert await world.edge.invalidate(batch) == first
    assert (await world.viewer.get(world.path("ada"))).body == b"ada"


async def test_the_same_tags_in_another_batch_drop_again(world: World) -> None:
    world.will("ada")
    words = []
    for name in ("first", "second"):
        words.append(await world.word("ada"))
        await world.drop(name, world.tag("ada"))
    assert [*words, await world.word("ada")] == ["Miss"] * 3


async def test_a_second_batch_drops_what_was_on_its_way_during_the_first(world: World) -> None:
    gate = asyncio.Event()
    world.will("ada", Answer(b"old", gate=gate), Answer(b"new"))
    reading = asyncio.create_task(world.viewer.get(world.path("ada")))
    await world.origin.arrivals.reaches(1)
    await world.drop("first", world.tag("ada"))
    gate.set()
    assert (await reading).body == b"old"
    assert (await world.viewer.get(world.path("ada"))).body == b"old", "no edge is told of what has not arrived"
    await world.drop("tap", world.tag("ada"))
    assert (await world.viewer.get(world.path("ada"))).body == b"new"


async def test_where_nobody_answers_the_edge_is_busy_and_named(world: World) -> None:
    edge = world.elsewhere()
    with pytest.raises(EdgeBusy, match=r"batch b1 \(1 items\).*The same may be tried again"):
        await edge.invalidate(Batch("b1", ("g",)))
    await edge.close()


async def test_an_edge_that_reads_tags_from_another_header_is_refused_with_what_to_set(world: World) -> None:
    edge = world.other_header()
    with pytest.raises(EdgeMisconfigured, match=r"(?i)'cache-tag'.*'X-Tags': set "):
        await edge.check()
    await edge.close()
