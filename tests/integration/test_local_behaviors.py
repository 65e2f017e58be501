"""What the behaviours and policies of a distribution make of requests, before an origin whose log proves the cache."""

import asyncio
import gzip
from dataclasses import replace
from io import BytesIO

import pytest

from cdn.distribution import (
    ALL,
    ERRORS,
    Behavior,
    CachePolicy,
    Distribution,
    Keys,
    OriginRequestPolicy,
    OriginSettings,
    plain,
)
from cdn.local.asgi import Message
from cdn.local.config import LocalEdgeConfig
from cdn.local.proxy import MAX_BODY
from tests.integration.local_edge import Answer, World, local_edge, raw_origin

POLICY = CachePolicy("p", default_ttl=60.0, max_ttl=3_600.0)
ALL_METHODS = plain(tag_header="Cache-Tag")


def running(*behaviors: Behavior, errors: float = 0.0) -> LocalEdgeConfig:
    """Return an edge with these behaviours, and errors kept for so long at least."""
    origin = OriginSettings("origin", "origin.invalid", completion_timeout_s=5.0)
    kept = dict.fromkeys(ERRORS, errors)
    return LocalEdgeConfig("", Distribution("E1", "Cache-Tag", behaviors, (origin,), kept))


def default(policy: CachePolicy = POLICY, request: OriginRequestPolicy | None = None) -> LocalEdgeConfig:
    """Return an edge with a default behaviour alone."""
    return running(Behavior("*", policy, request))


async def x_caches(world: World, *paths: str, **headers: str) -> list[str]:
    return [(await world.get(path, **headers)).x_cache for path in paths]


async def test_each_path_has_the_first_behaviour_that_matches() -> None:
    short = Behavior("/a/*", replace(POLICY, max_ttl=10.0))
    async with local_edge(running(short, Behavior("*", POLICY))) as world:
        for path in ("/a/1", "/b/1"):
            world.origin.will(path, Answer(cache_control="s-maxage=60, stale-if-error=0"))
        await x_caches(world, "/a/1", "/b/1")
        world.clock.now += 11
        assert await x_caches(world, "/a/1", "/b/1") == ["Miss", "Hit"]


async def test_vary_is_not_in_the_key() -> None:
    async with local_edge(default()) as world:
        world.origin.will("/a", Answer(headers={"vary": "Accept-Language"}))
        await world.get("/a", Accept_Language="de")
        reply = await world.get("/a", Accept_Language="en")
        assert reply.x_cache == "Hit"
        assert "vary" not in reply.headers


async def test_vary_star_is_kept_and_asked_for_each_time_without_a_condition() -> None:
    async with local_edge(default()) as world:
        world.origin.will("/a", Answer(headers={"vary": "*", "etag": '"1"'}))
        assert await x_caches(world, "/a", "/a") == ["Miss", "Miss"]
        assert "if-none-match" not in world.origin.headers[1]
        assert len(world.edge.objects) == 1


async def test_only_the_query_strings_of_the_policy_make_another_object() -> None:
    policy = replace(POLICY, queries=Keys("whitelist", frozenset(["page"])))
    async with local_edge(default(policy)) as world:
        world.origin.will("/a?page=1", Answer(b"1"))
        world.origin.will("/a?page=2", Answer(b"2"))
        bodies = [(await world.get(f"/a?{query}")).body for query in ("page=1", "x=1&page=1", "page=2&y=2")]
        assert bodies == [b"1", b"1", b"2"]
        assert world.origin.requests == ["GET /a?page=1", "GET /a?page=2"]


async def test_a_header_of_the_policy_makes_another_object_and_reaches_the_origin() -> None:
    policy = replace(POLICY, headers=Keys("whitelist", frozenset(["accept-language"])))
    async with local_edge(default(policy)) as world:
        world.origin.will("/a", Answer())
        for language in ("de", "en", "de"):
            await world.get("/a", Accept_Language=language)
        assert [headers["accept-language"] for headers in world.origin.headers] == ["de", "en"]


