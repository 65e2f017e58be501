"""Parts of an object that is held whole."""

import pytest

from cdn.local.ranges import Part, is_current, part_of, part_of_part

BODY = b"0123456789"


@pytest.mark.parametrize(
    ("asked", "body", "told"),
    [
        ("bytes=0-1", b"01", b"bytes 0-1/10"),
        ("bytes=8-", b"89", b"bytes 8-9/10"),
        ("bytes=-3", b"789", b"bytes 7-9/10"),
        ("bytes=8-99", b"89", b"bytes 8-9/10"),
        ("bytes=-99", BODY, b"bytes 0-9/10"),
        ("bytes=0-0,99-", b"0", b"bytes 0-0/10"),  # what is not there is left out
    ],
)
def test_a_range_is_cut_from_what_is_held(asked: str, body: bytes, told: bytes) -> None:
    assert part_of(BODY, asked, None) == Part(206, body, ((b"content-range", told),))


@pytest.mark.parametrize(
    "asked",
    [
        "lines=0-1",
        "bytes",
        "bytes=a-b",
        "bytes=-",
        "bytes=5-2",
        "bytes=4-5,0-1",
        "bytes=0-5,5-7",
        "bytes=-1-2",
        f"bytes={'9' * 5000}-",
    ],
)
def test_a_range_that_cloudfront_does_not_take_is_all_of_it(asked: str) -> None:
    assert part_of(BODY, asked, None) is None


def test_a_range_behind_the_end_cannot_be_satisfied() -> None:
    assert part_of(BODY, "bytes=10-", None) == Part(416, b"", ((b"content-range", b"bytes */10"),))


def test_several_ranges_are_several_parts() -> None:
    part = part_of(BODY, "bytes=0-1,8-9", b"text/plain")
    assert part is not None
    assert part.headers[0][1].startswith(b"multipart/byteranges")
    assert part.body.count(b"Content-Type: text/plain") == 2
    assert b"Content-Range: bytes 8-9/10\r\n\r\n89\r\n" in part.body


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ("bytes=4-5", b"45"),
        ("bytes=3-", b"3456789"),
        ("bytes=-2", b"89"),
        ("bytes=2-5", None),  # begins before the part
        ("bytes=4-5,7-8", None),
        ("bytes=5-4", None),
    ],
)
def test_a_part_is_cut_from_a_larger_one(asked: str, body: bytes | None) -> None:
    part = part_of_part(BODY[3:], b"bytes 3-9/10", asked)
    assert (part and part.body) == body


def test_a_part_whose_length_is_not_what_it_says_is_cut_no_further() -> None:
    assert part_of_part(b"012", b"bytes 0-9/10", "bytes=0-1") is None


@pytest.mark.parametrize(
    ("condition", "current"),
    [(b'"1"', True), (b'"2"', False), (b'W/"1"', False), (b"Sat, 27 Jun 2015 23:59:59 GMT", True), (b"Sat, 28", False)],
)
def test_if_range_compares_strongly(condition: bytes, current: bool) -> None:
    assert is_current(condition, b'"1"', b"Sat, 27 Jun 2015 23:59:59 GMT") is current


def test_a_weak_etag_is_never_current() -> None:
    assert is_current(b'W/"1"', b'W/"1"', None) is False
