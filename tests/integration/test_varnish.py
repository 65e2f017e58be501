"""The VCL, on a real Varnish: what is kept for how long, what reaches the origin, and what a viewer is told."""

import asyncio
import gzip

import pytest

from cdn.edge import Batch
from cdn.errors import EdgeMisconfigured
from cdn.local.asgi import Receive, Scope, Send
from cdn.varnish import VarnishEdge
from tests.integration.local_edge import Answer
from tests.integration.varnish import SECRET, TIMEOUT_S, Server, World, before_an_origin

BRIEF = "s-maxage=1, stale-while-revalidate={swr}, stale-if-error={sie}"
FAILED = Answer(b"overloaded", status=503, cache_control="no-store", headers={"retry-after": "1"})
PATIENCE_S = 10.0
FAILURE = "Error from varnish"


def brief(body: bytes, *, swr: int = 0, sie: int = 0, headers: dict[str, str] | None = None) -> Answer:
    """Return an answer that is fresh for a second."""
    return Answer(body, cache_control=BRIEF.format(swr=swr, sie=sie), headers=headers or {})


async def expired(world: World, path: str) -> None:
    """Read a path that is fresh for a second, and return once that is over."""
    await world.get(path)
    await asyncio.sleep(1.1)


async def test_three_hundred_first_reads_are_one_request_at_the_origin(varnish: World) -> None:
    path, gate = varnish.path("ada"), asyncio.Event()
    varnish.origin.will(path, Answer(b"ada", gate=gate))
    reads = [asyncio.create_task(varnish.get(path)) for _ in range(300)]
    await varnish.origin.arrivals.reaches(1)
    gate.set()
    replies = await asyncio.gather(*reads)
    assert {reply.body for reply in replies} == {b"ada"}
    assert varnish.origin.requests == [f"GET {path}"]


async def test_what_cannot_be_cached_queues_for_nobody(varnish: World) -> None:
    path, gate = varnish.path("ada"), asyncio.Event()
    varnish.origin.will(path, Answer(b"ada", cache_control="no-store"), Answer(b"ada", gate=gate, cache_control=""))
    assert (await varnish.get(path)).x_cache == "Miss from varnish"
    reads = [asyncio.create_task(varnish.get(path)) for _ in range(50)]
    await varnish.origin.arrivals.reaches(51)  # all of them are at the origin, which has not answered one
    gate.set()
    assert {reply.x_cache for reply in await asyncio.gather(*reads)} == {"Miss from varnish"}


async def test_what_can_be_cached_again_is(varnish: World) -> None:
    path = varnish.path("ada")
    varnish.origin.will(path, Answer(b"old", cache_control="private"), Answer(b"new"))
    assert [(await varnish.get(path)).body for _ in range(3)] == [b"old", b"new", b"new"]
    assert await varnish.word(path) == "Hit"