async def test_gzip_brotli_and_neither_are_three_objects() -> None:
    async with local_edge(default()) as world:
        world.origin.will("/a", Answer())
        for accepted in ("gzip, br", "br;q=1, gzip", "gzip", "deflate", "identity"):
            await world.get("/a", Accept_Encoding=accepted)
        assert [headers["accept-encoding"] for headers in world.origin.headers] == ["br,gzip", "gzip", "identity"]


@pytest.mark.parametrize(("least", "x_cache"), [(30.0, "Hit"), (0.0, "Miss")])
async def test_a_minimum_ttl_keeps_even_what_is_private(least: float, x_cache: str) -> None:
    async with local_edge(default(replace(POLICY, min_ttl=least))) as world:
        world.origin.will("/a", Answer(b"mine", cache_control="private"))
        await world.get("/a")
        assert await x_caches(world, "/a") == [x_cache]


async def test_expires_is_counted_from_the_origins_date() -> None:
    dated = b"Date: Sat, 27 Jun 2015 12:00:00 GMT\r\nExpires: Sat, 27 Jun 2015 12:00:10 GMT\r\nContent-Length: 0\r\n"
    async with raw_origin(b"HTTP/1.1 200 OK\r\n" + dated + b"\r\n") as url, local_edge(default(), url) as world:
        await world.get("/a")
        world.clock.now += 9
        assert await x_caches(world, "/a") == ["Hit"]
        world.clock.now += 2
        assert await x_caches(world, "/a") == ["Miss"]


async def test_what_expires_at_an_unreadable_date_has_expired() -> None:
    async with local_edge(default()) as world:
        world.origin.will("/a", Answer(cache_control="", headers={"expires": "0"}))
        assert await x_caches(world, "/a", "/a") == ["Miss", "Miss"]


async def test_an_old_answer_of_the_origin_is_told_its_age_and_lives_the_shorter() -> None:
    async with local_edge(default()) as world:
        world.origin.will("/a", Answer(cache_control="max-age=60", headers={"age": "50"}))
        assert (await world.get("/a")).headers["age"] == "50"
        world.clock.now += 9
        assert (await world.get("/a")).headers["age"] == "59"
        world.clock.now += 2
        assert await x_caches(world, "/a") == ["Miss"]


@pytest.mark.parametrize(
    "config",
    [
        default(request=OriginRequestPolicy("r", cookies=ALL)),
        default(replace(POLICY, cookies=ALL)),
        default(CachePolicy("p", default_ttl=0.0, max_ttl=0.0)),
    ],
    ids=["cookies in requests", "cookies in the key", "caching disabled"],
)
async def test_with_cookies_forwarded_or_caching_disabled_nobody_waits(config: LocalEdgeConfig) -> None:
    async with local_edge(config) as world:
        world.origin.will("/a", Answer(gate=(gate := asyncio.Event())))
        reads = [asyncio.create_task(world.get("/a")) for _ in range(5)]
        await world.origin.arrivals.reaches(5)  # all at once, while none has been answered
        gate.set()
        await asyncio.gather(*reads)


async def test_with_cookies_forwarded_nothing_is_revalidated() -> None:
    async with local_edge(default(request=OriginRequestPolicy("r", cookies=ALL))) as world:
        world.origin.will("/a", Answer(headers={"etag": '"1"', "set-cookie": "b=2"}))
        first = await world.get("/a", Cookie="a=1")
        world.clock.now += 100
        second = await world.get("/a")
        assert (second.status, second.x_cache, first.headers["set-cookie"]) == (200, "Miss", "b=2")
        assert world.origin.headers[0]["cookie"] == "a=1"
        assert "if-none-match" not in world.origin.headers[1]


