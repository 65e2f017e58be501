"""Toward the viewer: variants, headers, conditional requests."""

import pytest

from cdn.distribution import ALL, Behavior, CachePolicy, Keys, ResponseHeadersPolicy
from cdn.local.objects import Headers
from cdn.local.viewer import ViewerHeaders, is_match, normalised

TOLD = ResponseHeadersPolicy("told", ("Cache-Tag", "X-Internal"), (("Cache-Control", "no-cache", True),))


def make(
    sent: Headers, policy: ResponseHeadersPolicy | None = TOLD, cache: CachePolicy | None = None
) -> dict[bytes, bytes]:
    """Return the headers that a viewer gets."""
    behavior = Behavior("*", cache or CachePolicy("p"), response=policy)
    return dict(ViewerHeaders("E1", behavior).make(sent, 5))


@pytest.mark.parametrize(
    ("accept_encoding", "both", "gzip_only", "brotli_only", "neither"),
    [
        (None, "", "", "", ""),
        (b"gzip", "gzip", "gzip", "", ""),
        (b"br, GZip;q=0.5", "br,gzip", "gzip", "br", ""),
        (b"gzip, deflate, br, zstd", "br,gzip", "gzip", "br", ""),
        (b"gzip;q=0", "", "", "", ""),
        (b"gzip; q=0.000, br", "br", "", "br", ""),
        (b"identity", "", "", "", ""),
        (b"*", "", "", "", ""),
        (b"x-gzip", "gzip", "gzip", "", ""),
    ],
)
def test_accept_encoding_is_normalised_as_the_policy_enables(
    accept_encoding: bytes | None, both: str, gzip_only: str, brotli_only: str, neither: str
) -> None:
    enabled = ((True, True), (True, False), (False, True), (False, False))
    got = [normalised(accept_encoding, gzip, brotli) for gzip, brotli in enabled]
    assert got == [both, gzip_only, brotli_only, neither]


@pytest.mark.parametrize(
    ("theirs", "etag", "match"),
    [
        (b'"a"', b'"a"', True),
        (b'W/"a"', b'"a"', True),
        (b'"x", "a"', b'W/"a"', True),
        (b'"b"', b'"a"', False),
        (b"*", None, True),
        (b'"a"', None, False),
    ],
)
def test_etags_are_compared_weakly(theirs: bytes, etag: bytes | None, match: bool) -> None:
    assert is_match(theirs, etag) is match


def test_the_viewer_sees_neither_tags_nor_hop_by_hop_headers_nor_cookies() -> None:
    sent = (
        (b"content-type", b"text/html"),
        (b"cache-control", b"s-maxage=60"),
        (b"cache-tag", b"g"),
        (b"x-internal", b"1"),
        (b"connection", b"close, X-Hop"),
        (b"x-hop", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"set-cookie", b"a=b"),
        (b"edgebake-count", b"7"),
        (b"server-timing", b"bake;dur=3"),
        (b"via", b"1.1 varnish"),
        (b"age", b"9"),
        (b"x-cache", b"HIT"),
    )
    headers = make(sent)
    assert headers == {
        b"content-type": b"text/html",
        b"edgebake-count": b"7",
        b"server-timing": b"bake;dur=3",
        b"via": b"1.1 e1.cloudfront.net (CloudFront)",
        b"x-amz-cf-pop": b"LOCAL1-C1",
        b"cache-control": b"no-cache",
        b"content-length": b"5",
    }


def test_a_policys_header_takes_the_origins_place_only_where_it_overrides() -> None:
    sent = ((b"cache-control", b"x"),)
    added = ResponseHeadersPolicy("added", custom=(("Cache-Control", "y", False), ("X-New", "z", False)))
    assert make(sent)[b"cache-control"] == b"no-cache"
    assert make(sent, None)[b"cache-control"] == b"x"
    told = make(sent, added)
    assert (told[b"cache-control"], told[b"x-new"]) == (b"x", b"z")


def test_the_tag_header_is_told_where_no_policy_removes_it() -> None:
    assert make(((b"cache-tag", b"g"),), None)[b"cache-tag"] == b"g"  # the unkind reading


def test_cookies_are_told_where_they_are_forwarded() -> None:
    cookies = CachePolicy("p", cookies=ALL)
    assert make(((b"set-cookie", b"a=b"),), cache=cookies)[b"set-cookie"] == b"a=b"


@pytest.mark.parametrize(
    ("vary", "told"),
    [
        (b"Accept-Encoding", b"Accept-Encoding"),
        (b"Accept-Encoding, Origin", b"Accept-Encoding"),
        (b"Cookie, X-Key", b"Cookie, X-Key"),  # X-Key is in the cache key
        (b"Origin", None),
        (b"*", b"*"),
    ],
)
def test_vary_is_told_of_encoding_cookies_and_the_key_alone(vary: bytes, told: bytes | None) -> None:
    cache = CachePolicy("p", headers=Keys("whitelist", frozenset(["x-key"])))
    assert make(((b"vary", vary),), cache=cache).get(b"vary") == told
