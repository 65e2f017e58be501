"""Compression at the edge (guide: ServingCompressedFiles).

With gzip alone: the local edge has no Brotli, and CloudFront promises neither, for it compresses as well as it can.
"""

import gzip
from dataclasses import replace

from cdn.local.objects import Headers
from cdn.local.origin import Answer
from cdn.local.request import Request
from cdn.local.viewer import value_of

LEAST, MOST = 1_000, 10_000_000
"""Bytes of a body that is compressed, by its Content-Length."""
STATUSES = frozenset((200, 403, 404))
TYPES = frozenset(
    (*(f"application/{name}" for name in (
        "dash+xml", "eot", "font", "font-sfnt", "javascript", "json", "opentype", "otf", "pkcs7-mime", "protobuf",
        "rss+xml", "truetype", "ttf", "vnd.apple.mpegurl", "vnd.mapbox-vector-tile", "vnd.ms-fontobject", "wasm",
        "xhtml+xml", "xml", "x-font-opentype", "x-font-truetype", "x-font-ttf", "x-httpd-cgi", "x-javascript",
        "x-mpegurl", "x-opentype", "x-otf", "x-perl", "x-ttf")),
     *(f"text/{name}" for name in (
        "css", "csv", "html", "javascript", "js", "plain", "richtext", "tab-separated-values", "xml", "x-component",
        "x-java-source", "x-script")),
     "font/eot", "font/opentype", "font/otf", "font/ttf", "image/svg+xml", "vnd.apple.mpegurl")
)  # fmt: skip
"""Content types that are compressed. No ``application/feed+json``, no ``application/atom+xml``."""
LEVEL = 6


def at_the_edge(request: Request, answer: Answer) -> Answer:
    """Return an answer as it is kept: compressed, where the behaviour, the viewer and the answer allow it."""
    wanted = request.route.behavior.compress and "gzip" in request.key.encoding.split(",")
    if not wanted or request.route.rules.max_ttl <= 0 or not is_compressible(answer):
        return answer
    body = gzip.compress(answer.body, LEVEL, mtime=0)
    return replace(answer, body=body, headers=_headers(answer.headers, len(body)))


def is_compressible(answer: Answer) -> bool:
    """Tell whether CloudFront compresses an answer: by status, type, length, and what the origin has done."""
    length = value_of(answer.headers, b"content-length") or b""
    content_type = (value_of(answer.headers, b"content-type") or b"").decode("latin-1")
    return (
        answer.status in STATUSES
        and content_type.partition(";")[0].strip().lower() in TYPES
        and value_of(answer.headers, b"content-encoding") is None
        and length.isdigit()
        and LEAST <= int(length) <= MOST
        and len(answer.body) > 0
    )


def _headers(headers: Headers, length: int) -> Headers:
    kept = [_weak(pair) if pair[0] == b"etag" else pair for pair in headers if pair[0] != b"content-length"]
    valid = [pair for pair in kept if pair[0] != b"etag" or pair[1].startswith((b'W/"', b'"'))]
    return (*valid, (b"content-encoding", b"gzip"), (b"content-length", b"%d" % length))


def _weak(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    return (pair[0], b"W/" + pair[1]) if pair[1].startswith(b'"') else pair
