"""Toward the viewer: which variant a request wants, which headers an answer has, whether a 304 will do.

Guide: controlling-the-cache-key (Accept-Encoding), RequestAndResponseBehaviorCustomOrigin (headers that are removed
or replaced), understanding-response-headers-policies.
"""

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache

from cdn.distribution import Behavior, ResponseHeadersPolicy
from cdn.local.objects import Headers, Object
from cdn.local.topology import LOCATION

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization",
     b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)  # fmt: skip
REPLACED = frozenset((b"content-length", b"age", b"x-cache", b"x-amz-cf-id", b"x-amz-cf-pop", b"via", b"vary"))
"""Set anew by the edge."""
NOT_IN_304 = frozenset((b"content-length", b"content-type", b"content-encoding", b"content-range"))
NOT_RENEWED = HOP_BY_HOP | frozenset(
    (b"content-length", b"content-encoding", b"content-range", b"content-md5", b"etag")
)
"""A 304 says nothing of these (RFC 9111 §3.2)."""
OK = 200
NO_POLICY = ResponseHeadersPolicy("")


def value_of(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Return a header's values joined by commas, None where it is missing. ``name`` is in lower case."""
    values = [value for key, value in headers if key == name]
    return b",".join(values) if values else None


@lru_cache(maxsize=1_024)
def normalised(accept_encoding: bytes | None, gzip: bool, brotli: bool) -> str:
    """Normalise Accept-Encoding to what of gzip and Brotli is enabled, listed, and not refused with ``q=0``."""
    accepted: set[str] = set()
    for part in (accept_encoding or b"").decode("latin-1").lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        if not any(p.startswith("q=") and not p[2:].strip("0.") for p in parameters):
            accepted.add(coding.removeprefix("x-"))
    return ",".join(name for name, is_on in (("br", brotli), ("gzip", gzip)) if is_on and name in accepted)


def is_unchanged(asked: Mapping[bytes, bytes], held: Object) -> bool:
    """Tell whether the viewer has this answer already. If-None-Match goes before If-Modified-Since."""
    if held.status != OK:
        return False
    if (theirs := asked.get(b"if-none-match")) is not None:
        return is_match(theirs, held.etag)
    if (since := asked.get(b"if-modified-since")) is None or held.modified is None:
        return False
    return since == held.modified or _is_not_after(held.modified, since)


def is_match(if_none_match: bytes, etag: bytes | None) -> bool:
    """Tell whether an ETag is among those listed: weak comparison (RFC 9110 §13.1.2)."""
    if if_none_match.strip() == b"*":
        return True
    if etag is None:
        return False
    bare = etag.removeprefix(b"W/")
    return any(candidate.strip().removeprefix(b"W/") == bare for candidate in if_none_match.split(b","))


class ViewerHeaders:
    """Makes the headers that a viewer gets out of the origin's, but for those that differ from request to request."""

    def __init__(self, distribution: str, behavior: Behavior, location: str = LOCATION) -> None:
        policy = behavior.response or NO_POLICY
        removed = {name.lower().encode() for name in policy.removed}
        replaced = {name.lower().encode() for name, _, overrides in policy.custom if overrides}
        self._removed = removed | replaced | HOP_BY_HOP | REPLACED
        if not behavior.forwards_cookies:
            self._removed |= {b"set-cookie"}
        self._pop = (b"x-amz-cf-pop", location.encode())
        self._via = (b"via", f"1.1 {distribution.lower()}.cloudfront.net (CloudFront)".encode())
        self._custom = tuple((name.lower().encode(), value.encode(), always) for name, value, always in policy.custom)
        self._varies_on = behavior.cache.headers
        self._is_vary_removed = b"vary" in removed

    def make(self, origin_headers: Headers, length: int) -> Headers:
        """Return the headers of an answer whose body has ``length`` bytes."""
        listed = value_of(origin_headers, b"connection") or b""
        removed = self._removed.union(name.strip().lower() for name in listed.split(b","))
        kept = [(name, value) for name, value in origin_headers if name not in removed]
        present = {name for name, _ in kept}
        added = [(name, value) for name, value, always in self._custom if always or name not in present]
        made = [self._via, self._pop, (b"content-length", b"%d" % length)]
        return (*kept, *self._vary(origin_headers), *added, *made)

    def _vary(self, origin_headers: Headers) -> Headers:
        """Return what is left of ``Vary``: Accept-Encoding, Cookie, what is in the key, and ``*``."""
        if self._is_vary_removed:
            return ()
        listed = (value_of(origin_headers, b"vary") or b"").split(b",")
        names = [name for part in listed if (name := part.strip()) and self._is_told(name.lower())]
        return ((b"vary", b", ".join(names)),) if names else ()

    def _is_told(self, name: bytes) -> bool:
        return name in (b"accept-encoding", b"cookie", b"*") or self._varies_on.takes(name.decode("latin-1"))


def _is_not_after(modified: bytes, since: bytes) -> bool:
    try:
        return parsedate_to_datetime(modified.decode("latin-1")) <= parsedate_to_datetime(since.decode("latin-1"))
    except (ValueError, TypeError):  # no dates, or one of them without a zone
        return False
