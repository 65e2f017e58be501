"""The local edge before an origin whose request log proves the cache."""

import asyncio
import logging
import socket
from dataclasses import replace

import pytest

from cdn.distribution import ERRORS, Distribution, ours
from cdn.local.config import INSTANT, ErrorTags, LateAnswers, LocalEdgeConfig
from tests.integration.local_edge import FRESH, Answer, Reply, World, local_edge, raw_origin

CONFIG = LocalEdgeConfig("")


def running(distribution: Distribution) -> LocalEdgeConfig:
    return LocalEdgeConfig("", distribution)


async def read_all(world: World, path: str, count: int, gate: asyncio.Event) -> list[Reply]:
    """Read a path ``count`` times at once; the origin answers when all have arrived at the edge."""
    reads = [asyncio.create_task(world.get(path)) for _ in range(count)]
    await world.viewers.reaches(count)
    await world.origin.arrivals.reaches(1)
    gate.set()
    return await asyncio.gather(*reads)


async def test_two_hundred_first_reads_at_once_are_one_request_at_the_origin() -> None:
    async with local_edge() as world:
        gate = asyncio.Event()
        world.origin.will("/feed/ada", Answer(b"ada", gate=gate))
        replies = await read_all(world, "/feed/ada", 200, gate)
        assert world.origin.requests == ["GET /feed/ada"]
        assert {(reply.status, reply.body) for reply in replies} == {(200, b"ada")}
        assert sorted(reply.x_cache for reply in replies) == ["Hit"] * 199 + ["Miss"]


async def test_an_answer_that_cannot_be_shared_sends_each_waiter_to_the_origin_side_by_side() -> None:
    async with local_edge() as world:
        first, rest = asyncio.Event(), asyncio.Event()
        world.origin.will(
            "/feed/ada",
            Answer(b"1", cache_control="private", gate=first),
            Answer(b"2", cache_control="private", gate=rest),
        )
        reads = [asyncio.create_task(world.get("/feed/ada")) for _ in range(20)]
        await world.viewers.reaches(20)
        await world.origin.arrivals.reaches(1)
        first.set()
        await world.origin.arrivals.reaches(20)  # all 19 at once, while none has been answered
        late = [asyncio.create_task(world.get("/feed/ada")) for _ in range(3)]
        await world.origin.arrivals.reaches(23)  # who comes later does not queue either
        rest.set()
        bodies = sorted(reply.body for reply in await asyncio.gather(*reads, *late))
        assert bodies == [b"1"] + [b"2"] * 22
        assert len(world.edge.objects) == 0


async def test_a_key_collapses_again_once_its_answer_can_be_shared() -> None:
    async with local_edge() as world:
        gate = asyncio.Event()
        world.origin.will("/feed/ada", Answer(cache_control="no-store"), Answer(cache_control="s-maxage=5"))
        await world.get("/feed/ada")
        await world.get("/feed/ada")
        world.clock.now += 10
        world.origin.will("/feed/ada", Answer(gate=gate))
        reads = [asyncio.create_task(world.get("/feed/ada")) for _ in range(10)]
        await world.viewers.reaches(12)
        gate.set()
        await asyncio.gather(*reads)
        assert len(world.origin.requests) == 3


async def test_waiters_share_the_failure_of_the_origin() -> None:
    async with local_edge() as world:
        gate = asyncio.Event()
        world.origin.will("/feed/ada", Answer(b"down", status=503, cache_control="", gate=gate))
        replies = await read_all(world, "/feed/ada", 10, gate)
        assert world.origin.requests == ["GET /feed/ada"]
        assert {(reply.status, reply.x_cache) for reply in replies} == {(503, "Error")}


async def test_a_second_read_is_a_hit_with_its_age() -> None:
    async with local_edge() as world:
        world.origin.will("/feed/ada", Answer(b"ada", headers={"edgebake-count": "7", "cache-tag": "g,u-ada"}))
        first = await world.get("/feed/ada")
        world.clock.now += 12.5
        second = await world.get("/feed/ada")
        assert (first.x_cache, second.x_cache) == ("Miss", "Hit")
        assert "age" not in first.headers
        assert second.headers["age"] == "12"
        assert second.body == b"ada"
        assert second.headers["cache-control"] == "no-cache"
        assert second.headers["edgebake-count"] == "7"
        assert "cache-tag" not in second.headers
        assert second.headers["via"] == "1.1 localedge.cloudfront.net (CloudFront)"
        assert second.headers["x-amz-cf-id"] != first.headers["x-amz-cf-id"]
        assert second.headers["date"] == first.headers["date"]
        assert world.origin.requests == ["GET /feed/ada"]