async def test_an_expired_answer_is_revalidated_by_its_date_where_it_has_no_etag() -> None:
    modified = {"last-modified": "Sat, 27 Jun 2015 12:00:00 GMT"}
    async with local_edge(default()) as world:
        world.origin.will("/a", Answer(headers=modified), Answer(b"", 304))
        await world.get("/a")
        world.clock.now += 100
        reply = await world.get("/a")
        assert (reply.status, reply.body, reply.x_cache) == (200, b"hello", "RefreshHit")
        assert world.origin.headers[1]["if-modified-since"] == modified["last-modified"]


async def test_without_a_directive_a_failing_origin_is_covered_and_then_left_alone() -> None:
    async with local_edge(running(Behavior("*", POLICY), errors=10.0)) as world:
        world.origin.will("/a", Answer(b"old", cache_control="s-maxage=5"), Answer(b"down", 503, ""))
        await world.get("/a")
        world.clock.now += 6
        assert [(await world.get("/a")).body for _ in range(3)] == [b"old"] * 3
        assert len(world.origin.requests) == 2, "one try in 10 s"
        world.clock.now += 10
        await world.get("/a")
        assert len(world.origin.requests) == 3


async def test_an_unreachable_origin_is_an_error_that_is_kept_as_others_are() -> None:
    async with raw_origin(b"") as url, local_edge(running(Behavior("*", POLICY), errors=10.0), url) as world:
        assert [(await world.get("/a")).status for _ in range(2)] == [502, 502]
        assert [held.status for held in world.edge.objects] == [502]


@pytest.mark.parametrize(("status", "kept"), [(404, 1), (500, 1), (403, 0), (410, 0)])
async def test_errors_are_kept_by_their_code(status: int, kept: int) -> None:
    async with local_edge(running(Behavior("*", POLICY), errors=10.0)) as world:
        world.origin.will("/a", Answer(b"no", status, ""))
        await world.get("/a")
        assert len(world.edge.objects) == kept


async def test_a_page_is_compressed_at_the_edge_and_its_etag_is_weak() -> None:
    body = b"<p>feed</p>" * 200
    headers = {"etag": '"1"', "content-type": "text/html"}
    async with local_edge(running(Behavior("*", POLICY, compress=True))) as world:
        world.origin.will("/a", Answer(body, headers=headers))
        reply = await world.get("/a", Accept_Encoding="gzip")
        assert gzip.decompress(reply.body) == body
        assert (reply.headers["etag"], reply.headers["content-encoding"]) == ('W/"1"', "gzip")
        assert (await world.get("/a", Accept_Encoding="gzip", If_None_Match='W/"1"')).status == 304
        assert (await world.get("/a")).body == body


async def test_what_the_origin_compressed_is_left_alone() -> None:
    packed = gzip.compress(b"<p>feed</p>" * 200)
    headers = {"etag": '"1"', "content-type": "text/html", "content-encoding": "gzip"}
    async with local_edge(running(Behavior("*", POLICY, compress=True))) as world:
        world.origin.will("/a", Answer(packed, headers=headers))
        reply = await world.get("/a", Accept_Encoding="gzip")
        assert (reply.body, reply.headers["etag"]) == (packed, '"1"')


async def test_a_part_is_kept_and_given_to_whoever_asks_for_the_same() -> None:
    part = Answer(b"01", 206, headers={"content-range": "bytes 0-1/10", "etag": '"1"'})
    async with local_edge(default()) as world:
        world.origin.will("/a", part)
        replies = [await world.get("/a", Range="bytes=0-1") for _ in range(2)]
        assert [(reply.status, reply.body, reply.x_cache) for reply in replies] == [
            (206, b"01", "Miss"),
            (206, b"01", "Hit"),
        ]
        assert world.origin.headers[0]["range"] == "bytes=0-1"


