"""The access log that the local edge writes: a line for each answer, as CloudFront words it."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cdn.accesslog import FIELDS, HEAD
from cdn.local.config import LocalEdgeConfig
from cdn.local.faults import Fault, OriginFault
from cdn.local.topology import Topology
from tests.integration.local_edge import Answer, World, local_edge

AT = 1_795_267_800.0  # 2026-11-21T13:30:00Z
TWO = Topology(("FRA56-P1", "NRT12-C1"), shield=True)


@asynccontextmanager
async def logging(folder: Path, topology: Topology | None = None) -> AsyncIterator[World]:
    """An edge that logs into a folder; what it wrote is there when it has ended."""
    config = LocalEdgeConfig("", topology=topology or Topology(), logs=folder, wall_clock=lambda: AT)
    async with local_edge(config) as world:
        world.origin.will("/feed/ada", Answer(b"ada", headers={"content-type": "text/html; charset=utf-8"}))
        yield world


def lines(folder: Path) -> list[dict[str, str]]:
    """Return the log's lines by their fields' names."""
    (path,) = folder.glob("LOCALEDGE.2026-11-21-13.*.gz")
    text = gzip.decompress(path.read_bytes()).decode()
    assert text.startswith(HEAD)
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in text.removeprefix(HEAD).splitlines()]


async def test_each_answer_is_a_line_with_what_the_viewer_saw(tmp_path: Path) -> None:
    async with logging(tmp_path) as world:
        sent = {"User_Agent": "a b/1", "Referer": "http://x.example/?q=[1]", "Cookie": "secret=1"}
        first = await world.get("/feed/ada?x=%20y", **sent)
        await world.get("/feed/ada")
    one, two = lines(tmp_path)
    host = world.proxy_url.removeprefix("http://")
    assert (one["date"], one["time"], one["x-edge-location"]) == ("2026-11-21", "13:30:00", "LOCAL1-C1")
    assert (one["c-ip"], one["cs-method"], one["cs(Host)"]) == ("127.0.0.1", "GET", "localedge.cloudfront.net")
    assert (one["cs-uri-stem"], one["cs-uri-query"], one["sc-status"]) == ("/feed/ada", "x=%2520y", "200")
    assert (one["cs(User-Agent)"], one["cs(Referer)"]) == ("a%20b/1", "http://x.example/?q=%5B1%5D")
    assert (one["cs(Cookie)"], one["x-host-header"], one["cs-protocol"]) == ("-", host, "http")
    assert one["x-edge-request-id"] == first.headers["x-amz-cf-id"]
    assert (one["sc-content-type"], one["sc-content-len"]) == ("text/html;%20charset=utf-8", "3")
    assert int(one["sc-bytes"]) > 3
    assert int(one["cs-bytes"]) > len("/feed/ada?x=%20y")
    assert 0 <= float(one["time-to-first-byte"]) <= float(one["time-taken"])
    results = ("x-edge-result-type", "x-edge-response-result-type", "x-edge-detailed-result-type")
    assert [[line[name] for name in results] for line in (one, two)] == [["Miss"] * 3, ["Hit"] * 3]
    assert (two["cs(Referer)"], two["cs-uri-query"], two["sc-range-start"]) == ("-", "-", "-")


async def test_collapsed_requests_are_hits_in_the_log(tmp_path: Path) -> None:
    async with logging(tmp_path) as world:
        gate = asyncio.Event()
        world.origin.will("/feed/bob", Answer(b"bob", gate=gate))
        reads = [asyncio.create_task(world.get("/feed/bob")) for _ in range(10)]
        await world.viewers.reaches(10)
        await world.origin.arrivals.reaches(1)
        gate.set()
        await asyncio.gather(*reads)
    assert sorted(line["x-edge-result-type"] for line in lines(tmp_path)) == ["Hit"] * 9 + ["Miss"]


async def test_a_hit_at_the_shield_is_one_in_the_detailed_type_only(tmp_path: Path) -> None:
    async with logging(tmp_path, TWO) as world:
        for location in TWO.locations:
            reply = await world.get("/feed/ada", X_Edge_Location=location)
        assert reply.x_cache == "Hit"
    first, second = lines(tmp_path)
    assert (first["x-edge-location"], first["x-edge-detailed-result-type"]) == ("FRA56-P1", "Miss")
    assert (second["x-edge-location"], second["x-edge-result-type"]) == ("NRT12-C1", "Hit")
    assert second["x-edge-detailed-result-type"] == "OriginShieldHit"


async def test_an_error_is_named_in_the_detailed_type(tmp_path: Path) -> None:
    async with logging(tmp_path) as world:
        world.origin.will("/feed/gone", Answer(status=404, cache_control="s-maxage=60"))
        for path in ("/feed/gone", "/private/ada", "/nowhere"):
            await world.get(path)
        await world.get("/feed/ada", "POST")
        world.edge.faults.set(Fault(origin=OriginFault.REFUSING))
        await world.get("/feed/ada")
    told = [(line["sc-status"], line["x-edge-result-type"], line["x-edge-detailed-result-type"]) for line in
            lines(tmp_path)]  # fmt: skip
    assert told == [
        ("404", "Error", "Error"),
        ("403", "Error", "InvalidRequestBlocked"),
        ("404", "FunctionGeneratedResponse", "FunctionGeneratedResponse"),
        ("403", "Error", "InvalidRequestMethod"),
        ("502", "Error", "OriginConnectError"),
    ]


async def test_an_expired_object_that_is_confirmed_is_a_refresh_hit_and_a_range_has_its_ends(tmp_path: Path) -> None:
    async with logging(tmp_path) as world:
        world.origin.will("/feed/ada", Answer(b"ada", headers={"etag": '"1"'}, cache_control="s-maxage=60"))
        await world.get("/feed/ada")
        world.clock.now += 61
        await world.get("/feed/ada")
        await world.get("/feed/ada", Range="bytes=0-1")
    types = [line["x-edge-result-type"] for line in lines(tmp_path)]
    assert types == ["Miss", "RefreshHit", "Hit"]
    last = lines(tmp_path)[-1]
    assert (last["sc-status"], last["sc-range-start"], last["sc-range-end"]) == ("206", "0", "1")
