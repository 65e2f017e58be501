"""What is compressed at the edge."""

import gzip

import pytest

from cdn.distribution import Behavior, CachePolicy, Distribution
from cdn.local.compression import at_the_edge, is_compressible
from cdn.local.objects import Headers, Key
from cdn.local.origin import Answer, answered
from cdn.local.request import Request
from cdn.local.route import Route

BODY = b"feed " * 400


def answer(
    *, status: int = 200, body: bytes = BODY, content_type: bytes = b"text/html; charset=utf-8", extra: Headers = ()
) -> Answer:
    length = () if any(name == b"content-length" for name, _ in extra) else ((b"content-length", b"%d" % len(body)),)
    return answered(status, ((b"content-type", content_type), *length, *extra), body)


def asking(encoding: str = "gzip", *, compress: bool = True, cache: CachePolicy | None = None) -> Request:
    behavior = Behavior("*", cache or CachePolicy("p"), compress=compress)
    route = Route(Distribution("E1", None, (behavior,), ()), behavior)
    return Request(Key("/a", encoding), route, {}, {})


def test_a_compressible_answer_is_kept_compressed() -> None:
    made = at_the_edge(asking("br,gzip"), answer())
    assert gzip.decompress(made.body) == BODY
    headers = dict(made.headers)
    assert (headers[b"content-encoding"], headers[b"content-length"]) == (b"gzip", b"%d" % len(made.body))


@pytest.mark.parametrize(
    ("etag", "told"), [(b'"1"', b'W/"1"'), (b'W/"1"', b'W/"1"'), (b"1", None)], ids=["strong", "weak", "invalid"]
)
def test_compression_turns_a_strong_etag_weak_and_drops_an_invalid_one(etag: bytes, told: bytes | None) -> None:
    made = at_the_edge(asking(), answer(extra=((b"etag", etag),)))
    assert dict(made.headers).get(b"etag") == told


@pytest.mark.parametrize(
    "request_",
    [
        asking(""),
        asking("br"),  # the local edge has no Brotli
        asking(compress=False),
        asking(cache=CachePolicy("p", default_ttl=0.0, max_ttl=0.0)),
    ],
    ids=["identity", "brotli alone", "switched off", "caching disabled"],
)
def test_what_nobody_asked_to_compress_is_left_alone(request_: Request) -> None:
    assert at_the_edge(request_, answer()) == answer()


@pytest.mark.parametrize(
    ("said", "compressed"),
    [
        (answer(), True),
        (answer(status=403), True),
        (answer(status=404), True),
        (answer(status=500), False),
        (answer(body=b"x" * 1_000), True),
        (answer(body=b"x" * 999), False),
        (answer(extra=((b"content-length", b"10000000"),)), True),
        (answer(extra=((b"content-length", b"10000001"),)), False),
        (answer(extra=((b"content-length", b"many"),)), False),
        (answered(200, ((b"content-type", b"text/html"),), BODY), False),  # no Content-Length
        (answer(content_type=b"image/png"), False),
        (answer(content_type=b"application/atom+xml"), False),  # not in the guide's list
        (answer(extra=((b"content-encoding", b"gzip"),)), False),
        (answer(extra=((b"content-encoding", b"identity"),)), False),  # whatever its value
    ],
)
def test_an_answer_is_compressible_by_status_type_length_and_encoding(said: Answer, compressed: bool) -> None:
    assert is_compressible(said) is compressed