async def test_gzip_and_identity_are_two_objects_and_nothing_else_is_in_the_key() -> None:
    async with local_edge() as world:
        world.origin.will("/feed/ada", Answer(b"ada"))
        await world.get("/feed/ada", Accept_Encoding="br, gzip")
        await world.get("/feed/ada", Accept_Encoding="gzip, deflate, br")
        await world.get("/feed/ada", Accept_Encoding="gzip;q=0")
        await world.get("/feed/ada", Cookie="a=b", User_Agent="x", Cache_Control="no-cache")
        await world.get("/feed/ada?x=1")
        assert world.origin.requests == ["GET /feed/ada"] * 2
        assert [headers.get("accept-encoding") for headers in world.origin.headers] == ["gzip", "identity"]
        assert "cookie" not in world.origin.headers[1]


async def test_a_head_is_forwarded_as_one_and_kept_and_a_get_answers_both() -> None:
    async with local_edge() as world:
        world.origin.will("/feed/ada", Answer(b"ada"))
        heads = [await world.get("/feed/ada", "HEAD") for _ in range(2)]
        assert [(head.status, head.body, head.headers["content-length"]) for head in heads] == [(200, b"", "3")] * 2
        assert [head.x_cache for head in heads] == ["Miss", "Hit"]
        assert (await world.get("/feed/ada")).body == b"ada"
        await world.get("/feed/ada", "HEAD")
        assert world.origin.requests == ["HEAD /feed/ada", "GET /feed/ada"]


async def test_a_viewer_that_has_the_answer_gets_a_304_from_the_cache() -> None:
    async with local_edge() as world:
        world.origin.will("/feed/ada", Answer(b"ada", headers={"etag": '"1"', "content-type": "text/html"}))
        first = await world.get("/feed/ada", If_None_Match='"1"')
        second = await world.get("/feed/ada", If_None_Match='W/"1"')
        other = await world.get("/feed/ada", If_None_Match='"2"')
        assert (first.status, second.status, other.status) == (304, 304, 200)
        assert second.headers["etag"] == '"1"'
        assert "content-type" not in second.headers
        assert world.origin.requests == ["GET /feed/ada"]
        assert "if-none-match" not in world.origin.headers[0]


async def test_a_range_of_an_origin_without_ranges_is_all_of_it_and_then_cut_from_what_is_held() -> None:
    async with local_edge() as world:
        world.origin.will("/feed/ada", Answer(b"ada"))
        first = await world.get("/feed/ada", Range="bytes=0-0")
        assert (first.status, first.body) == (200, b"ada")
        second = await world.get("/feed/ada", Range="bytes=0-0")
        assert (second.status, second.body, second.headers["content-range"]) == (206, b"a", "bytes 0-0/3")
        assert world.origin.requests == ["GET /feed/ada"]


async def test_a_stale_answer_is_served_at_once_and_refreshed_once() -> None:
    async with local_edge() as world:
        gate = asyncio.Event()
        world.origin.will("/feed/ada", Answer(b"old"), Answer(b"new", gate=gate))
        await world.get("/feed/ada")
        world.clock.now += 61
        stale = await asyncio.gather(*(world.get("/feed/ada") for _ in range(5)))
        assert {(reply.body, reply.x_cache) for reply in stale} == {(b"old", "Hit")}
        await world.origin.arrivals.reaches(2)
        gate.set()
        await world.edge.idle()
        assert (await world.get("/feed/ada")).body == b"new"
        assert world.origin.requests == ["GET /feed/ada"] * 2


async def test_an_expired_answer_is_revalidated_and_renewed_by_a_304() -> None:
    async with local_edge() as world:
        headers = {"etag": '"1"', "cache-tag": "old", "edgebake-count": "1"}
        world.origin.will(
            "/feed/ada",
            Answer(b"ada", headers=headers),
            Answer(b"", headers={"etag": '"1"', "cache-tag": "new", "edgebake-count": "2"}),
        )
        await world.get("/feed/ada")
        world.clock.now += 100
        renewed = await world.get("/feed/ada")
        assert (renewed.status, renewed.body, renewed.x_cache) == (200, b"ada", "RefreshHit")
        assert renewed.headers["edgebake-count"] == "2"
        assert world.origin.headers[1]["if-none-match"] == '"1"'
        assert (await world.get("/feed/ada")).x_cache == "Hit"
        (held,) = world.edge.objects
        assert held.tags == {"old"}  # the unkind reading


