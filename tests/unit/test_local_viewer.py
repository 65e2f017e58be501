"""Toward the viewer: variants, headers, conditional requests."""

import pytest

from cdn.local.config import LocalEdgeConfig
from cdn.local.viewer import ViewerHeaders, is_match, wants_gzip

CONFIG = LocalEdgeConfig("http://127.0.0.1:1", remove_headers=("X-Internal",))


@pytest.mark.parametrize(
    ("accept_encoding", "gzip"),
    [
        (None, False),
        (b"gzip", True),
        (b"br, GZip;q=0.5", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000, br", False),
        (b"identity", False),
        (b"*", False),
        (b"x-gzip", True),
    ],
)
def test_accept_encoding_is_gzip_or_none(accept_encoding: bytes | None, gzip: bool) -> None:
    assert wants_gzip(accept_encoding) is gzip


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
    )
    headers = dict(ViewerHeaders(CONFIG).make(sent, 5))
    assert headers == {
        b"content-type": b"text/html",
        b"edgebake-count": b"7",
        b"server-timing": b"bake;dur=3",
        b"via": b"1.1 localedge.cloudfront.net (CloudFront)",
        b"x-amz-cf-pop": b"LOCAL1-C1",
        b"cache-control": b"no-cache",
        b"content-length": b"5",
    }


def test_the_origins_cache_control_is_left_where_none_is_set() -> None:
    config = LocalEdgeConfig("http://127.0.0.1:1", viewer_cache_control=None)
    assert dict(ViewerHeaders(config).make(((b"cache-control", b"x"),), 0))[b"cache-control"] == b"x"
