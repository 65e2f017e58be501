"""An artifact: a baked answer for one URL, in as many encodings as were asked for."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import inf
from typing import Literal, NamedTuple

from baker.freshness import Freshness
from baker.paths import Target
from baker.splice import Part, etag, join, join_gzip
from cdn import tags

Encoding = Literal["", "gzip"]
Header = tuple[bytes, bytes]


class Encoded(NamedTuple):
    """The bytes of an artifact in one encoding, with its strong ETag."""

    body: bytes
    etag: bytes
    headers: list[Header]


@dataclass(slots=True)
class Artifact:
    """What was baked for a target. ``tags`` it carries, ``depends`` is what the fence checks.

    ``carried`` are the sources of a feed whose tags it carries, None where these are all.
    """

    target: Target
    status: int
    content_type: str
    parts: Sequence[Part]
    tags: Sequence[str]
    depends: Container[str]
    freshness: Freshness
    noted: int
    carried: tuple[int, ...] | None = None
    posts: int = 0
    foreign: bool = False
    """Baked with templates that are not the site's current ones: leaves late."""
    shown: Sequence[int] = ()
    """Numbers of the posts that a ranked feed's first page shows: the next recalculation lowers them."""
    keep_s: float = inf
    """Seconds for which a baker keeps it at most: discovery is made again though nothing was recorded."""
    _encoded: dict[Encoding, Encoded] = field(default_factory=dict)

    def encoded(self, encoding: Encoding, tag_header: bytes, extra: Sequence[Header]) -> Encoded:
        """Return the artifact in an encoding; made once. Raises TooManyTags."""
        if encoding not in self._encoded:
            self._encoded[encoding] = self._encode(encoding, tag_header, extra)
        return self._encoded[encoding]

    @property
    def size(self) -> int:
        """Bytes that the artifact may keep in memory, roughly: headers, a plain and a compressed body."""
        return 4000 + sum(map(len, chain.from_iterable(self.parts)))

    def _encode(self, encoding: Encoding, tag_header: bytes, extra: Sequence[Header]) -> Encoded:
        listed = tags.header(self.tags)
        body = join(self.parts)
        if encoding:
            body = join_gzip(self.parts, body)
        validator = etag(self.parts, listed, encoding).encode()
        headers: list[Header] = [
            (b"content-type", self.content_type.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"etag", validator),
            (tag_header, listed.encode()),
            (b"vary", b"Accept-Encoding"),
            (b"x-content-type-options", b"nosniff"),
            *extra,
        ]
        if encoding:
            headers.append((b"content-encoding", b"gzip"))
        return Encoded(body, validator, headers)