async def test_a_part_of_a_part_that_is_held_is_cut_from_it() -> None:
    part = Answer(b"0123", 206, headers={"content-range": "bytes 0-3/10", "etag": '"1"'})
    async with local_edge(default()) as world:
        world.origin.will("/a", part)
        await world.get("/a", Range="bytes=0-3")
        reply = await world.get("/a", Range="bytes=1-2")
        told = (reply.status, reply.body, reply.headers["content-range"], reply.headers["content-length"])
        assert told == (206, b"12", "bytes 1-2/10", "2")
        world.clock.now += 61
        await world.get("/a", Range="bytes=1-2")
        assert len(world.origin.requests) == 2, "an old part is asked for anew"


async def test_a_part_of_another_version_takes_the_place_of_what_was_held() -> None:
    async with local_edge(default()) as world:
        old = Answer(b"01", 206, headers={"content-range": "bytes 0-1/4", "etag": '"1"'})
        new = Answer(b"cd", 206, headers={"content-range": "bytes 2-3/4", "etag": '"2"'})
        world.origin.will("/a", old, new)
        await world.get("/a", Range="bytes=0-1")
        await world.get("/a", Range="bytes=2-3")
        assert [held.body for held in world.edge.objects] == [b"cd"]


@pytest.mark.parametrize(("etag", "status"), [('"1"', 206), ('"0"', 200), ('W/"1"', 200)])
async def test_if_range_of_another_version_is_all_of_it(etag: str, status: int) -> None:
    async with local_edge(default()) as world:
        world.origin.will("/a", Answer(b"0123", headers={"etag": '"1"'}))
        await world.get("/a")
        assert (await world.get("/a", Range="bytes=0-1", If_Range=etag)).status == status


async def test_a_range_of_what_came_in_chunks_is_all_of_it() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nCache-Control: s-maxage=60\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n0\r\n\r\n"
    )
    async with raw_origin(answer) as url, local_edge(default(), url) as world:
        await world.get("/a")
        reply = await world.get("/a", Range="bytes=0-1")
        assert (reply.status, reply.body, reply.x_cache) == (200, b"0123", "Hit")


async def test_a_long_url_and_a_long_request_are_refused() -> None:
    async with local_edge(default()) as world:
        assert (await world.get("/" + "a" * 8_192)).status == 413
        assert (await world.get("/a", X_Long="x" * 20_480)).status == 413
        assert (await world.get("/" + "a" * 8_000)).status == 404
        assert len(world.origin.requests) == 1


async def test_a_get_with_a_body_is_refused() -> None:
    async with local_edge(default()) as world, world.session.get(f"{world.proxy_url}/a", data=b"x") as got:
        assert got.status == 403
        assert world.origin.requests == []


async def test_other_methods_are_passed_on_where_the_behaviour_allows_and_never_kept() -> None:
    async with local_edge(LocalEdgeConfig("", ALL_METHODS)) as world:
        world.origin.will("/a", Answer(b"done"))
        replies = [await world.get("/a", "POST") for _ in range(2)]
        assert [reply.x_cache for reply in replies] == ["Miss", "Miss"]
        assert world.origin.requests == ["POST /a"] * 2
        assert len(world.edge.objects) == 0


async def test_a_body_that_is_too_long_is_refused_and_no_part_of_it_passed_on() -> None:
    async with local_edge(LocalEdgeConfig("", ALL_METHODS)) as world:
        async with world.session.post(f"{world.proxy_url}/a", data=BytesIO(b"x" * (MAX_BODY + 1))) as refused:
            assert refused.status == 413
        assert world.origin.requests == []


async def test_a_body_that_is_cut_off_never_reaches_the_origin() -> None:
    async with local_edge(LocalEdgeConfig("", ALL_METHODS)) as world:
        heard = iter(
            list[Message]([{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}])
        )
        asked = {"type": "http", "method": "POST", "raw_path": b"/a", "query_string": b"", "headers": []}

        async def receive() -> Message:
            return next(heard)

        async def send(_: Message) -> None:
            """Nobody is there."""

        await world.edge.proxy(asked, receive, send)
        assert world.origin.requests == []


