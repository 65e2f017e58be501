"""What the feeds port answers with: headers, encodings, validators, of every artifact in every format."""

import base64
import gzip
import hashlib
import re
from itertools import product

import feedparser  # type: ignore[import-untyped]  # has no types
import httpx
import orjson

from baker.app import Headers
from feeds.command import PutSite, RenameUser
from tests.integration.baking import Baker, ada_follows_grace, config, open_bakers, post, tags_of, titles
from tests.integration.house import House

PATHS = {
    "/feed/ada": "text/html; charset=utf-8",
    "/feed/ada/feed.json": "application/feed+json; charset=utf-8",
    "/feed/ada/feed.atom": "application/atom+xml; charset=utf-8",
    "/feed/ada/after/post-0002": "text/html; charset=utf-8",
    "/feed/ada/after/post-0002/feed.json": "application/feed+json; charset=utf-8",
    "/feed/ada/after/post-0002/feed.atom": "application/atom+xml; charset=utf-8",
    "/author/grace": "text/html; charset=utf-8",
    "/author/grace/feed.json": "application/feed+json; charset=utf-8",
    "/author/grace/feed.atom": "application/atom+xml; charset=utf-8",
    "/author/grace/after/post-0001": "text/html; charset=utf-8",
    "/post/post-0001": "text/html; charset=utf-8",
}
OF_THE_BODY = {"content-type", "content-length", "content-encoding"}
OF_THE_MOMENT = {"server-timing"}


def lasting(answer: httpx.Response) -> dict[str, str]:
    """Return the headers that an answer has in common with the next one."""
    return {name: value for name, value in answer.headers.items() if name not in OF_THE_MOMENT}


