"""The feeds port's reading of request headers, and the headers of an artifact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baker.app import accepts_gzip
from baker.artifact import Artifact, Encoding
from baker.freshness import Freshness
from baker.paths import Target
from baker.splice import part
from cdn.errors import TooManyTags


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (b"", False),
        (b"gzip", True),
        (b"GZip", True),
        (b"x-gzip", True),
        (b"*", True),
        (b"gzip, deflate, br, zstd", True),
        (b"deflate, br", False),
        (b"identity", False),
        (b"gzip;q=0", False),
        (b"gzip; q=0", False),
        (b"gzip;q=0.000", False),
        (b"gzip ; Q=0", False),
        (b"gzip;q=0.001", True),
        (b"gzip;q=1.0", True),
        (b"*;q=0", False),
        (b"gzip, *;q=0", True),
        (b"gzip;q=0, *", False),  # the one that is named counts, not the star
        (b"*, gzip;q=0", False),
        (b"br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        (b"identity;q=1, *;q=0", False),
        (b"gzip;q=", False),  # what is no number is no wish for it
        (b"gzip;q=nan", False),
        (b"gzip;q=-1", False),
        (b"gzip;q=0;q=1", False),
        (b"gzipped", False),
        (b",,gzip,,", True),
        (b"\xff\xfe, gzip", True),
    ],
)
def test_gzip_is_accepted_where_it_is_named_and_not_refused(value: bytes, accepted: bool) -> None:
    assert accepts_gzip(value) is accepted


@given(st.binary(max_size=60))
def test_no_header_is_too_strange_to_be_read(value: bytes) -> None:
    assert accepts_gzip(value) in (True, False)


def artifact(body: bytes, *tags: str) -> Artifact:
    """Return an artifact with a body and tags."""
    target = Target("feed", "ada", "html", None)
    return Artifact(target, 200, "text/html", [part(body)], tags, set(tags), Freshness(), 0)


def etag(made: Artifact, encoding: Encoding) -> bytes:
    """Return an artifact's ETag in an encoding."""
    return made.encoded(encoding, b"cache-tag", ()).etag


def test_an_etag_tells_body_tags_and_encoding_apart() -> None:
    made = [artifact(body, *tags) for body in (b"one", b"two") for tags in (("g",), ("g", "u-ada"), ("u-ada", "g"))]
    encodings: tuple[Encoding, ...] = ("", "gzip")
    assert len({etag(each, encoding) for each in made for encoding in encodings}) == 12


def test_an_artifact_is_encoded_once() -> None:
    made = artifact(b"body", "g")
    assert made.encoded("gzip", b"cache-tag", ()) is made.encoded("gzip", b"cache-tag", ())


def test_fifty_tags_fit_and_one_more_is_an_error_and_never_a_slice() -> None:
    fifty = [f"p-{number}" for number in range(50)]
    listed = dict(artifact(b"", *fifty).encoded("", b"cache-tag", ()).headers)[b"cache-tag"]
    assert listed == ",".join(fifty).encode()
    with pytest.raises(TooManyTags):
        artifact(b"", *fifty, "p-50").encoded("", b"cache-tag", ())