async def test_an_origin_that_fails_is_covered_within_stale_if_error_only() -> None:
    async with local_edge() as world:
        world.origin.will("/feed/ada", Answer(b"ada"), Answer(b"down", status=500, cache_control=""))
        await world.get("/feed/ada")
        world.clock.now += 119
        assert (await world.get("/feed/ada")).body == b"ada"
        world.clock.now += 2
        reply = await world.get("/feed/ada")
        assert (reply.status, reply.x_cache) == (500, "Error")
        assert world.origin.requests == ["GET /feed/ada"] * 3


async def test_no_origin_is_a_502() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    async with local_edge(origin_url=url) as world:
        reply = await world.get("/feed/ada")
        assert (reply.status, reply.x_cache) == (502, "Error")
        assert len(world.edge.objects) == 0


async def test_a_404_that_says_how_long_is_an_artifact() -> None:
    async with local_edge() as world:
        world.origin.will("/feed/new", Answer(b"nobody", 404, "s-maxage=5", {"cache-tag": "u-new"}))
        replies = [await world.get("/feed/new") for _ in range(2)]
        assert {(reply.status, reply.x_cache) for reply in replies} == {(404, "Error")}
        assert world.origin.requests == ["GET /feed/new"]
        assert "age" in replies[1].headers


@pytest.mark.parametrize(("policy", "dropped"), [(ErrorTags.DROPPED, 0), (ErrorTags.KEPT, 1)], ids=str)
async def test_an_error_is_reached_by_its_tags_as_the_policy_says(policy: ErrorTags, dropped: int) -> None:
    async with local_edge(replace(CONFIG, error_tags=policy)) as world:
        world.origin.will("/feed/new", Answer(b"nobody", 404, "s-maxage=5", {"cache-tag": "u-new"}))
        await world.get("/feed/new")
        assert world.edge.objects.drop("#u-new") == dropped
        assert world.edge.objects.drop("/feed/new") == 1 - dropped


async def test_an_error_without_directives_is_kept_for_the_configured_time() -> None:
    async with local_edge(running(replace(ours(), error_min_ttl=dict.fromkeys(ERRORS, 10.0)))) as world:
        world.origin.will("/feed/ada", Answer(b"down", 500, ""))
        await world.get("/feed/ada")
        await world.get("/feed/ada")
        world.clock.now += 10
        await world.get("/feed/ada")
        assert len(world.origin.requests) == 2


async def test_an_answer_that_says_no_store_takes_the_place_of_what_was_held() -> None:
    async with local_edge() as world:
        world.origin.will("/feed/ada", Answer(b"public"), Answer(b"mine", cache_control="private"))
        await world.get("/feed/ada")
        world.clock.now += 100
        await world.get("/feed/ada")
        assert len(world.edge.objects) == 0


@pytest.mark.parametrize(
    "path",
    ["/api/changes", "/metrics", "/readyz", "/feed", "/feedx", "/FEED/ada", "/feed/../api", "/feed/%2e%2E/api",
     "//feed/a"],
)  # fmt: skip
async def test_what_is_not_listed_never_reaches_the_origin(path: str) -> None:
    async with local_edge() as world:
        reply = await world.get(path)
        assert (reply.status, reply.x_cache) == (404, "FunctionGeneratedResponse")
        assert world.origin.requests == []


@pytest.mark.parametrize("path", ["/feed/", "/feed/ada", "/author/ada", "/post/p1", "/static/a.css", "/live/x"])
async def test_what_is_listed_reaches_the_origin(path: str) -> None:
    async with local_edge() as world:
        await world.get(path)
        assert world.origin.requests == [f"GET {path}"]


