"""Toward the viewer: which variant a request wants, which headers an answer has, whether a 304 will do."""

from collections.abc import Iterable
from functools import lru_cache

from cdn.local.config import LocalEdgeConfig
from cdn.local.objects import Headers

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
     b"trailer", b"transfer-encoding", b"upgrade")
)  # fmt: skip
REPLACED = frozenset((b"content-length", b"age", b"x-cache", b"x-amz-cf-id", b"x-amz-cf-pop", b"set-cookie"))
"""Set anew by the edge; a cookie is nobody's, because the key has none."""
NOT_IN_304 = frozenset((b"content-length", b"content-type", b"content-encoding"))
NOT_RENEWED = NOT_IN_304 | HOP_BY_HOP
"""A 304 says nothing of these (RFC 9111 §3.2)."""


def value_of(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Return a header's values joined by commas, None where it is missing. ``name`` is in lower case."""
    values = [value for key, value in headers if key == name]
    return b",".join(values) if values else None


@lru_cache(maxsize=256)
def wants_gzip(accept_encoding: bytes | None) -> bool:
    """Normalise Accept-Encoding: tell whether gzip is listed and not refused with ``q=0``."""
    for part in (accept_encoding or b"").decode("latin-1").lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        if coding in ("gzip", "x-gzip"):
            return not any(p.startswith("q=") and not p[2:].strip("0.") for p in parameters)
    return False


def is_match(if_none_match: bytes, etag: bytes | None) -> bool:
    """Tell whether the viewer has this answer already: weak comparison (RFC 9110 §13.1.2)."""
    if if_none_match.strip() == b"*":
        return True
    if etag is None:
        return False
    bare = etag.removeprefix(b"W/")
    return any(candidate.strip().removeprefix(b"W/") == bare for candidate in if_none_match.split(b","))


class ViewerHeaders:
    """Makes the headers that a viewer gets out of the origin's, but for those that differ from request to request."""

    def __init__(self, config: LocalEdgeConfig) -> None:
        removed = {name.lower().encode() for name in (config.tag_header, *config.remove_headers)}
        self._own: Headers = (
            (b"via", f"1.1 {config.distribution.lower()}.cloudfront.net (CloudFront)".encode()),
            (b"x-amz-cf-pop", b"LOCAL1-C1"),
        )
        if config.viewer_cache_control is not None:
            removed.add(b"cache-control")
            self._own += ((b"cache-control", config.viewer_cache_control.encode()),)
        self._removed = removed | HOP_BY_HOP | REPLACED

    def make(self, origin_headers: Headers, length: int) -> Headers:
        """Return the headers of an answer whose body has ``length`` bytes."""
        listed = value_of(origin_headers, b"connection") or b""
        removed = self._removed.union(name.strip().lower() for name in listed.split(b","))
        kept = [(name, value) for name, value in origin_headers if name not in removed]
        return (*kept, *self._own, (b"content-length", b"%d" % length))