async def test_a_body_that_drips_in_or_is_cut_off_is_told_in_time_and_not_kept(varnish_server: Server) -> None:
    """It drips a byte each tenth of the time-out, so that it is never silent for long; the other one ends half way."""
    bytes_of = {"drips": [200, 1], "ends": [2, 1]}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        count = next(counts.pop(0) for name, counts in bytes_of.items() if name in scope["path"])
        headers = [(b"content-length", b"200"), (b"cache-control", b"s-maxage=60")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(count if count != 2 else 1):
            await send({"type": "http.response.body", "body": b"x" * (200 // count), "more_body": True})
            await asyncio.sleep(TIMEOUT_S / 10 if count == 200 else 0)
        await send({"type": "http.response.body"})

    async with before_an_origin(varnish_server, answer) as world:
        drips, ends = world.path("drips"), world.path("ends")
        began = asyncio.get_running_loop().time()
        replies = await asyncio.gather(world.get(drips), world.get(ends))
        took_s = asyncio.get_running_loop().time() - began
        assert [(reply.status, reply.x_cache) for reply in replies] == [(504, FAILURE), (502, FAILURE)]
        assert took_s < 10 * TIMEOUT_S, "the whole would have taken 20 time-outs"
        await asyncio.sleep(1.1)
        for path in (drips, ends):
            reply = await world.get(path)
            assert (reply.body, reply.x_cache) == (b"x" * 200, "Miss from varnish")


async def test_those_who_wait_for_a_frozen_origin_share_one_error(varnish: World) -> None:
    path, gate = varnish.path("ada"), asyncio.Event()
    varnish.origin.will(path, Answer(b"ada", gate=gate))
    replies = await asyncio.gather(*(varnish.get(path) for _ in range(20)))
    gate.set()
    assert {(reply.status, reply.x_cache) for reply in replies} == {(504, FAILURE)}
    assert varnish.origin.requests == [f"GET {path}"]


async def test_what_is_stale_is_served_while_it_is_refreshed(varnish: World) -> None:
    path = varnish.path("ada")
    varnish.origin.will(path, brief(b"old", swr=60), brief(b"new", swr=60))
    await expired(varnish, path)
    stale = await varnish.get(path)
    assert (stale.body, stale.x_cache) == (b"old", "Hit from varnish")

    await varnish.origin.arrivals.reaches(2)
    async with asyncio.timeout(PATIENCE_S):
        while (reply := await varnish.get(path)).body == b"old":
            assert reply.x_cache == "Hit from varnish"


async def test_a_refresh_that_fails_leaves_what_is_stale(varnish: World) -> None:
    path = varnish.path("ada")
    varnish.origin.will(path, brief(b"old", swr=60), FAILED)
    await expired(varnish, path)
    await varnish.get(path)
    await varnish.origin.arrivals.reaches(2)
    assert [(await varnish.get(path)).body for _ in range(5)] == [b"old"] * 5


async def test_beyond_that_the_origin_is_asked_and_what_is_stale_stands_in_for_an_error(varnish: World) -> None:
    path = varnish.path("ada")
    varnish.origin.will(path, brief(b"old", sie=60), FAILED, brief(b"new"))
    await expired(varnish, path)
    replies = [await varnish.get(path) for _ in range(2)]
    assert [(reply.body, reply.x_cache) for reply in replies] == [
        (b"old", "Hit from varnish"),
        (b"new", "Miss from varnish"),
    ]
    assert len(varnish.origin.requests) == 3


async def test_a_frozen_origin_costs_those_who_wait_one_time_out_and_then_all_get_what_is_stale(varnish: World) -> None:
    path, gate = varnish.path("ada"), asyncio.Event()
    varnish.origin.will(path, brief(b"old", sie=60), Answer(b"new", gate=gate))
    await expired(varnish, path)
    began = asyncio.get_running_loop().time()
    replies = await asyncio.gather(*(varnish.get(path) for _ in range(30)))
    took_s = asyncio.get_running_loop().time() - began
    gate.set()
    assert {reply.body for reply in replies} == {b"old"}
    assert took_s < 5 * TIMEOUT_S, "30 time-outs one after the other would be 30"


async def test_an_error_is_told_where_nothing_may_stand_in_for_it(varnish: World) -> None:
    path = varnish.path("ada")
    varnish.origin.will(path, brief(b"old"), FAILED)
    await expired(varnish, path)
    reply = await varnish.get(path)
    assert (reply.status, reply.x_cache) == (503, FAILURE)
    assert reply.headers["retry-after"] == "1"


async def test_a_304_renews_what_is_held_and_its_tags_are_the_new_ones(varnish: World) -> None:
    path, old, new = varnish.path("ada"), varnish.user("old"), varnish.user("new")
    varnish.origin.will(
        path,
        brief(b"ada", headers={"etag": '"1"', "cache-tag": old}),
        Answer(b"ada", headers={"etag": '"1"', "cache-tag": new}),
    )
    await expired(varnish, path)
    renewed = await varnish.get(path)
    assert (renewed.body, renewed.x_cache) == (b"ada", "RefreshHit from varnish")
    assert varnish.origin.headers[1]["if-none-match"] == '"1"'
    edge = varnish.driver()
    await edge.invalidate(Batch("b1", (old,)))
    assert await varnish.word(path) == "Hit"
    await edge.invalidate(Batch("b2", (new,)))
    assert await varnish.word(path) == "Miss"
    await edge.close()


async def test_a_viewer_sees_no_header_of_ours_and_is_told_to_ask_again(varnish: World) -> None:
    path = varnish.path("ada")
    varnish.origin.will(path, Answer(b"ada", headers={"cache-tag": "g", "set-cookie": "a=b", "etag": '"1"'}))
    for word in ("Miss", "Hit"):
        reply = await varnish.get(path)
        assert reply.headers["x-cache"] == f"{word} from varnish"
        assert reply.headers["cache-control"] == "no-cache"
        assert reply.headers["via"] == "1.1 varnish"
        assert reply.headers["age"] == "0"
        ours = {"cache-tag", "xkey", "edgebake-swr", "edgebake-renewed", "set-cookie", "x-varnish"}
        assert ours.isdisjoint(reply.headers)


async def test_who_has_it_already_gets_a_304_and_head_gets_no_body(varnish: World) -> None:
    path = varnish.path("ada")
    varnish.origin.will(path, Answer(b"ada", headers={"etag": '"1"'}))
    head = await varnish.get(path, "HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, "3", b"")
    assert (await varnish.get(path, If_None_Match='"1"')).status == 304
    assert (await varnish.get(path, If_None_Match='"0"')).status == 200
    assert varnish.origin.requests == [f"GET {path}"]


async def test_one_variant_is_fetched_with_gzip_whatever_a_viewer_accepts(varnish: World) -> None:
    path, body = varnish.path("ada"), b"ada " * 100
    packed = {"content-encoding": "gzip", "etag": '"gz"', "vary": "Accept-Encoding"}
    varnish.origin.will(path, Answer(gzip.compress(body), headers=packed))
    plain = await varnish.get(path)
    assert (plain.body, plain.headers["etag"]) == (body, 'W/"gz"')
    for accepted in ("gzip", "gzip, deflate, br", "br, gzip;q=0.5"):
        reply = await varnish.get(path, Accept_Encoding=accepted)
        assert (gzip.decompress(reply.body), reply.headers["etag"]) == (body, '"gz"')
    assert (await varnish.get(path, If_None_Match='W/"gz"')).status == 304
    assert [headers["accept-encoding"] for headers in varnish.origin.headers] == ["gzip"]


async def test_nothing_of_a_viewer_splits_the_cache_or_reaches_the_origin(varnish: World) -> None:
    path = varnish.path("ada")
    varnish.origin.will(path, Answer(b"ada"))
    await varnish.get(f"{path}?a=1", Cookie="a=b", Authorization="Bearer x", Range="bytes=0-0", Host="a.test")
    reply = await varnish.get(path, Cookie="a=c", Host="b.test", Range="bytes=1-1")
    assert (reply.status, reply.body, reply.x_cache) == (200, b"ada", "Hit from varnish")
    assert varnish.origin.requests == [f"GET {path}"]
    assert {"cookie", "authorization", "range", "x-forwarded-for"}.isdisjoint(varnish.origin.headers[0])


async def test_nothing_but_our_public_paths_reaches_the_origin(varnish: World) -> None:
    told = {
        ("GET", "/"): 404,
        ("GET", "/api/users"): 404,
        ("GET", "/metrics"): 404,
        ("GET", "/feeds"): 404,
        ("GET", "/feed/../metrics"): 404,
        ("GET", "/feed/%2e%2e/metrics"): 404,
        ("GET", "/private/ada/"): 403,
        ("POST", "/feed/ada"): 403,
        ("DELETE", "/feed/ada"): 403,
        ("PURGE", "/feed/ada"): 403,
    }
    replies = {asked: await varnish.get(asked[1], asked[0]) for asked in told}
    assert {asked: reply.status for asked, reply in replies.items()} == told
    assert {reply.x_cache for reply in replies.values()} == {FAILURE}
    assert varnish.origin.requests == []


async def test_nobody_drops_anything_without_the_secret(varnish: World) -> None:
    path, tag = varnish.path("ada"), varnish.user("u-ada")
    varnish.origin.will(path, Answer(b"ada", headers={"cache-tag": tag}))
    await varnish.get(path)
    for secret in ("", "wrong"):
        refused = await varnish.get("/", "PURGE", Edgebake_Secret=secret, Edgebake_Tags=tag)
        assert (refused.status, refused.body) == (403, b"secret")
    assert await varnish.word(path) == "Hit"
    dropped = await varnish.get("/", "PURGE", Edgebake_Secret=SECRET, Edgebake_Tags=tag)
    assert (dropped.status, dropped.headers["edgebake-dropped"]) == (200, "1")
    assert await varnish.word(path) == "Miss"


async def test_a_viewer_cannot_ask_for_what_is_stale(varnish: World) -> None:
    path = varnish.path("ada")
    varnish.origin.will(path, brief(b"old", sie=60), brief(b"new"))
    await expired(varnish, path)
    assert (await varnish.get(path, Edgebake_Stale="any")).body == b"new"


async def test_a_driver_that_reckons_with_less_time_than_the_vcl_allows_is_refused(varnish_server: Server) -> None:
    edge = VarnishEdge("varnish", [varnish_server.url], SECRET, origin_timeout_s=TIMEOUT_S / 2)
    with pytest.raises(EdgeMisconfigured, match=r"origin_timeout '0.5s' in its site.vcl"):
        await edge.check()
    await edge.close()
