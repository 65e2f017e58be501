"""A CloudFront distribution as plain values: the local edge runs one, doctor judges one, the template makes one.

Names and meanings are those of CloudFront's API (GetDistributionConfig and the policies it names). Times are seconds.
Sources: CloudFront Developer Guide, DownloadDistValuesCacheBehavior, controlling-the-cache-key,
controlling-origin-requests, modifying-response-headers and HTTPStatusCodes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

ERROR_TTL_S = 10.0
"""How long an error is kept where the distribution says nothing of its code [HTTPStatusCodes]."""
ERRORS = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
"""The codes whose ErrorCachingMinTTL can be set [custom-error-pages]."""
NOWHERE = "edgebake-nowhere"
"""The viewer-request function that answers 404 at the edge: what the default behaviour of our template runs."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Which query strings, headers or cookies a policy takes. Names of headers are in lower case.

    An origin request policy's ``allViewer`` is ``all``; headers that CloudFront adds by itself are not modelled.
    """

    behavior: Literal["none", "whitelist", "allExcept", "all"] = "none"
    names: frozenset[str] = frozenset()

    def takes(self, name: str) -> bool:
        """Tell whether a name is taken."""
        match self.behavior:
            case "none":
                return False
            case "whitelist":
                return name in self.names
            case "allExcept":
                return name not in self.names
            case "all":
                return True


NONE = Keys()
ALL = Keys("all")
WEBSOCKET = Keys(
    "whitelist", frozenset(f"sec-websocket-{name}" for name in ("key", "version", "protocol", "extensions"))
)
"""What a WebSocket needs to be let through [distribution-working-with.websockets]."""


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What is in the cache key, and how long objects are kept. What is in the key is forwarded, too."""

    name: str
    min_ttl: float = 0.0
    default_ttl: float = 86_400.0
    max_ttl: float = 31_536_000.0
    gzip: bool = True
    """Whether ``Accept-Encoding``, normalised, has gzip in it."""
    brotli: bool = True
    queries: Keys = NONE
    headers: Keys = NONE
    cookies: Keys = NONE


@dataclass(frozen=True, slots=True)
class OriginRequestPolicy:
    """What is forwarded to the origin besides the cache key."""

    name: str
    queries: Keys = NONE
    headers: Keys = NONE
    cookies: Keys = NONE


@dataclass(frozen=True, slots=True)
class ResponseHeadersPolicy:
    """What the viewer is told otherwise than the origin said. Caching goes by what the origin said."""

    name: str
    removed: tuple[str, ...] = ()
    custom: tuple[tuple[str, str, bool], ...] = ()
    """Name, value, and whether it takes the place of the origin's."""


@dataclass(frozen=True, slots=True)
class Behavior:
    """What happens to the requests whose path matches a pattern; ``*`` is the default behaviour."""

    pattern: str
    cache: CachePolicy
    request: OriginRequestPolicy | None = None
    response: ResponseHeadersPolicy | None = None
    origin: str = "origin"
    methods: tuple[str, ...] = ("GET", "HEAD")
    compress: bool = False
    key_groups: tuple[str, ...] = ()
    """Trusted key groups. With one, every request needs a signature."""
    viewer_protocol: str = "redirect-to-https"
    function: str | None = None
    """The name of the viewer-request function."""
    failover: tuple[str, ...] = ()
    """The other origins of its origin group, which are asked where the first one fails."""

    def matches(self, path: str) -> bool:
        """Tell whether a path, without its query string, is this behaviour's."""
        return matcher(self.pattern).fullmatch(path) is not None

    @property
    def origins(self) -> frozenset[str]:
        """The origins that its answers may come from."""
        return frozenset((self.origin, *self.failover))

    @property
    def leads_nowhere(self) -> bool:
        """Whether its viewer-request function is the template's, under the name of any stack: it answers 404."""
        return self.function is not None and self.function.endswith(NOWHERE.removeprefix("edgebake"))

    @property
    def forwards_cookies(self) -> bool:
        """Whether any policy forwards cookies: then CloudFront neither collapses nor revalidates."""
        forwarded = [self.cache.cookies] + ([self.request.cookies] if self.request else [])
        return any(cookies.behavior != "none" for cookies in forwarded)