async def test_a_post_drops_nothing_that_is_held() -> None:
    async with local_edge(LocalEdgeConfig("", ALL_METHODS)) as world:
        world.origin.will("/a", Answer())
        await world.get("/a")
        await world.get("/a", "POST")
        assert await x_caches(world, "/a") == ["Hit"]


@pytest.mark.parametrize("condition", ["If_None_Match", "If_Modified_Since"])
@pytest.mark.parametrize("held", [Answer(b"1"), Answer(b"", 404)], ids=["no etag", "an error"])
async def test_a_viewers_own_condition_confirms_nothing_that_is_held(condition: str, held: Answer) -> None:
    async with local_edge(LocalEdgeConfig("", ALL_METHODS)) as world:
        world.origin.will("/a", replace(held, cache_control="max-age=5"), Answer(b"2", headers={"etag": '"2"'}))
        await world.get("/a")
        world.clock.now += 6
        reply = await world.get("/a", **{condition: '"2"'})
        assert condition.lower().replace("_", "-") not in world.origin.headers[1]
        assert (reply.status, reply.headers["etag"]) == (304 if condition == "If_None_Match" else 200, '"2"')
        assert (await world.get("/a")).body == b"2"


async def test_a_304_that_nobody_asked_for_renews_nothing() -> None:
    async with local_edge(default()) as world:
        world.origin.will("/a", Answer(b"1", cache_control="max-age=5"), Answer(b"", 304), Answer(b"2"))
        await world.get("/a")
        world.clock.now += 6
        await world.get("/a")
        assert (await world.get("/a")).body == b"2"


@pytest.mark.parametrize("head", [b"200 OK\r\nX-Bell: a\x07b", b"099 Early", b"101 Switching Protocols"])
async def test_an_answer_that_could_not_be_sent_on_is_a_502_and_not_kept(head: bytes) -> None:
    answer = b"HTTP/1.1 " + head + b"\r\nCache-Control: s-maxage=60\r\nContent-Length: 0\r\n\r\n"
    async with raw_origin(answer) as url, local_edge(default(), url) as world:
        assert (await world.get("/a")).status == 502
        assert len(world.edge.objects) == 0


async def test_an_age_of_any_length_is_told() -> None:
    async with local_edge(default()) as world:
        world.origin.will("/a", Answer(headers={"age": "9" * 400}))
        assert (await world.get("/a")).headers["age"] == str(2**31)


async def test_the_origin_is_told_who_asks() -> None:
    async with local_edge(default()) as world:
        reply = await world.get("/a", User_Agent="Browser/1", X_Forwarded_For="192.0.2.4")
        told = world.origin.headers[0]
        assert told["user-agent"] == "Amazon CloudFront"
        assert told["via"] == "1.1 e1.cloudfront.net (CloudFront)"
        assert told["x-forwarded-for"] == "192.0.2.4, 127.0.0.1"
        assert told["x-amz-cf-id"] == reply.headers["x-amz-cf-id"]


async def test_without_a_completion_timeout_the_read_timeout_ends_a_silence() -> None:
    config = default()
    quick = OriginSettings("origin", "origin.invalid", read_timeout_s=0.05, completion_timeout_s=None)
    async with local_edge(replace(config, distribution=replace(config.distribution, origins=(quick,)))) as world:
        world.origin.will("/a", Answer(gate=(gate := asyncio.Event())))
        assert (await world.get("/a")).status == 504
        gate.set()


async def test_a_redirect_is_kept_and_not_followed() -> None:
    async with local_edge(default()) as world:
        world.origin.will("/a", Answer(b"", 302, headers={"location": "/b"}))
        async with world.session.get(f"{world.proxy_url}/a", allow_redirects=False) as got:
            assert (got.status, got.headers["location"]) == (302, "/b")
        assert world.origin.requests == ["GET /a"]
        assert len(world.edge.objects) == 1
