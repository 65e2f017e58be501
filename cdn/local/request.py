"""A request on its way to the origin: the cache key, and what of the viewer's request is forwarded.

Guide: controlling-origin-requests, RequestAndResponseBehaviorCustomOrigin.
"""

from typing import NamedTuple

from cdn.distribution import NONE
from cdn.local.asgi import Scope
from cdn.local.objects import Key
from cdn.local.route import RequestHeaders, Route, with_query
from cdn.local.viewer import HOP_BY_HOP

OWN = HOP_BY_HOP | frozenset(
    (b"host", b"accept-encoding", b"cookie", b"range", b"if-range", b"content-length", b"expect", b"x-real-ip",
     b"x-amz-cf-id", b"x-forwarded-proto", b"x-forwarded-for", b"via")
)  # fmt: skip
"""Headers that CloudFront takes out or makes by itself."""
CONDITIONS = frozenset((b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since"))
HEAD = "HEAD"


class Request(NamedTuple):
    """What a tier asks the one above it, and the last one the origin."""

    key: Key
    route: Route
    scope: Scope
    headers: RequestHeaders
    """The viewer's, names in lower case."""
    id: str = ""
    """What ``X-Amz-Cf-Id`` says."""
    etag: bytes | None = None
    """Of what the asking tier holds, to be confirmed."""
    modified: bytes | None = None
    body: bytes = b""

    @property
    def method(self) -> str:
        """The method. A HEAD is forwarded as it is, unless the whole object is asked for."""
        method: str = self.scope["method"]
        return "GET" if method == HEAD and self.key.piece != HEAD else method

    @property
    def range(self) -> str:
        """The range that is asked for; "" for none."""
        return "" if self.key.piece == HEAD else self.key.piece

    @property
    def target(self) -> str:
        """The path, as it was spelt, and the query strings that either policy takes."""
        behavior, query = self.route.behavior, self.scope["query_string"].decode("latin-1")
        asked = behavior.request.queries if behavior.request else NONE
        return with_query(path_of(self.scope), self.route.queries(query, behavior.cache.queries, asked))

    def forwarded(self) -> list[tuple[str, str]]:
        """Return the headers that the origin gets, ``Host`` aside."""
        own = [("X-Amz-Cf-Id", self.id), ("X-Forwarded-For", self._forwarded_for())]
        if encoding := self._accept_encoding():
            own.append(("Accept-Encoding", encoding))
        if cookies := self._cookies():
            own.append(("Cookie", "; ".join(cookies)))
        if self.range:
            own.append(("Range", self.range))
        return [*self._taken(), *own, *self._conditions()]

    def _taken(self) -> list[tuple[str, str]]:
        behavior = self.route.behavior
        policies = [behavior.cache.headers] + ([behavior.request.headers] if behavior.request else [])
        if all(keys.behavior == "none" for keys in policies):
            return []
        unwanted = OWN | CONDITIONS if self.etag or self.modified else OWN
        return [
            (text, value.decode("latin-1"))
            for name, value in self.headers.items()
            if name not in unwanted
            and not name.startswith(b"x-edge-")
            and any(keys.takes(text := name.decode("latin-1")) for keys in policies)
        ]

    def _conditions(self) -> list[tuple[str, str]]:
        told = (("If-None-Match", self.etag), ("If-Modified-Since", self.modified))
        return [(name, value.decode("latin-1")) for name, value in told if value is not None]

    def _accept_encoding(self) -> str:
        """Return it as it is normalised; a viewer that accepts none of it is ``identity`` [cache key settings]."""
        cache = self.route.behavior.cache
        if cache.headers.takes("accept-encoding"):
            return self.headers.get(b"accept-encoding", b"").decode("latin-1")
        if not (cache.gzip or cache.brotli) or b"accept-encoding" not in self.headers:
            return ""
        return self.key.encoding or "identity"

    def _cookies(self) -> list[str]:
        behavior = self.route.behavior
        asked = behavior.request.cookies if behavior.request else NONE
        return self.route.cookies(self.headers, behavior.cache.cookies, asked)

    def _forwarded_for(self) -> str:
        client = self.scope.get("client") or ("127.0.0.1", 0)
        earlier = self.headers.get(b"x-forwarded-for")
        return f"{earlier.decode('latin-1')}, {client[0]}" if earlier else str(client[0])


def path_of(scope: Scope) -> str:
    """Return the path as it was spelt."""
    path: str = scope["raw_path"].decode("latin-1")
    return path


def headers_of(scope: Scope) -> RequestHeaders:
    """Return a request's headers, those that came more than once joined by commas, cookies by semicolons."""
    pairs: list[tuple[bytes, bytes]] = scope["headers"]
    headers = dict(pairs)
    if len(headers) < len(pairs):
        for name in headers:
            joint = b"; " if name == b"cookie" else b", "
            headers[name] = joint.join(value for other, value in pairs if other == name)
    return headers