@dataclass(frozen=True, slots=True)
class OriginSettings:
    """An origin: how long CloudFront waits for it, and what stands before it."""

    id: str
    domain: str
    read_timeout_s: float = 30.0
    completion_timeout_s: float | None = None
    """The longest a whole answer may take; None: no such bound."""
    shield: str | None = None
    """The region of Origin Shield, None without one."""
    custom_headers: tuple[str, ...] = ()
    """Names of the headers that CloudFront adds, such as the secret one."""
    private: bool = False
    """Whether nobody else can reach it: a VPC origin, or a bucket with an origin access control."""
    protocol: str = field(default="", compare=False)
    """How CloudFront speaks to it: ``https-only``, ``http-only`` or ``match-viewer``; no cache depends on it."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution. ``behaviors`` are in the order in which they are tried; the default one, ``*``, is last."""

    id: str
    tag_header: str | None
    behaviors: tuple[Behavior, ...]
    origins: tuple[OriginSettings, ...]
    error_min_ttl: Mapping[int, float] = field(default_factory=dict)
    """By status; ERROR_TTL_S where it is not listed."""
    http_versions: str = "http2and3"
    enabled: bool = True
    logging: bool = True
    web_acl: str | None = None

    def behavior_of(self, path: str) -> Behavior:
        """Return the first behaviour whose pattern matches a path, the default one where none does."""
        return next((each for each in self.behaviors if each.matches(path)), self.behaviors[-1])

    def error_ttl(self, status: int) -> float:
        """Return how long an error is kept at least."""
        return self.error_min_ttl.get(status, ERROR_TTL_S)


@lru_cache(maxsize=1_024)
def matcher(pattern: str) -> re.Pattern[str]:
    """Return a path pattern as a regular expression: ``*`` is any characters, ``?`` is one; case counts.

    The leading slash may be missing, and means the same then.
    """
    rooted = pattern if pattern.startswith(("/", "*")) else f"/{pattern}"
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(c) or re.escape(c) for c in rooted), re.DOTALL)


def ours(
    *,
    distribution: str = "LOCALEDGE",
    domain: str = "origin.invalid",
    tag_header: str = "Cache-Tag",
    max_ttl: float = 3_600.0,
    completion_timeout_s: float = 5.0,
    viewer_cache_control: str = "no-cache",
    key_groups: tuple[str, ...] = ("edgebake-readers",),
    shield: str | None = None,
) -> Distribution:
    """Return the distribution that our CloudFormation template makes.

    An answer without ``Cache-Control`` is not kept (default TTL 0), nor is an error that does not ask for it.
    """
    origin = OriginSettings("origin", domain, completion_timeout_s, completion_timeout_s, shield, ("Edgebake-Secret",))
    feeds = CachePolicy("edgebake-feeds", default_ttl=0.0, max_ttl=max_ttl, brotli=False)
    static = CachePolicy("edgebake-static", default_ttl=0.0, max_ttl=max_ttl)
    live = CachePolicy("edgebake-live", default_ttl=0.0, max_ttl=0.0, gzip=False, brotli=False)
    untagged = ResponseHeadersPolicy("edgebake-static", (tag_header,))
    told = ResponseHeadersPolicy("edgebake-feeds", (tag_header,), (("Cache-Control", viewer_cache_control, True),))
    alone = (("Cache-Control", f"private, {viewer_cache_control}", True),)  # no proxy on the way may keep it
    told_alone = ResponseHeadersPolicy("edgebake-private", (tag_header,), alone)
    behaviors = (
        Behavior("/feed/*", feeds, response=told),
        Behavior("/private/*", feeds, response=told_alone, key_groups=key_groups),
        Behavior("/author/*", feeds, response=told),
        Behavior("/post/*", feeds, response=told),
        Behavior("/static/*", static, response=untagged, compress=True),
        Behavior("/live/*", live, OriginRequestPolicy("edgebake-live", queries=ALL, headers=WEBSOCKET), untagged),
        Behavior("*", live, response=untagged, function=NOWHERE),
    )
    none_kept = MappingProxyType(dict.fromkeys(ERRORS, 0.0))
    return Distribution(distribution, tag_header, behaviors, (origin,), none_kept)


def plain(*, distribution: str = "LOCALEDGE", domain: str = "origin.invalid", tag_header: str) -> Distribution:
    """Return a distribution for any site: every path, and what the origin says decides.

    As with AWS's managed policies UseOriginCacheControlHeaders-QueryStrings and AllViewerExceptHostHeader, but
    without cookies: forwarded, they would end collapsing and revalidation. What authorises is in the key, or what is
    for one would be shared with all.
    """
    keyed = Keys("whitelist", frozenset(("authorization", "origin")))
    policy = CachePolicy("plain", default_ttl=0.0, queries=ALL, headers=keyed)
    viewer = OriginRequestPolicy("plain", queries=ALL, headers=ALL)
    methods = ("GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE")
    behavior = Behavior("*", policy, viewer, methods=methods, compress=True, viewer_protocol="allow-all")
    none_kept = MappingProxyType(dict.fromkeys(ERRORS, 0.0))
    return Distribution(distribution, tag_header, (behavior,), (OriginSettings("origin", domain),), none_kept)