async def test_a_path_reaches_the_origin_as_it_was_spelt() -> None:
    async with local_edge() as world:
        await world.get("/post/%41%2fb")
        assert world.origin.requests == ["GET /post/%41%2fb"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PURGE"])
async def test_other_methods_are_refused_at_the_edge(method: str) -> None:
    async with local_edge() as world:
        assert (await world.get("/feed/ada", method)).status == 403
        assert world.origin.requests == []


async def test_the_front_page_is_made_at_the_edge() -> None:
    pages = iter([b"<p>one", b"<p>two"])
    async with local_edge(replace(CONFIG, front_page=lambda: next(pages))) as world:
        first, second = await world.get("/"), await world.get("/")
        assert (first.body, second.body, first.headers["content-type"]) == (
            b"<p>one",
            b"<p>two",
            "text/html; charset=utf-8",
        )
        assert first.x_cache == "FunctionGeneratedResponse"
        assert world.origin.requests == []


async def test_the_cache_stays_within_its_bytes() -> None:
    async with local_edge(replace(CONFIG, max_bytes=50_000)) as world:
        for n in range(20):
            world.origin.will(f"/feed/u{n}", Answer(b"x" * 5_000))
            await world.get(f"/feed/u{n}")
        assert 0 < world.edge.objects.bytes <= 50_000
        assert (await world.get("/feed/u19")).x_cache == "Hit"
        assert (await world.get("/feed/u0")).x_cache == "Miss"


async def test_a_body_that_is_cut_off_is_never_kept() -> None:
    async with (
        raw_origin(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nCache-Control: s-maxage=60\r\n\r\nshort") as url,
        local_edge(origin_url=url) as world,
    ):
        assert (await world.get("/feed/ada")).status == 502
        assert len(world.edge.objects) == 0


async def test_a_body_without_a_marked_end_is_kept_though_it_may_be_cut_off() -> None:
    async with (
        raw_origin(b"HTTP/1.1 200 OK\r\nCache-Control: s-maxage=60\r\n\r\nwhole?") as url,
        local_edge(origin_url=url) as world,
    ):
        reply = await world.get("/feed/ada")
        assert (reply.status, reply.body) == (200, b"whole?")
        assert (await world.get("/feed/ada")).x_cache == "Hit"


async def test_a_frozen_origin_is_cut_off_by_the_completion_timeout() -> None:
    async with local_edge(running(ours(completion_timeout_s=0.05))) as world:
        world.origin.will("/feed/ada", Answer(gate=(gate := asyncio.Event())))
        reply = await world.get("/feed/ada")
        gate.set()
        assert (reply.status, reply.x_cache) == (504, "Error")
        assert b"not complete after 0.05 s" in reply.body


@pytest.mark.parametrize(("policy", "kept"), [(LateAnswers.STORED, 1), (LateAnswers.DROPPED, 0)], ids=str)
async def test_an_answer_that_an_invalidation_overtook_is_kept_as_the_policy_says(
    policy: LateAnswers, kept: int
) -> None:
    async with local_edge(replace(CONFIG, late_answers=policy)) as world:
        world.origin.will("/feed/ada", Answer(b"old", headers={"cache-tag": "u-ada"}, gate=(gate := asyncio.Event())))
        read = asyncio.create_task(world.get("/feed/ada"))
        await world.origin.arrivals.reaches(1)
        world.clock.now += 1
        world.edge.invalidations.create("a", ["#u-ada"])
        gate.set()
        assert (await read).body == b"old"
        assert len(world.edge.objects) == kept


async def test_what_an_invalidation_dropped_is_nothing_to_fall_back_on() -> None:
    async with local_edge() as world:
        down = Answer(b"down", 500, "", gate=(gate := asyncio.Event()))
        world.origin.will("/feed/ada", Answer(b"old", headers={"cache-tag": "u-ada"}), down)
        await world.get("/feed/ada")
        world.clock.now += 100
        read = asyncio.create_task(world.get("/feed/ada"))
        await world.origin.arrivals.reaches(2)
        world.edge.invalidations.create("a", ["#u-ada"])
        gate.set()
        assert (await read).status == 500


async def test_an_invalidation_takes_effect_when_its_time_has_come() -> None:
    profile = replace(INSTANT, effect_s=5.0)
    async with local_edge(replace(CONFIG, profile=profile)) as world:
        world.origin.will("/feed/ada", Answer(b"1", headers={"cache-tag": "u-ada"}))
        await world.get("/feed/ada")
        world.edge.invalidations.create("a", ["#u-ada"])
        world.clock.now += 4.9
        assert (await world.get("/feed/ada")).x_cache == "Hit"
        world.clock.now += 0.2
        assert (await world.get("/feed/ada")).x_cache == "Miss"


async def test_each_request_is_logged_and_told_as_an_event(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="edgebake.events")
    async with local_edge() as world:
        world.origin.will("/feed/ada", Answer(b"ada", cache_control=FRESH))
        await world.get("/feed/ada")
        await world.get("/feed/ada")
        assert [(entry.path, entry.result.value, entry.bytes) for entry in world.edge.log] == [
            ("/feed/ada", "Miss", 3),
            ("/feed/ada", "Hit", 3),
        ]
    told = [(record.getMessage(), vars(record)["fields"]["path"]) for record in caplog.records]
    assert told == [("miss", "/feed/ada"), ("hit", "/feed/ada")]