async def test_every_artifact_has_the_headers_that_an_edge_needs(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    for path, content_type in PATHS.items():
        answer = await baker.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == content_type
        assert int(answer.headers["content-length"]) == len(answer.content) > 0
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["cache-control"] == "s-maxage=300, stale-while-revalidate=30, stale-if-error=30"
        assert re.fullmatch(r'"[0-9a-f]{24}"', answer.headers["etag"])
        assert re.fullmatch(r"[0-9a-f]{2}:\d+", answer.headers["edgebake-count"])
        assert re.fullmatch(r"bake;dur=\d+\.\d\d, fence;dur=\d+\.\d\d", answer.headers["server-timing"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not {"edgebake-late", "content-encoding", "last-modified", "set-cookie"} & answer.headers.keys()


async def test_only_machines_formats_are_open_to_other_origins_and_only_pages_have_a_policy(
    house: House, baker: Baker
) -> None:
    await ada_follows_grace(house)
    for path, content_type in PATHS.items():
        answer = await baker.get(path)
        is_page = content_type.startswith("text/html")
        assert answer.headers.get("access-control-allow-origin") == (None if is_page else "*"), path
        assert ("content-security-policy" in answer.headers) == is_page, path


async def test_a_head_has_the_headers_of_a_get_and_no_body(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    for path in PATHS:
        head, whole = await baker.get(path, "HEAD"), await baker.get(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert lasting(head) == lasting(whole), path


async def test_a_validator_that_matches_brings_304_with_the_same_headers(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    for path, encoding in product(PATHS, ("", "gzip")):
        whole = await baker.get(path, accept_encoding=encoding)
        expected = {name: value for name, value in lasting(whole).items() if name not in OF_THE_BODY}
        for validator in (whole.headers["etag"], "W/" + whole.headers["etag"], f'"x", {whole.headers["etag"]}', "*"):
            for method in ("GET", "HEAD"):
                unchanged = await baker.get(path, method, accept_encoding=encoding, if_none_match=validator)
                assert (unchanged.status_code, unchanged.content) == (304, b""), path
                assert lasting(unchanged) == expected, path


async def test_a_validator_of_another_encoding_or_artifact_brings_the_whole(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    packed = await baker.get("/feed/ada", accept_encoding="gzip")
    other = await baker.get("/feed/ada/feed.json")
    for validator in (packed.headers["etag"], other.headers["etag"], '""', "nonsense", ""):
        assert (await baker.get("/feed/ada", if_none_match=validator)).status_code == 200


async def test_each_artifact_and_encoding_has_an_etag_of_its_own(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    answers = [await baker.get(path, accept_encoding=coding) for path in PATHS for coding in ("", "gzip")]
    assert len({answer.headers["etag"] for answer in answers}) == len(answers)


async def test_gzip_is_the_same_body_packed_and_its_length_is_that_of_the_packed(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    for path in PATHS:
        whole = await baker.get(path)
        sent, packed = await baker.raw(path, accept_encoding="gzip")
        assert sent.headers["content-encoding"] == "gzip"
        assert int(sent.headers["content-length"]) == len(packed)
        assert gzip.decompress(packed) == whole.content


async def test_a_range_is_ignored(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    whole = await baker.get("/feed/ada")
    part = await baker.get("/feed/ada", range="bytes=0-9", if_range=whole.headers["etag"])
    assert part.status_code == 200
    assert part.content == whole.content
    assert "content-range" not in part.headers


async def test_no_header_of_a_request_but_the_encoding_changes_an_answer(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    whole = await baker.get("/feed/ada")
    strange = await baker.get(
        "/feed/ada", host="evil.example", cookie="a=b", accept_language="de", x_forwarded_host="evil.example"
    )
    assert strange.content == whole.content
    assert lasting(strange) == lasting(whole)


async def test_a_feed_carries_the_tags_of_what_it_shows_of_the_post_that_shows_an_older_page_and_of_its_sources(
    house: House, baker: Baker
) -> None:
    await ada_follows_grace(house, posts=27)
    answer = await baker.get("/feed/ada")
    shown = [f"p-post-{number:04}" for number in range(26, 1, -1)]
    assert tags_of(answer) == ["g", "s-28", "u-ada", *shown, "p-post-0001", "a-ada", "a-grace"]
    last = await baker.get("/feed/ada/after/post-0002")
    placed = ["p-post-0001", "p-post-0000", "p-post-0002"]
    assert tags_of(last) == ["g", "s-28", "u-ada", *placed, "a-ada", "a-grace"]


async def test_an_author_page_carries_its_authors_tag_and_a_post_page_both(house: House, baker: Baker) -> None:
    await ada_follows_grace(house, posts=1)
    by_grace = ["g", "s-33", "u-grace", "a-grace", "p-post-0000"]
    assert tags_of(await baker.get("/author/grace")) == by_grace
    assert tags_of(await baker.get("/author/grace", accept_encoding="gzip")) == by_grace
    assert sorted(tags_of(await baker.get("/post/post-0000"))) == ["a-grace", "g", "p-post-0000", "s-16"]


async def test_the_most_that_an_artifact_can_show_fits_into_fifty_tags(house: House, baker: Baker) -> None:
    await ada_follows_grace(house, posts=60)
    for path in ("/feed/ada/after/post-0050", "/author/grace/after/post-0050"):
        listed = tags_of(await baker.get(path))
        assert len(listed) == len(set(listed)) <= 50


async def test_a_body_names_the_public_url_and_the_same_posts_in_all_formats(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    newest_first = ["Title 2", "Title 1", "Title 0"]
    for ending in ("", "/feed.json", "/feed.atom"):
        assert titles(await baker.get(f"/feed/ada{ending}")) == newest_first
        assert titles(await baker.get(f"/author/grace{ending}")) == newest_first
    read = orjson.loads((await baker.get("/feed/ada/feed.json")).content)
    assert read["feed_url"] == "https://feeds.example.org/feed/ada/feed.json"
    parsed = feedparser.parse((await baker.get("/feed/ada/feed.atom")).content)
    assert parsed.feed.id == "https://feeds.example.org/feed/ada/feed.atom"


async def test_names_and_titles_reach_no_header(house: House, baker: Baker) -> None:
    await ada_follows_grace(house, posts=0)
    secret = "X-Evil: 1, p-evil é 語"
    await house.read(
        RenameUser(user="ada", name=secret),
        RenameUser(user="grace", name=secret),
        PutSite(title=secret),
        post(1, title=secret, content=secret, tags=("x-evil: 1",), url="https://example.org/x-evil"),
    )
    for path in ("/feed/ada", "/feed/ada/feed.json", "/author/grace/feed.atom", "/post/post-0001"):
        answer = await baker.get(path)
        assert answer.status_code == 200
        assert "evil" in answer.text
        assert not any("evil" in f"{name}{value}".lower() for name, value in answer.headers.multi_items())


async def test_a_deployment_names_the_tag_header_and_what_robots_may_do(house: House) -> None:
    await ada_follows_grace(house)
    async with open_bakers(house, config(headers=Headers("X-Tags", "noindex"))) as (baker,):
        for path in ("/feed/ada", "/feed/ada/feed.json", "/feed/nobody", "/feed/NOBODY"):
            answer = await baker.get(path)
            assert answer.headers["x-robots-tag"] == "noindex"
            assert answer.headers["x-tags"].startswith("g")
            assert "cache-tag" not in answer.headers


async def test_robots_are_told_nothing_by_default(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    assert "x-robots-tag" not in (await baker.get("/feed/ada")).headers


async def test_the_policy_of_a_page_allows_the_style_that_it_has(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    answer = await baker.get("/feed/ada")
    found = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert found is not None
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
