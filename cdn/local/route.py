"""A behaviour of the distribution, made ready: which route a path takes, and the cache key of a request on it.

Guide: DownloadDistValuesCacheBehavior (path patterns), controlling-the-cache-key, QueryStringParameters.
"""

import re
from collections.abc import Mapping, Sequence

from cdn.distribution import Behavior, Distribution, Keys, matcher
from cdn.grant import COOKIE, PARAMETERS
from cdn.local.decision import rules_of
from cdn.local.objects import Key
from cdn.local.topology import LOCATION
from cdn.local.viewer import ViewerHeaders, normalised

UNRESERVED = re.compile("%(?:2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])")
"""What RFC 3986 §6.2.2.2 decodes: letters, digits, hyphen, dot, underscore and tilde."""
RequestHeaders = Mapping[bytes, bytes]
REMEMBERED = 20_000
"""Paths whose route is remembered: patterns cost more than a look-up."""
LONGEST = 256
"""Characters of a path that is remembered."""


class Route:
    """One behaviour with its rules, its keys and what its viewers are told."""

    def __init__(self, distribution: Distribution, behavior: Behavior, location: str = LOCATION) -> None:
        self.behavior = behavior
        self.rules = rules_of(distribution, behavior)
        self.viewer = ViewerHeaders(distribution.id, behavior, location)
        self._pattern = matcher(behavior.pattern)
        cache = behavior.cache
        # With Accept-Encoding in the policy's own list it is a header like any other, and nothing is normalised.
        listed = cache.headers.takes("accept-encoding")
        self._gzip, self._brotli = cache.gzip and not listed, cache.brotli and not listed
        self._is_plain = all(keys.behavior == "none" for keys in (cache.queries, cache.headers, cache.cookies))

    def takes(self, path: str) -> bool:
        """Tell whether a normalised path is this behaviour's."""
        return self._pattern.fullmatch(path) is not None

    def key(self, path: str, query: str, headers: RequestHeaders, http: str = "1.1") -> Key:
        """Return the cache key of a request, whose header names are in lower case."""
        accepted = None if http == "1.0" else headers.get(b"accept-encoding")
        encoding = normalised(accepted, self._gzip, self._brotli)
        if self._is_plain:
            return Key(path, encoding)
        return Key(with_query(path, self.queries(query, self.behavior.cache.queries)), encoding, self._extra(headers))

    def queries(self, query: str, *wanted: Keys) -> str:
        """Return of a query string what any of these takes, in the order and the case it came in."""
        if not query or all(keys.behavior == "none" for keys in wanted):
            return ""
        signed = PARAMETERS if self.behavior.key_groups else frozenset[str]()
        return "&".join(
            part
            for part in query.split("&")
            if (name := part.partition("=")[0]) not in signed and any(keys.takes(name) for keys in wanted)
        )

    def cookies(self, headers: RequestHeaders, *wanted: Keys) -> list[str]:
        """Return the cookies that any of these takes."""
        return [
            cookie
            for part in headers.get(b"cookie", b"").decode("latin-1").split(";")
            if (cookie := part.strip())
            and not (name := cookie.partition("=")[0]).startswith(COOKIE)
            and any(keys.takes(name) for keys in wanted)
        ]

    def _extra(self, headers: RequestHeaders) -> tuple[str, ...]:
        cache = self.behavior.cache
        taken = [
            f"{name.decode('latin-1')}: {value.decode('latin-1')}"
            for name, value in sorted(headers.items())
            if cache.headers.takes(name.decode("latin-1"))
        ]
        return (*taken, *sorted(self.cookies(headers, cache.cookies)))


class Routes:
    """The routes of a distribution, in the order in which they are tried."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._known: dict[str, Route] = {}

    def of(self, path: str) -> Route:
        """Return the first route that takes a path, which is compared in its normal form; else the default one."""
        found = self._known.get(path)
        if found is None:
            normal = normal_path(path) if "%" in path or "/." in path else path
            found = next((route for route in self._routes if route.takes(normal)), self._routes[-1])
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            if len(path) <= LONGEST:
                self._known[path] = found
        return found


def normal_path(path: str) -> str:
    """Return a path as RFC 3986 §6.2.2 normalises it: plain characters decoded, ``.`` and ``..`` taken out."""
    decoded = UNRESERVED.sub(lambda match: chr(int(match[0][1:], 16)), path)
    kept: list[str] = []
    segments = decoded.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and segments[-1] in (".", "..") else "")


def with_query(path: str, query: str) -> str:
    """Return a path and its query string."""
    return f"{path}?{query}" if query else path
