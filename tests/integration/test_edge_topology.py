"""Several locations, a regional cache and a shield: who asks whom, what is said of it, and where invalidations are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from cdn.local.config import CLOUDFRONT, LocalEdgeConfig
from cdn.local.faults import Fault, OriginFault
from cdn.local.topology import Topology
from tests.integration.local_edge import Answer, Reply, World, local_edge

FRA, NRT = "FRA56-P1", "NRT12-C1"
TAGGED = {"cache-tag": "u-ada"}


@asynccontextmanager
async def edge(topology: Topology, config: LocalEdgeConfig | None = None) -> AsyncIterator[World]:
    async with local_edge(replace(config or LocalEdgeConfig(""), topology=topology)) as world:
        world.origin.will("/feed/ada", Answer(b"ada", headers=TAGGED))
        yield world


async def read(world: World, location: str, path: str = "/feed/ada") -> Reply:
    return await world.get(path, X_Edge_Location=location)


async def test_locations_keep_objects_of_their_own() -> None:
    async with edge(Topology((FRA, NRT))) as world:
        seen = [await read(world, location) for location in (FRA, NRT, FRA, NRT)]
        assert [reply.x_cache for reply in seen] == ["Miss", "Miss", "Hit", "Hit"]
        assert [reply.headers["x-amz-cf-pop"] for reply in seen] == [FRA, NRT, FRA, NRT]
        assert world.origin.requests == ["GET /feed/ada"] * 2


@pytest.mark.parametrize("topology", [Topology((FRA, NRT), regional=True), Topology((FRA, NRT), shield=True)])
async def test_what_one_location_fetched_is_a_hit_at_the_next_from_the_cache_they_share(topology: Topology) -> None:
    async with edge(topology) as world:
        assert [(await read(world, location)).x_cache for location in (FRA, NRT)] == ["Miss", "Hit"]
        assert world.origin.requests == ["GET /feed/ada"]


async def test_first_reads_at_many_locations_at_once_are_one_request_at_the_origin() -> None:
    async with edge(Topology((FRA, NRT), regional=True, shield=True)) as world:
        gate = asyncio.Event()
        world.origin.will("/feed/ada", Answer(b"ada", gate=gate))
        reads = [asyncio.create_task(read(world, location)) for location in (FRA, NRT) for _ in range(50)]
        await world.viewers.reaches(100)
        await world.origin.arrivals.reaches(1)
        gate.set()
        replies = await asyncio.gather(*reads)
        assert world.origin.requests == ["GET /feed/ada"]
        assert {reply.body for reply in replies} == {b"ada"}


async def test_a_range_and_a_head_are_hits_where_the_regional_cache_has_all_of_it() -> None:
    async with edge(Topology((FRA, NRT, "SIN2-P8"), regional=True)) as world:
        await read(world, FRA)
        part = await world.get("/feed/ada", X_Edge_Location=NRT, Range="bytes=1-2")
        head = await world.get("/feed/ada", "HEAD", X_Edge_Location="SIN2-P8")
        assert (part.status, part.body, part.x_cache) == (206, b"da", "Hit")
        assert (head.status, head.headers["content-length"], head.x_cache) == (200, "3", "Hit")
        assert world.origin.requests == ["GET /feed/ada"]


async def test_what_a_location_holds_confirms_nothing_that_the_regional_cache_holds() -> None:
    async with edge(Topology((FRA, NRT), regional=True)) as world:
        kept = Answer(b"1", headers={"etag": '"1"'}, cache_control="s-maxage=5, stale-if-error=0")
        gone = Answer(b"", 404, cache_control="s-maxage=5")
        world.origin.will("/feed/ada", kept, gone, replace(kept, cache_control="s-maxage=60"))
        await read(world, FRA)
        world.clock.now += 6
        await read(world, NRT)
        world.clock.now += 6
        assert [(await read(world, location)).status for location in (FRA, NRT)] == [200, 200]


async def test_nobody_is_served_by_a_location_that_is_not_there() -> None:
    async with edge(Topology((FRA, NRT))) as world:
        reply = await read(world, "SIN2-P8")
        assert (reply.status, reply.body) == (404, b"There is no location 'SIN2-P8' here, but FRA56-P1, NRT12-C1.\n")
        assert world.origin.requests == []


async def test_an_invalidation_is_in_progress_until_every_location_and_tier_has_it() -> None:
    topology = Topology((FRA, NRT), effects_s={FRA: 2.0, NRT: 30.0})
    async with edge(topology, LocalEdgeConfig("", profile=CLOUDFRONT)) as world:
        await asyncio.gather(read(world, FRA), read(world, NRT))
        taken = world.edge.invalidations.create("batch-1", ["#u-ada"])
        world.clock.now += 25  # when the profile would report it
        assert [(await read(world, location)).x_cache for location in (FRA, NRT)] == ["Miss", "Hit"]
        assert not world.edge.invalidations.is_complete(taken)
        world.clock.now += 5
        assert (await read(world, NRT)).x_cache == "Miss"
        assert world.edge.invalidations.is_complete(taken)


async def test_a_location_that_is_cut_off_serves_what_it_has_until_it_is_back() -> None:
    async with edge(Topology((FRA, NRT))) as world:
        await asyncio.gather(read(world, FRA), read(world, NRT))
        async with world.session.put(f"{world.api_url}/faults", json={"withheld": [NRT]}) as answer:
            assert answer.status == 200
        taken = world.edge.invalidations.create("batch-1", ["#u-ada"])
        assert [(await read(world, location)).x_cache for location in (FRA, NRT)] == ["Miss", "Hit"]
        assert not world.edge.invalidations.is_complete(taken)
        async with world.session.delete(f"{world.api_url}/faults"):
            pass
        assert (await read(world, NRT)).x_cache == "Miss"
        assert world.edge.invalidations.is_complete(taken)


async def test_a_location_fetches_back_what_it_has_just_dropped_and_a_second_invalidation_ends_that() -> None:
    """The unkind reading of what no page says: an outer cache may be cleared before the inner one that it asks."""
    async with edge(Topology((FRA,), regional=True), LocalEdgeConfig("", profile=CLOUDFRONT)) as world:
        await read(world, FRA)
        world.origin.will("/feed/ada", Answer(b"new", headers=TAGGED))
        world.edge.invalidations.create("batch-1", ["#u-ada"])
        world.clock.now += 2.5  # the location has dropped it, the regional cache has not
        assert (await read(world, FRA)).body == b"ada"
        world.clock.now += 30
        assert (await read(world, FRA)).body == b"ada"  # complete, and stale
        world.edge.invalidations.create("batch-2", ["#u-ada"])
        world.clock.now += 5
        assert (await read(world, FRA)).body == b"new"


async def test_an_expired_object_is_confirmed_by_the_cache_that_is_asked_next() -> None:
    async with edge(Topology((FRA,), regional=True)) as world:
        world.origin.will("/feed/ada", Answer(b"ada", headers={"etag": '"1"'}, cache_control="s-maxage=60"))
        await read(world, FRA)
        world.clock.now += 61
        reply = await read(world, FRA)
        assert (reply.body, reply.x_cache) == (b"ada", "RefreshHit")
        assert [headers.get("if-none-match") for headers in world.origin.headers] == [None, '"1"']


async def test_what_may_not_be_shared_is_kept_by_no_tier() -> None:
    async with edge(Topology((FRA, NRT), regional=True, shield=True)) as world:
        world.origin.will("/feed/ada", Answer(b"ada", cache_control="private"))
        assert [(await read(world, location)).x_cache for location in (FRA, NRT, FRA)] == ["Miss"] * 3
        assert len(world.origin.requests) == 3


async def test_an_origin_that_fails_is_told_through_all_tiers() -> None:
    async with edge(Topology((FRA,), regional=True, shield=True)) as world:
        world.edge.faults.set(Fault(origin=OriginFault.REFUSING))
        reply = await read(world, FRA)
        assert (reply.status, reply.x_cache) == (502, "Error")


@pytest.mark.parametrize("names", [(), (FRA, FRA), ("regional",)])
def test_caches_that_cannot_be_told_apart_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="need a name each"):
        Topology(names, regional=True)
