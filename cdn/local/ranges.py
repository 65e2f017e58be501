"""Parts of an object that the edge holds whole (RFC 9110 §14; guide: RangeGETs)."""

import re
from itertools import pairwise
from typing import NamedTuple

HELD = re.compile(rb"bytes (\d+)-(\d+)/(\d+)")
SPEC = re.compile(r"(\d{0,18})-(\d{0,18})", re.ASCII)
BOUNDARY = b"CloudFront-part"


class Span(NamedTuple):
    """Bytes ``first`` to ``last``, both included."""

    first: int
    last: int


class Part(NamedTuple):
    """An answer to a range request: its body, and the headers that it has instead of the object's."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def spans(value: str, length: int) -> list[Span] | None:
    """Return the spans that a Range header asks for, [] where none is in the object.

    None where the whole object is to be sent: another unit, a malformed range, ranges out of order or overlapping.
    """
    unit, equals, listed = value.partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    found: list[Span] = []
    for spec in listed.split(","):
        match = SPEC.fullmatch(spec.strip())
        if match is None or match[0] == "-" or _is_backwards(match):
            return None
        span = _span(match, length)
        if span.first <= span.last:
            found.append(span)
    in_order = all(before.last < after.first for before, after in pairwise(found))
    return found if in_order else None


def part_of(body: bytes, value: str, content_type: bytes | None) -> Part | None:
    """Return the part of a body that a Range header asks for, None where all of it is to be sent."""
    asked = spans(value, len(body))
    if asked is None:
        return None
    if not asked:
        return Part(416, b"", ((b"content-range", b"bytes */%d" % len(body)),))
    if len(asked) == 1:
        return Part(206, body[asked[0].first : asked[0].last + 1], (_content_range(asked[0], body),))
    return _multipart(body, asked, content_type or b"application/octet-stream")


def part_of_part(body: bytes, content_range: bytes, value: str) -> Part | None:
    """Return what a Range header asks for out of a part that is held, None where it is not all in there."""
    held = HELD.fullmatch(content_range)
    if held is None:
        return None
    first, last, length = map(int, held.groups())
    asked = spans(value, length)
    if last - first + 1 != len(body) or not asked or len(asked) > 1:
        return None
    span = asked[0]
    if span.first < first or span.last > last:
        return None
    told = b"bytes %d-%d/%d" % (span.first, span.last, length)
    return Part(206, body[span.first - first : span.last - first + 1], ((b"content-range", told),))


def replaced(headers: tuple[tuple[bytes, bytes], ...], part: Part) -> tuple[tuple[bytes, bytes], ...]:
    """Return an object's headers with those of a part in their place."""
    own = (*part.headers, (b"content-length", b"%d" % len(part.body)))
    names = {name for name, _ in own}
    return (*(pair for pair in headers if pair[0] not in names), *own)


def is_current(if_range: bytes, etag: bytes | None, modified: bytes | None) -> bool:
    """Tell whether the viewer's parts are of this version: strong comparison (RFC 9110 §13.1.5)."""
    asked = if_range.strip()
    return asked == modified or (asked == etag and not asked.startswith(b"W/"))


def _multipart(body: bytes, asked: list[Span], content_type: bytes) -> Part:
    parts = [
        b"--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n%b\r\n"
        % (BOUNDARY, content_type, _content_range(span, body)[1], body[span.first : span.last + 1])
        for span in asked
    ]
    told = (b"content-type", b"multipart/byteranges; boundary=" + BOUNDARY)
    return Part(206, b"".join(parts) + b"--%b--\r\n" % BOUNDARY, (told,))


def _span(match: re.Match[str], length: int) -> Span:
    first, last = match[1], match[2]
    if not first:
        return Span(max(0, length - int(last)), length - 1)
    return Span(int(first), min(int(last), length - 1) if last else length - 1)


def _is_backwards(match: re.Match[str]) -> bool:
    return bool(match[1] and match[2]) and int(match[1]) > int(match[2])


def _content_range(span: Span, body: bytes) -> tuple[bytes, bytes]:
    return b"content-range", b"bytes %d-%d/%d" % (span.first, span.last, len(body))
